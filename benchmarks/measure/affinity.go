package measure

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Pinning remembers where the threads of a process were allowed to run before Affinity.
type Pinning struct {
	pid    int
	before map[int]unix.CPUSet // by thread id
	main   unix.CPUSet         // of the main thread: what threads that came later get back
}

// CurrentAffinity is the list of processors that a process's main thread may run on, ascending.
func CurrentAffinity(pid int) ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(pid, &set); err != nil {
		return nil, fmt.Errorf("affinity of process %d: %w", pid, goneError(err))
	}
	cpus := make([]int, 0, set.Count())
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// Affinity lets a process run on the given processors only: all its threads, and those that they
// start meanwhile. On an error the threads already moved are put back.
func Affinity(pid int, cpus []int) (*Pinning, error) {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
		if cpu < 0 || !set.IsSet(cpu) {
			return nil, fmt.Errorf("processor %d: must be 0 to %d", cpu, len(set)*64-1)
		}
	}
	if len(cpus) == 0 {
		return nil, errors.New("no processor to pin to was given")
	}
	p := &Pinning{pid: pid, before: map[int]unix.CPUSet{}}
	if err := unix.SchedGetaffinity(pid, &p.main); err != nil {
		return nil, fmt.Errorf("affinity of process %d: %w", pid, goneError(err))
	}
	err := eachThread(pid, func(tid int) error {
		var was unix.CPUSet
		if err := unix.SchedGetaffinity(tid, &was); err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(tid, &set); err != nil {
			return err
		}
		if was != set {
			p.before[tid] = was
		}
		return nil
	})
	if err != nil {
		_ = p.Restore()
		return nil, fmt.Errorf("pinning process %d to %v: %w", pid, cpus, err)
	}
	return p, nil
}

// Restore gives every thread back what it was allowed before, and threads that were started since
// then what the main thread was. A process that has ended is no error.
func (p *Pinning) Restore() error {
	err := eachThread(p.pid, func(tid int) error {
		set, known := p.before[tid]
		if !known {
			set = p.main
		}
		return unix.SchedSetaffinity(tid, &set)
	})
	if err != nil && !errors.Is(err, ErrProcessGone) {
		return fmt.Errorf("unpinning process %d: %w", p.pid, err)
	}
	return nil
}

// eachThread does something once to every thread, and looks again until there are no new ones: a
// thread started by one not yet done inherits the old state. Threads that end meanwhile are
// skipped.
func eachThread(pid int, do func(tid int) error) error {
	done := map[int]bool{}
	for {
		entries, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
		if err != nil {
			return goneError(err)
		}
		fresh := false
		for _, entry := range entries {
			tid, err := strconv.Atoi(entry.Name())
			if err != nil || done[tid] {
				continue
			}
			done[tid], fresh = true, true
			if err := do(tid); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
		if !fresh {
			return nil
		}
	}
}
