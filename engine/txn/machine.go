package txn

import (
	"math"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// Machine is the transaction coordinator of one partition of __transaction_state. It implements
// coordinator.Machine[*Input], and is not safe for concurrent use.
type Machine struct {
	config Config
	// finalized is transaction.version.
	finalized int16
	// leaderEpoch is the coordinator's epoch, that markers carry.
	leaderEpoch int32
	loaded      bool

	table  table
	timers timers
	// scanMs is when the next search for timed out transactions may begin.
	scanMs  int64
	retries []retry
	sweep   sweep
	// tickets counts SendMarkers errands.
	tickets uint64
	counts  counts
	meter   Meter
}

var _ coordinator.Machine[*Input] = (*Machine)(nil)

// New returns an empty machine. Intervals are at least a millisecond.
func New(config Config) *Machine {
	for _, ms := range []*int64{
		&config.AbortScanMs, &config.ExpirationMs, &config.ExpirationScanMs, &config.CompleteRetryMs,
	} {
		*ms = min(max(*ms, 1), 1<<48)
	}
	m := &Machine{config: config, finalized: config.TxnVersion, table: newTable()}
	m.timers.t = &m.table
	if m.meter = config.Meter; m.meter == nil {
		m.meter = noMeter{}
	}
	m.sweep = sweep{cursor: -1, oldestMs: math.MaxInt64, seenMs: math.MaxInt64}
	return m
}

// note is what Decide leaves for Settle.
type note struct {
	// after is the entry as the records make it, with what they do not hold.
	after meta
	reply any
}

// Decide implements coordinator.Machine.
func (m *Machine) Decide(nowMs int64, in *Input, out *coordinator.Outcome[*Input]) {
	switch in.Kind {
	case InitProducerID:
		m.decideInit(nowMs, in, out)
	case AddPartitions:
		m.decideAdd(nowMs, in, out)
	case AddOffsets:
		m.decideAddOffsets(nowMs, in, out)
	case EndTxn:
		m.decideEnd(nowMs, in, out)
	case MarkersWritten:
		m.decideWritten(nowMs, in, out)
	case TimeOut, Timer:
		m.decideTimer(nowMs, in, out)
	case Describe:
		out.Reply(in, m.describe(in.TransactionalID))
	case List:
		out.Reply(in, m.list(nowMs, in))
	case SetVersion:
		m.finalized = in.TxnVersion
	}
}

// refuse answers with a code of the protocol, if anybody waits.
func refuse(in *Input, out *coordinator.Outcome[*Input], code int16) {
	if response := in.Refuse(code); response != nil {
		out.Reply(in, response)
	}
}

// record is the record of an entry as it is to be.
func (m *Machine) record(id string, after *meta, partitions []TopicPartition) coordinator.Record {
	return coordinator.Record{
		Key:   appendKey(nil, id),
		Value: appendValue(nil, after.valueVersion(m.finalized), after, partitions),
	}
}

// write puts the record of a changed entry into out. The outcome is settled with the last one's state.
func (m *Machine) write(
	in *Input, out *coordinator.Outcome[*Input], after meta, partitions []TopicPartition, reply any,
) {
	out.Records = append(out.Records, m.record(in.TransactionalID, &after, partitions))
	out.Next = &note{after: after, reply: reply}
}

// decided writes that a transaction is decided: prepared, and at once completed, too, if it has no
// partition that would want a marker.
func (m *Machine) decided(
	nowMs int64, in *Input, out *coordinator.Outcome[*Input],
	prepared meta, partitions []TopicPartition, reply any,
) {
	m.write(in, out, prepared, partitions, reply)
	if len(partitions) == 0 {
		m.write(in, out, prepared.completed(nowMs), nil, reply)
	}
}

// takeProducerID takes the offered id.
func takeProducerID(in *Input) (id int64, ok bool) {
	in.TookProducerID = in.NewProducerID >= 0
	return in.NewProducerID, in.TookProducerID
}

// Settle implements coordinator.Machine.
func (m *Machine) Settle(nowMs int64, in *Input, out *coordinator.Outcome[*Input], code int16) {
	if code != wire.CodeNone {
		m.settleFailed(nowMs, in, out, code)
		return
	}
	n, ok := out.Next.(*note)
	if !ok {
		return // A tombstone.
	}
	slot, e := m.table.get(in.TransactionalID)
	if e == nil {
		panic("BUG: a record was replayed and left nothing")
	}
	e.lastEpoch, e.prevID, e.nextID = n.after.lastEpoch, n.after.prevID, n.after.nextID
	switch {
	case e.state == Ongoing:
		m.armDeadline(slot)
	case e.state.prepared():
		out.Errands = append(out.Errands, m.sendMarkers(e, in.TransactionalID))
	}
	m.measure(in, e)
	if n.reply != nil {
		out.Reply(in, n.reply)
	}
}

// settleFailed leaves everything as it was. What the machine wanted by itself it will try again.
func (m *Machine) settleFailed(nowMs int64, in *Input, out *coordinator.Outcome[*Input], code int16) {
	in.TookProducerID = false
	refuse(in, out, code)
	if in.Kind != Timer && in.Kind != TimeOut && in.Kind != MarkersWritten {
		return
	}
	slot, e := m.table.get(in.TransactionalID)
	switch {
	case e == nil:
	case e.state == Ongoing:
		m.timers.arm(slot, nowMs+1)
	case e.state.prepared():
		m.retryComplete(slot, nowMs+m.config.CompleteRetryMs)
	default:
		m.sweep.touched(e.updateMs)
	}
}

// sendMarkers makes the errand of a prepared transaction.
func (m *Machine) sendMarkers(e *entry, id string) *SendMarkers {
	m.tickets++
	o := m.table.openOf(e)
	o.send(m.tickets)
	return &SendMarkers{
		TransactionalID: id, ProducerID: e.producerID, ProducerEpoch: e.epoch,
		CoordinatorEpoch: m.leaderEpoch, TxnVersion: int16(e.version),
		Commit: e.state == PrepareCommit, Partitions: o.partitions, ticket: m.tickets,
	}
}

// Replay implements coordinator.Machine.
func (m *Machine) Replay(r coordinator.Record, _ int64, _ int16) error {
	id, known, err := decodeKey(r.Key)
	if err != nil || !known {
		return err
	}
	if r.Value == nil {
		if slot, e := m.table.get(string(id)); e != nil {
			m.count(e, -1)
			m.timers.disarm(slot)
			m.table.remove(slot)
		}
		return nil
	}
	t, partitions, known, err := decodeValue(r.Value)
	if err != nil || !known {
		return err
	}
	e := m.table.at(m.table.put(id))
	if m.loaded && !t.state.follows(e.state) {
		panic("BUG: a transaction went from " + e.state.String() + " to " + t.state.String())
	}
	m.count(e, -1)
	e.meta = t
	m.count(e, 1)
	if t.state.open() {
		m.table.setOpen(e, partitions)
	} else {
		m.table.close(e)
	}
	m.sweep.touched(t.updateMs)
	return nil
}

// ReplayMarker implements coordinator.Machine. No transaction writes to __transaction_state.
func (m *Machine) ReplayMarker(coordinator.Marker) {}

// Loaded implements coordinator.Machine.
func (m *Machine) Loaded(nowMs int64, leaderEpoch int32, out *coordinator.Outcome[*Input]) {
	m.loaded, m.leaderEpoch = true, leaderEpoch
	m.scanMs, m.sweep.beganMs = nowMs+m.config.AbortScanMs, nowMs
	for slot := range m.table.used {
		e := m.table.at(slot)
		switch {
		case e.state == Ongoing:
			m.armDeadline(slot)
		case e.state.prepared() && len(m.table.partitions(e)) == 0:
			m.retryComplete(slot, nowMs)
		case e.state.prepared():
			out.Errands = append(out.Errands, m.sendMarkers(e, string(m.table.name(slot))))
		}
	}
}

// Waiting implements coordinator.Machine. Every input is answered when it has been decided and
// settled, so nobody ever waits for more.
func (m *Machine) Waiting() []*Input { return nil }
