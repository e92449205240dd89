package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/partition"
	"sluice/wire"
)

// noEpoch stands for no leader epoch in a request.
const noEpoch = -1

// handleOffsetForLeaderEpoch tells consumers and followers where a leader epoch ended in the
// leader's log, so that they notice records that were truncated under them (KIP-101, 279, 320).
func handleOffsetForLeaderEpoch(b *Broker, _ *request, q kmsg.Request) kmsg.Response {
	req := q.(*kmsg.OffsetForLeaderEpochRequest)
	p := kmsg.NewPtrOffsetForLeaderEpochResponse()
	for i := range req.Topics {
		from := &req.Topics[i]
		to := kmsg.NewOffsetForLeaderEpochResponseTopic()
		to.Topic = from.Topic
		for j := range from.Partitions {
			to.Partitions = append(to.Partitions, b.epochEnd(from.Topic, &from.Partitions[j]))
		}
		p.Topics = append(p.Topics, to)
	}
	return p
}

func (b *Broker) epochEnd(
	topic string, from *kmsg.OffsetForLeaderEpochRequestTopicPartition,
) kmsg.OffsetForLeaderEpochResponseTopicPartition {
	to := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
	to.Partition = from.Partition
	r, code := b.hosted(topic, from.Partition)
	if code != wire.CodeNone {
		to.ErrorCode = code
		return to
	}
	log, code := b.ledLog(r, from.CurrentLeaderEpoch, false)
	if code != wire.CodeNone {
		to.ErrorCode = code
		return to
	}
	end := log.OffsetForLeaderEpoch(from.LeaderEpoch)
	if from.LeaderEpoch < noEpoch {
		// Every number but -1 is an epoch to Kafka, and this one lies below all that there are: it
		// ends where the first begins.
		var room [8]partition.EpochStart
		if epochs := log.Epochs(room[:0]); len(epochs) > 0 {
			end = partition.EpochEnd{
				Epoch: from.LeaderEpoch, EndOffset: epochs[0].StartOffset,
			}
		}
	}
	to.LeaderEpoch, to.EndOffset = end.Epoch, end.EndOffset
	return to
}
