package broker

import (
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
		if code == wire.CodeNone {
			t.Topic, t.TopicID = name, id
			known, places = append(known, *t), append(places, i)
			continue
		}
		for _, x := range t.Partitions {
			answer.Partitions = append(answer.Partitions, kmsg.OffsetCommitResponseTopicPartition{
				Partition: x.Partition, ErrorCode: code,
			})
		}
	}
	if len(known) == 0 && len(req.Topics) > 0 {
		to.answer(p)
		return
	}
	req.Topics = known
	b.groups.submit(groupInput(to, group.OffsetCommit, req.Group, req, func(response any) {
		for i, t := range response.(*kmsg.OffsetCommitResponse).Topics {
			p.Topics[places[i]].Partitions = t.Partitions
		}
		to.answer(p)
	}))
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
		if code == wire.CodeNone {
			known, places = append(known, *t), append(places, i)
			continue
		}
		for _, x := range t.Partitions {
			answer.Partitions = append(answer.Partitions, kmsg.OffsetDeleteResponseTopicPartition{
				Partition: x.Partition, ErrorCode: code,
			})
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
			p.Topics[places[i]].Partitions = t.Partitions
		}
		to.answer(p)
	}))
}
