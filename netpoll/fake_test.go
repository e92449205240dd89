package netpoll

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// fake is a completion poller in memory. What it does is decided by its seed alone, so that the
// reactor's logic runs without sockets and any run repeats.
type fake struct {
	t     testing.TB
	r     *Reactor
	rnd   *rand.Rand
	nowNs int64
	conns []*fakeConn
	// waited is what the last wait was asked for, in nanoseconds.
	waited int64
}

// fakeConn is the peer's side of a connection.
type fakeConn struct {
	*Conn
	in       []byte // sent by the peer, not delivered
	eof      bool   // the peer ends after in
	out      bytes.Buffer
	window   int // bytes that the peer still takes
	chunkMax int // bound of one delivery; 0: as much as there is

	receiving, sending, gone bool
	delivered                int
}

const openWindow = 1 << 40

// newFake returns a reactor on a fake poller and a fake clock.
func newFake(t testing.TB, config Config, h Handler, seed uint64) *fake {
	t.Helper()
	config.Listeners = []Listener{{Name: "FAKE"}}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if err := config.complete(); err != nil {
		t.Fatal(err)
	}
	s := &Server{config: config, log: config.Logger}
	s.budget.max = config.MemoryBytesMax
	s.budget.wake = s.wakeWaiting
	f := &fake{t: t, rnd: rand.New(rand.NewPCG(seed, 0)), nowNs: int64(time.Hour)}
	f.r = newReactor(0, s, func() int64 { return f.nowNs })
	f.r.poller = f
	f.r.serveFor(h, newPrefetchers(0))
	s.reactors = []*Reactor{f.r}
	t.Cleanup(f.shutDown)
	return f
}

// shutDown forces the end and looks for leaks.
func (f *fake) shutDown() {
	for _, c := range f.conns {
		if c.inProcess && !c.closed {
			c.Done()
		}
	}
	f.r.Post(&f.r.forceTask)
	for range 3 {
		f.r.turn()
	}
	f.r.memory.close()
	if used := f.r.budget.used.Load(); used != 0 && f.r.orphans == 0 {
		f.t.Errorf("%d bytes are still counted against the memory budget", used)
	}
	if mapped := f.r.memory.mapped; mapped != 0 && f.r.orphans == 0 {
		f.t.Errorf("%d bytes are still mapped", mapped)
	}
	if f.r.budget.waiting.Load() != 0 || f.r.budget.pass.Load() != nil {
		f.t.Error("the memory budget still has waiters or a holder of the pass")
	}
}

// connect opens a connection.
func (f *fake) connect() *fakeConn {
	c := &fakeConn{Conn: &Conn{
		reactor: f.r, listener: &listener{config: f.r.config.Listeners[0]},
		peer: netip.MustParseAddrPort("192.0.2.1:1234"),
	}, window: openWindow}
	f.conns = append(f.conns, c)
	c.id = uint64(len(f.conns))
	f.r.adopt(c.Conn)
	return c
}

func (f *fake) of(c *Conn) *fakeConn { return f.conns[c.id-1] }

func (f *fake) attach(*Conn) error { return nil }
func (f *fake) resume(c *Conn)     { f.of(c).receiving = true }
func (f *fake) pause(c *Conn)      { f.of(c).receiving = false }
func (f *fake) send(c *Conn)       { f.of(c).sending = true }
func (f *fake) detach(c *Conn)     { f.of(c).gone = true }
func (f *fake) wake()              {}
func (f *fake) close()             {}

func (f *fake) wait(timeoutNs int64) {
	f.waited = timeoutNs
	if f.r.sleeps() {
		f.r.woke()
	}
}

// serve lets each connection, in random order, receive once and send a few times.
func (f *fake) serve() {
	for _, i := range f.rnd.Perm(len(f.conns)) {
		c := f.conns[i]
		for c.sending && !c.doomed && c.window > 0 && f.sendSome(c) {
		}
		if c.receiving && !c.doomed && len(c.in) > 0 {
			f.deliver(c)
		} else if c.receiving && !c.doomed && c.eof {
			f.r.ended(c.Conn)
		}
		for c.sending && !c.doomed && c.window > 0 && f.sendSome(c) {
		}
	}
}

func (f *fake) deliver(c *fakeConn) {
	into, limit, ok := f.r.space(c.Conn)
	if !ok {
		return
	}
	if into != nil {
		limit = len(into)
	}
	if c.chunkMax > 0 {
		limit = min(limit, c.chunkMax)
	}
	n := min(limit, len(c.in))
	c.delivered += n
	// The reactor may do with a lent buffer what it likes, and must not look at it afterwards.
	b := bytes.Clone(c.in[:n])
	c.in = c.in[n:]
	if into != nil {
		copy(into, b)
		f.r.filled(c.Conn, n)
	} else {
		f.r.received(c.Conn, b)
	}
	for i := range b {
		b[i] = 0xee
	}
}

// sendSome takes a random part of what comes next and reports whether there may be more to take.
func (f *fake) sendSome(c *fakeConn) bool {
	o := &c.output
	if o.empty() {
		c.sending = false
		f.r.sent(c.Conn)
		return false
	}
	if !f.r.warm(c.Conn) {
		return false
	}
	source, position, n, ok := o.nextRegion()
	if ok {
		n = min(n, int64(c.window), o.first.warmBytes, 1+f.rnd.Int64N(n))
		b := make([]byte, n)
		if got, err := source.ReadAt(b, position); int64(got) < n {
			f.r.lose(c.Conn, err)
			return false
		}
		c.out.Write(b)
		c.window -= int(n)
		f.r.sentRegion(c.Conn, n)
		return true
	}
	pieces, _ := o.pieces(nil, 1+f.rnd.IntN(min(c.window, 1<<16)))
	took := 0
	for _, p := range pieces {
		c.out.Write(p)
		took += len(p)
	}
	c.window -= took
	f.r.sentBytes(c.Conn, took)
	return true
}

// run turns until nothing changes any more, without letting time pass.
func (f *fake) run() {
	for idle := 0; idle < 3; idle++ {
		before := f.state()
		f.r.turn()
		if f.state() != before {
			idle = -1
		}
	}
}

// fakeState is what tells whether a turn did anything.
type fakeState struct {
	in, out, frames, tasks, timers, closed uint64
}

func (f *fake) state() fakeState {
	s := &f.r.stats
	return fakeState{
		s.BytesIn.Load(), s.BytesOut.Load(), s.FramesIn.Load(), s.Tasks.Load(), s.Timers.Load(),
		s.Closed.Load(),
	}
}

// pass lets time go by.
func (f *fake) pass(d time.Duration) {
	f.nowNs += int64(d)
	f.run()
}

// prefetchOne does the work of a prefetcher.
func (f *fake) prefetchOne() bool {
	f.r.workers.mu.Lock()
	queued := f.r.workers.first != nil
	f.r.workers.mu.Unlock()
	if queued {
		f.r.workers.take().run()
	}
	return queued
}
