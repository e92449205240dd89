package broker

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
	"sluice/wire"
)

// metadataFor makes a request; a nil list of topics asks as a null array does.
func metadataFor(version int16, names ...string) *kmsg.MetadataRequest {
	q := kmsg.NewPtrMetadataRequest()
	q.SetVersion(version)
	for _, name := range names {
		q.Topics = append(q.Topics, kmsg.MetadataRequestTopic{Topic: &name})
	}
	return q
}

// show renders the topics of an answer as name:code, an unnamed one as its id's first byte.
func show(p *kmsg.MetadataResponse) string {
	s := ""
	for i := range p.Topics {
		t := &p.Topics[i]
		name := fmt.Sprintf("id%d", t.TopicID[0])
		if t.Topic != nil {
			name = *t.Topic
		}
		s += fmt.Sprintf("%s:%d ", name, t.ErrorCode)
	}
	return s
}

// TestMetadataTopics: who is asked for: null, empty, names, ids, twice the same, and what is
// refused as a whole (KafkaApis.handleTopicMetadataRequest, MetadataRequest.isAllTopics).
func TestMetadataTopics(t *testing.T) {
	im := withTopic(t, testImage(t), "a", 1, on(nodeUp))
	im = withTopic(t, im, "b", 2, on(nodeUp))
	view := testView(im)
	ask := func(q *kmsg.MetadataRequest) (string, []string) {
		want, code := wantedMetadata(q)
		if code != wire.CodeNone {
			return show(refusedMetadata(q, code).(*kmsg.MetadataResponse)), nil
		}
		p, missing := answerMetadata(view, q, want)
		return show(p), missing
	}
	check := func(what string, q *kmsg.MetadataRequest, want string, wantMissing ...string) {
		t.Helper()
		got, missing := ask(q)
		if got != want || fmt.Sprint(missing) != fmt.Sprint(wantMissing) {
			t.Errorf("%s: %q missing %v, want %q and %v", what, got, missing, want, wantMissing)
		}
	}
	empty := func(version int16) *kmsg.MetadataRequest {
		q := metadataFor(version)
		q.Topics = []kmsg.MetadataRequestTopic{}
		return q
	}
	byID := func(version int16, name *string, ids ...byte) *kmsg.MetadataRequest {
		q := metadataFor(version)
		for _, id := range ids {
			t := kmsg.MetadataRequestTopic{Topic: name, TopicID: [16]byte{id}}
			q.Topics = append(q.Topics, t)
		}
		return q
	}
	a := "a"
	check("null v1", metadataFor(1), "a:0 b:0 ")
	check("null v13", metadataFor(13), "a:0 b:0 ")
	check("empty v0", empty(0), "a:0 b:0 ")
	check("empty v1", empty(1), "")
	check("empty v13", empty(13), "")
	check("names", metadataFor(13, "b", "a", "b"), "b:0 a:0 ")
	check("missing", metadataFor(13, "x", "a"), "x:3 a:0 ", "x")
	check("invalid", metadataFor(4, "", ".", "a b", "x"), ":17 .:17 a b:17 x:3 ", "x")
	check("by id", byID(12, nil, 2, 9, 2), "b:0 id9:100 ")
	check("id beats name", byID(12, &a, 2), "b:0 ")
	check("id v10", byID(10, nil, 2), ":42 ")
	check("id v11 with name", byID(11, &a, 1), "a:42 ")
	check("no name v9", byID(9, nil, 0), ":42 ")
	check("no name v12", byID(12, nil, 0), ":-1 ")
	mixed := byID(12, nil, 0, 1)
	mixed.Topics = append(mixed.Topics, kmsg.MetadataRequestTopic{Topic: &a})
	check("nameless beside an id", mixed, "a:0 ")
}

// TestMetadataOperations: authorized operations only where asked for, and not for unknown ids
// (KIP-430).
func TestMetadataOperations(t *testing.T) {
	im := withTopic(t, testImage(t), "a", 1, on(nodeUp))
	q := metadataFor(10, "a", "x")
	q.IncludeTopicAuthorizedOperations, q.IncludeClusterAuthorizedOperations = true, true
	want, _ := wantedMetadata(q)
	p, _ := answerMetadata(testView(im), q, want)
	if p.AuthorizedOperations != 8096 || p.Topics[0].AuthorizedOperations != 3576 ||
		p.Topics[1].AuthorizedOperations != 3576 {
		t.Errorf("asked: %+v", p)
	}
	q.IncludeTopicAuthorizedOperations, q.IncludeClusterAuthorizedOperations = false, false
	p, _ = answerMetadata(testView(im), q, want)
	if p.AuthorizedOperations != -2147483648 || p.Topics[0].AuthorizedOperations != -2147483648 {
		t.Errorf("not asked: %+v", p)
	}
}

// TestMetadataBrokers: fenced brokers and those without the listener are not listed.
func TestMetadataBrokers(t *testing.T) {
	q := metadataFor(13)
	p, _ := answerMetadata(testView(testImage(t)), q, metadataWanted{all: true})
	if len(p.Brokers) != 1 || p.Brokers[0].NodeID != nodeUp || p.ControllerID != nodeUp {
		t.Errorf("%+v", p)
	}
}

// TestMetadataAutoCreate: a missing topic is made when the client and the broker both allow it,
// with the broker's defaults; the first answer is UNKNOWN_TOPIC_OR_PARTITION all the same.
func TestMetadataAutoCreate(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t, "num.partitions=3")
	ask := func(version int16, allow bool, name string) kmsg.MetadataResponseTopic {
		t.Helper()
		q := metadataFor(version, name)
		q.AllowAutoTopicCreation = allow
		return tb.roundTrip(q).(*kmsg.MetadataResponse).Topics[0]
	}
	for _, version := range []int16{0, 1, 3, 4, 9, 13} {
		name := fmt.Sprintf("auto-%d", version)
		if got := ask(version, true, name); got.ErrorCode != wire.CodeUnknownTopicOrPartition {
			t.Errorf("v%d first: %+v", version, got)
		}
		got := ask(version, true, name)
		if got.ErrorCode != 0 || len(got.Partitions) != 3 || got.Partitions[2].Leader != tb.nodeID {
			t.Errorf("v%d second: %+v", version, got)
		}
	}
	for _, name := range []string{"not-allowed", "__consumer_offsets"} {
		ask(13, name != "not-allowed", name)
		if tb.image().Topic(name) != nil {
			t.Errorf("%s was created", name)
		}
	}
	ask(13, true, "auto_x")
	ask(13, true, "auto.x")
	if tb.image().Topic("auto_x") == nil || tb.image().Topic("auto.x") != nil {
		t.Error("a name that collides with an existing one was created, or the first was not")
	}
}

// TestMetadataAutoCreateOff: the broker's switch wins.
func TestMetadataAutoCreateOff(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t, "auto.create.topics.enable=false")
	q := metadataFor(13, "x")
	q.AllowAutoTopicCreation = true
	p := tb.roundTrip(q).(*kmsg.MetadataResponse)
	if p.Topics[0].ErrorCode != wire.CodeUnknownTopicOrPartition || tb.image().TopicCount() != 0 {
		t.Errorf("%+v, %d topics", p.Topics[0], tb.image().TopicCount())
	}
	if p.ClusterID == nil || *p.ClusterID != tb.clusterID || len(p.Brokers) != 1 {
		t.Errorf("cluster: %+v", p)
	}
}

// wideImage has topics with 100 partitions each, n partitions in all.
func wideImage(tb testing.TB, n int) *catalog.Image {
	im := testImage(tb)
	parts := make([]catalog.Partition, 100)
	for i := range parts {
		parts[i] = on(nodeUp)
	}
	for i := range n / len(parts) {
		id := catalog.UUID{0xaa, byte(i >> 8), byte(i)}
		im = applied(tb, im,
			catalog.TopicCreated{ID: id, Name: fmt.Sprintf("topic-%04d", i)},
			catalog.PartitionsAdded{TopicID: id, Partitions: parts})
	}
	return im
}

// BenchmarkMetadata answers for 10,000 partitions, encoding included.
func BenchmarkMetadata(b *testing.B) {
	im := wideImage(b, 10_000)
	q := metadataFor(13)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		p, _ := answerMetadata(testView(im), q, metadataWanted{all: true})
		p.SetVersion(13)
		buf = p.AppendTo(buf[:0])
	}
	b.SetBytes(int64(len(buf)))
}
