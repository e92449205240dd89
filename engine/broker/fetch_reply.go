package broker

import (
	"cmp"
	"math"
	"slices"

	"sluice/netpoll"
	"sluice/wire"
)

// reply answers the request with what is planned, or with a top-level error and nothing else.
func (op *fetchOp) reply(code int16) {
	r := op.r
	chain := r.begin()
	id := int32(0)
	if code == wire.CodeNone {
		id = op.publish()
	}
	op.leaveOut()
	chain.Buf = wire.AppendFetchResponseStart(
		chain.Buf, op.version, 0, code, id, op.topicRuns())
	op.appendParts(chain)
	chain.Buf = wire.AppendFetchResponseEnd(chain.Buf, op.version, op.endpoints())
	r.fetched(op.bytes)
	op.planned = op.planned[:0]
	op.bytes = 0
	if cap(op.planned) > privatePartsKeepMax {
		op.planned = nil
	}
	op.finish()
	if chain.Len() > math.MaxInt32 {
		r.b.refuse(r, r.header, errTooLarge)
		return
	}
	r.respond()
}

// publish gives a new session its id. The answer to the request that made it is the last full one.
func (op *fetchOp) publish() (id int32) {
	s := op.session
	if s == nil || s == &op.private {
		return 0
	}
	if s.id == 0 && s.full {
		_, evicted := op.r.b.sessions.insert(s, op.r.conn.Loop().NowNs())
		if evicted != nil {
			evicted.drop()
		}
	}
	return s.id
}

// leaveOut drops, from an incremental answer, partitions without news, notes what the client is told
// of the others, and leaves those dirty that have more to give.
func (op *fetchOp) leaveOut() {
	s := op.session
	if s == nil {
		op.planned = op.planned[:0]
		return
	}
	if s.full && s != &op.private {
		op.reorder()
	}
	op.leaveHungry()
	kept := op.planned[:0]
	for i := range op.planned {
		pl := op.planned[i]
		p, a := pl.part, &pl.answer
		if pl.news && a.ErrorCode == wire.CodeNone {
			p.toldHighWatermark, p.toldStart = a.HighWatermark, a.LogStartOffset
		}
		if a.ErrorCode != wire.CodeNone || a.RecordsBytes > 0 {
			if s != &op.private {
				s.redirty(p)
			}
		}
		if pl.news || s.full {
			kept = append(kept, pl)
		}
	}
	op.planned = kept
	if s.full && op.failed {
		op.unknownLast()
	}
	if s.id != 0 {
		s.full = false
	}
}

// leaveHungry leaves partitions dirty whose records found no room, ahead of those that gave records.
func (op *fetchOp) leaveHungry() {
	if op.session == &op.private {
		return
	}
	for i := range op.planned {
		if op.planned[i].more {
			op.session.redirty(op.planned[i].part)
		}
	}
}

// reorder empties a new session's dirty list for its first incremental request: what it takes up
// again stands in the order of leaveHungry.
func (op *fetchOp) reorder() {
	op.session.take()
	for i := range op.planned {
		if pl := &op.planned[i]; pl.answer.RecordsBytes == 0 {
			op.session.redirty(pl.part)
		}
	}
}

// unknownLast moves partitions that do not exist behind the others, where a full answer of Kafka's
// has them.
func (op *fetchOp) unknownLast() {
	slices.SortStableFunc(op.planned, func(a, b plannedPart) int {
		return cmp.Compare(unknownRank(&a), unknownRank(&b))
	})
}

func unknownRank(pl *plannedPart) int {
	if pl.part.replica == nil {
		return 1
	}
	return 0
}

// topicRuns counts the runs of partitions of the same topic: what the answer lists as topics.
func (op *fetchOp) topicRuns() int {
	n := 0
	for i := range op.planned {
		if i == 0 || !sameTopic(op.planned[i-1].part, op.planned[i].part) {
			n++
		}
	}
	return n
}

func sameTopic(a, b *fetchPart) bool {
	return a.key.id == b.key.id && a.key.name == b.key.name
}

// appendParts appends the planned partitions; their files go over to the chain.
func (op *fetchOp) appendParts(chain *netpoll.Chain) {
	for from := 0; from < len(op.planned); {
		to := from + 1
		for to < len(op.planned) && sameTopic(op.planned[from].part, op.planned[to].part) {
			to++
		}
		key := &op.planned[from].part.key
		chain.Buf = wire.AppendFetchTopicStart(
			chain.Buf, op.version, bytesOf(key.name), key.id, to-from)
		for i := from; i < to; i++ {
			op.appendPart(chain, &op.planned[i])
		}
		chain.Buf = wire.AppendFetchTopicEnd(chain.Buf, op.version)
		from = to
	}
}

func (op *fetchOp) appendPart(chain *netpoll.Chain, pl *plannedPart) {
	op.r.erred(pl.answer.ErrorCode)
	chain.Buf = wire.AppendFetchPartition(chain.Buf, op.version, &pl.answer)
	if pl.file != nil {
		chain.Region(pl.file, pl.position, int64(pl.answer.RecordsBytes))
		pl.part.replica.topic.metrics.bytesOut.Add(int(pl.answer.RecordsBytes))
	}
	chain.Buf = wire.AppendFetchPartitionEnd(chain.Buf, op.version, &pl.answer)
	*pl = plannedPart{}
}

// endpoints lists where the leaders named in the answer listen (KIP-951).
func (op *fetchOp) endpoints() []wire.NodeEndpoint {
	if !op.leaders {
		return nil
	}
	return op.r.b.ownEndpoint(op.r.conn.Listener())
}
