package broker

import (
	"sluice/engine/partition"
	"sluice/wire"
)

// plan looks at the session's dirty partitions (at all of them, for a full request) and fills
// planned. It returns the count of marks before the look.
func (op *fetchOp) plan() (seen uint64) {
	s := op.session
	op.planned, op.bytes, op.failed, op.leaders = op.planned[:0], 0, false, false
	op.aborted, op.left = op.aborted[:0], op.maxBytes
	if s.full {
		seen = s.seen()
		for _, p := range s.parts {
			if p != nil {
				op.planPart(p)
			}
		}
		return seen
	}
	work, seen := s.take()
	for i, at := range work {
		if op.bytes >= op.maxBytes && op.bytes > 0 {
			op.leaveDirty(work[i:])
			break
		}
		if p := s.parts[at]; p != nil {
			op.planPart(p)
		}
	}
	return seen
}

// leaveDirty puts partitions that found no room back, before those that give records, so that they
// come first next time (KIP-227's fairness).
func (op *fetchOp) leaveDirty(work []int32) {
	s := op.session
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range work {
		if p := s.parts[at]; p != nil {
			s.enqueue(p)
		}
	}
}

// planPart looks at one partition.
func (op *fetchOp) planPart(p *fetchPart) {
	op.planned = append(op.planned, plannedPart{part: p})
	pl := &op.planned[len(op.planned)-1]
	a := &pl.answer
	*a = failedPartition(p.key.index, wire.CodeNone)
	if p.session != &op.private {
		op.bind(p)
	}
	a.ErrorCode = op.readPart(p, pl)
	op.left = max(op.left-p.read.Bytes, 0)
	if a.ErrorCode != wire.CodeNone {
		op.failPart(p, pl)
		return
	}
	a.RecordsBytes = int32(p.read.Bytes)
	pl.more = p.read.Bytes == 0 && !a.Diverging && p.read.Offset < p.read.Bound
	op.bytes += p.read.Bytes
	pl.news = p.read.Bytes > 0 || a.Diverging ||
		a.HighWatermark != p.toldHighWatermark || a.LogStartOffset != p.toldStart
	if a.Diverging {
		op.failed = true
	}
}

// failedPartition is the answer about a partition of which nothing is told but a code.
func failedPartition(index int32, code int16) wire.FetchPartition {
	return wire.FetchPartition{
		Index: index, ErrorCode: code, HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1,
		PreferredReadReplica: -1,
	}
}

// failPart answers with an error only. What was told before is forgotten, so that the recovery is
// told again, and the partition stays dirty.
func (op *fetchOp) failPart(p *fetchPart, pl *plannedPart) {
	a := &pl.answer
	a.HighWatermark, a.LastStableOffset, a.LogStartOffset = -1, -1, -1
	a.Aborted, a.RecordsBytes = nil, 0
	p.toldHighWatermark, p.toldStart = -1, -1
	pl.news, op.failed = true, true
	if p.replica != nil && (a.ErrorCode == wire.CodeNotLeaderOrFollower ||
		a.ErrorCode == wire.CodeFencedLeaderEpoch) {
		op.leaders = true
		a.Leader = wire.CurrentLeader{
			LeaderID: op.r.b.nodeID, LeaderEpoch: p.replica.leaderEpoch.Load(), Set: true,
		}
	}
}

// readPart fills in the partition's offsets and plans the region of its records.
func (op *fetchOp) readPart(p *fetchPart, pl *plannedPart) int16 {
	read := &p.read
	read.File, read.Bytes, read.Bound = nil, 0, 0
	r := p.replica
	if r == nil {
		return op.unknownPart(p)
	}
	p.known = true
	log, code := r.logOrError()
	if code != wire.CodeNone {
		return code
	}
	// Any negative epoch asks for no check here (FetchRequest.optionalEpoch).
	if code := r.checkEpoch(max(p.currentLeaderEpoch, -1)); code != wire.CodeNone {
		return code
	}
	if op.follower >= 0 {
		// A follower that the partition's assignment does not name.
		return wire.CodeNotLeaderOrFollower
	}
	a := &pl.answer
	a.HighWatermark = r.highWatermark.Load()
	a.LastStableOffset = log.LastStableOffset(a.HighWatermark)
	a.LogStartOffset = log.StartOffset()
	if p.lastFetchedEpoch >= 0 {
		if code := diverging(log, p, a); code != wire.CodeNone || a.Diverging {
			return code
		}
	}
	read.Bound = a.HighWatermark
	if op.isolate == readCommitted {
		read.Bound = a.LastStableOffset
	} else if op.follower == debugReplica {
		read.Bound = log.LEO()
	}
	read.MaxBytes = min(int64(p.maxBytes), op.left)
	read.MinOne = op.bytes == 0
	if read.MaxBytes < 0 {
		return wire.CodeUnknownServerError // As Kafka, whose reader takes no negative length.
	}
	if code := log.Read(read); code != wire.CodeNone {
		return code
	}
	pl.file, pl.position = read.File, read.Position
	if op.isolate == readCommitted {
		return op.abortedIn(log, read, a)
	}
	return wire.CodeNone
}

const (
	readUncommitted int8  = 0
	readCommitted   int8  = 1
	debugReplica    int32 = -2
)

// unknownPart tells an id that nobody knows from a partition that is missing: from a topic that is
// there, or that was there when the session began.
func (op *fetchOp) unknownPart(p *fetchPart) int16 {
	if p.session.byID && !p.known && op.r.b.topics.identified(p.key.id) == nil {
		return wire.CodeUnknownTopicID
	}
	return wire.CodeUnknownTopicOrPartition
}

// abortedIn lists the aborted transactions that overlap the planned records.
func (op *fetchOp) abortedIn(log *partition.Log, read *partition.ReadRequest,
	a *wire.FetchPartition,
) int16 {
	var err error
	op.txns = op.txns[:0]
	if read.Bytes > 0 {
		op.txns, err = log.AbortedTxns(op.txns, read.Offset, read.Cursor.Offset)
	}
	if err != nil {
		if read.File != nil {
			read.File.Release()
		}
		return wire.CodeKafkaStorageError
	}
	start := len(op.aborted)
	for _, t := range op.txns {
		op.aborted = append(op.aborted, wire.AbortedTxn(t))
	}
	a.Aborted = op.aborted[start:len(op.aborted):len(op.aborted)]
	if a.Aborted == nil {
		a.Aborted = noAborted
	}
	return wire.CodeNone
}

var noAborted = []wire.AbortedTxn{}

// diverging compares the epoch of the reader's last record with ours (KIP-595).
func diverging(log *partition.Log, p *fetchPart, a *wire.FetchPartition) int16 {
	end := log.OffsetForLeaderEpoch(p.lastFetchedEpoch)
	if end.Epoch < 0 || end.EndOffset < 0 {
		return wire.CodeOffsetOutOfRange
	}
	if end.Epoch < p.lastFetchedEpoch || end.EndOffset < p.read.Offset {
		a.Diverging = true
		a.DivergingEpoch, a.DivergingEndOffset = end.Epoch, end.EndOffset
	}
	return wire.CodeNone
}

// resolve finds the replica that a request names, or nil. It does not allocate.
func (b *Broker) resolve(byID bool, name []byte, id [16]byte, index int32) *replica {
	var t *topic
	if byID {
		t = b.topics.identified(id)
	} else {
		t = b.topics.named(name)
	}
	if t == nil {
		return nil
	}
	return t.replica(index)
}

// resolveKey is resolve for a session's key.
func (b *Broker) resolveKey(byID bool, key partKey) *replica {
	var t *topic
	if byID {
		t = b.topics.identified(key.id)
	} else {
		t = b.topics.namedString(key.name)
	}
	if t == nil {
		return nil
	}
	return t.replica(key.index)
}
