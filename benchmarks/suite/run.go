package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"sluice/benchmarks/limits"
	"sluice/benchmarks/measure"
	"sluice/benchmarks/peers"
	"sluice/benchmarks/report"
	"sluice/benchmarks/result"
	"sluice/tuning"
)

// Options say what of the plan is carried out, and where.
type Options struct {
	// Out is the report's folder: facts.json, goals.json, limits.json and raw/ are written there.
	// Raw results that are there already stay, so that a suite can be carried out in parts; those of a
	// case that is carried out again are moved to superseded/.
	Out string
	// WorkDir is where brokers keep their data; it should be on the disk that is to be measured.
	WorkDir string
	// Binary is the built sluice, broker and load generator alike.
	Binary string
	// Only chooses cases by their IDs; nil is all of them.
	Only *regexp.Regexp
	// Targets chooses contenders by their names; nil is all of them.
	Targets *regexp.Regexp
	// Scale multiplies all times, PairsMax bounds the pairs of each case (0: as planned); both are for
	// trying. A report made so says how long its runs were.
	Scale    float64
	PairsMax int
	// WarmUp is how long Apache Kafka is put under load before its first turn, divided over
	// large batches, small ones, end to end, and fetches.
	WarmUp time.Duration
	// Log receives what is going on, and what brokers' installations print.
	Log io.Writer
}

// ids of what is no case of the plan.
const (
	limitsID = "limits"
	natsID   = "nats"
)

func (o *Options) wants(id string) bool { return o.Only == nil || o.Only.MatchString(id) }

func (o *Options) say(format string, args ...any) {
	fmt.Fprintf(o.Log, "%s "+format+"\n", append([]any{time.Now().Format("15:04:05")}, args...)...)
}

func (o *Options) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) * o.Scale).Round(time.Millisecond)
}

// IDs lists what Only can choose.
func IDs() []string {
	ids := []string{limitsID}
	for _, c := range Cases() {
		ids = append(ids, c.ID)
	}
	return append(ids, startCase, natsID)
}

// Run carries out the plan. A run that fails is recorded as failed and the suite goes on; an error
// means that a broker could not be started or the folder not be written. Whatever happens, no broker
// is left running.
func Run(ctx context.Context, o Options) (err error) {
	if err := o.prepare(); err != nil {
		return err
	}
	programs, err := limits.Build("")
	if err != nil {
		return err
	}
	brokers := newStable(&o, programs)
	defer func() { err = errors.Join(err, brokers.close(context.WithoutCancel(ctx))) }()
	if o.wants(limitsID) {
		if err := o.boxLimits(ctx, programs); err != nil {
			return err
		}
	}
	turn := 0
	for _, c := range Cases() {
		if !o.wants(c.ID) {
			continue
		}
		if err := o.runCase(ctx, brokers, c, &turn); err != nil {
			return fmt.Errorf("case %s: %w", c.ID, err)
		}
	}
	if o.wants(startCase) {
		if err := o.runStarts(ctx, brokers, &turn); err != nil {
			return fmt.Errorf("case %s: %w", startCase, err)
		}
	}
	if o.wants(natsID) && len(o.contenders([]Contender{{Target: natsID}})) > 0 {
		if err := o.runNATS(ctx, brokers, &turn); err != nil {
			return fmt.Errorf("case %s: %w", natsID, err)
		}
	}
	return o.serverLimits()
}

func (o *Options) rawDir() string { return filepath.Join(o.Out, "raw") }

func (o *Options) prepare() error {
	if o.Scale == 0 {
		o.Scale = 1
	}
	for _, dir := range []string{o.rawDir(), o.WorkDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	facts := tuning.Gather(tuning.Options{DataDir: o.WorkDir})
	if err := o.writeJSON(filepath.Join(o.Out, "facts.json"), facts); err != nil {
		return err
	}
	return report.WriteGoals(filepath.Join(o.Out, "goals.json"), Goals())
}

// writeJSON writes a file of the report. Folders of this machine are named by what they are for: a
// command is typed again somewhere else.
func (o *Options) writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(o.folders().ReplaceAll(text), '\n'), 0o644)
}

// replacer replaces folders by names, the longest first.
type replacer [][2]string

func (r replacer) ReplaceAll(text []byte) []byte {
	for _, pair := range r {
		for _, end := range []string{"/", `"`, ",", " ", ":"} {
			text = bytes.ReplaceAll(text, []byte(pair[0]+end), []byte(pair[1]+end))
		}
	}
	return text
}

func (o *Options) folders() replacer {
	r := replacer{{o.WorkDir, "$WORK"}, {filepath.Dir(o.Binary), "$BIN"}}
	if dir, err := peers.CacheDir(); err == nil {
		r = append(r, [2]string{dir, "$CACHE"})
	}
	if dir, err := os.UserHomeDir(); err == nil && len(dir) > 1 {
		r = append(r, [2]string{dir, "~"})
	}
	// A relative folder is none of this machine's, and "" or "/" are no folder to name.
	r = slices.DeleteFunc(r, func(p [2]string) bool { return !filepath.IsAbs(p[0]) || len(p[0]) < 2 })
	slices.SortStableFunc(r, func(a, b [2]string) int { return len(b[0]) - len(a[0]) })
	return r
}

// contenders are those of a case that Targets chooses.
func (o *Options) contenders(all []Contender) []Contender {
	var chosen []Contender
	for _, c := range all {
		if o.Targets == nil || o.Targets.MatchString(c.Target) {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

// runCase carries out one case, turn by turn.
func (o *Options) runCase(ctx context.Context, brokers *stable, c Case, turn *int) error {
	pairs := c.Pairs
	if o.PairsMax > 0 {
		pairs = min(pairs, o.PairsMax)
	}
	contenders := o.contenders(c.Contenders)
	if len(contenders) == 0 {
		return nil
	}
	if err := o.supersede(c.ID); err != nil {
		return err
	}
	rate := 0.0
	if c.Half != "" {
		var err error
		if rate, err = o.halfOf(c.Half); err != nil {
			return err
		}
	}
	o.say("case %s: %d pairs", c.ID, pairs)
	for pair := range pairs {
		order := slices.Clone(contenders)
		if pair%2 == 1 {
			slices.Reverse(order)
		}
		for _, contender := range order {
			*turn++
			t := turnOf{c: c, contender: contender, pair: pair, turn: *turn, rate: rate}
			if err := o.runTurn(ctx, brokers, t); err != nil {
				return errors.Join(err, brokers.endCase(context.WithoutCancel(ctx)))
			}
		}
	}
	return brokers.endCase(ctx)
}

type turnOf struct {
	c          Case
	contender  Contender
	pair, turn int
	rate       float64
}

// topic is the name of the turn's topic.
func (t turnOf) topic() string { return fmt.Sprintf("bench-%d", t.turn) }

// runTurn lets one contender have its turn while the others stand still.
func (o *Options) runTurn(ctx context.Context, brokers *stable, t turnOf) error {
	b, err := brokers.get(ctx, t.contender)
	if err != nil {
		return err
	}
	if err := o.settle(ctx); err != nil {
		return err
	}
	if err := b.resume(ctx); err != nil {
		return err
	}
	args := append(slices.Clone(t.c.Args), "--topic", t.topic(),
		"--warmup", o.scaled(t.c.Warmup).String(), "--duration", o.scaled(t.c.Duration).String())
	if t.rate > 0 {
		args = append(args, "--rate", strconv.FormatFloat(t.rate, 'f', 0, 64))
	}
	r, err := o.bench(ctx, b, string(t.c.Mode), args)
	if err != nil {
		return err
	}
	r.Plan = result.Plan{Suite: t.c.Title, Case: t.c.ID, Pair: t.pair, Turn: t.turn}
	o.say("  %-20s pair %d: %s", t.contender.Target+t.contender.Variant(), t.pair, brief(r))
	return errors.Join(o.keep(r), brokers.endTurn(ctx, t.contender, t.topic()))
}

// keep writes a raw result.
func (o *Options) keep(r *result.Result) error {
	name := fmt.Sprintf("%s-%02d-%s", r.Plan.Case, r.Plan.Pair, r.Target.Name)
	if r.Target.Variant != "" {
		name += "-" + word.ReplaceAllString(r.Target.Variant, "_")
	}
	path := filepath.Join(o.rawDir(), name+".json")
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already, and raw results are never written over", path)
	}
	return o.writeJSON(path, r)
}

var word = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// brief is a result in a line of the log.
func brief(r *result.Result) string {
	text := ""
	if r.Produced.Bytes > 0 {
		text += fmt.Sprintf(" %.0f MB/s in, %.0f requests/s", r.Produced.MBPerSecond(),
			r.Produced.RequestsPerSecond())
	}
	if r.Consumed.Bytes > 0 {
		text += fmt.Sprintf(" %.0f MB/s out", r.Consumed.MBPerSecond())
	}
	for _, stage := range []string{result.StageAck, result.StageE2E} {
		if h := r.Stages[stage]; h != nil && h.Count() > 0 {
			text += fmt.Sprintf(" %s p50 %.0f p99 %.0f µs", stage,
				float64(h.Percentile(50))/1e3, float64(h.Percentile(99))/1e3)
		}
	}
	if r.Error != "" {
		text += " FAILED: " + r.Error
	}
	for _, why := range r.Invalid {
		text += " INVALID: " + why
	}
	return text
}

// Settling: the next turn begins when no more than this is left to be written out, or, where other
// programs keep writing, after settleMax.
const (
	settledBytes = 64 << 20
	settleMax    = 60 * time.Second
)

// settle waits until the kernel has written out what earlier turns left.
func (o *Options) settle(ctx context.Context) error {
	host, err := measure.OpenHost("")
	if err != nil {
		return err
	}
	deadline := time.Now().Add(settleMax)
	for {
		if err := syncFileSystem(o.WorkDir); err != nil {
			return err
		}
		var sample measure.HostSample
		if err := host.Sample(&sample); err != nil {
			return err
		}
		left := sample.Pages.DirtyBytes + sample.Pages.WritebackBytes
		if left <= settledBytes {
			return ctx.Err()
		}
		if time.Now().After(deadline) {
			o.say("  %d MB are still to be written out; going on", left/1e6)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
