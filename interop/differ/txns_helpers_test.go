//go:build interop

package differ

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// producer is what a transactional producer knows of itself.
type producer struct {
	id    string
	pid   int64
	epoch int16
}

// initReq is an InitProducerId with a transactional id and no producer id.
func initReq(v int16, id string) *kmsg.InitProducerIDRequest {
	req := at(kmsg.NewPtrInitProducerIDRequest(), v)
	req.TransactionalID, req.TransactionTimeoutMillis = &id, 60_000
	req.ProducerID, req.ProducerEpoch = -1, -1
	return req
}

// transactional waits for the id's coordinator and gets its producer an epoch, recording nothing.
func (s *side) transactional(id string) *producer {
	p := &producer{id: id}
	s.retry("producer id for "+id, func() bool {
		find := at(kmsg.NewPtrFindCoordinatorRequest(), 3)
		find.CoordinatorKey, find.CoordinatorType = id, 1
		if must[*kmsg.FindCoordinatorResponse](s, find).ErrorCode != 0 {
			return false
		}
		resp := must[*kmsg.InitProducerIDResponse](s, initReq(4, id))
		p.pid, p.epoch = resp.ProducerID, resp.ProducerEpoch
		return resp.ErrorCode == 0
	})
	s.names.name("ProducerID", valueOf(p.pid), valueOf(struct{}{}))
	return p
}

// with is the request of a producer that knows its id and epoch (KIP-360).
func with(req *kmsg.InitProducerIDRequest, pid int64, epoch int16) *kmsg.InitProducerIDRequest {
	req.ProducerID, req.ProducerEpoch = pid, epoch
	return req
}

// txnState asks for a transaction, recording nothing.
func (s *side) txnState(id string) kmsg.DescribeTransactionsResponseTransactionState {
	req := at(kmsg.NewPtrDescribeTransactionsRequest(), 0)
	req.TransactionalIDs = []string{id}
	return must[*kmsg.DescribeTransactionsResponse](s, req).TransactionStates[0]
}

// settled waits until a transaction's markers are written.
func (s *side) settled(id string) {
	s.retry("the markers of "+id, func() bool {
		state := s.txnState(id).State
		return state != "PrepareCommit" && state != "PrepareAbort" && state != "PrepareEpochFence"
	})
}

// showTxn records a transaction's description, once its markers are written.
func (s *side) showTxn(label, id string) {
	s.settled(id)
	req := at(kmsg.NewPtrDescribeTransactionsRequest(), 0)
	req.TransactionalIDs = []string{id}
	s.send(label, req)
}

// addReq is a client's AddPartitionsToTxn before version 4, for partition 0 of each topic.
func (p *producer) addReq(v int16, topics ...string) *kmsg.AddPartitionsToTxnRequest {
	req := at(kmsg.NewPtrAddPartitionsToTxnRequest(), v)
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = p.id, p.pid, p.epoch
	for _, name := range topics {
		t := kmsg.NewAddPartitionsToTxnRequestTopic()
		t.Topic, t.Partitions = name, []int32{0}
		req.Topics = append(req.Topics, t)
	}
	return req
}

// part of a broker's AddPartitionsToTxn: partition 0 of each topic.
func (p *producer) part(verify bool, topics ...string) kmsg.AddPartitionsToTxnRequestTransaction {
	t := kmsg.NewAddPartitionsToTxnRequestTransaction()
	t.TransactionalID, t.ProducerID, t.ProducerEpoch = p.id, p.pid, p.epoch
	t.VerifyOnly = verify
	for _, name := range topics {
		x := kmsg.NewAddPartitionsToTxnRequestTransactionTopic()
		x.Topic, x.Partitions = name, []int32{0}
		t.Topics = append(t.Topics, x)
	}
	return t
}

func (p *producer) endReq(v int16, commit bool) *kmsg.EndTxnRequest {
	req := at(kmsg.NewPtrEndTxnRequest(), v)
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = p.id, p.pid, p.epoch
	req.Commit = commit
	return req
}

// ended takes over what EndTxn's version 5 says.
func (p *producer) ended(resp kmsg.Response) {
	if r, ok := resp.(*kmsg.EndTxnResponse); ok && r.Version >= 5 && r.ErrorCode == 0 {
		p.pid, p.epoch = r.ProducerID, r.ProducerEpoch
	}
}

// off is a producer like p, that is wrong about its id and epoch by so much.
func (p *producer) off(pid int64, epoch int16) *producer {
	return &producer{p.id, p.pid + pid, p.epoch + epoch}
}

// batch is a transactional batch.
func (p *producer) batch(seq int32, n int) []byte {
	b := good(n)
	b.idem, b.pid, b.epoch, b.seq, b.attrs = true, p.pid, p.epoch, seq, 0x10
	return b.build()
}

// produceTxn records a transactional Produce to partition 0.
func (s *side) produceTxn(label string, v int16, p *producer, topic string, records []byte) {
	req := s.produceReq(v, -1, topic, 0, records)
	req.TransactionID = &p.id
	s.send(label, req)
}

func addOffsetsReq(v int16, p *producer, group string) *kmsg.AddOffsetsToTxnRequest {
	req := at(kmsg.NewPtrAddOffsetsToTxnRequest(), v)
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = p.id, p.pid, p.epoch, group
	return req
}

// txnCommitReq commits offsets within a transaction, as no member of the group.
func (s *side) txnCommitReq(v int16, p *producer, group string, commits ...commit,
) *kmsg.TxnOffsetCommitRequest {
	req := at(kmsg.NewPtrTxnOffsetCommitRequest(), v)
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = p.id, p.pid, p.epoch, group
	req.Generation = -1
	for _, c := range commits {
		x := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		x.Partition, x.Offset, x.LeaderEpoch, x.Metadata = c.partition, c.offset, -1, &c.metadata
		t := kmsg.NewTxnOffsetCommitRequestTopic()
		t.Topic = c.topic
		if v >= 6 {
			t.TopicID = s.idOrNone(c.topic)
		}
		t.Partitions = append(t.Partitions, x)
		if n := len(req.Topics); n > 0 && req.Topics[n-1].Topic == c.topic {
			req.Topics[n-1].Partitions = append(req.Topics[n-1].Partitions, x)
			continue
		}
		req.Topics = append(req.Topics, t)
	}
	return req
}
