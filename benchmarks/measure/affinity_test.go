package measure

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// allowed lists what each thread of a process may run on.
func allowed(t *testing.T, pid int) map[int][]int {
	t.Helper()
	sets := map[int][]int{}
	err := eachThread(pid, func(tid int) (err error) {
		sets[tid], err = CurrentAffinity(tid)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sets
}

// TestAffinity: all threads of a running process are pinned, those that it starts later too, and
// Restore gives all of them back what they had.
func TestAffinity(t *testing.T) {
	b := startBurner(t)
	b.thread()
	all, err := CurrentAffinity(b.pid())
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	last := all[len(all)-1:]
	p, err := Affinity(b.pid(), last)
	if err != nil {
		t.Fatal(err)
	}
	b.thread()
	for tid, cpus := range allowed(t, b.pid()) {
		if !slices.Equal(cpus, last) {
			t.Errorf("thread %d may run on %v, want %v", tid, cpus, last)
		}
	}
	if err := p.Restore(); err != nil {
		t.Fatal(err)
	}
	for tid, cpus := range allowed(t, b.pid()) {
		if !slices.Equal(cpus, all) {
			t.Errorf("thread %d may run on %v after Restore, want %v", tid, cpus, all)
		}
	}
	b.end()
	b.bury()
	if err := p.Restore(); err != nil {
		t.Errorf("Restore after the process's end: %v", err)
	}
	if _, err := Affinity(b.pid(), last); !errors.Is(err, ErrProcessGone) {
		t.Errorf("got %v, want ErrProcessGone", err)
	}
}

// TestAffinityRefused: sets that no machine can take leave the process as it was.
func TestAffinityRefused(t *testing.T) {
	b := startBurner(t)
	before := allowed(t, b.pid())
	for _, cpus := range [][]int{nil, {-1}, {1 << 20}, {1023}} {
		if slices.Equal(cpus, before[b.pid()]) {
			continue
		}
		if _, err := Affinity(b.pid(), cpus); err == nil {
			t.Errorf("%v was accepted", cpus)
		}
	}
	if after := allowed(t, b.pid()); !slices.Equal(after[b.pid()], before[b.pid()]) {
		t.Errorf("main thread: %v, was %v", after[b.pid()], before[b.pid()])
	}
}

// TestEachThreadUntilStable: a thread that appears while others are worked on gets its turn.
func TestEachThreadUntilStable(t *testing.T) {
	b := startBurner(t)
	seen, grown := map[int]bool{}, false
	err := eachThread(b.pid(), func(tid int) error {
		if seen[tid] {
			t.Errorf("thread %d came twice", tid)
		}
		seen[tid] = true
		if !grown {
			grown = true
			b.thread()
		}
		return unix.ESRCH // as if it had ended: no reason to stop
	})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("/proc/" + strconv.Itoa(b.pid()) + "/task")
	if err != nil || len(seen) < 2 || len(entries) < 2 {
		t.Errorf("saw %d threads of %d (%v)", len(seen), len(entries), err)
	}
}
