package group

import (
	"iter"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// state is where a group's rebalance stands; see the package comment.
type state uint8

const (
	// stateEmpty: no members; the group is kept for its offsets, or waits for members that have been
	// given an id.
	stateEmpty state = iota
	// statePreparing: members are to join; their joins are parked.
	statePreparing
	// stateCompleting: members have joined, and their syncs are parked until the leader's comes.
	stateCompleting
	// stateStable: every member can get its assignment.
	stateStable
	// stateDead: forgotten. Only what is on its way out still points to such a group.
	stateDead
)

var stateNames = [...]string{
	stateEmpty: "Empty", statePreparing: "PreparingRebalance",
	stateCompleting: "CompletingRebalance", stateStable: "Stable", stateDead: "Dead",
}

// String is the name under which clients know the state.
func (s state) String() string { return stateNames[s] }

// consumerType is the protocol type of consumers; for any other, metadata is opaque.
const consumerType = "consumer"

// group is one group of the shard that has, or had, members. Groups of simple consumers, who assign
// partitions to themselves and only commit, exist as offsets alone.
type group struct {
	m  *Machine
	id string
	// state, previous: where the group stands, and stood before.
	state, previous state
	// kept says that the log has a record of the group.
	kept bool
	// newcomer is set when a member was added during the initial delay, which extends it; newcomerMs
	// is when the latest one came.
	newcomer   bool
	newcomerMs int64
	// stateSinceMs is the wall clock's time of the last change of state, -1 if an old record left it
	// open.
	stateSinceMs int64
	// restlessMs is when the group was Stable or Empty for the last time, by the timers' clock.
	restlessMs int64
	generation int32
	// protocolType is empty for groups that have never had members.
	protocolType string
	// protocol is what the members of the generation have agreed on, nil without members.
	protocol *string
	// leader is the member that computes assignments, nil without members.
	leader *member

	members map[string]*member
	// order holds the members in the order in which they joined, with nil where one has left.
	order []*member
	// static maps instance ids to members.
	static map[string]*member
	// pending are ids that were handed out and have not joined (KIP-394).
	pending map[string]*member
	// support counts for each protocol the members that support it.
	support map[string]int
	// joining is how many members have a join parked, owing how many owe a sync.
	joining, owing int
	// bytes is what the members weigh, see member.bytes.
	bytes int
	// timer is the join, initial or sync timer. remainingMs is what is left of the initial delay's
	// extension, and sliceMs how long the slice of it is that the timer waits for.
	timer                timer
	sliceMs, remainingMs int64

	// topics caches subscribed for the generation.
	topics       map[string]struct{}
	topicsKnown  bool
	topicsCached bool
}

// lookup finds a group that has, or had, members; nil if there is none.
func (m *Machine) lookup(id string) *group { return m.groups[id] }

// create adds a group that the log has no record of yet.
func (m *Machine) create(id string) *group {
	g := &group{m: m, id: id, stateSinceMs: m.nowMs}
	g.timer.group = g
	m.groups[id] = g
	m.fleeting++
	m.counts.states[stateEmpty].Add(1)
	if m.offsets.has(id) {
		m.counts.simple.Add(-1)
	}
	return g
}

// forget removes a group with all that hangs on it. Nobody may be parked in it.
func (m *Machine) forget(g *group) {
	for mem := range g.all() {
		if mem.join != nil || mem.sync != nil {
			panic("BUG: a group is forgotten while a member waits")
		}
		m.timers.disarm(&mem.timer)
	}
	for _, p := range g.pending {
		m.timers.disarm(&p.timer)
	}
	m.pending -= len(g.pending)
	m.timers.disarm(&g.timer)
	g.weigh(-g.bytes)
	if !g.kept {
		m.fleeting--
	}
	g.enter(stateDead)
	m.counts.members.Add(-int64(len(g.members)))
	delete(m.groups, g.id)
	if m.offsets.has(g.id) {
		m.counts.simple.Add(1)
	}
}

// sweep forgets a group that has nobody and of which the log has no record.
func (m *Machine) sweep(g *group) {
	if g.state == stateEmpty && !g.kept && len(g.pending) == 0 {
		m.forget(g)
	}
}

// idle says that nothing but its offsets keeps the group, so that it may go when they have.
func (g *group) idle() bool { return g.state == stateEmpty && len(g.pending) == 0 }

// all are the members in the order in which they joined. Members may be removed meanwhile.
func (g *group) all() iter.Seq[*member] {
	return func(yield func(*member) bool) {
		for _, mem := range g.order {
			if mem != nil && !yield(mem) {
				return
			}
		}
	}
}

func (g *group) moveTo(s state) {
	g.enter(s)
	g.stateSinceMs = g.m.nowMs
}

// add makes mem one of the group.
func (g *group) add(mem *member) {
	if len(g.members) == 0 {
		g.order = g.order[:0]
		if g.members == nil {
			g.members, g.support = map[string]*member{}, map[string]int{}
		}
	} else if len(g.order) > 2*len(g.members) {
		g.compact()
	}
	mem.timer.group, mem.timer.member = g, mem
	mem.at = len(g.order)
	g.order = append(g.order, mem)
	g.members[mem.id] = mem
	g.m.counts.members.Add(1)
	if mem.instance != nil {
		if g.static == nil {
			g.static = map[string]*member{}
		}
		g.static[*mem.instance] = mem
	}
	if g.leader == nil {
		g.leader = mem
	}
	g.count(mem.protocols, 1)
	g.weigh(mem.bytes())
}

// weigh notes that the members have become heavier by so many bytes.
func (g *group) weigh(bytes int) {
	g.bytes += bytes
	g.m.bytes += bytes
}

// compact closes the gaps in the order.
func (g *group) compact() {
	n := 0
	for mem := range g.all() {
		mem.at = n
		g.order[n] = mem
		n++
	}
	clear(g.order[n:])
	g.order = g.order[:n]
}

func (g *group) count(protocols []protocol, by int) {
	for i := range protocols {
		name := protocols[i].name
		if n := g.support[name] + by; n > 0 {
			g.support[name] = n
		} else {
			delete(g.support, name)
		}
	}
}

// remove takes a member out of the group. Whatever it waits for is answered: nobody of that id is
// known any more.
func (g *group) remove(mem *member, out *outcome) {
	g.answerJoin(mem, out, joinError("", wire.CodeUnknownMemberID))
	g.answerSync(mem, out, syncError(wire.CodeUnknownMemberID))
	g.settleDebt(mem)
	g.m.timers.disarm(&mem.timer)
	g.count(mem.protocols, -1)
	g.weigh(-mem.bytes())
	delete(g.members, mem.id)
	g.m.counts.members.Add(-1)
	if mem.instance != nil {
		delete(g.static, *mem.instance)
	}
	g.order[mem.at] = nil
	if g.leader == mem {
		g.leader = g.eldest()
	}
}

// eldest is the member that joined first, nil if there is none.
func (g *group) eldest() *member {
	for mem := range g.all() {
		return mem
	}
	return nil
}

// rename gives a static member the id of its next incarnation (KIP-345). Whoever waits under the old
// id is fenced.
func (g *group) rename(mem *member, id string, out *outcome) {
	g.answerJoin(mem, out, joinError(mem.id, wire.CodeFencedInstanceID))
	g.answerSync(mem, out, syncError(wire.CodeFencedInstanceID))
	delete(g.members, mem.id)
	g.weigh(len(id) - len(mem.id))
	mem.id = id
	g.members[id] = mem
}

// setProtocols replaces what a member supports.
func (g *group) setProtocols(mem *member, protocols []protocol) {
	g.count(mem.protocols, -1)
	g.weigh(protocolBytes(protocols) - protocolBytes(mem.protocols))
	mem.protocols = protocols
	g.count(protocols, 1)
}

// addPending remembers an id that was handed out.
func (g *group) addPending(id string, sessionMs int32) {
	if g.pending == nil {
		g.pending = map[string]*member{}
	}
	p := &member{id: id, sessionMs: sessionMs}
	p.timer.group, p.timer.member = g, p
	g.pending[id] = p
	g.m.pending++
	g.m.extend(p, sessionMs)
}

func (g *group) removePending(p *member) {
	g.m.timers.disarm(&p.timer)
	delete(g.pending, p.id)
	g.m.pending--
}

// settleDebt notes that a member does not owe a sync any more.
func (g *group) settleDebt(mem *member) {
	if mem.owesSync {
		mem.owesSync = false
		g.owing--
	}
}

// answerJoin answers a member's parked join, if there is one.
func (g *group) answerJoin(mem *member, out *outcome, response any) {
	if mem.join == nil {
		return
	}
	out.Reply(mem.join, response)
	mem.join = nil
	g.joining--
}

// answerSync answers a member's parked sync. It says whether there was one.
func (g *group) answerSync(mem *member, out *outcome, response any) bool {
	if mem.sync == nil {
		return false
	}
	out.Reply(mem.sync, response)
	mem.sync = nil
	return true
}

// extend gives a member a session from now on. The timer is moved only if it would come too late.
func (m *Machine) extend(mem *member, sessionMs int32) {
	mem.deadlineMs = saturate(m.clockMs, max(int64(sessionMs), 0))
	if !mem.timer.armed || mem.timer.dueMs > mem.deadlineMs {
		m.timers.arm(&mem.timer, sessionTimer, mem.deadlineMs)
	}
}

// touch counts as a heartbeat of a member, if it is one.
func (g *group) touch(memberID string, nowMs int64) {
	g.m.tick(nowMs)
	if mem := g.members[memberID]; mem != nil {
		g.m.extend(mem, mem.sessionMs)
	}
}

// rebalanceMs is the longest that a member wants to be waited for.
func (g *group) rebalanceMs() int64 {
	longest := int32(0)
	for mem := range g.all() {
		longest = max(longest, mem.rebalanceMs)
	}
	return int64(longest)
}

// supports says whether somebody with these protocols can be in the group together with those who are.
func (g *group) supports(protocolType string, protocols []protocol) bool {
	if g.state == stateEmpty {
		return protocolType != "" && len(protocols) > 0
	}
	if g.protocolType != protocolType {
		return false
	}
	for i := range protocols {
		if g.support[protocols[i].name] == len(g.members) {
			return true
		}
	}
	return false
}

// vote lets each member vote for the first of its protocols that all support. Of several with equal
// votes that one wins for which the member voted that joined first.
func (g *group) vote() string {
	votes := make(map[string]int, 1)
	var ballot []string
	for mem := range g.all() {
		for i := range mem.protocols {
			name := mem.protocols[i].name
			if g.support[name] != len(g.members) {
				continue
			}
			if votes[name]++; votes[name] == 1 {
				ballot = append(ballot, name)
			}
			break
		}
	}
	best := ""
	for _, name := range ballot {
		if votes[name] > votes[best] {
			best = name
		}
	}
	return best
}

// checkMember tells why a request of a member can't be one of the group's: FENCED_INSTANCE_ID if
// another one has its instance id, UNKNOWN_MEMBER_ID.
func (g *group) checkMember(memberID string, instance *string) int16 {
	if instance != nil {
		mem := g.static[*instance]
		if mem == nil {
			return wire.CodeUnknownMemberID
		}
		if mem.id != memberID {
			return wire.CodeFencedInstanceID
		}
	}
	if g.members[memberID] == nil {
		return wire.CodeUnknownMemberID
	}
	return wire.CodeNone
}

// checkCommit tells why offsets may not be committed to the group by whoever says to be that member
// (class ClassicGroup). A generation below 0 comes from somebody who does not take part in the group;
// that is fine as long as nobody does.
func (g *group) checkCommit(memberID string, instance *string, generation int32) int16 {
	if code, outsider := g.checkCommitter(memberID, instance, generation); code != wire.CodeNone || outsider {
		return code
	}
	if memberID == "" && generation < 0 && instance == nil {
		return wire.CodeUnknownMemberID
	}
	if g.state == stateCompleting {
		// The member knows of the new generation but has not got an assignment in it.
		return wire.CodeRebalanceInProgress
	}
	return wire.CodeNone
}

// checkTxnCommit is checkCommit for offsets of a transaction: those who name neither member nor
// generation are taken at their word, since old producers know neither, and the state does not count
// (KIP-447).
func (g *group) checkTxnCommit(memberID string, instance *string, generation int32) int16 {
	code, _ := g.checkCommitter(memberID, instance, generation)
	return code
}

// checkCommitter is what both kinds of commit check. outsider is true for a commit from outside to a
// group without members.
func (g *group) checkCommitter(
	memberID string, instance *string, generation int32,
) (code int16, outsider bool) {
	if g.state == stateDead {
		return wire.CodeCoordinatorNotAvailable, false
	}
	if generation < 0 && g.state == stateEmpty {
		return wire.CodeNone, true
	}
	if generation < 0 && memberID == "" && instance == nil {
		return wire.CodeNone, false
	}
	if code := g.checkMember(memberID, instance); code != wire.CodeNone {
		return code, false
	}
	if generation != g.generation {
		return wire.CodeIllegalGeneration, false
	}
	return wire.CodeNone, false
}

// outcome is the contract's for this machine.
type outcome = coordinator.Outcome[*Input]
