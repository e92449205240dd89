package load

import (
	"encoding/binary"

	"sluice/benchmarks/drive"
	"sluice/wire"
)

// step is what a parser of Fetch answers expects next.
type step uint8

const (
	stepStart    step = iota // size, correlation, throttle, error, session, number of topics
	stepTopic                // a topic's name's length
	stepName                 // its name and the number of its partitions
	stepPart                 // a partition up to the number of aborted transactions
	stepAborted              // those
	stepRecords              // preferred replica, length of the records
	stepHeader               // a batch's header
	stepBody                 // the rest of a batch
	stepSkip                 // bytes that belong to no whole batch
	stepDrop                 // bytes that the kernel drops
	stepFinished             // between two answers
)

// Sizes of the parts of an answer (Fetch v11).
const (
	startBytes     = 4 + 4 + 4 + 2 + 4 + 4
	partBytes      = 4 + 2 + 8 + 8 + 8 + 4
	abortedBytes   = 8 + 8
	recordsBytes   = 4 + 4
	fetchAnswerMax = 1<<31 - 1
)

// parser reads Fetch answers in whatever pieces they arrive. Of a piece it keeps only what is less
// than the part that is expected next.
type parser struct {
	step    step
	partial []byte // the beginning of the part that is expected next
	chunk   []byte // what is left of the piece at hand

	frameLeft    int64 // of the answer
	topics       int   // still to come
	parts        int   // of the topic at hand
	nameBytes    int
	topic        []byte // the name at hand, kept
	abortedCount int64
	errorCode    int16

	// Of the partition at hand.
	source      *source
	sourceHint  int // where the search for the next one begins
	stale       bool
	code        int16
	logStart    int64
	recordsLeft int64
	dropLeft    int64
	skipLeft    int64
	batches     int64 // of the answer, verified or dropped
	faulty      bool  // something of the answer was counted as an error

	// Of the batch at hand.
	header   [wire.BatchHeaderSize]byte
	bodyLeft int64
	crc      uint32
	gathered []byte // the whole batch, where its records are to be read
	records  wire.Records
	record   wire.Record
}

func (p *parser) reset() {
	p.step, p.partial, p.chunk, p.dropLeft = stepStart, p.partial[:0], nil, 0
}

// exact reports whether what is expected next has a known size, so that not a byte more needs to
// be received.
func (p *parser) exact() bool { return p.step <= stepRecords }

// need is how many bytes of the part that is expected next are missing. At the beginning of an
// answer about one partition it is all of the answer's head.
func (p *parser) need() int {
	n := 0
	switch p.step {
	case stepStart:
		n = startBytes
		if len(p.topic) > 0 {
			n += 2 + len(p.topic) + 4 + partBytes + recordsBytes
		}
	case stepTopic:
		n = 2
	case stepName:
		n = p.nameBytes + 4
	case stepPart:
		n = partBytes
	case stepAborted:
		n = int(p.abortedCount * abortedBytes)
	case stepRecords:
		n = recordsBytes
	}
	return n - len(p.partial)
}

// take returns the next n bytes, or false if they are not all there yet. They are good until the
// next call.
func (p *parser) take(n int) ([]byte, bool) {
	if len(p.partial) == 0 && len(p.chunk) >= n {
		b := p.chunk[:n]
		p.chunk = p.chunk[n:]
		return b, true
	}
	m := min(n-len(p.partial), len(p.chunk))
	p.partial = append(p.partial, p.chunk[:m]...)
	p.chunk = p.chunk[m:]
	if len(p.partial) < n {
		return nil, false
	}
	b := p.partial
	p.partial = p.partial[:0]
	return b, true
}

// parse reads a piece of an answer. The piece is the caller's again afterwards.
func (f *fetchConn) parse(piece []byte, now int64) error {
	p := &f.parser
	p.chunk = piece
	for {
		var ok bool
		var err error
		switch p.step {
		case stepStart:
			ok, err = f.parseStart()
		case stepTopic:
			ok, err = p.parseTopic()
		case stepName:
			ok, err = p.parseName()
		case stepPart:
			ok, err = f.parsePart(now)
		case stepAborted:
			ok, err = p.parseAborted()
		case stepRecords:
			ok, err = f.parseRecords()
		case stepHeader:
			ok, err = f.parseHeader(now)
		case stepBody:
			ok, err = f.parseBody(now)
		case stepSkip:
			ok, err = p.parseSkip()
		case stepDrop:
			ok, err = f.parseDrop(now)
		case stepFinished:
			f.done(now)
			p.step, ok = stepStart, true
		}
		if err != nil || !ok {
			return err
		}
	}
}

func (f *fetchConn) parseStart() (bool, error) {
	p := &f.parser
	b, ok := p.take(startBytes)
	if !ok {
		return false, nil
	}
	size := int64(int32(binary.BigEndian.Uint32(b)))
	p.frameLeft = size - (startBytes - 4)
	if p.frameLeft < 0 || f.flights.len() == 0 || int32(binary.BigEndian.Uint32(b[4:])) != f.expected {
		return false, errBadAnswer
	}
	f.expected++
	p.errorCode = int16(binary.BigEndian.Uint16(b[12:]))
	p.topics = int(int32(binary.BigEndian.Uint32(b[18:])))
	p.batches, p.sourceHint, p.stale, p.faulty = 0, 0, false, false
	if p.errorCode != wire.CodeNone {
		f.fault(f.t.s.now(), wire.CodeName(p.errorCode))
		f.t.wakeLater(&f.conn, f.t.s.now()+retryPause)
	}
	return true, p.nextTopic()
}

// nextTopic goes on to the next topic, or ends the answer.
func (p *parser) nextTopic() error {
	switch {
	case p.topics > 0 && p.frameLeft >= 2+4:
		p.topics--
		p.step = stepTopic
	case p.topics > 0 || p.frameLeft != 0:
		return errBadAnswer
	default:
		p.step = stepFinished
	}
	return nil
}

// nextPart goes on to the next partition of the topic, or to the next topic.
func (p *parser) nextPart() error {
	if p.parts == 0 {
		return p.nextTopic()
	}
	if p.frameLeft < partBytes+recordsBytes {
		return errBadAnswer
	}
	p.parts--
	p.step = stepPart
	return nil
}

// spend takes n bytes off the answer.
func (p *parser) spend(n int64) error {
	if p.frameLeft -= n; p.frameLeft < 0 {
		return errBadAnswer
	}
	return nil
}

func (p *parser) parseTopic() (bool, error) {
	b, ok := p.take(2)
	if !ok {
		return false, nil
	}
	p.nameBytes = int(binary.BigEndian.Uint16(b))
	p.step = stepName
	return true, p.spend(2 + int64(p.nameBytes) + 4)
}

func (p *parser) parseName() (bool, error) {
	b, ok := p.take(p.nameBytes + 4)
	if !ok {
		return false, nil
	}
	p.topic = append(p.topic[:0], b[:p.nameBytes]...)
	p.parts = int(int32(binary.BigEndian.Uint32(b[p.nameBytes:])))
	if p.parts < 0 {
		return false, errBadAnswer
	}
	return true, p.nextPart()
}

func (f *fetchConn) parsePart(now int64) (bool, error) {
	p := &f.parser
	b, ok := p.take(partBytes)
	if !ok {
		return false, nil
	}
	p.source = f.find(int32(binary.BigEndian.Uint32(b)))
	if p.source == nil {
		return false, errBadAnswer
	}
	p.code = int16(binary.BigEndian.Uint16(b[4:]))
	p.logStart = int64(binary.BigEndian.Uint64(b[22:]))
	p.abortedCount = max(0, int64(int32(binary.BigEndian.Uint32(b[30:]))))
	p.step = stepAborted
	if p.code != wire.CodeNone {
		f.refused(p.source, p.code, p.logStart, now)
	}
	f.place()
	return true, p.spend(partBytes + p.abortedCount*abortedBytes + recordsBytes)
}

// find returns the connection's partition of the topic at hand with an index. Answers come in the
// order of the requests from most brokers, so the search begins behind the last one found.
func (f *fetchConn) find(index int32) *source {
	p := &f.parser
	for i := range f.sources {
		at := (p.sourceHint + i) % len(f.sources)
		s := f.sources[at]
		if s.part.index == index && s.part.topic == string(p.topic) {
			p.sourceHint = at + 1
			return s
		}
	}
	return nil
}

// place compares what was asked for with what is expected: an answer that begins elsewhere was
// asked for in the wrong belief about where the one before would end, and is not counted.
func (f *fetchConn) place() {
	p := &f.parser
	flight := f.flights.at(0)
	s := p.source
	p.stale = flight.source != nil && flight.source == s && flight.offset != s.expect
}

func (p *parser) parseAborted() (bool, error) {
	if p.abortedCount > fetchAnswerMax/abortedBytes {
		return false, errBadAnswer
	}
	_, ok := p.take(int(p.abortedCount * abortedBytes))
	p.step = stepRecords
	if !ok {
		p.step = stepAborted
	}
	return ok, nil
}

func (f *fetchConn) parseRecords() (bool, error) {
	p := &f.parser
	b, ok := p.take(recordsBytes)
	if !ok {
		return false, nil
	}
	p.recordsLeft = max(0, int64(int32(binary.BigEndian.Uint32(b[4:]))))
	if err := p.spend(p.recordsLeft); err != nil {
		return false, err
	}
	s := p.source
	if f.dropping && s.batchBytes > 0 {
		n := p.recordsLeft
		p.step = stepDrop
		p.skipLeft = n
		m := min(n, int64(len(p.chunk)))
		p.chunk = p.chunk[m:]
		p.dropLeft = n - m
		return p.dropLeft == 0, nil
	}
	return true, p.nextBatch()
}

// nextBatch goes on to the next batch of the partition, or to what follows the last.
func (p *parser) nextBatch() error {
	switch {
	case p.recordsLeft == 0:
		return p.nextPart()
	case p.stale || p.recordsLeft < wire.BatchHeaderSize:
		p.skipLeft, p.recordsLeft, p.step = p.recordsLeft, 0, stepSkip
	default:
		p.step = stepHeader
	}
	return nil
}

// parseDrop counts the batches that the kernel has dropped: all are equal.
func (f *fetchConn) parseDrop(now int64) (bool, error) {
	p, s := &f.parser, f.parser.source
	n := p.skipLeft / s.batchBytes
	p.recordsLeft = 0
	if !p.stale && n > 0 {
		s.expect += n * s.batchRecords
		if s.end >= 0 && s.expect > s.end {
			n -= (s.expect - s.end) / s.batchRecords
			s.expect = s.end
		}
		p.batches += n
		f.counted(now, n*s.batchRecords, n*s.batchBytes)
	}
	return true, p.nextPart()
}

func (p *parser) parseSkip() (bool, error) {
	n := min(p.skipLeft, int64(len(p.chunk)))
	p.skipLeft -= n
	p.chunk = p.chunk[n:]
	if p.skipLeft > 0 {
		return false, nil
	}
	return true, p.nextPart()
}

// parseHeader checks a batch's header. What does not look like a batch is skipped to the end of
// the partition's records, and counted.
func (f *fetchConn) parseHeader(now int64) (bool, error) {
	p := &f.parser
	b, ok := p.take(wire.BatchHeaderSize)
	if !ok {
		return false, nil
	}
	copy(p.header[:], b)
	h := wire.Batch(p.header[:])
	if _, err := wire.PeekBatch(p.header[:]); err != nil {
		f.fault(now, drive.ErrorBadAnswer)
		p.skipLeft, p.recordsLeft, p.step = p.recordsLeft-wire.BatchHeaderSize, 0, stepSkip
		return true, nil
	}
	size := int64(h.Length())
	if size > p.recordsLeft {
		// A partial batch at the end: clients ask for it again (KIP-74).
		p.skipLeft, p.recordsLeft, p.step = p.recordsLeft-wire.BatchHeaderSize, 0, stepSkip
		return true, nil
	}
	p.recordsLeft -= size
	p.bodyLeft = size - wire.BatchHeaderSize
	p.crc = wire.CRC(p.header[headerSealed:])
	if f.tail {
		p.gathered = append(p.gathered[:0], p.header[:]...)
	}
	p.step = stepBody
	return true, nil
}

// parseBody goes on with the checksum, and at the batch's end counts it.
func (f *fetchConn) parseBody(now int64) (bool, error) {
	p := &f.parser
	n := min(p.bodyLeft, int64(len(p.chunk)))
	b := p.chunk[:n]
	p.chunk = p.chunk[n:]
	p.bodyLeft -= n
	p.crc = wire.UpdateCRC(p.crc, b)
	if f.tail {
		p.gathered = append(p.gathered, b...)
	}
	if p.bodyLeft > 0 {
		return false, nil
	}
	f.verified(now)
	return true, p.nextBatch()
}

// verified judges a whole batch: its checksum, and that it begins where the one before ended.
func (f *fetchConn) verified(now int64) {
	p, s := &f.parser, f.parser.source
	h := wire.Batch(p.header[:])
	base, next := h.BaseOffset(), h.NextOffset()
	if next <= base || int64(h.Count()) > next-base {
		f.fault(now, drive.ErrorBadAnswer)
		return
	}
	if p.crc != h.CRC() {
		f.fault(now, drive.ErrorBadCRC)
		s.expect = max(s.expect, next)
		return
	}
	if s.end >= 0 && base >= s.end {
		return // Written since: not part of what is read again and again.
	}
	if base != s.expect && !(s.fresh && base < s.expect && next > s.expect) {
		f.fault(now, drive.ErrorOffsetGap)
		if next <= s.expect {
			return // Seen already: not counted twice.
		}
	}
	s.fresh = false
	s.expect = next
	p.batches++
	size := int64(h.Length())
	f.learn(s, size, next-base)
	f.counted(now, int64(h.Count()), size)
	if f.tail && f.t.s.maker.stamped && !h.IsControl() {
		f.arrivals(now)
	}
}

// learn notes the size of a log's batches, as long as all are equal.
func (f *fetchConn) learn(s *source, size, records int64) {
	switch {
	case s.end < 0 || s.batchBytes < 0 || s.batchBytes == size && s.batchRecords == records:
	case s.batchBytes == 0:
		s.batchBytes, s.batchRecords = size, records
	default:
		s.batchBytes = unequal
		f.t.tally.notes["the batches that were read are not of one size: one fetch in flight per "+
			"partition, and every byte read"]++
	}
}

// counted adds what has arrived.
func (f *fetchConn) counted(now, records, bytes int64) {
	t := f.t
	if f.kind == stageCatchup {
		if t.measured(now) {
			t.tally.catchup.Records += records
			t.tally.catchup.Bytes += bytes
		}
		return
	}
	t.gauges.consumed.Store(t.gauges.consumed.Load() + records)
	if t.measured(now) {
		t.tally.consumed.Records += records
		t.tally.consumed.Bytes += bytes
	}
	pt := &t.tally.second.point
	pt.ConsumedRecords += records
	pt.ConsumedBytes += bytes
}

// arrivals reads the records' time stamps.
func (f *fetchConn) arrivals(now int64) {
	p, t := &f.parser, f.t
	p.records.Open(wire.Batch(p.gathered), 0)
	for p.records.Next(&p.record) {
		v := p.record.Value
		if len(v) < 16 || binary.BigEndian.Uint64(v[8:]) != t.s.maker.tag {
			t.tally.notes["records that this run did not write were read"]++
			continue
		}
		due := int64(binary.BigEndian.Uint64(v))
		if !t.measured(due) {
			continue
		}
		t.tally.record(stageE2E, t.main, now-due, 1)
		if t.s.half != 0 {
			if due < t.s.half {
				t.tally.before.Record(now - due)
			} else {
				t.tally.during.Record(now - due)
			}
		}
	}
	if p.records.Err() != nil {
		t.fail(now, drive.ErrorBadAnswer, 1)
	}
	p.records.Close()
}
