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

// ReadRequest.Limited tells a reader that it got nothing, or not all, because of its own limit from
// one that has caught up: the first must not wait for appends.
func TestLimitedMeansThatMoreIsThere(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for i := range 3 {
		b.must(payload{bytes: 1000, seed: i})
		if i == 1 {
			if err := b.log.Roll(); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.settle()
	f := func(offset, bound, maxBytes int64, minOne bool, wantOffset int64, want bool) {
		t.Helper()
		r := ReadRequest{Offset: offset, Bound: bound, MaxBytes: maxBytes, MinOne: minOne}
		if code := b.log.Read(&r); code != wire.CodeNone {
			t.Fatal(wire.CodeName(code))
		}
		end := offset
		if r.File != nil {
			r.File.Release()
			end = r.Cursor.Offset
		}
		if end != wantOffset || r.Limited != want {
			t.Errorf("read of [%d,%d) of at most %d bytes: up to %d, limited %t", offset, bound,
				maxBytes, end, r.Limited)
		}
	}
	f(0, 3, 0, false, 0, true)   // Nothing allowed.
	f(0, 3, -1, false, 0, true)  // Less than nothing.
	f(0, 3, 100, false, 0, true) // No batch fits.
	f(2, 3, 100, false, 2, true)
	f(0, 3, 1500, false, 1, true) // One of two.
	f(0, 3, 100, true, 1, true)   // The first, whole.
	f(1, 3, 100, true, 2, true)   // The last of its segment, another segment behind it.
	f(1, 2, 100, true, 2, false)  // The last below the bound.
	f(2, 3, 100, true, 3, false)
	f(0, 2, 1<<20, false, 2, false)
	f(0, 0, 0, false, 0, false) // Nothing below the bound.
	f(3, 3, 0, false, 3, false)
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
