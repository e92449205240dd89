package kgoload

import (
	"fmt"
	"maps"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/result"
)

// errors sums up the errors of all clients, on request with those of the warm-up.
func (r *run) errors(warmup bool) map[string]int64 {
	sum := maps.Clone(r.lateErrors)
	if sum == nil {
		sum = map[string]int64{}
	}
	for _, a := range r.accounts {
		a.mu.Lock()
		for name, n := range a.errors {
			sum[name] += n
		}
		a.mu.Unlock()
	}
	if warmup {
		for name, n := range r.warmErrors {
			sum[name] += n
		}
	}
	return sum
}

// outcome sums up what was seen. Clients are closed.
func (r *run) outcome() drive.Outcome {
	o := drive.Outcome{
		Seconds: r.seconds, Interrupted: r.interrupted, Series: r.series,
		Stages: map[string]*result.Histogram{}, Figures: map[string]float64{},
		Errors: r.errors(!r.begun),
	}
	burst := result.Count{Seconds: min(r.seconds, r.spec.Burst.D().Seconds())}
	var catchup result.Count
	for _, p := range r.producers {
		mergeAccount(&o, p.account, &o.Produced, &burst)
		if p.open {
			mergeStage(&o, result.StageLag, p.lag)
		}
	}
	for _, c := range r.consumers {
		mergeAccount(&o, c.account, &o.Consumed, nil)
	}
	for _, c := range r.catchup {
		mergeAccount(&o, c.account, &catchup, nil)
	}
	if r.spec.Burst > 0 && len(r.producers) > 0 {
		o.Burst = &burst
	}
	o.Produced.Seconds, o.Consumed.Seconds = r.seconds, r.seconds
	requests := o.Produced.Requests + o.Consumed.Requests + catchup.Requests
	if requests > 0 {
		o.AllocsPerRequest = float64(r.objects) / float64(requests)
	}
	if len(r.catchup) > 0 {
		r.backlogFigures(o.Figures, &catchup)
	}
	r.annotate(&o)
	return o
}

// backlogFigures tells what the catch-up reader read in the second half of the run, and what the
// live traffic's latency was without and with it. Names are those of package load.
func (r *run) backlogFigures(figures map[string]float64, catchup *result.Count) {
	catchup.Seconds = max(0, r.seconds-r.spec.Duration.D().Seconds()/2)
	before, during := result.NewHistogram(), result.NewHistogram()
	for _, c := range r.consumers {
		before.Merge(c.before)
		during.Merge(c.during)
	}
	passes := int64(0)
	for _, c := range r.catchup {
		passes += c.passes.Load()
	}
	figures["catchup_mb_per_second"] = catchup.MBPerSecond()
	figures["catchup_passes"] = float64(passes)
	figures["live_p99_before_ns"] = float64(before.Percentile(99))
	figures["live_p99_during_ns"] = float64(during.Percentile(99))
}

// mergeAccount adds what one client counted: to count what it produced or consumed (it does one of
// the two), and its stages to the outcome's.
func mergeAccount(o *drive.Outcome, a *account, count, burst *result.Count) {
	// A client that did not close in time may still be counting.
	a.mu.Lock()
	defer a.mu.Unlock()
	add(count, a.produced)
	add(count, a.consumed)
	if burst != nil {
		add(burst, a.burst)
	}
	for name, h := range a.stages {
		mergeStage(o, name, h)
	}
}

// mergeStage adds a histogram to the outcome's stage of that name. An empty one is left out.
func mergeStage(o *drive.Outcome, name string, h *result.Histogram) {
	if h.Count() == 0 {
		return
	}
	if o.Stages[name] == nil {
		o.Stages[name] = result.NewHistogram()
	}
	o.Stages[name].Merge(h)
}

// annotate says what the figures do not show.
func (r *run) annotate(o *drive.Outcome) {
	note := func(format string, args ...any) { o.Notes = append(o.Notes, fmt.Sprintf(format, args...)) }
	var batches, batched, failed, foreign, passes int64
	full := false
	for _, p := range r.producers {
		p.mu.Lock()
		batches += p.batches
		batched += p.batched
		full = full || p.open && p.made == p.poolMax
		p.mu.Unlock()
		failed += p.failed.Load()
	}
	for _, c := range append(r.consumers[:len(r.consumers):len(r.consumers)], r.catchup...) {
		foreign += c.foreign.Load()
		passes += c.passes.Load()
	}
	o.Notes = append(o.Notes, r.notes...)
	told := map[string]bool{}
	for _, a := range r.accounts {
		a.mu.Lock()
		for name, text := range a.texts {
			if !told[name] {
				note("first %s: %.200s", name, text)
			}
			told[name] = true
		}
		a.mu.Unlock()
	}
	if batches > 0 {
		mean := float64(batched) / float64(batches)
		note("franz-go put %.1f records into a batch", mean)
		if want := r.spec.BatchRecords; want > 0 && mean > 1.05*float64(want) {
			note("batches of %d records were asked for: franz-go bounds batches by bytes (at least %d) only",
				want, batchBytesMin)
		}
	}
	if failed > 0 {
		note("%d records failed, warm-up included; franz-go was told not to try again", failed)
	}
	if full {
		note("all %d records of a producer's pool were in use at some time: "+
			"later ones waited for one to come back, which their lag shows", r.producers[0].poolMax)
	}
	if passes > 0 {
		note("readers went through the log %d times in all", passes)
	}
	if foreign > 0 {
		note("%d records on the tail were not written by this run; no latency is counted for them", foreign)
	}
}
