//go:build interop

package differ

import (
	"testing"
)

// TestTxnProduce covers transactional batches in versions around KIP-890: before it, with its errors,
// with its protocol, and with topic ids.
func TestTxnProduce(t *testing.T) {
	compare(t, func(s *side) {
		for v := int16(3); v <= 13; v++ {
			topic := "tp" + plainInt(v)
			s.create(topic, 1)
			p := s.transactional(topic)
			other := s.transactional(topic + "-other")
			s.refusedProducers(p, func(label string, q *producer) {
				s.produceTxn(label, v, q, topic, q.batch(0, 1))
			})
			s.showTxn("refused", p.id)
			s.produceTxn("not from 0", v, p, topic, p.batch(5, 1))
			s.showTxn("not from 0", p.id)
			s.produceTxn("not added", v, p, topic, p.batch(0, 2))
			s.showTxn("not added", p.id)
			s.send("add", p.addReq(3, topic))
			s.produceTxn("added", v, p, topic, p.batch(0, 2))
			s.produceTxn("the same again", v, p, topic, p.batch(0, 2))
			s.produceTxn("next", v, p, topic, p.batch(2, 1))
			s.produceTxn("gap", v, p, topic, p.batch(7, 1))
			s.refusedProducers(p, func(label string, q *producer) {
				s.produceTxn("ongoing, "+label, v, q, topic, q.batch(3, 1))
			})
			s.send("no transactional id", s.produceReq(v, -1, topic, 0, p.batch(3, 1)))
			s.produceTxn("a batch that is not transactional", v, p, topic, idem(p.pid, p.epoch, 3, 1))
			s.produceTxn("a plain batch", v, p, topic, good(1).build())
			s.produceTxn("another's id", v, other, topic, p.batch(3, 1))
			control := good(1)
			control.idem, control.pid, control.epoch, control.seq = true, p.pid, p.epoch, 3
			control.attrs = 0x30
			s.produceTxn("a control batch", v, p, topic, control.build())
			s.produceTxn("missing topic", v, p, "tp-missing", p.batch(0, 1))
			acks := s.produceReq(v, 1, topic, 0, p.batch(3, 1))
			acks.TransactionID = &p.id
			s.send("acks 1", acks)
			s.send("producers, ongoing", producersReq(topic, 0))
			p.ended(s.send("commit", p.endReq(3, true)))
			s.settled(p.id)
			s.send("producers, committed", producersReq(topic, 0))
			s.produceTxn("after the end", v, p, topic, p.batch(4, 1))
			s.showTxn("after the end", p.id)
			s.send("next transaction", p.addReq(3, topic))
			s.produceTxn("next transaction", v, p, topic, p.batch(5, 1))
			s.produceTxn("next transaction again", v, p, topic, p.batch(4, 1))
			s.send("fences", initReq(4, p.id))
			s.settled(p.id)
			s.produceTxn("fenced", v, p, topic, p.batch(5, 1))
			s.produceTxn("fenced, from 0", v, p, topic, p.batch(0, 1))
			s.send("producers, fenced", producersReq(topic, 0))
			s.send("what is there", s.fetchReq(12, part{topic: topic}))
			s.end("end", topic)
		}
	})
}

// TestTxnFetch covers what a reader of committed records sees, and where (KIP-98).
func TestTxnFetch(t *testing.T) {
	compare(t, func(s *side) {
		s.create("tf", 1)
		a, b, c := s.transactional("tf-a"), s.transactional("tf-b"), s.transactional("tf-c")
		s.fill("tf", 0, 1, 2)
		s.readers("plain only")
		s.produceTxn("a", 12, a, "tf", a.batch(0, 2))
		s.readers("a is open")
		s.produceTxn("b", 12, b, "tf", b.batch(0, 3))
		s.fill("tf", 0, 1, 1)
		s.produceTxn("a again", 12, a, "tf", a.batch(2, 1))
		s.readers("a and b are open")
		s.send("a aborts", a.endReq(5, false))
		s.settled(a.id)
		s.readers("a has aborted, b is open")
		s.produceTxn("c", 12, c, "tf", c.batch(0, 1))
		b.ended(s.send("b commits", b.endReq(5, true)))
		s.settled(b.id)
		s.readers("b has committed, c is open")
		s.produceTxn("b", 12, b, "tf", b.batch(0, 1))
		s.send("c aborts", c.endReq(5, false))
		s.settled(c.id)
		s.readers("c has aborted, b is open")
		s.send("b aborts", b.endReq(5, false))
		s.settled(b.id)
		s.readers("none is open")
		for v := int16(4); v <= 18; v++ {
			for offset := range int64(16) {
				req := s.fetchReq(v, part{topic: "tf", offset: offset})
				req.IsolationLevel = 1
				s.send("read committed from "+plain32(int32(offset)), req)
				req.Topics[0].Partitions[0].PartitionMaxBytes = 1
				s.send("one batch, read committed from "+plain32(int32(offset)), req)
			}
		}
	})
}

// readers records a fetch and offsets at both isolation levels.
func (s *side) readers(label string) {
	for _, level := range []int8{0, 1} {
		for _, offset := range []int64{0, 2, 5, 9} {
			for _, v := range []int16{4, 11, 13, 17} {
				req := s.fetchReq(v, part{topic: "tf", offset: offset})
				req.IsolationLevel = level
				s.send(label+", level "+plainInt(int16(level))+" from "+plain32(int32(offset)), req)
			}
		}
		for v := int16(2); v <= 11; v++ {
			for _, ts := range []int64{-1, -2, -3, base, base + 1} {
				req := listReq(v, "tf", ts, 0)
				req.IsolationLevel = level
				s.send(label+", level "+plainInt(int16(level))+" time "+s.names.clock(ts), req)
			}
		}
	}
}
