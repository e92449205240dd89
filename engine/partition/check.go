package partition

import (
	"math"

	"sluice/wire"
)

// The transaction versions that an Append may name (feature transaction.version, KIP-890).
const (
	// TxnVersionClassic stands for 0 and 1: an epoch outlives the transaction.
	TxnVersionClassic int8 = 1
	// TxnVersionEpochs is 2: each transaction has an epoch of its own, which its marker ends.
	TxnVersionEpochs int8 = 2
)

// checkProducer decides about a batch with a producer id, under the append lock. It reports true when
// that settled the append: refused, or answered with an earlier one. The rules are those of Kafka's
// classes UnifiedLog (analyzeAndValidateProducerState, maybeStartTransactionVerification) and
// ProducerAppendInfo, in their order (KIP-98, KIP-360, KIP-890).
func (l *Log) checkProducer(a *Append, b wire.Batch) (over bool) {
	p := l.producers.get(b.ProducerID())
	if b.IsControl() {
		return a.refuseIf(checkMarker(p, b, a.TxnVersion))
	}
	if over := l.verify(a, p, b); over {
		return true
	}
	if p != nil && a.Origin == FromClient {
		if sent, found := p.duplicate(b); found {
			a.repeat(sent)
			return true
		}
	}
	if code := l.checkGuard(a, p, b); code != wire.CodeNone {
		return a.refuseIf(code)
	}
	if p != nil && b.ProducerEpoch() < p.epoch {
		return a.refuseIf(wire.CodeInvalidProducerEpoch)
	}
	if a.Origin == FromClient && !l.inSequence(a, p, b) {
		return a.refuseIf(wire.CodeOutOfOrderSequenceNumber)
	}
	if p != nil && p.txnFirst >= 0 && !b.IsTransactional() {
		return a.refuseIf(wire.CodeInvalidTxnState)
	}
	return false
}

// refuseIf refuses the append with any code but none, and reports whether it did.
func (a *Append) refuseIf(code int16) bool {
	if code == wire.CodeNone {
		return false
	}
	a.refuse(code)
	return true
}

// inSequence reports whether a client's batch continues where its producer, nil for one without
// state, stands.
func (l *Log) inSequence(a *Append, p *producer, b wire.Batch) bool {
	first := b.BaseSequence()
	if a.TxnVersion >= TxnVersionEpochs && b.IsTransactional() && first != 0 &&
		(p == nil || p.used == 0) {
		// A transaction with an epoch of its own begins at 0: what came before is missing.
		return false
	}
	if v, ok := l.verifying.get(b.ProducerID()); ok && first > v.lowestSeq {
		// An earlier batch has still to come, or it would never get in.
		return false
	}
	// Without state, which has expired, or whose records were deleted, any other sequence is taken.
	return p == nil || p.inSequence(b)
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

// checkMarker decides about a coordinator's marker for producer p, nil for one without state.
//
// With transaction.version 2 the coordinator raises the epoch before it writes markers. One whose
// epoch is not above the producer's is then late, and might end a transaction that is not its own;
// only where nothing is open may it be the same marker again, whose answer was lost (KAFKA-19999).
func checkMarker(p *producer, b wire.Batch, txnVersion int8) int16 {
	_, coordinatorEpoch, ok := parseMarker(b)
	if !ok {
		return wire.CodeInvalidRecord
	}
	if p == nil {
		return wire.CodeNone
	}
	switch epoch := b.ProducerEpoch(); {
	case epoch < p.epoch,
		epoch == p.epoch && p.txnFirst >= 0 && txnVersion >= TxnVersionEpochs:
		return wire.CodeInvalidProducerEpoch
	case coordinatorEpoch < p.coordinatorEpoch:
		return wire.CodeTransactionCoordinatorFenced
	}
	return wire.CodeNone
}
