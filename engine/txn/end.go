package txn

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// decideEnd handles EndTxn, by the protocol that the request's version speaks.
func (m *Machine) decideEnd(nowMs int64, in *Input, out *coordinator.Outcome[*Input]) {
	req := in.Request.(*kmsg.EndTxnRequest)
	if in.TransactionalID == "" {
		refuse(in, out, wire.CodeInvalidRequest)
		return
	}
	_, e := m.table.get(in.TransactionalID)
	switch {
	case e == nil:
		refuse(in, out, wire.CodeInvalidProducerIDMapping)
	case in.Version <= 4:
		m.endV1(nowMs, in, out, e, req)
	default:
		m.endV2(nowMs, in, out, e, req)
	}
}

// prepares is the state that a decision leads to first, completes the last.
func prepares(commit bool) State {
	if commit {
		return PrepareCommit
	}
	return PrepareAbort
}

func completes(commit bool) State {
	if commit {
		return CompleteCommit
	}
	return CompleteAbort
}

// endV1 ends a transaction by protocol 0 or 1. A decision that was made already is confirmed, since the
// epoch does not tell a retry from the next transaction's end.
func (m *Machine) endV1(
	nowMs int64, in *Input, out *coordinator.Outcome[*Input], e *entry, req *kmsg.EndTxnRequest,
) {
	switch {
	case e.producerID != req.ProducerID:
		refuse(in, out, wire.CodeInvalidProducerIDMapping)
	case e.epoch != req.ProducerEpoch:
		refuse(in, out, wire.CodeProducerFenced)
	case e.state.prepared():
		refuse(in, out, wire.CodeConcurrentTransactions)
	case e.state == Ongoing:
		m.decided(nowMs, in, out, e.ended(prepares(req.Commit), nowMs), m.table.partitions(e),
			in.Refuse(wire.CodeNone))
	case e.state == completes(req.Commit):
		refuse(in, out, wire.CodeNone)
	default:
		refuse(in, out, wire.CodeInvalidTxnState)
	}
}

// endV2 ends a transaction by protocol 2 (KIP-890): each end has its epoch, so that a retry, whose epoch
// is one too low, is known from the next end. What an idle id answers:
//
//	                abort retried  abort      commit retried  commit
//	Empty           fenced         new epoch  fenced          invalid state
//	CompleteAbort   confirmed      new epoch  invalid state   invalid state
//	CompleteCommit  invalid state  new epoch  confirmed       invalid state
func (m *Machine) endV2(
	nowMs int64, in *Input, out *coordinator.Outcome[*Input], e *entry, req *kmsg.EndTxnRequest,
) {
	// Only an end that took an epoch can be retried with the one before. After one of protocol 1 that is
	// a producer which InitProducerId has fenced.
	complete := e.version >= 2 && (e.state == CompleteCommit || e.state == CompleteAbort)
	// The producer's id was replaced with the epoch that it had.
	rotated := complete && e.epoch == 0 && req.ProducerEpoch == epochMax-1 &&
		e.prevID == req.ProducerID && e.prevID != e.producerID
	retried := rotated || complete && int32(e.epoch) == int32(req.ProducerEpoch)+1
	switch {
	case e.state.prepared():
		refuse(in, out, wire.CodeConcurrentTransactions)
	case e.producerID != req.ProducerID && !rotated:
		refuse(in, out, wire.CodeInvalidProducerIDMapping)
	case e.epoch != req.ProducerEpoch && !retried:
		refuse(in, out, wire.CodeProducerFenced)
	case retried && e.state == completes(req.Commit):
		out.Reply(in, endAnswer(in.Version, wire.CodeNone, e.producerID, e.epoch))
	case retried, e.state != Ongoing && req.Commit:
		refuse(in, out, wire.CodeInvalidTxnState)
	case req.Commit && e.epoch == epochMax:
		// No producer has ever been given this epoch, so its records are not there to be committed.
		refuse(in, out, wire.CodeUnknownServerError)
	default:
		m.endBumped(nowMs, in, out, e, prepares(req.Commit))
	}
}

func (m *Machine) endBumped(
	nowMs int64, in *Input, out *coordinator.Outcome[*Input], e *entry, to State,
) {
	next := int64(coordinator.NoProducer)
	if exhausted(e.epoch) {
		id, ok := takeProducerID(in)
		if !ok {
			m.wantProducerID(nowMs, in, out)
			return
		}
		next = id
	}
	after := e.bumped(to, nowMs, next)
	// The producer goes on with what will be valid when the transaction is complete.
	then := after.completed(nowMs)
	m.decided(nowMs, in, out, after, m.table.partitions(e),
		endAnswer(in.Version, wire.CodeNone, then.producerID, then.epoch))
}
