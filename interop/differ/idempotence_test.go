//go:build interop

package differ

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// pid gets a fresh producer id.
func (s *side) pid() int64 {
	req := at(kmsg.NewPtrInitProducerIDRequest(), 4)
	req.TransactionTimeoutMillis = 60_000
	req.ProducerID, req.ProducerEpoch = -1, -1
	for deadline := time.Now().Add(answerWait); time.Now().Before(deadline); {
		if resp := must[*kmsg.InitProducerIDResponse](s, req); resp.ErrorCode == 0 {
			return resp.ProducerID
		}
		time.Sleep(20 * time.Millisecond)
	}
	panic("no producer id")
}

// TestInitProducerID covers the idempotent form in each version.
func TestInitProducerID(t *testing.T) {
	compare(t, func(s *side) {
		s.pid()
		for v := int16(0); v <= 5; v++ {
			req := at(kmsg.NewPtrInitProducerIDRequest(), v)
			req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = 60_000, -1, -1
			s.send("fresh", req)
			req.TransactionTimeoutMillis = 0
			s.send("timeout 0", req)
			req.TransactionTimeoutMillis = -1
			s.send("timeout -1", req)
			if v >= 3 {
				req.ProducerID, req.ProducerEpoch = 5, 3
				s.send("with an id and epoch", req)
				req.ProducerID, req.ProducerEpoch = 5, -1
				s.send("with an id only", req)
				req.ProducerID, req.ProducerEpoch = -1, 3
				s.send("with an epoch only", req)
				req.ProducerID, req.ProducerEpoch = -1, -1
			}
			req.TransactionalID = ptr("")
			s.send("empty transactional id", req)
		}
	})
}

// idem is a batch of an idempotent producer.
func idem(pid int64, epoch int16, seq int32, n int) []byte {
	b := good(n)
	b.idem, b.pid, b.epoch, b.seq = true, pid, epoch, seq
	return b.build()
}

// TestIdempotence covers duplicates, gaps, epochs and the window of five batches.
func TestIdempotence(t *testing.T) {
	compare(t, func(s *side) {
		s.create("idem", 1)
		p := s.pid()
		send := func(label string, epoch int16, seq int32, n int) {
			s.produce(label, 9, "idem", idem(p, epoch, seq, n))
		}
		send("first", 0, 0, 3)
		send("duplicate", 0, 0, 3)
		send("same start, other count", 0, 0, 2)
		send("gap", 0, 5, 1)
		send("next", 0, 3, 2)
		for seq := int32(5); seq < 12; seq++ {
			send("batch "+plain32(seq), 0, seq, 1)
		}
		send("duplicate of the newest", 0, 11, 1)
		send("duplicate of the fifth newest", 0, 7, 1)
		send("duplicate of the sixth newest", 0, 6, 1)
		send("duplicate of the first", 0, 0, 3)
		send("overlapping the newest", 0, 11, 2)
		send("new epoch, not from 0", 1, 12, 1)
		send("new epoch from 0", 1, 0, 1)
		send("old epoch", 0, 12, 1)
		send("epoch two further", 3, 0, 1)
		send("old epoch again", 1, 1, 1)
		send("epoch -1", -1, 0, 1)
		send("sequence -2", 3, -2, 1)
		for v := int16(3); v <= 13; v++ {
			s.produce("duplicate", v, "idem", idem(p, 3, 0, 1))
			s.produce("gap", v, "idem", idem(p, 3, 99, 1))
			s.produce("old epoch", v, "idem", idem(p, 2, 0, 1))
		}
		s.send("acks 1, duplicate", s.produceReq(9, 1, "idem", 0, idem(p, 3, 0, 1)))
		s.fire("acks 0, duplicate", s.produceReq(9, 0, "idem", 0, idem(p, 3, 0, 1)))
		s.fire("acks 0, gap", s.produceReq(9, 0, "idem", 0, idem(p, 3, 50, 1)))
		s.end("kept", "idem")
	})
}

// TestIdempotenceStart covers producers that the partition has not seen, and the sequence's wrap.
func TestIdempotenceStart(t *testing.T) {
	compare(t, func(s *side) {
		s.create("idem-start", 2)
		const top = 2147483647
		p, q, r := s.pid(), s.pid(), s.pid()
		s.produce("unknown producer, sequence 7", 9, "idem-start", idem(p, 0, 7, 1))
		s.produce("then 8", 9, "idem-start", idem(p, 0, 8, 1))
		s.produce("near the top", 9, "idem-start", idem(q, 0, top-1, 1))
		s.produce("the top", 9, "idem-start", idem(q, 0, top, 1))
		s.produce("wrapped to 0", 9, "idem-start", idem(q, 0, 0, 1))
		s.produce("wrapped to 0 again", 9, "idem-start", idem(q, 0, 0, 1))
		s.produce("across the top", 9, "idem-start", idem(r, 0, top-1, 4))
		s.produce("across the top again", 9, "idem-start", idem(r, 0, top-1, 4))
		s.produce("after it", 9, "idem-start", idem(r, 0, 2, 1))
		s.produce("a producer id never given", 9, "idem-start", idem(123456789012, 4, 0, 1))
		s.produce("its next", 9, "idem-start", idem(123456789012, 4, 1, 1))
		bad := good(1)
		bad.idem, bad.pid, bad.epoch, bad.seq = true, p, 0, 9
		bad.bytes = func(b []byte) { b[20]++ }
		s.produce("next with a wrong CRC", 9, "idem-start", bad.build())
		s.produce("next", 9, "idem-start", idem(p, 0, 9, 1))
		s.send("read back", s.fetchReq(12, part{topic: "idem-start"}))
	})
}

// TestIdempotenceAfterDelete: deleting the records leaves the producer's state.
func TestIdempotenceAfterDelete(t *testing.T) {
	compare(t, func(s *side) {
		s.create("idem-del", 1)
		p := s.pid()
		s.produce("first", 9, "idem-del", idem(p, 0, 0, 3))
		s.send("delete all", deleteRecordsReq(2, "idem-del", 0, -1))
		s.produce("duplicate", 9, "idem-del", idem(p, 0, 0, 3))
		s.produce("next", 9, "idem-del", idem(p, 0, 3, 1))
		s.produce("gap", 9, "idem-del", idem(p, 0, 9, 1))
	})
}
