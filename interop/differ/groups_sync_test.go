//go:build interop

package differ

import (
	"testing"
)

// TestSyncRefusals covers generations, members and, since version 5, what the member believes the
// protocol to be (KIP-559), in a stable group, one that prepares, one that waits, and none.
func TestSyncRefusals(t *testing.T) {
	compare(t, func(s *side) {
		s.coordinated("", "sync-none", "sync-stable", "sync-prep", "sync-wait", "sync-empty")
		stable := s.form("sync-stable", 2)
		prep := s.form("sync-prep", 2)
		wait := s.form("sync-wait", 1)
		gone := s.form("sync-empty", 1)
		s.send("empties", leaveReq(4, "sync-empty", gone[0]))
		a, w := s.peer("a"), s.peer("w")
		a.post(joinReq(5, "sync-prep", prep[0]))
		s.until("sync-prep", "PreparingRebalance", 2)
		w.send("waits for its plan", joinReq(5, "sync-wait", wait[0]))
		groups := map[string]string{
			"": "x", "sync-none": "x", "sync-stable": stable[1], "sync-prep": prep[1],
			"sync-wait": "nobody", "sync-empty": gone[0],
		}
		for v := int16(0); v <= 5; v++ {
			for _, g := range sorted(groups) {
				for _, gen := range []int32{-2, -1, 0, 1, 2, 3, 1<<31 - 1} {
					for _, id := range []string{groups[g], "nobody", ""} {
						label := g + " generation " + plain32(gen) + " member " + id
						label = s.names.uuidsIn(label)
						s.send(label, syncReq(v, g, id, gen))
						s.send(label+" with a plan", syncReq(v, g, id, gen, id, "plan"))
						s.send(label, heartbeatReq(min(v, 4), g, id, gen))
					}
				}
			}
		}
		for _, kind := range []*string{nil, ptr(""), ptr("consumer"), ptr("connect")} {
			for _, name := range []*string{nil, ptr(""), ptr("range"), ptr("sticky")} {
				for _, g := range []string{"sync-stable", "sync-prep", "sync-empty", "sync-none"} {
					req := syncReq(5, g, groups[g], 1)
					req.ProtocolType, req.Protocol = kind, name
					s.send(g+" type "+plain(valueOf(kind))+" protocol "+plain(valueOf(name)), req)
				}
			}
		}
		s.show("stable", "sync-stable")
		s.show("prep", "sync-prep")
		s.show("wait", "sync-wait")
		s.show("empty", "sync-empty")
	})
}

// TestSyncOrders: followers may sync before and after the leader, and get what it planned.
func TestSyncOrders(t *testing.T) {
	compare(t, func(s *side) {
		for v := int16(0); v <= 5; v++ {
			g := "orders" + plainInt(v)
			s.coordinated(g)
			ids := s.form(g, 3)
			a, b, c := s.peer("a"), s.peer("b"), s.peer("c")
			all := func(label string) {
				a.post(joinReq(5, g, ids[0]))
				s.until(g, "PreparingRebalance", 3)
				b.post(joinReq(5, g, ids[1]))
				c.post(joinReq(5, g, ids[2]))
				for _, p := range []*peer{a, b, c} {
					p.await(label)
				}
			}
			all("second generation")
			b.post(syncReq(v, g, ids[1], 2))
			b.parked("before the leader")
			a.send("the leader, with a plan for one", syncReq(v, g, ids[0], 2, ids[1], "b"))
			b.await("before the leader")
			c.send("after the leader", syncReq(v, g, ids[2], 2))
			s.show("stable", g)
			all("third generation")
			b.post(syncReq(v, g, ids[1], 3, ids[1], "mine", ids[0], "yours"))
			b.parked("a follower with a plan")
			c.post(syncReq(v, g, ids[2], 3))
			c.parked("before the leader")
			b2 := s.peer("b2")
			b2.post(joinReq(5, g, ids[1], "range:changed"))
			s.until(g, "PreparingRebalance", 3)
			c.await("a rebalance begins")
			b.superseded("a rebalance begins")
			a.post(joinReq(5, g, ids[0]))
			c.post(joinReq(5, g, ids[2]))
			b2.await("fourth generation")
			a.await("fourth generation")
			c.await("fourth generation")
			a.send("an empty plan", syncReq(v, g, ids[0], 4, ids[0], "", ids[1], ""))
			c.send("after an empty plan", syncReq(v, g, ids[2], 4))
			s.show("empty plan", g)
			b = b2
			all("fifth generation")
			a.send("one twice in the plan", syncReq(v, g, ids[0], 5, ids[1], "x", ids[1], "y", ids[0], "z"))
			b.send("planned for twice", syncReq(v, g, ids[1], 5))
		}
	})
}

// TestHeartbeatStates: a member hears of a rebalance from its heartbeat and stays alive meanwhile.
func TestHeartbeatStates(t *testing.T) {
	compare(t, func(s *side) {
		for v := int16(0); v <= 4; v++ {
			g := "beat" + plainInt(v)
			s.coordinated(g)
			ids := s.form(g, 2)
			a, b := s.peer("a"), s.peer("b")
			both := func(label string) {
				for i, id := range ids {
					for gen := range int32(4) {
						s.send(label+", member "+plain32(int32(i))+" generation "+plain32(gen),
							heartbeatReq(v, g, id, gen))
					}
				}
			}
			both("stable")
			a.post(joinReq(5, g, ids[0]))
			s.until(g, "PreparingRebalance", 2)
			both("preparing")
			b.post(joinReq(5, g, ids[1]))
			a.await("both")
			b.await("both")
			both("completing")
			b.post(syncReq(3, g, ids[1], 2))
			b.parked("waits for the plan")
			both("completing, one has synced")
			a.send("plan", syncReq(3, g, ids[0], 2))
			b.await("the plan")
			both("stable again")
			s.send("handed out", heartbeatReq(v, g, s.memberID(g), 2))
			s.send("empty member", heartbeatReq(v, g, "", 2))
		}
	})
}
