// Command compare sets the work tree against another revision, in micro-benchmarks and end to end,
// and fails if something got slower:
//
//	go run ./benchmarks/cmd/compare --ref HEAD~1
//	go run ./benchmarks/cmd/compare --ref v0.2.0 --micro=false --pairs 10 \
//	    --e2e 'small: produce --record-size 100'
//
// It exits with 0 if nothing has regressed by more than the threshold, with 1 if something has, and
// with 2 if the comparison could not be made. Package compare says how it judges.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sluice/benchmarks/compare"
)

const (
	exitRegressed = 1
	exitFailed    = 2
)

// packagesDefault are those on the two hot paths.
const packagesDefault = "./wire ./netpoll ./pagecache ./engine/partition ./engine/broker"

// casesDefault are what the broker is about: large batches in, large batches out, and small
// requests.
var casesDefault = []string{
	"produce: produce",
	"fetch: consume",
	"small: produce --record-size 100 --batch-records 1 --connections 16 --in-flight 1",
}

// options are the flags.
type options struct {
	ref, packages, bench, benchtime, out, data string
	count, pairs                               int
	duration, warmup                           time.Duration
	threshold                                  float64
	micro, endToEnd                            bool
	cases                                      []string
}

func main() {
	// A second Ctrl-C ends the program at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(ctx, o)
	}
	switch {
	case err == nil:
		return
	case errors.Is(err, flag.ErrHelp):
		return
	case errors.Is(err, compare.ErrRegressed):
		fmt.Println(err)
		os.Exit(exitRegressed)
	}
	fmt.Fprintln(os.Stderr, "compare:", err)
	os.Exit(exitFailed)
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	f.StringVar(&o.ref, "ref", "HEAD", "the old side: a commit, branch or tag")
	f.BoolVar(&o.micro, "micro", true, "compare micro-benchmarks")
	f.StringVar(&o.packages, "packages", packagesDefault, "whose micro-benchmarks")
	f.StringVar(&o.bench, "bench", ".", "which micro-benchmarks (go test -bench)")
	f.StringVar(&o.benchtime, "benchtime", "200ms", "how long each runs (go test -benchtime)")
	f.IntVar(&o.count, "count", 10, "how often each side runs them, at least 6")
	f.BoolVar(&o.endToEnd, "end-to-end", true, "compare brokers under load")
	f.Func("e2e", "a workload, 'name: mode --flag value …' as after `sluice bench`; may be repeated",
		func(text string) error { o.cases = append(o.cases, text); return nil })
	f.IntVar(&o.pairs, "pairs", 6, "how often each side runs each workload, at least 3")
	f.DurationVar(&o.duration, "duration", 10*time.Second, "measured time of each run")
	f.DurationVar(&o.warmup, "warmup", 2*time.Second, "time before it")
	f.StringVar(&o.out, "out", "", "keep raw results here (default: a temporary folder, kept)")
	f.StringVar(&o.data, "data", "", "folder for the brokers' data (default: a temporary one)")
	threshold := f.String("threshold", "5%", "what a figure may lose")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.threshold, err = percent(*threshold); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("%q: no argument is expected", f.Arg(0))
	case o.count < compare.MicroCountMin:
		return o, fmt.Errorf("--count %d: must be at least %d", o.count, compare.MicroCountMin)
	case o.pairs < 3:
		return o, fmt.Errorf("--pairs %d: must be at least 3", o.pairs)
	case !o.micro && !o.endToEnd:
		return o, errors.New("--micro=false and --end-to-end=false leave nothing to compare")
	}
	if len(o.cases) == 0 {
		o.cases = casesDefault
	}
	return o, nil
}

// percent reads "5%" or "0.05".
func percent(text string) (float64, error) {
	number, cut := strings.CutSuffix(strings.TrimSpace(text), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if cut {
		v /= 100
	}
	if err != nil || !(v >= 0 && v < 1) {
		return 0, fmt.Errorf("--threshold %s: must be 0%% to under 100%%, or 0 to under 1", text)
	}
	return v, nil
}

func run(ctx context.Context, o options) (err error) {
	young, err := compare.WorkTree(ctx, ".")
	if err != nil {
		return err
	}
	out, err := folder(o.out)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "sluice-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	old, err := young.Checkout(ctx, o.ref, temp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, old.Remove(ctx)) }()
	fmt.Printf("old: %s (%s)\nnew: %s (work tree)\nraw results: %s\n", old.Version, o.ref, young.Version, out)
	trees := [2]*compare.Tree{compare.Old: old, compare.New: young}
	var deltas []compare.Delta
	var ratios []compare.Ratio
	if o.micro {
		if deltas, err = micro(ctx, trees, o, out, temp); err != nil {
			return err
		}
	}
	if o.endToEnd {
		if ratios, err = endToEnd(ctx, trees, o, out, temp); err != nil {
			return err
		}
	}
	return compare.Report(os.Stdout, deltas, ratios, o.threshold)
}

// folder makes the folder of raw results.
func folder(path string) (string, error) {
	if path == "" {
		return os.MkdirTemp("", "sluice-compare-results-")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return path, os.MkdirAll(path, 0o755)
}

func micro(
	ctx context.Context, trees [2]*compare.Tree, o options, out, temp string,
) ([]compare.Delta, error) {
	m := compare.Micro{
		Packages: strings.Fields(o.packages), Bench: o.bench, Benchtime: o.benchtime, Count: o.count,
		Binaries: temp,
	}
	files, err := compare.RunMicro(ctx, trees, m, out, os.Stdout)
	if err != nil {
		return nil, err
	}
	text, err := compare.Benchstat(ctx, trees[compare.New], files[compare.Old], files[compare.New])
	if err != nil {
		return nil, err
	}
	fmt.Println(text)
	return compare.Deltas(files[compare.Old], files[compare.New])
}

func endToEnd(
	ctx context.Context, trees [2]*compare.Tree, o options, out, temp string,
) ([]compare.Ratio, error) {
	e := compare.EndToEnd{Pairs: o.pairs, Out: out, Data: o.data}
	if e.Data == "" {
		e.Data = temp
	}
	for _, text := range o.cases {
		c, err := compare.ParseCase(text)
		if err != nil {
			return nil, err
		}
		// First, so that a workload's own flags win.
		times := []string{"--duration", o.duration.String(), "--warmup", o.warmup.String()}
		c.Args = append(append(c.Args[:1:1], times...), c.Args[1:]...)
		e.Cases = append(e.Cases, c)
	}
	for side, tree := range trees {
		e.Binary[side] = filepath.Join(temp, "sluice-"+compare.Side(side).String())
		if err := tree.Build(ctx, e.Binary[side]); err != nil {
			return nil, err
		}
	}
	runs, err := e.Carry(ctx, os.Stdout)
	if err != nil {
		return nil, err
	}
	return compare.Ratios(runs), nil
}
