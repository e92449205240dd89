package load

import (
	"sync/atomic"

	"sluice/benchmarks/result"
)

// tally is what one thread has seen. Only its thread touches it until the thread has ended.
type tally struct {
	produced, consumed, burst result.Count
	// errors are those from the beginning of measured time on, early the ones before.
	errors, early map[string]int64
	stages        [stageCount]*result.Histogram
	// before and during hold the e2e times of a backlog run's two halves.
	before, during *result.Histogram
	catchup        result.Count
	catchupPasses  int64
	notes          map[string]int64
	realtime       bool // the thread had real-time priority

	second  second // what happened in the second at hand
	spare   *result.Histogram
	started int64 // when the second at hand began
}

// second is one thread's part of a point of the series. The histogram goes to the coordinator and
// comes back empty.
type second struct {
	warmup bool
	at     int64 // its end, on the run's clock
	point  result.Point
	main   *result.Histogram
}

// stage numbers the histograms of the hot path.
type stage uint8

const (
	stageAck stage = iota
	stageLag
	stageBatch
	stageQueue
	stageWire
	stageE2E
	stageFetch
	stageCatchup
	stageCount
)

var stageNames = [stageCount]string{
	result.StageAck, result.StageLag, result.StageBatch, result.StageQueue, result.StageWire,
	result.StageE2E, result.StageFetch, result.StageCatchup,
}

func newTally() *tally {
	t := &tally{
		errors: map[string]int64{}, early: map[string]int64{}, notes: map[string]int64{},
	}
	for i := range t.stages {
		t.stages[i] = result.NewHistogram()
	}
	t.before, t.during = result.NewHistogram(), result.NewHistogram()
	t.second.main, t.spare = result.NewHistogram(), result.NewHistogram()
	return t
}

// record adds n values to a stage, and to the second at hand where the stage is the run's main one.
func (t *tally) record(s, main stage, ns, n int64) {
	t.stages[s].RecordN(ns, n)
	if s == main {
		t.second.main.RecordN(ns, n)
	}
}

// gauges are what the coordinator reads while a thread runs; the thread alone writes.
type gauges struct {
	// Records since the run began: due (open loop only), acknowledged, given up.
	due, acked, failed atomic.Int64
	consumed           atomic.Int64 // records since the run began
	inFlight           atomic.Int64 // requests that the end of the run waits for, queued ones included
	success            atomic.Int64 // when a request last succeeded, on the run's clock
	failure            atomic.Int64 // when one last failed
	up                 atomic.Int64 // connections that stand
	_                  [64]byte
}
