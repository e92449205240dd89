package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// leaveBatch is LeaveGroup's first version with several members (KIP-345).
const leaveBatch = 3

// leavers are the members that a LeaveGroup names, whatever its version.
func leavers(version int16, req *kmsg.LeaveGroupRequest) []kmsg.LeaveGroupRequestMember {
	if version >= leaveBatch {
		return req.Members
	}
	return []kmsg.LeaveGroupRequestMember{{MemberID: req.MemberID}}
}

// left is the answer with one code per member, as its version says it.
func left(
	version int16, members []kmsg.LeaveGroupRequestMember, code func(i int) int16,
) *kmsg.LeaveGroupResponse {
	response := kmsg.NewPtrLeaveGroupResponse()
	if version < leaveBatch {
		response.ErrorCode = code(0)
		return response
	}
	response.Members = make([]kmsg.LeaveGroupResponseMember, len(members))
	for i := range members {
		response.Members[i] = kmsg.LeaveGroupResponseMember{
			MemberID: members[i].MemberID, InstanceID: members[i].InstanceID, ErrorCode: code(i),
		}
	}
	return response
}

func (m *Machine) decideLeave(in *Input, out *outcome) {
	req := in.Request.(*kmsg.LeaveGroupRequest)
	if in.Group == "" {
		out.Reply(in, in.Refuse(wire.CodeInvalidGroupID))
		return
	}
	members := leavers(in.Version, req)
	g := m.lookup(in.Group)
	if g == nil {
		out.Reply(in, left(in.Version, members, func(int) int16 { return wire.CodeUnknownMemberID }))
		return
	}
	anybody := false
	response := left(in.Version, members, func(i int) int16 {
		code := g.leave(&members[i], out)
		anybody = anybody || code == wire.CodeNone
		return code
	})
	if anybody {
		switch g.state {
		case stateStable, stateCompleting:
			m.prepare(g, out)
		case statePreparing:
			m.tryComplete(g, out)
		}
	}
	if note, ok := out.Next.(*emptied); ok {
		note.leave = response
	} else {
		out.Reply(in, response)
	}
	m.sweep(g)
}

// leave takes one out of the group: by member id, or, as an operator does, by instance id alone.
func (g *group) leave(who *kmsg.LeaveGroupRequestMember, out *outcome) int16 {
	if who.MemberID == "" {
		if who.InstanceID == nil || g.static[*who.InstanceID] == nil {
			return wire.CodeUnknownMemberID
		}
		g.remove(g.static[*who.InstanceID], out)
		return wire.CodeNone
	}
	if p := g.pending[who.MemberID]; p != nil {
		g.removePending(p)
		return wire.CodeNone
	}
	if code := g.checkMember(who.MemberID, who.InstanceID); code != wire.CodeNone {
		return code
	}
	g.remove(g.members[who.MemberID], out)
	return wire.CodeNone
}
