package partition

import (
	"math"

	"sluice/wire"
)

// windowBatches is how many of a producer's latest batches are remembered to recognise a repeated
// one: clients keep at most five requests in flight (KIP-98).
const windowBatches = 5

// sentBatch is one appended batch of an idempotent producer.
type sentBatch struct {
	lastOffset  int64
	timestampMs int64
	lastSeq     int32
	// delta is the offset, and sequence, distance between the first and the last record.
	delta int32
}

// firstSeq is the batch's first sequence number; sequences wrap from 2147483647 to 0.
func (b sentBatch) firstSeq() int32 {
	if b.lastSeq >= b.delta {
		return b.lastSeq - b.delta
	}
	return math.MaxInt32 - (b.delta - b.lastSeq) + 1
}

// producer is one producer id's state in one partition. It is flat, so that the collector has
// nothing to follow through a million of them.
type producer struct {
	id          int64
	timestampMs int64
	// txnFirst is the first offset of the open transaction, or -1. openPrev and openNext link the
	// producers that have one, in the order of those offsets: one more than a slot, 0 for none.
	txnFirst         int64
	openPrev         int32
	openNext         int32
	coordinatorEpoch int32
	epoch            int16
	// used counts the batches remembered, oldest first.
	used    uint8
	batches [windowBatches]sentBatch
}

// lastSeq is the sequence number after which the next batch must begin, or wire.NoSequence.
func (p *producer) lastSeq() int32 {
	if p.used == 0 {
		return wire.NoSequence
	}
	return p.batches[p.used-1].lastSeq
}

func (p *producer) remember(b sentBatch) {
	if p.used == windowBatches {
		copy(p.batches[:], p.batches[1:])
		p.used--
	}
	p.batches[p.used] = b
	p.used++
}

// duplicate finds the remembered batch with the same epoch and sequence numbers.
func (p *producer) duplicate(b wire.Batch) (sentBatch, bool) {
	if b.ProducerEpoch() != p.epoch {
		return sentBatch{}, false
	}
	first, last := b.BaseSequence(), b.LastSequence()
	for _, sent := range p.batches[:p.used] {
		if sent.lastSeq == last && sent.firstSeq() == first {
			return sent, true
		}
	}
	return sentBatch{}, false
}

// producers is the producer state of one log, guarded by the append lock.
type producers struct {
	// slots finds a producer id's place in list.
	slots map[int64]int32
	list  []producer
	// openFirst and openLast are the ends of the list of open transactions, linked as in producer.
	openFirst, openLast int32
	// through is the offset up to which the state reflects the log.
	through int64
}

func (t *producers) get(id int64) *producer {
	slot, ok := t.slots[id]
	if !ok {
		return nil
	}
	return &t.list[slot]
}

// put returns the entry of id, new if need be. The pointer is good until the next put or drop.
func (t *producers) put(id int64) *producer {
	if p := t.get(id); p != nil {
		return p
	}
	if t.slots == nil {
		t.slots = make(map[int64]int32)
	}
	t.slots[id] = int32(len(t.list))
	t.list = append(t.list, producer{
		id: id, epoch: wire.NoProducerEpoch, txnFirst: -1, coordinatorEpoch: -1, timestampMs: -1,
	})
	return &t.list[len(t.list)-1]
}

func (t *producers) reset() {
	clear(t.slots)
	t.list, t.through = t.list[:0], 0
	t.openFirst, t.openLast = 0, 0
}

// open makes p's transaction begin at first, which is above that of every other open one, as what is
// appended last is.
func (t *producers) open(p *producer, first int64) {
	slot := t.slots[p.id] + 1
	p.txnFirst, p.openPrev, p.openNext = first, t.openLast, 0
	if t.openLast != 0 {
		t.list[t.openLast-1].openNext = slot
	} else {
		t.openFirst = slot
	}
	t.openLast = slot
}

// decide ends p's open transaction.
func (t *producers) decide(p *producer) {
	if p.openPrev != 0 {
		t.list[p.openPrev-1].openNext = p.openNext
	} else {
		t.openFirst = p.openNext
	}
	if p.openNext != 0 {
		t.list[p.openNext-1].openPrev = p.openPrev
	} else {
		t.openLast = p.openPrev
	}
	p.txnFirst, p.openPrev, p.openNext = -1, 0, 0
}

// firstOpen is the first offset of the oldest open transaction, or -1.
func (t *producers) firstOpen() int64 {
	if t.openFirst == 0 {
		return -1
	}
	return t.list[t.openFirst-1].txnFirst
}

// expire drops producers that have been idle for idleMs and have no open transaction.
func (t *producers) expire(nowMs, idleMs int64) (dropped int) {
	for i := 0; i < len(t.list); {
		p := &t.list[i]
		if p.txnFirst >= 0 || nowMs-p.timestampMs < idleMs {
			i++
			continue
		}
		delete(t.slots, p.id)
		last := len(t.list) - 1
		if i != last {
			t.move(last, i)
		}
		t.list = t.list[:last]
		dropped++
	}
	return dropped
}

// move puts the producer of one slot into another, whose own is gone.
func (t *producers) move(from, to int) {
	p := &t.list[to]
	*p = t.list[from]
	t.slots[p.id] = int32(to)
	if p.txnFirst < 0 {
		return
	}
	if p.openPrev != 0 {
		t.list[p.openPrev-1].openNext = int32(to) + 1
	} else {
		t.openFirst = int32(to) + 1
	}
	if p.openNext != 0 {
		t.list[p.openNext-1].openPrev = int32(to) + 1
	} else {
		t.openLast = int32(to) + 1
	}
}

// endedTxn is a transaction that a marker has just ended.
type endedTxn struct {
	producerID            int64
	firstOffset, lastOffs int64
	aborted               bool
}

// apply takes an appended batch into the state; its base offset is final. It reports the
// transaction that the batch ended, if it did.
func (t *producers) apply(b wire.Batch) (ended endedTxn, isEnd bool) {
	t.through = b.NextOffset()
	if !b.HasProducerID() {
		return endedTxn{}, false
	}
	p := t.put(b.ProducerID())
	if epoch := b.ProducerEpoch(); epoch != p.epoch {
		p.epoch, p.used = epoch, 0
	}
	p.timestampMs = b.MaxTimestamp()
	if b.IsControl() {
		return t.end(p, b)
	}
	p.remember(sentBatch{
		lastOffset: b.LastOffset(), timestampMs: b.MaxTimestamp(),
		lastSeq: b.LastSequence(), delta: b.LastOffsetDelta(),
	})
	if b.IsTransactional() && p.txnFirst < 0 {
		t.open(p, b.BaseOffset())
	}
	return endedTxn{}, false
}

// end takes a marker into p's state. A marker without an open transaction ends none, and leaves its
// epochs behind.
func (t *producers) end(p *producer, b wire.Batch) (endedTxn, bool) {
	kind, coordinatorEpoch, ok := parseMarker(b)
	if !ok {
		return endedTxn{}, false
	}
	p.coordinatorEpoch = coordinatorEpoch
	if p.txnFirst < 0 {
		return endedTxn{}, false
	}
	ended := endedTxn{
		producerID: p.id, firstOffset: p.txnFirst, lastOffs: b.LastOffset(),
		aborted: kind == markerAbort,
	}
	t.decide(p)
	return ended, true
}
