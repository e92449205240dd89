package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
)

// validate checks a copy of the records and returns the code, 0 if they are valid.
func validate(records []byte, r *Rules) (BatchInfo, Invalid) {
	var v Validator
	info, invalid := v.Validate(bytes.Clone(records), r)
	if invalid == nil {
		return info, Invalid{}
	}
	return info, *invalid
}

// spoil returns a copy of a batch that edit has changed, sealed again.
func spoil(b Batch, edit func(Batch)) Batch {
	b = append(Batch{}, b...)
	edit(b)
	if len(b) >= BatchHeaderSize {
		b.Reseal()
	}
	return b
}

func put32(position int, v int32) func(Batch) {
	return func(b Batch) { binary.BigEndian.PutUint32(b[position:], uint32(v)) }
}

func put64(position int, v int64) func(Batch) {
	return func(b Batch) { binary.BigEndian.PutUint64(b[position:], uint64(v)) }
}

func setAttribute(bits byte) func(Batch) {
	return func(b Batch) { b[posAttributes+1] |= bits }
}

// TestValidateAccepts proves that what a producer sends passes as it is, in every codec and mode.
func TestValidateAccepts(t *testing.T) {
	t.Parallel()
	for _, codec := range allCodecs {
		for _, mode := range []Mode{ModeFull, ModeHeader} {
			b := buildBatch(t, codec, 10, 300)
			sent := bytes.Clone(b)
			r := DefaultRules(testNow)
			r.Mode = mode
			var v Validator
			info, invalid := v.Validate(b, &r)
			if invalid != nil {
				t.Fatalf("%v mode %d: %s", codec, mode, invalid.Message)
			}
			if !bytes.Equal(b, sent) {
				t.Errorf("%v mode %d: the bytes were changed", codec, mode)
			}
			if info.Count != 10 || info.LastOffsetDelta != 9 || info.BaseTimestamp != testNow ||
				info.MaxTimestamp != testNow+9 || info.Codec != codec || info.Target != codec ||
				info.Rewrite || info.ProducerID != -1 || info.LastSequence != -1 ||
				info.LogAppendTimeMs != -1 || len(info.Batch) != len(b) {
				t.Errorf("%v mode %d: %+v", codec, mode, info)
			}
		}
	}
}

// TestValidateHeader proves each check of a batch's header with Kafka's code: those of
// ProduceRequest.validateRecords, UnifiedLog.analyzeAndValidateRecords and LogValidator.
func TestValidateHeader(t *testing.T) {
	t.Parallel()
	good := buildBatch(t, CodecNone, 3, 50)
	f := func(name string, records []byte, want int16, message string) {
		t.Helper()
		for _, mode := range []Mode{ModeFull, ModeHeader} {
			r := DefaultRules(testNow)
			r.Mode = mode
			_, got := validate(records, &r)
			if got.Code != want || got.Message != message {
				t.Errorf("%s: got %s (%s)", name, CodeName(got.Code), got.Message)
			}
		}
	}
	f("null", nil, CodeInvalidRecord, msgNoBatch)
	f("empty", []byte{}, CodeInvalidRecord, msgNoBatch)
	f("too short for a length", good[:11], CodeInvalidRecord, msgNoBatch)
	f("too short for a magic", good[:16], CodeInvalidRecord, msgNoBatch)
	f("cut", good[:len(good)-1], CodeInvalidRecord, msgNoBatch)
	f("two batches", append(bytes.Clone(good), good...), CodeInvalidRecord, msgSeveralBatches)
	f("trailing byte", append(bytes.Clone(good), 0), CodeInvalidRecord, msgTrailing)
	f("half a batch more", append(bytes.Clone(good), good[:30]...), CodeInvalidRecord, msgTrailing)
	f("garbage more", append(bytes.Clone(good), bytes.Repeat([]byte{0xaa}, 70)...),
		CodeCorruptMessage, msgSize)
	f("a batch of magic 3 more", append(bytes.Clone(good),
		spoil(good, func(b Batch) { b[posMagic] = 3 })...), CodeCorruptMessage, msgMagicUnknown)
	f("length one too small", spoil(good, func(b Batch) { b[posLength+3]-- }),
		CodeCorruptMessage, msgCRC)
	f("length of a bare header", spoil(good, put32(posLength, BatchHeaderSize-BatchPrefixSize)),
		CodeCorruptMessage, msgMagicUnknown)
	f("magic 1", spoil(good, func(b Batch) { b[posMagic] = 1 }), CodeInvalidRecord, msgMagic)
	f("magic 3", spoil(good, func(b Batch) { b[posMagic] = 3 }), CodeCorruptMessage, msgMagicUnknown)
	f("magic -1", spoil(good, func(b Batch) { b[posMagic] = 255 }), CodeCorruptMessage, msgMagicUnknown)
	f("negative length", spoil(good, put32(posLength, -1)), CodeCorruptMessage, msgSize)
	f("tiny length", spoil(good, put32(posLength, 13)), CodeCorruptMessage, msgSize)
	f("length under a header", spoil(good, put32(posLength, 48)), CodeCorruptMessage, msgSize)
	f("length too great", spoil(good, put32(posLength, math.MaxInt32)), CodeInvalidRecord, msgNoBatch)
	f("base offset", spoil(good, put64(posBaseOffset, 1)), CodeInvalidRecord, msgBaseOffset)
	broken := append(Batch{}, good...)
	broken[len(broken)-1] ^= 1
	f("a flipped bit", broken, CodeCorruptMessage, msgCRC)
	f("codec 5", spoil(good, setAttribute(5)), CodeUnknownServerError, msgCodec)
	f("codec 7", spoil(good, setAttribute(7)), CodeUnknownServerError, msgCodec)
	f("last offset delta -1", spoil(good, put32(posLastOffsetDelta, -1)), CodeInvalidRecord, msgOffsetRange)
	f("count 0", spoil(good, put32(posCount, 0)), CodeInvalidRecord, msgCount)
	f("count -1", spoil(good, put32(posCount, -1)), CodeInvalidRecord, msgCount)
	f("count 4", spoil(good, put32(posCount, 4)), CodeInvalidRecord, msgCountMismatch)
	f("last offset delta 3", spoil(good, put32(posLastOffsetDelta, 3)), CodeInvalidRecord, msgCountMismatch)
	f("control", spoil(good, setAttribute(attrControl)), CodeInvalidRecord, msgControl)
	f("no sequence", spoil(good, put64(posProducerID, 5)), CodeInvalidRecord, msgSequence)
}

// TestValidateOrder proves that of two faults the one that Kafka sees first is told.
func TestValidateOrder(t *testing.T) {
	t.Parallel()
	good := buildBatch(t, CodecZstd, 3, 50)
	f := func(want string, r Rules, edits ...func(Batch)) {
		t.Helper()
		b := append(Batch{}, good...)
		for _, edit := range edits {
			edit(b)
		}
		if _, got := validate(b, &r); got.Message != want {
			t.Errorf("got %q, want %q", got.Message, want)
		}
	}
	crc := func(b Batch) { b[posCRC]++ }
	seal := func(b Batch) { b.Reseal() }
	small, old := DefaultRules(testNow), DefaultRules(testNow)
	small.MessageBytesMax, small.SegmentBytesMax = int32(len(good)-1), int32(len(good)-1)
	old.ProduceVersion = 6
	f(msgZstd, old, put64(posBaseOffset, 1), crc)
	f(msgBaseOffset, small, put64(posBaseOffset, 1), crc)
	f(msgTooLarge, small, crc)
	f(msgCRC, DefaultRules(testNow), crc, put32(posCount, 9))
	f(msgOffsetRange, DefaultRules(testNow), put32(posLastOffsetDelta, -9), put32(posCount, -9), seal)
	f(msgCount, DefaultRules(testNow), put32(posCount, 0), setAttribute(attrControl), seal)
	f(msgCountMismatch, DefaultRules(testNow), put32(posCount, 2), setAttribute(attrControl), seal)
	f(msgControl, DefaultRules(testNow), put64(posProducerID, 5), setAttribute(attrControl), seal)
	segment := DefaultRules(testNow)
	segment.SegmentBytesMax = int32(len(good) - 1)
	f(msgSegment, segment)
	f(msgDecompress, segment, func(b Batch) { b[BatchHeaderSize] ^= 1 }, seal)
}

// TestValidateSizes proves the bounds max.message.bytes, which counts the prefix, and
// segment.bytes.
func TestValidateSizes(t *testing.T) {
	t.Parallel()
	b := buildBatch(t, CodecNone, 3, 50)
	f := func(message, segment int, want int16) {
		t.Helper()
		r := DefaultRules(testNow)
		r.MessageBytesMax, r.SegmentBytesMax = int32(message), int32(segment)
		if _, got := validate(b, &r); got.Code != want {
			t.Errorf("max.message.bytes %d, segment.bytes %d: %s", message, segment, CodeName(got.Code))
		}
	}
	f(len(b), len(b), CodeNone)
	f(len(b)-1, len(b), CodeMessageTooLarge)
	f(len(b), len(b)-1, CodeRecordListTooLarge)
}

// TestValidateZstdVersion proves that zstd is for Produce v7 and later (KIP-110).
func TestValidateZstdVersion(t *testing.T) {
	t.Parallel()
	f := func(codec Codec, version, want int16) {
		t.Helper()
		r := DefaultRules(testNow)
		r.ProduceVersion = version
		if _, got := validate(buildBatch(t, codec, 1, 9), &r); got.Code != want {
			t.Errorf("%v in v%d: %s", codec, version, CodeName(got.Code))
		}
	}
	f(CodecZstd, 3, CodeUnsupportedCompressionType)
	f(CodecZstd, 6, CodeUnsupportedCompressionType)
	f(CodecZstd, 7, CodeNone)
	f(CodecLZ4, 3, CodeNone)
}

// TestValidateTimestamps proves the window of message.timestamp.before/after.max.ms (KIP-937), that
// -1 is exempt, and that one bad time refuses the batch with INVALID_TIMESTAMP.
func TestValidateTimestamps(t *testing.T) {
	t.Parallel()
	f := func(before, after int64, want int16, times ...int64) {
		t.Helper()
		for _, codec := range allCodecs {
			w := NewBatchBuilder()
			w.Codec = codec
			for _, ms := range times {
				w.Append(ms, nil, nil)
			}
			b, err := w.Build(nil)
			if err != nil {
				t.Fatal(err)
			}
			r := DefaultRules(testNow)
			r.BeforeMaxMs, r.AfterMaxMs = before, after
			if _, got := validate(b, &r); got.Code != want {
				t.Errorf("%v %v: %s", codec, times, CodeName(got.Code))
			}
		}
	}
	f(10, 20, CodeNone, testNow, testNow-10, testNow+20)
	f(10, 20, CodeInvalidTimestamp, testNow, testNow-11)
	f(10, 20, CodeInvalidTimestamp, testNow, testNow+21)
	f(10, 20, CodeNone, -1, testNow)
	f(10, 20, CodeInvalidTimestamp, -2)
	f(math.MaxInt64, math.MaxInt64, CodeNone, 0, testNow*2)
	f(math.MaxInt64, 3_600_000, CodeNone, 0)
	f(math.MaxInt64, 3_600_000, CodeInvalidTimestamp, testNow+3_600_001)
}

// TestValidateRecordErrors proves that the records at fault are named (KIP-467), the key before the
// time, and that one bad time decides the code.
func TestValidateRecordErrors(t *testing.T) {
	t.Parallel()
	w := NewBatchBuilder()
	w.Append(testNow, []byte("k"), nil)
	w.Append(testNow, nil, nil)
	w.Append(testNow+10_000_000, nil, nil)
	noKey, err := w.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.Append(testNow+10_000_000, []byte("k"), nil)
	both, err := w.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := DefaultRules(testNow)
	r.Compacted = true
	_, got := validate(noKey, &r)
	if got.Code != CodeInvalidRecord || len(got.Records) != 2 ||
		got.Records[0] != (RecordError{1, msgRecordKey}) ||
		got.Records[1] != (RecordError{2, msgRecordKey}) {
		t.Errorf("null keys: %+v", got)
	}
	_, got = validate(both, &r)
	if got.Code != CodeInvalidTimestamp || len(got.Records) != 3 ||
		got.Records[2] != (RecordError{3, msgRecordTimestamp}) {
		t.Errorf("null keys and a bad time: %+v", got)
	}
	many := buildBatch(t, CodecNone, RecordErrorsMax+5, 1)
	r.NowMs = 0
	if _, got = validate(many, &r); len(got.Records) != RecordErrorsMax {
		t.Errorf("%d records are named", len(got.Records))
	}
}

// TestValidateMaxTimestamp proves that a wrong maxTimestamp is corrected and resealed, and a
// right one left alone (DefaultRecordBatch.setMaxTimestamp).
func TestValidateMaxTimestamp(t *testing.T) {
	t.Parallel()
	for _, codec := range allCodecs {
		good := buildBatch(t, codec, 3, 50)
		wrong := spoil(good, put64(posMaxTimestamp, 12345))
		r := DefaultRules(testNow)
		info, got := validate(wrong, &r)
		if got.Code != CodeNone || info.MaxTimestamp != testNow+2 || !bytes.Equal(info.Batch, good) {
			t.Errorf("%v: %+v %s", codec, info, got.Message)
		}
		r.Mode = ModeHeader
		if info, _ = validate(wrong, &r); info.MaxTimestamp != 12345 {
			t.Errorf("%v: mode header touched what it does not know", codec)
		}
	}
}

// TestValidateLogAppendTime proves that a LogAppendTime topic stamps the batch and reseals it,
// takes any time from the producer, and no claim to be the broker.
func TestValidateLogAppendTime(t *testing.T) {
	t.Parallel()
	r := DefaultRules(testNow + 1_000_000_000)
	r.Timestamps, r.BeforeMaxMs = LogAppendTime, 1
	for _, codec := range allCodecs {
		b := buildBatch(t, codec, 3, 50)
		info, got := validate(b, &r)
		if got.Code != CodeNone || info.LogAppendTimeMs != r.NowMs || info.MaxTimestamp != r.NowMs ||
			info.Batch.TimestampType() != LogAppendTime || !info.Batch.Intact() ||
			info.Batch.Codec() != codec || info.Batch.BaseTimestamp() != testNow {
			t.Errorf("%v: %+v %s", codec, info, got.Message)
		}
		_, got = validate(spoil(b, setAttribute(attrLogAppendTime)), &r)
		if got.Code != CodeInvalidTimestamp || len(got.Records) != 3 {
			t.Errorf("%v: a claim of LogAppendTime: %+v", codec, got)
		}
	}
}

// TestValidateClaim proves what becomes of a producer's claim of LogAppendTime on a CreateTime topic:
// the claimed time is judged in place of the records' own and kept, and the claim is dropped.
func TestValidateClaim(t *testing.T) {
	t.Parallel()
	const hour = 3_600_000
	f := func(claimedMs int64, want string) {
		t.Helper()
		for _, codec := range allCodecs {
			plain := spoil(buildBatch(t, codec, 3, 50), put64(posMaxTimestamp, claimedMs))
			claim := spoil(plain, func(b Batch) { b[posAttributes+1] |= attrLogAppendTime })
			for _, mode := range []Mode{ModeFull, ModeHeader} {
				r := DefaultRules(testNow)
				r.Mode, r.BeforeMaxMs = mode, hour
				info, got := validate(claim, &r)
				switch {
				case want == "":
					if got.Code != CodeNone || !bytes.Equal(info.Batch, plain) ||
						info.MaxTimestamp != claimedMs || info.LogAppendTimeMs != NoTimestamp {
						t.Errorf("%v mode %d, %d: %+v %s", codec, mode, claimedMs, info, got.Message)
					}
				case got.Code != CodeInvalidTimestamp:
					t.Errorf("%v mode %d, %d: %+v", codec, mode, claimedMs, got)
				case mode == ModeHeader && got.Message != want,
					mode == ModeFull && (len(got.Records) != 3 || got.Records[2].Message != want):
					t.Errorf("%v mode %d, %d: %+v", codec, mode, claimedMs, got)
				}
			}
		}
	}
	f(testNow+2, "")
	f(testNow-1000, "")
	f(testNow+1000, "")
	f(testNow-hour-1, msgRecordTimestamp)
	f(testNow+hour+1, msgRecordTimestamp)
	f(NoTimestamp, msgRecordTimeType)
}

// TestValidateRecordSize proves that max.decompressed.message.bytes bounds each record of a compressed
// batch, without its length field, and none of an uncompressed one.
func TestValidateRecordSize(t *testing.T) {
	t.Parallel()
	for _, codec := range allCodecs {
		for _, size := range []int{100, windowSize, 3 * windowSize} {
			w := NewBatchBuilder()
			w.Codec = codec
			w.Append(testNow, nil, []byte("small"))
			w.Append(testNow, nil, make([]byte, size))
			b, err := w.Build(nil)
			if err != nil {
				t.Fatal(err)
			}
			// Attributes, two deltas, null key, the value's length and the count of headers.
			body := int32(1 + 1 + 1 + 1 + varintSize(int32(size)) + size + 1)
			for _, bound := range []int32{0, body + 1, body, body - 1, 1} {
				r := DefaultRules(testNow)
				r.DecompressedRecordBytesMax = bound
				code, message := int16(CodeNone), ""
				if codec != CodecNone && bound > 0 && bound < body {
					code, message = CodeInvalidRecord, msgRecordSize
				}
				if _, got := validate(b, &r); got.Code != code || got.Message != message {
					t.Errorf("%v, %d bytes, bound %d: %s (%s)", codec, body, bound,
						CodeName(got.Code), got.Message)
				}
			}
		}
	}
}

// TestValidateProducer proves that producer id, epoch and sequence reach the appender.
func TestValidateProducer(t *testing.T) {
	t.Parallel()
	w := NewBatchBuilder()
	w.ProducerID, w.ProducerEpoch, w.BaseSequence, w.Transactional = 7, 2, math.MaxInt32, true
	w.Append(testNow, nil, nil)
	w.Append(testNow, nil, nil)
	b, err := w.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := DefaultRules(testNow)
	info, got := validate(b, &r)
	if got.Code != CodeNone || info.ProducerID != 7 || info.ProducerEpoch != 2 ||
		info.BaseSequence != math.MaxInt32 || info.LastSequence != 0 || !info.Transactional {
		t.Errorf("%+v %s", info, got.Message)
	}
}

// TestValidateRewrite proves when a new batch is asked for: another compression.type, or offset
// deltas that are not consecutive (LogValidator, inPlaceAssignment).
func TestValidateRewrite(t *testing.T) {
	t.Parallel()
	r := DefaultRules(testNow)
	r.Target = CodecZstd
	if info, _ := validate(buildBatch(t, CodecZstd, 2, 9), &r); info.Rewrite {
		t.Error("the same codec is kept")
	}
	info, _ := validate(buildBatch(t, CodecGzip, 2, 9), &r)
	if !info.Rewrite || info.Target != CodecZstd {
		t.Errorf("another codec: %+v", info)
	}
	r.Target = CodecProducer
	for _, codec := range allCodecs {
		if info, got := validate(gappyBatch(t, codec), &r); got.Code != CodeNone || !info.Rewrite ||
			info.Target != codec {
			t.Errorf("%v with gaps: %+v %s", codec, info, got.Message)
		}
	}
}

// TestCheckRewritten proves that a rewritten batch is measured again, and the source, which no
// segment will hold, is not measured against segment.bytes.
func TestCheckRewritten(t *testing.T) {
	t.Parallel()
	b := buildBatch(t, CodecNone, 3, 50)
	r := DefaultRules(testNow)
	r.Target, r.SegmentBytesMax = CodecZstd, int32(len(b)-1)
	if info, got := validate(b, &r); got.Code != CodeNone || !info.Rewrite {
		t.Errorf("the source: %+v %+v", info, got)
	}
	var v Validator
	f := func(message, segment int, want int16) {
		t.Helper()
		r.MessageBytesMax, r.SegmentBytesMax = int32(message), int32(segment)
		got := CodeNone
		if invalid := v.CheckRewritten(b, &r); invalid != nil {
			got = invalid.Code
		}
		if got != want {
			t.Errorf("%d, %d: %s", message, segment, CodeName(got))
		}
	}
	f(len(b), len(b), CodeNone)
	f(len(b)-1, len(b)-1, CodeMessageTooLarge)
	f(len(b), len(b)-1, CodeRecordListTooLarge)
}

// gappyBatch returns a batch whose records have the offset deltas 0, 0 and 0.
func gappyBatch(t testing.TB, codec Codec) Batch {
	t.Helper()
	one := NewBatchBuilder()
	one.Append(testNow, []byte("k"), []byte("v"))
	w := NewBatchBuilder()
	w.Codec = codec
	for range 3 {
		w.Append(testNow, []byte("k"), []byte("v"))
	}
	w.records = bytes.Repeat(one.records, 3)
	b, err := w.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	return Batch(b)
}

// TestCheckHeader proves that the early checks refuse what Validate would refuse for its header,
// and pass what is right.
func TestCheckHeader(t *testing.T) {
	t.Parallel()
	good := buildBatch(t, CodecZstd, 3, 50)
	f := func(want string, edit func(Batch, *Rules)) {
		t.Helper()
		b := append(Batch{}, good...)
		r := DefaultRules(testNow)
		edit(b, &r)
		var v Validator
		got := ""
		if invalid := v.CheckHeader(b[:BatchHeaderSize], len(b), &r); invalid != nil {
			got = invalid.Message
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f("", func(Batch, *Rules) {})
	f(msgTrailing, func(b Batch, _ *Rules) { b[posLength+3]-- })
	f(msgNoBatch, func(b Batch, _ *Rules) { b[posLength+3]++ })
	f(msgMagic, func(b Batch, _ *Rules) { b[posMagic] = 1 })
	f(msgBaseOffset, func(b Batch, _ *Rules) { b[0] = 1 })
	f(msgZstd, func(_ Batch, r *Rules) { r.ProduceVersion = 3 })
	f(msgTooLarge, func(_ Batch, r *Rules) { r.MessageBytesMax = 60 })
	f(msgSegment, func(_ Batch, r *Rules) { r.SegmentBytesMax = 60 })
	f(msgControl, func(b Batch, _ *Rules) { b[posAttributes+1] |= attrControl })
	f(msgRecordTimeType, func(b Batch, r *Rules) {
		b[posAttributes+1] |= attrLogAppendTime
		r.Mode, r.Timestamps = ModeHeader, LogAppendTime
	})
}

func TestValidateAllocatesNothing(t *testing.T) {
	for _, codec := range allCodecs {
		if raceEnabled && codec == CodecZstd {
			t.Log("zstd is left out: under the race detector sync.Pool forgets at random")
			continue
		}
		b := buildBatch(t, codec, 20, 1000)
		r := DefaultRules(testNow)
		var v Validator
		n := testing.AllocsPerRun(100, func() {
			if _, invalid := v.Validate(b, &r); invalid != nil {
				t.Fatal(invalid.Message)
			}
		})
		if n != 0 {
			t.Errorf("%v: %v allocations per batch", codec, n)
		}
	}
}
