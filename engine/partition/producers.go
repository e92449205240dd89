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
	// txnFirst is the first offset of the open transaction, or -1.
	txnFirst         int64
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
			t.list[i] = t.list[last]
			t.slots[t.list[i].id] = int32(i)
		}
		t.list = t.list[:last]
		dropped++
	}
	return dropped
}

// check decides about a batch with a producer id before it is appended: append it (CodeNone),
// answer with an earlier append (dup), or refuse it. The rules are those of Kafka's class
// ProducerAppendInfo (KIP-98, KIP-360).
func (t *producers) check(b wire.Batch, origin Origin) (dup sentBatch, isDup bool, code int16) {
	p := t.get(b.ProducerID())
	if p == nil {
		// Expired, or its records were deleted: any sequence number is taken.
		return sentBatch{}, false, wire.CodeNone
	}
	if origin == FromClient {
		if sent, found := p.duplicate(b); found {
			return sent, true, wire.CodeNone
		}
	}
	if b.ProducerEpoch() < p.epoch {
		return sentBatch{}, false, wire.CodeInvalidProducerEpoch
	}
	if b.IsControl() {
		return sentBatch{}, false, p.checkMarker(b)
	}
	if origin == FromClient && !p.inSequence(b) {
		return sentBatch{}, false, wire.CodeOutOfOrderSequenceNumber
	}
	if p.txnFirst >= 0 && !b.IsTransactional() {
		return sentBatch{}, false, wire.CodeInvalidTxnState
	}
	return sentBatch{}, false, wire.CodeNone
}

// inSequence reports whether the batch continues where the producer stands. A new epoch begins at
// sequence 0, unless this producer has no epoch yet.
func (p *producer) inSequence(b wire.Batch) bool {
	first := b.BaseSequence()
	if b.ProducerEpoch() != p.epoch {
		return first == 0 || p.epoch == wire.NoProducerEpoch
	}
	last := p.lastSeq()
	if last == wire.NoSequence {
		// The epoch is known from a transaction marker only.
		return first == 0
	}
	return first == last+1 || first == 0 && last == math.MaxInt32
}

func (p *producer) checkMarker(b wire.Batch) int16 {
	_, coordinatorEpoch, ok := parseMarker(b)
	if ok && coordinatorEpoch < p.coordinatorEpoch {
		return wire.CodeTransactionCoordinatorFenced
	}
	return wire.CodeNone
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
		return p.end(b)
	}
	p.remember(sentBatch{
		lastOffset: b.LastOffset(), timestampMs: b.MaxTimestamp(),
		lastSeq: b.LastSequence(), delta: b.LastOffsetDelta(),
	})
	if b.IsTransactional() && p.txnFirst < 0 {
		p.txnFirst = b.BaseOffset()
	}
	return endedTxn{}, false
}

func (p *producer) end(b wire.Batch) (endedTxn, bool) {
	kind, coordinatorEpoch, ok := parseMarker(b)
	if !ok {
		return endedTxn{}, false
	}
	p.coordinatorEpoch = max(p.coordinatorEpoch, coordinatorEpoch)
	if p.txnFirst < 0 {
		return endedTxn{}, false
	}
	ended := endedTxn{
		producerID: p.id, firstOffset: p.txnFirst, lastOffs: b.LastOffset(),
		aborted: kind == markerAbort,
	}
	p.txnFirst = -1
	return ended, true
}

// firstOpen is the first offset of the oldest open transaction, or -1.
func (t *producers) firstOpen() int64 {
	first := int64(-1)
	for i := range t.list {
		if o := t.list[i].txnFirst; o >= 0 && (first < 0 || o < first) {
			first = o
		}
	}
	return first
}
