package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

const (
	// searchStepsMax bounds a search: twenty doublings lead from one record a second to a million.
	searchStepsMax = 64
	// searchRateMin is where a search downwards gives up, in records/s.
	searchRateMin = 1
	// confirmations is how often the answer is run again.
	confirmations = 2
)

// search looks for the highest rate that keeps p99 under the bound. What is in the result besides
// the steps is the last run that confirmed the answer, so its percentiles are those of the rate that
// is claimed.
func (r *run) search(ctx context.Context) error {
	var last *seen
	failed := false
	try := func(rate float64, confirms bool) (result.SearchStep, error) {
		step := result.SearchStep{Rate: rate, Confirms: confirms}
		if err := r.fresh(ctx, len(r.res.Steps)); err != nil {
			return step, err
		}
		s := r.carry(ctx, stepSpec(r.spec, rate))
		if s.err != nil && (failed || !r.tooMuch(ctx, s.err)) {
			if last == nil {
				last = s
			}
			return step, s.err
		}
		if failed = s.err != nil; failed {
			step.Invalid = sentence(s.err)
		} else {
			held(r.spec, s, &step)
		}
		if step.Held && confirms {
			last = s
		}
		r.res.Steps = append(r.res.Steps, step)
		if r.o.Step != nil {
			r.o.Step(step)
		}
		return step, nil
	}
	rate, err := highest(*r.spec.Search, try)
	if last != nil {
		r.take(last)
	}
	if err != nil {
		return err
	}
	r.res.AskedRate = rate
	if r.res.Figures == nil {
		r.res.Figures = map[string]float64{}
	}
	r.res.Figures["search_records_per_second"] = rate
	return nil
}

// tooMuch says that a step which failed may have failed because of its rate: lower ones held, and the
// broker and its disk are there. Twice in a row is no matter of the rate.
func (r *run) tooMuch(ctx context.Context, err error) bool {
	var died *brokerDiedError
	var full *diskFullError
	if ctx.Err() != nil || errors.As(err, &died) || errors.As(err, &full) {
		return false
	}
	return slices.ContainsFunc(r.res.Steps, func(s result.SearchStep) bool { return s.Held })
}

// fresh makes the topics anew before each step but the first, so that all steps begin alike. How
// much of earlier steps is on the disk still is up to the broker's file.delete.delay.ms. Topics that
// were there before the run stay as they are.
func (r *run) fresh(ctx context.Context, steps int) error {
	if steps == 0 || r.topics == nil || len(r.topics.created) != len(r.topics.names) {
		return nil
	}
	if err := r.topics.remove(ctx); err != nil {
		return err
	}
	if err := r.topics.awaitGone(ctx); err != nil {
		return err
	}
	return r.topics.make(ctx, r.spec, false)
}

// stepSpec is the run of one step.
func stepSpec(s workload.Spec, rate float64) workload.Spec {
	s.Duration = s.Search.Step
	s.Rate, s.Search = rate, nil
	return s
}

// held decides whether a step kept its rate and its bound, by the same rules as any open loop.
func held(s workload.Spec, seen *seen, step *result.SearchStep) {
	step.Achieved = achieved(s, seen.outcome)
	one := &result.Result{
		Spec: stepSpec(s, step.Rate), Loop: "open", AskedRate: step.Rate, AchievedRate: step.Achieved,
		Seconds: seen.outcome.Seconds, Interrupted: seen.outcome.Interrupted,
		Produced: seen.outcome.Produced, Consumed: seen.outcome.Consumed,
		Errors: seen.outcome.Errors, Stages: seen.outcome.Stages,
	}
	Judge(one)
	main := one.Stages[MainStage(s.Mode)]
	switch {
	case one.Error != "":
		step.Invalid = one.Error
	case len(one.Invalid) > 0:
		step.Invalid = one.Invalid[0]
	case main == nil || main.Count() == 0:
		step.Invalid = "nothing was timed"
	}
	if main != nil {
		step.P99 = main.Percentile(99)
	}
	step.Held = step.Invalid == "" && step.P99 <= int64(s.Search.P99)
}

// tryFunc runs one step.
type tryFunc func(rate float64, confirms bool) (result.SearchStep, error)

// highest doubles the rate until a step does not hold, or halves it until one does; then it halves
// the gap until that is under the precision, and confirms. A rate that is not confirmed counts as
// one that did not hold: the search goes on between it and the next lower rate that did.
func highest(s workload.Search, try tryFunc) (float64, error) {
	var good []float64
	rate, high := s.From, math.Inf(1)
	for range searchStepsMax {
		low := lower(good, high)
		if low > 0 && high-low <= s.Precision*low {
			confirmed, err := confirm(low, try)
			if confirmed || err != nil {
				return low, err
			}
			high = low
			low = lower(good, high)
		} else {
			step, err := try(rate, false)
			if err != nil {
				return 0, err
			}
			if step.Held {
				good = append(good, rate)
				low = lower(good, high)
			} else {
				high = rate
			}
		}
		rate = between(low, high)
		if rate < searchRateMin {
			return 0, fmt.Errorf("no rate keeps p99 under %s: not even %.3g records/s did", s.P99, high)
		}
	}
	return 0, fmt.Errorf("the search did not settle within %d steps: rates hold at one time and not at "+
		"another", searchStepsMax)
}

// confirm runs a rate again; one failure is enough.
func confirm(rate float64, try tryFunc) (bool, error) {
	for range confirmations {
		step, err := try(rate, true)
		if err != nil || !step.Held {
			return false, err
		}
	}
	return true, nil
}

// lower is the highest rate that held below a bound, 0 if there is none.
func lower(good []float64, high float64) float64 {
	low := 0.0
	for _, g := range good {
		if g < high {
			low = max(low, g)
		}
	}
	return low
}

// between is the rate to try next.
func between(low, high float64) float64 {
	switch {
	case math.IsInf(high, 1):
		return 2 * low
	case low == 0:
		return high / 2
	default:
		return (low + high) / 2
	}
}
