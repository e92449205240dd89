// Package wire turns bytes into meaning and back: frames, request and response headers, the hot
// Produce and Fetch messages, version negotiation, and the record batch v2 that travels inside
// them. It does no I/O, reads no clock and starts no goroutine.
//
// # Who owns the bytes
//
// Every decoder works in place on a lent frame. A []byte in a decoded message is a sub-slice of
// that frame and is good for exactly as long as the frame is lent; whoever needs it longer copies
// it. The request structs themselves belong to the caller, are reused from request to request, and
// keep their (flat, pointer-poor) slices, so decoding allocates nothing once they have grown.
// Encoders take a destination, append to it and return it grown.
//
// # What a stranger may send
//
// Nothing in a frame can make a decoder panic, or allocate more than the frame justifies: a count
// is compared with the bytes that are left before anything grows, and with PartitionsMax. What does
// not parse is ErrMalformed, upon which the broker closes the connection as Kafka does. Tagged
// fields that we do not know are skipped (KIP-482). Bytes after the end of a message are ignored,
// as Kafka ignores them.
//
// # Record batches
//
// A batch is stored and sent exactly as it was received, so there is no decoded form of it: Batch
// is a view over the bytes. All numbers are big endian. Positions in a batch:
//
//	 0 baseOffset            int64   set by the broker, outside the checksum
//	 8 batchLength           int32   bytes after this field
//	12 partitionLeaderEpoch  int32   set by the broker, outside the checksum
//	16 magic                 int8    2
//	17 crc                   uint32  CRC-32C over everything from attributes to the end
//	21 attributes            int16   0-2 codec, 3 LogAppendTime, 4 transactional, 5 control,
//	                                 6 baseTimestamp is the delete horizon
//	23 lastOffsetDelta       int32
//	27 baseTimestamp         int64   milliseconds since 1970
//	35 maxTimestamp          int64
//	43 producerId            int64   -1: not idempotent
//	51 producerEpoch         int16
//	53 baseSequence          int32
//	57 records               int32   their count
//	61 records section               compressed as a whole if a codec is set
//
// A record (all varints zigzag, as in protocol buffers):
//
//	length varint | attributes int8 | timestampDelta varlong | offsetDelta varint |
//	keyLength varint, key | valueLength varint, value | headerCount varint,
//	count x (keyLength varint, key, valueLength varint, value)
//
// A length of -1 stands for null. Sources: KIP-98, class DefaultRecordBatch, the protocol guide.
//
// # Validation
//
// Validator applies, in Kafka's order, the checks of ProduceRequest.validateRecords, then those of
// UnifiedLog.analyzeAndValidateRecords, then those of LogValidator: where a batch is wrong in two
// ways, the client is told what Kafka would tell it. The walk over the records costs a few
// nanoseconds each; compressed batches are walked through a small window of decompressed bytes.
// Where Sluice is stricter or kinder than Kafka on purpose, the comment at the check says so.
package wire
