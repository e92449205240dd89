package partition

import (
	"path/filepath"
)

// replaceSegments puts a finished cleaned segment in the place of a group of segments. Whatever a
// power cut leaves of the names, recovery finds the old segments or the new one whole:
//
//  1. .cleaned becomes .swap, durably. Before that, the old ones are all that counts; recovery removes
//     a .swap beside which a .cleaned is left.
//  2. From then on the new one counts. Readers go to it; the files of all old segments but the first
//     are set aside, the new index files take the first one's names, durably.
//  3. The .log file takes its name, durably. As long as it has not, recovery does 2 and 3 again.
//
// Before all that, the producer snapshot at the next segment is made durable: the group's batches no
// longer say all that they said about producers.
func (l *Log) replaceSegments(group []*segment, out *cleanedSegment) error {
	l.structure.Lock()
	defer l.structure.Unlock()
	list := *l.segments.Load()
	at := indexOfRun(list, group)
	if l.closed.Load() || at < 0 || at+len(group) >= len(list) ||
		l.flushed.Load() < list[at+len(group)].base {
		return ErrCleaningAborted
	}
	if err := l.dir.err(); err != nil {
		return err
	}
	if err := l.keepProducers(list[at+len(group)].base); err != nil {
		return l.structural(err)
	}
	out.placed = true
	if err := l.place(at, group, out.seg); err != nil {
		// Which names there are is in doubt.
		l.dir.fail(err)
		return err
	}
	return nil
}

// indexOfRun finds where group lies in list, or -1.
func indexOfRun(list, group []*segment) int {
	for i := range list {
		if list[i] != group[0] {
			continue
		}
		for j, s := range group {
			if i+j >= len(list) || list[i+j] != s {
				return -1
			}
		}
		return i
	}
	return -1
}

// place needs the structure lock.
func (l *Log) place(at int, group []*segment, seg *segment) error {
	for _, suffix := range cleanedSuffixes {
		name := seg.path + suffix
		if err := l.fs.Rename(name+cleanedSuffix, name+swapSuffix); err != nil {
			return err
		}
	}
	if !l.dir.mutants.hastyClean {
		if err := l.syncRenames(); err != nil {
			return err
		}
	}
	l.publishCleaned(at, len(group), seg)
	for _, old := range group {
		old.drop()
	}
	for _, old := range group[1:] {
		if err := l.setAside(old); err != nil {
			return err
		}
	}
	for _, suffix := range cleanedSuffixes[1:] {
		if err := l.fs.Rename(seg.path+suffix+swapSuffix, seg.path+suffix); err != nil {
			return err
		}
	}
	if err := l.syncRenames(); err != nil {
		return err
	}
	name := seg.path + logSuffix
	if err := l.fs.Rename(name+swapSuffix, name); err != nil {
		return err
	}
	if seg.aborted.count.Load() == 0 {
		if err := l.removeFile(filepath.Base(seg.path) + txnSuffix); err != nil {
			return err
		}
	}
	if err := l.syncRenames(); err != nil {
		return err
	}
	seg.durableName.Store(true)
	seg.memory.Store(nil)
	return nil
}

// publishCleaned lets readers find seg in the place of n segments. Its index entries stay in memory
// until its files have their names.
func (l *Log) publishCleaned(at, n int, seg *segment) {
	l.lock()
	defer l.unlock()
	list := *l.segments.Load()
	for _, old := range list[at : at+n] {
		old.ahead.Close()
	}
	fresh := append(append([]*segment(nil), list[:at]...), seg)
	fresh = append(fresh, list[at+n:]...)
	l.segments.Store(&fresh)
}

// syncRenames makes the names in the directory durable.
func (l *Log) syncRenames() error {
	l.namesDirty.Store(true)
	return l.syncNames()
}
