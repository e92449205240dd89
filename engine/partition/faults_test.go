package partition

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"sluice/pagecache/faultfs"
	"sluice/wire"
)

// faultKinds are the ways in which an operation fails while the power stays on.
var faultKinds = []faultfs.Fault{
	{Err: syscall.ENOSPC},
	{Err: syscall.ENOSPC, Written: 70},
	{Err: syscall.EIO, Written: -1},
}

// docs/CRASH.md: whichever operation fails, with whichever error, and whatever a crash right behind
// it keeps: nothing refused is visible, nothing promised is lost.
func TestFaultAtEveryOperation(t *testing.T) {
	t.Parallel()
	tried := 0
	for n := 1; ; n++ {
		ended := false
		for kind, fault := range faultKinds {
			fs, m := faultfs.New(), &model{cutTo: -1}
			fs.FailAt(n, fault)
			l := newLife(t, fs, m, mutants{})
			l.noFaults = true
			scriptErr := runSafely(func() error { return wholeScript(l) })
			ended = ended || fs.Ops() < n
			for _, p := range []faultfs.Policy{faultfs.Kill, faultfs.KeepAll, faultfs.Random} {
				tried++
				if err := afterFault(t, fs, m, p, uint64(n)); err != nil {
					t.Fatalf("operation %d, fault %d, then %s (script: %v): %v", n, kind, p, scriptErr,
						err)
				}
			}
		}
		if ended {
			break
		}
	}
	t.Logf("%d faults with a crash behind them", tried)
}

func afterFault(t testing.TB, fs *faultfs.FS, m *model, p faultfs.Policy, seed uint64) error {
	return runSafely(func() error {
		l := newLife(t, fs.Crash(p, seed), m, mutants{})
		if err := l.open(); err != nil {
			return fmt.Errorf("open: %w", err)
		}
		return check(l, m, p)
	})
}

// A write that the device fails takes its dir out of service: every later append is refused, the
// owner is told once, and reads of other dirs go on.
func TestDirFailureIsReportedOnceAndStopsAppends(t *testing.T) {
	t.Parallel()
	fs := faultfs.New()
	told := make(chan error, 8)
	o := dirOptions(fs, "/bad", newClock())
	o.OnFailure = func(_ *Dir, err error) { told <- err }
	bad, err := OpenDir(o)
	if err != nil {
		t.Fatal(err)
	}
	good, err := OpenDir(dirOptions(fs, "/good", newClock()))
	if err != nil {
		t.Fatal(err)
	}
	open := func(d *Dir) *Log {
		l, _, err := Open(Options{Dir: d, Topic: "t", Config: DefaultConfig()})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	logs := []*Log{open(bad), open(good)}
	give := func(l *Log) int16 {
		a := Append{Batch: payload{bytes: 100}.batch(t), LeaderEpoch: -1}
		if err := submitAndWait(l, &a); err != nil {
			t.Fatal(err)
		}
		return a.Code
	}
	for _, l := range logs {
		if code := give(l); code != wire.CodeNone {
			t.Fatal(wire.CodeName(code))
		}
	}
	fs.FailAt(fs.Ops()+1, faultfs.Fault{Err: syscall.EIO})
	for range 3 {
		if code := give(logs[0]); code != wire.CodeKafkaStorageError {
			t.Errorf("append to the failed dir: %s", wire.CodeName(code))
		}
	}
	if code := give(logs[1]); code != wire.CodeNone {
		t.Errorf("append to the other dir: %s", wire.CodeName(code))
	}
	if err := <-told; !errors.Is(err, syscall.EIO) {
		t.Errorf("told of %v", err)
	}
	if len(told) != 0 {
		t.Error("told more than once")
	}
	if err := bad.Checkpoint(); !errors.Is(err, syscall.EIO) {
		t.Errorf("checkpoint of the failed dir: %v", err)
	}
}
