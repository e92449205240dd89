package wire

import (
	"encoding/binary"
	"math"
)

// PartitionsMax bounds the topics and, apart from them, the partitions that one request may name.
// A million is ten times what the largest consumers ask for, and keeps the decoded form of a
// request under 64 MiB however its frame is made up.
const PartitionsMax = 1 << 20

// UUID is a topic, directory or other id as it stands on the wire: 16 bytes, most significant
// first.
type UUID = [16]byte

// reader consumes a lent buffer from the front. A read past the end sets bad, empties the buffer
// and yields zeroes from there on, so that decoders are straight lines with one check at the end.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) fail() {
	r.bad = true
	r.b = nil
}

func (r *reader) int8() int8 {
	if len(r.b) < 1 {
		r.fail()
		return 0
	}
	v := int8(r.b[0])
	r.b = r.b[1:]
	return v
}

func (r *reader) int16() int16 {
	if len(r.b) < 2 {
		r.fail()
		return 0
	}
	v := int16(binary.BigEndian.Uint16(r.b))
	r.b = r.b[2:]
	return v
}

func (r *reader) int32() int32 {
	if len(r.b) < 4 {
		r.fail()
		return 0
	}
	v := int32(binary.BigEndian.Uint32(r.b))
	r.b = r.b[4:]
	return v
}

func (r *reader) int64() int64 {
	if len(r.b) < 8 {
		r.fail()
		return 0
	}
	v := int64(binary.BigEndian.Uint64(r.b))
	r.b = r.b[8:]
	return v
}

func (r *reader) uuid() (id UUID) {
	if len(r.b) < len(id) {
		r.fail()
		return id
	}
	copy(id[:], r.b)
	r.b = r.b[len(id):]
	return id
}

// uvarint reads an unsigned varint of 32 bits. One that does not fit is malformed; Kafka would drop
// the excess bits, which no writer sets.
func (r *reader) uvarint() uint32 {
	if len(r.b) > 0 && r.b[0] < 0x80 {
		v := r.b[0]
		r.b = r.b[1:]
		return uint32(v)
	}
	var v uint64
	for i := 0; i < 5 && i < len(r.b); i++ {
		v |= uint64(r.b[i]&0x7f) << (7 * i)
		if r.b[i] < 0x80 {
			if v > math.MaxUint32 {
				break
			}
			r.b = r.b[i+1:]
			return uint32(v)
		}
	}
	r.fail()
	return 0
}

// take returns the next n bytes, capped so that an append to them cannot reach what follows.
func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail()
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// nullableBytes16 reads a string with an int16 length; nil for any negative length, as Kafka
// reads it.
func (r *reader) nullableBytes16() []byte {
	n := r.int16()
	if n < 0 {
		return nil
	}
	return r.take(int(n))
}

// nullableBytes32 reads bytes with an int32 length; nil for any negative length.
func (r *reader) nullableBytes32() []byte {
	n := r.int32()
	if n < 0 {
		return nil
	}
	return r.take(int(n))
}

// nullableCompact reads a compact string or compact bytes: an unsigned varint of the length plus
// one, 0 for null.
func (r *reader) nullableCompact() []byte {
	n := r.uvarint()
	if n == 0 || n-1 > math.MaxInt32 {
		if n != 0 {
			r.fail()
		}
		return nil
	}
	return r.take(int(n - 1))
}

// nullableString reads a nullable string in the classic or compact form.
func (r *reader) nullableString(flexible bool) []byte {
	if flexible {
		return r.nullableCompact()
	}
	return r.nullableBytes16()
}

// string reads a string that may not be null.
func (r *reader) string(flexible bool) []byte {
	s := r.nullableString(flexible)
	if s == nil {
		r.fail()
	}
	return s
}

// records reads nullable record bytes.
func (r *reader) records(flexible bool) []byte {
	if flexible {
		return r.nullableCompact()
	}
	return r.nullableBytes32()
}

// count reads the length of an array that may not be null and whose elements take at least
// elementMin bytes each, and refuses one that the rest of the frame cannot hold.
func (r *reader) count(flexible bool, elementMin int) int {
	var n int64
	if flexible {
		n = int64(r.uvarint()) - 1
	} else {
		n = int64(r.int32())
	}
	if n < 0 || n*int64(elementMin) > int64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

// skipTags passes over a set of tagged fields, none of which the caller knows.
func (r *reader) skipTags() {
	for n := r.tagCount(); n > 0; n-- {
		r.tag()
	}
}

// tagCount reads the number of tagged fields that follow. Each takes two bytes at least.
func (r *reader) tagCount() int {
	if len(r.b) > 0 && r.b[0] == 0 { // The common case: none.
		r.b = r.b[1:]
		return 0
	}
	n := r.uvarint()
	if int64(n)*2 > int64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

// tag reads one tagged field and returns its number and a reader over its value.
func (r *reader) tag() (number uint32, value reader) {
	number = r.uvarint()
	n := r.uvarint()
	if int64(n) > int64(len(r.b)) {
		r.fail()
		return 0, reader{}
	}
	return number, reader{b: r.take(int(n))}
}

func appendUvarint(dst []byte, v uint32) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

func appendInt16(dst []byte, v int16) []byte {
	return binary.BigEndian.AppendUint16(dst, uint16(v))
}

func appendInt32(dst []byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(v))
}

func appendInt64(dst []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(v))
}

// appendCount appends the length of an array in the classic or compact form.
func appendCount(dst []byte, n int, flexible bool) []byte {
	if n < 0 || n >= math.MaxInt32 {
		panic("BUG: an array's length does not fit its field")
	}
	if flexible {
		return appendUvarint(dst, uint32(n)+1)
	}
	return appendInt32(dst, int32(n))
}

// appendString appends a string. The classic form holds 32767 bytes at most; what is longer is cut,
// which only messages for people can be.
func appendString[S ~string | ~[]byte](dst []byte, s S, flexible bool) []byte {
	if flexible {
		return append(appendUvarint(dst, uint32(len(s))+1), s...)
	}
	n := min(len(s), math.MaxInt16)
	return append(appendInt16(dst, int16(n)), s[:n]...)
}

// appendNullable appends a string that is null when empty.
func appendNullable(dst []byte, s string, flexible bool) []byte {
	switch {
	case s != "":
		return appendString(dst, s, flexible)
	case flexible:
		return append(dst, 0)
	default:
		return appendInt16(dst, -1)
	}
}
