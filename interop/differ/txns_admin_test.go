//go:build interop

package differ

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func producersReq(topic string, partitions ...int32) *kmsg.DescribeProducersRequest {
	req := at(kmsg.NewPtrDescribeProducersRequest(), 0)
	t := kmsg.NewDescribeProducersRequestTopic()
	t.Topic, t.Partitions = topic, partitions
	req.Topics = append(req.Topics, t)
	return req
}

// TestDescribeProducers covers producers of each kind and partitions that are not there (KIP-664).
func TestDescribeProducers(t *testing.T) {
	compare(t, func(s *side) {
		s.create("dp", 2)
		s.send("nobody", producersReq("dp", 0, 1))
		s.fill("dp", 0, 1, 1)
		s.send("nobody with a name", producersReq("dp", 0))
		p := s.pid()
		s.produce("idempotent", 9, "dp", idem(p, 0, 0, 3))
		s.send("idempotent", producersReq("dp", 0))
		s.produce("idempotent", 9, "dp", idem(p, 0, 3, 1))
		x := s.transactional("dp")
		s.produceTxn("transactional", 12, x, "dp", x.batch(0, 2))
		s.send("transactional", producersReq("dp", 0, 0))
		x.ended(s.send("commit", x.endReq(5, true)))
		s.settled(x.id)
		s.send("committed", producersReq("dp", 0))
		s.send("partitions that are not there", producersReq("dp", 2, -1, 0))
		s.send("topic that is not there", producersReq("dp-none", 0))
		s.send("invalid topic", producersReq("d p", 0))
		s.send("empty topic", producersReq("", 0))
		s.send("internal topic", producersReq("__transaction_state", 7777))
		s.send("no partitions", producersReq("dp"))
		s.send("nothing", at(kmsg.NewPtrDescribeProducersRequest(), 0))
	})
}

// TestListTransactions covers filters: by state, producer id, duration (KIP-994) and pattern
// (KIP-1152).
func TestListTransactions(t *testing.T) {
	compare(t, func(s *side) {
		s.create("lt", 1)
		var pids []int64
		for _, name := range []string{"empty", "ongoing", "committed", "aborted", "open"} {
			p := s.transactional("lt-" + name)
			pids = append(pids, p.pid)
			if name != "empty" {
				s.send(name, p.addReq(3, "lt"))
			}
			if name == "committed" || name == "aborted" {
				s.send(name, p.endReq(3, name == "committed"))
				s.settled(p.id)
			}
		}
		for v := int16(0); v <= 2; v++ {
			list := func(label string, change func(*kmsg.ListTransactionsRequest)) {
				req := at(kmsg.NewPtrListTransactionsRequest(), v)
				change(req)
				s.mine(label, "lt-", req)
			}
			list("all", func(*kmsg.ListTransactionsRequest) {})
			for _, states := range [][]string{
				{"Ongoing"},
				{"ongoing"},
				{"Empty", "CompleteCommit"},
				{"CompleteAbort", "nonsense", "worse"},
				{"nonsense"},
				{""},
				{"PrepareCommit", "PrepareAbort", "PrepareEpochFence", "Dead"},
			} {
				list("states "+strings.Join(states, ","), func(r *kmsg.ListTransactionsRequest) {
					r.StateFilters = states
				})
			}
			for i, ids := range [][]int64{{pids[0]}, {pids[1], pids[2], pids[2]}, {-1}, {1 << 40}} {
				list("producer ids "+fmt.Sprint(i), func(r *kmsg.ListTransactionsRequest) {
					r.ProducerIDFilters = ids
				})
			}
			for _, ms := range []int64{-1, 0, 1, 3_600_000, 1<<63 - 1, -2} {
				list("duration "+fmt.Sprint(ms), func(r *kmsg.ListTransactionsRequest) {
					r.DurationFilterMillis = ms
				})
			}
			for _, pattern := range []string{
				"lt-.*", "lt", ".*open", "^lt-e", "lt-(empty|open)$", "", "[", "(?i)LT-OPEN", "a{2000}",
				`lt-\w+`, `\x{61}`, "(?=lt).*", "(a", `\p{L}*`, strings.Repeat("(", 200),
			} {
				list("pattern "+pattern, func(r *kmsg.ListTransactionsRequest) {
					r.TransactionalIDPattern = &pattern
				})
			}
		}
	})
}

// TestDescribeTransactions covers each state and ids that are not there.
func TestDescribeTransactions(t *testing.T) {
	compare(t, func(s *side) {
		s.create("dt", 3)
		s.transactional("dt-empty")
		p := s.transactional("dt-ongoing")
		add := p.addReq(3, "dt")
		add.Topics[0].Partitions = []int32{2, 0, 1}
		s.send("add", add)
		ask := func(label string, ids ...string) {
			req := at(kmsg.NewPtrDescribeTransactionsRequest(), 0)
			req.TransactionalIDs = ids
			s.send(label, req)
		}
		ask("nothing")
		ask("several", "dt-empty", "dt-ongoing", "dt-none", "", "dt-empty")
		s.send("commit", p.endReq(3, true))
		s.settled(p.id)
		ask("committed", "dt-ongoing")
	})
}

// TestWriteTxnMarkers covers what a coordinator, or an operator with a hanging transaction, sends.
func TestWriteTxnMarkers(t *testing.T) {
	compare(t, func(s *side) {
		s.coordinated("wm")
		for v := int16(1); v <= 2; v++ {
			topic := "wm" + plainInt(v)
			s.create(topic, 2)
			p := s.transactional(topic)
			mark := func(label string, q *producer, commit bool, coordinator int32, topics ...string) {
				req := at(kmsg.NewPtrWriteTxnMarkersRequest(), v)
				for _, version := range []int8{2, 1, 0}[:1+2*(v-1)] {
					m := kmsg.NewWriteTxnMarkersRequestMarker()
					m.ProducerID, m.ProducerEpoch, m.Committed = q.pid, q.epoch, commit
					m.CoordinatorEpoch, m.TransactionVersion = coordinator, version
					for _, name := range topics {
						x := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
						x.Topic, x.Partitions = name, []int32{0}
						m.Topics = append(m.Topics, x)
					}
					req.Markers = []kmsg.WriteTxnMarkersRequestMarker{m}
					s.send(fmt.Sprintf("%s, transaction version %d", label, version), req)
				}
				s.send(label, producersReq(topic, 0))
			}
			s.send("nothing", at(kmsg.NewPtrWriteTxnMarkersRequest(), v))
			mark("no topics", p, true, 0)
			mark("topic that is not there", p, true, 0, "wm-none", topic)
			mark("no transaction", p, false, 5, topic)
			mark("older coordinator", p, false, 3, topic)
			mark("same coordinator", p, false, 5, topic)
			s.produceTxn("produce", 12, p, topic, p.batch(0, 1))
			mark("old epoch", p.off(0, -1), false, 6, topic)
			mark("epoch -1", &producer{p.id, p.pid, -1}, false, 6, topic)
			mark("older coordinator while open", p, false, 4, topic)
			mark("its epoch", p, false, 6, topic)
			mark("next epoch", p.off(0, 1), false, 6, topic)
			s.produceTxn("after", 12, p, topic, p.batch(1, 1))
			mark("a stranger", p.off(90_000, 0), true, 0, topic)
			mark("offsets", p, true, 7, "__consumer_offsets")
			s.send("what is there", s.fetchReq(12, part{topic: topic}))
			s.showTxn("at the end", p.id)
		}
	})
}
