package partition

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"sluice/pagecache/faultfs"
)

// crashSeeds is how many seeds each crash point gets per policy; SLUICE_CRASH_SEEDS raises it for
// long explorations.
func crashSeeds(t *testing.T) uint64 {
	if text := os.Getenv("SLUICE_CRASH_SEEDS"); text != "" {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			t.Fatalf("SLUICE_CRASH_SEEDS: %v", err)
		}
		return n
	}
	if testing.Short() {
		return 1
	}
	return 3
}

// crashPoint runs the script until n operations happened, and returns the file system, frozen, and
// the model. done says that the script ended before that.
func crashPoint(
	t testing.TB, run script, n int, muts mutants,
) (fs *faultfs.FS, m *model, done bool, err error) {
	fs, m = faultfs.New(), &model{cutTo: -1}
	fs.CrashAfter(n)
	l := newLife(t, fs, m, muts)
	err = runSafely(func() error { return run(l) })
	if errors.Is(err, errDead) {
		return fs, m, false, nil
	}
	return fs, m, true, err
}

// runSafely turns a panic into an error: a mutant may well break an invariant.
func runSafely(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

// aftermath recovers from one crash and checks the result, then restarts once more, which must
// change nothing, and goes on appending.
func aftermath(t testing.TB, fs *faultfs.FS, m *model, p faultfs.Policy, seed uint64) error {
	after := fs.Crash(p, seed)
	return runSafely(func() error {
		l := newLife(t, after, m, mutants{})
		if err := l.open(); err != nil {
			return fmt.Errorf("open: %w", err)
		}
		if err := check(l, m, p); err != nil {
			return err
		}
		leo, start := l.log.LEO(), l.log.StartOffset()
		// The crash after the crash: what recovery did must not be lost, nor be done again.
		again := newLife(t, after.Crash(faultfs.Random, seed+1), m, mutants{})
		if err := again.open(); err != nil {
			return fmt.Errorf("open again: %w", err)
		}
		if p != faultfs.Kill && (again.log.LEO() != leo || again.log.StartOffset() != start ||
			again.rec.CutBytes != 0) {
			return fmt.Errorf("a second restart changed [%d,%d) to [%d,%d), cut %d bytes",
				start, leo, again.log.StartOffset(), again.log.LEO(), again.rec.CutBytes)
		}
		if err := check(again, m, faultfs.Random); err != nil {
			return fmt.Errorf("after a second crash: %w", err)
		}
		if err := goOn(again); err != nil {
			return err
		}
		return relapse(l, seed)
	})
}

// relapse appends to a recovered log, syncs, and loses power: what recovery left behind must not
// stand in the way of the new promise.
func relapse(l *life, seed uint64) error {
	m, err := modelOf(l)
	if err != nil {
		return err
	}
	l.m = m
	if err := l.give(payload{bytes: 200}, 0); err != nil {
		return err
	}
	if err := l.flush(); err != nil {
		return err
	}
	for _, p := range []faultfs.Policy{faultfs.DropAll, faultfs.Reorder} {
		after := newLife(l.t, l.fs.Crash(p, seed), m, mutants{})
		if err := after.open(); err != nil {
			return fmt.Errorf("relapse, %s: open: %w", p, err)
		}
		if err := checkVisible(after, m); err != nil {
			return fmt.Errorf("relapse, %s: %w", p, err)
		}
	}
	return nil
}

// modelOf is the model of a log of which nothing is known but what it shows.
func modelOf(l *life) (*model, error) {
	m := &model{cutTo: -1, start: l.log.StartOffset(), asked: l.log.StartOffset()}
	visible, err := visibleBatches(l.log)
	for _, b := range visible {
		m.history = append(m.history, append([]byte(nil), b...))
	}
	if len(visible) == 0 {
		m.base = l.log.LEO()
	}
	return m, err
}

// checkVisible demands that everything in the model is there.
func checkVisible(l *life, m *model) error {
	if l.log.LEO() < m.floor {
		return fmt.Errorf("log ends at %d, records up to %d were promised", l.log.LEO(), m.floor)
	}
	got, err := visibleBatches(l.log)
	if err != nil {
		return err
	}
	return checkContents(got, m.history, l.log.StartOffset(), l.log.LEO())
}

// goOn appends to a recovered log, restarts it cleanly, and expects to find everything.
func goOn(l *life) error {
	m, err := modelOf(l)
	if err != nil {
		return err
	}
	before := l.log.LEO()
	batch := payload{bytes: 321, seed: 4242}.batch(l.t)
	a := Append{Batch: batch, LeaderEpoch: l.epoch}
	if err := submitAndWait(l.log, &a); err != nil || a.Code != 0 || a.BaseOffset != before {
		return fmt.Errorf("append after recovery: %+v", a)
	}
	m.history = append(m.history, batch)
	l.m = m
	if err := l.restart(true); err != nil {
		return fmt.Errorf("clean restart: %w", err)
	}
	if l.rec.CutBytes != 0 || l.log.LEO() != before+1 {
		return fmt.Errorf("after a clean restart the log ends at %d, %+v", l.log.LEO(), l.rec)
	}
	got, err := visibleBatches(l.log)
	if err != nil {
		return err
	}
	return checkContents(got, m.history, l.log.StartOffset(), l.log.LEO())
}

// explore crashes the script after every operation and checks every aftermath. It returns the
// first violation, and how many crashes were tried.
func explore(t testing.TB, run script, muts mutants, seeds uint64) (crashes int, err error) {
	var (
		mu    sync.Mutex
		first error
		group sync.WaitGroup
	)
	points := make(chan int)
	stop := make(chan struct{})
	var once sync.Once
	for range max(2, runtime.GOMAXPROCS(0)) {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := range points {
				tried, done, err := explorePoint(t, run, n, muts, seeds)
				mu.Lock()
				crashes += tried
				if err != nil && first == nil {
					first = fmt.Errorf("after operation %d: %w", n, err)
				}
				mu.Unlock()
				if done || err != nil {
					once.Do(func() { close(stop) })
				}
			}
		}()
	}
	for n := 0; ; n++ {
		select {
		case points <- n:
			continue
		case <-stop:
		}
		break
	}
	close(points)
	group.Wait()
	return crashes, first
}

func explorePoint(
	t testing.TB, run script, n int, muts mutants, seeds uint64,
) (tried int, done bool, err error) {
	fs, m, done, err := crashPoint(t, run, n, muts)
	if err != nil {
		return 0, done, err
	}
	for p := range faultfs.Policies {
		for seed := range seeds {
			tried++
			if err := aftermath(t, fs, m, p, seed*1000+uint64(n)); err != nil {
				return tried, done, fmt.Errorf("%s, seed %d: %w", p, seed*1000+uint64(n), err)
			}
		}
	}
	return tried, done, nil
}

// docs/CRASH.md: whatever a crash keeps, drops, tears or reorders of what was not synced, after any
// operation of append, duplicate, refusal, roll, flush, checkpoint, snapshot, deletion of records,
// truncation and restart: what was synced is there, a killed process loses nothing acknowledged,
// nothing refused is visible, offsets are dense, lookups and producer state are right, and a second
// restart changes nothing.
func TestCrashAfterEveryOperation(t *testing.T) {
	t.Parallel()
	for name, muts := range map[string]mutants{"cut in place": {}, "copy": {alwaysCopy: true}} {
		crashes, err := explore(t, wholeScript, muts, crashSeeds(t))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Logf("%s: %d crashes", name, crashes)
	}
}
