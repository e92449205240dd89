package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cpuMax is the highest processor number that the kernel's mask, as unix.CPUSet has it, can hold.
const cpuMax = 1023

// process is a child that leads a process group. A goroutine of its own, locked to its thread,
// owns it from before the fork until it is reaped (package comment).
type process struct {
	pid     int
	started time.Time
	exited  chan struct{} // closed after the child is reaped; publishes state
	state   *os.ProcessState

	// mu guards reaped. A number may only be signalled before its process is reaped; afterwards it
	// may be somebody else's.
	mu     sync.Mutex
	reaped bool
}

// spawn starts cmd, which must not have been started, on cpus. Its output must be files, so that
// no goroutine copies it.
func spawn(cmd *exec.Cmd, cpus []int) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &process{exited: make(chan struct{})}
	started := make(chan error, 1)
	go p.own(cmd, cpus, started)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// own runs cmd to its end. The thread is never unlocked, so nothing else ever runs on it.
func (p *process) own(cmd *exec.Cmd, cpus []int, started chan<- error) {
	runtime.LockOSThread()
	if err := p.start(cmd, cpus); err != nil {
		started <- err
		return
	}
	p.pid = cmd.Process.Pid
	started <- nil

	// The child stays a zombie after this, and its group keeps its number.
	p.wait(unix.WEXITED)
	p.mu.Lock()
	_ = unix.Kill(-p.pid, unix.SIGKILL)
	// Its only news is the state, which ProcessState has, too.
	_ = cmd.Wait()
	p.reaped = true
	p.mu.Unlock()
	p.state = cmd.ProcessState
	close(p.exited)
}

// start forks with the calling thread bound to cpus, which the child inherits. The thread's own mask
// is restored at once: if it is the process's first thread it stays until the process ends, and its
// mask is what /proc shows for the whole process.
func (p *process) start(cmd *exec.Cmd, cpus []int) error {
	if len(cpus) > 0 {
		var before unix.CPUSet
		if err := unix.SchedGetaffinity(0, &before); err != nil {
			return fmt.Errorf("processors of this thread: %w", err)
		}
		// An error would leave a mask on a thread that nothing else runs on.
		defer func() { _ = unix.SchedSetaffinity(0, &before) }()
		if err := pin(cpus); err != nil {
			return err
		}
	}
	p.started = time.Now()
	return cmd.Start()
}

// pin binds the calling thread to cpus.
func pin(cpus []int) error {
	var want, got unix.CPUSet
	for _, c := range cpus {
		want.Set(c)
	}
	err := unix.SchedSetaffinity(0, &want)
	if err == nil {
		err = unix.SchedGetaffinity(0, &got)
	}
	if err != nil {
		return fmt.Errorf("processors %v: %w", cpus, err)
	}
	// The kernel drops processors that do not exist or are not allowed, silently, if one is left.
	for _, c := range cpus {
		if !got.IsSet(c) {
			return fmt.Errorf("processors %v: %d is not there or not allowed", cpus, c)
		}
	}
	return nil
}

// wait blocks until the child is in one of the states of options (waitid(2)) and leaves it
// waitable. It returns the siginfo's code, CLD_STOPPED for example, or 0 if the child is reaped.
func (p *process) wait(options int) int32 {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, p.pid, &info, options|unix.WNOWAIT, nil)
		if err == nil {
			return info.Code
		}
		if !errors.Is(err, unix.EINTR) {
			return 0
		}
	}
}

// signalGroup signals all processes of the group.
func (p *process) signalGroup(s syscall.Signal) error { return p.kill(-p.pid, s) }

func (p *process) kill(target int, s syscall.Signal) error {
	p.mu.Lock()
	reaped := p.reaped
	var err error
	if !reaped {
		err = unix.Kill(target, s)
	}
	p.mu.Unlock()
	if reaped {
		return p.ended()
	}
	return err
}

// codeStopped is CLD_STOPPED of waitid(2): the child was stopped by a signal.
const codeStopped = 5

// pause stops the group and waits until the child stands still.
func (p *process) pause() error {
	if err := p.signalGroup(syscall.SIGSTOP); err != nil {
		return err
	}
	if p.wait(unix.WSTOPPED|unix.WEXITED) != codeStopped {
		return p.ended()
	}
	return nil
}

// terminate asks the child to end, and kills the group when it has not within limit.
func (p *process) terminate(ctx context.Context, limit time.Duration) error {
	if p.gone() {
		return p.ended()
	}
	err := p.kill(p.pid, syscall.SIGTERM)
	if err == nil {
		// One that stands still could not hear it.
		err = p.signalGroup(syscall.SIGCONT)
	}
	if err != nil && !errors.Is(err, ErrEnded) {
		return err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.exited:
		return p.verdict()
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = fmt.Errorf("not within %v", limit)
	}
	p.destroy()
	return fmt.Errorf("it had to be killed after SIGTERM: %w", err)
}

// destroy kills the group and waits until it is gone.
func (p *process) destroy() {
	// The only error is that it has ended already.
	_ = p.signalGroup(syscall.SIGKILL)
	<-p.exited
}

func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// ended waits for the end and says how it came about.
func (p *process) ended() error {
	<-p.exited
	return fmt.Errorf("%w: %s", ErrEnded, p.state)
}

// exitTerminated is the exit code of a JVM, and of a shell's child, that SIGTERM ended: 128 + 15.
const exitTerminated = 128 + int(syscall.SIGTERM)

// verdict judges the end after SIGTERM.
func (p *process) verdict() error {
	status, _ := p.state.Sys().(syscall.WaitStatus)
	orderly := status.Exited() && slices.Contains([]int{0, exitTerminated}, status.ExitStatus())
	if orderly || status.Signaled() && status.Signal() == syscall.SIGTERM {
		return nil
	}
	return fmt.Errorf("after SIGTERM it ended with %s", p.state)
}

// retryMin is the pause before the second attempt of until; later ones grow to a share of the time
// gone by, so that neither a start of 10 ms is seen late by more than a twentieth, nor a start of
// seconds slowed down by thousands of attempts.
const (
	retryMin   = 500 * time.Microsecond
	retryShare = 200
)

// until repeats try until it succeeds, the child ends, or ctx does.
func (p *process) until(ctx context.Context, try func(context.Context) error) error {
	begin := time.Now()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return p.ended()
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w (%w)", ctx.Err(), err)
		case <-time.After(max(retryMin, time.Since(begin)/retryShare)):
		}
	}
}
