package load

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"sluice/benchmarks/drive"
	"sluice/wire"
)

// source is a partition as a consumer reads it.
type source struct {
	part *partition
	// head is a Fetch request for this partition alone.
	head []byte
	// ask is the offset of the next request, expect the base offset that the next batch must have.
	ask, expect int64
	// fresh says that expect is no batch's beginning for sure: the first batch may begin before it.
	fresh bool
	// start and end bound what is read again and again; a tail has no end (-1).
	start, end int64
	// batchBytes and batchRecords are those of every batch; 0 if not known yet, or unequal.
	batchBytes, batchRecords int64
	// outstanding counts the requests in flight. With more than one, each asks for where the one
	// before is predicted to end; resync says that a prediction failed, so that all must be answered
	// before the next is sent.
	outstanding int
	resync      bool
}

// unequal stands in batchBytes for a log whose batches differ.
const unequal = -1

// fetchFlight is a Fetch request in flight.
type fetchFlight struct {
	source *source // nil: all of the connection's partitions
	offset int64   // of the request
	next   int64   // where the answer is predicted to end
	sent   int64
}

// Prediction is given up on a connection once it failed this often, and for one answer in so many.
const (
	resyncsMin  = 8
	resyncShare = 64
)

// emptyPause is how long a reader waits after an answer without a batch where there should be one.
const emptyPause = int64(time.Millisecond)

// fetchConn is a connection that reads.
type fetchConn struct {
	conn
	group   *group
	sources []*source
	kind    stage // fetch or catchup
	// tail says that all partitions are asked for at once, one request in flight, and that the
	// records' time stamps are read.
	tail bool
	// dropping says that records are dropped by the kernel once a partition's batches are known.
	dropping bool
	depth    int
	single   bool // one request in flight per partition
	turn     int

	request     []byte // for all partitions, in tail
	offsetsAt   []int
	flights     ring[fetchFlight]
	correlation int32
	expected    int32

	resyncs, answers int64
	parser
}

func newFetchConn(t *thread, broker int32, kind stage) *fetchConn {
	spec := &t.s.spec
	f := &fetchConn{kind: kind, depth: spec.InFlight, flights: newRing[fetchFlight](spec.InFlight)}
	f.conn = *t.attach(f, broker)
	t.conns[f.slot] = &f.conn
	return f
}

// Where fields stand in the part of a request that is about one partition.
const (
	fetchPartOffset = 4 + 4
	fetchPartBytes  = 4 + 4 + 8 + 8 + 4
)

// fetchHead encodes a Fetch v11 request up to its topics: no session (KIP-227), read uncommitted.
func fetchHead(waitMs, minBytes, maxBytes int) []byte {
	b := requestHead(wire.KeyFetch, fetchVersion)
	b = binary.BigEndian.AppendUint32(b, 0xffffffff) // Not a replica.
	b = binary.BigEndian.AppendUint32(b, uint32(waitMs))
	b = binary.BigEndian.AppendUint32(b, uint32(minBytes))
	b = binary.BigEndian.AppendUint32(b, uint32(maxBytes))
	b = append(b, 0)
	b = binary.BigEndian.AppendUint32(b, 0)
	return binary.BigEndian.AppendUint32(b, 0xffffffff)
}

// appendFetchPart encodes the part about one partition, its offset still to be set.
func appendFetchPart(b []byte, index int32, maxBytes int) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(index))
	b = binary.BigEndian.AppendUint32(b, 0xffffffff) // Any leader epoch.
	b = binary.BigEndian.AppendUint64(b, 0)
	b = binary.BigEndian.AppendUint64(b, 0xffffffffffffffff)
	return binary.BigEndian.AppendUint32(b, uint32(maxBytes))
}

// endFetch ends a request: nothing is forgotten, no rack; and sets its size.
func endFetch(b []byte) []byte {
	b = append(b, 0, 0, 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// singleHead encodes the request for one partition. Its offset stands at singleOffset.
func (f *fetchConn) singleHead(p *partition) []byte {
	spec := &f.t.s.spec
	b := fetchHead(int(spec.FetchWait.D().Milliseconds()), 1, spec.FetchBytes)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = appendString(b, p.topic)
	b = binary.BigEndian.AppendUint32(b, 1)
	return endFetch(appendFetchPart(b, p.index, spec.FetchBytes))
}

// singleOffset is where the offset stands, counted from the end.
const singleOffset = -(fetchPartBytes - fetchPartOffset) - 6

// buildRequest encodes the request for all partitions, which are ordered by topic.
func (f *fetchConn) buildRequest() {
	spec := &f.t.s.spec
	b := fetchHead(int(spec.FetchWait.D().Milliseconds()), spec.FetchMinBytes, spec.FetchBytes)
	topicsAt, topics, countAt, count := len(b), 0, 0, 0
	b = append(b, 0, 0, 0, 0)
	f.offsetsAt = f.offsetsAt[:0]
	for i, s := range f.sources {
		if i == 0 || f.sources[i-1].part.topic != s.part.topic {
			topics++
			b = appendString(b, s.part.topic)
			countAt, count = len(b), 0
			b = append(b, 0, 0, 0, 0)
		}
		count++
		binary.BigEndian.PutUint32(b[countAt:], uint32(count))
		f.offsetsAt = append(f.offsetsAt, len(b)+fetchPartOffset)
		b = appendFetchPart(b, s.part.index, spec.FetchBytes)
	}
	binary.BigEndian.PutUint32(b[topicsAt:], uint32(topics))
	f.request = endFetch(b)
}

func (f *fetchConn) up(int64) {
	f.correlation, f.expected, f.turn = 0, 0, 0
	f.parser.reset()
	if f.tail {
		f.buildRequest()
	}
}

// down forgets what was in flight: it is asked for again.
func (f *fetchConn) down(now int64) {
	if n := f.flights.len(); n > 0 {
		f.t.fail(now, wire.CodeName(wire.CodeNetworkException), int64(n))
	}
	f.flights.clear()
	for _, s := range f.sources {
		s.ask, s.outstanding, s.resync = s.expect, 0, false
	}
}

// pendingRequests says what the end of a run waits for: a tail reads on until all that was written
// has arrived, which the coordinator sees by other means.
func (f *fetchConn) pendingRequests() int {
	if f.tail {
		return 0
	}
	return f.flights.len()
}

func (f *fetchConn) abandon() {
	if n := f.pendingRequests(); n > 0 {
		f.t.tally.errors[drive.ErrorUnanswered] += int64(n)
	}
}

// pump sends as many requests as may be in flight.
func (f *fetchConn) pump(now int64) error {
	if f.state != connUp || f.t.start == 0 || f.waiting && now < f.wakeAt {
		return nil
	}
	if f.tail {
		if f.flights.len() == 0 && len(f.sources) > 0 {
			f.askAll()
		}
		return f.send(now)
	}
	if f.t.end != 0 && now >= f.t.end {
		return f.flush()
	}
	if f.kind == stageCatchup && now < f.t.s.half {
		f.t.wakeLater(&f.conn, f.t.s.half)
		return nil
	}
	for f.flights.len() < f.depth {
		s := f.choose()
		if s == nil {
			break
		}
		f.askOne(s)
	}
	return f.send(now)
}

// send notes when the requests at hand were sent, and sends.
func (f *fetchConn) send(now int64) error {
	for i := f.flights.len() - 1; i >= 0 && f.flights.at(i).sent == 0; i-- {
		f.flights.at(i).sent = now
	}
	return f.flush()
}

// choose takes the next partition in turn that may be asked for.
func (f *fetchConn) choose() *source {
	for range f.sources {
		s := f.sources[f.turn]
		if f.turn++; f.turn >= len(f.sources) {
			f.turn = 0
		}
		if s.outstanding == 0 {
			s.ask, s.resync = s.expect, false
			return s
		}
		if !s.resync && !f.single && s.batchBytes > 0 {
			return s
		}
	}
	return nil
}

func (f *fetchConn) begin(head []byte) []byte {
	at := len(f.out)
	f.out = append(f.out, head...)
	b := f.out[at:]
	binary.BigEndian.PutUint32(b[requestCorrelation:], uint32(f.correlation))
	f.correlation++
	return b
}

// askOne adds a request for one partition.
func (f *fetchConn) askOne(s *source) {
	if s.end >= 0 && s.ask >= s.end {
		s.ask = s.start
	}
	if s.head == nil {
		s.head = f.singleHead(s.part)
	}
	b := f.begin(s.head)
	binary.BigEndian.PutUint64(b[len(b)+singleOffset:], uint64(s.ask))
	flight := fetchFlight{source: s, offset: s.ask}
	if s.batchBytes > 0 {
		n := max(1, int64(f.t.s.spec.FetchBytes)/s.batchBytes)
		flight.next = min(s.ask+n*s.batchRecords, s.end)
		s.ask = flight.next
	}
	s.outstanding++
	f.flights.push(flight)
}

// askAll adds a request for all partitions.
func (f *fetchConn) askAll() {
	b := f.begin(f.request)
	for i, s := range f.sources {
		binary.BigEndian.PutUint64(b[f.offsetsAt[i]:], uint64(s.expect))
	}
	f.flights.push(fetchFlight{})
}

// receive reads once: into the thread's buffer, or nowhere.
func (f *fetchConn) receive() (now int64, more bool, err error) {
	var n int
	var errno unix.Errno
	room := len(f.t.buffer)
	if f.dropLeft > 0 {
		room = int(min(f.dropLeft, turnBytesMax*4))
		n, errno = discard(f.fd, room)
	} else {
		if f.dropping && f.parser.exact() {
			room = f.parser.need()
		}
		if f.t.s.open {
			room = min(room, stepBytesMax)
		}
		n, errno = receive(f.fd, f.t.buffer[:room])
	}
	now = f.t.s.now()
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
	if f.dropLeft > 0 {
		f.dropLeft -= int64(n)
		if f.dropLeft == 0 {
			err = f.parse(nil, now)
		}
	} else {
		err = f.parse(f.t.buffer[:n], now)
		f.t.keepUp(now)
	}
	return now, n == room || f.ended, err
}

// done handles the end of an answer.
func (f *fetchConn) done(now int64) {
	flight := f.flights.pop()
	f.answers++
	// An answer that brought nothing but errors is no success: it is timed and counted nowhere.
	failed := f.faulty && f.batches == 0
	if !failed {
		f.t.succeed(now)
	}
	if s := flight.source; s != nil {
		s.outstanding--
		if flight.next != 0 && !f.stale && min(s.expect, s.end) != flight.next && s.outstanding > 0 {
			f.mispredicted(s)
		}
		if s.end >= 0 && s.expect >= s.end {
			s.expect = s.start
			if f.kind == stageCatchup {
				f.t.tally.catchupPasses++
			}
		}
		if f.batches == 0 && !f.stale && s.outstanding == 0 && !f.waiting {
			f.t.wakeLater(&f.conn, now+emptyPause)
		}
	}
	if failed {
		return
	}
	if f.t.measured(flight.sent) {
		f.t.tally.record(f.kind, f.t.main, now-flight.sent, 1)
	}
	if f.kind == stageCatchup && f.t.measured(now) {
		f.t.tally.catchup.Requests++
	} else if f.t.measured(now) {
		f.t.tally.consumed.Requests++
	}
}

// mispredicted notes that the requests in flight ask for the wrong offsets.
func (f *fetchConn) mispredicted(s *source) {
	s.resync = true
	f.resyncs++
	if !f.single && f.resyncs >= resyncsMin && f.resyncs*resyncShare > f.answers {
		f.single = true
		f.t.tally.notes["answers ended where they were not predicted to; one fetch in flight per "+
			"partition from then on"]++
	}
}

// fault counts an error of the answer at hand.
func (f *fetchConn) fault(now int64, name string) {
	f.faulty = true
	f.t.fail(now, name, 1)
}

// refused handles an error in an answer.
func (f *fetchConn) refused(s *source, code int16, logStart, now int64) {
	f.fault(now, wire.CodeName(code))
	if code == wire.CodeOffsetOutOfRange && logStart > s.expect {
		s.expect, s.start, s.fresh = logStart, max(s.start, logStart), true
	}
	s.resync = true
	f.t.wakeLater(&f.conn, now+retryPause)
	if passing(code) {
		f.t.s.refresh()
	}
}
