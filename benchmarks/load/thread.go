package load

import (
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sluice/wire"
)

const (
	// bufferBytes is the receive buffer of a thread. It stays in L2 while it is filled by the
	// kernel and read by the checksum.
	bufferBytes = 256 << 10
	// napMin is the shortest wait for the next due record where records are due more often than
	// every napRest: what becomes due within it is taken up together. It bounds the turns of the
	// loop at high rates.
	napMin  = int64(20 * time.Microsecond)
	napRest = 100 * time.Microsecond
	// napMax is the longest: after it a thread looks at what the coordinator has set.
	napMax = int64(50 * time.Millisecond)
)

// thread is one client thread. All its fields but gauges, poller.wake, turning and agenda belong to
// its goroutine or, where it has two carriers, to the one that has set turning.
type thread struct {
	s       *session
	gauges  gauges
	poller  *poller
	buffer  []byte
	message messageHeader
	builder *wire.BatchBuilder
	value   []byte // where a stamped value is put together
	tally   *tally
	main    stage // the stage of the live p99
	// dueOf tells when a record of dueFlight is due; it is made once, since making it allocates.
	dueOf     func(ordinal int64) int64
	dueFlight flight
	queued    int   // batches in the queues of all connections
	napFloor  int64 // napMin or 0
	number    int   // among the session's threads

	// turning is set while one of the carriers runs a turn, agenda is when the next turn is due, on
	// the run's clock. See relief.go.
	turning         atomic.Bool
	agenda          atomic.Int64
	turns, relieved int64 // turns in all, and those that the relief ran

	conns         []*conn
	ready, spared []*conn
	waiting       []*conn
	producers     []*producer

	// The phases as last read from the session.
	start, begin, end int64
	layout            *layout
}

func newThread(s *session) (*thread, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	t := &thread{
		s: s, poller: p, buffer: make([]byte, bufferBytes), builder: wire.NewBatchBuilder(),
		tally: newTally(), main: s.mainStage, layout: s.layout.Load(), number: len(s.threads),
	}
	// Until its first turn nobody knows what it has to do: a preload whose thread has not begun is
	// not over.
	t.gauges.inFlight.Store(1)
	if s.maker != nil {
		t.builder.Codec = s.maker.codec
	}
	if s.spec.Rate*napRest.Seconds() > float64(max(1, s.spec.Threads)) {
		t.napFloor = napMin
	}
	t.dueOf = func(ordinal int64) int64 {
		return t.s.due(&t.dueFlight, ordinal-t.dueFlight.first)
	}
	return t, nil
}

// attach makes a connection of a role to a broker.
func (t *thread) attach(r role, broker int32) *conn {
	c := &conn{t: t, role: r, slot: int32(len(t.conns)), broker: broker, fd: -1}
	t.conns = append(t.conns, c)
	return c
}

// run is the loop. It ends when the session says so.
func (t *thread) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The kernel may delay timeouts by 50 µs to serve several at once; a schedule cannot wait.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	defer t.keepTime()()
	now := t.s.now()
	t.tally.started = now
	for _, c := range t.conns {
		c.connect(now)
	}
	t.keep()
	for _, c := range t.conns {
		c.role.abandon()
		c.close()
	}
}

// nap is how long the loop may wait for events.
func (t *thread) nap() int64 {
	if len(t.ready) > 0 {
		return 0
	}
	now := t.s.now()
	nap := min(napMax, t.nextTick()-now)
	for _, c := range t.waiting {
		nap = min(nap, c.wakeAt-now)
	}
	if t.start == 0 {
		if start := t.s.start.Load(); start != 0 {
			nap = min(nap, start-now)
		}
	} else {
		for _, p := range t.producers {
			if at := p.nextEvent(t.end); at != 0 {
				if at > now {
					at = max(at, now+t.napFloor)
				}
				nap = min(nap, at-now)
			}
		}
	}
	return max(nap, 0)
}

// turn is one pass of the loop.
func (t *thread) turn(events []unix.EpollEvent) {
	now := t.s.now()
	t.turns++
	t.phases(now)
	t.mark(events)
	if len(t.waiting) > 0 {
		t.wakeUp(now)
	}
	t.takeUp(now)
	round := t.ready
	t.ready, t.spared = t.spared[:0], round
	for i, c := range round {
		c.listed = false
		round[i] = nil
		now = t.keepUp(now)
		c.serve(now)
	}
	t.count()
}

// phases reads what the coordinator has set since the last turn.
func (t *thread) phases(now int64) {
	if start := t.s.start.Load(); t.start == 0 && start != 0 && now >= start {
		t.start = start
		t.tally.started = t.start
		for _, p := range t.producers {
			p.begin(t.start)
		}
		t.listAll()
	}
	if t.start != 0 {
		t.begin, t.end = t.s.begin.Load(), t.s.end.Load()
	}
	if v := t.s.layout.Load(); v != t.layout {
		t.layout = v
		t.rehome()
		t.listAll()
	}
	if at := t.nextTick(); now >= at {
		t.tick(at)
	}
}

// nextTick is when the second at hand ends. Seconds of all threads end together, and one at the
// beginning and the end of measured time.
func (t *thread) nextTick() int64 {
	started := t.tally.started
	at := started + int64(time.Second)
	switch {
	case started < t.begin:
		at = min(at, t.begin)
	case started < t.end:
		at = min(at, t.end)
	}
	return at
}

func (t *thread) listAll() {
	for _, c := range t.conns {
		t.list(c)
	}
}

// mark notes what the sockets are ready for.
func (t *thread) mark(events []unix.EpollEvent) {
	for i := range events {
		e := &events[i]
		if e.Fd == wakeSlot {
			t.poller.drainWakes()
			continue
		}
		c := t.conns[e.Fd]
		if c.generation != e.Pad {
			continue
		}
		if e.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			c.readable = true
		}
		if e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			c.ended = true
		}
		if e.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			c.writable = true
		}
		t.list(c)
	}
}

// list gives a connection a turn.
func (t *thread) list(c *conn) {
	if !c.listed {
		c.listed = true
		t.ready = append(t.ready, c)
	}
}

// wakeLater gives a connection a turn at a time.
func (t *thread) wakeLater(c *conn, at int64) {
	c.wakeAt = at
	if !c.waiting {
		c.waiting = true
		t.waiting = append(t.waiting, c)
	}
}

// wakeUp handles the connections whose time has come.
func (t *thread) wakeUp(now int64) {
	kept := t.waiting[:0]
	due := t.spared[:0]
	for _, c := range t.waiting {
		if c.wakeAt > now {
			kept = append(kept, c)
			continue
		}
		c.waiting = false
		due = append(due, c)
	}
	t.waiting = kept
	for _, c := range due {
		if c.state == connDown {
			c.connect(now)
			continue
		}
		t.list(c)
	}
}

// takeUp has the schedules hand out what is due.
func (t *thread) takeUp(now int64) {
	if t.start == 0 {
		return
	}
	for _, p := range t.producers {
		p.takeUp(now)
	}
}

// keepUp takes up what has become due during a turn. It is called after every transfer, so that a
// turn of many makes no record later than one of them does. It returns the time, or without a
// schedule the one it was given.
func (t *thread) keepUp(now int64) int64 {
	if len(t.producers) == 0 {
		return now
	}
	now = t.s.now()
	t.takeUp(now)
	return now
}

// measured reports whether a time lies within measured time.
func (t *thread) measured(at int64) bool { return at >= t.begin && at < t.end && t.begin != 0 }

// fail counts a failure.
func (t *thread) fail(now int64, name string, n int64) {
	t.gauges.failure.Store(now)
	t.tally.second.point.Errors += n
	if t.begin != 0 && now >= t.begin {
		t.tally.errors[name] += n
	} else {
		t.tally.early[name] += n
	}
}

func (t *thread) succeed(now int64) { t.gauges.success.Store(now) }

// count tells the coordinator what the end of the run has to wait for.
func (t *thread) count() {
	if t.s.preload {
		n := 0
		for _, c := range t.conns {
			n += c.role.(*produceConn).remaining()
		}
		t.gauges.inFlight.Store(int64(n))
		return
	}
	if t.end == 0 || t.s.now() < t.end {
		t.gauges.inFlight.Store(1)
		return
	}
	n := 0
	for _, p := range t.producers {
		n += p.unfinished()
	}
	for _, c := range t.conns {
		n += c.role.pendingRequests()
	}
	t.gauges.inFlight.Store(int64(n))
}

// tick closes a second and hands it to the coordinator, which gives the histogram back empty. If
// the coordinator is late, so is this.
func (t *thread) tick(at int64) {
	y := t.tally
	if t.start == 0 {
		y.started = at
		return
	}
	if y.spare == nil {
		select {
		case y.spare = <-t.s.spares:
		default:
			return
		}
	}
	y.second.at, y.second.warmup = at, t.begin == 0 || y.started < t.begin
	select {
	case t.s.seconds <- y.second:
		y.second = second{main: y.spare}
		y.spare = nil
		y.started = at
	default:
	}
}

// rehome moves partitions to the connections to their leaders.
func (t *thread) rehome() {
	for _, c := range t.conns {
		if r, ok := c.role.(interface{ rehome() }); ok {
			r.rehome()
		}
	}
}
