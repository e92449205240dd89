package wire

import "encoding/binary"

// Validator checks produced batches. It holds the working memory of one check at a time (windows
// of the decompressors, the list of records at fault), so it is for one goroutine; keep one per
// thread. Its zero value is ready.
type Validator struct {
	streams decompressor
	invalid Invalid
	errors  []RecordError
}

// Validate checks the records of one partition of a Produce request and says what an append needs
// to know, or why they are refused; exactly one of the two means something. Where the batch's
// greatest timestamp is wrong, its timestamp type is not the topic's, or the topic gives records
// their time of append, the lent bytes are corrected and resealed. Base offset and leader epoch are
// the appender's to stamp.
//
// The order of the checks is Kafka's. A valid batch is left as it came, bytes and all, unless said
// otherwise here.
func (v *Validator) Validate(records []byte, r *Rules) (BatchInfo, *Invalid) {
	if code, msg := checkFraming(records, len(records), r); code != CodeNone {
		return BatchInfo{}, v.refuse(code, msg)
	}
	b, rest := split(records)
	if code, msg := checkRest(rest); code != CodeNone {
		return BatchInfo{}, v.refuse(code, msg)
	}
	if code, msg := checkHeader(b, r); code != CodeNone {
		return BatchInfo{}, v.refuse(code, msg)
	}
	if !b.Intact() {
		return BatchInfo{}, v.refuse(CodeCorruptMessage, msgCRC)
	}
	if len(rest) > 0 {
		// Kafka drops bytes that are too few for a second batch. A client whose framing is off is
		// better told than obeyed.
		return BatchInfo{}, v.refuse(CodeInvalidRecord, msgTrailing)
	}
	if code, msg := checkContents(b); code != CodeNone {
		return BatchInfo{}, v.refuse(code, msg)
	}
	maxTimestamp := b.MaxTimestamp()
	consecutive := true
	if r.Mode == ModeFull {
		w := newWalk(b, r, v.errors[:0])
		if code, msg := v.walk(&w, b, r); code != CodeNone {
			return BatchInfo{}, v.refuse(code, msg)
		}
		v.errors = w.errors
		if len(w.errors) > 0 {
			return BatchInfo{}, v.refuseRecords(&w)
		}
		maxTimestamp, consecutive = w.greatest(b), w.gaps == 0
	} else if code, msg := checkHeaderTimes(b, r); code != CodeNone {
		return BatchInfo{}, v.refuse(code, msg)
	}
	info := describe(b, r, consecutive)
	if !info.Rewrite && b.Length() > int(r.SegmentBytesMax) {
		return BatchInfo{}, v.refuse(CodeRecordListTooLarge, msgSegment)
	}
	fixTimestamp(b, r, maxTimestamp)
	info.MaxTimestamp = b.MaxTimestamp()
	return info, nil
}

// CheckRewritten checks the size of a batch from Recompress, which may have grown beyond
// max.message.bytes or segment.bytes.
func (v *Validator) CheckRewritten(b Batch, r *Rules) *Invalid {
	switch {
	case b.Length() > int(r.MessageBytesMax):
		return v.refuse(CodeMessageTooLarge, msgTooLarge)
	case b.Length() > int(r.SegmentBytesMax):
		return v.refuse(CodeRecordListTooLarge, msgSegment)
	default:
		return nil
	}
}

// CheckHeader applies all checks that need no more than a batch's header, before the rest of the
// batch has arrived. The header has BatchHeaderSize bytes, or all there are if those are fewer, and
// is not written to; size is the number of bytes that the partition's records have in the request.
// What passes can still fail Validate.
func (v *Validator) CheckHeader(header []byte, size int, r *Rules) *Invalid {
	if code, msg := checkFraming(header, size, r); code != CodeNone {
		return v.refuse(code, msg)
	}
	b := Batch(header)
	if size > b.Length() {
		// Validate sees the bytes behind the batch and may find another code for them.
		return v.refuse(CodeInvalidRecord, msgTrailing)
	}
	if code, msg := checkHeader(b, r); code != CodeNone {
		return v.refuse(code, msg)
	}
	if code, msg := checkContents(b); code != CodeNone {
		return v.refuse(code, msg)
	}
	if r.Mode == ModeHeader {
		if code, msg := checkHeaderTimes(b, r); code != CodeNone {
			return v.refuse(code, msg)
		}
	}
	rewrite := r.Target != CodecProducer && r.Target != b.Codec()
	if !rewrite && size > int(r.SegmentBytesMax) {
		return v.refuse(CodeRecordListTooLarge, msgSegment)
	}
	return nil
}

func (v *Validator) refuse(code int16, message string) *Invalid {
	v.invalid = Invalid{Code: code, Message: message}
	return &v.invalid
}

// refuseRecords refuses a batch for its records. One bad timestamp decides the code (LogValidator).
func (v *Validator) refuseRecords(w *walk) *Invalid {
	v.invalid = Invalid{Code: CodeInvalidRecord, Message: msgRecordsRefused, Records: w.errors}
	if w.badTimestamp {
		v.invalid.Code, v.invalid.Message = CodeInvalidTimestamp, msgTimestamps
	}
	return &v.invalid
}

// checkFraming wants one whole batch of format 2 (ProduceRequest.validateRecords). It looks at the
// header alone; size is that of all records.
func checkFraming(header []byte, size int, r *Rules) (code int16, message string) {
	if len(header) < BatchPrefixSize {
		return CodeInvalidRecord, msgNoBatch
	}
	length := int32(binary.BigEndian.Uint32(header[posLength:]))
	if length < legacyRecordMin {
		return CodeCorruptMessage, msgSize
	}
	if len(header) <= posMagic {
		return CodeInvalidRecord, msgNoBatch
	}
	magic := int8(header[posMagic])
	if magic < 0 || magic > MagicV2 {
		return CodeCorruptMessage, msgMagicUnknown
	}
	batchSize := BatchPrefixSize + int(length)
	switch {
	case size < batchSize:
		return CodeInvalidRecord, msgNoBatch
	case magic != MagicV2:
		return CodeInvalidRecord, msgMagic
	case batchSize < BatchHeaderSize || len(header) < BatchHeaderSize:
		// Kafka comes to this later, with the checksum; but no header field can be read before.
		return CodeCorruptMessage, msgSize
	}
	return checkZstd(Batch(header), r)
}

// split splits the first batch, which has passed checkFraming, off the bytes behind it.
func split(records []byte) (b Batch, rest []byte) {
	n := Batch(records).Length()
	return Batch(records[:n:n]), records[n:]
}

// checkRest looks at the bytes behind the first batch, of which there ought to be none, as Kafka's
// reader looks for another one (ByteBufferLogInputStream.nextBatch): a whole one is one too many,
// what can be none is corrupt, and what is too short to tell passes here. It comes before the first
// batch's checksum, so that a length field that is a little too small is told to be corruption.
func checkRest(rest []byte) (code int16, message string) {
	if len(rest) < BatchPrefixSize {
		return CodeNone, ""
	}
	length := int32(binary.BigEndian.Uint32(rest[posLength:]))
	switch {
	case length < legacyRecordMin:
		return CodeCorruptMessage, msgSize
	case len(rest) <= posMagic:
		return CodeNone, ""
	case int8(rest[posMagic]) < 0 || int8(rest[posMagic]) > MagicV2:
		return CodeCorruptMessage, msgMagicUnknown
	case int(length) <= len(rest)-BatchPrefixSize:
		return CodeInvalidRecord, msgSeveralBatches
	default:
		return CodeNone, ""
	}
}

func checkZstd(b Batch, r *Rules) (code int16, message string) {
	if r.ProduceVersion < 7 && b.Codec() == CodecZstd {
		return CodeUnsupportedCompressionType, msgZstd
	}
	return CodeNone, ""
}

// checkHeader applies what UnifiedLog.analyzeAndValidateRecords checks before the checksum.
func checkHeader(b Batch, r *Rules) (code int16, message string) {
	switch {
	case b.BaseOffset() != 0:
		return CodeInvalidRecord, msgBaseOffset
	case b.Length() > int(r.MessageBytesMax):
		return CodeMessageTooLarge, msgTooLarge
	default:
		return CodeNone, ""
	}
}

// checkContents applies what comes after the checksum: a codec that exists
// (CompressionType.forId), then LogValidator.validateBatch. Kafka lets an unknown codec end as an
// unexpected exception; so does the code here, for the answers to agree.
func checkContents(b Batch) (code int16, message string) {
	switch {
	case !b.Codec().Known():
		return CodeUnknownServerError, msgCodec
	case b.LastOffsetDelta() < 0:
		return CodeInvalidRecord, msgOffsetRange
	case b.Count() <= 0:
		return CodeInvalidRecord, msgCount
	case int64(b.LastOffsetDelta())+1 != int64(b.Count()):
		return CodeInvalidRecord, msgCountMismatch
	case b.IsControl():
		return CodeInvalidRecord, msgControl
	case b.HasProducerID() && b.BaseSequence() < 0:
		return CodeInvalidRecord, msgSequence
	default:
		return CodeNone, ""
	}
}

// checkHeaderTimes is what ModeHeader can tell of the records' times: the greatest is in range, and
// the producer did not claim the broker's where that is not taken.
func checkHeaderTimes(b Batch, r *Rules) (code int16, message string) {
	if b.TimestampType() == LogAppendTime {
		if message = checkClaim(b, r); message != "" {
			return CodeInvalidTimestamp, message
		}
		return CodeNone, ""
	}
	ms := b.MaxTimestamp()
	if r.Timestamps == CreateTime && ms != NoTimestamp && outOfRange(ms, r) {
		return CodeInvalidTimestamp, msgTimestamps
	}
	return CodeNone, ""
}

// outOfRange reports whether a record's time is further from the clock than the topic allows. The
// subtraction wraps, as Kafka's does, at times that are 292 million years off.
func outOfRange(ms int64, r *Rules) bool {
	diff := r.NowMs - ms
	return diff > r.BeforeMaxMs || -diff > r.AfterMaxMs
}

// fixTimestamp makes maxTimestamp and the timestamp type what the topic and the records say
// (DefaultRecordBatch.setMaxTimestamp), and reseals if that changes anything.
func fixTimestamp(b Batch, r *Rules, maxTimestamp int64) {
	if r.Timestamps == LogAppendTime {
		maxTimestamp = r.NowMs
	}
	if b.TimestampType() == r.Timestamps && b.MaxTimestamp() == maxTimestamp {
		return
	}
	b.SetMaxTimestamp(r.Timestamps, maxTimestamp)
	b.Reseal()
}

func describe(b Batch, r *Rules, consecutive bool) BatchInfo {
	info := BatchInfo{
		Batch: b, Count: b.Count(), LastOffsetDelta: b.LastOffsetDelta(),
		BaseTimestamp: b.BaseTimestamp(), MaxTimestamp: b.MaxTimestamp(),
		LogAppendTimeMs: NoTimestamp,
		ProducerID:      b.ProducerID(), ProducerEpoch: b.ProducerEpoch(),
		BaseSequence: b.BaseSequence(), LastSequence: b.LastSequence(),
		Transactional: b.IsTransactional(), Codec: b.Codec(), Target: r.Target,
	}
	if r.Timestamps == LogAppendTime {
		info.LogAppendTimeMs = r.NowMs
	}
	if r.Target == CodecProducer {
		info.Target = info.Codec
	}
	info.Rewrite = info.Target != info.Codec || !consecutive
	return info
}
