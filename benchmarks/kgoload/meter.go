package kgoload

import (
	"context"
	"errors"
	"maps"
	"net"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/benchmarks/result"
)

const (
	keyProduce = 0 // API keys of Kafka's protocol
	keyFetch   = 1
)

// window is measured time, in ns of the run's clock: empty until the run starts. Its end comes
// earlier than planned if the run is interrupted.
type window struct {
	begin, burstEnd, end atomic.Int64
	// closing is set when clients are being closed: what fails then is our doing.
	closing atomic.Bool
}

func (w *window) has(t int64) bool { return t < w.end.Load() && t >= w.begin.Load() }

// account is what one kgo client counts. It is also that client's hook.
type account struct {
	clock  clock
	window *window
	// main is the stage whose p99 the series shows, fetch the stage that fetches count under.
	main, fetch string
	// rewinds says that the client is a reader that begins anew: kgo then drops the connection that
	// its last fetch waits on, which is no error.
	rewinds bool

	mu                 sync.Mutex // guards what follows
	produced, consumed result.Count
	burst              result.Count
	point              result.Point // since the last call of take
	stages             map[string]*result.Histogram
	interval           *result.Histogram // of the main stage, since the last call of take
	errors             map[string]int64
	texts              map[string]string // of the first error of each name
	batches, batched   int64             // of produce, and the records in them
}

func newAccount(c clock, w *window, main, fetch string, stages ...string) *account {
	a := &account{
		clock: c, window: w, main: main, fetch: fetch,
		stages: map[string]*result.Histogram{}, errors: map[string]int64{},
		texts:    map[string]string{},
		interval: result.NewHistogram(),
	}
	for _, name := range stages {
		a.stages[name] = result.NewHistogram()
	}
	return a
}

// record adds to a stage; a.mu is held.
func (a *account) record(stage string, h *result.Histogram, ns int64) {
	h.Record(ns)
	if stage == a.main {
		a.interval.Record(ns)
	}
}

// fail counts an error; a.mu is not held.
func (a *account) fail(err error) {
	a.mu.Lock()
	a.failLocked(err)
	a.mu.Unlock()
}

func (a *account) failLocked(err error) {
	name := errorName(err)
	a.failNamed(name, 1)
	if _, known := a.texts[name]; !known {
		a.texts[name] = err.Error()
	}
}

// failNamed counts n errors of a name; a.mu is held.
func (a *account) failNamed(name string, n int64) {
	a.errors[name] += n
	a.point.Errors += n
}

// take gives what happened since it was called last and adds the main stage's latencies to h.
func (a *account) take(h *result.Histogram) result.Point {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.point
	a.point = result.Point{}
	h.Merge(a.interval)
	a.interval.Reset()
	return p
}

// begin forgets the errors of the warm-up and returns them.
func (a *account) begin() map[string]int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	warm := maps.Clone(a.errors)
	clear(a.errors)
	clear(a.texts)
	return warm
}

// OnBrokerE2E times requests and counts those that were lost (kgo.HookBrokerE2E).
func (a *account) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e kgo.BrokerE2E) {
	if err := e.Err(); err != nil {
		ours := errors.Is(err, context.Canceled) || a.window.closing.Load() ||
			key == keyFetch && a.rewinds && abandoned(err)
		if !ours {
			a.fail(err)
		}
		return
	}
	now := a.clock.now()
	if !a.window.has(now) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch key {
	case keyProduce:
		a.produced.Requests++
		if now < a.window.burstEnd.Load() {
			a.burst.Requests++
		}
		if h := a.stages[result.StageWire]; h != nil && e.BytesRead > 0 {
			a.record(result.StageWire, h, int64(e.DurationE2E()))
		}
	case keyFetch:
		a.consumed.Requests++
		if h := a.stages[a.fetch]; h != nil {
			a.record(a.fetch, h, int64(e.DurationE2E()))
		}
	}
}

// OnBrokerConnect counts connections that could not be made (kgo.HookBrokerConnect).
func (a *account) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err != nil && !errors.Is(err, context.Canceled) && !a.window.closing.Load() {
		a.fail(err)
	}
}

// OnProduceBatchWritten counts acknowledged bytes (kgo.HookProduceBatchWritten).
func (a *account) OnProduceBatchWritten(
	_ kgo.BrokerMetadata, _ string, _ int32, m kgo.ProduceBatchMetrics,
) {
	now := a.clock.now()
	bytes := int64(m.CompressedBytes) + batchHeader
	a.mu.Lock()
	defer a.mu.Unlock()
	a.point.ProducedBytes += bytes
	if !a.window.has(now) {
		return
	}
	a.batches++
	a.batched += int64(m.NumRecords)
	a.produced.Bytes += bytes
	if now < a.window.burstEnd.Load() {
		a.burst.Bytes += bytes
	}
}

// OnFetchBatchRead counts bytes that arrived and whose CRC kgo has checked
// (kgo.HookFetchBatchRead).
func (a *account) OnFetchBatchRead(
	_ kgo.BrokerMetadata, _ string, _ int32, m kgo.FetchBatchMetrics,
) {
	bytes := int64(m.CompressedBytes) + batchHeader
	now := a.clock.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.point.ConsumedBytes += bytes
	if a.window.has(now) {
		a.consumed.Bytes += bytes
	}
}

// add puts b's counts on top of a's.
func add(a *result.Count, b result.Count) {
	a.Records += b.Records
	a.Bytes += b.Bytes
	a.Requests += b.Requests
}

// heapObjects is the number of objects the heap has handed out so far, of the whole process.
func heapObjects() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
