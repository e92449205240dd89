package pagecache

import (
	"sync/atomic"
	"time"
)

// The gate's thresholds. Two milliseconds is where one append costs every other connection of a
// reactor more than a turn; see docs/NONOBVIOUS.md for how write(2) can take a hundred times that.
const (
	gateSlow = 2 * time.Millisecond
	// gateCalm is how long the gate stays closed after the last trouble, at most. After one slow
	// operation it is gateCalmFactor times what that took: a thread that merely lost its core for
	// a few milliseconds looks just like a short stall, and must not cost half a second of detours.
	gateCalm       = 500 * time.Millisecond
	gateCalmFactor = 4
	// gateProbeEvery bounds how often /proc/vmstat is read.
	gateProbeEvery = 100 * time.Millisecond
	// Share of the kernel's throttling point at which the gate closes, and opens again, percent.
	gateDirtyClose = 90
	gateDirtyOpen  = 75
	// gateDirtyBehind is the share from which write-behind is worth it, percent. Below, what is
	// dirty is a burst that memory takes: writing it at once would cost the burst half its speed, as
	// the device's transfers and the appends want the same memory and the same inode. Above, what
	// keeps coming is written in steps before the kernel has a heap of it to write.
	gateDirtyBehind = 50
)

// Gate says for one log dir whether appends may run inline on a reactor. It closes when one append
// took over 2 ms, or when dirty pages near the point from which the kernel makes writers sleep; then
// the dir's appends go through its Writer, one goroutine, in order, until some time, half a second
// at most, has passed without trouble.
//
// How long a sync takes says how much was dirty, and nothing about what an append beside it takes:
// syncs are not observed. An append that meets one and has to wait tells by itself.
type Gate struct {
	writer *Worker
	// calmNs is until when the gate stays closed, in clock's nanoseconds; 0 means that it is open.
	// It publishes nothing else.
	calmNs atomic.Int64
	// dirty says that the last probe was above the line, pressed that it was above gateDirtyBehind.
	dirty   atomic.Bool
	pressed atomic.Bool
	probeNs atomic.Int64
	closed  atomic.Int64
	clock   func() int64
	pages   func() (dirty, throttle int64, ok bool)
}

// GateOptions replaces the gate's senses in tests; zero values mean the real ones.
type GateOptions struct {
	// Clock is a monotonic reading in nanoseconds, never 0.
	Clock func() int64
	// DirtyPages reports the dirty pages and the count at which the kernel throttles writers.
	DirtyPages func() (dirty, throttle int64, ok bool)
}

// NewGate returns an open gate.
func NewGate(o GateOptions) *Gate {
	g := &Gate{writer: NewWorker(), clock: o.Clock, pages: o.DirtyPages}
	if g.clock == nil {
		start := time.Now()
		g.clock = func() int64 { return int64(time.Since(start)) + 1 }
	}
	if g.pages == nil {
		g.pages = dirtyPages
	}
	return g
}

// Writer is the goroutine through which appends go while the gate is closed.
func (g *Gate) Writer() *Worker { return g.writer }

// Closings counts how often the gate has closed.
func (g *Gate) Closings() int64 { return g.closed.Load() }

// Inline reports whether an append may run on the caller's goroutine even if that is a reactor.
// While the gate is open this is one atomic load.
func (g *Gate) Inline() bool {
	calm := g.calmNs.Load()
	if calm == 0 {
		return true
	}
	if g.dirty.Load() || g.clock() < calm {
		return false
	}
	g.calmNs.CompareAndSwap(calm, 0)
	return true
}

// Start is the reading to hand to Observe when the append is done.
func (g *Gate) Start() int64 { return g.clock() }

// Observe closes the gate when the append begun at start, a reading from Start, was slow.
func (g *Gate) Observe(start int64) {
	now := g.clock()
	if took := now - start; took > int64(gateSlow) {
		g.trouble(now + min(took*gateCalmFactor, int64(gateCalm)))
	}
}

// Probe compares the kernel's dirty pages with its throttling point, at most ten times a second.
// It reads /proc: workers only. The write-behind worker calls it at each step, the dir's writer at
// each turn.
func (g *Gate) Probe() {
	now, last := g.clock(), g.probeNs.Load()
	if last != 0 && now-last < int64(gateProbeEvery) || !g.probeNs.CompareAndSwap(last, now) {
		return
	}
	dirty, throttle, ok := g.pages()
	if !ok || throttle <= 0 {
		g.pressed.Store(true) // Nothing is known: steady steps are the safe way.
		return
	}
	g.pressed.Store(dirty*100 >= throttle*gateDirtyBehind)
	switch {
	case dirty*100 >= throttle*gateDirtyClose:
		g.dirty.Store(true)
		g.trouble(now + int64(gateCalm))
	case dirty*100 < throttle*gateDirtyOpen:
		g.dirty.Store(false)
	}
}

// Pressed reports whether the last probe found so much dirty that write-behind is worth it.
func (g *Gate) Pressed() bool { return g.pressed.Load() }

// trouble closes the gate until calm, or keeps it closed if that is later already.
func (g *Gate) trouble(calm int64) {
	for {
		was := g.calmNs.Load()
		if was >= calm {
			return
		}
		if g.calmNs.CompareAndSwap(was, calm) {
			if was == 0 {
				g.closed.Add(1)
			}
			return
		}
	}
}
