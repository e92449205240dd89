package partition

import (
	"sync"
	"sync/atomic"

	"sluice/wire"
)

// The bytes of queued appends that one holder of the append lock carries out before it goes back
// to its own work. A reactor's share is its turn's; the writer has nothing else to do but should
// let the dir's other logs have their turn.
const (
	drainReactorBytes = 256 << 10
	drainWriterBytes  = 4 << 20
)

// appendQueue holds appends that found the append lock taken or the gate closed, in order.
type appendQueue struct {
	// mu guards the list and bytes; it is held for a few instructions and may be taken with the
	// append lock held, never the other way round.
	mu         sync.Mutex
	head, tail *Append
	bytes      int64
	// count is the number queued. It is raised before the queuer tries the append lock and lowered
	// under the append lock, so that a holder who sees zero after unlocking has left nobody behind.
	count atomic.Int64
}

// push queues a unless that would pass limit bytes.
func (q *appendQueue) push(a *Append, limit int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := int64(len(a.Batch))
	if q.bytes > 0 && q.bytes+size > limit {
		return false
	}
	a.next = nil
	if q.tail == nil {
		q.head = a
	} else {
		q.tail.next = a
	}
	q.tail = a
	q.bytes += size
	q.count.Add(1)
	return true
}

// putBack makes an append that pop gave the first one again. It needs the append lock since pop.
func (q *appendQueue) putBack(a *Append) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a.next = q.head
	if q.head = a; q.tail == nil {
		q.tail = a
	}
	q.bytes += int64(len(a.Batch))
	q.count.Add(1)
}

// pop needs the append lock.
func (q *appendQueue) pop() *Append {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.head
	if a == nil {
		return nil
	}
	q.head = a.next
	if q.head == nil {
		q.tail = nil
	}
	a.next = nil
	q.bytes -= int64(len(a.Batch))
	q.count.Add(-1)
	return a
}

// QueuedBytes is the size of the batches that wait in the append queue.
func (l *Log) QueuedBytes() int64 {
	l.queue.mu.Lock()
	defer l.queue.mu.Unlock()
	return l.queue.bytes
}

// Submit appends one batch. It never waits: it only tries the append lock, and when another
// goroutine has it, or the dir's gate is closed, or the batch begins a new segment, which syncs
// names, the append is queued behind the earlier ones, for the dir's writer if need be. It reports
// true when the outcome is already in a; otherwise a.Done will be called, or has been. Appends of
// one log are carried out in the order in which they were submitted.
func (l *Log) Submit(a *Append) (done bool) {
	if l.TrySubmit(a) {
		return true
	}
	if !l.queue.push(a, l.dir.queueBytesMax) {
		a.refuse(wire.CodeRequestTimedOut)
		return true
	}
	return l.pump(a)
}

// inline reports whether this log's appends may run on the goroutine that submits them: not while
// the dir is slow, and not when flush.messages makes them wait for the device.
func (l *Log) inline() bool {
	return l.dir.gate.Inline() && !l.syncsAppends()
}

func (l *Log) syncsAppends() bool { return l.config.Load().FlushMessages < 1<<63-1 }

// pump carries out queued appends if nobody holds the append lock, and sees to it that somebody
// does otherwise. It reports whether own, which may be nil, was among them: own's Done is then not
// called.
func (l *Log) pump(own *Append) (ownDone bool) {
	if !l.inline() {
		l.dir.gate.Writer().Post(&l.drain)
		return false
	}
	for budget := int64(drainReactorBytes); l.queue.count.Load() > 0 && l.mu.TryLock(); {
		chain, used, stuck := l.drainLocked(budget, onCaller)
		l.mu.Unlock()
		ownDone = finish(chain, own) || ownDone
		if budget -= used; stuck || budget <= 0 && l.queue.count.Load() > 0 {
			l.dir.gate.Writer().Post(&l.drain)
			break
		}
	}
	return ownDone
}

// drainOnWriter is the drain task: a turn of queued appends on the dir's writer, which may wait
// for the append lock and for the device.
func (l *Log) drainOnWriter() {
	l.dir.gate.Probe()
	l.mu.Lock()
	chain, _, _ := l.drainLocked(drainWriterBytes, onWriter)
	mustSync := l.unflushed >= l.config.Load().FlushMessages
	l.mu.Unlock()
	if mustSync {
		l.syncChain(chain)
	}
	finish(chain, nil)
	if l.queue.count.Load() > 0 {
		l.dir.gate.Writer().Post(&l.drain)
	}
}

// syncChain syncs the log before the appends in chain are answered (flush.messages).
func (l *Log) syncChain(chain *Append) {
	if _, err := l.Flush(); err == nil {
		return
	}
	for a := chain; a != nil; a = a.next {
		if a.Code == wire.CodeNone {
			a.refuse(wire.CodeKafkaStorageError)
		}
	}
}

// drainLocked carries out queued appends of up to budget bytes under the append lock, which the
// caller holds, and returns them chained by next in order. stuck says that the next one is for the
// writer: it stays the first in the queue, and everything behind it waits.
func (l *Log) drainLocked(budget int64, where place) (chain *Append, used int64, stuck bool) {
	before := l.leo.Load()
	last := &chain
	for used < budget {
		a := l.queue.pop()
		if a == nil {
			break
		}
		if !l.append(a, where) {
			l.queue.putBack(a)
			stuck = true
			break
		}
		used += int64(len(a.Batch))
		*last, last = a, &a.next
	}
	l.publish(before)
	return chain, used, stuck
}

// publish tells the observer, under the append lock, when the log end has moved.
func (l *Log) publish(before int64) {
	if leo := l.leo.Load(); leo != before && l.observer != nil {
		l.observer.Appended(leo)
	}
}

// finish calls Done for every append in the chain except own. An append belongs to its owner again
// as soon as its Done was called.
func finish(chain, own *Append) (ownDone bool) {
	for a := chain; a != nil; {
		next := a.next
		a.next = nil
		if a == own {
			ownDone = true
		} else {
			a.Done(a)
		}
		a = next
	}
	return ownDone
}

// refuse sets the outcome of an append that left nothing in the log.
func (a *Append) refuse(code int16) {
	a.Code, a.Unverified, a.Duplicate, a.torn = code, false, false, false
	a.BaseOffset, a.LastOffset, a.LogAppendTimeMs = -1, -1, -1
}
