package wire

import "math"

// Mode says how much of a produced batch is checked (config log.validation).
type Mode int8

const (
	// ModeFull checks header, checksum and every record, through decompression, as Kafka does.
	ModeFull Mode = iota
	// ModeHeader checks header and checksum and trusts the producer with the records: their framing
	// and keys, and that the header's greatest timestamp is that of the records.
	ModeHeader
)

// Bounds on decompression. What a batch may decompress to is its topic's business up to a point
// (max.message.bytes counts compressed bytes), but a frame of a megabyte must not cost minutes.
const (
	// DecompressedBytesMax is the most that one batch's records may decompress to, if Rules do not
	// say otherwise: 128 times the default max.message.bytes, about a tenth of a second of work.
	DecompressedBytesMax = 128 << 20
	// DecompressFreeBytes is what any batch may decompress to, whatever its ratio: a record of
	// zeroes as large as a client may reasonably send is no attack.
	DecompressFreeBytes = 16 << 20
	// DecompressRatioMax bounds decompressed to compressed bytes beyond that. Logs and metrics
	// reach 20 to 100.
	DecompressRatioMax = 256
	// ZstdWindowMax bounds the window that a zstd frame may ask a decoder to keep. RFC 8878 asks
	// decoders for 8 MiB, and all levels up to 19 stay within it.
	ZstdWindowMax = 8 << 20
	// RecordErrorsMax bounds the records that one refusal names, so that the answer stays small
	// beside the request. Kafka names all.
	RecordErrorsMax = 1024
)

// Rules are what a topic and a request ask of a batch. They are read only, and may be shared.
type Rules struct {
	Mode Mode
	// ProduceVersion is the version of the Produce request: zstd is known from v7 on (KIP-110).
	ProduceVersion int16
	// Compacted says that cleanup.policy includes compact, so that every record needs a key.
	Compacted bool
	// Timestamps is the topic's message.timestamp.type.
	Timestamps TimestampType
	// MessageBytesMax is max.message.bytes: the greatest size of a batch, prefix included.
	MessageBytesMax int32
	// SegmentBytesMax is segment.bytes: a batch that is larger fits no segment.
	SegmentBytesMax int32
	// BeforeMaxMs and AfterMaxMs are message.timestamp.before.max.ms and .after.max.ms: how far a
	// record's time may lie before and after NowMs. Kafka's defaults are MaxInt64 and one hour.
	BeforeMaxMs, AfterMaxMs int64
	// NowMs is the clock reading, in milliseconds since 1970.
	NowMs int64
	// Target is the topic's compression.type; CodecProducer keeps the producer's.
	Target Codec
	// DecompressedBytesMax bounds what the records may decompress to; 0 for the default.
	DecompressedBytesMax int64
	// DecompressedRecordBytesMax is max.decompressed.message.bytes: the greatest size of a single
	// record in a compressed batch, without its length field; 0 for no bound. ModeFull checks it.
	DecompressedRecordBytesMax int32
}

// DefaultRules returns Kafka's defaults for a topic, for a request of the latest version.
func DefaultRules(nowMs int64) Rules {
	return Rules{
		ProduceVersion: produceMax, Timestamps: CreateTime,
		MessageBytesMax: 1<<20 + BatchPrefixSize, SegmentBytesMax: 1 << 30,
		BeforeMaxMs: math.MaxInt64, AfterMaxMs: 3_600_000,
		NowMs: nowMs, Target: CodecProducer,
	}
}

// decompressLimit returns what a section of the given compressed size may decompress to.
func decompressLimit(boundMax int64, compressed int) int64 {
	if boundMax <= 0 {
		boundMax = DecompressedBytesMax
	}
	return min(boundMax, max(DecompressFreeBytes, int64(compressed)*DecompressRatioMax))
}

// BatchInfo is what an append needs to know of a valid batch.
type BatchInfo struct {
	// Batch is the batch itself, in the lent bytes; its maxTimestamp is right by now.
	Batch Batch
	// Count is the number of records, one more than LastOffsetDelta.
	Count, LastOffsetDelta int32
	BaseTimestamp          int64
	// MaxTimestamp goes to the time index together with the batch's last offset: Kafka indexes
	// batches, not the record within (LogValidator, shallowOffsetOfMaxTimestamp).
	MaxTimestamp int64
	// LogAppendTimeMs is the time that the batch was stamped with, or NoTimestamp.
	LogAppendTimeMs int64
	ProducerID      int64
	ProducerEpoch   int16
	Transactional   bool
	Codec           Codec
	// Rewrite asks for a new batch from Recompress with the codec Target before the append: either
	// the topic wants another codec, or the offset deltas are not consecutive.
	Rewrite bool
	Target  Codec
	// BaseSequence and LastSequence are NoSequence without a producer id.
	BaseSequence, LastSequence int32
}

// Invalid is a refusal. It belongs to the Validator and is good until its next call.
type Invalid struct {
	// Code is the protocol's error code.
	Code int16
	// Message is a constant that says what is wrong with the batch.
	Message string
	// Records name the records at fault, RecordErrorsMax at most, if records are (KIP-467).
	Records []RecordError
}

// What refusals say. The operator reads these in logs, the user in a client's exception.
const (
	msgNoBatch         = "the partition's data holds no record batch"
	msgSeveralBatches  = "the partition's data holds more than one record batch"
	msgTrailing        = "bytes follow the partition's record batch"
	msgSize            = "the record batch's length field is less than a header"
	msgMagic           = "the record batch is not of format v2"
	msgMagicUnknown    = "the record batch is of no known format"
	msgZstd            = "zstd needs Produce version 7 or later"
	msgBaseOffset      = "the base offset of a produced batch must be 0"
	msgTooLarge        = "the record batch is larger than max.message.bytes"
	msgSegment         = "the record batch is larger than segment.bytes"
	msgCRC             = "the record batch's checksum does not match its bytes"
	msgCodec           = "the record batch names an unknown compression codec"
	msgOffsetRange     = "the record batch's last offset delta is negative"
	msgCount           = "the record batch's count of records is not positive"
	msgCountMismatch   = "the record batch's count differs from its offset range"
	msgControl         = "clients may not write control records"
	msgSequence        = "the record batch has a producer id but no sequence number"
	msgRecordFraming   = "a record's fields do not fill its length"
	msgRecordSize      = "a record decompresses to more than max.decompressed.message.bytes"
	msgRecordsShort    = "the record batch holds fewer records than it counts"
	msgRecordsLong     = "the record batch holds more bytes than its records"
	msgDecompress      = "the record batch's records do not decompress"
	msgBomb            = "the record batch's records decompress to more than is allowed"
	msgRecordsRefused  = "one or more records have been refused"
	msgTimestamps      = "one or more records have a timestamp that is out of range"
	msgRecordKey       = "a compacted topic needs a key in every record"
	msgRecordTimestamp = "the record's timestamp is too far from the broker's clock"
	msgRecordTimeType  = "producers may not set the timestamp type LogAppendTime"
)
