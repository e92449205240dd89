package netpoll

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

// Chunks do not overlap, and what is kept for later is bounded.
func TestChunks(t *testing.T) {
	t.Parallel()
	var m memory
	rnd := rand.New(rand.NewPCG(1, 1))
	type held struct {
		k    *chunk
		mark byte
	}
	var out []held
	check := func(h held) {
		if b := h.k.b; b[0] != h.mark || b[len(b)-1] != h.mark {
			t.Fatal("two chunks overlap")
		}
	}
	for i := range 20_000 {
		if len(out) > 200 || len(out) > 0 && rnd.IntN(2) == 0 {
			at := rnd.IntN(len(out))
			check(out[at])
			m.give(out[at].k)
			out[at] = out[len(out)-1]
			out = out[:len(out)-1]
			continue
		}
		n := rnd.IntN(1 << rnd.IntN(24))
		k, err := m.take(n)
		if err != nil {
			t.Fatal(err)
		}
		if len(k.b) < n {
			t.Fatalf("%d bytes for %d", len(k.b), n)
		}
		h := held{k, byte(i)}
		k.b[0], k.b[len(k.b)-1] = h.mark, h.mark
		out = append(out, h)
	}
	for _, h := range out {
		check(h)
		m.give(h.k)
	}
	const idleMax = chunkIdleBytesMax + chunkClasses*slabBytes
	if m.mapped > idleMax || m.idleBytes > chunkIdleBytesMax {
		t.Errorf("%d bytes stay mapped, want at most %d", m.mapped, idleMax)
	}
	if m.close(); m.mapped != 0 {
		t.Errorf("%d bytes are mapped after the end", m.mapped)
	}
}

// A claimed length costs address space only: what counts is what has arrived.
func TestClaimedLength(t *testing.T) {
	t.Parallel()
	f := newFake(t, Config{}, &handler{frame: echo}, 1)
	for range 200 {
		f.connect().in = []byte{0x06, 0x40, 0, 0, 'x'} // 100 MiB
	}
	f.run()
	if used := f.r.budget.used.Load(); used != 200*5 {
		t.Errorf("%d bytes are counted for 1000 that came", used)
	}
}

// Beyond the memory budget connections inside a frame wait, small requests do not, and every frame
// completes in the end.
func TestMemoryBudget(t *testing.T) {
	t.Parallel()
	const budgetMax, size, count = 256 << 10, 200 << 10, 8
	for seed := range uint64(3) {
		h := newRecorder()
		f := newFake(t, Config{MemoryBytesMax: budgetMax}, h, seed)
		var senders []*fakeConn
		for i := range count {
			c := f.connect()
			c.in, c.chunkMax = framed(pattern(i, size)), 20<<10
			senders = append(senders, c)
		}
		small := f.connect()
		var usedMax int64
		for turn := range 10_000 {
			small.in = append(small.in, framed([]byte("ping"))...)
			f.r.turn()
			usedMax = max(usedMax, f.r.budget.used.Load())
			if small.out.Len() != (turn+1)*8 {
				t.Fatalf("turn %d: a small request waited", turn)
			}
			if f.r.stats.FramesOut.Load() == uint64(count+turn+1) {
				break
			}
		}
		for i, c := range senders {
			if c.out.Len() != 8 {
				t.Errorf("seed %d: sender %d never completed", seed, i)
			}
		}
		if usedMax > budgetMax+size+receiveBufferBytes {
			t.Errorf("seed %d: %d bytes were used", seed, usedMax)
		}
		if f.r.stats.MemoryWaits.Load() == 0 {
			t.Error("nobody had to wait, so the test shows nothing")
		}
	}
}

// Kept frames count, and a frame that waits for their memory goes on once one is given back.
func TestMemoryOfKeptFrames(t *testing.T) {
	t.Parallel()
	var kept []*Conn
	h := &handler{frame: func(c *Conn, _ []byte) {
		c.Keep()
		kept = append(kept, c)
	}}
	f := newFake(t, Config{MemoryBytesMax: 100 << 10}, h, 1)
	for range 3 {
		f.connect().in = framed(pattern(1, 90<<10))
		f.run()
	}
	// The second frame was taken since the budget had room, the third has the pass.
	if len(kept) != 3 {
		t.Fatalf("%d frames are in process", len(kept))
	}
	f.connect().in = framed(pattern(1, 90<<10))
	f.run()
	if len(kept) != 3 || f.r.budget.waiting.Load() != 1 {
		t.Fatalf("%d frames, %d wait", len(kept), f.r.budget.waiting.Load())
	}
	kept[2].Done()
	f.run()
	if len(kept) != 4 {
		t.Error("the waiting frame did not go on")
	}
}

// A connection that is lost while it waits for memory, or holds the pass, leaves no trace.
func TestLostUnderPressure(t *testing.T) {
	t.Parallel()
	h := newRecorder()
	f := newFake(t, Config{MemoryBytesMax: 64 << 10}, h, 1)
	var senders []*fakeConn
	for i := range 4 {
		c := f.connect()
		c.in, c.chunkMax = framed(pattern(i, 80<<10))[:70<<10], 4<<10
		senders = append(senders, c)
	}
	f.run()
	if f.r.budget.waiting.Load() != 3 || f.r.budget.pass.Load() == nil {
		t.Fatalf("%d wait", f.r.budget.waiting.Load())
	}
	holder := f.of(f.r.budget.pass.Load())
	for _, c := range senders {
		if c != holder && f.r.budget.waiting.Load() > 1 {
			f.r.lose(c.Conn, ErrPeerClosed)
			f.run()
		}
	}
	if f.r.budget.waiting.Load() != 1 {
		t.Errorf("%d wait, want the last", f.r.budget.waiting.Load())
	}
	f.r.lose(holder.Conn, ErrPeerClosed)
	f.run()
	if f.r.budget.waiting.Load() != 0 {
		t.Error("the last one still waits")
	}
}

// Whoever holds the last memory and does not send is closed for the others' sake.
func TestSlowSenderUnderPressure(t *testing.T) {
	t.Parallel()
	h := newRecorder()
	f := newFake(t, Config{MemoryBytesMax: 64 << 10}, h, 1)
	a, b := f.connect(), f.connect()
	a.in = framed(pattern(1, 80<<10))[:70<<10]
	f.run()
	a.in = []byte("x") // is admitted with the pass
	f.run()
	b.in, b.chunkMax = framed(pattern(2, 80<<10)), 4<<10
	f.run()
	if len(h.frames) != 0 || f.r.budget.waiting.Load() != 1 {
		t.Fatalf("%d frames, %d wait", len(h.frames), f.r.budget.waiting.Load())
	}
	for range 4 {
		f.pass(passCheck + time.Millisecond)
	}
	if !a.gone || !errors.Is(h.causes[0], ErrMemory) {
		t.Fatalf("the slow sender is still there; causes %v", h.causes)
	}
	if len(h.frames) != 1 || b.gone {
		t.Error("the other did not complete")
	}
}
