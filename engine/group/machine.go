package group

import (
	"slices"

	"sluice/engine/coordinator"
)

// Machine is the coordinator's state for one partition of __consumer_offsets. It implements
// coordinator.Machine.
type Machine struct {
	cfg    Config
	groups map[string]*group
	// offsets are the groups' committed offsets, and those pending in transactions.
	offsets offsets
	timers  timers
	// nowMs is the wall clock as of the latest call. clockMs is the timers' clock, which is aheadMs
	// before the wall; see tick.
	nowMs, clockMs, aheadMs int64
	// fleeting is how many groups the log has no record of, pending how many member ids are handed out
	// that nobody has joined with.
	fleeting, pending int
	// bytes is what the members of all groups weigh.
	bytes int
	// live is set once the log has been loaded: what is replayed from then on was decided here.
	live bool
	// expiry starts the search for expired offsets, and purge is where that stands.
	expiry timer
	purge  purge

	counts counts
	meter  Meter
}

var _ coordinator.Machine[*Input] = (*Machine)(nil)

// New returns a machine that knows nothing: its partition's log is to be replayed.
func New(cfg Config) *Machine {
	m := &Machine{cfg: cfg, groups: map[string]*group{}, meter: cfg.Meter}
	if m.meter == nil {
		m.meter = noMeter{}
	}
	m.offsets.grouped = m.offsetGroup
	return m
}

// Decide implements coordinator.Machine.
func (m *Machine) Decide(nowMs int64, in *Input, out *outcome) {
	m.tick(nowMs)
	switch in.Kind {
	case Join:
		m.decideJoin(in, out)
	case Sync:
		m.decideSync(in, out)
	case Heartbeat:
		m.decideHeartbeat(in, out)
	case Leave:
		m.decideLeave(in, out)
	case Describe:
		m.decideDescribe(in, out)
	case Delete:
		m.decideDelete(in, out)
	case List:
		m.decideList(in, out)
	case Timer:
		m.decideTimer(in, out)
	case OffsetCommit:
		m.decideOffsetCommit(nowMs, in, out)
	case TxnOffsetCommit:
		m.decideTxnOffsetCommit(nowMs, in, out)
	case OffsetDelete:
		m.decideOffsetDelete(nowMs, in, out)
	case OffsetFetch:
		m.decideOffsetFetch(nowMs, in, out)
	case EndTxn:
		m.decideEndTxn(nowMs, in, out)
	case TopicsDeleted:
		m.decideTopicsDeleted(nowMs, in, out)
	default:
		panic("BUG: an input of no kind")
	}
}

// Settle implements coordinator.Machine.
func (m *Machine) Settle(nowMs int64, in *Input, out *outcome, code int16) {
	m.tick(nowMs)
	switch note := out.Next.(type) {
	case *assigned:
		m.settleAssigned(note, out, code)
	case *replaced:
		m.settleReplaced(note, in, out, code)
	case *emptied:
		m.settleEmptied(note, in, out, code)
	case *deleted:
		m.settleDeleted(note, in, out, code)
	default:
		m.settleOther(nowMs, in, out, code)
	}
}

// Replay implements coordinator.Machine.
func (m *Machine) Replay(r coordinator.Record, producerID int64, producerEpoch int16) error {
	kind, err := recordType(r.Key)
	if err != nil {
		return err
	}
	switch kind {
	case offsetKeyOld, offsetKeyType:
		return m.replayOffset(r, producerID, producerEpoch)
	case groupKeyType:
		return m.replayGroup(r)
	default:
		return nil
	}
}

// ReplayMarker implements coordinator.Machine.
func (m *Machine) ReplayMarker(marker coordinator.Marker) { m.replayMarker(marker) }

// Loaded implements coordinator.Machine: members' sessions begin anew, since nobody could have heard
// their heartbeats, and a group that has become too large for the configuration rebalances, so that
// the last to rejoin are turned away.
func (m *Machine) Loaded(nowMs int64, _ int32, out *outcome) {
	m.tick(nowMs)
	m.live = true
	m.armIn(&m.expiry, expiryTimer, m.cfg.ExpiryCheckMs)
	for _, id := range m.groupIDs() {
		g := m.groups[id]
		for mem := range g.all() {
			m.extend(mem, mem.sessionMs)
		}
		if len(g.members) > m.cfg.SizeMax {
			m.prepare(g, out)
		}
	}
}

// Waiting implements coordinator.Machine.
func (m *Machine) Waiting() []*Input {
	var waiting []*Input
	for _, id := range m.groupIDs() {
		for mem := range m.groups[id].all() {
			if mem.join != nil {
				waiting = append(waiting, mem.join)
			}
			if mem.sync != nil {
				waiting = append(waiting, mem.sync)
			}
		}
	}
	return waiting
}

// groupIDs are the ids of all groups in order.
func (m *Machine) groupIDs() []string {
	ids := make([]string, 0, len(m.groups))
	for id := range m.groups {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// decideTimer handles a timer that was due. It may have been overtaken: between Due and here the
// records of an earlier input of the same group may have been appended.
func (m *Machine) decideTimer(in *Input, out *outcome) {
	t := in.timer
	if in.fired == expiryTimer {
		m.armIn(&m.expiry, expiryTimer, max(m.cfg.ExpiryCheckMs, 1))
		m.decideExpiry(m.nowMs, out)
		return
	}
	g := t.group
	if t.armed || g.state == stateDead {
		return
	}
	switch in.fired {
	case sessionTimer:
		m.expireSession(g, t.member, out)
	case joinTimer:
		m.expireJoin(g, out)
	case initialTimer:
		m.expireInitial(g, out)
	case syncTimer:
		m.expireSync(g, out)
	}
	m.sweep(g)
}
