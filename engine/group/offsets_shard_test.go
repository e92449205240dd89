package group

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// plainCommit is the record of a commit without a member.
func plainCommit(group, topic string, partition int32, commitMs int64) coordinator.Record {
	v := offsetValue{offset: 1, leaderEpoch: none, commitMs: commitMs, expireMs: none}
	return coordinator.Record{
		Key: appendOffsetKey(nil, group, topic, partition), Value: appendOffsetValue(nil, &v),
	}
}

// loaded is a script whose log has these records.
func loaded(t *testing.T, records []coordinator.Record) *offsetScript {
	s := newOffsetScript(t)
	s.log.Append(coordinator.Batch{Records: records, ProducerID: coordinator.NoProducer})
	s.printed = len(s.log.batches)
	s.load()
	return s
}

// However much expires at once, no batch is larger than a pass may write, and all of it goes.
func TestExpiryIsBounded(t *testing.T) {
	t.Parallel()
	var records []coordinator.Record
	for i := range 12_000 {
		records = append(records, plainCommit(fmt.Sprint("group-", i%3), "some-topic-of-theirs", int32(i), 1))
	}
	s := loaded(t, records)
	s.nowMs += s.cfg.OffsetRetentionMs
	s.advance("10m")
	checkBatches(t, s, 4)
	if s.m.offsets.len() != 0 {
		t.Errorf("%d offsets are left", s.m.offsets.len())
	}
	s.sameAfterReload()
}

// A group with more offsets than a pass looks at does not keep a round from its end.
func TestExpiryPassesLargeGroups(t *testing.T) {
	t.Parallel()
	var records []coordinator.Record
	for i := range passOffsetsMax + 10 {
		records = append(records, plainCommit("a-large-one", "topic", int32(i), 1_000_000_000_000))
	}
	records = append(records, plainCommit("another", "topic", 1, 1))
	s := loaded(t, records)
	s.nowMs += s.cfg.OffsetRetentionMs
	s.advance("11m")
	if s.m.offsets.len() != passOffsetsMax+10 || s.m.offsets.has("another") {
		t.Errorf("%d offsets are left", s.m.offsets.len())
	}
	if due := s.shard.NextDueMs(); due < s.nowMs+s.cfg.ExpiryCheckMs/2 {
		t.Errorf("the next pass is due in %d ms", due-s.nowMs)
	}
}

// The offsets of a deleted topic go in passes too, committed and pending. What is committed to a new
// topic of that name meanwhile is kept, and so is all that a refused append leaves for later.
func TestTopicsDeletedIsBounded(t *testing.T) {
	t.Parallel()
	gone := strings.Repeat("gone", 8)
	var records []coordinator.Record
	for i := range 30_000 {
		topic := []string{gone, "kept"}[i%2]
		records = append(records, plainCommit(fmt.Sprint("group-", i%10), topic, int32(i), 1))
	}
	s := loaded(t, records)
	var pending []coordinator.Record
	for i := range 5000 {
		pending = append(pending, plainCommit("pending", gone, int32(i), 1))
	}
	s.log.Append(coordinator.Batch{Records: pending, ProducerID: 4})
	s.printed = len(s.log.batches)
	s.load()
	s.shard.Handle(s.nowMs, &Input{Kind: TopicsDeleted, Topics: []string{gone}})
	s.log.code = wire.CodeNotEnoughReplicas
	s.advance("50ms")
	s.log.code = wire.CodeNone
	s.shard.Handle(s.nowMs, commitInput("new", gone, 1, 5), commitInput("group-0", gone, 0, 5))
	s.advance("11m")
	checkBatches(t, s, 7)
	if got := s.m.offsets.len(); got != 15_000+2 || s.m.offsets.has("pending") {
		t.Errorf("%d offsets are left", got)
	}
	if s.m.offsets.find("new", gone, 1) == 0 || s.m.offsets.find("group-0", gone, 0) == 0 {
		t.Error("an offset of the new topic has been dropped")
	}
	s.sameAfterReload()
}

// checkBatches holds what was appended since the script's start against what a pass may write.
func checkBatches(t *testing.T, s *offsetScript, least int) {
	t.Helper()
	tombstones := 0
	for _, b := range s.log.batches[1:] {
		bytes := 0
		if len(b.Records) > 0 && b.Records[0].Value == nil {
			tombstones++
			for _, r := range b.Records {
				bytes += len(r.Key)
			}
		}
		if bytes > passBytesMax+100 {
			t.Errorf("a batch of %d bytes", bytes)
		}
	}
	if tombstones < least {
		t.Errorf("%d batches of tombstones, expected more", tombstones)
	}
}

// A request never makes more bytes than a batch holds: each record repeats long names.
func TestCommitIsBounded(t *testing.T) {
	t.Parallel()
	s := newOffsetScript(t)
	group := strings.Repeat("g", textBytesMax)
	in := commitInput(group, "t", 0, 1)
	req := in.Request.(*kmsg.OffsetCommitRequest)
	for range 100 {
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, req.Topics[0].Partitions[0])
	}
	var released coordinator.Released[*Input]
	handle := func(in *Input) any {
		s.shard.Handle(s.nowMs, in)
		released.Replies = released.Replies[:0]
		s.shard.Release(s.log.end, &released)
		return released.Replies[0].Response
	}
	resp := handle(in).(*kmsg.OffsetCommitResponse)
	code := resp.Topics[0].Partitions[100].ErrorCode
	if code != wire.CodeUnknownServerError || s.log.end > 0 {
		t.Errorf("code %s, %d records", wire.CodeName(code), s.log.end)
	}
	handle(commitInput(group, "t", 0, 1))
	del := kmsg.NewPtrOffsetDeleteRequest()
	del.Topics = []kmsg.OffsetDeleteRequestTopic{{
		Topic: "t", Partitions: make([]kmsg.OffsetDeleteRequestTopicPartition, 100),
	}}
	deleted := handle(&Input{Kind: OffsetDelete, Group: group, Request: del}).(*kmsg.OffsetDeleteResponse)
	if deleted.ErrorCode != wire.CodeUnknownServerError || s.m.offsets.len() != 1 {
		t.Errorf("code %s, %d offsets", wire.CodeName(deleted.ErrorCode), s.m.offsets.len())
	}
}

// Nobody makes more groups of simple consumers than the configuration allows; those that there are go
// on.
func TestOffsetGroupsAreBounded(t *testing.T) {
	t.Parallel()
	cfg := Defaults()
	cfg.OffsetGroupsMax = 2
	m := New(cfg)
	shard := coordinator.NewShard(m, &discard{}, 0)
	var released coordinator.Released[*Input]
	for i, want := range []int16{0, 0, wire.CodeCoordinatorNotAvailable, 0} {
		shard.Handle(1, commitInput(fmt.Sprint("g", i%3), "t", 0, 1))
		released.Replies = released.Replies[:0]
		shard.Release(100, &released)
		resp := released.Replies[0].Response.(*kmsg.OffsetCommitResponse)
		if got := resp.Topics[0].Partitions[0].ErrorCode; got != want {
			t.Errorf("commit %d: %s", i, wire.CodeName(got))
		}
	}
}

// A small query that names a partition with much metadata again and again is answered up to a bound.
func TestFetchIsBounded(t *testing.T) {
	t.Parallel()
	s := newOffsetScript(t)
	s.out.Reset()
	s.run(strings.Fields("commit g t-0=1:x*4096"))
	q := &FetchQuery{Group: "g", Topics: []kmsg.OffsetFetchRequestGroupTopic{{
		Topic: "t", Partitions: make([]int32, fetchMetadataBytesMax/4096+1),
	}}}
	var out outcome
	s.m.Decide(s.nowMs, &Input{Kind: OffsetFetch, Group: "g", Fetch: q}, &out)
	partitions := out.Replies[0].Response.(*kmsg.OffsetFetchResponseGroup).Topics[0].Partitions
	last := len(partitions) - 1
	if partitions[last-1].ErrorCode != 0 || partitions[last].ErrorCode != wire.CodeUnknownServerError {
		t.Errorf("codes %d, %d", partitions[last-1].ErrorCode, partitions[last].ErrorCode)
	}
}

// Whatever happens, in whatever order, with appends that fail: every request has one answer, a refused
// append changes nothing, and a machine that replays the log has the same offsets.
func TestOffsetsAfterReload(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		s := newOffsetScript(t)
		for range 400 {
			s.out.Reset()
			before := s.m.offsets.dump()
			s.log.code = wire.CodeNone
			failing := r.IntN(5) == 0
			if failing {
				s.log.code = wire.CodeNotEnoughReplicas
			}
			command := randomCommand(r)
			s.run(strings.Fields(command))
			if failing && s.m.offsets.dump() != before {
				t.Fatalf("seed %d: %s has changed something although its append has failed", seed, command)
			}
			answers := strings.Count(s.out.String(), "\n") - strings.Count(s.out.String(), "  + ")
			if want := map[bool]int{true: 1}[asks(command)]; answers != want {
				t.Fatalf("seed %d: %s has %d answers: %s", seed, command, answers, s.out.String())
			}
			s.sameAfterReload()
			if r.IntN(30) == 0 {
				s.load()
			}
		}
	}
}

func asks(command string) bool {
	return !strings.HasPrefix(command, "advance") && !strings.HasPrefix(command, "topics-deleted")
}

func randomCommand(r *rand.Rand) string {
	group := fmt.Sprint("g", r.IntN(3))
	part := func() string { return fmt.Sprintf("t%d-%d", r.IntN(3), r.IntN(4)) }
	switch r.IntN(9) {
	case 0, 1:
		return fmt.Sprintf("commit %s %s=%d %s=%d:m%d", group, part(), r.IntN(99), part(), r.IntN(99), r.IntN(3))
	case 2:
		return fmt.Sprintf("commit %s v=4 retention=%dh %s=%d", group, r.IntN(100), part(), r.IntN(99))
	case 3, 4:
		return fmt.Sprintf("txn-commit %s pid=%d %s=%d %s=%d",
			group, r.IntN(3), part(), r.IntN(99), part(), r.IntN(99))
	case 5:
		return fmt.Sprintf("end pid=%d %s", r.IntN(3), []string{"commit", "abort"}[r.IntN(2)])
	case 6:
		return fmt.Sprintf("delete %s %s %s", group, part(), part())
	case 7:
		return fmt.Sprintf("topics-deleted t%d", r.IntN(3))
	default:
		return fmt.Sprintf("advance %dh", r.IntN(60))
	}
}
