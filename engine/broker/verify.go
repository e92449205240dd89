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

// verifyTxn sees to it that the partition belongs to the producer's transaction. then gets the guard
// with which its batch may be appended, 0 where none is needed.
func (b *Broker) verifyTxn(
	r *replica, v verification, then func(guard uint64, code int16),
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
	b.confirmTxn(r.topic.name, r.index, v, func(code int16) { then(guard, code) })
}

const (
	// confirmRetryMs is how often a coordinator that is still ending the last transaction is asked
	// again (add.partitions.to.txn.retry.backoff.ms), confirmRetriesMax bounds it to a tenth of a
	// second (…max.ms): the client would only come back with the same request.
	confirmRetry      = 20 * time.Millisecond
	confirmRetriesMax = 5
)

// confirmTxn asks the transaction's coordinator about one partition.
func (b *Broker) confirmTxn(topic string, index int32, v verification, then func(code int16)) {
	b.tryConfirmTxn(topic, index, v, 0, then)
}

func (b *Broker) tryConfirmTxn(
	topic string, index int32, v verification, attempt int, then func(code int16),
) {
	topics := []kmsg.AddPartitionsToTxnRequestTransactionTopic{{
		Topic: topic, Partitions: []int32{index},
	}}
	b.addToTxn(v.transactionalID, v.producerID, v.epoch, !v.adds, topics, func(code int16) {
		if code == wire.CodeConcurrentTransactions && v.adds && attempt < confirmRetriesMax {
			time.AfterFunc(confirmRetry, func() {
				b.tryConfirmTxn(topic, index, v, attempt+1, then)
			})
			return
		}
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

// verify asks for the partition of item i, whose append began a transaction that nobody has
// confirmed, and appends again; any goroutine. The item stays pending until then.
func (op *produceOp) verify(i int) {
	it := &op.items[i]
	b, batch, version := op.r.b, it.append.Batch, op.request.Version
	v := verification{
		transactionalID: string(op.request.TransactionalID), producerID: batch.ProducerID(),
		epoch: batch.ProducerEpoch(), sequence: batch.BaseSequence(), adds: version >= produceAdds,
	}
	b.confirmTxn(it.replica.topic.name, it.replica.index, v, func(code int16) {
		if code != wire.CodeNone {
			it.code, it.message = produceVerifyCode(code, version)
			op.release()
			return
		}
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
	})
}
