package partition

import (
	"encoding/binary"

	"sluice/wire"
)

// The kinds of transaction markers (class ControlRecordType).
const (
	markerAbort  = 0
	markerCommit = 1
)

// parseMarker reads the one record of a control batch: key {version int16, kind int16}, value
// {version int16, coordinator epoch int32}. ok is false for other control records and for a batch
// whose records are not at hand.
func parseMarker(b wire.Batch) (kind int16, coordinatorEpoch int32, ok bool) {
	if !whole(b) || b.Codec() != wire.CodecNone {
		return 0, 0, false
	}
	r := b.Records()
	if _, r, ok = zigzag(r); !ok || len(r) < 1 { // Length of the record, then its attributes.
		return 0, 0, false
	}
	r = r[1:]
	for range 2 { // Timestamp delta, offset delta.
		if _, r, ok = zigzag(r); !ok {
			return 0, 0, false
		}
	}
	key, r, ok := lengthPrefixed(r)
	if !ok || len(key) < 4 {
		return 0, 0, false
	}
	value, _, ok := lengthPrefixed(r)
	if !ok || len(value) < 6 {
		return 0, 0, false
	}
	kind = int16(binary.BigEndian.Uint16(key[2:]))
	if kind != markerAbort && kind != markerCommit {
		return 0, 0, false
	}
	return kind, int32(binary.BigEndian.Uint32(value[2:])), true
}

// ParseMarker reads a control batch that ends a transaction (KIP-98): whether it commits, and the epoch
// of the coordinator that wrote it. ok is false for every other batch.
func ParseMarker(b wire.Batch) (commit bool, coordinatorEpoch int32, ok bool) {
	if !b.IsControl() {
		return false, 0, false
	}
	kind, coordinatorEpoch, ok := parseMarker(b)
	return kind == markerCommit, coordinatorEpoch, ok
}

// zigzag reads one of the protocol's variable-length integers, which are encoding/binary's.
func zigzag(b []byte) (v int64, rest []byte, ok bool) {
	v, n := binary.Varint(b)
	if n <= 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}

func lengthPrefixed(b []byte) (field, rest []byte, ok bool) {
	n, b, ok := zigzag(b)
	if !ok || n < 0 || n > int64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}
