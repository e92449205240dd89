package replication

import "fmt"

// HighWatermark is the offset below which records are replicated as promised, and so visible.
func (l *Leader) HighWatermark() int64 { return l.highWatermark }

// LogEndOffset is the leader's own log end offset, as last told.
func (l *Leader) LogEndOffset() int64 { return l.local.LEO }

// LeaderEpoch is the epoch of this leadership.
func (l *Leader) LeaderEpoch() int32 { return l.leaderEpoch }

// PartitionEpoch is the version of the committed state that the leader goes by.
func (l *Leader) PartitionEpoch() int32 { return l.partitionEpoch }

// EpochStartOffset is the log end offset at which this leader epoch began.
func (l *Leader) EpochStartOffset() int64 { return l.epochStartOffset }

// UnderMinISR says whether the committed ISR is smaller than the effective min.insync.replicas.
func (l *Leader) UnderMinISR() bool { return l.isrSize < l.effectiveMin }

// ISRSize is the size of the committed ISR.
func (l *Leader) ISRSize() int { return l.isrSize }

// AppendISR appends the committed ISR to dst: the leader, then the others in assignment order.
func (l *Leader) AppendISR(dst []int32) []int32 {
	dst = append(dst, l.self)
	for i := range l.others {
		if l.others[i].inSync {
			dst = append(dst, l.others[i].id)
		}
	}
	return dst
}

// AlterPending says whether an ISR change is in flight or in doubt.
func (l *Leader) AlterPending() bool { return l.pending != pendingNone }

// FollowerState is what the leader knows of one other replica, for metrics and DescribeQuorum-like
// views.
type FollowerState struct {
	BrokerID int32
	// LEO is its log end offset as of its last fetch, or NoOffset.
	LEO int64
	// CaughtUpMs is when it last had everything; meaningless while LEO is NoOffset.
	CaughtUpMs int64
	InSync     bool
	Joining    bool // Asked to be added.
	Leaving    bool // Asked to be removed.
}

// AppendFollowers appends the state of each other replica to dst, in assignment order.
func (l *Leader) AppendFollowers(dst []FollowerState) []FollowerState {
	for i := range l.others {
		r := &l.others[i]
		dst = append(dst, FollowerState{
			BrokerID: r.id, LEO: r.leo, CaughtUpMs: r.caughtUpMs,
			InSync: r.inSync, Joining: r.joining, Leaving: r.leaving,
		})
	}
	return dst
}

// CheckLatest says whether bound, the HW or LSO that a ListOffsets for LATEST would answer, may be
// told yet. A new leader's HW may still be behind what its predecessor exposed; before it has
// passed the start of the leader's own epoch the answer is OFFSET_NOT_AVAILABLE (KIP-207).
func (l *Leader) CheckLatest(bound int64) (code int16) {
	if bound < l.epochStartOffset {
		return ErrOffsetNotAvailable
	}
	return ErrNone
}

func panicLocal(was, is Local) {
	panic(fmt.Sprintf("BUG: a leader's log went from %+v to %+v", was, is))
}
