package logdump

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sluice/wire"
)

// Kind is what a file of a log is, told by its name.
type Kind uint8

// The kinds of files.
const (
	Unknown Kind = iota
	Segment
	OffsetIndex
	TimeIndex
	TxnIndex
	Snapshot
	Checkpoint // Lines behind a version and a count.
	Properties // Lines of names and values.
	Own        // A file of Sluice's that Kafka does not have; OwnMeaning says which.
)

// metadataFolder is where a broker keeps the metadata's journal and its snapshots.
const metadataFolder = "sluice-metadata"

// OwnMeaning says what a file of kind Own is for, or nothing for any other file.
func OwnMeaning(path string) string {
	inMetadata := false
	if abs, err := filepath.Abs(path); err == nil {
		inMetadata = filepath.Base(filepath.Dir(abs)) == metadataFolder
	}
	switch ext := filepath.Ext(plainName(path)); {
	case ext == ".seal":
		return "what a segment and its indexes were when it was closed; Sluice's own"
	case ext == ".journal":
		return "the journal of topics, configs and ids; Sluice's own"
	case ext == ".snapshot" && inMetadata:
		return "a snapshot of topics, configs and ids; Sluice's own"
	}
	return ""
}

// The sizes of entries, in bytes; see Kafka's OffsetIndex, TimeIndex, AbortedTxn and
// ProducerStateManager.
const (
	offsetEntryBytes   = 8
	timeEntryBytes     = 12
	txnEntryBytes      = 34
	snapshotHeadBytes  = 10
	snapshotEntryBytes = 46
)

// smallFileMax bounds what is read whole: indexes have at most 10 MiB by default, checkpoints and
// snapshots less.
const smallFileMax = 256 << 20

// plainName is a file's name without the suffix that deletion or cleaning gave it.
func plainName(path string) string {
	name := filepath.Base(path)
	for _, suffix := range []string{".deleted", ".cleaned", ".swap"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}

// KindOf tells a file's kind by its name. A name that deletion or cleaning gave a suffix counts
// too.
func KindOf(path string) Kind {
	if OwnMeaning(path) != "" {
		return Own
	}
	name := plainName(path)
	switch name {
	case "leader-epoch-checkpoint", "recovery-point-offset-checkpoint",
		"replication-offset-checkpoint", "log-start-offset-checkpoint":
		return Checkpoint
	case "partition.metadata", "meta.properties":
		return Properties
	}
	switch filepath.Ext(name) {
	case ".log":
		return Segment
	case ".index":
		return OffsetIndex
	case ".timeindex":
		return TimeIndex
	case ".txnindex":
		return TxnIndex
	case ".snapshot":
		return Snapshot
	}
	return Unknown
}

// BaseOffset returns the offset that a segment's or index's name begins with.
func BaseOffset(path string) (int64, error) {
	digits, _, _ := strings.Cut(filepath.Base(path), ".")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s: the name does not begin with an offset", path)
	}
	return n, nil
}

// Offset is an entry of an offset index: the batch at Position of the segment ends with Offset.
type Offset struct {
	Offset   int64 `json:"offset"`
	Position int32 `json:"position"`
}

// Time is an entry of a time index: Timestamp is the greatest up to and including the batch that
// ends with Offset.
type Time struct {
	Timestamp int64 `json:"timestamp"`
	Offset    int64 `json:"offset"`
}

// Txn is an entry of a transaction index: an aborted transaction.
type Txn struct {
	Version          int16 `json:"version"`
	ProducerID       int64 `json:"producerId"`
	FirstOffset      int64 `json:"firstOffset"`
	LastOffset       int64 `json:"lastOffset"`
	LastStableOffset int64 `json:"lastStableOffset"`
}

// Producer is an entry of a producer snapshot.
type Producer struct {
	ProducerID       int64 `json:"producerId"`
	Epoch            int16 `json:"producerEpoch"`
	LastSequence     int32 `json:"lastSequence"`
	LastOffset       int64 `json:"lastOffset"`
	OffsetDelta      int32 `json:"offsetDelta"`
	Timestamp        int64 `json:"timestamp"`
	CoordinatorEpoch int32 `json:"coordinatorEpoch"`
	// TxnFirstOffset is the first offset of the open transaction, or -1.
	TxnFirstOffset int64 `json:"currentTxnFirstOffset"`
}

// FirstSequence returns the sequence of the first record of the producer's last batch.
func (p *Producer) FirstSequence() int32 {
	first := int64(p.LastSequence) - int64(p.OffsetDelta)
	if p.LastSequence >= 0 && first < 0 {
		first += math.MaxInt32 + 1
	}
	return int32(first)
}

// readWhole reads a small file.
func readWhole(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > smallFileMax {
		return nil, fmt.Errorf("%s: %d bytes are too many for a file of this kind", path, info.Size())
	}
	return os.ReadFile(path)
}

// entries checks that a file is whole entries and calls f with each.
func entries(path string, b []byte, size int, f func(i int, e []byte) bool) error {
	for i := 0; len(b) >= size; i++ {
		if !f(i, b[:size]) {
			return nil
		}
		b = b[size:]
	}
	if len(b) > 0 {
		return fmt.Errorf("%s: the last %d bytes are no whole entry", path, len(b))
	}
	return nil
}

// ReadOffsets reads an offset index. A preallocated tail of zeroes is not an entry.
func ReadOffsets(path string) ([]Offset, error) {
	base, err := BaseOffset(path)
	if err != nil {
		return nil, err
	}
	b, err := readWhole(path)
	if err != nil {
		return nil, err
	}
	var out []Offset
	err = entries(path, b, offsetEntryBytes, func(i int, e []byte) bool {
		relative, position := binary.BigEndian.Uint32(e), int32(binary.BigEndian.Uint32(e[4:]))
		if relative == 0 && (i > 0 || position == 0) {
			return false
		}
		out = append(out, Offset{base + int64(relative), position})
		return true
	})
	return out, err
}

// ReadTimes reads a time index. A preallocated tail of zeroes is not an entry.
func ReadTimes(path string) ([]Time, error) {
	base, err := BaseOffset(path)
	if err != nil {
		return nil, err
	}
	b, err := readWhole(path)
	if err != nil {
		return nil, err
	}
	var out []Time
	err = entries(path, b, timeEntryBytes, func(i int, e []byte) bool {
		ms, relative := int64(binary.BigEndian.Uint64(e)), binary.BigEndian.Uint32(e[8:])
		if ms == 0 && relative == 0 {
			return false
		}
		out = append(out, Time{ms, base + int64(relative)})
		return true
	})
	return out, err
}

// ReadTxns reads a transaction index.
func ReadTxns(path string) ([]Txn, error) {
	b, err := readWhole(path)
	if err != nil {
		return nil, err
	}
	var out []Txn
	err = entries(path, b, txnEntryBytes, func(_ int, e []byte) bool {
		i64 := func(at int) int64 { return int64(binary.BigEndian.Uint64(e[at:])) }
		out = append(out, Txn{int16(binary.BigEndian.Uint16(e)), i64(2), i64(10), i64(18), i64(26)})
		return true
	})
	return out, err
}

// ReadSnapshot reads a producer snapshot of version 1 and checks its checksum.
func ReadSnapshot(path string) ([]Producer, error) {
	b, err := readWhole(path)
	if err != nil {
		return nil, err
	}
	if len(b) < snapshotHeadBytes {
		return nil, fmt.Errorf("%s: %d bytes are too few for a snapshot", path, len(b))
	}
	if v := binary.BigEndian.Uint16(b); v != 1 {
		return nil, fmt.Errorf("%s: snapshots of version %d are not known", path, v)
	}
	if sum := wire.CRC(b[6:]); sum != binary.BigEndian.Uint32(b[2:]) {
		return nil, fmt.Errorf("%s: the checksum is wrong, the snapshot is damaged", path)
	}
	count := int64(int32(binary.BigEndian.Uint32(b[6:])))
	if count*snapshotEntryBytes != int64(len(b)-snapshotHeadBytes) {
		return nil, fmt.Errorf("%s: it says %d producers but has %d bytes", path, count, len(b))
	}
	var out []Producer
	err = entries(path, b[snapshotHeadBytes:], snapshotEntryBytes, func(_ int, e []byte) bool {
		i32 := func(at int) int32 { return int32(binary.BigEndian.Uint32(e[at:])) }
		i64 := func(at int) int64 { return int64(binary.BigEndian.Uint64(e[at:])) }
		out = append(out, Producer{
			ProducerID: i64(0), Epoch: int16(binary.BigEndian.Uint16(e[8:])), LastSequence: i32(10),
			LastOffset: i64(14), OffsetDelta: i32(22), Timestamp: i64(26),
			CoordinatorEpoch: i32(34), TxnFirstOffset: i64(38),
		})
		return true
	})
	return out, err
}

// ReadLines reads a checkpoint or a properties file as the lines that carry meaning. Of a
// checkpoint it checks version and count.
func ReadLines(path string, kind Kind) ([]string, error) {
	b, err := readWhole(path)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, line := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		if kind == Checkpoint || (line != "" && line[0] != '#') {
			out = append(out, line)
		}
	}
	if kind != Checkpoint {
		return out, nil
	}
	if len(out) < 2 || out[0] != "0" {
		return nil, fmt.Errorf("%s: it is no checkpoint of version 0", path)
	}
	if n, err := strconv.Atoi(out[1]); err != nil || n != len(out)-2 {
		return nil, fmt.Errorf("%s: it says %s entries but has %d", path, out[1], len(out)-2)
	}
	return out[2:], nil
}

// Found is a batch of a segment and where it was found.
type Found struct {
	wire.Batch
	Position int64
	// Valid says that the checksum is right.
	Valid bool
}

// ReadSegment calls f with each batch of a segment, up to bytesMax bytes of it, until f returns an
// error, which it then returns. The batch is good until f returns. tail is the number of bytes at
// the end, within bytesMax, that are no whole batch.
func ReadSegment(path string, bytesMax int64, f func(Found) error) (tail int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if info.IsDir() {
		return 0, fmt.Errorf("%s is a directory", path)
	}
	size := min(info.Size(), bytesMax)
	var buf []byte
	header := make([]byte, wire.BatchHeaderSize)
	for at := int64(0); at < size; {
		if size-at < wire.BatchHeaderSize {
			return size - at, nil
		}
		if _, err := file.ReadAt(header, at); err != nil {
			return size - at, fmt.Errorf("%s: reading at position %d: %w", path, at, err)
		}
		peeked, err := wire.PeekBatch(header)
		if err != nil || int64(peeked.Length()) > size-at {
			return size - at, nil
		}
		n := peeked.Length()
		if cap(buf) < n {
			buf = make([]byte, n)
		}
		buf = buf[:n]
		if _, err := file.ReadAt(buf, at); err != nil && err != io.EOF {
			return size - at, fmt.Errorf("%s: reading at position %d: %w", path, at, err)
		}
		b, _, err := wire.NextBatch(buf)
		if err != nil {
			return size - at, nil
		}
		if err := f(Found{b, at, b.Intact()}); err != nil {
			return 0, err
		}
		at += int64(n)
	}
	return 0, nil
}
