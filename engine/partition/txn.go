package partition

import (
	"encoding/binary"
	"errors"
	"os"
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
	return e, binary.BigEndian.Uint16(b) == 0 && e.firstOffset >= 0 && e.lastOffset >= e.firstOffset
}

// openTxns is what bounds the last stable offset.
type openTxns struct {
	// first is one more than the first offset of the oldest open transaction; 0 means none.
	first atomic.Int64
	// endedCount is the length of ended, so that the usual case takes no lock.
	endedCount atomic.Int32
	// mu guards ended: transactions whose markers may still be at or above the high watermark.
	mu    sync.Mutex
	ended []endedTxn
}

func (t *openTxns) setOpen(firstOffset int64) { t.first.Store(firstOffset + 1) }

func (t *openTxns) end(e endedTxn) {
	t.mu.Lock()
	t.ended = append(t.ended, e)
	t.endedCount.Store(int32(len(t.ended)))
	t.mu.Unlock()
}

// truncate forgets what ended at or after offset.
func (t *openTxns) truncate(offset int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	keep := t.ended[:0]
	for _, e := range t.ended {
		if e.lastOffs < offset {
			keep = append(keep, e)
		}
	}
	t.ended = keep
	t.endedCount.Store(int32(len(t.ended)))
}

// LastStableOffset is the offset below which every transaction is decided, at most bound, which is
// the high watermark. A decided transaction counts once its marker is below bound.
func (l *Log) LastStableOffset(bound int64) int64 {
	stable := bound
	if first := l.txns.first.Load() - 1; first >= 0 {
		stable = min(stable, first)
	}
	if l.txns.endedCount.Load() == 0 {
		return stable
	}
	l.txns.mu.Lock()
	defer l.txns.mu.Unlock()
	keep := l.txns.ended[:0]
	for _, e := range l.txns.ended {
		if e.lastOffs >= bound {
			keep = append(keep, e)
			stable = min(stable, e.firstOffset)
		}
	}
	l.txns.ended = keep
	l.txns.endedCount.Store(int32(len(keep)))
	return stable
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

// loadAborted reads the .txnindex: the entries whose markers lie below end. The file is cut behind
// them.
func (s *segment) loadAborted(end int64) error {
	b, err := readFile(s.fsys, s.path+txnSuffix)
	if err != nil || b == nil {
		return err
	}
	kept := 0
	for ; (kept+1)*abortedBytes <= len(b); kept++ {
		e, ok := decodeAborted(b[kept*abortedBytes:])
		if !ok || e.lastOffset >= end {
			break
		}
		s.aborted.push(e)
	}
	if kept*abortedBytes == len(b) {
		return nil
	}
	f, err := s.fsys.Open(s.path+txnSuffix, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	s.txnDirty.Store(true)
	return errors.Join(f.Truncate(int64(kept)*abortedBytes), f.Close())
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
		for _, e := range s.aborted.view() {
			if e.lastOffset >= from && e.firstOffset < to {
				dst = append(dst, AbortedTxn{e.producerID, e.firstOffset})
			}
			if e.lastStable >= to {
				return dst, nil
			}
		}
	}
	return dst, nil
}
