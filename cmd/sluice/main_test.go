package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the built command, under test as a user has it. server is where a broker of it listens.
var (
	binary string
	server func() string
)

func TestMain(m *testing.M) {
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "sluice-cli-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	// The name is this run's own: kafka-server-stop looks for processes of its own binary's name.
	binary = filepath.Join(dir, fmt.Sprintf("sluice-%d", os.Getpid()))
	build := exec.Command("go", "build", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("building the binary: %w\n%s", err, out)
	}
	var stop func() error
	server = sync.OnceValue(func() string {
		b, err := startBroker(filepath.Join(dir, "data"))
		if err != nil {
			panic(err)
		}
		stop = b.stop
		return b.address
	})
	code := m.Run()
	if stop != nil {
		err = stop()
	}
	return code, err
}

// testBroker is a running broker process.
type testBroker struct {
	cmd     *exec.Cmd
	address string
	log     *safeBuffer
	ended   chan error
}

// safeBuffer is a buffer that a process writes and a test reads.
type safeBuffer struct {
	mu sync.Mutex // Guards b.
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var listening = regexp.MustCompile(`PLAINTEXT://(127\.0\.0\.1:[1-9]\d*)`)

// serverArgs are the flags of a broker on a port that the kernel chooses.
func serverArgs(dir string) []string {
	return []string{
		"server", "--override", "listeners=PLAINTEXT://127.0.0.1:0", "--override", "log.dirs=" + dir,
		"--override", "admin.listener=", "--override", "node.id=1",
	}
}

// startBroker starts a broker and waits until it says where it listens.
func startBroker(dir string, more ...string) (*testBroker, error) {
	b := &testBroker{log: &safeBuffer{}, ended: make(chan error, 1)}
	b.cmd = exec.Command(binary, append(serverArgs(dir), more...)...)
	b.cmd.Stdout, b.cmd.Stderr = b.log, b.log
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { b.ended <- b.cmd.Wait() }()
	deadline := time.After(30 * time.Second)
	for {
		if m := listening.FindStringSubmatch(b.log.String()); m != nil {
			b.address = m[1]
			return b, nil
		}
		select {
		case err := <-b.ended:
			return nil, fmt.Errorf("the broker ended: %w\n%s", err, b.log)
		case <-deadline:
			_ = b.cmd.Process.Kill()
			return nil, fmt.Errorf("the broker does not listen:\n%s", b.log)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// stop ends the broker with SIGTERM and expects exit code 0.
func (b *testBroker) stop() error {
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := <-b.ended; err != nil {
		return fmt.Errorf("the broker did not end cleanly: %w\n%s", err, b.log)
	}
	return nil
}

// ran is how a command ended.
type ran struct {
	out, err string
	code     int
}

// run runs the binary with standard input.
func run(t *testing.T, input string, args ...string) ran {
	t.Helper()
	return runAs(t, binary, input, args...)
}

func runAs(t *testing.T, path, input string, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	err := cmd.Run()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		t.Fatal(err)
	}
	return ran{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// sluice runs a command against the shared broker, and expects it to succeed.
func sluice(t *testing.T, input string, args ...string) string {
	t.Helper()
	r := run(t, input, append([]string{"-b", server()}, args...)...)
	if r.code != 0 || r.err != "" {
		t.Fatalf("sluice %s: exit %d\n%s", strings.Join(args, " "), r.code, r.err)
	}
	return r.out
}

// fails runs a command against the shared broker and expects an exit code and a text in its errors.
func fails(t *testing.T, code int, text string, args ...string) {
	t.Helper()
	r := run(t, "", append([]string{"-b", server()}, args...)...)
	if r.code != code || !strings.Contains(r.err, text) {
		t.Errorf("sluice %s: exit %d, want %d\n%s\nwant …%s…", strings.Join(args, " "), r.code, code, r.err, text)
	}
}

// create creates topics on the shared broker, with further flags, for as long as the test runs.
func create(t *testing.T, words ...string) {
	t.Helper()
	sluice(t, "", append([]string{"topic", "create"}, words...)...)
	var names []string
	for _, w := range words {
		if strings.HasPrefix(w, "-") {
			break
		}
		names = append(names, w)
	}
	t.Cleanup(func() { sluice(t, "", append([]string{"topic", "delete"}, names...)...) })
}
