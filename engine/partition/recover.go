package partition

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"sluice/wire"
)

// ErrBelowRecoveryPoint says that bytes which were synced, and recorded as synced, are missing or
// damaged: the device lost them, or somebody changed the files. Cutting the log there would drop
// acknowledged records silently, so Open refuses. An operator who wants what is left removes
// recovery-point-offset-checkpoint from the log dir: the whole log is then checked and cut at the
// first damage.
var ErrBelowRecoveryPoint = errors.New("records below the recovery point are missing or damaged")

var errClosed = errors.New("log is closed")

// Open opens or creates a partition's log and recovers it. Different partitions may be opened in
// parallel; opening one that is open is an error.
func Open(o Options) (*Log, Recovered, error) {
	l := newLog(o)
	rec := Recovered{}
	if err := o.Dir.register(l); err != nil {
		return nil, rec, err
	}
	err := l.recover(o, &rec)
	if err != nil {
		l.abandon()
		return nil, rec, fmt.Errorf("open %s: %w", l.path, err)
	}
	l.settled.Store(true)
	o.Dir.unchecked.Add(rec.ScannedBytes)
	return l, rec, nil
}

func newLog(o Options) *Log {
	d := o.Dir
	l := &Log{
		dir: d, fs: d.fs, topic: o.Topic, partition: o.Partition, topicID: o.TopicID,
		path:     filepath.Join(d.path, logDirName(o.Topic, o.Partition)),
		observer: o.Observer, lastEpoch: -1,
	}
	l.config.Store(&o.Config)
	l.epoch.Store(-1)
	l.segments.Store(&[]*segment{})
	l.chores.Run = l.runChores
	l.trail.Run = l.runTrail
	l.drain.Run = l.drainOnWriter
	return l
}

// abandon lets go of what a failed Open has opened.
func (l *Log) abandon() {
	for _, seg := range *l.segments.Load() {
		seg.drop()
	}
	l.dir.unregister(l)
}

func (l *Log) recover(o Options, rec *Recovered) error {
	if err := l.openDirectory(o, rec); err != nil {
		return err
	}
	found, err := l.tidy(rec)
	if err != nil {
		return err
	}
	recoveryPoint, start := l.dir.checkpointed(l.key())
	if err := l.loadEpochs(); err != nil {
		return err
	}
	if found, err = l.dropBelow(found, start, rec); err != nil {
		return err
	}
	if err := l.openSegments(found, recoveryPoint, rec); err != nil {
		return err
	}
	if err := l.settle(recoveryPoint, start, rec); err != nil {
		return err
	}
	l.epochs.truncateEnd(l.leo.Load())
	l.epochs.truncateStart(l.start.Load())
	l.lastEpoch = max(l.epochs.latest(), l.active().lastEpoch)
	l.epoch.Store(l.lastEpoch)
	// A snapshot up to the start offset was durable before that was.
	limit := max(l.flushed.Load(), l.start.Load())
	if err := l.rebuildProducers(limit, l.flushed.Load(), rec); err != nil {
		return err
	}
	if l.obsolete(l.start.Load()) > 0 {
		l.dir.startsDirty.Store(true)
	}
	if rec.CutBytes > 0 || rec.SegmentsDeleted > 0 {
		// What was cut must stay cut: the next crash could otherwise bring back old bytes behind
		// new ones.
		l.namesDirty.Store(true)
		return l.syncNames()
	}
	return nil
}

// openDirectory makes the partition's directory, or checks that it belongs to the topic id.
func (l *Log) openDirectory(o Options, rec *Recovered) error {
	_, err := l.fs.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		rec.Created = true
		if err := l.dir.forget(l.key()); err != nil {
			return err
		}
		err = l.fs.MkdirAll(l.path, 0o755)
		l.dir.noteName()
	}
	if err != nil {
		return err
	}
	name := filepath.Join(l.path, metadataFile)
	file, err := readFile(l.fs, name)
	if err != nil {
		return err
	}
	have := parsePartitionMetadata(file)
	switch {
	case have == o.TopicID && file != nil:
		return nil
	case have == [16]byte{}:
		return writeFile(l.fs, name, partitionMetadata(o.TopicID))
	case o.TopicID == [16]byte{}:
		l.topicID = have
		return nil
	}
	return errWrongTopicID
}

func (l *Log) loadEpochs() error {
	file, err := readFile(l.fs, filepath.Join(l.path, leaderEpochFile))
	if err == nil && file != nil {
		// A damaged file counts as empty, see epochs.load.
		_ = l.epochs.load(file)
	}
	return err
}

// dropBelow removes segments that lie wholly below the log start offset: a deletion that a crash
// interrupted after it was decided. The snapshot that remembers their producers was durable before
// any of them was touched (prepareStart); where there is none they are whole, and stay for now.
func (l *Log) dropBelow(found []int64, start int64, rec *Recovered) ([]int64, error) {
	gone := 0
	for gone+1 < len(found) && found[gone+1] <= start {
		gone++
	}
	if gone == 0 {
		return found, nil
	}
	var loads producers
	file, err := readFile(l.fs, filepath.Join(l.path, offsetName(found[gone])+snapshotSuffix))
	if err != nil || loads.load(file) != nil {
		return found, err
	}
	if err := l.syncSnapshot(found[gone]); err != nil {
		return nil, err
	}
	for _, base := range found[:gone] {
		if err := l.removeSegmentFiles(base); err != nil {
			return nil, err
		}
		rec.LeftoversRemoved++
	}
	return found[gone:], nil
}

// openSegments opens the segments in order. Those that end below the recovery point are taken at
// their seal's word; the others are walked, and cut at the first bytes that are no batch of this
// log. What lies behind a cut is deleted.
func (l *Log) openSegments(found []int64, recoveryPoint int64, rec *Recovered) error {
	for i, base := range found {
		list := *l.segments.Load()
		if i > 0 && base > recoveryPoint && base != list[i-1].next.Load() ||
			i > 0 && base < list[i-1].next.Load() {
			return l.deleteFrom(found[i:], recoveryPoint, rec)
		}
		seg, err := l.openSegment(base, false)
		if err != nil {
			return err
		}
		if i > 0 {
			// Below the recovery point no record is missing: compaction has removed what lay between.
			list[i-1].next.Store(base)
		}
		grown := append(append([]*segment(nil), list...), seg)
		l.segments.Store(&grown)
		trusted := i+1 < len(found) && found[i+1] <= recoveryPoint
		cut, err := l.recoverSegment(seg, trusted, recoveryPoint, rec)
		if err != nil {
			return err
		}
		if cut && i+1 < len(found) {
			return l.deleteFrom(found[i+1:], recoveryPoint, rec)
		}
	}
	return nil
}

// deleteFrom deletes segments that do not continue the log.
func (l *Log) deleteFrom(bases []int64, recoveryPoint int64, rec *Recovered) error {
	if bases[0] < recoveryPoint {
		return fmt.Errorf("segment %d: %w", bases[0], ErrBelowRecoveryPoint)
	}
	for _, base := range bases {
		if info, err := l.fs.Stat(filepath.Join(l.path, offsetName(base)+logSuffix)); err == nil {
			rec.CutBytes += info.Size()
		}
		if err := l.removeSegmentFiles(base); err != nil {
			return err
		}
		rec.SegmentsDeleted++
	}
	return nil
}

// recoverSegment describes one segment. cut says that something had to be cut off its end.
func (l *Log) recoverSegment(
	seg *segment, trusted bool, recoveryPoint int64, rec *Recovered,
) (cut bool, err error) {
	seg.durableName.Store(seg.base < recoveryPoint)
	size, err := seg.log.File().Size()
	if err != nil {
		return false, err
	}
	if err := seg.readSeal(); err != nil {
		return false, err
	}
	if trusted && seg.seal.complete && seg.seal.position == size {
		s := &seg.seal
		seg.next.Store(s.next)
		seg.size.Store(size)
		seg.largest.Store(s.largest)
		seg.largestOffset.Store(s.largestOffset)
		seg.memory.Store(nil)
		return false, seg.loadAborted(1<<63 - 1)
	}
	position, err := seg.resume(recoveryPoint, size)
	if err != nil {
		return false, err
	}
	if position == 0 && size > l.config.Load().IndexIntervalBytes {
		rec.IndexesRebuilt++
	}
	if err := l.walkSegment(seg, position, size, recoveryPoint, rec); err != nil {
		return false, err
	}
	cut, err = l.cutSegment(seg, size, trusted, recoveryPoint, rec)
	if err != nil {
		return false, err
	}
	return cut, seg.loadAborted(recoveryPoint)
}

// walkSegment checks every batch from position on and takes it into the segment's description. It
// stops at the first that is none, or does not continue the log.
func (l *Log) walkSegment(seg *segment, position, size, recoveryPoint int64, rec *Recovered) error {
	w := newWalker(seg.log.File(), position, size, true)
	defer w.close()
	interval := l.config.Load().IndexIntervalBytes
	epoch := l.epochs.at(seg.next.Load() - 1)
	for {
		b, at, err := w.next()
		if err == io.EOF || err == errNoBatch {
			break
		}
		if err != nil {
			return err
		}
		if b.BaseOffset() < seg.next.Load() || b.LastOffset()-seg.base > 1<<31-1 ||
			b.LeaderEpoch() >= 0 && b.LeaderEpoch() < epoch {
			break
		}
		if at == 0 {
			seg.firstMs = b.MaxTimestamp()
		}
		if epoch = b.LeaderEpoch(); b.NextOffset() > recoveryPoint {
			l.epochs.assign(epoch, b.BaseOffset())
		}
		seg.note(b, at, interval)
	}
	rec.ScannedBytes += size - position
	return nil
}

// cutSegment removes, durably, what follows the last good batch. Nothing below the recovery point
// is ever cut.
func (l *Log) cutSegment(
	seg *segment, size int64, trusted bool, recoveryPoint int64, rec *Recovered,
) (cut bool, err error) {
	end := seg.size.Load()
	if end == size {
		return false, nil
	}
	if trusted || seg.next.Load() < recoveryPoint {
		return false, fmt.Errorf("%s%s: position %d: %w", seg.path, logSuffix, end,
			ErrBelowRecoveryPoint)
	}
	if err := seg.log.File().Truncate(end); err != nil {
		return false, err
	}
	if err := seg.log.File().Sync(); err != nil {
		return false, err
	}
	rec.CutBytes += size - end
	return true, nil
}

// settle decides where the log begins and ends, and makes it ready for appends.
func (l *Log) settle(recoveryPoint, start int64, rec *Recovered) error {
	list := *l.segments.Load()
	leo := max(0, start)
	if len(list) > 0 {
		start = max(start, list[0].base)
		leo = list[len(list)-1].next.Load()
	}
	if leo < recoveryPoint && start < recoveryPoint {
		return fmt.Errorf("log ends at offset %d, recovery point is %d: %w", leo, recoveryPoint,
			ErrBelowRecoveryPoint)
	}
	if leo < start {
		// Records were deleted up to start durably, the log below it was not: offsets go on.
		for _, seg := range list {
			seg.drop()
			if err := l.removeSegmentFiles(seg.base); err != nil {
				return err
			}
			rec.SegmentsDeleted++
		}
		list, leo = nil, start
	}
	if len(list) == 0 {
		seg, err := l.openSegment(leo, true)
		if err != nil {
			return err
		}
		list = []*segment{seg}
	}
	l.segments.Store(&list)
	l.leo.Store(leo)
	l.start.Store(start)
	l.committed.Store(start)
	// Not start: a segment that the start offset is behind of is synced like any other, or it could
	// be found damaged in front of one whose records were promised.
	l.flushed.Store(min(leo, recoveryPoint))
	active := list[len(list)-1]
	l.begin(active, l.dir.nowMs())
	if l.dir.wasClean || active.size.Load() == 0 {
		return nil
	}
	// Gives back the space that was reserved ahead when the last run ended; the length stays.
	return active.log.File().Truncate(active.size.Load())
}

// replay takes batches from offset from up to LEO into the producer state. Aborted transactions
// whose markers are at or above abortedFrom are added to the .txnindex.
func (l *Log) replay(from, abortedFrom int64) error {
	for _, seg := range *l.segments.Load() {
		if seg.next.Load() <= from || seg.size.Load() == 0 {
			continue
		}
		sc := getScratch()
		p := planner{seg: seg, sc: sc}
		at, _, err := p.search(from)
		p.close()
		sc.put()
		if err != nil {
			return err
		}
		if at.position < 0 {
			continue
		}
		if err := l.replaySegment(seg, at.position, abortedFrom); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) replaySegment(seg *segment, position, abortedFrom int64) error {
	w := newWalker(seg.log.File(), position, seg.size.Load(), false)
	defer w.close()
	for {
		b, _, err := w.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s%s: position %d: %w", seg.path, logSuffix, w.position, err)
		}
		l.replayBatch(seg, b, abortedFrom)
	}
}

func (l *Log) replayBatch(seg *segment, b wire.Batch, abortedFrom int64) {
	ended, isEnd := l.producers.apply(b)
	if !isEnd {
		return
	}
	if ended.lastOffs >= abortedFrom {
		l.endTxn(seg, ended)
	} else {
		l.txns.end(ended)
	}
}
