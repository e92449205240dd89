package load

import (
	"fmt"
	"maps"
	"slices"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// settle puts the threads' tallies together, after they have ended, and judges whether the run was
// carried out. failure is why it ended early, or nil.
func (r *run) settle(failure error) error {
	out, s := &r.out, r.s
	missing := r.missing()
	early := map[string]int64{}
	var burst, catchup result.Count
	before, during := result.NewHistogram(), result.NewHistogram()
	notes := map[string]int64{}
	passes, realtimeThreads, turns, relieved := int64(0), 0, int64(0), int64(0)
	for _, t := range s.threads {
		y := t.tally
		sum(&out.Produced, &y.produced)
		sum(&out.Consumed, &y.consumed)
		sum(&burst, &y.burst)
		sum(&catchup, &y.catchup)
		passes += y.catchupPasses
		addCounts(out.Errors, y.errors)
		addCounts(early, y.early)
		addCounts(notes, y.notes)
		before.Merge(y.before)
		during.Merge(y.during)
		r.mergeStages(y)
		if y.realtime {
			realtimeThreads++
			turns += t.turns
			relieved += t.relieved
		}
	}
	if missing > 0 && failure == nil {
		out.Errors[drive.ErrorUnanswered] += missing
		r.note(fmt.Sprintf("%d acknowledged records did not reach the consumers", missing))
	}
	out.Produced.Seconds, out.Consumed.Seconds = out.Seconds, out.Seconds
	if r.spec.Burst > 0 {
		burst.Seconds = min(r.spec.Burst.D().Seconds(), out.Seconds)
		out.Burst = &burst
	}
	if requests := out.Produced.Requests + out.Consumed.Requests; requests > 0 {
		out.AllocsPerRequest /= float64(requests)
	}
	if realtimeThreads > 0 {
		out.Figures["schedule_realtime_threads"] = float64(realtimeThreads)
		out.Figures["schedule_relieved_turns_percent"] = 100 * float64(relieved) / float64(max(1, turns))
	}
	if r.spec.Mode == workload.Backlog {
		r.backlogFigures(&catchup, passes, before, during)
	}
	for _, text := range slices.Sorted(maps.Keys(notes)) {
		r.note(text)
	}
	return r.judge(failure, early)
}

// mergeStages adds a thread's histograms. Stages that saw nothing are left out.
func (r *run) mergeStages(y *tally) {
	for i, h := range y.stages {
		if h.Count() == 0 {
			continue
		}
		name := stageNames[i]
		if r.out.Stages[name] == nil {
			r.out.Stages[name] = result.NewHistogram()
		}
		r.out.Stages[name].Merge(h)
	}
}

// backlogFigures tells what the catch-up reader read, and what it did to the live traffic. It runs
// for the second half of measured time.
func (r *run) backlogFigures(catchup *result.Count, passes int64, before, during *result.Histogram) {
	catchup.Seconds = max(0, r.out.Seconds-r.spec.Duration.D().Seconds()/2)
	f := r.out.Figures
	f["catchup_mb_per_second"] = catchup.MBPerSecond()
	f["catchup_passes"] = float64(passes)
	f["live_p99_before_ns"] = float64(before.Percentile(99))
	f["live_p99_during_ns"] = float64(during.Percentile(99))
}

// judge returns the error of a run that could not be carried out.
func (r *run) judge(failure error, early map[string]int64) error {
	if failure != nil {
		addCounts(r.out.Errors, early)
		if len(r.out.Errors) > 0 {
			return fmt.Errorf("%w: %s", failure, listErrors(r.out.Errors))
		}
		return failure
	}
	if r.out.Interrupted {
		return nil
	}
	nothing := r.out.Produced.Requests+r.out.Consumed.Requests == 0
	if nothing || r.spec.Produces() && r.out.Produced.Requests == 0 {
		addCounts(r.out.Errors, early)
		if len(r.out.Errors) == 0 {
			return fmt.Errorf("no request was answered in measured time")
		}
		return fmt.Errorf("no request succeeded in measured time: %s", listErrors(r.out.Errors))
	}
	return nil
}

// add counts one request.
func add(c *result.Count, records, bytes int64) {
	c.Records += records
	c.Bytes += bytes
	c.Requests++
}

func sum(into, c *result.Count) {
	into.Records += c.Records
	into.Bytes += c.Bytes
	into.Requests += c.Requests
}

func addCounts(into, from map[string]int64) {
	for name, n := range from {
		into[name] += n
	}
}
