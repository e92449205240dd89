package wire

import "io"

// cursor reads a decompressed section byte by byte or in leaps, across the chunks it comes in. The
// first error sticks and everything read from then on is zero.
type cursor struct {
	d *decompressor
	// b is what is left of the chunk at hand.
	b []byte
	// before counts the bytes of the chunks up to the end of b.
	before int64
	err    error
}

// position returns how many bytes of the section have been read.
func (c *cursor) position() int64 { return c.before - int64(len(c.b)) }

// refill gets the next chunk; the one at hand must be used up.
func (c *cursor) refill() bool {
	if c.err != nil {
		return false
	}
	c.b, c.err = c.d.next()
	c.before += int64(len(c.b))
	return c.err == nil
}

func (c *cursor) byte() byte {
	if len(c.b) == 0 && !c.refill() {
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

// skip passes over n bytes.
func (c *cursor) skip(n int64) {
	for n > int64(len(c.b)) {
		n -= int64(len(c.b))
		c.b = nil
		if !c.refill() {
			return
		}
	}
	c.b = c.b[n:]
}

// varintBytes reads the bytes of a varint of at most maxBytes bytes into buf, where the chunk's
// end may lie within it, and returns them.
func (c *cursor) varintBytes(buf *[10]byte, maxBytes int) []byte {
	for i := range maxBytes {
		buf[i] = c.byte()
		if buf[i] < 0x80 {
			return buf[:i+1]
		}
	}
	return buf[:maxBytes]
}

// varint reads a zigzag varint of 32 bits; ok is false if there is none, or no more bytes.
func (c *cursor) varint() (v int32, ok bool) {
	v, n := varint(c.b, 0)
	if n < 0 {
		var buf [10]byte
		v, n = varint(c.varintBytes(&buf, 5), 0)
		return v, n > 0 && c.err == nil
	}
	c.b = c.b[n:]
	return v, true
}

// varlong reads a zigzag varint of 64 bits.
func (c *cursor) varlong() (v int64, ok bool) {
	v, n := varlong(c.b, 0)
	if n < 0 {
		var buf [10]byte
		v, n = varlong(c.varintBytes(&buf, 10), 0)
		return v, n > 0 && c.err == nil
	}
	c.b = c.b[n:]
	return v, true
}

// stream walks over a compressed records section.
func (w *walk) stream(d *decompressor) (code int16, message string) {
	c := cursor{d: d}
	for i := range w.count {
		if !w.streamRecord(&c, i) {
			if w.oversize {
				return CodeInvalidRecord, msgRecordSize
			}
			return c.failure(msgRecordFraming)
		}
	}
	if len(c.b) > 0 || c.refill() {
		return CodeInvalidRecord, msgRecordsLong
	}
	if c.err != io.EOF {
		return decompressCode(c.err)
	}
	return CodeNone, ""
}

// failure says why a walk ended early: the section did, it does not decompress, or otherwise.
func (c *cursor) failure(otherwise string) (code int16, message string) {
	switch c.err {
	case nil:
		return CodeInvalidRecord, otherwise
	case io.EOF:
		return CodeInvalidRecord, msgRecordsShort
	default:
		return decompressCode(c.err)
	}
}

// streamRecord walks over one record.
func (w *walk) streamRecord(c *cursor, i int32) bool {
	// Fast path: most records lie whole within a chunk.
	length, start := varint(c.b, 0)
	if start > 0 && length >= 0 && length <= w.recordBytesMax && int(length) <= len(c.b)-start {
		end := start + int(length)
		timestampDelta, offsetDelta, keyLength, ok := plainRecord(c.b[start:end])
		if ok {
			c.b = c.b[end:]
			w.record(i, timestampDelta, offsetDelta, keyLength)
		}
		return ok
	}
	length, ok := c.varint()
	if !ok || length < 0 {
		return false
	}
	if length > w.recordBytesMax {
		w.oversize = true
		return false
	}
	end := c.position() + int64(length)
	c.byte() // Attributes, of which a record has none.
	timestampDelta, ok := c.varlong()
	if !ok {
		return false
	}
	offsetDelta, ok := c.varint()
	if !ok {
		return false
	}
	keyLength, ok := c.field(end)
	if !ok {
		return false
	}
	if _, ok = c.field(end); !ok || !c.headers(end) || c.position() != end {
		return false
	}
	w.record(i, timestampDelta, offsetDelta, keyLength)
	return true
}

// field passes over a length, of which any negative one stands for null, and as many bytes, which
// may not reach beyond end.
func (c *cursor) field(end int64) (length int32, ok bool) {
	length, ok = c.varint()
	if !ok || int64(length) > end-c.position() {
		return 0, false
	}
	if length > 0 {
		c.skip(int64(length))
	}
	return length, c.err == nil
}

// headers passes over a record's headers.
func (c *cursor) headers(end int64) bool {
	count, ok := c.varint()
	if !ok || count < 0 || int64(count) > (end-c.position())/2 {
		return false
	}
	for ; count > 0; count-- {
		if length, ok := c.field(end); !ok || length < 0 {
			return false
		}
		if _, ok := c.field(end); !ok {
			return false
		}
	}
	return true
}
