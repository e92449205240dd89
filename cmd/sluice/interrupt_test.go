package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestInterruptBeforeAnything: Ctrl-C while a command still waits for its broker is quiet. It is the
// usual end of a consumer without one, and otherwise work that was not done.
func TestInterruptBeforeAnything(t *testing.T) {
	f := func(code int, line string) {
		t.Helper()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		cmd := exec.Command(binary, append(strings.Fields(line), "-b", l.Addr().String())...)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Who has connected listens for signals, and this listener never answers.
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		err = cmd.Wait()
		var exited *exec.ExitError
		if err != nil && !errors.As(err, &exited) {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != code || out.Len()+errs.Len() > 0 {
			t.Errorf("%s: exit %d, want %d\n%s%s", line, got, code, &out, &errs)
		}
	}
	f(0, "consume t")
	f(130, "consume t -n 100")
	f(130, "consume t -e")
	f(130, "topic list")
	f(130, "produce t")
}

// TestInterruptWhileWaiting: the same holds for a consumer that has printed what there is.
func TestInterruptWhileWaiting(t *testing.T) {
	create(t, "waiting")
	sluice(t, "a\n", "produce", "waiting")
	f := func(code int, more ...string) {
		t.Helper()
		cmd := exec.Command(binary, append([]string{"-b", server(), "consume", "waiting"}, more...)...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 2)
		if _, err := io.ReadFull(out, first); err != nil {
			t.Error(err)
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		err = cmd.Wait()
		var exited *exec.ExitError
		if err != nil && !errors.As(err, &exited) {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != code || errs.Len() > 0 {
			t.Errorf("%q: exit %d, want %d\n%s", more, got, code, &errs)
		}
	}
	f(0)
	f(130, "-n", "100")
}
