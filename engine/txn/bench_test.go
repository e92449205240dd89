package txn

import (
	"fmt"
	"runtime"
	"testing"

	"sluice/engine/coordinator"
)

// BenchmarkLoadMillion loads a million transactional ids, idle as they mostly are, with every thousandth
// in a transaction. B/id is what stays on the heap.
func BenchmarkLoadMillion(b *testing.B) {
	const ids = 1_000_000
	records := make([]coordinator.Record, 0, ids)
	for i := range ids {
		t := meta{
			producerID: int64(i), prevID: int64(i), nextID: -1, state: CompleteCommit, version: 2,
			timeoutMs: 60_000, startMs: int64(i), updateMs: int64(i), epoch: int16(i % 30000),
		}
		var partitions []TopicPartition
		if i%1000 == 0 {
			t.state, partitions = Ongoing, []TopicPartition{{"orders", 1}, {"orders", 2}, {"payments", 3}}
		}
		records = append(records, coordinator.Record{
			Key:   appendKey(nil, fmt.Sprintf("service-%07d-instance", i)),
			Value: appendValue(nil, 1, &t, partitions),
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		before := heapBytes()
		m := New(DefaultConfig())
		for _, r := range records {
			if err := m.Replay(r, -1, -1); err != nil {
				b.Fatal(err)
			}
		}
		var out coordinator.Outcome[*Input]
		m.Loaded(1, 1, &out)
		b.ReportMetric(float64(heapBytes()-before)/ids, "B/id")
		runtime.KeepAlive(m)
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/load")
}

func heapBytes() int64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// BenchmarkTransaction is one transaction of one partition by protocol 2, from the first partition to
// the last marker, among ten thousand ids.
func BenchmarkTransaction(b *testing.B) {
	const ids = 10_000
	log := &countingLog{}
	m := New(DefaultConfig())
	shard := coordinator.NewShard[*Input](m, log, 0)
	shard.Loaded(0, 1)
	r := &rig{nextID: 1}
	epochs := make([]int16, ids)
	names := make([]string, ids)
	for i := range ids {
		names[i] = fmt.Sprintf("service-%07d", i)
		shard.Handle(0, r.initInput(names[i], 4, 60_000, -1, -1))
	}
	var rel coordinator.Released[*Input]
	now := int64(0)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		i := n % ids
		if epochs[i] >= epochMax-1 {
			b.Skip("the epochs are used up")
		}
		now++
		pid := int64(i + 1)
		shard.Handle(now, addInput(names[i], 5, pid, epochs[i], false, TopicPartition{"orders", int32(i)}))
		shard.Handle(now, r.endInput(names[i], 5, pid, epochs[i], true))
		rel.Replies, rel.Errands = rel.Replies[:0], rel.Errands[:0]
		shard.Release(log.end, &rel)
		sent := rel.Errands[0].(*SendMarkers)
		shard.Handle(now, sent.Written(sent.Partitions...))
		epochs[i]++
	}
}

// countingLog takes everything and keeps nothing.
type countingLog struct{ end int64 }

func (l *countingLog) Append(b coordinator.Batch) (int64, int16) {
	l.end += int64(len(b.Records))
	return l.end - 1, 0
}
