package group

import (
	"encoding/binary"
	"math"
)

// reader takes the primitives of Kafka's record formats off the front of b (KIP-482 for the compact
// forms). What is not there sets bad and reads as zero, so that callers look at bad once, at the end.
// It allocates nothing: what it returns are parts of b.
type reader struct {
	b   []byte
	bad bool
}

// take returns the next n bytes; what it returns cannot be appended to.
func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	part := r.b[:n:n]
	r.b = r.b[n:]
	return part
}

func (r *reader) int16() int16 {
	if p := r.take(2); p != nil {
		return int16(binary.BigEndian.Uint16(p))
	}
	return 0
}

func (r *reader) int32() int32 {
	if p := r.take(4); p != nil {
		return int32(binary.BigEndian.Uint32(p))
	}
	return 0
}

func (r *reader) int64() int64 {
	if p := r.take(8); p != nil {
		return int64(binary.BigEndian.Uint64(p))
	}
	return 0
}

// uvarint reads an unsigned varint of at most 32 bits, the only width that these formats use.
func (r *reader) uvarint() uint32 {
	v, n := binary.Uvarint(r.b)
	if r.bad || n <= 0 || n > binary.MaxVarintLen32 || v > math.MaxUint32 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return uint32(v)
}

// sized reads a byte sequence with its length: in flexible versions a varint of one more, otherwise an
// int32 if wide, else an int16. A null one returns ok false.
func (r *reader) sized(flexible, wide bool) (part []byte, ok bool) {
	var n int
	switch {
	case flexible:
		n = int(r.uvarint()) - 1
	case wide:
		n = int(r.int32())
	default:
		n = int(r.int16())
	}
	if r.bad || n == -1 {
		return nil, false
	}
	part = r.take(n)
	return part, !r.bad
}

// text reads a string that must not be null.
func (r *reader) text(flexible bool) []byte {
	part, ok := r.sized(flexible, false)
	if !ok {
		r.bad = true
	}
	return part
}

// textOrNull reads a string that may be null.
func (r *reader) textOrNull(flexible bool) *string {
	part, ok := r.sized(flexible, false)
	if !ok {
		return nil
	}
	s := string(part)
	return &s
}

// bytes reads a byte sequence that must not be null, as a copy.
func (r *reader) bytes(flexible bool) []byte {
	part, ok := r.sized(flexible, true)
	if !ok {
		r.bad = true
		return nil
	}
	return append([]byte{}, part...)
}

// tags reads the tagged fields that end a structure of a flexible version, and returns the one with
// the wanted tag, nil if it is not among them.
func (r *reader) tags(wanted uint32) (field []byte) {
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		tag := r.uvarint()
		part := r.take(int(r.uvarint()))
		if tag == wanted && !r.bad {
			field = part
		}
	}
	return field
}

// noTag is a tag that no structure here has.
const noTag = math.MaxUint32
