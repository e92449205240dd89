package load

import (
	"sluice/benchmarks/workload"
	"sluice/wire"
)

// open is the batch that a lane gathers in open loop.
type open struct {
	producer *producer
	place    int64 // among the producer's lanes
	first    int64
	records  int32
	bytes    int
	openedAt int64
	openID   int64 // tells this batch from earlier ones of the lane
	taken    []taking
}

// taking says when some records of a batch were taken up.
type taking struct {
	at int64
	n  int64
}

// lingering is a batch with the time at which it has waited long enough.
type lingering struct {
	lane   *lane
	openID int64
	until  int64
}

// queueBatchesMax bounds the batches that wait on one thread: 2 million at 64 bytes each are
// 128 MiB, and a broker that far behind will not catch up within a run.
const queueBatchesMax = 2 << 20

// takeMax bounds the records that one call takes up, so that a generator that cannot keep up still
// serves its sockets; how late it is shows as lag.
const takeMax = 4096

// producer hands records out on schedule. Record j of it is due at
// start + (j·producers + its own number) / rate. Without keys, as many records as fill a batch go to
// one partition before the next has its turn, as Kafka's default partitioner does it (KIP-480,
// KIP-794): dealt out one by one they would keep a batch open on every partition at once.
type producer struct {
	t      *thread
	number int
	lanes  []*lane
	byPart []*lane // with keys

	period float64 // ns between two records of this producer
	phase  float64 // ns
	next   int64   // j of the next record
	nextAt int64   // when it is due
	start  int64

	linger    int64
	lingers   ring[lingering]
	openCount int64
	full      int32 // records of a full batch where all are alike; 0 otherwise
	stride    int64 // records that go to one lane in succession, without keys
}

func newProducer(t *thread, number int) *producer {
	spec := &t.s.spec
	p := &producer{
		t: t, number: number, linger: int64(spec.Linger),
		period: float64(spec.Producers) / spec.Rate * 1e9, phase: float64(number) / spec.Rate * 1e9,
	}
	if t.s.maker.template != nil {
		p.full = int32(len(t.s.maker.ends))
	}
	p.stride = max(1, int64(p.full))
	if p.full == 0 {
		p.stride = int64(max(1, spec.BatchFit(int(spec.RecordSizes().Mean()))))
	}
	t.producers = append(t.producers, p)
	return p
}

// begin sets when the schedule starts.
func (p *producer) begin(start int64) {
	p.start = start
	p.nextAt = p.dueOf(0)
}

// dueOf is when the producer's record j is due. A float64 holds nanoseconds exactly for 104 days.
func (p *producer) dueOf(j int64) int64 {
	return p.start + int64(p.phase+float64(j)*p.period)
}

// due is when a lane's record is due.
func (l *lane) due(ordinal int64) int64 {
	p := l.producer
	if k := p.t.s.maker.keys; k != nil {
		return p.dueOf(k.turn(l.part.id, ordinal))
	}
	turn, within := ordinal/p.stride, ordinal%p.stride
	return p.dueOf((turn*int64(len(p.lanes))+l.place)*p.stride + within)
}

// nextEvent is when the producer has something to do next; 0: nothing to wait for.
func (p *producer) nextEvent(end int64) int64 {
	at := int64(0)
	if end == 0 || p.nextAt < end {
		at = p.nextAt
	}
	if p.lingers.len() > 0 {
		if until := p.lingers.at(0).until; at == 0 || until < at {
			at = until
		}
	}
	return at
}

// takeUp puts all records that have become due into batches, and closes those that have waited long
// enough. With no linger a batch closes once nothing more is due.
func (p *producer) takeUp(now int64) {
	t := p.t
	for taken := 0; taken < takeMax && p.nextAt <= now && (t.end == 0 || p.nextAt < t.end); taken++ {
		var l *lane
		if p.byPart != nil {
			k := t.s.maker.keys
			l = p.byPart[k.parts[p.next%k.count]]
		} else {
			l = p.lanes[p.next/p.stride%int64(len(p.lanes))]
		}
		if t.measured(p.nextAt) {
			t.tally.record(stageLag, t.main, now-p.nextAt, 1)
		}
		t.gauges.due.Store(t.gauges.due.Load() + 1)
		p.add(l, now)
		p.next++
		p.nextAt = p.dueOf(p.next)
	}
	for p.lingers.len() > 0 {
		first := p.lingers.at(0)
		stale := first.lane.openID != first.openID || first.lane.records == 0
		// At the end of the schedule nothing more will come.
		last := t.end != 0 && p.nextAt >= t.end && now >= t.end
		if !stale && first.until > now && !last {
			return
		}
		v := p.lingers.pop()
		if !stale {
			p.closeBatch(v.lane, now)
		}
	}
}

// add puts the next record into a lane's batch.
func (p *producer) add(l *lane, now int64) {
	m := p.t.s.maker
	size := 0
	if p.full == 0 {
		size = workload.RecordSizeAt(int(l.records), m.keyBytes, m.valueSize(l.ordinal))
		if l.records > 0 && l.bytes+size > m.batchBytes {
			p.closeBatch(l, now)
			size = workload.RecordSizeAt(0, m.keyBytes, m.valueSize(l.ordinal))
		}
	}
	if l.records == 0 {
		p.openCount++
		l.first, l.bytes, l.openedAt, l.openID = l.ordinal, wire.BatchHeaderSize, now, p.openCount
		p.lingers.push(lingering{l, l.openID, now + p.linger})
	}
	if n := len(l.taken); n > 0 && l.taken[n-1].at == now {
		l.taken[n-1].n++
	} else {
		l.taken = append(l.taken, taking{now, 1})
	}
	l.ordinal++
	l.records++
	l.bytes += size
	if l.records == p.full || int(l.records) >= m.recordsMax {
		p.closeBatch(l, now)
	}
}

// closeBatch queues a lane's batch.
func (p *producer) closeBatch(l *lane, now int64) {
	t := p.t
	if t.measured(l.due(l.first)) {
		for _, v := range l.taken {
			t.tally.record(stageBatch, t.main, now-v.at, v.n)
		}
	}
	l.taken = l.taken[:0]
	f := flight{lane: l, first: l.first, records: l.records, closed: now}
	l.records = 0
	c := l.conn
	c.queue.push(f)
	t.queued++
	if t.queued > queueBatchesMax {
		t.s.abort(errTooSlow)
	}
	t.list(&c.conn)
}

// unfinished is 1 while the schedule has records to hand out or batches to close.
func (p *producer) unfinished() int {
	if p.nextAt < p.t.end || p.lingers.len() > 0 {
		return 1
	}
	return 0
}

// recordOpen records the stages of an acknowledged batch of a schedule.
func (t *thread) recordOpen(f *flight, now int64) {
	l := f.lane
	n := int64(f.records)
	for i := range n {
		if due := l.due(f.first + i); t.measured(due) {
			t.tally.record(stageAck, t.main, now-due, 1)
		}
	}
	if t.measured(l.due(f.first)) {
		t.tally.record(stageQueue, t.main, f.sent-f.closed, n)
		t.tally.record(stageWire, t.main, now-f.sent, 1)
	}
}
