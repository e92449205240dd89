package broker

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/engine/group"
	"sluice/engine/partition"
	"sluice/engine/txn"
	"sluice/wire"
)

// writeTxnRecord puts a record into a transactional id's partition as Kafka's broker would have: an
// ongoing transaction in partition 0 of topic a.
func (tb *testBroker) writeTxnRecord(id string, producerID int64, epoch int16, timeoutMs int32) {
	tb.t.Helper()
	key := binary.BigEndian.AppendUint16(make([]byte, 2), uint16(len(id)))
	key = append(key, id...)
	value := binary.BigEndian.AppendUint64(make([]byte, 2), uint64(producerID))
	value = binary.BigEndian.AppendUint16(value, uint16(epoch))
	value = binary.BigEndian.AppendUint32(value, uint32(timeoutMs))
	value = append(value, 1)                                             // Ongoing
	value = append(value, 0, 0, 0, 1, 0, 1, 'a', 0, 0, 0, 1, 0, 0, 0, 0) // [a: [0]]
	value = binary.BigEndian.AppendUint64(value, uint64(tb.clock.Load()))
	value = binary.BigEndian.AppendUint64(value, uint64(tb.clock.Load()))
	w := wire.NewBatchBuilder()
	w.Append(tb.clock.Load(), key, value)
	raw, err := w.Build(nil)
	if err != nil {
		tb.t.Fatal(err)
	}
	r := tb.topics.namedString(transactionsTopic).replica(
		coordinator.PartitionFor(id, tb.txns.partitions()))
	if code := tb.appendRaw(r, raw); code != 0 {
		tb.t.Fatal(wire.CodeName(code))
	}
}

func (tb *testBroker) txnState(id string) string {
	tb.t.Helper()
	q := kmsg.NewPtrDescribeTransactionsRequest()
	q.TransactionalIDs = []string{id}
	return tb.roundTrip(q).(*kmsg.DescribeTransactionsResponse).TransactionStates[0].State
}

// TestExhaustedTransactionTimesOut: a transaction whose producer has used up its epochs and that times
// out can only be aborted with another producer id, which the machine asks for (KIP-890).
func TestExhaustedTransactionTimesOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tb := startTestBroker(t, dir)
	tb.coordinators(transactionsTopic)
	tb.mustCreate("a", 1)
	tb.writeTxnRecord("tx", 5, 32766, 1000)
	tb.stop()
	tb = startTestBroker(t, dir)
	defer tb.stop()
	tb.loaded()
	if got := tb.txnState("tx"); got != "Ongoing" {
		t.Fatal(got)
	}
	for range 1000 {
		tb.clock.Add(1000)
		tb.txns.tick()
		runtime.Gosched()
		if tb.txnState("tx") == "CompleteAbort" {
			return
		}
	}
	t.Fatal("the transaction is never aborted: ", tb.txnState("tx"))
}

// appendRaw appends a batch to a partition's log, whoever leads it.
func (tb *testBroker) appendRaw(r *replica, raw []byte) int16 {
	done := make(chan struct{}, 1)
	a := &partition.Append{
		Batch: wire.Batch(raw), LeaderEpoch: r.leaderEpoch.Load(),
		Origin: partition.FromCoordinator, NowMs: tb.clock.Load(),
		Done: func(*partition.Append) { done <- struct{}{} },
	}
	if !r.log.Load().Submit(a) {
		<-done
	}
	return a.Code
}

// TestResignIsOfOneTopic: what is done late for a deleted topic does not concern the next one of its
// name.
func TestResignIsOfOneTopic(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t)
	earlier := tb.topics.namedString(offsetsTopic)
	q := kmsg.NewPtrDeleteTopicsRequest()
	q.Version, q.TopicNames = 1, []string{offsetsTopic}
	if p := tb.roundTrip(q).(*kmsg.DeleteTopicsResponse); p.Topics[0].ErrorCode != 0 {
		t.Fatal(p)
	}
	tb.coordinators(offsetsTopic)
	tb.Broker.uncoordinate(earlier, *earlier.replicas.Load()) // As when its log dir fails meanwhile.
	if code := tb.commit("g", "a", 0, 1); code != 0 {
		t.Error(wire.CodeName(code))
	}
}

// panicking is a machine with a bug.
type panicking struct {
	coordinator.Machine[*txn.Input]
}

func (m panicking) Decide(nowMs int64, in *txn.Input, out *coordinator.Outcome[*txn.Input]) {
	if in.TransactionalID == "panic" {
		panic("as a bug would")
	}
	m.Machine.Decide(nowMs, in, out)
}

// TestPanickedCoordinatorIsReplaced: who asked is refused, another shard takes over, and the first one
// ends with all that it has begun, whose reports the second could take for its own.
func TestPanickedCoordinatorIsReplaced(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	made := tb.txns.newMachine
	tb.txns.newMachine = func(p int32) coordinator.Machine[*txn.Input] { return panicking{made(p)} }
	tb.coordinators(transactionsTopic)
	first, _ := tb.txns.shardOf("panic")
	describe := func(id string) int16 {
		q := kmsg.NewPtrDescribeTransactionsRequest()
		q.TransactionalIDs = []string{id}
		return tb.roundTrip(q).(*kmsg.DescribeTransactionsResponse).TransactionStates[0].ErrorCode
	}
	if code := describe("panic"); code != wire.CodeNotCoordinator {
		t.Errorf("who met the bug: %s", wire.CodeName(code))
	}
	if !first.isEnding() {
		t.Fatal("markers of the old machine would go on")
	}
	for code := wire.CodeNotCoordinator; code != wire.CodeTransactionalIDNotFound; {
		runtime.Gosched()
		code = describe(tb.neighbour("panic"))
	}
	if second, _ := tb.txns.shardOf("panic"); second == first {
		t.Error("the shard is still the same")
	}
}

// neighbour is another transactional id of the same partition.
func (tb *testBroker) neighbour(id string) string {
	n := tb.txns.partitions()
	for i := 0; ; i++ {
		other := fmt.Sprint("id-", i)
		if coordinator.PartitionFor(other, n) == coordinator.PartitionFor(id, n) {
			return other
		}
	}
}

// TestTopicDeletedWhileOffsetsLoad: its offsets are dropped when they are there.
func TestTopicDeletedWhileOffsetsLoad(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t)
	tb.commit("g", "a", 0, 7)
	made, gate := tb.groups.newMachine, make(chan struct{})
	tb.groups.newMachine = func(p int32) coordinator.Machine[*group.Input] {
		<-gate
		return made(p)
	}
	tb.groups.lead(tb.topics.namedString(offsetsTopic).replica(
		coordinator.PartitionFor("g", tb.groups.partitions())))
	q := kmsg.NewPtrDeleteTopicsRequest()
	q.Version, q.TopicNames = 1, []string{"a"}
	if p := tb.roundTrip(q).(*kmsg.DeleteTopicsResponse); p.Topics[0].ErrorCode != 0 {
		t.Fatal(p)
	}
	close(gate)
	tb.loaded()
	tb.mustCreate("a", 1)
	if got := tb.committed("g", "a", 0, false); got != "-1 NONE" {
		t.Error(got)
	}
}

// stableGroup makes group g of one member, whose session takes ten seconds, and returns its shard when
// that rests, and when it wants to be looked at again.
func (tb *testBroker) stableGroup() (s *hostedShard[*group.Input], dueMs int64) {
	tb.t.Helper()
	join := joinRequest("g", "")
	join.Version = 3 // Without the round trip for a member id.
	joined := tb.roundTrip(join).(*kmsg.JoinGroupResponse)
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.MemberID, sync.Generation = 3, "g", joined.MemberID, joined.Generation
	if p := tb.roundTrip(sync).(*kmsg.SyncGroupResponse); p.ErrorCode != 0 {
		tb.t.Fatal(wire.CodeName(p.ErrorCode))
	}
	s, _ = tb.groups.shardOf("g")
	return s, s.rest()
}

// rest waits until nobody runs the shard.
func (s *hostedShard[In]) rest() (dueMs int64) {
	for {
		s.mu.Lock()
		running := s.running
		dueMs = s.dueMs
		s.mu.Unlock()
		if !running {
			return dueMs
		}
		runtime.Gosched()
	}
}

// TestExpressMeetsNoTimer: a session that ends while a reactor runs the shard is left to the alarm,
// since the record that says so has to wait for the log.
func TestExpressMeetsNoTimer(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t, "group.initial.rebalance.delay.ms=0")
	s, dueMs := tb.stableGroup()
	before := s.log.LEO()
	q := kmsg.NewPtrHeartbeatRequest()
	q.Group, q.MemberID = "g", "stranger"
	in := &group.Input{Kind: group.Heartbeat, Request: q, Group: "g", Waiter: func(any) {}}
	tb.clock.Store(dueMs)
	if !s.express(in, dueMs-1) {
		t.Fatal("the shard does not rest")
	}
	if after := s.log.LEO(); after != before {
		t.Errorf("%d records were appended on the reactor", after-before)
	}
}

// TestClockSetBack: a session ends within twice its time although the wall clock is set back by an
// hour and nothing else happens.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t, "group.initial.rebalance.delay.ms=0")
	s, dueMs := tb.stableGroup()
	tb.clock.Store(dueMs - 3_600_000)
	tb.groups.tick() // The alarm, which was set by another clock.
	s.rest()
	tb.clock.Add(10_001)
	tb.groups.tick()
	s.rest()
	q := kmsg.NewPtrDescribeGroupsRequest()
	q.Groups = []string{"g"}
	if p := tb.roundTrip(q).(*kmsg.DescribeGroupsResponse).Groups[0]; p.State != "Empty" {
		t.Errorf("the group is %s", p.State)
	}
}

// TestFencedProducerHearsOfItsEpoch: where a partition has not heard of the newer epoch, the
// coordinator has, and its PRODUCER_FENCED is put into a producer's words.
func TestFencedProducerHearsOfItsEpoch(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t)
	zombie := tb.transactor()
	tb.transactor()
	for _, version := range []int16{9, 11, 12} {
		if code := zombie.produce(version, 0); code != wire.CodeInvalidProducerEpoch {
			t.Errorf("Produce v%d: %s", version, wire.CodeName(code))
		}
	}
	for _, version := range []int16{3, 5} {
		if code := zombie.commitOffset(version, 1); code != wire.CodeInvalidProducerEpoch {
			t.Errorf("TxnOffsetCommit v%d: %s", version, wire.CodeName(code))
		}
	}
}

// TestEveryoneIsAnsweredOnce: a panic while answers are handed out costs the one whose it is. Another
// who was answered before is not answered again, which could reach the next request of the connection.
func TestEveryoneIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	tb.coordinators(transactionsTopic)
	s, _ := tb.txns.shardOf("tx")
	s.rest()
	answers := 0
	ask := func(then func()) {
		s.post(&txn.Input{
			Kind: txn.Describe, TransactionalID: "tx", Waiter: func(any) { answers++; then() },
		})
	}
	s.mu.Lock()
	s.running = true // So that both are handled in one go.
	s.mu.Unlock()
	ask(func() {})
	ask(func() { panic("as a bug would") })
	s.mu.Lock()
	s.running = false
	s.start()
	s.mu.Unlock()
	s.rest()
	if answers != 2 {
		t.Errorf("%d answers to two questions", answers)
	}
}

// TestGivenBackOnce: an id that two producers had would have them fence each other.
func TestGivenBackOnce(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	in := &txn.Input{Kind: txn.InitProducerID}
	tb.offer(in)
	tb.giveBack(in)
	tb.giveBack(in)
	a, _ := tb.producerID()
	b, _ := tb.producerID()
	if a == b {
		t.Errorf("two producers got id %d", a)
	}
}

// TestCoordinatorsKeepTheirPartitions: where a group's offsets are follows from how many there are.
func TestCoordinatorsKeepTheirPartitions(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t, "offsets.topic.num.partitions=3")
	for i := range 10 {
		tb.commit(fmt.Sprint("group-", i), "a", 0, 7)
	}
	q := kmsg.NewPtrCreatePartitionsRequest()
	q.Version = 1
	q.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: offsetsTopic, Count: 5}}
	p := tb.roundTrip(q).(*kmsg.CreatePartitionsResponse)
	if code := p.Topics[0].ErrorCode; code != wire.CodeInvalidPartitions {
		t.Errorf("more partitions: %s", wire.CodeName(code))
	}
	tb.loaded()
	for i := range 10 {
		if got := tb.committed(fmt.Sprint("group-", i), "a", 0, false); got != "7 NONE" {
			t.Errorf("group %d: %s", i, got)
		}
	}
}
