package group

import (
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// emptied is the note of an input that has removed a group's last member: its record says so.
type emptied struct {
	group *group
	// leave is the answer that waits for the record, nil unless the last members have left.
	leave *kmsg.LeaveGroupResponse
}

// emptyRetryMs is after what time a record that could not be appended is tried again. joinRetryMs is
// the least time between two looks at a group none of whose members rejoins.
const (
	emptyRetryMs = 1_000
	joinRetryMs  = 1_000
)

// rebalance starts a new rebalance, or sees whether the one that is on can be completed, after
// something about the members has changed.
func (m *Machine) rebalance(g *group, out *outcome) {
	if g.state == statePreparing {
		m.tryComplete(g, out)
		return
	}
	m.prepare(g, out)
}

// prepare starts a rebalance: members are to join anew. Those who wait for their assignment are sent
// back. The first rebalance of a group waits for group.initial.rebalance.delay.ms (KIP-134), so that
// members that start together get together.
func (m *Machine) prepare(g *group, out *outcome) {
	if g.state == stateCompleting {
		m.dropAssignments(g, out, wire.CodeRebalanceInProgress)
	}
	m.timers.disarm(&g.timer)
	m.meter.RebalanceBegan()
	if g.state == stateEmpty || g.state == stateStable {
		g.restlessMs = m.clockMs
	}
	first := g.state == stateEmpty
	g.moveTo(statePreparing)
	switch {
	case first:
		g.newcomer = false
		g.sliceMs = max(int64(m.cfg.InitialDelayMs), 0)
		g.remainingMs = max(g.rebalanceMs()-g.sliceMs, 0)
		m.armIn(&g.timer, initialTimer, g.sliceMs)
	case g.allJoined():
		m.complete(g, out)
	default:
		m.armIn(&g.timer, joinTimer, g.rebalanceMs())
	}
}

// allJoined says that nobody is missing: neither members nor holders of an id that was handed out.
func (g *group) allJoined() bool { return g.joining == len(g.members) && len(g.pending) == 0 }

// tryComplete ends the join phase if everybody has joined. The first one takes its time in any case.
func (m *Machine) tryComplete(g *group, out *outcome) {
	if g.state == statePreparing && g.previous != stateEmpty && g.allJoined() {
		m.complete(g, out)
	}
}

// complete ends the join phase. Dynamic members that have not rejoined are out; static ones stay until
// their session ends (KIP-345). Everybody who joined learns the new generation, and is to sync.
func (m *Machine) complete(g *group, out *outcome) {
	m.timers.disarm(&g.timer)
	for mem := range g.all() {
		if mem.join == nil && mem.instance == nil {
			g.remove(mem, out)
		}
	}
	switch {
	case len(g.members) == 0:
		m.empty(g, out)
		return
	case !g.electJoined():
		m.armIn(&g.timer, joinTimer, max(g.rebalanceMs(), joinRetryMs))
		return
	}
	g.generation = nextGeneration(g.generation)
	protocol := g.vote()
	g.protocol, g.topics, g.topicsCached = &protocol, nil, false
	g.moveTo(stateCompleting)
	members := g.roster()
	for mem := range g.all() {
		response := g.joined(mem)
		if mem == g.leader {
			response.Members = members
		}
		g.answerJoin(mem, out, response)
		mem.fresh, mem.owesSync = false, true
		m.extend(mem, mem.sessionMs)
	}
	g.owing = len(g.members)
	m.armIn(&g.timer, syncTimer, g.rebalanceMs())
}

// nextGeneration counts on from a generation. Negative ones mean none to clients, so it starts over
// after the last.
func nextGeneration(generation int32) int32 {
	if generation < 0 || generation == math.MaxInt32 {
		return 1
	}
	return generation + 1
}

// electJoined makes sure that the leader is somebody who has joined. False means that nobody has.
func (g *group) electJoined() bool {
	if g.leader.join != nil {
		return true
	}
	for mem := range g.all() {
		if mem.join != nil {
			g.leader = mem
			return true
		}
	}
	return false
}

// joined is the answer to a member's join in the current generation.
func (g *group) joined(mem *member) *kmsg.JoinGroupResponse {
	response := kmsg.NewPtrJoinGroupResponse()
	response.Generation = g.generation
	response.ProtocolType, response.Protocol = g.typeOrNil(), g.protocol
	if g.leader != nil {
		response.LeaderID = g.leader.id
	}
	response.MemberID = mem.id
	return response
}

func (g *group) typeOrNil() *string {
	if g.protocolType == "" {
		return nil
	}
	protocolType := g.protocolType
	return &protocolType
}

// roster is what the leader learns of the members. A static member that has not rejoined may have been
// there before everybody changed the protocol; then there is nothing to tell of it.
func (g *group) roster() []kmsg.JoinGroupResponseMember {
	roster := make([]kmsg.JoinGroupResponseMember, 0, len(g.members))
	for mem := range g.all() {
		metadata, _ := mem.metadataOf(*g.protocol)
		roster = append(roster, kmsg.JoinGroupResponseMember{
			MemberID: mem.id, InstanceID: mem.instance, ProtocolMetadata: metadata,
		})
	}
	return roster
}

// empty ends a group's life with members. If the log has the group, it is told; else nothing is left to
// keep. Until the record is appended the group goes on preparing.
func (m *Machine) empty(g *group, out *outcome) {
	if !g.kept {
		g.protocolType, g.protocol, g.topics, g.topicsCached = "", nil, nil, false
		g.moveTo(stateEmpty)
		return
	}
	value := kmsg.NewGroupMetadataValue()
	value.ProtocolType = g.protocolType
	value.Generation = nextGeneration(g.generation)
	value.CurrentStateTimestamp = m.nowMs
	m.write(g, &value, out)
	out.Next = &emptied{group: g}
}

func (m *Machine) settleEmptied(note *emptied, in *Input, out *outcome, code int16) {
	g := note.group
	if code != wire.CodeNone {
		m.armIn(&g.timer, joinTimer, emptyRetryMs)
	}
	switch {
	case note.leave == nil:
	case code != wire.CodeNone:
		out.Reply(in, in.Refuse(code))
	default:
		out.Reply(in, note.leave)
	}
}

// dropAssignments forgets the members' assignments, and answers who waits for one.
func (m *Machine) dropAssignments(g *group, out *outcome, code int16) {
	for mem := range g.all() {
		mem.assignment = nil
		if g.answerSync(mem, out, syncError(code)) {
			m.extend(mem, mem.sessionMs)
		}
	}
}

// expireSession drops a member that gave no sign of life in time, or an id that nobody joined with.
func (m *Machine) expireSession(g *group, mem *member, out *outcome) {
	switch {
	case g.pending[mem.id] == mem:
		g.removePending(mem)
		if g.state == statePreparing && g.allJoined() {
			m.complete(g, out)
		}
	case g.members[mem.id] != mem || mem.alive() || mem.deadlineMs > m.clockMs:
	default:
		g.remove(mem, out)
		if g.state != statePreparing {
			m.prepare(g, out)
		} else if g.allJoined() {
			m.complete(g, out)
		}
	}
}

// expireJoin ends the join phase without those who are missing.
func (m *Machine) expireJoin(g *group, out *outcome) {
	if g.state == statePreparing {
		m.complete(g, out)
	}
}

// expireInitial ends a slice of the first join phase. If members were added in it there is another one,
// until the longest rebalance timeout is used up: the phase ends when nobody has come for the initial
// delay. Kafka's class InitialDelayedJoin waits for the whole delay again from here on, which makes a
// thousand members that come within a second wait for six instead of four.
func (m *Machine) expireInitial(g *group, out *outcome) {
	if g.state != statePreparing {
		return
	}
	if !g.newcomer || g.remainingMs == 0 {
		m.complete(g, out)
		return
	}
	g.newcomer = false
	passedMs := g.sliceMs
	quietMs := m.clockMs - g.newcomerMs
	g.sliceMs = min(max(int64(m.cfg.InitialDelayMs)-quietMs, 0), g.remainingMs)
	g.remainingMs = max(g.remainingMs-passedMs, 0)
	m.armIn(&g.timer, initialTimer, g.sliceMs)
}

// expireSync drops the members that joined but have not asked for their assignment within the rebalance
// timeout; the others rebalance. It concerns static members that did not rejoin as well (KAFKA-9752's
// rule in class GroupMetadataManager).
func (m *Machine) expireSync(g *group, out *outcome) {
	if g.owing == 0 || g.state != stateCompleting && g.state != stateStable {
		return
	}
	for mem := range g.all() {
		if mem.owesSync {
			g.remove(mem, out)
		}
	}
	m.prepare(g, out)
}
