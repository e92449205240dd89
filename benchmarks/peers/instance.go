package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Instance is a broker that runs. The fields are for reading and do not change.
type Instance struct {
	// Name is the peer's, Version what the broker or its package says of itself.
	Name    string
	Version string
	// Addr is where clients connect, host:port; Kafka's protocol, except for NATS. AdminAddr is
	// the HTTP address of metrics, empty where there is none.
	Addr      string
	AdminAddr string
	// Pid is the broker's process and the number of its process group.
	Pid int
	// Command is what was run, Dir where, Log the file that its output is appended to.
	Command []string
	Dir     string
	Log     string
	// CPUs are the processors it was pinned to; empty is all.
	CPUs []int
	// HeapMiB is the JVM's heap, 0 for brokers that have none.
	HeapMiB int
	// Started is the moment before the fork, with a monotonic reading; ReadyAfter how long after
	// it the first request was answered.
	Started    time.Time
	ReadyAfter time.Duration
	// Driver is a program that measures a broker which does not speak Kafka's protocol; else empty.
	Driver string

	process *process
	probe   probe
	// settled, if any, waits until a broker that answers also serves partitions.
	settled probe
	// settle is how long after a pause a broker may take to find out what it has missed.
	settle    time.Duration
	logStart  int64 // size of Log before this instance wrote to it
	data      string
	removeAll bool

	mu     sync.Mutex // guards what follows; held over Pause, Resume and Stop
	paused bool
	// stopped is set by the first Stop, with its error.
	stopped bool
	stopErr error
}

// StopMax is how long a broker may take from SIGTERM to its end before it is killed, and ResumeMax
// from SIGCONT to its first answer.
const (
	StopMax   = 60 * time.Second
	ResumeMax = 60 * time.Second
)

// ErrEnded says that a broker's process is gone that should have been there.
var ErrEnded = errors.New("the broker has ended by itself")

// Done is closed when the broker's process has ended, for whatever reason.
func (i *Instance) Done() <-chan struct{} { return i.process.exited }

// Env describes the instance to a command that measures it: BOOTSTRAP, BROKER_ADMIN, BROKER_PID,
// BROKER_NAME, BROKER_VERSION, BROKER_DIR, BROKER_LOG and, where there is one, BROKER_DRIVER; each
// as NAME=value.
func (i *Instance) Env() []string {
	env := []string{
		"BOOTSTRAP=" + i.Addr,
		"BROKER_ADMIN=" + i.AdminAddr,
		"BROKER_PID=" + strconv.Itoa(i.Pid),
		"BROKER_NAME=" + i.Name,
		"BROKER_VERSION=" + i.Version,
		"BROKER_DIR=" + i.Dir,
		"BROKER_LOG=" + i.Log,
	}
	if i.Driver != "" {
		env = append(env, "BROKER_DRIVER="+i.Driver)
	}
	return env
}

// Pause stops every process of the broker in place (SIGSTOP) and returns when all threads of the
// broker stand still: from then on it uses no processor time. Pausing twice is no error.
func (i *Instance) Pause() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.paused {
		return nil
	}
	if err := i.process.pause(); err != nil {
		return i.annotate("pause", err)
	}
	i.paused = true
	return nil
}

// Resume lets a paused broker go on (SIGCONT) and returns when it serves again, at most ResumeMax
// later. Apache Kafka gets 3 s in any case, to run the timers that came due during the pause: after
// one longer than broker.session.timeout.ms its controller fences the broker, once it notices,
// and the broker's next heartbeat (broker.heartbeat.interval.ms, 2 s) mends that (KIP-631). Resuming a
// broker that is not paused is no error.
func (i *Instance) Resume(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.paused {
		return nil
	}
	if err := i.process.signalGroup(syscall.SIGCONT); err != nil {
		return i.annotate("resume", err)
	}
	i.paused = false
	ctx, cancel := context.WithTimeout(ctx, ResumeMax)
	defer cancel()
	select {
	case <-time.After(i.settle):
	case <-i.process.exited:
	case <-ctx.Done():
	}
	for _, p := range []probe{i.probe, i.settled} {
		if p == nil {
			continue
		}
		err := i.process.until(ctx, func(ctx context.Context) error { return p(ctx, i.Addr) })
		if err != nil {
			return i.annotate("resume", err)
		}
	}
	return nil
}

// Stop ends the broker: SIGTERM, at most StopMax or until ctx ends, then SIGKILL for the whole
// group. It returns when no process is left and, if StartOptions asked for it, the data is removed.
// An error says that the broker had to be killed, ended otherwise than by SIGTERM, or had ended
// before (ErrEnded). A second call returns what the first did.
func (i *Instance) Stop(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stopped {
		return i.stopErr
	}
	err := i.process.terminate(ctx, StopMax)
	i.paused = false
	if err != nil {
		err = i.annotate("stop", err)
	}
	if i.removeAll {
		err = errors.Join(err, i.removeData())
	}
	i.stopped, i.stopErr = true, err
	return err
}

// removeData removes the data folder, and makes sure that it is one of ours.
func (i *Instance) removeData() error {
	if filepath.Base(i.data) != dataName {
		panic("BUG: removing " + i.data)
	}
	return os.RemoveAll(i.data)
}

// annotate names the broker, what was done to it, and how its log ends.
func (i *Instance) annotate(verb string, err error) error {
	return fmt.Errorf("%s %s (process %d): %w; its log %s ends:\n%s",
		verb, i.Name, i.Pid, err, i.Log, tail(i.Log, i.logStart))
}
