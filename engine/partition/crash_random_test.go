package partition

import (
	"errors"
	"math/rand/v2"
	"testing"

	"sluice/pagecache/faultfs"
	"sluice/wire"
)

// randomScript makes a workload of n random steps from a seed.
func randomScript(seed uint64, n int) script {
	return func(l *life) error {
		rnd := rand.New(rand.NewPCG(seed, 77))
		list := []func() error{l.open}
		for range n {
			list = append(list, func() error { return randomStep(l, rnd) })
		}
		return steps(l, list...)
	}
}

func randomStep(l *life, rnd *rand.Rand) error {
	switch n := rnd.IntN(100); {
	case n < 36:
		return l.produce(int64(1+rnd.IntN(3)), 1+rnd.IntN(4), rnd.IntN(420))
	case n < 44:
		return l.transact(int64(11+rnd.IntN(3)), 1+rnd.IntN(4), rnd.IntN(420))
	case n < 50:
		return l.end(int64(11+rnd.IntN(3)), rnd.IntN(3) == 0)
	case n < 60:
		return l.give(payload{records: 1 + rnd.IntN(2), bytes: rnd.IntN(850)}, wire.CodeNone)
	case n < 65:
		return l.fullDisk(payload{bytes: rnd.IntN(600)}, rnd.IntN(700)-1)
	case n < 70:
		return l.strange(payload{pid: 1, seq: l.seq[1] + 50, bytes: 30})
	case n < 76:
		return l.flush()
	case n < 82:
		return l.checkpoint()
	case n < 85:
		return l.log.Roll()
	case n < 88:
		return l.readSome(l.log.StartOffset() + rnd.Int64N(l.m.end()-l.log.StartOffset()+1))
	case n < 92:
		return l.randomCut(rnd)
	case n < 95:
		return l.deleteTo(l.log.StartOffset() + rnd.Int64N(l.m.end()-l.log.StartOffset()+1))
	default:
		return l.restart(rnd.IntN(2) == 0)
	}
}

// strange sends a batch with a gap before it: refused, except from a producer without state, which
// may begin anywhere.
func (l *life) strange(p payload) error {
	for _, known := range l.log.Producers() {
		if known.ID == p.pid {
			return l.give(p, wire.CodeOutOfOrderSequenceNumber)
		}
	}
	err := l.give(p, wire.CodeNone)
	if err == nil {
		l.seq[p.pid] = p.seq + 1
	}
	return err
}

// randomCut truncates the newest few records, never below the start.
func (l *life) randomCut(rnd *rand.Rand) error {
	low := max(l.log.StartOffset(), l.m.end()-6)
	if l.m.end() == low {
		return nil
	}
	to := low + rnd.Int64N(l.m.end()-low)
	if l.m.wholeBelow(to) < l.log.StartOffset() {
		return nil // The log would begin anew, which the model does not follow.
	}
	if err := l.cut(to); err != nil {
		return err
	}
	l.reseq()
	return nil
}

// docs/CRASH.md, again, for workloads that nobody thought of: random steps, power cut at a random
// operation.
func TestCrashRandomScripts(t *testing.T) {
	t.Parallel()
	scripts := 30 * crashSeeds(t)
	for seed := range scripts {
		rnd := rand.New(rand.NewPCG(seed, 5))
		run := randomScript(seed, 10+rnd.IntN(40))
		whole := faultfs.New()
		l := newLife(t, whole, &model{cutTo: -1}, mutants{})
		if err := runSafely(func() error { return run(l) }); err != nil && !errors.Is(err, errDead) {
			t.Fatalf("script %d, power on: %v", seed, err)
		}
		for range 4 {
			n := rnd.IntN(whole.Ops() + 1)
			if _, _, err := explorePoint(t, run, n, mutants{}, 1); err != nil {
				t.Fatalf("script %d, after operation %d: %v", seed, n, err)
			}
		}
	}
}
