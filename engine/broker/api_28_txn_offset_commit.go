package broker

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/engine/group"
	"sluice/wire"
)

// The versions of TxnOffsetCommit from which on the client knows TRANSACTION_ABORTABLE, does not add
// the offsets' partition itself (KIP-890), and names topics by id.
const (
	txnOffsetsAbortable = 4
	txnOffsetsAdds      = 5
	txnOffsetsByID      = 6
)

// handleTxnOffsetCommit writes offsets that count once their transaction commits. The transaction's
// coordinator is asked first: nothing may be written into one that has ended (KIP-890).
func handleTxnOffsetCommit(b *Broker, to *answerTo, q kmsg.Request) {
	req := q.(*kmsg.TxnOffsetCommitRequest)
	p := kmsg.NewPtrTxnOffsetCommitResponse()
	p.Topics = make([]kmsg.TxnOffsetCommitResponseTopic, len(req.Topics))
	var known []kmsg.TxnOffsetCommitRequestTopic
	var places []int
	fill := func(i int, t *kmsg.TxnOffsetCommitRequestTopic, code int16) {
		for _, x := range t.Partitions {
			p.Topics[i].Partitions = append(p.Topics[i].Partitions,
				kmsg.TxnOffsetCommitResponseTopicPartition{Partition: x.Partition, ErrorCode: code})
		}
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		p.Topics[i].Topic, p.Topics[i].TopicID = t.Topic, t.TopicID
		name, id, code := b.topicNamed(t.Topic, t.TopicID, req.Version >= txnOffsetsByID)
		if code != wire.CodeNone {
			fill(i, t, code)
			continue
		}
		t.Topic, t.TopicID = name, id
		missing := *t
		missing.Partitions = b.splitMissing(t)
		fill(i, &missing, wire.CodeUnknownTopicOrPartition)
		if len(t.Partitions) > 0 {
			known, places = append(known, *t), append(places, i)
		}
	}
	if len(known) == 0 {
		to.answer(p)
		return
	}
	req.Topics = known
	refuse := func(code int16) {
		for i := range known {
			fill(places[i], &known[i], code)
		}
		to.answer(p)
	}
	if req.Group == "" {
		refuse(wire.CodeInvalidGroupID) // Before a transaction gets a partition for it.
		return
	}
	var try func(wait time.Duration)
	try = func(wait time.Duration) {
		v := b.txnOffsetsVerification(req)
		b.verifyTxnOffsets(req, v, func(guard uint64, code int16) {
			if code != wire.CodeNone {
				refuse(txnOffsetsCode(code, req.Version))
				return
			}
			in := groupInput(to, group.TxnOffsetCommit, req.Group, req, func(response any) {
				from := response.(*kmsg.TxnOffsetCommitResponse)
				if guard != 0 && v.again(firstCode(from), wait) {
					time.AfterFunc(wait, func() { try(2 * wait) })
					return
				}
				for i, t := range from.Topics {
					answer := &p.Topics[places[i]]
					answer.Partitions = append(t.Partitions, answer.Partitions...)
				}
				to.answer(p)
			})
			in.Guard = guard
			b.groups.post(in) // This may be the goroutine that runs a transactions' shard.
		})
	}
	try(confirmWaitMin)
}

// splitMissing takes the partitions that a topic does not have out of a commit and returns them.
func (b *Broker) splitMissing(t *kmsg.TxnOffsetCommitRequestTopic,
) (missing []kmsg.TxnOffsetCommitRequestTopicPartition) {
	has := b.partitionsOf(t.Topic)
	t.Partitions = slices.DeleteFunc(t.Partitions, func(x kmsg.TxnOffsetCommitRequestTopicPartition) bool {
		if has(x.Partition) {
			return false
		}
		missing = append(missing, x)
		return true
	})
	return missing
}

// firstCode is the first partition's code: a batch is refused as a whole.
func firstCode(p *kmsg.TxnOffsetCommitResponse) int16 {
	for _, t := range p.Topics {
		for _, x := range t.Partitions {
			return x.ErrorCode
		}
	}
	return wire.CodeNone
}

func (b *Broker) txnOffsetsVerification(req *kmsg.TxnOffsetCommitRequest) verification {
	return verification{
		transactionalID: req.TransactionalID, producerID: req.ProducerID, epoch: req.ProducerEpoch,
		sequence: wire.NoSequence, adds: req.Version >= txnOffsetsAdds,
	}
}

// verifyTxnOffsets makes sure that the partition of the group's offsets is in the transaction.
func (b *Broker) verifyTxnOffsets(
	req *kmsg.TxnOffsetCommitRequest, v verification, then func(guard uint64, code int16),
) {
	n := b.groups.partitions()
	if n == 0 {
		then(0, wire.CodeCoordinatorNotAvailable)
		return
	}
	index := coordinator.PartitionFor(req.Group, n)
	r, code := b.hosted(offsetsTopic, index)
	if code != wire.CodeNone {
		then(0, wire.CodeNotCoordinator)
		return
	}
	b.verifyTxn(r, v, confirmWaitMin, then)
}

// txnOffsetsCode is a failed verification in words that the client's version knows.
func txnOffsetsCode(code, version int16) int16 {
	switch code {
	case wire.CodeTransactionAbortable:
		if version < txnOffsetsAbortable {
			return wire.CodeInvalidTxnState
		}
		return code
	case wire.CodeNetworkException:
		return wire.CodeCoordinatorLoadInProgress
	default:
		return coordinator.Refusal(code)
	}
}
