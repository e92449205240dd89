package group

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// The phases of a client's life in its group.
const (
	clientOut    = iota // is to join
	clientJoined        // is to sync
	clientStable        // has its assignment
	clientDown          // crashed
)

const (
	simSessionMs   = 10_000 // of most clients
	simRebalanceMs = 20_000
	simGiveUpMs    = 30_000
)

// client is a consumer as those of Kafka behave.
type client struct {
	w            *world
	name, group  string
	version      int16 // of JoinGroup
	instance     *string
	sessionMs    int32
	phase        int
	memberID     string
	generation   int32
	protocol     string
	members      []kmsg.JoinGroupResponseMember // if it is to assign
	metadata     int
	leads        bool
	sinceBeatMs  int64
	waits        *Input
	waitsSinceMs int64
	upAtMs       int64 // does nothing before
	offset       int64
	idReloads    int // how often the shard had moved when the id was given
}

func newClient(w *world, i int) *client {
	c := &client{w: w, name: fmt.Sprintf("c%d", i), group: fmt.Sprintf("g%d", w.r.IntN(2))}
	c.version = int16(w.r.IntN(10))
	if c.version >= 5 && w.r.IntN(2) == 0 {
		instance := "i" + c.name
		c.instance = &instance
	}
	c.sessionMs = int32(simSessionMs)
	if w.r.IntN(3) == 0 {
		c.sessionMs = 25_000
	}
	return c
}

func (c *client) elapsed() int64 { return c.w.elapsedMs }

func (c *client) crash() {
	c.w.note("%s crashes", c.name)
	c.phase, c.waits, c.memberID, c.members = clientDown, nil, "", nil
	c.upAtMs = c.elapsed() + int64(c.w.r.IntN(2*simSessionMs))
}

func (c *client) stall() {
	c.w.note("%s stalls", c.name)
	c.upAtMs = c.elapsed() + int64(c.w.r.IntN(3*simSessionMs))
}

// rejoin is what a change of subscription, or a leader's discovery, leads to.
func (c *client) rejoin() {
	if c.phase == clientStable && c.waits == nil {
		if !c.leads {
			c.metadata++
		}
		c.phase = clientOut
	}
}

func (c *client) leave() {
	if c.phase == clientDown || c.memberID == "" {
		return
	}
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID = c.group, c.memberID
	req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: c.memberID, InstanceID: c.instance}}
	in := &Input{Kind: Leave, Request: req, Version: int16(c.w.r.IntN(6)), Group: c.group}
	c.crash()
	c.send(in, false)
}

func (c *client) commit() {
	if c.phase != clientStable || c.waits != nil {
		return
	}
	c.offset++
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.InstanceID, req.Generation = c.group, c.memberID, c.instance, c.generation
	part := kmsg.NewOffsetCommitRequestTopicPartition()
	part.Partition, part.Offset = int32(c.w.r.IntN(simPartitions)), c.offset
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic, topic.Partitions = "t", append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	c.send(&Input{Kind: OffsetCommit, Request: req, Version: 8, Group: c.group}, true)
}

// send hands a request to the machine, and waits for the answer if it is to.
func (c *client) send(in *Input, wait bool) {
	in.ClientID, in.ClientHost, in.Waiter = c.name, "/"+c.name, c
	if wait {
		c.waits, c.waitsSinceMs = in, c.elapsed()
	}
	sent := *in // Parked requests are stripped.
	if c.w.past = append(c.w.past, &sent); len(c.w.past) > 30 {
		c.w.past = c.w.past[1:]
	}
	c.w.handle(in)
}

// act goes on with the protocol.
func (c *client) act() {
	if c.elapsed() < c.upAtMs {
		return
	}
	if c.waits != nil {
		if c.elapsed()-c.waitsSinceMs < simGiveUpMs {
			return
		}
		// The answer will be ignored, should it come.
		c.waits, c.phase = nil, clientOut
	}
	switch c.phase {
	case clientDown:
		c.phase = clientOut
	case clientOut:
		c.join()
	case clientJoined:
		c.sync()
	case clientStable:
		if c.elapsed()-c.sinceBeatMs >= simSessionMs/3 {
			c.sinceBeatMs = c.elapsed()
			req := kmsg.NewPtrHeartbeatRequest()
			req.Group, req.MemberID, req.InstanceID = c.group, c.memberID, c.instance
			req.Generation = c.generation
			c.send(&Input{Kind: Heartbeat, Request: req, Version: 3, Group: c.group}, true)
		}
	}
}

func (c *client) join() {
	c.w.fresh++
	protocols := []string{"range", "sticky"}
	if c.name > "c3" {
		protocols = []string{"sticky", "range"}
	}
	for i := range protocols {
		protocols[i] += fmt.Sprint(":", c.name, c.metadata)
	}
	in := join(c.group, c.memberID, c.version, protocols...)
	in.NewID = fmt.Sprintf("u%d", c.w.fresh)
	req := in.Request.(*kmsg.JoinGroupRequest)
	req.InstanceID = c.instance
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = c.sessionMs, simRebalanceMs
	c.send(in, true)
}

func (c *client) sync() {
	in := syncOf(c.group, c.memberID, c.generation)
	req := in.Request.(*kmsg.SyncGroupRequest)
	req.InstanceID = c.instance
	if c.version >= 7 {
		in.Version = 5
		consumer := consumerType
		req.ProtocolType, req.Protocol = &consumer, &c.protocol
	}
	for i, m := range c.members {
		var mine []string
		for p := i; p < simPartitions; p += len(c.members) {
			mine = append(mine, fmt.Sprint(p))
		}
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{
			MemberID: m.MemberID, MemberAssignment: []byte(strings.Join(mine, " ")),
		})
	}
	c.send(in, true)
}

// hear takes an answer.
func (c *client) hear(in *Input, response any) {
	switch r := response.(type) {
	case *kmsg.JoinGroupResponse:
		c.hearJoin(r)
	case *kmsg.SyncGroupResponse:
		if r.ErrorCode == wire.CodeNone {
			c.phase, c.sinceBeatMs = clientStable, c.elapsed()
			return
		}
		c.fail(r.ErrorCode)
	case *kmsg.HeartbeatResponse:
		if r.ErrorCode != wire.CodeNone {
			c.fail(r.ErrorCode)
		}
	case *kmsg.OffsetCommitResponse:
		switch code := r.Topics[0].Partitions[0].ErrorCode; code {
		case wire.CodeNone, wire.CodeRebalanceInProgress:
		default:
			c.fail(code)
		}
	}
}

func (c *client) hearJoin(r *kmsg.JoinGroupResponse) {
	switch r.ErrorCode {
	case wire.CodeMemberIDRequired:
		c.memberID = r.MemberID
	case wire.CodeNone:
		c.phase, c.memberID, c.generation, c.protocol = clientJoined, r.MemberID, r.Generation, *r.Protocol
		c.idReloads = c.w.reloads
		c.leads, c.members = r.LeaderID == r.MemberID, nil
		if c.leads && !r.SkipAssignment {
			c.members = r.Members
		}
	default:
		c.fail(r.ErrorCode)
	}
}

// fail is how a client goes on after an error.
func (c *client) fail(code int16) {
	c.phase = clientOut
	switch code {
	case wire.CodeUnknownMemberID:
		c.memberID = ""
	case wire.CodeIllegalGeneration, wire.CodeRebalanceInProgress, wire.CodeNotCoordinator,
		wire.CodeCoordinatorNotAvailable:
	case wire.CodeUnknownServerError:
		// The log refused a record as too large.
	case wire.CodeFencedInstanceID:
		// Ids that static members get during a rebalance are not in the log yet, as in Kafka. Their
		// consumers have to start anew if the coordinator moves before that.
		if c.idReloads == c.w.reloads {
			c.w.Fatalf("%s is fenced by nobody", c.name)
		}
		c.memberID = ""
	default:
		c.w.Fatalf("%s cannot go on after %s", c.name, codeName(code))
	}
}
