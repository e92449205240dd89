package partition

import (
	"errors"
	"io"
	"sort"
	"sync"

	"sluice/wire"
)

// recordReaders are pooled because they keep decompressors.
var recordReaders = sync.Pool{New: func() any { return new(wire.Records) }}

var nothingFound = TimestampOffset{Offset: -1, TimestampMs: -1, LeaderEpoch: -1}

// OffsetForTimestamp finds the first record, in offset order, at or above StartOffset and below
// bound, whose timestamp is at least timestampMs (ListOffsets, KIP-79). It reads the log: not on a
// reactor.
func (l *Log) OffsetForTimestamp(timestampMs, bound int64) (TimestampOffset, error) {
	if err := l.readable(); err != nil {
		return nothingFound, err
	}
	start := l.start.Load()
	for _, seg := range *l.segments.Load() {
		if seg.largest.Load() < timestampMs || seg.next.Load() <= start {
			continue
		}
		found, err := l.searchTime(seg, timestampMs, start)
		if err != nil {
			return nothingFound, err
		}
		if found.Offset < 0 {
			continue
		}
		if found.Offset >= bound {
			return nothingFound, nil
		}
		return found, nil
	}
	return nothingFound, nil
}

// MaxTimestamp finds the first record with the largest timestamp (ListOffsets -3, KIP-734). It may
// read the log: not on a reactor.
func (l *Log) MaxTimestamp() (TimestampOffset, error) {
	if err := l.readable(); err != nil {
		return nothingFound, err
	}
	var newest *segment
	for _, seg := range *l.segments.Load() {
		if ms := seg.largest.Load(); ms >= 0 && seg.next.Load() > l.start.Load() &&
			(newest == nil || ms > newest.largest.Load()) {
			newest = seg
		}
	}
	if newest == nil {
		return nothingFound, nil
	}
	return l.searchTime(newest, newest.largest.Load(), l.start.Load())
}

func (l *Log) readable() error {
	if l.closed.Load() {
		return errClosed
	}
	return l.dir.err()
}

// searchTime finds the first record at or above offset start with a timestamp of at least
// timestampMs in one segment.
func (l *Log) searchTime(seg *segment, timestampMs, start int64) (TimestampOffset, error) {
	if !seg.log.Retain() {
		return nothingFound, errClosed
	}
	defer seg.log.Release()
	position, err := seg.timePosition(timestampMs, start)
	if err != nil || position < 0 {
		return nothingFound, err
	}
	end := seg.size.Load()
	w := newWalker(seg.log, position, end, false)
	defer w.close()
	for {
		b, at, err := w.next()
		if err == io.EOF {
			return nothingFound, nil
		}
		if err != nil {
			return nothingFound, err
		}
		if b.MaxTimestamp() < timestampMs || b.LastOffset() < start {
			continue
		}
		found, err := searchBatch(seg, b, at, timestampMs, start)
		if err != nil || found.Offset >= 0 {
			return found, err
		}
	}
}

// timePosition is where a walk for timestampMs must begin: every record before it is older, or
// below offset start. -1 says that the segment has nothing of interest.
func (s *segment) timePosition(timestampMs, start int64) (int64, error) {
	times, err := s.timeEntries()
	if err != nil {
		return -1, err
	}
	from := start
	if i := sort.Search(len(times), func(i int) bool {
		return times[i].timestamp >= timestampMs
	}); i > 0 {
		// All up to that entry's offset are older.
		from = max(from, s.base+int64(times[i-1].last)+1)
	}
	sc := getScratch()
	defer sc.put()
	p := planner{seg: s, sc: sc}
	defer p.close()
	at, _, err := p.search(from)
	return at.position, err
}

// searchBatch looks at the records of one batch, decompressing them where they are compressed.
func searchBatch(
	seg *segment, b wire.Batch, position, timestampMs, start int64,
) (TimestampOffset, error) {
	if !whole(b) {
		all := make(wire.Batch, b.Length())
		if n, err := seg.log.ReadAt(all, position); n < len(all) {
			return nothingFound, errors.Join(io.ErrUnexpectedEOF, err)
		}
		b = all
	}
	found := nothingFound
	records := recordReaders.Get().(*wire.Records)
	defer recordReaders.Put(records)
	err := wire.EachRecord(b, records, func(r *wire.Record) bool {
		if r.TimestampMs < timestampMs || r.Offset < start {
			return true
		}
		found = TimestampOffset{
			Offset: r.Offset, TimestampMs: r.TimestampMs, LeaderEpoch: b.LeaderEpoch(),
		}
		return false
	})
	return found, err
}
