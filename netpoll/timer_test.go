package netpoll

import (
	"math/rand/v2"
	"testing"
	"time"
)

// The wheel fires each timer once, never early, at the first advance past its tick, and never asks
// to be left alone for longer than until the first timer: compared with a plain list.
func TestWheel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		nowNs := rnd.Int64N(int64(1000 * time.Hour))
		var w wheel
		w.init(nowNs)
		timers := make([]Timer, 50)
		due := map[int]int64{} // the model: armed timers
		var fired []int
		for i := range timers {
			timers[i].Fire = func() { fired = append(fired, i) }
		}
		for range 3000 {
			switch i := rnd.IntN(len(timers)); rnd.IntN(4) {
			case 0, 1:
				due[i] = nowNs + rnd.Int64N(1<<(10+rnd.IntN(42)))
				w.start(&timers[i], due[i])
			case 2:
				if _, armed := due[i]; w.stop(&timers[i]) != armed {
					t.Fatal("stop says otherwise")
				}
				delete(due, i)
			}
			nowNs = stepWheel(t, &w, rnd, nowNs, due)
			fired = fired[:0]
			w.advance(nowNs)
			checkFired(t, nowNs, due, fired)
			if w.count != len(due) {
				t.Fatalf("%d timers armed, want %d", w.count, len(due))
			}
		}
	}
}

// stepWheel picks the next reading of the clock, and checks that the wheel would not oversleep.
func stepWheel(t *testing.T, w *wheel, rnd *rand.Rand, nowNs int64, due map[int]int64) int64 {
	t.Helper()
	until := w.untilDue(nowNs)
	for _, at := range due {
		if until < 0 || nowNs+until > at+timerTickNs {
			t.Fatalf("sleeps for %d, a timer is due in %d", until, at-nowNs)
		}
	}
	if rnd.IntN(2) == 0 && until >= 0 {
		return nowNs + until
	}
	return nowNs + rnd.Int64N(1<<(10+rnd.IntN(36)))
}

func checkFired(t *testing.T, nowNs int64, due map[int]int64, fired []int) {
	t.Helper()
	for _, i := range fired {
		at, armed := due[i]
		if !armed || at > nowNs {
			t.Fatalf("timer %d fired %d ns early, armed %v", i, at-nowNs, armed)
		}
		delete(due, i)
	}
	for i, at := range due {
		if at <= nowNs-timerTickNs {
			t.Fatalf("timer %d did not fire %d ns after its time", i, nowNs-at)
		}
	}
}

// Fire may start and stop timers, its own included.
func TestTimerFromTimer(t *testing.T) {
	t.Parallel()
	var w wheel
	w.init(0)
	var a, b, c Timer
	count := 0
	a.Fire = func() {
		if count++; count < 5 {
			w.start(&a, int64(count)*10e6)
		}
		w.stop(&b)
	}
	b.Fire = func() { t.Error("a stopped timer fired") }
	c.Fire = func() {}
	w.start(&a, 1e6)
	w.start(&b, 2e6)
	w.start(&c, 1e18)
	w.advance(100e6)
	if count != 5 || w.count != 1 {
		t.Errorf("fired %d times, %d left", count, w.count)
	}
}

func BenchmarkTimerRestart(b *testing.B) {
	var w wheel
	w.init(0)
	timers := make([]Timer, 10_000)
	for i := range timers {
		timers[i].Fire = func() {}
		w.start(&timers[i], int64(i)*1e6)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w.start(&timers[i%len(timers)], int64(i%1000)*1e6+500e6)
	}
}
