package broker

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestDeleteRecords: bounds, policies and addresses, as measured on Kafka (KIP-107).
func TestDeleteRecords(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	tb.mustCreate("a", 2)
	tb.mustCreate("compact", 1, config1("cleanup.policy", "compact"))
	tb.mustCreate("both", 1, config1("cleanup.policy", "compact,delete"))
	tb.mustCreate("none", 1, config1("cleanup.policy", ""))
	tb.mustCreate("__consumer_offsets", 1)
	tb.mustProduce("a", 0, batchOf(6, 10))
	tb.mustProduce("a", 0, batchOf(6, 10))
	check := func(topic string, index int32, offset int64, want string) {
		t.Helper()
		for version := int16(0); version <= 2; version++ {
			q := deleteRecordsRequest(version, topic, index, offset)
			p := tb.roundTrip(q).(*kmsg.DeleteRecordsResponse).Topics[0]
			got := fmt.Sprint(p.Partitions[0].LowWatermark, p.Partitions[0].ErrorCode)
			if got != want || p.Topic != topic || p.Partitions[0].Partition != index {
				t.Errorf("v%d %s-%d to %d: %s, want %s", version, topic, index, offset, got, want)
			}
		}
	}
	check("a", 0, 0, "0 0")
	check("a", 0, 4, "4 0")
	check("a", 0, 2, "4 0")
	check("a", 0, 13, "-1 1")
	check("a", 0, -2, "-1 1")
	check("a", 0, 12, "12 0")
	check("a", 0, -1, "12 0")
	check("a", 5, 0, "-1 3")
	check("missing", 0, 0, "-1 3")
	check("compact", 0, 0, "-1 44")
	check("both", 0, 0, "0 0")
	check("none", 0, -1, "0 0")
	check("__consumer_offsets", 0, 0, "-1 17")
}

func deleteRecordsRequest(
	version int16, topic string, index int32, offset int64,
) *kmsg.DeleteRecordsRequest {
	q := kmsg.NewPtrDeleteRecordsRequest()
	q.SetVersion(version)
	q.Topics = []kmsg.DeleteRecordsRequestTopic{{
		Topic: topic,
		Partitions: []kmsg.DeleteRecordsRequestTopicPartition{
			{Partition: index, Offset: offset},
		},
	}}
	return q
}

// TestDeleteRecordsTwice: of a partition named twice the last offset counts, and it is answered
// once.
func TestDeleteRecordsTwice(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	tb.mustCreate("a", 2)
	tb.mustProduce("a", 0, batchOf(6, 10))
	q := deleteRecordsRequest(2, "a", 0, 5)
	q.Topics[0].Partitions = append(q.Topics[0].Partitions,
		kmsg.DeleteRecordsRequestTopicPartition{Partition: 1, Offset: -1})
	q.Topics = append(q.Topics, deleteRecordsRequest(2, "a", 0, 3).Topics...)
	p := tb.roundTrip(q).(*kmsg.DeleteRecordsResponse)
	if len(p.Topics) != 1 || len(p.Topics[0].Partitions) != 2 ||
		p.Topics[0].Partitions[0].LowWatermark != 3 {
		t.Errorf("%+v", p.Topics)
	}
}

// TestDeleteRecordsSurvives: the start offset that was answered holds for a broker that starts from
// the files as they were at that moment, as after a kill -9.
func TestDeleteRecordsSurvives(t *testing.T) {
	t.Parallel()
	dir, after := t.TempDir(), filepath.Join(t.TempDir(), "after")
	tb := startTestBroker(t, dir)
	defer tb.stop()
	tb.mustCreate("a", 1)
	tb.mustProduce("a", 0, batchOf(6, 10))
	p := tb.roundTrip(deleteRecordsRequest(2, "a", 0, 4)).(*kmsg.DeleteRecordsResponse)
	if p.Topics[0].Partitions[0].LowWatermark != 4 {
		t.Fatalf("%+v", p.Topics)
	}
	if err := os.CopyFS(after, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	again := startTestBroker(t, after)
	defer again.stop()
	if got := again.topics.namedString("a").replica(0).log.Load().StartOffset(); got != 4 {
		t.Errorf("start offset %d after the restart, want 4", got)
	}
}
