package replication

import (
	"fmt"
	"slices"
)

// Local is how far the leader's own log reaches, as offsets.
type Local struct {
	// LEO is the log end offset: the offset the next record will get.
	LEO int64
	// Flushed is the offset below which every record is on stable storage. Flushed <= LEO.
	Flushed int64
}

// ISRMember is a broker in a wanted in-sync set, with the registration epoch the leader believes
// in.
type ISRMember struct {
	BrokerID int32
	// BrokerEpoch is -1 when unknown; the controller then does not compare it (KIP-903).
	BrokerEpoch int64
}

// AlterPartition is a wanted change of the in-sync set, to be sent to the controller (KIP-497).
type AlterPartition struct {
	// Attempt tells answers apart; it is not sent. It grows with each request of one leadership.
	Attempt        uint64
	LeaderEpoch    int32
	PartitionEpoch int32 // The committed epoch that the change builds on.
	ISR            []ISRMember
}

// Effects is what follows from one input. It is a plain value; only a wanted ISR change points to
// memory, which the receiver owns.
type Effects struct {
	// HighWatermark is the HW after the input.
	HighWatermark int64
	// Advanced says that HighWatermark moved: waiting acks and fetches are to be looked at.
	Advanced bool
	// Alter is a change to send to the controller, or nil.
	Alter *AlterPartition
}

// Policy is the part of a partition's configuration that the leader obeys.
type Policy struct {
	// MinInSync is min.insync.replicas. What counts is the smaller of it and the number of
	// replicas.
	MinInSync int
	// LagTimeMaxMs is replica.lag.time.max.ms.
	LagTimeMaxMs int64
	// Durable binds the HW and acks to what is flushed: log.durability=disk.
	Durable bool
}

// Committed is a partition's state as the controller committed it.
type Committed struct {
	LeaderEpoch    int32
	PartitionEpoch int32
	Replicas       []int32
	ISR            []int32
}

// LeaderConfig is what a replica knows when it becomes leader.
type LeaderConfig struct {
	Self      int32
	Committed Committed
	// EpochStartOffset is the LEO at which this leader epoch begins.
	EpochStartOffset int64
	// HighWatermark is the HW known so far: a follower's, or the checkpointed one.
	HighWatermark int64
	Local         Local
	Policy        Policy
	// State is the cluster as now known; nil means Alone.
	State State
}

// unfetched is the LEO of a follower that has not fetched under this leadership.
const unfetched = NoOffset

// replica is what the leader knows of one other replica.
type replica struct {
	id              int32
	brokerEpoch     int64 // Of its last fetch; -1 when that carried none.
	leo             int64 // Its last fetch offset, or unfetched.
	leaderLEOAtLast int64 // The leader's LEO when it last fetched.
	lastFetchMs     int64
	caughtUpMs      int64 // When it last had everything there was.
	inSync          bool  // In the committed ISR.
	joining         bool  // Asked to be added; not inSync.
	leaving         bool  // Asked to be removed; still inSync.
}

// pending is the kind of ISR change in flight.
type pending uint8

const (
	pendingNone pending = iota
	pendingExpand
	pendingShrink
)

// Leader is the state of one partition's leadership, for one leader epoch. Its methods are called
// with the partition's append lock held; it owns no other memory than its own.
type Leader struct {
	self             int32
	leaderEpoch      int32
	partitionEpoch   int32
	epochStartOffset int64
	policy           Policy
	state            State

	local         Local
	highWatermark int64

	// others are the replicas but the leader, in assignment order. Between inputs, isrSize is one
	// for the leader plus the number of others that are inSync.
	others       []replica
	isrSize      int
	effectiveMin int

	// pending is the kind of change in flight; which replicas it concerns, their flags say.
	pending pending
	attempt uint64 // Of the latest request to the controller.
}

// NewLeader returns the state of a new leadership. It panics when Self is not among the replicas or
// not in the ISR: the controller never elects such a leader without first making it the ISR.
func NewLeader(c LeaderConfig, nowMs int64) *Leader {
	if !slices.Contains(c.Committed.Replicas, c.Self) || !slices.Contains(c.Committed.ISR, c.Self) {
		panic(fmt.Sprintf("BUG: broker %d leads without being in replicas %v and ISR %v",
			c.Self, c.Committed.Replicas, c.Committed.ISR))
	}
	if c.Local.Flushed > c.Local.LEO || c.HighWatermark > c.Local.LEO {
		panic(fmt.Sprintf("BUG: new leader with HW %d beyond %+v", c.HighWatermark, c.Local))
	}
	l := &Leader{
		self: c.Self, leaderEpoch: c.Committed.LeaderEpoch,
		epochStartOffset: c.EpochStartOffset, policy: c.Policy, state: c.State,
		local: c.Local, highWatermark: c.HighWatermark,
	}
	if l.state == nil {
		l.state = Alone{}
	}
	l.adopt(c.Committed, nowMs)
	l.advance(nowMs)
	return l
}
