package wire

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

// addBatches gives a fuzz target a batch of each codec, and some that are wrong.
func addBatches(f *testing.F) {
	f.Helper()
	for _, codec := range allCodecs {
		b := buildBatch(f, codec, 3, 60)
		f.Add([]byte(b))
		f.Add([]byte(b[:len(b)-3]))
		f.Add([]byte(spoil(b, put32(posCount, 1<<30))))
		f.Add([]byte(gappyBatch(f, codec)))
	}
	for _, x := range bombs(f, 1<<16) {
		f.Add([]byte(sectionBatch(x.codec, x.section, 1)))
	}
	f.Add(bytes.Repeat(buildBatch(f, CodecNone, 1, 1), 2))
	f.Add(make([]byte, 100))
}

// FuzzValidate seals whatever comes, so that the walk is reached, and holds the validator to its
// word: what it accepts, a reader reads, a second check finds nothing to change in, and a
// recompressor can rewrite.
func FuzzValidate(f *testing.F) {
	addBatches(f)
	var v Validator
	var c Recompressor
	var scratch Records
	f.Fuzz(func(t *testing.T, records []byte) {
		records = bytes.Clone(records)
		if len(records) >= BatchHeaderSize {
			Batch(records).Reseal()
		}
		r := DefaultRules(testNow)
		r.DecompressedBytesMax = 1 << 20
		info, invalid := v.Validate(records, &r)
		if invalid != nil {
			if invalid.Code == CodeNone || invalid.Message == "" {
				t.Fatalf("a refusal without a reason: %+v", invalid)
			}
			return
		}
		n := int32(0)
		err := EachRecord(info.Batch, &scratch, func(rec *Record) bool { n++; return true })
		if err != nil || n != info.Count || int(info.Count) != int(info.LastOffsetDelta)+1 {
			t.Fatalf("%d of %d records are read: %v", n, info.Count, err)
		}
		sealed := bytes.Clone(records)
		again, invalid := v.Validate(records, &r)
		if invalid != nil || again.Rewrite != info.Rewrite || !bytes.Equal(records, sealed) {
			t.Fatalf("the second check differs: %+v, %+v", again, invalid)
		}
		dst, err := c.Recompress(nil, info.Batch, CodecNone, DefaultLevel, r.DecompressedBytesMax)
		if err != nil {
			t.Fatal("recompress:", err)
		}
		r.MessageBytesMax = 1 << 30
		if again, invalid = v.Validate(dst, &r); invalid != nil || again.Rewrite {
			t.Fatalf("the rewritten batch is refused: %+v", invalid)
		}
	})
}

// FuzzWalk proves that records are judged alike whether they lie in one piece or come out of a
// decompressor in pieces.
func FuzzWalk(f *testing.F) {
	f.Add(plainSection(f, 3, 30), int32(3), uint8(1))
	f.Add([]byte("\x18\x00\x00\x00\x01\x01\x04\x02a\x01\x00\x02b"), int32(1), uint8(3))
	f.Add([]byte("\x16\x00\x80\x00\x80\x00\x81\x00\x81\x80\x00\x00"), int32(1), uint8(2))
	var v Validator
	f.Fuzz(func(t *testing.T, section []byte, count int32, size uint8) {
		r := DefaultRules(testNow)
		r.Compacted = true
		info, invalid := v.Validate(sectionBatch(CodecNone, section, count), &r)
		refused := invalid != nil
		var code int16
		var at []RecordError
		if refused {
			code, at = invalid.Code, append(at, invalid.Records...)
		}
		pieces := lz4Pieces(section, int(size)+1)
		got, invalid := v.Validate(sectionBatch(CodecLZ4, pieces, count), &r)
		if refused != (invalid != nil) || got.Rewrite != info.Rewrite ||
			got.MaxTimestamp != info.MaxTimestamp {
			t.Fatalf("in one piece %t %+v, in pieces %+v %+v", refused, info, invalid, got)
		}
		if refused && (code != invalid.Code || len(at) != len(invalid.Records)) {
			t.Fatalf("in one piece %d %v, in pieces %+v", code, at, invalid)
		}
	})
}

func FuzzNextBatch(f *testing.F) {
	addBatches(f)
	f.Fuzz(func(t *testing.T, buf []byte) {
		rest := buf
		for len(rest) > 0 {
			b, next, err := NextBatch(rest)
			if err != nil {
				if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrIncomplete) || b != nil {
					t.Fatal(b, err)
				}
				return
			}
			if len(b) < BatchHeaderSize || b.Length() != len(b) || len(b)+len(next) != len(rest) {
				t.Fatalf("a batch of %d bytes, %d left of %d", len(b), len(next), len(rest))
			}
			if p, err := PeekBatch(rest); err != nil || p.Length() != len(b) {
				t.Fatal("peek:", err)
			}
			rest = next
		}
	})
}

func FuzzEachRecord(f *testing.F) {
	addBatches(f)
	var scratch Records
	f.Fuzz(func(t *testing.T, buf []byte) {
		b, _, err := NextBatch(buf)
		if b == nil || err != nil {
			return
		}
		seen := int64(0)
		scratch.Open(b, 1<<20)
		var rec Record
		for scratch.Next(&rec) {
			seen += int64(len(rec.Key) + len(rec.Value))
			rec.EachHeader(func(k, v []byte) bool { seen += int64(len(k) + len(v)); return true })
		}
		if seen > 1<<20+int64(len(b)) {
			t.Fatalf("%d bytes of records", seen)
		}
	})
}

// FuzzDecompress holds the decompressors against the client library's own: what comes out of ours, its
// consumers get, too. Two things only Kafka and Sluice do: they skip the checksum of an lz4 frame's
// content, and read xerial streams one behind the other.
func FuzzDecompress(f *testing.F) {
	for _, codec := range allCodecs[1:] {
		f.Add(uint8(codec), []byte(buildBatch(f, codec, 3, 60).Records()))
	}
	for _, x := range bombs(f, 1<<16) {
		f.Add(uint8(x.codec), x.section)
	}
	section := plainSection(f, 2, 20)
	f.Add(uint8(CodecLZ4), lz4Pieces(section, 5))
	f.Add(uint8(CodecLZ4), lz4Stream(f, section, lz4.BlockChecksumOption(true)))
	f.Add(uint8(CodecSnappy), s2.EncodeSnappy(nil, section))
	f.Add(uint8(CodecZstd), zstdStream(f, section, zstd.WithWindowSize(1<<20)))
	theirs := kgo.DefaultDecompressor()
	var d decompressor
	f.Fuzz(func(t *testing.T, codec uint8, section []byte) {
		var out []byte
		err := d.open(Codec(codec), section, 1<<20)
		for err == nil {
			var chunk []byte
			chunk, err = d.next()
			out = append(out, chunk...)
		}
		d.close()
		if len(out) > 1<<20 {
			t.Fatalf("%d bytes came out", len(out))
		}
		if err != io.EOF || len(out) == 0 || Codec(codec) == CodecLZ4 && section[4]&lz4FlagContentSum != 0 ||
			bytes.Count(section, xerialMagic) > 1 {
			return
		}
		want, err := theirs.Decompress(section, kgo.CompressionCodecType(codec))
		if err != nil || !bytes.Equal(out, want) {
			t.Fatalf("codec %d: %d bytes, the library has %d, %v", codec, len(out), len(want), err)
		}
	})
}
