package catalog

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/engine/catalog/config"
)

// world makes random entries that fit the image, through the deciders and beside them.
type world struct {
	state   *State
	env     Environment
	nextID  int
	entries [][]byte
}

func newWorld() *world {
	return &world{state: NewState(), env: Environment{
		NumPartitions: 2, ReplicationFactor: 1, DeleteTopics: true,
	}}
}

func (w *world) uuid() UUID {
	w.nextID++
	return UUID{0: 1, 14: byte(w.nextID >> 8), 15: byte(w.nextID)}
}

// changes draws the changes of one entry.
func (w *world) changes(t *rapid.T) []Change {
	im := w.state.Image()
	name := rapid.SampledFrom([]string{"a", "b", "c.d", "c_d", "e", "f"}).Draw(t, "topic")
	switch rapid.IntRange(0, 8).Draw(t, "op") {
	case 0:
		return NameCluster(im, "cluster")
	case 1:
		return w.register(t, im)
	case 2:
		n := NewTopic{Name: name, ReplicationFactor: -1}
		n.Partitions = int32(rapid.IntRange(1, 70).Draw(t, "n"))
		changes, _ := CreateTopics(im, &w.env, []NewTopic{n}, []UUID{w.uuid()})
		return changes
	case 3:
		changes, _ := DeleteTopics(im, &w.env, []TopicRef{{Name: name}})
		return changes
	case 4:
		more := MorePartitions{Name: name, Count: int32(rapid.IntRange(1, 140).Draw(t, "count"))}
		changes, _ := CreatePartitions(im, &w.env, []MorePartitions{more})
		return changes
	case 5:
		value := fmt.Sprint(rapid.IntRange(-1, 99).Draw(t, "value"))
		op := ConfigOp{Name: "retention.ms", Value: &value}
		op.Op = AlterOp(rapid.IntRange(0, 1).Draw(t, "op"))
		r := Resource{Type: ResourceTopic, Name: name}
		alter := []AlterResource{{Resource: r, Ops: []ConfigOp{op}}}
		changes, _ := IncrementalAlterConfigs(im, &w.env, alter)
		return changes
	case 6:
		c, e := AllocateProducerIDs(im, 1, im.BrokerEpoch(1))
		if !e.OK() {
			return nil
		}
		return []Change{c}
	case 7:
		level := int16(rapid.IntRange(0, 1).Draw(t, "level"))
		return []Change{FeatureLevel{Name: "group.version", Level: level}}
	default:
		return w.changePartition(t, im, name)
	}
}

func (w *world) register(t *rapid.T, im *Image) []Change {
	id := int32(rapid.IntRange(1, 3).Draw(t, "broker"))
	if old := im.Broker(id); old != nil && rapid.Bool().Draw(t, "change") {
		return []Change{BrokerChanged{
			ID: id, Epoch: old.Epoch, Fenced: !old.Fenced, LogDirs: old.LogDirs,
		}}
	}
	b := Broker{
		ID: id, Incarnation: w.uuid(), LogDirs: []UUID{w.uuid()},
		Rack:      rapid.SampledFrom([]string{"", "r1"}).Draw(t, "rack"),
		Endpoints: []Endpoint{{Listener: "PLAINTEXT", Protocol: "PLAINTEXT", Host: "h", Port: 9092}},
	}
	changes, _ := RegisterBroker(im, b)
	return changes
}

func (w *world) changePartition(t *rapid.T, im *Image, name string) []Change {
	topic := im.Topic(name)
	if topic == nil {
		return nil
	}
	i := int32(rapid.IntRange(0, topic.PartitionCount()-1).Draw(t, "partition"))
	p := *topic.Partition(i)
	p.PartitionEpoch++
	p.LeaderEpoch++
	p.Recovering = !p.Recovering
	p.ELR = p.Replicas
	return []Change{PartitionChanged{TopicID: topic.ID, Partition: i, State: p}}
}

func (w *world) step(t *rapid.T) {
	changes := w.changes(t)
	if len(changes) == 0 {
		return
	}
	entry := EncodeEntry(nil, changes)
	decoded, err := DecodeEntry(entry)
	if err != nil {
		t.Fatal(err)
	}
	if again := EncodeEntry(nil, decoded); !bytes.Equal(entry, again) {
		t.Fatalf("encoding %#v again gives other bytes", changes)
	}
	before := w.state.Image()
	frozen := AppendSnapshot(nil, before)
	if _, err := w.state.Apply(before.Index()+1, entry); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(frozen, AppendSnapshot(nil, before)) {
		t.Fatal("applying an entry changed the image before it")
	}
	w.entries = append(w.entries, entry)
}

// TestReplay: applying is deterministic; a snapshot and the entries after it give the same image
// as all entries; entries that a snapshot holds are passed over; an image never changes.
func TestReplay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			w.step(t)
		}
		want := AppendSnapshot(nil, w.state.Image())
		cut := rapid.IntRange(0, len(w.entries)).Draw(t, "cut")
		full := NewState()
		var snapshot []byte
		for i, entry := range w.entries {
			if i == cut {
				snapshot = AppendSnapshot(nil, full.Image())
			}
			if _, err := full.Apply(uint64(i+1), entry); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(want, AppendSnapshot(nil, full.Image())) {
			t.Fatal("a replay gives another image")
		}
		if cut < len(w.entries) {
			tail := NewState()
			im, err := LoadSnapshot(snapshot)
			if err != nil {
				t.Fatal(err)
			}
			tail.Load(im)
			for i, entry := range w.entries {
				if _, err := tail.Apply(uint64(i+1), entry); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(want, AppendSnapshot(nil, tail.Image())) {
				t.Fatal("snapshot and tail give another image")
			}
		}
		checkImage(t, w.state.Image())
	})
}

// checkImage holds the indexes of an image against each other.
func checkImage(t *rapid.T, im *Image) {
	n, parts := 0, 0
	last := ""
	for topic := range im.Topics {
		n++
		parts += topic.PartitionCount()
		if topic.Name <= last || im.Topic(topic.Name) != topic || im.TopicByID(topic.ID) != topic {
			t.Fatalf("topic %q is not where it belongs", topic.Name)
		}
		last = topic.Name
	}
	if n != im.TopicCount() || parts != im.PartitionCount() {
		t.Fatalf("counts %d topics and %d partitions, has %d and %d",
			im.TopicCount(), im.PartitionCount(), n, parts)
	}
}

// TestSorted: the sorted map behaves as a map whose keys are sorted, and versions do not share what
// changes.
func TestSorted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, model := newSorted[int, int](func(a, b int) int { return a - b }), map[int]int{}
		for i := range rapid.IntRange(0, 600).Draw(t, "ops") {
			key := rapid.IntRange(0, 400).Draw(t, "key")
			before := s
			n := before.n
			if rapid.IntRange(0, 3).Draw(t, "op") == 0 {
				s = s.without(key)
				delete(model, key)
			} else {
				s = s.with(key, i)
				model[key] = i
			}
			if before.n != n || s.n != len(model) {
				t.Fatalf("%d entries, want %d", s.n, len(model))
			}
		}
		inPlace := newSorted[int, int](func(a, b int) int { return a - b })
		for k, v := range model {
			inPlace.set(k, 0)
			inPlace.set(k, v)
		}
		if inPlace.n != len(model) {
			t.Fatalf("%d entries set in place, want %d", inPlace.n, len(model))
		}
		inPlace.each(func(k, v int) {
			if model[k] != v {
				t.Fatalf("set in place, %d is %d, want %d", k, v, model[k])
			}
		})
		var keys []int
		s.each(func(k, v int) {
			if model[k] != v {
				t.Fatalf("%d is %d, want %d", k, v, model[k])
			}
			keys = append(keys, k)
		})
		if len(keys) != len(model) || !slices.IsSorted(keys) {
			t.Fatalf("keys %v", keys)
		}
		from := rapid.IntRange(0, 400).Draw(t, "from")
		at, _ := slices.BinarySearch(keys, from)
		var rest []int
		s.from(from, func(v int) bool { rest = append(rest, v); return true })
		if len(rest) != len(keys)-at {
			t.Fatalf("from %d: %d entries, want %d", from, len(rest), len(keys)-at)
		}
	})
}

// TestForwardCompatibility: fields that a later version appends are skipped, an unknown change is
// an error of its own, and an entry that fails leaves the image as it was.
func TestForwardCompatibility(t *testing.T) {
	entry := []byte{entryVersion, 1, byte(TypeClusterNamed), 9, 6, 2, 'i', 'd', 0xff, 0xff, 0xff}
	s := NewState()
	if _, err := s.Apply(1, entry); err != nil || s.Image().ClusterID() != "id" {
		t.Errorf("a change with more fields: %v", err)
	}
	f := func(entry []byte, want error) {
		t.Helper()
		before := s.Image()
		_, err := s.Apply(before.Index()+1, entry)
		if err == nil || !strings.Contains(err.Error(), want.Error()) {
			t.Errorf("got %v, want %v", err, want)
		}
		if s.Image() != before {
			t.Error("a failed entry changed the image")
		}
	}
	f([]byte{entryVersion, 1, 200, 1, 0}, ErrUnknownChange)
	f([]byte{entryVersion + 1, 0}, ErrUnknownChange)
	newer := FeatureLevel{Name: MetadataVersionFeature, Level: 99}
	f(EncodeEntry(nil, []Change{newer}), ErrUnknownChange)
	f([]byte{entryVersion, 1, byte(TypeClusterNamed), 1, 1, 9}, ErrCorrupt)
	f(EncodeEntry(nil, []Change{
		FeatureLevel{Name: "x", Level: 1}, TopicDeleted{ID: UUID{1}},
	}), ErrInconsistent)
}

// TestSnapshotDamage: any flipped bit and any cut is noticed.
func TestSnapshotDamage(t *testing.T) {
	d := newDriver(t)
	d.brokers(t, []string{"1"})
	changes, _ := CreateTopics(d.state.Image(), &d.env, []NewTopic{{
		Name: "t", Partitions: 3, ReplicationFactor: -1,
	}}, d.ids(1))
	d.apply(t, changes)
	snapshot := AppendSnapshot(nil, d.state.Image())
	for i := range snapshot {
		damaged := bytes.Clone(snapshot)
		damaged[i] ^= 1 << (i % 8)
		if _, err := LoadSnapshot(damaged); err == nil {
			t.Fatalf("a flipped bit in byte %d passed", i)
		}
		if _, err := LoadSnapshot(snapshot[:i]); err == nil {
			t.Fatalf("a cut at byte %d passed", i)
		}
	}
}

// TestBounds: an encoded count cannot ask for more than its bytes justify.
func TestBounds(t *testing.T) {
	huge := []byte{entryVersion, 0xff, 0xff, 0xff, 0xff, 0x0f}
	if n := testing.AllocsPerRun(10, func() { _, _ = DecodeEntry(huge) }); n > 10 {
		t.Errorf("%v allocations for a lying count", n)
	}
}

// TestEveryChangeTypeHasADecoder: and decodes what it encodes, field by field.
func TestEveryChangeTypeHasADecoder(t *testing.T) {
	p := Partition{
		Replicas: []int32{1, 2}, Directories: []UUID{{1}, {2}}, ISR: []int32{1}, ELR: []int32{2},
		LastELR: []int32{3}, Adding: []int32{4}, Removing: []int32{5}, Leader: 1, LeaderEpoch: 6,
		PartitionEpoch: 7, Recovering: true,
	}
	all := []Change{
		ClusterNamed{ClusterID: "c"},
		FeatureLevel{Name: "f", Level: -3},
		BrokerRegistered{Broker: Broker{
			ID: 1, Epoch: 1 << 40, Incarnation: UUID{3}, Rack: "r", Fenced: true, ShuttingDown: true,
			LogDirs: []UUID{{4}}, CordonedLogDirs: []UUID{{5}},
			Endpoints: []Endpoint{{Listener: "L", Protocol: "SSL", Host: "h", Port: 65535}},
		}},
		BrokerChanged{ID: 1, Epoch: 2, Fenced: true, ShuttingDown: true, LogDirs: []UUID{{6}}},
		BrokerUnregistered{ID: 1, Epoch: 2},
		TopicCreated{ID: UUID{7}, Name: "t", Internal: true},
		PartitionsAdded{TopicID: UUID{8}, First: 2, Partitions: []Partition{p}},
		PartitionChanged{TopicID: UUID{9}, Partition: 3, State: p},
		TopicDeleted{ID: UUID{10}},
		ConfigChanged{Resource: Resource{Type: ResourceGroup, Name: "g"}, Name: "k", Value: "v"},
		ProducerIDsAssigned{BrokerID: 1, BrokerEpoch: 2, First: 3, Next: 4},
	}
	got, err := DecodeEntry(EncodeEntry(nil, all))
	if err != nil || !reflect.DeepEqual(got, all) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, all)
	}
	for kind, decode := range decoders {
		has := slices.ContainsFunc(all, func(c Change) bool { return int(c.Type()) == kind })
		if (decode != nil) != has {
			t.Errorf("change type %d is not in this test", kind)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(EncodeEntry(nil, NameCluster(newImage(), "c")))
	added := PartitionsAdded{Partitions: []Partition{{Replicas: []int32{1}}}}
	f.Add(EncodeEntry(nil, []Change{added}))
	f.Add([]byte{entryVersion, 0})
	f.Fuzz(func(t *testing.T, entry []byte) {
		changes, err := DecodeEntry(entry)
		if err != nil {
			return
		}
		again, err := DecodeEntry(EncodeEntry(nil, changes))
		if err != nil || !reflect.DeepEqual(changes, again) {
			t.Fatalf("%v: %+v became %+v", err, changes, again)
		}
		_, _ = NewState().Apply(1, entry)
	})
}

func FuzzLoadSnapshot(f *testing.F) {
	d := newDriver(f)
	f.Add(AppendSnapshot(nil, newImage()), false)
	f.Add(AppendSnapshot(nil, d.state.Image()), true)
	f.Fuzz(func(t *testing.T, data []byte, fix bool) {
		if fix && len(data) >= snapshotTail {
			data = sealed(data[:len(data)-snapshotTail])
		}
		im, err := LoadSnapshot(data)
		if err != nil {
			return
		}
		again, err := LoadSnapshot(AppendSnapshot(nil, im))
		if err != nil || again.Index() != im.Index() || again.TopicCount() != im.TopicCount() {
			t.Fatalf("loading what was loaded: %v", err)
		}
	})
}

// FuzzDeciders: whatever strangers ask for, the changes apply.
func FuzzDeciders(f *testing.F) {
	f.Add("a.b", int32(3), int16(1), "retention.ms", "1")
	f.Add("a", int32(-1), int16(-1), "cleanup.policy", "compact,,delete")
	f.Fuzz(func(t *testing.T, name string, n int32, factor int16, key, value string) {
		d := newDriver(t)
		d.brokers(t, []string{"1"})
		d.env.Layers = config.Layers{}
		topic := NewTopic{Name: name, Partitions: n, ReplicationFactor: factor}
		topic.Configs = []ConfigValue{{Name: key, Value: &value}}
		changes, results := CreateTopics(d.state.Image(), &d.env, []NewTopic{topic}, d.ids(1))
		d.apply(t, changes)
		if results[0].OK() != (d.state.Image().Topic(name) != nil) {
			t.Fatalf("%+v", results)
		}
		for op := range AlterOp(5) {
			alter := AlterResource{
				Resource: Resource{Type: ResourceTopic, Name: name},
				Ops:      []ConfigOp{{Op: op, Name: key, Value: &value}},
			}
			changes, _ := IncrementalAlterConfigs(d.state.Image(), &d.env, []AlterResource{alter})
			d.apply(t, changes)
		}
	})
}
