package broker

import (
	"math"
	"sync/atomic"
	"time"

	"sluice/netpoll"
	"sluice/wire"
)

// loopState is what one reactor's handlers share. Only that reactor's goroutine touches it, except
// for wake, which locks.
type loopState struct {
	validator    wire.Validator
	recompressor wire.Recompressor
	rules        wire.Rules // of the batch under validation
	wake         *wakeList
	parked       *fetchOp // fetches that wait, in no order
	wallMs       int64    // the last reading of the wall clock
	wallNs       int64    // and the reactor's clock then
}

// wallNsMax is how long a reading of the wall clock is used: it counts milliseconds.
const wallNsMax = int64(1e6)

// nowMs is the wall clock in milliseconds, which is read once a millisecond and not for each
// request; nowNs is a reading of the reactor's clock.
func (l *loopState) nowMs(read func() int64, nowNs int64) int64 {
	if l.wallMs == 0 || nowNs-l.wallNs >= wallNsMax || nowNs < l.wallNs {
		l.wallMs, l.wallNs = read(), nowNs
	}
	return l.wallMs
}

func (l *loopState) park(op *fetchOp) {
	op.parkPrev, op.parkNext = nil, l.parked
	if l.parked != nil {
		l.parked.parkPrev = op
	}
	l.parked = op
}

func (l *loopState) unpark(op *fetchOp) {
	if op.parkPrev != nil {
		op.parkPrev.parkNext = op.parkNext
	} else {
		l.parked = op.parkNext
	}
	if op.parkNext != nil {
		op.parkNext.parkPrev = op.parkPrev
	}
	op.parkPrev, op.parkNext = nil, nil
}

// endPolls answers every waiting fetch with what there is: a shutdown need not wait for them.
func (b *Broker) endPolls() {
	for _, l := range b.loops {
		t := &netpoll.Task{Run: func() {
			for l.parked != nil {
				l.parked.timeUp()
			}
		}}
		l.wake.loop.Post(t)
	}
}

// loop returns the state of the request's reactor. The table is made complete before the first
// connection is accepted.
func (r *request) loop() *loopState { return r.b.loops[r.conn.Loop().Index()] }

func (r *request) wakeList() *wakeList { return r.loop().wake }

// pause stops the request's work clock at nowNs: it begins to wait.
func (r *request) pause(nowNs int64) {
	r.localNs += nowNs - r.startedNs
	r.startedNs = nowNs
}

// resume starts the work clock again.
func (r *request) resume(nowNs int64) {
	r.waitedNs += nowNs - r.startedNs
	r.startedNs = nowNs
}

// throttle lets one line through per period and counts the others, so that a misbehaving client
// cannot fill the disk with log lines.
type throttle struct {
	period     time.Duration
	nextNs     atomic.Int64
	suppressed atomic.Int64
	nowNs      func() int64
}

// allowed says whether to write the line, and how many were held back before it.
type allowed struct {
	ok         bool
	suppressed int64
}

func (t *throttle) allow() allowed {
	now, next := t.nowNs(), t.nextNs.Load()
	if now < next || !t.nextNs.CompareAndSwap(next, now+int64(t.period)) {
		t.suppressed.Add(1)
		return allowed{}
	}
	return allowed{ok: true, suppressed: t.suppressed.Swap(0)}
}

// rearm lets the next line through at once.
func (t *throttle) rearm() { t.nextNs.Store(math.MinInt64) }
