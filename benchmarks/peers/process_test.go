package peers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A start that fails tells why in the broker's own words, and leaves nothing.
func TestStartFailure(t *testing.T) {
	t.Parallel()
	f := func(t *testing.T, p Peer, overrides map[string]string, want ...string) {
		t.Helper()
		i, err := p.Start(t.Context(), StartOptions{Dir: t.TempDir(), Overrides: overrides})
		if err == nil {
			_ = i.Stop(t.Context())
			t.Fatal("it started")
		}
		for _, w := range append(want, ErrEnded.Error(), "exit status") {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q is not in: %v", w, err)
			}
		}
	}
	f(t, newSluice(t), map[string]string{"num.io.threads": "many"}, "num.io.threads")
	t.Run("kfake", func(t *testing.T) {
		f(t, newKFake(t), map[string]string{"no.such.config": "1"}, "no.such.config")
	})
}

// The end of the log is what an error shows, not all of it.
func TestStartFailureTail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := scriptLaunch(`seq 1 1000; echo "cannot bind" >&2; exit 3`).
		start(t.Context(), StartOptions{Dir: dir})
	if err == nil {
		t.Fatal("no error")
	}
	text := err.Error()
	if !strings.HasSuffix(text, "999\n1000\ncannot bind") || strings.Contains(text, "\n980\n") ||
		!strings.Contains(text, "\n982\n") || !strings.Contains(text, "exit status 3") {
		t.Errorf("error: %s", text)
	}
}

// A command that is not there fails at the fork; a processor that is not there before it.
func TestStartImpossible(t *testing.T) {
	t.Parallel()
	l := scriptLaunch("")
	l.command = []string{"/nonexistent/broker"}
	if _, err := l.start(t.Context(), StartOptions{Dir: t.TempDir()}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such command: %v", err)
	}
	_, err := scriptLaunch("echo ready at x; sleep 1000").
		start(t.Context(), StartOptions{Dir: t.TempDir(), CPUs: []int{cpuMax}})
	if err == nil || !strings.Contains(err.Error(), "processors [1023]") {
		t.Errorf("no such processor: %v", err)
	}
}

// A broker that never answers is killed with its children when the caller's patience ends.
func TestStartCancelled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	l := scriptLaunch(`sleep 1000 & echo $! >child; echo "ready at x"; wait`)
	var w watch
	l.probe = func(context.Context, string) error {
		w = watchProcess(t, readPid(t, filepath.Join(dir, "child")))
		cancel(nil)
		return errors.New("still loading")
	}
	_, err := l.start(ctx, StartOptions{Dir: dir})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "still loading") {
		t.Errorf("error: %v", err)
	}
	if !w.ended(patience) {
		t.Error("its child lives")
	}
}

func readPid(t *testing.T, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// What a broker leaves in its group ends with it.
func TestGroupIsSwept(t *testing.T) {
	t.Parallel()
	i := script(t, `sleep 1000 & echo $! >child; echo "ready at x"; read never </dev/zero`)
	w := watchProcess(t, readPid(t, filepath.Join(i.Dir, "child")))
	if err := unix.Kill(i.Pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-i.Done()
	if !w.ended(patience) {
		t.Error("its child lives")
	}
}

// A broker that does not listen to SIGTERM is killed, and that is an error.
func TestStubborn(t *testing.T) {
	t.Parallel()
	const stubborn = `trap "" TERM; echo "ready at x"; while :; do sleep 1000; done`
	i := script(t, stubborn)
	err := i.process.terminate(t.Context(), time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "had to be killed") || !i.process.gone() {
		t.Errorf("after its time: %v", err)
	}
	i = script(t, stubborn)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := i.Stop(ctx); !errors.Is(err, context.Canceled) || !i.process.gone() {
		t.Errorf("after the caller's: %v", err)
	}
}

// SIGTERM may end a broker by its default action, by exit code 0 or by a JVM's 143; all else is
// an error.
func TestVerdict(t *testing.T) {
	t.Parallel()
	f := func(text string, want string) {
		t.Helper()
		err := script(t, text).Stop(t.Context())
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	f(`echo "ready at x"; exec sleep 1000`, "")
	f(`trap "exit 0" TERM; echo "ready at x"; while :; do sleep 0.01; done`, "")
	f(`trap "exit 143" TERM; echo "ready at x"; while :; do sleep 0.01; done`, "")
	f(`trap "echo oops; exit 1" TERM; echo "ready at x"; while :; do sleep 0.01; done`, "oops")
	f(`trap "kill -ABRT $$" TERM; echo "ready at x"; while :; do sleep 0.01; done`, "abort")
}

// The mask is the child's alone: no thread of the harness has it once Start returns.
func TestProcessors(t *testing.T) {
	// Not in parallel: it looks at all threads of this process.
	var mine unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mine); err != nil {
		t.Fatal(err)
	}
	if mine.Count() < 2 {
		t.Skip("this machine gives the test a single processor: a mask cannot differ")
	}
	last := cpuMax
	for !mine.IsSet(last) {
		last--
	}
	i := start(t, newSluice(t), StartOptions{CPUs: []int{last}})
	if got := statusField(t, statusPath(i.Pid), "Cpus_allowed_list"); got != strconv.Itoa(last) {
		t.Errorf("the broker may run on %s, want %d", got, last)
	}
	tasks, err := filepath.Glob("/proc/self/task/*")
	if err != nil || len(tasks) == 0 {
		t.Fatalf("the threads of this process: %v", err)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(filepath.Base(task))
		if err != nil {
			t.Fatal(err)
		}
		var set unix.CPUSet
		// A thread that ended meanwhile is not pinned.
		if err := unix.SchedGetaffinity(tid, &set); err == nil && set != mine {
			t.Errorf("thread %d of the harness is pinned", tid)
		}
	}
	if err := i.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// eventually waits until the kernel has done what nothing tells the end of.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// The parent-death signal comes when the forking thread ends (prctl(2)): a broker must outlive the
// thread that called Start.
func TestOutlivesStartersThread(t *testing.T) {
	t.Parallel()
	type result struct {
		i   *Instance
		tid int
	}
	p, dir, started := newSluice(t), t.TempDir(), make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		i, err := p.Start(context.Background(), StartOptions{Dir: dir})
		if err != nil {
			t.Error(err)
		}
		started <- result{i, unix.Gettid()}
	}()
	r := <-started
	if r.i == nil {
		return
	}
	if r.tid == os.Getpid() {
		t.Log("the starter had the main thread, which does not end")
	} else {
		eventually(t, "the starter's thread ended", func() bool {
			return errors.Is(unix.Tgkill(os.Getpid(), r.tid, 0), unix.ESRCH)
		})
	}
	if err := probeAPIVersions(t.Context(), r.i.Addr); err != nil {
		t.Error(err)
	}
	if err := r.i.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// A harness that is killed, with no chance to clean up, leaves no broker: neither one that runs nor
// one that is paused.
func TestKilledHarnessLeavesNothing(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), harnessEnv+"="+newSluice(t).Binary, "TMPDIR="+t.TempDir())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	var brokers []watch
	lines := bufio.NewScanner(out)
	for len(brokers) < 2 && lines.Scan() {
		pid, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		brokers = append(brokers, watchProcess(t, pid))
	}
	if len(brokers) < 2 {
		t.Fatal("the harness did not start its brokers")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for n, w := range brokers {
		if !w.ended(patience) {
			t.Errorf("broker %d lives", n)
		}
	}
}

// harness is the other process of TestKilledHarnessLeavesNothing: it starts two brokers, pauses the
// second, prints their numbers and waits for its end.
func harness() {
	dir, err := os.MkdirTemp("", "harness-")
	for n := range 2 {
		var i *Instance
		if err == nil {
			p := &Sluice{Binary: os.Getenv(harnessEnv)}
			i, err = p.Start(context.Background(), StartOptions{Dir: filepath.Join(dir, strconv.Itoa(n))})
		}
		if err == nil && n == 1 {
			err = i.Pause()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "harness:", err)
			os.Exit(1)
		}
		fmt.Println(i.Pid)
	}
	select {}
}
