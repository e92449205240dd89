package limits

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stopWaitMax is how long a server may take from SIGTERM to its end before it is killed. It only
// has to return from a system call.
const stopWaitMax = 10 * time.Second

// ServerOptions say what one limit server does. The zero value is a server that receives and
// answers: no CRC, no append (the bare ping-pong).
type ServerOptions struct {
	Dir         string // for its files; needed with Append, which must be set for Fetch too
	Threads     int    // event loops, each with its own epoll; 0 means 1
	CheckCRC    bool   // check the CRC-32C of every batch, answer CORRUPT_MESSAGE (2)
	Append      bool   // write every batch to its partition's file
	RetainBytes int64  // per file, after which it is written from its start again; 0 means 1 GiB
	CPU         *int   // the one core to run on; nil means those of the caller
}

func (o *ServerOptions) arguments() ([]string, error) {
	if o.Append && o.Dir == "" {
		return nil, errors.New("limit server: Append needs a Dir")
	}
	if o.Threads < 0 || o.RetainBytes < 0 {
		return nil, fmt.Errorf("limit server: Threads %d or RetainBytes %d is negative",
			o.Threads, o.RetainBytes)
	}
	flag := map[bool]string{false: "0", true: "1"}
	args := []string{
		"-port", "0",
		"-threads", strconv.Itoa(max(1, o.Threads)),
		"-crc", flag[o.CheckCRC],
		"-append", flag[o.Append],
	}
	if o.Dir != "" {
		args = append(args, "-dir", o.Dir)
	}
	if o.RetainBytes > 0 {
		args = append(args, "-retain", strconv.FormatInt(o.RetainBytes, 10))
	}
	return args, nil
}

// Server is a running limit server. Stop it.
type Server struct {
	Addr string // host:port to connect to
	Pid  int    // for reading its CPU time and memory while it runs

	command *exec.Cmd
	stdin   io.Closer // the server ends when this closes, so also when this process dies
	stdout  *os.File
	lines   *bufio.Reader // over stdout
	stderr  bytes.Buffer  // read only after Wait

	stop  sync.Once
	usage Usage
	err   error
}

// Usage is what a server used from its start to its end.
type Usage struct {
	CPUSeconds float64 // user and system, all threads
}

// StartServer starts a limit server on a free port of 127.0.0.1 and returns once it listens. It runs
// until Stop, until ctx is done (SIGTERM), or until this process ends, whichever comes first.
func StartServer(ctx context.Context, programs Programs, options ServerOptions) (*Server, error) {
	args, err := options.arguments()
	if err != nil {
		return nil, err
	}
	s := &Server{command: exec.CommandContext(ctx, programs.Server, args...)}
	s.command.Stderr = &s.stderr
	// A server that is stopped would not see its stdin close. The signal belongs to the thread that
	// starts it (prctl(2)); Go ends only threads that a goroutine was locked to.
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.command.Cancel = func() error { return s.command.Process.Signal(syscall.SIGTERM) }
	s.command.WaitDelay = stopWaitMax
	if s.stdin, err = s.command.StdinPipe(); err != nil {
		return nil, err
	}
	// A pipe of our own, because StdoutPipe would be closed by Wait under the last line.
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.command.Stdout = writer
	err = startOn(s.command, options.CPU)
	writer.Close()
	if err != nil {
		reader.Close()
		return nil, fmt.Errorf("limit server: %w", err)
	}
	s.Pid = s.command.Process.Pid
	s.stdout, s.lines = reader, bufio.NewReader(reader)
	line, err := s.lines.ReadString('\n')
	port, isPort := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if err != nil || !isPort {
		s.stdin.Close()
		waitErr := s.command.Wait()
		reader.Close()
		return nil, fmt.Errorf("limit server did not start (%v, %q): %s", waitErr, line,
			strings.TrimSpace(s.stderr.String()))
	}
	s.Addr = "127.0.0.1:" + port
	return s, nil
}

// Command is how the server was started.
func (s *Server) Command() []string { return s.command.Args }

// Stop ends the server, waits until it is gone, and says what it used. Its connections break.
// Further calls return the same.
func (s *Server) Stop() (Usage, error) {
	s.stop.Do(func() { s.usage, s.err = s.end() })
	return s.usage, s.err
}

func (s *Server) end() (Usage, error) {
	// An error here means that it ended by itself, of which Wait tells more.
	_ = s.command.Process.Signal(syscall.SIGTERM)
	killer := time.AfterFunc(stopWaitMax, func() { _ = s.command.Process.Kill() })
	defer killer.Stop()
	text, readErr := io.ReadAll(s.lines)
	err := s.command.Wait()
	s.stdin.Close()
	s.stdout.Close()
	if err != nil {
		return Usage{}, fmt.Errorf("limit server: %w: %s", err, strings.TrimSpace(s.stderr.String()))
	}
	var usage Usage
	if _, err := fmt.Sscanf(string(text), "cpu_seconds %g", &usage.CPUSeconds); err != nil {
		return usage, fmt.Errorf("limit server's last words %q: %w", text, errors.Join(err, readErr))
	}
	return usage, nil
}

// startOn starts a command on one core. A child inherits the affinity of the thread that forks it,
// so that thread takes it on for the length of the fork; if it cannot be given back, the thread is left
// locked and so ends with its goroutine.
func startOn(command *exec.Cmd, cpu *int) error {
	if cpu == nil {
		return command.Start()
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread()
		var before, one unix.CPUSet
		one.Set(*cpu)
		err := unix.SchedGetaffinity(0, &before)
		if err == nil {
			err = unix.SchedSetaffinity(0, &one)
		}
		if err != nil {
			failed <- fmt.Errorf("to run on core %d: %w", *cpu, err)
			return
		}
		err = command.Start()
		if unix.SchedSetaffinity(0, &before) == nil {
			runtime.UnlockOSThread()
		}
		failed <- err
	}()
	return <-failed
}
