package partition

import (
	"errors"
	"path/filepath"
	"syscall"

	"sluice/pagecache"
)

// Roll closes the active segment and begins a new one, if the active one holds anything.
func (l *Log) Roll() error {
	l.lock()
	defer l.unlock()
	if l.fenced.Load() || l.closed.Load() {
		return errClosed
	}
	if l.active().size.Load() == 0 {
		return nil
	}
	_, err := l.rollLocked(l.leo.Load(), l.dir.nowMs())
	return err
}

// rollLocked begins a new segment at base, under the append lock, on a goroutine that may wait for
// the device. The old one's index files, seal
// and producer snapshot are written by the worker; until then its entries stay in memory, and a
// crash costs a longer walk at recovery, nothing else.
//
// The old segment's name is made durable before the new file exists. So whichever names survive a
// power cut, no segment is missing between two others.
func (l *Log) rollLocked(base, nowMs int64) (*segment, error) {
	if err := l.mendTail(); err != nil {
		return nil, err
	}
	old := l.active()
	if err := l.syncNameOf(old); err != nil {
		return nil, l.structural(err)
	}
	seg, err := l.openSegment(base, true)
	if err != nil {
		return nil, l.structural(err)
	}
	l.begin(seg, nowMs)
	list := *l.segments.Load()
	if old.size.Load() == 0 {
		// Only a follower whose leader skipped more than 2^31 offsets gets here.
		list = list[:len(list)-1]
		old.ahead.Close()
		defer old.drop()
	} else {
		l.snapshots = append(l.snapshots, pendingSnapshot{
			offset: base, file: l.producers.appendSnapshot(nil),
		})
	}
	grown := append(append(make([]*segment, 0, len(list)+1), list...), seg)
	l.segments.Store(&grown)
	old.recent.Store(nil)
	l.dir.worker.Post(&l.chores)
	l.dir.syncer.Post(&l.trail)
	return seg, nil
}

// begin prepares a segment for appends.
func (l *Log) begin(seg *segment, nowMs int64) {
	seg.createdMs = nowMs
	if jitter := l.config.Load().SegmentJitterMs; jitter > 0 && l.dir.jitter != nil {
		seg.jitterMs = l.dir.jitter(jitter)
	}
	seg.behind = seg.size.Load()
	seg.behindAt = seg.behind + behindStep
	seg.ahead = pagecache.NewAhead(l.dir.reserve, seg.size.Load(), nowMs)
	if list := l.segments.Load(); list != nil && len(*list) > 0 {
		seg.ahead.Follow(&l.active().ahead, nowMs)
	}
}

// structural classifies an error of a file operation other than an append: a full disk concerns
// whoever asked, anything else the dir.
func (l *Log) structural(err error) error {
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		l.dir.fail(err)
	}
	return err
}

// syncNameOf makes the names of the segment's file and of the directory durable.
func (l *Log) syncNameOf(seg *segment) error {
	if seg.durableName.Load() {
		return nil
	}
	l.namesDirty.Store(true)
	if err := l.syncNames(); err != nil {
		return err
	}
	seg.durableName.Store(true)
	return nil
}

// syncNames makes all names made so far in the directory durable, and the directory's own.
func (l *Log) syncNames() error {
	if err := l.dir.syncNames(); err != nil {
		return err
	}
	l.naming.Lock()
	defer l.naming.Unlock()
	if !l.namesDirty.Swap(false) || l.dir.mutants.skipSyncDir {
		return nil
	}
	if err := l.fs.SyncDir(l.path); err != nil {
		l.namesDirty.Store(true)
		return err
	}
	return nil
}

// runChores is the log's task on the dir's worker: space ahead, and the files of segments that were
// rolled. Nothing of it waits for what the device has to write, since appends that outrun the space
// reserved for them wait in the file system behind the same.
func (l *Log) runChores() {
	l.reserveAhead()
	l.structure.Lock()
	defer l.structure.Unlock()
	if l.closed.Load() {
		return
	}
	if err := l.finishSegments(); err != nil {
		_ = l.structural(err)
	}
}

// runTrail is the log's task on the dir's syncer: write-back behind the tail, and the active
// segment's name.
func (l *Log) runTrail() {
	l.writeBehind()
	l.nameAhead()
}

// nameAhead makes the active segment's name durable long before the roll that needs it to be: that
// roll has an append waiting, and a directory's sync waits behind all that the device has to write.
// Where it fails, the roll tries again and says so.
func (l *Log) nameAhead() {
	l.lock()
	seg := l.active()
	l.unlock()
	_ = l.syncNameOf(seg)
}

func (l *Log) reserveAhead() {
	l.lock()
	want := l.reserve
	l.unlock()
	if want.n == 0 {
		return
	}
	held := want.segment.log.Retain()
	err := errClosed
	if held {
		err = want.segment.log.File().Reserve(want.position, want.n)
		want.segment.log.Release()
	}
	l.lock()
	if err == nil {
		want.segment.ahead.Grant(want.position, want.n)
	} else {
		want.segment.ahead.Refuse(want.n)
	}
	l.reserve = reserveRequest{}
	l.unlock()
}

// writeBehind starts write-back of what the active segment has grown by, where dirty pages have
// piled up, so that the kernel never has a segment's worth to write at once. A burst that memory
// takes is left alone: see Gate.Pressed.
func (l *Log) writeBehind() {
	l.dir.gate.Probe()
	pressed := l.dir.gate.Pressed()
	l.lock()
	seg := l.active()
	from, n := seg.behind, (seg.size.Load()-seg.behind)/behindStep*behindStep
	if !pressed {
		n = 0
	}
	seg.behind += n
	seg.ahead.Used(seg.size.Load())
	held := n > 0 && seg.log.Retain()
	l.unlock()
	if !held {
		return
	}
	// An error here is no loss: the sync that matters reports it.
	_ = seg.log.File().WriteBehind(from, n)
	seg.log.Release()
}

// finishSegments writes what rolling left to be written. It needs the structure lock.
func (l *Log) finishSegments() error {
	l.lock()
	pending := l.snapshots
	l.snapshots = nil
	list := *l.segments.Load()
	l.unlock()
	for _, snapshot := range pending {
		name := filepath.Join(l.path, offsetName(snapshot.offset)+snapshotSuffix)
		if err := writeFile(l.fs, name, snapshot.file); err != nil {
			return err
		}
		l.namesDirty.Store(true)
	}
	for _, seg := range list[:len(list)-1] {
		if seg.memory.Load() == nil || seg.seal.complete {
			continue
		}
		if err := l.finishSegment(seg); err != nil {
			return err
		}
	}
	return nil
}

// finishSegment completes one closed segment's files and gives its unused space back.
func (l *Log) finishSegment(seg *segment) error {
	l.lock()
	reserved := seg.ahead.Reserved(seg.size.Load())
	l.unlock()
	if reserved {
		// The length stays: this only frees blocks past it.
		if err := seg.log.File().Truncate(seg.size.Load()); err != nil {
			return err
		}
	}
	l.lock()
	seg.ahead.Close()
	l.unlock()
	l.namesDirty.Store(true)
	return seg.saveIndexes(true, l.config.Load().IndexIntervalBytes)
}
