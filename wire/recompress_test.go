package wire

import (
	"bytes"
	"errors"
	"testing"
)

// recordsOf returns all that matters of a batch's records.
func recordsOf(t testing.TB, b Batch) (all []Record) {
	t.Helper()
	var scratch Records
	err := EachRecord(b, &scratch, func(r *Record) bool {
		c := *r
		c.Key, c.Value, c.headers = bytes.Clone(r.Key), bytes.Clone(r.Value), bytes.Clone(r.headers)
		all = append(all, c)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func sameRecords(a, b []Record) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := &a[i], &b[i]
		if x.Offset != y.Offset || x.TimestampMs != y.TimestampMs || !bytes.Equal(x.Key, y.Key) ||
			!bytes.Equal(x.Value, y.Value) || (x.Key == nil) != (y.Key == nil) ||
			(x.Value == nil) != (y.Value == nil) || !bytes.Equal(x.headers, y.headers) {
			return false
		}
	}
	return true
}

// TestRecompress proves that every codec turns into every other with the same records and header,
// sealed and valid, at any level that Kafka's configs allow.
func TestRecompress(t *testing.T) {
	t.Parallel()
	var c Recompressor
	r := DefaultRules(testNow)
	for _, from := range allCodecs {
		b := buildBatch(t, from, 20, 1000)
		want := recordsOf(t, b)
		for _, to := range allCodecs {
			for _, level := range []int{DefaultLevel, -131072, -1, 1, 3, 9, 17, 22} {
				dst, err := c.Recompress([]byte("x"), b, to, level, 0)
				if err != nil {
					t.Fatalf("%v to %v level %d: %v", from, to, level, err)
				}
				n := Batch(dst[1:])
				if _, got := validate(n, &r); got.Code != CodeNone {
					t.Fatalf("%v to %v level %d: %s", from, to, level, got.Message)
				}
				if n.Codec() != to || n.Length() != len(n) || n.MaxTimestamp() != b.MaxTimestamp() ||
					!sameRecords(recordsOf(t, n), want) {
					t.Errorf("%v to %v level %d: the batch changed", from, to, level)
				}
			}
		}
	}
}

// TestRecompressRenumbers proves that offset deltas come out consecutive from 0.
func TestRecompressRenumbers(t *testing.T) {
	t.Parallel()
	var c Recompressor
	for _, codec := range allCodecs {
		dst, err := c.Recompress(nil, gappyBatch(t, codec), codec, DefaultLevel, 0)
		if err != nil {
			t.Fatal(err)
		}
		r := DefaultRules(testNow)
		if info, got := validate(dst, &r); got.Code != CodeNone || info.Rewrite {
			t.Errorf("%v: %+v %s", codec, info, got.Message)
		}
	}
}

// TestRecompressKeepsStamp proves that a batch stamped with LogAppendTime stays so.
func TestRecompressKeepsStamp(t *testing.T) {
	t.Parallel()
	b := buildBatch(t, CodecGzip, 3, 50)
	b.StampLogAppendTime(77)
	var c Recompressor
	dst, err := c.Recompress(nil, b, CodecLZ4, DefaultLevel, 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := Batch(dst); n.TimestampType() != LogAppendTime || n.MaxTimestamp() != 77 ||
		recordsOf(t, n)[2].TimestampMs != 77 {
		t.Error("the stamp is lost")
	}
}

// TestRecompressBounded proves that what would grow beyond the bound is refused.
func TestRecompressBounded(t *testing.T) {
	t.Parallel()
	var c Recompressor
	for _, x := range bombs(t, 3<<20) {
		b := sectionBatch(x.codec, x.section, 1)
		if _, err := c.Recompress(nil, b, CodecNone, DefaultLevel, 2<<20); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	b := buildBatch(t, CodecZstd, 5, 100)
	b[BatchHeaderSize] ^= 1
	if _, err := c.Recompress(nil, b, CodecNone, DefaultLevel, 0); err == nil {
		t.Error("garbage was recompressed")
	}
	if _, err := c.Recompress(nil, buildBatch(t, CodecNone, 1, 1), 6, 0, 0); err == nil {
		t.Error("a codec that does not exist")
	}
}

// TestEndTxnMarker proves the marker's bytes (KIP-98).
func TestEndTxnMarker(t *testing.T) {
	t.Parallel()
	w := NewBatchBuilder()
	w.ProducerID, w.ProducerEpoch = 9, 1
	w.AppendEndTxnMarker(testNow, true, 0x01020304)
	raw, err := w.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := Batch(raw)
	rec := recordsOf(t, b)[0]
	if !b.IsControl() || !b.IsTransactional() || string(rec.Key) != "\x00\x00\x00\x01" ||
		string(rec.Value) != "\x00\x00\x01\x02\x03\x04" {
		t.Errorf("%+v", rec)
	}
}

// TestEachRecordEmptyBatch proves that a batch which compaction has emptied has no records.
func TestEachRecordEmptyBatch(t *testing.T) {
	t.Parallel()
	for _, codec := range allCodecs {
		if n := len(recordsOf(t, sectionBatch(codec, nil, 0))); n != 0 {
			t.Errorf("%v: %d records", codec, n)
		}
	}
}

// TestEachRecordStops proves that the callback ends it, and that a short or broken section shows.
func TestEachRecordStops(t *testing.T) {
	t.Parallel()
	var scratch Records
	for _, codec := range allCodecs {
		b := buildBatch(t, codec, 5, 100)
		n := 0
		err := EachRecord(b, &scratch, func(*Record) bool { n++; return n < 2 })
		if err != nil || n != 2 {
			t.Errorf("%v: %d records, %v", codec, n, err)
		}
		put32(posCount, 6)(b)
		if err = EachRecord(b, &scratch, func(*Record) bool { return true }); err == nil {
			t.Errorf("%v: a record too few went unseen", codec)
		}
		put32(posCount, -1)(b)
		if err = EachRecord(b, &scratch, func(*Record) bool { return true }); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%v: a negative count: %v", codec, err)
		}
	}
}
