package broker

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
	"sluice/engine/coordinator"
	"sluice/engine/txn"
	"sluice/wire"
)

// addPartitionsBatch is the first version of AddPartitionsToTxn that brokers send (KIP-890).
const addPartitionsBatch = 4

// handleAddPartitionsToTxn adds partitions to transactions: clients' (before version 4) one, or the
// many that a broker asks about.
func handleAddPartitionsToTxn(b *Broker, to *answerTo, q kmsg.Request) {
	req := q.(*kmsg.AddPartitionsToTxnRequest)
	txns := txn.Transactions(req)
	results := make([]kmsg.AddPartitionsToTxnResponseTransaction, len(txns))
	all := gatherParts(len(txns), func() {
		p := kmsg.NewPtrAddPartitionsToTxnResponse()
		if req.Version < addPartitionsBatch {
			p.Topics = txn.ClientTopics(&results[0])
		} else {
			p.Transactions = results
		}
		to.answer(p)
	})
	for i := range txns {
		t := &txns[i]
		in := &txn.Input{
			Kind: txn.AddPartitions, Version: req.Version, TransactionalID: t.TransactionalID,
			Partitions: t,
		}
		if refused := b.refuseUnknown(in); refused != nil {
			results[i] = *refused
			all.done()
			continue
		}
		b.toTxn(in, func(response any) {
			results[i] = *response.(*kmsg.AddPartitionsToTxnResponseTransaction)
			all.done()
		})
	}
}

// refuseUnknown answers for a transaction that names a partition which does not exist, or one that
// clients must not write to: the others are then not attempted.
func (b *Broker) refuseUnknown(in *txn.Input) *kmsg.AddPartitionsToTxnResponseTransaction {
	im := b.image()
	fault := func(topic string, index int32) int16 {
		if in.Version < addPartitionsBatch && catalog.IsInternalTopic(topic) {
			return wire.CodeTopicAuthorizationFailed
		}
		if t := im.Topic(topic); t == nil || t.Partition(index) == nil {
			return wire.CodeUnknownTopicOrPartition
		}
		return wire.CodeNone
	}
	faulty := false
	for _, t := range in.Partitions.Topics {
		for _, p := range t.Partitions {
			faulty = faulty || fault(t.Topic, p) != wire.CodeNone
		}
	}
	if !faulty {
		return nil
	}
	r := in.Refuse(wire.CodeOperationNotAttempted).(*kmsg.AddPartitionsToTxnResponseTransaction)
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			p := &r.Topics[i].Partitions[j]
			if code := fault(r.Topics[i].Topic, p.Partition); code != wire.CodeNone {
				p.ErrorCode = code
			}
		}
	}
	return r
}

// handleAddOffsetsToTxn adds the partition that keeps the group's offsets.
func handleAddOffsetsToTxn(b *Broker, to *answerTo, q kmsg.Request) {
	req := q.(*kmsg.AddOffsetsToTxnRequest)
	p := kmsg.NewPtrAddOffsetsToTxnResponse()
	if p.ErrorCode = b.ensureInternalTopic(offsetsTopic); p.ErrorCode != wire.CodeNone {
		to.answer(p)
		return
	}
	n := b.groups.partitions()
	if n == 0 { // Deleted meanwhile.
		p.ErrorCode = wire.CodeCoordinatorNotAvailable
		to.answer(p)
		return
	}
	b.toTxn(&txn.Input{
		Kind: txn.AddOffsets, Request: req, Version: req.Version, TransactionalID: req.TransactionalID,
		OffsetsPartition: coordinator.PartitionFor(req.Group, n),
	}, func(response any) { to.answer(response.(kmsg.Response)) })
}

// handleEndTxn commits or aborts.
func handleEndTxn(b *Broker, to *answerTo, q kmsg.Request) {
	req := q.(*kmsg.EndTxnRequest)
	in := &txn.Input{
		Kind: txn.EndTxn, Request: req, Version: req.Version, TransactionalID: req.TransactionalID,
		NewProducerID: coordinator.NoProducer,
	}
	if req.Version >= endTxnBumps {
		b.offer(in)
	}
	b.toTxn(in, func(response any) { to.answer(response.(kmsg.Response)) })
}

// endTxnBumps is the first version of EndTxn whose answer brings a new epoch (KIP-890).
const endTxnBumps = 5

// handleWriteTxnMarkers writes markers for another coordinator, or for an operator who ends a
// transaction that hangs (KIP-664).
func handleWriteTxnMarkers(b *Broker, to *answerTo, q kmsg.Request) {
	req := q.(*kmsg.WriteTxnMarkersRequest)
	p := kmsg.NewPtrWriteTxnMarkersResponse()
	parts := 0
	for i := range req.Markers {
		m := &req.Markers[i]
		out := kmsg.NewWriteTxnMarkersResponseMarker()
		out.ProducerID = m.ProducerID
		for _, t := range m.Topics {
			topic := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
			topic.Topic = t.Topic
			topic.Partitions = make([]kmsg.WriteTxnMarkersResponseMarkerTopicPartition,
				len(t.Partitions))
			parts += len(t.Partitions)
			out.Topics = append(out.Topics, topic)
		}
		p.Markers = append(p.Markers, out)
	}
	all := gatherParts(parts, func() { to.answer(p) })
	for i := range req.Markers {
		m := &req.Markers[i]
		marker := coordinator.Marker{
			ProducerID: m.ProducerID, ProducerEpoch: m.ProducerEpoch,
			CoordinatorEpoch: m.CoordinatorEpoch, Commit: m.Committed,
			TxnVersion: int16(m.TransactionVersion),
		}
		for j, t := range m.Topics {
			for k, index := range t.Partitions {
				out := &p.Markers[i].Topics[j].Partitions[k]
				out.Partition = index
				b.writeMarker(t.Topic, index, marker, func(code int16) {
					out.ErrorCode = code
					all.done()
				})
			}
		}
	}
}

// handleDescribeTransactions asks each id's coordinator (KIP-664).
func handleDescribeTransactions(b *Broker, to *answerTo, q kmsg.Request) {
	req := q.(*kmsg.DescribeTransactionsRequest)
	req.TransactionalIDs = distinct(req.TransactionalIDs)
	p := kmsg.NewPtrDescribeTransactionsResponse()
	p.TransactionStates = make(
		[]kmsg.DescribeTransactionsResponseTransactionState, len(req.TransactionalIDs))
	all := gatherParts(len(req.TransactionalIDs), func() { to.answer(p) })
	for i, id := range req.TransactionalIDs {
		b.toTxn(&txn.Input{Kind: txn.Describe, Version: req.Version, TransactionalID: id},
			func(response any) {
				p.TransactionStates[i] = *response.(*kmsg.DescribeTransactionsResponseTransactionState)
				all.done()
			})
	}
}

// handleListTransactions asks every coordinator of this broker.
func handleListTransactions(b *Broker, to *answerTo, q kmsg.Request) {
	req := q.(*kmsg.ListTransactionsRequest)
	shards := b.txns.all()
	parts := make([]*kmsg.ListTransactionsResponse, len(shards))
	all := gatherParts(len(shards), func() { to.answer(mergeTransactions(parts)) })
	for i, s := range shards {
		s.submit(&txn.Input{
			Kind: txn.List, Request: req, Version: req.Version,
			Waiter: func(response any) {
				parts[i] = response.(*kmsg.ListTransactionsResponse)
				all.done()
			},
		})
	}
}

func mergeTransactions(parts []*kmsg.ListTransactionsResponse) *kmsg.ListTransactionsResponse {
	p := kmsg.NewPtrListTransactionsResponse()
	p.TransactionStates = []kmsg.ListTransactionsResponseTransactionState{}
	for _, part := range parts {
		switch part.ErrorCode {
		case wire.CodeNone:
			p.TransactionStates = append(p.TransactionStates, part.TransactionStates...)
			p.UnknownStateFilters = part.UnknownStateFilters
		case wire.CodeNotCoordinator:
		default:
			p.ErrorCode = part.ErrorCode
		}
	}
	if p.ErrorCode != wire.CodeNone {
		p.TransactionStates = []kmsg.ListTransactionsResponseTransactionState{}
	}
	slices.SortFunc(p.TransactionStates, func(a, b kmsg.ListTransactionsResponseTransactionState) int {
		return cmp.Compare(a.TransactionalID, b.TransactionalID)
	})
	return p
}
