package wire

// Record is one record of a batch. Its slices point into the batch or into the reader's scratch
// memory and are good until the reader goes on.
type Record struct {
	// Offset is the batch's base offset plus OffsetDelta.
	Offset      int64
	OffsetDelta int32
	// TimestampMs is the record's time, or the batch's if that has LogAppendTime.
	TimestampMs int64
	// TimestampDelta is what the record itself holds.
	TimestampDelta int64
	// Key and Value are nil if null; a record with a null value is a tombstone.
	Key, Value []byte
	// HeaderCount is the number of headers; see EachHeader.
	HeaderCount int32
	headers     []byte
}

// EachHeader calls f with each header's key and value, nil for a null value, until f returns false.
func (r *Record) EachHeader(f func(key, value []byte) bool) {
	b := reader{b: r.headers}
	for range r.HeaderCount {
		key, value := b.field(), b.field()
		if b.bad || !f(key, value) {
			return
		}
	}
}

// field reads the bytes of a record's field: nil for any negative length.
func (r *reader) field() []byte {
	length, n := varint(r.b, 0)
	if n < 0 {
		r.fail()
		return nil
	}
	r.b = r.b[n:]
	if length < 0 {
		return nil
	}
	return r.take(int(length))
}

// parseRecord reads a record's body, that is without its length.
func parseRecord(b Batch, body []byte) (rec Record, ok bool) {
	if _, _, _, ok = plainRecord(body); !ok {
		return rec, false
	}
	timestampDelta, i := varlong(body, 1)
	offsetDelta, i := varint(body, i)
	r := reader{b: body[i:]}
	rec = Record{
		Offset: b.BaseOffset() + int64(offsetDelta), OffsetDelta: offsetDelta,
		TimestampDelta: timestampDelta, TimestampMs: b.BaseTimestamp() + timestampDelta,
		Key: r.field(), Value: r.field(),
	}
	if b.TimestampType() == LogAppendTime {
		rec.TimestampMs = b.MaxTimestamp()
	}
	rec.HeaderCount, i = varint(r.b, 0)
	rec.headers = r.b[i:]
	return rec, true
}

// Records reads the records of batches one after the other, through decompression where there is
// any. It keeps its working memory; the zero value is ready. It is for one goroutine.
type Records struct {
	streams decompressor
	cursor  cursor
	batch   Batch
	plain   []byte
	// joined holds a record that did not lie whole within a chunk.
	joined []byte
	left   int32
	err    error
}

// Open begins the records of a batch, whose checksum it does not check. The records may
// decompress to at most boundMax bytes, 0 standing for DecompressedBytesMax. An error shows at
// Next and Err.
func (r *Records) Open(b Batch, boundMax int64) {
	r.Close()
	r.batch, r.left, r.err = b, b.Count(), nil
	if r.left < 0 {
		r.err = ErrCorrupt
		return
	}
	if b.Codec() == CodecNone {
		r.plain = b.Records()
		return
	}
	limit := decompressLimit(boundMax, len(b.Records()))
	if r.left > 0 {
		r.err = r.streams.open(b.Codec(), b.Records(), limit)
	}
	r.cursor = cursor{d: &r.streams}
}

// Next reads the next record. It returns false after the last one, or at an error; see Err.
func (r *Records) Next(rec *Record) bool {
	if r.err != nil || r.left == 0 {
		return false
	}
	body, ok := r.body()
	if ok {
		*rec, ok = parseRecord(r.batch, body)
	}
	if !ok {
		if r.err == nil {
			r.err = ErrCorrupt
		}
		return false
	}
	r.left--
	return true
}

// Err returns what ended the records early: ErrCorrupt, ErrTooLarge or what a decompressor found.
func (r *Records) Err() error { return r.err }

// Close lets go of the batch. It need not be called before Open.
func (r *Records) Close() {
	r.streams.close()
	r.batch, r.plain, r.cursor = nil, nil, cursor{}
	if cap(r.joined) > outputRetainedMax {
		r.joined = nil
	}
}

// body returns the bytes of the next record behind its length.
func (r *Records) body() ([]byte, bool) {
	if r.batch.Codec() == CodecNone {
		length, start := varint(r.plain, 0)
		if start < 0 || length < 0 || int(length) > len(r.plain)-start {
			return nil, false
		}
		body := r.plain[start : start+int(length)]
		r.plain = r.plain[start+int(length):]
		return body, true
	}
	length, ok := r.cursor.varint()
	if !ok || length < 0 {
		return nil, r.ended()
	}
	if int(length) <= len(r.cursor.b) {
		body := r.cursor.b[:length]
		r.cursor.b = r.cursor.b[length:]
		return body, true
	}
	return r.join(int(length))
}

// join gathers a record that lies in several chunks. Memory grows with the bytes that come, not
// with the length that is claimed.
func (r *Records) join(length int) ([]byte, bool) {
	r.joined = r.joined[:0]
	for {
		n := min(length-len(r.joined), len(r.cursor.b))
		r.joined = append(r.joined, r.cursor.b[:n]...)
		r.cursor.b = r.cursor.b[n:]
		if len(r.joined) == length {
			return r.joined, true
		}
		if !r.cursor.refill() {
			return nil, r.ended()
		}
	}
}

// ended records why the section ended before its last record, and is false.
func (r *Records) ended() bool {
	r.err = ErrCorrupt
	if code, _ := r.cursor.failure(""); code != CodeInvalidRecord {
		r.err = r.cursor.err
	}
	return false
}

// EachRecord calls f with each record of a batch until f returns false, using scratch for its
// working memory. It returns nil if f ended it or all records were read.
func EachRecord(b Batch, scratch *Records, f func(*Record) bool) error {
	scratch.Open(b, 0)
	defer scratch.Close()
	var rec Record
	for scratch.Next(&rec) {
		if !f(&rec) {
			return nil
		}
	}
	return scratch.Err()
}
