//go:build interop

package differ

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestTxnOffsetCommit covers each version: added or not, by strangers, pending, committed, aborted.
// Since version 5 the group's partition is added by the commit (KIP-890).
func TestTxnOffsetCommit(t *testing.T) {
	compare(t, func(s *side) {
		s.create("toc", 2)
		for v := int16(0); v <= 6; v++ {
			g := "toc" + plainInt(v)
			s.coordinated(g, "")
			p := s.transactional(g)
			one := commit{"toc", 0, 5, "five"}
			s.send("not added", s.txnCommitReq(v, p, g, one))
			s.showTxn("not added", p.id)
			s.refusedProducers(p, func(label string, q *producer) {
				s.send(label, s.txnCommitReq(v, q, g, one))
			})
			s.send("add", addOffsetsReq(3, p, g))
			s.send("added", s.txnCommitReq(v, p, g, one))
			s.pendingOffsets(g, "pending")
			s.refusedProducers(p, func(label string, q *producer) {
				s.send("ongoing, "+label, s.txnCommitReq(v, q, g, one))
			})
			s.send("empty group", s.txnCommitReq(v, p, "", one))
			s.send("another group", s.txnCommitReq(v, p, g+"-other", one))
			s.send("unknown topic", s.txnCommitReq(v, p, g, one, commit{"toc-none", 0, 1, ""}))
			s.send("unknown partition", s.txnCommitReq(v, p, g, one, commit{"toc", 2, 1, ""}))
			s.send("metadata", s.txnCommitReq(v, p, g, commit{"toc", 1, 1, strings.Repeat("m", 4097)}))
			s.send("nothing", s.txnCommitReq(v, p, g))
			if v >= 3 {
				s.txnMembers(v, p, g, "no members")
			}
			s.send("plain commit beside it", s.commitReq(8, g, commit{"toc", 0, 3, "plain"}))
			s.pendingOffsets(g, "a plain one beside it")
			p.ended(s.send("commit", p.endReq(3, true)))
			s.settled(p.id)
			s.pendingOffsets(g, "committed")
			s.send("after the end", s.txnCommitReq(v, p, g, commit{"toc", 0, 8, ""}))
			s.send("add", addOffsetsReq(3, p, g))
			s.send("next", s.txnCommitReq(v, p, g, commit{"toc", 1, 9, ""}))
			s.pendingOffsets(g, "next")
			s.send("aborts", p.endReq(3, false))
			s.settled(p.id)
			s.pendingOffsets(g, "aborted")
			s.show("at the end", g)
		}
	})
}

// pendingOffsets records offsets with and without requireStable.
func (s *side) pendingOffsets(group, label string) {
	topic := group[:3]
	for _, v := range []int16{6, 7, 9} {
		s.send(label, s.offsetsReq(v, group, topic))
		if v >= 7 {
			req := s.offsetsReq(v, group, topic)
			req.RequireStable = true
			s.send(label+", stable", req)
			all := s.offsetsReq(v, group)
			all.RequireStable = true
			s.send(label+", all that are stable", all)
		}
	}
}

// txnMembers tries members and generations (KIP-447).
func (s *side) txnMembers(v int16, p *producer, group, label string, ids ...string) {
	for _, id := range append(ids, "", "nobody") {
		for _, gen := range []int32{-1, 0, 1, 2} {
			req := s.txnCommitReq(v, p, group, commit{group[:3], 1, int64(gen), label})
			req.MemberID, req.Generation = id, gen
			s.send(s.names.uuidsIn(label+": member "+id+" generation "+plain32(gen)), req)
			req.InstanceID = ptr("i0")
			s.send(s.names.uuidsIn(label+": static member "+id+" generation "+plain32(gen)), req)
		}
	}
}

// TestTxnOffsetMembers covers members, zombies and static members in each state of their group.
func TestTxnOffsetMembers(t *testing.T) {
	compare(t, func(s *side) {
		s.create("tom", 2)
		for v := int16(3); v <= 6; v++ {
			g := "tom" + plainInt(v)
			s.coordinated(g)
			ids := s.formStatic(g, 1)
			dynamic := s.form(g+"-d", 2)
			p := s.transactional(g)
			s.send("add", addOffsetsReq(3, p, g))
			s.send("add", addOffsetsReq(3, p, g+"-d"))
			s.txnMembers(v, p, g, "stable", ids[0])
			s.txnMembers(v, p, g+"-d", "stable", dynamic[0])
			a, b := s.peer("a"), s.peer("b")
			a.post(joinReq(5, g+"-d", dynamic[0]))
			s.until(g+"-d", "PreparingRebalance", 2)
			s.txnMembers(v, p, g+"-d", "preparing", dynamic[0], dynamic[1])
			b.post(joinReq(5, g+"-d", dynamic[1]))
			a.await("both")
			b.await("both")
			s.txnMembers(v, p, g+"-d", "completing", dynamic[0])
			s.pendingOffsets(g, "pending")
			s.send("delete a group with pending offsets", func() kmsg.Request {
				req := at(kmsg.NewPtrDeleteGroupsRequest(), 2)
				req.Groups = []string{g}
				return req
			}())
			s.send("leave", leaveReq(3, g, ids[0]))
			del := at(kmsg.NewPtrDeleteGroupsRequest(), 2)
			del.Groups = []string{g}
			s.send("delete an empty group with pending offsets", del)
			s.send("commit", p.endReq(3, true))
			s.settled(p.id)
			s.pendingOffsets(g, "committed")
			s.pendingOffsets(g+"-d", "committed")
		}
	})
}
