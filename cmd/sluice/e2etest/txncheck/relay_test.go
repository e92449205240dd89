package txncheck

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

// relay is a member of a group that consumes, transforms and produces by franz-go's
// GroupTransactSession (KIP-447). It ends without a goodbye at random, and comes again.
type relay struct {
	t    *trial
	name string
	rng  *rand.Rand

	mu    sync.Mutex // guards what follows
	gone  bool       // no packet leaves or arrives any more
	conns []net.Conn
}

var errGone = errors.New("the client is gone")

func (r *relay) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, r.t.addr())
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		c.Close()
		return nil, errGone
	}
	r.conns = append(r.conns, c)
	return c, nil
}

// vanish cuts the client off for good.
func (r *relay) vanish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = true
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}

func (r *relay) options() []kgo.Opt {
	opts := []kgo.Opt{
		kgo.SeedBrokers(r.t.addr()), kgo.Dialer(r.dial),
		kgo.TransactionalID(r.name), kgo.TransactionTimeout(3 * time.Second),
		kgo.ConsumerGroup(relaysGroup), kgo.ConsumeTopics(inTopic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.SessionTimeout(1500 * time.Millisecond), kgo.HeartbeatInterval(150 * time.Millisecond),
		kgo.RebalanceTimeout(3 * time.Second),
		kgo.FetchMaxWait(100 * time.Millisecond), kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
		kgo.ProducerLinger(0), kgo.RetryTimeout(20 * time.Second),
		kgo.ConnIdleTimeout(time.Minute),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	}
	if !r.t.modern(r.rng) {
		opts = append(opts, kgo.MaxVersions(kversion.V3_8_0()))
	}
	if r.rng.IntN(2) == 0 {
		opts = append(opts, kgo.Balancers(kgo.RangeBalancer()))
	}
	return opts
}

// relays keeps one member alive until stop is closed.
func (t *trial) relays(name string, stop <-chan struct{}) {
	rng := t.rng(name)
	for !closed(stop) && t.ctx.Err() == nil {
		r := &relay{t: t, name: name, rng: rng}
		sess, err := kgo.NewGroupTransactSession(r.options()...)
		if err != nil {
			t.h.wrong("harness", "franz-go: %v", err)
			return
		}
		r.live(sess, stop)
		r.vanish()
		// Whatever it still wants to tell the broker, it cannot.
		sess.Close()
	}
}

func (r *relay) live(sess *kgo.GroupTransactSession, stop <-chan struct{}) {
	ctx, cancel := context.WithCancel(r.t.ctx)
	defer cancel()
	for !closed(stop) && ctx.Err() == nil {
		polling, done := context.WithTimeout(ctx, 300*time.Millisecond)
		fetches := sess.PollRecords(polling, 1+r.rng.IntN(100))
		done()
		if fetches.NumRecords() == 0 {
			continue
		}
		if err := sess.Begin(); err != nil {
			r.t.h.count("relay", failed, "begin")
			return
		}
		bad := r.forward(ctx, sess, fetches)
		if r.rng.IntN(100) < 4 && !closed(r.t.calm) {
			r.t.h.count("relay", unknown, "vanished")
			return
		}
		committed, err := sess.End(ctx, kgo.TransactionEndTry(!bad && r.rng.IntN(20) > 0))
		switch {
		case err != nil:
			r.t.h.count("relay", unknown, "end")
			return
		case committed:
			r.t.h.count("relay", ok, "")
		default:
			r.t.h.count("relay", failed, "")
		}
	}
}

// forward writes where each record came from.
func (r *relay) forward(ctx context.Context, sess *kgo.GroupTransactSession, fetches kgo.Fetches) (bad bool) {
	var first kgo.FirstErrPromise
	fetches.EachRecord(func(k *kgo.Record) {
		sess.Produce(ctx, &kgo.Record{
			Topic: relayedTopic, Partition: int32(r.rng.IntN(partitions)),
			Value: fmt.Appendf(nil, "%d@%d", k.Partition, k.Offset),
		}, first.Promise())
	})
	return first.Err() != nil
}
