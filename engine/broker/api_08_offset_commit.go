package broker

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/group"
	"sluice/wire"
)

// offsetsByID is the first version of OffsetCommit and OffsetFetch that names topics by id
// (KIP-848).
const offsetsByID = 10

// handleOffsetCommit passes on the offsets of topics that exist; the others are refused here, where
// topics are known.
func handleOffsetCommit(b *Broker, to *answerTo, q kmsg.Request) {
	req := q.(*kmsg.OffsetCommitRequest)
	p := kmsg.NewPtrOffsetCommitResponse()
	p.Topics = make([]kmsg.OffsetCommitResponseTopic, len(req.Topics))
	var known []kmsg.OffsetCommitRequestTopic
	var places []int
	for i := range req.Topics {
		t, answer := &req.Topics[i], &p.Topics[i]
		asked := t.TopicID
		name, id, code := b.topicNamed(t.Topic, t.TopicID, req.Version >= offsetsByID)
		answer.Topic, answer.TopicID = t.Topic, asked
		refuse := func(p int32, code int16) {
			answer.Partitions = append(answer.Partitions,
				kmsg.OffsetCommitResponseTopicPartition{Partition: p, ErrorCode: code})
		}
		if code != wire.CodeNone {
			for _, x := range t.Partitions {
				refuse(x.Partition, code)
			}
			continue
		}
		t.Topic, t.TopicID = name, id
		has := b.partitionsOf(name)
		t.Partitions = slices.DeleteFunc(t.Partitions, func(x kmsg.OffsetCommitRequestTopicPartition) bool {
			if has(x.Partition) {
				return false
			}
			refuse(x.Partition, wire.CodeUnknownTopicOrPartition)
			return true
		})
		if len(t.Partitions) > 0 {
			known, places = append(known, *t), append(places, i)
		}
	}
	if len(known) == 0 && len(req.Topics) > 0 {
		to.answer(p)
		return
	}
	req.Topics = known
	b.groups.submit(groupInput(to, group.OffsetCommit, req.Group, req, func(response any) {
		for i, t := range response.(*kmsg.OffsetCommitResponse).Topics {
			answer := &p.Topics[places[i]]
			answer.Partitions = append(t.Partitions, answer.Partitions...)
		}
		to.answer(p)
	}))
}

// partitionsOf returns what tells whether a topic has a partition of a number. A commit for one that it
// does not have would be kept for ever.
func (b *Broker) partitionsOf(topic string) func(partition int32) bool {
	t := b.topics.namedString(topic)
	return func(partition int32) bool { return t != nil && t.replica(partition) != nil }
}

// handleOffsetDelete likewise (KIP-496).
func handleOffsetDelete(b *Broker, to *answerTo, q kmsg.Request) {
	req := q.(*kmsg.OffsetDeleteRequest)
	p := kmsg.NewPtrOffsetDeleteResponse()
	p.Topics = make([]kmsg.OffsetDeleteResponseTopic, len(req.Topics))
	var known []kmsg.OffsetDeleteRequestTopic
	var places []int
	for i := range req.Topics {
		t, answer := &req.Topics[i], &p.Topics[i]
		answer.Topic = t.Topic
		_, _, code := b.topicNamed(t.Topic, [16]byte{}, false)
		has := b.partitionsOf(t.Topic)
		t.Partitions = slices.DeleteFunc(t.Partitions, func(x kmsg.OffsetDeleteRequestTopicPartition) bool {
			refused := code
			if code == wire.CodeNone && !has(x.Partition) {
				refused = wire.CodeUnknownTopicOrPartition
			}
			if refused != wire.CodeNone {
				answer.Partitions = append(answer.Partitions,
					kmsg.OffsetDeleteResponseTopicPartition{Partition: x.Partition, ErrorCode: refused})
			}
			return refused != wire.CodeNone
		})
		if len(t.Partitions) > 0 {
			known, places = append(known, *t), append(places, i)
		}
	}
	req.Topics = known
	b.groups.submit(groupInput(to, group.OffsetDelete, req.Group, req, func(response any) {
		from := response.(*kmsg.OffsetDeleteResponse)
		if p.ErrorCode = from.ErrorCode; p.ErrorCode != wire.CodeNone {
			p.Topics = nil
			to.answer(p)
			return
		}
		for i, t := range from.Topics {
			answer := &p.Topics[places[i]]
			answer.Partitions = append(t.Partitions, answer.Partitions...)
		}
		to.answer(p)
	}))
}
