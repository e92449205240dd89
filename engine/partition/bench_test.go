package partition

import (
	"fmt"
	"testing"

	"sluice/wire"
)

// BenchmarkAppend appends batches of one size to a log on the test's file system, write-behind and
// sealing included. ns/op is the whole of Submit.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{100, 4 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			w := newBench(b, func(c *Config) {
				c.IndexIntervalBytes, c.SegmentBytes, c.RetentionBytes = 4096, 256<<20, 256<<20
			})
			w.dir.worker.Close()
			batch := payload{bytes: size}.batch(b)
			a := Append{
				Batch: batch, LeaderEpoch: w.log.LeaderEpoch(), Done: func(*Append) {},
			}
			b.SetBytes(int64(len(batch)))
			b.ReportAllocs()
			written := 0
			for b.Loop() {
				if !w.log.Submit(&a) {
					w.dir.gate.Writer().Wait() // One in thousands: it began a new segment.
				}
				if a.Code != wire.CodeNone {
					b.Fatal(wire.CodeName(a.Code))
				}
				if written += len(batch); written > 512<<20 {
					b.StopTimer()
					written = 0
					w.log.ApplyRetention(w.clock.now(), w.log.LEO())
					_ = w.dir.CommitStartOffsets()
					w.dir.Tick(w.clock.now() + 100_000)
					b.StartTimer()
				}
			}
		})
	}
}

// BenchmarkTailRead plans the read of the batch that was just appended, as a waiting consumer does.
func BenchmarkTailRead(b *testing.B) {
	w := newBench(b, func(c *Config) { c.IndexIntervalBytes = 4096 })
	for i := range 1000 {
		w.must(payload{bytes: 1000, seed: i})
	}
	r := ReadRequest{MinOne: true, MaxBytes: 1 << 20, Bound: w.log.LEO()}
	b.ReportAllocs()
	for b.Loop() {
		r.Offset = r.Bound - 1
		r.Cursor = Cursor{}
		planOne(b, w.log, &r)
	}
}

// BenchmarkSequentialRead plans 64 KiB pieces of a closed segment with a cursor.
func BenchmarkSequentialRead(b *testing.B) {
	w := closedSegment(b)
	r := ReadRequest{MinOne: true, MaxBytes: 64 << 10, Bound: w.log.LEO() - 1}
	b.ReportAllocs()
	for b.Loop() {
		planOne(b, w.log, &r)
		if r.Offset = r.Cursor.Offset; r.Offset >= r.Bound {
			r.Offset = 0
		}
	}
}

// BenchmarkIndexLookup plans reads at random offsets of a closed segment, without a cursor.
func BenchmarkIndexLookup(b *testing.B) {
	w := closedSegment(b)
	r := ReadRequest{MinOne: true, MaxBytes: 64 << 10, Bound: w.log.LEO() - 1}
	b.ReportAllocs()
	next := int64(1)
	for b.Loop() {
		next = (next*1103515245 + 12345) & (1<<31 - 1)
		r.Offset, r.Cursor = next%r.Bound, Cursor{}
		planOne(b, w.log, &r)
	}
}

func closedSegment(b *testing.B) *bench {
	w := newBench(b, func(c *Config) { c.IndexIntervalBytes = 4096 })
	for i := range 20_000 {
		w.must(payload{bytes: 1500, seed: i})
	}
	if err := w.log.Roll(); err != nil {
		b.Fatal(err)
	}
	w.must(payload{})
	w.settle()
	return w
}

func planOne(b *testing.B, l *Log, r *ReadRequest) {
	if code := l.Read(r); code != wire.CodeNone || r.File == nil {
		b.Fatal(wire.CodeName(code))
	}
	r.File.Release()
}
