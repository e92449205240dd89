package group

import "math"

// timerKind says what a timer is for.
type timerKind uint8

const (
	// sessionTimer ends a member's session, or the wait for a pending member. It is lazy: heartbeats
	// only move the member's deadline, and the timer looks at that when it is due.
	sessionTimer timerKind = iota + 1
	// joinTimer ends a join phase, initialTimer a slice of the initial delay, syncTimer the wait for
	// members' SyncGroup. A group has at most one of the three at a time.
	joinTimer
	initialTimer
	syncTimer
	// expiryTimer starts a search for expired offsets and groups.
	expiryTimer
)

// timer is part of what it belongs to, so that arming one allocates nothing. Times are those of the
// machine's clock, see Machine.tick.
type timer struct {
	kind   timerKind
	armed  bool
	at     int32 // index in the heap while armed
	dueMs  int64
	seq    uint64 // the order of arming, which settles ties
	group  *group
	member *member
}

// timers is a heap of four children per node, the first due on top. A heap rather than a wheel: it is
// exact, jumps of the clock cost nothing, and since sessions are lazy it sees each member once per
// session timeout only.
type timers struct {
	heap []*timer
	seq  uint64
}

// arm sets a timer, moving it if it is armed.
func (h *timers) arm(t *timer, kind timerKind, dueMs int64) {
	h.seq++
	t.kind, t.dueMs, t.seq = kind, dueMs, h.seq
	if !t.armed {
		t.armed, t.at = true, int32(len(h.heap))
		h.heap = append(h.heap, t)
		h.up(t)
		return
	}
	h.up(t)
	h.down(t)
}

func (h *timers) disarm(t *timer) {
	if !t.armed {
		return
	}
	t.armed = false
	end := len(h.heap) - 1
	last := h.heap[end]
	h.heap[end] = nil
	h.heap = h.heap[:end]
	if last == t {
		return
	}
	last.at = t.at
	h.heap[last.at] = last
	h.up(last)
	h.down(last)
}

// first is the timer that is due next, nil if there is none.
func (h *timers) first() *timer {
	if len(h.heap) == 0 {
		return nil
	}
	return h.heap[0]
}

func (t *timer) before(o *timer) bool {
	return t.dueMs < o.dueMs || t.dueMs == o.dueMs && t.seq < o.seq
}

func (h *timers) up(t *timer) {
	i := t.at
	for i > 0 {
		parent := (i - 1) / 4
		p := h.heap[parent]
		if !t.before(p) {
			break
		}
		h.heap[i], p.at = p, i
		i = parent
	}
	h.heap[i], t.at = t, i
}

func (h *timers) down(t *timer) {
	i, n := t.at, int32(len(h.heap))
	for {
		least, l := int32(-1), t
		for c := 4*i + 1; c <= 4*i+4 && c < n; c++ {
			if h.heap[c].before(l) {
				least, l = c, h.heap[c]
			}
		}
		if least < 0 {
			break
		}
		h.heap[i], l.at = l, i
		i = least
	}
	h.heap[i], t.at = t, i
}

// tick reads the wall clock for the machine. Timers run on a clock of their own that follows the wall
// forward but never goes back: a wall clock that is set back by an hour must not keep dead members in
// their groups for that hour.
func (m *Machine) tick(nowMs int64) {
	if nowMs < m.nowMs {
		m.aheadMs += m.nowMs - nowMs
	}
	m.nowMs = nowMs
	m.clockMs = saturate(nowMs, m.aheadMs)
}

// saturate is a+b for b ≥ 0, at most the greatest int64.
func saturate(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// armIn sets a timer to afterMs from now.
func (m *Machine) armIn(t *timer, kind timerKind, afterMs int64) {
	m.timers.arm(t, kind, saturate(m.clockMs, max(afterMs, 0)))
}

// NextDueMs implements coordinator.Machine.
func (m *Machine) NextDueMs() int64 {
	t := m.timers.first()
	if t == nil {
		return math.MaxInt64
	}
	return t.dueMs - m.aheadMs
}

// Due implements coordinator.Machine.
func (m *Machine) Due(nowMs int64) (*Input, bool) {
	m.tick(nowMs)
	for {
		t := m.timers.first()
		if t == nil || t.dueMs > m.clockMs {
			return nil, false
		}
		if t.kind == sessionTimer && t.member.deadlineMs > m.clockMs {
			m.timers.arm(t, sessionTimer, t.member.deadlineMs)
			continue
		}
		m.timers.disarm(t)
		in := &Input{Kind: Timer, timer: t, fired: t.kind}
		if t.group != nil {
			in.Group = t.group.id
		}
		return in, true
	}
}
