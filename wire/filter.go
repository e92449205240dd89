package wire

import (
	"encoding/binary"
	"slices"
)

// Filter makes the batch that log compaction leaves of a batch: some of the records, each with its
// offset, key, value and headers as they were, under the codec that they had. It keeps its working
// memory; the zero value is ready. It is for one goroutine.
type Filter struct {
	records Records
	// rec is the record at hand: on the stack it would not stay there.
	rec Record
	// section holds the kept records uncompressed, shifted the same with other timestamp deltas.
	section    []byte
	shifted    []byte
	compressor compressor
}

// FilterRules are what Filter.Append goes by beside the choice of records.
type FilterRules struct {
	// DecompressedBytesMax bounds what the records may decompress to; 0 for DecompressedBytesMax.
	DecompressedBytesMax int64
	// HorizonMs is the time from which tombstones may go (KIP-534), NoTimestamp for no such time. It
	// is stamped into a batch that keeps a tombstone and has no delete horizon yet.
	HorizonMs int64
	// Stamp asks for the stamp in a batch without tombstones too: a transaction marker.
	Stamp bool
}

// Filtered is what became of a batch.
type Filtered struct {
	// Read and Kept count records.
	Read, Kept int32
	// Same says that every byte is as it was.
	Same bool
}

// Append appends to dst what is left of b when only the records stay for which keep is true. Base
// offset and last offset are those of b, so that a producer's sequence numbers can still be told;
// the greatest timestamp is that of the records kept. Nothing is appended when no record is kept.
// The record that keep gets is good until it returns.
//
// Memory is bounded by what the records decompress to. Errors are those of Records.
func (f *Filter) Append(
	dst []byte, b Batch, rules FilterRules, keep func(*Record) bool,
) ([]byte, Filtered, error) {
	defer f.release()
	var done Filtered
	newest, tombstones, err := f.collect(b, rules.DecompressedBytesMax, keep, &done)
	if err != nil || done.Kept == 0 {
		return dst, done, err
	}
	stamp := rules.HorizonMs != NoTimestamp && !b.HasDeleteHorizon() && (tombstones || rules.Stamp)
	if done.Same = done.Kept == done.Read && !stamp; done.Same {
		return append(dst, b...), done, nil
	}
	section, base := f.section, b.BaseTimestamp()
	if stamp {
		section, base = f.shift(base-rules.HorizonMs), rules.HorizonMs
	}
	at := len(dst)
	dst = append(dst, b[:BatchHeaderSize]...)
	dst, err = f.compressor.append(dst, section, b.Codec(), DefaultLevel)
	if err != nil {
		return dst[:at], done, err
	}
	n := Batch(dst[at:])
	if stamp {
		n[posAttributes+1] |= attrDeleteHorizon
	}
	binary.BigEndian.PutUint32(n[posLength:], uint32(len(n)-BatchPrefixSize))
	binary.BigEndian.PutUint64(n[posBaseTimestamp:], uint64(base))
	if b.TimestampType() == CreateTime {
		binary.BigEndian.PutUint64(n[posMaxTimestamp:], uint64(newest))
	}
	binary.BigEndian.PutUint32(n[posCount:], uint32(done.Kept))
	n.Reseal()
	return dst, done, nil
}

// collect gathers the records to be kept in section, with their lengths.
func (f *Filter) collect(
	b Batch, boundMax int64, keep func(*Record) bool, done *Filtered,
) (newest int64, tombstones bool, err error) {
	f.section = f.section[:0]
	newest = NoTimestamp
	r := &f.records
	r.Open(b, boundMax)
	for r.err == nil && r.left > 0 {
		body, ok := r.body()
		if ok {
			f.rec, ok = parseRecord(b, body)
		}
		if !ok {
			if r.err == nil {
				r.err = ErrCorrupt
			}
			break
		}
		r.left--
		done.Read++
		if !keep(&f.rec) {
			continue
		}
		done.Kept++
		newest = max(newest, f.rec.TimestampMs)
		tombstones = tombstones || f.rec.Value == nil
		f.section = append(appendVarint(f.section, int32(len(body))), body...)
	}
	return newest, tombstones, r.err
}

// shift returns the section's records with by added to every timestamp delta.
func (f *Filter) shift(by int64) []byte {
	out := f.shifted[:0]
	for rest := f.section; len(rest) > 0; {
		length, start := varint(rest, 0)
		body := rest[start : start+int(length)]
		rest = rest[start+int(length):]
		delta, behind := varlong(body, 1)
		delta += by
		out = appendVarint(out, int32(1+varlongSize(delta)+len(body)-behind))
		out = append(out, body[0])
		out = appendVarlong(out, delta)
		out = append(out, body[behind:]...)
	}
	f.shifted = out
	return out
}

// release lets go of the batch and of memory that one unusual batch has grown.
func (f *Filter) release() {
	f.records.Close()
	f.rec = Record{}
	if cap(f.section) > outputRetainedMax {
		f.section = nil
	}
	if cap(f.shifted) > outputRetainedMax {
		f.shifted = nil
	}
}

// AppendEmptied appends b without its records: a header that goes on telling the producer's id, epoch
// and last sequence number, and where offsets go on (class DefaultRecordBatch, writeEmptyHeader).
func AppendEmptied(dst []byte, b Batch) []byte {
	at := len(dst)
	dst = slices.Grow(dst, BatchHeaderSize)
	dst = append(dst, b[:BatchHeaderSize]...)
	n := Batch(dst[at:])
	none := int64(NoTimestamp)
	n[posAttributes+1] &^= attrCodecMask | attrDeleteHorizon
	binary.BigEndian.PutUint32(n[posLength:], BatchHeaderSize-BatchPrefixSize)
	binary.BigEndian.PutUint64(n[posBaseTimestamp:], uint64(none))
	binary.BigEndian.PutUint32(n[posCount:], 0)
	n.Reseal()
	return dst
}
