package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// fetchMetadataBytesMax bounds the metadata that one answer carries, since a small request can name a
// partition with much of it many times. Partitions beyond it are answered UNKNOWN_SERVER_ERROR.
const fetchMetadataBytesMax = 64 << 20

// decideOffsetFetch answers with committed offsets. A group or partition that has none is no error;
// asked for all, it has nothing to tell. Members of a classic group need not say who they are, and
// what a client of KIP-848 says is not looked at (class ClassicGroup, validateOffsetFetch).
func (m *Machine) decideOffsetFetch(_ int64, in *Input, out *outcome) {
	q := in.Fetch
	resp := kmsg.NewOffsetFetchResponseGroup()
	resp.Group = q.Group
	f := fetcher{offsets: &m.offsets, group: q.Group, stable: q.RequireStable}
	if q.Topics == nil {
		resp.Topics = f.all()
	} else {
		resp.Topics = make([]kmsg.OffsetFetchResponseGroupTopic, len(q.Topics))
		for i := range q.Topics {
			f.topic(&q.Topics[i], &resp.Topics[i])
		}
	}
	out.Reply(in, &resp)
}

// fetcher fills one answer.
type fetcher struct {
	offsets       *offsets
	group         string
	stable        bool
	metadataBytes int
	noMetadata    string
}

func (f *fetcher) topic(q *kmsg.OffsetFetchRequestGroupTopic, t *kmsg.OffsetFetchResponseGroupTopic) {
	t.Topic, t.TopicID = q.Topic, q.TopicID
	t.Partitions = make([]kmsg.OffsetFetchResponseGroupTopicPartition, len(q.Partitions))
	for i, partition := range q.Partitions {
		at := f.offsets.find(f.group, q.Topic, partition)
		if at != 0 && !f.sameTopic(at, q.TopicID) {
			at = 0
		}
		pending := f.stable && f.offsets.isPending(f.group, q.Topic, partition)
		f.fill(&t.Partitions[i], partition, at, pending)
	}
}

// sameTopic is false if both ids are known and differ: the offset is of a deleted topic of that name.
func (f *fetcher) sameTopic(at uint32, id [16]byte) bool {
	n := f.offsets.entry(at).topicID
	return n == 0 || id == [16]byte{} || f.offsets.topicIDs.value(n) == id
}

// all answers with every committed offset of the group. What is pending only is not among them.
func (f *fetcher) all() []kmsg.OffsetFetchResponseGroupTopic {
	topics := []kmsg.OffsetFetchResponseGroupTopic{}
	members := f.offsets.members(f.group, nil)
	for from := 0; from < len(members); {
		to := from + 1
		first := f.offsets.entry(members[from]).topic
		for to < len(members) && f.offsets.entry(members[to]).topic == first {
			to++
		}
		t := kmsg.OffsetFetchResponseGroupTopic{
			Topic:      f.offsets.topics.value(first),
			Partitions: make([]kmsg.OffsetFetchResponseGroupTopicPartition, to-from),
		}
		for i, at := range members[from:to] {
			p := f.offsets.entry(at).place
			f.fill(&t.Partitions[i], p.partition, at, f.stable && len(f.offsets.open[p]) > 0)
		}
		topics = append(topics, t)
		from = to
	}
	return topics
}

// fill answers for one partition; at is its entry, 0 if it has no offset. An offset that a transaction
// is about to change is not told to who wants it stable (KIP-447).
func (f *fetcher) fill(
	p *kmsg.OffsetFetchResponseGroupTopicPartition, partition int32, at uint32, pending bool,
) {
	p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = partition, none, none, &f.noMetadata
	if pending {
		p.ErrorCode = wire.CodeUnstableOffsetCommit
		return
	}
	if at == 0 {
		return
	}
	e := f.offsets.entry(at)
	if e.metadata != 0 {
		metadata := f.offsets.metadata.value(e.metadata)
		if f.metadataBytes += len(metadata); f.metadataBytes > fetchMetadataBytesMax {
			p.ErrorCode = wire.CodeUnknownServerError
			return
		}
		p.Metadata = &metadata
	}
	p.Offset, p.LeaderEpoch = e.offset, e.leaderEpoch
}
