package load

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sluice/benchmarks/drive"
	"sluice/wire"
)

const (
	// produceTimeoutMs is how long the broker may wait for replicas (acks=-1).
	produceTimeoutMs = 30_000
	// copyBytesMax is the largest batch that is copied behind its request's head, so that several
	// small requests leave in one call.
	copyBytesMax = 4 << 10
	// outBytesMax is how much is gathered that way before it is sent.
	outBytesMax = 64 << 10
	// answerBytesMax bounds the answer to a produce request: one partition, one error message.
	answerBytesMax = 16 << 10
	// retryPause is how long a connection waits after an error that passes.
	retryPause = int64(100 * time.Millisecond)
)

// lane is where the batches of one producer for one partition are made, in order.
type lane struct {
	part *partition
	conn *produceConn
	// head is a Produce request up to the batch.
	head []byte
	// full holds the batches encoded beforehand, sent in turn; empty where each batch is made as
	// it is sent.
	full []full
	next int // of full
	// ordinal is the number of the next record of this lane; sequence that of the next batch of an
	// idempotent producer.
	ordinal  int64
	sequence int32
	// left is how many batches are still to be sent; negative: no bound.
	left int64

	open // the batch being gathered, in open loop
}

// flight is a batch in a queue or a request in flight.
type flight struct {
	lane           *lane
	first          int64 // the ordinal of its first record
	records, bytes int32
	// ready is when the request could first have been sent (closed loop), closed when the batch was
	// closed (open loop), sent when its first byte was given to the kernel.
	ready, closed, sent int64
}

// produceConn is a connection that writes.
type produceConn struct {
	conn
	group *group
	lanes []*lane
	turn  int // whose turn it is, in closed loop
	acks  int16

	flights ring[flight]
	depth   int
	// slots holds, in closed loop, when each free place among the requests in flight came free.
	slots ring[int64]
	// queue and retry hold what waits to be sent, in open loop; retry goes first.
	queue, retry ring[flight]
	// unsent counts the youngest flights whose time of sending is not noted yet.
	unsent int

	correlation int32 // of the next request
	expected    int32 // of the next answer
	input       []byte
	inputEnd    int
	batch       []byte // where a batch is made

	producer    producerID
	idempotent  bool
	renewing    bool
	renewed     atomic.Pointer[producerID] // set by the goroutine that asked for it
	firstOffset map[int]int64              // by partition, of the preload
}

func newProduceConn(t *thread, broker int32) *produceConn {
	spec := &t.s.spec
	p := &produceConn{
		acks: int16(spec.Acks), depth: spec.InFlight, idempotent: spec.Idempotence,
		flights: newRing[flight](spec.InFlight), slots: newRing[int64](spec.InFlight),
		input: make([]byte, answerBytesMax), producer: noProducerID,
	}
	p.conn = *t.attach(p, broker)
	t.conns[p.slot] = &p.conn
	return p
}

// newLane adds a partition to what a connection writes.
func (p *produceConn) newLane(part *partition) *lane {
	l := &lane{part: part, conn: p, left: -1}
	l.head = produceHead(part, p.acks)
	p.lanes = append(p.lanes, l)
	return l
}

// requestCorrelation is where the correlation id stands in a request.
const requestCorrelation = 8

// headerRoom is room for a batch's header.
var headerRoom [wire.BatchHeaderSize]byte

// produceHead encodes a Produce v8 request up to the length of its records: size and correlation
// are set for each request, and the length is its last four bytes.
func produceHead(part *partition, acks int16) []byte {
	b := requestHead(wire.KeyProduce, produceVersion)
	b = binary.BigEndian.AppendUint16(b, 0xffff) // No transactional id.
	b = binary.BigEndian.AppendUint16(b, uint16(acks))
	b = binary.BigEndian.AppendUint32(b, produceTimeoutMs)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = appendString(b, part.topic)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(part.index))
	return append(b, 0, 0, 0, 0)
}

func requestHead(key, version int16) []byte {
	b := make([]byte, 4, 128)
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = append(b, 0, 0, 0, 0)
	return appendString(b, clientID)
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func (p *produceConn) up(now int64) {
	p.correlation, p.expected, p.inputEnd, p.unsent = 0, 0, 0, 0
	p.slots.clear()
	for range p.depth {
		p.slots.push(now)
	}
	if p.idempotent && p.producer == noProducerID {
		p.renew(now)
	}
}

// down puts what was in flight back (open loop) or gives it up.
func (p *produceConn) down(now int64) {
	if n := p.flights.len(); n > 0 {
		p.t.fail(now, wire.CodeName(wire.CodeNetworkException), int64(n))
	}
	for p.flights.len() > 0 {
		f := p.flights.pop()
		p.settleFailed(&f, true)
	}
	if p.idempotent {
		p.producer = noProducerID
	}
}

// settleFailed gives a batch up, or lets it be sent again where it is part of a schedule and the
// reason may pass.
func (p *produceConn) settleFailed(f *flight, passing bool) {
	if passing && p.t.s.open {
		p.retry.push(*f)
		return
	}
	g := &p.t.gauges
	g.failed.Store(g.failed.Load() + int64(f.records))
}

func (p *produceConn) pendingRequests() int {
	return p.flights.len() + p.queue.len() + p.retry.len()
}

func (p *produceConn) abandon() {
	if n := p.pendingRequests(); n > 0 {
		p.t.tally.errors[drive.ErrorUnanswered] += int64(n)
	}
}

// pump sends as many requests as may be in flight.
func (p *produceConn) pump(now int64) error {
	if p.state != connUp || now < p.wakeAt && p.waiting || p.renewing && !p.renewal(now) {
		return nil
	}
	taken := 0
	for p.writable && p.body == nil && p.flights.len() < p.depth && taken < p.depth {
		f, ok := p.take()
		if !ok {
			break
		}
		taken++
		p.compose(f)
		if p.body != nil || len(p.out) >= outBytesMax {
			if err := p.push(); err != nil {
				return err
			}
		}
	}
	busy := taken > 0 || p.flights.len() > 0
	if err := p.push(); err != nil {
		return err
	}
	if busy && p.acks == 0 && p.flights.len() == 0 {
		p.t.list(&p.conn) // No answer will tell that there is room for more.
	}
	return nil
}

// push notes when the requests at hand were sent, and sends.
func (p *produceConn) push() error {
	if p.unsent > 0 {
		now := p.t.s.now()
		for i := range p.unsent {
			p.flights.at(p.flights.len() - 1 - i).sent = now
		}
		p.unsent = 0
	}
	if err := p.flush(); err != nil {
		return err
	}
	if p.acks == 0 && p.sent() && p.flights.len() > 0 {
		now := p.t.s.now()
		for p.flights.len() > 0 {
			f := p.flights.pop()
			p.succeeded(&f, now)
		}
	}
	return nil
}

// take chooses the next batch to send.
func (p *produceConn) take() (f flight, ok bool) {
	if p.t.s.open {
		for {
			switch {
			case p.retry.len() > 0:
				f = p.retry.pop()
			case p.queue.len() > 0:
				f = p.queue.pop()
				p.t.queued--
			default:
				return f, false
			}
			if f.lane.conn == p {
				return f, true
			}
			// The partition has moved to another broker since.
			f.lane.conn.retry.push(f)
			p.t.list(&f.lane.conn.conn)
		}
	}
	s := p.t.s
	if p.t.start == 0 || p.t.end != 0 && s.now() >= p.t.end {
		return f, false
	}
	for range p.lanes {
		l := p.lanes[p.turn]
		if p.turn++; p.turn == len(p.lanes) {
			p.turn = 0
		}
		if l.left == 0 {
			continue
		}
		l.left--
		f = flight{lane: l, first: l.ordinal, ready: max(p.slots.pop(), p.t.start)}
		if len(l.full) > 0 {
			f.records = l.full[l.next].records
		} else {
			f.records = int32(s.maker.fit(l, l.ordinal))
		}
		l.ordinal += int64(f.records)
		return f, true
	}
	return f, false
}

// compose makes the request of a batch: its head and the batch's header in out, the records behind
// them if they are few, else in body.
func (p *produceConn) compose(f flight) {
	l, m, at := f.lane, p.t.s.maker, len(p.out)
	p.out = append(p.out, l.head...)
	headAt := len(p.out)
	var body []byte
	switch {
	case len(l.full) > 0:
		batch := &l.full[l.next]
		if l.next++; l.next == len(l.full) {
			l.next = 0
		}
		body = batch.body
		p.out = append(p.out, batch.header[:]...)
		if p.idempotent {
			h := p.out[headAt:]
			stampProducer(h, p.producer, p.sequenceOf(&f))
			seal(h, body)
		}
	case m.template != nil:
		body = p.fromTemplate(m, &f)
		p.out = append(p.out, headerRoom[:]...)
		fillHeader(p.out[headAt:], body, f.records, p.t.s.unixMs(), p.producer, p.sequenceOf(&f))
	default:
		body = p.fromBuilder(m, &f)
	}
	f.bytes = int32(wire.BatchHeaderSize + len(body))
	head := p.out[at:]
	binary.BigEndian.PutUint32(head, uint32(len(l.head)-4+int(f.bytes)))
	binary.BigEndian.PutUint32(head[requestCorrelation:], uint32(p.correlation))
	binary.BigEndian.PutUint32(head[len(l.head)-4:], uint32(f.bytes))
	p.correlation++
	if len(body) <= copyBytesMax {
		p.out = append(p.out, body...)
	} else {
		p.body, p.bodyAt = body, 0
	}
	p.flights.push(f)
	p.unsent++
}

// sequenceOf is the sequence number of a batch, after which the lane goes on behind it.
func (p *produceConn) sequenceOf(f *flight) int32 {
	if !p.idempotent {
		return wire.NoSequence
	}
	s := f.lane.sequence
	f.lane.sequence = wire.AddSequence(s, f.records)
	return s
}

// fromTemplate takes the first records of the template, in a copy where they bear time stamps.
func (p *produceConn) fromTemplate(m *maker, f *flight) []byte {
	end := m.ends[f.records-1]
	if !m.stamped {
		return m.template[:end]
	}
	if len(p.batch) == 0 {
		p.batch = append(p.batch, m.template...)
	}
	for i, at := range m.values[:f.records] {
		binary.BigEndian.PutUint64(p.batch[at:], uint64(p.t.s.due(f, int64(i))))
	}
	return p.batch[:end]
}

// fromBuilder encodes the records one by one.
func (p *produceConn) fromBuilder(m *maker, f *flight) []byte {
	t, b := p.t, p.t.builder
	b.Reset()
	b.ProducerID, b.ProducerEpoch = p.producer.id, p.producer.epoch
	b.BaseSequence = p.sequenceOf(f)
	var due func(int64) int64
	if m.stamped {
		t.dueFlight = *f
		due = t.dueOf
	}
	t.value = m.build(b, f.lane, f.first, int(f.records), t.s.unixMs(), due, t.value)
	batch, err := b.Build(p.batch[:0])
	if err != nil {
		panic("BUG: a validated codec does not encode: " + err.Error())
	}
	p.batch = batch
	p.out = append(p.out, batch[:wire.BatchHeaderSize]...)
	return batch[wire.BatchHeaderSize:]
}

// receive reads answers.
func (p *produceConn) receive() (now int64, more bool, err error) {
	n, errno := receive(p.fd, p.input[p.inputEnd:])
	now = p.t.s.now()
	switch {
	case errno == unix.EAGAIN:
		return now, false, nil
	case errno == unix.EINTR:
		return now, true, nil
	case errno != 0:
		return now, false, errno
	case n == 0:
		return now, false, errPeerClosed
	}
	more = p.ended || p.inputEnd+n == len(p.input)
	p.inputEnd += n
	return now, more, p.answers(now)
}

// answers handles the whole answers in the input.
func (p *produceConn) answers(now int64) error {
	b := p.input[:p.inputEnd]
	for len(b) >= 4 {
		size := int(int32(binary.BigEndian.Uint32(b)))
		if size < 4 || size > len(p.input)-4 {
			return errBadAnswer
		}
		if len(b) < 4+size {
			break
		}
		if err := p.answer(b[4:4+size], now); err != nil {
			return err
		}
		b = b[4+size:]
	}
	p.inputEnd = copy(p.input, b)
	return nil
}

// answer handles one answer, which begins with its correlation id.
func (p *produceConn) answer(b []byte, now int64) error {
	if p.flights.len() == 0 || int32(binary.BigEndian.Uint32(b)) != p.expected {
		return errBadAnswer
	}
	p.expected++
	f := p.flights.pop()
	code, base, err := produceAnswer(b[4:], f.lane.part)
	if err != nil {
		p.settleFailed(&f, true)
		return err
	}
	if code == wire.CodeNone || code == wire.CodeDuplicateSequenceNumber {
		if p.firstOffset != nil {
			if _, known := p.firstOffset[f.lane.part.id]; !known {
				p.firstOffset[f.lane.part.id] = base
			}
		}
		p.succeeded(&f, now)
		return nil
	}
	p.refused(&f, code, now)
	return nil
}

// produceAnswer reads the body of a Produce v8 answer about one partition.
func produceAnswer(b []byte, part *partition) (code int16, base int64, err error) {
	// topics, name, partitions, index, error, base offset
	n := len(part.topic)
	if len(b) < 4+2+n+4+4+2+8 || binary.BigEndian.Uint32(b) != 1 ||
		int(binary.BigEndian.Uint16(b[4:])) != n || string(b[6:6+n]) != part.topic {
		return 0, 0, errBadAnswer
	}
	b = b[6+n:]
	if binary.BigEndian.Uint32(b) != 1 || int32(binary.BigEndian.Uint32(b[4:])) != part.index {
		return 0, 0, errBadAnswer
	}
	return int16(binary.BigEndian.Uint16(b[8:])), int64(binary.BigEndian.Uint64(b[10:])), nil
}

// passing reports whether a request may succeed when it is sent again (class RetriableException).
func passing(code int16) bool {
	switch code {
	case wire.CodeNotLeaderOrFollower, wire.CodeUnknownTopicOrPartition, wire.CodeLeaderNotAvailable,
		wire.CodeNetworkException, wire.CodeRequestTimedOut, wire.CodeNotEnoughReplicas,
		wire.CodeNotEnoughReplicasAfterAppend, wire.CodeKafkaStorageError, wire.CodeFencedLeaderEpoch,
		wire.CodeOutOfOrderSequenceNumber, wire.CodeUnknownProducerID, wire.CodeInvalidProducerEpoch:
		return true
	}
	return false
}

// refused handles an error in an answer.
func (p *produceConn) refused(f *flight, code int16, now int64) {
	p.t.fail(now, wire.CodeName(code), 1)
	p.settleFailed(f, passing(code))
	if !p.t.s.open {
		p.slots.push(now)
	}
	if p.idempotent {
		// The sequence has a hole now; a new id begins at 0.
		p.renew(now)
	}
	if passing(code) {
		p.t.s.refresh()
		p.t.wakeLater(&p.conn, now+retryPause)
	}
}

// renew asks for a new producer id; nothing is sent until it is here and all is answered.
func (p *produceConn) renew(now int64) {
	if p.renewing {
		return
	}
	p.renewing = true
	p.t.s.newProducerID(p)
	p.t.wakeLater(&p.conn, now+retryPause)
}

// renewal takes the new producer id over, if it is there.
func (p *produceConn) renewal(now int64) bool {
	id := p.renewed.Load()
	if id == nil || p.flights.len() > 0 {
		p.t.wakeLater(&p.conn, now+int64(time.Millisecond))
		return false
	}
	p.renewed.Store(nil)
	p.producer, p.renewing = *id, false
	for _, l := range p.lanes {
		l.sequence = 0
	}
	return true
}

// succeeded records an acknowledged batch.
func (p *produceConn) succeeded(f *flight, now int64) {
	t := p.t
	t.succeed(now)
	g := &t.gauges
	g.acked.Store(g.acked.Load() + int64(f.records))
	n := int64(f.records)
	if t.measured(now) {
		add(&t.tally.produced, n, int64(f.bytes))
		if now < t.begin+int64(t.s.spec.Burst) {
			add(&t.tally.burst, n, int64(f.bytes))
		}
	}
	pt := &t.tally.second.point
	pt.ProducedRecords += n
	pt.ProducedBytes += int64(f.bytes)
	if t.s.open {
		t.recordOpen(f, now)
		return
	}
	p.slots.push(now)
	if t.measured(f.ready) {
		t.tally.record(stageAck, t.main, now-f.ready, n)
		t.tally.record(stageQueue, t.main, f.sent-f.ready, n)
		t.tally.record(stageWire, t.main, now-f.sent, 1)
	}
}
