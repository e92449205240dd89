package partition

import (
	"errors"
	"testing"

	"sluice/wire"
)

// replayOffsets reads a log through ReadBatches and returns the offsets of its records below bound.
func replayOffsets(t testing.TB, l *Log, from, bound int64, buf []byte) (offsets []int64) {
	t.Helper()
	var records wire.Records
	for from < bound {
		batches, next, err := l.ReadBatches(buf, from, bound)
		if err != nil {
			t.Fatal(err)
		}
		if next <= from {
			t.Fatalf("read at %d goes on at %d", from, next)
		}
		for len(batches) > 0 {
			b, rest, err := wire.NextBatch(batches)
			if err != nil || !b.Intact() {
				t.Fatalf("no whole, intact batch in what was read at %d: %v", from, err)
			}
			batches = rest
			err = wire.EachRecord(b, &records, func(r *wire.Record) bool {
				if r.Offset >= from {
					offsets = append(offsets, r.Offset)
				}
				return true
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		from = next
	}
	return offsets
}

// A log read whole through ReadBatches gives every record once, over segments and codecs, also when
// a batch exceeds the buffer, and stops at the bound and at the end.
func TestReadBatchesReadsTheLogWhole(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.SegmentBytes = 3 << 20 })
	for i := range 60 {
		b.must(payload{records: 3, bytes: 50_000, codec: wire.Codec(i % 2), seed: i})
	}
	b.must(payload{records: 1, bytes: 2 << 20})
	b.must(payload{records: 2})
	b.settle()
	end := b.log.LEO()
	for _, buf := range [][]byte{nil, make([]byte, 0, 100), make([]byte, 3<<20)} {
		for _, from := range []int64{0, 1, 100, end - 1} {
			got := replayOffsets(t, b.log, from, end, buf)
			if int64(len(got)) != end-from || got[0] != from || got[len(got)-1] != end-1 {
				t.Errorf("from %d: %d records, want %d", from, len(got), end-from)
			}
		}
	}
	if got := replayOffsets(t, b.log, 0, 30, nil); len(got) != 30 {
		t.Errorf("below 30: %d records", len(got))
	}
	batches, next, err := b.log.ReadBatches(nil, end, end)
	if err != nil || len(batches) != 0 || next != end {
		t.Errorf("at the end: %d bytes, next %d, %v", len(batches), next, err)
	}
	for _, from := range []int64{-1, end + 1} {
		if _, _, err := b.log.ReadBatches(nil, from, end); !errors.Is(err, ErrOffsetOutOfRange) {
			t.Errorf("at %d: %v", from, err)
		}
	}
}

// BenchmarkLoad reads a million records of a coordinator's size, decoded: what a coordinator does
// when a partition becomes its own.
func BenchmarkLoad(b *testing.B) {
	bn := newBench(b, nil)
	const batches, records = 10_000, 100
	for i := range batches {
		bn.must(payload{records: records, bytes: 100, seed: i})
	}
	bn.settle()
	end := bn.log.LEO()
	buf := make([]byte, 1<<20)
	var scratch wire.Records
	b.SetBytes(bn.log.SizeBytes())
	b.ReportAllocs()
	for b.Loop() {
		n := int64(0)
		for from := int64(0); from < end; {
			batches, next, err := bn.log.ReadBatches(buf, from, end)
			if err != nil {
				b.Fatal(err)
			}
			for len(batches) > 0 {
				batch, rest, err := wire.NextBatch(batches)
				if err != nil || !batch.Intact() {
					b.Fatal("damaged")
				}
				batches = rest
				_ = wire.EachRecord(batch, &scratch, func(r *wire.Record) bool { n++; return true })
			}
			from = next
		}
		if n != end {
			b.Fatalf("%d records, want %d", n, end)
		}
	}
}
