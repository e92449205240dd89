package logdump

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"

	"sluice/wire"
)

// Kafka prints files as Kafka's DumpLogSegments does, line for line.
type Kafka struct {
	Out *bufio.Writer
	Err io.Writer

	// Records prints every record; Payloads also prints keys and values; Metadata prints what a
	// record has besides them.
	Records, Payloads, Metadata bool
	// SanityOnly checks indexes as a broker does at its start; VerifyOnly compares them with their
	// segments without printing them.
	SanityOnly, VerifyOnly bool
	// BytesMax bounds how much of each segment is read.
	BytesMax int64
	// Decoder prints keys and values in words rather than as they are; nil for none.
	Decoder *Decoder

	scratch    wire.Records
	mismatches []fileMismatches
}

type fileMismatches struct {
	path  string
	kind  Kind
	found []Mismatch
}

// File prints one file. An error means that it could not be read as what its name says.
func (k *Kafka) File(path string) error {
	fmt.Fprintf(k.Out, "Dumping %s\n", path)
	switch KindOf(path) {
	case Segment:
		return k.segment(path)
	case OffsetIndex:
		return k.offsets(path)
	case TimeIndex:
		return k.times(path)
	case TxnIndex:
		return k.txns(path)
	case Snapshot:
		return k.snapshot(path)
	}
	if err := k.Out.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(k.Err, "Ignoring unknown file %s\n", path)
	return nil
}

// Finish reports what did not match, after all files.
func (k *Kafka) Finish() error {
	if err := k.Out.Flush(); err != nil {
		return err
	}
	for _, m := range k.mismatches {
		switch {
		case m.kind == OffsetIndex:
			fmt.Fprintf(k.Err, "Mismatches in :%s\n", m.path)
			for _, e := range m.found {
				fmt.Fprintf(k.Err, "  Index offset: %d, log offset: %d\n", e.Index, e.Log)
			}
		default:
			k.finishTimes(m)
		}
	}
	return nil
}

func (k *Kafka) finishTimes(m fileMismatches) {
	headings := map[bool]string{
		true:  "Found timestamp mismatch in :%s\n",
		false: "The following indexed offsets are not found in :%s\n",
	}
	lines := map[bool]string{
		true:  "  Index timestamp: %d, log timestamp: %d\n",
		false: "Indexed offset: %d, found log offset: %d\n",
	}
	for _, times := range []bool{true, false} {
		headed := false
		for _, e := range m.found {
			if e.Times != times {
				continue
			}
			if !headed {
				fmt.Fprintf(k.Err, headings[times], m.path)
				headed = true
			}
			fmt.Fprintf(k.Err, lines[times], e.Index, e.Log)
		}
	}
}

func (k *Kafka) segment(path string) error {
	base, err := BaseOffset(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(k.Out, "Log starting offset: %d\n", base)
	tail, err := ReadSegment(path, k.BytesMax, k.batch)
	if err != nil {
		return err
	}
	if tail > 0 && k.BytesMax == math.MaxInt64 {
		fmt.Fprintf(k.Out, "Found %d invalid bytes at the end of %s\n", tail, filepath.Base(path))
	}
	return nil
}

func (k *Kafka) batch(b Found) error {
	horizon := "OptionalLong.empty"
	if b.HasDeleteHorizon() {
		horizon = fmt.Sprintf("OptionalLong[%d]", b.BaseTimestamp())
	}
	fmt.Fprintf(k.Out, "baseOffset: %d lastOffset: %d count: %d baseSequence: %d lastSequence: %d "+
		"producerId: %d producerEpoch: %d partitionLeaderEpoch: %d isTransactional: %t "+
		"isControl: %t deleteHorizonMs: %s position: %d %s: %d size: %d magic: %d "+
		"compresscodec: %s crc: %d isvalid: %t\n",
		b.BaseOffset(), b.LastOffset(), b.Count(), b.BaseSequence(), b.LastSequence(),
		b.ProducerID(), b.ProducerEpoch(), b.LeaderEpoch(), b.IsTransactional(), b.IsControl(),
		horizon, b.Position, timeName(b.Batch), b.MaxTimestamp(), b.Length(), b.Magic(), b.Codec(),
		b.CRC(), b.Valid)
	if !k.Records {
		return nil
	}
	var failed error
	err := wire.EachRecord(b.Batch, &k.scratch, func(r *wire.Record) bool {
		failed = k.record(b.Batch, r)
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	if err != nil {
		fmt.Fprintf(k.Out, "| the records cannot be read: %v\n", err)
	}
	return nil
}

func timeName(b wire.Batch) string {
	if b.TimestampType() == wire.LogAppendTime {
		return "LogAppendTime"
	}
	return "CreateTime"
}

func (k *Kafka) record(b wire.Batch, r *wire.Record) error {
	line := "| "
	if !k.Metadata && b.IsControl() {
		// Kafka leaves the line of a record of which it shows nothing empty.
		fmt.Fprintln(k.Out)
		return nil
	}
	if k.Metadata {
		sequence := wire.NoSequence
		if b.BaseSequence() != wire.NoSequence {
			sequence = wire.AddSequence(b.BaseSequence(), r.OffsetDelta)
		}
		line += fmt.Sprintf("offset: %d %s: %d keySize: %d valueSize: %d sequence: %d headerKeys: [",
			r.Offset, timeName(b), r.TimestampMs, size(r.Key), size(r.Value), sequence)
		first := true
		r.EachHeader(func(key, _ []byte) bool {
			if !first {
				line += ","
			}
			line, first = line+string(key), false
			return true
		})
		line += "]"
	}
	switch {
	case b.IsControl():
		line += controlText(r)
	case k.Payloads && k.Decoder != nil && r.Key == nil:
		fmt.Fprint(k.Out, line)
		return skipped(fmt.Sprintf("Failed to decode message at offset %d using the specified decoder "+
			"(message had a missing key)", r.Offset))
	case k.Payloads:
		line = k.payload(line, r)
	}
	fmt.Fprintln(k.Out, line)
	return nil
}

func (k *Kafka) payload(line string, r *wire.Record) string {
	prefix := ""
	if k.Metadata {
		prefix = " "
	}
	if k.Decoder != nil {
		key, value, err := k.Decoder.Decode(r)
		switch {
		case err != nil:
			return line + prefix + "key: " + err.Error()
		case value == "":
			value = "<DELETE>"
		}
		return line + prefix + "key: " + key + " payload: " + value
	}
	if r.Key != nil {
		line += prefix + "key: " + string(r.Key)
		prefix = " "
	}
	if r.Value != nil {
		line += prefix + "payload: " + string(r.Value)
	}
	if !k.Metadata && r.Key == nil && r.Value == nil {
		return ""
	}
	return line
}

// controlText describes a control record: a transaction's marker, or another one by its number
// (classes ControlRecordType and EndTransactionMarker).
func controlText(r *wire.Record) string {
	if len(r.Key) < 4 {
		return " controlType: unreadable"
	}
	kind := int16(binary.BigEndian.Uint16(r.Key[2:]))
	if kind > 1 || kind < 0 {
		return " controlType: " + strconv.Itoa(int(kind))
	}
	name := [...]string{"ABORT", "COMMIT"}[kind]
	if len(r.Value) < 6 {
		return " endTxnMarker: " + name
	}
	epoch := int32(binary.BigEndian.Uint32(r.Value[2:]))
	return fmt.Sprintf(" endTxnMarker: %s coordinatorEpoch: %d", name, epoch)
}

func size(b []byte) int {
	if b == nil {
		return -1
	}
	return len(b)
}

func (k *Kafka) offsets(path string) error {
	index, err := ReadOffsets(path)
	if err != nil {
		return err
	}
	if k.SanityOnly {
		if err := SaneOffsets(path, index); err != nil {
			return err
		}
		fmt.Fprintf(k.Out, "%s passed sanity check.\n", path)
		return nil
	}
	if !k.VerifyOnly {
		for _, e := range index {
			fmt.Fprintf(k.Out, "offset: %d position: %d\n", e.Offset, e.Position)
		}
	}
	found, err := CheckOffsets(index, SegmentOf(path))
	return k.noted(path, OffsetIndex, found, err)
}

func (k *Kafka) times(path string) error {
	index, err := ReadTimes(path)
	if err != nil {
		return err
	}
	if k.SanityOnly {
		if err := SaneTimes(path, index); err != nil {
			return err
		}
		fmt.Fprintf(k.Out, "%s passed sanity check.\n", path)
		return nil
	}
	if !k.VerifyOnly {
		for _, e := range index {
			fmt.Fprintf(k.Out, "timestamp: %d offset: %d\n", e.Timestamp, e.Offset)
		}
	}
	found, err := CheckTimes(index, SegmentOf(path))
	return k.noted(path, TimeIndex, found, err)
}

// noted keeps mismatches for the end.
func (k *Kafka) noted(path string, kind Kind, found []Mismatch, err error) error {
	if err != nil {
		return errors.Join(fmt.Errorf("cannot compare %s with its segment", path), err)
	}
	if len(found) > 0 {
		k.mismatches = append(k.mismatches, fileMismatches{path, kind, found})
	}
	return nil
}

func (k *Kafka) txns(path string) error {
	index, err := ReadTxns(path)
	for _, e := range index {
		fmt.Fprintf(k.Out, "version: %d producerId: %d firstOffset: %d lastOffset: %d "+
			"lastStableOffset: %d\n", e.Version, e.ProducerID, e.FirstOffset, e.LastOffset,
			e.LastStableOffset)
	}
	return err
}

func (k *Kafka) snapshot(path string) error {
	producers, err := ReadSnapshot(path)
	for _, p := range producers {
		first := "OptionalLong.empty"
		if p.TxnFirstOffset >= 0 {
			first = fmt.Sprintf("OptionalLong[%d]", p.TxnFirstOffset)
		}
		fmt.Fprintf(k.Out, "producerId: %d producerEpoch: %d coordinatorEpoch: %d "+
			"currentTxnFirstOffset: %s lastTimestamp: %d ", p.ProducerID, p.Epoch,
			p.CoordinatorEpoch, first, p.Timestamp)
		if p.LastOffset >= 0 {
			fmt.Fprintf(k.Out, "firstSequence: %d lastSequence: %d lastOffset: %d offsetDelta: %d "+
				"timestamp: %d", p.FirstSequence(), p.LastSequence, p.LastOffset, p.OffsetDelta,
				p.Timestamp)
		}
		fmt.Fprintln(k.Out)
	}
	return err
}
