package coordrec

import "encoding/binary"

// reader takes fields from the front of a record. A field that is not there sets bad and is zero, so
// that callers check once, at the end.
type reader struct {
	b        []byte
	flexible bool
	bad      bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	field := r.b[:n]
	r.b = r.b[n:]
	return field
}

func (r *reader) int8() int8 {
	if b := r.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (r *reader) int16() int16 {
	if b := r.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *reader) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *reader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *reader) uvarint() int {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > 1<<31 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return int(n)
}

// text takes a string, which is nil if it is null.
func (r *reader) text() []byte {
	n := 0
	if r.flexible {
		n = r.uvarint() - 1
	} else {
		n = int(r.int16())
	}
	return r.nullable(n)
}

// bytes takes a byte array, which is nil if it is null.
func (r *reader) bytes() []byte {
	if r.flexible {
		return r.nullable(r.uvarint() - 1)
	}
	return r.nullable(int(r.int32()))
}

func (r *reader) nullable(n int) []byte {
	if n == -1 || r.bad {
		return nil
	}
	b := r.take(n)
	if b == nil && !r.bad {
		return []byte{}
	}
	return b
}

// array takes an array's length, -1 for null, and calls each for every element while all is well.
func (r *reader) array(each func(i int)) (null bool) {
	n := 0
	if r.flexible {
		n = r.uvarint() - 1
	} else {
		n = int(r.int32())
	}
	for i := 0; i < n && !r.bad; i++ {
		each(i)
	}
	return n < 0
}

// tags takes the tagged fields behind a structure and calls each with those there are.
func (r *reader) tags(each func(tag int, field *reader)) {
	if !r.flexible {
		return
	}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		tag := r.uvarint()
		field := &reader{b: r.take(r.uvarint()), flexible: true}
		if each != nil && !r.bad {
			each(tag, field)
			r.bad = r.bad || field.bad
		}
	}
}
