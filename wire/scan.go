package wire

import "encoding/binary"

// legacyRecordMin is the least that a length field may hold: the size of the smallest message of
// format v0, as Kafka's ByteBufferLogInputStream checks it before it looks at the magic.
const legacyRecordMin = 14

// NextBatch splits the first batch off a buffer of consecutive batches, as they lie in a log or a
// fetched response, and returns it with what follows; both share the buffer. It checks the framing
// and the magic, not the checksum: see Batch.Intact. At the end of the buffer it returns neither a
// batch nor an error. ErrIncomplete says that the buffer ends inside a batch, ErrCorrupt that no
// batch of format 2 begins here; rest is then the whole buffer.
func NextBatch(buf []byte) (b Batch, rest []byte, err error) {
	if len(buf) == 0 {
		return nil, nil, nil
	}
	size, err := frameBatch(buf)
	if err != nil {
		return nil, buf, err
	}
	if size > len(buf) {
		return nil, buf, ErrIncomplete
	}
	return Batch(buf[:size:size]), buf[size:], nil
}

// PeekBatch checks the first BatchHeaderSize bytes of a batch in a file and returns them as a view
// that has all header fields; Batch.Length tells how long the whole is. The errors are NextBatch's.
func PeekBatch(header []byte) (Batch, error) {
	if _, err := frameBatch(header); err != nil {
		return nil, err
	}
	return Batch(header[:BatchHeaderSize:BatchHeaderSize]), nil
}

// frameBatch returns the size of the batch at the beginning of buf, which has at least a header.
// Zeroes, as preallocated space has them, are corrupt: their length field is too small.
func frameBatch(buf []byte) (size int, err error) {
	if len(buf) < BatchPrefixSize {
		return 0, ErrIncomplete
	}
	length := int32(binary.BigEndian.Uint32(buf[posLength:]))
	if length < BatchHeaderSize-BatchPrefixSize {
		return 0, ErrCorrupt
	}
	if len(buf) > posMagic && int8(buf[posMagic]) != MagicV2 {
		return 0, ErrCorrupt
	}
	if len(buf) < BatchHeaderSize {
		return 0, ErrIncomplete
	}
	return BatchPrefixSize + int(length), nil
}
