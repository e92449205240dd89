package e2etest

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	groupTopic      = "in"
	groupPartitions = 6
	groupName       = "readers"
)

// line is one client's way to the broker, wherever that listens now. Once it is cut the client is
// gone for the broker as if its machine had lost power: it cannot even say that it leaves.
type line struct {
	addr  *atomic.Pointer[string]
	mu    sync.Mutex // guards what follows
	conns []net.Conn
	gone  bool
}

var errLineCut = errors.New("the line is cut")

func (l *line) DialContext(ctx context.Context, network, _ string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, *l.addr.Load())
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		c.Close()
		return nil, errLineCut
	}
	l.conns = append(l.conns, c)
	return c, nil
}

// Dial is the form that sarama asks for.
func (l *line) Dial(network, addr string) (net.Conn, error) {
	return l.DialContext(context.Background(), network, addr)
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = true
	for _, c := range l.conns {
		c.Close()
	}
}

// quickly are the options of a franz-go client that comes back soon to a broker that was gone.
func quickly(l *line) []kgo.Opt {
	return []kgo.Opt{
		kgo.Dialer(l.DialContext), kgo.RequestRetries(100),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
		kgo.FetchMaxWait(100 * time.Millisecond),
	}
}

const (
	memberSession   = 3 * time.Second
	staticSession   = 45 * time.Second // a static member has time to come back
	memberHeartbeat = 300 * time.Millisecond
)

func sessionFor(instance string) time.Duration {
	if instance != "" {
		return staticSession
	}
	return memberSession
}

// groupMember is a client in a group that consumes, and commits what it has consumed.
type groupMember struct {
	view *memberView
	line *line
	// stop ends its loop; done is closed when that has ended, and the client left the group if its
	// line let it.
	stop context.CancelFunc
	done chan struct{}
}

// joinFunc starts a member. The instance id is empty for a dynamic one.
type joinFunc func(b *broker, l *line, view *memberView, instance string) (*groupMember, error)

// joinFranz is franz-go with an assignor.
func joinFranz(balancer kgo.GroupBalancer) joinFunc {
	return func(b *broker, l *line, view *memberView, instance string) (*groupMember, error) {
		told := func(tell func(...int32)) func(context.Context, *kgo.Client, map[string][]int32) {
			return func(_ context.Context, _ *kgo.Client, by map[string][]int32) { tell(by[groupTopic]...) }
		}
		opts := append(quickly(l), kgo.ClientID(view.name), kgo.ConsumerGroup(groupName),
			kgo.ConsumeTopics(groupTopic),
			kgo.Balancers(balancer), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.SessionTimeout(sessionFor(instance)), kgo.HeartbeatInterval(memberHeartbeat),
			kgo.RebalanceTimeout(20*time.Second), kgo.OnPartitionsAssigned(told(view.assigned)),
			kgo.OnPartitionsRevoked(told(view.revoked)), kgo.OnPartitionsLost(told(view.revoked)))
		if instance != "" {
			opts = append(opts, kgo.InstanceID(instance))
		}
		cl, err := newFranz(b, opts...)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		m := &groupMember{view: view, line: l, stop: cancel, done: make(chan struct{})}
		go func() {
			defer close(m.done)
			defer cl.CloseAllowingRebalance()
			for ctx.Err() == nil {
				franzTurn(ctx, cl, view)
			}
		}()
		return m, nil
	}
}

// franzTurn consumes what is there and commits it. A commit that fails is made up for by the next.
func franzTurn(ctx context.Context, cl *kgo.Client, view *memberView) {
	defer cl.AllowRebalance()
	at := map[int32]kgo.EpochOffset{}
	cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
		view.deliver(r.Partition, r.Offset, string(r.Value))
		at[r.Partition] = kgo.EpochOffset{Epoch: r.LeaderEpoch, Offset: r.Offset + 1}
	})
	if len(at) == 0 {
		return
	}
	cl.CommitOffsetsSync(context.Background(), map[string]map[int32]kgo.EpochOffset{groupTopic: at},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
			if err != nil {
				return
			}
			acked := map[int32]int64{}
			for _, p := range resp.Topics[0].Partitions {
				if p.ErrorCode == 0 {
					acked[p.Partition] = at[p.Partition].Offset
				}
			}
			view.h.ack(view.name, acked)
		})
}

// joinSarama is sarama with an assignor.
func joinSarama(strategy func() sarama.BalanceStrategy) joinFunc {
	return func(b *broker, l *line, view *memberView, instance string) (*groupMember, error) {
		c := saramaConfig()
		c.ClientID, c.Consumer.Return.Errors = view.name, false
		c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, l
		c.Metadata.Retry.Backoff = 50 * time.Millisecond
		c.Consumer.Offsets.Initial = sarama.OffsetOldest
		c.Consumer.Offsets.AutoCommit.Enable = false
		g := &c.Consumer.Group
		g.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy()}
		g.Session.Timeout, g.Heartbeat.Interval = sessionFor(instance), memberHeartbeat
		g.Rebalance.Timeout, g.Rebalance.Retry.Backoff = 20*time.Second, 50*time.Millisecond
		g.InstanceId = instance
		group, err := sarama.NewConsumerGroup([]string{b.addr}, groupName, c)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		m := &groupMember{view: view, line: l, stop: cancel, done: make(chan struct{})}
		go func() {
			defer close(m.done)
			defer group.Close()
			for ctx.Err() == nil {
				// It ends with every rebalance of the eager protocol, and with every lost connection.
				_ = group.Consume(ctx, []string{groupTopic}, saramaHandler{view})
			}
		}()
		return m, nil
	}
}

// saramaHandler consumes claims. What sarama commits it does not tell; the broker is asked.
type saramaHandler struct{ view *memberView }

func (saramaHandler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (saramaHandler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h saramaHandler) ConsumeClaim(
	session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim,
) error {
	h.view.assigned(claim.Partition())
	defer h.view.revoked(claim.Partition())
	for {
		select {
		case m, more := <-claim.Messages():
			if !more {
				return nil
			}
			h.view.deliver(m.Partition, m.Offset, string(m.Value))
			session.MarkMessage(m, "")
		case <-session.Context().Done():
			return nil
		}
		// A commit shares its connection with fetches, and waits for them.
		if len(claim.Messages()) == 0 {
			session.Commit()
		}
	}
}

// leave ends a member in peace.
func (m *groupMember) leave(t *testing.T) {
	t.Helper()
	m.stop()
	select {
	case <-m.done:
	case <-time.After(patience):
		t.Fatalf("%s does not end", m.view.name)
	}
}
