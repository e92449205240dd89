package netpoll

import (
	"sync/atomic"
)

// Cause says what a reactor was doing when a turn became a stall.
type Cause uint8

// Causes. The broker may name its own from CauseUser on, up to CauseCount-1, with Reactor.Blame.
const (
	CauseOther   Cause = iota // waking up, bookkeeping
	CauseTask                 // messages from the mailbox
	CauseTimer                // timers
	CauseHandler              // receiving and handling requests
	CauseSend                 // sending responses
	CauseUser    Cause = 8
	CauseCount         = 16
)

// String returns a label for metrics; the broker has names of its own for its causes.
func (c Cause) String() string {
	switch c {
	case CauseOther:
		return "other"
	case CauseTask:
		return "task"
	case CauseTimer:
		return "timer"
	case CauseHandler:
		return "handler"
	case CauseSend:
		return "send"
	}
	return "user"
}

// Stats are a reactor's counters. They only grow, except Connections, are written by the reactor at
// the end of each turn, and may be read on any goroutine.
type Stats struct {
	Turns       atomic.Uint64
	Wakeups     atomic.Uint64 // times that the reactor had to be woken from sleep by a message
	Tasks       atomic.Uint64
	Timers      atomic.Uint64 // timers fired
	BusyNs      atomic.Uint64 // time in turns, without waiting
	BytesIn     atomic.Uint64
	BytesOut    atomic.Uint64
	FramesIn    atomic.Uint64
	FramesOut   atomic.Uint64
	CopiedBytes atomic.Uint64 // of regions, copied through user space on their way out
	SentBytes   atomic.Uint64 // of regions, by sendfile(2)
	KeptBytes   atomic.Uint64 // of frames, copied out of the receive buffer
	ColdRegions atomic.Uint64 // responses that waited for a worker to read their regions
	MemoryWaits atomic.Uint64 // times that a connection was paused for Config.MemoryBytesMax
	Opened      atomic.Uint64
	Closed      atomic.Uint64
	Connections atomic.Int64
	// Stalls counts turns of Config.StallMin or longer by what took longest, and StallNs their
	// length.
	Stalls  [CauseCount]atomic.Uint64
	StallNs [CauseCount]atomic.Uint64
}

// tally collects a turn's counts, so that the shared counters are written once a turn.
type tally struct {
	wakeups, tasks, timers            uint64
	bytesIn, bytesOut                 uint64
	framesIn, framesOut               uint64
	copiedBytes, sentBytes, keptBytes uint64
	coldRegions, memoryWaits          uint64
	opened, closed                    uint64
}

// publish adds the tally to s and empties it.
func (t *tally) publish(s *Stats) {
	s.Turns.Add(1)
	add(&s.Wakeups, t.wakeups)
	add(&s.Tasks, t.tasks)
	add(&s.Timers, t.timers)
	add(&s.BytesIn, t.bytesIn)
	add(&s.BytesOut, t.bytesOut)
	add(&s.FramesIn, t.framesIn)
	add(&s.FramesOut, t.framesOut)
	add(&s.CopiedBytes, t.copiedBytes)
	add(&s.SentBytes, t.sentBytes)
	add(&s.KeptBytes, t.keptBytes)
	add(&s.ColdRegions, t.coldRegions)
	add(&s.MemoryWaits, t.memoryWaits)
	if t.opened|t.closed != 0 {
		add(&s.Opened, t.opened)
		add(&s.Closed, t.closed)
		s.Connections.Add(int64(t.opened) - int64(t.closed))
	}
	*t = tally{}
}

func add(counter *atomic.Uint64, n uint64) {
	if n != 0 {
		counter.Add(n)
	}
}
