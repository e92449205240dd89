package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// batchOf builds an uncompressed batch of n records with values of size bytes.
func batchOf(n, size int) []byte {
	b := wire.NewBatchBuilder()
	for range n {
		b.Append(1_700_000_000_000, nil, make([]byte, size))
	}
	batch, err := b.Build(nil)
	if err != nil {
		panic(err)
	}
	return batch
}

func produceRequest(topic string, acks int16, parts map[int32][]byte) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.SetVersion(11)
	q.Acks, q.TimeoutMillis = acks, 1000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	for i := int32(0); i < 1000; i++ {
		if records, ok := parts[i]; ok {
			p := kmsg.NewProduceRequestTopicPartition()
			p.Partition, p.Records = i, records
			t.Partitions = append(t.Partitions, p)
		}
	}
	q.Topics = append(q.Topics, t)
	return q
}

func (tb *testBroker) mustProduce(topic string, partition int32, records []byte) int64 {
	tb.t.Helper()
	q := produceRequest(topic, -1, map[int32][]byte{partition: records})
	p := tb.roundTrip(q).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	if p.ErrorCode != 0 {
		tb.t.Fatalf("produce: code %d", p.ErrorCode)
	}
	return p.BaseOffset
}

type fetchSpec struct {
	version         int16
	session, epoch  int32
	waitMs          int32
	minBytes        int32
	maxBytes        int32
	partMaxBytes    int32
	topic           string
	offsets         map[int32]int64
	forget          []int32
	readCommitted   bool
	currentEpoch    int32
	currentEpochSet bool
}

func (s fetchSpec) request() *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	q.SetVersion(max(s.version, 4))
	if s.version == 0 {
		q.SetVersion(12)
	}
	q.SessionID, q.SessionEpoch = s.session, s.epoch
	q.MaxWaitMillis, q.MinBytes = s.waitMs, s.minBytes
	q.MaxBytes = 1 << 20
	if s.maxBytes != 0 {
		q.MaxBytes = s.maxBytes
	}
	if s.readCommitted {
		q.IsolationLevel = 1
	}
	t := kmsg.NewFetchRequestTopic()
	t.Topic = s.topic
	for i := int32(0); i < 100_000 && len(t.Partitions) < len(s.offsets); i++ {
		if at, ok := s.offsets[i]; ok {
			p := kmsg.NewFetchRequestTopicPartition()
			p.Partition, p.FetchOffset, p.PartitionMaxBytes = i, at, 1<<20
			if s.partMaxBytes != 0 {
				p.PartitionMaxBytes = s.partMaxBytes
			}
			p.CurrentLeaderEpoch = -1
			if s.currentEpochSet {
				p.CurrentLeaderEpoch = s.currentEpoch
			}
			t.Partitions = append(t.Partitions, p)
		}
	}
	if len(t.Partitions) > 0 {
		q.Topics = append(q.Topics, t)
	}
	if len(s.forget) > 0 {
		f := kmsg.NewFetchRequestForgottenTopic()
		f.Topic, f.Partitions = s.topic, s.forget
		q.ForgottenTopics = append(q.ForgottenTopics, f)
	}
	return q
}

func (tb *testBroker) fetch(s fetchSpec) *kmsg.FetchResponse {
	tb.t.Helper()
	return tb.roundTrip(s.request()).(*kmsg.FetchResponse)
}

// TestFetchReturnsWhatWasProduced proves the plain path: bytes come back as they were stored.
func TestFetchReturnsWhatWasProduced(t *testing.T) {
	tb := newTestBroker(t)
	tb.mustCreate("a", 2)
	records := batchOf(3, 20_000)
	tb.mustProduce("a", 1, append([]byte(nil), records...))
	p := tb.fetch(fetchSpec{topic: "a", epoch: -1, offsets: map[int32]int64{1: 0}})
	got := p.Topics[0].Partitions[0]
	if got.ErrorCode != 0 || got.HighWatermark != 3 || len(got.RecordBatches) != len(records) {
		t.Fatalf("code %d, hw %d, %d bytes", got.ErrorCode, got.HighWatermark, len(got.RecordBatches))
	}
	b := wire.Batch(got.RecordBatches)
	if !b.Intact() || string(b[21:]) != string(records[21:]) {
		t.Fatal("the records differ from what was produced")
	}
}

// TestFetchBounds proves semantics of offsets: beyond LEO is out of range, at LEO is empty.
func TestFetchBounds(t *testing.T) {
	tb := newTestBroker(t)
	tb.mustCreate("a", 1)
	tb.mustProduce("a", 0, batchOf(5, 10))
	f := func(at int64, wantCode int16, wantBytes bool) {
		t.Helper()
		p := tb.fetch(fetchSpec{topic: "a", epoch: -1, offsets: map[int32]int64{0: at}}).Topics[0].Partitions[0]
		if p.ErrorCode != wantCode || (len(p.RecordBatches) > 0) != wantBytes {
			t.Errorf("offset %d: code %d, %d bytes", at, p.ErrorCode, len(p.RecordBatches))
		}
	}
	f(0, 0, true)
	f(4, 0, true)
	f(5, 0, false)
	f(6, wire.CodeOffsetOutOfRange, false)
	f(-1, wire.CodeOffsetOutOfRange, false)
}

// TestFetchWaits proves the long poll: nothing to return parks the request until an append
// (KIP-74's minBytes) or its timer.
func TestFetchWaits(t *testing.T) {
	tb := newTestBroker(t)
	tb.mustCreate("a", 1)
	for _, epoch := range []int32{-1, 0} {
		c := tb.connect()
		at := tb.topics.namedString("a").replica(0).highWatermark.Load()
		q := fetchSpec{
			topic: "a", epoch: epoch, waitMs: 500, minBytes: 1, offsets: map[int32]int64{0: at},
		}.request()
		c.send(q)
		tb.loop.drain()
		if c.ended.Load() {
			t.Fatal("the request did not wait")
		}
		tb.mustProduce("a", 0, batchOf(1, 10))
		tb.loop.drain()
		if !c.ended.Load() {
			t.Fatal("the append did not wake the request")
		}
		p := c.decode(q).(*kmsg.FetchResponse)
		if len(p.Topics[0].Partitions[0].RecordBatches) == 0 {
			t.Fatal("woken without records")
		}
		q = fetchSpec{
			topic: "a", epoch: -1, waitMs: 500, minBytes: 1, offsets: map[int32]int64{0: at + 1},
		}.request()
		c.send(q)
		tb.loop.advance(499e6)
		if c.ended.Load() {
			t.Fatal("answered before its time")
		}
		tb.loop.advance(2e6)
		if p := c.decode(q).(*kmsg.FetchResponse); len(p.Topics[0].Partitions[0].RecordBatches) != 0 {
			t.Fatal("records out of nowhere")
		}
		tb.closed(c.r)
	}
}

// TestFetchMinBytes proves that a request waits until enough has come, over several appends.
func TestFetchMinBytes(t *testing.T) {
	tb := newTestBroker(t)
	tb.mustCreate("a", 2)
	c := tb.connect()
	q := fetchSpec{
		topic: "a", epoch: -1, waitMs: 500, minBytes: 3000, offsets: map[int32]int64{0: 0, 1: 0},
	}.request()
	c.send(q)
	for i := range 2 {
		tb.mustProduce("a", int32(i), batchOf(1, 1200))
		tb.loop.drain()
		if c.ended.Load() {
			t.Fatal("answered with too little")
		}
	}
	tb.mustProduce("a", 0, batchOf(1, 1200))
	tb.loop.drain()
	p := c.receive(q).(*kmsg.FetchResponse)
	if n := len(p.Topics[0].Partitions[0].RecordBatches); n < 2*1200 {
		t.Fatalf("partition 0 gave %d bytes", n)
	}
}

// TestFetchSession proves KIP-227: a session answers only what changed, its epoch counts, unknown
// ids and epochs are refused, and forgotten partitions stay away.
func TestFetchSession(t *testing.T) {
	tb := newTestBroker(t)
	tb.mustCreate("a", 3)
	tb.mustProduce("a", 2, batchOf(1, 10))
	first := tb.fetch(fetchSpec{topic: "a", epoch: 0, offsets: map[int32]int64{0: 0, 1: 0, 2: 0}})
	id := first.SessionID
	if id <= 0 || len(first.Topics[0].Partitions) != 3 {
		t.Fatalf("session %d with %d partitions", id, len(first.Topics[0].Partitions))
	}
	second := tb.fetch(fetchSpec{topic: "a", session: id, epoch: 1, offsets: map[int32]int64{2: 1}})
	if second.ErrorCode != 0 || len(second.Topics) != 0 {
		t.Fatalf("nothing changed, yet %+v", second)
	}
	tb.mustProduce("a", 1, batchOf(1, 10))
	third := tb.fetch(fetchSpec{session: id, epoch: 2})
	if len(third.Topics) != 1 || len(third.Topics[0].Partitions) != 1 ||
		third.Topics[0].Partitions[0].Partition != 1 {
		t.Fatalf("one partition changed, yet %+v", third.Topics)
	}
	if p := tb.fetch(fetchSpec{session: id, epoch: 2}); p.ErrorCode != wire.CodeInvalidFetchSessionEpoch {
		t.Fatalf("old epoch: code %d", p.ErrorCode)
	}
	if p := tb.fetch(fetchSpec{session: id + 1, epoch: 3}); p.ErrorCode != wire.CodeFetchSessionIDNotFound {
		t.Fatalf("unknown id: code %d", p.ErrorCode)
	}
	tb.fetch(fetchSpec{topic: "a", session: id, epoch: 3, forget: []int32{1}})
	tb.mustProduce("a", 1, batchOf(1, 10))
	if p := tb.fetch(fetchSpec{session: id, epoch: 4}); len(p.Topics) != 0 {
		t.Fatalf("a forgotten partition came back: %+v", p.Topics)
	}
	if p := tb.fetch(fetchSpec{session: id, epoch: -1}); p.SessionID != 0 {
		t.Fatalf("closed session answers with id %d", p.SessionID)
	}
	if p := tb.fetch(fetchSpec{session: id, epoch: 5}); p.ErrorCode != wire.CodeFetchSessionIDNotFound {
		t.Fatalf("closed session: code %d", p.ErrorCode)
	}
}

// TestFetchLimits proves KIP-74: the first batch comes whole even when it is over both limits, later
// partitions get what is left, and what found no room comes first next time.
func TestFetchLimits(t *testing.T) {
	tb := newTestBroker(t)
	tb.mustCreate("a", 3)
	for i := range int32(3) {
		tb.mustProduce("a", i, batchOf(1, 5000))
	}
	p := tb.fetch(fetchSpec{
		topic: "a", epoch: 0, maxBytes: 100, partMaxBytes: 10, offsets: map[int32]int64{0: 0, 1: 0, 2: 0},
	})
	sizes := func(p *kmsg.FetchResponse) (list []int) {
		for _, t := range p.Topics {
			for _, x := range t.Partitions {
				list = append(list, int(x.Partition), len(x.RecordBatches))
			}
		}
		return list
	}
	got := sizes(p)
	if len(got) != 6 || got[1] < 5000 || got[3] != 0 || got[5] != 0 {
		t.Fatalf("first answer: %v", got)
	}
	for epoch, want := range []int{1, 2, 0, 1} {
		got := sizes(tb.fetch(fetchSpec{session: p.SessionID, epoch: int32(epoch + 1), maxBytes: 100}))
		gave := -1
		for i := 0; i < len(got); i += 2 {
			if got[i+1] > 0 {
				gave = got[i]
			}
		}
		if gave != want {
			t.Fatalf("epoch %d: partition %d gave records, want %d: %v", epoch+1, gave, want, got)
		}
	}
}

// TestFetchUnknown proves the errors for what does not exist, by name and by id, and that the answer
// comes at once (KIP-516).
func TestFetchUnknown(t *testing.T) {
	tb := newTestBroker(t)
	p := tb.fetch(fetchSpec{topic: "no", epoch: -1, waitMs: 500, minBytes: 1, offsets: map[int32]int64{0: 0}})
	if code := p.Topics[0].Partitions[0].ErrorCode; code != wire.CodeUnknownTopicOrPartition {
		t.Errorf("by name: code %d", code)
	}
	p = tb.fetch(fetchSpec{
		version: 13, epoch: -1, waitMs: 500, minBytes: 1, offsets: map[int32]int64{0: 0},
	})
	if code := p.Topics[0].Partitions[0].ErrorCode; code != wire.CodeUnknownTopicID {
		t.Errorf("by id: code %d", code)
	}
	tb.mustCreate("a", 1)
	f := func(epoch int32, want int16) {
		t.Helper()
		p := tb.fetch(fetchSpec{
			topic: "a", epoch: -1, offsets: map[int32]int64{0: 0}, currentEpoch: epoch, currentEpochSet: true,
		})
		if code := p.Topics[0].Partitions[0].ErrorCode; code != want {
			t.Errorf("epoch %d: code %d, want %d", epoch, code, want)
		}
	}
	now := tb.topics.namedString("a").replica(0).leaderEpoch.Load()
	f(now, 0)
	f(now+1, wire.CodeUnknownLeaderEpoch)
	f(now-1, map[bool]int16{true: 0, false: wire.CodeFencedLeaderEpoch}[now == 0])
}

// TestFetchDiverging proves KIP-595's answer to a reader whose last epoch ends before its offset: no
// records, where our log parts from its own, and a frame that decodes although the partition had
// records before.
func TestFetchDiverging(t *testing.T) {
	tb := newTestBroker(t)
	tb.mustCreate("a", 1)
	tb.mustProduce("a", 0, batchOf(3, 100))
	c := tb.connect()
	q := fetchSpec{topic: "a", epoch: -1, offsets: map[int32]int64{0: 0}}.request()
	c.send(q)
	c.receive(q)
	q.Topics[0].Partitions[0].FetchOffset = 50
	q.Topics[0].Partitions[0].LastFetchedEpoch = 0
	c.send(q)
	p := c.receive(q).(*kmsg.FetchResponse).Topics[0].Partitions[0]
	if p.ErrorCode != 0 || p.DivergingEpoch.Epoch != 0 || p.DivergingEpoch.EndOffset != 3 ||
		len(p.RecordBatches) != 0 {
		t.Fatalf("%+v", p)
	}
}
