package partition

import (
	"errors"
	"math"
	"syscall"

	"sluice/wire"
)

// behindStep is how many bytes of a segment become dirty before write-back of them is considered:
// see writeBehind.
const behindStep = 8 << 20

// place says on whose goroutine an append is carried out.
type place uint8

const (
	// onCaller is anybody's, a reactor's in the end: nothing is done there that waits for the
	// device, but for the write itself.
	onCaller place = iota
	// onWriter is the dir's writer, which may roll and mend the tail.
	onWriter
)

// append carries out one append under the append lock: check, roll, stamp, write, account. The
// outcome is in a; the log has changed only if a.Code is CodeNone and it is no duplicate.
//
// It reports false, and leaves the log as it was, when the rest is for the writer: a batch that
// begins a new segment, or a tail that has to be mended first.
func (l *Log) append(a *Append, where place) (carriedOut bool) {
	b := a.Batch
	a.LogStartOffset, a.Unverified = l.start.Load(), false
	if l.tornBy != nil && where == onCaller {
		return false
	}
	if l.mendTail() != nil || a.torn {
		a.refuse(wire.CodeKafkaStorageError)
		return true
	}
	if code := l.admit(a, b); code != wire.CodeNone {
		a.refuse(code)
		return true
	}
	if b.HasProducerID() && a.Origin != FromReplica && l.checkProducer(a, b) {
		return true
	}
	return l.put(a, b, where)
}

// put takes an append that passed every check into the log.
func (l *Log) put(a *Append, b wire.Batch, where place) (carriedOut bool) {
	nowMs := a.NowMs
	if nowMs == 0 {
		nowMs = l.dir.nowMs()
	}
	seg, base := l.active(), l.leo.Load()
	if a.Origin == FromReplica {
		base = b.BaseOffset()
	}
	if l.mustRoll(seg, b, base+int64(b.LastOffsetDelta()), nowMs) {
		if where == onCaller {
			return false
		}
		var err error
		if seg, err = l.roomAt(seg, base, nowMs); err != nil {
			a.refuse(wire.CodeKafkaStorageError)
			return true
		}
	}
	l.stamp(a, b)
	began := l.dir.gate.Start()
	_, err := seg.log.File().WriteAt(b, seg.size.Load())
	l.dir.gate.Observe(began)
	if err != nil {
		l.tornBy, a.torn = err, true
		if where == onCaller {
			return false
		}
		_ = l.mendTail() // The refusal is the same either way.
		a.refuse(wire.CodeKafkaStorageError)
		return true
	}
	l.account(seg, b, nowMs)
	a.Code, a.Duplicate = wire.CodeNone, false
	a.BaseOffset, a.LastOffset, a.LogAppendTimeMs = b.BaseOffset(), b.LastOffset(), -1
	if b.TimestampType() == wire.LogAppendTime {
		a.LogAppendTimeMs = b.MaxTimestamp()
	}
	return true
}

// repeat answers an append that was carried out before with its first outcome. The time is what is
// remembered of that batch, whoever gave it: Kafka answers so with CreateTime, too
// (UnifiedLog.append).
func (a *Append) repeat(dup sentBatch) {
	a.Code, a.Duplicate = wire.CodeNone, true
	a.LastOffset = dup.lastOffset
	a.BaseOffset = dup.lastOffset - int64(dup.delta)
	a.LogAppendTimeMs = dup.timestampMs
}

// admit checks what does not depend on the producer.
func (l *Log) admit(a *Append, b wire.Batch) int16 {
	if code := l.storageCode(); code != wire.CodeNone {
		return code
	}
	if l.fenced.Load() {
		return wire.CodeKafkaStorageError
	}
	if len(b) < wire.BatchHeaderSize || len(b) != b.Length() || b.LastOffsetDelta() < 0 {
		return wire.CodeCorruptMessage
	}
	switch epoch := l.epoch.Load(); {
	case a.LeaderEpoch < epoch:
		return wire.CodeFencedLeaderEpoch
	case a.LeaderEpoch > epoch:
		return wire.CodeUnknownLeaderEpoch
	}
	if int64(len(b)) > min(l.config.Load().SegmentBytes, math.MaxInt32) {
		return wire.CodeRecordListTooLarge
	}
	if a.Origin == FromReplica {
		return l.admitReplica(a, b)
	}
	if b.IsControl() && (a.Origin != FromCoordinator || !b.HasProducerID()) {
		return wire.CodeInvalidRecord
	}
	return wire.CodeNone
}

// admitReplica checks a leader's batch: it continues the log, gaps allowed, and is of no later
// epoch than the fetch that brought it (KAFKA-18723) and of no earlier one than its predecessor.
func (l *Log) admitReplica(a *Append, b wire.Batch) int16 {
	switch {
	case b.BaseOffset() < l.leo.Load():
		return wire.CodeOffsetOutOfRange
	case b.LeaderEpoch() > a.LeaderEpoch:
		return wire.CodeUnknownLeaderEpoch
	case b.LeaderEpoch() < l.lastEpoch:
		return wire.CodeFencedLeaderEpoch
	case b.LastOffset() < b.BaseOffset():
		return wire.CodeCorruptMessage
	}
	return wire.CodeNone
}

// stamp writes base offset and leader epoch into the lent bytes; the CRC covers neither.
func (l *Log) stamp(a *Append, b wire.Batch) {
	if a.Origin == FromReplica {
		return
	}
	b.SetBaseOffset(l.leo.Load())
	b.SetLeaderEpoch(a.LeaderEpoch)
}

// roomAt rolls for a batch whose base offset is base. Rolling syncs names: the time counts as the
// dir's.
func (l *Log) roomAt(old *segment, base, nowMs int64) (*segment, error) {
	if old.size.Load() > 0 {
		base = l.leo.Load()
	}
	began := l.dir.gate.Start()
	seg, err := l.rollLocked(base, nowMs)
	l.dir.gate.Observe(began)
	return seg, err
}

// mustRoll says whether a batch that ends with offset last needs a new segment: by size, by age of
// the first record (wall clock where it has none), because an index is full, or because a relative
// offset would not fit its 32 bits (class LogSegment, shouldRoll).
func (l *Log) mustRoll(seg *segment, b wire.Batch, last, nowMs int64) bool {
	size := seg.size.Load()
	if size == 0 {
		return last-seg.base > math.MaxInt32
	}
	c := l.config.Load()
	if size+int64(len(b)) > min(c.SegmentBytes, math.MaxInt32) || last-seg.base > math.MaxInt32 {
		return true
	}
	age := nowMs - seg.createdMs
	if seg.firstMs >= 0 && b.MaxTimestamp() >= 0 {
		age = b.MaxTimestamp() - seg.firstMs
	}
	if age > c.SegmentMs-seg.jitterMs {
		return true
	}
	lists := seg.memory.Load()
	return (lists.index.count.Load()+1)*indexEntryBytes > c.SegmentIndexBytes ||
		(lists.times.count.Load()+1)*timeEntryBytes > c.SegmentIndexBytes
}

// mendTail makes sure that nothing of an append whose write failed will ever be read: what it left
// is cut off now, durably, and where that fails, or when the failure was not just a full disk, the
// dir is given up, so that nothing is put behind those bytes. It needs the append lock, and waits
// for the device: not on a reactor. Whoever puts anything into the file, or closes it, calls it
// first.
func (l *Log) mendTail() error {
	cause := l.tornBy
	if cause == nil {
		return nil
	}
	began := l.dir.gate.Start()
	cutErr := l.cutTail()
	l.dir.gate.Observe(began)
	l.tornBy = nil
	if cutErr == nil && errors.Is(cause, syscall.ENOSPC) {
		return nil
	}
	err := errors.Join(cause, cutErr)
	l.dir.fail(err)
	return err
}

// cutTail removes what a failed append left past the end, durably: a power cut right behind the
// refusal must not bring it back. Where the file cannot be cut, zeros over the header, which need no
// space, keep recovery from taking the rest for a batch. It needs the append lock.
func (l *Log) cutTail() error {
	if l.dir.mutants.skipCutTail {
		return nil
	}
	seg := l.active()
	file, end := seg.log.File(), seg.size.Load()
	if err := file.Truncate(end); err != nil {
		var zeros [wire.BatchHeaderSize]byte
		_, zeroErr := file.WriteAt(zeros[:], end)
		return errors.Join(err, zeroErr, file.Sync())
	}
	return file.Sync()
}

// account makes a written batch part of the log: segment and index entries, producer and epoch
// state, and last of all the end offset that readers go by.
func (l *Log) account(seg *segment, b wire.Batch, nowMs int64) {
	from := boundary{offset: seg.next.Load(), position: seg.size.Load()}
	to := boundary{offset: b.NextOffset(), position: from.position + int64(len(b))}
	l.take(seg, b)
	seg.note(b, from.position, l.config.Load().IndexIntervalBytes)
	seg.remember(from, to)
	l.leo.Store(to.offset)
	l.unflushed += int64(b.LastOffsetDelta()) + 1
	if l.dirtySinceMs == 0 {
		l.dirtySinceMs = nowMs
	}
	l.dir.addUnchecked(int64(len(b)))
	l.background(seg, nowMs)
}

// take brings epochs, producers and transactions up to a batch whose offsets are final.
func (l *Log) take(seg *segment, b wire.Batch) {
	if epoch := b.LeaderEpoch(); epoch > l.lastEpoch {
		l.lastEpoch = epoch
		l.epochs.assign(epoch, b.BaseOffset())
	}
	ended, isEnd := l.producers.apply(b)
	if isEnd {
		l.endTxn(seg, ended)
	}
	if b.IsTransactional() && b.HasProducerID() {
		l.verifying.forget(b.ProducerID())
	}
	if isEnd || b.IsTransactional() {
		l.txns.setOpen(l.producers.firstOpen())
	}
}

// remember adds the batch that begins at the boundary from and ends at to, to the segment's ring,
// which the first append makes.
func (s *segment) remember(from, to boundary) {
	r := s.recent.Load()
	if r == nil {
		r = &ring{}
		r.push(from)
		r.push(to)
		s.recent.Store(r)
		return
	}
	r.push(to)
}

// background asks for space ahead and for write-back behind the tail.
func (l *Log) background(seg *segment, nowMs int64) {
	size := seg.size.Load()
	if l.reserve.n == 0 {
		limit := min(l.config.Load().SegmentBytes, math.MaxInt32)
		if position, n := seg.ahead.Want(size, limit, nowMs); n > 0 {
			l.reserve = reserveRequest{segment: seg, position: position, n: n}
			l.dir.worker.Post(&l.chores)
		}
	}
	if size >= seg.behindAt {
		seg.behindAt = size + behindStep
		l.dir.syncer.Post(&l.trail)
	}
}
