package measure

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

const childVariable = "SLUICE_MEASURE_CHILD"

// TestMain lets the test binary be its own child: a process to measure.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m)
}

// child listens on a free port, says where, burns one processor, and for each line that it is sent
// starts a thread and answers. It ends with its standard input.
func child() {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for n := uint64(1); n != 0; n += 2 {
			runtime.KeepAlive(n)
		}
	}()
	fmt.Println(l.Addr())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		started := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(started)
			select {}
		}()
		<-started
		fmt.Println("started")
	}
}

type burner struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	addr string
}

func startBurner(t *testing.T) *burner {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := &burner{t: t, cmd: exec.Command(self)}
	b.cmd.Env = append(os.Environ(), childVariable+"=1")
	b.cmd.Stderr = os.Stderr
	if b.in, err = b.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	b.out = bufio.NewReader(out)
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait()
	})
	b.addr = b.answer()
	return b
}

func (b *burner) pid() int { return b.cmd.Process.Pid }

func (b *burner) answer() string {
	b.t.Helper()
	line, err := b.out.ReadString('\n')
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// thread makes the child start one more thread, and waits until it has.
func (b *burner) thread() {
	b.t.Helper()
	if _, err := io.WriteString(b.in, "thread\n"); err != nil {
		b.t.Fatal(err)
	}
	b.answer()
}

// end closes the child's input and waits until it has ended; it stays unburied until bury.
func (b *burner) end() {
	b.t.Helper()
	_ = b.in.Close()
	if _, err := b.out.ReadString('\n'); err == nil {
		b.t.Fatal("the child said something where it should have ended")
	}
}

func (b *burner) bury() { _ = b.cmd.Wait() }
