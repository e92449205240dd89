package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// TestDeletedUnderLongPoll: a fetch that waits, with a session or without, is answered when its topic
// is deleted, as Kafka's delayed fetches are. Nothing else would ever end the wait.
func TestDeletedUnderLongPoll(t *testing.T) {
	f := func(epoch int32) {
		t.Helper()
		tb := newTestBroker(t)
		tb.mustCreate("gone", 1)
		c := tb.connect()
		q := fetchSpec{
			topic: "gone", offsets: map[int32]int64{0: 0}, waitMs: 1 << 30, minBytes: 1, epoch: epoch,
		}.request()
		c.send(q)
		// A reactor may look between the first two steps of a deletion and the last, when the
		// log is still there, empty and readable.
		x := tb.topics.namedString("gone")
		x.deleted.Store(true)
		tb.topics.remove(x)
		x.replica(0).waiters.notify(progressUnknown)
		tb.loop.drain()
		if !c.ended.Load() {
			t.Fatalf("session epoch %d: the deletion did not end the wait", epoch)
		}
		p := c.decode(q).(*kmsg.FetchResponse).Topics[0].Partitions[0]
		if p.ErrorCode != wire.CodeUnknownTopicOrPartition {
			t.Errorf("session epoch %d: code %d", epoch, p.ErrorCode)
		}
		tb.closed(c.r)
	}
	f(sessionFinal)
	f(sessionInitial)
}
