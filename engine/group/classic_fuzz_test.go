package group

import (
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// chooser reads choices off bytes; after the last one it chooses 0.
type chooser struct{ b []byte }

func (c *chooser) next(n int) int {
	if len(c.b) == 0 {
		return 0
	}
	v := int(c.b[0])
	c.b = c.b[1:]
	return v % n
}

func pick[T any](c *chooser, from ...T) T { return from[c.next(len(from))] }

func (c *chooser) bytes() []byte {
	n := min(c.next(24), len(c.b))
	part := c.b[:n]
	c.b = c.b[n:]
	return part
}

func (c *chooser) orNil(s string) *string {
	if c.next(2) == 0 {
		return nil
	}
	return &s
}

// FuzzMachine makes inputs of bytes, with ids, generations and versions that fit now and then, and plays
// them with failed appends, reloads and jumps of the clock. Nothing may panic, the books must balance,
// every input must be answered once, and a reload must find what was at rest.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x00\x03\x00\x00\x00\x00\x10\x01\x00\x02\x00\x00\x00\x00"))
	for i := range 8 {
		seed := make([]byte, 200)
		for k := range seed {
			seed[k] = byte(k * (2*i + 7) >> (i % 3))
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &chooser{b: data[:min(len(data), 2000)]}
		cfg := Defaults()
		cfg.SizeMax, cfg.GroupsMax, cfg.PendingMax = 1+c.next(5), 1+c.next(3), 1+c.next(3)
		cfg.GroupBytesMax, cfg.MemberBytesMax, cfg.RecordBytesMax = 2000, 3000, 500
		cfg.SessionMinMs, cfg.InitialDelayMs = 0, int32(c.next(2)*1000)
		s := newStage(t, cfg)
		fails := 0
		s.log.refuse = func() int16 {
			if fails == 0 {
				return wire.CodeNone
			}
			fails--
			return wire.CodeNotEnoughReplicas
		}
		for i := 0; len(c.b) > 0; i++ {
			switch c.next(12) {
			case 0:
				s.advance(int64(c.next(200)) * 100)
			case 1:
				fails = c.next(3)
			case 2:
				s.nowMs += int64(c.next(256)-128) * 1000
			case 3:
				before := s.m.settled()
				s.reload()
				if after := s.m.settled(); len(after) < len(before) {
					t.Fatalf("a reload lost groups: %v, before %v", after, before)
				}
			default:
				s.handle(fuzzInput(c, i))
			}
			s.m.check(t)
			s.checkWaiting()
		}
		s.unload()
		for in, n := range s.answered {
			if n != 1 && in.Kind != TopicsDeleted {
				t.Fatalf("an input of kind %d was answered %d times", in.Kind, n)
			}
		}
	})
}

// fuzzIDs are the ids of members and instances; "c-1", "c-2" … are those that are handed out.
func fuzzID(c *chooser) string {
	return pick(c, "", "c-1", "c-2", "c-3", "c-4", "i-1", "i-2", "i-3", fmt.Sprint("c-", c.next(60)), "x")
}

func fuzzInput(c *chooser, i int) *Input {
	in := &Input{
		Kind: Kind(1 + c.next(int(TopicsDeleted))), Version: int16(c.next(10)),
		Group: pick(c, "g", "h", "k", ""), ClientID: "c", NewID: fmt.Sprint(i % 60),
	}
	in.Request = fuzzRequest(c, in)
	switch in.Kind {
	case OffsetFetch:
		in.Fetch = &FetchQuery{Group: in.Group, RequireStable: c.next(2) == 0}
	case List:
		in.Group, in.StatesFilter = "", []string{pick(c, "stable", "empty")}
	case EndTxn:
		in.Group = ""
		in.Marker = &coordinator.Marker{ProducerID: int64(c.next(3)), Commit: c.next(2) == 0}
	case TopicsDeleted:
		in.Group, in.Topics = "", []string{pick(c, "t", "u")}
	}
	return in
}

func fuzzRequest(c *chooser, in *Input) kmsg.Request {
	generation := int32(c.next(6)) - 1
	switch in.Kind {
	case Join:
		req := kmsg.NewPtrJoinGroupRequest()
		req.MemberID, req.InstanceID = fuzzID(c), c.orNil(pick(c, "i", "j"))
		req.ProtocolType = pick(c, consumerType, consumerType, consumerType, "connect", "")
		req.SessionTimeoutMillis = int32(c.next(256)) * 100
		req.RebalanceTimeoutMillis = int32(c.next(256))*100 - 100
		for range 1 + c.next(3) {
			req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{
				Name: pick(c, "range", "sticky", "rr"), Metadata: slices.Clone(c.bytes()),
			})
		}
		return req
	case Sync:
		req := kmsg.NewPtrSyncGroupRequest()
		req.MemberID, req.InstanceID, req.Generation = fuzzID(c), c.orNil(pick(c, "i", "j")), generation
		req.ProtocolType, req.Protocol = c.orNil(consumerType), c.orNil(pick(c, "range", "sticky"))
		for range c.next(3) {
			req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{
				MemberID: fuzzID(c), MemberAssignment: slices.Clone(c.bytes()),
			})
		}
		return req
	case Heartbeat:
		req := kmsg.NewPtrHeartbeatRequest()
		req.MemberID, req.InstanceID, req.Generation = fuzzID(c), c.orNil(pick(c, "i", "j")), generation
		return req
	case Leave:
		req := kmsg.NewPtrLeaveGroupRequest()
		req.MemberID = fuzzID(c)
		for range c.next(4) {
			req.Members = append(req.Members, kmsg.LeaveGroupRequestMember{
				MemberID: fuzzID(c), InstanceID: c.orNil(pick(c, "i", "j")),
			})
		}
		return req
	case OffsetCommit:
		req := kmsg.NewPtrOffsetCommitRequest()
		req.MemberID, req.Generation = fuzzID(c), generation
		req.Topics = []kmsg.OffsetCommitRequestTopic{{
			Topic: pick(c, "t", "u"), Partitions: []kmsg.OffsetCommitRequestTopicPartition{{}},
		}}
		return req
	case TxnOffsetCommit:
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.MemberID, req.Generation, req.ProducerID = fuzzID(c), generation, int64(c.next(3))
		req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{
			Topic: pick(c, "t", "u"), Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{}},
		}}
		return req
	case OffsetDelete:
		req := kmsg.NewPtrOffsetDeleteRequest()
		req.Topics = []kmsg.OffsetDeleteRequestTopic{{
			Topic: pick(c, "t", "u"), Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}},
		}}
		return req
	default:
		return nil
	}
}
