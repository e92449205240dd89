package wire

import "encoding/binary"

// Recompressor makes the batch that a topic with its own compression.type stores in place of the
// producer's. It keeps its working memory; the zero value is ready. It is for one goroutine.
type Recompressor struct {
	records    Records
	section    []byte
	compressor compressor
}

// Recompress appends to dst a batch with the records of b under another codec and level
// (DefaultLevel for the codec's own), with offset deltas that are consecutive from 0, and with a
// new checksum. Everything else in the header stays. The records may decompress to at most
// boundMax bytes, 0 standing for DecompressedBytesMax; they are held in memory whole meanwhile.
// Errors are those of Records, or of a codec that does not exist. The new batch may exceed
// max.message.bytes: the caller checks again, as Kafka does.
func (c *Recompressor) Recompress(
	dst []byte, b Batch, to Codec, level int, boundMax int64,
) ([]byte, error) {
	defer c.release()
	c.section = c.section[:0]
	c.records.Open(b, boundMax)
	var rec Record
	count := int32(0)
	for c.records.Next(&rec) {
		c.section = appendRecord(c.section, &rec, count)
		count++
	}
	if err := c.records.Err(); err != nil {
		return nil, err
	}
	at := len(dst)
	dst = append(dst, b[:BatchHeaderSize]...)
	dst, err := c.compressor.append(dst, c.section, to, level)
	if err != nil {
		return nil, err
	}
	n := Batch(dst[at:])
	binary.BigEndian.PutUint32(n[posLength:], uint32(len(n)-BatchPrefixSize))
	n[posAttributes] = 0
	n[posAttributes+1] = n[posAttributes+1]&attrKnown&^attrCodecMask | byte(to)
	n.Reseal()
	return dst, nil
}

// release lets go of the batch and of memory that one unusual batch has grown.
func (c *Recompressor) release() {
	c.records.Close()
	if cap(c.section) > outputRetainedMax {
		c.section = nil
	}
}

// appendRecord appends a record as it is, but for its offset delta.
func appendRecord(dst []byte, r *Record, offsetDelta int32) []byte {
	size := 1 + varlongSize(r.TimestampDelta) + varintSize(offsetDelta) +
		fieldSize(r.Key) + fieldSize(r.Value) + varintSize(r.HeaderCount) + len(r.headers)
	dst = appendVarint(dst, int32(size))
	dst = append(dst, 0)
	dst = appendVarlong(dst, r.TimestampDelta)
	dst = appendVarint(dst, offsetDelta)
	dst = appendField(dst, r.Key)
	dst = appendField(dst, r.Value)
	dst = appendVarint(dst, r.HeaderCount)
	return append(dst, r.headers...)
}
