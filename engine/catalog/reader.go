package catalog

import (
	"encoding/binary"
	"math"
)

// reader decodes from b. Once it has run short, or met a value that cannot be, it returns zero
// values from there on, and the caller looks at short and bad once, at the end.
type reader struct {
	b     []byte
	short bool
	bad   bool
}

func (r *reader) fail() { r.short, r.b = true, nil }

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int32() int32 {
	v := r.varint()
	if v < math.MinInt32 || v > math.MaxInt32 {
		r.bad = true
		return 0
	}
	return int32(v)
}

func (r *reader) int16() int16 {
	v := r.varint()
	if v < math.MinInt16 || v > math.MaxInt16 {
		r.bad = true
		return 0
	}
	return int16(v)
}

func (r *reader) bool() bool {
	v := r.byte()
	r.bad = r.bad || v > 1
	return v == 1
}

// count reads a number of things of at least size bytes each, and refuses one that the bytes left
// cannot hold.
func (r *reader) count(most, size int) int {
	n := r.uvarint()
	if n > uint64(most) || n > uint64(len(r.b)/size) {
		r.fail()
		return 0
	}
	return int(n)
}

// bytes reads a length and that many bytes, which it borrows.
func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) string() string { return string(r.bytes()) }

func (r *reader) uuid() (u UUID) {
	if len(r.b) < len(u) {
		r.fail()
		return u
	}
	copy(u[:], r.b)
	r.b = r.b[len(u):]
	return u
}

func (r *reader) int32s() []int32 {
	n := r.count(math.MaxInt32, 1)
	if n == 0 {
		return nil
	}
	v := make([]int32, n)
	for i := range v {
		v[i] = r.int32()
	}
	return v
}

func (r *reader) uuids() []UUID {
	n := r.count(math.MaxInt32, len(UUID{}))
	if n == 0 {
		return nil
	}
	v := make([]UUID, n)
	for i := range v {
		v[i] = r.uuid()
	}
	return v
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendInt32s(dst []byte, v []int32) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(v)))
	for _, x := range v {
		dst = binary.AppendVarint(dst, int64(x))
	}
	return dst
}

func appendUUIDs(dst []byte, v []UUID) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(v)))
	for _, u := range v {
		dst = append(dst, u[:]...)
	}
	return dst
}
