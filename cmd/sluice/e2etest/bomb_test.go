package e2etest

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"sluice/wire"
)

// bombBytes is what each bomb would decompress to.
const bombBytes = 1 << 30

// bomb is one record whose value is a gibibyte of zeros, compressed.
func bomb(t *testing.T, codec wire.Codec) wire.Batch {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch codec {
	case wire.CodecGzip:
		w, err = gzip.NewWriterLevel(&out, gzip.BestSpeed)
	case wire.CodecLZ4:
		w = lz4.NewWriter(&out)
	default:
		w, err = zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithEncoderConcurrency(1))
	}
	must(t, err)
	const value = bombBytes - 64
	body := []byte{0, 0, 0, 1} // attributes, two deltas, a null key
	body = binary.AppendVarint(body, value)
	_, err = w.Write(append(binary.AppendVarint(nil, int64(len(body)+value+1)), body...))
	must(t, err)
	zeros := make([]byte, 1<<20)
	for left := value + 1; left > 0; left -= len(zeros) { // The last byte is the count of headers.
		_, err = w.Write(zeros[:min(left, len(zeros))])
		must(t, err)
	}
	must(t, w.Close())
	return withRecords(t, codec, out.Bytes()...)
}

// TestDecompressionBomb: a batch of some megabytes that would decompress to a gibibyte is refused, with
// memory that stays bounded at its peak, and nothing of it is kept.
func TestDecompressionBomb(t *testing.T) {
	t.Parallel()
	b := start(t, t.TempDir())
	createTopic(t, b, "bomb", 1, "max.message.bytes", "16777216")
	createTopic(t, b, "recompressed", 1, "max.message.bytes", "16777216", "compression.type", "zstd")
	c := dial(t, b)
	must(t, produceError(produceRaw(t, c, "bomb", goodBatch(t, "v"))))
	before := b.memoryBytes(t, "VmHWM")
	for _, codec := range []wire.Codec{wire.CodecGzip, wire.CodecLZ4, wire.CodecZstd} {
		batch := bomb(t, codec)
		for _, topic := range []string{"bomb", "recompressed"} {
			p := produceRaw(t, c, topic, batch)
			if p.ErrorCode == 0 {
				t.Errorf("%s: a bomb of %d bytes was taken by %s", codec, len(batch), topic)
			}
		}
	}
	if grown := b.memoryBytes(t, "VmHWM") - before; grown > memoryGrowthMax() {
		t.Errorf("the bombs made the broker's peak grow by %d bytes", grown)
	}
	onlyGood(t, b, "bomb", "v")
	onlyGood(t, b, "recompressed")
}
