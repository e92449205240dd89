package e2etest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// groupWorld is a broker that is ended and started again, a topic that is written all the while,
// and who asks the broker about a group.
type groupWorld struct {
	t     *testing.T
	b     *broker
	addr  atomic.Pointer[string]
	admin *kadm.Client
	group string
	began time.Time

	stopWriting func()

	mu     sync.Mutex // guards what follows
	acked  [][]string // acknowledged values by partition, in order of offset
	failed error
}

func newGroupWorld(t *testing.T, group string) *groupWorld {
	t.Helper()
	w := &groupWorld{t: t, group: group, began: time.Now(), acked: make([][]string, groupPartitions)}
	// The waits for a group's first members and for one that has gone prove nothing.
	w.b = start(t, t.TempDir(), "group.initial.rebalance.delay.ms=100",
		"group.min.session.timeout.ms=1000")
	w.addr.Store(&w.b.addr)
	createTopic(t, w.b, groupTopic, groupPartitions)
	w.admin = kadm.NewClient(w.client())
	w.write()
	return w
}

func (w *groupWorld) line() *line { return &line{addr: &w.addr} }

func (w *groupWorld) client(opts ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	return franzClient(w.t, w.b, append(quickly(w.line()), opts...)...)
}

// write produces to every partition in turn, idempotently, until stopWriting is called.
func (w *groupWorld) write() {
	cl := w.client(kgo.RecordRetries(1<<30), kgo.ProducerLinger(0))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	w.stopWriting = sync.OnceFunc(func() {
		cancel()
		<-done
		if err := cl.Flush(deadline(w.t)); err != nil {
			w.t.Errorf("not all records are acknowledged: %v", err)
		}
	})
	w.t.Cleanup(func() {
		cancel()
		<-done
	})
	go func() {
		defer close(done)
		// This is the rate at which records come, not a wait for anything.
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ctx.Err() == nil; n++ {
			for p := range int32(groupPartitions) {
				cl.Produce(context.Background(), &kgo.Record{
					Topic: groupTopic, Partition: p, Value: fmt.Appendf(nil, "%d-%d", p, n),
				}, w.wrote)
			}
			<-tick.C
		}
	}()
}

func (w *groupWorld) wrote(r *kgo.Record, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	of := &w.acked[r.Partition]
	switch {
	case err != nil:
		w.failed = err
	case r.Offset != int64(len(*of)):
		w.failed = fmt.Errorf("a record was acknowledged at %d after %d others", r.Offset, len(*of))
	default:
		*of = append(*of, string(r.Value))
	}
}

// ends returns how many records of each partition are acknowledged.
func (w *groupWorld) ends() []int64 {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	must(w.t, w.failed)
	var out []int64
	for _, values := range w.acked {
		out = append(out, int64(len(values)))
	}
	return out
}

// committed asks for the group's offsets; false while the broker cannot say.
func (w *groupWorld) committed() (map[int32]int64, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	got, err := w.admin.FetchOffsets(ctx, w.group)
	if err != nil || got.Error() != nil {
		return nil, false
	}
	out := map[int32]int64{}
	for p, o := range got[groupTopic] {
		out[p] = o.At
	}
	return out, true
}

// owners asks for the group: the partitions of its members by client id, and false unless it is
// Stable with one owner by partition.
func (w *groupWorld) owners() (map[string][]int32, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	groups, err := w.admin.DescribeGroups(ctx, w.group)
	if err != nil || groups[w.group].Err != nil || groups[w.group].State != "Stable" {
		return nil, false
	}
	out := map[string][]int32{}
	var all []int32
	for _, m := range groups[w.group].Members {
		owned, ok := m.Assigned.AsConsumer()
		if !ok {
			return nil, false
		}
		var partitions []int32
		for _, topic := range owned.Topics {
			partitions = append(partitions, topic.Partitions...)
		}
		slices.Sort(partitions)
		out[m.ClientID], all = partitions, append(all, partitions...)
	}
	slices.Sort(all)
	return out, slices.Equal(all, []int32{0, 1, 2, 3, 4, 5})
}

// until polls for a condition, and fails the test, with what the broker says, if it never comes.
func (w *groupWorld) until(what string, holds func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			owners, ok := w.owners()
			committed, _ := w.committed()
			w.t.Fatalf("never: %s; owners %v (%v), committed %v of %v", what, owners, ok, committed, w.ends())
		}
	}
}

// reached says whether everything up to the marks is committed.
func (w *groupWorld) reached(marks []int64) bool {
	got, ok := w.committed()
	for p, mark := range marks {
		ok = ok && got[int32(p)] >= mark
	}
	return ok
}

// advance waits until records that are not yet written are consumed and committed.
func (w *groupWorld) advance(what string) {
	w.t.Helper()
	marks := w.ends()
	for p := range marks {
		marks[p] += 10
	}
	w.until(what, func() bool { return w.reached(marks) })
	w.t.Logf("[%4.1f s] %s", time.Since(w.began).Seconds(), what)
}

// again starts the broker on what the last one left.
func (w *groupWorld) again() {
	w.t.Helper()
	w.b = start(w.t, w.b.dir, "group.initial.rebalance.delay.ms=100",
		"group.min.session.timeout.ms=1000")
	w.addr.Store(&w.b.addr)
}
