package group

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
)

// FuzzReplay replays a log of anything: records of random keys and values, plain and of transactions,
// and markers. Whatever is in it, the table stays sound and everything can be asked of it.
func FuzzReplay(f *testing.F) {
	key := appendOffsetKey(nil, "g", "t", 1)
	value := appendOffsetValue(nil, &offsetValue{offset: 4, metadata: "m", expireMs: none})
	group, _ := groupValue(someGroup(3))
	seed := func(ops ...[]byte) (log []byte) {
		for _, op := range ops {
			log = append(log, op...)
		}
		return log
	}
	record := func(producer byte, key, value []byte) []byte {
		return seed([]byte{producer, byte(len(key)), byte(len(value))}, key, value)
	}
	f.Add(seed(record(0, key, value), record(1, key, value), []byte{0x81}))
	f.Add(seed(record(2, key, value), record(3, key, value), record(0, key, nil), []byte{0xc2, 0x83}))
	f.Add(seed(record(0, groupKey("g"), group), record(0, key, value)))
	f.Fuzz(func(t *testing.T, log []byte) {
		m := New(Defaults())
		for len(log) > 0 {
			log = replayFuzzed(m, log)
		}
		m.offsets.check()
		var out outcome
		m.Loaded(1, 1, &out)
		for _, name := range m.offsets.groupNames(nil) {
			var out outcome
			q := &FetchQuery{Group: name, RequireStable: true}
			m.Decide(2, &Input{Kind: OffsetFetch, Group: name, Fetch: q}, &out)
			for _, r := range m.offsets.appendTombstones(name, nil) {
				if k, err := readOffsetKey(r.Key); err != nil || k.group != name {
					t.Errorf("tombstone %x: %v", r.Key, err)
				}
			}
		}
		shard := coordinator.NewShard(m, &discard{}, 0)
		shard.Handle(3, &Input{Kind: TopicsDeleted, Topics: []string{"t"}})
		shard.Handle(1 << 50)
		m.offsets.check()
	})
}

// replayFuzzed takes one step off the log: the first byte is a marker's if its highest bit is set, else
// a record's; the low bits are its producer.
func replayFuzzed(m *Machine, log []byte) []byte {
	producer := int64(log[0]&3) - 1
	if log[0]&0x80 != 0 {
		m.ReplayMarker(coordinator.Marker{ProducerID: producer, Commit: log[0]&0x40 != 0})
		return log[1:]
	}
	if len(log) < 3 {
		return nil
	}
	keyBytes, valueBytes := int(log[1]), int(log[2])
	log = log[3:]
	if keyBytes+valueBytes > len(log) {
		return nil
	}
	r := coordinator.Record{Key: log[:keyBytes]}
	if valueBytes > 0 {
		r.Value = log[keyBytes : keyBytes+valueBytes]
	}
	_ = m.Replay(r, producer, 0)
	return log[keyBytes+valueBytes:]
}

// longVarint reports whether bytes may hold a varint of more than three bytes.
func longVarint(body []byte) bool {
	run := 0
	for _, b := range body {
		if run++; b < 0x80 {
			run = 0
		}
		if run == 3 {
			return true
		}
	}
	return false
}

// FuzzOffsetRequests hands requests of any content to the machine. There is one answer, what is written
// can be read again, and a machine that reads it has the same offsets.
func FuzzOffsetRequests(f *testing.F) {
	commit := commitInput("g", "t", 1, 5).Request
	txn := kmsg.NewPtrTxnOffsetCommitRequest()
	txn.Version, txn.Group, txn.ProducerID = 4, "g", 3
	txn.Topics = []kmsg.TxnOffsetCommitRequestTopic{{
		Topic: "t", Partitions: make([]kmsg.TxnOffsetCommitRequestTopicPartition, 1),
	}}
	del := kmsg.NewPtrOffsetDeleteRequest()
	del.Group, del.Topics = "g", []kmsg.OffsetDeleteRequestTopic{{
		Topic: "t", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 1}},
	}}
	f.Add(uint8(0), int16(9), commit.AppendTo(nil))
	f.Add(uint8(1), int16(4), txn.AppendTo(nil))
	f.Add(uint8(2), int16(0), del.AppendTo(nil))
	f.Fuzz(func(t *testing.T, kind uint8, version int16, body []byte) {
		var in Input
		switch kind % 3 {
		case 0:
			in = Input{Kind: OffsetCommit, Request: kmsg.NewPtrOffsetCommitRequest()}
		case 1:
			in = Input{Kind: TxnOffsetCommit, Request: kmsg.NewPtrTxnOffsetCommitRequest()}
		case 2:
			in = Input{Kind: OffsetDelete, Request: kmsg.NewPtrOffsetDeleteRequest()}
		}
		// kmsg takes a count of tagged fields at its word and turns as many rounds before it says that they
		// are not there. What the broker does about that is not tried here.
		if version < 0 || version > in.Request.MaxVersion() || longVarint(body) {
			return
		}
		in.Version = version
		in.Request.SetVersion(version)
		if in.Request.ReadFrom(body) != nil {
			return
		}
		switch req := in.Request.(type) {
		case *kmsg.OffsetCommitRequest:
			in.Group = req.Group
		case *kmsg.TxnOffsetCommitRequest:
			in.Group = req.Group
		case *kmsg.OffsetDeleteRequest:
			in.Group = req.Group
		}
		s := newOffsetScript(t)
		first := commitInput("g", "t", 1, 5)
		s.shard.Handle(s.nowMs, first)
		s.shard.Handle(s.nowMs, &in)
		var released coordinator.Released[*Input]
		s.shard.Release(s.log.end, &released)
		if len(released.Replies) != 2 {
			t.Fatalf("%d answers", len(released.Replies))
		}
		s.sameAfterReload()
	})
}
