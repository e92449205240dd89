package partition

import (
	"encoding/binary"
	"sort"
	"sync"

	"sluice/pagecache"
	"sluice/wire"
)

// The sizes of entries in Kafka's index files (classes OffsetIndex and TimeIndex). They are on
// disk and never change.
const (
	indexEntryBytes = 8
	timeEntryBytes  = 12
)

// unknownBase stands in an indexEntry that came from a file: the file holds last offsets only.
const unknownBase = -1

// indexEntry says that the batch at position has the last offset last, relative to the segment's
// base offset; base is that batch's base offset, relative too, or unknownBase. On disk:
//
//	0        4        8
//	| last   | position |     big endian, int32 each; base is not stored
type indexEntry struct {
	last     int32
	position int32
	base     int32
}

// timeEntry says that timestamp is the largest up to and including the batch whose last offset,
// relative to the segment's base offset, is last. On disk:
//
//	0            8       12
//	| timestamp  | last  |     big endian, int64 and int32
type timeEntry struct {
	timestamp int64
	last      int32
}

func appendIndexEntry(dst []byte, e indexEntry) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(e.last))
	return binary.BigEndian.AppendUint32(dst, uint32(e.position))
}

func decodeIndexEntry(b []byte) indexEntry {
	return indexEntry{
		last:     int32(binary.BigEndian.Uint32(b)),
		position: int32(binary.BigEndian.Uint32(b[4:])),
		base:     unknownBase,
	}
}

func appendTimeEntry(dst []byte, e timeEntry) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.timestamp))
	return binary.BigEndian.AppendUint32(dst, uint32(e.last))
}

func decodeTimeEntry(b []byte) timeEntry {
	return timeEntry{
		timestamp: int64(binary.BigEndian.Uint64(b)),
		last:      int32(binary.BigEndian.Uint32(b[8:])),
	}
}

// scratch is the memory of one lookup, pooled: its address goes to the file system, so it cannot
// live on a stack.
type scratch struct {
	header [wire.BatchHeaderSize]byte
	// block holds blockLen bytes of an index file from its entry blockAt on; -1 means none.
	block    [4096]byte
	blockAt  int
	blockLen int
}

var scratches = sync.Pool{New: func() any { return &scratch{blockAt: -1} }}

func getScratch() *scratch {
	sc := scratches.Get().(*scratch)
	sc.blockAt = -1
	return sc
}

func (sc *scratch) put() { scratches.Put(sc) }

// entrySource is one segment's offset index wherever it lives: in memory for the active segment
// (and for one whose files are not written yet), in its file otherwise.
type entrySource struct {
	memory []indexEntry
	file   *pagecache.Shared
	count  int
	sc     *scratch
	// err is the first read error; lookups after it find nothing.
	err error
}

// close lets go of the index file.
func (s *entrySource) close() {
	if s.file != nil {
		s.file.Release()
	}
}

// at returns entry i. From a file it reads blocks of 512 entries, so that a binary search costs a
// handful of preads and a sequential reader's next lookup usually none but its own.
func (s *entrySource) at(i int) indexEntry {
	if s.memory != nil {
		return s.memory[i]
	}
	const perBlock = len(s.sc.block) / indexEntryBytes
	at := i / perBlock * perBlock
	if s.sc.blockAt != at {
		n := min(perBlock, s.count-at) * indexEntryBytes
		got, err := s.file.ReadAt(s.sc.block[:n], int64(at)*indexEntryBytes)
		if got < n {
			s.err, s.sc.blockAt = err, -1
			return indexEntry{}
		}
		s.sc.blockAt, s.sc.blockLen = at, n
	}
	return decodeIndexEntry(s.sc.block[(i-at)*indexEntryBytes:])
}

// floorOffset finds the slot of the last entry whose last offset is at most rel, -1 if none.
func (s *entrySource) floorOffset(rel int64) int {
	return sort.Search(s.count, func(i int) bool {
		return s.err != nil || int64(s.at(i).last) > rel
	}) - 1
}

// floorPosition finds the slot of the last entry whose position is at most position, -1 if none.
// near is a slot known to be at or before it, or -1; entries lie at least interval bytes apart, so
// a sequential reader's answer is a few slots further on.
func (s *entrySource) floorPosition(position int64, near int) int {
	low := 0
	if near >= 0 && near < s.count && int64(s.at(near).position) <= position {
		low = near
	}
	step := 16
	high := low
	for high < s.count && int64(s.at(high).position) <= position && s.err == nil {
		low, high = high, high+step
		step *= 2
	}
	high = min(high, s.count)
	return low + sort.Search(high-low, func(i int) bool {
		return s.err != nil || int64(s.at(low+i).position) > position
	}) - 1
}
