package e2etest

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const movedTopic = "out"

// groupMover consumes, transforms and produces in transactions (KIP-447).
type groupMover struct {
	line *line
	stop context.CancelFunc
	done chan struct{}
}

// newMover starts a mover. One that has failed beyond what an abort can mend starts anew with its id.
func newMover(w *groupWorld, name, id string) *groupMover {
	ctx, cancel := context.WithCancel(context.Background())
	m := &groupMover{line: w.line(), stop: cancel, done: make(chan struct{})}
	b := w.b
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			s, err := kgo.NewGroupTransactSession(append(quickly(m.line),
				kgo.SeedBrokers(b.addr), kgo.ClientID(name),
				kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID(id),
				kgo.TransactionTimeout(10*time.Second), kgo.ConsumerGroup(w.group),
				kgo.ConsumeTopics(groupTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
				kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.Balancers(kgo.CooperativeStickyBalancer()),
				kgo.SessionTimeout(memberSession), kgo.HeartbeatInterval(memberHeartbeat))...)
			if err != nil {
				w.t.Error(err)
				return
			}
			// The client would begin with its id only when it first produces. What the last owner of
			// the id left open has to end before that: its offsets are pending (KIP-447), so that
			// nothing is fetched until its transaction has timed out.
			if _, _, err := s.Client().ProducerID(ctx); err == nil {
				moveAll(ctx, s)
			}
			s.CloseAllowingRebalance()
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond): // between attempts, not for anything
			}
		}
	}()
	return m
}

// moveAll copies until it is stopped or the session is beyond help. Every fifth transaction is
// aborted, which has the session go back to what is committed.
func moveAll(ctx context.Context, s *kgo.GroupTransactSession) {
	for count := 1; ctx.Err() == nil; count++ {
		fetched := s.PollFetches(ctx)
		if fetched.NumRecords() == 0 {
			continue
		}
		if s.Begin() != nil {
			return
		}
		fetched.EachRecord(func(r *kgo.Record) {
			s.Produce(context.Background(), &kgo.Record{
				Topic: movedTopic, Partition: r.Partition, Key: r.Key, Value: r.Value,
			}, nil)
		})
		if _, err := s.End(ctx, kgo.TransactionEndTry(count%5 != 0)); err != nil {
			return
		}
	}
}

// end ends a mover, also one that is amid a transaction and has no line to end it.
func (m *groupMover) end(t *testing.T) {
	t.Helper()
	m.stop()
	select {
	case <-m.done:
	case <-time.After(patience):
		t.Fatal("a mover does not end")
	}
}

// TestMoversThroughRestarts copies a topic by transactions of two GroupTransactSessions, one of which
// loses its line and is replaced, while the broker is killed, and stopped. What a reader of committed
// records finds is the input: each record once and in order.
func TestMoversThroughRestarts(t *testing.T) {
	t.Parallel()
	w := newGroupWorld(t, "movers")
	createTopic(t, w.b, movedTopic, groupPartitions)
	movers := []*groupMover{newMover(w, "one", "mover-1"), newMover(w, "two", "mover-2")}
	t.Cleanup(func() {
		for _, m := range movers {
			m.line.cut()
			m.end(t)
		}
	})
	settle := func(what string, names ...string) {
		t.Helper()
		w.until(what, func() bool {
			owners, ok := w.owners()
			return ok && slices.Equal(slices.Sorted(maps.Keys(owners)), names)
		})
	}
	settle("two movers", "one", "two")
	w.advance("every partition is copied")
	w.b.kill()
	w.again()
	w.advance("copied after a kill")
	movers[1].line.cut()
	movers = append(movers, newMover(w, "three", "mover-2"))
	settle("a mover was lost, another has its id", "one", "three")
	w.advance("every partition is copied by those")
	must(t, w.b.terminate())
	w.again()
	w.advance("copied after a stop")
	w.stopWriting()
	w.until("all is copied", func() bool { return w.reached(w.ends()) })
	w.checkMoved()
	for _, m := range movers {
		m.end(t)
	}
}

// checkMoved compares output and input.
func (w *groupWorld) checkMoved() {
	w.t.Helper()
	ctx := deadline(w.t)
	from := map[int32]kgo.Offset{}
	for p := range int32(groupPartitions) {
		from[p] = kgo.NewOffset().AtStart()
	}
	var ends kadm.ListedOffsets
	w.until("no transaction is open", func() bool {
		high, err := w.admin.ListEndOffsets(ctx, movedTopic)
		must(w.t, err)
		ends, err = w.admin.ListCommittedOffsets(ctx, movedTopic)
		must(w.t, err)
		same := true
		ends.Each(func(o kadm.ListedOffset) {
			h, _ := high.Lookup(movedTopic, o.Partition)
			same = same && o.Offset == h.Offset
		})
		return same
	})
	cl := w.client(kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{movedTopic: from}))
	got, total := make([][]string, groupPartitions), 0
	// The last record of each partition is the marker that ended its last transaction.
	for left := groupPartitions; left > 0; {
		fetched := cl.PollFetches(ctx)
		must(w.t, fetched.Err())
		fetched.EachRecord(func(r *kgo.Record) {
			if end, _ := ends.Lookup(movedTopic, r.Partition); r.Offset == end.Offset-1 {
				left--
			}
			if !r.Attrs.IsControl() {
				got[r.Partition] = append(got[r.Partition], string(r.Value))
				total++
			}
		})
	}
	for p, values := range w.acked {
		if !slices.Equal(got[p], values) {
			w.t.Errorf("partition %d of the output has %d records, the input %d, or others", p, len(got[p]),
				len(values))
		}
	}
	w.t.Logf("%d records were copied once and in order", total)
}
