package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// decideTxnOffsetCommit writes a transaction's offsets, which stay pending until its marker (KIP-98).
// The batch is the transaction's, so that the log checks the producer's epoch, and that the
// transaction is known to its coordinator (KIP-890).
func (m *Machine) decideTxnOffsetCommit(nowMs int64, in *Input, out *outcome) {
	req := in.Request.(*kmsg.TxnOffsetCommitRequest)
	w := commitWriter{
		group: in.Group, nowMs: nowMs, expireMs: none, metadataMax: m.cfg.OffsetMetadataBytesMax,
	}
	code := m.checkTxnOffsetCommit(in, req)
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
		out.Reply(in, refusedTxnOffsetCommit(req, code))
		return
	}
	resp := refusedTxnOffsetCommit(req, wire.CodeNone)
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
	out.ProducerID, out.ProducerEpoch, out.Guard = req.ProducerID, req.ProducerEpoch, in.Guard
	out.Next = resp
}

// settleTxnOffsetCommit answers a transaction's commit whose records were appended, or refused.
func (m *Machine) settleTxnOffsetCommit(in *Input, out *outcome, code int16) {
	if code != wire.CodeNone {
		out.Reply(in, refusedTxnOffsetCommit(in.Request.(*kmsg.TxnOffsetCommitRequest), code))
		return
	}
	m.meter.OffsetsCommitted(len(out.Records))
	out.Reply(in, out.Next.(*kmsg.TxnOffsetCommitResponse))
}

// checkTxnOffsetCommit says whether who commits may do so. Up to version 2, and from producers that
// pass no group metadata (KIP-447), there is no member to check; and since the transaction fences its
// own zombies, an offset may be committed while the group completes a rebalance.
func (m *Machine) checkTxnOffsetCommit(in *Input, req *kmsg.TxnOffsetCommitRequest) int16 {
	switch {
	case in.Group == "" || len(in.Group) > textBytesMax:
		return wire.CodeInvalidGroupID
	case req.ProducerID < 0:
		// A batch without a producer would commit at once.
		return wire.CodeInvalidProducerIDMapping
	case req.ProducerEpoch < 0:
		return wire.CodeInvalidProducerEpoch
	}
	g := m.lookup(in.Group)
	if g == nil {
		return m.checkSimpleCommit(in.Group, req.Generation)
	}
	return g.checkTxnCommit(req.MemberID, req.InstanceID, req.Generation)
}

// refusedTxnOffsetCommit answers every partition of a request with one code.
func refusedTxnOffsetCommit(req *kmsg.TxnOffsetCommitRequest, code int16) *kmsg.TxnOffsetCommitResponse {
	resp := kmsg.NewPtrTxnOffsetCommitResponse()
	resp.Topics = make([]kmsg.TxnOffsetCommitResponseTopic, len(req.Topics))
	for i := range req.Topics {
		from, to := &req.Topics[i], &resp.Topics[i]
		to.Topic, to.TopicID = from.Topic, from.TopicID
		to.Partitions = make([]kmsg.TxnOffsetCommitResponseTopicPartition, len(from.Partitions))
		for j := range from.Partitions {
			to.Partitions[j].Partition = from.Partitions[j].Partition
			to.Partitions[j].ErrorCode = code
		}
	}
	return resp
}

// decideEndTxn appends a transaction's marker, also when nothing is pending here: the log has to know
// that the transaction is over.
func (m *Machine) decideEndTxn(_ int64, in *Input, out *outcome) {
	out.Marker = in.Marker
}

func (m *Machine) settleEndTxn(in *Input, out *outcome, code int16) {
	out.Reply(in, code)
}

// replayMarker applies a transaction's end. Epochs do not matter: a producer has one transaction at a
// time, and the log has checked who may end it.
func (m *Machine) replayMarker(marker coordinator.Marker) {
	m.offsets.replayEnd(marker.ProducerID, marker.Commit)
}

// replayOffset applies a record of type 0 or 1.
func (m *Machine) replayOffset(r coordinator.Record, producerID int64, _ int16) error {
	k, err := readOffsetKey(r.Key)
	if err != nil {
		return err
	}
	if r.Value == nil {
		m.offsets.replay(&k, nil, producerID)
		return nil
	}
	v, known, err := readOffsetValue(r.Value)
	if err != nil || !known {
		return err
	}
	m.offsets.replay(&k, &v, producerID)
	return nil
}
