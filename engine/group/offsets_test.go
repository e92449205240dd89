package group

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sluice/engine/coordinator"
)

// dump writes a table down, by names and in order.
func (o *offsets) dump() string {
	var lines []string
	say := func(what string, e *entry, expireMs int64) {
		line := fmt.Sprintf("%s %s/%s-%d: %d epoch %d at %d", what, o.groups.value(e.group),
			o.topics.value(e.topic), e.partition, e.offset, e.leaderEpoch, e.commitMs)
		if e.metadata != 0 {
			line += fmt.Sprintf(" %q", o.metadata.value(e.metadata))
		}
		if e.topicID != 0 {
			line += fmt.Sprintf(" id %x", o.topicIDs.value(e.topicID))
		}
		if expireMs != none {
			line += fmt.Sprintf(" until %d", expireMs)
		}
		lines = append(lines, fmt.Sprintf("%s #%d", line, e.order))
	}
	for _, i := range o.at {
		expireMs := int64(none)
		if at, own := o.expiryMs[i]; own {
			expireMs = at
		}
		say("committed", o.entry(i), expireMs)
	}
	for producer, txn := range o.pending {
		for i := range txn.list {
			say(fmt.Sprintf("pending %d", producer), &txn.list[i].entry, txn.list[i].expireMs)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// check panics if the table contradicts itself.
func (o *offsets) check() {
	must := func(ok bool, what string) {
		if !ok {
			panic(what)
		}
	}
	groups, topics := map[uint32]uint32{}, map[uint32]uint32{}
	ids, metadata := map[uint32]uint32{}, map[uint32]uint32{}
	hold := func(e *entry) {
		groups[e.group]++
		topics[e.topic]++
		if e.topicID != 0 {
			ids[e.topicID]++
		}
		if e.metadata != 0 {
			metadata[e.metadata]++
		}
	}
	for p, i := range o.at {
		must(o.entry(i).place == p, "an entry is not where its key says")
		hold(o.entry(i))
	}
	listed := 0
	for g := range o.lists {
		var before, count uint32
		for i := o.lists[g].head; i != 0; i = o.entry(i).next {
			must(o.entry(i).group == uint32(g) && o.entry(i).prev == before, "a list is torn")
			before = i
			count++
		}
		must(count == o.lists[g].count, "a list has another count")
		listed += int(count)
	}
	must(listed == len(o.at), "an entry is in no list")
	unused := 0
	for i := o.unused; i != 0; i = o.entry(i).next {
		must(o.entry(i).group == 0, "an unused entry is used")
		unused++
	}
	must(unused+len(o.at) == int(o.entries), "an entry is lost")
	for i := range o.expiryMs {
		must(o.entry(i).group != 0, "an unused entry expires")
	}
	open := 0
	for producer, txn := range o.pending {
		must(len(txn.list) > 0 && len(txn.list) == len(txn.at), "a transaction is empty or torn")
		for i := range txn.list {
			p := txn.list[i].place
			must(txn.at[p] == i && slices.Contains(o.open[p], producer), "a pending offset is not found")
			hold(&txn.list[i].entry)
			open++
		}
	}
	for _, producers := range o.open {
		must(len(producers) > 0, "a place is open for nobody")
		open -= len(producers)
	}
	must(open == 0, "a place is open for too many")
	checkHolders(&o.groups, groups)
	checkHolders(&o.topics, topics)
	checkHolders(&o.topicIDs, ids)
	checkHolders(&o.metadata, metadata)
}

func checkHolders[K comparable](t *interned[K], want map[uint32]uint32) {
	if t.len() != len(want) || t.len()+len(t.unused)+1 != max(len(t.values), 1) {
		panic(fmt.Sprintf("%d kept, %d held, %d unused of %d", t.len(), len(want), len(t.unused), len(t.values)))
	}
	for n, holders := range want {
		if t.holders[n] != holders || t.find(t.value(n)) != n {
			panic(fmt.Sprintf("%v has %d holders, not %d", t.value(n), t.holders[n], holders))
		}
	}
}

// offsetModel is the table as plainly as can be: Kafka's rule in OffsetMetadataManager's replay and
// replayEndTransactionMarker.
type offsetModel struct {
	order     int64
	committed map[offsetKey]modelOffset
	pending   map[int64]map[offsetKey]modelOffset
}

type modelOffset struct {
	offsetValue
	order int64
}

func (o *offsetModel) replay(k offsetKey, v *offsetValue, producer int64) {
	o.order++
	switch {
	case v == nil:
		delete(o.committed, k)
		for _, txn := range o.pending {
			delete(txn, k)
		}
	case producer == coordinator.NoProducer:
		o.committed[k] = modelOffset{*v, o.order}
	default:
		if o.pending[producer] == nil {
			o.pending[producer] = map[offsetKey]modelOffset{}
		}
		o.pending[producer][k] = modelOffset{*v, o.order}
	}
}

func (o *offsetModel) end(producer int64, commit bool) {
	for k, v := range o.pending[producer] {
		if commit && v.order > o.committed[k].order {
			o.committed[k] = v
		}
	}
	delete(o.pending, producer)
}

func (o *offsetModel) dump() string {
	var lines []string
	say := func(what string, k offsetKey, v modelOffset) {
		line := fmt.Sprintf("%s %s/%s-%d: %d epoch %d at %d", what, k.group, k.topic, k.partition,
			v.offset, v.leaderEpoch, v.commitMs)
		if v.metadata != "" {
			line += fmt.Sprintf(" %q", v.metadata)
		}
		if v.topicID != [16]byte{} {
			line += fmt.Sprintf(" id %x", v.topicID)
		}
		if v.expireMs != none {
			line += fmt.Sprintf(" until %d", v.expireMs)
		}
		lines = append(lines, fmt.Sprintf("%s #%d", line, v.order))
	}
	for k, v := range o.committed {
		say("committed", k, v)
	}
	for producer, txn := range o.pending {
		for k, v := range txn {
			say(fmt.Sprintf("pending %d", producer), k, v)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// The table does what the model does, whatever comes in whatever order, and never contradicts itself.
func TestOffsetsAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		var table offsets
		model := offsetModel{
			committed: map[offsetKey]modelOffset{}, pending: map[int64]map[offsetKey]modelOffset{},
		}
		partitions := 1 + r.IntN(400)
		for step := range 3000 {
			k := offsetKey{
				group: fmt.Sprint("g", r.IntN(3)), topic: fmt.Sprint("t", r.IntN(3)),
				partition: int32(r.IntN(partitions)),
			}
			producer := int64(r.IntN(4)) - 1
			var v *offsetValue
			switch r.IntN(10) {
			case 0:
				table.replayEnd(producer, step%2 == 0)
				model.end(producer, step%2 == 0)
				continue
			case 1, 2, 3:
			default:
				v = randomOffset(r)
			}
			table.replay(&k, v, producer)
			model.replay(k, v, producer)
			if step%100 == 0 {
				table.check()
				if got, want := table.dump(), model.dump(); got != want {
					t.Fatalf("seed %d, step %d:\n%s\nwant\n%s", seed, step, got, want)
				}
			}
		}
		// Deleting every group leaves nothing behind.
		for _, group := range table.groupNames(nil) {
			for _, record := range table.appendTombstones(group, nil) {
				k, err := readOffsetKey(record.Key)
				if err != nil {
					t.Fatal(err)
				}
				table.replay(&k, nil, coordinator.NoProducer)
			}
			if table.has(group) {
				t.Errorf("seed %d: %s is still there", seed, group)
			}
		}
		table.check()
		if table.len() != 0 || table.groupCount() != 0 || len(table.open) != 0 || table.dump() != "" {
			t.Errorf("seed %d: something is left: %s", seed, table.dump())
		}
	}
}

func randomOffset(r *rand.Rand) *offsetValue {
	v := &offsetValue{
		offset: r.Int64N(1000), leaderEpoch: int32(r.IntN(3)) - 1, commitMs: r.Int64N(1000), expireMs: none,
	}
	if r.IntN(3) == 0 {
		v.metadata = fmt.Sprint("metadata", r.IntN(5))
	}
	if r.IntN(2) == 0 {
		v.topicID[0] = byte(1 + r.IntN(3))
	}
	if r.IntN(4) == 0 {
		v.expireMs = r.Int64N(1000)
	}
	return v
}
