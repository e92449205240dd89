package txn

import "sync/atomic"

// StatesMax bounds the states that a transactional id can be in between two inputs: Empty to
// CompleteAbort.
const StatesMax = int(CompleteAbort) + 1

// Counts are how many transactional ids a shard holds, for metrics.
type Counts struct {
	// States counts the ids in each state, by its number.
	States [StatesMax]int
	// Retrying is how many transactions have all their markers and wait for the log to take their
	// last record.
	Retrying int
}

// IDs is how many ids there are.
func (c Counts) IDs() (n int) {
	for _, ids := range c.States {
		n += ids
	}
	return n
}

// Prepared is how many transactions are decided and not complete.
func (c Counts) Prepared() int { return c.States[PrepareCommit] + c.States[PrepareAbort] }

// counts is what Counts is read from. It is kept up to date by whoever runs the machine, and read by
// anybody at any time.
type counts struct {
	states   [StatesMax]atomic.Int64
	retrying atomic.Int64
}

// Counts tells what the machine holds. Unlike the other methods it may be called from any goroutine at
// any time; numbers that change together may be read apart.
func (m *Machine) Counts() Counts {
	c := Counts{Retrying: int(m.counts.retrying.Load())}
	for s := range c.States {
		c.States[s] = int(m.counts.states[s].Load())
	}
	return c
}

func (m *Machine) count(e *entry, by int64) {
	if int(e.state) < StatesMax {
		m.counts.states[e.state].Add(by)
	}
}

// Meter is told what happens in shards, for metrics, after it is in the log. Several shards may call it
// at once, and it must not wait.
type Meter interface {
	// Ended is called when a transaction is complete, afterMs after it began.
	Ended(committed bool, afterMs int64)
	// TimedOut is called when the coordinator aborts a transaction of its own accord.
	TimedOut()
}

type noMeter struct{}

func (noMeter) Ended(bool, int64) {}
func (noMeter) TimedOut()         {}

// measure tells the meter of a change that is in the log. What a producer that has no transaction open
// ends is none.
func (m *Machine) measure(in *Input, e *entry) {
	switch e.state {
	case PrepareAbort:
		if in.Kind == Timer || in.Kind == TimeOut {
			m.meter.TimedOut()
		}
	case CompleteCommit, CompleteAbort:
		if in.Kind == MarkersWritten || in.Kind == Timer {
			m.meter.Ended(e.state == CompleteCommit, max(e.updateMs-e.startMs, 0))
		}
	}
}
