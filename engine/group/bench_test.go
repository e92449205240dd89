package group

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
)

// A partition's worth of committed offsets is loaded: decoded and replayed record by record, as they
// come out of a compacted log: a million keys, and half as many that were committed twice.
func BenchmarkLoadMillion(b *testing.B) {
	for _, shape := range []struct{ groups, topics, partitions int }{
		{1000, 10, 100}, {100_000, 1, 10}, {1, 10, 100_000},
	} {
		b.Run(fmt.Sprintf("groups=%d", shape.groups), func(b *testing.B) {
			records := commits(shape.groups, shape.topics, shape.partitions)
			n := shape.groups * shape.topics * shape.partitions
			var before, after runtime.MemStats
			var m *Machine
			b.ReportAllocs()
			for b.Loop() {
				m = nil
				b.StopTimer()
				runtime.GC()
				runtime.ReadMemStats(&before)
				b.StartTimer()
				m = New(Defaults())
				for i := range records {
					err := m.Replay(records[i], coordinator.NoProducer, coordinator.NoProducer)
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if m.offsets.len() != n {
				b.Fatalf("%d offsets, not %d", m.offsets.len(), n)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(records)), "ns/record")
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "bytes/offset")
			runtime.KeepAlive(records)
		})
	}
}

// commits are the records of as many offsets, the first half of them twice.
func commits(groups, topics, partitions int) []coordinator.Record {
	n := groups * topics * partitions
	records := make([]coordinator.Record, 0, n+n/2)
	var buf []byte
	for i := range n + n/2 {
		at := i % n
		group := fmt.Sprintf("application-%06d", at%groups)
		topic := fmt.Sprintf("some.topic.of.it-%d", at/groups%topics)
		v := offsetValue{
			offset: int64(i), leaderEpoch: 3, commitMs: 1_700_000_000_000, expireMs: none,
			topicID: [16]byte{1, byte(at / groups % topics)},
		}
		if cap(buf)-len(buf) < 200 {
			buf = make([]byte, 0, 1<<20)
		}
		from := len(buf)
		buf = appendOffsetKey(buf, group, topic, int32(at/groups/topics))
		to := len(buf)
		buf = appendOffsetValue(buf, &v)
		records = append(records, coordinator.Record{Key: buf[from:to:to], Value: buf[to:len(buf):len(buf)]})
	}
	return records
}

// discard is a log that takes everything.
type discard struct{ end int64 }

func (d *discard) Append(b coordinator.Batch) (int64, int16) {
	d.end += max(1, int64(len(b.Records)))
	return d.end - 1, 0
}

// One commit of one partition, through all steps of a shard that has a million offsets already.
func BenchmarkCommit(b *testing.B) {
	m := New(Defaults())
	for _, r := range commits(1000, 10, 100) {
		if err := m.Replay(r, coordinator.NoProducer, coordinator.NoProducer); err != nil {
			b.Fatal(err)
		}
	}
	shard := coordinator.NewShard(m, &discard{}, 0)
	shard.Loaded(1, 1)
	inputs := make([]*Input, 1000)
	for i := range inputs {
		inputs[i] = commitInput(fmt.Sprintf("application-%06d", i), "some.topic.of.it-3", int32(i%100), 9)
	}
	var released coordinator.Released[*Input]
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		shard.Handle(2, inputs[i%len(inputs)])
		released.Replies = released.Replies[:0]
		shard.Release(1<<60, &released)
		resp := released.Replies[0].Response.(*kmsg.OffsetCommitResponse)
		if resp.Topics[0].Partitions[0].ErrorCode != 0 {
			b.Fatal(resp)
		}
		i++
	}
}

func commitInput(group, topic string, partition int32, offset int64) *Input {
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset = partition, offset
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Version = group, 9
	req.Topics = []kmsg.OffsetCommitRequestTopic{{
		Topic: topic, TopicID: [16]byte{1}, Partitions: []kmsg.OffsetCommitRequestTopicPartition{p},
	}}
	return &Input{Kind: OffsetCommit, Request: req, Version: 9, Group: group}
}

// Fetching all of a group's thousand offsets.
func BenchmarkFetchAll(b *testing.B) {
	m := New(Defaults())
	for _, r := range commits(100, 10, 100) {
		if err := m.Replay(r, coordinator.NoProducer, coordinator.NoProducer); err != nil {
			b.Fatal(err)
		}
	}
	q := &FetchQuery{Group: "application-000007"}
	in := &Input{Kind: OffsetFetch, Group: q.Group, Fetch: q}
	b.ReportAllocs()
	for b.Loop() {
		var out outcome
		m.Decide(1, in, &out)
	}
}

// A round that finds nothing to expire among a million offsets.
func BenchmarkExpiryRound(b *testing.B) {
	m := New(Defaults())
	for _, r := range commits(1000, 10, 100) {
		if err := m.Replay(r, coordinator.NoProducer, coordinator.NoProducer); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		var out outcome
		for m.decideExpiry(1_700_000_000_000, &out); m.purge.group != 0; {
			m.decideExpiry(1_700_000_000_000, &out)
		}
		if len(out.Records) > 0 {
			b.Fatal("something has expired")
		}
	}
}
