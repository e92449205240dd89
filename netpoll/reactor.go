package netpoll

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Reactor is one event loop: a goroutine locked to its thread that owns connections, their memory,
// a timer wheel and a poller. See the package comment.
type Reactor struct {
	index   int
	server  *Server
	config  *Config
	handler Handler
	// sentHandler is handler if it wants to know what has left.
	sentHandler SentHandler
	poller      poller
	workers     *prefetchers
	budget      *budget
	clock       func() int64

	// What other goroutines touch.
	mailbox mailbox
	asleep  atomic.Bool  // the reactor will look at nothing before it is woken
	stopped atomic.Bool  // the reactor takes no more messages
	wakers  atomic.Int32 // goroutines that are about to wake the reactor
	stats   Stats
	// traffic is what acceptors deal connections out by.
	traffic traffic

	// What only the reactor's goroutine touches.
	nowNs       int64
	wheel       wheel
	memory      memory
	tally       tally
	first       *Conn // all connections
	connections int
	// orphans counts connections that are closed but whose request or prefetch has not ended.
	orphans int
	// chains lists free chains, chainBytes is the memory of their buffers and tables.
	chains     *Chain
	chainBytes int
	touched    []*Conn // to be looked at before the turn ends: see settleTouched
	doomed     []*Conn // to be buried before the turn ends
	// firstWait and lastWait list connections that wait for memory.
	firstWait, lastWait *Conn
	// passTimer looks at the holder of the memory pass; passChunk and passTail are what it had.
	passTimer        Timer
	passChunk        *chunk
	passTail         int
	draining, forced bool

	blamed    Cause // by Blame, or 0
	turnNs    int64 // when the turn began
	lapNs     int64 // the last reading of the clock
	worstNs   int64 // the turn's longest lap
	worst     Cause
	memTask   Task
	drainTask Task
	forceTask Task
}

// chainsFreeBytesMax bounds a reactor's pool of chains, in bytes of their buffers and tables.
const chainsFreeBytesMax = 4 << 20

func newReactor(index int, s *Server, clock func() int64) *Reactor {
	r := &Reactor{
		index: index, server: s, config: &s.config, budget: &s.budget, clock: clock,
		nowNs: clock(),
	}
	r.wheel.init(r.nowNs)
	r.memTask.Run = r.memoryBack
	r.passTimer.Fire = r.checkPass
	r.drainTask.Run = r.drain
	r.forceTask.Run = r.force
	return r
}

// Now returns the reactor's clock in nanoseconds: monotonic, from an arbitrary zero common to
// all reactors of a server, read a few times in a turn. Only on the reactor's goroutine.
func (r *Reactor) Now() int64 { return r.nowNs }

// ReadNow reads the clock that Now's readings come from. It may be called on any goroutine.
func (r *Reactor) ReadNow() int64 { return r.clock() }

// Index returns the reactor's number in its server, from 0. Any goroutine.
func (r *Reactor) Index() int { return r.index }

// Stats returns the reactor's counters. Any goroutine.
func (r *Reactor) Stats() *Stats { return &r.stats }

// Post queues t to run on the reactor and wakes it if it sleeps. It may be called on any
// goroutine and allocates nothing. It returns false, and does nothing, if t is queued already or
// the reactor has ended. A task that is posted while the reactor ends may not run.
func (r *Reactor) Post(t *Task) bool {
	if t.Run == nil {
		panic("BUG: task posted without Run")
	}
	if r.stopped.Load() || !r.mailbox.push(t) {
		return false
	}
	// The reactor announces its sleep before it looks at the mailbox for the last time, so either
	// it sees the task or this sees the announcement.
	if r.asleep.Load() {
		r.wakers.Add(1)
		if r.asleep.CompareAndSwap(true, false) {
			r.poller.wake()
		}
		r.wakers.Add(-1)
	}
	return true
}

// Start arms t to fire once d has passed, or arms it anew. It fires never early, and up to a
// millisecond and a turn late. Only on the reactor's goroutine.
func (r *Reactor) Start(t *Timer, d time.Duration) { r.wheel.start(t, r.nowNs+int64(d)) }

// Stop disarms t and reports whether it was armed. Only on the reactor's goroutine.
func (r *Reactor) Stop(t *Timer) bool { return r.wheel.stop(t) }

// Blame names what the reactor is about to do, in case it turns out to be a stall. It holds until
// the Handler's call, Task or Timer in which it is called has returned.
func (r *Reactor) Blame(cause Cause) {
	if cause >= CauseCount {
		panic("BUG: unknown cause of a stall")
	}
	r.blamed = cause
}

// run turns until the reactor has been drained.
func (r *Reactor) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for !r.finished() {
		r.turn()
	}
	r.stopped.Store(true)
	r.runTasks()
	for r.wakers.Load() > 0 {
		runtime.Gosched() // the poller must not be closed under a waker
	}
	r.end()
}

func (r *Reactor) finished() bool {
	return r.draining && r.connections == 0 && (r.orphans == 0 || r.forced)
}

// end frees what the reactor holds. If requests are still in process somewhere, which is so only
// after force, their frames are lent and their memory is left alone.
func (r *Reactor) end() {
	if r.orphans == 0 {
		r.memory.close()
	}
	r.poller.close()
}

// turn waits for something to do and does it.
func (r *Reactor) turn() {
	r.poller.wait(r.wheel.untilDue(r.nowNs))
	r.beginTurn()
	if r.runTasks() > 0 {
		r.lap(CauseTask)
	}
	if fired := r.wheel.advance(r.nowNs); fired > 0 {
		r.tally.timers += uint64(fired)
		r.lap(CauseTimer)
	}
	r.settleTouched()
	r.poller.serve()
	r.settleTouched()
	r.endTurn()
}

// sleeps announces that the reactor is about to wait for its poller alone, and reports whether it
// may.
func (r *Reactor) sleeps() bool {
	r.asleep.Store(true)
	if r.mailbox.empty() {
		return true
	}
	r.asleep.Store(false)
	return false
}

// woke takes the announcement back.
func (r *Reactor) woke() {
	if !r.asleep.Swap(false) {
		r.tally.wakeups++
	}
}

func (r *Reactor) beginTurn() {
	r.tick()
	r.turnNs, r.lapNs, r.worstNs, r.worst = r.nowNs, r.nowNs, 0, CauseOther
}

// tick reads the clock. Readings are dear, some 40 ns, so that whatever ends something reads it and
// what begins next takes it from nowNs.
func (r *Reactor) tick() int64 {
	r.nowNs = r.clock()
	return r.nowNs
}

// lap reads the clock and remembers what took longest in this turn.
func (r *Reactor) lap(cause Cause) {
	r.tick()
	r.lapNow(cause)
}

// lapNow is lap where the clock has just been read.
func (r *Reactor) lapNow(cause Cause) {
	if r.blamed != 0 {
		cause, r.blamed = r.blamed, 0
	}
	if d := r.nowNs - r.lapNs; d > r.worstNs {
		r.worstNs, r.worst = d, cause
	}
	r.lapNs = r.nowNs
}

func (r *Reactor) endTurn() {
	busyNs := r.tick() - r.turnNs
	add(&r.stats.BusyNs, uint64(busyNs))
	if busyNs >= int64(r.config.StallMin) {
		r.stats.Stalls[r.worst].Add(1)
		r.stats.StallNs[r.worst].Add(uint64(busyNs))
	}
	r.traffic.count(r.tally.bytesIn+r.tally.bytesOut, r.nowNs)
	r.tally.publish(&r.stats)
}

// runTasks runs what is in the mailbox now; what that posts waits for the next turn.
func (r *Reactor) runTasks() (n int) {
	for t := r.mailbox.take(); t != nil; n++ {
		next := t.next
		t.next = nil
		t.queued.Store(false)
		t.Run()
		if r.blamed != 0 {
			r.lap(CauseTask)
		}
		t = next
	}
	r.tally.tasks += uint64(n)
	return n
}

// touch has a connection looked at again before the turn ends, unless that happens anyway. Calls of
// the broker's that may let requests go on or close a connection come through here, so that nothing
// calls the broker back from inside its own call.
func (r *Reactor) touch(c *Conn) {
	if !c.touched && !c.advancing && !c.closed {
		c.touched = true
		r.touched = append(r.touched, c)
	}
}

// settleTouched lets the touched connections go on and buries the lost ones. Doing so may touch
// others.
func (r *Reactor) settleTouched() {
	for i := 0; i < len(r.touched); i++ {
		c := r.touched[i]
		c.touched = false
		if !c.closed {
			r.handOut(c)
			r.settle(c)
		}
	}
	clear(r.touched)
	r.touched = r.touched[:0]
	for i := 0; i < len(r.doomed); i++ {
		r.bury(r.doomed[i])
	}
	clear(r.doomed)
	r.doomed = r.doomed[:0]
}

func (r *Reactor) takeChain() *Chain {
	c := r.chains
	if c == nil {
		return NewChain()
	}
	r.chains, c.next = c.next, nil
	r.chainBytes -= c.footprint()
	return c
}

func (r *Reactor) giveChain(c *Chain) {
	c.Reset()
	if n := c.footprint(); r.chainBytes+n <= chainsFreeBytesMax {
		c.next, r.chains = r.chains, c
		r.chainBytes += n
	}
}

// drain begins the reactor's end: see Server.Drain.
func (r *Reactor) drain() {
	r.draining = true
	for c := r.first; c != nil; c = c.next {
		if !c.inProcess {
			c.endAfterOutput(ErrDrained)
		}
	}
}

// force ends what drain left.
func (r *Reactor) force() {
	r.draining, r.forced = true, true
	for c := r.first; c != nil; c = c.next {
		r.lose(c, ErrDrained)
	}
}
