package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sluice/benchmarks/measure"
	"sluice/benchmarks/workload"
)

// adminDefault is where Sluice serves its metrics unless it was told otherwise.
const adminDefault = "127.0.0.1:9644"

// findBroker finds the broker's process and its metrics. What is not found is noted and left out,
// unless it was asked for by name.
func (r *run) findBroker() error {
	switch pid := r.o.BrokerPid; {
	case pid < 0:
	case pid > 0:
		if !alive(pid) {
			return fmt.Errorf("--broker-pid %d: there is no such process", pid)
		}
		r.pid = pid
	case len(r.o.Target.Addrs) > 0:
		found, err := measure.PidOf(r.o.Target.Addrs[0])
		if err != nil && !errors.Is(err, measure.ErrNotLocal) {
			r.note("the broker's own use of the machine is not measured: %v", err)
		}
		if err == nil && found != os.Getpid() {
			r.pid = found
		}
	}
	if r.o.Who.Name == "" && r.pid > 0 && command(r.pid) == "sluice" {
		r.res.Target.Name = "sluice"
	}
	return r.findAdmin()
}

// command is a process's name, "" if it cannot be read.
func command(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}

// findAdmin finds the broker's metrics.
func (r *run) findAdmin() error {
	switch r.o.Admin {
	case "-":
	case "":
		if owner, err := measure.PidOf(adminDefault); err == nil && owner == r.pid && r.pid > 0 {
			r.admin = adminDefault
		}
	default:
		ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
		defer cancel()
		if _, err := measure.ScrapeURL(ctx, r.o.Admin); err != nil {
			return fmt.Errorf("--admin %s: %w", r.o.Admin, err)
		}
		r.admin = r.o.Admin
	}
	return nil
}

// place puts broker and client on processors of their own, where that was asked for.
func (r *run) place() error {
	if r.spec.Placement != workload.Pinned {
		return nil
	}
	if r.pid == 0 {
		return errors.New("--placement pinned: the broker's process is not known, so it cannot be " +
			"placed; --broker-pid names it")
	}
	allowed, err := measure.CurrentAffinity(os.Getpid())
	if err != nil {
		return fmt.Errorf("--placement pinned: %w", err)
	}
	half := len(allowed) / 2
	if half == 0 {
		return fmt.Errorf("--placement pinned: this process may run on %d processor only", len(allowed))
	}
	for _, p := range []struct {
		pid  int
		cpus []int
	}{{r.pid, allowed[:half]}, {os.Getpid(), allowed[half:]}} {
		pinning, err := measure.Affinity(p.pid, p.cpus)
		if err != nil {
			return fmt.Errorf("--placement pinned: process %d: %w", p.pid, err)
		}
		r.undo = append(r.undo, pinning.Restore)
	}
	r.note("pinned: broker on processors %s, client on %s", join(allowed[:half]), join(allowed[half:]))
	return nil
}

func join(cpus []int) string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(cpus)), ","), "[]")
}

// brokerDiedError says that the broker's process ended while it was measured.
type brokerDiedError struct{ pid int }

func (e *brokerDiedError) Error() string {
	return fmt.Sprintf("the broker (process %d) ended during the run", e.pid)
}

// alive reports whether there is a process that has not ended. One that has ended, but that its
// parent has not asked about yet, still answers to signals, so its state decides.
func alive(pid int) bool {
	if errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	// The name stands in parentheses and may hold any character (proc_pid_stat(5)).
	at := strings.LastIndexByte(string(stat), ')')
	if at < 0 || at+2 >= len(stat) {
		return true
	}
	return stat[at+2] != 'Z' && stat[at+2] != 'X'
}

func (r *run) died() bool { return r.pid > 0 && !alive(r.pid) }

// watchBroker cancels the run once the broker's process is gone, or its disk nearly full. The
// returned function ends the watch.
func (r *run) watchBroker(cancel context.CancelCauseFunc) (stop func()) {
	if r.pid == 0 {
		return func() {}
	}
	every := r.o.watchEvery
	if every == 0 {
		every = 250 * time.Millisecond
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	disk := r.newDiskGuard()
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				if r.died() {
					cancel(&brokerDiedError{r.pid})
					return
				}
				if err := disk.look(); err != nil {
					cancel(err)
					return
				}
			}
		}
	}()
	return func() {
		close(done)
		<-stopped
	}
}

// filesKept are descriptors that are not connections: logs, /proc, epoll.
const filesKept = 64

// checkOpenFiles stops a run that needs more connections than this process may have.
func checkOpenFiles(s workload.Spec) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	each := max(1, s.Producers+s.Consumers)
	room := (int(min(limit.Cur, 1<<30)) - filesKept) / each
	if s.Connections > room {
		must := fmt.Sprintf("must be 1 to %d: this process may have %d files open (ulimit -n)",
			max(1, room), limit.Cur)
		if each > 1 {
			must += fmt.Sprintf(", and %d clients have so many each", each)
		}
		return &workload.OptionError{
			Option: "connections", Value: fmt.Sprint(s.Connections), Must: must,
		}
	}
	return nil
}

// generatorThreads is how many processors' worth of work the client's own threads can do: the lean
// client has one more for a catch-up reader.
func generatorThreads(s workload.Spec, cpus int) int {
	if s.Client == workload.KGO {
		return cpus
	}
	threads := s.Threads
	if threads == 0 {
		threads = max(1, cpus/2)
	}
	if s.Mode == workload.Backlog {
		threads++
	}
	return min(threads, cpus)
}
