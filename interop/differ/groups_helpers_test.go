//go:build interop

package differ

import (
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// parkedWait is how long a request must stay without an answer to count as parked.
const parkedWait = 150 * time.Millisecond

// peer is one more connection of a scenario, for requests that wait for those of others. It has
// at most one request under way. What it records goes into the scenario's transcript.
type peer struct {
	s      *side
	name   string
	conn   net.Conn
	req    kmsg.Request
	corr   int32
	answer chan arrival
}

// arrival is a frame without its size, or why there is none.
type arrival struct {
	body []byte
	err  error
}

func (s *side) peer(name string) *peer {
	conn, err := net.DialTimeout("tcp", s.addr, answerWait)
	if err != nil {
		panic(err)
	}
	p := &peer{s: s, name: name, conn: conn}
	s.peers = append(s.peers, p)
	return p
}

// post sends a request whose answer await collects.
func (p *peer) post(req kmsg.Request) {
	if p.answer != nil {
		panic(p.name + " already waits for an answer")
	}
	line := &side{conn: p.conn, corr: p.corr}
	frame := line.encode(req)
	p.req, p.corr, p.answer = req, line.corr, make(chan arrival, 1)
	p.conn.SetDeadline(time.Now().Add(p.s.wait))
	if _, err := p.conn.Write(frame); err != nil {
		p.answer <- arrival{err: err}
		return
	}
	go func(out chan<- arrival) {
		body, err := line.readFrame()
		out <- arrival{body, err}
	}(p.answer)
}

// label names a step after the request under way and the peer that sent it.
func (p *peer) label(text string) string {
	return fmt.Sprintf("%s v%d: %s: %s",
		kmsg.NameForKey(p.req.Key()), p.req.GetVersion(), p.name, text)
}

// parked records whether the request under way still waits.
func (p *peer) parked(text string) {
	select {
	case a := <-p.answer:
		p.answer <- a
		p.s.record(p.label(text), "parked", "answered")
	case <-time.After(parkedWait):
		p.s.record(p.label(text), "parked", "true")
	}
}

// await records the answer to the request under way. It returns nil when none came.
func (p *peer) await(text string) kmsg.Response {
	label, a := p.label(text), <-p.answer
	p.answer = nil
	if a.err != nil {
		p.s.record(label, "connection", outcome(a.err))
		return nil
	}
	return p.s.recordAnswer(label, p.req, p.corr, a.body)
}

// send posts and awaits.
func (p *peer) send(text string, req kmsg.Request) kmsg.Response {
	p.post(req)
	return p.await(text)
}

// superseded records the code of the request under way if it was answered at all: of two requests
// of one member, the later counts.
func (p *peer) superseded(text string) {
	label, value := p.label(text), "unanswered"
	select {
	case a := <-p.answer:
		value = "no answer"
		if resp, _, err := decode(p.req, p.corr, a.body); a.err == nil && err == nil {
			code := valueOf(resp).Elem().FieldByName("ErrorCode").Int()
			value = errorName(int16(code))
		}
	case <-time.After(parkedWait):
	}
	p.s.record(label, "answer", value)
	p.hangUp()
}

// hangUp closes the connection while a request may be under way.
func (p *peer) hangUp() { p.conn.Close() }

// coordinated waits until the group's coordinator serves.
func (s *side) coordinated(groups ...string) {
	for _, g := range groups {
		s.retry("coordinator of "+g, func() bool {
			find := at(kmsg.NewPtrFindCoordinatorRequest(), 3)
			find.CoordinatorKey = g
			if must[*kmsg.FindCoordinatorResponse](s, find).ErrorCode != 0 {
				return false
			}
			return describe(s, g).ErrorCode == 0
		})
	}
}

// retry repeats until done says true.
func (s *side) retry(what string, done func() bool) {
	for deadline := time.Now().Add(answerWait); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			panic(what + ": in vain")
		}
	}
}

// describe asks for a group as of version 5, where an unknown group is Dead rather than refused.
func describe(s *side, group string) kmsg.DescribeGroupsResponseGroup {
	req := at(kmsg.NewPtrDescribeGroupsRequest(), 5)
	req.Groups = []string{group}
	return must[*kmsg.DescribeGroupsResponse](s, req).Groups[0]
}

// until waits for a group's state and number of members, so that what was posted has arrived.
func (s *side) until(group, state string, members int) {
	s.retry(fmt.Sprintf("%s %s with %d members", group, state, members), func() bool {
		d := describe(s, group)
		return d.State == state && len(d.Members) == members
	})
}

// gathered waits until so many members have come, on a slow machine also past the time for it.
func (s *side) gathered(group string, members int) {
	s.retry(fmt.Sprint(group, " of ", members), func() bool {
		d := describe(s, group)
		return len(d.Members) == members && d.State != "Empty"
	})
}

// emptied waits until a group has no members, or is gone.
func (s *side) emptied(group string) {
	s.retry(group+" without members", func() bool {
		state := describe(s, group).State
		return state == "Empty" || state == "Dead"
	})
}

// show records a group's description.
func (s *side) show(label, group string) {
	req := at(kmsg.NewPtrDescribeGroupsRequest(), 6)
	req.Groups = []string{group}
	s.send(label, req)
}

// joinReq is a JoinGroup of a consumer that knows one protocol.
func joinReq(v int16, group, member string, protocols ...string) *kmsg.JoinGroupRequest {
	req := at(kmsg.NewPtrJoinGroupRequest(), v)
	req.Group, req.MemberID, req.ProtocolType = group, member, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 30_000, 30_000
	if len(protocols) == 0 {
		protocols = []string{"range"}
	}
	for _, name := range protocols {
		p := kmsg.NewJoinGroupRequestProtocol()
		// The text behind a colon is the protocol's metadata.
		name, meta, _ := strings.Cut(name, ":")
		p.Name, p.Metadata = name, []byte(meta)
		req.Protocols = append(req.Protocols, p)
	}
	return req
}

// static makes a join that of a static member.
func static(req *kmsg.JoinGroupRequest, instance string) *kmsg.JoinGroupRequest {
	req.InstanceID = &instance
	return req
}

func syncReq(v int16, group, member string, generation int32, assignments ...string,
) *kmsg.SyncGroupRequest {
	req := at(kmsg.NewPtrSyncGroupRequest(), v)
	req.Group, req.MemberID, req.Generation = group, member, generation
	req.ProtocolType, req.Protocol = ptr("consumer"), ptr("range")
	for i := 0; i < len(assignments); i += 2 {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = assignments[i], []byte(assignments[i+1])
		req.GroupAssignment = append(req.GroupAssignment, a)
	}
	return req
}

func heartbeatReq(v int16, group, member string, generation int32) *kmsg.HeartbeatRequest {
	req := at(kmsg.NewPtrHeartbeatRequest(), v)
	req.Group, req.MemberID, req.Generation = group, member, generation
	return req
}

// leaveReq is a LeaveGroup of one member in any version.
func leaveReq(v int16, group, member string) *kmsg.LeaveGroupRequest {
	req := at(kmsg.NewPtrLeaveGroupRequest(), v)
	req.Group, req.MemberID = group, member
	req.Members = []kmsg.LeaveGroupRequestMember{leaver(member, "")}
	return req
}

// leaver names a member by id, by instance, or both.
func leaver(member, instance string) kmsg.LeaveGroupRequestMember {
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID = member
	if instance != "" {
		m.InstanceID = &instance
	}
	return m
}

// memberID asks for a member id without recording (KIP-394).
func (s *side) memberID(group string, protocols ...string) string {
	resp := must[*kmsg.JoinGroupResponse](s, joinReq(6, group, "", protocols...))
	if resp.MemberID == "" {
		panic("no member id for " + group)
	}
	s.names.text("MemberID", valueOf(resp.MemberID))
	return resp.MemberID
}

// form makes a stable group of n members, recording nothing. The first is the leader. Each
// member's assignment is "a" and its number.
func (s *side) form(group string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = s.memberID(group)
	}
	return s.formOf(group, ids, func(i int) *kmsg.JoinGroupRequest {
		return joinReq(6, group, ids[i], "range:m"+fmt.Sprint(i))
	})
}

// formStatic is form for static members i0, i1, ...
func (s *side) formStatic(group string, n int) []string {
	return s.formOf(group, make([]string, n), func(i int) *kmsg.JoinGroupRequest {
		m := fmt.Sprint(i)
		return static(joinReq(6, group, "", "range:m"+m, "sticky:s"+m), "i"+m)
	})
}

func (s *side) formOf(group string, ids []string, join func(i int) *kmsg.JoinGroupRequest,
) []string {
	peers := make([]*peer, len(ids))
	for i := range ids {
		peers[i] = s.peer(fmt.Sprint("former ", i))
		peers[i].post(join(i))
		s.gathered(group, i+1)
	}
	generation := int32(0)
	for i, p := range peers {
		resp := quiet[*kmsg.JoinGroupResponse](p)
		if resp.ErrorCode != 0 || (i == 0) != (resp.LeaderID == resp.MemberID) {
			panic(fmt.Sprintf("forming %s: %+v", group, resp))
		}
		ids[i], generation = resp.MemberID, resp.Generation
		s.names.text("MemberID", valueOf(resp.MemberID))
	}
	var plan []string
	for i, id := range ids {
		plan = append(plan, id, "a"+fmt.Sprint(i))
	}
	for i, p := range peers {
		if i == 0 {
			p.post(syncReq(5, group, ids[0], generation, plan...))
		} else {
			p.post(syncReq(5, group, ids[i], generation))
		}
	}
	for _, p := range peers {
		if resp := quiet[*kmsg.SyncGroupResponse](p); resp.ErrorCode != 0 {
			panic(fmt.Sprintf("forming %s: %+v", group, resp))
		}
		p.hangUp()
	}
	return ids
}

// quiet awaits an answer without recording it.
func quiet[R kmsg.Response](p *peer) R {
	a := <-p.answer
	p.answer = nil
	if a.err != nil {
		panic(a.err)
	}
	if got := int32(binary.BigEndian.Uint32(a.body)); got != p.corr {
		panic("wrong correlation id")
	}
	resp, _, err := decode(p.req, p.corr, a.body)
	if err != nil {
		panic(err)
	}
	return resp.(R)
}

// mine records an answer without the groups and transactions of other scenarios: only names that
// begin with the prefix stay.
func (s *side) mine(label, prefix string, req kmsg.Request) {
	resp, err := s.ask(req)
	if err != nil {
		s.record(label, "connection", outcome(err))
		return
	}
	switch r := resp.(type) {
	case *kmsg.ListGroupsResponse:
		r.Groups = slices.DeleteFunc(r.Groups, func(g kmsg.ListGroupsResponseGroup) bool {
			return !strings.HasPrefix(g.Group, prefix)
		})
	case *kmsg.ListTransactionsResponse:
		r.TransactionStates = slices.DeleteFunc(r.TransactionStates,
			func(t kmsg.ListTransactionsResponseTransactionState) bool {
				return !strings.HasPrefix(t.TransactionalID, prefix)
			})
	}
	lines, raw := s.names.flatten(resp)
	label = fmt.Sprintf("%s v%d: %s", kmsg.NameForKey(req.Key()), req.GetVersion(), label)
	s.steps = append(s.steps, step{label, lines, raw})
}
