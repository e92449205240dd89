package broker

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// newCoordinatingTestBroker has both coordinators' topics, and topic a of two partitions.
func newCoordinatingTestBroker(t *testing.T, overrides ...string) *testBroker {
	tb := newTestBroker(t, overrides...)
	tb.coordinators(offsetsTopic)
	tb.coordinators(transactionsTopic)
	tb.mustCreate("a", 2)
	return tb
}

func (tb *testBroker) commit(group, topic string, partition int32, offset int64) int16 {
	tb.t.Helper()
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Version, q.Group, q.Generation = 8, group, -1
	q.Topics = []kmsg.OffsetCommitRequestTopic{{
		Topic: topic,
		Partitions: []kmsg.OffsetCommitRequestTopicPartition{
			{Partition: partition, Offset: offset, LeaderEpoch: -1},
		},
	}}
	return tb.roundTrip(q).(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
}

// committed is a group's offset in one partition, with its code.
func (tb *testBroker) committed(group, topic string, partition int32, stable bool) string {
	tb.t.Helper()
	q := kmsg.NewPtrOffsetFetchRequest()
	q.Version, q.RequireStable = 9, stable
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group, g.MemberEpoch = group, -1
	g.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: topic, Partitions: []int32{partition}}}
	q.Groups = []kmsg.OffsetFetchRequestGroup{g}
	p := tb.roundTrip(q).(*kmsg.OffsetFetchResponse).Groups[0]
	if p.ErrorCode != 0 {
		return wire.CodeName(p.ErrorCode)
	}
	x := p.Topics[0].Partitions[0]
	return fmt.Sprint(x.Offset, " ", wire.CodeName(x.ErrorCode))
}

// TestCommittedOffsetsOutliveTheBroker: offsets are in the log when they are acknowledged, and a
// coordinator that starts anew has them.
func TestCommittedOffsetsOutliveTheBroker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tb := startTestBroker(t, dir)
	tb.coordinators(offsetsTopic)
	tb.mustCreate("a", 2)
	for i := range 40 {
		if code := tb.commit(fmt.Sprint("group-", i), "a", int32(i%2), int64(100+i)); code != 0 {
			t.Fatalf("commit: %s", wire.CodeName(code))
		}
	}
	if code := tb.commit("group-0", "missing", 0, 1); code != wire.CodeUnknownTopicOrPartition {
		t.Errorf("a commit for a topic that is not there: %s", wire.CodeName(code))
	}
	tb.stop()
	tb = startTestBroker(t, dir)
	defer tb.stop()
	tb.loaded()
	for i := range 40 {
		want := fmt.Sprint(100+i, " NONE")
		if got := tb.committed(fmt.Sprint("group-", i), "a", int32(i%2), false); got != want {
			t.Errorf("group %d: %s, want %s", i, got, want)
		}
	}
	if got := tb.committed("stranger", "a", 0, false); got != "-1 NONE" {
		t.Errorf("an unknown group: %s", got)
	}
}

// TestDeletedTopicTakesItsOffsets: a topic of the same name made later begins without them.
func TestDeletedTopicTakesItsOffsets(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t)
	tb.commit("g", "a", 0, 7)
	q := kmsg.NewPtrDeleteTopicsRequest()
	q.Version, q.TopicNames = 1, []string{"a"}
	if p := tb.roundTrip(q).(*kmsg.DeleteTopicsResponse); p.Topics[0].ErrorCode != 0 {
		t.Fatal(p)
	}
	tb.mustCreate("a", 1)
	for tb.committed("g", "a", 0, false) != "-1 NONE" {
		runtime.Gosched() // They are dropped when the coordinator gets round to it.
	}
}

func joinRequest(group, member string) *kmsg.JoinGroupRequest {
	q := kmsg.NewPtrJoinGroupRequest()
	q.Version, q.Group, q.MemberID, q.ProtocolType = 5, group, member, "consumer"
	q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = 10_000, 60_000
	q.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte{0, 0}}}
	return q
}

// TestJoinAndSync takes two members through a rebalance: the joins wait for each other, and the
// follower's sync waits for the leader's. No worker is held meanwhile.
func TestJoinAndSync(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t, "group.initial.rebalance.delay.ms=3000")
	var conns [2]*testConn
	var joins [2]*kmsg.JoinGroupRequest
	for i := range conns {
		conns[i] = tb.connect()
		first := joinRequest("g", "")
		conns[i].send(first)
		p := conns[i].receive(first).(*kmsg.JoinGroupResponse)
		if p.ErrorCode != wire.CodeMemberIDRequired || p.MemberID == "" {
			t.Fatalf("first join: %+v", p)
		}
		joins[i] = joinRequest("g", p.MemberID)
		conns[i].send(joins[i])
	}
	for !conns[0].ended.Load() { // The delay is extended while members arrive.
		tb.clock.Add(1000)
		tb.groups.tick()
		tb.loop.drain()
		runtime.Gosched()
	}
	leader := conns[0].receive(joins[0]).(*kmsg.JoinGroupResponse)
	follower := conns[1].receive(joins[1]).(*kmsg.JoinGroupResponse)
	if leader.Generation != 1 || follower.Generation != 1 || leader.LeaderID != leader.MemberID ||
		len(leader.Members) != 2 || len(follower.Members) != 0 {
		t.Fatalf("joined: %+v %+v", leader, follower)
	}
	sync := func(c *testConn, p *kmsg.JoinGroupResponse) *kmsg.SyncGroupRequest {
		q := kmsg.NewPtrSyncGroupRequest()
		q.Version, q.Group, q.MemberID, q.Generation = 3, "g", p.MemberID, p.Generation
		for i, m := range p.Members {
			q.GroupAssignment = append(q.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{
				MemberID: m.MemberID, MemberAssignment: []byte{byte(i)},
			})
		}
		c.send(q)
		return q
	}
	waiting := sync(conns[1], follower)
	tb.loop.drain()
	if conns[1].ended.Load() {
		t.Fatal("a follower's sync did not wait for the leader's")
	}
	first := sync(conns[0], leader)
	got := [][]byte{
		conns[0].receive(first).(*kmsg.SyncGroupResponse).MemberAssignment,
		conns[1].receive(waiting).(*kmsg.SyncGroupResponse).MemberAssignment,
	}
	if len(got[0]) != 1 || len(got[1]) != 1 || got[0][0] == got[1][0] {
		t.Errorf("assignments %v", got)
	}
}

// TestShutdownAnswersWaitingMembers: a join that waits for others does not hold up the end.
func TestShutdownAnswersWaitingMembers(t *testing.T) {
	t.Parallel()
	tb := startTestBroker(t, t.TempDir())
	tb.coordinators(offsetsTopic)
	c := tb.connect()
	q := joinRequest("g", "")
	q.Version = 3 // Without the round trip for a member id.
	c.send(q)
	tb.stop()
	if p := c.receive(q).(*kmsg.JoinGroupResponse); p.ErrorCode != wire.CodeNotCoordinator {
		t.Errorf("%s", wire.CodeName(p.ErrorCode))
	}
}

// transactor is a transactional producer of a test.
type transactor struct {
	tb    *testBroker
	id    int64
	epoch int16
	seq   int32
}

func (tb *testBroker) transactor() *transactor {
	tb.t.Helper()
	q := kmsg.NewPtrInitProducerIDRequest()
	q.Version, q.TransactionalID, q.TransactionTimeoutMillis = 5, textOf("tx"), 60_000
	for {
		p := tb.roundTrip(q).(*kmsg.InitProducerIDResponse)
		switch p.ErrorCode {
		case wire.CodeNone:
			return &transactor{tb: tb, id: p.ProducerID, epoch: p.ProducerEpoch}
		case wire.CodeConcurrentTransactions:
			runtime.Gosched()
		default:
			tb.t.Fatal(wire.CodeName(p.ErrorCode))
		}
	}
}

// produce sends one record of the transaction, as a producer of that protocol does.
func (x *transactor) produce(version int16, partition int32) int16 {
	x.tb.t.Helper()
	w := wire.NewBatchBuilder()
	w.ProducerID, w.ProducerEpoch, w.BaseSequence, w.Transactional = x.id, x.epoch, x.seq, true
	w.Append(x.tb.clock.Load(), nil, make([]byte, 10))
	raw, err := w.Build(nil)
	if err != nil {
		x.tb.t.Fatal(err)
	}
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks, q.TimeoutMillis, q.TransactionID = version, -1, 1000, textOf("tx")
	q.Topics = []kmsg.ProduceRequestTopic{{
		Topic:      "a",
		Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: partition, Records: raw}},
	}}
	code := x.tb.roundTrip(q).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode
	if code == 0 {
		x.seq++
	}
	return code
}

func (x *transactor) end(version int16, commit bool) {
	x.tb.t.Helper()
	q := kmsg.NewPtrEndTxnRequest()
	q.Version, q.TransactionalID, q.Commit = version, "tx", commit
	q.ProducerID, q.ProducerEpoch = x.id, x.epoch
	p := x.tb.roundTrip(q).(*kmsg.EndTxnResponse)
	if p.ErrorCode != 0 {
		x.tb.t.Fatal(wire.CodeName(p.ErrorCode))
	}
	if version >= 5 {
		x.id, x.epoch, x.seq = p.ProducerID, p.ProducerEpoch, 0
	}
	x.settled()
}

// settled waits until the transaction's markers are written.
func (x *transactor) settled() {
	q := kmsg.NewPtrDescribeTransactionsRequest()
	q.TransactionalIDs = []string{"tx"}
	for {
		p := x.tb.roundTrip(q).(*kmsg.DescribeTransactionsResponse).TransactionStates[0]
		switch p.State {
		case "CompleteCommit", "CompleteAbort":
			return
		case "PrepareCommit", "PrepareAbort":
			runtime.Gosched()
		default:
			x.tb.t.Fatalf("%+v", p)
		}
	}
}

func (x *transactor) commitOffset(version int16, offset int64) int16 {
	q := kmsg.NewPtrTxnOffsetCommitRequest()
	q.Version, q.TransactionalID, q.Group, q.Generation = version, "tx", "g", -1
	q.ProducerID, q.ProducerEpoch = x.id, x.epoch
	q.Topics = []kmsg.TxnOffsetCommitRequestTopic{{
		Topic: "a",
		Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{
			{Partition: 0, Offset: offset, LeaderEpoch: -1},
		},
	}}
	return x.tb.roundTrip(q).(*kmsg.TxnOffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
}

// stable is the last stable offset of partition 0 of a.
func (tb *testBroker) stable() int64 {
	r := tb.topics.namedString("a").replica(0)
	return r.log.Load().LastStableOffset(r.highWatermark.Load())
}

// TestTransactionsOfEpochs: with transaction.version 2 a producer just produces, and the broker adds
// the partitions; ending brings an epoch for the next transaction (KIP-890).
func TestTransactionsOfEpochs(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t)
	x := tb.transactor()
	for round := range 4 {
		if code := x.produce(12, 0); code != 0 {
			t.Fatalf("round %d: %s", round, wire.CodeName(code))
		}
		if code := x.commitOffset(5, int64(10+round)); code != 0 {
			t.Fatalf("round %d: %s", round, wire.CodeName(code))
		}
		if got := tb.committed("g", "a", 0, true); got != "-1 UNSTABLE_OFFSET_COMMIT" {
			t.Errorf("round %d: pending offset: %s", round, got)
		}
		if got := tb.stable(); got != int64(2*round) {
			t.Errorf("round %d: last stable offset %d", round, got)
		}
		before := x.epoch
		x.end(5, round%2 == 0)
		if x.epoch != before+1 {
			t.Errorf("round %d: epoch %d after %d", round, x.epoch, before)
		}
		want := fmt.Sprint(10+round/2*2, " NONE")
		if got := tb.committed("g", "a", 0, true); got != want {
			t.Errorf("round %d: %s, want %s", round, got, want)
		}
		if got := tb.stable(); got != int64(2*round+2) {
			t.Errorf("round %d: last stable offset %d after the end", round, got)
		}
	}
	x.epoch--
	if code := x.produce(12, 0); code != wire.CodeInvalidProducerEpoch {
		t.Errorf("a batch of an earlier epoch: %s", wire.CodeName(code))
	}
}

// TestTransactionsOfOldClients: with the protocol of KIP-98 a partition has to be added first, and a
// batch for one that was not is refused (KIP-890, part 1).
func TestTransactionsOfOldClients(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t)
	x := tb.transactor()
	for version, want := range map[int16]int16{
		9: wire.CodeInvalidTxnState, 11: wire.CodeTransactionAbortable,
	} {
		if code := x.produce(version, 0); code != want {
			t.Errorf("v%d: %s", version, wire.CodeName(code))
		}
	}
	q := kmsg.NewPtrAddPartitionsToTxnRequest()
	q.Version, q.TransactionalID, q.ProducerID, q.ProducerEpoch = 3, "tx", x.id, x.epoch
	q.Topics = []kmsg.AddPartitionsToTxnRequestTopic{
		{Topic: "a", Partitions: []int32{0}}, {Topic: "missing", Partitions: []int32{0}},
	}
	p := tb.roundTrip(q).(*kmsg.AddPartitionsToTxnResponse)
	got := [2]int16{p.Topics[0].Partitions[0].ErrorCode, p.Topics[1].Partitions[0].ErrorCode}
	if got != [2]int16{wire.CodeOperationNotAttempted, wire.CodeUnknownTopicOrPartition} {
		t.Errorf("with a partition that is not there: %v", got)
	}
	q.Topics = q.Topics[:1]
	if p := tb.roundTrip(q).(*kmsg.AddPartitionsToTxnResponse); p.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("%+v", p)
	}
	if code := x.produce(9, 0); code != 0 {
		t.Fatal(wire.CodeName(code))
	}
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.Version, add.TransactionalID, add.Group = 3, "tx", "g"
	add.ProducerID, add.ProducerEpoch = x.id, x.epoch
	if code := x.commitOffset(3, 5); code != wire.CodeInvalidTxnState {
		t.Errorf("offsets whose partition was not added: %s", wire.CodeName(code))
	}
	if p := tb.roundTrip(add).(*kmsg.AddOffsetsToTxnResponse); p.ErrorCode != 0 {
		t.Fatal(wire.CodeName(p.ErrorCode))
	}
	if code := x.commitOffset(3, 5); code != 0 {
		t.Fatal(wire.CodeName(code))
	}
	x.end(3, true)
	if got := tb.committed("g", "a", 0, true); got != "5 NONE" {
		t.Error(got)
	}
	if got := tb.stable(); got != 2 {
		t.Errorf("last stable offset %d", got)
	}
}

// TestTransactionOutlivesTheBroker: what was prepared is completed by the next coordinator, and an
// open transaction stays open.
func TestTransactionOutlivesTheBroker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tb := startTestBroker(t, dir)
	tb.coordinators(offsetsTopic)
	tb.coordinators(transactionsTopic)
	tb.mustCreate("a", 2)
	x := tb.transactor()
	if code := x.produce(12, 0); code != 0 {
		t.Fatal(wire.CodeName(code))
	}
	if code := x.commitOffset(5, 9); code != 0 {
		t.Fatal(wire.CodeName(code))
	}
	tb.stop()
	tb = startTestBroker(t, dir)
	defer tb.stop()
	tb.loaded()
	x.tb = tb
	if got := tb.stable(); got != 0 {
		t.Errorf("last stable offset %d while the transaction is open", got)
	}
	if code := x.produce(12, 0); code != 0 {
		t.Fatal(wire.CodeName(code))
	}
	x.end(5, true)
	if got := tb.stable(); got != 3 {
		t.Errorf("last stable offset %d", got)
	}
	if got := tb.committed("g", "a", 0, true); got != "9 NONE" {
		t.Error(got)
	}
}

// TestFailedShardRefuses: a coordinator whose log dir fails refuses everybody, and later ones too.
func TestFailedShardRefuses(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t)
	c := tb.connect()
	q := joinRequest("g", "")
	q.Version = 3
	c.send(q)
	tb.groups.resign(tb.topics.namedString(offsetsTopic).replica(
		coordinator.PartitionFor("g", tb.groups.partitions())))
	if p := c.receive(q).(*kmsg.JoinGroupResponse); p.ErrorCode != wire.CodeNotCoordinator {
		t.Errorf("the waiting member: %s", wire.CodeName(p.ErrorCode))
	}
	if code := tb.commit("g", "a", 0, 1); code != wire.CodeNotCoordinator {
		t.Errorf("a later commit: %s", wire.CodeName(code))
	}
}
