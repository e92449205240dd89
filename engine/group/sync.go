package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// protocolInSync is SyncGroup's first version that names protocol type and protocol (KIP-559).
const protocolInSync = 5

// assigned is the note of a leader's sync: its assignment counts once the record is appended.
type assigned struct{ group *group }

func syncError(code int16) *kmsg.SyncGroupResponse {
	response := kmsg.NewPtrSyncGroupResponse()
	response.ErrorCode = code
	return response
}

func (m *Machine) decideSync(in *Input, out *outcome) {
	req := in.Request.(*kmsg.SyncGroupRequest)
	g, code := m.checkSync(in, req)
	if code != wire.CodeNone {
		out.Reply(in, syncError(code))
		return
	}
	mem := g.members[req.MemberID]
	g.settleDebt(mem)
	if g.owing == 0 {
		m.timers.disarm(&g.timer)
	}
	if g.state == stateStable {
		out.Reply(in, g.synced(mem))
		return
	}
	// An older sync is one that its client has given up on, as with joins.
	g.answerSync(mem, out, syncError(wire.CodeRebalanceInProgress))
	in.slim()
	mem.sync = in
	if mem == g.leader {
		m.assign(g, req, out)
	}
}

func (m *Machine) checkSync(in *Input, req *kmsg.SyncGroupRequest) (*group, int16) {
	if in.Group == "" {
		return nil, wire.CodeInvalidGroupID
	}
	if in.Version >= protocolInSync && (req.ProtocolType == nil || req.Protocol == nil) {
		return nil, wire.CodeInconsistentGroupProtocol
	}
	g := m.lookup(in.Group)
	if g == nil || g.state == stateEmpty {
		return nil, wire.CodeUnknownMemberID
	}
	if code := g.checkMember(req.MemberID, req.InstanceID); code != wire.CodeNone {
		return nil, code
	}
	differs := func(given *string, has string) bool { return given != nil && *given != has }
	switch {
	case req.Generation != g.generation:
		return nil, wire.CodeIllegalGeneration
	case differs(req.ProtocolType, g.protocolType), g.protocol != nil && differs(req.Protocol, *g.protocol):
		return nil, wire.CodeInconsistentGroupProtocol
	case g.state == statePreparing:
		return nil, wire.CodeRebalanceInProgress
	}
	return g, wire.CodeNone
}

// synced is the answer to a member of a stable group.
func (g *group) synced(mem *member) *kmsg.SyncGroupResponse {
	response := kmsg.NewPtrSyncGroupResponse()
	response.ProtocolType, response.Protocol = g.typeOrNil(), g.protocol
	response.MemberAssignment = mem.assignment
	return response
}

// assign writes the leader's assignment. Members that it forgot get an empty one, and what is not for a
// member is left out.
func (m *Machine) assign(g *group, req *kmsg.SyncGroupRequest, out *outcome) {
	given := make(map[string][]byte, len(g.members))
	for i := range req.GroupAssignment {
		if a := &req.GroupAssignment[i]; g.members[a.MemberID] != nil {
			given[a.MemberID] = a.MemberAssignment
		}
	}
	value := g.value(func(mem *member) []byte { return given[mem.id] })
	value.CurrentStateTimestamp = m.nowMs
	if !m.write(g, value, out) {
		m.failAssignment(g, out, wire.CodeUnknownServerError)
		return
	}
	out.Next = &assigned{group: g}
}

// failAssignment tells the members that there is no assignment, and has them rebalance.
func (m *Machine) failAssignment(g *group, out *outcome, code int16) {
	m.dropAssignments(g, out, code)
	m.rebalance(g, out)
}

// settleAssigned gives everybody who waits the assignment that is now in the log.
func (m *Machine) settleAssigned(note *assigned, out *outcome, code int16) {
	g := note.group
	if code != wire.CodeNone {
		m.failAssignment(g, out, code)
		return
	}
	m.meter.RebalanceEnded(m.clockMs - g.restlessMs)
	for mem := range g.all() {
		if g.answerSync(mem, out, g.synced(mem)) {
			m.extend(mem, mem.sessionMs)
		}
	}
}
