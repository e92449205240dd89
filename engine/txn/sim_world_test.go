package txn

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// write is a record of a transaction in a partition.
type write struct {
	to   TopicPartition
	fate string // "" while the transaction is open, then commit or abort.
}

// attempt is a transaction as its producer sees it.
type attempt struct {
	s      *sim
	who    string
	writes []*write
	// result is what EndTxn was answered to: commit or abort; empty if the producer never knew.
	result string
}

// judge holds that a transaction ended as its producer was told, and otherwise as a whole.
func (a *attempt) judge() {
	want := a.result
	for _, w := range a.writes {
		switch {
		case a.s.partitions[w.to].deleted:
		case w.fate == "":
			a.s.failf("%s: a transaction hangs in %v", a.who, w.to)
		case want == "":
			want = w.fate
		case w.fate != want:
			a.s.failf("%s: answered %q, but %v has a %s", a.who, a.result, w.to, w.fate)
		}
	}
}

// partitionSim is a partition's producer states (class ProducerAppendInfo).
type partitionSim struct {
	deleted   bool
	producers map[int64]*producerState
}

type producerState struct {
	epoch       int16
	coordinator int32
	open        []*write
	// guard changes with each marker: a verification that began before is worth nothing (KIP-890).
	guard int
}

func (s *sim) partition(p TopicPartition) *partitionSim {
	if s.partitions[p] == nil {
		s.partitions[p] = &partitionSim{producers: map[int64]*producerState{}}
	}
	return s.partitions[p]
}

func (s *sim) sortedPartitions() []TopicPartition {
	return slices.SortedFunc(maps.Keys(s.partitions), comparePartitions)
}

func (p *partitionSim) producer(id int64) *producerState {
	if p.producers[id] == nil {
		p.producers[id] = &producerState{epoch: -1, coordinator: -1}
	}
	return p.producers[id]
}

// mark writes a marker, and returns what a leader answers.
func (p *partitionSim) mark(m *SendMarkers) int16 {
	if p.deleted {
		return wire.CodeUnknownTopicOrPartition
	}
	st := p.producer(m.ProducerID)
	switch {
	case m.CoordinatorEpoch < st.coordinator:
		return wire.CodeTransactionCoordinatorFenced
	case m.ProducerEpoch < st.epoch,
		m.TxnVersion >= 2 && m.ProducerEpoch == st.epoch && len(st.open) > 0:
		return wire.CodeInvalidProducerEpoch
	}
	for _, w := range st.open {
		w.fate = "abort"
		if m.Commit {
			w.fate = "commit"
		}
	}
	*st = producerState{epoch: m.ProducerEpoch, coordinator: m.CoordinatorEpoch, guard: st.guard + 1}
	return wire.CodeNone
}

// errand starts what the machine asks for.
func (s *sim) errand(e any) {
	switch e := e.(type) {
	case *SendMarkers:
		if e.TxnVersion >= 2 {
			key := epochOf{e.ProducerID, e.ProducerEpoch}
			if commit, ok := s.decided[key]; ok && commit != e.Commit {
				s.failf("%s: both a commit and an abort for %v", e.TransactionalID, key)
			}
			s.decided[key] = e.Commit
		}
		term := s.r.epoch
		for _, p := range e.Partitions {
			s.after(s.upTo(30), func() { s.sendMarker(e, p, term) })
		}
	case *NeedProducerID:
		s.ends["needed ids"]++
		s.after(s.upTo(100), func() {
			if !s.loaded {
				return
			}
			in := &Input{Kind: TimeOut, TransactionalID: e.TransactionalID}
			s.offer(in)
			s.handle(in)
			s.takeBack(in)
		})
	}
}

// sendMarker writes a marker to a partition's leader until it is there. A marker may be sent again
// without need as long as the machine does not know that it was written; with protocol 2 even after.
func (s *sim) sendMarker(e *SendMarkers, p TopicPartition, term int32) {
	if s.misfortune(10) {
		s.after(s.upTo(300), func() { s.sendMarker(e, p, term) })
		return
	}
	code := s.partition(p).mark(e)
	if code == wire.CodeTransactionCoordinatorFenced {
		if term == s.r.epoch {
			s.failf("the leader of %v fences the current coordinator", p)
		}
		return
	}
	if s.misfortune(10) {
		// The leader's answer was lost.
		s.after(s.upTo(300), func() { s.sendMarker(e, p, term) })
		return
	}
	if e.TxnVersion >= 2 && s.misfortune(10) {
		s.after(s.upTo(2000), func() { s.partition(p).mark(e) })
	}
	times := 1
	if s.misfortune(20) {
		times = 3
	}
	for range times {
		s.after(s.upTo(50*int64(times*times)), func() {
			// After a reload it is the new term's shard that hears of it.
			if s.loaded {
				s.handle(e.Written(p))
			}
		})
	}
}

// producerSim is a client with a transactional id, which it may have to share.
type producerSim struct {
	s       *sim
	name    string
	txnID   string
	v2      bool
	retired bool

	id      int64
	epoch   int16
	asks    bool // It names its producer when it asks (KIP-360).
	attempt *attempt
}

func (p *producerSim) version(v1, v2 int16) int16 {
	if p.v2 {
		return v2
	}
	return v1
}

// pause is how long a producer thinks; now and then it stalls for longer than its transactions may last.
func (p *producerSim) pause() int64 {
	if p.s.misfortune(2) {
		return 5_000 + p.s.upTo(20_000)
	}
	return p.s.upTo(100)
}

// begin asks for the transactional id.
func (p *producerSim) begin() {
	if p.retired {
		return
	}
	p.attempt = nil
	id, epoch := int64(-1), int16(-1)
	if p.asks {
		id, epoch = p.id, p.epoch
	}
	in := p.s.r.initInput(p.txnID, p.version(4, 5), 1000+int32(p.s.upTo(9_000)), id, epoch)
	p.s.offer(in)
	p.s.send(in, func(response any) {
		r, ok := response.(*kmsg.InitProducerIDResponse)
		switch {
		case !ok || retriable(r.ErrorCode):
			p.s.after(p.s.upTo(100), p.begin)
		case r.ErrorCode != wire.CodeNone:
			p.lost()
		default:
			p.id, p.epoch = r.ProducerID, r.ProducerEpoch
			p.s.after(p.pause(), p.transaction)
		}
	})
}

// lost is a producer that was fenced: it comes back later, as a new one.
func (p *producerSim) lost() {
	p.s.ends["fenced"]++
	p.asks = false
	p.s.after(p.s.upTo(3_000), p.begin)
}

// restart is a producer that does not know how its transaction went.
func (p *producerSim) restart() {
	p.asks = p.s.chance(50)
	p.s.after(p.pause(), p.begin)
}

func retriable(code int16) bool {
	switch code {
	case wire.CodeConcurrentTransactions, wire.CodeNotCoordinator, wire.CodeCoordinatorNotAvailable,
		wire.CodeCoordinatorLoadInProgress, wire.CodeUnknownServerError:
		return true
	}
	return false
}

func (p *producerSim) transaction() {
	if p.retired {
		return
	}
	p.attempt = &attempt{s: p.s, who: fmt.Sprintf("%s at %d as %d/%d", p.name, p.s.nowMs, p.id, p.epoch)}
	p.s.attempts = append(p.s.attempts, p.attempt)
	var to []TopicPartition
	for range p.s.rng.IntN(4) {
		to = append(to, TopicPartition{"t", int32(p.s.rng.IntN(6))})
	}
	if len(to) == 0 && !p.v2 {
		to = append(to, TopicPartition{OffsetsTopic, 3})
	}
	p.write(to)
}

// write adds the partitions to the transaction and writes to them, one after the other.
func (p *producerSim) write(to []TopicPartition) {
	if len(to) == 0 {
		p.end(len(p.attempt.writes) > 0 && p.s.chance(70), 0)
		return
	}
	again := func() { p.s.after(p.s.upTo(50), func() { p.write(to) }) }
	if p.s.misfortune(1) {
		p.restart()
		return
	}
	if p.v2 {
		p.produce(to, again)
		return
	}
	p.s.send(addInput(p.txnID, 3, p.id, p.epoch, false, to[0]), func(response any) {
		switch code := codeOf(response); {
		case code == wire.CodeNone:
			p.produce(to, again)
		case response == nil || retriable(code):
			again()
		default:
			p.lost()
		}
	})
}

// produce is the leader's part: it asks the coordinator, and appends if that was not overtaken by a marker
// (KIP-890): protocol 2 adds the partition, the older ones verify that it is in the transaction.
func (p *producerSim) produce(to []TopicPartition, again func()) {
	st := p.s.partition(to[0]).producer(p.id)
	guard := st.guard
	in := addInput(p.txnID, p.version(4, 5), p.id, p.epoch, !p.v2, to[0])
	p.s.send(in, func(response any) {
		st := p.s.partition(to[0]).producer(p.id)
		switch code := codeOf(response); {
		case response == nil || retriable(code):
			again()
		case code != wire.CodeNone || st.guard != guard || st.epoch > p.epoch:
			p.lost()
		default:
			w := &write{to: to[0]}
			st.epoch = p.epoch
			st.open = append(st.open, w)
			p.attempt.writes = append(p.attempt.writes, w)
			p.s.after(p.pause(), func() { p.write(to[1:]) })
		}
	})
}

// end ends the transaction, and asks until it knows how.
func (p *producerSim) end(commit bool, tries int) {
	if tries > 40 && p.s.faults {
		p.restart()
		return
	}
	in := p.s.r.endInput(p.txnID, p.version(4, 5), p.id, p.epoch, commit)
	p.s.offer(in)
	p.s.send(in, func(response any) {
		r, ok := response.(*kmsg.EndTxnResponse)
		switch {
		case !ok || retriable(r.ErrorCode):
			p.s.after(p.s.upTo(100), func() { p.end(commit, tries+1) })
		case r.ErrorCode != wire.CodeNone:
			p.lost()
		default:
			p.ended(commit, r)
		}
	})
}

func (p *producerSim) ended(commit bool, r *kmsg.EndTxnResponse) {
	p.attempt.result = "abort"
	p.s.ends["aborts"]++
	if commit {
		p.attempt.result = "commit"
		p.s.ends["aborts"]--
		p.s.ends["commits"]++
	}
	if p.v2 {
		p.id, p.epoch = r.ProducerID, r.ProducerEpoch
	}
	if p.s.misfortune(10) {
		p.restart()
		return
	}
	p.s.after(p.pause(), p.transaction)
}
