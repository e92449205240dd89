package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"sluice/benchmarks/measure"
	"sluice/benchmarks/result"
)

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
func (s *stage) runCase(ctx context.Context, c Case) error {
	contenders := s.contenders(c.Contenders)
	if len(contenders) == 0 {
		return nil
	}
	rate := 0.0
	r := rounds{id: c.ID, wished: c.Pairs, names: names(contenders)}
	r.seconds = func() float64 {
		return s.pairEstimate(c) + s.startSeconds(contenders, func(c Contender) bool {
			return s.brokers.lasting[c] != nil
		})
	}
	r.failed = func(pair int, why error) error { return s.keepFailures(c, contenders, pair, why) }
	if c.Disk {
		r.beside = DiskCase(c.ID)
	}
	r.begin = func() (err error) {
		if c.Half != "" {
			rate, err = s.rateOf(c)
		}
		return err
	}
	r.pair = func(ctx context.Context, pair int) error {
		if c.Disk {
			if err := s.diskTurn(ctx, c, pair); err != nil {
				return errors.Join(err, r.failed(pair, err))
			}
		}
		return s.eachTurn(ctx, contenders, pair, func(ctx context.Context, contender Contender) error {
			t := turnOf{c: c, contender: contender, pair: pair, turn: s.turn, rate: rate}
			err := s.runTurn(ctx, t)
			if err != nil && ctx.Err() == nil {
				err = errors.Join(err, s.keepFailure(t, err))
			}
			return err
		})
	}
	err := s.carryOut(ctx, r)
	return errors.Join(err, s.brokers.endCase(context.WithoutCancel(ctx)))
}

// eachTurn lets contenders have their turns, in the order that belongs to the pair. One that cannot
// does not keep the others from theirs, so that the raw results show who it was.
func (s *stage) eachTurn(ctx context.Context, all []Contender, pair int,
	run func(context.Context, Contender) error,
) error {
	order := slices.Clone(all)
	if pair%2 == 1 {
		slices.Reverse(order)
	}
	var errs []error
	for _, c := range order {
		s.turn++
		if err := run(ctx, c); err != nil {
			errs = append(errs, err)
			s.brokers.recover(ctx)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// names are what the raw results of contenders are called.
func names(contenders []Contender) []string {
	var all []string
	for _, c := range contenders {
		all = append(all, rawName(c.Target, c.Variant()))
	}
	return all
}

func rawName(target, variant string) string {
	if variant == "" {
		return target
	}
	return target + "-" + word.ReplaceAllString(variant, "_")
}

type turnOf struct {
	c          Case
	contender  Contender
	pair, turn int
	rate       float64
}

// topic is the name of the turn's topic.
func (t turnOf) topic() string { return fmt.Sprintf("bench-%d", t.turn) }

func (t turnOf) plan() result.Plan {
	return result.Plan{Suite: t.c.Title, Case: t.c.ID, Pair: t.pair, Turn: t.turn}
}

// runTurn lets one contender have its turn while the others stand still.
func (s *stage) runTurn(ctx context.Context, t turnOf) error {
	b, err := s.brokers.get(ctx, t.contender)
	if err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	if err := b.resume(ctx); err != nil {
		return err
	}
	args := append(slices.Clone(t.c.Args), "--topic", t.topic(),
		"--warmup", s.scaled(t.c.Warmup).String(), "--duration", s.scaled(t.c.Duration).String())
	if t.rate > 0 {
		args = append(args, "--rate", strconv.FormatFloat(t.rate, 'f', 0, 64))
	}
	r, err := s.bench(ctx, b, string(t.c.Mode), args)
	if err != nil {
		return err
	}
	r.Plan = t.plan()
	s.say("  %-20s pair %d: %s", t.contender.Target+t.contender.Variant(), t.pair, brief(r))
	return errors.Join(s.keep(r), s.brokers.endTurn(ctx, t.contender, t.topic()))
}

// keepFailure records a turn that could not take place; not one that did and left its result.
func (s *stage) keepFailure(t turnOf, why error) error {
	r := &result.Result{
		Schema: result.SchemaVersion, Plan: t.plan(), Started: time.Now(), Error: why.Error(),
		Target: result.Target{Name: t.contender.Target, Variant: t.contender.Variant()},
	}
	r.Spec.Mode = t.c.Mode
	if _, err := os.Lstat(s.rawPath(r)); err == nil {
		return nil
	}
	return s.keep(r)
}

// keepFailures records that nobody could have a turn in a pair.
func (s *stage) keepFailures(c Case, contenders []Contender, pair int, why error) error {
	var errs []error
	for _, contender := range contenders {
		errs = append(errs, s.keepFailure(turnOf{c: c, contender: contender, pair: pair, turn: s.turn}, why))
	}
	return errors.Join(errs...)
}

// isFailure knows what keepFailure wrote: nothing was ever typed.
func isFailure(r *result.Result) bool { return r.Error != "" && len(r.Command) == 0 }

// keep writes a raw result.
func (o *Options) keep(r *result.Result) error {
	path := o.rawPath(r)
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already, and raw results are never written over", path)
	}
	return o.writeJSON(path, r)
}

func (o *Options) rawPath(r *result.Result) string {
	name := fmt.Sprintf("%s-%02d-%s", r.Plan.Case, r.Plan.Pair, rawName(r.Target.Name, r.Target.Variant))
	return filepath.Join(o.rawDir(), name+".json")
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
	defer host.Close()
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
