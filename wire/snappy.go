package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/s2"
)

// Snappy comes in two forms. Java's clients write xerial's framing (class SnappyOutputStream):
//
//	0x82 "SNAPPY" 0x00 | version i32 | compatible i32 | blocks: size i32, snappy block
//
// where the header may occur again between blocks; librdkafka, franz-go and others write one bare
// snappy block. Kafka reads both. A bare block has no window smaller than its output, so it is
// decompressed at one go; its tags are walked first, and the buffer is no larger than they add up
// to.

const (
	xerialHeaderSize = 16
	xerialBlockSize  = 32 << 10
)

var (
	xerialMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}
	errSnappy   = errors.New("not a snappy stream that Kafka reads")
)

func isXerial(b []byte) bool {
	return len(b) >= xerialHeaderSize && bytes.HasPrefix(b, xerialMagic)
}

// snappyBlock returns the next block, decompressed.
func (d *decompressor) snappyBlock() ([]byte, error) {
	if d.src == nil {
		return nil, io.EOF
	}
	if !d.xerial {
		block := d.src
		d.src = nil
		return d.snappyDecode(block)
	}
	for isXerial(d.src) {
		if int32(binary.BigEndian.Uint32(d.src[8:])) < 1 {
			return nil, errSnappy
		}
		d.src = d.src[xerialHeaderSize:]
	}
	if len(d.src) == 0 {
		d.src = nil
		return nil, io.EOF
	}
	if len(d.src) < 4 {
		return nil, errSnappy
	}
	size := int64(binary.BigEndian.Uint32(d.src))
	if size > int64(len(d.src)-4) {
		return nil, errSnappy
	}
	block := d.src[4 : 4+size]
	d.src = d.src[4+size:]
	return d.snappyDecode(block)
}

func (d *decompressor) snappyDecode(block []byte) ([]byte, error) {
	n, ok := snappySize(block)
	if !ok {
		return nil, errSnappy
	}
	if n > d.left {
		return nil, ErrTooLarge
	}
	return s2.Decode(d.buffer(int(n)), block)
}

// snappySize walks the tags of a snappy block and returns the size of its output, if that is what
// the block's own header claims. It refuses what the library would read but Kafka would not: a copy
// with offset 0, which S2 takes for a repetition.
func snappySize(block []byte) (size int64, ok bool) {
	claimed, n := binary.Uvarint(block)
	if n <= 0 || claimed > 1<<32-1 {
		return 0, false
	}
	b := block[n:]
	for len(b) > 0 {
		tag := b[0]
		length, head := int64(tag>>2)+1, 1
		switch tag & 3 {
		case 0: // A literal; 60 to 63 stand for a length of 1 to 4 bytes more.
			if extra := int(tag>>2) - 59; extra > 0 {
				if len(b) <= extra {
					return 0, false
				}
				length, head = 1, 1+extra
				for i := range extra {
					length += int64(b[1+i]) << (8 * i)
				}
			}
			if length > int64(len(b)-head) {
				return 0, false
			}
			head += int(length)
		case 1: // A copy of 4 to 11 bytes, with 11 bits of offset.
			length, head = int64(tag>>2&7)+4, 2
			if len(b) < head || tag>>5 == 0 && b[1] == 0 {
				return 0, false
			}
		case 2: // A copy of 1 to 64 bytes, with 16 bits of offset.
			head = 3
			if len(b) < head || b[1]|b[2] == 0 {
				return 0, false
			}
		default: // The same with 32 bits of offset.
			head = 5
			if len(b) < head || b[1]|b[2]|b[3]|b[4] == 0 {
				return 0, false
			}
		}
		size += length
		b = b[head:]
	}
	return size, size == int64(claimed)
}

// appendSnappy appends src in xerial's framing, with the block size of Java's clients.
func (c *compressor) appendSnappy(dst, src []byte) []byte {
	dst = append(dst, xerialMagic...)
	dst = append(dst, 0, 0, 0, 1, 0, 0, 0, 1)
	for len(src) > 0 {
		block := src[:min(len(src), xerialBlockSize)]
		src = src[len(block):]
		c.block = grow(c.block[:0], s2.MaxEncodedLen(len(block)))
		packed := s2.EncodeSnappy(c.block[:cap(c.block)], block)
		dst = appendInt32(dst, int32(len(packed)))
		dst = append(dst, packed...)
	}
	return dst
}
