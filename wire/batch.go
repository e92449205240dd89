package wire

import (
	"encoding/binary"
	"math"
)

// BatchHeaderSize is the size of a record batch v2 without records.
const BatchHeaderSize = 61

// BatchPrefixSize is the size of the part of a batch that its length field does not count: the base
// offset and the length itself.
const BatchPrefixSize = 12

// MagicV2 is the format number of the only batches that Sluice writes.
const MagicV2 = 2

// Where the fields of a batch begin; see the package comment.
const (
	posBaseOffset      = 0
	posLength          = 8
	posLeaderEpoch     = 12
	posMagic           = 16
	posCRC             = 17
	posAttributes      = 21
	posLastOffsetDelta = 23
	posBaseTimestamp   = 27
	posMaxTimestamp    = 35
	posProducerID      = 43
	posProducerEpoch   = 51
	posBaseSequence    = 53
	posCount           = 57
)

// The bits of a batch's attributes. Bits 7 and up are unused and are dropped where Kafka, too,
// rewrites the field.
const (
	attrCodecMask     = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
	attrDeleteHorizon = 0x40
	attrKnown         = 0x7f
)

// NoTimestamp, NoProducerID, NoProducerEpoch and NoSequence stand for a value that is not set
// (class RecordBatch).
const (
	NoTimestamp     int64 = -1
	NoProducerID    int64 = -1
	NoProducerEpoch int16 = -1
	NoSequence      int32 = -1
)

// TimestampType says who gave the records their time.
type TimestampType int8

// The two types, as bit 3 of a batch's attributes has them and as the topic config
// message.timestamp.type names them.
const (
	CreateTime    TimestampType = 0
	LogAppendTime TimestampType = 1
)

// Batch is a view over one record batch v2, from its base offset to its last byte. It holds at
// least BatchHeaderSize bytes: get one from NextBatch, PeekBatch or Validator, which check that.
// The bytes belong to whoever lent them; the setters write into them. Nothing here allocates.
//
// Of a Batch from PeekBatch only the header is there: Records, CRC checks and resealing need all.
type Batch []byte

// BaseOffset returns the offset of the first record.
func (b Batch) BaseOffset() int64 { return int64(binary.BigEndian.Uint64(b[posBaseOffset:])) }

// Length returns the size of the whole batch in bytes, prefix included, as its length field has it.
func (b Batch) Length() int {
	return BatchPrefixSize + int(int32(binary.BigEndian.Uint32(b[posLength:])))
}

// LeaderEpoch returns the leader epoch under which the batch was appended.
func (b Batch) LeaderEpoch() int32 { return int32(binary.BigEndian.Uint32(b[posLeaderEpoch:])) }

// Magic returns the format number.
func (b Batch) Magic() int8 { return int8(b[posMagic]) }

// CRC returns the stored checksum.
func (b Batch) CRC() uint32 { return binary.BigEndian.Uint32(b[posCRC:]) }

// Attributes returns all attribute bits.
func (b Batch) Attributes() int16 { return int16(binary.BigEndian.Uint16(b[posAttributes:])) }

// Codec returns the codec of the records section; it may be none that Codec.Known knows.
func (b Batch) Codec() Codec { return Codec(b[posAttributes+1] & attrCodecMask) }

// TimestampType returns who gave the records their time.
func (b Batch) TimestampType() TimestampType {
	return TimestampType(b[posAttributes+1] & attrLogAppendTime >> 3)
}

// IsTransactional reports whether the batch is part of a transaction.
func (b Batch) IsTransactional() bool { return b[posAttributes+1]&attrTransactional != 0 }

// IsControl reports whether the batch holds a transaction marker or another control record.
func (b Batch) IsControl() bool { return b[posAttributes+1]&attrControl != 0 }

// HasDeleteHorizon reports whether BaseTimestamp is, besides what the records' times count from, the
// time from which on the batch's tombstones may be dropped (KIP-534).
func (b Batch) HasDeleteHorizon() bool { return b[posAttributes+1]&attrDeleteHorizon != 0 }

// LastOffsetDelta returns the last offset minus the base offset.
func (b Batch) LastOffsetDelta() int32 {
	return int32(binary.BigEndian.Uint32(b[posLastOffsetDelta:]))
}

// LastOffset returns the offset of the last record, also where compaction has removed that record.
func (b Batch) LastOffset() int64 { return b.BaseOffset() + int64(b.LastOffsetDelta()) }

// NextOffset returns the offset that follows the batch.
func (b Batch) NextOffset() int64 { return b.LastOffset() + 1 }

// BaseTimestamp returns what the records' time deltas count from, in milliseconds since 1970.
func (b Batch) BaseTimestamp() int64 { return int64(binary.BigEndian.Uint64(b[posBaseTimestamp:])) }

// MaxTimestamp returns the greatest time of the records, or with LogAppendTime the time of all.
func (b Batch) MaxTimestamp() int64 { return int64(binary.BigEndian.Uint64(b[posMaxTimestamp:])) }

// ProducerID returns the producer's id, or NoProducerID.
func (b Batch) ProducerID() int64 { return int64(binary.BigEndian.Uint64(b[posProducerID:])) }

// HasProducerID reports whether the producer is idempotent or transactional.
func (b Batch) HasProducerID() bool { return b.ProducerID() > NoProducerID }

// ProducerEpoch returns the producer's epoch.
func (b Batch) ProducerEpoch() int16 { return int16(binary.BigEndian.Uint16(b[posProducerEpoch:])) }

// BaseSequence returns the sequence number of the first record, or NoSequence.
func (b Batch) BaseSequence() int32 { return int32(binary.BigEndian.Uint32(b[posBaseSequence:])) }

// LastSequence returns the sequence number of the last record, or NoSequence.
func (b Batch) LastSequence() int32 {
	if base := b.BaseSequence(); base != NoSequence {
		return AddSequence(base, b.LastOffsetDelta())
	}
	return NoSequence
}

// Count returns the number of records.
func (b Batch) Count() int32 { return int32(binary.BigEndian.Uint32(b[posCount:])) }

// Records returns the records section, compressed if Codec says so.
func (b Batch) Records() []byte { return b[BatchHeaderSize:] }

// AddSequence adds to a sequence number, which after 2147483647 goes on with 0. The increment must
// not be negative.
func AddSequence(sequence, increment int32) int32 {
	if sequence > math.MaxInt32-increment {
		return increment - (math.MaxInt32 - sequence) - 1
	}
	return sequence + increment
}

// SetBaseOffset stamps the base offset. It lies outside the checksum.
func (b Batch) SetBaseOffset(offset int64) {
	binary.BigEndian.PutUint64(b[posBaseOffset:], uint64(offset))
}

// SetLeaderEpoch stamps the leader epoch. It lies outside the checksum.
func (b Batch) SetLeaderEpoch(epoch int32) {
	binary.BigEndian.PutUint32(b[posLeaderEpoch:], uint32(epoch))
}

// SetMaxTimestamp sets the greatest time and who gave it. It lies under the checksum: call Reseal
// afterwards.
func (b Batch) SetMaxTimestamp(t TimestampType, ms int64) {
	attr := b[posAttributes+1]&attrKnown&^attrLogAppendTime | byte(t)<<3&attrLogAppendTime
	b[posAttributes], b[posAttributes+1] = 0, attr
	binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(ms))
}

// StampLogAppendTime gives all records the time of their append (topic config
// message.timestamp.type=LogAppendTime) and reseals. The records' own deltas stay as they are.
func (b Batch) StampLogAppendTime(nowMs int64) {
	b.SetMaxTimestamp(LogAppendTime, nowMs)
	b.Reseal()
}

// ComputeCRC returns the checksum that the batch should have.
func (b Batch) ComputeCRC() uint32 { return CRC(b[posAttributes:]) }

// Reseal stores the checksum anew, after a change under it.
func (b Batch) Reseal() { binary.BigEndian.PutUint32(b[posCRC:], b.ComputeCRC()) }

// Intact reports whether the stored checksum is that of the bytes.
func (b Batch) Intact() bool { return b.CRC() == b.ComputeCRC() }
