package benchmarks

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/workload"
)

// TestDiskGuard: the reserve is 2 GiB, or half of what was free where that is less; a folder is looked
// for a few times only.
func TestDiskGuard(t *testing.T) {
	f := func(want bool, free ...uint64) {
		t.Helper()
		g := &diskGuard{dir: "/data", free: func(string) (uint64, error) {
			next := free[0]
			free = free[1:]
			return next, nil
		}}
		var err error
		for len(free) > 0 && err == nil {
			err = g.look()
		}
		if (err != nil) != want || err != nil && !strings.Contains(err.Error(), "left in /data") {
			t.Errorf("%v, want an error: %v", err, want)
		}
	}
	f(false, 100<<30, 3<<30, 2<<30)
	f(true, 100<<30, 2<<30-1)
	f(false, 1<<30, 1<<29)
	f(true, 1<<30, 1<<29-1)
	f(true, 0)

	looks := 0
	g := &diskGuard{find: func() string { looks++; return "" }}
	for range 3 * dataDirTries {
		if err := g.look(); err != nil {
			t.Error(err)
		}
	}
	if looks != dataDirTries {
		t.Errorf("looked %d times", looks)
	}
	g = &diskGuard{dir: "/data", free: func(string) (uint64, error) { return 0, os.ErrPermission }}
	if err := g.look(); err != nil {
		t.Error(err)
	}
	if free, err := freeBytes(t.TempDir()); err != nil || free == 0 {
		t.Errorf("%d bytes, %v", free, err)
	}
}

// TestRunEndsBeforeTheDiskIsFull: a run that writes without bound ends in a failed result that says
// why, not in a full disk.
func TestRunEndsBeforeTheDiskIsFull(t *testing.T) {
	left := []uint64{50 << 30, 20 << 30, 1 << 30}
	o := Options{
		Target: drive.Target{Raw: true}, BrokerPid: os.Getpid(), Admin: "-", DataDir: t.TempDir(),
		watchEvery: time.Millisecond,
		freeBytes: func(string) (uint64, error) {
			free := left[0]
			if len(left) > 1 {
				left = left[1:]
			}
			return free, nil
		},
		Client: func(ctx context.Context, _ drive.Target, _ workload.Spec, _ drive.Hooks,
		) (drive.Outcome, error) {
			<-ctx.Done()
			return drive.Outcome{}, ctx.Err()
		},
		Spec: workload.Spec{Mode: workload.Produce},
	}
	res, err := Run(t.Context(), o)
	if err != nil || !strings.Contains(res.Error, "the disk is nearly full: 1073 MB are left") || res.Interrupted {
		t.Errorf("%v %+v", err, res)
	}
}
