package group

import (
	"math"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// groupType is the type of every group here, as ListGroups names it (KIP-848).
const groupType = "classic"

// unknownGroupError is DescribeGroups' first version that says so of groups that are not there; before,
// they are Dead (KIP-1043).
const unknownGroupError = 6

func describedGroup(id string) *kmsg.DescribeGroupsResponseGroup {
	g := kmsg.NewDescribeGroupsResponseGroup()
	g.Group, g.AuthorizedOperations = id, math.MinInt32
	return &g
}

func (m *Machine) decideDescribe(in *Input, out *outcome) {
	d := describedGroup(in.Group)
	out.Reply(in, d)
	g := m.lookup(in.Group)
	switch {
	case g != nil:
	case m.offsets.has(in.Group):
		d.State = stateEmpty.String()
		return
	default:
		d.State = stateDead.String()
		if in.Version >= unknownGroupError {
			message := "there is no group of that id"
			d.ErrorCode, d.ErrorMessage = wire.CodeGroupIDNotFound, &message
		}
		return
	}
	d.State, d.ProtocolType = g.state.String(), g.protocolType
	if g.state == stateStable {
		d.Protocol = *g.protocol
	}
	d.Members = make([]kmsg.DescribeGroupsResponseGroupMember, 0, len(g.members))
	for mem := range g.all() {
		v := kmsg.DescribeGroupsResponseGroupMember{
			MemberID: mem.id, InstanceID: mem.instance, ClientID: mem.clientID, ClientHost: mem.clientHost,
			MemberAssignment: mem.assignment,
		}
		if g.state == stateStable {
			// Only then does the metadata belong to the protocol.
			v.ProtocolMetadata, _ = mem.metadataOf(*g.protocol)
		}
		d.Members = append(d.Members, v)
	}
}

// decideList lists the groups that are in one of the states and of one of the types that are asked for.
func (m *Machine) decideList(in *Input, out *outcome) {
	response := kmsg.NewPtrListGroupsResponse()
	out.Reply(in, response)
	if len(in.TypesFilter) > 0 && !slices.Contains(in.TypesFilter, groupType) {
		return
	}
	ids := m.offsets.groupNames(m.groupIDs())
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		listed := kmsg.ListGroupsResponseGroup{
			Group: id, GroupState: stateEmpty.String(), GroupType: groupType,
		}
		if g := m.lookup(id); g != nil {
			listed.GroupState, listed.ProtocolType = g.state.String(), g.protocolType
		}
		if len(in.StatesFilter) == 0 || slices.Contains(in.StatesFilter, strings.ToLower(listed.GroupState)) {
			response.Groups = append(response.Groups, listed)
		}
	}
}

// deleted is the note of a group's deletion, with so many offsets.
type deleted struct{ offsets int }

func deletedGroup(id string, code int16) *kmsg.DeleteGroupsResponseGroup {
	g := kmsg.NewDeleteGroupsResponseGroup()
	g.Group, g.ErrorCode = id, code
	return &g
}

// decideDelete deletes a group without members, with its offsets (KIP-229).
func (m *Machine) decideDelete(in *Input, out *outcome) {
	g := m.lookup(in.Group)
	if g != nil && g.state != stateEmpty {
		out.Reply(in, deletedGroup(in.Group, wire.CodeNonEmptyGroup))
		return
	}
	out.Records = m.offsets.appendTombstones(in.Group, out.Records)
	offsets := len(out.Records)
	if g != nil && g.kept {
		out.Records = append(out.Records, groupTombstone(in.Group))
	}
	switch {
	case len(out.Records) > 0:
		out.Next = &deleted{offsets: offsets}
	case g != nil:
		m.forget(g)
		out.Reply(in, deletedGroup(in.Group, wire.CodeNone))
	default:
		out.Reply(in, deletedGroup(in.Group, wire.CodeGroupIDNotFound))
	}
}

func (m *Machine) settleDeleted(note *deleted, in *Input, out *outcome, code int16) {
	if code == wire.CodeNone {
		m.meter.OffsetsDeleted(note.offsets)
		if g := m.lookup(in.Group); g != nil {
			m.forget(g)
		}
	}
	out.Reply(in, deletedGroup(in.Group, code))
}
