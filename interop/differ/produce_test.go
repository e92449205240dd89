//go:build interop

package differ

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestProduceVersions covers every version, with each codec.
func TestProduceVersions(t *testing.T) {
	compare(t, func(s *side) {
		s.create("pr", 2)
		for v := int16(3); v <= 13; v++ {
			for codec := int16(codecNone); codec <= codecZstd; codec++ {
				b := good(3)
				b.codec = codec
				s.produce("codec "+plainInt(codec), v, "pr", b.build())
			}
		}
		s.send("read back", s.fetchReq(12, part{topic: "pr"}))
	})
}

// TestProduceRecords covers what good records may hold.
func TestProduceRecords(t *testing.T) {
	h := func(k, v string) [2][]byte { return [2][]byte{[]byte(k), []byte(v)} }
	records := map[string][]rec{
		"tombstone":              {{key: []byte("k")}},
		"null key and value":     {{}},
		"empty value":            {{key: []byte("k"), value: []byte{}}},
		"empty key":              {{key: []byte{}, value: []byte("v")}},
		"headers":                {{value: []byte("v"), headers: [][2][]byte{h("a", "1"), h("a", "2")}}},
		"header with null value": {{value: []byte("v"), headers: [][2][]byte{{[]byte("a"), nil}}}},
		"header with empty key":  {{value: []byte("v"), headers: [][2][]byte{h("", "1")}}},
		"negative time delta":    {{value: []byte("v"), tsDelta: -5}},
		"time going back": {
			{tsDelta: 9, value: []byte("v")},
			{tsDelta: 3, offsetDelta: 1, value: []byte("v")},
		},
		"record attributes":    {{attributes: 1, value: []byte("v")}},
		"all attribute bits":   {{attributes: -1, value: []byte("v")}},
		"a value of 64 KiB":    {{value: make([]byte, 64<<10)}},
		"a value of 1,000,000": {{value: make([]byte, 1_000_000)}},
	}
	compare(t, func(s *side) {
		s.create("pr-good", 1)
		for _, label := range sorted(records) {
			for codec := int16(codecNone); codec <= codecZstd; codec++ {
				b := spec{recs: records[label], codec: codec}
				s.produce(label+", codec "+plainInt(codec), 12, "pr-good", b.build())
			}
		}
		s.send("read back", s.fetchReq(12, part{topic: "pr-good"}))
	})
}

// TestProduceAcks covers the acks that exist and those that do not.
func TestProduceAcks(t *testing.T) {
	compare(t, func(s *side) {
		s.create("pr-acks", 1)
		s.create("pr-acks-isr", 1, "min.insync.replicas", "2")
		for _, v := range []int16{3, 8, 9, 12, 13} {
			for _, acks := range []int16{1, -1, 2, -2, 3, 32767} {
				s.send("acks "+plainInt(acks), s.produceReq(v, acks, "pr-acks", 0, good(1).build()))
			}
			s.fire("acks 0, v"+plainInt(v), s.produceReq(v, 0, "pr-acks", 0, good(1).build()))
			bad := good(1)
			bad.bytes = func(b []byte) { b[20]++ }
			s.fire("acks 0 and a wrong CRC, v"+plainInt(v),
				s.produceReq(v, 0, "pr-acks", 0, bad.build()))
			if v < 13 {
				s.fire("acks 0 to a missing topic, v"+plainInt(v),
					s.produceReq(v, 0, "pr-acks-missing", 0, good(1).build()))
			}
			s.fire("acks 0 to a missing partition, v"+plainInt(v),
				s.produceReq(v, 0, "pr-acks", 7, good(1).build()))
			for _, acks := range []int16{1, -1} {
				s.send("min.insync.replicas 2 of 1 replica, acks "+plainInt(acks),
					s.produceReq(v, acks, "pr-acks-isr", 0, good(1).build()))
			}
			zero := s.produceReq(v, -1, "pr-acks", 0, good(1).build())
			zero.TimeoutMillis = 0
			s.send("timeout 0", zero)
			zero = s.produceReq(v, -1, "pr-acks", 0, good(1).build())
			zero.TimeoutMillis = -1
			s.send("timeout -1", zero)
		}
		s.end("what was kept", "pr-acks")
	})
}

// TestProduceAddress covers topics and partitions that are not there.
func TestProduceAddress(t *testing.T) {
	compare(t, func(s *side) {
		s.create("pr-addr", 2)
		one := good(1).build()
		for v := int16(3); v <= 12; v++ {
			s.send("missing topic", s.produceReq(v, -1, "pr-addr-missing", 0, one))
			s.send("missing partition", s.produceReq(v, -1, "pr-addr", 2, one))
			s.send("negative partition", s.produceReq(v, -1, "pr-addr", -1, one))
			s.send("invalid name", s.produceReq(v, -1, "a b", 0, one))
			s.send("empty name", s.produceReq(v, -1, "", 0, one))
			mixed := s.produceReq(v, -1, "pr-addr", 0, one)
			p := mixed.Topics[0].Partitions[0]
			p.Partition = 1
			bad := p
			bad.Partition = 9
			mixed.Topics[0].Partitions = append(mixed.Topics[0].Partitions, p, bad)
			s.send("two partitions and one missing", mixed)
			s.send("no topic", emptyProduce(v))
		}
		internal := s.produceReq(12, -1, "__consumer_offsets", 0, one)
		s.send("internal topic", internal)
		byID := s.produceReq(13, -1, "pr-addr", 0, one)
		s.send("by id", byID)
		byID.Topics[0].TopicID = [16]byte{5}
		s.send("unknown id", byID)
		byID.Topics[0].TopicID = [16]byte{}
		s.send("zero id", byID)
		none := s.produceReq(12, -1, "pr-addr", 0, one)
		none.Topics[0].Partitions = nil
		s.send("topic without partitions", none)
		twice := s.produceReq(12, -1, "pr-addr", 0, one)
		twice.Topics[0].Partitions = append(twice.Topics[0].Partitions,
			twice.Topics[0].Partitions[0])
		s.send("the same partition twice", twice)
		topicTwice := s.produceReq(12, -1, "pr-addr", 0, one)
		topicTwice.Topics = append(topicTwice.Topics, topicTwice.Topics[0])
		s.send("the same topic twice", topicTwice)
		s.end("what was kept", "pr-addr")
	})
}

func emptyProduce(v int16) *kmsg.ProduceRequest {
	req := at(kmsg.NewPtrProduceRequest(), v)
	req.Acks, req.TimeoutMillis = -1, 5000
	return req
}

// TestProduceTimestamps covers message.timestamp.type and its bounds.
func TestProduceTimestamps(t *testing.T) {
	const hour = 3600_000
	compare(t, func(s *side) {
		s.create("pr-append", 1, "message.timestamp.type", "LogAppendTime")
		s.create("pr-create", 1)
		s.create("pr-before", 1, "message.timestamp.before.max.ms", "60000")
		late := good(2)
		late.recs[1].tsDelta = 3 * hour
		none := good(2)
		none.head = func(h []byte) { fillWith(h[27:43], 0xff) }
		oldest := good(1)
		oldest.head = func(h []byte) { fillWith(h[27:43], 0) }
		marked := good(2)
		marked.attrs = 8
		markedLow, markedHigh, markedNone, markedLate := marked, marked, marked, late
		markedLow.head, markedHigh.head = put64(35, uint64(base-1000)), put64(35, uint64(base+1000))
		markedNone.head, markedLate.attrs = put64(35, 0xffffffffffffffff), 8
		markedHidden := markedLate
		markedHidden.head = put64(35, uint64(base))
		for codec := int16(codecNone); codec <= codecGzip; codec++ {
			for _, topic := range []string{"pr-append", "pr-create", "pr-before"} {
				specs := map[string]spec{
					"plain": good(2), "in the future": late, "none": none, "of 1970": oldest,
					"marked LogAppendTime": marked, "marked, max too low": markedLow,
					"marked, max too high": markedHigh, "marked, max none": markedNone,
					"marked, in the future": markedLate, "marked, max hides the future": markedHidden,
				}
				for _, label := range sorted(specs) {
					b := specs[label]
					b.codec = codec
					s.produce(topic+" timestamps "+label+", codec "+plainInt(codec), 9, topic, b.build())
				}
			}
		}
		s.send("read back", s.fetchReq(12, part{topic: "pr-append"}, part{topic: "pr-create"}))
	})
}

func fillWith(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

// TestProduceCompacted: records without keys are refused, with their indexes (KIP-467).
func TestProduceCompacted(t *testing.T) {
	compare(t, func(s *side) {
		s.create("pr-compact", 1, "cleanup.policy", "compact")
		keyed := good(3)
		for i := range keyed.recs {
			keyed.recs[i].key = []byte{'k'}
		}
		gap := good(4)
		gap.recs[1].key, gap.recs[3].key = []byte("k"), []byte("k")
		for v := int16(3); v <= 13; v++ {
			for codec := int16(codecNone); codec <= codecGzip; codec++ {
				keyed.codec, gap.codec = codec, codec
				s.produce("with keys, codec "+plainInt(codec), v, "pr-compact", keyed.build())
				s.produce("two of four without, codec "+plainInt(codec), v, "pr-compact", gap.build())
			}
		}
		s.end("what was kept", "pr-compact")
	})
}

// TestProduceRecompress covers compression.type other than producer.
func TestProduceRecompress(t *testing.T) {
	compare(t, func(s *side) {
		for _, kind := range []string{"uncompressed", "gzip", "snappy", "lz4", "zstd"} {
			topic := "pr-to-" + kind
			s.create(topic, 1, "compression.type", kind)
			for codec := int16(codecNone); codec <= codecZstd; codec++ {
				b := good(5)
				b.codec = codec
				s.produce("codec "+plainInt(codec)+" to "+kind, 9, topic, b.build())
			}
			resp := must[*kmsg.FetchResponse](s, s.fetchReq(12, part{topic: topic}))
			s.recordCodecs(topic, resp.Topics[0].Partitions[0].RecordBatches)
		}
	})
}

// recordCodecs records which codec each stored batch has.
func (s *side) recordCodecs(label string, data []byte) {
	for len(data) > batchHead {
		var b kmsg.RecordBatch
		if b.ReadFrom(data) != nil {
			break
		}
		s.record(label, "batch", "offset "+plain32(int32(b.FirstOffset))+
			" attributes "+plainInt(b.Attributes)+" count "+plain32(b.NumRecords))
		data = data[12+b.Length:]
	}
}
