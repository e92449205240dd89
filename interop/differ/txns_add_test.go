//go:build interop

package differ

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestTxnAddPartitions covers clients' requests, versions 0 to 3.
func TestTxnAddPartitions(t *testing.T) {
	compare(t, func(s *side) {
		s.create("ta", 2)
		s.create("ta2", 1)
		for v := int16(0); v <= 3; v++ {
			p := s.transactional("ta" + plainInt(v))
			s.refusedProducers(p, func(label string, q *producer) {
				s.send(label, q.addReq(v, "ta"))
				s.send(label+", unknown topic", q.addReq(v, "ta", "ta-none"))
			})
			s.send("nothing", p.addReq(v))
			s.showTxn("nothing", p.id)
			s.send("unknown topic", p.addReq(v, "ta", "ta-none", "ta2"))
			odd := p.addReq(v, "ta")
			odd.Topics[0].Partitions = []int32{0, 2, -1}
			s.send("unknown partitions", odd)
			s.showTxn("unknown", p.id)
			s.send("one", p.addReq(v, "ta"))
			s.showTxn("one", p.id)
			s.send("the same again", p.addReq(v, "ta"))
			s.send("two", p.addReq(v, "ta", "ta2"))
			twice := p.addReq(v, "ta", "ta")
			twice.Topics[0].Partitions = []int32{1, 1}
			s.send("twice", twice)
			s.send("invalid name", p.addReq(v, "t a"))
			s.send("empty name", p.addReq(v, ""))
			s.send("internal", p.addReq(v, "__consumer_offsets"))
			s.showTxn("all", p.id)
			s.send("without partitions", func() kmsg.Request {
				req := p.addReq(v, "ta2")
				req.Topics[0].Partitions = nil
				return req
			}())
			s.send("aborts", p.endReq(3, false))
			s.showTxn("aborted", p.id)
			s.send("after the end", p.addReq(v, "ta2"))
			s.showTxn("the next", p.id)
		}
	})
}

// refusedProducers tries producers that are not who they say.
func (s *side) refusedProducers(p *producer, try func(label string, q *producer)) {
	for _, c := range []struct {
		label string
		q     *producer
	}{
		{"unknown transactional id", &producer{"nobody", p.pid, p.epoch}},
		{"empty transactional id", &producer{"", p.pid, p.epoch}},
		{"another producer id", p.off(1000, 0)},
		{"producer id -1", &producer{p.id, -1, p.epoch}},
		{"old epoch", p.off(0, -1)},
		{"next epoch", p.off(0, 1)},
		{"epoch -1", &producer{p.id, p.pid, -1}},
		{"epoch of the future", &producer{p.id, p.pid, 32767}},
	} {
		try(c.label, c.q)
	}
}

// TestTxnAddBatched covers versions 4 and 5, which brokers send: many transactions, and verifying.
func TestTxnAddBatched(t *testing.T) {
	compare(t, func(s *side) {
		s.create("tb", 2)
		s.create("tb2", 1)
		for v := int16(4); v <= 5; v++ {
			p, q := s.transactional("tb"+plainInt(v)), s.transactional("tbq"+plainInt(v))
			ask := func(label string, txns ...kmsg.AddPartitionsToTxnRequestTransaction) {
				req := at(kmsg.NewPtrAddPartitionsToTxnRequest(), v)
				req.Transactions = txns
				s.send(label, req)
			}
			s.wait = time.Second
			ask("nothing")
			s.wait = answerWait
			s.refusedProducers(p, func(label string, r *producer) {
				ask(label+", verifying", r.part(true, "tb"))
				ask(label, r.part(false, "tb"))
			})
			for _, verify := range []bool{true, false} {
				how := fmt.Sprintf(", verifying %v", verify)
				ask("not in it"+how, p.part(verify, "tb"))
				ask("in it now"+how, p.part(true, "tb"))
				ask("two, one of them new"+how, p.part(verify, "tb", "tb2"))
				ask("unknown topic"+how, p.part(verify, "tb", "tb-none"))
				ask("no topic"+how, p.part(verify))
				ask("two transactions"+how, p.part(verify, "tb"), q.part(verify, "tb"))
				ask("one twice"+how, p.part(verify, "tb"), p.part(!verify, "tb2"))
				ask("two, one unknown"+how, p.off(7, 0).part(verify, "tb"), q.part(verify, "tb2"))
			}
			s.showTxn("p", p.id)
			s.showTxn("q", q.id)
			s.send("commits", p.endReq(3, true))
			s.settled(p.id)
			ask("after the end, verifying", p.part(true, "tb"))
			s.send("aborts", q.endReq(5, false))
			s.settled(q.id)
			ask("after the end of version 5, verifying", q.part(true, "tb"))
			ask("after the end of version 5", q.part(false, "tb"))
			ask("with its new epoch", q.off(0, 1).part(false, "tb"))
			s.showTxn("the next", q.id)
		}
	})
}

// TestTxnAddOffsets covers AddOffsetsToTxn in each version.
func TestTxnAddOffsets(t *testing.T) {
	compare(t, func(s *side) {
		s.coordinated("tao")
		for v := int16(0); v <= 4; v++ {
			p := s.transactional("tao" + plainInt(v))
			s.refusedProducers(p, func(label string, q *producer) {
				s.send(label, addOffsetsReq(v, q, "tao"))
			})
			s.send("empty group id", addOffsetsReq(v, p, ""))
			s.showTxn("before", p.id)
			s.send("a group", addOffsetsReq(v, p, "tao"))
			s.send("the same", addOffsetsReq(v, p, "tao"))
			s.send("unknown group", addOffsetsReq(v, p, "tao-none"))
			s.showTxn("ongoing", p.id)
			s.send("commits", p.endReq(3, true))
			s.showTxn("committed", p.id)
		}
	})
}
