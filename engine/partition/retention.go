package partition

import (
	"errors"
	"path/filepath"

	"sluice/wire"
)

// AdvanceStartOffset raises StartOffset to offset (DeleteRecords, KIP-107); a lower value is
// ignored, a value above LEO is OFFSET_OUT_OF_RANGE. It is durable, and space is freed, once
// Dir.CommitStartOffsets has returned.
func (l *Log) AdvanceStartOffset(offset int64) (code int16) {
	l.lock()
	defer l.unlock()
	if code := l.storageCode(); code != wire.CodeNone {
		return code
	}
	if offset > l.leo.Load() {
		return wire.CodeOffsetOutOfRange
	}
	l.raiseStart(offset)
	return wire.CodeNone
}

// raiseStart needs the append lock.
func (l *Log) raiseStart(offset int64) {
	if offset <= l.start.Load() {
		return
	}
	l.start.Store(offset)
	l.epochs.truncateStart(offset)
	l.dir.startsDirty.Store(true)
}

// ApplyRetention raises StartOffset past the oldest segments that retention.ms or retention.bytes
// no longer keep, never beyond highWatermark. It reports how many segments became obsolete now;
// Dir.CommitStartOffsets deletes them. The active segment goes too when even its newest record is
// too old: it is rolled first.
//
// A segment's age is that of its largest timestamp, so one record from the future keeps it, as in
// Kafka; a segment without any timestamp has the age of its file.
func (l *Log) ApplyRetention(nowMs, highWatermark int64) (obsolete int) {
	c := l.config.Load()
	l.lock()
	defer l.unlock()
	if l.fenced.Load() || l.storageCode() != wire.CodeNone {
		return 0
	}
	list := *l.segments.Load()
	size := l.SizeBytes()
	for i, seg := range list {
		if seg.size.Load() == 0 && i == len(list)-1 || seg.next.Load() > highWatermark {
			break
		}
		// Compaction may have left nothing of a segment: then it has no age, and is in the way.
		empty := seg.size.Load() == 0
		tooOld := c.RetentionMs >= 0 && (empty || nowMs-l.newestMs(seg) > c.RetentionMs)
		tooMuch := c.RetentionBytes >= 0 && size-seg.size.Load() >= c.RetentionBytes
		if !tooOld && !tooMuch {
			break
		}
		if i == len(list)-1 {
			if !tooOld {
				break
			}
			if _, err := l.rollLocked(l.leo.Load(), nowMs); err != nil {
				break
			}
		}
		size -= seg.size.Load()
		if seg.next.Load() > l.start.Load() {
			obsolete++
		}
		l.raiseStart(seg.next.Load())
	}
	return obsolete
}

// newestMs is the largest timestamp in a segment, or when its file was last written.
func (l *Log) newestMs(seg *segment) int64 {
	if ms := seg.largest.Load(); ms >= 0 {
		return ms
	}
	info, err := l.fs.Stat(seg.path + logSuffix)
	if err != nil {
		return l.dir.nowMs()
	}
	return info.ModTime().UnixMilli()
}

// prepareStart makes sure that StartOffset may be written to the checkpoint, and returns it. What
// the batches of the segments below it said about producers is from then on only in the snapshot at
// the first segment that remains: that becomes durable first.
func (l *Log) prepareStart() (int64, error) {
	start := l.start.Load()
	if start == l.committed.Load() && l.obsolete(start) == 0 {
		return start, nil
	}
	l.structure.Lock()
	defer l.structure.Unlock()
	if gone := l.obsolete(start); gone > 0 && !l.closed.Load() {
		if err := l.keepProducers((*l.segments.Load())[gone].base); err != nil {
			return start, l.structural(err)
		}
	}
	l.committed.Store(start)
	return start, nil
}

// removeObsolete deletes the segments that lie wholly below start, which has been made durable. The
// active segment stays.
func (l *Log) removeObsolete(start int64) error {
	l.structure.Lock()
	defer l.structure.Unlock()
	// Nobody but the holder of the structure lock takes segments off the list.
	gone := l.obsolete(start)
	if gone == 0 || l.closed.Load() {
		return nil
	}
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.lock()
	defer l.unlock()
	list := *l.segments.Load()
	kept := append([]*segment(nil), list[gone:]...)
	l.segments.Store(&kept)
	// Nothing of them needs syncing any more, and recovery must not look for it.
	l.flushed.Store(max(l.flushed.Load(), min(start, kept[0].base)))
	for _, seg := range list[:gone] {
		if err := l.doom(seg); err != nil {
			return l.structural(err)
		}
	}
	return nil
}

// obsolete counts the segments that lie wholly below start.
func (l *Log) obsolete(start int64) (n int) {
	list := *l.segments.Load()
	for n < len(list)-1 && list[n+1].base <= start {
		n++
	}
	return n
}

// keepProducers makes the producer snapshot at offset durable.
func (l *Log) keepProducers(offset int64) error {
	if err := l.finishSegments(); err != nil {
		return err
	}
	return l.syncSnapshot(offset)
}

// syncSnapshot makes the producer snapshot at offset durable, if there is one.
func (l *Log) syncSnapshot(offset int64) error {
	name := offsetName(offset) + snapshotSuffix
	if _, err := l.fs.Stat(filepath.Join(l.path, name)); err != nil {
		return nil
	}
	l.namesDirty.Store(true)
	return errors.Join(l.syncFile(name), l.syncNames())
}
