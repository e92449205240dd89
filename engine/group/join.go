package group

import (
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// memberIDRequired is JoinGroup's first version whose members are told their id before they may join
// with it (KIP-394), skipAssignment the first that can tell a leader that there is nothing to assign
// (KIP-814).
const (
	memberIDRequired = 4
	skipAssignment   = 9
)

// joining is a join with what is made of it.
type joining struct {
	in          *Input
	req         *kmsg.JoinGroupRequest
	protocols   []protocol
	rebalanceMs int32
}

// replaced is the note of a static member's new incarnation in a stable group: it gets the old one's
// place once the record that says so is appended.
type replaced struct {
	group  *group
	member *member
	// leaderID is who led before, which may be the old incarnation.
	leaderID string
	joining
}

func joinError(memberID string, code int16) *kmsg.JoinGroupResponse {
	response := kmsg.NewPtrJoinGroupResponse()
	response.ErrorCode, response.MemberID, response.Generation = code, memberID, -1
	return response
}

func (m *Machine) decideJoin(in *Input, out *outcome) {
	j := joining{in: in, req: in.Request.(*kmsg.JoinGroupRequest)}
	code := m.checkJoin(&j)
	g := m.lookup(in.Group)
	if code == wire.CodeNone && g == nil {
		g, code = m.createFor(&j)
	}
	if code != wire.CodeNone {
		out.Reply(in, joinError(j.req.MemberID, code))
		return
	}
	switch {
	case !m.accepts(g, j.req.MemberID):
		m.turnAway(g, &j, out)
	case j.req.MemberID == "":
		m.joinNew(g, &j, out)
	default:
		m.joinKnown(g, &j, out)
	}
	m.sweep(g)
}

// checkJoin is what can be told without the group.
func (m *Machine) checkJoin(j *joining) int16 {
	req := j.req
	if j.in.Group == "" || len(j.in.Group) > textBytesMax {
		return wire.CodeInvalidGroupID
	}
	if req.SessionTimeoutMillis < m.cfg.SessionMinMs || req.SessionTimeoutMillis > m.cfg.SessionMaxMs {
		return wire.CodeInvalidSessionTimeout
	}
	if len(req.ProtocolType) > textBytesMax ||
		req.InstanceID != nil && len(*req.InstanceID) > textBytesMax ||
		len(j.in.ClientID) > textBytesMax || len(j.in.ClientHost) > textBytesMax {
		return wire.CodeInvalidRequest
	}
	protocols, ok := protocolsOf(req.Protocols)
	if !ok {
		return wire.CodeInvalidRequest
	}
	j.protocols, j.rebalanceMs = protocols, req.RebalanceTimeoutMillis
	if j.in.Version == 0 {
		// The version has no rebalance timeout (KIP-62).
		j.rebalanceMs = req.SessionTimeoutMillis
	}
	return wire.CodeNone
}

// createFor makes the group of somebody who is the first to join it.
func (m *Machine) createFor(j *joining) (*group, int16) {
	switch {
	case j.req.MemberID != "":
		return nil, wire.CodeUnknownMemberID
	case j.req.ProtocolType == "" || len(j.protocols) == 0:
		return nil, wire.CodeInconsistentGroupProtocol
	case m.fleeting >= m.cfg.GroupsMax:
		return nil, wire.CodeCoordinatorNotAvailable
	}
	return m.create(j.in.Group), wire.CodeNone
}

// accepts says whether the group has room (KIP-389). While members rejoin, those count that have done
// so: the group may have grown past a limit that was lowered, and then the last to come are too many.
func (m *Machine) accepts(g *group, memberID string) bool {
	mem := g.members[memberID]
	switch g.state {
	case statePreparing:
		return mem != nil && mem.join != nil || g.joining < m.cfg.SizeMax
	case stateCompleting, stateStable:
		return mem != nil || len(g.members) < m.cfg.SizeMax
	default:
		return true
	}
}

// turnAway answers a join to a full group. Whoever had a place there has lost it.
func (m *Machine) turnAway(g *group, j *joining, out *outcome) {
	if mem := g.members[j.req.MemberID]; mem != nil {
		g.remove(mem, out)
	} else if p := g.pending[j.req.MemberID]; p != nil {
		g.removePending(p)
	}
	out.Reply(j.in, joinError("", wire.CodeGroupMaxSizeReached))
	m.tryComplete(g, out)
}

// joinNew handles a join without a member id.
func (m *Machine) joinNew(g *group, j *joining, out *outcome) {
	id := newMemberID(j)
	code := wire.CodeNone
	var old *member
	if j.req.InstanceID != nil {
		old = g.static[*j.req.InstanceID]
	}
	handOut := j.in.Version >= memberIDRequired && j.req.InstanceID == nil
	switch {
	case !g.supports(j.req.ProtocolType, j.protocols):
		code = wire.CodeInconsistentGroupProtocol
	case g.members[id] != nil || g.pending[id] != nil:
		code = wire.CodeUnknownServerError
	case handOut && m.pending >= m.cfg.PendingMax:
		code = wire.CodeCoordinatorNotAvailable
	case !handOut:
		code = m.fits(g, old, j)
	}
	switch {
	case code != wire.CodeNone:
		out.Reply(j.in, joinError("", code))
	case handOut:
		g.addPending(id, j.req.SessionTimeoutMillis)
		out.Reply(j.in, joinError(id, wire.CodeMemberIDRequired))
	case old != nil:
		m.replaceStatic(g, old, id, j, out)
	default:
		m.addMember(g, id, j, out)
	}
}

// idPrefixBytesMax bounds how much of a client's or instance's id goes into a member id, so that ids
// that are handed out have a size.
const idPrefixBytesMax = 255

// newMemberID makes an id as Kafka does, so that operators see whose it is: the instance id or the
// client id, a dash, and something random.
func newMemberID(j *joining) string {
	prefix := j.in.ClientID
	if j.req.InstanceID != nil {
		prefix = *j.req.InstanceID
	}
	if len(prefix) > idPrefixBytesMax {
		end := idPrefixBytesMax
		for end > 0 && !utf8.RuneStart(prefix[end]) {
			end--
		}
		prefix = prefix[:end]
	}
	return prefix + "-" + j.in.NewID
}

// fits says whether there is room for what the member says of itself, in the place of old if that is
// not nil.
func (m *Machine) fits(g *group, old *member, j *joining) int16 {
	more := protocolBytes(j.protocols)
	if old != nil {
		more -= protocolBytes(old.protocols)
	}
	switch {
	case g.bytes+more > m.cfg.GroupBytesMax:
		return wire.CodeGroupMaxSizeReached
	case m.bytes+more > m.cfg.MemberBytesMax:
		return wire.CodeCoordinatorNotAvailable
	default:
		return wire.CodeNone
	}
}

// addMember makes whoever joins a member, and parks the join. A new member does not know its id, and so
// can't send heartbeats; it is dropped when its join is parked for too long, in which case its client
// has given up on it.
func (m *Machine) addMember(g *group, id string, j *joining, out *outcome) {
	mem := &member{
		id: id, instance: j.req.InstanceID, clientID: j.in.ClientID, clientHost: j.in.ClientHost,
		rebalanceMs: j.rebalanceMs, sessionMs: j.req.SessionTimeoutMillis,
		protocols: j.protocols, fresh: true,
	}
	if len(g.members) == 0 {
		g.protocolType = j.req.ProtocolType
	}
	if g.state == statePreparing && g.previous == stateEmpty {
		g.newcomer, g.newcomerMs = true, m.clockMs
	}
	g.add(mem)
	g.parkJoin(mem, j.in, out)
	m.extend(mem, m.cfg.NewMemberMs)
	m.rebalance(g, out)
}

// parkJoin keeps a join until the join phase is over. If the member has one parked already, its client
// sent that long ago and does not listen any more; should it do so after all, it may try again.
func (g *group) parkJoin(mem *member, in *Input, out *outcome) {
	g.answerJoin(mem, out, joinError(mem.id, wire.CodeRebalanceInProgress))
	in.slim()
	mem.join = in
	g.joining++
}

// joinKnown handles a join with a member id.
func (m *Machine) joinKnown(g *group, j *joining, out *outcome) {
	id := j.req.MemberID
	p := g.pending[id]
	mem := g.members[id]
	code := wire.CodeNone
	switch {
	case !g.supports(j.req.ProtocolType, j.protocols):
		code = wire.CodeInconsistentGroupProtocol
	case p != nil && j.req.InstanceID != nil:
		// Ids are handed out to dynamic members only.
		code = wire.CodeUnknownServerError
	case p != nil:
	default:
		code = g.checkMember(id, j.req.InstanceID)
	}
	if code == wire.CodeNone {
		code = m.fits(g, mem, j)
	}
	switch {
	case code != wire.CodeNone:
		out.Reply(j.in, joinError(id, code))
	case p != nil:
		g.removePending(p)
		m.addMember(g, id, j, out)
	default:
		m.rejoin(g, mem, j, out)
	}
}

// rejoin handles a member's join. One that says nothing new may be the repetition of a join whose
// answer was lost, and gets that again. But a stable group's leader rejoins because something has
// changed that it alone can see, as topics.
func (m *Machine) rejoin(g *group, mem *member, j *joining, out *outcome) {
	again := mem.says(j.protocols) &&
		(g.state == stateCompleting || g.state == stateStable && mem != g.leader)
	if !again {
		g.update(mem, j)
		g.parkJoin(mem, j.in, out)
		m.rebalance(g, out)
		return
	}
	response := g.joined(mem)
	if mem == g.leader {
		response.Members = g.roster()
	}
	out.Reply(j.in, response)
}

// update takes over what a join says of the member.
func (g *group) update(mem *member, j *joining) {
	g.setProtocols(mem, j.protocols)
	mem.rebalanceMs, mem.sessionMs = j.rebalanceMs, j.req.SessionTimeoutMillis
}

// replaceStatic gives a static member's place to its next incarnation, under a new id (KIP-345). In a
// stable group nobody else notices, unless the group would agree on another protocol.
func (m *Machine) replaceStatic(g *group, old *member, id string, j *joining, out *outcome) {
	if g.state == stateStable && g.voteWith(old, j.protocols) == *g.protocol {
		m.replaceQuietly(g, old, id, j, out)
		return
	}
	g.rename(old, id, out)
	old.clientID, old.clientHost = j.in.ClientID, j.in.ClientHost
	old.fresh = false
	g.update(old, j)
	g.parkJoin(old, j.in, out)
	m.extend(old, old.sessionMs)
	m.rebalance(g, out)
}

// voteWith is how the vote would go if a member had other protocols.
func (g *group) voteWith(mem *member, protocols []protocol) string {
	old := mem.protocols
	g.setProtocols(mem, protocols)
	protocol := g.vote()
	g.setProtocols(mem, old)
	return protocol
}

// replaceQuietly writes the group with the new incarnation in the old one's place.
func (m *Machine) replaceQuietly(g *group, old *member, id string, j *joining, out *outcome) {
	value := g.value(func(mem *member) []byte { return mem.assignment })
	value.CurrentStateTimestamp = g.stateSinceMs
	for i := range value.Members {
		v := &value.Members[i]
		if v.MemberID != old.id {
			continue
		}
		v.MemberID, v.ClientID, v.ClientHost = id, j.in.ClientID, j.in.ClientHost
		v.RebalanceTimeoutMillis, v.SessionTimeoutMillis = j.rebalanceMs, j.req.SessionTimeoutMillis
		for k := range j.protocols {
			if j.protocols[k].name == *g.protocol {
				v.Subscription = j.protocols[k].metadata
			}
		}
	}
	if g.leader == old {
		value.Leader = &id
	}
	if !m.write(g, value, out) {
		out.Reply(j.in, joinError("", wire.CodeUnknownServerError))
		return
	}
	out.Next = &replaced{group: g, member: old, leaderID: g.leader.id, joining: *j}
}

// settleReplaced answers the new incarnation. Before version 9 a leader can't be told that there is
// nothing to assign, so it is told that its former self leads (KIP-814).
func (m *Machine) settleReplaced(note *replaced, in *Input, out *outcome, code int16) {
	g, mem := note.group, note.member
	if code != wire.CodeNone {
		response := g.joined(mem)
		response.ErrorCode, response.MemberID = code, ""
		out.Reply(in, response)
		return
	}
	leads := g.leader == mem
	g.update(mem, &note.joining)
	g.topics, g.topicsCached = nil, false
	m.extend(mem, mem.sessionMs)
	response := g.joined(mem)
	switch {
	case leads && in.Version >= skipAssignment:
		response.Members, response.SkipAssignment = g.roster(), true
	case leads:
		response.LeaderID = note.leaderID
	}
	out.Reply(in, response)
}
