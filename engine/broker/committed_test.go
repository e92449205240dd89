package broker

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/partition"
	"sluice/wire"
)

// txnLog drives the transactions of one partition's log, as coordinators and producers would.
type txnLog struct {
	tb   *testBroker
	r    *replica
	seqs map[int64]int32
}

// newTxnLog starts a broker that lets transactions begin unverified, with the topic a.
func newTxnLog(t *testing.T) *txnLog {
	tb := newTestBroker(t, "transaction.partition.verification.enable=false")
	tb.mustCreate("a", 1)
	return &txnLog{tb: tb, r: tb.topics.namedString("a").replica(0), seqs: map[int64]int32{}}
}

func (l *txnLog) append(w *wire.BatchBuilder, origin partition.Origin) int64 {
	l.tb.t.Helper()
	raw, err := w.Build(nil)
	if err != nil {
		l.tb.t.Fatal(err)
	}
	done := make(chan struct{})
	a := partition.Append{
		Batch: raw, Origin: origin, LeaderEpoch: l.r.leaderEpoch.Load(),
		Done: func(*partition.Append) { close(done) },
	}
	if !l.r.log.Load().Submit(&a) {
		<-done
	}
	if a.Code != wire.CodeNone {
		l.tb.t.Fatal(wire.CodeName(a.Code))
	}
	return a.BaseOffset
}

// data appends one record; of no producer for 0, else in a transaction.
func (l *txnLog) data(pid int64) int64 {
	w := wire.NewBatchBuilder()
	if pid > 0 {
		w.ProducerID, w.ProducerEpoch, w.BaseSequence = pid, 3, l.seqs[pid]
		w.Transactional = true
		l.seqs[pid]++
	}
	w.Append(1_700_000_000_000, nil, make([]byte, 100))
	return l.append(w, partition.FromClient)
}

func (l *txnLog) end(pid int64, commit bool) int64 {
	w := wire.NewBatchBuilder()
	w.ProducerID, w.ProducerEpoch = pid, 3
	w.AppendEndTxnMarker(1_700_000_000_009, commit, 5)
	return l.append(w, partition.FromCoordinator)
}

// fetched shows an answer about one partition: high watermark, last stable offset, the offsets of the
// batches, and the aborted transactions.
func fetched(t *testing.T, p *kmsg.FetchResponse) string {
	t.Helper()
	if len(p.Topics) == 0 {
		return "nothing"
	}
	got := &p.Topics[0].Partitions[0]
	s := fmt.Sprintf("%d: hw %d lso %d, batches at", got.ErrorCode, got.HighWatermark,
		got.LastStableOffset)
	for records := got.RecordBatches; len(records) > 0; {
		b, rest, err := wire.NextBatch(records)
		if err != nil {
			t.Fatal(err)
		}
		s, records = fmt.Sprint(s, " ", b.BaseOffset()), rest
	}
	if got.AbortedTransactions == nil {
		return s + ", null"
	}
	for _, a := range got.AbortedTransactions {
		s += fmt.Sprintf(", aborted %d from %d", a.ProducerID, a.FirstOffset)
	}
	return s
}

// KIP-98: read_committed reads up to the last stable offset, and is told of the aborted transactions
// that overlap the records it gets; read_uncommitted reads all, and is told null.
func TestFetchReadCommitted(t *testing.T) {
	l := newTxnLog(t)
	ask := func(committed bool, offset int64, partMaxBytes int32) string {
		t.Helper()
		return fetched(t, l.tb.fetch(fetchSpec{
			topic: "a", epoch: -1, offsets: map[int32]int64{0: offset}, readCommitted: committed,
			partMaxBytes: partMaxBytes,
		}))
	}
	check := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	check(ask(true, 0, 0), "0: hw 0 lso 0, batches at")
	l.data(0) // 0
	l.data(1) // 1
	l.data(2) // 2
	l.data(0) // 3
	check(ask(true, 0, 0), "0: hw 4 lso 1, batches at 0")
	check(ask(false, 0, 0), "0: hw 4 lso 1, batches at 0 1 2 3, null")
	check(ask(true, 1, 0), "0: hw 4 lso 1, batches at")
	check(ask(true, 4, 0), "0: hw 4 lso 1, batches at")
	l.end(1, false) // 4
	check(ask(true, 0, 0), "0: hw 5 lso 2, batches at 0 1, aborted 1 from 1")
	l.end(2, false) // 5
	l.data(1)       // 6
	l.end(1, true)  // 7
	l.data(1)       // 8
	l.end(1, false) // 9
	check(ask(true, 0, 0), "0: hw 10 lso 10, batches at 0 1 2 3 4 5 6 7 8 9, "+
		"aborted 1 from 1, aborted 2 from 2, aborted 1 from 8")
	check(ask(false, 0, 0), "0: hw 10 lso 10, batches at 0 1 2 3 4 5 6 7 8 9, null")
	// Only what overlaps the records that found room.
	check(ask(true, 0, 200), "0: hw 10 lso 10, batches at 0")
	check(ask(true, 1, 200), "0: hw 10 lso 10, batches at 1, aborted 1 from 1")
	check(ask(true, 6, 300), "0: hw 10 lso 10, batches at 6 7")
	check(ask(true, 9, 0), "0: hw 10 lso 10, batches at 9, aborted 1 from 8")
	check(ask(true, 10, 0), "0: hw 10 lso 10, batches at")
	if got := ask(true, 11, 0); got[:2] != "1:" {
		t.Errorf("past the end: %s, want OFFSET_OUT_OF_RANGE", got)
	}
}

// KIP-98, class DelayedFetch: a read_committed fetch that waits is woken when the last stable offset
// moves, as by the marker that decides the oldest open transaction, and not by records or markers
// behind that. A read_uncommitted one is woken by each.
func TestReadCommittedWaitsForTheStableOffset(t *testing.T) {
	l := newTxnLog(t)
	l.data(1) // 0
	l.data(2) // 1
	wait := func(committed bool, offset int64) (*testConn, kmsg.Request) {
		c := l.tb.connect()
		q := fetchSpec{
			topic: "a", epoch: -1, waitMs: 10_000, minBytes: 1, readCommitted: committed,
			offsets: map[int32]int64{0: offset},
		}.request()
		c.send(q)
		if c.ended.Load() {
			t.Fatal("the fetch was answered at once")
		}
		return c, q
	}
	c, q := wait(true, 0)
	quiet := func(what string) {
		t.Helper()
		if n := len(l.tb.loop.posted); n != 0 {
			t.Errorf("%s woke the fetch", what)
		}
		l.tb.loop.drain()
		if c.ended.Load() {
			t.Fatalf("%s had the fetch answered", what)
		}
	}
	l.data(0) // 2
	quiet("a record behind the stable offset")
	l.end(2, true) // 3
	quiet("the marker of a later transaction")
	other, otherQ := wait(false, 4)
	l.data(1) // 4
	if got := fetched(t, other.receive(otherQ).(*kmsg.FetchResponse)); got !=
		"0: hw 5 lso 0, batches at 4, null" {
		t.Errorf("read_uncommitted: %s", got)
	}
	quiet("a record of the open transaction")
	l.end(1, true) // 5
	if got := fetched(t, c.receive(q).(*kmsg.FetchResponse)); got !=
		"0: hw 6 lso 6, batches at 0 1 2 3 4 5" {
		t.Errorf("read_committed: %s", got)
	}
}

// A session tells a read_committed reader of a high watermark that moved without the stable offset,
// once its wait is over (KIP-227).
func TestReadCommittedSessionHearsOfTheHighWatermark(t *testing.T) {
	l := newTxnLog(t)
	l.data(1)
	ask := func(session, epoch, waitMs int32) (*testConn, kmsg.Request) {
		s := fetchSpec{
			topic: "a", session: session, epoch: epoch, waitMs: waitMs, minBytes: 1,
			readCommitted: true,
		}
		if epoch == 0 {
			s.offsets = map[int32]int64{0: 0}
		}
		c, q := l.tb.connect(), s.request()
		c.send(q)
		return c, q
	}
	c, q := ask(0, 0, 0)
	first := c.receive(q).(*kmsg.FetchResponse)
	if got := fetched(t, first); got != "0: hw 1 lso 0, batches at" {
		t.Errorf("first: %s", got)
	}
	c, q = ask(first.SessionID, 1, 1000)
	l.data(1)
	l.tb.loop.drain()
	if c.ended.Load() {
		t.Fatal("answered before its time")
	}
	l.tb.loop.advance(1000 * 1e6)
	if got := fetched(t, c.receive(q).(*kmsg.FetchResponse)); got != "0: hw 2 lso 0, batches at" {
		t.Errorf("then: %s", got)
	}
	c, q = ask(first.SessionID, 2, 0)
	if got := fetched(t, c.receive(q).(*kmsg.FetchResponse)); got != "nothing" {
		t.Errorf("at last: %s", got)
	}
}

// KIP-98: to read_committed the latest offset is the last stable one, and times at or behind it find
// nothing.
func TestListOffsetsReadCommitted(t *testing.T) {
	l := newTxnLog(t)
	l.data(0)
	l.data(1)
	l.data(0)
	list := func(isolation int8, timestamp int64) int64 {
		q := kmsg.NewPtrListOffsetsRequest()
		q.SetVersion(7)
		q.ReplicaID, q.IsolationLevel = -1, isolation
		part := kmsg.NewListOffsetsRequestTopicPartition()
		part.Timestamp = timestamp
		q.Topics = []kmsg.ListOffsetsRequestTopic{{
			Topic: "a", Partitions: []kmsg.ListOffsetsRequestTopicPartition{part},
		}}
		p := l.tb.roundTrip(q).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
		if p.ErrorCode != wire.CodeNone {
			t.Fatal(wire.CodeName(p.ErrorCode))
		}
		return p.Offset
	}
	check := func(what string, got, want int64) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	check("latest", list(0, offsetLatest), 3)
	check("latest stable", list(1, offsetLatest), 1)
	check("earliest stable", list(1, offsetEarliest), 0)
	l.end(1, false)
	check("latest stable, decided", list(1, offsetLatest), 4)
	check("by time", list(0, 1_700_000_000_009), 3)
	l.data(2)
	check("latest stable, open again", list(1, offsetLatest), 4)
	check("by time, stable", list(1, 1_700_000_000_009), 3)
	check("later than all", list(1, 1_700_000_000_010), -1)
}

// KIP-664: DescribeProducers tells every producer's state in a partition, or what is wrong with the
// partition.
func TestDescribeProducers(t *testing.T) {
	l := newTxnLog(t)
	l.data(0)
	l.data(7)
	l.data(7)
	l.end(9, true)
	q := kmsg.NewPtrDescribeProducersRequest()
	q.Topics = []kmsg.DescribeProducersRequestTopic{
		{Topic: "a", Partitions: []int32{0, 5}},
		{Topic: "none", Partitions: []int32{0}},
		{Topic: "no/name", Partitions: []int32{0}},
	}
	p := handleDescribeProducers(l.tb.Broker, nil, q).(*kmsg.DescribeProducersResponse)
	got := ""
	for _, topic := range p.Topics {
		for _, part := range topic.Partitions {
			got += fmt.Sprintf("%s-%d %s %v", topic.Topic, part.Partition,
				wire.CodeName(part.ErrorCode), part.ErrorMessage != nil)
			for _, a := range part.ActiveProducers {
				got += fmt.Sprintf(" [%d epoch %d seq %d at %d coordinator %d open %d]", a.ProducerID,
					a.ProducerEpoch, a.LastSequence, a.LastTimestamp-1_700_000_000_000,
					a.CoordinatorEpoch, a.CurrentTxnStartOffset)
			}
			got += "\n"
		}
	}
	want := "a-0 NONE false [7 epoch 3 seq 1 at 0 coordinator -1 open 1] " +
		"[9 epoch 3 seq -1 at 9 coordinator 5 open -1]\n" +
		"a-5 UNKNOWN_TOPIC_OR_PARTITION false\n" +
		"none-0 UNKNOWN_TOPIC_OR_PARTITION true\nno/name-0 INVALID_TOPIC_EXCEPTION true\n"
	if got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}
