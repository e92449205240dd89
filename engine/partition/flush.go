package partition

import (
	"path/filepath"
)

// Flush makes everything below the LEO that it found durable, and returns the offset up to which
// the log is now. It waits for the device and holds the append lock not meanwhile: appends go on.
// Concurrent calls share the work.
func (l *Log) Flush() (flushed int64, err error) {
	want := l.leo.Load()
	l.flushing.Lock()
	defer l.flushing.Unlock()
	return l.flushLocked(want)
}

// flushLocked needs the flushing lock. The order is the point of it: contents, then the epochs and
// aborted transactions that recovery will not look for below the recovery point, then names, and
// only then the recovery point.
func (l *Log) flushLocked(want int64) (int64, error) {
	flushed := l.flushed.Load()
	if flushed >= want {
		return flushed, nil
	}
	if l.closed.Load() {
		return flushed, errClosed
	}
	if err := l.dir.err(); err != nil {
		return flushed, err
	}
	l.lock()
	through, records := l.leo.Load(), l.unflushed
	list := *l.segments.Load()
	l.dirtySinceMs = 0
	l.unlock()
	if err := l.sync(list, flushed); err != nil {
		l.dir.fail(err)
		return flushed, err
	}
	l.lock()
	l.unflushed -= records
	if l.unflushed > 0 && l.dirtySinceMs == 0 {
		l.dirtySinceMs = l.dir.nowMs()
	}
	l.unlock()
	l.flushed.Store(through)
	if l.observer != nil {
		l.observer.Flushed(through)
	}
	return through, nil
}

func (l *Log) sync(list []*segment, flushed int64) error {
	for _, seg := range list {
		if seg.next.Load() <= flushed {
			continue
		}
		if !seg.log.Retain() {
			return errClosed
		}
		err := error(nil)
		if !l.dir.mutants.skipSync {
			err = seg.log.File().Sync()
		}
		seg.log.Release()
		if err != nil {
			return err
		}
		if !l.dir.mutants.skipSyncAborted {
			if err := seg.syncAborted(); err != nil {
				return err
			}
		}
		if !seg.durableName.Load() {
			l.namesDirty.Store(true)
		}
	}
	if err := l.saveEpochs(); err != nil {
		return err
	}
	if err := l.syncNames(); err != nil {
		return err
	}
	for _, seg := range list {
		seg.durableName.Store(true)
	}
	return nil
}

// saveEpochs writes leader-epoch-checkpoint if it is behind; syncNames makes it durable.
func (l *Log) saveEpochs() error {
	file, needed := l.epochs.take()
	if !needed {
		return nil
	}
	if err := replaceFile(l.fs, filepath.Join(l.path, leaderEpochFile), file); err != nil {
		l.epochs.failed()
		return err
	}
	l.namesDirty.Store(true)
	return nil
}

// checkpoint syncs the log and brings its index files up to date, so that a restart has little to
// walk. It waits for the device.
func (l *Log) checkpoint() error {
	if _, err := l.Flush(); err != nil {
		return err
	}
	l.structure.Lock()
	defer l.structure.Unlock()
	if l.closed.Load() {
		return nil
	}
	if err := l.finishSegments(); err != nil {
		return l.structural(err)
	}
	l.lock()
	seg := l.active()
	l.unlock()
	return l.structural(seg.saveIndexes(false, l.config.Load().IndexIntervalBytes))
}
