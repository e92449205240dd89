package load

import (
	"testing"
	"time"

	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

const ms = int64(time.Millisecond)

// schedule is a thread with one producer whose clock stands still unless the test moves it, and
// whose first connection ends in the test.
type schedule struct {
	*steady
	clock   int64
	reading int64 // what every look at the clock costs
	conns   []*produceConn
	replied int32
}

// newSchedule makes one of single records, one per batch, that are due at a rate from time 1 ms on.
func newSchedule(t *testing.T, rate float64, connections int) *schedule {
	spec := testSpec(func(s *workload.Spec) {
		s.Partitions, s.InFlight, s.Connections, s.BatchRecords = connections, 1, connections, 1
	})
	spec.Rate, spec.Producers, spec.Linger = rate, 1, 0
	unused := testConn(t, spec, false)
	th := unused.t
	th.s.open = true
	c := &schedule{clock: ms}
	th.s.clock = func() int64 {
		c.clock += c.reading
		return c.clock
	}
	th.s.planOpen()
	for _, conn := range th.conns[1:] {
		c.conns = append(c.conns, conn.role.(*produceConn))
		c.steady = newSteady(t, th, conn)
	}
	c.steady.answer = produceReply(spec.Topic, 0)
	return c
}

func (c *schedule) stage(s stage) *result.Histogram { return c.thread.tally.stages[s] }

// about says whether a histogram of three digits may have shown want as got.
func about(got, want int64) bool { return got >= want-want/500 && got <= want+want/500 }

// Lag is how much later than due the generator took a record up, exactly, record by record.
func TestLagIsTheGeneratorsOwnLateness(t *testing.T) {
	c := newSchedule(t, 1000, 1)
	c.turn() // Record 0, in time.
	if lag := c.stage(stageLag); lag.Count() != 1 || lag.Max() != 0 {
		t.Fatalf("%d records, lag at most %d, want one in time", lag.Count(), lag.Max())
	}
	c.clock += 10 * ms
	c.turn() // Records 1 to 10, the first of them 9 ms late.
	lag := c.stage(stageLag)
	if lag.Count() != 11 || !about(lag.Max(), 9*ms) || !about(lag.Percentile(50), 4*ms) {
		t.Errorf("%d records, lag p50 %d, max %d; want 11, 4 ms, 9 ms",
			lag.Count(), lag.Percentile(50), lag.Max())
	}
}

// A broker that stalls makes no record late for the generator, holds none of them back unseen, and
// has every one of them in its latency, each by what was left of the stall.
func TestStallIsInLatencyOfEveryDueRecord(t *testing.T) {
	c := newSchedule(t, 1000, 1)
	for range 200 {
		c.turn()
		c.clock += ms
	}
	if lag := c.stage(stageLag); lag.Count() != 200 || lag.Max() != 0 {
		t.Errorf("%d records, lag at most %d, want 200 in time", lag.Count(), lag.Max())
	}
	if ack, n := c.stage(stageAck).Count(), c.conns[0].pendingRequests(); ack != 0 || n != 200 {
		t.Errorf("%d acknowledged, %d waiting, want none and 200", ack, n)
	}
	c.thread.s.end.Store(c.clock) // The schedule is over, the answers come.
	for range 200 {
		if n := c.requests(); n != 1 {
			t.Fatalf("%d requests in flight, want 1", n)
		}
		c.reply(c.replied)
		c.replied++
		c.turn()
	}
	ack := c.stage(stageAck)
	if ack.Count() != 200 || !about(ack.Max(), 200*ms) || !about(ack.Percentile(50), 100*ms) {
		t.Errorf("%d latencies, p50 %d, max %d; want 200, 100 ms, 200 ms",
			ack.Count(), ack.Percentile(50), ack.Max())
	}
	if queue := c.stage(stageQueue); !about(queue.Max(), 199*ms) {
		t.Errorf("the last record waited %d, want 199 ms", queue.Max())
	}
}

// What becomes due while a turn is busy is taken up between two of its steps, not after the turn.
func TestLagIsBoundedByAStep(t *testing.T) {
	const connections, look = 16, int64(10 * time.Microsecond)
	c := newSchedule(t, 1e5, connections)
	c.clock += (connections - 1) * look // One record is due for each connection.
	c.thread.s.begin.Store(c.clock + 1) // They do not count: the test makes them late.
	c.reading = look
	before := c.clock
	c.turn()
	lag, turn := c.stage(stageLag), c.clock-before
	if turn < 40*look || lag.Count() < 30 {
		t.Fatalf("a turn of %d ns took up %d records: too few to tell", turn, lag.Count())
	}
	if lag.Max() > 6*look {
		t.Errorf("in a turn of %d ns a record was taken up %d ns late, want at most %d",
			turn, lag.Max(), 6*look)
	}
}
