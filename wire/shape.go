package wire

// Requests off the hot paths are decoded by a library (franz-go's kmsg), which is made for brokers'
// answers, not for what a stranger sends: where a message ends too early it goes on to its end with
// zeroes, and if what it holds by then is a count of 2^32 tagged fields, it counts them all. Its
// arrays may have one element for every byte that is left, whatever an element takes.
//
// So a body is walked before it is decoded. A shape is a message as far as its bytes are concerned:
// which lengths and counts are where. The walk follows lengths, compares counts with the bytes that
// are left, and looks at no value. What it lets through, the library decodes without an error, in time
// and memory proportional to the bytes; what it refuses, the library never sees.
//
// For that, both must read a body alike, or the walk would check other bytes than those that count. It
// therefore refuses what may be read in two ways:
//
//	null where the message does not allow it   Kafka fails; the library takes an array for empty, and
//	                                           bytes of length -1 too
//	a struct's presence below -1               Kafka takes it for null, the library for present
//	a compact array of 2^31 elements or more   both take it for null, which is written as 0
//
// Everything else stands: bytes after the end are ignored, a bool may be any byte, tagged fields may
// come in any order and more than once, and a varint may be longer than it need be.

// shapeKind says how a field's bytes are found.
type shapeKind uint8

const (
	// shapeFixed is a run of fields whose size is known.
	shapeFixed shapeKind = iota
	// shapeText has an int16 length: a string.
	shapeText
	// shapeBytes has an int32 length.
	shapeBytes
	// shapeCompact has an unsigned varint of its length and one: a string or bytes (KIP-482).
	shapeCompact
	// shapeList has an int32 count of elements.
	shapeList
	// shapeCompactList has an unsigned varint of its count and one.
	shapeCompactList
	// shapeStruct has an int8 that says whether it is there.
	shapeStruct
	// shapeTags is what ends each struct of a flexible version.
	shapeTags
)

// shape is a field, or a run of fields of fixed size, of one version of a message.
type shape struct {
	kind shapeKind
	// null says that the field may be null.
	null bool
	// bytesMin is the least that the field takes: all of it if its size is fixed.
	bytesMin int
	// of are the fields of a struct, or of one element of a list, which takes ofBytesMin at least and,
	// if ofFixed, at most.
	of         []shape
	ofBytesMin int
	ofFixed    bool
	// at is the error that names the field; that of a run names its first.
	at *shapeError
}

// shapeError is an ErrMalformed that says where.
type shapeError struct{ api, field string }

func (e *shapeError) Error() string { return ErrMalformed.Error() + ": " + e.api + " at " + e.field }
func (e *shapeError) Unwrap() error { return ErrMalformed }

// CheckShape reports whether the body of a request, which is what follows its header, holds the fields
// that the API's version has, so that a decoder which trusts lengths and counts may be let at it. The
// error is an ErrMalformed. It names the field that does not fit, or the first of a run of fields of
// fixed size. Bytes after the last field are ignored, as Kafka ignores them.
//
// The APIs that shapeTexts lists have a shape; a request of any other is malformed. CheckShape keeps
// nothing of the body and allocates nothing; it takes a few nanoseconds per field, and never more
// rounds than the body has bytes.
func CheckShape(key, version int16, body []byte) error {
	_, err := afterShape(key, version, body)
	return err
}

// afterShape is CheckShape, and returns the bytes after the last field.
func afterShape(key, version int16, body []byte) ([]byte, error) {
	fields := shapeOf(key, version)
	if fields == nil {
		return nil, ErrMalformed
	}
	r := reader{b: body}
	if at := r.walk(fields); at != nil {
		return nil, at
	}
	return r.b, nil
}

// walk passes over fields, and returns the error of the one that does not fit, or nil.
func (r *reader) walk(fields []shape) *shapeError {
	for i := range fields {
		f := &fields[i]
		switch f.kind {
		case shapeFixed:
			r.pass(int64(f.bytesMin), false)
		case shapeText:
			r.pass(int64(r.int16()), f.null)
		case shapeBytes:
			r.pass(int64(r.int32()), f.null)
		case shapeCompact:
			r.pass(int64(r.uvarint())-1, f.null)
		case shapeList, shapeCompactList:
			if at := r.walkList(f); at != nil {
				return at
			}
		case shapeStruct:
			if at := r.walkStruct(f); at != nil {
				return at
			}
		case shapeTags:
			r.skipTags()
		}
		if r.bad {
			return f.at
		}
	}
	return nil
}

func (r *reader) walkList(f *shape) *shapeError {
	var n int64
	if f.kind == shapeCompactList {
		n = int64(r.uvarint()) - 1
	} else {
		n = int64(r.int32())
	}
	switch {
	case r.bad, n < 0 && !f.null, n*int64(f.ofBytesMin) > int64(len(r.b)):
		return f.at
	case f.ofFixed:
		r.pass(max(n, 0)*int64(f.ofBytesMin), false)
		return nil
	}
	for ; n > 0; n-- {
		if at := r.walk(f.of); at != nil {
			return at
		}
	}
	return nil
}

func (r *reader) walkStruct(f *shape) *shapeError {
	switch there := r.int8(); {
	case r.bad, there < -1, there == -1 && !f.null:
		return f.at
	case there == -1:
		return nil
	}
	return r.walk(f.of)
}

// pass passes over n bytes; less than none stand for null.
func (r *reader) pass(n int64, null bool) {
	switch {
	case n < 0 && null:
	case n < 0, n > int64(len(r.b)):
		r.fail()
	default:
		r.b = r.b[n:]
	}
}
