package admin

import (
	"maps"
	"sync"
	"time"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/result"
)

// tally counts what the workers of a run see. Their requests are few enough for one lock.
type tally struct {
	mu     sync.Mutex // guards what follows
	stages map[string]*result.Histogram
	errors map[string]int64
	series []result.Point
	// window is what the main stage took since the last point; failed how many errors there were.
	window *result.Histogram
	failed int64
}

func newTally() *tally {
	return &tally{
		stages: map[string]*result.Histogram{}, errors: map[string]int64{}, window: result.NewHistogram(),
	}
}

func (t *tally) record(stage string, d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.stages[stage]
	if h == nil {
		h = result.NewHistogram()
		t.stages[stage] = h
	}
	h.Record(int64(d))
	if stage != result.StageLag {
		t.window.Record(int64(d))
	}
}

func (t *tally) fail(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.errors[name]++
	t.failed++
}

func (t *tally) count(stage string) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.stages[stage]; h != nil {
		return h.Count()
	}
	return 0
}

func (t *tally) errorList() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return listErrors(t.errors)
}

// live reports once a second until the returned function is called.
func (t *tally) live(hooks drive.Hooks, backlog func() int64) (stop func()) {
	done, stopped := make(chan struct{}), make(chan struct{})
	start := time.Now()
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				elapsed := time.Since(start)
				point := t.point(elapsed)
				if hooks.Live != nil {
					hooks.Live(drive.Tick{Elapsed: elapsed, Point: point, Backlog: backlog()})
				}
			}
		}
	}()
	return func() {
		close(done)
		<-stopped
	}
}

// point closes the current second.
func (t *tally) point(elapsed time.Duration) result.Point {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := result.Point{Second: elapsed.Seconds(), P99: t.window.Percentile(99), Errors: t.failed}
	t.series = append(t.series, p)
	t.window.Reset()
	t.failed = 0
	return p
}

func (t *tally) outcome(d time.Duration, interrupted bool) drive.Outcome {
	t.mu.Lock()
	defer t.mu.Unlock()
	return drive.Outcome{
		Stages: maps.Clone(t.stages), Errors: maps.Clone(t.errors), Series: t.series,
		Seconds: d.Seconds(), Interrupted: interrupted,
	}
}
