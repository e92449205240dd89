package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
	"sluice/wire"
)

func config1(name, value string) catalog.ConfigValue {
	return catalog.ConfigValue{Name: name, Value: &value}
}

// TestProduceAcks proves that each kind of acks is honoured: offsets for 1 and all, no answer for 0,
// a closed connection when acks=0 fails, INVALID_REQUIRED_ACKS for anything else.
func TestProduceAcks(t *testing.T) {
	tb := newTestBroker(t)
	tb.mustCreate("a", 1)
	c := tb.connect()
	f := func(topic string, acks int16) *kmsg.ProduceResponse {
		t.Helper()
		q := produceRequest(topic, acks, map[int32][]byte{0: batchOf(2, 10)})
		c.send(q)
		c.wait()
		if !c.responded {
			return nil
		}
		return c.decode(q).(*kmsg.ProduceResponse)
	}
	for i, acks := range []int16{1, -1} {
		p := f("a", acks).Topics[0].Partitions[0]
		if p.ErrorCode != 0 || p.BaseOffset != int64(2*i) || p.LogAppendTime != -1 {
			t.Errorf("acks %d: %+v", acks, p)
		}
	}
	if p := f("a", 0); p != nil || c.cause != nil {
		t.Errorf("acks 0: answer %v, cause %v", p, c.cause)
	}
	if leo := tb.topics.namedString("a").replica(0).log.Load().LEO(); leo != 6 {
		t.Errorf("log end offset %d after three produces of two records", leo)
	}
	if p := f("a", 2).Topics[0].Partitions[0]; p.ErrorCode != wire.CodeInvalidRequiredAcks {
		t.Errorf("acks 2: code %d", p.ErrorCode)
	}
	if p := f("no", 0); p != nil || c.cause == nil {
		t.Errorf("failed acks 0: answer %v, cause %v", p, c.cause)
	}
}

// TestProduceRefusals proves that what is refused leaves nothing behind, and names its reason.
func TestProduceRefusals(t *testing.T) {
	tb := newTestBroker(t)
	tb.mustCreate("a", 1, config1("max.message.bytes", "1000"))
	f := func(what string, want int16, change func(wire.Batch) []byte) {
		t.Helper()
		q := produceRequest("a", -1, map[int32][]byte{0: change(batchOf(2, 10))})
		p := tb.roundTrip(q).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		if p.ErrorCode != want || p.BaseOffset != -1 {
			t.Errorf("%s: code %d, base offset %d", what, p.ErrorCode, p.BaseOffset)
		}
	}
	f("flipped bit", wire.CodeCorruptMessage, func(b wire.Batch) []byte { b[70] ^= 1; return b })
	f("two batches", wire.CodeInvalidRecord, func(b wire.Batch) []byte { return append(b, b...) })
	f("too large", wire.CodeMessageTooLarge, func(wire.Batch) []byte { return batchOf(1, 2000) })
	f("empty", wire.CodeInvalidRecord, func(wire.Batch) []byte { return []byte{} })
	f("null", wire.CodeInvalidRecord, func(wire.Batch) []byte { return nil })
	r := tb.topics.namedString("a").replica(0)
	if r.log.Load().LEO() != 0 || r.highWatermark.Load() != 0 {
		t.Fatal("something refused became visible")
	}
}

// TestProduceMinISR proves that acks=all is refused before the append when the ISR is too small
// (NOT_ENOUGH_REPLICAS), that acks=1 ignores it, and that the high watermark stands still (KIP-966).
func TestProduceMinISR(t *testing.T) {
	tb := newTestBroker(t)
	tb.mustCreate("a", 1, config1("min.insync.replicas", "1"))
	r := tb.topics.namedString("a").replica(0)
	// A second in-sync replica that never fetches: what a cluster looks like to the leader.
	r.log.Load().Locked(func() { r.leader = leaderOfTwo(r, tb.nodeID) })
	c := tb.connect()
	q := produceRequest("a", -1, map[int32][]byte{0: batchOf(1, 10)})
	c.send(q)
	tb.loop.drain()
	if c.ended.Load() {
		t.Fatal("acks=all was answered although the other replica has nothing")
	}
	early := tb.fetch(fetchSpec{topic: "a", epoch: -1, offsets: map[int32]int64{0: 0}})
	if len(early.Topics[0].Partitions[0].RecordBatches) != 0 {
		t.Fatal("records above the high watermark are visible")
	}
	r.log.Load().Locked(func() {
		effects, code := r.leader.FollowerFetched(7, -1, 1, tb.nowMs())
		if code != 0 {
			t.Errorf("follower fetch: code %d", code)
		}
		r.follow(effects)
	})
	tb.loop.drain()
	if p := c.receive(q).(*kmsg.ProduceResponse).Topics[0].Partitions[0]; p.ErrorCode != 0 {
		t.Fatalf("acks=all after the follower caught up: code %d", p.ErrorCode)
	}
	c.send(q)
	tb.loop.advance(1001e6)
	late := c.receive(q).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	if late.ErrorCode != wire.CodeRequestTimedOut {
		t.Fatalf("acks=all without the follower: code %d", late.ErrorCode)
	}
}

// TestProduceQueued proves that a batch that finds the append lock taken is carried out once it is
// free, from bytes of its own: the lent frame is overwritten meanwhile.
func TestProduceQueued(t *testing.T) {
	tb := newTestBroker(t)
	tb.mustCreate("a", 2)
	r := tb.topics.namedString("a").replica(0)
	c := tb.connect()
	want := batchOf(3, 100)
	q := produceRequest("a", 1, map[int32][]byte{0: append([]byte(nil), want...), 1: batchOf(1, 1)})
	r.log.Load().Locked(func() {
		c.send(q)
		if c.ended.Load() {
			t.Error("answered while the append lock was held by another")
		}
	})
	p := c.receive(q).(*kmsg.ProduceResponse)
	for _, x := range p.Topics[0].Partitions {
		if x.ErrorCode != 0 || x.BaseOffset != 0 {
			t.Fatalf("%+v", x)
		}
	}
	got := tb.fetch(fetchSpec{topic: "a", epoch: -1, offsets: map[int32]int64{0: 0}}).Topics[0].Partitions[0]
	if b := wire.Batch(got.RecordBatches); !b.Intact() || string(b[21:]) != string(want[21:]) {
		t.Fatal("the queued batch was stored from bytes that were lent")
	}
}

// TestProduceIdempotent proves KIP-98's answers: a repeated batch gets its first offset, a gap is
// OUT_OF_ORDER_SEQUENCE_NUMBER.
func TestProduceIdempotent(t *testing.T) {
	tb := newTestBroker(t)
	tb.mustCreate("a", 1)
	f := func(sequence int32, wantCode int16, wantOffset int64) {
		t.Helper()
		b := wire.NewBatchBuilder()
		b.ProducerID, b.ProducerEpoch, b.BaseSequence = 5, 0, sequence
		b.Append(1_700_000_000_000, nil, []byte("x"))
		batch, err := b.Build(nil)
		if err != nil {
			t.Fatal(err)
		}
		q := produceRequest("a", -1, map[int32][]byte{0: batch})
		p := tb.roundTrip(q).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		if p.ErrorCode != wantCode || p.BaseOffset != wantOffset {
			t.Errorf("sequence %d: code %d, offset %d", sequence, p.ErrorCode, p.BaseOffset)
		}
	}
	f(0, 0, 0)
	f(1, 0, 1)
	f(0, 0, 0)
	f(1, 0, 1)
	f(3, wire.CodeOutOfOrderSequenceNumber, -1)
	f(2, 0, 2)
}

// TestProduceCompressionType proves that compression.type replaces the producer's codec.
func TestProduceCompressionType(t *testing.T) {
	tb := newTestBroker(t)
	for name, want := range map[string]wire.Codec{
		"gzip": wire.CodecGzip, "snappy": wire.CodecSnappy, "lz4": wire.CodecLZ4,
		"zstd": wire.CodecZstd, "uncompressed": wire.CodecNone, "producer": wire.CodecNone,
	} {
		tb.mustCreate(name, 1, config1("compression.type", name))
		tb.mustProduce(name, 0, batchOf(10, 100))
		all := tb.fetch(fetchSpec{topic: name, epoch: -1, offsets: map[int32]int64{0: 0}})
		p := all.Topics[0].Partitions[0]
		b := wire.Batch(p.RecordBatches)
		if !b.Intact() || b.Codec() != want || b.Count() != 10 {
			t.Errorf("%s: codec %v, %d records", name, b.Codec(), b.Count())
		}
	}
}
