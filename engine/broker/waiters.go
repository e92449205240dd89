package broker

import "sync"

// waiters are those who want to hear of a partition's progress: fetch sessions that watch it, and
// produce requests whose acks wait for the high watermark.
type waiters struct {
	// mu guards the two lists. It is taken under the append lock.
	mu       sync.Mutex
	watching *fetchPart
	acks     *ackWait
}

// watch adds p. A partition that is watched already stays so.
func (w *waiters) watch(p *fetchPart) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.watched {
		return
	}
	p.watched = true
	p.watchPrev, p.watchNext = nil, w.watching
	if w.watching != nil {
		w.watching.watchPrev = p
	}
	w.watching = p
}

// unwatch removes p. After it returns no notification of this partition reaches p.
func (w *waiters) unwatch(p *fetchPart) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !p.watched {
		return
	}
	p.watched = false
	if p.watchPrev != nil {
		p.watchPrev.watchNext = p.watchNext
	} else {
		w.watching = p.watchNext
	}
	if p.watchNext != nil {
		p.watchNext.watchPrev = p.watchPrev
	}
	p.watchPrev, p.watchNext = nil, nil
}

// notify marks the partition dirty in every watching session; bytes is how much became readable.
// Its cost is one short lock per watching session and one message per reactor that owns a session
// in wait.
func (w *waiters) notify(bytes int64) { w.advance(bytes, bytes) }

// advance is notify where readers of committed records see other progress than the rest. Also with
// none the partition is dirty for them: its high watermark is to be told.
func (w *waiters) advance(bytes, committedBytes int64) {
	w.mu.Lock()
	for p := w.watching; p != nil; p = p.watchNext {
		if p.session.committed.Load() {
			p.session.mark(p, committedBytes)
		} else {
			p.session.mark(p, bytes)
		}
	}
	w.mu.Unlock()
}

// ackWait is one partition of a produce request that waits for acks=all. What follows index is
// guarded by the waiters' mu.
type ackWait struct {
	op *produceOp
	// then is told the outcome where no produce request waits; it is called with the append lock and
	// mu held and must not wait.
	then       func(code int16)
	index      int // of the partition in the request
	lastOffset int64
	queued     bool
	prev, next *ackWait
}

func (w *waiters) addAck(a *ackWait, lastOffset int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a.queued, a.lastOffset = true, lastOffset
	a.prev, a.next = nil, w.acks
	if w.acks != nil {
		w.acks.prev = a
	}
	w.acks = a
}

// dropAck reports whether a was still waiting.
func (w *waiters) dropAck(a *ackWait) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unlinkAck(a)
}

func (w *waiters) unlinkAck(a *ackWait) bool {
	if !a.queued {
		return false
	}
	a.queued = false
	if a.prev != nil {
		a.prev.next = a.next
	} else {
		w.acks = a.next
	}
	if a.next != nil {
		a.next.prev = a.prev
	}
	a.prev, a.next = nil, nil
	return true
}

func (a *ackWait) settled(code int16) {
	if a.op == nil {
		a.then(code)
		return
	}
	a.op.acked(a.index, code)
}

// settleAcks decides every waiting ack: decide returns whether the wait is over, and its code.
func (w *waiters) settleAcks(decide func(lastOffset int64) (over bool, code int16)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for a := w.acks; a != nil; {
		next := a.next
		if over, code := decide(a.lastOffset); over {
			w.unlinkAck(a)
			a.settled(code)
		}
		a = next
	}
}
