package groups

import (
	"sync"
	"time"

	"sluice/benchmarks/result"
)

// tally gathers what a run's goroutines see.
type tally struct {
	// mu guards what follows.
	mu         sync.Mutex
	latency    *result.Histogram
	rebalances int64
	errors     map[string]int64
	counting   bool
}

func newTally() *tally {
	return &tally{latency: result.NewHistogram(), errors: map[string]int64{}}
}

// count begins, or ends, measured time.
func (t *tally) count(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counting = on
}

func (t *tally) took(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counting {
		t.latency.Record(int64(d))
	}
}

func (t *tally) rebalanced() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counting {
		t.rebalances++
	}
}

func (t *tally) failed(code int16) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counting {
		t.errors[codeName(code)]++
	}
}

// seen is what was counted.
func (t *tally) seen(p *Part) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.Latency, p.Rebalances, p.Errors = t.latency, t.rebalances, t.errors
	p.Count = t.latency.Count()
}
