package partition

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"sort"
	"sync"
	"sync/atomic"
)

// abortedEntry is an entry of a .txnindex (class AbortedTxn), 34 bytes, big endian:
//
//	| version i16 = 0 | producerId i64 | firstOffset i64 | lastOffset i64 | lastStableOffset i64 |
type abortedEntry struct {
	producerID, firstOffset, lastOffset, lastStable int64
}

const abortedBytes = 34

func (e abortedEntry) encode() []byte {
	b := make([]byte, 2, abortedBytes)
	for _, v := range []int64{e.producerID, e.firstOffset, e.lastOffset, e.lastStable} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return b
}

func decodeAborted(b []byte) (e abortedEntry, ok bool) {
	i64 := func(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }
	e = abortedEntry{
		producerID: i64(2), firstOffset: i64(10), lastOffset: i64(18), lastStable: i64(26),
	}
	// A marker lies behind what it aborts. Zeros, as an unsynced write may leave them, are no entry.
	return e, binary.BigEndian.Uint16(b) == 0 && e.firstOffset >= 0 && e.lastOffset > e.firstOffset
}

// openTxns is what bounds the last stable offset.
type openTxns struct {
	// first is one more than the first offset of the oldest open transaction; 0 means none.
	first atomic.Int64
	// endedCount is the length of ended, so that the usual case takes no lock.
	endedCount atomic.Int32
	// mu guards ended: transactions whose markers may still be at or above the high watermark, in the
	// order of their markers. Only those are kept that count for some watermark: one that began no
	// earlier than another whose marker comes later never does. So first offsets ascend as well, and
	// the first entry at or above a watermark says it all.
	mu    sync.Mutex
	ended []endedTxn
	// gone counts the entries at the front of ended that the high watermark has passed.
	gone int
}

func (t *openTxns) setOpen(firstOffset int64) { t.first.Store(firstOffset + 1) }

func (t *openTxns) end(e endedTxn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.ended)
	for n > t.gone && t.ended[n-1].firstOffset >= e.firstOffset {
		n--
	}
	if t.gone > len(t.ended)/2 && len(t.ended) == cap(t.ended) {
		n = copy(t.ended, t.ended[t.gone:n])
		t.gone = 0
	}
	t.ended = append(t.ended[:n], e)
	t.endedCount.Store(int32(len(t.ended) - t.gone))
}

// restart empties ended before the state is made anew. Until setOpen says what that came to, what has
// bounded the last stable offset so far goes on bounding it, so that nobody sees it too high.
func (t *openTxns) restart() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone < len(t.ended) {
		e := t.ended[t.gone].firstOffset
		if first := t.first.Load() - 1; first < 0 || e < first {
			t.setOpen(e)
		}
	}
	t.ended, t.gone = t.ended[:0], 0
	t.endedCount.Store(0)
}

// undecided is the first offset of the oldest transaction whose marker is at or above bound, or
// bound if there is none. What lies below is dropped: a high watermark does not go back.
func (t *openTxns) undecided(bound int64) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.gone < len(t.ended) && t.ended[t.gone].lastOffs < bound {
		t.gone++
	}
	t.endedCount.Store(int32(len(t.ended) - t.gone))
	if t.gone == len(t.ended) {
		t.ended, t.gone = t.ended[:0], 0
		return bound
	}
	return min(bound, t.ended[t.gone].firstOffset)
}

// LastStableOffset is the offset below which every transaction is decided, at most bound, which is
// the high watermark, and at least the log's start. A decided transaction counts once its marker is
// below bound. It costs two loads where nothing is open; call it whenever the high watermark has
// moved, or the transactions decided meanwhile pile up.
func (l *Log) LastStableOffset(bound int64) int64 {
	// The order matters: a transaction is among the ended before it is no longer open.
	stable := bound
	if first := l.txns.first.Load() - 1; first >= 0 {
		stable = min(stable, first)
	}
	if l.txns.endedCount.Load() != 0 {
		stable = min(stable, l.txns.undecided(bound))
	}
	return max(stable, min(l.start.Load(), bound))
}

// endTxn takes note of a transaction that a marker, the batch at the end of seg, has decided.
func (l *Log) endTxn(seg *segment, ended endedTxn) {
	l.txns.end(ended)
	if !ended.aborted {
		return
	}
	stable := ended.lastOffs + 1
	if first := l.producers.firstOpen(); first >= 0 {
		stable = min(stable, first)
	}
	e := abortedEntry{ended.producerID, ended.firstOffset, ended.lastOffs, stable}
	if err := seg.addAborted(e); err != nil {
		l.dir.fail(err)
	}
	l.namesDirty.Store(true)
}

// addAborted extends the segment's .txnindex. It is not synced here: recovery finds the entries
// past the recovery point again, and Flush syncs the file before that point moves.
func (s *segment) addAborted(e abortedEntry) error {
	at := s.aborted.count.Load() * abortedBytes
	f, err := s.fsys.Open(s.path+txnSuffix, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(e.encode(), at)
	s.aborted.push(e)
	s.txnDirty.Store(true)
	return errors.Join(err, f.Close())
}

// syncAborted makes the .txnindex durable if it has changed.
func (s *segment) syncAborted() error {
	if !s.txnDirty.Swap(false) {
		return nil
	}
	f, err := s.fsys.Open(s.path+txnSuffix, os.O_WRONLY, 0)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil {
		s.txnDirty.Store(true)
	}
	return err
}

// inheritAborted takes over the aborted transactions of the segment in whose place s comes, as far as s
// goes, synced or not: readers of s need them at once.
func (s *segment) inheritAborted(old *segment) {
	for _, e := range old.aborted.view() {
		if e.lastOffset < s.next.Load() {
			s.aborted.push(e)
		}
	}
	s.txnDirty.Store(old.txnDirty.Load())
}

// loadAborted reads the .txnindex: the entries whose markers lie below end, but for those that are
// known. The file is cut behind them. Below end everything was synced, and the entry behind that may
// be torn, so that its marker seems to lie below as well: the last entry is believed only if the log
// has that marker.
func (s *segment) loadAborted(end int64) error {
	b, err := readFile(s.fsys, s.path+txnSuffix)
	if err != nil || b == nil {
		return err
	}
	var entries []abortedEntry
	for at, last := 0, int64(-1); at+abortedBytes <= len(b); at += abortedBytes {
		e, ok := decodeAborted(b[at:])
		if !ok || e.lastOffset >= end || e.lastOffset <= last {
			break
		}
		entries, last = append(entries, e), e.lastOffset
	}
	if n := len(entries); n > 0 && end < math.MaxInt64 {
		ok, err := s.hasMarker(entries[n-1])
		if err != nil {
			return err
		}
		if !ok {
			entries = entries[:n-1]
		}
	}
	for i := int(s.aborted.count.Load()); i < len(entries); i++ {
		s.aborted.push(entries[i])
	}
	size := int64(len(entries)) * abortedBytes
	if size == int64(len(b)) {
		return nil
	}
	f, err := s.fsys.Open(s.path+txnSuffix, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	s.txnDirty.Store(true)
	return errors.Join(f.Truncate(size), f.Close())
}

// hasMarker reports whether the segment has the control batch of which an entry speaks.
func (s *segment) hasMarker(e abortedEntry) (bool, error) {
	sc := getScratch()
	defer sc.put()
	p := planner{seg: s, sc: sc}
	defer p.close()
	at, _, err := p.search(e.lastOffset)
	if err != nil || at.position < 0 {
		return false, err
	}
	h, err := s.header(at.position, sc)
	return err == nil && h.IsControl() && h.ProducerID() == e.producerID &&
		h.LastOffset() == e.lastOffset, err
}

// AbortedTxns appends to dst the aborted transactions whose records overlap [from, to), in the
// order in which their markers were written.
func (l *Log) AbortedTxns(dst []AbortedTxn, from, to int64) ([]AbortedTxn, error) {
	if err := l.readable(); err != nil {
		return dst, err
	}
	for _, s := range *l.segments.Load() {
		if s.next.Load() <= from {
			continue
		}
		all := s.aborted.view()
		// Entries come in the order of their markers.
		i := sort.Search(len(all), func(i int) bool { return all[i].lastOffset >= from })
		for _, e := range all[i:] {
			if e.firstOffset < to {
				dst = append(dst, AbortedTxn{e.producerID, e.firstOffset})
			}
			if e.lastStable >= to {
				return dst, nil
			}
		}
	}
	return dst, nil
}
