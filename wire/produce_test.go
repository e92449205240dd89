package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// unknownTags returns tagged fields that no version knows, or none.
func unknownTags(rnd *rand.Rand) (tags kmsg.Tags) {
	for n := rnd.Intn(3); n > 0; n-- {
		tags.Set(uint32(50+rnd.Intn(1000)), make([]byte, rnd.Intn(4)))
	}
	return tags
}

func randomUUID(rnd *rand.Rand) (id UUID) {
	rnd.Read(id[:])
	return id
}

func randomProduceRequest(rnd *rand.Rand, version int16) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks, q.TimeoutMillis = version, int16(rnd.Intn(3)-1), rnd.Int31()
	q.UnknownTags = unknownTags(rnd)
	if rnd.Intn(2) == 0 {
		q.TransactionID = kmsg.StringPtr("txn")
	}
	for range rnd.Intn(4) {
		topic := kmsg.NewProduceRequestTopic()
		topic.UnknownTags = unknownTags(rnd)
		if version >= 13 {
			topic.TopicID = randomUUID(rnd)
		} else {
			topic.Topic = fmt.Sprint("topic", rnd.Intn(10))
		}
		for range rnd.Intn(4) {
			part := kmsg.NewProduceRequestTopicPartition()
			part.Partition, part.UnknownTags = rnd.Int31(), unknownTags(rnd)
			if n := rnd.Intn(300); n > 0 {
				part.Records = make([]byte, n-1)
				rnd.Read(part.Records)
			}
			topic.Partitions = append(topic.Partitions, part)
		}
		q.Topics = append(q.Topics, topic)
	}
	return q
}

// sameProduce reports how a decoded request differs from the library's, or "".
func sameProduce(q *ProduceRequest, want *kmsg.ProduceRequest) string {
	if q.Acks != want.Acks || q.TimeoutMs != want.TimeoutMillis ||
		(q.TransactionalID == nil) != (want.TransactionID == nil) {
		return fmt.Sprintf("got %+v", q)
	}
	if want.TransactionID != nil && string(q.TransactionalID) != *want.TransactionID {
		return fmt.Sprintf("transactional id %q", q.TransactionalID)
	}
	if len(q.Topics) != len(want.Topics) {
		return fmt.Sprintf("%d topics", len(q.Topics))
	}
	for i := range q.Topics {
		topic, wantTopic := &q.Topics[i], &want.Topics[i]
		parts := q.PartsOf(topic)
		if string(topic.Name) != wantTopic.Topic || topic.ID != wantTopic.TopicID ||
			len(parts) != len(wantTopic.Partitions) {
			return fmt.Sprintf("topic %+v", topic)
		}
		for j, p := range parts {
			w := &wantTopic.Partitions[j]
			if p.Topic != int32(i) || p.Index != w.Partition || !bytes.Equal(p.Records, w.Records) ||
				(p.Records == nil) != (w.Records == nil) {
				return fmt.Sprintf("partition %+v", p)
			}
		}
	}
	return ""
}

// TestProduceRequest decodes what the library encodes, in every version, reusing one request.
func TestProduceRequest(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewSource(1))
	var q ProduceRequest
	for version := int16(3); version <= 13; version++ {
		for range 200 {
			want := randomProduceRequest(rnd, version)
			if err := q.Decode(want.AppendTo(nil), version); err != nil {
				t.Fatalf("v%d: %v", version, err)
			}
			if diff := sameProduce(&q, want); diff != "" {
				t.Fatalf("v%d: %s, want %+v", version, diff, want)
			}
		}
	}
}

// TestProduceRequestTruncated proves that a body cut anywhere is malformed.
func TestProduceRequestTruncated(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewSource(2))
	var q ProduceRequest
	for version := int16(3); version <= 13; version++ {
		body := randomProduceRequest(rnd, version).AppendTo(nil)
		for n := range body {
			if err := q.Decode(body[:n], version); !errors.Is(err, ErrMalformed) {
				t.Fatalf("v%d cut after %d of %d bytes: %v", version, n, len(body), err)
			}
		}
	}
}

// TestProduceRequestAbsurdCounts proves that a count which the frame cannot hold grows nothing.
func TestProduceRequestAbsurdCounts(t *testing.T) {
	t.Parallel()
	f := func(body string, version int16) {
		t.Helper()
		var q ProduceRequest
		if err := q.Decode([]byte(body), version); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q v%d: %v", body, version, err)
		}
		if cap(q.Topics)+cap(q.Parts) > 8 {
			t.Errorf("%q v%d: room for %d topics, %d parts", body, version, cap(q.Topics), cap(q.Parts))
		}
	}
	f("\xff\xff\x00\x01\x00\x00\x00\x00\x7f\xff\xff\xff", 3)
	f("\xff\xff\x00\x01\x00\x00\x00\x00\xff\xff\xff\xff", 3)
	f("\xff\xff\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01t\x10\x00\x00\x00", 3)
	f("\x00\x00\x01\x00\x00\x00\x00\xff\xff\xff\xff\x0f", 9)
	f("\x00\x00\x01\x00\x00\x00\x00\x02\x02t\xff\xff\xff\xff\x0f", 9)
	f("\x00\x00\x01\x00\x00\x00\x00\x00", 9) // Null topics.
	f("\x00\x00\x01\x00\x00\x00\x00\x02\x00\x01\x00\x00", 9)
	f("", 2)
	f("", 14)
	many := append([]byte("\xff\xff\x00\x01\x00\x00\x00\x00\x00\x10\x00\x01"),
		make([]byte, (PartitionsMax+1)*6)...)
	var q ProduceRequest
	if err := q.Decode(many, 3); !errors.Is(err, ErrMalformed) || cap(q.Topics) > 0 {
		t.Errorf("more than PartitionsMax topics: %v, %d", err, cap(q.Topics))
	}
}

// TestProduceRequestReset proves that a request at rest holds nothing of a frame, nor much memory.
func TestProduceRequestReset(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewSource(3))
	var q ProduceRequest
	for len(q.Parts) == 0 {
		if err := q.Decode(randomProduceRequest(rnd, 9).AppendTo(nil), 9); err != nil {
			t.Fatal(err)
		}
	}
	q.Reset()
	if q.TransactionalID != nil || q.Parts[:1][0].Records != nil || q.Topics[:1][0].Name != nil {
		t.Error("a reset request still points into the frame")
	}
	q.Parts = make([]ProducePart, 0, retainedElements+1)
	if q.Reset(); q.Parts != nil {
		t.Error("a reset request keeps what one large frame has grown")
	}
}

// produceBody returns a typical request: one topic, one partition, one batch.
func produceBody(t testing.TB, version int16, records []byte) []byte {
	t.Helper()
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks, q.TimeoutMillis = version, -1, 30000
	topic := kmsg.NewProduceRequestTopic()
	if version >= 13 {
		topic.TopicID = UUID{1, 2, 3}
	} else {
		topic.Topic = "some-topic"
	}
	part := kmsg.NewProduceRequestTopicPartition()
	part.Partition, part.Records = 5, records
	topic.Partitions = append(topic.Partitions, part)
	q.Topics = append(q.Topics, topic)
	return q.AppendTo(nil)
}

func TestProduceDecodeAllocatesNothing(t *testing.T) {
	body := produceBody(t, 11, make([]byte, 1000))
	var q ProduceRequest
	n := testing.AllocsPerRun(100, func() {
		if err := q.Decode(body, 11); err != nil {
			t.Fatal(err)
		}
		q.Reset()
	})
	if n != 0 {
		t.Errorf("%v allocations per request", n)
	}
}

// TestProduceResponse encodes random responses in every version and has the library read them and
// write them again, byte for byte.
func TestProduceResponse(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewSource(4))
	for version := int16(3); version <= 13; version++ {
		for range 200 {
			b, parts := randomProduceResponse(rnd, version)
			r := kmsg.NewPtrProduceResponse()
			r.Version = version
			if err := r.ReadFrom(b); err != nil {
				t.Fatalf("v%d: %v", version, err)
			}
			if again := r.AppendTo(nil); !bytes.Equal(b, again) {
				t.Fatalf("v%d: the library writes\n%q, not\n%q", version, again, b)
			}
			if diff := sameProduceParts(r, version, parts); diff != "" {
				t.Fatalf("v%d: %s", version, diff)
			}
		}
	}
}

func randomProduceResponse(rnd *rand.Rand, version int16) ([]byte, []ProducePartition) {
	var all []ProducePartition
	topics := rnd.Intn(3)
	b := AppendProduceResponseStart(nil, version, topics)
	for range topics {
		parts := rnd.Intn(3)
		b = AppendProduceTopicStart(b, version, []byte("topic"), randomUUID(rnd), parts)
		for range parts {
			p := ProducePartition{
				Index: rnd.Int31(), ErrorCode: int16(rnd.Intn(100)), BaseOffset: rnd.Int63(),
				LogAppendTimeMs: rnd.Int63(), LogStartOffset: rnd.Int63(),
			}
			if rnd.Intn(2) == 0 {
				p.ErrorMessage = "what is wrong"
				p.RecordErrors = []RecordError{{3, "why"}, {4, ""}}
			}
			if rnd.Intn(2) == 0 {
				p.Leader = CurrentLeader{LeaderID: rnd.Int31(), LeaderEpoch: 0, Set: true}
			}
			b = AppendProducePartition(b, version, &p)
			all = append(all, p)
		}
		b = AppendProduceTopicEnd(b, version)
	}
	return AppendProduceResponseEnd(b, version, 17, randomEndpoints(rnd)), all
}

func randomEndpoints(rnd *rand.Rand) (e []NodeEndpoint) {
	for n := rnd.Intn(3); n > 0; n-- {
		e = append(e, NodeEndpoint{NodeID: rnd.Int31(), Host: "host", Port: 9092})
		if rnd.Intn(2) == 0 {
			e[len(e)-1].Rack = "rack"
		}
	}
	return e
}

func sameProduceParts(r *kmsg.ProduceResponse, version int16, parts []ProducePartition) string {
	if r.ThrottleMillis != 17 {
		return "throttle"
	}
	for _, topic := range r.Topics {
		for _, p := range topic.Partitions {
			want := parts[0]
			parts = parts[1:]
			if p.Partition != want.Index || p.ErrorCode != want.ErrorCode ||
				p.BaseOffset != want.BaseOffset || p.LogAppendTime != want.LogAppendTimeMs {
				return fmt.Sprintf("got %+v, want %+v", p, want)
			}
			if version >= 5 && p.LogStartOffset != want.LogStartOffset {
				return "log start offset"
			}
			if version >= 8 && len(p.ErrorRecords) != len(want.RecordErrors) {
				return "record errors"
			}
			if version >= 10 && want.Leader.Set && p.CurrentLeader.LeaderID != want.Leader.LeaderID {
				return "leader"
			}
		}
	}
	return ""
}

func FuzzProduceRequest(f *testing.F) {
	rnd := rand.New(rand.NewSource(5))
	for version := int16(3); version <= 13; version++ {
		f.Add(randomProduceRequest(rnd, version).AppendTo(nil), version)
		f.Add(produceBody(f, version, buildBatch(f, CodecNone, 2, 30)), version)
	}
	var q ProduceRequest
	f.Fuzz(func(t *testing.T, body []byte, version int16) {
		if q.Decode(body, version) != nil {
			return
		}
		want := kmsg.NewPtrProduceRequest()
		want.Version = version
		if err := want.ReadFrom(body); err != nil {
			t.Fatal("the library refuses it:", err)
		}
		if diff := sameProduce(&q, want); diff != "" {
			t.Error(diff)
		}
	})
}

func BenchmarkProduceDecode(b *testing.B) {
	body := produceBody(b, 11, make([]byte, 64<<10))
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	b.RunParallel(func(pb *testing.PB) {
		var q ProduceRequest
		for pb.Next() {
			if err := q.Decode(body, 11); err != nil {
				b.Error(err)
			}
			q.Reset()
		}
	})
}

func BenchmarkProduceResponse(b *testing.B) {
	var dst []byte
	p := ProducePartition{Index: 5, BaseOffset: 1 << 40, LogAppendTimeMs: -1}
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendProduceResponseStart(dst[:0], 11, 1)
		dst = AppendProduceTopicStart(dst, 11, []byte("some-topic"), UUID{}, 1)
		dst = AppendProducePartition(dst, 11, &p)
		dst = AppendProduceTopicEnd(dst, 11)
		dst = AppendProduceResponseEnd(dst, 11, 0, nil)
	}
	b.SetBytes(int64(len(dst)))
}
