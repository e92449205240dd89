package wire

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// windowSize is how much of a gzip or zstd section is decompressed at a time: enough to amortise
// the calls, little enough to stay in L2 beside the compressed bytes.
const windowSize = 64 << 10

// outputRetainedMax is the largest output buffer that a decompressor keeps: the greatest block of
// an lz4 frame.
const outputRetainedMax = 4 << 20

// decompressor streams the records section of one batch at a time, chunk by chunk. It keeps its
// working memory, which is bounded by ZstdWindowMax, outputRetainedMax and windowSize. Its zero
// value is ready; it is for one goroutine.
type decompressor struct {
	codec Codec
	// src is what is left of the section, for the codecs that are framed here.
	src []byte
	// left is how many more bytes may come out.
	left int64
	// output holds the chunk lent last.
	output []byte
	in     bytes.Reader
	gzip   *gzip.Reader
	zstd   *zstd.Decoder
	lz4    lz4Frame
	// xerial says that src is a sequence of framed snappy blocks, not one bare block.
	xerial bool
}

// open begins a section of at most limit decompressed bytes. Call close when done with it.
func (d *decompressor) open(codec Codec, section []byte, limit int64) error {
	d.codec, d.src, d.left = codec, section, limit
	switch codec {
	case CodecGzip:
		err := d.openGzip()
		if err == io.EOF { // Not even a header: that is no end, there was no beginning.
			err = io.ErrUnexpectedEOF
		}
		return err
	case CodecSnappy:
		d.xerial = isXerial(section)
		return nil
	case CodecLZ4:
		var err error
		d.src, err = d.lz4.open(section)
		return err
	case CodecZstd:
		return d.openZstd()
	default:
		return errCodec
	}
}

var errCodec = errors.New("unknown compression codec")

func (d *decompressor) openGzip() error {
	d.in.Reset(d.src)
	if d.gzip == nil {
		r, err := gzip.NewReader(&d.in)
		d.gzip = r
		return err
	}
	return d.gzip.Reset(&d.in)
}

func (d *decompressor) openZstd() error {
	d.in.Reset(d.src)
	if d.zstd == nil {
		// One decoder, called from one goroutine: no concurrency of its own, and never the whole
		// output at once.
		r, err := zstd.NewReader(nil,
			zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(ZstdWindowMax), zstd.WithDecodeBuffersBelow(0))
		if err != nil {
			return err
		}
		d.zstd = r
	}
	return d.zstd.Reset(&d.in)
}

// next returns the next decompressed bytes, at least one, good until the next call; io.EOF at the
// end of the section, ErrTooLarge once more come out than was allowed, or what is wrong with
// them.
func (d *decompressor) next() ([]byte, error) {
	for {
		chunk, err := d.chunk()
		d.left -= int64(len(chunk))
		switch {
		case err != nil:
			return nil, err
		case d.left < 0:
			return nil, ErrTooLarge
		case len(chunk) > 0:
			return chunk, nil
		}
	}
}

// chunk returns the next bytes or none; never both an error and bytes.
func (d *decompressor) chunk() (chunk []byte, err error) {
	switch d.codec {
	case CodecGzip:
		return d.read(d.gzip)
	case CodecZstd:
		return d.read(d.zstd)
	case CodecLZ4:
		return d.lz4Block()
	default:
		return d.snappyBlock()
	}
}

// read fills the window from a library's reader. An error that comes with bytes comes again. A
// reader that yields neither is not asked forever.
func (d *decompressor) read(r io.Reader) ([]byte, error) {
	for range 100 {
		n, err := r.Read(d.buffer(windowSize))
		if n > 0 {
			return d.output[:n], nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, io.ErrNoProgress
}

// buffer returns the output buffer with the given length.
func (d *decompressor) buffer(n int) []byte {
	if cap(d.output) < n {
		d.output = make([]byte, max(n, windowSize))
	}
	return d.output[:n]
}

// close lets go of the section and of an output buffer that one unusual batch has grown.
func (d *decompressor) close() {
	d.src = nil
	d.in.Reset(nil)
	if cap(d.output) > outputRetainedMax {
		d.output = nil
	}
}

// decompressCode says how a section that does not decompress is answered. Kafka has no bound; what
// is beyond ours is told to be too large, upon which the Java client splits the batch. Bytes that
// are no such stream end in Kafka as an unexpected exception, hence the code.
func decompressCode(err error) (code int16, message string) {
	if errors.Is(err, ErrTooLarge) {
		return CodeMessageTooLarge, msgBomb
	}
	return CodeUnknownServerError, msgDecompress
}
