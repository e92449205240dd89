package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// TestJournalRefuses: when the metadata journal takes nothing any more, every change is answered
// with KAFKA_STORAGE_ERROR, what was wrong with the request keeps its own code, and nothing is
// changed.
func TestJournalRefuses(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	tb.mustCreate("t", 1)
	if err := tb.meta.close(); err != nil {
		t.Fatal(err)
	}
	before := tb.image()
	check := func(what string, got []int16, want ...int16) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("%s: codes %v, want %v", what, got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: codes %v, want %v", what, got, want)
			}
		}
	}
	var codes []int16
	create := creation(7, "new", 1, 1)
	create.Topics = append(create.Topics, creation(7, "t", 1, 1).Topics[0])
	for _, x := range tb.roundTrip(create).(*kmsg.CreateTopicsResponse).Topics {
		codes = append(codes, x.ErrorCode)
	}
	check("CreateTopics", codes, wire.CodeKafkaStorageError, wire.CodeTopicAlreadyExists)

	codes = nil
	del := kmsg.NewPtrDeleteTopicsRequest()
	del.SetVersion(6)
	del.Topics = []kmsg.DeleteTopicsRequestTopic{named("missing"), named("t")}
	for _, x := range tb.roundTrip(del).(*kmsg.DeleteTopicsResponse).Topics {
		codes = append(codes, x.ErrorCode)
	}
	check("DeleteTopics", codes, wire.CodeUnknownTopicOrPartition, wire.CodeKafkaStorageError)

	grow := kmsg.NewPtrCreatePartitionsRequest()
	grow.SetVersion(3)
	grow.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "t", Count: 2}}
	p := tb.roundTrip(grow).(*kmsg.CreatePartitionsResponse)
	check("CreatePartitions", []int16{p.Topics[0].ErrorCode}, wire.CodeKafkaStorageError)

	code := tb.altered(1, topicKind, "t", 0, "retention.ms", textOf("5"), false)
	check("IncrementalAlterConfigs", []int16{code}, wire.CodeKafkaStorageError)

	q := kmsg.NewPtrInitProducerIDRequest()
	q.SetVersion(4)
	ids := tb.roundTrip(q).(*kmsg.InitProducerIDResponse)
	check("InitProducerId", []int16{ids.ErrorCode}, wire.CodeCoordinatorLoadInProgress)

	ask := metadataFor(4, "auto")
	ask.AllowAutoTopicCreation = true
	m := tb.roundTrip(ask).(*kmsg.MetadataResponse)
	check("Metadata", []int16{m.Topics[0].ErrorCode}, wire.CodeUnknownTopicOrPartition)
	if tb.image() != before {
		t.Error("the metadata changed")
	}
}

// TestAdminEveryVersion: each version that is advertised is decoded and answered in its own form.
func TestAdminEveryVersion(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	tb.mustCreate("t", 1)
	for _, r := range tb.apis.ranges {
		if r.Key == wire.KeyProduce || r.Key == wire.KeyFetch || r.Key == wire.KeyAPIVersions {
			continue
		}
		for version := r.MinVersion; version <= r.MaxVersion; version++ {
			q := kmsg.RequestForKey(r.Key)
			if version > q.MaxVersion() {
				t.Errorf("%s v%d is advertised and cannot be decoded", wire.APIName(r.Key), version)
				continue
			}
			q.SetVersion(version)
			tb.roundTrip(q)
		}
	}
}
