package broker

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
	"sluice/engine/coordinator"
	"sluice/engine/group"
	"sluice/engine/partition"
	"sluice/wire"
)

// offsetsWriter writes to the one partition of __consumer_offsets as coordinators do.
type offsetsWriter struct {
	tb  *testBroker
	rnd *rand.Rand
	s   *hostedShard[*group.Input]
	// open are the producers that have a transaction.
	open map[int64]bool
}

const (
	writerGroups    = 3
	writerParts     = 4
	writerProducers = 3
)

func (w *offsetsWriter) record() (key, value []byte) {
	k := kmsg.NewOffsetCommitKey()
	k.Version, k.Group, k.Topic = 1, fmt.Sprint("g", w.rnd.IntN(writerGroups)), "a"
	k.Partition = int32(w.rnd.IntN(writerParts))
	if w.rnd.IntN(8) == 0 {
		return k.AppendTo(nil), nil
	}
	v := kmsg.NewOffsetCommitValue()
	v.Version, v.Offset, v.LeaderEpoch = 3, w.rnd.Int64N(1_000_000), -1
	v.CommitTimestamp = w.tb.clock.Load()
	return k.AppendTo(nil), v.AppendTo(nil)
}

// write appends a commit of a few offsets, plain or in a transaction, or a marker.
func (w *offsetsWriter) write() {
	b := wire.NewBatchBuilder()
	now, id := w.tb.clock.Load(), int64(w.rnd.IntN(writerProducers))
	guard := uint64(0)
	switch w.rnd.IntN(4) {
	case 0:
		b.ProducerID, b.ProducerEpoch = id, 0
		b.AppendEndTxnMarker(now, w.rnd.IntN(2) == 0, 0)
		delete(w.open, id)
	case 1:
		b.ProducerID, b.ProducerEpoch, b.Transactional = id, 0, true
		guard = w.s.log.StartVerification(id, 0, wire.NoSequence, true, now)
		w.open[id] = true
		fallthrough
	default:
		for range 1 + w.rnd.IntN(3) {
			key, value := w.record()
			if b.Transactional && value == nil {
				continue // Tombstones are never part of a transaction.
			}
			b.Append(now, key, value)
		}
	}
	raw, err := b.Build(nil)
	if err != nil || wire.Batch(raw).Count() == 0 {
		return
	}
	done := make(chan struct{}, 1)
	a := &partition.Append{
		Batch: raw, LeaderEpoch: w.s.epoch, Origin: partition.FromCoordinator, NowMs: now, Guard: guard,
		Done: func(*partition.Append) { done <- struct{}{} },
	}
	if !w.s.log.Submit(a) {
		<-done
	}
	if a.Code != 0 {
		w.tb.t.Fatal(wire.CodeName(a.Code))
	}
}

// loaded is what a coordinator that is loaded now answers about everything.
func (w *offsetsWriter) loaded() (told string) {
	m := group.New(group.Defaults())
	if _, _, err := w.s.replay(m); err != nil {
		w.tb.t.Fatal(err)
	}
	out := &coordinator.Outcome[*group.Input]{}
	m.Loaded(w.tb.clock.Load(), 0, out)
	for g := range writerGroups {
		for _, stable := range []bool{false, true} {
			id := fmt.Sprint("g", g)
			out.Replies = nil
			m.Decide(w.tb.clock.Load(), &group.Input{
				Kind: group.OffsetFetch, Group: id, Fetch: &group.FetchQuery{
					Group: id, RequireStable: stable,
					Topics: []kmsg.OffsetFetchRequestGroupTopic{{
						Topic: "a", Partitions: []int32{0, 1, 2, 3},
					}},
				},
			}, out)
			r := out.Replies[0].Response.(*kmsg.OffsetFetchResponseGroup)
			for _, p := range r.Topics[0].Partitions {
				told += fmt.Sprint(id, "-", p.Partition, " ", p.Offset, " ", p.ErrorCode, "\n")
			}
		}
	}
	return told
}

// TestCompactionKeepsCommittedOffsets: a coordinator that loads a cleaned partition knows what one knew
// that loaded it before, committed and pending (KIP-98, KIP-534).
func TestCompactionKeepsCommittedOffsets(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		tb := newTestBroker(t, "offsets.topic.num.partitions=1")
		tb.coordinators(offsetsTopic)
		for name, value := range map[string]string{"segment.bytes": "1500", "delete.retention.ms": "10"} {
			tb.configure(offsetsTopic, name, value)
		}
		s, _ := tb.groups.shardAt(0)
		s.rest()
		w := &offsetsWriter{
			tb: tb, rnd: rand.New(rand.NewPCG(seed, 1)), s: s, open: map[int64]bool{},
		}
		// Room for all keys, or for half of them.
		mapBytes := []int64{1 << 20, 200}[seed%2]
		c := partition.NewCleaner(partition.CleanerOptions{MapBytes: mapBytes, MapLoad: 0.9})
		kept, read := int64(0), int64(0)
		for round := range 30 {
			for range 40 {
				w.write()
			}
			tb.clock.Add(7)
			before := w.loaded()
			done, err := c.Clean(s.log, s.log.LastStableOffset(s.replica.highWatermark.Load()),
				tb.clock.Load())
			if err != nil {
				t.Fatal(err)
			}
			kept, read = kept+done.RecordsKept, read+done.RecordsRead
			if after := w.loaded(); after != before {
				t.Fatalf("seed %d, round %d: before\n%s\nafter\n%s", seed, round, before, after)
			}
		}
		if kept == read {
			t.Errorf("seed %d: nothing was removed of %d records", seed, read)
		}
	}
}

// configure sets a topic's config.
func (tb *testBroker) configure(topic, name, value string) {
	tb.t.Helper()
	if err := tb.change(func(*catalog.Image) []catalog.Change {
		return []catalog.Change{catalog.ConfigChanged{
			Resource: catalog.Resource{Type: catalog.ResourceTopic, Name: topic}, Name: name, Value: value,
		}}
	}); err != nil {
		tb.t.Fatal(err)
	}
}
