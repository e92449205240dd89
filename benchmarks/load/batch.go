package load

import (
	"encoding/binary"
	"math/rand/v2"

	"sluice/benchmarks/workload"
	"sluice/wire"
)

// Where fields of a batch's header stand; see package wire.
const (
	headerLength   = 8
	headerEpoch    = 12
	headerMagic    = 16
	headerCRC      = 17
	headerSealed   = 21 // the checksum covers everything from here on
	headerDelta    = 23
	headerBaseTime = 27
	headerMaxTime  = 35
	headerProducer = 43
	headerPEpoch   = 51
	headerSequence = 53
	headerCount    = 57
)

const (
	// variantBytesMax bounds what is encoded beforehand for partitions that share their batches:
	// little enough to stay near the cores, and still not one page sent over and over.
	variantBytesMax = 1 << 20
	variantsMax     = 8
	// keyedBytesMax bounds the batches encoded beforehand where each partition has keys of its own.
	keyedBytesMax = 64 << 20
	// sizesDrawn is how many sizes are drawn from a distribution; a partition's records repeat them.
	sizesDrawn = 4096
	// keysMax bounds the keys in use: their tables take 8 bytes a key.
	keysMax = 1 << 22
	// compressionBlock is the stretch of a value that is random for one part and repeats one byte
	// for the rest, so that any piece of it compresses alike.
	compressionBlock = 64
)

// full is a whole batch, encoded beforehand. It is shared and never written to.
type full struct {
	header  [wire.BatchHeaderSize]byte
	body    []byte
	records int32
}

// maker knows how the records of a run look. Once made it does not change; threads share it.
type maker struct {
	codec      wire.Codec
	batchBytes int
	recordsMax int
	keyBytes   int // -1: null keys
	stamped    bool
	tag        uint64

	// sizes has one entry where all values are of one size.
	sizes []int32
	// pool holds what values are cut from: span bytes, and as many more as the largest value has.
	pool []byte
	span int

	// A template is the body of a full batch of records without keys, equal in size, uncompressed.
	// Its first k records end at ends[k-1]; the value of record i begins at values[i].
	template     []byte
	ends, values []int32

	keys *keyring
}

func newMaker(spec workload.Spec, stamped bool) *maker {
	codec, _ := wire.CodecByName(spec.Compression)
	m := &maker{
		codec: codec, batchBytes: spec.BatchBytes, recordsMax: workload.BatchRecordsMax,
		keyBytes: -1, stamped: stamped,
	}
	if spec.BatchRecords > 0 {
		m.recordsMax = spec.BatchRecords
	}
	rng := rand.New(rand.NewPCG(spec.Seed, 0x51ce))
	m.tag = rng.Uint64()
	size := spec.RecordSizes()
	m.drawSizes(size, rng)
	m.fillPool(max(spec.BatchBytes, 64<<10), size.Max(), spec.Compressibility, rng)
	if spec.Keys > 0 {
		m.keyBytes = workload.KeyBytes
		m.keys = newKeyring(min(spec.Keys, keysMax), max(1, spec.Topics), spec.Partitions, rng)
	}
	if m.keys == nil && m.uniform() && codec == wire.CodecNone {
		m.buildTemplate()
	}
	return m
}

func (m *maker) drawSizes(size workload.Size, rng *rand.Rand) {
	n := sizesDrawn
	if size.Fixed() {
		n = 1
	}
	for range n {
		s := size.Next(rng)
		if m.stamped {
			s = max(s, workload.StampBytes)
		}
		m.sizes = append(m.sizes, int32(s))
	}
}

// fillPool makes the bytes of which values are cut. A batch's values are cut one behind the other,
// so that no two of a batch are the same, unless they are to repeat.
func (m *maker) fillPool(span, more int, compressibility float64, rng *rand.Rand) {
	m.span = span
	m.pool = make([]byte, span+more+compressionBlock)
	random := int((1-compressibility)*compressionBlock + 0.5)
	for at := 0; at < len(m.pool); at += compressionBlock {
		block := m.pool[at:min(at+compressionBlock, len(m.pool))]
		for i := range block {
			block[i] = 'x'
			if i < random {
				block[i] = byte(rng.Uint32())
			}
		}
	}
}

func (m *maker) uniform() bool { return len(m.sizes) == 1 }

// valueSize is the size of the value of a lane's record.
func (m *maker) valueSize(ordinal int64) int {
	if len(m.sizes) == 1 {
		return int(m.sizes[0])
	}
	return int(m.sizes[ordinal%int64(len(m.sizes))])
}

// poolAt is where the values of a batch begin in the pool.
func (m *maker) poolAt(first int64) int {
	return int(uint64(first) * 8191 * compressionBlock % uint64(m.span))
}

// buildTemplate encodes the records of a full batch.
func (m *maker) buildTemplate() {
	size, at, n := int(m.sizes[0]), 0, 0
	total := wire.BatchHeaderSize
	for n < m.recordsMax {
		next := workload.RecordSizeAt(n, -1, size)
		if n > 0 && total+next > m.batchBytes {
			break
		}
		body := next - varintSize(workloadBody(n, size))
		m.template = appendVarint(m.template, body)
		m.template = append(m.template, 0, 0) // Attributes, timestamp delta.
		m.template = appendVarint(m.template, n)
		m.template = append(m.template, 1) // A null key.
		m.template = appendVarint(m.template, size)
		m.values = append(m.values, int32(len(m.template)))
		m.template = append(m.template, m.pool[at:at+size]...)
		m.template = append(m.template, 0) // No headers.
		m.ends = append(m.ends, int32(len(m.template)))
		at = (at + size) % m.span
		total += next
		n++
	}
	if m.stamped {
		for _, v := range m.values {
			binary.BigEndian.PutUint64(m.template[v+8:], m.tag)
		}
	}
}

// workloadBody is the size of a record without key behind its length field.
func workloadBody(index, size int) int {
	return 1 + 1 + varintSize(index) + 1 + varintSize(size) + size + 1
}

// fullBatches encodes as many full batches of a lane as are to be sent in turn.
func (m *maker) fullBatches(l *lane, nowMs int64, variants int) []full {
	b := wire.NewBatchBuilder()
	b.Codec = m.codec
	var out []full
	ordinal := int64(0)
	for range variants {
		k := m.fit(l, ordinal)
		b.Reset()
		m.build(b, l, ordinal, k, nowMs, nil, nil)
		batch, err := b.Build(nil)
		if err != nil {
			panic("BUG: a validated codec does not encode: " + err.Error())
		}
		f := full{body: batch[wire.BatchHeaderSize:], records: int32(k)}
		copy(f.header[:], batch)
		out = append(out, f)
		ordinal += int64(k)
	}
	return out
}

// fit is how many records from a lane's ordinal on fill a batch.
func (m *maker) fit(l *lane, ordinal int64) int {
	if m.template != nil {
		return len(m.ends)
	}
	size, k := wire.BatchHeaderSize, 0
	for k < m.recordsMax {
		size += workload.RecordSizeAt(k, m.keyBytes, m.valueSize(ordinal+int64(k)))
		if k > 0 && size > m.batchBytes {
			break
		}
		k++
	}
	return k
}

// build gives k records of a lane to a builder. With stamps, due tells a record's time and scratch
// is where a value is put together.
func (m *maker) build(
	b *wire.BatchBuilder, l *lane, first int64, k int, nowMs int64, due func(int64) int64, scratch []byte,
) []byte {
	var keyBuffer [workload.KeyBytes]byte
	var key []byte
	at := m.poolAt(first)
	for i := range int64(k) {
		size := m.valueSize(first + i)
		value := m.pool[at : at+size]
		at = (at + size) % m.span
		if due != nil {
			scratch = append(scratch[:0], value...)
			binary.BigEndian.PutUint64(scratch, uint64(due(first+i)))
			binary.BigEndian.PutUint64(scratch[8:], m.tag)
			value = scratch
		}
		if m.keys != nil {
			key = m.keys.key(&keyBuffer, m.keys.slot(l.part.id, first+i))
		}
		b.Append(nowMs, key, value)
	}
	return scratch
}

// producerID is what an idempotent producer puts into its batches (KIP-98).
type producerID struct {
	id    int64
	epoch int16
}

var noProducerID = producerID{wire.NoProducerID, wire.NoProducerEpoch}

// fillHeader writes the header of a batch of k records and seals it.
func fillHeader(h []byte, body []byte, k int32, nowMs int64, p producerID, sequence int32) {
	h = h[:wire.BatchHeaderSize]
	clear(h[:headerLength])
	binary.BigEndian.PutUint32(h[headerLength:], uint32(len(h)-wire.BatchPrefixSize+len(body)))
	binary.BigEndian.PutUint32(h[headerEpoch:], 0xffffffff)
	h[headerMagic] = wire.MagicV2
	h[headerSealed], h[headerSealed+1] = 0, 0
	binary.BigEndian.PutUint32(h[headerDelta:], uint32(k-1))
	binary.BigEndian.PutUint64(h[headerBaseTime:], uint64(nowMs))
	binary.BigEndian.PutUint64(h[headerMaxTime:], uint64(nowMs))
	binary.BigEndian.PutUint32(h[headerCount:], uint32(k))
	stampProducer(h, p, sequence)
	seal(h, body)
}

func stampProducer(h []byte, p producerID, sequence int32) {
	binary.BigEndian.PutUint64(h[headerProducer:], uint64(p.id))
	binary.BigEndian.PutUint16(h[headerPEpoch:], uint16(p.epoch))
	binary.BigEndian.PutUint32(h[headerSequence:], uint32(sequence))
}

// seal computes the checksum of a batch in two pieces.
func seal(h, body []byte) {
	crc := wire.UpdateCRC(wire.CRC(h[headerSealed:wire.BatchHeaderSize]), body)
	binary.BigEndian.PutUint32(h[headerCRC:], crc)
}

func appendVarint(dst []byte, v int) []byte {
	return binary.AppendUvarint(dst, uint64(v)<<1)
}

func varintSize(v int) int {
	var b [binary.MaxVarintLen64]byte
	return binary.PutUvarint(b[:], uint64(v)<<1)
}
