package partition

import (
	"testing"

	"sluice/wire"
)

// Batches come back byte for byte, stamped with dense offsets and the leader epoch, in pieces of
// any size and across rolls.
func TestAppendReadRoundTrip(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.SegmentBytes = 4096 })
	var want []wire.Batch
	next := int64(0)
	for i := range 100 {
		p := payload{records: 1 + i%7, bytes: 10 + i*3%400, seed: i}
		batch := p.batch(t)
		a := b.submitBatch(batch, FromClient)
		if a.Code != wire.CodeNone || a.BaseOffset != next {
			t.Fatalf("batch %d: code %d, base offset %d, want %d", i, a.Code, a.BaseOffset, next)
		}
		next = a.LastOffset + 1
		want = append(want, batch)
	}
	for _, clean := range []bool{true, false} {
		for _, piece := range []int64{0, 1, 300, 1000, 5000, 1 << 20} {
			got := b.readAll(0, piece)
			if len(got) != len(want) {
				t.Fatalf("pieces of %d: %d batches, want %d", piece, len(got), len(want))
			}
			for i := range got {
				if string(got[i]) != string(want[i]) {
					t.Fatalf("pieces of %d: batch %d differs", piece, i)
				}
			}
		}
		b.reopen(clean)
	}
	for i := range want {
		for offset := want[i].BaseOffset(); offset < want[i].NextOffset(); offset++ {
			got := b.readAll(offset, 1)
			if string(got[0]) != string(want[i]) {
				t.Fatalf("offset %d: begins with another batch", offset)
			}
		}
	}
}
