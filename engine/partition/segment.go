package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"sluice/pagecache"
	"sluice/wire"
)

// The suffixes of a segment's files (class LogFileUtils), and our sidecar's, which Kafka ignores.
const (
	logSuffix      = ".log"
	indexSuffix    = ".index"
	timeSuffix     = ".timeindex"
	txnSuffix      = ".txnindex"
	snapshotSuffix = ".snapshot"
	sealSuffix     = ".seal"
	deletedSuffix  = ".deleted"
	cleanedSuffix  = ".cleaned"
	swapSuffix     = ".swap"
)

// segmentSuffixes are all files that go when a segment goes. The snapshot at a segment's base
// offset belongs to what lies before it, and goes too: nothing before it is left.
var segmentSuffixes = [...]string{
	logSuffix, indexSuffix, timeSuffix, txnSuffix, snapshotSuffix, sealSuffix,
}

// segment is a run of a log's batches in one file. The last segment of a log is active: appends,
// under the append lock, extend it. A segment never shrinks and its file is never rewritten;
// truncation puts a new segment in its place.
type segment struct {
	// base is the offset in the files' names; every offset in the segment is at least base.
	base int64
	// path is the directory and the 20-digit name, without suffix.
	path string
	// generation tells segments apart that had the same base offset, for readers' cursors.
	generation uint32
	fsys       pagecache.FS
	// log is the .log file. The log holds one reference until the segment is removed.
	log *pagecache.Shared

	// size is the position behind the last batch, next the offset behind its last record. Both are
	// stored after the bytes are in the file, next first: whoever loads size before next never
	// sees a size that covers more than next says.
	size atomic.Int64
	next atomic.Int64
	// largest is the largest timestamp, -1 for none, and largestOffset the last offset of the batch
	// that has it first.
	largest       atomic.Int64
	largestOffset atomic.Int64
	// served is the highest end position ever handed to a reader: truncation below it needs a new
	// file.
	served atomic.Int64

	// memory holds the index entries of a segment whose files are not complete, or have proved to
	// be damaged. It is nil for a complete segment, whose entries are looked up in the files.
	memory atomic.Pointer[entryLists]
	// recent is the ring of the active segment, nil elsewhere and before the first append.
	recent atomic.Pointer[ring]
	// aborted are the transactions that markers in this segment aborted.
	aborted growing[abortedEntry]
	// txnDirty says that .txnindex has unsynced entries.
	txnDirty atomic.Bool

	// durableName says that the .log file's name has been synced.
	durableName atomic.Bool

	// filesMu guards the fields below, which describe the index files.
	filesMu sync.Mutex
	seal    seal
	// indexFile and timeFile are open once a lookup needed them; checked says that their contents
	// agree with the seal.
	indexFile *pagecache.Shared
	timeFile  *pagecache.Shared
	checked   bool

	// firstMs, createdMs, jitterMs and sinceIndex serve appends and are guarded by the append lock:
	// the timestamp of the first batch (-1 for none), when the segment was begun, what is taken off
	// segment.ms, and the bytes since the last index entry.
	firstMs    int64
	createdMs  int64
	jitterMs   int64
	sinceIndex int64
	// lastEpoch is the leader epoch of the last batch, -1 for none seen.
	lastEpoch int32
	// ahead reserves space; behind is the position up to which write-back has been started. Both
	// are guarded by the append lock.
	ahead  pagecache.Ahead
	behind int64
	// behindAt is the size at which writing behind is next considered.
	behindAt int64
}

// entryLists are a segment's index entries in memory, extended under the append lock.
type entryLists struct {
	index growing[indexEntry]
	times growing[timeEntry]
}

// offsetName is an offset as file names have it.
func offsetName(offset int64) string { return fmt.Sprintf("%020d", offset) }

// openSegment opens, or with create makes, the segment's .log file. A created one is empty even if
// a file of that name was left over.
func (l *Log) openSegment(base int64, create bool) (*segment, error) {
	path := filepath.Join(l.path, offsetName(base))
	flag := os.O_RDWR
	if create {
		flag |= os.O_CREATE | os.O_TRUNC
	}
	file, err := l.fs.Open(path+logSuffix, flag, 0o644)
	if err != nil {
		return nil, err
	}
	s := &segment{
		base: base, path: path, fsys: l.fs, generation: l.generations.Add(1),
		log: pagecache.Share(file, nil),
	}
	s.next.Store(base)
	s.largest.Store(-1)
	s.largestOffset.Store(-1)
	s.firstMs, s.lastEpoch = -1, -1
	s.memory.Store(&entryLists{})
	if create {
		l.namesDirty.Store(true)
	}
	return s, nil
}

// drop releases the files. Regions handed out keep the .log file open.
func (s *segment) drop() {
	s.filesMu.Lock()
	s.closeIndexes()
	s.filesMu.Unlock()
	s.log.Drop()
}

// closeIndexes needs filesMu.
func (s *segment) closeIndexes() {
	for _, f := range []*pagecache.Shared{s.indexFile, s.timeFile} {
		if f != nil {
			f.Drop()
		}
	}
	s.indexFile, s.timeFile, s.checked = nil, nil, false
}

// note takes a batch at position into the segment's description: indexes, times, end. It is the
// one place that decides where index entries stand, for appends and rebuilding alike: an entry per
// index.interval.bytes, before the batch that crosses it.
func (s *segment) note(b wire.Batch, position, interval int64) {
	last := b.LastOffset()
	// A batch that compaction has emptied has no record of that time.
	if ts := b.MaxTimestamp(); ts > s.largest.Load() && b.Count() > 0 {
		s.largest.Store(ts)
		s.largestOffset.Store(last)
	}
	if s.firstMs < 0 {
		s.firstMs = b.MaxTimestamp()
	}
	if s.sinceIndex > interval {
		lists := s.memory.Load()
		lists.index.push(indexEntry{
			last: int32(last - s.base), position: int32(position),
			base: int32(b.BaseOffset() - s.base),
		})
		s.noteTime(lists)
		s.sinceIndex = 0
	}
	s.sinceIndex += int64(b.Length())
	s.lastEpoch = b.LeaderEpoch()
	s.next.Store(last + 1)
	s.size.Store(position + int64(b.Length()))
}

// noteTime adds a time entry for the largest timestamp so far, if it is new.
func (s *segment) noteTime(lists *entryLists) {
	e := timeEntry{timestamp: s.largest.Load(), last: int32(s.largestOffset.Load() - s.base)}
	if e.timestamp < 0 {
		return
	}
	if times := lists.times.view(); len(times) > 0 && times[len(times)-1].timestamp >= e.timestamp {
		return
	}
	lists.times.push(e)
}

// entries gives access to the offset index. The caller closes the source when it has no more use
// for it.
func (s *segment) entries(sc *scratch) (entrySource, error) {
	if lists := s.memory.Load(); lists != nil {
		return lists.source(sc), nil
	}
	s.filesMu.Lock()
	defer s.filesMu.Unlock()
	if err := s.openIndexes(); err != nil {
		return entrySource{}, err
	}
	if lists := s.memory.Load(); lists != nil {
		return lists.source(sc), nil
	}
	s.indexFile.Retain()
	// A read that found nothing in the segment before has left a block of that one's index.
	sc.blockAt = -1
	return entrySource{file: s.indexFile, count: int(s.seal.indexEntries), sc: sc}, nil
}

func (e *entryLists) source(sc *scratch) entrySource {
	view := e.index.view()
	return entrySource{memory: view, count: len(view), sc: sc}
}

// timeEntries reads the time index whole: lookups by time are rare and off the reactors.
func (s *segment) timeEntries() ([]timeEntry, error) {
	if lists := s.memory.Load(); lists != nil {
		return lists.times.view(), nil
	}
	s.filesMu.Lock()
	defer s.filesMu.Unlock()
	if err := s.openIndexes(); err != nil {
		return nil, err
	}
	if lists := s.memory.Load(); lists != nil {
		return lists.times.view(), nil
	}
	b := make([]byte, int(s.seal.timeEntries)*timeEntryBytes)
	if n, err := s.timeFile.ReadAt(b, 0); n < len(b) {
		return nil, errors.Join(io.ErrUnexpectedEOF, err)
	}
	entries := make([]timeEntry, s.seal.timeEntries)
	for i := range entries {
		entries[i] = decodeTimeEntry(b[i*timeEntryBytes:])
	}
	return entries, nil
}

// openIndexes opens the index files of a complete segment and compares them with the seal, once;
// if they do not agree it rebuilds the entries in memory from the batches. It needs filesMu.
func (s *segment) openIndexes() error {
	if s.checked || s.memory.Load() != nil {
		return nil
	}
	if s.loadIndexFiles() {
		s.checked = true
		return nil
	}
	s.closeIndexes()
	return s.rebuildEntries()
}

// rebuildEntries finds the index entries again from the batches, into memory. It needs filesMu.
func (s *segment) rebuildEntries() error {
	fresh := &segment{base: s.base, firstMs: -1}
	fresh.memory.Store(&entryLists{})
	fresh.largest.Store(-1)
	w := newWalker(s.log, 0, s.size.Load(), false)
	defer w.close()
	for {
		b, at, err := w.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("%s%s: position %d: %w", s.path, logSuffix, w.position, err)
		}
		fresh.note(b, at, s.seal.interval)
	}
	fresh.noteTime(fresh.memory.Load())
	s.memory.Store(fresh.memory.Load())
	return nil
}

// header reads the header of the batch at position, which is below size.
func (s *segment) header(position int64, sc *scratch) (wire.Batch, error) {
	n, err := s.log.ReadAt(sc.header[:], position)
	if n < len(sc.header) {
		return nil, errors.Join(io.ErrUnexpectedEOF, err)
	}
	return wire.PeekBatch(sc.header[:])
}

// baseAt reads the base offset of the batch at position, which is below size.
func (s *segment) baseAt(position int64, sc *scratch) (int64, error) {
	n, err := s.log.ReadAt(sc.header[:8], position)
	if n < 8 {
		return 0, errors.Join(io.ErrUnexpectedEOF, err)
	}
	return int64(binary.BigEndian.Uint64(sc.header[:])), nil
}
