package catalog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"testing"
)

// sealed appends a right checksum, so that fuzzing gets past it.
func sealed(body []byte) []byte {
	sum := crc32.Checksum(body, castagnoli)
	return binary.BigEndian.AppendUint32(append([]byte(nil), body...), sum)
}

// populated is an image of n topics with one partition each.
func populated(tb testing.TB, n int) *State {
	tb.Helper()
	d := newDriver(tb)
	if t, ok := tb.(*testing.T); ok {
		d.brokers(t, []string{"1"})
	} else {
		changes, _ := RegisterBroker(d.state.Image(), Broker{
			ID: 1, Incarnation: UUID{1}, Endpoints: []Endpoint{{}}, LogDirs: []UUID{{1}},
		})
		d.apply(tb, changes)
	}
	topics, ids := make([]NewTopic, n), make([]UUID, n)
	for i := range topics {
		topics[i] = NewTopic{Name: fmt.Sprintf("topic-%07d", i), Partitions: 1, ReplicationFactor: 1}
		binary.BigEndian.PutUint64(ids[i][:], uint64(i+1)*0x9e3779b97f4a7c15)
	}
	for len(topics) > 0 {
		k := min(len(topics), partitionsPerRequestMax)
		changes, _ := CreateTopics(d.state.Image(), &d.env, topics[:k], ids[:k])
		d.apply(tb, changes)
		topics, ids = topics[k:], ids[k:]
	}
	return d.state
}

// TestLookupsDoNotAllocate: what a request looks up costs no garbage.
func TestLookupsDoNotAllocate(t *testing.T) {
	im := populated(t, 10_000).Image()
	topic := im.Topic("topic-0004242")
	if topic == nil || im.TopicCount() != 10_000 {
		t.Fatal("no such topic")
	}
	n := testing.AllocsPerRun(100, func() {
		if im.Topic("topic-0004242") != topic || im.TopicByID(topic.ID) != topic ||
			topic.Partition(0) == nil || im.Topic("nosuch") != nil || im.Broker(1) == nil ||
			im.Configs(Resource{Type: ResourceTopic, Name: "topic-0004242"}) != nil {
			t.Fatal("lookup failed")
		}
	})
	if n != 0 {
		t.Errorf("lookups allocate %v times", n)
	}
}

func BenchmarkApplyCreateTopicAt10000(b *testing.B) {
	im := populated(b, 10_000).Image()
	entry := EncodeEntry(nil, []Change{
		TopicCreated{ID: UUID{0: 0x80}, Name: "topic-0005000x"},
		PartitionsAdded{TopicID: UUID{0: 0x80}, Partitions: []Partition{{
			Replicas: []int32{1}, ISR: []int32{1}, Leader: 1,
		}}},
	})
	s := NewState()
	b.ReportAllocs()
	for b.Loop() {
		s.Load(im)
		if _, err := s.Apply(im.Index()+1, entry); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApplyISRChangeOf10000Partitions(b *testing.B) {
	d := newDriver(b)
	changes, _ := RegisterBroker(d.state.Image(), Broker{
		ID: 1, Incarnation: UUID{1}, Endpoints: []Endpoint{{}}, LogDirs: []UUID{{1}},
	})
	d.apply(b, changes)
	changes, _ = CreateTopics(d.state.Image(), &d.env, []NewTopic{{
		Name: "t", Partitions: 10_000, ReplicationFactor: 1,
	}}, d.ids(1))
	d.apply(b, changes)
	im := d.state.Image()
	p := *im.Topic("t").Partition(5000)
	p.PartitionEpoch++
	entry := EncodeEntry(nil, []Change{
		PartitionChanged{TopicID: im.Topic("t").ID, Partition: 5000, State: p},
	})
	b.ReportAllocs()
	for b.Loop() {
		d.state.Load(im)
		if _, err := d.state.Apply(im.Index()+1, entry); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookupByName(b *testing.B) {
	im := populated(b, 10_000).Image()
	b.ReportAllocs()
	for b.Loop() {
		if im.Topic("topic-0004242") == nil {
			b.Fatal("no such topic")
		}
	}
}

func BenchmarkLookupByID(b *testing.B) {
	im := populated(b, 10_000).Image()
	id := im.Topic("topic-0004242").ID
	b.ReportAllocs()
	for b.Loop() {
		if im.TopicByID(id) == nil {
			b.Fatal("no such topic")
		}
	}
}

func BenchmarkSnapshotOf10000(b *testing.B) {
	im := populated(b, 10_000).Image()
	buf := AppendSnapshot(nil, im)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendSnapshot(buf[:0], im)
	}
}

func BenchmarkLoadSnapshotOf10000(b *testing.B) {
	data := AppendSnapshot(nil, populated(b, 10_000).Image())
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := LoadSnapshot(data); err != nil {
			b.Fatal(err)
		}
	}
}
