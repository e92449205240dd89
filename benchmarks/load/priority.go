package load

import (
	"errors"

	"golang.org/x/sys/unix"
)

// realtime gives the calling thread the lowest real-time priority (SCHED_FIFO 1, sched(7)) and
// returns what takes it back. A schedule is kept like a clock: where generator and broker share
// cores, a thread of ordinary priority takes records up hundreds of microseconds late, and that
// lateness would be in every latency. It costs the broker no more than the generator's processor time,
// which is needed anyway, and is the same for whatever broker is measured.
//
// It needs CAP_SYS_NICE; without it the run goes on as it is, and lag tells how late it was.
func realtime() (undo func(), err error) {
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return nil, err
	}
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	// Threads that the runtime starts from this one are none of the schedule's.
	attr.Flags = unix.SCHED_FLAG_RESET_ON_FORK
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		if errors.Is(err, unix.EPERM) {
			err = errors.New("CAP_SYS_NICE is missing")
		}
		return nil, err
	}
	return func() { _ = unix.SchedSetAttr(0, before, 0) }, nil
}

// noPriority begins the note of a run whose threads are as ordinary as the broker's.
const noPriority = "the schedule was kept without real-time priority: "

// keepTime asks for real-time priority where there is a schedule to keep, and notes where it is not given.
func (t *thread) keepTime() (undo func()) {
	if !t.s.open || len(t.producers) == 0 {
		return func() {}
	}
	undo, err := realtime()
	if err != nil {
		t.tally.notes[noPriority+err.Error()]++
		return func() {}
	}
	t.tally.realtime = true
	return undo
}
