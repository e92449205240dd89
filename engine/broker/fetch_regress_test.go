package broker

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// TestFetchSessionFeedsEveryPartition proves KIP-227 with KIP-74: a partition whose next batch does not
// fit what an answer has left comes with a later one, though the client does not name it again.
func TestFetchSessionFeedsEveryPartition(t *testing.T) {
	tb := newTestBroker(t)
	tb.mustCreate("a", 2)
	for i := range int32(2) {
		for range 2 {
			tb.mustProduce("a", i, batchOf(1, 5000))
		}
	}
	p := tb.fetch(fetchSpec{topic: "a", epoch: 0, maxBytes: 7000, offsets: map[int32]int64{0: 0, 1: 0}})
	next := map[int32]int64{0: 0, 1: 0}
	ask := map[int32]int64{}
	for _, x := range p.Topics[0].Partitions {
		if len(x.RecordBatches) > 0 {
			next[x.Partition]++
			ask[x.Partition] = next[x.Partition]
		}
	}
	for epoch := int32(1); epoch < 9; epoch++ {
		p = tb.fetch(fetchSpec{topic: "a", session: p.SessionID, epoch: epoch, maxBytes: 7000, offsets: ask})
		ask = map[int32]int64{}
		for _, top := range p.Topics {
			for _, x := range top.Partitions {
				if len(x.RecordBatches) > 0 {
					next[x.Partition]++
					ask[x.Partition] = next[x.Partition]
				}
			}
		}
	}
	if next[0] != 2 || next[1] != 2 {
		t.Fatalf("consumer stalled: positions %v, log ends are 2", next)
	}
}

// TestFetchCursorIsOfItsLog proves that a request without a session does not go on where another
// partition of the request before it ended.
func TestFetchCursorIsOfItsLog(t *testing.T) {
	tb := newTestBroker(t)
	tb.mustCreate("x", 1)
	tb.mustCreate("y", 1)
	tb.mustProduce("x", 0, batchOf(10, 100))
	tb.mustProduce("x", 0, batchOf(10, 100))
	tb.mustProduce("y", 0, batchOf(10, 60))
	tb.mustProduce("y", 0, batchOf(10, 200))
	c := tb.connect()
	q := fetchSpec{topic: "x", epoch: -1, partMaxBytes: 1500, offsets: map[int32]int64{0: 0}}.request()
	c.send(q)
	c.receive(q)
	q = fetchSpec{topic: "y", epoch: -1, offsets: map[int32]int64{0: 10}}.request()
	c.send(q)
	got := c.receive(q).(*kmsg.FetchResponse).Topics[0].Partitions[0]
	b := wire.Batch(got.RecordBatches)
	if len(b) < 61 || len(b) != b.Length() || !b.Intact() {
		t.Fatalf("wrong bytes: %d bytes beginning % x", len(b), []byte(b)[:min(len(b), 24)])
	}
}

// TestFetchNamesAreKeptOnce proves that a long name with many partitions costs its length once.
func TestFetchNamesAreKeptOnce(t *testing.T) {
	for _, epoch := range []int32{-1, 0} {
		t.Run(fmt.Sprint(epoch), func(t *testing.T) {
			tb := newTestBroker(t)
			offsets := map[int32]int64{}
			for i := range int32(20000) {
				offsets[i] = 0
			}
			q := fetchSpec{topic: strings.Repeat("n", 32000), epoch: epoch, offsets: offsets}.request()
			c := tb.connect()
			f := kmsg.NewRequestFormatter()
			frame := f.AppendRequest(nil, q, 1)[4:]
			var m0, m1 runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m0)
			c.sendFrame(frame)
			c.wait()
			runtime.GC()
			runtime.ReadMemStats(&m1)
			kept := int64(m1.HeapAlloc) - int64(m0.HeapAlloc)
			if kept > 100<<20 {
				t.Errorf("a frame of %d bytes retains %d MiB", len(frame), kept>>20)
			}
			runtime.KeepAlive(c)
			runtime.KeepAlive(tb)
		})
	}
}
