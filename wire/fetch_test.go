package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func randomFetchRequest(rnd *rand.Rand, version int16) *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.MaxWaitMillis, q.MinBytes, q.MaxBytes = version, rnd.Int31(), rnd.Int31(), rnd.Int31()
	q.IsolationLevel, q.UnknownTags = int8(rnd.Intn(2)), unknownTags(rnd)
	if version < 15 {
		q.ReplicaID = rnd.Int31n(3) - 1
	} else if rnd.Intn(2) == 0 {
		q.ReplicaState.ID, q.ReplicaState.Epoch = rnd.Int31(), rnd.Int63()
		q.ReplicaState.UnknownTags = unknownTags(rnd)
	}
	if version >= 7 {
		q.SessionID, q.SessionEpoch = rnd.Int31(), rnd.Int31()
	}
	if version >= 11 {
		q.Rack = fmt.Sprint("rack", rnd.Intn(100))
	}
	if version >= 12 && rnd.Intn(2) == 0 {
		q.ClusterID = kmsg.StringPtr("cluster")
	}
	for range rnd.Intn(4) {
		topic := kmsg.NewFetchRequestTopic()
		topic.UnknownTags = unknownTags(rnd)
		if version >= 13 {
			topic.TopicID = randomUUID(rnd)
		} else {
			topic.Topic = fmt.Sprint("topic", rnd.Intn(10))
		}
		for range rnd.Intn(4) {
			topic.Partitions = append(topic.Partitions, randomFetchPart(rnd, version))
		}
		q.Topics = append(q.Topics, topic)
	}
	for range rnd.Intn(3) * min(int(version)/7, 1) {
		topic := kmsg.NewFetchRequestForgottenTopic()
		topic.UnknownTags = unknownTags(rnd)
		if version >= 13 {
			topic.TopicID = randomUUID(rnd)
		} else {
			topic.Topic = "forgotten"
		}
		for range rnd.Intn(3) {
			topic.Partitions = append(topic.Partitions, rnd.Int31())
		}
		q.ForgottenTopics = append(q.ForgottenTopics, topic)
	}
	return q
}

func randomFetchPart(rnd *rand.Rand, version int16) kmsg.FetchRequestTopicPartition {
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = rnd.Int31(), rnd.Int63(), rnd.Int31()
	p.UnknownTags = unknownTags(rnd)
	if version >= 5 {
		p.LogStartOffset = rnd.Int63()
	}
	if version >= 9 {
		p.CurrentLeaderEpoch = rnd.Int31()
	}
	if version >= 12 {
		p.LastFetchedEpoch = rnd.Int31()
	}
	if version >= 17 && rnd.Intn(2) == 0 {
		p.ReplicaDirectoryID = randomUUID(rnd)
	}
	if version >= 18 && rnd.Intn(2) == 0 {
		p.HighWatermark = rnd.Int63()
	}
	return p
}

// sameFetch reports how a decoded request differs from the library's, or "".
func sameFetch(q *FetchRequest, want *kmsg.FetchRequest) string {
	replica, epoch := want.ReplicaID, int64(-1)
	if q.Version >= 15 {
		replica, epoch = want.ReplicaState.ID, want.ReplicaState.Epoch
	}
	if q.ReplicaID != replica || q.ReplicaEpoch != epoch || q.MaxWaitMs != want.MaxWaitMillis ||
		q.MinBytes != want.MinBytes || q.MaxBytes != want.MaxBytes ||
		q.Isolation != want.IsolationLevel || q.SessionID != want.SessionID ||
		q.SessionEpoch != want.SessionEpoch || string(q.RackID) != want.Rack ||
		(q.ClusterID == nil) != (want.ClusterID == nil) {
		return fmt.Sprintf("got %+v", q)
	}
	if len(q.Topics) != len(want.Topics) || len(q.Forgotten) != len(want.ForgottenTopics) {
		return fmt.Sprintf("%d topics, %d forgotten", len(q.Topics), len(q.Forgotten))
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
			if p != (FetchPart{
				Topic: int32(i), Index: w.Partition, CurrentLeaderEpoch: w.CurrentLeaderEpoch,
				LastFetchedEpoch: w.LastFetchedEpoch, FetchOffset: w.FetchOffset,
				LogStartOffset: w.LogStartOffset, HighWatermark: w.HighWatermark,
				MaxBytes: w.PartitionMaxBytes, DirectoryID: w.ReplicaDirectoryID,
			}) {
				return fmt.Sprintf("partition %+v, want %+v", p, w)
			}
		}
	}
	for i := range q.Forgotten {
		topic, wantTopic := &q.Forgotten[i], &want.ForgottenTopics[i]
		if string(topic.Name) != wantTopic.Topic || topic.ID != wantTopic.TopicID ||
			!slices.Equal(q.ForgottenOf(topic), wantTopic.Partitions) {
			return fmt.Sprintf("forgotten %+v", topic)
		}
	}
	return ""
}

// TestFetchRequest decodes what the library encodes, in every version, reusing one request.
func TestFetchRequest(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewSource(1))
	var q FetchRequest
	for version := int16(4); version <= 18; version++ {
		for range 200 {
			want := randomFetchRequest(rnd, version)
			if err := q.Decode(want.AppendTo(nil), version); err != nil {
				t.Fatalf("v%d: %v", version, err)
			}
			if diff := sameFetch(&q, want); diff != "" {
				t.Fatalf("v%d: %s, want %+v", version, diff, want)
			}
		}
	}
}

// TestFetchRequestTruncated proves that a body cut anywhere is malformed.
func TestFetchRequestTruncated(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewSource(2))
	var q FetchRequest
	for version := int16(4); version <= 18; version++ {
		body := randomFetchRequest(rnd, version).AppendTo(nil)
		for n := range body {
			if err := q.Decode(body[:n], version); !errors.Is(err, ErrMalformed) {
				t.Fatalf("v%d cut after %d of %d bytes: %v", version, n, len(body), err)
			}
		}
	}
}

// TestFetchRequestAbsurdCounts proves that a count which the frame cannot hold grows nothing.
func TestFetchRequestAbsurdCounts(t *testing.T) {
	t.Parallel()
	f := func(version int16, tail string) {
		t.Helper()
		var q FetchRequest
		head := bytes.Repeat([]byte{0}, 17) // Replica, wait, least, most, isolation.
		if err := q.Decode(append(head, tail...), version); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", tail, err)
		}
		if cap(q.Topics)+cap(q.Parts) > 8 {
			t.Errorf("%q: room for %d topics, %d parts", tail, cap(q.Topics), cap(q.Parts))
		}
	}
	f(4, "\x7f\xff\xff\xff")
	f(4, "\xff\xff\xff\xff")
	f(4, "\x00\x00\x00\x01\x00\x01t\x10\x00\x00\x00")
	f(12, "\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x0f")
	f(12, "\x00\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff\x0f")
	f(3, "")
	f(19, "")
}

// TestFetchTagOfLaterVersion proves that a tagged field of a later version is malformed in an earlier
// one, as in Kafka's generated readers, while one of no version is skipped.
func TestFetchTagOfLaterVersion(t *testing.T) {
	t.Parallel()
	f := func(version int16, tag uint32, value string, want error) {
		t.Helper()
		body := fetchBody(version, 1)
		// The partition's, the topic's and the request's tags surround nothing but an empty count of
		// forgotten topics and an empty rack.
		at := len(body) - len("\x00\x00\x01\x01\x00")
		tail := append([]byte{1, byte(tag), byte(len(value))}, value...)
		body = append(append(body[:at:at], tail...), body[at+1:]...)
		var q FetchRequest
		if err := q.Decode(body, version); !errors.Is(err, want) {
			t.Errorf("v%d tag %d: %v", version, tag, err)
		}
	}
	f(18, 0, "0123456789abcdef", nil)
	f(17, 0, "0123456789abcdef", nil)
	f(16, 0, "0123456789abcdef", ErrMalformed)
	f(18, 1, "01234567", nil)
	f(17, 1, "01234567", ErrMalformed)
	f(18, 1, "0123456", ErrMalformed)
	f(12, 9, "anything", nil)
}

// fetchBody returns a typical full request over n partitions of one topic.
func fetchBody(version int16, n int) []byte {
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.MaxWaitMillis, q.MinBytes, q.MaxBytes = version, 500, 1, 50<<20
	topic := kmsg.NewFetchRequestTopic()
	if version >= 13 {
		topic.TopicID = UUID{1, 2, 3}
	} else {
		topic.Topic = "some-topic"
	}
	for i := range n {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = int32(i), 1<<40, 1<<20
		topic.Partitions = append(topic.Partitions, p)
	}
	q.Topics = append(q.Topics, topic)
	return q.AppendTo(nil)
}

func TestFetchDecodeAllocatesNothing(t *testing.T) {
	body := fetchBody(17, 50)
	var q FetchRequest
	n := testing.AllocsPerRun(100, func() {
		if err := q.Decode(body, 17); err != nil {
			t.Fatal(err)
		}
		q.Reset()
	})
	if n != 0 {
		t.Errorf("%v allocations per request", n)
	}
}

// TestFetchResponse encodes random responses in every version, splices the records in where they
// go, and has the library read them and write them again, byte for byte.
func TestFetchResponse(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewSource(3))
	for version := int16(4); version <= 18; version++ {
		for range 200 {
			b, parts, records := randomFetchResponse(rnd, version)
			r := kmsg.NewPtrFetchResponse()
			r.Version = version
			if err := r.ReadFrom(b); err != nil {
				t.Fatalf("v%d: %v", version, err)
			}
			if again := r.AppendTo(nil); !bytes.Equal(b, again) {
				t.Fatalf("v%d: the library writes\n%q, not\n%q", version, again, b)
			}
			if diff := sameFetchParts(r, version, parts, records); diff != "" {
				t.Fatalf("v%d: %s", version, diff)
			}
		}
	}
}

func randomFetchResponse(rnd *rand.Rand, version int16) ([]byte, []FetchPartition, [][]byte) {
	var parts []FetchPartition
	var records [][]byte
	topics := rnd.Intn(3)
	b := AppendFetchResponseStart(nil, version, 17, 70, 99, topics)
	for range topics {
		n := rnd.Intn(3)
		b = AppendFetchTopicStart(b, version, []byte("topic"), randomUUID(rnd), n)
		for range n {
			p := FetchPartition{
				Index: rnd.Int31(), ErrorCode: int16(rnd.Intn(100)), HighWatermark: rnd.Int63(),
				LastStableOffset: rnd.Int63(), LogStartOffset: rnd.Int63(), PreferredReadReplica: -1,
				RecordsBytes: rnd.Int31n(300),
			}
			if p.Aborted = nil; rnd.Intn(2) == 0 {
				p.Aborted = make([]AbortedTxn, rnd.Intn(3))
			}
			if rnd.Intn(2) == 0 {
				p.Leader = CurrentLeader{LeaderID: 0, LeaderEpoch: rnd.Int31(), Set: true}
			}
			if rnd.Intn(2) == 0 {
				p.Diverging, p.DivergingEpoch, p.DivergingEndOffset = true, 0, rnd.Int63()
			}
			data := make([]byte, p.RecordsBytes)
			rnd.Read(data)
			b = append(AppendFetchPartition(b, version, &p), data...)
			b = AppendFetchPartitionEnd(b, version, &p)
			parts, records = append(parts, p), append(records, data)
		}
		b = AppendFetchTopicEnd(b, version)
	}
	return AppendFetchResponseEnd(b, version, randomEndpoints(rnd)), parts, records
}

func sameFetchParts(
	r *kmsg.FetchResponse, version int16, parts []FetchPartition, records [][]byte,
) string {
	if r.ThrottleMillis != 17 || version >= 7 && (r.ErrorCode != 70 || r.SessionID != 99) {
		return "the head"
	}
	i := 0
	for _, topic := range r.Topics {
		for _, p := range topic.Partitions {
			want := parts[i]
			if p.Partition != want.Index || p.ErrorCode != want.ErrorCode ||
				p.HighWatermark != want.HighWatermark ||
				p.LastStableOffset != want.LastStableOffset ||
				!bytes.Equal(p.RecordBatches, records[i]) || p.RecordBatches == nil {
				return fmt.Sprintf("got %+v, want %+v", p, want)
			}
			if (p.AbortedTransactions == nil) != (want.Aborted == nil) {
				return "aborted transactions, null or not"
			}
			if version >= 12 && want.Diverging && p.DivergingEpoch.EndOffset != want.DivergingEndOffset {
				return "diverging epoch"
			}
			i++
		}
	}
	return ""
}

func FuzzFetchRequest(f *testing.F) {
	rnd := rand.New(rand.NewSource(5))
	for version := int16(4); version <= 18; version++ {
		f.Add(randomFetchRequest(rnd, version).AppendTo(nil), version)
		f.Add(fetchBody(version, 3), version)
	}
	var q FetchRequest
	f.Fuzz(func(t *testing.T, body []byte, version int16) {
		if q.Decode(body, version) != nil {
			return
		}
		want := kmsg.NewPtrFetchRequest()
		want.Version = version
		if err := want.ReadFrom(body); err != nil {
			t.Fatal("the library refuses it:", err)
		}
		if diff := sameFetch(&q, want); diff != "" {
			t.Errorf("%s, want %+v", diff, want)
		}
	})
}

func BenchmarkFetchDecode(b *testing.B) {
	for _, parts := range []int{0, 1, 100} {
		b.Run(fmt.Sprintf("partitions=%d", parts), func(b *testing.B) {
			body := fetchBody(17, parts)
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			b.RunParallel(func(pb *testing.PB) {
				var q FetchRequest
				for pb.Next() {
					if err := q.Decode(body, 17); err != nil {
						b.Error(err)
					}
					q.Reset()
				}
			})
		})
	}
}

func BenchmarkFetchResponse(b *testing.B) {
	var dst []byte
	p := FetchPartition{HighWatermark: 1 << 40, PreferredReadReplica: -1, RecordsBytes: 1 << 20}
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendFetchResponseStart(dst[:0], 17, 0, 0, 7, 1)
		dst = AppendFetchTopicStart(dst, 17, nil, UUID{1}, 1)
		dst = AppendFetchPartition(dst, 17, &p)
		dst = AppendFetchPartitionEnd(dst, 17, &p)
		dst = AppendFetchTopicEnd(dst, 17)
		dst = AppendFetchResponseEnd(dst, 17, nil)
	}
	b.SetBytes(int64(len(dst)))
}
