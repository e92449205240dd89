package wire

import "math"

// walk is the state of a walk over the records of one batch: what the records must keep to, and
// what has been found of them.
type walk struct {
	rules         *Rules
	count         int32
	baseTimestamp int64
	maxTimestamp  int64
	// earliest and latest bound the times that are right beyond doubt; judge decides on the others.
	earliest, latest int64
	// keyMin is the least length of a key: 0 where null will not do.
	keyMin int32
	// recordBytesMax bounds a record of a compressed batch; oversize says that one was larger.
	recordBytesMax int32
	oversize       bool
	// gaps is 0 as long as the offset deltas were 0, 1, 2 and so on.
	gaps int32
	// claimed says that the batch claims LogAppendTime. Its greatest timestamp then stands for the
	// times of all records, of which claimFault says what is wrong with them, if anything.
	claimed      bool
	claimFault   string
	badTimestamp bool
	errors       []RecordError
}

func newWalk(b Batch, r *Rules, errors []RecordError) walk {
	w := walk{
		rules: r, count: b.Count(), baseTimestamp: b.BaseTimestamp(), maxTimestamp: NoTimestamp,
		keyMin: math.MinInt32, claimed: b.TimestampType() == LogAppendTime, errors: errors,
	}
	if r.Compacted {
		w.keyMin = 0
	}
	if w.recordBytesMax = r.DecompressedRecordBytesMax; w.recordBytesMax <= 0 {
		w.recordBytesMax = math.MaxInt32
	}
	w.earliest, w.latest = timeBounds(r)
	if w.claimed {
		w.claimFault = checkClaim(b, r)
		w.earliest, w.latest = math.MinInt64, math.MaxInt64
		if w.claimFault != "" {
			w.earliest, w.latest = math.MaxInt64, math.MinInt64 // Every record is to be judged.
		}
	}
	return w
}

// checkClaim says what is wrong with a producer's claim of LogAppendTime, or nothing. Kafka takes
// the claim on a CreateTime topic if the claimed time is in range (LogValidator.validateTimestamp,
// where the batch's time hides that of the records), and then drops it.
func checkClaim(b Batch, r *Rules) string {
	ms := b.MaxTimestamp()
	switch {
	case r.Timestamps == LogAppendTime || ms == NoTimestamp:
		return msgRecordTimeType
	case outOfRange(ms, r):
		return msgRecordTimestamp
	default:
		return ""
	}
}

// greatest is what the batch's greatest timestamp should be after the walk.
func (w *walk) greatest(b Batch) int64 {
	if w.claimed {
		return b.MaxTimestamp()
	}
	return w.maxTimestamp
}

// timeBounds returns bounds within which outOfRange is false, in arithmetic that does not wrap.
func timeBounds(r *Rules) (earliest, latest int64) {
	if r.Timestamps == LogAppendTime {
		return math.MinInt64, math.MaxInt64
	}
	now := r.NowMs
	if now < 0 || r.BeforeMaxMs < 0 || r.AfterMaxMs < 0 {
		return math.MaxInt64, math.MinInt64
	}
	latest = math.MaxInt64
	if r.AfterMaxMs < math.MaxInt64-now {
		latest = now + r.AfterMaxMs
	}
	return now - r.BeforeMaxMs, latest
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
	i := 0
	for k := range w.count {
		length, start := varint(b, i)
		if start < 0 || length < 0 || int(length) > len(b)-start {
			return CodeInvalidRecord, msgRecordsShort
		}
		i = start + int(length)
		timestampDelta, offsetDelta, keyLength, ok := plainRecord(b[start:i])
		if !ok {
			return CodeInvalidRecord, msgRecordFraming
		}
		w.record(k, timestampDelta, offsetDelta, keyLength)
	}
	if i < len(b) {
		return CodeInvalidRecord, msgRecordsLong
	}
	return CodeNone, ""
}

// plainRecord checks that the fields of a record fill its body exactly, and returns what the rules
// are about. A length of less than zero stands for null.
func plainRecord(b []byte) (timestampDelta int64, offsetDelta, keyLength int32, ok bool) {
	timestampDelta, i := varlong(b, 1) // Behind the attributes, of which a record has none.
	offsetDelta, i = varint(b, i)
	keyLength, i = varint(b, i)
	valueLength, i := varint(b, i+int(max(keyLength, 0)))
	headers, i := varint(b, i+int(max(valueLength, 0)))
	if headers != 0 {
		i = plainHeaders(b, i, headers)
	}
	return timestampDelta, offsetDelta, keyLength, i == len(b)
}

// plainHeaders returns the index behind a record's headers, or a negative one if they do not parse.
func plainHeaders(b []byte, i int, headers int32) int {
	if headers < 0 || int(headers) > (len(b)-i)/2 {
		return noVarint
	}
	for ; headers > 0 && i >= 0; headers-- {
		keyLength, next := varint(b, i)
		if keyLength < 0 {
			return noVarint
		}
		valueLength, next := varint(b, next+int(keyLength))
		i = next + int(max(valueLength, 0))
	}
	return i
}

// record takes note of one record. Nearly all are within the bounds.
func (w *walk) record(k int32, timestampDelta int64, offsetDelta, keyLength int32) {
	timestamp := w.baseTimestamp + timestampDelta
	w.maxTimestamp = max(w.maxTimestamp, timestamp)
	w.gaps |= offsetDelta ^ k
	if timestamp < w.earliest || timestamp > w.latest || keyLength < w.keyMin {
		w.judge(k, timestamp, keyLength)
	}
}

// judge applies the rules to a record that is not within all bounds, in Kafka's order: key, then
// timestamp.
func (w *walk) judge(k int32, timestamp int64, keyLength int32) {
	switch {
	case keyLength < w.keyMin:
		w.fault(k, msgRecordKey)
	case w.claimed:
		if w.claimFault != "" {
			w.badTimestamp = true
			w.fault(k, w.claimFault)
		}
	case w.rules.Timestamps == CreateTime && timestamp != NoTimestamp && outOfRange(timestamp, w.rules):
		w.badTimestamp = true
		w.fault(k, msgRecordTimestamp)
	}
}

func (w *walk) fault(k int32, message string) {
	if len(w.errors) < RecordErrorsMax {
		w.errors = append(w.errors, RecordError{Index: k, Message: message})
	}
}
