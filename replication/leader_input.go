package replication

import (
	"math"
	"slices"
)

// neverMs is a time before every other: "was never caught up".
const neverMs = math.MinInt64 / 2

// Appended tells how far the own log reaches after an append or a flush. It costs a few comparisons
// per replica and never allocates. local never moves back under one leadership.
func (l *Leader) Appended(local Local, nowMs int64) Effects {
	if local.LEO < l.local.LEO || local.Flushed < l.local.Flushed || local.Flushed > local.LEO {
		panicLocal(l.local, local)
	}
	l.local = local
	return l.effects(l.advance(nowMs))
}

// FollowerFetched tells that a follower asked for fetchOffset, its own log end offset, at nowMs
// under the broker epoch it carried, or -1. The code is not ErrNone, and nothing changes, when the
// broker is no replica as far as this leader knows (UNKNOWN_LEADER_EPOCH: its metadata may be
// ahead), when the fetch comes from an earlier incarnation of the broker (NOT_LEADER_OR_FOLLOWER),
// or when the offset is beyond the leader's end (OFFSET_OUT_OF_RANGE). The caller has already
// checked the fetch's leader epoch and that its log does not diverge.
func (l *Leader) FollowerFetched(
	brokerID int32, brokerEpoch, fetchOffset, nowMs int64,
) (Effects, int16) {
	r := l.other(brokerID)
	switch {
	case r == nil:
		return l.effects(false), ErrUnknownLeaderEpoch
	case brokerEpoch != -1 && brokerEpoch < r.brokerEpoch:
		return l.effects(false), ErrNotLeaderOrFollower
	case fetchOffset < 0 || fetchOffset > l.local.LEO:
		return l.effects(false), ErrOffsetOutOfRange
	}
	r.fetched(brokerEpoch, fetchOffset, l.local.LEO, nowMs)
	alter := l.expand(r)
	e := l.effects(l.advance(nowMs))
	e.Alter = alter
	return e, ErrNone
}

// Tick looks for in-sync replicas that have lagged for longer than LagTimeMaxMs and asks for their
// removal. It is called about every half of that time.
func (l *Leader) Tick(nowMs int64) Effects {
	e := l.effects(l.advance(nowMs))
	if l.pending != pendingNone {
		return e
	}
	lagging := false
	for i := range l.others {
		r := &l.others[i]
		r.leaving = r.inSync && !l.caughtUp(r, nowMs)
		lagging = lagging || r.leaving
	}
	if lagging {
		l.pending = pendingShrink
		e.Alter = l.wanted()
	}
	return e
}

// Committed tells what the controller committed: from an AlterPartition response or from the
// metadata image, whichever comes first. A state that is not newer than the known one changes
// nothing: in particular, an old answer that comes again does not end a change in flight, which may
// yet be committed as the next partition epoch. The code is
// FENCED_LEADER_EPOCH when the state is of a later leadership, or leaves this broker out: this
// leadership is over, and the caller builds a new Leader or Follower.
func (l *Leader) Committed(c Committed, nowMs int64) (Effects, int16) {
	switch {
	case c.LeaderEpoch > l.leaderEpoch:
		return l.effects(false), ErrFencedLeaderEpoch
	case c.LeaderEpoch < l.leaderEpoch || c.PartitionEpoch <= l.partitionEpoch:
		return l.effects(false), ErrNone
	case !slices.Contains(c.Replicas, l.self) || !slices.Contains(c.ISR, l.self):
		return l.effects(false), ErrFencedLeaderEpoch
	}
	l.adopt(c, nowMs)
	return l.effects(l.advance(nowMs)), ErrNone
}

// AlterFailed tells that the controller refused the change of that Attempt, or could not be
// reached, and returns Effects whose Alter is the same change where trying again may help. An
// answer to any but the latest attempt changes nothing. INELIGIBLE_REPLICA and
// OPERATION_NOT_ATTEMPTED take the change back; the driver keeps requests to the controller in
// order, so that none can be committed after it. After FENCED_LEADER_EPOCH,
// INVALID_UPDATE_VERSION, INVALID_REQUEST, an unknown topic or NEW_LEADER_ELECTED it stays in
// doubt, and keeps holding the HW back, until the metadata shows what was committed.
func (l *Leader) AlterFailed(attempt uint64, code int16, nowMs int64) Effects {
	if l.pending == pendingNone || attempt != l.attempt {
		return l.effects(false)
	}
	switch code {
	case ErrIneligibleReplica, ErrOperationNotAttempted:
		l.settle()
		return l.effects(l.advance(nowMs))
	case ErrFencedLeaderEpoch, ErrInvalidUpdateVersion, ErrInvalidRequest,
		ErrUnknownTopicOrPartition, ErrUnknownTopicID, ErrNewLeaderElected, ErrNotLeaderOrFollower:
		return l.effects(false)
	default:
		e := l.effects(false)
		e.Alter = l.wanted()
		return e
	}
}

// SetPolicy applies a changed configuration.
func (l *Leader) SetPolicy(p Policy, nowMs int64) Effects {
	l.policy = p
	l.effectiveMin = min(p.MinInSync, len(l.others)+1)
	return l.effects(l.advance(nowMs))
}

// SetState replaces the view of the cluster.
func (l *Leader) SetState(s State, nowMs int64) Effects {
	l.state = s
	return l.effects(l.advance(nowMs))
}

func (l *Leader) effects(advanced bool) Effects {
	return Effects{HighWatermark: l.highWatermark, Advanced: advanced}
}

// advance moves the HW to the smallest end over the maximal ISR and those about to join it, and
// reports whether it moved.
func (l *Leader) advance(nowMs int64) bool {
	if l.isrSize < l.effectiveMin {
		return false
	}
	hw := l.ownEnd()
	for i := range l.others {
		r := &l.others[i]
		if r.leo < hw && (r.inSync || r.joining || l.mayJoinSoon(r, nowMs)) {
			hw = r.leo
		}
	}
	if hw <= l.highWatermark {
		return false
	}
	l.highWatermark = hw
	return true
}

// ownEnd is what the leader itself contributes to the minimum.
func (l *Leader) ownEnd() int64 {
	if l.policy.Durable {
		return l.local.Flushed
	}
	return l.local.LEO
}

// mayJoinSoon says whether a replica outside the ISR is close enough that the HW waits for it.
func (l *Leader) mayJoinSoon(r *replica, nowMs int64) bool {
	return r.leo != unfetched && l.caughtUp(r, nowMs) && l.state.ISREligible(r.id, r.brokerEpoch)
}

func (l *Leader) caughtUp(r *replica, nowMs int64) bool {
	return r.leo == l.local.LEO || nowMs-r.caughtUpMs <= l.policy.LagTimeMaxMs
}

// fetched notes a fetch. Reaching what was the leader's end at the previous fetch counts as caught
// up at the time of that fetch: under constant load no fetch ever reaches the end of its own
// moment.
func (r *replica) fetched(brokerEpoch, fetchOffset, leaderLEO, nowMs int64) {
	switch {
	case fetchOffset >= leaderLEO:
		r.caughtUpMs = max(r.caughtUpMs, nowMs)
	case fetchOffset >= r.leaderLEOAtLast:
		r.caughtUpMs = max(r.caughtUpMs, r.lastFetchMs)
	}
	r.leo = fetchOffset
	r.leaderLEOAtLast = max(r.leaderLEOAtLast, leaderLEO)
	r.lastFetchMs = nowMs
	r.brokerEpoch = brokerEpoch
}

// expand asks for r to join the ISR if it may, and nothing else is in flight.
func (l *Leader) expand(r *replica) *AlterPartition {
	if l.pending != pendingNone || r.inSync ||
		r.leo < l.highWatermark || r.leo < l.epochStartOffset ||
		!l.state.ISREligible(r.id, r.brokerEpoch) {
		return nil
	}
	l.pending = pendingExpand
	r.joining = true
	return l.wanted()
}

// wanted builds the change in flight: the committed ISR, plus who joins, minus who leaves.
func (l *Leader) wanted() *AlterPartition {
	isr := make([]ISRMember, 0, len(l.others)+1)
	isr = append(isr, ISRMember{BrokerID: l.self, BrokerEpoch: l.state.BrokerEpoch(l.self)})
	for i := range l.others {
		r := &l.others[i]
		if (r.inSync || r.joining) && !r.leaving {
			isr = append(isr, ISRMember{BrokerID: r.id, BrokerEpoch: r.brokerEpoch})
		}
	}
	l.attempt++
	return &AlterPartition{
		Attempt: l.attempt, LeaderEpoch: l.leaderEpoch, PartitionEpoch: l.partitionEpoch, ISR: isr,
	}
}

// settle ends the change in flight.
func (l *Leader) settle() {
	l.pending = pendingNone
	for i := range l.others {
		l.others[i].joining, l.others[i].leaving = false, false
	}
}

// adopt takes over a committed state, keeping what is known of replicas that stay.
func (l *Leader) adopt(c Committed, nowMs int64) {
	l.partitionEpoch = c.PartitionEpoch
	others := make([]replica, 0, len(c.Replicas))
	isrSize := 1
	for _, id := range c.Replicas {
		if id == l.self {
			continue
		}
		r := replica{
			id: id, brokerEpoch: -1, leo: unfetched,
			leaderLEOAtLast: unfetched, lastFetchMs: neverMs, caughtUpMs: neverMs,
		}
		if known := l.other(id); known != nil {
			r = *known
		}
		r.inSync = slices.Contains(c.ISR, id)
		if r.inSync {
			isrSize++
			if r.leo == unfetched && r.caughtUpMs == neverMs {
				r.caughtUpMs = nowMs
			}
		}
		others = append(others, r)
	}
	l.others, l.isrSize = others, isrSize
	l.effectiveMin = min(l.policy.MinInSync, len(others)+1)
	l.settle()
}

func (l *Leader) other(id int32) *replica {
	for i := range l.others {
		if l.others[i].id == id {
			return &l.others[i]
		}
	}
	return nil
}
