package broker

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/netpoll"
)

// benchConn is a connection whose answers go nowhere: it costs what a handler costs, no more.
type benchConn struct {
	testConn
	chain *netpoll.Chain
	bytes int64
}

func (c *benchConn) Chain() *netpoll.Chain { return c.chain }
func (c *benchConn) Done()                 { c.ended.Store(true) }

func (c *benchConn) Respond() {
	c.bytes += c.chain.Len()
	c.chain.Reset()
	c.ended.Store(true)
}

func newBenchConn(tb *testBroker) *benchConn {
	c := &benchConn{chain: netpoll.NewChain()}
	c.tb = tb
	c.r = tb.newRequest(c)
	return c
}

func encode(q kmsg.Request) []byte {
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench"))
	return f.AppendRequest(nil, q, 1)[4:]
}

// benchBroker is newTestBroker for benchmarks.
func benchBroker(b *testing.B, overrides ...string) *testBroker {
	t := &testing.T{}
	tb := startTestBroker(t, b.TempDir(), overrides...)
	b.Cleanup(tb.stop)
	return tb
}

func (tb *testBroker) dispatchCopy(c *benchConn, frame, scratch []byte) []byte {
	scratch = append(scratch[:0], frame...)
	c.lent = scratch
	c.ended.Store(false)
	tb.dispatch(c.r, scratch)
	return scratch
}

// BenchmarkProduce is a produce request from its frame to its answer: decode, validation of every
// record, append to a real file.
func BenchmarkProduce(b *testing.B) {
	for _, shape := range []struct{ records, size int }{{1, 100}, {4, 1000}, {64, 1000}, {1000, 1000}} {
		b.Run(fmt.Sprintf("%dx%dB", shape.records, shape.size), func(b *testing.B) {
			tb := benchBroker(b)
			tb.mustCreate("a", 1)
			c := newBenchConn(tb)
			frame := encode(produceRequest("a", 1, map[int32][]byte{0: batchOf(shape.records, shape.size)}))
			var scratch []byte
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				scratch = tb.dispatchCopy(c, frame, scratch)
				for !c.ended.Load() {
					tb.loop.next() // The log dir's gate was closed: its writer appends.
				}
			}
		})
	}
}

// BenchmarkFetchPlan is a fetch of resident data from its frame to its chain, without the sending.
func BenchmarkFetchPlan(b *testing.B) {
	for _, partitions := range []int{1, 16} {
		b.Run(fmt.Sprintf("%d partitions of 64 KiB", partitions), func(b *testing.B) {
			tb := benchBroker(b)
			tb.mustCreate("a", int32(partitions))
			offsets := map[int32]int64{}
			for i := range int32(partitions) {
				tb.mustProduce("a", i, batchOf(64, 1000))
				offsets[i] = 0
			}
			c := newBenchConn(tb)
			spec := fetchSpec{topic: "a", epoch: -1, maxBytes: 8 << 20, offsets: offsets}
			frame := encode(spec.request())
			var scratch []byte
			b.ReportAllocs()
			for b.Loop() {
				scratch = tb.dispatchCopy(c, frame, scratch)
			}
			b.SetBytes(c.bytes / int64(b.N))
		})
	}
}

// watchOnly makes a topic of that many partitions without a file for each: all but partition 7 share
// one log, which is enough to be watched.
func (tb *testBroker) watchOnly(name string, partitions int) {
	tb.mustCreate(name, 8)
	t := tb.topics.namedString(name)
	real := *t.replicas.Load()
	all := make([]*replica, partitions)
	for i := range all {
		r := &replica{topic: t, index: int32(i), dir: real[0].dir, clockMs: tb.nowMs}
		r.log.Store(real[0].log.Load())
		all[i] = r
	}
	all[7] = real[7]
	t.replicas.Store(&all)
}

// wakeSession opens an incremental session on all partitions of "a" and returns the frame of its
// next request, whose session epoch is patched in by the caller at epochAt.
func (tb *testBroker) wakeSession(partitions int, waitMs int32) (frame []byte, epochAt int) {
	offsets := map[int32]int64{}
	for i := range int32(partitions) {
		offsets[i] = 0
	}
	p := tb.roundTrip(fetchSpec{topic: "a", epoch: 0, offsets: offsets, maxBytes: 64 << 20}.request())
	id := p.(*kmsg.FetchResponse).SessionID
	tb.roundTrip(fetchSpec{session: id, epoch: 1}.request())
	q := fetchSpec{session: id, epoch: 0x11223344, waitMs: waitMs, minBytes: 1}.request()
	frame = encode(q)
	for i := 0; i+4 <= len(frame); i++ {
		if binary.BigEndian.Uint32(frame[i:]) == 0x11223344 {
			return frame, i
		}
	}
	panic("no session epoch in the frame")
}

// BenchmarkLongPollWake is one append to one of 100,000 partitions that a single session watches,
// with the parked fetch that it wakes: request, park, append, wake, answer.
func BenchmarkLongPollWake(b *testing.B) {
	const partitions = 100_000
	tb := benchBroker(b, "max.incremental.fetch.session.cache.slots=10")
	tb.watchOnly("a", partitions)
	frame, epochAt := tb.wakeSession(partitions, 60_000)
	c := newBenchConn(tb)
	produce := encode(produceRequest("a", 1, map[int32][]byte{7: batchOf(1, 100)}))
	p := newBenchConn(tb)
	var scratch, scratch2 []byte
	epoch := uint32(2)
	b.ReportAllocs()
	for b.Loop() {
		binary.BigEndian.PutUint32(frame[epochAt:], epoch)
		epoch++
		c.ended.Store(false)
		scratch = tb.dispatchCopy(c, frame, scratch)
		scratch2 = tb.dispatchCopy(p, produce, scratch2)
		for !c.ended.Load() || !p.ended.Load() {
			tb.loop.next()
		}
	}
}

// TestSteadyStateAllocates proves that produce, fetch and an empty long poll leave no garbage.
func TestSteadyStateAllocates(t *testing.T) {
	tb := newTestBroker(t)
	tb.mustCreate("a", 2)
	tb.mustProduce("a", 0, batchOf(64, 1000))
	c := newBenchConn(tb)
	var scratch []byte
	f := func(what string, frame []byte, before func()) {
		t.Helper()
		run := func() {
			if before != nil {
				before()
			}
			scratch = tb.dispatchCopy(c, frame, scratch)
			tb.loop.advance(2e6)
		}
		for range 100 {
			run()
		}
		if n := testing.AllocsPerRun(500, run); n > 0 {
			t.Errorf("%s: %v allocations a request", what, n)
		}
	}
	f("produce", encode(produceRequest("a", -1, map[int32][]byte{1: batchOf(3, 100)})), nil)
	f("fetch", encode(fetchSpec{topic: "a", epoch: -1, offsets: map[int32]int64{0: 0}}.request()), nil)
	f("empty long poll without a session", encode(fetchSpec{
		topic: "a", epoch: -1, waitMs: 1, minBytes: 1, offsets: map[int32]int64{0: 64},
	}.request()), nil)
	frame, epochAt := tb.wakeSession(2, 1)
	epoch := uint32(2)
	f("incremental fetch", frame, func() {
		binary.BigEndian.PutUint32(frame[epochAt:], epoch)
		epoch++
	})
}
