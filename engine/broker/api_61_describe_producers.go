package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
	"sluice/wire"
)

// handleDescribeProducers tells which producers have state in a partition, and where their open
// transactions began: with that a transaction is found which nobody is going to end (KIP-664). Any
// replica answers.
func handleDescribeProducers(b *Broker, _ *request, q kmsg.Request) kmsg.Response {
	req := q.(*kmsg.DescribeProducersRequest)
	p := kmsg.NewPtrDescribeProducersResponse()
	for i := range req.Topics {
		from := &req.Topics[i]
		to := kmsg.NewDescribeProducersResponseTopic()
		to.Topic = from.Topic
		code, message := b.describableTopic(from.Topic)
		for _, index := range from.Partitions {
			answer := kmsg.NewDescribeProducersResponseTopicPartition()
			answer.Partition, answer.ErrorCode, answer.ErrorMessage = index, code, message
			if code == wire.CodeNone {
				answer.ErrorCode, answer.ActiveProducers = b.activeProducers(from.Topic, index)
			}
			to.Partitions = append(to.Partitions, answer)
		}
		p.Topics = append(p.Topics, to)
	}
	return p
}

// describableTopic says what is wrong with a topic's name, if anything.
func (b *Broker) describableTopic(name string) (code int16, message *string) {
	if err := catalog.CheckTopicName(name); err.Code != wire.CodeNone {
		return err.Code, &err.Message
	}
	if b.image().Topic(name) == nil {
		unknown := "This server does not host this topic-partition."
		return wire.CodeUnknownTopicOrPartition, &unknown
	}
	return wire.CodeNone, nil
}

func (b *Broker) activeProducers(
	topic string, index int32,
) (int16, []kmsg.DescribeProducersResponseTopicPartitionActiveProducer) {
	r, code := b.hosted(topic, index)
	if code != wire.CodeNone {
		return code, nil
	}
	log, code := r.logOrError()
	if code != wire.CodeNone {
		return code, nil
	}
	producers := log.Producers()
	active := make([]kmsg.DescribeProducersResponseTopicPartitionActiveProducer, len(producers))
	for i := range producers {
		p := &producers[i]
		active[i] = kmsg.DescribeProducersResponseTopicPartitionActiveProducer{
			ProducerID: p.ID, ProducerEpoch: int32(p.Epoch), LastSequence: p.LastSequence,
			LastTimestamp: p.LastTimestampMs, CoordinatorEpoch: p.CoordinatorEpoch,
			CurrentTxnStartOffset: p.TxnFirstOffset,
		}
	}
	return wire.CodeNone, active
}
