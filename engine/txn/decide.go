package txn

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// OffsetsTopic is the topic whose partitions AddOffsets adds.
const OffsetsTopic = "__consumer_offsets"

// decideInit handles InitProducerId (class TransactionCoordinator).
func (m *Machine) decideInit(nowMs int64, in *Input, out *coordinator.Outcome[*Input]) {
	req := in.Request.(*kmsg.InitProducerIDRequest)
	half := (req.ProducerID == coordinator.NoProducer) != (req.ProducerEpoch == coordinator.NoProducer)
	switch {
	case in.TransactionalID == "" || len(in.TransactionalID) > stringMax || in.Version >= 3 && half:
		refuse(in, out, wire.CodeInvalidRequest)
	case req.TransactionTimeoutMillis <= 0 || req.TransactionTimeoutMillis > m.config.TimeoutMaxMs:
		refuse(in, out, wire.CodeInvalidTransactionTimeout)
	default:
		if _, e := m.table.get(in.TransactionalID); e != nil {
			m.initKnown(nowMs, in, out, e)
			return
		}
		m.initNew(nowMs, in, out)
	}
}

func (m *Machine) initNew(nowMs int64, in *Input, out *coordinator.Outcome[*Input]) {
	if m.table.len() >= m.config.IDsMax ||
		m.table.nameBytes+len(in.TransactionalID) > m.config.IDBytesMax {
		refuse(in, out, wire.CodePolicyViolation)
		return
	}
	id, ok := takeProducerID(in)
	if !ok {
		refuse(in, out, wire.CodeCoordinatorLoadInProgress)
		return
	}
	after := meta{producerID: id, nextID: -1, lastEpoch: -1}
	after = after.change(Empty, nowMs)
	m.initialized(in, out, after)
}

// initKnown gives the transactional id to a producer that asks for it: with the next epoch, so that any
// other producer is fenced; or, to the one that asks again, with the same (KIP-360).
func (m *Machine) initKnown(
	nowMs int64, in *Input, out *coordinator.Outcome[*Input], e *entry,
) {
	req := in.Request.(*kmsg.InitProducerIDRequest)
	expects := in.Version >= 3 && req.ProducerID != coordinator.NoProducer
	if e.state.prepared() {
		refuse(in, out, wire.CodeConcurrentTransactions)
		return
	}
	if expects && req.ProducerID != e.producerID &&
		(req.ProducerID != e.prevID || !exhausted(req.ProducerEpoch)) {
		refuse(in, out, wire.CodeProducerFenced)
		return
	}
	if e.state == Ongoing {
		m.fence(nowMs, in, out, e)
		return
	}
	after := e.change(Empty, nowMs)
	after.lastEpoch = coordinator.NoProducer
	switch current := !expects || req.ProducerEpoch == e.epoch; {
	case current && exhausted(e.epoch):
		id, ok := takeProducerID(in)
		if !ok {
			refuse(in, out, wire.CodeCoordinatorLoadInProgress)
			return
		}
		after.producerID, after.epoch = id, 0
	case current:
		after.epoch++
	case req.ProducerEpoch != e.lastEpoch:
		refuse(in, out, wire.CodeProducerFenced)
		return
	}
	if expects {
		after.lastEpoch = req.ProducerEpoch
	}
	m.initialized(in, out, after)
}

func (m *Machine) initialized(in *Input, out *coordinator.Outcome[*Input], after meta) {
	after.timeoutMs = in.Request.(*kmsg.InitProducerIDRequest).TransactionTimeoutMillis
	after.startMs = -1
	answer := initRefused(in.Version, wire.CodeNone)
	answer.ProducerID, answer.ProducerEpoch = after.producerID, after.epoch
	m.write(in, out, after, nil, answer)
}

// fence aborts an ongoing transaction against its producer's will, which is told to come again: for a
// client that wants the id, or because the transaction has timed out.
func (m *Machine) fence(nowMs int64, in *Input, out *coordinator.Outcome[*Input], e *entry) {
	var after meta
	if m.finalized >= 2 {
		next := int64(coordinator.NoProducer)
		if exhausted(e.epoch) {
			id, ok := takeProducerID(in)
			if !ok {
				m.wantProducerID(nowMs, in, out)
				return
			}
			next = id
		}
		after = e.bumped(PrepareAbort, nowMs, next)
	} else {
		after = e.fenced(nowMs)
	}
	answer := in.Refuse(wire.CodeConcurrentTransactions)
	m.decided(nowMs, in, out, after, m.table.partitions(e), answer)
}

// wantProducerID is what comes of a transaction that cannot be ended without another producer id.
func (m *Machine) wantProducerID(nowMs int64, in *Input, out *coordinator.Outcome[*Input]) {
	if in.Kind == InitProducerID || in.Kind == EndTxn {
		refuse(in, out, wire.CodeCoordinatorLoadInProgress)
		return
	}
	slot, _ := m.table.get(in.TransactionalID)
	m.timers.arm(slot, nowMs+m.config.AbortScanMs)
	if in.Kind == Timer {
		out.Errands = append(out.Errands, &NeedProducerID{TransactionalID: in.TransactionalID})
	}
}

// checkAdd is what AddPartitions and AddOffsets have in common, in Kafka's order.
func (m *Machine) checkAdd(id string, producerID int64, epoch int16, verify bool) (*entry, int16) {
	if id == "" {
		return nil, wire.CodeInvalidRequest
	}
	_, e := m.table.get(id)
	switch {
	case e == nil:
		return nil, wire.CodeInvalidProducerIDMapping
	case e.state.prepared() && !verify:
		// First of all: with protocol 2 the producer may already have the id and the epoch that are
		// valid only when the markers are written.
		return nil, wire.CodeConcurrentTransactions
	case e.producerID != producerID:
		return nil, wire.CodeInvalidProducerIDMapping
	case e.epoch != epoch:
		return nil, wire.CodeProducerFenced
	case e.state.prepared():
		return nil, wire.CodeConcurrentTransactions
	}
	return e, wire.CodeNone
}

func (m *Machine) decideAdd(nowMs int64, in *Input, out *coordinator.Outcome[*Input]) {
	req := in.Partitions
	e, code := m.checkAdd(in.TransactionalID, req.ProducerID, req.ProducerEpoch, req.VerifyOnly)
	if code != wire.CodeNone {
		refuse(in, out, code)
		return
	}
	if req.VerifyOnly {
		out.Reply(in, partitionsAnswer(in, func(p TopicPartition) int16 {
			if e.open >= 0 {
				if _, ok := m.table.openOf(e).has(p); ok {
					return wire.CodeNone
				}
			}
			return wire.CodeTransactionAbortable
		}))
		return
	}
	var wanted []TopicPartition
	for _, topic := range req.Topics {
		for _, p := range topic.Partitions {
			wanted = append(wanted, TopicPartition{topic.Topic, p})
		}
		if len(topic.Topic) > stringMax {
			refuse(in, out, wire.CodeUnknownServerError)
			return
		}
	}
	version := int8(0)
	if in.Version >= 4 {
		version = 2
	}
	m.add(nowMs, in, out, e, sortPartitions(wanted), version)
}

func (m *Machine) decideAddOffsets(nowMs int64, in *Input, out *coordinator.Outcome[*Input]) {
	req := in.Request.(*kmsg.AddOffsetsToTxnRequest)
	e, code := m.checkAdd(in.TransactionalID, req.ProducerID, req.ProducerEpoch, false)
	if code != wire.CodeNone {
		refuse(in, out, code)
		return
	}
	m.add(nowMs, in, out, e, []TopicPartition{{OffsetsTopic, in.OffsetsPartition}}, 0)
}

// add puts partitions into the transaction, beginning it if need be. Nothing is written if they are in
// it already.
func (m *Machine) add(
	nowMs int64, in *Input, out *coordinator.Outcome[*Input],
	e *entry, wanted []TopicPartition, version int8,
) {
	all := m.table.partitions(e)
	missing := slices.DeleteFunc(wanted, func(p TopicPartition) bool {
		_, ok := slices.BinarySearchFunc(all, p, comparePartitions)
		return ok
	})
	if e.state == Ongoing && len(missing) == 0 {
		refuse(in, out, wire.CodeNone)
		return
	}
	all = sortPartitions(append(slices.Clone(all), missing...))
	after := e.begun(nowMs, version)
	record := m.record(in.TransactionalID, &after, all)
	if len(record.Key)+len(record.Value) > m.config.RecordBytesMax {
		refuse(in, out, wire.CodeUnknownServerError)
		return
	}
	out.Records = append(out.Records, record)
	out.Next = &note{after: after, reply: in.Refuse(wire.CodeNone)}
}

// decideWritten takes markers off the list of those to come. What belongs to another transaction, or
// to another term of this one's coordinator, is ignored.
func (m *Machine) decideWritten(nowMs int64, in *Input, out *coordinator.Outcome[*Input]) {
	_, e := m.table.get(in.TransactionalID)
	if e == nil || !e.state.prepared() || in.Markers.CoordinatorEpoch != m.leaderEpoch {
		return
	}
	o := m.table.openOf(e)
	if o.ticket != in.Markers.ticket {
		return
	}
	for _, p := range in.Written {
		o.written(p)
	}
	if o.undone == 0 {
		m.complete(nowMs, in, out, e)
	}
}

func (m *Machine) complete(nowMs int64, in *Input, out *coordinator.Outcome[*Input], e *entry) {
	m.write(in, out, e.completed(nowMs), nil, nil)
}

// decideTimer does what an entry's state and the time ask for.
func (m *Machine) decideTimer(nowMs int64, in *Input, out *coordinator.Outcome[*Input]) {
	slot, e := m.table.get(in.TransactionalID)
	switch {
	case e == nil:
	case e.state == Ongoing && e.deadlineMs() < nowMs:
		m.fence(nowMs, in, out, e)
	case e.state == Ongoing:
		m.armDeadline(slot)
	case e.state.prepared():
		if m.table.openOf(e).undone == 0 {
			m.complete(nowMs, in, out, e)
		}
	case m.expired(e, nowMs):
		out.Records = append(out.Records, coordinator.Record{
			Key: appendKey(nil, in.TransactionalID),
		})
	}
}
