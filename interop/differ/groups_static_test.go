//go:build interop

package differ

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestStatic covers static members in each version that has them (KIP-345): a restart takes the
// place of its former self, which is fenced.
func TestStatic(t *testing.T) {
	compare(t, func(s *side) {
		for v := int16(5); v <= 9; v++ {
			g := "static" + plainInt(v)
			s.coordinated(g)
			ids := s.formStatic(g, 2)
			s.show("formed", g)
			a, b := s.peer("a"), s.peer("b")
			b2, gen := joined(b.send("the follower restarts", static(joinReq(v, g, "", "range:m1", "sticky:s1"), "i1")))
			s.show("follower restarted", g)
			sync := func(id, instance string, gen int32, plan ...string) *kmsg.SyncGroupRequest {
				req := syncReq(min(v, 5), g, id, gen, plan...)
				req.InstanceID = &instance
				return req
			}
			beat := func(id, instance string, gen int32) *kmsg.HeartbeatRequest {
				req := heartbeatReq(min(v, 4), g, id, gen)
				req.InstanceID = &instance
				return req
			}
			b.send("restarted", sync(b2, "i1", gen))
			b.send("restarted", beat(b2, "i1", gen))
			for _, c := range []struct{ what, id, instance string }{
				{"old id", ids[1], "i1"},
				{"old id, other instance", ids[1], "i0"},
				{"new id, other instance", b2, "i0"},
				{"new id, unknown instance", b2, "none"},
				{"unknown id", "nobody", "i1"},
			} {
				s.send(c.what, sync(c.id, c.instance, gen))
				s.send(c.what, beat(c.id, c.instance, gen))
				s.send(c.what+", wrong generation", sync(c.id, c.instance, gen+1))
				s.send(c.what+", wrong generation", beat(c.id, c.instance, gen+1))
				s.send(c.what, static(joinReq(v, g, c.id, "range:m1", "sticky:s1"), c.instance))
			}
			s.send("old id without instance", heartbeatReq(min(v, 4), g, ids[1], gen))
			s.send("new id without instance", heartbeatReq(min(v, 4), g, b2, gen))
			s.send("new id without instance", joinReq(v, g, b2, "range:m1", "sticky:s1"))
			a2, gen := joined(a.send("the leader restarts", static(joinReq(v, g, "", "range:m0", "sticky:s0"), "i0")))
			s.show("leader restarted", g)
			a.send("leader restarted", sync(a2, "i0", gen))
			s.send("old leader", beat(ids[0], "i0", gen))
			a2, gen = joined(a.send("the leader restarts changed",
				static(joinReq(v, g, "", "range:changed", "sticky:changed"), "i0")))
			a.send("the leader restarts changed", sync(a2, "i0", gen, a2, "other a0", b2, "other a1"))
			s.show("leader restarted changed", g)
			a.post(static(joinReq(v, g, "", "sticky:changed"), "i0"))
			s.until(g, "PreparingRebalance", 2)
			b.post(static(joinReq(v, g, b2, "range:m1", "sticky:s1"), "i1"))
			a.await("the leader restarts with fewer protocols")
			b.await("the leader restarts with fewer protocols")
			s.show("at the end", g)
		}
	})
}

// TestStaticRebalance: a static member restarts while the group prepares or waits for its plan.
func TestStaticRebalance(t *testing.T) {
	compare(t, func(s *side) {
		for _, v := range []int16{5, 7, 9} {
			g := "static-re" + plainInt(v)
			s.coordinated(g)
			ids := s.formStatic(g, 2)
			a, b, c := s.peer("a"), s.peer("b"), s.peer("c")
			a.post(static(joinReq(v, g, ids[0], "range:m0", "sticky:s0"), "i0"))
			s.until(g, "PreparingRebalance", 2)
			c.post(static(joinReq(v, g, "", "range:m0", "sticky:s0"), "i0"))
			a.await("replaced while it waits")
			c.parked("the new one waits")
			b.post(static(joinReq(v, g, "", "range:m1", "sticky:s1"), "i1"))
			c.await("all are here")
			b2, gen := joined(b.await("all are here"))
			s.show("all are here", g)
			b.post(syncReq(min(v, 5), g, b2, gen))
			b.parked("waits for the plan")
			c.post(static(joinReq(v, g, "", "range:m0", "sticky:s0"), "i0"))
			b.await("a restart while the plan is awaited")
			c.parked("the group prepares again")
			b.post(static(joinReq(v, g, b2, "range:m1", "sticky:s1"), "i1"))
			c.await("once more")
			b.await("once more")
			s.show("once more", g)
		}
	})
}

// TestStaticLeave covers who may name whom in a LeaveGroup.
func TestStaticLeave(t *testing.T) {
	compare(t, func(s *side) {
		for v := int16(3); v <= 5; v++ {
			g := "static-leave" + plainInt(v)
			s.coordinated(g)
			ids := s.formStatic(g, 4)
			leave := func(label string, members ...kmsg.LeaveGroupRequestMember) {
				req := at(kmsg.NewPtrLeaveGroupRequest(), v)
				req.Group, req.Members = g, members
				s.send(label, req)
				s.show("after "+label, g)
			}
			leave("nobody")
			leave("unknown id", leaver("nobody", ""))
			leave("unknown instance", leaver("", "none"))
			leave("wrong instance", leaver(ids[0], "i1"))
			leave("unknown id, known instance", leaver("nobody", "i1"))
			leave("known id, unknown instance", leaver(ids[1], "none"))
			leave("neither", leaver("", ""))
			leave("by instance", leaver("", "i3"))
			leave("by instance again", leaver("", "i3"))
			leave("by both", leaver(ids[2], "i2"))
			leave("several", leaver(ids[1], ""), leaver("nobody", ""), leaver("", "i0"),
				leaver("", "i0"), leaver(ids[1], "i1"))
		}
	})
}

// TestLeave covers dynamic members in each version.
func TestLeave(t *testing.T) {
	compare(t, func(s *side) {
		s.coordinated("", "leave-none")
		for v := int16(0); v <= 5; v++ {
			g := "leave" + plainInt(v)
			s.coordinated(g)
			s.send("empty group id", leaveReq(v, "", "a"))
			s.send("unknown group", leaveReq(v, "leave-none", "a"))
			s.send("unknown group, empty member", leaveReq(v, "leave-none", ""))
			ids := s.form(g, 3)
			s.send("unknown member", leaveReq(v, g, "nobody"))
			pending := s.memberID(g)
			s.send("handed out id", leaveReq(v, g, pending))
			s.send("handed out id again", leaveReq(v, g, pending))
			s.send("one leaves", leaveReq(v, g, ids[2]))
			s.show("one left", g)
			a := s.peer("a")
			a.post(joinReq(5, g, ids[0]))
			a.parked("waits for the other")
			s.send("the other leaves", leaveReq(v, g, ids[1]))
			_, gen := joined(a.await("the other left"))
			s.show("the other left", g)
			s.send("leaves before its plan", leaveReq(v, g, ids[0]))
			s.show("empty", g)
			s.send("after all", heartbeatReq(3, g, ids[0], gen))
			s.send("the last again", leaveReq(v, g, ids[0]))
		}
	})
}

// TestLeaveWhileParked: who leaves from another connection has its waiting request answered.
func TestLeaveWhileParked(t *testing.T) {
	compare(t, func(s *side) {
		s.coordinated("leave-parked")
		ids := s.form("leave-parked", 2)
		a, b := s.peer("a"), s.peer("b")
		a.post(joinReq(5, "leave-parked", ids[0]))
		s.until("leave-parked", "PreparingRebalance", 2)
		s.send("of the one who waits", leaveReq(4, "leave-parked", ids[0]))
		a.await("left meanwhile")
		b.post(joinReq(5, "leave-parked", ids[1]))
		b.await("alone")
		s.show("alone", "leave-parked")
		third := s.memberID("leave-parked")
		a.post(joinReq(5, "leave-parked", third))
		s.until("leave-parked", "PreparingRebalance", 2)
		b.post(joinReq(5, "leave-parked", ids[1]))
		_, gen := joined(b.await("two"))
		a.await("two")
		a.post(syncReq(3, "leave-parked", third, gen))
		a.parked("waits for the plan")
		s.send("of the one who waits for the plan", leaveReq(4, "leave-parked", third))
		a.superseded("left meanwhile")
		s.show("after", "leave-parked")
	})
}
