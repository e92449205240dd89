package wire

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

// sectionBatch returns a sealed batch around a records section as it is.
func sectionBatch(codec Codec, section []byte, count int32) Batch {
	b := append(make(Batch, BatchHeaderSize), section...)
	put32(posLength, int32(len(b)-BatchPrefixSize))(b)
	b[posMagic] = MagicV2
	setAttribute(byte(codec))(b)
	put32(posLastOffsetDelta, count-1)(b)
	put64(posBaseTimestamp, testNow)(b)
	put64(posMaxTimestamp, testNow)(b)
	put64(posProducerID, NoProducerID)(b)
	put32(posBaseSequence, NoSequence)(b)
	put32(posCount, count)(b)
	b.Reseal()
	return b
}

// lz4Pieces frames a section as stored lz4 blocks of the given size, so that a walk meets a chunk's
// end wherever a test wants it.
func lz4Pieces(section []byte, size int) []byte {
	var c compressor
	frame, err := c.appendLZ4(nil, nil, DefaultLevel)
	if err != nil {
		panic(err)
	}
	frame = frame[:7]
	for len(section) > 0 {
		n := min(size, len(section))
		frame = binary.LittleEndian.AppendUint32(frame, uint32(n)|lz4StoredBit)
		frame = append(frame, section[:n]...)
		section = section[n:]
	}
	return append(frame, 0, 0, 0, 0)
}

// TestValidateRecordFraming proves the walk over records (class DefaultRecord), and that it finds
// the same whether they lie in one piece or come byte by byte out of a decompressor.
func TestValidateRecordFraming(t *testing.T) {
	t.Parallel()
	f := func(name, section string, count int32, want string) {
		t.Helper()
		check := func(how string, b Batch) {
			t.Helper()
			r := DefaultRules(testNow)
			if _, got := validate(b, &r); got.Message != want {
				t.Errorf("%s, %s: got %q, want %q", name, how, got.Message, want)
			}
		}
		check("plain", sectionBatch(CodecNone, []byte(section), count))
		for _, size := range []int{1, 2, 3, 7, 1000} {
			check("in pieces", sectionBatch(CodecLZ4, lz4Pieces([]byte(section), size), count))
		}
	}
	// length, attributes, timestamp delta, offset delta, key, value, headers; zigzag.
	f("smallest", "\x0c\x00\x00\x00\x01\x01\x00", 1, "")
	f("key and value", "\x10\x00\x00\x00\x02k\x02v\x00", 1, "")
	f("any negative length is null", "\x0c\x00\x00\x00\x03\x05\x00", 1, "")
	f("headers", "\x18\x00\x00\x00\x01\x01\x04\x02a\x01\x00\x02b", 1, "")
	f("two", "\x0c\x00\x00\x00\x01\x01\x00\x0c\x00\x00\x02\x01\x01\x00", 2, "")
	f("long varints", "\x16\x00\x80\x00\x80\x00\x81\x00\x81\x80\x00\x00", 1, "")
	f("none", "", 1, msgRecordsShort)
	f("one of two", "\x0c\x00\x00\x00\x01\x01\x00", 2, msgRecordsShort)
	f("a byte too many", "\x0c\x00\x00\x00\x01\x01\x00\x00", 1, msgRecordsLong)
	f("two of one", "\x0c\x00\x00\x00\x01\x01\x00\x0c\x00\x00\x02\x01\x01\x00", 1, msgRecordsLong)
	f("length too small", "\x0a\x00\x00\x00\x01\x01\x00", 1, msgRecordFraming)
	f("length too great", "\x0e\x00\x00\x00\x01\x01\x00\x00", 1, msgRecordFraming)
	f("key past the record", "\x0c\x00\x00\x00\x08\x01\x00", 1, msgRecordFraming)
	f("value past the record", "\x0c\x00\x00\x00\x01\x08\x00", 1, msgRecordFraming)
	f("header count negative", "\x0c\x00\x00\x00\x01\x01\x01", 1, msgRecordFraming)
	f("header count absurd", "\x12\x00\x00\x00\x01\x01\xfe\xff\xff\x0f", 1, msgRecordFraming)
	f("header key null", "\x10\x00\x00\x00\x01\x01\x02\x01\x01", 1, msgRecordFraming)
	f("header missing", "\x0c\x00\x00\x00\x01\x01\x02", 1, msgRecordFraming)
	f("varint of 33 bits", "\x14\x00\x00\xff\xff\xff\xff\x1f\x01\x01\x00", 1, msgRecordFraming)
	f("varlong of 65 bits", "\x1e\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x03\x00\x01\x01\x00", 1,
		msgRecordFraming)
}

// TestValidateNegativeRecordLength proves it apart, since the two walks may word it their own way.
func TestValidateNegativeRecordLength(t *testing.T) {
	t.Parallel()
	section := []byte("\x01\x00\x00\x00\x01\x01\x00")
	for _, b := range []Batch{
		sectionBatch(CodecNone, section, 1), sectionBatch(CodecLZ4, lz4Pieces(section, 1), 1),
	} {
		r := DefaultRules(testNow)
		if _, got := validate(b, &r); got.Code != CodeInvalidRecord {
			t.Errorf("got %s", got.Message)
		}
	}
}

// plainSection returns the records section of an uncompressed batch.
func plainSection(t testing.TB, n, valueSize int) []byte {
	t.Helper()
	return buildBatch(t, CodecNone, n, valueSize).Records()
}

// TestClientCompression proves that what real clients write is accepted: franz-go's own
// compressor, Java's xerial framing, bare snappy, gzip from the standard library, zstd and lz4
// with every option that those libraries have, at sizes around the windows and blocks.
func TestClientCompression(t *testing.T) {
	t.Parallel()
	for _, shape := range [][2]int{{1, 1}, {3, 100}, {200, 1000}, {3, 150 << 10}, {1, 1100 << 10}} {
		section := plainSection(t, shape[0], shape[1])
		f := func(name string, codec Codec, packed []byte) {
			t.Helper()
			r := DefaultRules(testNow)
			r.MessageBytesMax = 64 << 20
			b := sectionBatch(codec, packed, int32(shape[0]))
			if _, got := validate(b, &r); got.Code != CodeNone {
				t.Errorf("%s of %v: %s", name, shape, got.Message)
			}
		}
		for codec, option := range map[Codec]kgo.CompressionCodec{
			CodecGzip: kgo.GzipCompression(), CodecSnappy: kgo.SnappyCompression(),
			CodecLZ4: kgo.Lz4Compression(), CodecZstd: kgo.ZstdCompression(),
		} {
			c, err := kgo.DefaultCompressor(option)
			if err != nil {
				t.Fatal(err)
			}
			packed, _ := c.Compress(new(bytes.Buffer), section)
			f("franz-go "+codec.String(), codec, packed)
		}
		var c compressor
		f("xerial", CodecSnappy, c.appendSnappy(nil, section))
		twice := append(c.appendSnappy(nil, section[:9]), c.appendSnappy(nil, section[9:])...)
		f("xerial, two streams", CodecSnappy, twice)
		f("snappy better", CodecSnappy, s2.EncodeSnappyBetter(nil, section))
		f("snappy best", CodecSnappy, s2.EncodeSnappyBest(nil, section))
		f("gzip", CodecGzip, stdGzip(t, section))
		f("gzip, two members", CodecGzip, append(stdGzip(t, section[:9]), stdGzip(t, section[9:])...))
		f("zstd 64 KiB window", CodecZstd, zstdStream(t, section, zstd.WithWindowSize(64<<10)))
		f("zstd 8 MiB window", CodecZstd, zstdStream(t, section, zstd.WithWindowSize(8<<20)))
		f("lz4 sums", CodecLZ4, lz4Stream(t, section, lz4.BlockChecksumOption(true)))
		f("lz4 size", CodecLZ4, lz4Stream(t, section, lz4.SizeOption(uint64(len(section)))))
		f("lz4 64 KiB", CodecLZ4, lz4Stream(t, section, lz4.BlockSizeOption(lz4.Block64Kb)))
		f("lz4 best", CodecLZ4, lz4Stream(t, section, lz4.CompressionLevelOption(lz4.Level9)))
	}
}

func stdGzip(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstdStream(t testing.TB, b []byte, options ...zstd.EOption) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, options...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func lz4Stream(t testing.TB, b []byte, options ...lz4.Option) []byte {
	t.Helper()
	var out bytes.Buffer
	w := lz4.NewWriter(&out)
	if err := w.Apply(options...); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestCompressedGarbage proves that a section which is cut, flipped or no such stream is refused,
// and that the validator is as good as new afterwards.
func TestCompressedGarbage(t *testing.T) {
	t.Parallel()
	var v Validator
	r := DefaultRules(testNow)
	for _, codec := range allCodecs[1:] {
		good := buildBatch(t, codec, 5, 200)
		section := good.Records()
		f := func(name string, section []byte) {
			t.Helper()
			b := sectionBatch(codec, section, 5)
			if _, invalid := v.Validate(b, &r); invalid == nil {
				t.Errorf("%v %s was accepted", codec, name)
			}
			if _, invalid := v.Validate(append(Batch{}, good...), &r); invalid != nil {
				t.Errorf("%v after %s: %s", codec, name, invalid.Message)
			}
		}
		f("of nothing", nil)
		f("of text", []byte("GET / HTTP/1.1\r\nHost: example\r\n\r\n"))
		f("with a tail", append(bytes.Clone(section), 1))
		for n := range section {
			f("cut", section[:n])
		}
	}
}

// TestSnappyIsNotS2 proves that a repeated offset, which S2 has and snappy has not, is refused: a
// Java consumer could not read it.
func TestSnappyIsNotS2(t *testing.T) {
	t.Parallel()
	block := []byte{8, 3 << 2, 'a', 'b', 'c', 'd', 0<<2 | 1, 0}
	if _, ok := snappySize(block); ok {
		t.Error("a copy with offset 0")
	}
	if n, ok := snappySize([]byte{8, 3 << 2, 'a', 'b', 'c', 'd', 0<<2 | 1, 4}); !ok || n != 8 {
		t.Error("a copy with offset 4:", n, ok)
	}
	if _, ok := snappySize([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0, 'a'}); ok {
		t.Error("a claim that the tags do not keep")
	}
}

type bomb struct {
	name    string
	codec   Codec
	section []byte
}

// bombs returns sections of one record with a value of n zeroes.
func bombs(t testing.TB, n int) []bomb {
	t.Helper()
	w := NewBatchBuilder()
	w.Append(testNow, nil, make([]byte, n))
	var c compressor
	return []bomb{
		{"gzip", CodecGzip, stdGzip(t, w.records)},
		{"bare snappy", CodecSnappy, s2.EncodeSnappyBest(nil, w.records)},
		{"xerial snappy", CodecSnappy, c.appendSnappy(nil, w.records)},
		{"lz4", CodecLZ4, lz4Stream(t, w.records)},
		{"zstd", CodecZstd, zstdStream(t, w.records, zstd.WithWindowSize(64<<10))},
	}
}

// TestDecompressionBound proves that output is bounded, whatever the codec, that a bomb costs no
// more memory than the windows, and that a large record within the bound passes.
func TestDecompressionBound(t *testing.T) {
	f := func(size int, boundMax int64, want int16) {
		t.Helper()
		for _, c := range bombs(t, size) {
			r := DefaultRules(testNow)
			r.MessageBytesMax, r.DecompressedBytesMax = 256<<20, boundMax
			b := sectionBatch(c.codec, c.section, 1)
			var v Validator
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, invalid := v.Validate(b, &r)
			runtime.ReadMemStats(&after)
			got := CodeNone
			if invalid != nil {
				got = invalid.Code
			}
			if got != want {
				t.Errorf("%s of %d under %d: %s", c.name, size, boundMax, CodeName(got))
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > DecompressFreeBytes/2 {
				t.Errorf("%s of %d under %d: %d bytes allocated", c.name, size, boundMax, grown)
			}
		}
	}
	f(5<<20, 0, CodeNone)
	f(5<<20, 1<<20, CodeMessageTooLarge)
	f(20<<20, 18<<20, CodeMessageTooLarge)
}

// TestDecompressLimit proves the rule of the bound: free up to a size, then by ratio, never beyond.
func TestDecompressLimit(t *testing.T) {
	t.Parallel()
	f := func(boundMax int64, compressed int, want int64) {
		t.Helper()
		if got := decompressLimit(boundMax, compressed); got != want {
			t.Errorf("%d of %d: got %d, want %d", compressed, boundMax, got, want)
		}
	}
	f(0, 10, DecompressFreeBytes)
	f(0, 100<<10, 100<<10*DecompressRatioMax)
	f(0, 1<<20, DecompressedBytesMax)
	f(1000, 10, 1000)
}

// TestZstdWindow proves that a frame asking for more memory than ZstdWindowMax is refused.
func TestZstdWindow(t *testing.T) {
	t.Parallel()
	// RFC 8878: magic, a frame header of nothing but a window of 1<<(10+16), a raw last block.
	frame := []byte("\x28\xb5\x2f\xfd\x00\x80\x19\x00\x00abc")
	var d decompressor
	drain := func(frame []byte) (n int, err error) {
		if err = d.open(CodecZstd, frame, 1<<20); err != nil {
			return 0, err
		}
		for {
			chunk, err := d.next()
			if err != nil {
				return n, err
			}
			n += len(chunk)
		}
	}
	_, err := drain(frame)
	if got, _ := decompressCode(err); errors.Is(err, io.EOF) || got != CodeUnknownServerError {
		t.Error("a window of 64 MiB:", err)
	}
	frame[5] = 13 << 3 // 8 MiB.
	if n, err := drain(frame); n != 3 || !errors.Is(err, io.EOF) {
		t.Error("a window of 8 MiB:", n, err)
	}
}
