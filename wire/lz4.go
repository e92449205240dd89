package wire

import (
	"encoding/binary"
	"errors"
	"io"
	"math/bits"

	"github.com/pierrec/lz4/v4"
)

// The lz4 frame format as far as Kafka reads and writes it (class Lz4BlockInputStream): version 1,
// independent blocks, the header's checksum checked, a block's too where it has one, the content's
// checksum skipped. Little endian.
//
//	magic u32 | FLG u8 | BD u8 | [contentSize u64] | headerChecksum u8 |
//	blocks: size u32 (top bit: stored as is), bytes, [checksum u32] | 0 u32 | [contentChecksum u32]
const (
	lz4Magic           = 0x184D2204
	lz4StoredBit       = 1 << 31
	lz4FlagVersion     = 0xC0
	lz4FlagVersion1    = 0x40
	lz4FlagIndependent = 0x20
	lz4FlagBlockSum    = 0x10
	lz4FlagContentSize = 0x08
	lz4FlagContentSum  = 0x04
	lz4FlagReserved    = 0x03
	lz4DescReserved    = 0x8F
)

// lz4ExpansionMax is the most bytes that one byte of a compressed block can stand for.
const lz4ExpansionMax = 255

var errLZ4 = errors.New("not an lz4 frame that Kafka reads")

// lz4Frame is what a frame's header says.
type lz4Frame struct {
	blockMax             int
	blockSum, contentSum bool
	ended                bool
}

// open reads the header of a frame and returns what follows it.
func (f *lz4Frame) open(b []byte) ([]byte, error) {
	if len(b) < 7 || binary.LittleEndian.Uint32(b) != lz4Magic {
		return nil, errLZ4
	}
	flags, desc := b[4], b[5]
	if flags&lz4FlagVersion != lz4FlagVersion1 || flags&lz4FlagReserved != 0 ||
		flags&lz4FlagIndependent == 0 || desc&lz4DescReserved != 0 {
		return nil, errLZ4
	}
	sizeCode := int(desc >> 4 & 7)
	if sizeCode < 4 { // 4 to 7 stand for 64 KiB, 256 KiB, 1 MiB and 4 MiB.
		return nil, errLZ4
	}
	end := 6
	if flags&lz4FlagContentSize != 0 {
		end += 8
	}
	if len(b) <= end || byte(xxh32(b[4:end])>>8) != b[end] {
		return nil, errLZ4
	}
	*f = lz4Frame{
		blockMax: 1 << (8 + 2*sizeCode),
		blockSum: flags&lz4FlagBlockSum != 0, contentSum: flags&lz4FlagContentSum != 0,
	}
	return b[end+1:], nil
}

// lz4Block returns the next block, decompressed into the output buffer or as it is stored.
func (d *decompressor) lz4Block() ([]byte, error) {
	f := &d.lz4
	if f.ended {
		return nil, io.EOF
	}
	if len(d.src) < 4 {
		return nil, io.ErrUnexpectedEOF
	}
	head := binary.LittleEndian.Uint32(d.src)
	size := int(head &^ lz4StoredBit)
	d.src = d.src[4:]
	if head == 0 {
		return nil, d.lz4End()
	}
	sumSize := 0
	if f.blockSum {
		sumSize = 4
	}
	if size > f.blockMax || len(d.src) < size+sumSize {
		return nil, errLZ4
	}
	block := d.src[:size]
	if f.blockSum && binary.LittleEndian.Uint32(d.src[size:]) != xxh32(block) {
		return nil, errLZ4
	}
	d.src = d.src[size+sumSize:]
	if head&lz4StoredBit != 0 {
		return block, nil
	}
	n, err := lz4.UncompressBlock(block, d.buffer(min(f.blockMax, size*lz4ExpansionMax+16)))
	if err != nil {
		return nil, err
	}
	return d.output[:n], nil
}

// lz4End passes over the end mark's checksum. Nothing may follow the one frame.
func (d *decompressor) lz4End() error {
	d.lz4.ended = true
	rest := 0
	if d.lz4.contentSum {
		rest = 4
	}
	if len(d.src) != rest {
		return errLZ4
	}
	return io.EOF
}

// appendLZ4 appends src as a frame of independent 64 KiB blocks, as Kafka's own producer writes it.
// A level of lz4LevelDefault is the fast compressor, every other one the thorough one.
func (c *compressor) appendLZ4(dst, src []byte, level int) ([]byte, error) {
	const blockMax = 64 << 10
	header := [...]byte{0x04, 0x22, 0x4D, 0x18, lz4FlagVersion1 | lz4FlagIndependent, 4 << 4}
	dst = append(dst, header[:]...)
	dst = append(dst, byte(xxh32(header[4:])>>8))
	bound := lz4.CompressBlockBound(blockMax)
	for len(src) > 0 {
		block := src[:min(len(src), blockMax)]
		src = src[len(block):]
		c.block = grow(c.block[:0], bound)
		n, err := c.lz4Block(block, c.block[:bound], level)
		if err != nil {
			return nil, err
		}
		if n == 0 || n >= len(block) { // Incompressible: stored as it is.
			dst = binary.LittleEndian.AppendUint32(dst, uint32(len(block))|lz4StoredBit)
			dst = append(dst, block...)
			continue
		}
		dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
		dst = append(dst, c.block[:n]...)
	}
	return append(dst, 0, 0, 0, 0), nil
}

func (c *compressor) lz4Block(src, dst []byte, level int) (int, error) {
	if level == DefaultLevel || level == lz4LevelDefault {
		return c.lz4.CompressBlock(src, dst)
	}
	c.lz4HC.Level = lz4.CompressionLevel(1 << (8 + min(max(level, 1), 9)))
	return c.lz4HC.CompressBlock(src, dst)
}

// xxh32 is the checksum of the lz4 frame format: xxHash of 32 bits with seed 0.
func xxh32(b []byte) uint32 {
	const (
		p1 uint32 = 2654435761
		p2 uint32 = 2246822519
		p3 uint32 = 3266489917
		p4 uint32 = 668265263
		p5 uint32 = 374761393
	)
	h := p5 + uint32(len(b))
	if len(b) >= 16 {
		var seed uint32
		v1, v2, v3, v4 := seed+p1+p2, seed+p2, seed, seed-p1
		size := uint32(len(b))
		for ; len(b) >= 16; b = b[16:] {
			v1 = bits.RotateLeft32(v1+binary.LittleEndian.Uint32(b)*p2, 13) * p1
			v2 = bits.RotateLeft32(v2+binary.LittleEndian.Uint32(b[4:])*p2, 13) * p1
			v3 = bits.RotateLeft32(v3+binary.LittleEndian.Uint32(b[8:])*p2, 13) * p1
			v4 = bits.RotateLeft32(v4+binary.LittleEndian.Uint32(b[12:])*p2, 13) * p1
		}
		h = size + bits.RotateLeft32(v1, 1) + bits.RotateLeft32(v2, 7) +
			bits.RotateLeft32(v3, 12) + bits.RotateLeft32(v4, 18)
	}
	for ; len(b) >= 4; b = b[4:] {
		h = bits.RotateLeft32(h+binary.LittleEndian.Uint32(b)*p3, 17) * p4
	}
	for _, c := range b {
		h = bits.RotateLeft32(h+uint32(c)*p5, 11) * p1
	}
	h = (h ^ h>>15) * p2
	h = (h ^ h>>13) * p3
	return h ^ h>>16
}
