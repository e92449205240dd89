package benchmarks

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// The rules by which a run is called valid. They were fixed before the first figure was taken.
const (
	// achievedShareMin is how much of the asked rate must have been reached.
	achievedShareMin = 0.99
	// lagShareMax is how large the generator's own lateness may be beside the reported p99.
	lagShareMax = 0.10
	// failedShareMax is the share of failed requests above which the others say nothing.
	failedShareMax = 0.5
	// busyShareBound is how busy the client's threads are when the client is called the limit.
	busyShareBound = 0.95
	// stealShareMax is the share of processor time taken by the hypervisor that is worth a note.
	stealShareMax = 0.02
	// sustainedSeconds is the measured time from which a produce figure is called sustained.
	sustainedSeconds = 120
	// deviceShareMin is how much of what a sustained run produced must have reached the device.
	deviceShareMin = 0.8
	// explainedMargin is how far the broker's stages may be from the client's time.
	explainedMargin = 0.05
)

// MainStage is the stage whose p99 a run in this mode is judged by, and reported with.
func MainStage(m workload.Mode) string {
	switch m {
	case workload.E2E, workload.Backlog:
		return result.StageE2E
	case workload.Consume:
		return result.StageFetch
	case workload.Connections:
		return result.StagePing
	case workload.Topics:
		return result.StageMetadata
	default:
		return result.StageAck
	}
}

// Judge fills in what follows from the rest of a result: its label, why it is invalid, whether it
// failed after all, and remarks. It uses nothing but the result, so that a committed one can be
// judged again. No percentile survives of a run in which nothing succeeded.
func Judge(r *result.Result) {
	r.Label = label(r)
	failed, asked := failures(r)
	if r.Error == "" {
		r.Error = failure(r, failed, asked)
	}
	if nothingSucceeded(r) {
		r.Stages = map[string]*result.Histogram{}
	}
	if r.Error == "" {
		r.Invalid = union(r.Invalid, invalid(r, failed, asked))
	}
	r.Notes = union(r.Notes, remarks(r))
}

// union adds what is not there yet.
func union(to, more []string) []string {
	for _, one := range more {
		if !slices.Contains(to, one) {
			to = append(to, one)
		}
	}
	return to
}

// label qualifies the figures of a run.
func label(r *result.Result) string {
	switch {
	case r.Seconds == 0:
		return ""
	case r.Spec.Client == workload.Discarding:
		return "broker ceiling"
	case r.Spec.Mode != workload.Produce && r.Spec.Mode != workload.Mixed:
		return ""
	case r.Seconds >= sustainedSeconds:
		return "sustained"
	default:
		return "burst"
	}
}

// failures counts what failed and what was tried, in records for franz-go, which tells a failure
// by its records, and in requests otherwise.
func failures(r *result.Result) (failed, tried int64) {
	for _, n := range r.Errors {
		failed += n
	}
	if r.Spec.Client == workload.KGO {
		return failed, failed + r.Produced.Records + r.Consumed.Records
	}
	return failed, failed + r.Produced.Requests + r.Consumed.Requests
}

// nothingSucceeded reports whether a side that the mode measures got nothing done.
func nothingSucceeded(r *result.Result) bool {
	none := func(c result.Count) bool { return c.Records == 0 && c.Bytes == 0 }
	switch s := r.Spec; {
	case s.Produces() && s.Acks == 0:
		return s.Consumes() && none(r.Consumed)
	case s.Produces() && none(r.Produced), s.Consumes() && none(r.Consumed):
		return true
	case s.Produces(), s.Consumes():
		return false
	default:
		return len(r.Stages) == 0
	}
}

// failure says why a run that nobody called failed did so; "" if it did not.
func failure(r *result.Result, failed, tried int64) string {
	errs := errorList(r.Errors)
	switch {
	case r.Errors[drive.ErrorBadCRC] > 0:
		return fmt.Sprintf("the broker gave out damaged batches: %s", errs)
	case r.Errors[drive.ErrorOffsetGap] > 0:
		return fmt.Sprintf("the broker left out offsets: %s", errs)
	case nothingSucceeded(r) && failed > 0:
		return fmt.Sprintf("no request succeeded: %s", errs)
	case nothingSucceeded(r) && r.Interrupted:
		return "interrupted before anything was measured"
	case nothingSucceeded(r):
		return fmt.Sprintf("nothing was answered within %s", seconds(r.Seconds))
	case tried > 0 && float64(failed) > failedShareMax*float64(tried) && r.Loop == "open" &&
		2*r.Errors[drive.ErrorUnanswered] > failed:
		return fmt.Sprintf("slower than asked: %s of %s records/s, and %d of %d requests were still unanswered "+
			"%s after the end", count(r.AchievedRate), count(r.AskedRate), failed, tried, drive.DrainTimeout)
	case tried > 0 && float64(failed) > failedShareMax*float64(tried):
		return fmt.Sprintf("%d of %d requests failed, so the others say nothing: %s", failed, tried, errs)
	}
	return ""
}

// invalid gives the reasons why a run that did not fail proves nothing.
func invalid(r *result.Result, failed, tried int64) []string {
	var why []string
	add := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	if r.Interrupted {
		add("interrupted after %s of %s", seconds(r.Seconds), r.Spec.Duration)
	}
	if r.Loop == "open" && r.AskedRate > 0 && r.AchievedRate < achievedShareMin*r.AskedRate {
		add("achieved %s records/s of %s asked: %.1f %%, under %.0f %%", count(r.AchievedRate),
			count(r.AskedRate), 100*r.AchievedRate/r.AskedRate, 100*achievedShareMin)
	}
	if r.Loop == "open" {
		if reason := late(r); reason != "" {
			add("%s", reason)
		}
	}
	if u := r.Usage; r.Label == "sustained" && u != nil && u.Device != nil {
		if share := float64(u.Device.WrittenBytes) / float64(r.Produced.Bytes); share < deviceShareMin {
			add("not sustained: what reached the device is %.0f %% of what was produced, under %.0f %%",
				100*share, 100*deviceShareMin)
		}
	}
	if n := r.Errors[drive.ErrorUnanswered]; n > 0 {
		add("%d requests were never answered, and are missing from the percentiles", n)
	}
	if n := failed - r.Errors[drive.ErrorUnanswered]; n > 0 && tried > 0 {
		add("%d of %d requests failed: %s", failed, tried, errorList(r.Errors))
	}
	return why
}

// late compares the generator's own lateness with what it reports.
func late(r *result.Result) string {
	lag, main := r.Stages[result.StageLag], r.Stages[MainStage(r.Spec.Mode)]
	if lag == nil || main == nil {
		if r.Spec.Acks == 0 && r.Spec.Mode != workload.E2E && r.Spec.Mode != workload.Backlog {
			return ""
		}
		return "the client did not say how far it was behind its schedule"
	}
	a, b := lag.Percentile(99), main.Percentile(99)
	if float64(a) <= lagShareMax*float64(b) {
		return ""
	}
	return fmt.Sprintf("the generator was late: schedule lag p99 %s is over %.0f %% of the reported p99 %s",
		nanos(a), 100*lagShareMax, nanos(b))
}

// remarks are what a reader should know beside the figures.
func remarks(r *result.Result) []string {
	var notes []string
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	u := r.Usage
	if u == nil {
		return nil
	}
	drives := r.Spec.Produces() || r.Spec.Consumes()
	if u.Generator != nil && u.Seconds > 0 && drives {
		cpus := runtime.NumCPU()
		if u.Host != nil && u.Host.CPUs > 0 {
			cpus = u.Host.CPUs
		}
		threads := generatorThreads(r.Spec, cpus)
		share := float64(u.Generator.CPUNanos) / 1e9 / u.Seconds / float64(threads)
		if share >= busyShareBound {
			add("the client was the limit: its %d threads were %.0f %% busy", threads, 100*share)
		}
	}
	if h := u.Host; h != nil && h.StealShare > stealShareMax {
		add("the hypervisor took %.1f %% of processor time away", 100*h.StealShare)
	}
	if r.Label == "sustained" && u.Device == nil {
		add("sustained, but bytes written to the device are not known; --data-dir names the broker's " +
			"data directory")
	}
	if r.Label == "sustained" && u.Host == nil {
		add("sustained, but the peak of dirty pages is not known")
	}
	if b := u.Broker; b != nil && b.Ended {
		add("the broker's process ended; its figures are those of the last sample")
	}
	return notes
}

// errorList words counted errors, the most frequent first.
func errorList(errs map[string]int64) string {
	names := make([]string, 0, len(errs))
	for name := range errs {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if errs[a] != errs[b] {
			return int(max(-1, min(1, errs[b]-errs[a])))
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s × %d", name, errs[name])
	}
	return strings.Join(names, ", ")
}

// achieved is the rate that a run reached: what was acknowledged within measured time, or, where
// arrival is timed, what was both acknowledged and read. What was answered only while draining is
// in the counts of some clients and is left out here by way of the series.
func achieved(s workload.Spec, out drive.Outcome) float64 {
	produced := within(out.Produced, out, func(p result.Point) int64 { return p.ProducedRecords })
	consumed := within(out.Consumed, out, func(p result.Point) int64 { return p.ConsumedRecords })
	switch {
	case s.Produces() && s.Acks == 0 && s.Consumes():
		return consumed
	case s.Mode == workload.E2E, s.Mode == workload.Backlog:
		return min(produced, consumed)
	case s.Produces():
		return produced
	case s.Consumes():
		return consumed
	}
	return 0
}

// within is the rate of what was counted within measured time. What is under way when measured time
// ends is no shortfall: a run of a second loses the time of one answer by it, so that the shortest
// latency is taken off the time.
func within(c result.Count, out drive.Outcome, records func(result.Point) int64) float64 {
	rate := c.RecordsPerSecond()
	sum, covered := int64(0), 0.0
	for _, p := range out.Series {
		if p.Second <= out.Seconds+0.05 {
			sum, covered = sum+records(p), math.Max(covered, p.Second)
		}
	}
	if h := out.Stages[result.StageAck]; h != nil && h.Count() > 0 {
		covered -= float64(h.Min()) / 1e9
	}
	if covered < 0.5 {
		return rate
	}
	return math.Min(rate, float64(sum)/covered)
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(10 * time.Millisecond).String()
}

func nanos(ns int64) string { return time.Duration(ns).Round(time.Microsecond).String() }

func count(v float64) string { return fmt.Sprintf("%.0f", v) }
