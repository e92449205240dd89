package wire

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"testing"
)

var allCodecs = []Codec{CodecNone, CodecGzip, CodecSnappy, CodecLZ4, CodecZstd}

// testNow is the clock reading of tests.
const testNow int64 = 1_700_000_000_000

// buildBatch returns a batch of n records of about valueSize bytes each.
func buildBatch(t testing.TB, codec Codec, n, valueSize int) Batch {
	t.Helper()
	w := NewBatchBuilder()
	w.Codec = codec
	for i := range n {
		value := testValue(i, valueSize)
		w.Append(testNow+int64(i), fmt.Appendf(nil, "key-%d", i), value,
			Header{"trace", []byte("abc")}, Header{"none", nil})
	}
	b, err := w.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	return Batch(b)
}

// testValue is text that compresses about as well as logs do.
func testValue(seed, size int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, `{"id":%d,"host":"web-%d","path":"/v1/items/%d"} `,
			seed*7919+i, (seed+i)%17, (seed*31+i*17)%9973)
	}
	return b.Bytes()[:size]
}

// TestBatchHeaderFields proves the positions of KIP-98's header: what the builder is told, the view
// reports, and the checksum is CRC-32C from the attributes on.
func TestBatchHeaderFields(t *testing.T) {
	t.Parallel()
	w := NewBatchBuilder()
	w.BaseOffset, w.LeaderEpoch, w.ProducerID, w.ProducerEpoch, w.BaseSequence = 7, 3, 99, 4, 11
	w.Transactional = true
	w.Append(testNow+5, []byte("k"), nil)
	w.Append(testNow, nil, []byte("v"))
	raw, err := w.Build([]byte("before"))
	if err != nil {
		t.Fatal(err)
	}
	b := Batch(raw[len("before"):])
	f := func(name string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	f("base offset", b.BaseOffset(), int64(7))
	f("length", b.Length(), len(b))
	f("leader epoch", b.LeaderEpoch(), int32(3))
	f("magic", b.Magic(), int8(2))
	f("attributes", b.Attributes(), int16(attrTransactional))
	f("last offset", b.LastOffset(), int64(8))
	f("next offset", b.NextOffset(), int64(9))
	f("base timestamp", b.BaseTimestamp(), testNow+5)
	f("max timestamp", b.MaxTimestamp(), testNow+5)
	f("producer", b.ProducerID(), int64(99))
	f("producer epoch", b.ProducerEpoch(), int16(4))
	f("base sequence", b.BaseSequence(), int32(11))
	f("last sequence", b.LastSequence(), int32(12))
	f("count", b.Count(), int32(2))
	f("transactional", b.IsTransactional(), true)
	f("control", b.IsControl(), false)
	f("codec", b.Codec(), CodecNone)
	f("horizon", b.HasDeleteHorizon(), false)
	f("crc", b.CRC(), crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	f("crc in parts", UpdateCRC(UpdateCRC(0, b[21:40]), b[40:]), b.CRC())
}

// TestStampsOutsideChecksum proves that base offset and leader epoch may be set without resealing.
func TestStampsOutsideChecksum(t *testing.T) {
	t.Parallel()
	b := buildBatch(t, CodecNone, 3, 10)
	b.SetBaseOffset(1 << 40)
	b.SetLeaderEpoch(12)
	if !b.Intact() || b.BaseOffset() != 1<<40 || b.LeaderEpoch() != 12 {
		t.Fatal("the stamps broke the checksum or did not take")
	}
	b.SetMaxTimestamp(LogAppendTime, 5)
	if b.Intact() {
		t.Fatal("maxTimestamp lies under the checksum")
	}
	b.Reseal()
	if !b.Intact() || b.MaxTimestamp() != 5 || b.TimestampType() != LogAppendTime {
		t.Fatal("resealing failed")
	}
}

// TestSequenceWraps proves that sequence numbers go on with 0 after 2147483647.
func TestSequenceWraps(t *testing.T) {
	t.Parallel()
	f := func(sequence, increment, want int32) {
		t.Helper()
		if got := AddSequence(sequence, increment); got != want {
			t.Errorf("%d + %d: got %d, want %d", sequence, increment, got, want)
		}
	}
	f(0, 0, 0)
	f(5, 3, 8)
	f(1<<31-1, 0, 1<<31-1)
	f(1<<31-1, 1, 0)
	f(1<<31-2, 5, 3)
}

// TestNextBatch proves the split of a log into batches, and that a torn end, garbage and
// preallocated zeroes are told apart.
func TestNextBatch(t *testing.T) {
	t.Parallel()
	first, second := buildBatch(t, CodecNone, 2, 20), buildBatch(t, CodecZstd, 5, 50)
	log := append(append([]byte{}, first...), second...)
	b, rest, err := NextBatch(log)
	if err != nil || !bytes.Equal(b, first) || len(rest) != len(second) {
		t.Fatal("first batch", err)
	}
	b, rest, err = NextBatch(rest)
	if err != nil || !bytes.Equal(b, second) || len(rest) != 0 {
		t.Fatal("second batch", err)
	}
	if b, _, err = NextBatch(rest); b != nil || err != nil {
		t.Fatal("the end of the buffer is neither a batch nor an error")
	}
	for n := 1; n < len(first); n++ {
		if _, _, err := NextBatch(first[:n]); !errors.Is(err, ErrIncomplete) {
			t.Fatalf("torn after %d bytes: %v", n, err)
		}
	}
	if _, _, err := NextBatch(make([]byte, 4096)); !errors.Is(err, ErrCorrupt) {
		t.Fatal("zeroes are no batch", err)
	}
	old := append(Batch{}, first...)
	old[posMagic] = 1
	if _, _, err := NextBatch(old); !errors.Is(err, ErrCorrupt) {
		t.Fatal("format v1", err)
	}
	if h, err := PeekBatch(first[:BatchHeaderSize]); err != nil || h.Length() != len(first) {
		t.Fatal("peek", err)
	}
}

// TestEachRecord proves that records come back as they were appended, through every codec, null and
// empty told apart.
func TestEachRecord(t *testing.T) {
	t.Parallel()
	for _, codec := range allCodecs {
		w := NewBatchBuilder()
		w.Codec, w.BaseOffset = codec, 100
		big := testValue(1, 300<<10) // Crosses several windows and blocks.
		w.Append(50, nil, []byte{})
		w.Append(40, []byte{}, nil, Header{"h", nil}, Header{"", []byte("x")})
		w.Append(60, []byte("k"), big)
		raw, err := w.Build(nil)
		if err != nil {
			t.Fatal(err)
		}
		var scratch Records
		var got []string
		err = EachRecord(Batch(raw), &scratch, func(r *Record) bool {
			line := fmt.Sprintf("%d %d %t %t %d", r.Offset, r.TimestampMs, r.Key == nil,
				r.Value == nil, r.HeaderCount)
			r.EachHeader(func(k, v []byte) bool {
				line += fmt.Sprintf(" %s=%s/%t", k, v, v == nil)
				return true
			})
			if len(r.Value) > 0 && !bytes.Equal(r.Value, big) {
				t.Errorf("%v: the value changed", codec)
			}
			got = append(got, line)
			return true
		})
		if err != nil {
			t.Fatal(codec, err)
		}
		want := []string{
			"100 50 true false 0", "101 40 false true 2 h=/true =x/false", "102 60 false false 0",
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v: got %q", codec, got)
		}
	}
}
