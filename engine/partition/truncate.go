package partition

import (
	"io"
	"math"
	"os"
	"path/filepath"

	"sluice/pagecache"
)

// TruncateTo removes everything from offset on: a follower that diverged from its leader (KIP-101).
// A batch that holds offset goes whole. What a response may still be sending stays intact, in a
// file of its own. It waits for the device; appends wait meanwhile, reads do not.
func (l *Log) TruncateTo(offset int64) error {
	l.structure.Lock()
	defer l.structure.Unlock()
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.lock()
	defer l.unlock()
	if l.closed.Load() {
		return errClosed
	}
	if offset >= l.leo.Load() {
		// An epoch that began here and has no records yet may not be the new leader's.
		l.epochs.truncateEnd(l.leo.Load())
		return nil
	}
	if offset < l.start.Load() {
		return l.structural(l.restartAt(offset))
	}
	return l.structural(l.truncate(offset))
}

// TruncateFully removes everything and starts again, empty, at offset.
func (l *Log) TruncateFully(offset int64) error {
	l.structure.Lock()
	defer l.structure.Unlock()
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.lock()
	defer l.unlock()
	if l.closed.Load() {
		return errClosed
	}
	return l.structural(l.restartAt(offset))
}

// lowerRecoveryPoint takes back, durably, the promise that everything up to the recovery point is
// synced. It comes before the bytes change: otherwise a power cut behind the next appends would
// leave a recovery point that vouches for bytes never synced.
func (l *Log) lowerRecoveryPoint(offset int64) error {
	if l.flushed.Load() <= offset {
		return nil
	}
	l.flushed.Store(offset)
	if l.dir.mutants.lateRecoveryPoint {
		return nil
	}
	return l.dir.writeRecoveryPoints()
}

// truncate needs all three locks.
func (l *Log) truncate(offset int64) error {
	// What waits for the worker describes records that may go.
	l.snapshots = nil
	list := *l.segments.Load()
	keep := len(list)
	for keep > 1 && list[keep-1].base >= offset {
		keep--
	}
	old := list[keep-1]
	view, err := l.shorten(old, offset)
	if err != nil {
		return err
	}
	if view.next.Load() < l.start.Load() {
		// Only part of a batch is left above the start, and that goes whole.
		view.ahead.Close()
		return l.restartAt(offset)
	}
	if err := l.lowerRecoveryPoint(view.next.Load()); err != nil {
		return err
	}
	shorter := append(append([]*segment(nil), list[:keep-1]...), view)
	l.segments.Store(&shorter)
	l.leo.Store(view.next.Load())
	old.ahead.Close()
	// From here on nobody plans a read beyond the cut; who did before has raised served.
	if err := l.cutFile(old, view); err != nil {
		return err
	}
	for _, seg := range list[keep:] {
		if err := l.doom(seg); err != nil {
			return err
		}
	}
	return l.afterTruncation()
}

// shorten returns a segment that holds old's batches below offset, over the same file.
func (l *Log) shorten(old *segment, offset int64) (*segment, error) {
	sc := getScratch()
	defer sc.put()
	p := planner{seg: old, sc: sc}
	at, _, err := p.search(offset)
	if err != nil {
		p.close()
		return nil, err
	}
	if at.position < 0 {
		at = boundary{offset: old.next.Load(), position: old.size.Load()}
	}
	src, err := p.entries()
	if err != nil {
		return nil, err
	}
	defer p.close()
	view := &segment{
		base: old.base, path: old.path, fsys: old.fsys, log: old.log,
		generation: l.generations.Add(1), firstMs: old.firstMs, lastEpoch: -1,
	}
	view.durableName.Store(old.durableName.Load())
	lists := &entryLists{}
	for i := 0; i < src.count && int64(src.at(i).position) < at.position; i++ {
		lists.index.push(src.at(i))
	}
	if src.err != nil {
		return nil, src.err
	}
	view.memory.Store(lists)
	view.next.Store(max(old.base, min(offset, at.offset)))
	view.size.Store(at.position)
	view.inheritAborted(old)
	if err := l.describeEnd(view, old, lists); err != nil {
		return nil, err
	}
	view.served.Store(at.position)
	l.begin(view, l.dir.nowMs())
	return view, nil
}

// describeEnd finds out what a shortened segment no longer knows about its end: the largest
// timestamp, and how far its last index entry is away.
func (l *Log) describeEnd(view, old *segment, lists *entryLists) error {
	view.largest.Store(-1)
	view.largestOffset.Store(-1)
	times, err := old.timeEntries()
	if err != nil {
		return err
	}
	index, from := lists.index.view(), int64(0)
	if len(index) > 0 {
		last := index[len(index)-1]
		from = int64(last.position)
		for _, e := range times {
			if e.last > last.last {
				break
			}
			lists.times.push(e)
			view.largest.Store(e.timestamp)
			view.largestOffset.Store(view.base + int64(e.last))
		}
	}
	end, next := view.size.Load(), view.next.Load()
	w := newWalker(view.log.File(), from, end, false)
	defer w.close()
	for {
		b, at, err := w.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		view.note(b, at, math.MaxInt64)
	}
	view.next.Store(next)
	return nil
}

// cutFile takes the bytes behind view's end away: in the file itself if nobody was ever handed any
// of them, else by putting a copy of the kept part in the file's place.
func (l *Log) cutFile(old, view *segment) error {
	old.filesMu.Lock()
	old.closeIndexes()
	old.filesMu.Unlock()
	for _, suffix := range []string{sealSuffix, indexSuffix, timeSuffix} {
		name := filepath.Base(view.path) + suffix
		if _, err := l.fs.Stat(filepath.Join(l.path, name)); err == nil {
			if err := l.removeFile(name); err != nil {
				return err
			}
		}
	}
	end := view.size.Load()
	if old.served.Load() <= end && !l.dir.mutants.alwaysCopy {
		if err := view.log.File().Truncate(end); err != nil {
			return err
		}
		return view.log.File().Sync()
	}
	copied, err := l.copyKept(view, end)
	if err != nil {
		return err
	}
	list := *l.segments.Load()
	replaced := append([]*segment(nil), list...)
	view.ahead.Close()
	fresh := view.over(copied, l.generations.Add(1))
	l.begin(fresh, l.dir.nowMs())
	replaced[len(replaced)-1] = fresh
	l.segments.Store(&replaced)
	old.log.Drop()
	return nil
}

// over returns the segment's twin on another file with the same contents.
func (s *segment) over(file *pagecache.Shared, generation uint32) *segment {
	twin := &segment{
		base: s.base, path: s.path, fsys: s.fsys, log: file, generation: generation,
		firstMs: s.firstMs, sinceIndex: s.sinceIndex, lastEpoch: s.lastEpoch,
	}
	twin.memory.Store(s.memory.Load())
	twin.next.Store(s.next.Load())
	twin.size.Store(s.size.Load())
	twin.largest.Store(s.largest.Load())
	twin.largestOffset.Store(s.largestOffset.Load())
	twin.inheritAborted(s)
	return twin
}

// copyKept copies the first end bytes of a segment's file to a new file and lets that take the
// name. The copy is durable before it does.
func (l *Log) copyKept(seg *segment, end int64) (*pagecache.Shared, error) {
	temporary := seg.path + logSuffix + ".tmp"
	f, err := l.fs.Open(temporary, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	if err = copyFile(f, seg.log, end); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = l.fs.Rename(temporary, seg.path+logSuffix)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	l.namesDirty.Store(true)
	return pagecache.Share(f, nil), nil
}

func copyFile(to io.WriterAt, from io.ReaderAt, size int64) error {
	pooled := walkBuffers.Get().(*[]byte)
	defer walkBuffers.Put(pooled)
	for at := int64(0); at < size; {
		piece := (*pooled)[:min(walkChunk, size-at)]
		if n, err := from.ReadAt(piece, at); n < len(piece) {
			return err
		}
		if _, err := to.WriteAt(piece, at); err != nil {
			return err
		}
		at += int64(len(piece))
	}
	return nil
}

// afterTruncation brings everything else back in line with the shorter log, and makes the result
// durable before anything is appended to it.
func (l *Log) afterTruncation() error {
	leo := l.leo.Load()
	l.dir.lowerCleaned(l)
	list := *l.segments.Load()
	active := list[len(list)-1]
	if err := active.loadAborted(leo); err != nil {
		return err
	}
	if err := active.syncAborted(); err != nil {
		return err
	}
	l.tornBy = nil
	l.epochs.truncateEnd(leo)
	l.lastEpoch = max(l.epochs.latest(), active.lastEpoch)
	if err := l.rebuildProducers(leo, leo, nil); err != nil {
		return err
	}
	if err := l.saveEpochs(); err != nil {
		return err
	}
	l.namesDirty.Store(true)
	return l.syncNames()
}

// restartAt empties the log; its next offset is offset. It needs all three locks. A power cut in
// between leaves either the old log or none, and the checkpoints fit both.
func (l *Log) restartAt(offset int64) error {
	if err := l.lowerRecoveryPoint(min(l.start.Load(), offset)); err != nil {
		return err
	}
	l.snapshots = nil
	for _, seg := range *l.segments.Load() {
		if err := l.doom(seg); err != nil {
			return err
		}
	}
	if err := l.syncNames(); err != nil {
		return err
	}
	seg, err := l.openSegment(offset, true)
	if err != nil {
		return err
	}
	l.begin(seg, l.dir.nowMs())
	l.segments.Store(&[]*segment{seg})
	l.start.Store(offset)
	l.committed.Store(offset)
	l.leo.Store(offset)
	l.dir.lowerCleaned(l)
	l.tornBy = nil
	l.epochs.truncateEnd(0)
	l.lastEpoch = -1
	l.flushed.Store(offset)
	if err := l.rebuildProducers(offset, offset, nil); err != nil {
		return err
	}
	if err := l.saveEpochs(); err != nil {
		return err
	}
	l.namesDirty.Store(true)
	if err := l.syncNames(); err != nil {
		return err
	}
	return l.dir.writeStartOffsets()
}

// doom takes a segment that is out of the list away.
func (l *Log) doom(seg *segment) error {
	if err := l.setAside(seg); err != nil {
		return err
	}
	seg.ahead.Close()
	seg.drop()
	return nil
}

// setAside gives a segment's files the .deleted suffix; the dir unlinks them after
// file.delete.delay.ms.
func (l *Log) setAside(seg *segment) error {
	l.namesDirty.Store(true)
	for i := len(segmentSuffixes) - 1; i >= 0; i-- {
		name := seg.path + segmentSuffixes[i]
		if _, err := l.fs.Stat(name); err != nil {
			continue
		}
		if err := l.fs.Rename(name, name+deletedSuffix); err != nil {
			return err
		}
		l.dir.removeLater(name+deletedSuffix, l.config.Load().FileDeleteDelayMs)
	}
	return nil
}
