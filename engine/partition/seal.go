package partition

import (
	"encoding/binary"
	"errors"
	"io"
	"os"

	"sluice/pagecache"
	"sluice/wire"
)

// A seal is the sidecar <base>.seal: what Kafka's index files cannot say about themselves. It
// vouches for the first entries of .index and .timeindex with their checksums. The seal of a
// complete segment, to which no more batches come, also says where the .log file and its offsets
// end; in others position is 0. 64 bytes, big endian, within one sector:
//
//	0       4        8          16       24          32        40
//	| "SLS1" | flags | position | next   | largest ts | its off. |
//	40            44          48            52          56         60     64
//	| idx entries | idx crc  | time entries | time crc | interval | crc  |
//
// largest is the largest timestamp in the segment so far and its batch's last offset; interval the
// index.interval.bytes in force; crc the CRC-32C of the 60 bytes before it. A seal never vouches
// for what lies past the recovery point.
type seal struct {
	complete      bool
	position      int64
	next          int64
	largest       int64
	largestOffset int64
	indexEntries  int32
	indexCRC      uint32
	timeEntries   int32
	timeCRC       uint32
	interval      int64
}

const (
	sealBytes    = 64
	sealMagic    = 0x534c5331
	sealComplete = 1
)

var errBadSeal = errors.New("seal is damaged")

func (s *seal) encode() []byte {
	b := make([]byte, 0, sealBytes)
	flags := uint32(0)
	if s.complete {
		flags |= sealComplete
	}
	b = binary.BigEndian.AppendUint32(b, sealMagic)
	b = binary.BigEndian.AppendUint32(b, flags)
	for _, v := range []int64{s.position, s.next, s.largest, s.largestOffset} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	for _, v := range []uint32{
		uint32(s.indexEntries), s.indexCRC, uint32(s.timeEntries), s.timeCRC,
		uint32(min(s.interval, 1<<31-1)),
	} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return binary.BigEndian.AppendUint32(b, wire.CRC(b))
}

func decodeSeal(b []byte) (seal, error) {
	if len(b) != sealBytes || binary.BigEndian.Uint32(b) != sealMagic ||
		wire.CRC(b[:sealBytes-4]) != binary.BigEndian.Uint32(b[sealBytes-4:]) {
		return seal{}, errBadSeal
	}
	i64 := func(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }
	u32 := func(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
	s := seal{
		complete: u32(4)&sealComplete != 0,
		position: i64(8), next: i64(16), largest: i64(24), largestOffset: i64(32),
		indexEntries: int32(u32(40)), indexCRC: u32(44),
		timeEntries: int32(u32(48)), timeCRC: u32(52), interval: int64(u32(56)),
	}
	if s.position < 0 || s.indexEntries < 0 || s.timeEntries < 0 {
		return seal{}, errBadSeal
	}
	return s, nil
}

// readSeal loads the segment's seal; a missing or damaged one is the zero seal.
func (s *segment) readSeal() error {
	b, err := readFile(s.fsys, s.path+sealSuffix)
	if err != nil {
		return err
	}
	if sealed, err := decodeSeal(b); err == nil && sealed.next >= s.base {
		s.seal = sealed
	} else {
		s.seal = seal{}
	}
	return nil
}

// saveIndexes brings the index files up to what is in memory and writes a seal over them. It is
// called with the log's structure lock and without the append lock; entries pushed meanwhile are
// for the next time. With complete set the segment is no longer active, and its entries leave
// memory once the files hold them.
func (s *segment) saveIndexes(complete bool, interval int64) error {
	s.filesMu.Lock()
	defer s.filesMu.Unlock()
	lists := s.memory.Load()
	if lists == nil {
		return nil
	}
	if complete {
		s.noteTime(lists)
	}
	index, times := lists.index.view(), lists.times.view()
	sealed := seal{
		complete: complete, interval: interval,
		largest: s.largest.Load(), largestOffset: s.largestOffset.Load(),
		next: s.next.Load(), position: s.size.Load(),
	}
	if !complete {
		if len(index) == int(s.seal.indexEntries) && len(times) == int(s.seal.timeEntries) {
			return nil
		}
		sealed.position, sealed.next = 0, s.base
	}
	if err := s.writeEntries(index, times, &sealed); err != nil {
		return err
	}
	if err := s.writeSeal(&sealed); err != nil {
		return err
	}
	s.seal = sealed
	if complete {
		s.memory.Store(nil)
	}
	return nil
}

// writeEntries extends the index files by the entries that the last seal did not cover.
func (s *segment) writeEntries(index []indexEntry, times []timeEntry, sealed *seal) error {
	var b []byte
	for _, e := range index[s.seal.indexEntries:] {
		b = appendIndexEntry(b, e)
	}
	at := int64(s.seal.indexEntries) * indexEntryBytes
	if err := s.extend(s.path+indexSuffix, at, b, sealed.complete); err != nil {
		return err
	}
	sealed.indexEntries, sealed.indexCRC = int32(len(index)), wire.UpdateCRC(s.seal.indexCRC, b)
	b = b[:0]
	for _, e := range times[s.seal.timeEntries:] {
		b = appendTimeEntry(b, e)
	}
	at = int64(s.seal.timeEntries) * timeEntryBytes
	if err := s.extend(s.path+timeSuffix, at, b, sealed.complete); err != nil {
		return err
	}
	sealed.timeEntries, sealed.timeCRC = int32(len(times)), wire.UpdateCRC(s.seal.timeCRC, b)
	return nil
}

// extend writes b at position at of a file. What lay behind at is not ours; a complete file is cut
// to its contents.
func (s *segment) extend(name string, at int64, b []byte, cut bool) error {
	if len(b) == 0 && !cut {
		return nil
	}
	f, err := s.fsys.Open(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if len(b) > 0 {
		_, err = f.WriteAt(b, at)
	}
	if size, serr := f.Size(); err == nil && serr == nil && size > at+int64(len(b)) {
		err = f.Truncate(at + int64(len(b)))
	}
	return errors.Join(err, f.Close())
}

func (s *segment) writeSeal(sealed *seal) error {
	f, err := s.fsys.Open(s.path+sealSuffix, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(sealed.encode(), 0)
	return errors.Join(err, f.Close())
}

// loadIndexFiles opens the index files and reports whether they hold what the seal says. It needs
// filesMu.
func (s *segment) loadIndexFiles() bool {
	if !s.seal.complete {
		return false
	}
	index, ok := s.openChecked(indexSuffix, int64(s.seal.indexEntries)*indexEntryBytes,
		s.seal.indexCRC)
	s.indexFile = index
	if !ok {
		return false
	}
	times, ok := s.openChecked(timeSuffix, int64(s.seal.timeEntries)*timeEntryBytes, s.seal.timeCRC)
	s.timeFile = times
	return ok
}

func (s *segment) openChecked(suffix string, size int64, crc uint32) (*pagecache.Shared, bool) {
	f, err := s.fsys.Open(s.path+suffix, os.O_RDONLY, 0)
	if err != nil {
		return nil, false
	}
	shared := pagecache.Share(f, nil)
	got, err := checksum(f, size)
	return shared, err == nil && got == crc
}

// checksum is the CRC-32C of the first size bytes of a file.
func checksum(f io.ReaderAt, size int64) (crc uint32, err error) {
	pooled := walkBuffers.Get().(*[]byte)
	defer walkBuffers.Put(pooled)
	for at := int64(0); at < size; {
		piece := (*pooled)[:min(walkChunk, size-at)]
		if n, err := f.ReadAt(piece, at); n < len(piece) {
			return 0, errors.Join(io.ErrUnexpectedEOF, err)
		}
		crc = wire.UpdateCRC(crc, piece)
		at += int64(len(piece))
	}
	return crc, nil
}
