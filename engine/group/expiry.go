package group

import (
	"slices"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// Expired offsets, groups that have nothing left, and the offsets of deleted topics are removed in
// passes: a pass looks at so many offsets and writes so many tombstones at most, so that it neither
// keeps the shard from its other inputs nor makes a batch that the log refuses. While there is more to
// do the next pass follows after a pause.
const (
	passBytesMax   = 128 << 10
	passOffsetsMax = 1 << 16
	passPauseMs    = 5
)

// purge is where the passes stand. It is not part of the state: after a reload a round begins anew.
type purge struct {
	// topics are deleted topics whose offsets are being dropped, and entry the last entry of the table
	// that has been looked at for them. When dropped is set that was the last of all, and the topics
	// are forgotten once the tombstones are written.
	topics  []deletedTopic
	entry   uint32
	dropped bool
	// group is the number of the first group whose offsets have not been looked at in this round.
	group int
	// deleted and expired are how many offsets' tombstones the present pass writes.
	deleted, expired int
}

// deletedTopic is a topic that is gone. Offsets that were committed after upTo are those of a new
// topic of the same name, and so are those with another topic id, where both are known.
type deletedTopic struct {
	name string
	id   [16]byte
	upTo int64
}

// pass is what one pass may still do.
type pass struct {
	out     *outcome
	bytes   int
	offsets int
}

func (p *pass) spent() bool { return p.bytes <= 0 || p.offsets <= 0 }

func (p *pass) write(r coordinator.Record) {
	p.out.Records = append(p.out.Records, r)
	p.bytes -= len(r.Key)
}

func (m *Machine) newPass(out *outcome) *pass {
	m.purge.deleted, m.purge.expired = 0, 0
	return &pass{out: out, bytes: min(passBytesMax, m.cfg.RecordBytesMax), offsets: passOffsetsMax}
}

// decideTopicsDeleted drops the offsets of deleted topics, committed and pending, in every group
// (class OffsetMetadataManager). What is too much for one pass is left to those of the expiry timer.
func (m *Machine) decideTopicsDeleted(_ int64, in *Input, out *outcome) {
	for i, name := range in.Topics {
		t := deletedTopic{name: name, upTo: m.offsets.order}
		if i < len(in.TopicIDs) {
			t.id = in.TopicIDs[i]
		}
		if m.offsets.topics.find(name) == 0 {
			continue
		}
		m.purge.topics = append(m.purge.topics, t)
		m.purge.entry = 0
	}
	m.endPass(out, m.dropTopics(m.newPass(out)))
}

// decideExpiry is one pass of a round.
func (m *Machine) decideExpiry(nowMs int64, out *outcome) {
	p := m.newPass(out)
	done := m.dropTopics(p) && m.expireOffsets(nowMs, p) && m.endGroups(p)
	if done {
		m.purge.group = 0
	}
	m.endPass(out, done)
}

// endPass arms the expiry timer for the next pass if there is more to do than this one did.
func (m *Machine) endPass(out *outcome, done bool) {
	if !done {
		m.armIn(&m.expiry, expiryTimer, passPauseMs)
	}
	if len(out.Records) == 0 {
		m.settlePass(wire.CodeNone)
	}
}

// settlePass ends a pass whose tombstones were written. Otherwise the round is given up and begun anew
// at the next check: the log may refuse more for as long.
func (m *Machine) settlePass(code int16) {
	if code != wire.CodeNone {
		m.purge.entry, m.purge.dropped, m.purge.group = 0, false, 0
		m.armIn(&m.expiry, expiryTimer, max(m.cfg.ExpiryCheckMs, 1))
		return
	}
	m.meter.OffsetsDeleted(m.purge.deleted)
	m.meter.OffsetsExpired(m.purge.expired)
	if m.purge.dropped {
		m.purge.topics, m.purge.entry, m.purge.dropped = nil, 0, false
	}
}

// dropTopics goes on with the offsets of deleted topics, and reports whether it is done with them.
func (m *Machine) dropTopics(p *pass) bool {
	if len(m.purge.topics) == 0 {
		return true
	}
	o := &m.offsets
	gone := make(map[uint32][]deletedTopic, len(m.purge.topics))
	for _, t := range m.purge.topics {
		if n := o.topics.find(t.name); n != 0 {
			gone[n] = append(gone[n], t)
		}
	}
	had := func(e *entry) bool {
		for i := range gone[e.topic] {
			if gone[e.topic][i].had(o, e) {
				return true
			}
		}
		return false
	}
	if m.purge.entry == 0 && !m.dropPending(had, p) {
		return false
	}
	for len(gone) > 0 && m.purge.entry < o.entries {
		if p.spent() {
			return false
		}
		m.purge.entry++
		p.offsets--
		if e := o.entry(m.purge.entry); e.group != 0 && had(e) {
			p.write(o.tombstone(e.place))
			m.purge.deleted++
		}
	}
	m.purge.dropped = true
	return true
}

// dropPending writes tombstones for the places of deleted topics that have pending offsets but no
// committed one, and reports whether it came to the end.
func (m *Machine) dropPending(had func(*entry) bool, p *pass) bool {
	var places []place
	for at, producers := range m.offsets.open {
		txn := m.offsets.pending[producers[0]]
		if m.offsets.at[at] == 0 && had(&txn.list[txn.at[at]].entry) {
			places = append(places, at)
		}
	}
	slices.SortFunc(places, m.offsets.compare)
	for _, at := range places {
		if p.spent() {
			return false
		}
		p.write(m.offsets.tombstone(at))
		m.purge.deleted++
	}
	return true
}

// had reports whether an offset was one of the deleted topic's.
func (t *deletedTopic) had(o *offsets, e *entry) bool {
	if t.id != [16]byte{} && e.topicID != 0 {
		return o.topicIDs.value(e.topicID) == t.id
	}
	return e.order <= t.upTo
}

// expireOffsets goes on with the groups that have offsets, and reports whether it is done with them.
func (m *Machine) expireOffsets(nowMs int64, p *pass) bool {
	for ; m.purge.group < len(m.offsets.lists); m.purge.group++ {
		if p.spent() {
			return false
		}
		p.offsets--
		if m.offsets.groups.holders[m.purge.group] == 0 {
			continue
		}
		if !m.expireGroup(uint32(m.purge.group), nowMs, p) {
			return false
		}
	}
	return true
}

// expireGroup removes a group's expired offsets, and the group with the last of them (class
// OffsetMetadataManager, cleanupExpiredOffsets). An offset with a pending one stays, and so does a
// group with any pending. It reports whether it came to the end of the group; where it did not, the
// tombstones will have made the rest shorter.
func (m *Machine) expireGroup(n uint32, nowMs int64, p *pass) bool {
	o := &m.offsets
	id := o.groups.value(n)
	g := m.lookup(id)
	sinceMs, expires := expirySince(g)
	if !expires {
		return true
	}
	all := o.groups.holders[n] == o.lists[n].count
	for i := o.lists[n].head; i != 0; i = o.entry(i).next {
		if p.bytes <= 0 {
			return false
		}
		p.offsets--
		e := o.entry(i)
		if m.expired(i, e, sinceMs, nowMs) && len(o.open[e.place]) == 0 &&
			(g == nil || !g.subscribesTo(o.topics.value(e.topic))) {
			p.write(o.tombstone(e.place))
			m.purge.expired++
		} else {
			all = false
		}
	}
	if all && g != nil && g.idle() && g.kept {
		p.write(groupTombstone(id))
	}
	return true
}

// expirySince says whether a group's offsets expire now, and since when their time runs, none if it
// runs from each commit (KIP-211): in a group that has lost its members since then, in one that never
// had any, and for consumers' topics that a stable group is not subscribed to, from the commit. An
// old record of an empty group may not say since when it is.
func expirySince(g *group) (sinceMs int64, expires bool) {
	switch {
	case g == nil || g.protocolType == "":
		return none, true
	case g.state == stateEmpty:
		return g.stateSinceMs, true
	case g.state == stateStable && g.protocolType == consumerType:
		_, known := g.subscribed()
		return none, known
	default:
		return none, false
	}
}

// expired reports whether an offset's time has come: the one that its commit set, or the retention.
func (m *Machine) expired(i uint32, e *entry, sinceMs, nowMs int64) bool {
	if at, own := m.offsets.expiryMs[i]; own {
		return nowMs >= at
	}
	if sinceMs == none {
		sinceMs = e.commitMs
	}
	return sinceMs <= nowMs-m.cfg.OffsetRetentionMs
}

// endGroups ends the empty groups that have no offsets, and reports whether it got to all of them.
func (m *Machine) endGroups(p *pass) bool {
	var ids []string
	for id, g := range m.groups {
		if g.idle() && g.kept && !m.offsets.has(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		if p.spent() {
			return false
		}
		p.write(groupTombstone(id))
	}
	return true
}
