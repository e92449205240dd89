package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// decideHeartbeat answers whether the member is still one, and has it rejoin while the group prepares a
// rebalance. It allocates the response and nothing else.
func (m *Machine) decideHeartbeat(in *Input, out *outcome) {
	req := in.Request.(*kmsg.HeartbeatRequest)
	response := kmsg.NewPtrHeartbeatResponse()
	response.ErrorCode = m.heartbeat(in.Group, req)
	out.Reply(in, response)
}

func (m *Machine) heartbeat(id string, req *kmsg.HeartbeatRequest) int16 {
	if id == "" {
		return wire.CodeInvalidGroupID
	}
	g := m.lookup(id)
	if g == nil {
		return wire.CodeUnknownMemberID
	}
	if code := g.checkMember(req.MemberID, req.InstanceID); code != wire.CodeNone {
		return code
	}
	if req.Generation != g.generation {
		return wire.CodeIllegalGeneration
	}
	mem := g.members[req.MemberID]
	m.extend(mem, mem.sessionMs)
	if g.state == statePreparing {
		return wire.CodeRebalanceInProgress
	}
	return wire.CodeNone
}
