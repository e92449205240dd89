package wire

import (
	"math"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// DefaultLevel asks for a codec's own default level: gzip 6, zstd 3, lz4 the fast compressor.
const DefaultLevel = math.MinInt32

// lz4LevelDefault is Kafka's default for compression.lz4.level. Despite its number it stands for
// the fast compressor.
const lz4LevelDefault = 9

// compressor compresses whole records sections. It keeps its encoders from one section to the next
// as long as codec and level stay. Its zero value is ready; it is for one goroutine.
type compressor struct {
	block     []byte
	lz4       lz4.Compressor
	lz4HC     lz4.CompressorHC
	gzip      *gzip.Writer
	gzipLevel int
	zstd      *zstd.Encoder
	zstdLevel int
}

// append appends src, compressed, to dst. A level out of the codec's range is taken for the
// nearest.
func (c *compressor) append(dst, src []byte, codec Codec, level int) ([]byte, error) {
	switch codec {
	case CodecNone:
		return append(dst, src...), nil
	case CodecGzip:
		return c.appendGzip(dst, src, level)
	case CodecSnappy:
		return c.appendSnappy(dst, src), nil
	case CodecLZ4:
		return c.appendLZ4(dst, src, level)
	case CodecZstd:
		return c.appendZstd(dst, src, level)
	default:
		return nil, errCodec
	}
}

func (c *compressor) appendGzip(dst, src []byte, level int) ([]byte, error) {
	if level == DefaultLevel || level < gzip.BestSpeed {
		level = gzip.DefaultCompression
	}
	level = min(level, gzip.BestCompression)
	out := appendWriter{dst}
	if c.gzip == nil || c.gzipLevel != level {
		w, err := gzip.NewWriterLevel(&out, level)
		if err != nil {
			return nil, err
		}
		c.gzip, c.gzipLevel = w, level
	} else {
		c.gzip.Reset(&out)
	}
	if _, err := c.gzip.Write(src); err != nil {
		return nil, err
	}
	if err := c.gzip.Close(); err != nil {
		return nil, err
	}
	c.gzip.Reset(nil)
	return out.b, nil
}

func (c *compressor) appendZstd(dst, src []byte, level int) ([]byte, error) {
	if level == DefaultLevel {
		level = 3
	}
	if c.zstd == nil || c.zstdLevel != level {
		w, err := zstd.NewWriter(nil,
			zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)),
			zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
			zstd.WithWindowSize(zstdWindow), zstd.WithEncoderCRC(false))
		if err != nil {
			return nil, err
		}
		c.zstd, c.zstdLevel = w, level
	}
	return c.zstd.EncodeAll(src, dst), nil
}

// zstdWindow is the window of the frames that we write: no more than every reader will keep.
const zstdWindow = 1 << 20

// appendWriter is an io.Writer that appends to a slice.
type appendWriter struct{ b []byte }

func (w *appendWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// grow returns b with room for n more bytes.
func grow(b []byte, n int) []byte { return slices.Grow(b, n) }
