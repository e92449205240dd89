package e2etest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// patience ends a test that hangs. A loaded machine needs a small part of it.
	patience     = 3 * time.Minute
	logTailLines = 40
	serverFlag   = "--override"
)

// logBuffer holds what a process writes, and tells when the start-up line has come.
type logBuffer struct {
	mu    sync.Mutex // guards what follows
	text  bytes.Buffer
	addr  string
	ready chan struct{} // closed when addr is known
}

var listening = regexp.MustCompile(`sluice is ready.* listen=\w+://([^ ,]+)`)

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	if l.addr == "" {
		if m := listening.FindSubmatch(l.text.Bytes()); m != nil && bytes.HasSuffix(p, []byte("\n")) {
			l.addr = string(m[1])
			close(l.ready)
		}
	}
	return len(p), nil
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logBuffer) tail(lines int) string {
	all := strings.Split(strings.TrimSpace(l.String()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// count returns how many lines contain part.
func (l *logBuffer) count(part string) int {
	n := 0
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// broker is one process of the binary under test.
type broker struct {
	dir    string
	addr   string
	cmd    *exec.Cmd
	log    *logBuffer
	exited chan struct{} // closed when the process is gone and its output is read
	err    error         // of Wait, once exited is closed
}

// execute starts the binary. The kernel ends it if this process dies first (prctl(2),
// PR_SET_PDEATHSIG).
func execute(args ...string) (*broker, error) {
	b := &broker{log: &logBuffer{ready: make(chan struct{})}, exited: make(chan struct{})}
	b.cmd = exec.Command(sluiceBin, args...)
	b.cmd.Stdout, b.cmd.Stderr = b.log, b.log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		b.err = b.cmd.Wait()
		close(b.exited)
	}()
	return b, nil
}

func serverArgs(dir string, overrides ...string) []string {
	args := []string{
		"server", serverFlag, "listeners=PLAINTEXT://127.0.0.1:0", serverFlag, "log.dirs=" + dir,
		serverFlag, "admin.listener=", serverFlag, "auto.create.topics.enable=false",
	}
	for _, o := range overrides {
		args = append(args, serverFlag, o)
	}
	return args
}

// launch starts a broker and waits until it serves.
func launch(dir string, overrides ...string) (*broker, error) {
	b, err := execute(serverArgs(dir, overrides...)...)
	if err != nil {
		return nil, err
	}
	b.dir = dir
	select {
	case <-b.log.ready:
		b.addr = b.log.addr
		return b, nil
	case <-b.exited:
		return nil, fmt.Errorf("the broker ended at its start: %v\n%s", b.err, b.log)
	case <-time.After(patience):
		b.kill()
		return nil, fmt.Errorf("the broker did not start\n%s", b.log)
	}
}

// start starts a broker that ends with the test, at the latest.
func start(t *testing.T, dir string, overrides ...string) *broker {
	t.Helper()
	b, err := launch(dir, overrides...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if b.running() {
			if err := b.terminate(); err != nil {
				t.Error(err)
			}
		}
		if err := b.sound(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the broker's log ends:\n%s", b.log.tail(logTailLines))
		}
	})
	return b
}

func (b *broker) running() bool {
	select {
	case <-b.exited:
		return false
	default:
		return true
	}
}

// await waits for the end of the process.
func (b *broker) await() error {
	select {
	case <-b.exited:
		return nil
	case <-time.After(patience):
		b.kill()
		return errors.New("the process did not end")
	}
}

// kill ends the process as a crash would: no instruction of it runs any more.
func (b *broker) kill() {
	// The only error is that it ended already.
	_ = b.cmd.Process.Kill()
	<-b.exited
}

// terminate ends the process with SIGTERM and expects a clean end.
func (b *broker) terminate() error {
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("the broker was gone before SIGTERM: %w", err)
	}
	if err := b.await(); err != nil {
		return err
	}
	if b.err != nil {
		return fmt.Errorf("after SIGTERM the broker ended with: %w", b.err)
	}
	return nil
}

// unsound matches what a broker must never write.
var unsound = regexp.MustCompile(`(?m)^panic:|^fatal error:|BUG: |DATA RACE|^goroutine \d+`)

// sound looks for traces of panics and data races.
func (b *broker) sound() error {
	if m := unsound.FindString(b.log.String()); m != "" {
		return fmt.Errorf("the broker's log has %q:\n%s", m, b.log.tail(200))
	}
	return nil
}

// memoryBytes reads a line of the process's status, e.g. VmRSS or VmHWM (proc_pid_status(5)).
func (b *broker) memoryBytes(t *testing.T, name string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("%s is not in the process's status", name)
	return 0
}

// memoryGrowthMax is by how much bad input may let a broker's resident memory grow: the buffers of
// a few connections, and what the runtime keeps between collections. The race detector multiplies
// memory by up to ten.
func memoryGrowthMax() int64 {
	if raceEnabled {
		return 640 << 20
	}
	return 64 << 20
}

// deadline is the context of a test.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// must fails the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want fails the test, and goes on, if two values differ.
func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
