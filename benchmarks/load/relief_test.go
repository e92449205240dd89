package load

import (
	"testing"

	"golang.org/x/sys/unix"
)

// The relief runs a turn that nobody has begun in time, and no other.
func TestReliefRunsLateTurns(t *testing.T) {
	c := newSchedule(t, 1000, 1)
	th, p := c.thread, c.thread.poller.another()
	f := func(name string, want bool, due int64) {
		t.Helper()
		if got := th.relieve(p); got != want {
			t.Errorf("%s: relieved is %t", name, got)
		}
		if got := th.gauges.due.Load(); got != due {
			t.Errorf("%s: %d records were taken up, want %d", name, got, due)
		}
	}
	th.agenda.Store(c.clock)
	c.clock += reliefAfter - 1
	f("a turn that is not late enough", false, 0)
	c.clock++
	th.turning.Store(true)
	f("a turn that the keeper is at", false, 0)
	th.turning.Store(false)
	f("a late turn", true, 1)
	if th.turning.Load() || th.agenda.Load() <= c.clock || th.relieved != 1 {
		t.Errorf("afterwards: turning %t, next turn in %d ns, %d relieved",
			th.turning.Load(), th.agenda.Load()-c.clock, th.relieved)
	}
	f("the same turn", false, 1)
	c.clock += 3 * ms
	f("the next one, of which the keeper knows nothing yet", true, 4)
	if lag := c.stage(stageLag); !about(lag.Max(), 2*ms+reliefAfter) {
		t.Errorf("lag at most %d: the relief's lateness is the generator's", lag.Max())
	}
}

// What the keeper's wait brought is not lost because the relief is in a turn.
func TestKeeperWaitsForTheReliefsTurn(t *testing.T) {
	c := newSchedule(t, 1000, 1)
	th := c.thread
	th.agenda.Store(c.clock)
	th.keepOnce()
	if n := c.requests(); n != 1 {
		t.Fatalf("%d requests, want 1", n)
	}
	c.reply(0)
	th.turning.Store(true)
	th.agenda.Store(0)
	done := make(chan struct{})
	go func() {
		th.keepOnce()
		close(done)
	}()
	th.turning.Store(false)
	<-done
	if got := th.gauges.acked.Load(); got != 1 {
		t.Errorf("%d records are acknowledged, want 1", got)
	}
}

// Neither carrier's way to a turn allocates.
func TestCarriersDoNotAllocate(t *testing.T) {
	c := newSchedule(t, 1000, 1)
	th, p := c.thread, c.thread.poller.another()
	step := func() {
		th.agenda.Store(0)
		th.keepOnce()
		for range c.requests() {
			c.reply(c.replied)
			c.replied++
		}
		c.clock += ms + reliefAfter
		th.agenda.Store(0)
		th.relieve(p)
	}
	for range 100 {
		step()
	}
	if n := testing.AllocsPerRun(200, step); n != 0 {
		t.Errorf("%g allocations in a round", n)
	}
	if c.stage(stageAck).Count() == 0 {
		t.Error("nothing was acknowledged")
	}
}

// The carriers never share a processor, and together they have all.
func TestTwoHalves(t *testing.T) {
	f := func(want bool, cpus ...int) {
		t.Helper()
		var all unix.CPUSet
		for _, cpu := range cpus {
			all.Set(cpu)
		}
		halves, ok := twoHalves(&all)
		if ok != want {
			t.Errorf("%v: ok is %t", cpus, ok)
		}
		for i, cpu := range cpus {
			if !halves[i%2].IsSet(cpu) || halves[1-i%2].IsSet(cpu) {
				t.Errorf("%v: processor %d is in the wrong half", cpus, cpu)
			}
		}
		if halves[0].Count()+halves[1].Count() != len(cpus) {
			t.Errorf("%v: the halves have %d and %d", cpus, halves[0].Count(), halves[1].Count())
		}
	}
	f(false)
	f(false, 3)
	f(true, 0, 1)
	f(true, 2, 5, 7)
	f(true, 0, 64, 65, 1023)
}
