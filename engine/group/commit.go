package group

import (
	"math"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// decideOffsetCommit answers a refused OffsetCommit, or writes a record per partition. Metadata that
// is too large fails its partition alone.
func (m *Machine) decideOffsetCommit(nowMs int64, in *Input, out *outcome) {
	req := in.Request.(*kmsg.OffsetCommitRequest)
	w := commitWriter{
		group: in.Group, nowMs: nowMs, expireMs: expireMs(in.Version, req.RetentionTimeMillis, nowMs),
		metadataMax: m.cfg.OffsetMetadataBytesMax,
	}
	code := m.checkOffsetCommit(nowMs, in, req)
	if code == wire.CodeNone {
		for i := range req.Topics {
			t := &req.Topics[i]
			for j := range t.Partitions {
				w.count(t.Topic, t.Partitions[j].Metadata)
			}
		}
		code = w.begin(m.cfg.RecordBytesMax, out)
	}
	if code != wire.CodeNone {
		out.Reply(in, refusedOffsetCommit(req, code))
		return
	}
	resp := refusedOffsetCommit(req, wire.CodeNone)
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			resp.Topics[i].Partitions[j].ErrorCode = w.write(
				t.Topic, t.TopicID, p.Partition, p.Offset, p.LeaderEpoch, p.Metadata)
		}
	}
	out.Records = w.records
	if len(out.Records) == 0 {
		out.Reply(in, resp)
		return
	}
	out.Next = resp
}

// settleOffsetCommit answers a commit whose records were appended, or refused with code: then every
// partition has failed.
func (m *Machine) settleOffsetCommit(in *Input, out *outcome, code int16) {
	if code != wire.CodeNone {
		out.Reply(in, refusedOffsetCommit(in.Request.(*kmsg.OffsetCommitRequest), code))
		return
	}
	m.meter.OffsetsCommitted(len(out.Records))
	out.Reply(in, out.Next.(*kmsg.OffsetCommitResponse))
}

// checkOffsetCommit says whether who commits may do so (classes OffsetMetadataManager and
// ClassicGroup). In a group that rebalances or is stable a commit is a sign of life as well.
func (m *Machine) checkOffsetCommit(nowMs int64, in *Input, req *kmsg.OffsetCommitRequest) int16 {
	if len(in.Group) > textBytesMax {
		return wire.CodeInvalidGroupID
	}
	g := m.lookup(in.Group)
	if g == nil {
		code := m.checkSimpleCommit(in.Group, req.Generation)
		if code == wire.CodeIllegalGeneration && in.Version >= 9 {
			return wire.CodeGroupIDNotFound // KIP-848
		}
		return code
	}
	code := g.checkCommit(req.MemberID, req.InstanceID, req.Generation)
	if code == wire.CodeNone && (g.state == stateStable || g.state == statePreparing) {
		g.touch(req.MemberID, nowMs)
	}
	return code
}

// checkSimpleCommit is the check of a group without a record: consumers that assign partitions to
// themselves, and tools, commit without a generation, and make the group by that. One that has
// offsets already is Empty, so nobody can be a member of it.
func (m *Machine) checkSimpleCommit(group string, generation int32) int16 {
	switch exists := m.offsets.has(group); {
	case generation >= 0 && exists:
		return wire.CodeUnknownMemberID
	case generation >= 0:
		return wire.CodeIllegalGeneration
	case !exists && m.offsets.groupCount() >= m.cfg.OffsetGroupsMax:
		return wire.CodeCoordinatorNotAvailable
	default:
		return wire.CodeNone
	}
}

// expireMs is when an offset expires whose commit set a retention, which versions 2 to 4 can, and
// none otherwise (KIP-211).
func expireMs(version int16, retentionMs, nowMs int64) int64 {
	switch {
	case version > 4 || retentionMs == none:
		return none
	case retentionMs > math.MaxInt64-nowMs:
		return math.MaxInt64
	default:
		return max(0, nowMs+retentionMs)
	}
}

// commitWriter makes the records of one commit, plain or transactional, in one buffer: count is called
// for every partition, then begin, then write for every partition.
type commitWriter struct {
	group       string
	nowMs       int64
	expireMs    int64
	metadataMax int

	partitions int
	bytes      int
	buf        []byte
	records    []coordinator.Record
}

// check says why a partition's offset can't be committed. As Kafka does, metadata is measured in
// UTF-16 units; what a record can't hold is too large in any case.
func (w *commitWriter) check(topic string, metadata *string) int16 {
	if len(topic) > textBytesMax {
		return wire.CodeUnknownTopicOrPartition
	}
	if metadata == nil {
		return wire.CodeNone
	}
	if len(*metadata) > w.metadataMax && utf16Units(*metadata) > w.metadataMax ||
		w.expireMs != none && len(*metadata) > textBytesMax {
		return wire.CodeOffsetMetadataTooLarge
	}
	return wire.CodeNone
}

func (w *commitWriter) count(topic string, metadata *string) {
	if w.check(topic, metadata) != wire.CodeNone {
		return
	}
	w.partitions++
	w.bytes += offsetKeyBytes(w.group, topic) + offsetValueBytesMax(0)
	if metadata != nil {
		w.bytes += len(*metadata)
	}
}

// begin takes memory for what was counted, unless it is more than one batch can hold: each record
// repeats the names of group and topic, so a request may stand for far more bytes than it has.
func (w *commitWriter) begin(bytesMax int, out *outcome) int16 {
	if w.bytes > bytesMax {
		return coordinator.Refusal(wire.CodeMessageTooLarge)
	}
	w.buf = make([]byte, 0, w.bytes)
	w.records = out.Records
	return wire.CodeNone
}

func (w *commitWriter) write(
	topic string, topicID [16]byte, partition int32, offset int64, leaderEpoch int32, metadata *string,
) int16 {
	if code := w.check(topic, metadata); code != wire.CodeNone {
		return code
	}
	v := offsetValue{
		offset: offset, leaderEpoch: leaderEpoch, commitMs: w.nowMs, expireMs: w.expireMs, topicID: topicID,
	}
	if metadata != nil {
		v.metadata = *metadata
	}
	from := len(w.buf)
	w.buf = appendOffsetKey(w.buf, w.group, topic, partition)
	to := len(w.buf)
	w.buf = appendOffsetValue(w.buf, &v)
	w.records = append(w.records, coordinator.Record{
		Key: w.buf[from:to:to], Value: w.buf[to:len(w.buf):len(w.buf)],
	})
	return wire.CodeNone
}

// utf16Units is the length of a string in UTF-16, Java's measure.
func utf16Units(s string) int {
	n := utf8.RuneCountInString(s)
	for i := 0; i < len(s); i++ {
		if s[i] >= 0xf0 {
			n++ // begins a character beyond 16 bits, which takes two
		}
	}
	return n
}

// refusedOffsetCommit answers every partition of a request with one code.
func refusedOffsetCommit(req *kmsg.OffsetCommitRequest, code int16) *kmsg.OffsetCommitResponse {
	resp := kmsg.NewPtrOffsetCommitResponse()
	resp.Topics = make([]kmsg.OffsetCommitResponseTopic, len(req.Topics))
	for i := range req.Topics {
		from, to := &req.Topics[i], &resp.Topics[i]
		to.Topic, to.TopicID = from.Topic, from.TopicID
		to.Partitions = make([]kmsg.OffsetCommitResponseTopicPartition, len(from.Partitions))
		for j := range from.Partitions {
			to.Partitions[j].Partition = from.Partitions[j].Partition
			to.Partitions[j].ErrorCode = code
		}
	}
	return resp
}
