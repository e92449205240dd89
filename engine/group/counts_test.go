package group

import (
	"fmt"
	"slices"
	"testing"

	"sluice/engine/coordinator"
)

// committedGroups replays offsets of groups g0, g1, … with so many partitions each.
func committedGroups(t testing.TB, partitions ...int) *Machine {
	t.Helper()
	m := New(Defaults())
	for g, n := range partitions {
		for p := range n {
			r := coordinator.Record{
				Key: appendOffsetKey(nil, fmt.Sprint("g", g), "a", int32(p)),
				Value: appendOffsetValue(nil, &offsetValue{
					offset: int64(p), expireMs: none, topicID: [16]byte{1},
				}),
			}
			if err := m.Replay(r, coordinator.NoProducer, coordinator.NoProducer); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m
}

// TestCommittedTakesWholeGroups: a group that does not fit is passed over, not cut.
func TestCommittedTakesWholeGroups(t *testing.T) {
	m := committedGroups(t, 3, 9, 2, 4)
	check := func(n int, want ...string) {
		t.Helper()
		list, next := m.Committed(nil, 0, n)
		got := map[string]int{}
		for _, c := range list {
			got[c.Group]++
			if c.Topic != "a" || c.Offset != int64(c.Partition) || c.TopicID != [16]byte{1} {
				t.Errorf("%+v", c)
			}
		}
		var groups []string
		for g, offsets := range got {
			groups = append(groups, fmt.Sprint(g, ":", offsets))
		}
		slices.Sort(groups)
		if next >= 0 || !slices.Equal(groups, want) {
			t.Errorf("%d offsets: %v, next %d; want %v", n, groups, next, want)
		}
	}
	check(0)
	check(2, "g2:2")
	check(4, "g0:3")
	check(5, "g0:3", "g2:2")
	check(9, "g0:3", "g2:2", "g3:4")
	check(18, "g0:3", "g1:9", "g2:2", "g3:4")
}

// TestCommittedStopsForOthers: one call looks at a bounded number of offsets, and the next goes on where
// it stopped.
func TestCommittedStopsForOthers(t *testing.T) {
	m := committedGroups(t, 3000, 3000, 3000)
	var list []Committed
	calls, from, left := 0, 0, 10_000
	for from >= 0 {
		before := len(list)
		list, from = m.Committed(list, from, left)
		left -= len(list) - before
		calls++
		if n := len(list) - before; n > committedOffsetsMax+3000 {
			t.Errorf("a call took %d offsets", n)
		}
	}
	if len(list) != 9000 || calls < 2 {
		t.Errorf("%d offsets in %d calls", len(list), calls)
	}
}

// BenchmarkCommitted is what a scrape takes of a shard's time: 10,000 offsets of a thousand groups, in a
// table of a million.
func BenchmarkCommitted(b *testing.B) {
	partitions := make([]int, 100_000)
	for i := range partitions {
		partitions[i] = 10
	}
	m := committedGroups(b, partitions...)
	list := make([]Committed, 0, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		from, left := 0, 10_000
		for list = list[:0]; from >= 0 && left > 0; left = 10_000 - len(list) {
			list, from = m.Committed(list, from, left)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(list)), "ns/offset")
}
