//go:build interop

package differ

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// inited takes over what InitProducerId says.
func (p *producer) inited(resp kmsg.Response) {
	if r, ok := resp.(*kmsg.InitProducerIDResponse); ok && r.ErrorCode == 0 {
		p.pid, p.epoch = r.ProducerID, r.ProducerEpoch
	}
}

// TestTxnInit covers InitProducerId with a transactional id in each version: timeouts, fencing, and
// what a producer says of itself (KIP-360).
func TestTxnInit(t *testing.T) {
	compare(t, func(s *side) {
		s.create("ti", 1)
		for v := int16(0); v <= 5; v++ {
			p := s.transactional("ti" + plainInt(v))
			s.showTxn("fresh", p.id)
			p.inited(s.send("again", initReq(v, p.id)))
			for _, ms := range []int32{-1, 0, 1, 900_000, 900_001, 1<<31 - 1} {
				req := initReq(v, p.id)
				req.TransactionTimeoutMillis = ms
				p.inited(s.send("timeout "+plain32(ms), req))
			}
			s.showTxn("after timeouts", p.id)
			if v >= 3 {
				s.initWith(v, p)
			}
			p.inited(s.send("at last", initReq(v, p.id)))
			s.send("adds", p.addReq(3, "ti"))
			s.showTxn("ongoing", p.id)
			old := *p
			s.send("while ongoing", initReq(v, p.id))
			s.settled(p.id)
			s.showTxn("aborted", p.id)
			s.send("fenced", old.addReq(3, "ti"))
			p.inited(s.send("after the abort", initReq(v, p.id)))
			s.send("ends nothing", p.endReq(3, false))
			s.send("adds", p.addReq(3, "ti"))
			p.ended(s.send("commits", p.endReq(3, true)))
			s.settled(p.id)
			p.inited(s.send("after a commit", initReq(v, p.id)))
			s.showTxn("after a commit", p.id)
		}
	})
}

// initWith covers ids and epochs that are, were or never were the producer's.
func (s *side) initWith(v int16, p *producer) {
	p.inited(s.send("now", initReq(v, p.id)))
	first := *p
	p.inited(s.send("its own id and epoch", with(initReq(v, p.id), p.pid, p.epoch)))
	p.inited(s.send("the same again, a retry", with(initReq(v, p.id), first.pid, first.epoch)))
	p.inited(s.send("the newest", with(initReq(v, p.id), p.pid, p.epoch)))
	s.send("two epochs ago", with(initReq(v, p.id), first.pid, first.epoch))
	s.send("next epoch", with(initReq(v, p.id), p.pid, p.epoch+1))
	s.send("another id", with(initReq(v, p.id), p.pid+500, p.epoch))
	s.send("an id only", with(initReq(v, p.id), p.pid, -1))
	s.send("an epoch only", with(initReq(v, p.id), -1, p.epoch))
	s.send("id -2", with(initReq(v, p.id), -2, 0))
	s.send("epoch -2", with(initReq(v, p.id), p.pid, -2))
	s.send("an unknown transactional id", with(initReq(v, p.id+"-new"), p.pid, p.epoch))
	s.showTxn("an unknown transactional id", p.id+"-new")
	s.send("highest epoch", with(initReq(v, p.id), p.pid, 32767))
	s.send("adds", p.addReq(3, "ti"))
	s.send("next epoch while ongoing", with(initReq(v, p.id), p.pid, p.epoch+1))
	s.settled(p.id)
	s.showTxn("aborted by a next epoch", p.id)
	p.inited(s.send("its own after that", with(initReq(v, p.id), p.pid, p.epoch)))
	s.send("adds", p.addReq(3, "ti"))
	s.send("its own while ongoing", with(initReq(v, p.id), p.pid, p.epoch))
	s.settled(p.id)
	s.showTxn("aborted by its own", p.id)
	p.inited(s.send("its own after that", with(initReq(v, p.id), p.pid, p.epoch)))
	s.showTxn("its own after that", p.id)
}

// TestTxnIDs covers transactional ids that nobody would choose.
func TestTxnIDs(t *testing.T) {
	compare(t, func(s *side) {
		s.transactional("ids")
		for _, id := range []string{
			"", " ", "ä€𝄞", "\x00", strings.Repeat("x", 249), strings.Repeat("y", 1000),
		} {
			label := id[:min(len(id), 4)]
			for _, v := range []int16{0, 2, 5} {
				s.send("id "+label, initReq(v, id))
			}
			if id != "" {
				s.showTxn("id "+label, id)
			}
		}
	})
}
