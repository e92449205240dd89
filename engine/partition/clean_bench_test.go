package partition

import (
	"fmt"
	"testing"

	"sluice/wire"
)

// BenchmarkClean cleans 64 MiB of records of 100 bytes, 100 to a batch, a hundred thousand keys, by
// codec. Bytes are those of the log, which is read twice.
func BenchmarkClean(bb *testing.B) {
	for _, codec := range []wire.Codec{wire.CodecNone, wire.CodecLZ4, wire.CodecZstd} {
		bb.Run(codec.String(), func(bb *testing.B) {
			bb.ReportAllocs()
			c := NewCleaner(CleanerOptions{MapBytes: 128 << 20, MapLoad: 0.9})
			for range bb.N {
				bb.StopTimer()
				b := newBench(bb, func(c *Config) { c.SegmentBytes, c.IndexIntervalBytes = 16<<20, 4096 })
				fillForCleaning(b, codec, 64<<20)
				size := b.log.SizeBytes()
				bb.StartTimer()
				done, err := c.Clean(b.log, b.log.LEO(), b.clock.now())
				bb.StopTimer()
				if err != nil || done.RecordsKept == 0 {
					bb.Fatalf("%+v, %v", done, err)
				}
				bb.SetBytes(size)
				bb.ReportMetric(float64(done.RecordsRead)/1e6, "Mrecords/op")
				if err := b.dir.Close(false, -1); err != nil {
					bb.Fatal(err)
				}
			}
		})
	}
}

// fillForCleaning appends records of about size bytes uncompressed, and rolls.
func fillForCleaning(b *bench, codec wire.Codec, size int) {
	w := wire.NewBatchBuilder()
	w.Codec = codec
	value := make([]byte, 80)
	for n := 0; n < size; {
		w.Reset()
		for range 100 {
			for i := range value {
				value[i] = byte('a' + (n*7+i*i)%26)
			}
			w.Append(b.clock.now(), fmt.Appendf(nil, "key %d", n*31%100_000), value)
			n += 100
		}
		batch, err := w.Build(nil)
		if err != nil {
			b.t.Fatal(err)
		}
		if a := b.submitBatch(batch, FromClient); a.Code != wire.CodeNone {
			b.t.Fatal(wire.CodeName(a.Code))
		}
	}
	if err := b.log.Roll(); err != nil {
		b.t.Fatal(err)
	}
	b.settle()
}
