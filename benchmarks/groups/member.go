package groups

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// member is one member of a group.
type member struct {
	group, topic string
	partitions   int
	heartbeat    time.Duration
	conn         *conn
	id           string
	generation   int32
	assigned     int
	tally        *tally
}

// crowd is the state that a run's members share.
type crowd struct {
	// mu guards what follows.
	mu       sync.Mutex
	stable   int
	assigned int
	last     time.Time // when the latest member synced
	failed   error
}

func (c *crowd) synced(assigned int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stable++
	c.assigned += assigned
	c.last = time.Now()
}

func (c *crowd) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
	}
}

func (c *crowd) state() (stable, assigned int, last time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stable, c.assigned, c.last, c.failed
}

// reset forgets who has synced, before a rebalance.
func (c *crowd) unsynced(assigned int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stable--
	c.assigned -= assigned
}

// run is a member's life until ctx ends.
func (m *member) run(ctx context.Context, c *crowd) {
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = m.conn.SetDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	defer stop()
	for ctx.Err() == nil {
		if err := m.join(); err != nil {
			if ctx.Err() == nil {
				c.fail(err)
			}
			return
		}
		c.synced(m.assigned)
		err := m.beat(ctx)
		c.unsynced(m.assigned)
		if err != nil {
			if ctx.Err() == nil {
				c.fail(err)
			} else {
				<-interrupted // Or it would cut the leaving short.
				m.leave(errors.Is(err, ctx.Err()))
			}
			return
		}
		m.tally.rebalanced()
	}
}

// leave takes the member out of its group, so that the group can be deleted. whole says that no answer
// was cut short on its connection. Nobody is harmed if leaving fails: the group then goes when its
// sessions end.
func (m *member) leave(whole bool) {
	if !whole {
		m.conn.Close()
		conn, err := dial(context.Background(), m.conn.RemoteAddr().String())
		if err != nil {
			return
		}
		defer conn.Close()
		m.conn = conn
	}
	_ = m.conn.SetDeadline(time.Now().Add(10 * time.Second))
	q := kmsg.NewPtrLeaveGroupRequest()
	q.Version, q.Group = 3, m.group
	q.Members = []kmsg.LeaveGroupRequestMember{{MemberID: m.id}}
	_, _ = m.conn.ask(q)
}

// join takes the member through JoinGroup and SyncGroup, again while others disturb it.
func (m *member) join() error {
	for {
		q := kmsg.NewPtrJoinGroupRequest()
		q.Version, q.Group, q.MemberID, q.ProtocolType = 5, m.group, m.id, "consumer"
		q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = 45_000, 300_000
		q.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: subscription(m.topic)}}
		p, err := m.conn.ask(q)
		if err != nil {
			return fmt.Errorf("joining: %w", err)
		}
		joined := p.(*kmsg.JoinGroupResponse)
		switch codeName(joined.ErrorCode) {
		case "NONE":
		case "MEMBER_ID_REQUIRED":
			m.id = joined.MemberID
			continue
		case "REBALANCE_IN_PROGRESS", "COORDINATOR_LOAD_IN_PROGRESS":
			time.Sleep(10 * time.Millisecond) // As clients back off.
			continue
		case "UNKNOWN_MEMBER_ID":
			m.id = ""
			continue
		default:
			return fmt.Errorf("joining: %s", codeName(joined.ErrorCode))
		}
		m.id, m.generation = joined.MemberID, joined.Generation
		again, err := m.sync(joined)
		if err != nil || !again {
			return err
		}
	}
}

func (m *member) sync(joined *kmsg.JoinGroupResponse) (again bool, err error) {
	q := kmsg.NewPtrSyncGroupRequest()
	q.Version, q.Group, q.MemberID, q.Generation = 3, m.group, m.id, m.generation
	for i, member := range joined.Members {
		q.GroupAssignment = append(q.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{
			MemberID:         member.MemberID,
			MemberAssignment: assignment(m.topic, i, len(joined.Members), m.partitions),
		})
	}
	p, err := m.conn.ask(q)
	if err != nil {
		return false, fmt.Errorf("syncing: %w", err)
	}
	synced := p.(*kmsg.SyncGroupResponse)
	switch codeName(synced.ErrorCode) {
	case "NONE":
	case "REBALANCE_IN_PROGRESS":
		return true, nil
	default:
		return false, fmt.Errorf("syncing: %s", codeName(synced.ErrorCode))
	}
	var a kmsg.ConsumerMemberAssignment
	if err := a.ReadFrom(synced.MemberAssignment); err != nil {
		return false, fmt.Errorf("syncing: the assignment: %w", err)
	}
	m.assigned = 0
	for _, t := range a.Topics {
		m.assigned += len(t.Partitions)
	}
	return false, nil
}

// beat sends heartbeats until the group rebalances, which it answers by nil.
func (m *member) beat(ctx context.Context) error {
	q := kmsg.NewPtrHeartbeatRequest()
	q.Version, q.Group, q.MemberID, q.Generation = 3, m.group, m.id, m.generation
	wait := time.Duration(rand.Int64N(int64(m.heartbeat))) // Members do not beat in step.
	for {
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = m.heartbeat
		began := time.Now()
		p, err := m.conn.ask(q)
		if err != nil {
			return fmt.Errorf("heartbeat: %w", err)
		}
		switch code := codeName(p.(*kmsg.HeartbeatResponse).ErrorCode); code {
		case "NONE":
			m.tally.took(time.Since(began))
		case "REBALANCE_IN_PROGRESS":
			return nil
		default:
			return fmt.Errorf("heartbeat: %s", code)
		}
	}
}

// subscription is what a consumer of one topic says of itself.
func subscription(topic string) []byte {
	var s kmsg.ConsumerMemberMetadata
	s.Topics = []string{topic}
	return s.AppendTo(nil)
}

// assignment is the i-th of n members' share of the partitions.
func assignment(topic string, i, n, partitions int) []byte {
	var a kmsg.ConsumerMemberAssignment
	t := kmsg.ConsumerMemberAssignmentTopic{Topic: topic}
	for p := i; p < partitions; p += n {
		t.Partitions = append(t.Partitions, int32(p))
	}
	a.Topics = append(a.Topics, t)
	return a.AppendTo(nil)
}
