package kgoload

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

const (
	// watchEvery is how often a run looks whether anything still succeeds.
	watchEvery = 100 * time.Millisecond
	// drainEvery is how often a run that drains looks whether all is answered.
	drainEvery = 2 * time.Millisecond
	// drainInterrupted is the drain of a run that was ended by hand.
	drainInterrupted = time.Second
	// quietAcks0 is how long readers must have seen nothing before the drain of a run with acks=0
	// is over: no answer tells which offsets there are to be read.
	quietAcks0 = time.Second
	// closeMax bounds the wait for kgo's clients to close.
	closeMax = 5 * time.Second
)

// Run is a drive.Client. Modes other than produce, consume, e2e, mixed and backlog are an error,
// and so is a raw target, since franz-go asks every broker for its API versions and metadata.
func Run(
	ctx context.Context, target drive.Target, spec workload.Spec, hooks drive.Hooks,
) (drive.Outcome, error) {
	r := &run{
		target: target, spec: &spec, hooks: hooks, clock: newClock(), window: &window{},
		size: spec.RecordSizes(), acked: newFrontier(spec.Topics, spec.Partitions),
	}
	r.main = mainStage(spec.Mode)
	if r.main == "" {
		return r.outcome(), fmt.Errorf("mode %s: --client kgo has produce, consume, e2e, mixed and backlog",
			spec.Mode)
	}
	if target.Raw {
		return r.outcome(), errors.New("--client kgo needs a broker that answers ApiVersions and " +
			"Metadata, which a limit server does not")
	}
	err := r.setUp(ctx)
	if err == nil {
		err = r.carryOut(ctx)
	}
	r.close()
	return r.outcome(), err
}

// run is one run, from connecting to the outcome. Its goroutine is the caller's; generators and
// readers have their own.
type run struct {
	target drive.Target
	spec   *workload.Spec
	hooks  drive.Hooks
	clock  clock
	window *window
	size   workload.Size
	main   string // the stage that the series shows
	acked  *frontier

	producers []*producer
	consumers []*consumer // tails, or the readers of mode consume
	catchup   []*consumer
	accounts  []*account
	clients   []*kgo.Client

	generators  sync.WaitGroup
	readers     sync.WaitGroup
	stopReaders context.CancelFunc

	watch       watchdog
	warmErrors  map[string]int64 // of before measured time
	lateErrors  map[string]int64 // counted by the run itself
	notes       []string
	begun       bool
	interrupted bool
	seconds     float64
	objects     uint64 // of the heap, at first when measured time began, then the difference
	series      []result.Point
	interval    *result.Histogram // of a tick
	lastTick    int64
}

// mainStage is the stage that a mode is about; empty for modes that this client does not have.
func mainStage(m workload.Mode) string {
	switch m {
	case workload.Produce, workload.Mixed:
		return result.StageAck
	case workload.E2E, workload.Backlog:
		return result.StageE2E
	case workload.Consume:
		return result.StageFetch
	}
	return ""
}

// carryOut runs the phases; clients are connected.
func (r *run) carryOut(ctx context.Context) error {
	r.start()
	if err := r.phase(ctx, true); err != nil || r.interrupted {
		return err
	}
	r.begin()
	err := r.phase(ctx, false)
	r.end()
	if err == nil {
		r.drain()
	}
	return err
}

// start fixes measured time and starts generators and readers.
func (r *run) start() {
	now := r.clock.now()
	r.lastTick = now
	r.interval = result.NewHistogram()
	begin := now + int64(r.spec.Warmup)
	r.window.begin.Store(begin)
	r.window.burstEnd.Store(begin + int64(r.spec.Burst))
	r.window.end.Store(begin + int64(r.spec.Duration)) // last: it opens the window
	r.watch = watchdog{acked: now, read: now, quiet: now, caughtUp: now}

	reading, stop := context.WithCancel(context.Background())
	r.stopReaders = stop
	half := begin + int64(r.spec.Duration)/2
	for _, c := range r.consumers {
		c.started, c.half = now, half
		r.readers.Go(func() { c.read(reading) })
	}
	for _, c := range r.catchup {
		c.started, c.half = now, half
		r.readers.Go(func() { c.catchUp(reading) })
	}
	for i, p := range r.producers {
		if p.open {
			p.pace = newPace(now, r.spec.Rate, i, len(r.producers))
		}
		r.generators.Go(p.generate)
	}
}

// begin is the beginning of measured time.
func (r *run) begin() {
	r.begun = true
	r.warmErrors = map[string]int64{}
	for _, a := range r.accounts {
		a.take(r.interval)
		for name, n := range a.begin() {
			r.warmErrors[name] += n
		}
	}
	r.interval.Reset()
	r.lastTick = r.clock.now()
	r.objects = heapObjects()
	if r.hooks.Begin != nil {
		r.hooks.Begin()
	}
}

// end is the end of measured time, planned or not.
func (r *run) end() {
	if now := r.clock.now(); now < r.window.end.Load() {
		r.window.end.Store(now)
	}
	r.seconds = float64(r.window.end.Load()-r.window.begin.Load()) / 1e9
	r.objects = heapObjects() - r.objects
	if r.hooks.End != nil {
		r.hooks.End()
	}
}

// phase lets the warm-up or measured time go by. It returns early with an error if nothing
// succeeds any more, and without one if ctx ends.
func (r *run) phase(ctx context.Context, warmup bool) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	began := r.lastTick
	for {
		now := r.clock.now()
		until := r.window.end.Load()
		if warmup {
			until = r.window.begin.Load()
		}
		if now >= until {
			r.tick(warmup, began, now)
			return nil
		}
		if now-r.lastTick >= int64(time.Second) {
			r.tick(warmup, began, now)
		}
		if err := r.stuck(now); err != nil {
			return err
		}
		next := min(until, r.lastTick+int64(time.Second), now+int64(watchEvery))
		timer.Reset(time.Duration(max(0, next-now)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			r.interrupted = true
			r.tick(warmup, began, r.clock.now())
			return nil
		}
	}
}

// tick adds to the series and reports what happened since the last tick.
func (r *run) tick(warmup bool, began, now int64) {
	if now <= r.lastTick {
		return
	}
	r.lastTick = now
	point := result.Point{Second: float64(now-r.window.begin.Load()) / 1e9}
	for _, a := range r.accounts {
		p := a.take(r.interval)
		point.ProducedRecords += p.ProducedRecords
		point.ProducedBytes += p.ProducedBytes
		point.ConsumedRecords += p.ConsumedRecords
		point.ConsumedBytes += p.ConsumedBytes
		point.Errors += p.Errors
	}
	point.P99 = r.interval.Percentile(99)
	r.interval.Reset()
	if !warmup {
		r.series = append(r.series, point)
	}
	if r.hooks.Live == nil {
		return
	}
	t := drive.Tick{Warmup: warmup, Elapsed: time.Duration(now - began), Point: point}
	for _, p := range r.producers {
		if p.open {
			t.Backlog += p.due(now) - p.finished.Load()
		}
	}
	r.hooks.Live(t)
}

// drain waits for answers after measured time, and counts what does not come.
func (r *run) drain() {
	limit := drive.DrainTimeout
	if r.interrupted {
		limit = drainInterrupted
	}
	deadline := r.clock.now() + int64(limit)
	for r.clock.now() < deadline && !r.drained() {
		time.Sleep(drainEvery)
	}
}

func (r *run) drained() bool {
	if r.unanswered() > 0 {
		return false
	}
	if r.spec.Mode == workload.Consume {
		return true
	}
	var last int64
	for _, c := range r.consumers {
		last = max(last, c.progress.Load())
		if c.behind(r.acked) > 0 {
			return false
		}
	}
	return r.spec.Acks != 0 || len(r.consumers) == 0 || r.clock.now()-last > int64(quietAcks0)
}

func (r *run) unanswered() int64 {
	var n int64
	for _, p := range r.producers {
		n += p.unanswered()
	}
	return n
}

// behind is what was acknowledged and has not been seen by the tail readers.
func (r *run) behind() int64 {
	var n int64
	if r.spec.Mode != workload.Consume {
		for _, c := range r.consumers {
			n += c.behind(r.acked)
		}
	}
	return n
}

// close stops what runs, counts what was left unanswered, and closes the clients.
func (r *run) close() {
	for _, p := range r.producers {
		p.halt()
	}
	r.generators.Wait()
	if r.begun {
		if n := r.unanswered() + r.behind(); n > 0 {
			r.lateErrors = map[string]int64{drive.ErrorUnanswered: n}
		}
	}
	r.window.closing.Store(true)
	if r.stopReaders != nil {
		r.stopReaders()
	}
	r.readers.Wait()
	var closing sync.WaitGroup
	for _, c := range r.clients {
		closing.Go(c.Close)
	}
	closed := make(chan struct{})
	go func() {
		closing.Wait()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(closeMax):
	}
}

// watchdog keeps when something last went well. All times are ns of the run's clock.
type watchdog struct {
	acked    int64 // a record was acknowledged
	quiet    int64 // nothing was outstanding and nothing had failed
	failed   int64 // records that had failed by then
	read     int64 // a record arrived
	caughtUp int64 // the tail readers had seen everything
}

// stuck is an error if nothing has succeeded for FailAfter although there was work to do.
func (r *run) stuck(now int64) error {
	w := &r.watch
	var failed int64
	for _, p := range r.producers {
		w.acked = max(w.acked, p.progress.Load())
		failed += p.failed.Load()
	}
	if r.unanswered() == 0 && failed == w.failed {
		w.quiet = now
	}
	w.failed = failed
	if len(r.producers) > 0 && now-max(w.acked, w.quiet) > int64(drive.FailAfter) {
		return fmt.Errorf("no record was acknowledged for %v: %s", drive.FailAfter, describe(r.errors(true)))
	}
	for _, c := range r.consumers {
		w.read = max(w.read, c.progress.Load())
	}
	if r.spec.Mode != workload.Consume && r.behind() == 0 {
		w.caughtUp = now
	}
	if len(r.consumers) > 0 && now-max(w.read, w.caughtUp) > int64(drive.FailAfter) {
		return fmt.Errorf("no record arrived for %v: %s", drive.FailAfter, describe(r.errors(true)))
	}
	return nil
}

// connectError says that the brokers could not be spoken to.
func (r *run) connectError(what string, err error) error {
	return fmt.Errorf("%s at %s: %s: %w", what, strings.Join(r.target.Addrs, ","), errorName(err), err)
}
