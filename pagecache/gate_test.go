package pagecache

import (
	"sync/atomic"
	"testing"
	"time"
)

// The gate closes after one operation over 2 ms, and opens after 16 times what that took, or half a
// second.
func TestGateClosesOnSlowOperations(t *testing.T) {
	t.Parallel()
	now := int64(1)
	g := NewGate(GateOptions{
		Clock:      func() int64 { return now },
		DirtyPages: func() (int64, int64, bool) { return 0, 0, false },
	})
	f := func(when string, want bool) {
		t.Helper()
		if got := g.Inline(); got != want {
			t.Errorf("%s: inline %v", when, got)
		}
	}
	f("new", true)
	start := g.Start()
	now += int64(2 * time.Millisecond)
	g.Observe(start)
	f("after 2 ms", true)
	now++
	g.Observe(start)
	f("after more than 2 ms", false)
	now += int64(7 * time.Millisecond)
	f("before 4 times that", false)
	now += int64(2 * time.Millisecond)
	f("after 4 times that", true)
	start = g.Start()
	now += int64(300 * time.Millisecond)
	g.Observe(start)
	now += int64(499 * time.Millisecond)
	f("before half a second", false)
	now += int64(time.Millisecond)
	f("after half a second", true)
	if g.Closings() != 2 {
		t.Errorf("%d closings", g.Closings())
	}
}

// The gate closes when dirty pages near the kernel's throttling point, and stays closed until there
// are clearly fewer; /proc is read ten times a second at most.
func TestGateClosesOnDirtyPages(t *testing.T) {
	t.Parallel()
	now, dirty, reads := int64(1), int64(0), 0
	g := NewGate(GateOptions{
		Clock:      func() int64 { return now },
		DirtyPages: func() (int64, int64, bool) { reads++; return dirty, 1000, true },
	})
	f := func(d int64, want bool) {
		t.Helper()
		dirty = d
		now += int64(time.Second)
		g.Probe()
		g.Probe()
		if got := g.Inline(); got != want {
			t.Errorf("%d dirty pages of 1000: inline %v", d, got)
		}
		now += int64(time.Second)
	}
	f(899, true)
	f(900, false)
	f(800, false)
	f(749, true)
	if reads != 4 {
		t.Errorf("/proc was read %d times for 8 probes", reads)
	}
}

// Write-behind is worth it from half of the throttling point on, and where nothing is known.
func TestGatePressed(t *testing.T) {
	t.Parallel()
	now, dirty, known := int64(1), int64(0), true
	g := NewGate(GateOptions{
		Clock:      func() int64 { return now },
		DirtyPages: func() (int64, int64, bool) { return dirty, 1000, known },
	})
	f := func(d int64, ok, want bool) {
		t.Helper()
		dirty, known = d, ok
		now += int64(time.Second)
		g.Probe()
		if got := g.Pressed(); got != want {
			t.Errorf("%d dirty pages of 1000, known %v: pressed %v", d, ok, got)
		}
	}
	f(499, true, false)
	f(500, true, true)
	f(0, true, false)
	f(0, false, true)
}

// The kernel's account is readable here, and its throttling point is above zero.
func TestDirtyPages(t *testing.T) {
	t.Parallel()
	dirty, throttle, ok := dirtyPages()
	if !ok {
		t.Skip("/proc/vmstat is not readable here")
	}
	if dirty < 0 || throttle <= 0 {
		t.Errorf("%d dirty pages of %d", dirty, throttle)
	}
}

// Worker: tasks run in order, one at a time; a waiting task is not queued twice; one that is posted
// while it runs runs again.
func TestWorker(t *testing.T) {
	t.Parallel()
	w := NewWorker()
	var order []int
	gate := make(chan struct{})
	first := &Task{Run: func() { <-gate; order = append(order, 1) }}
	second := &Task{Run: func() { order = append(order, 2) }}
	w.Post(first)
	w.Post(second)
	w.Post(second)
	close(gate)
	w.Wait()
	w.Post(first)
	w.Close()
	if w.Post(second) {
		t.Error("a closed worker took a task")
	}
	if len(order) != 3 || order[0] != 1 || order[1] != 2 || order[2] != 1 {
		t.Errorf("order %v", order)
	}
	again := NewWorker()
	var runs atomic.Int32
	var task *Task
	task = &Task{Run: func() {
		if runs.Add(1) == 1 {
			again.Post(task)
		}
	}}
	again.Post(task)
	again.Wait()
	again.Close()
	if runs.Load() != 2 {
		t.Errorf("%d runs", runs.Load())
	}
}

// Ahead reserves nothing for an idle or slow file, grows with the rate, stays within the budget and
// the segment, and gives everything back.
func TestAheadFollowsTheRate(t *testing.T) {
	t.Parallel()
	budget := NewBudget(100 << 20)
	a := NewAhead(budget, 0, 0)
	tail, nowMs := int64(0), int64(0)
	grow := func(bytes, ms int64) (n int64) {
		tail, nowMs = tail+bytes, nowMs+ms
		pos, n := a.Want(tail, 1<<30, nowMs)
		if n > 0 {
			a.Grant(pos, n)
		}
		a.Used(tail)
		return n
	}
	if n := grow(1000, 10); n != 0 {
		t.Errorf("an almost idle file got %d bytes", n)
	}
	last, grants := int64(0), 0
	for range 400 {
		if n := grow(1<<20, 2); n > 0 {
			if n < last {
				t.Errorf("a fast file's step went from %d to %d", last, n)
			}
			last, grants = n, grants+1
		}
	}
	if last != aheadStepMax || grants > 20 {
		t.Errorf("after 400 MiB the step is %d, %d grants", last, grants)
	}
	if budget.Used() > 2*aheadStepMax || !a.Reserved(tail) {
		t.Errorf("%d bytes of the budget are used", budget.Used())
	}
	for range 200 {
		grow(1<<20, 20_000)
	}
	if n := grow(1<<20, 20_000); n > aheadStepMin {
		t.Errorf("a slow file still gets %d bytes", n)
	}
	a.Close()
	if budget.Used() != 0 {
		t.Errorf("%d bytes were not given back", budget.Used())
	}
	full := NewAhead(NewBudget(10), 0, 0)
	if _, n := full.Want(1<<20, 1<<30, 5); n != 0 {
		t.Error("the budget was exceeded")
	}
}

// The file behind a fast one reserves at its rate from the first append on; behind one that was fast
// long ago it has to show its own.
func TestAheadFollows(t *testing.T) {
	t.Parallel()
	f := func(rollMs, want int64) {
		t.Helper()
		budget := NewBudget(1 << 30)
		old := NewAhead(budget, 0, 0)
		for tail := int64(0); tail < 100<<20; tail += 1 << 20 {
			if pos, n := old.Want(tail, 1<<30, tail>>20); n > 0 {
				old.Grant(pos, n)
			}
		}
		a := NewAhead(budget, 0, rollMs)
		a.Follow(&old, rollMs)
		if _, n := a.Want(1000, 1<<30, rollMs+1); n != want {
			t.Errorf("rolled after %d ms: %d bytes are wanted first", rollMs, n)
		}
		if _, n := a.Want(1000, 1<<30, rollMs+1); n != 0 {
			t.Errorf("rolled after %d ms: %d bytes are wanted again", rollMs, n)
		}
	}
	f(100, aheadStepMax)
	f(100_000, 0)
}

// Where the budget has no room for a file's step it gets a smaller one.
func TestAheadSharesTheBudget(t *testing.T) {
	t.Parallel()
	budget := NewBudget(aheadStepMax + 3*aheadStepMin)
	var files [3]Ahead
	for i := range files {
		files[i] = NewAhead(budget, 0, 0)
		files[i].step, files[i].follows = aheadStepMax/2, true
	}
	for i, want := range []int64{aheadStepMax, 2 * aheadStepMin, aheadStepMin} {
		if _, n := files[i].Want(0, 1<<30, 1); n != want {
			t.Errorf("file %d: %d bytes are wanted, not %d", i, n, want)
		}
	}
	if _, n := files[0].Want(1<<20, 1<<30, 1); n != 0 || budget.Used() != aheadStepMax+3*aheadStepMin {
		t.Errorf("%d bytes are used", budget.Used())
	}
}
