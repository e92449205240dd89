package measure

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func fixedClock(nanos int64) func(int) (int64, error) {
	return func(int) (int64, error) { return nanos, nil }
}

func TestProcessFromFiles(t *testing.T) {
	tr := newTree(t)
	tr.process(42, "S", 150, 30, 4000, 9)
	tr.put("proc/42/io", "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 6\n"+
		"cancelled_write_bytes: 7\n")
	m, err := openProcess(tr.root, 42, fixedClock(1_812_345_678))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	want := ProcessSample{
		CPUNanos: 1_812_345_678, UserNanos: 1_500_000_000, SystemNanos: 300_000_000,
		Memory:            Memory{4300 * 1024, 4000 * 1024, 200 * 1024, 100 * 1024},
		RSSHighWaterBytes: 9000 * 1024, Threads: 9, MinorFaults: 96, MajorFaults: 7,
		IO: ProcessIO{1, 2, 3, 4, 5, 6, 7}, HasIO: true,
	}
	var got ProcessSample
	if err := m.Sample(&got); err != nil || got != want || m.Last() != want {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if m.Command() != "odd) R (name" {
		t.Errorf("command %q: a name may hold parentheses", m.Command())
	}
}

// TestProcessIORefused: what another user's /proc/pid/io answers must not cost the other figures.
func TestProcessIORefused(t *testing.T) {
	tr := newTree(t)
	tr.process(42, "S", 1, 1, 1, 1)
	tr.put("proc/42/io/directory", "") // Reading it fails for root, too.
	m, err := openProcess(tr.root, 42, fixedClock(1))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var s ProcessSample
	if err := m.Sample(&s); err != nil || s.HasIO || m.IOErr() == nil || s.Threads != 1 {
		t.Errorf("sample %+v, error %v, IO error %v", s, err, m.IOErr())
	}
}

// TestProcessBadStat: text that is not a stat line is an error, never a panic or a zero sample.
func TestProcessBadStat(t *testing.T) {
	for _, text := range []string{"", "1", "1 (a", "1 a) S 1", "1 (a) ", "1 (a) SS 1", "1 (a) S 1 2 3", ")("} {
		tr := newTree(t)
		tr.process(42, "S", 1, 1, 1, 1)
		tr.put("proc/42/stat", text)
		if m, err := openProcess(tr.root, 42, fixedClock(1)); err == nil {
			m.Close()
			t.Errorf("%q was taken for a stat line", text)
		}
	}
}

func TestProcessNeverThere(t *testing.T) {
	if _, err := OpenProcess(t.TempDir(), 42); !errors.Is(err, ErrProcessGone) {
		t.Errorf("got %v, want ErrProcessGone", err)
	}
	const pidNever = 1<<22 + 1 // above the kernel's highest (PID_MAX_LIMIT)
	if _, err := OpenProcess("", pidNever); !errors.Is(err, ErrProcessGone) {
		t.Errorf("got %v, want ErrProcessGone", err)
	}
	if _, err := processCPU(pidNever); !errors.Is(err, ErrProcessGone) {
		t.Errorf("clock: got %v, want ErrProcessGone", err)
	}
}

// TestProcessClockIsTheProcesss: read between two readings of this process's own clock, the clock
// by process id lies between them (clock_getcpuclockid(3)).
func TestProcessClockIsTheProcesss(t *testing.T) {
	own := func() int64 {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
			t.Fatal(err)
		}
		return ts.Nano()
	}
	before := own()
	byPid, err := processCPU(os.Getpid())
	if after := own(); err != nil || byPid < before || byPid > after {
		t.Errorf("%d by process id (%v), not within %d and %d", byPid, err, before, after)
	}
}

// TestProcessLivesAndEnds: a child's processor time grows while it runs; when it has ended, buried
// or not, the meter says so and keeps what it knew.
func TestProcessLivesAndEnds(t *testing.T) {
	b := startBurner(t)
	m, err := OpenProcess("", b.pid())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var first, now ProcessSample
	if err := m.Sample(&first); err != nil {
		t.Fatal(err)
	}
	for now.CPUNanos < first.CPUNanos+20_000_000 {
		if err := m.Sample(&now); err != nil {
			t.Fatal(err)
		}
	}
	mem := now.Memory
	if mem.RSSBytes == 0 || mem.RSSBytes != mem.AnonBytes+mem.FileBytes+mem.ShmemBytes {
		t.Errorf("memory %+v: RSS must be the sum of its kinds", mem)
	}
	b.end()
	for {
		kept := now
		if err = m.Sample(&now); err != nil {
			if now != kept {
				t.Errorf("a failed sample changed %+v to %+v", kept, now)
			}
			break
		}
	}
	if !errors.Is(err, ErrProcessGone) {
		t.Errorf("ended: %v, want ErrProcessGone", err)
	}
	b.bury()
	if err := m.Sample(&now); !errors.Is(err, ErrProcessGone) {
		t.Errorf("buried: %v, want ErrProcessGone", err)
	}
	if last := m.Last(); last.CPUNanos < now.CPUNanos || last.Memory != now.Memory {
		t.Errorf("last %+v lost what was known: %+v", last, now)
	}
}

func TestThreadSwitches(t *testing.T) {
	b := startBurner(t)
	m, err := OpenProcess("", b.pid())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	before, err := m.ThreadSwitches()
	if err != nil || before[b.pid()] == (Switches{}) {
		t.Fatalf("switches %v, %v: want the main thread's among them", before, err)
	}
	b.thread()
	after, err := m.ThreadSwitches()
	if err != nil || len(after) <= 1 {
		t.Fatalf("switches %v, %v", after, err)
	}
	if sum := switchesBetween(before, after); sum.Voluntary <= 0 {
		t.Errorf("%+v: the child slept at least once on its input", sum)
	}
}

func TestSwitchesBetween(t *testing.T) {
	start := map[int]Switches{1: {10, 5}, 2: {7, 7}, 3: {50, 1}}
	end := map[int]Switches{1: {14, 6}, 3: {2, 2}, 4: {1, 0}} // 2 ended, 3 is another thread now.
	if got, want := switchesBetween(start, end), (Switches{7, 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func FuzzParsers(f *testing.F) {
	f.Add([]byte("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1\nctxt 5\n"))
	f.Add([]byte("42 (a) b) S 1 1 1 0 -1 4194304 96 0 0 0 1 1 0 0 20 0 1 0 1\n"))
	f.Add([]byte("Dirty: 99999999999999999999 kB\nVmRSS:\n:\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p ProcessSample
		parseStatus(text, &p)
		var h HostSample
		_ = parseHostStat(text, &h)
		parseMeminfo(text, &h.Pages)
		var d DeviceSample
		_ = parseDeviceStat(text, &d)
		if h.CPUs < 0 || d.Reads < 0 {
			t.Errorf("negative: %+v %+v", h, d)
		}
	})
}
