package group

import "sync/atomic"

// Counts are how much a shard holds, for metrics.
type Counts struct {
	// Empty, Preparing, Completing and Stable count the groups in that state. Groups that exist by their
	// offsets alone are Empty, as DescribeGroups says of them.
	Empty, Preparing, Completing, Stable int
	// Members are those of all groups, without ids that were only handed out.
	Members int
	// Offsets are the committed ones, without those that wait for the end of a transaction.
	Offsets int
}

// counts is what Counts is read from. It is kept up to date by whoever runs the machine, and read by
// anybody at any time.
type counts struct {
	states [stateDead]atomic.Int64
	// simple counts the groups that exist by their offsets alone.
	simple  atomic.Int64
	members atomic.Int64
}

// Counts tells what the machine holds. Unlike the other methods it may be called from any goroutine at
// any time; numbers that change together may be read apart.
func (m *Machine) Counts() Counts {
	c := &m.counts
	return Counts{
		Empty:      int(c.states[stateEmpty].Load() + c.simple.Load()),
		Preparing:  int(c.states[statePreparing].Load()),
		Completing: int(c.states[stateCompleting].Load()),
		Stable:     int(c.states[stateStable].Load()),
		Members:    int(c.members.Load()),
		Offsets:    int(m.offsets.committed.Load()),
	}
}

// enter changes the group's state.
func (g *group) enter(s state) {
	c := &g.m.counts
	c.states[g.state].Add(-1)
	g.previous, g.state = g.state, s
	if s != stateDead {
		c.states[s].Add(1)
	}
}

// offsetGroup is told when a group has got its first offset, by 1, or has lost its last, by -1.
func (m *Machine) offsetGroup(id string, by int64) {
	if m.groups[id] == nil {
		m.counts.simple.Add(by)
	}
}

// Meter is told what happens in shards, for metrics, after it is in the log. Several shards may call it
// at once, and it must not wait.
type Meter interface {
	// OffsetsCommitted counts offsets, those of a transaction when they are written.
	OffsetsCommitted(n int)
	// OffsetsExpired counts offsets whose time was over (KIP-211).
	OffsetsExpired(n int)
	// OffsetsDeleted counts offsets that were deleted: one by one (KIP-496), with their group
	// (KIP-229), or with their topic.
	OffsetsDeleted(n int)
	// RebalanceBegan is called whenever a group's members are to join anew, before anything is in
	// the log.
	RebalanceBegan()
	// RebalanceEnded is called when a group has its assignment, afterMs after it was Stable or Empty
	// for the last time.
	RebalanceEnded(afterMs int64)
}

// noMeter is the meter of a machine that has none.
type noMeter struct{}

func (noMeter) OffsetsCommitted(int) {}
func (noMeter) OffsetsExpired(int)   {}
func (noMeter) OffsetsDeleted(int)   {}
func (noMeter) RebalanceBegan()      {}
func (noMeter) RebalanceEnded(int64) {}

// Committed is a committed offset.
type Committed struct {
	Group, Topic string
	// TopicID is the topic's id as of the commit, zero if it is not known.
	TopicID   [16]byte
	Offset    int64
	Partition int32
}

// How much one call of Committed looks at, so that nobody waits for the shard for long: offsets, each
// a memory access or two, and groups that are passed over.
const (
	committedOffsetsMax = 4096
	committedGroupsMax  = 1 << 16
)

// Committed appends the committed offsets of groups to dst until it has n more: of a group all or none,
// groups that would exceed n are passed over. Groups come in an order that does not change while they
// have offsets. from is 0 at first; next is the from to go on with, negative after the last group. The
// strings are immutable and may be kept.
func (m *Machine) Committed(dst []Committed, from, n int) (list []Committed, next int) {
	o := &m.offsets
	offsets, groups := committedOffsetsMax, committedGroupsMax
	for ; from < len(o.lists); from++ {
		if offsets <= 0 || groups <= 0 {
			return dst, from
		}
		groups--
		list := o.lists[from]
		if list.count == 0 || int(list.count) > n {
			continue
		}
		n -= int(list.count)
		offsets -= int(list.count)
		for i := list.head; i != 0; i = o.entry(i).next {
			e := o.entry(i)
			c := Committed{
				Group: o.groups.value(e.group), Topic: o.topics.value(e.topic),
				Offset: e.offset, Partition: e.partition,
			}
			if e.topicID != 0 {
				c.TopicID = o.topicIDs.value(e.topicID)
			}
			dst = append(dst, c)
		}
	}
	return dst, -1
}
