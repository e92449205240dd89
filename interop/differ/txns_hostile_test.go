//go:build interop

package differ

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestTxnOdd covers ids and epochs at the ends of their ranges in every request of a producer.
func TestTxnOdd(t *testing.T) {
	compare(t, func(s *side) {
		s.create("todd", 1)
		s.coordinated("todd")
		p := s.transactional("todd")
		for _, pid := range []int64{-1 << 63, -2, -1, 0, 1<<63 - 1, p.pid} {
			for _, epoch := range []int16{-1 << 15, -2, -1, 0, 1, 32766, 32767} {
				if pid == p.pid && epoch == p.epoch {
					continue
				}
				q := &producer{p.id, pid, epoch}
				name := fmt.Sprint(pid)
				if pid == p.pid {
					name = "its own"
				}
				label := fmt.Sprintf("id %s epoch %d", name, epoch)
				s.send(label, with(initReq(5, p.id), pid, epoch))
				s.send(label, q.addReq(3, "todd"))
				s.send(label, addOffsetsReq(3, q, "todd"))
				s.send(label, q.endReq(3, false))
				s.send(label, q.endReq(5, true))
				s.send(label, s.txnCommitReq(5, q, "todd", commit{"todd", 0, 1, ""}))
				s.produceTxn(label, 12, q, "todd", q.batch(0, 1))
				s.produceTxn(label+" in the old protocol", 9, q, "todd", q.batch(0, 1))
				s.showTxn(label, p.id)
			}
		}
		s.end("nothing was written", "todd")
	})
}

// TestTxnManyPartitions adds a topic's hundred partitions and ends.
func TestTxnManyPartitions(t *testing.T) {
	compare(t, func(s *side) {
		s.create("tmany", 100)
		p := s.transactional("tmany")
		req := p.addReq(3, "tmany")
		req.Topics[0].Partitions = nil
		for i := range int32(100) {
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, i, i)
		}
		s.send("each partition twice", req)
		s.showTxn("each partition", p.id)
		for i := range 300 {
			t := kmsg.NewAddPartitionsToTxnRequestTopic()
			t.Topic, t.Partitions = fmt.Sprint("tmany-none", i), []int32{0}
			req.Topics = append(req.Topics, t)
		}
		s.send("and many that are not there", req)
		s.send("commit", p.endReq(3, true))
		s.showTxn("committed", p.id)
		s.send("a marker is in each", listReq(7, "tmany", -1, 0, 50, 99))
	})
}
