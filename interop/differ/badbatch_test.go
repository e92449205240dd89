//go:build interop

package differ

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"testing"
)

// put writes big-endian values into a batch under construction.
func put16(at int, v uint16) func([]byte) {
	return func(b []byte) { binary.BigEndian.PutUint16(b[at:], v) }
}

func put32(at int, v uint32) func([]byte) {
	return func(b []byte) { binary.BigEndian.PutUint32(b[at:], v) }
}

func put64(at int, v uint64) func([]byte) {
	return func(b []byte) { binary.BigEndian.PutUint64(b[at:], v) }
}

// lenient matches the labels of spoiled batches that Kafka takes and this broker may refuse or
// mend. They go to a topic of their own, so that the offsets of all others stay comparable.
const lenient = "delta negative|deltas|record length 1 too|a byte more|half a batch more|" +
	"garbage more|followed by garbage|twice, codec"

var lenientRE = regexp.MustCompile(lenient)

// apart names the topic that a labelled batch goes to.
func apart(topic, label string) string {
	if lenientRE.MatchString(label) {
		return topic + "-lenient"
	}
	return topic
}

// badHeads spoil a batch's header, with a CRC that is right.
func badHeads() map[string]func([]byte) {
	return map[string]func([]byte){
		"last offset delta too big":       put32(23, 7),
		"last offset delta too small":     put32(23, 1),
		"last offset delta negative":      put32(23, 0xffffffff),
		"count too big":                   put32(57, 9),
		"count too small":                 put32(57, 2),
		"count 0":                         put32(57, 0),
		"count negative":                  put32(57, 0xffffffff),
		"count and delta too big":         func(b []byte) { put32(57, 9)(b); put32(23, 8)(b) },
		"count and delta too small":       func(b []byte) { put32(57, 2)(b); put32(23, 1)(b) },
		"count and delta absurd":          func(b []byte) { put32(57, 1<<30)(b); put32(23, 1<<30-1)(b) },
		"control bit":                     put16(21, 0x20),
		"transactional bit":               put16(21, 0x10),
		"delete horizon bit":              put16(21, 0x40),
		"unused attribute bit":            put16(21, 0x80),
		"all unused attribute bits":       put16(21, 0xff80),
		"codec 5":                         put16(21, 5),
		"codec 7":                         put16(21, 7),
		"max timestamp too low":           put64(35, uint64(base-1000)),
		"max timestamp too high":          put64(35, uint64(base+1000)),
		"max timestamp -1":                put64(35, 0xffffffffffffffff),
		"base timestamp -1":               put64(27, 0xffffffffffffffff),
		"base timestamp -2":               put64(27, 0xfffffffffffffffe),
		"producer id without sequence":    func(b []byte) { put64(43, 990001)(b); put16(51, 0)(b) },
		"producer epoch without id":       put16(51, 3),
		"sequence without id":             put32(53, 3),
		"producer id -2":                  put64(43, 0xfffffffffffffffe),
		"base offset 5":                   put64(0, 5),
		"base offset negative":            put64(0, 0xffffffffffffffff),
		"leader epoch 9":                  put32(12, 9),
		"leader epoch 0":                  put32(12, 0),
		"magic 3":                         func(b []byte) { b[16] = 3 },
		"magic 1":                         func(b []byte) { b[16] = 1 },
		"magic 0":                         func(b []byte) { b[16] = 0 },
		"magic -1":                        func(b []byte) { b[16] = 0xff },
		"transactional with producer id":  func(b []byte) { put16(21, 0x10)(b); put64(43, 990002)(b); put16(51, 0)(b); put32(53, 0)(b) },
		"control with producer id":        func(b []byte) { put16(21, 0x20)(b); put64(43, 990002)(b); put16(51, 0)(b); put32(53, 0)(b) },
		"batch length 1 too small":        func(b []byte) { binary.BigEndian.PutUint32(b[8:], binary.BigEndian.Uint32(b[8:])-1) },
		"batch length 1 too big":          func(b []byte) { binary.BigEndian.PutUint32(b[8:], binary.BigEndian.Uint32(b[8:])+1) },
		"batch length 0":                  put32(8, 0),
		"batch length 48":                 put32(8, 48),
		"batch length 49, the least":      put32(8, 49),
		"batch length negative":           put32(8, 0xffffffff),
		"batch length of the highest bit": put32(8, 0x80000000),
		"batch length absurd":             put32(8, 0x7fffffff),
	}
}

// TestBadBatchHeads sends each spoiled header, uncompressed and compressed.
func TestBadBatchHeads(t *testing.T) {
	compare(t, func(s *side) {
		s.create("bad-head", 1)
		heads := badHeads()
		for _, label := range sorted(heads) {
			for _, codec := range []int16{codecNone, codecGzip} {
				b := good(3)
				b.codec, b.head = codec, func(h []byte) {
					heads[label](h)
					h[22] |= byte(codec)
				}
				if bytes.HasPrefix([]byte(label), []byte("codec")) && codec != codecNone {
					continue
				}
				s.produce(label+", codec "+plainInt(codec), 12, "bad-head", b.build())
			}
		}
		s.send("read back", s.fetchReq(12, part{topic: "bad-head"}))
	})
}

// TestBadBatchBytes covers wrong CRCs, batches that are cut short, none, or too many.
func TestBadBatchBytes(t *testing.T) {
	two := func(a, b spec) []byte { return append(a.build(), b.build()...) }
	flip := func(i int) spec {
		b := good(3)
		b.bytes = func(b []byte) { b[i] ^= 1 }
		return b
	}
	one := good(3).build()
	cases := map[string][]byte{
		"empty":                       {},
		"one byte":                    {0},
		"11 bytes":                    one[:11],
		"12 bytes":                    one[:12],
		"17 bytes":                    one[:17],
		"60 bytes":                    one[:60],
		"61 bytes":                    one[:61],
		"all but the last byte":       one[:len(one)-1],
		"a byte more":                 append(bytes.Clone(one), 0),
		"half a batch more":           append(bytes.Clone(one), one[:30]...),
		"garbage more":                append(bytes.Clone(one), bytes.Repeat([]byte{0xaa}, 70)...),
		"zeros":                       make([]byte, 100),
		"garbage":                     bytes.Repeat([]byte{0x5a}, 100),
		"two batches":                 two(good(1), good(1)),
		"two batches, second spoiled": two(good(1), flip(20)),
		"crc wrong":                   flip(18).build(),
		"last byte flipped":           flip(len(one) - 1).build(),
		"attributes flipped":          flip(22).build(),
		"message set of version 1":    oldMessage(1),
		"message set of version 0":    oldMessage(0),
	}
	compare(t, func(s *side) {
		s.create("bad-bytes", 1)
		s.create("bad-bytes-lenient", 1)
		for _, label := range sorted(cases) {
			for _, v := range []int16{3, 8, 12} {
				s.produce(label, v, apart("bad-bytes", label), cases[label])
			}
		}
		s.wait = rawWait
		s.produce("null records", 12, "bad-bytes", nil)
		s.wait = answerWait
		s.send("read back", s.fetchReq(12, part{topic: "bad-bytes"}))
	})
}

// oldMessage is a message set of one record in a format before version 2, its CRC left at 0.
func oldMessage(magic byte) []byte {
	body := []byte{0, 0, 0, 0, magic, 0}
	if magic == 1 {
		body = binary.BigEndian.AppendUint64(body, uint64(base))
	}
	body = append(body, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 'v')
	out := binary.BigEndian.AppendUint32(make([]byte, 8), uint32(len(body)))
	return append(out, body...)
}

// TestBadRecords spoils the records inside a batch whose header and CRC are right.
func TestBadRecords(t *testing.T) {
	deltas := func(d ...int64) []rec {
		out := plainRecs(len(d))
		for i := range d {
			out[i].offsetDelta = d[i]
		}
		return out
	}
	one := plainRecs(1)[0].encode()
	replace := func(b ...byte) func([]byte) []byte { return func([]byte) []byte { return b } }
	cases := map[string]spec{
		"deltas with a gap":         {recs: deltas(0, 2, 3)},
		"deltas from 1":             {recs: deltas(1, 2, 3)},
		"deltas descending":         {recs: deltas(2, 1, 0)},
		"deltas all 0":              {recs: deltas(0, 0, 0)},
		"delta negative":            {recs: deltas(-1, 0, 1)},
		"no bytes":                  {recs: plainRecs(1), payload: replace()},
		"one byte short":            {recs: plainRecs(2), payload: cut(1)},
		"a byte more":               {recs: plainRecs(2), payload: more(0)},
		"a record more":             {recs: plainRecs(2), payload: more(one...)},
		"record length -1":          {recs: plainRecs(1), payload: replace(1)},
		"record length 0":           {recs: plainRecs(1), payload: replace(0)},
		"record length absurd":      {recs: plainRecs(1), payload: replace(0xfe, 0xff, 0xff, 0xff, 0x0f)},
		"record length endless":     {recs: plainRecs(1), payload: replace(0xff, 0xff, 0xff, 0xff, 0xff, 0xff)},
		"record length 1 too small": {recs: plainRecs(1), payload: first(-2)},
		"record length 1 too big":   {recs: plainRecs(1), payload: first(2)},
		"key length absurd":         {recs: plainRecs(1), payload: replace(14, 0, 0, 0, 0xfe, 0xff, 0xff, 0x0f)},
		"key length -2":             {recs: plainRecs(1), payload: replace(14, 0, 0, 0, 3, 2, 'v', 0)},
		"value length -2":           {recs: plainRecs(1), payload: replace(10, 0, 0, 0, 1, 3)},
		"value length past the end": {recs: plainRecs(1), payload: replace(14, 0, 0, 0, 1, 100, 'v', 0)},
		"header count -1":           {recs: plainRecs(1), payload: replace(14, 0, 0, 0, 1, 2, 'v', 1)},
		"header count 1 and none":   {recs: plainRecs(1), payload: replace(14, 0, 0, 0, 1, 2, 'v', 2)},
		"header count absurd": {
			recs:    plainRecs(1),
			payload: replace(20, 0, 0, 0, 1, 2, 'v', 0xfe, 0xff, 0xff, 0x0f),
		},
		"header with null key": {recs: plainRecs(1), payload: replace(18, 0, 0, 0, 1, 2, 'v', 2, 1, 1)},
		"bytes inside a record after its headers": {
			recs:    plainRecs(1),
			payload: replace(16, 0, 0, 0, 1, 2, 'v', 0, 0),
		},
	}
	compare(t, func(s *side) {
		s.create("bad-records", 1)
		s.create("bad-records-lenient", 1)
		for _, label := range sorted(cases) {
			for _, codec := range []int16{codecNone, codecGzip} {
				b := cases[label]
				b.codec = codec
				name := label + ", codec " + plainInt(codec)
				s.produce(name, 12, apart("bad-records", name), b.build())
			}
		}
		s.send("read back", s.fetchReq(12, part{topic: "bad-records"}))
	})
}

func cut(n int) func([]byte) []byte {
	return func(b []byte) []byte { return b[:len(b)-n] }
}

func more(extra ...byte) func([]byte) []byte {
	return func(b []byte) []byte { return append(b, extra...) }
}

// first changes the first byte, which holds twice the first record's length.
func first(d int8) func([]byte) []byte {
	return func(b []byte) []byte { b[0] += byte(d); return b }
}

// TestBadCompression covers garbage in place of each codec's stream, streams that are cut short
// or followed by more, and zstd before Produce version 7.
func TestBadCompression(t *testing.T) {
	garbage := func([]byte) []byte { return bytes.Repeat([]byte{0xa5, 1, 7}, 20) }
	compare(t, func(s *side) {
		s.create("bad-codec", 1)
		s.create("bad-codec-lenient", 1)
		for codec := int16(codecGzip); codec <= codecZstd; codec++ {
			b := good(3)
			b.codec = codec
			spoil := map[string]func([]byte) []byte{
				"garbage": garbage, "cut short": cut(3), "nothing": func([]byte) []byte { return nil },
				"first byte only": func(b []byte) []byte { return b[:1] },
				"followed by garbage": func(b []byte) []byte {
					return append(b, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4)
				},
				"twice": func(b []byte) []byte { return append(b, b...) },
			}
			for _, label := range sorted(spoil) {
				b.packed = spoil[label]
				name := label + ", codec " + plainInt(codec)
				s.produce(name, 12, apart("bad-codec", name), b.build())
			}
		}
		plain := good(3)
		plain.bytes = nil
		for codec := uint16(codecGzip); codec <= codecZstd; codec++ {
			plain.head = put16(21, codec)
			s.produce("uncompressed bytes marked as codec "+plain32(int32(codec)), 12, "bad-codec",
				plain.build())
		}
		zstd := good(3)
		zstd.codec = codecZstd
		for v := int16(3); v <= 7; v++ {
			s.produce("zstd", v, "bad-codec", zstd.build())
		}
		s.send("read back", s.fetchReq(12, part{topic: "bad-codec"}))
	})
}

// TestBatchSizes covers max.message.bytes and segment.bytes.
func TestBatchSizes(t *testing.T) {
	sized := func(n int) []byte {
		empty := len(spec{recs: []rec{{value: make([]byte, 3000)}}}.build()) - 3000
		return spec{recs: []rec{{value: make([]byte, n-empty)}}}.build()
	}
	compare(t, func(s *side) {
		s.create("size", 1, "max.message.bytes", "5000")
		for _, n := range []int{4999, 5000, 5001, 6000} {
			s.produce("a batch of "+plain32(int32(len(sized(n)))), 12, "size", sized(n))
		}
		packed := spec{codec: codecGzip, recs: []rec{{value: make([]byte, 1<<20)}}}
		s.produce("1 MiB of zeros in gzip", 12, "size", packed.build())
		s.create("size-segment", 1, "segment.bytes", "1048576", "max.message.bytes", "3000000")
		for _, n := range []int{1048575, 1048576, 1048577, 2000000} {
			s.produce("a batch of "+plain32(int32(n)), 12, "size-segment", sized2(n))
		}
		s.create("size-default", 1)
		for _, n := range []int{1048588, 1048589} {
			s.produce("a batch of "+plain32(int32(n)), 12, "size-default", sized2(n))
		}
		s.end("kept", "size")
		s.end("kept", "size-segment")
	})
}

// TestBatchRecordSizes covers max.decompressed.message.bytes, which bounds a single record.
func TestBatchRecordSizes(t *testing.T) {
	compare(t, func(s *side) {
		for _, kind := range []string{"producer", "uncompressed", "zstd"} {
			topic := "record-size-" + kind
			s.create(topic, 1, "max.decompressed.message.bytes", "1000", "compression.type", kind)
			for codec := int16(codecNone); codec <= codecZstd; codec++ {
				for _, n := range []int{989, 990, 991, 992, 993, 994, 995, 100_000} {
					b := good(3)
					b.codec, b.recs[1].value = codec, make([]byte, n)
					s.produce("to "+kind+", a value of "+plain32(int32(n))+", codec "+plainInt(codec), 12,
						topic, b.build())
				}
			}
			s.end("kept", topic)
		}
	})
}

// sized2 is a batch of exactly n bytes, n over 2 MiB or 16 KiB where varints are as long.
func sized2(n int) []byte {
	probe := 1_047_000
	empty := len(spec{recs: []rec{{value: make([]byte, probe)}}}.build()) - probe
	b := spec{recs: []rec{{value: make([]byte, n-empty)}}}.build()
	if len(b) != n {
		b = spec{recs: []rec{{value: make([]byte, n-empty-(len(b)-n))}}}.build()
	}
	return b
}
