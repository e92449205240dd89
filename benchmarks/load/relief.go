package load

import (
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// # Why a schedule is kept by two
//
// Real-time priority is not enough to wake up in time. A kernel that does not preempt itself
// (PREEMPT_NONE, which servers' kernels are built with or boot into) lets a system call or a
// kworker that writes pages back finish its stretch first, be it a millisecond, and the sleeper is
// woken on the processor where it fell asleep, even while the next one is idle. Measured at 480,000
// records/s of 1 KiB on two processors, 2 to 4 % of the records were late by hundreds of microseconds
// for that reason (docs/decisions/0007).
//
// So a thread that keeps a schedule has two carriers, OS threads of which each is bound to its half
// of the processors: the keeper runs turn after turn as ever; the relief sleeps until a little after
// the next turn is due, and if the keeper has not begun it by then, runs it. Only one of them at a
// time runs a turn, the whole of it: to take up records, and to send and receive. Nothing of a
// record's way is done by one while the other, still asleep, would be needed to go on.

const (
	// reliefAfter is how late a turn has to be before the relief runs it. It is as long as the
	// keeper needs to wake up, so that the relief mostly finds nothing to do.
	reliefAfter = int64(20 * time.Microsecond)
	// reliefPause is how long one carrier waits before it looks again whether the other's turn is
	// over. It sleeps, since the Go runtime may need the processor to let the other one go on.
	reliefPause = int64(5 * time.Microsecond)
)

// twoHalves deals processors out to two sets, one here and one there. It reports whether neither is
// empty.
func twoHalves(all *unix.CPUSet) (halves [2]unix.CPUSet, ok bool) {
	n := 0
	for cpu := range len(all) * 64 {
		if all.IsSet(cpu) {
			halves[n%2].Set(cpu)
			n++
		}
	}
	return halves, n > 1
}

// keep runs the loop of a thread with a schedule until the session stops it: with a relief where
// both carriers may have real-time priority and there is more than one processor, else alone.
func (t *thread) keep() {
	t.poller.raw = t.tally.realtime
	var all unix.CPUSet
	if !t.tally.realtime || unix.SchedGetaffinity(0, &all) != nil {
		t.keepAlone()
		return
	}
	halves, ok := twoHalves(&all)
	if !ok || unix.SchedSetaffinity(0, &halves[t.number%2]) != nil {
		t.keepAlone()
		return
	}
	// The runtime uses the OS thread again.
	defer func() { _ = unix.SchedSetaffinity(0, &all) }()
	t.agenda.Store(t.s.now() + t.nap())
	var relief sync.WaitGroup
	relief.Go(func() { t.standBy(&all, &halves[1-t.number%2]) })
	for !t.s.stop.Load() {
		t.keepOnce()
	}
	relief.Wait()
}

// keepAlone is the loop of a thread without relief.
func (t *thread) keepAlone() {
	for !t.s.stop.Load() {
		t.turn(t.poller.wait(t.nap()))
	}
}

// keepOnce waits for the next turn and runs it. Edge-triggered events come once, so those that the
// wait brought have to get into a turn: the keeper waits until the relief's is over, if it is in one.
func (t *thread) keepOnce() {
	events := t.poller.wait(t.agenda.Load() - t.s.now())
	for !t.turning.CompareAndSwap(false, true) {
		t.poller.pause(reliefPause)
	}
	t.turn(events)
	t.endTurn()
}

// endTurn says when the next turn is due, and lets the other carrier begin it.
func (t *thread) endTurn() {
	t.agenda.Store(t.s.now() + t.nap())
	t.turning.Store(false)
}

// standBy is the relief's loop.
func (t *thread) standBy(all, half *unix.CPUSet) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	undo, err := realtime()
	if err != nil {
		return
	}
	defer undo()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	if unix.SchedSetaffinity(0, half) != nil {
		return
	}
	defer func() { _ = unix.SchedSetaffinity(0, all) }()
	p := t.poller.another()
	for !t.s.stop.Load() {
		if !t.relieve(p) {
			p.pause(max(reliefPause, t.agenda.Load()+reliefAfter-t.s.now()))
		}
	}
}

// relieve runs a turn if one is late and nobody is at it. It reports whether it did.
func (t *thread) relieve(p *poller) bool {
	if t.s.now() < t.agenda.Load()+reliefAfter || !t.turning.CompareAndSwap(false, true) {
		return false
	}
	// The keeper may have run it between the look and the swap.
	if t.s.now() < t.agenda.Load()+reliefAfter {
		t.turning.Store(false)
		return false
	}
	t.relieved++
	t.turn(p.wait(0))
	t.endTurn()
	return true
}
