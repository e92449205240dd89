package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestProduceAckWaitKeepsFrame proves that a request that waits for acks=all keeps its frame: the answer
// names topics from it.
func TestProduceAckWaitKeepsFrame(t *testing.T) {
	tb := newTestBroker(t)
	tb.mustCreate("a", 1)
	r := tb.topics.namedString("a").replica(0)
	r.log.Load().Locked(func() { r.leader = leaderOfTwo(r, tb.nodeID); r.publish() })
	c := tb.connect()
	q := produceRequest("a", -1, map[int32][]byte{0: batchOf(2, 10)})
	c.send(q)
	if c.ended.Load() {
		t.Fatal("did not wait")
	}
	if !c.r.produce.kept { // netpoll ends the loan when Frame returns, unless Keep was called
		for i := range c.lent {
			c.lent[i] = 0xdb
		}
	}
	tb.loop.advance(2e9)
	p := c.receive(q).(*kmsg.ProduceResponse)
	if p.Topics[0].Topic != "a" {
		t.Fatalf("answer names topic %q", p.Topics[0].Topic)
	}
}

// TestProduceTimesOutBehindQueue proves that a time-out that finds the append still queued ends the wait
// for acks that comes after it.
func TestProduceTimesOutBehindQueue(t *testing.T) {
	tb := newTestBroker(t)
	tb.mustCreate("a", 1)
	r := tb.topics.namedString("a").replica(0)
	r.log.Load().Locked(func() { r.leader = leaderOfTwo(r, tb.nodeID); r.publish() })
	c := tb.connect()
	q := produceRequest("a", -1, map[int32][]byte{0: batchOf(1, 10)})
	r.log.Load().Locked(func() {
		c.send(q)
		tb.loop.advance(1001e6)
	})
	tb.loop.advance(3600e9)
	if !c.ended.Load() {
		t.Fatal("timeout.ms 1000, an hour later no answer")
	}
}

// TestProduceTimeoutMeetsAppend lets a time-out run against the append that it gives up on: the race
// detector must find nothing, and the request ends once.
func TestProduceTimeoutMeetsAppend(t *testing.T) {
	tb := newTestBroker(t)
	tb.mustCreate("a", 1)
	r := tb.topics.namedString("a").replica(0)
	c := tb.connect()
	q := produceRequest("a", -1, map[int32][]byte{0: batchOf(1, 10)})
	held, release, done := make(chan int), make(chan int), make(chan int)
	go func() {
		r.log.Load().Locked(func() { close(held); <-release })
		close(done)
	}()
	<-held
	c.send(q)
	close(release)
	tb.loop.nowNs += 2e9
	c.r.produce.timeUp()
	<-done
	c.wait()
}
