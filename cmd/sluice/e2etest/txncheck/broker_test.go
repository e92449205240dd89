package txncheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// moduleDir is where the module lies, from this package.
const moduleDir = "../../../.."

// buildBroker builds the binary under test, with other text in place of some of its files.
func buildBroker(bin string, replaced map[string]string) error {
	args := []string{"build", "-tags", "poison", "-o", bin}
	if raceEnabled {
		args = append(args, "-race")
	}
	if len(replaced) > 0 {
		overlay := bin + ".overlay.json"
		text, err := json.Marshal(map[string]any{"Replace": replaced})
		if err != nil {
			return err
		}
		if err := os.WriteFile(overlay, text, 0o600); err != nil {
			return err
		}
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.Command("go", append(args, "sluice/cmd/sluice")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the binary under test: %w\n%s", err, out)
	}
	return nil
}

// output holds what a process writes, and tells its address when it is ready.
type output struct {
	mu    sync.Mutex // guards what follows
	text  bytes.Buffer
	addr  string
	ready chan struct{} // closed when addr is known
}

var listening = regexp.MustCompile(`sluice is ready.* listen=\w+://([^ ,]+)`)

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if o.addr == "" {
		if m := listening.FindSubmatch(o.text.Bytes()); m != nil && bytes.HasSuffix(p, []byte("\n")) {
			o.addr = string(m[1])
			close(o.ready)
		}
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// process is one life of the broker.
type process struct {
	cmd    *exec.Cmd
	out    *output
	exited chan struct{} // closed when it is gone and its output is read
	err    error         // of Wait, once exited is closed
}

// broker is one data directory and the process that serves it, one after the other.
type broker struct {
	bin, dir string
	addr     atomic.Pointer[string]
	now      *process
	lives    int
}

// overrides make everything happen often: segments roll, internal topics are compacted, and
// transactions time out within seconds.
var overrides = []string{
	"listeners=PLAINTEXT://127.0.0.1:0", "admin.listener=", "auto.create.topics.enable=false",
	"log.segment.bytes=1048576", "log.index.interval.bytes=256", "log.roll.ms=2000",
	"log.cleaner.backoff.ms=300", "log.cleaner.min.cleanable.ratio=0.01",
	"log.cleaner.dedupe.buffer.size=2097152",
	"offsets.topic.num.partitions=3", "offsets.topic.segment.bytes=1048576",
	"transaction.state.log.num.partitions=3", "transaction.state.log.segment.bytes=1048576",
	"transaction.abort.timed.out.transaction.cleanup.interval.ms=100",
	"group.initial.rebalance.delay.ms=0", "group.min.session.timeout.ms=100",
}

// startWait ends a start that hangs; a busy machine needs a small part of it.
const startWait = 2 * time.Minute

// start starts a process. The kernel ends it if this one dies first (prctl(2), PR_SET_PDEATHSIG).
func (b *broker) start() error {
	args := []string{"server", "--override", "log.dirs=" + b.dir}
	for _, o := range overrides {
		args = append(args, "--override", o)
	}
	p := &process{out: &output{ready: make(chan struct{})}, exited: make(chan struct{})}
	p.cmd = exec.Command(b.bin, args...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	b.now = p
	b.lives++
	select {
	case <-p.out.ready:
		b.addr.Store(&p.out.addr)
		return nil
	case <-p.exited:
		return fmt.Errorf("the broker ended at its start: %v\n%s", p.err, tail(p.out.String()))
	case <-time.After(startWait):
		b.kill()
		return fmt.Errorf("the broker did not start\n%s", tail(p.out.String()))
	}
}

// kill ends the process as a crash would.
func (b *broker) kill() {
	_ = b.now.cmd.Process.Kill() // The only error is that it ended already.
	<-b.now.exited
}

// terminate asks the process to end and expects it to.
func (b *broker) terminate() error {
	if err := b.now.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-b.now.exited:
		return b.now.err
	case <-time.After(startWait):
		b.kill()
		return errors.New("the broker did not end upon SIGTERM")
	}
}

// stall stops the process for a while, as a machine that swaps would.
func (b *broker) stall(wait func()) error {
	if err := b.now.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	wait()
	return b.now.cmd.Process.Signal(syscall.SIGCONT)
}

// unsound matches what a broker must never write.
var unsound = regexp.MustCompile(`(?m)^panic:|^fatal error:|BUG: |DATA RACE|^goroutine \d+`)

// sound looks for traces of panics and data races.
func (b *broker) sound() error {
	text := b.now.out.String()
	if at := unsound.FindStringIndex(text); at != nil {
		return fmt.Errorf("the broker's log has:\n%s", text[at[0]:min(len(text), at[0]+4000)])
	}
	return nil
}

func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// sourceFile is a file of the module by its path in it.
func sourceFile(name string) (string, error) { return filepath.Abs(filepath.Join(moduleDir, name)) }
