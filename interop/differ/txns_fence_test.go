//go:build interop

package differ

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestTxnTimeout: a transaction that takes too long is aborted and its producer fenced, in the words of
// each request (KIP-588 made old epochs abortable rather than fatal).
func TestTxnTimeout(t *testing.T) {
	compare(t, func(s *side) {
		s.create("tto", 1)
		s.coordinated("tto")
		for v := int16(0); v <= 5; v++ {
			p := s.transactional("tto" + plainInt(v))
			req := initReq(v, p.id)
			req.TransactionTimeoutMillis = 50
			p.inited(s.send("short", req))
			if v%2 == 0 {
				s.send("add", p.addReq(3, "tto"))
				s.produceTxn("produce", 11, p, "tto", p.batch(0, 1))
			} else {
				s.produceTxn("produce", 12, p, "tto", p.batch(0, 1))
			}
			s.retry("the abort of "+p.id, func() bool { return s.txnState(p.id).State == "CompleteAbort" })
			s.showTxn("timed out", p.id)
			s.send("producers", producersReq("tto", 0))
			for w := int16(0); w <= 5; w++ {
				s.send("too late to commit", p.endReq(w, true))
				s.send("too late to abort", p.endReq(w, false))
				if w <= 3 {
					s.send("too late to add", p.addReq(w, "tto"))
				}
			}
			s.send("too late for offsets", addOffsetsReq(4, p, "tto"))
			s.send("too late for offsets", s.txnCommitReq(5, p, "tto", commit{"tto", 0, 1, ""}))
			for _, w := range []int16{9, 11, 12} {
				s.produceTxn("too late", w, p, "tto", p.batch(1, 1))
			}
			if v >= 3 {
				p.inited(s.send("comes back with what it was", with(initReq(v, p.id), p.pid, p.epoch)))
			}
			p.inited(s.send("comes back", initReq(v, p.id)))
			s.showTxn("comes back", p.id)
		}
		req := s.fetchReq(12, part{topic: "tto"})
		req.IsolationLevel = 1
		s.send("read committed", req)
	})
}

// TestTxnExhausted: when a producer's epochs are used up it gets another id, by InitProducerId, by a
// fence, and by the end of a transaction (KIP-360, KIP-890).
func TestTxnExhausted(t *testing.T) {
	compare(t, func(s *side) {
		s.create("tx", 1)
		for _, c := range []struct {
			how  string
			last int16
		}{
			{"init", 32765},
			{"end", 32765},
			{"fence", 32764},
		} {
			p := s.transactional("tx-" + c.how)
			for p.epoch < c.last {
				p.inited(must[*kmsg.InitProducerIDResponse](s, with(initReq(5, p.id), p.pid, p.epoch)))
			}
			for range 4 {
				s.showTxn(c.how, p.id)
				before := *p
				switch c.how {
				case "init":
					p.inited(s.send("init", with(initReq(5, p.id), p.pid, p.epoch)))
				case "end":
					s.produceTxn("produce", 12, p, "tx", p.batch(0, 1))
					p.ended(s.send("end", p.endReq(5, true)))
					s.settled(p.id)
				default:
					s.send("add", p.addReq(3, "tx"))
					s.send("fence", initReq(5, p.id))
					s.settled(p.id)
					s.showTxn("fenced", p.id)
					p.inited(s.send("init", initReq(5, p.id)))
				}
				s.send("the same again", with(initReq(5, p.id), before.pid, before.epoch))
				s.showTxn("the same again", p.id)
				p.pid, p.epoch = s.txnState(p.id).ProducerID, s.txnState(p.id).ProducerEpoch
			}
		}
	})
}
