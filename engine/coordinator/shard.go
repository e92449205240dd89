package coordinator

import (
	"math"

	"sluice/wire"
)

// Batch is what a shard wants appended as one record batch.
type Batch struct {
	Records       []Record
	ProducerID    int64
	ProducerEpoch int16
	Guard         uint64
	Marker        *Marker
}

// Log takes a shard's batches. Append returns when the batch is in the log, with its last offset, or
// when it was refused. It need not be durable or replicated by then.
type Log interface {
	Append(b Batch) (lastOffset int64, code int16)
}

// batchRecordBytes is up to how many bytes of keys and values the shard gathers into one batch. One
// outcome's records are never split, and a large one has a batch to itself, so that nobody is refused
// for its neighbour's size. It leaves the topics' max.message.bytes (1 MiB) far away.
const batchRecordBytes = 256 << 10

// Shard drives one machine. It is not safe for concurrent use.
type Shard[In Input] struct {
	machine Machine[In]
	log     Log
	// end is one past the last offset appended; what was said up to it waits for the high watermark.
	end int64
	// decided are outcomes with records that are not appended yet, of different keys.
	decided []*decision[In]
	keys    map[string]struct{}
	bytes   int
	spare   []*decision[In]
	// held are answers in the order in which they were made; each waits for its offset.
	held []held[In]
	// lastCode is the code of the latest failed append, as the log gave it.
	lastCode int16
	scratch  []Record
}

type decision[In Input] struct {
	in  In
	out Outcome[In]
	// bytes are those of its records' keys and values.
	bytes int
}

type held[In Input] struct {
	end     int64
	replies []Reply[In]
	errands []any
}

// Released is what may leave now.
type Released[In Input] struct {
	Replies []Reply[In]
	Errands []any
}

// NewShard returns a shard of a machine that has been loaded: end is the offset up to which the
// partition was replayed.
func NewShard[In Input](m Machine[In], log Log, end int64) *Shard[In] {
	return &Shard[In]{machine: m, log: log, end: end, keys: map[string]struct{}{}}
}

// Loaded tells the machine that it is complete. Call it once, before Handle.
func (s *Shard[In]) Loaded(nowMs int64, leaderEpoch int32) {
	d := s.take(*new(In))
	s.machine.Loaded(nowMs, leaderEpoch, &d.out)
	if d.out.Writes() {
		panic("BUG: a machine wants to append while it is being loaded")
	}
	s.hold(d)
	s.release(d)
}

// Handle steps the machine: timers that are due at nowMs first, then the inputs in their order.
// Everything that is decided has been appended, or refused, when it returns.
func (s *Shard[In]) Handle(nowMs int64, inputs ...In) {
	for {
		in, ok := s.machine.Due(nowMs)
		if !ok {
			break
		}
		s.decide(nowMs, in)
	}
	for _, in := range inputs {
		s.decide(nowMs, in)
	}
	s.flush(nowMs)
}

func (s *Shard[In]) decide(nowMs int64, in In) {
	key := in.Key()
	if _, busy := s.keys[key]; busy || key == "" || s.bytes > batchRecordBytes {
		s.flush(nowMs)
	}
	d := s.take(in)
	s.machine.Decide(nowMs, in, &d.out)
	if !d.out.Writes() {
		s.hold(d)
		s.release(d)
		return
	}
	// What was answered besides does not wait for the input's own records.
	s.hold(d)
	d.out.Replies, d.out.Errands = nil, nil
	s.decided = append(s.decided, d)
	s.keys[key] = struct{}{}
	d.bytes = 0
	for _, r := range d.out.Records {
		d.bytes += len(r.Key) + len(r.Value)
	}
	s.bytes += d.bytes
	if key == "" {
		s.flush(nowMs)
	}
}

// flush appends what is decided: plain records together, those of a transaction and markers each in a
// batch of their own, since a batch has one producer.
func (s *Shard[In]) flush(nowMs int64) {
	if len(s.decided) == 0 {
		return
	}
	decided := s.decided
	for from := 0; from < len(decided); {
		to := from + 1
		if decided[from].plain() {
			bytes := decided[from].bytes
			for to < len(decided) && decided[to].plain() &&
				bytes+decided[to].bytes <= batchRecordBytes {
				bytes += decided[to].bytes
				to++
			}
		}
		s.append(nowMs, decided[from:to])
		from = to
	}
	for i, d := range decided {
		s.release(d)
		decided[i] = nil
	}
	s.decided, s.bytes = decided[:0], 0
	clear(s.keys)
}

func (d *decision[In]) plain() bool { return d.out.Marker == nil && d.out.ProducerID == NoProducer }

// append writes one batch, and settles those whose records are in it.
func (s *Shard[In]) append(nowMs int64, group []*decision[In]) {
	first := &group[0].out
	b := Batch{
		Records: s.scratch[:0], ProducerID: first.ProducerID, ProducerEpoch: first.ProducerEpoch,
		Guard: first.Guard, Marker: first.Marker,
	}
	for _, d := range group {
		b.Records = append(b.Records, d.out.Records...)
	}
	last, code := s.log.Append(b)
	clear(b.Records)
	s.scratch = b.Records[:0]
	if code == wire.CodeNone {
		s.end = last + 1
	} else {
		s.lastCode = code
		code = Refusal(code)
	}
	for _, d := range group {
		if code == wire.CodeNone {
			s.replay(d)
		}
		s.machine.Settle(nowMs, d.in, &d.out, code)
		s.hold(d)
	}
}

func (s *Shard[In]) replay(d *decision[In]) {
	if m := d.out.Marker; m != nil {
		s.machine.ReplayMarker(*m)
		return
	}
	for _, r := range d.out.Records {
		if err := s.machine.Replay(r, d.out.ProducerID, d.out.ProducerEpoch); err != nil {
			panic("BUG: a machine cannot replay its own record: " + err.Error())
		}
	}
}

// hold keeps an outcome's answers until the high watermark has passed all that is appended.
func (s *Shard[In]) hold(d *decision[In]) {
	if len(d.out.Replies) == 0 && len(d.out.Errands) == 0 {
		return
	}
	s.held = append(s.held, held[In]{end: s.end, replies: d.out.Replies, errands: d.out.Errands})
	d.out.Replies, d.out.Errands = nil, nil
}

// Release appends to dst what may leave once the high watermark is hw.
func (s *Shard[In]) Release(hw int64, dst *Released[In]) {
	n := 0
	for ; n < len(s.held) && s.held[n].end <= hw; n++ {
		dst.Replies = append(dst.Replies, s.held[n].replies...)
		dst.Errands = append(dst.Errands, s.held[n].errands...)
		s.held[n] = held[In]{}
	}
	if n == len(s.held) {
		s.held = s.held[:0]
		return
	}
	s.held = s.held[n:]
}

// Holding reports whether answers wait for the high watermark.
func (s *Shard[In]) Holding() bool { return len(s.held) > 0 }

// End is one past the last offset that the shard knows of.
func (s *Shard[In]) End() int64 { return s.end }

// NextDueMs is when Handle should be called next even without inputs.
func (s *Shard[In]) NextDueMs() int64 { return s.machine.NextDueMs() }

// LastCode returns the code with which the log refused the latest failed append, and forgets it;
// wire.CodeNone if none has failed since.
func (s *Shard[In]) LastCode() int16 {
	code := s.lastCode
	s.lastCode = wire.CodeNone
	return code
}

// Unload ends the shard because its partition is no longer led here: everybody whose answer has not
// left is refused with code. Errands are dropped, the next leader finds them in the log.
func (s *Shard[In]) Unload(code int16, dst *Released[In]) {
	refuse := func(in In) {
		if response := in.Refuse(code); response != nil {
			dst.Replies = append(dst.Replies, Reply[In]{To: in, Response: response})
		}
	}
	for _, h := range s.held {
		for _, r := range h.replies {
			refuse(r.To)
		}
	}
	for _, in := range s.machine.Waiting() {
		refuse(in)
	}
	s.held = nil
}

func (s *Shard[In]) take(in In) *decision[In] {
	n := len(s.spare)
	if n == 0 {
		d := &decision[In]{in: in}
		d.out.reset()
		return d
	}
	d := s.spare[n-1]
	s.spare = s.spare[:n-1]
	d.in = in
	return d
}

const spareMax = 64

func (s *Shard[In]) release(d *decision[In]) {
	clear(d.out.Records)
	d.out.reset()
	d.in = *new(In)
	if len(s.spare) < spareMax {
		s.spare = append(s.spare, d)
	}
}

// Refusal says in a coordinator's terms why an append failed (class CoordinatorRuntime and
// GroupMetadataManager's storeGroup): clients know how to go on from these, not from those.
func Refusal(code int16) int16 {
	switch code {
	case wire.CodeUnknownTopicOrPartition, wire.CodeNotEnoughReplicas,
		wire.CodeNotEnoughReplicasAfterAppend, wire.CodeRequestTimedOut:
		return wire.CodeCoordinatorNotAvailable
	case wire.CodeNotLeaderOrFollower, wire.CodeKafkaStorageError,
		wire.CodeFencedLeaderEpoch, wire.CodeUnknownLeaderEpoch:
		return wire.CodeNotCoordinator
	case wire.CodeMessageTooLarge, wire.CodeRecordListTooLarge, wire.CodeInvalidFetchSize:
		return wire.CodeUnknownServerError
	default:
		return code
	}
}

// Never is NextDueMs of a machine without timers.
const Never = math.MaxInt64

// PartitionFor is the partition of an internal topic with that many partitions that a group id or
// transactional id belongs to: Java's String.hashCode over UTF-16 units, made positive as Kafka's
// Utils.abs does.
func PartitionFor(key string, partitions int32) int32 {
	var h int32
	for _, r := range key {
		if r >= 0x10000 {
			r -= 0x10000
			h = 31*h + (0xd800 + r>>10)
			h = 31*h + (0xdc00 + r&0x3ff)
			continue
		}
		h = 31*h + r
	}
	if h == math.MinInt32 {
		return 0
	}
	if h < 0 {
		h = -h
	}
	return h % partitions
}
