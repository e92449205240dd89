package broker

import (
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/group"
	"sluice/wire"
)

// The versions of OffsetFetch from which on a request asks for several groups (KIP-709), and from
// which on its answer has a code of its own.
const (
	offsetFetchGroups = 8
	offsetFetchCode   = 2
)

// handleOffsetFetch asks each group's coordinator.
func handleOffsetFetch(b *Broker, to *answerTo, q kmsg.Request) {
	req := q.(*kmsg.OffsetFetchRequest)
	if req.Version < offsetFetchGroups {
		fetchOneGroup(b, to, req)
		return
	}
	groups := make([]kmsg.OffsetFetchResponseGroup, len(req.Groups))
	all := gatherParts(len(groups), func() {
		p := kmsg.NewPtrOffsetFetchResponse()
		p.Groups = groups
		to.answer(p)
	})
	seen := make(map[string]struct{}, len(groups))
	var metadataBytes atomic.Int64
	for i := range req.Groups {
		g := &req.Groups[i]
		if _, again := seen[g.Group]; again {
			groups[i] = failedGroup(g.Group, wire.CodeInvalidRequest)
			all.done()
			continue
		}
		seen[g.Group] = struct{}{}
		query := &group.FetchQuery{
			Group: g.Group, MemberID: g.MemberID, MemberEpoch: g.MemberEpoch,
			RequireStable: req.RequireStable, Topics: g.Topics,
		}
		refused := b.nameTopics(req.Version, query)
		b.fetchGroup(to, query, func(from *kmsg.OffsetFetchResponseGroup) {
			groups[i] = *from
			if metadataBytes.Add(metadataOf(from)) > fetchMetadataBytesMax {
				groups[i] = failedGroup(from.Group, wire.CodeUnknownServerError)
			} else if from.ErrorCode == wire.CodeNone {
				groups[i].Topics = b.identifyTopics(req.Version, from.Topics, refused)
			}
			all.done()
		})
	}
}

// fetchMetadataBytesMax bounds the metadata in one answer, whose other parts grow with the request or
// with what is committed. Groups beyond it are answered UNKNOWN_SERVER_ERROR.
const fetchMetadataBytesMax = 64 << 20

func metadataOf(g *kmsg.OffsetFetchResponseGroup) (bytes int64) {
	for i := range g.Topics {
		for j := range g.Topics[i].Partitions {
			if m := g.Topics[i].Partitions[j].Metadata; m != nil {
				bytes += int64(len(*m))
			}
		}
	}
	return bytes
}

func failedGroup(id string, code int16) kmsg.OffsetFetchResponseGroup {
	g := kmsg.NewOffsetFetchResponseGroup()
	g.Group, g.ErrorCode = id, code
	return g
}

func (b *Broker) fetchGroup(
	to *answerTo, query *group.FetchQuery, then func(*kmsg.OffsetFetchResponseGroup),
) {
	in := groupInput(to, group.OffsetFetch, query.Group, nil, func(response any) {
		then(response.(*kmsg.OffsetFetchResponseGroup))
	})
	in.Fetch = query
	b.groups.submit(in)
}

// nameTopics gives the query's topics their names where the version has ids, and takes those out
// that nobody knows.
func (b *Broker) nameTopics(
	version int16, query *group.FetchQuery,
) (refused []kmsg.OffsetFetchResponseGroupTopic) {
	if version < offsetsByID || query.Topics == nil {
		return nil
	}
	known := []kmsg.OffsetFetchRequestGroupTopic{}
	for _, t := range query.Topics {
		name, _, code := b.topicNamed("", t.TopicID, true)
		if code == wire.CodeNone {
			t.Topic = name
			known = append(known, t)
			continue
		}
		answer := kmsg.NewOffsetFetchResponseGroupTopic()
		answer.TopicID = t.TopicID
		for _, index := range t.Partitions {
			x := kmsg.NewOffsetFetchResponseGroupTopicPartition()
			x.Partition, x.Offset, x.LeaderEpoch, x.ErrorCode = index, -1, -1, code
			x.Metadata = textOf("")
			answer.Partitions = append(answer.Partitions, x)
		}
		refused = append(refused, answer)
	}
	query.Topics = known
	return refused
}

// identifyTopics puts ids into an answer that has them. Offsets of topics that are gone cannot be
// named there and are left out.
func (b *Broker) identifyTopics(
	version int16, topics, refused []kmsg.OffsetFetchResponseGroupTopic,
) []kmsg.OffsetFetchResponseGroupTopic {
	if version < offsetsByID {
		return topics
	}
	out := make([]kmsg.OffsetFetchResponseGroupTopic, 0, len(topics)+len(refused))
	for _, t := range topics {
		if _, id, code := b.topicNamed(t.Topic, [16]byte{}, false); code == wire.CodeNone {
			t.TopicID = id
			out = append(out, t)
		}
	}
	return append(out, refused...)
}

// fetchOneGroup answers the versions before several groups, which differ in where codes stand.
func fetchOneGroup(b *Broker, to *answerTo, req *kmsg.OffsetFetchRequest) {
	query := &group.FetchQuery{
		Group: req.Group, MemberEpoch: -1, RequireStable: req.RequireStable,
	}
	if req.Topics != nil || req.Version < offsetFetchCode {
		query.Topics = make([]kmsg.OffsetFetchRequestGroupTopic, 0, len(req.Topics))
	}
	for _, t := range req.Topics {
		query.Topics = append(query.Topics, kmsg.OffsetFetchRequestGroupTopic{
			Topic: t.Topic, Partitions: t.Partitions,
		})
	}
	b.fetchGroup(to, query, func(from *kmsg.OffsetFetchResponseGroup) {
		p := kmsg.NewPtrOffsetFetchResponse()
		if from.ErrorCode != wire.CodeNone && req.Version < offsetFetchCode {
			p.Topics = failedFetch(req, from.ErrorCode)
			to.answer(p)
			return
		}
		p.ErrorCode = from.ErrorCode
		for _, t := range from.Topics {
			answer := kmsg.NewOffsetFetchResponseTopic()
			answer.Topic = t.Topic
			for _, x := range t.Partitions {
				answer.Partitions = append(answer.Partitions,
					kmsg.OffsetFetchResponseTopicPartition(x))
			}
			p.Topics = append(p.Topics, answer)
		}
		to.answer(p)
	})
}

// failedFetch puts one code on every partition: the oldest answers have no other place for it.
func failedFetch(req *kmsg.OffsetFetchRequest, code int16) (topics []kmsg.OffsetFetchResponseTopic) {
	for _, t := range req.Topics {
		answer := kmsg.NewOffsetFetchResponseTopic()
		answer.Topic = t.Topic
		for _, index := range t.Partitions {
			x := kmsg.NewOffsetFetchResponseTopicPartition()
			x.Partition, x.Offset, x.LeaderEpoch, x.ErrorCode = index, -1, -1, code
			x.Metadata = textOf("")
			answer.Partitions = append(answer.Partitions, x)
		}
		topics = append(topics, answer)
	}
	return topics
}
