package netpoll

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"
)

// A mute connection's response leaves at once and its next request waits (KIP-219).
func TestMute(t *testing.T) {
	t.Parallel()
	h := newRecorder()
	record := h.frame
	h.frame = func(c *Conn, frame []byte) {
		c.Mute(time.Second)
		c.Mute(time.Millisecond) // the later end counts
		record(c, frame)
	}
	f := newFake(t, Config{}, h, 1)
	c := f.connect()
	c.in = stream([]byte("one"), []byte("two"))
	f.run()
	if len(h.frames) != 1 || c.out.Len() != 8 {
		t.Fatalf("%d requests, %d bytes before the mute's end", len(h.frames), c.out.Len())
	}
	f.pass(999 * time.Millisecond)
	if len(h.frames) != 1 {
		t.Fatal("the mute ended early")
	}
	f.pass(2 * time.Millisecond)
	if len(h.frames) != 2 {
		t.Fatal("the mute did not end")
	}
}

// An idle connection is closed; one with a request in process, or a mute one, is not idle.
func TestIdleClose(t *testing.T) {
	t.Parallel()
	h := newRecorder()
	record := h.frame
	h.frame = func(c *Conn, frame []byte) {
		if string(frame) != "wait" {
			record(c, frame)
		}
	}
	f := newFake(t, Config{IdleMax: time.Minute}, h, 1)
	idle, busy, waiting := f.connect(), f.connect(), f.connect()
	waiting.in = framed([]byte("wait"))
	for range 7 {
		busy.in = framed([]byte("ping"))
		f.pass(10 * time.Second)
	}
	if !idle.gone || busy.gone || waiting.gone {
		t.Fatalf("closed: idle %v, busy %v, waiting %v", idle.gone, busy.gone, waiting.gone)
	}
	if !errors.Is(h.causes[0], ErrIdle) {
		t.Errorf("cause is %v", h.causes[0])
	}
	f.pass(55 * time.Second)
	f.pass(10 * time.Second)
	if !busy.gone || waiting.gone {
		t.Fatalf("closed: busy %v, waiting %v", busy.gone, waiting.gone)
	}
	waiting.Done()
	f.pass(2 * time.Minute)
	if !waiting.gone {
		t.Error("a connection whose request ended long ago is still open")
	}
}

// Without timers a reactor sleeps for ever, and otherwise until the first timer.
func TestTickless(t *testing.T) {
	t.Parallel()
	f := newFake(t, Config{IdleMax: -1}, &handler{frame: echo}, 1)
	f.connect()
	f.run()
	if f.waited != -1 {
		t.Fatalf("an idle reactor waits for %d ns only", f.waited)
	}
	fired := 0
	timer := Timer{Fire: func() { fired++ }}
	f.r.Start(&timer, 50*time.Millisecond)
	f.run()
	if f.waited <= 0 || f.waited > int64(51*time.Millisecond) || fired != 0 {
		t.Fatalf("waits for %d ns, fired %d times", f.waited, fired)
	}
	f.pass(50 * time.Millisecond)
	f.pass(time.Millisecond)
	if fired != 1 || f.waited != -1 || timer.Running() {
		t.Fatalf("fired %d times, then waits for %d ns", fired, f.waited)
	}
}

// A task that is queued is not queued again; one that runs may be.
func TestPost(t *testing.T) {
	t.Parallel()
	f := newFake(t, Config{}, &handler{frame: echo}, 1)
	runs := 0
	var task Task
	task.Run = func() {
		if runs++; runs == 1 && !f.r.Post(&task) {
			t.Error("a task could not post itself")
		}
	}
	if !f.r.Post(&task) || f.r.Post(&task) {
		t.Fatal("want true, then false")
	}
	f.r.turn()
	if runs != 1 {
		t.Fatalf("%d runs in one turn", runs)
	}
	f.run()
	if runs != 2 {
		t.Fatalf("%d runs", runs)
	}
	var order []int
	var tasks [5]Task
	for i := range tasks {
		tasks[i].Run = func() { order = append(order, i) }
		f.r.Post(&tasks[i])
	}
	f.run()
	for i, got := range order {
		if got != i {
			t.Fatalf("order is %v", order)
		}
	}
}

// Tasks from many goroutines all run, and wake a reactor that sleeps.
func TestPostWakes(t *testing.T) {
	t.Parallel()
	s, _ := startServer(t, Config{Reactors: 1}, &handler{frame: echo})
	r := s.Reactors()[0]
	var posters sync.WaitGroup
	for range 8 {
		posters.Go(func() {
			ran := make(chan struct{})
			task := Task{Run: func() { ran <- struct{}{} }}
			for range 2000 {
				if !r.Post(&task) {
					t.Error("not posted")
					return
				}
				<-ran
			}
		})
	}
	posters.Wait()
	eventually(t, "all tasks are counted", func() bool { return r.Stats().Tasks.Load() == 16000 })
	if r.Stats().Wakeups.Load() == 0 {
		t.Error("nothing had to be woken")
	}
}

// Regions that are not in memory are read by a worker, while the reactor serves others and the
// connection's responses keep their order.
func TestColdRegions(t *testing.T) {
	t.Parallel()
	src := &file{data: pattern(1, 100<<10)}
	src.cold.Store(true)
	h := &handler{}
	h.frame = func(c *Conn, frame []byte) {
		c.Chain().Buf = append(c.Chain().Buf, frame...)
		if string(frame) == "cold" {
			c.Chain().Region(src.take(), 0, int64(len(src.data)))
		}
		c.Respond()
	}
	f := newFake(t, Config{}, h, 1)
	a, b := f.connect(), f.connect()
	a.in = stream([]byte("first"), []byte("cold"), []byte("last"))
	f.run()
	if got, want := a.out.String(), string(framed([]byte("first"))); got != want {
		t.Fatalf("before the prefetch: %q", got)
	}
	b.in = framed([]byte("other"))
	f.run()
	if b.out.Len() == 0 {
		t.Fatal("a cold region held another connection up")
	}
	if !f.prefetchOne() || src.prefetches.Load() != 1 {
		t.Fatal("no prefetch was asked for")
	}
	f.run()
	want := stream([]byte("first"), append([]byte("cold"), src.data...), []byte("last"))
	if !bytes.Equal(a.out.Bytes(), want) {
		t.Fatalf("%d bytes came, of %d", a.out.Len(), len(want))
	}
	src.wantReleased(t)
	if f.r.stats.ColdRegions.Load() != 1 {
		t.Error("the cold response was not counted")
	}
}

// A connection that is lost during a prefetch keeps the region until the worker is through.
func TestLostWhileCold(t *testing.T) {
	t.Parallel()
	for _, broken := range []error{nil, errors.New("disk failed")} {
		src := &file{data: pattern(1, 100<<10), broken: broken}
		src.cold.Store(true)
		h := newRecorder()
		h.frame = func(c *Conn, _ []byte) {
			c.Chain().Region(src.take(), 0, int64(len(src.data)))
			c.Respond()
		}
		f := newFake(t, Config{}, h, 1)
		c := f.connect()
		c.in = framed([]byte("cold"))
		f.run()
		if broken == nil {
			f.r.lose(c.Conn, ErrPeerClosed)
			f.run()
			if src.refs.Load() != 1 {
				t.Fatal("the region was released under the worker")
			}
		}
		f.prefetchOne()
		f.run()
		src.wantReleased(t)
		if !c.gone || c.out.Len() != 0 || broken != nil && h.causes[0] != broken {
			t.Fatalf("gone %v, %d bytes, causes %v", c.gone, c.out.Len(), h.causes)
		}
	}
}

// A long turn is counted once, with what took longest in it, or what the broker named.
func TestStallCauses(t *testing.T) {
	t.Parallel()
	const mine = CauseUser + 1
	f := newFake(t, Config{IdleMax: -1}, nil, 1)
	h := &handler{frame: func(c *Conn, frame []byte) {
		if string(frame) == "blamed" {
			f.r.Blame(mine)
			f.nowNs += int64(time.Second)
		}
		echo(c, frame)
	}}
	f.r.serveFor(h, f.r.workers)
	c := f.connect()
	c.in = framed([]byte("blamed"))
	f.run()
	f.r.Post(&Task{Run: func() { f.nowNs += int64(20 * time.Millisecond) }})
	f.run()
	f.r.Start(&Timer{Fire: func() { f.nowNs += int64(30 * time.Millisecond) }}, time.Millisecond)
	f.pass(2 * time.Millisecond)
	for cause, want := range map[Cause]time.Duration{
		mine: time.Second, CauseTask: 20 * time.Millisecond, CauseTimer: 30 * time.Millisecond,
		CauseHandler: 0, CauseSend: 0, CauseOther: 0,
	} {
		n, ns := f.r.stats.Stalls[cause].Load(), f.r.stats.StallNs[cause].Load()
		if time.Duration(ns) != want || n > 1 {
			t.Errorf("cause %d: %d stalls, %v; want %v", cause, n, time.Duration(ns), want)
		}
	}
}
