package load

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// errTooSlow ends a run whose queue would outgrow its bound.
var errTooSlow = errors.New("the broker is slower than the asked rate: the queue of waiting batches " +
	"has reached its bound of 2097152 on one client thread")

// refreshPause is the least time between two refreshes of metadata.
const refreshPause = 250 * time.Millisecond

// session is one use of threads: a preload or a run. What the threads read of it while they run is
// either fixed before they start or atomic.
type session struct {
	spec      workload.Spec
	cluster   *cluster
	maker     *maker
	open      bool // producers keep to a schedule
	preload   bool // lanes have a number of batches to send, and that is all
	mainStage stage
	base      time.Time    // 0 on the run's clock
	clock     func() int64 // the run's clock of a test; nil: CLOCK_MONOTONIC
	baseMs    int64        // the same in ms since 1970

	layout atomic.Pointer[layout]
	// start is when the load begins, begin and end bound measured time; 0: not known yet.
	start, begin, end atomic.Int64
	stop              atomic.Bool // threads end
	half              int64       // between the halves of a backlog run; set before start

	seconds chan second
	spares  chan *result.Histogram
	aborted chan error

	threads []*thread

	refreshes chan struct{}
	ctx       context.Context // ends the helpers
	cancel    context.CancelFunc
	helpers   sync.WaitGroup
	running   sync.WaitGroup
	once      sync.Once // finish
}

func newSession(
	ctx context.Context, c *cluster, v *layout, spec workload.Spec, m *maker, threads int,
) (*session, error) {
	s := &session{
		spec: spec, cluster: c, maker: m, base: time.Now(),
		seconds: make(chan second, 8*threads+8), spares: make(chan *result.Histogram, 8*threads+8),
		aborted: make(chan error, 1), refreshes: make(chan struct{}, 1),
	}
	s.baseMs = s.base.UnixMilli()
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.layout.Store(v)
	for range threads {
		if err := s.addThread(); err != nil {
			s.release()
			return nil, err
		}
	}
	return s, nil
}

func (s *session) addThread() error {
	t, err := newThread(s)
	if err == nil {
		s.threads = append(s.threads, t)
	}
	return err
}

// now is the time in ns since the session began (CLOCK_MONOTONIC).
func (s *session) now() int64 {
	if s.clock != nil {
		return s.clock()
	}
	return int64(time.Since(s.base))
}

// unixMs is the time that new batches bear.
func (s *session) unixMs() int64 { return s.baseMs + s.now()/int64(time.Millisecond) }

// due is when the i-th record of a batch was due, or could first have been sent.
func (s *session) due(f *flight, i int64) int64 {
	if s.open {
		return f.lane.due(f.first + i)
	}
	return f.ready
}

// launch starts the threads and the one that refreshes metadata.
func (s *session) launch() {
	s.helpers.Go(s.refresher)
	for _, t := range s.threads {
		s.running.Go(t.run)
	}
}

// finish stops everything and waits for it; afterwards the tallies may be read. A second call does
// nothing.
func (s *session) finish() {
	s.once.Do(func() {
		s.stop.Store(true)
		s.wake()
		s.running.Wait()
		s.cancel()
		s.helpers.Wait()
		s.release()
	})
}

func (s *session) release() {
	s.cancel()
	for _, t := range s.threads {
		t.poller.close()
	}
}

func (s *session) wake() {
	for _, t := range s.threads {
		t.poller.wake()
	}
}

// abort ends the run for a reason; the first one counts.
func (s *session) abort(err error) {
	select {
	case s.aborted <- err:
	default:
	}
}

// refresh asks for new metadata; it returns at once.
func (s *session) refresh() {
	select {
	case s.refreshes <- struct{}{}:
	default:
	}
}

// refresher discovers anew when asked to, and publishes what has changed.
func (s *session) refresher() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.refreshes:
		}
		if v, err := s.cluster.discover(s.ctx); err == nil && !s.layout.Load().equal(v) {
			s.layout.Store(v)
			s.wake()
		}
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(refreshPause):
		}
	}
}

// equal reports whether two layouts say the same. Partitions that have no leader for the moment
// stay where they are, which is the caller's business.
func (v *layout) equal(w *layout) bool {
	if len(v.brokers) != len(w.brokers) {
		return false
	}
	for id, a := range v.brokers {
		if w.brokers[id].text != a.text {
			return false
		}
	}
	for i, leader := range w.leaders {
		if leader != v.leaders[i] {
			return false
		}
	}
	return true
}

// newProducerID gets one for a connection, from a goroutine that tries until the session ends.
func (s *session) newProducerID(p *produceConn) {
	t := p.t
	s.helpers.Go(func() {
		for s.ctx.Err() == nil {
			if id, err := s.askProducerID(); err == nil {
				p.renewed.Store(&id)
				t.poller.wake()
				return
			}
			select {
			case <-s.ctx.Done():
			case <-time.After(refreshPause):
			}
		}
	})
}

func (s *session) askProducerID() (producerID, error) {
	c, err := s.cluster.open(s.ctx)
	if err != nil {
		return noProducerID, err
	}
	defer c.close()
	id, epoch, err := c.initProducerID(s.ctx)
	return producerID{id, epoch}, err
}

// total sums a gauge over the threads.
func (s *session) total(gauge func(*gauges) *atomic.Int64) int64 {
	sum := int64(0)
	for _, t := range s.threads {
		sum += gauge(&t.gauges).Load()
	}
	return sum
}

func (s *session) latest(gauge func(*gauges) *atomic.Int64) int64 {
	last := int64(0)
	for _, t := range s.threads {
		last = max(last, gauge(&t.gauges).Load())
	}
	return last
}
