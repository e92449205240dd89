package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// TestOffsetsOfMissingPartitions: neither commits nor deletions are taken for a partition that a topic
// does not have, and the others of the same request are (as in Kafka's KafkaApis).
func TestOffsetsOfMissingPartitions(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t)
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Version, q.Group, q.Generation = 8, "g", -1
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic = "a"
	for _, p := range []int32{-1, 0, 2, 1} {
		x := kmsg.NewOffsetCommitRequestTopicPartition()
		x.Partition, x.Offset = p, 7
		topic.Partitions = append(topic.Partitions, x)
	}
	q.Topics = append(q.Topics, topic)
	codes := map[int32]int16{}
	for _, x := range tb.roundTrip(q).(*kmsg.OffsetCommitResponse).Topics[0].Partitions {
		codes[x.Partition] = x.ErrorCode
	}
	checkMissing(t, "commit", codes)
	if got := tb.committed("g", "a", 1, false); got != "7 NONE" {
		t.Errorf("beside missing ones: %s", got)
	}

	d := kmsg.NewPtrOffsetDeleteRequest()
	d.Group = "g"
	from := kmsg.NewOffsetDeleteRequestTopic()
	from.Topic = "a"
	for _, p := range []int32{-1, 0, 2, 1} {
		x := kmsg.NewOffsetDeleteRequestTopicPartition()
		x.Partition = p
		from.Partitions = append(from.Partitions, x)
	}
	d.Topics = append(d.Topics, from)
	codes = map[int32]int16{}
	for _, x := range tb.roundTrip(d).(*kmsg.OffsetDeleteResponse).Topics[0].Partitions {
		codes[x.Partition] = x.ErrorCode
	}
	checkMissing(t, "delete", codes)
}

func checkMissing(t *testing.T, what string, codes map[int32]int16) {
	t.Helper()
	for p, want := range map[int32]int16{
		-1: wire.CodeUnknownTopicOrPartition, 0: wire.CodeNone, 1: wire.CodeNone,
		2: wire.CodeUnknownTopicOrPartition,
	} {
		if got, ok := codes[p]; !ok || got != want {
			t.Errorf("%s, partition %d: %s", what, p, wire.CodeName(got))
		}
	}
	if len(codes) != 4 {
		t.Errorf("%s: %v", what, codes)
	}
}
