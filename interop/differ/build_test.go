//go:build interop

package differ

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// The codecs of a batch's attributes, bits 0 to 2.
const (
	codecNone = iota
	codecGzip
	codecSnappy
	codecLZ4
	codecZstd
)

// rec is one record of a batch under construction.
type rec struct {
	attributes  int8
	tsDelta     int64
	offsetDelta int64
	key, value  []byte
	headers     [][2][]byte
}

// spec is a version 2 batch under construction. Its zero value with records is a good batch;
// the functions change the finished header or the finished bytes in order to spoil it.
type spec struct {
	recs    []rec
	codec   int16
	attrs   int16
	idem    bool // whether the producer's fields below are sent, rather than -1
	pid     int64
	epoch   int16
	seq     int32
	payload func([]byte) []byte // replaces the records' bytes before compression
	packed  func([]byte) []byte // replaces them after compression
	head    func(h []byte)      // changes the header before the CRC is taken
	bytes   func(b []byte)      // changes the bytes after it
}

// plainRecs makes n records without keys, a millisecond apart.
func plainRecs(n int) []rec {
	out := make([]rec, n)
	for i := range out {
		out[i] = rec{tsDelta: int64(i), offsetDelta: int64(i), value: []byte{'v', byte('0' + i%10)}}
	}
	return out
}

func good(n int) spec { return spec{recs: plainRecs(n)} }

// build encodes the batch.
func (s spec) build() []byte {
	var payload []byte
	maxDelta := int64(0)
	for _, r := range s.recs {
		payload = append(payload, r.encode()...)
		maxDelta = max(maxDelta, r.tsDelta)
	}
	if s.payload != nil {
		payload = s.payload(payload)
	}
	payload = compress(s.codec, payload)
	if s.packed != nil {
		payload = s.packed(payload)
	}
	pid, epoch, seq := s.pid, s.epoch, s.seq
	if !s.idem {
		pid, epoch, seq = -1, -1, -1
	}
	be := binary.BigEndian
	h := be.AppendUint64(nil, 0)
	h = be.AppendUint32(h, uint32(batchHead-12+len(payload)))
	h = be.AppendUint32(h, 0xffffffff)
	h = append(h, 2, 0, 0, 0, 0)
	h = be.AppendUint16(h, uint16(s.attrs|s.codec))
	h = be.AppendUint32(h, uint32(len(s.recs)-1))
	h = be.AppendUint64(h, uint64(base))
	h = be.AppendUint64(h, uint64(base+maxDelta))
	h = be.AppendUint64(h, uint64(pid))
	h = be.AppendUint16(h, uint16(epoch))
	h = be.AppendUint32(h, uint32(seq))
	h = be.AppendUint32(h, uint32(len(s.recs)))
	if s.head != nil {
		s.head(h)
	}
	b := append(h, payload...)
	be.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	if s.bytes != nil {
		s.bytes(b)
	}
	return b
}

// encode writes the record with its length.
func (r rec) encode() []byte {
	b := []byte{byte(r.attributes)}
	b = binary.AppendVarint(b, r.tsDelta)
	b = binary.AppendVarint(b, r.offsetDelta)
	b = appendBytes(b, r.key)
	b = appendBytes(b, r.value)
	b = binary.AppendVarint(b, int64(len(r.headers)))
	for _, h := range r.headers {
		b = appendBytes(appendBytes(b, h[0]), h[1])
	}
	return append(binary.AppendVarint(nil, int64(len(b))), b...)
}

// appendBytes writes a length and the bytes; nil has length -1.
func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(dst, -1)
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

// compress packs as Kafka's Java client does.
func compress(codec int16, b []byte) []byte {
	var out bytes.Buffer
	switch codec {
	case codecGzip:
		w := gzip.NewWriter(&out)
		w.Write(b)
		w.Close()
	case codecSnappy:
		return xerial(b)
	case codecLZ4:
		w := lz4.NewWriter(&out)
		w.Write(b)
		w.Close()
	case codecZstd:
		w, _ := zstd.NewWriter(&out)
		w.Write(b)
		w.Close()
	default:
		return b
	}
	return out.Bytes()
}

// xerial frames snappy blocks as the Java library of that name does: a magic, two versions, then
// blocks of up to 32 KiB, each behind its compressed length.
func xerial(b []byte) []byte {
	out := []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1}
	for len(b) > 0 {
		n := min(len(b), 32<<10)
		block := s2.EncodeSnappy(nil, b[:n])
		out = binary.BigEndian.AppendUint32(out, uint32(len(block)))
		out, b = append(out, block...), b[n:]
	}
	return out
}
