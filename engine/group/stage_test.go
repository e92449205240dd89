package group

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// failer is what a stage needs of a test.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// stageLog is a log in memory. It refuses what it is told to.
type stageLog struct {
	batches []coordinator.Batch
	end     int64
	code    int16
	refuse  func() int16
	// wrote sees every record.
	wrote func(r coordinator.Record)
}

func (l *stageLog) Append(b coordinator.Batch) (int64, int16) {
	if l.refuse != nil {
		if code := l.refuse(); code != wire.CodeNone {
			return 0, code
		}
	}
	if l.code != wire.CodeNone {
		return 0, l.code
	}
	kept := b
	kept.Records = nil
	for _, r := range b.Records {
		kept.Records = append(kept.Records, coordinator.Record{
			Key: slices.Clone(r.Key), Value: slices.Clone(r.Value),
		})
	}
	l.batches = append(l.batches, kept)
	for _, r := range kept.Records {
		if l.wrote != nil {
			l.wrote(r)
		}
	}
	l.end += int64(max(1, len(b.Records)))
	return l.end - 1, wire.CodeNone
}

// replay makes a machine of the log.
func (l *stageLog) replay(t failer, cfg Config) *Machine {
	m := New(cfg)
	for _, b := range l.batches {
		if b.Marker != nil {
			m.ReplayMarker(*b.Marker)
		}
		for _, r := range b.Records {
			if err := m.Replay(r, b.ProducerID, b.ProducerEpoch); err != nil {
				t.Fatalf("replay: %v", err)
			}
		}
	}
	return m
}

// stage is a machine with its shard, a log and a clock. Every input must be answered once.
type stage struct {
	t     failer
	cfg   Config
	log   *stageLog
	m     *Machine
	shard *coordinator.Shard[*Input]
	nowMs int64
	// answered counts each input's answers.
	answered map[*Input]int
	onReply  func(in *Input, response any)
}

func newStage(t failer, cfg Config) *stage {
	s := &stage{t: t, cfg: cfg, log: &stageLog{}, nowMs: 1_000_000, answered: map[*Input]int{}}
	s.load()
	return s
}

func (s *stage) load() {
	s.m = s.log.replay(s.t, s.cfg)
	s.shard = coordinator.NewShard[*Input](s.m, s.log, s.log.end)
	s.shard.Loaded(s.nowMs, 1)
	s.release()
}

// unload ends the shard as a loss of leadership does.
func (s *stage) unload() {
	var r coordinator.Released[*Input]
	s.shard.Unload(wire.CodeNotCoordinator, &r)
	s.take(&r)
}

func (s *stage) reload() {
	s.unload()
	s.load()
}

func (s *stage) release() {
	var r coordinator.Released[*Input]
	s.shard.Release(s.log.end, &r)
	s.take(&r)
}

func (s *stage) take(r *coordinator.Released[*Input]) {
	for _, reply := range r.Replies {
		s.answered[reply.To]++
		if n := s.answered[reply.To]; n > 1 {
			s.t.Fatalf("an input of kind %d is answered %d times", reply.To.Kind, n)
		}
		if s.onReply != nil {
			s.onReply(reply.To, reply.Response)
		}
	}
}

func (s *stage) handle(inputs ...*Input) {
	s.shard.Handle(s.nowMs, inputs...)
	s.release()
	for _, in := range inputs {
		if _, known := s.answered[in]; !known {
			s.answered[in] = 0
		}
	}
}

// checkWaiting holds that whoever has no answer is parked, and nobody else is.
func (s *stage) checkWaiting() {
	waiting := map[*Input]bool{}
	for _, in := range s.m.Waiting() {
		if waiting[in] {
			s.t.Fatalf("an input waits twice")
		}
		waiting[in] = true
	}
	for in, n := range s.answered {
		if in.Kind != Timer && in.Kind != TopicsDeleted && n == 0 && !waiting[in] {
			s.t.Fatalf("an input of kind %d of %s is neither answered nor parked", in.Kind, in.Group)
		}
		if n > 0 && waiting[in] {
			s.t.Fatalf("an input of kind %d of %s is answered and parked", in.Kind, in.Group)
		}
	}
}

// advance lets time pass, stopping at every timer on the way.
func (s *stage) advance(ms int64) {
	end := s.nowMs + ms
	for {
		due := s.shard.NextDueMs()
		if due > end {
			break
		}
		s.nowMs = max(s.nowMs, due)
		s.handle()
	}
	s.nowMs = end
	s.handle()
}

func codeName(code int16) string {
	if code == 0 {
		return "ok"
	}
	return kerr.TypedErrorForCode(code).Message
}

func join(group, memberID string, version int16, protocols ...string) *Input {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.ProtocolType = group, memberID, consumerType
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 30_000
	for _, p := range protocols {
		name, metadata, _ := strings.Cut(p, ":")
		req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{
			Name: name, Metadata: []byte(metadata),
		})
	}
	return &Input{Kind: Join, Request: req, Version: version, Group: group, ClientHost: "/10.0.0.1"}
}

func syncOf(group, memberID string, generation int32, assignments ...string) *Input {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.Generation = group, memberID, generation
	for i := 0; i+1 < len(assignments); i += 2 {
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{
			MemberID: assignments[i], MemberAssignment: []byte(assignments[i+1]),
		})
	}
	return &Input{Kind: Sync, Request: req, Version: 3, Group: group}
}

func heartbeatOf(group, memberID string, generation int32) *Input {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation = group, memberID, generation
	return &Input{Kind: Heartbeat, Request: req, Version: 3, Group: group}
}

// show is an answer in one line.
func show(response any) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	switch r := response.(type) {
	case *kmsg.JoinGroupResponse:
		p("%s", codeName(r.ErrorCode))
		if r.ErrorCode != 0 {
			p(" id=%q", r.MemberID)
			break
		}
		p(" generation=%d type=%s protocol=%s leader=%s id=%s", r.Generation, orNull(r.ProtocolType),
			orNull(r.Protocol), r.LeaderID, r.MemberID)
		if r.SkipAssignment {
			p(" skip-assignment")
		}
		for _, m := range r.Members {
			p("\n    %s", m.MemberID)
			if m.InstanceID != nil {
				p(" instance=%s", *m.InstanceID)
			}
			p(" %q", m.ProtocolMetadata)
		}
	case *kmsg.SyncGroupResponse:
		p("%s", codeName(r.ErrorCode))
		if r.ErrorCode == 0 {
			p(" type=%s protocol=%s assignment=%q", orNull(r.ProtocolType), orNull(r.Protocol), r.MemberAssignment)
		}
	case *kmsg.HeartbeatResponse:
		p("%s", codeName(r.ErrorCode))
	case *kmsg.LeaveGroupResponse:
		p("%s", codeName(r.ErrorCode))
		for _, m := range r.Members {
			p(" [id=%q instance=%s %s]", m.MemberID, orNull(m.InstanceID), codeName(m.ErrorCode))
		}
	case *kmsg.DescribeGroupsResponseGroup:
		p("%s %s state=%s type=%q protocol=%q", codeName(r.ErrorCode), r.Group, r.State, r.ProtocolType, r.Protocol)
		for _, m := range r.Members {
			p("\n    %s client=%s host=%s", m.MemberID, m.ClientID, m.ClientHost)
			if m.InstanceID != nil {
				p(" instance=%s", *m.InstanceID)
			}
			p(" metadata=%q assignment=%q", m.ProtocolMetadata, m.MemberAssignment)
		}
	case *kmsg.ListGroupsResponse:
		p("%s", codeName(r.ErrorCode))
		for _, g := range r.Groups {
			p("\n    %s type=%q state=%s %s", g.Group, g.ProtocolType, g.GroupState, g.GroupType)
		}
	case *kmsg.DeleteGroupsResponseGroup:
		p("%s", codeName(r.ErrorCode))
	case *kmsg.OffsetCommitResponse:
		for _, t := range r.Topics {
			for _, part := range t.Partitions {
				p("%s ", codeName(part.ErrorCode))
			}
		}
	case *kmsg.OffsetFetchResponseGroup:
		p("%s", codeName(r.ErrorCode))
		for _, t := range r.Topics {
			for _, part := range t.Partitions {
				p(" %s-%d=%d", t.Topic, part.Partition, part.Offset)
			}
		}
	default:
		p("%T %v", response, response)
	}
	return strings.TrimSpace(b.String())
}

func orNull(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

// showRecord is a group's record in one line and one more per member.
func showRecord(r coordinator.Record) string {
	kind, err := recordType(r.Key)
	if err != nil {
		return err.Error()
	}
	if kind != groupKeyType {
		k, err := readOffsetKey(r.Key)
		if err != nil {
			return err.Error()
		}
		if r.Value == nil {
			return fmt.Sprintf("offset of %s %s-%d: tombstone", k.group, k.topic, k.partition)
		}
		v, _, err := readOffsetValue(r.Value)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("offset of %s %s-%d: %d", k.group, k.topic, k.partition, v.offset)
	}
	id, err := readGroupKey(r.Key)
	if err != nil {
		return err.Error()
	}
	if r.Value == nil {
		return fmt.Sprintf("group %s: tombstone", id)
	}
	v, _, err := readGroupValue(r.Value)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "group %s: generation=%d type=%s protocol=%s leader=%s", id, v.Generation,
		v.ProtocolType, orNull(v.Protocol), orNull(v.Leader))
	for _, m := range v.Members {
		fmt.Fprintf(&b, "\n    %s instance=%s client=%s session=%d rebalance=%d %q %q", m.MemberID,
			orNull(m.InstanceID), m.ClientID, m.SessionTimeoutMillis, m.RebalanceTimeoutMillis,
			m.Subscription, m.Assignment)
	}
	return b.String()
}
