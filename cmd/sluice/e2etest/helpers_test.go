package e2etest

import (
	"fmt"
	"sort"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// numbered returns the records from..to-1, which have consecutive values and times.
func numbered(from, to int) []record {
	base := time.Now().Add(-time.Hour).UnixMilli()
	var out []record
	for i := from; i < to; i++ {
		out = append(out, record{
			value: fmt.Appendf(nil, "%09d", i), ms: base + int64(i), offset: int64(i - from),
		})
	}
	return out
}

// sortByValue orders records by value and numbers them anew.
func sortByValue(records []record) {
	sort.Slice(records, func(i, j int) bool {
		return string(records[i].value) < string(records[j].value)
	})
	for i := range records {
		records[i].offset = int64(i)
	}
}

// fetchPartition reads one partition once, without waiting.
func fetchPartition(t *testing.T, c *rawConn, at place, offset int64,
) kmsg.FetchResponseTopicPartition {
	t.Helper()
	resp := ask(t, c, fetchRequest(at.topic, offset, at.partition), (*kmsg.FetchResponse)(nil))
	if resp.ErrorCode != 0 || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		t.Fatalf("the answer has not one partition: %+v", resp)
	}
	return resp.Topics[0].Partitions[0]
}

// fetchRaw reads partition 0 once, without waiting.
func fetchRaw(t *testing.T, c *rawConn, topic string, offset int64,
) kmsg.FetchResponseTopicPartition {
	t.Helper()
	return fetchPartition(t, c, place{topic, 0}, offset)
}

// values returns the values in a partition's answer.
func values(t *testing.T, batches []byte) []string {
	t.Helper()
	var out []string
	var scratch wire.Records
	for len(batches) > 0 {
		batch, rest, err := wire.NextBatch(batches)
		must(t, err)
		if !batch.Intact() {
			t.Fatalf("the batch at offset %d has a wrong checksum", batch.BaseOffset())
		}
		must(t, wire.EachRecord(batch, &scratch, func(r *wire.Record) bool {
			out = append(out, string(r.Value))
			return true
		}))
		batches = rest
	}
	return out
}

// goodBatch is one batch of the given values.
func goodBatch(t *testing.T, values ...string) []byte {
	t.Helper()
	w := wire.NewBatchBuilder()
	for _, v := range values {
		w.Append(time.Now().UnixMilli(), []byte("k"), []byte(v))
	}
	batch, err := w.Build(nil)
	must(t, err)
	return batch
}

// produceError is the error in a partition's answer.
func produceError(p kmsg.ProduceResponseTopicPartition) error {
	return kerr.ErrorForCode(p.ErrorCode)
}

// topicConfig describes one config of a topic.
func topicConfig(t *testing.T, a *kadm.Client, topic, key string) string {
	t.Helper()
	all, err := a.DescribeTopicConfigs(deadline(t), topic)
	must(t, err)
	rc, err := all.On(topic, nil)
	must(t, err)
	must(t, rc.Err)
	for _, c := range rc.Configs {
		if c.Key == key {
			return c.MaybeValue()
		}
	}
	t.Fatalf("topic %s has no config %s", topic, key)
	return ""
}
