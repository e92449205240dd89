package txn

import (
	"math"

	"sluice/engine/coordinator"
)

// timers hold at most one timer of each entry, in a binary heap by dueMs. A timer is lazy: it stays when
// its transaction ends, and is looked at again when it is due; so a producer that goes from one
// transaction to the next touches the heap once in its timeout.
type timers struct {
	heap []int32
	t    *table
}

func (h *timers) due(i int) int64 { return h.t.at(h.heap[i]).dueMs }

func (h *timers) swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	h.t.at(h.heap[i]).heapAt, h.t.at(h.heap[j]).heapAt = int32(i), int32(j)
}

func (h *timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if h.due(parent) <= h.due(i) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *timers) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h.heap); child++ {
			if h.due(child) < h.due(least) {
				least = child
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}

// arm makes an entry's timer due at dueMs, or leaves it where it is due before.
func (h *timers) arm(slot int32, dueMs int64) {
	e := h.t.at(slot)
	switch {
	case dueMs == math.MaxInt64:
	case e.heapAt < 0:
		e.dueMs, e.heapAt = dueMs, int32(len(h.heap))
		h.heap = append(h.heap, slot)
		h.up(int(e.heapAt))
	case dueMs < e.dueMs:
		e.dueMs = dueMs
		h.up(int(e.heapAt))
	}
}

// disarm takes an entry's timer away.
func (h *timers) disarm(slot int32) {
	e := h.t.at(slot)
	i, last := int(e.heapAt), len(h.heap)-1
	if i < 0 {
		return
	}
	h.swap(i, last)
	h.heap = h.heap[:last]
	e.heapAt = -1
	if i < last {
		h.up(i)
		h.down(i)
	}
}

// retry is a transaction whose last record is to be tried again.
type retry struct {
	slot  int32
	dueMs int64
}

// sweepSlots is how many entries one step of the search for expired ids looks at, some 50 µs.
const sweepSlots = 4096

// sweep searches all entries for ids that have expired, a step at a time, and not before the oldest
// entry can have.
type sweep struct {
	// cursor is the next slot to look at, -1 while no search is on; stepMs is when to go on.
	cursor int32
	stepMs int64
	// beganMs is when the latest search began, or the shard was loaded.
	beganMs int64
	// oldestMs is at most the oldest updateMs of any entry; seenMs is the same for those that this
	// search has kept.
	oldestMs, seenMs int64
	// found are expired entries that are still to be returned.
	found []int32
}

// touched notes an entry's updateMs.
func (s *sweep) touched(updateMs int64) {
	s.oldestMs, s.seenMs = min(s.oldestMs, updateMs), min(s.seenMs, updateMs)
}

// nextMs is when a search may begin.
func (m *Machine) nextSweepMs() int64 {
	s := &m.sweep
	if s.cursor >= 0 {
		return s.stepMs
	}
	if m.table.len() == 0 || s.oldestMs > math.MaxInt64-m.config.ExpirationMs {
		return coordinator.Never
	}
	return max(s.beganMs+m.config.ExpirationScanMs, s.oldestMs+m.config.ExpirationMs)
}

func (m *Machine) expired(e *entry, nowMs int64) bool {
	return e.state.idle() && e.updateMs <= nowMs-m.config.ExpirationMs
}

// dueExpiry returns an input for an id that has expired.
func (m *Machine) dueExpiry(nowMs int64) (*Input, bool) {
	s := &m.sweep
	if len(s.found) == 0 {
		// A clock that was set back must not put the next search off.
		s.beganMs, s.stepMs = min(s.beganMs, nowMs), min(s.stepMs, nowMs+1)
		if nowMs < m.nextSweepMs() {
			return nil, false
		}
		m.sweepStep(nowMs)
	}
	for n := len(s.found); n > 0; n = len(s.found) {
		slot := s.found[n-1]
		s.found = s.found[:n-1]
		if m.expired(m.table.at(slot), nowMs) {
			return m.timer(slot), true
		}
	}
	return nil, false
}

func (m *Machine) sweepStep(nowMs int64) {
	s := &m.sweep
	if s.cursor < 0 {
		s.cursor, s.beganMs, s.seenMs = 0, nowMs, math.MaxInt64
	}
	end := min(m.table.used, s.cursor+sweepSlots)
	for slot := end - 1; slot >= s.cursor; slot-- {
		e := m.table.at(slot)
		switch {
		case e.state == vacant:
		case m.expired(e, nowMs):
			s.found = append(s.found, slot)
		default:
			s.seenMs = min(s.seenMs, e.updateMs)
		}
	}
	s.cursor, s.stepMs = end, nowMs+1
	if end == m.table.used {
		s.cursor, s.oldestMs = -1, s.seenMs
	}
}

// dueTimeout returns an input for a transaction that has timed out. They are looked for once in
// AbortScanMs.
func (m *Machine) dueTimeout(nowMs int64) (*Input, bool) {
	m.scanMs = min(m.scanMs, nowMs+m.config.AbortScanMs)
	if nowMs < m.scanMs {
		return nil, false
	}
	h := &m.timers
	for len(h.heap) > 0 && h.due(0) <= nowMs {
		slot := h.heap[0]
		h.disarm(slot)
		e := m.table.at(slot)
		if e.state != Ongoing {
			continue
		}
		if e.deadlineMs() < nowMs {
			return m.timer(slot), true
		}
		m.armDeadline(slot)
	}
	m.scanMs = nowMs + m.config.AbortScanMs
	return nil, false
}

// armDeadline sets the timer of an ongoing transaction.
func (m *Machine) armDeadline(slot int32) {
	if deadline := m.table.at(slot).deadlineMs(); deadline < math.MaxInt64 {
		m.timers.arm(slot, deadline+1)
	}
}

// dueRetry returns an input for a transaction that wants nothing but its last record.
func (m *Machine) dueRetry(nowMs int64) (*Input, bool) {
	for len(m.retries) > 0 {
		r := m.retries[0]
		if r.dueMs > nowMs && r.dueMs <= nowMs+m.config.CompleteRetryMs {
			return nil, false
		}
		m.retries = m.retries[1:]
		m.counts.retrying.Store(int64(len(m.retries)))
		if e := m.table.at(r.slot); e.state.prepared() {
			if o := m.table.openOf(e); o.retrying {
				o.retrying = false
				return m.timer(r.slot), true
			}
		}
	}
	m.retries = nil
	return nil, false
}

// retryComplete has a transaction's last record tried again.
func (m *Machine) retryComplete(slot int32, dueMs int64) {
	o := m.table.openOf(m.table.at(slot))
	if o.retrying {
		return
	}
	o.retrying = true
	m.retries = append(m.retries, retry{slot: slot, dueMs: dueMs})
	m.counts.retrying.Store(int64(len(m.retries)))
}

func (m *Machine) timer(slot int32) *Input {
	return &Input{
		Kind: Timer, TransactionalID: string(m.table.name(slot)),
		NewProducerID: coordinator.NoProducer,
	}
}

// Due implements coordinator.Machine.
func (m *Machine) Due(nowMs int64) (*Input, bool) {
	if !m.loaded {
		return nil, false
	}
	if in, ok := m.dueRetry(nowMs); ok {
		return in, true
	}
	if in, ok := m.dueTimeout(nowMs); ok {
		return in, true
	}
	return m.dueExpiry(nowMs)
}

// NextDueMs implements coordinator.Machine.
func (m *Machine) NextDueMs() int64 {
	if !m.loaded {
		return coordinator.Never
	}
	next := m.nextSweepMs()
	if len(m.sweep.found) > 0 {
		next = math.MinInt64
	}
	if len(m.timers.heap) > 0 {
		next = min(next, max(m.scanMs, m.timers.due(0)))
	}
	if len(m.retries) > 0 {
		next = min(next, m.retries[0].dueMs)
	}
	return next
}
