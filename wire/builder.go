package wire

import "encoding/binary"

// Header is a record's header.
type Header struct {
	Key string
	// Value is null if nil.
	Value []byte
}

// BatchBuilder builds record batches: for tests, tools, and the broker's own records. Set the
// fields, Append records, Build. It is reusable after Reset, and for one goroutine.
type BatchBuilder struct {
	// BaseOffset is 0 in what a producer sends.
	BaseOffset  int64
	LeaderEpoch int32
	// Codec and Level say how the records are compressed; DefaultLevel is the codec's own.
	Codec Codec
	Level int
	// Timestamps is CreateTime in what a producer sends.
	Timestamps    TimestampType
	ProducerID    int64
	ProducerEpoch int16
	BaseSequence  int32
	Transactional bool
	Control       bool

	records       []byte
	count         int32
	baseTimestamp int64
	maxTimestamp  int64
	compressor    compressor
}

// NewBatchBuilder returns a builder of uncompressed batches of a producer that is not idempotent.
func NewBatchBuilder() *BatchBuilder {
	return &BatchBuilder{
		LeaderEpoch: -1, Level: DefaultLevel, ProducerID: NoProducerID,
		ProducerEpoch: NoProducerEpoch, BaseSequence: NoSequence, maxTimestamp: NoTimestamp,
	}
}

// Reset drops the records and keeps the fields and the memory.
func (w *BatchBuilder) Reset() {
	w.records, w.count, w.maxTimestamp = w.records[:0], 0, NoTimestamp
}

// Count returns the number of records appended since Reset.
func (w *BatchBuilder) Count() int32 { return w.count }

// Size returns what the batch's size would be without compression.
func (w *BatchBuilder) Size() int { return BatchHeaderSize + len(w.records) }

// Append adds a record, whose offset delta is the number of those before it. A nil key or value is
// null. The first record's time becomes the batch's base timestamp.
func (w *BatchBuilder) Append(timestampMs int64, key, value []byte, headers ...Header) {
	if w.count == 0 {
		w.baseTimestamp = timestampMs
	}
	w.maxTimestamp = max(w.maxTimestamp, timestampMs)
	delta := timestampMs - w.baseTimestamp
	size := 1 + varlongSize(delta) + varintSize(w.count) + fieldSize(key) + fieldSize(value) +
		varintSize(int32(len(headers)))
	for _, h := range headers {
		size += varintSize(int32(len(h.Key))) + len(h.Key) + fieldSize(h.Value)
	}
	b := appendVarint(w.records, int32(size))
	b = append(b, 0)
	b = appendVarlong(b, delta)
	b = appendVarint(b, w.count)
	b = appendField(b, key)
	b = appendField(b, value)
	b = appendVarint(b, int32(len(headers)))
	for _, h := range headers {
		b = appendVarint(b, int32(len(h.Key)))
		b = append(b, h.Key...)
		b = appendField(b, h.Value)
	}
	w.records = b
	w.count++
}

// AppendEndTxnMarker makes the batch the marker that ends a transaction (KIP-98): a control record
// whose key has version 0 and type 0 for abort, 1 for commit, and whose value has version 0 and the
// coordinator's epoch. Set ProducerID and ProducerEpoch.
func (w *BatchBuilder) AppendEndTxnMarker(timestampMs int64, commit bool, coordinatorEpoch int32) {
	w.Transactional, w.Control = true, true
	key := [4]byte{}
	if commit {
		key[3] = 1
	}
	var value [6]byte
	binary.BigEndian.PutUint32(value[2:], uint32(coordinatorEpoch))
	w.Append(timestampMs, key[:], value[:])
}

// Build appends the batch to dst, sealed. The only errors are those of an unknown codec or a level
// that a library refuses.
func (w *BatchBuilder) Build(dst []byte) ([]byte, error) {
	at := len(dst)
	dst = append(dst, make([]byte, BatchHeaderSize)...)
	dst, err := w.compressor.append(dst, w.records, w.Codec, w.Level)
	if err != nil {
		return nil, err
	}
	b := Batch(dst[at:])
	attributes := byte(w.Codec) | byte(w.Timestamps)<<3
	if w.Transactional {
		attributes |= attrTransactional
	}
	if w.Control {
		attributes |= attrControl
	}
	b.SetBaseOffset(w.BaseOffset)
	binary.BigEndian.PutUint32(b[posLength:], uint32(len(b)-BatchPrefixSize))
	b.SetLeaderEpoch(w.LeaderEpoch)
	b[posMagic] = MagicV2
	b[posAttributes+1] = attributes
	binary.BigEndian.PutUint32(b[posLastOffsetDelta:], uint32(w.count-1))
	binary.BigEndian.PutUint64(b[posBaseTimestamp:], uint64(w.baseTimestamp))
	binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(w.maxTimestamp))
	binary.BigEndian.PutUint64(b[posProducerID:], uint64(w.ProducerID))
	binary.BigEndian.PutUint16(b[posProducerEpoch:], uint16(w.ProducerEpoch))
	binary.BigEndian.PutUint32(b[posBaseSequence:], uint32(w.BaseSequence))
	binary.BigEndian.PutUint32(b[posCount:], uint32(w.count))
	b.Reseal()
	return dst, nil
}

// fieldSize returns the size of a key or value with its length.
func fieldSize(b []byte) int {
	if b == nil {
		return 1
	}
	return varintSize(int32(len(b))) + len(b)
}

func appendField(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 1) // The varint of -1.
	}
	return append(appendVarint(dst, int32(len(b))), b...)
}
