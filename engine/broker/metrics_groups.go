package broker

import (
	"sync/atomic"

	"sluice/engine/group"
	"sluice/engine/txn"
	"sluice/wire"
)

// coordinatorMeter are the figures of one coordinator's host. They are touched once for each step of a
// shard, each batch and each load, never by an input alone.
type coordinatorMeter struct {
	// queued is how long the first input of a step has waited for it, steps how long a step took, its
	// batches included; inputs counts those that were in steps.
	queued, steps histogram
	inputs        atomic.Uint64
	appends       histogram
	refused       atomic.Uint64
	loads         histogram
	records       atomic.Uint64
}

// stepped counts a step. One without inputs is for timers, answers that were held back, or scrapes.
func (m *coordinatorMeter) stepped(inputs int, queuedNs, tookNs int64) {
	if inputs == 0 {
		return
	}
	m.inputs.Add(uint64(inputs))
	m.queued.observe(queuedNs)
	m.steps.observe(tookNs)
}

func (m *coordinatorMeter) appended(tookNs int64, code int16) {
	if code != wire.CodeNone {
		m.refused.Add(1)
		return
	}
	m.appends.observe(tookNs)
}

func (m *coordinatorMeter) loaded(tookNs, records int64) {
	m.records.Add(uint64(records))
	m.loads.observe(tookNs)
}

// groupMeter implements group.Meter.
type groupMeter struct {
	committed, expired, deleted, begun atomic.Uint64
	rebalances                         histogram
}

var _ group.Meter = (*groupMeter)(nil)

// OffsetsCommitted implements group.Meter.
func (m *groupMeter) OffsetsCommitted(n int) { m.committed.Add(uint64(n)) }

// OffsetsExpired implements group.Meter.
func (m *groupMeter) OffsetsExpired(n int) { m.expired.Add(uint64(n)) }

// OffsetsDeleted implements group.Meter.
func (m *groupMeter) OffsetsDeleted(n int) { m.deleted.Add(uint64(n)) }

// RebalanceBegan implements group.Meter.
func (m *groupMeter) RebalanceBegan() { m.begun.Add(1) }

// RebalanceEnded implements group.Meter.
func (m *groupMeter) RebalanceEnded(afterMs int64) { m.rebalances.observe(afterMs * 1e6) }

// txnMeter implements txn.Meter, and counts verifications.
type txnMeter struct {
	committed, aborted histogram
	timedOut           atomic.Uint64
	verifications      histogram
	unverified         atomic.Uint64
}

var _ txn.Meter = (*txnMeter)(nil)

// Ended implements txn.Meter.
func (m *txnMeter) Ended(committed bool, afterMs int64) {
	if committed {
		m.committed.observe(afterMs * 1e6)
	} else {
		m.aborted.observe(afterMs * 1e6)
	}
}

// TimedOut implements txn.Meter.
func (m *txnMeter) TimedOut() { m.timedOut.Add(1) }

func (m *txnMeter) verified(tookNs int64, code int16) {
	m.verifications.observe(tookNs)
	if code != wire.CodeNone {
		m.unverified.Add(1)
	}
}

// markerMeter counts the markers of decided transactions.
type markerMeter struct {
	// waiting are those that are still to be written, retrying those among them that could not be and
	// whose next attempt is to come.
	waiting, retrying atomic.Int64
	written, retries  atomic.Uint64
}

// round counts what came of an attempt at a transaction's markers.
func (m *markerMeter) round(r *markerRound) {
	m.written.Add(uint64(len(r.done)))
	over := len(r.done) + r.lost
	if r.fenced {
		over += len(r.failed)
	} else {
		m.retries.Add(uint64(len(r.failed)))
		m.retrying.Add(int64(len(r.failed)))
	}
	m.waiting.Add(-int64(over))
}

// shardSums is what one look at every shard of a coordinator finds. It waits for no shard's turn.
type shardSums struct {
	loading, active, failed uint64
	queued                  int64
	// loadNs is the longest load of the shards that are active.
	loadNs int64
}

// survey adds up a host's shards, and shows each active one's machine to see, which may use of it only
// what any goroutine may.
func (h *coordinatorHost[In]) survey(see func(machine any)) (sums shardSums) {
	for _, s := range h.all() {
		s.mu.Lock()
		state, machine := s.state, s.machine
		sums.queued += int64(len(s.inbox))
		if state == shardActive {
			sums.loadNs = max(sums.loadNs, s.loadNs)
		}
		s.mu.Unlock()
		switch state {
		case shardLoading:
			sums.loading++
		case shardActive:
			sums.active++
			see(machine)
		default:
			sums.failed++
		}
	}
	return sums
}

// writeCoordinators writes the figures of groups and transactions.
func (b *Broker) writeCoordinators(e *exposition) {
	var groups group.Counts
	groupShards := b.groups.survey(func(machine any) {
		c := machine.(*group.Machine).Counts()
		groups.Empty += c.Empty
		groups.Preparing += c.Preparing
		groups.Completing += c.Completing
		groups.Stable += c.Stable
		groups.Members += c.Members
		groups.Offsets += c.Offsets
	})
	var txns txn.Counts
	txnShards := b.txns.survey(func(machine any) {
		c := machine.(*txn.Machine).Counts()
		for s, n := range c.States {
			txns.States[s] += n
		}
		txns.Retrying += c.Retrying
	})
	writeShards(e, &groupShards, &txnShards)
	writeCoordinatorMeters(e, &b.groups.meter, &b.txns.meter)
	b.writeGroups(e, &groups)
	b.writeLags(e, groups.Offsets)
	b.writeTxns(e, &txns)
	b.writeMarkers(e, txns.Retrying)
}

// The labels of the two coordinators.
const (
	groupCoordinator = "group"
	txnCoordinator   = "transaction"
)

func writeShards(e *exposition, groups, txns *shardSums) {
	states := func(s *shardSums, labels ...string) {
		e.count(s.loading, append(labels, "state", "loading")...)
		e.count(s.active, append(labels, "state", "active")...)
		e.count(s.failed, append(labels, "state", "failed")...)
	}
	e.begin("sluice_coordinator_partitions", kindGauge,
		"Partitions of the coordinators' topics led here. Should not be failed.")
	states(groups, "coordinator", groupCoordinator)
	states(txns, "coordinator", txnCoordinator)
	e.begin("kafka_server_group_coordinator_metrics_num_partitions", kindGauge,
		"Partitions of __consumer_offsets led here.")
	states(groups)
	e.begin("kafka_server_group_coordinator_metrics_partition_load_time_max", kindGauge,
		"Longest load of the partitions that groups are coordinated from, in ms.")
	e.float(float64(groups.loadNs) / 1e6)
	e.begin("kafka_server_transaction_coordinator_metrics_partition_load_time_max", kindGauge,
		"Longest load of the partitions that transactions are coordinated from, in ms.")
	e.float(float64(txns.loadNs) / 1e6)
	e.begin("sluice_coordinator_queue_inputs", kindGauge, "Inputs that wait for their shard.")
	e.gauge(groups.queued, "coordinator", groupCoordinator)
	e.gauge(txns.queued, "coordinator", txnCoordinator)
	e.begin("kafka_server_group_coordinator_metrics_event_queue_size", kindGauge,
		"Inputs that wait for their group's shard.")
	e.gauge(groups.queued)
}

func writeCoordinatorMeters(e *exposition, groups, txns *coordinatorMeter) {
	times := func(name, help string, of func(*coordinatorMeter) *histogram) {
		e.begin(name, kindHistogram, help)
		e.times(of(groups), "coordinator", groupCoordinator)
		e.times(of(txns), "coordinator", txnCoordinator)
	}
	counts := func(name, help string, of func(*coordinatorMeter) *atomic.Uint64) {
		e.begin(name, kindCounter, help)
		e.count(of(groups).Load(), "coordinator", groupCoordinator)
		e.count(of(txns).Load(), "coordinator", txnCoordinator)
	}
	counts("sluice_coordinator_inputs_total", "Inputs handled in steps of shards.",
		func(m *coordinatorMeter) *atomic.Uint64 { return &m.inputs })
	times("sluice_coordinator_queue_seconds", "Time that a step's first input waited for it.",
		func(m *coordinatorMeter) *histogram { return &m.queued })
	times("sluice_coordinator_step_seconds", "Time of a step with inputs, its batches included.",
		func(m *coordinatorMeter) *histogram { return &m.steps })
	times("sluice_coordinator_append_seconds", "Time until a batch was in the log.",
		func(m *coordinatorMeter) *histogram { return &m.appends })
	counts("sluice_coordinator_appends_refused_total", "Batches that the log did not take.",
		func(m *coordinatorMeter) *atomic.Uint64 { return &m.refused })
	times("sluice_coordinator_load_seconds", "Time of loading a partition.",
		func(m *coordinatorMeter) *histogram { return &m.loads })
	counts("sluice_coordinator_loaded_records_total", "Records replayed by loads.",
		func(m *coordinatorMeter) *atomic.Uint64 { return &m.records })
}

// times appends one histogram's samples.
func (e *exposition) times(h *histogram, labels ...string) {
	var sum histogramSum
	sum.add(h)
	e.histogram(&sum, labels...)
}

func (b *Broker) writeGroups(e *exposition, c *group.Counts) {
	const yammer = "kafka_coordinator_group_groupmetadatamanager_"
	const kafka = "kafka_server_group_coordinator_metrics_"
	family := func(name, kind, help string, n uint64) {
		e.begin(name, kind, help)
		e.count(n)
	}
	gauge := func(name, help string, n int) { family(name, kindGauge, help, uint64(max(n, 0))) }
	all := c.Empty + c.Preparing + c.Completing + c.Stable
	gauge(yammer+"numgroups", "Groups coordinated here.", all)
	gauge(yammer+"numgroupsempty", "Groups without members.", c.Empty)
	gauge(yammer+"numgroupspreparingrebalance", "Groups whose members are to join.", c.Preparing)
	gauge(yammer+"numgroupscompletingrebalance", "Groups that wait for an assignment.", c.Completing)
	gauge(yammer+"numgroupsstable", "Groups whose members have their assignment.", c.Stable)
	gauge(yammer+"numoffsets", "Committed offsets.", c.Offsets)
	e.begin(kafka+"group_count", kindGauge, "Groups coordinated here, by protocol.")
	e.count(uint64(max(all, 0)), "protocol", "classic")
	gauge("sluice_group_members", "Members of all groups.", c.Members)
	m := &b.groupMeter
	family(kafka+"offset_commit_total", kindCounter, "Offsets committed.", m.committed.Load())
	family(kafka+"offset_expiration_total", kindCounter, "Offsets expired.", m.expired.Load())
	family(kafka+"offset_deletion_total", kindCounter, "Offsets deleted.", m.deleted.Load())
	var ended histogramSum
	ended.add(&m.rebalances)
	family("sluice_group_rebalances_begun_total", kindCounter, "Rebalances begun.", m.begun.Load())
	family(kafka+"group_completed_rebalance_total", kindCounter,
		"Rebalances that led to an assignment.", ended.count)
	e.begin("sluice_group_rebalance_seconds", kindHistogram,
		"Time from a group's last rest to its assignment.")
	e.histogram(&ended)
}

func (b *Broker) writeTxns(e *exposition, c *txn.Counts) {
	e.begin("sluice_transactional_ids", kindGauge, "Transactional ids, by their transaction's state.")
	for s, n := range c.States {
		e.gauge(int64(n), "state", txn.State(s).String())
	}
	m := &b.txnMeter
	e.begin("sluice_transaction_seconds", kindHistogram,
		"Time from a transaction's begin to its completion.")
	e.times(&m.committed, "outcome", "commit")
	e.times(&m.aborted, "outcome", "abort")
	e.begin("sluice_transactions_timed_out_total", kindCounter,
		"Transactions aborted because they lasted for longer than their producer's timeout.")
	e.count(m.timedOut.Load())
	e.begin("sluice_transaction_verification_seconds", kindHistogram,
		"Time of asking the coordinator whether a partition is in a transaction.")
	e.times(&m.verifications)
	e.begin("kafka_server_addpartitionstotxnmanager_verificationfailure_total", kindCounter,
		"Verifications that were answered with an error.")
	e.count(m.unverified.Load())
}

// writeMarkers writes what a decided transaction waits for.
func (b *Broker) writeMarkers(e *exposition, retrying int) {
	const manager = "kafka_coordinator_transaction_transactionmarkerchannelmanager_"
	m := &b.markerMeter
	e.begin("sluice_transaction_markers_waiting", kindGauge, "Markers still to be written.")
	e.gauge(m.waiting.Load())
	e.begin(manager+"unknowndestinationqueuesize", kindGauge,
		"Markers that could not be written and are tried again.")
	e.gauge(m.retrying.Load())
	e.begin(manager+"logappendretryqueuesize", kindGauge,
		"Transactions that only lack their last record.")
	e.gauge(int64(retrying))
	e.begin("sluice_transaction_markers_written_total", kindCounter,
		"Markers written, or found needless.")
	e.count(m.written.Load())
	e.begin("sluice_transaction_marker_retries_total", kindCounter,
		"Markers that could not be written at an attempt.")
	e.count(m.retries.Load())
}
