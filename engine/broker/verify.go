package broker

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// verification is what a partition wants to know before a transaction begins in it.
type verification struct {
	transactionalID string
	producerID      int64
	epoch           int16
	// sequence is the batch's first, wire.NoSequence of a coordinator's.
	sequence int32
	// adds says that the client leaves it to the broker to add partitions (transaction.version 2).
	adds bool
}

// A coordinator that is still ending the last transaction is asked again, first after confirmWaitMin,
// then after twice as long each time, a tenth of a second in all: the client would only come back
// with the same request. Markers are usually written within a fraction of a millisecond; Kafka waits
// for fixed 20 ms (add.partitions.to.txn.retry.backoff.ms).
//
// Each time the verification begins anew. The marker of the last transaction ends every verification
// that was begun before it, also one whose transaction is the next.
const (
	confirmWaitMin = 250 * time.Microsecond
	confirmWaitMax = 64 * time.Millisecond
)

// again says whether what came out of a verification, or of the append after it, is to be tried once
// more after wait.
func (v *verification) again(code int16, wait time.Duration) bool {
	switch code {
	case wire.CodeConcurrentTransactions:
		return v.adds && wait <= confirmWaitMax
	case wire.CodeInvalidTxnState:
		// Of the log, not of the coordinator: the guard was no longer good.
		return wait <= confirmWaitMax
	default:
		return false
	}
}

// verifyTxn sees to it that the partition belongs to the producer's transaction. then gets the guard
// with which its batch may be appended, 0 where none is needed.
func (b *Broker) verifyTxn(
	r *replica, v verification, wait time.Duration, then func(guard uint64, code int16),
) {
	log, code := r.logOrError()
	if code != wire.CodeNone {
		then(0, code)
		return
	}
	guard := log.StartVerification(v.producerID, v.epoch, v.sequence, v.adds, b.nowMs())
	if guard == 0 {
		then(0, wire.CodeNone)
		return
	}
	b.confirmTxn(r.topic.name, r.index, v, func(code int16) {
		if code == wire.CodeConcurrentTransactions && v.again(code, wait) {
			time.AfterFunc(wait, func() { b.verifyTxn(r, v, 2*wait, then) })
			return
		}
		then(guard, code)
	})
}

// confirmTxn asks the transaction's coordinator about one partition.
func (b *Broker) confirmTxn(topic string, index int32, v verification, then func(code int16)) {
	topics := []kmsg.AddPartitionsToTxnRequestTransactionTopic{{
		Topic: topic, Partitions: []int32{index},
	}}
	beganNs := b.nanotime()
	b.addToTxn(v.transactionalID, v.producerID, v.epoch, !v.adds, topics, func(code int16) {
		b.txnMeter.verified(b.nanotime()-beganNs, code)
		then(code)
	})
}

// produceVerifyCode is a failed verification in words that a producer knows what to do with. Older
// clients give up on the coordinators' codes; NOT_ENOUGH_REPLICAS has them try again without asking
// for metadata.
func produceVerifyCode(code, version int16) (out int16, message string) {
	switch code {
	case wire.CodeTransactionAbortable:
		if version < produceAbortable {
			return wire.CodeInvalidTxnState, "Partition was not added to the transaction"
		}
		return code, ""
	case wire.CodeInvalidTxnState:
		return code, "Partition was not added to the transaction"
	case wire.CodeConcurrentTransactions:
		if version >= produceAdds {
			return code, "" // Common while the last transaction ends; these clients know it.
		}
		fallthrough
	case wire.CodeNetworkException, wire.CodeNotCoordinator,
		wire.CodeCoordinatorLoadInProgress, wire.CodeCoordinatorNotAvailable:
		return wire.CodeNotEnoughReplicas, "Unable to verify the partition has been added to the " +
			"transaction. Underlying error: " + wire.CodeName(code)
	default:
		return code, ""
	}
}

// The versions of Produce from which on a client knows TRANSACTION_ABORTABLE, and leaves adding
// partitions to the broker.
const (
	produceAbortable int16 = 11
	produceAdds      int16 = 12
)

// verify asks about the partition of item i, whose append began a transaction that nobody has
// confirmed, and appends again; any goroutine. The item stays pending until then.
func (op *produceOp) verify(i int) {
	it := &op.items[i]
	b, batch, version := op.r.b, it.append.Batch, op.request.Version
	v := verification{
		transactionalID: string(op.request.TransactionalID), producerID: batch.ProducerID(),
		epoch: batch.ProducerEpoch(), sequence: batch.BaseSequence(), adds: version >= produceAdds,
	}
	b.confirmTxn(it.replica.topic.name, it.replica.index, v, func(code int16) {
		switch {
		case code == wire.CodeNone:
			op.appendVerified(i)
		case code == wire.CodeConcurrentTransactions && v.again(code, it.verifyWait()):
			op.verifyAnew(i)
		default:
			it.code, it.message = produceVerifyCode(code, version)
			op.release()
		}
	})
}

// verifyWait is how long to wait before the next verification.
func (it *produceItem) verifyWait() time.Duration { return confirmWaitMin << it.verifications }

// verifyAnew begins the verification again in a while.
func (op *produceOp) verifyAnew(i int) {
	it := &op.items[i]
	wait := it.verifyWait()
	it.verifications++
	it.append.Guard = 0
	time.AfterFunc(wait, func() { op.appendVerified(i) })
}

// appendVerified appends again what an append has left unverified.
func (op *produceOp) appendVerified(i int) {
	it := &op.items[i]
	log, code := it.replica.logOrError()
	if code != wire.CodeNone {
		it.code = code
		op.release()
		return
	}
	it.append.Unverified, it.append.Code = false, wire.CodeNone
	it.append.Done, it.append.Context = op.done, it
	if log.Submit(&it.append) {
		op.settle(i)
	}
}

// outdated reports whether the append was refused because its guard was no longer good.
func (it *produceItem) outdated() bool {
	return it.append.Guard != 0 && it.append.Code == wire.CodeInvalidTxnState &&
		it.verifyWait() <= confirmWaitMax
}
