package wire

import "encoding/binary"

// walk is the state of a walk over the records of one batch: what the records must keep to, and
// what has been found of them.
type walk struct {
	baseTimestamp int64
	rules         *Rules
	// claimed says that the batch claims LogAppendTime, which is not for producers to give.
	claimed      bool
	count        int32
	maxTimestamp int64
	// consecutive says that offset deltas so far were 0, 1, 2 and so on.
	consecutive  bool
	badTimestamp bool
	errors       []RecordError
}

func newWalk(b Batch, r *Rules, errors []RecordError) walk {
	return walk{
		baseTimestamp: b.BaseTimestamp(), rules: r, claimed: b.TimestampType() == LogAppendTime,
		count: b.Count(), maxTimestamp: NoTimestamp, consecutive: true, errors: errors,
	}
}

// walk walks over all records of a batch, through decompression where there is any.
func (v *Validator) walk(w *walk, b Batch, r *Rules) (code int16, message string) {
	if b.Codec() == CodecNone {
		return w.plain(b.Records())
	}
	section := b.Records()
	limit := decompressLimit(r.DecompressedBytesMax, len(section))
	defer v.streams.close()
	if err := v.streams.open(b.Codec(), section, limit); err != nil {
		return decompressCode(err)
	}
	return w.stream(&v.streams)
}

// plain walks over an uncompressed records section.
func (w *walk) plain(b []byte) (code int16, message string) {
	for i := range w.count {
		length, n := varint(b)
		if n == 0 || length < 0 || int(length) > len(b)-n {
			return CodeInvalidRecord, msgRecordsShort
		}
		end := n + int(length)
		timestampDelta, offsetDelta, keyLength, ok := plainRecord(b[n:end])
		if !ok {
			return CodeInvalidRecord, msgRecordFraming
		}
		w.record(i, timestampDelta, offsetDelta, keyLength)
		b = b[end:]
	}
	if len(b) > 0 {
		return CodeInvalidRecord, msgRecordsLong
	}
	return CodeNone, ""
}

// plainRecord checks that the fields of a record fill its body exactly, and returns what the rules
// are about.
func plainRecord(b []byte) (timestampDelta int64, offsetDelta, keyLength int32, ok bool) {
	if len(b) < 6 { // Attributes and five varints of a byte each: the smallest record.
		return 0, 0, 0, false
	}
	i := 1
	timestampDelta, n := varlong(b[i:])
	if n == 0 {
		return 0, 0, 0, false
	}
	i += n
	offsetDelta, n = varint(b[i:])
	if n == 0 {
		return 0, 0, 0, false
	}
	i += n
	keyLength, n = varint(b[i:])
	if i += n + int(max(keyLength, 0)); n == 0 || i > len(b) {
		return 0, 0, 0, false
	}
	valueLength, n := varint(b[i:])
	if i += n + int(max(valueLength, 0)); n == 0 || i > len(b) {
		return 0, 0, 0, false
	}
	headers, n := varint(b[i:])
	if i += n; n == 0 || headers < 0 {
		return 0, 0, 0, false
	}
	if headers > 0 {
		i += plainHeaders(b[i:], headers)
	}
	return timestampDelta, offsetDelta, keyLength, i == len(b)
}

// plainHeaders returns the size of a record's headers, or what makes the record's sum come out
// wrong if they do not parse.
func plainHeaders(b []byte, headers int32) int {
	const wrong = -1 << 31
	if int(headers) > len(b)/2 {
		return wrong
	}
	i := 0
	for ; headers > 0; headers-- {
		length, n := varint(b[i:])
		if i += n + int(length); n == 0 || length < 0 || i > len(b) {
			return wrong
		}
		length, n = varint(b[i:])
		if i += n + int(max(length, 0)); n == 0 || i > len(b) {
			return wrong
		}
	}
	return i
}

// record applies the rules that concern one record, in Kafka's order: key, then timestamp. Kafka
// lets a claim of LogAppendTime pass on a CreateTime topic if the claimed time is in range, and
// then drops it, upon which the records show times that nobody has checked; it is refused here.
func (w *walk) record(i int32, timestampDelta int64, offsetDelta, keyLength int32) {
	timestamp := w.baseTimestamp + timestampDelta
	if timestamp > w.maxTimestamp {
		w.maxTimestamp = timestamp
	}
	if offsetDelta != i {
		w.consecutive = false
	}
	switch {
	case w.rules.Compacted && keyLength < 0:
		w.fault(i, msgRecordKey)
	case w.claimed:
		w.badTimestamp = true
		w.fault(i, msgRecordTimeType)
	case w.rules.Timestamps == CreateTime && timestamp != NoTimestamp:
		if outOfRange(timestamp, w.rules) {
			w.badTimestamp = true
			w.fault(i, msgRecordTimestamp)
		}
	}
}

func (w *walk) fault(i int32, message string) {
	if len(w.errors) < RecordErrorsMax {
		w.errors = append(w.errors, RecordError{Index: i, Message: message})
	}
}

func beUint32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
