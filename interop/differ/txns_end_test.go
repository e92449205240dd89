//go:build interop

package differ

import (
	"fmt"
	"testing"
)

// TestTxnEnd covers EndTxn in each version: of nothing, once, twice, the opposite, by strangers.
// Version 5 ends with a new epoch (KIP-890).
func TestTxnEnd(t *testing.T) {
	compare(t, func(s *side) {
		s.create("te", 1)
		for v := int16(0); v <= 5; v++ {
			for _, commit := range []bool{true, false} {
				s.endings(v, commit)
			}
		}
	})
}

func (s *side) endings(v int16, commit bool) {
	how := map[bool]string{true: " commit", false: " abort"}
	p := s.transactional(fmt.Sprintf("te%d%v", v, commit))
	s.refusedProducers(p, func(label string, q *producer) {
		s.send(label+how[commit], q.endReq(v, commit))
	})
	p.ended(s.send("nothing"+how[commit], p.endReq(v, commit)))
	s.showTxn("nothing"+how[commit], p.id)
	p.ended(s.send("nothing"+how[!commit], p.endReq(v, !commit)))
	s.showTxn("nothing"+how[!commit], p.id)
	for round := range 2 {
		label := fmt.Sprintf("round %d:", round)
		s.send(label+" add", p.addReq(3, "te"))
		s.refusedProducers(p, func(label string, q *producer) {
			s.send("ongoing, "+label+how[commit], q.endReq(v, commit))
		})
		before := *p
		p.ended(s.send(label+how[commit], p.endReq(v, commit)))
		s.showTxn(label+how[commit], p.id)
		s.send(label+" the request again", before.endReq(v, commit))
		s.send(label+" its opposite", before.endReq(v, !commit))
		s.send(label+" older epoch", before.off(0, -1).endReq(v, commit))
		s.send(label+" again by an old client", before.endReq(3, commit))
		s.settled(p.id)
		p.ended(s.send(label+" with what it was told,"+how[commit], p.endReq(v, commit)))
		s.showTxn(label+" with what it was told", p.id)
		p.ended(s.send(label+" with what it was told,"+how[!commit], p.endReq(v, !commit)))
		s.showTxn(label+" with what it was told, otherwise", p.id)
		s.settled(p.id)
	}
}

// TestTxnMixedVersions: a producer may go from the old protocol to the new one and back.
func TestTxnMixedVersions(t *testing.T) {
	compare(t, func(s *side) {
		s.create("tm", 1)
		p := s.transactional("tm")
		for i, v := range []int16{3, 5, 4, 5, 5, 0, 5, 3} {
			label := fmt.Sprintf("%d. ", i)
			produce := int16(11)
			if v >= 5 {
				produce = 12
			} else {
				s.send(label+"add", p.addReq(3, "tm"))
			}
			s.produceTxn(label+"produce", produce, p, "tm", p.batch(int32(i), 1))
			s.produceTxn(label+"produce from 0", produce, p, "tm", p.batch(0, 1))
			s.showTxn(label+"ongoing", p.id)
			p.ended(s.send(label+"end", p.endReq(v, i%2 == 0)))
			s.showTxn(label+"ended", p.id)
			s.send(label+"producers", producersReq("tm", 0))
		}
		s.end("kept", "tm")
		req := s.fetchReq(12, part{topic: "tm"})
		req.IsolationLevel = 1
		s.send("read committed", req)
	})
}
