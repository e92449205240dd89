package partition

import (
	"errors"
	"path/filepath"
)

// Close closes the log; clean also syncs it, writes its indexes and a producer snapshot, and gives
// reserved space back. Appends afterwards are refused with KAFKA_STORAGE_ERROR. Regions that were
// handed out stay readable until released. Closing twice is a no-op.
func (l *Log) Close(clean bool) error {
	if l.closed.Load() {
		return nil
	}
	err := error(nil)
	if clean && l.dir.err() == nil {
		err = l.finishClean()
	}
	l.structure.Lock()
	defer l.structure.Unlock()
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.lock()
	if !l.closed.Load() {
		err = errors.Join(err, l.mendTail())
	}
	l.closed.Store(true)
	list := *l.segments.Load()
	for _, seg := range list {
		seg.ahead.Close()
	}
	l.unlock()
	for _, seg := range list {
		seg.drop()
	}
	l.dir.closedLog(l)
	return err
}

// finishClean leaves the files as a restart would like to find them. Appends that come in between
// are refused: the log is fenced first.
func (l *Log) finishClean() error {
	l.lock()
	if err := l.mendTail(); err != nil {
		l.unlock()
		return err
	}
	l.fenced.Store(true)
	leo := l.leo.Load()
	l.snapshots = append(l.snapshots, pendingSnapshot{
		offset: leo, file: l.producers.appendSnapshot(nil),
	})
	l.unlock()
	l.structure.Lock()
	err := l.finishSegments()
	list := *l.segments.Load()
	if active := list[len(list)-1]; err == nil {
		err = l.finishSegment(active)
	}
	l.structure.Unlock()
	if err != nil {
		return l.structural(err)
	}
	if _, err := l.Flush(); err != nil {
		return err
	}
	// The snapshot is what spares the next start a replay: make it as durable as the records.
	err = errors.Join(l.syncFile(offsetName(leo)+snapshotSuffix), l.syncNames())
	if err == nil {
		l.committed.Store(l.start.Load())
	}
	return l.structural(err)
}

func (l *Log) syncFile(name string) error {
	f, err := l.fs.Open(filepath.Join(l.path, name), 0, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
