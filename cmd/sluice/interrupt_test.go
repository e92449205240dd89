package main

import (
	"bytes"
	"errors"
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
