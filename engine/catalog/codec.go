package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Bounds on what an encoded entry may say, so that a damaged or hostile length cannot ask for
// memory that the bytes present do not justify.
const (
	entryVersion  = 1
	changeVersion = 1
	// changeBytesMin is a change with an empty body: type, version, length.
	changeBytesMin = 3
	// EntryChangesMax bounds the changes of one entry.
	EntryChangesMax = 1 << 20
)

// Errors of decoding. They wrap no further detail than the text around them.
var (
	// ErrCorrupt: the bytes are no entry or snapshot, or damaged.
	ErrCorrupt = errors.New("corrupt metadata")
	// ErrUnknownChange: the change, entry or snapshot is of a kind that this version does not know.
	// A node that meets it must not go on: its image would differ from the others'.
	ErrUnknownChange = errors.New("metadata of a newer version")
)

// EncodeEntry appends the encoding of changes, to be applied as one, to dst.
func EncodeEntry(dst []byte, changes []Change) []byte {
	dst = append(dst, entryVersion)
	dst = binary.AppendUvarint(dst, uint64(len(changes)))
	for _, c := range changes {
		dst = appendChange(dst, c)
	}
	return dst
}

// appendChange appends type, version, length and body.
func appendChange(dst []byte, c Change) []byte {
	dst = append(dst, byte(c.Type()), changeVersion)
	// The length goes in front of the body but is known after it. Four bytes are kept for it and
	// written as a padded uvarint, so that the body need not move: 2^28 bytes bound a change.
	at := len(dst)
	dst = c.appendBody(append(dst, 0, 0, 0, 0))
	n := len(dst) - at - 4
	if n >= 1<<28 {
		panic(fmt.Sprintf("BUG: a change of type %d has %d bytes", c.Type(), n))
	}
	dst[at] = byte(n) | 0x80
	dst[at+1] = byte(n>>7) | 0x80
	dst[at+2] = byte(n>>14) | 0x80
	dst[at+3] = byte(n>>21) & 0x7f
	return dst
}

// DecodeEntry returns the changes of an encoded entry. The result holds no reference to entry.
// Fields that a newer version appended to a known change are skipped; a change of unknown type is
// an error wrapping ErrUnknownChange, anything malformed one wrapping ErrCorrupt.
func DecodeEntry(entry []byte) ([]Change, error) {
	r := reader{b: entry}
	if v := r.byte(); !r.short && v != entryVersion {
		return nil, fmt.Errorf("%w: entry version %d", ErrUnknownChange, v)
	}
	n := r.count(EntryChangesMax, changeBytesMin)
	changes := make([]Change, 0, n)
	for range n {
		c, err := decodeChange(&r)
		if err != nil {
			return nil, fmt.Errorf("change %d: %w", len(changes), err)
		}
		changes = append(changes, c)
	}
	if r.short || len(r.b) != 0 {
		return nil, fmt.Errorf("%w: entry of %d bytes with %d left over (short: %t)",
			ErrCorrupt, len(entry), len(r.b), r.short)
	}
	return changes, nil
}

// decodeChange reads one change.
func decodeChange(r *reader) (Change, error) {
	kind, version := ChangeType(r.byte()), r.byte()
	body := reader{b: r.bytes()}
	if r.short {
		return nil, fmt.Errorf("%w: cut short", ErrCorrupt)
	}
	decode := decoders[kind]
	if decode == nil {
		return nil, fmt.Errorf("%w: change type %d version %d", ErrUnknownChange, kind, version)
	}
	if version == 0 {
		return nil, fmt.Errorf("%w: change type %d has version 0", ErrCorrupt, kind)
	}
	c := decode(&body)
	if body.short || body.bad {
		return nil, fmt.Errorf("%w: body of change type %d version %d", ErrCorrupt, kind, version)
	}
	return c, nil
}
