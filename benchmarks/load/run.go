package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/metrics"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// run is one use of Run.
type run struct {
	spec    workload.Spec
	hooks   drive.Hooks
	cluster *cluster
	maker   *maker
	out     drive.Outcome
	s       *session

	merging map[int64]*merged // seconds that not all threads have handed over
	// drainMax is drive.DrainTimeout, failMax drive.FailAfter; tests have less patience.
	drainMax, failMax time.Duration
}

// merged is a second of the run, as far as threads have handed it over.
type merged struct {
	second
	threads int
}

var _ drive.Client = Run

// Run carries out a spec of mode produce, consume, e2e, mixed or backlog with the lean client.
// Beyond drive.Client: it uses spec.Threads OS threads (one more in mode backlog, and up to twice as
// many where there is a schedule to keep, see relief.go), and it raises GOMAXPROCS to two more than
// that while it runs, so that a client thread that is busy throughout does not hold up the rest of
// the process.
func Run(
	ctx context.Context, target drive.Target, spec workload.Spec, hooks drive.Hooks,
) (drive.Outcome, error) {
	r := newRun(target, spec, hooks)
	err := r.carryOut(ctx)
	return r.out, err
}

func newRun(target drive.Target, spec workload.Spec, hooks drive.Hooks) *run {
	return &run{
		spec: spec, hooks: hooks, merging: map[int64]*merged{},
		cluster:  newCluster(target.Addrs, target.Raw, spec),
		drainMax: drive.DrainTimeout, failMax: drive.FailAfter,
		out: drive.Outcome{
			Errors: map[string]int64{}, Stages: map[string]*result.Histogram{},
			Figures: map[string]float64{},
		},
	}
}

func (r *run) carryOut(ctx context.Context) error {
	spec := &r.spec
	if !spec.Produces() && !spec.Consumes() {
		return fmt.Errorf("the lean client does not serve mode %s", spec.Mode)
	}
	stamped := spec.Mode == workload.E2E || spec.Mode == workload.Backlog ||
		spec.Mode == workload.Mixed && spec.RecordSizes().Min() >= workload.StampBytes
	r.maker = newMaker(*spec, stamped)
	if spec.Keys > keysMax {
		r.note(fmt.Sprintf("%d of the %d keys were used", keysMax, spec.Keys))
	}
	threads := threadCount(spec)
	carriers := threads
	if spec.Rate > 0 {
		carriers += threads // Their reliefs.
	}
	defer processors.claim(carriers)()
	v, err := r.cluster.settled(ctx, r.failMax)
	if err != nil {
		if errors.Is(err, unix.ECONNREFUSED) {
			r.out.Errors[drive.ErrorConnectRefused]++
		}
		return fmt.Errorf("reaching the broker: %w", err)
	}
	b, err := r.prepare(ctx, v)
	if err != nil {
		return err
	}
	if r.s, err = newSession(ctx, r.cluster, v, *spec, r.maker, threads); err != nil {
		return err
	}
	if err := r.plan(ctx, b); err != nil {
		r.s.release()
		return err
	}
	connections := int64(0)
	for _, t := range r.s.threads {
		connections += int64(len(t.conns))
	}
	r.s.launch()
	err = r.conduct(ctx, connections)
	r.s.finish()
	for len(r.s.seconds) > 0 {
		r.merge(<-r.s.seconds)
	}
	return r.settle(err)
}

// plan makes the producers and consumers of the mode.
func (r *run) plan(ctx context.Context, b bounds) error {
	s, spec := r.s, &r.spec
	s.open = spec.Rate > 0
	s.mainStage = stageAck
	switch spec.Mode {
	case workload.Consume:
		s.mainStage = stageFetch
		s.planReplay(b)
	case workload.Produce:
	default:
		if r.maker.stamped {
			s.mainStage = stageE2E
		}
		s.planTails(b)
	}
	switch {
	case spec.Produces() && s.open:
		s.planOpen()
	case spec.Produces():
		s.planClosed()
	}
	if spec.Mode == workload.Backlog {
		if err := s.planCatchup(b); err != nil {
			return err
		}
	}
	for _, t := range s.threads {
		t.main = s.mainStage
	}
	return nil
}

// conduct takes the session through its phases: connections, warm-up, measured time, drain.
func (r *run) conduct(ctx context.Context, connections int64) error {
	if err := r.awaitConnections(ctx, connections); err != nil {
		return err
	}
	s := r.s
	start := s.now() + int64(time.Millisecond)
	begin := start + int64(r.spec.Warmup)
	end := begin + int64(r.spec.Duration)
	if r.spec.Mode == workload.Backlog {
		s.half = begin + int64(r.spec.Duration)/2
	}
	s.end.Store(end)
	s.begin.Store(begin)
	s.start.Store(start)
	s.wake()
	err := r.until(ctx, begin)
	if err == nil && !r.out.Interrupted {
		if r.hooks.Begin != nil {
			r.hooks.Begin()
		}
		allocs := heapObjects()
		err = r.until(ctx, end)
		r.out.AllocsPerRequest = float64(heapObjects() - allocs)
		if r.hooks.End != nil {
			r.hooks.End()
		}
		r.out.Seconds = float64(min(s.now(), s.end.Load())-begin) / 1e9
	}
	if err == nil {
		err = r.drain()
	}
	return err
}

// heapObjects is the number of heap objects that the process has allocated.
func heapObjects() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// awaitConnections waits until all connections stand.
func (r *run) awaitConnections(ctx context.Context, want int64) error {
	s := r.s
	if want == 0 {
		return errors.New("there is nothing to do: no partition belongs to any client")
	}
	up := func() int64 { return s.total(func(g *gauges) *atomic.Int64 { return &g.up }) }
	deadline := time.Now().Add(patience)
	for up() < want {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d connections stand after %s", up(), want, patience)
		}
		select {
		case <-ctx.Done():
			r.out.Interrupted = true
			return nil
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// until waits for a time on the run's clock, and meanwhile handles what the threads hand over. It
// returns early with an error, or when the context has ended.
func (r *run) until(ctx context.Context, at int64) error {
	s := r.s
	timer := time.NewTimer(time.Duration(at - s.now()))
	defer timer.Stop()
	check := time.NewTicker(250 * time.Millisecond)
	defer check.Stop()
	for !r.out.Interrupted {
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			r.out.Interrupted = true
			now := s.now()
			s.end.Store(now)
			s.wake()
		case sec := <-s.seconds:
			r.merge(sec)
		case err := <-s.aborted:
			return err
		case <-check.C:
			if err := r.failing(); err != nil {
				return err
			}
		}
	}
	return nil
}

// failing returns an error once nothing has succeeded for too long while requests failed.
func (r *run) failing() error {
	s := r.s
	success := s.latest(func(g *gauges) *atomic.Int64 { return &g.success })
	failure := s.latest(func(g *gauges) *atomic.Int64 { return &g.failure })
	since := max(success, s.start.Load())
	if failure > since && s.now()-since >= int64(r.failMax) {
		return fmt.Errorf("every request has failed for %s", r.failMax)
	}
	return nil
}

// drain waits for answers that are still to come.
func (r *run) drain() error {
	s := r.s
	timeout := r.drainMax
	if r.out.Interrupted {
		timeout = min(timeout, time.Second)
	}
	deadline := time.Now().Add(timeout)
	for time.Now().Before(deadline) && !r.drained() {
		select {
		case sec := <-s.seconds:
			r.merge(sec)
		case err := <-s.aborted:
			return err
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// drained reports whether all requests are answered and, where consumers follow the log's end, all
// that was written has arrived.
func (r *run) drained() bool {
	s := r.s
	return s.total(func(g *gauges) *atomic.Int64 { return &g.inFlight }) == 0 && r.missing() == 0
}

// missing is how many acknowledged records have not arrived at the consumers.
func (r *run) missing() int64 {
	if !r.spec.Produces() || !r.spec.Consumes() {
		return 0
	}
	acked := r.s.total(func(g *gauges) *atomic.Int64 { return &g.acked })
	return max(0, acked-r.s.total(func(g *gauges) *atomic.Int64 { return &g.consumed }))
}

// merge adds one thread's second; when all threads have handed it over it is complete.
func (r *run) merge(sec second) {
	s := r.s
	m := r.merging[sec.at]
	if m == nil {
		m = &merged{second: sec}
		r.merging[sec.at] = m
	} else {
		addPoint(&m.point, &sec.point)
		m.main.Merge(sec.main)
		sec.main.Reset()
		s.spares <- sec.main
	}
	if m.threads++; m.threads < len(s.threads) {
		return
	}
	delete(r.merging, sec.at)
	m.point.P99 = m.main.Percentile(99)
	if m.main.Count() == 0 {
		m.point.P99 = 0
	}
	m.main.Reset()
	s.spares <- m.main
	r.point(&m.second)
}

func addPoint(sum, p *result.Point) {
	sum.ProducedRecords += p.ProducedRecords
	sum.ProducedBytes += p.ProducedBytes
	sum.ConsumedRecords += p.ConsumedRecords
	sum.ConsumedBytes += p.ConsumedBytes
	sum.Errors += p.Errors
}

// point reports a second of the run.
func (r *run) point(sec *second) {
	s := r.s
	phase := s.start.Load()
	if !sec.warmup {
		phase = s.begin.Load()
	}
	sec.point.Second = float64(sec.at-phase) / 1e9
	if !sec.warmup && sec.at <= s.end.Load() {
		r.out.Series = append(r.out.Series, sec.point)
	}
	settled := s.total(func(g *gauges) *atomic.Int64 { return &g.acked }) +
		s.total(func(g *gauges) *atomic.Int64 { return &g.failed })
	due := s.total(func(g *gauges) *atomic.Int64 { return &g.due })
	r.live(drive.Tick{
		Warmup: sec.warmup, Elapsed: time.Duration(sec.at - phase), Point: sec.point,
		Backlog: max(0, due-settled),
	})
}

func (r *run) live(t drive.Tick) {
	if r.hooks.Live != nil {
		r.hooks.Live(t)
	}
}

func (r *run) note(text string) { r.out.Notes = append(r.out.Notes, text) }

// listErrors writes errors as "NAME (count), …", the most frequent first.
func listErrors(errs map[string]int64) string {
	names := slices.SortedFunc(maps.Keys(errs), func(a, b string) int {
		if errs[a] != errs[b] {
			return int(errs[b] - errs[a])
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s (%d)", name, errs[name])
	}
	return strings.Join(names, ", ")
}
