package partition

import (
	"testing"

	"sluice/wire"
)

// A region cut by MaxBytes at an index entry takes in the batches behind the entry that still fit,
// in the active segment far behind the ring and in a closed one.
func TestCutReachesPastIndexEntries(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.IndexIntervalBytes = 4096 })
	big := b.must(payload{bytes: 1_000_000})
	small := b.must(payload{bytes: 1000})
	b.must(payload{bytes: 900_000})
	// Two batches to an entry, so that one header tells how far a region can reach.
	for i := range 4 * ringSlots {
		b.must(payload{bytes: 2500, seed: i})
	}
	for _, where := range []string{"active", "closed"} {
		ends := batchEnds(t, b.log)
		r := ReadRequest{Offset: big.BaseOffset, Bound: b.log.LEO(), MaxBytes: 1 << 20}
		region(t, b.log, &r)
		if r.Bytes != ends[1] || r.Cursor.Offset != small.LastOffset+1 || !r.Limited {
			t.Errorf("%s: %d bytes up to offset %d, want %d", where, r.Bytes, r.Cursor.Offset, ends[1])
		}
		for first := 3; first < 100; first += 7 {
			for _, max := range []int64{70_000, 100_001, 131_072, 200_000} {
				r = ReadRequest{Offset: int64(first), Bound: b.log.LEO(), MaxBytes: max}
				region(t, b.log, &r)
				at, want := ends[first-1], int64(0)
				for _, end := range ends[first:] {
					if end-at <= max {
						want = end - at
					}
				}
				if r.Bytes != want || r.Position != at {
					t.Fatalf("%s, from batch %d, at most %d: %d bytes, want %d", where, first, max,
						r.Bytes, want)
				}
			}
		}
		if err := b.log.Roll(); err != nil {
			t.Fatal(err)
		}
		b.settle()
	}
}

// batchEnds are the positions behind each batch of a log of one segment.
func batchEnds(t *testing.T, l *Log) (ends []int64) {
	t.Helper()
	position := int64(0)
	for _, batch := range readAll(t, l, 0, 1<<20) {
		position += int64(len(batch))
		ends = append(ends, position)
	}
	return ends
}

// region plans a read that must find something.
func region(t *testing.T, l *Log, r *ReadRequest) {
	t.Helper()
	if code := l.Read(r); code != wire.CodeNone || r.File == nil {
		t.Fatalf("read at %d: %s", r.Offset, wire.CodeName(code))
	}
	r.File.Release()
}
