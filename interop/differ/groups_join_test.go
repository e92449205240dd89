//go:build interop

package differ

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// joined is an answer's member id and generation, or an empty one where there was none.
func joined(resp kmsg.Response) (id string, generation int32) {
	if r, ok := resp.(*kmsg.JoinGroupResponse); ok {
		return r.MemberID, r.Generation
	}
	return "", -1
}

// TestGroupLife takes a group of one member from its first join to its end in each version.
func TestGroupLife(t *testing.T) {
	compare(t, func(s *side) {
		for v := int16(0); v <= 9; v++ {
			g := "life" + plainInt(v)
			s.coordinated(g)
			s.show("before", g)
			a := s.peer("a")
			id, gen := joined(a.send("first join", joinReq(v, g, "", "range:x", "sticky:y")))
			if v >= 4 {
				// Kafka answers before it has the group.
				s.until(g, "Empty", 0)
				s.show("id handed out", g)
				id, gen = joined(a.send("with the id", joinReq(v, g, id, "range:x", "sticky:y")))
			}
			s.show("joined", g)
			other := min(v, 5)
			a.send("joined", heartbeatReq(min(v, 4), g, id, gen))
			a.send("plan", syncReq(other, g, id, gen, id, "plan"))
			s.show("synced", g)
			a.send("again", syncReq(other, g, id, gen))
			a.send("again with another plan", syncReq(other, g, id, gen, id, "other plan"))
			a.send("stable", heartbeatReq(min(v, 4), g, id, gen))
			id, gen = joined(a.send("the leader again", joinReq(v, g, id, "range:x", "sticky:y")))
			s.show("second generation", g)
			a.send("no plan", syncReq(other, g, id, gen))
			s.show("synced with no plan", g)
			a.send("bye", leaveReq(other, g, id))
			s.show("left", g)
			a.send("bye again", leaveReq(other, g, id))
			a.send("after leaving", heartbeatReq(min(v, 4), g, id, gen))
			a.send("after leaving", syncReq(other, g, id, gen))
			a.send("after leaving", joinReq(v, g, id, "range:x"))
			a.hangUp()
		}
	})
}

// TestJoinRefusals covers what is refused before any group exists, and with one member.
func TestJoinRefusals(t *testing.T) {
	compare(t, func(s *side) {
		s.coordinated("", "refuse", "refuse-stable")
		id := s.form("refuse-stable", 1)[0]
		for v := int16(0); v <= 9; v++ {
			for _, group := range []string{"", "refuse", "refuse-stable"} {
				try := func(label string, change func(*kmsg.JoinGroupRequest)) {
					req := joinReq(v, group, "nobody")
					change(req)
					s.send(group+": "+label, req)
				}
				try("unknown member", func(*kmsg.JoinGroupRequest) {})
				for _, ms := range []int32{-1, 0, 199, 1_800_001, 1<<31 - 1} {
					try("session "+plain32(ms), func(r *kmsg.JoinGroupRequest) {
						r.SessionTimeoutMillis = ms
					})
				}
				try("no protocols", func(r *kmsg.JoinGroupRequest) {
					r.MemberID, r.Protocols = "", nil
				})
				try("no type", func(r *kmsg.JoinGroupRequest) { r.MemberID, r.ProtocolType = "", "" })
				if group != "refuse-stable" {
					continue
				}
				try("another type", func(r *kmsg.JoinGroupRequest) {
					r.MemberID, r.ProtocolType = "", "connect"
				})
				try("another protocol", func(r *kmsg.JoinGroupRequest) {
					r.MemberID = ""
					r.Protocols[0].Name = "other"
				})
				try("member with another type", func(r *kmsg.JoinGroupRequest) {
					r.MemberID, r.ProtocolType = id, "connect"
				})
				try("member with another session", func(r *kmsg.JoinGroupRequest) {
					r.MemberID, r.SessionTimeoutMillis = id, 100
				})
				if v >= 5 {
					try("unknown instance with an id", func(r *kmsg.JoinGroupRequest) {
						r.InstanceID = ptr("nothing")
					})
					try("a dynamic member's id with an instance", func(r *kmsg.JoinGroupRequest) {
						r.MemberID, r.InstanceID = id, ptr("nothing")
					})
				}
			}
		}
		s.show("untouched", "refuse-stable")
		s.show("not made", "refuse")
	})
}

// TestJoinSecond: a second member rebalances a stable group, in each version.
func TestJoinSecond(t *testing.T) {
	compare(t, func(s *side) {
		for v := int16(0); v <= 9; v++ {
			g := "second" + plainInt(v)
			s.coordinated(g)
			leader := s.form(g, 1)[0]
			a, b := s.peer("a"), s.peer("b")
			id := ""
			if v >= 4 {
				id = s.memberID(g)
			}
			b.post(joinReq(v, g, id, "range:b", "sticky:b"))
			s.until(g, "PreparingRebalance", 2)
			b.parked("waits for the first")
			a.send("while preparing", heartbeatReq(4, g, leader, 1))
			a.send("while preparing", syncReq(5, g, leader, 1))
			a.send("heartbeat of an old generation", heartbeatReq(4, g, leader, 0))
			s.show("preparing", g)
			a.post(joinReq(v, g, leader, "range:a"))
			_, gen := joined(a.await("the leader came"))
			id, _ = joined(b.await("and so"))
			s.show("both", g)
			other := min(v, 5)
			b.post(syncReq(other, g, id, gen))
			b.parked("waits for the plan")
			b2 := s.peer("b on another connection")
			b2.send("before the plan", heartbeatReq(4, g, id, gen))
			a.send("plan", syncReq(other, g, leader, gen, id, "for b", leader, "for a", "nobody", "for nobody"))
			b.await("the plan came")
			b.send("once more", syncReq(other, g, id, gen))
			s.show("stable", g)
			b.send("a follower rejoins unchanged", joinReq(v, g, id, "range:b", "sticky:b"))
			b.post(joinReq(v, g, id, "range:changed", "sticky:b"))
			s.until(g, "PreparingRebalance", 2)
			a.post(joinReq(v, g, leader, "range:a"))
			a.await("after changed metadata")
			b.await("changed metadata")
			s.show("after changed metadata", g)
			b.post(joinReq(v, g, id, "range:again", "sticky:b"))
			s.until(g, "PreparingRebalance", 2)
			a.post(joinReq(v, g, leader, "range:a"))
			b.await("changed while completing")
			a.await("changed while completing")
			b.send("unchanged while completing", joinReq(v, g, id, "range:again", "sticky:b"))
			a.send("the leader, unchanged while completing", joinReq(v, g, leader, "range:a"))
			s.show("at last", g)
		}
	})
}

// TestJoinVotes: the protocol is what most members prefer among what all support.
func TestJoinVotes(t *testing.T) {
	compare(t, func(s *side) {
		for i, votes := range [][][]string{
			{{"range", "sticky"}, {"sticky", "range"}},
			{{"range", "sticky"}, {"sticky", "range"}, {"sticky", "range"}},
			{{"a", "b", "c"}, {"b", "a", "c"}, {"c", "b"}},
			{{"a", "b"}, {"c", "b"}},
		} {
			g := "votes" + fmt.Sprint(i)
			s.coordinated(g)
			var peers []*peer
			for j, names := range votes {
				p := s.peer("m" + fmt.Sprint(j))
				peers = append(peers, p)
				p.post(joinReq(7, g, s.memberID(g, names...), names...))
				s.gathered(g, j+1)
			}
			for _, p := range peers {
				p.await("prefers " + fmt.Sprint(votes))
			}
			s.show(g, g)
			s.send("supports nothing of it", joinReq(3, g, "", "none", "of", "these"))
			s.send("supports what was not chosen", joinReq(3, g, "", "a:only"))
		}
	})
}

// TestJoinGroupSize is group.max.size, which is 4 here (KIP-389).
func TestJoinGroupSize(t *testing.T) {
	compare(t, func(s *side) {
		s.coordinated("size", "size-stable")
		var peers []*peer
		for i := range 4 {
			p := s.peer(fmt.Sprint("m", i))
			peers = append(peers, p)
			p.post(joinReq(5, "size", s.memberID("size")))
			s.gathered("size", i+1)
		}
		for v := int16(0); v <= 9; v++ {
			s.send("fifth while preparing, no id", joinReq(v, "size", ""))
			s.send("fifth while preparing, an id", joinReq(v, "size", "nobody"))
			if v >= 5 {
				s.send("fifth while preparing, static", static(joinReq(v, "size", ""), "i"))
			}
		}
		for _, p := range peers {
			p.await("four")
		}
		s.form("size-stable", 4)
		for v := int16(0); v <= 9; v++ {
			s.send("fifth, no id", joinReq(v, "size-stable", ""))
			s.send("fifth, an id", joinReq(v, "size-stable", "nobody"))
			if v >= 5 {
				s.send("fifth, static", static(joinReq(v, "size-stable", ""), "i"))
			}
		}
		s.show("stays", "size-stable")
	})
}

// TestJoinExpiry: members that fall silent, never sync or never rejoin leave the group.
func TestJoinExpiry(t *testing.T) {
	compare(t, func(s *side) {
		s.coordinated("exp-silent", "exp-sync", "exp-rejoin", "exp-pending")
		short := func(g, id string, session, rebalance int32) *kmsg.JoinGroupRequest {
			req := joinReq(5, g, id)
			req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = session, rebalance
			return req
		}
		a, b := s.peer("a"), s.peer("b")
		id := s.memberID("exp-silent")
		a.send("joins", short("exp-silent", id, 300, 5000))
		a.send("plan", syncReq(3, "exp-silent", id, 1, id, "x"))
		s.emptied("exp-silent")
		s.show("silent", "exp-silent")
		a.send("too late", heartbeatReq(3, "exp-silent", id, 1))

		id = s.memberID("exp-sync")
		a.send("joins", short("exp-sync", id, 10_000, 500))
		s.emptied("exp-sync")
		s.show("never synced", "exp-sync")
		a.send("too late", syncReq(3, "exp-sync", id, 1, id, "x"))

		first := s.memberID("exp-rejoin")
		a.send("joins", short("exp-rejoin", first, 10_000, 700))
		a.send("plan", syncReq(3, "exp-rejoin", first, 1, first, "x"))
		second := s.memberID("exp-rejoin")
		b.post(short("exp-rejoin", second, 10_000, 700))
		s.until("exp-rejoin", "PreparingRebalance", 2)
		b.await("the first never came")
		s.show("the first is out", "exp-rejoin")
		a.send("too late", heartbeatReq(3, "exp-rejoin", first, 1))

		pending := joined1(s.send("id", short("exp-pending", "", 300, 300)))
		time.Sleep(time.Second) // There is nothing to see of an id that was handed out.
		a.send("too late", short("exp-pending", pending, 300, 300))
	})
}

func joined1(resp kmsg.Response) string {
	id, _ := joined(resp)
	return id
}

// TestJoinDuplicate: a member that asks again on another connection takes over.
func TestJoinDuplicate(t *testing.T) {
	compare(t, func(s *side) {
		for _, v := range []int16{2, 5, 9} {
			g := "dup" + plainInt(v)
			s.coordinated(g)
			ids := s.form(g, 2)
			a, a2, b := s.peer("a"), s.peer("a again"), s.peer("b")
			a.post(joinReq(v, g, ids[0]))
			s.until(g, "PreparingRebalance", 2)
			a.parked("waits for the other")
			a2.post(joinReq(v, g, ids[0], "range:new"))
			a2.parked("both wait")
			b.post(joinReq(v, g, ids[1]))
			a2.await("the second")
			b.await("the other member")
			a.superseded("the first")
			gen := int32(2)
			b.post(syncReq(min(v, 5), g, ids[1], gen))
			b.parked("waits for the plan")
			b2 := s.peer("b again")
			b2.post(syncReq(min(v, 5), g, ids[1], gen))
			b2.parked("syncs twice")
			a2.send("plan", syncReq(min(v, 5), g, ids[0], gen, ids[1], "b", ids[0], "a"))
			b2.await("the second sync")
			b.superseded("the first sync")
		}
	})
}
