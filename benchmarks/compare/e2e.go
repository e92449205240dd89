package compare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sluice/benchmarks/peers"
	"sluice/benchmarks/result"
	"sluice/benchmarks/stats"
	"sluice/benchmarks/workload"
)

// Case is one workload end to end.
type Case struct {
	Name string
	// Args follow `sluice bench`: the mode, then its flags.
	Args []string
}

// ParseCase reads "name: mode --flag value …"; without a name it is the mode's.
func ParseCase(text string) (Case, error) {
	name, rest, named := strings.Cut(text, ":")
	if !named || strings.ContainsAny(name, " \t") {
		name, rest = "", text
	}
	args := strings.Fields(rest)
	if len(args) == 0 {
		return Case{}, fmt.Errorf("workload %q: must be \"name: mode --flag value …\"", text)
	}
	if name == "" {
		name = args[0]
	}
	if strings.ContainsAny(name, "/\\") || strings.HasPrefix(args[0], "-") {
		return Case{}, fmt.Errorf("workload %q: must be \"name: mode --flag value …\"", text)
	}
	return Case{name, args}, nil
}

// EndToEnd says how brokers are compared.
type EndToEnd struct {
	Cases  []Case
	Pairs  int       // runs of each side and case
	Binary [2]string // the brokers, by Side; the new one is the client of both
	Out    string    // where the raw results go: <case>-<pair>-<side>.json
	// Data is where the brokers' folders are made, on the file system that shall be measured.
	Data string
}

// stopMax is how long the client may take to end after it was interrupted.
const stopMax = 30 * time.Second

// Run is the raw result of one turn.
type Run struct {
	Case string
	Turn Turn
	*result.Result
}

// Carry runs all cases. Runs that failed are in what it returns, since they drop their pair; the
// error is of what could not be run at all.
func (e EndToEnd) Carry(ctx context.Context, log io.Writer) ([]Run, error) {
	var runs []Run
	for _, c := range e.Cases {
		for _, turn := range Order(e.Pairs) {
			r, err := e.turn(ctx, c, turn)
			if err != nil {
				return runs, fmt.Errorf("%s, pair %d, %s: %w", c.Name, turn.Pair, turn.Side, err)
			}
			fmt.Fprintf(log, "%s, pair %d, %s: %s\n", c.Name, turn.Pair, turn.Side, summary(r))
			runs = append(runs, Run{c.Name, turn, r})
		}
	}
	return runs, nil
}

// turn starts a broker, loads it, stops it, and reads the result.
func (e EndToEnd) turn(ctx context.Context, c Case, turn Turn) (r *result.Result, err error) {
	dir, err := os.MkdirTemp(e.Data, "broker-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	broker := &peers.Sluice{Binary: e.Binary[turn.Side]}
	i, err := broker.Start(ctx, peers.StartOptions{Dir: dir, RemoveData: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, i.Stop(context.WithoutCancel(ctx))) }()
	file := filepath.Join(e.Out, fmt.Sprintf("%s-%d-%s.json", c.Name, turn.Pair, turn.Side))
	args := append([]string{"bench"}, c.Args...)
	args = append(args, "-b", i.Addr, "--broker-pid", strconv.Itoa(i.Pid),
		"--admin", "-", "--live", "off", "--json", file)
	return e.bench(ctx, args, file)
}

// bench runs the client. Whatever its exit code, what counts is whether it left a result.
func (e EndToEnd) bench(ctx context.Context, args []string, file string) (*result.Result, error) {
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	cmd := command(ctx, "", e.Binary[New], args...)
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = stopMax
	failed := cmd.Run()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: it left no result: %w\n%s", strings.Join(cmd.Args, " "),
			errors.Join(failed, err), bytes.TrimSpace(text.Bytes()))
	}
	r := &result.Result{}
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// summary is a run in a line.
func summary(r *result.Result) string {
	if why := drop(r); why != "" {
		return "does not count: " + why
	}
	var parts []string
	for _, m := range metrics {
		if v, ok := m.of(r); ok {
			parts = append(parts, fmt.Sprintf("%.4g %s", v, m.unit))
		}
	}
	return strings.Join(parts, ", ")
}

// drop says why a run does not count; "" if it does.
func drop(r *result.Result) string {
	switch {
	case r.Error != "":
		return r.Error
	case len(r.Invalid) > 0:
		return strings.Join(r.Invalid, "; ")
	case r.Interrupted:
		return "interrupted"
	case r.Usage != nil && r.Usage.Host != nil:
		return stats.DiscardSteal(r.Usage.Host.StealShare)
	}
	return ""
}

// metric is one figure of a run.
type metric struct {
	name, unit string
	more       bool // more is better
	of         func(*result.Result) (float64, bool)
}

var metrics = []metric{
	{"produced", "MB/s produced", true, func(r *result.Result) (float64, bool) {
		return r.Produced.MBPerSecond(), r.Produced.Bytes > 0 && r.Loop == "closed"
	}},
	{"consumed", "MB/s consumed", true, func(r *result.Result) (float64, bool) {
		return r.Consumed.MBPerSecond(), r.Consumed.Bytes > 0 && r.Loop == "closed"
	}},
	{"p50", "ms p50", false, func(r *result.Result) (float64, bool) { return latency(r, 50) }},
	{"p99", "ms p99", false, func(r *result.Result) (float64, bool) { return latency(r, 99) }},
	{"broker CPU", "broker CPU-s/GB", false, brokerCPU},
}

// nothing stands for the figures of a case that has none.
var nothing = metric{"(no figure)", "", true, func(*result.Result) (float64, bool) { return 0, false }}

// latency is of the stage that the mode is about, in ms.
func latency(r *result.Result, percentile float64) (float64, bool) {
	stage := result.StageAck
	switch r.Spec.Mode {
	case workload.Consume:
		stage = result.StageFetch
	case workload.E2E, workload.Backlog:
		stage = result.StageE2E
	}
	h := r.Stages[stage]
	if h == nil || h.Count() == 0 {
		return 0, false
	}
	return float64(h.Percentile(percentile)) / 1e6, true
}

// brokerCPU is the broker's processor time per GB that went through it, in either direction.
func brokerCPU(r *result.Result) (float64, bool) {
	bytes := r.Produced.Bytes + r.Consumed.Bytes
	if r.Usage == nil || r.Usage.Broker == nil || bytes == 0 {
		return 0, false
	}
	return float64(r.Usage.Broker.CPUNanos) / float64(bytes), true
}

// Ratio is one figure of one case: new ÷ old.
type Ratio struct {
	Case, Metric string
	More         bool // more is better
	Old, New     float64
	Series       stats.Series
	Interval     stats.Interval
}

// Regressed says that the whole interval is beyond the threshold, on the worse side.
func (r Ratio) Regressed(threshold float64) bool {
	if !r.Interval.Known() {
		return false
	}
	if r.More {
		return r.Interval.High < 1-threshold
	}
	return r.Interval.Low > 1+threshold
}

// Ratios forms the ratios of all cases, in their order. A figure that no run has is left out, but
// each case has one, so that one in which nothing succeeded is not overlooked.
func Ratios(runs []Run) []Ratio {
	var cases []string
	for _, r := range runs {
		if !slices.Contains(cases, r.Case) {
			cases = append(cases, r.Case)
		}
	}
	ratios := []Ratio{}
	for _, c := range cases {
		had := len(ratios)
		for _, m := range metrics {
			if r, ok := ratioOf(runs, c, m); ok {
				ratios = append(ratios, r)
			}
		}
		if len(ratios) == had {
			r, _ := ratioOf(runs, c, nothing)
			ratios = append(ratios, r)
		}
	}
	return ratios
}

func ratioOf(runs []Run, name string, m metric) (Ratio, bool) {
	var turns [2][]stats.Turn
	known := false
	for _, r := range runs {
		if r.Case != name {
			continue
		}
		t := stats.Turn{Pair: r.Turn.Pair, Drop: drop(r.Result)}
		if v, ok := m.of(r.Result); ok {
			t.Value, known = v, true
		}
		turns[r.Turn.Side] = append(turns[r.Turn.Side], t)
	}
	s := stats.Ratios(turns[New], turns[Old])
	return Ratio{
		Case: name, Metric: m.name, More: m.more, Series: s, Interval: s.Mean(),
		Old: stats.Values(turns[Old]).Mean().Value, New: stats.Values(turns[New]).Mean().Value,
	}, known
}
