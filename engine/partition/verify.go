package partition

import (
	"math"

	"sluice/wire"
)

// A transaction must not begin in a partition of which its coordinator does not know: no marker would
// ever end it, and the last stable offset would stand still for good (KIP-890, part 1). So a batch
// that would begin one is verified first, in two steps.
//
// The first append is refused, and leaves an entry in the table here with a guard, a number that
// is never used again. Whoever sent the batch asks the coordinator, with transaction.version 2 to add
// the partition to the transaction, and appends again with that guard. The batch is let in if its
// guard is still the entry's. The entry goes when a transactional batch or a marker of that producer
// is appended. A verified batch that is overtaken by the marker which ends its transaction therefore
// comes too late, even where a later transaction is being verified by then.

// verification is one producer's entry (class VerificationStateEntry).
type verification struct {
	guard     uint64
	startedMs int64
	// lowestSeq is the lowest sequence of this epoch that asked to be verified. Later ones wait for it:
	// were they let in first, it would be out of order for ever.
	lowestSeq int32
	epoch     int16
}

// verifyingMax bounds the table. Beyond it the oldest entries are forgotten, and what waits for them
// is refused.
const verifyingMax = 1 << 16

// verifications is the table, guarded by the append lock. It is two generations of a map, of which
// the older goes as a whole; so neither adding nor forgetting ever walks it.
type verifications struct {
	young, old map[int64]verification
	// guards is the last guard given out.
	guards uint64
}

func (t *verifications) get(id int64) (v verification, ok bool) {
	if len(t.young) > 0 {
		if v, ok = t.young[id]; ok {
			return v, true
		}
	}
	if len(t.old) > 0 {
		v, ok = t.old[id]
	}
	return v, ok
}

// start returns the guard of the producer's entry, which it makes if there is none.
func (t *verifications) start(id int64, epoch int16, seq int32, nowMs int64) (guard uint64) {
	v, ok := t.get(id)
	switch {
	case !ok:
		t.guards++
		v = verification{guard: t.guards, startedMs: nowMs, lowestSeq: seq, epoch: epoch}
	case epoch > v.epoch:
		v.epoch, v.lowestSeq = epoch, seq
	case epoch == v.epoch && seq < v.lowestSeq:
		v.lowestSeq = seq
	default:
		return v.guard
	}
	t.put(id, v)
	return v.guard
}

func (t *verifications) put(id int64, v verification) {
	if _, ok := t.old[id]; ok {
		t.old[id] = v
		return
	}
	if len(t.young) >= verifyingMax/2 {
		t.young, t.old = t.old, t.young
		clear(t.young)
	}
	if t.young == nil {
		t.young = make(map[int64]verification)
	}
	t.young[id] = v
}

func (t *verifications) forget(id int64) {
	if len(t.young)+len(t.old) > 0 {
		delete(t.young, id)
		delete(t.old, id)
	}
}

// reset forgets everything but which guards were used.
func (t *verifications) reset() { t.young, t.old = nil, nil }

// expire drops entries whose verification began idleMs ago or earlier.
func (t *verifications) expire(nowMs, idleMs int64) {
	for _, entries := range []map[int64]verification{t.young, t.old} {
		for id, v := range entries {
			if nowMs-v.startedMs >= idleMs {
				delete(entries, id)
			}
		}
	}
}

// continues reports whether the batch belongs to the open transaction of its producer, nil for one
// without state: the coordinator then knows of this partition.
func (p *producer) continues(b wire.Batch) bool {
	return p != nil && p.txnFirst >= 0 && p.epoch == b.ProducerEpoch()
}

// verify begins the verification of a batch that needs one, and reports true if that settled the
// append.
func (l *Log) verify(a *Append, p *producer, b wire.Batch) (over bool) {
	if !b.IsTransactional() || p.continues(b) ||
		!l.config.Load().VerifyTxns && a.TxnVersion < TxnVersionEpochs {
		return false
	}
	if p != nil && b.ProducerEpoch() < p.epoch {
		// Refused early, and with a code upon which the client can abort and go on.
		return a.refuseIf(wire.CodeInvalidProducerEpoch)
	}
	if a.Guard != 0 {
		return false
	}
	nowMs := a.NowMs
	if nowMs == 0 {
		nowMs = l.dir.nowMs()
	}
	seq := b.BaseSequence()
	if p != nil && p.epoch == b.ProducerEpoch() && p.used > 0 && !p.inSequence(b) {
		// A late copy of what is in the log already: nobody has to wait for it. With Kafka's class
		// ProducerAppendInfo it keeps the rest of its epoch out.
		seq = math.MaxInt32
	}
	a.Guard = l.verifying.start(b.ProducerID(), b.ProducerEpoch(), seq, nowMs)
	a.refuse(wire.CodeInvalidTxnState)
	a.Unverified = true
	return true
}

// StartVerification begins the verification of a transactional batch that is not at hand yet, or
// returns 0 where none is needed: see Append.Guard. adds says that the sender speaks transaction
// version 2, for which the partition has to be added to the transaction in any case.
func (l *Log) StartVerification(
	producerID int64, epoch int16, sequence int32, adds bool, nowMs int64,
) (guard uint64) {
	if !l.config.Load().VerifyTxns && !adds {
		return 0
	}
	l.Locked(func() {
		p := l.producers.get(producerID)
		if p == nil || p.txnFirst < 0 || p.epoch != epoch {
			guard = l.verifying.start(producerID, epoch, sequence, nowMs)
		}
	})
	return guard
}

// checkGuard decides about a batch that would begin a transaction by its guard.
func (l *Log) checkGuard(a *Append, p *producer, b wire.Batch) int16 {
	if !b.IsTransactional() || p.continues(b) || !l.config.Load().VerifyTxns {
		return wire.CodeNone
	}
	if v, ok := l.verifying.get(b.ProducerID()); !ok || v.guard != a.Guard {
		return wire.CodeInvalidTxnState
	}
	return wire.CodeNone
}
