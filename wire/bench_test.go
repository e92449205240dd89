package wire

import (
	"fmt"
	"testing"
)

// benchmarkBatch returns a batch of 1 KiB records whose uncompressed size is about size.
func benchmarkBatch(b *testing.B, codec Codec, size int) Batch {
	b.Helper()
	return buildBatch(b, codec, max(size>>10, 1), 1000)
}

// BenchmarkValidate measures a full check. MB/s are of uncompressed bytes, which is what a producer
// hands to its client, in every codec.
func BenchmarkValidate(b *testing.B) {
	for _, codec := range allCodecs {
		for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("codec=%v/size=%d", codec, size), func(b *testing.B) {
				batch := benchmarkBatch(b, codec, size)
				plain := len(benchmarkBatch(b, CodecNone, size))
				r := DefaultRules(testNow)
				r.MessageBytesMax = 2 << 20
				b.SetBytes(int64(plain))
				b.ReportAllocs()
				var v Validator
				for b.Loop() {
					if _, invalid := v.Validate(batch, &r); invalid != nil {
						b.Fatal(invalid.Message)
					}
				}
			})
		}
	}
}

// BenchmarkWalk measures the walk over uncompressed records alone, without the checksum.
func BenchmarkWalk(b *testing.B) {
	for _, valueSize := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("record=%d", valueSize), func(b *testing.B) {
			batch := buildBatch(b, CodecNone, (256<<10)/(valueSize+40), valueSize)
			r := DefaultRules(testNow)
			b.SetBytes(int64(len(batch)))
			b.ReportAllocs()
			for b.Loop() {
				w := newWalk(batch, &r, nil)
				if code, _ := w.plain(batch.Records()); code != CodeNone {
					b.Fatal(code)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/
				float64(batch.Count()), "ns/record")
		})
	}
}

func BenchmarkValidateHeader(b *testing.B) {
	batch := benchmarkBatch(b, CodecNone, 64<<10)
	r := DefaultRules(testNow)
	r.Mode = ModeHeader
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	var v Validator
	for b.Loop() {
		if _, invalid := v.Validate(batch, &r); invalid != nil {
			b.Fatal(invalid.Message)
		}
	}
}

func BenchmarkRecompress(b *testing.B) {
	for _, codec := range allCodecs {
		b.Run(fmt.Sprintf("to=%v", codec), func(b *testing.B) {
			batch := benchmarkBatch(b, CodecNone, 64<<10)
			b.SetBytes(int64(len(batch)))
			b.ReportAllocs()
			var c Recompressor
			var dst []byte
			for b.Loop() {
				var err error
				if dst, err = c.Recompress(dst[:0], batch, codec, DefaultLevel, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNextBatch(b *testing.B) {
	var log []byte
	for range 100 {
		log = append(log, benchmarkBatch(b, CodecNone, 1<<10)...)
	}
	b.SetBytes(int64(len(log)))
	b.ReportAllocs()
	for b.Loop() {
		rest := log
		for len(rest) > 0 {
			var err error
			if _, rest, err = NextBatch(rest); err != nil {
				b.Fatal(err)
			}
		}
	}
}
