package kgoload

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

const (
	stampBytes = 8  // the due time at a value's start
	takeMax    = 64 // records that a generator takes from the pool at once
	// patternBytes is the length of the random text that payloads are cut from.
	patternBytes = 1 << 20
	// repeatBlock is the stretch within which Compressibility holds, so that it does for values of
	// any size.
	repeatBlock = 256
)

// slot is one record of a producer's pool. It belongs to the generator from take to Produce, then
// to kgo until the promise, which puts it back.
type slot struct {
	record  kgo.Record
	promise func(*kgo.Record, error) // bound once, so that Produce costs no closure
	value   []byte                   // of the largest size; record.Value is its beginning
	key     []byte
	topic   int   // index of the topic
	due     int64 // ns of the run's clock
	sent    int64 // when Produce was called
}

// producer is one kgo client that writes.
type producer struct {
	*account
	client  *kgo.Client
	spec    *workload.Spec
	size    workload.Size
	topics  []string
	rng     *rand.Rand
	pattern []byte
	acked   *frontier
	// pace is the schedule, in an open loop.
	pace pace
	open bool

	// What follows is the generator goroutine's alone until it has ended.
	lag        *result.Histogram
	topic      int // where the next null-key record goes
	topicBytes int // how much went there
	batch      int // bytes after which the topic changes

	// free and made are guarded by account.mu; returned is signalled when free grows.
	free    []*slot
	made    int
	poolMax int
	waiting bool
	// wake is how many free records wake a generator that waits: a closed loop is woken for a
	// handful, not for each.
	wake     int
	returned *sync.Cond

	issued   atomic.Int64 // given to Produce
	finished atomic.Int64 // promised, whatever the outcome
	progress atomic.Int64 // when a record was last acknowledged, ns
	failed   atomic.Int64 // promised with an error
	stop     atomic.Bool
}

func newProducer(a *account, spec *workload.Spec, size workload.Size, id, clients int) *producer {
	p := &producer{
		account: a, spec: spec, size: size, topics: spec.TopicNames(),
		rng:     rand.New(rand.NewPCG(spec.Seed, uint64(id)+1)),
		lag:     result.NewHistogram(),
		batch:   batchBytes(spec, size),
		poolMax: poolSize(spec, size, clients),
		open:    spec.Rate > 0,
	}
	p.returned = sync.NewCond(&a.mu)
	p.wake = 1
	if !p.open {
		p.wake = min(takeMax, max(1, p.poolMax/4))
	}
	p.topic = id % len(p.topics)
	p.pattern = make([]byte, patternBytes+size.Max())
	for i := 0; i+8 <= len(p.pattern); i += 8 {
		binary.LittleEndian.PutUint64(p.pattern[i:], p.rng.Uint64())
	}
	return p
}

// generate issues records until measured time is over. It runs on a thread of its own, whose
// timers are sharp; the thread ends with it.
func (p *producer) generate() {
	if !p.open {
		p.closedLoop()
		return
	}
	runtime.LockOSThread()
	sharpTimers()
	p.openLoop()
}

// closedLoop issues a record as soon as one is free.
func (p *producer) closedLoop() {
	var buf [takeMax]*slot
	for {
		slots := p.take(buf[:0])
		if len(slots) == 0 {
			return
		}
		for i, s := range slots {
			now := p.clock.now()
			if now >= p.window.end.Load() {
				p.give(slots[i:])
				return
			}
			p.issue(s, now, now)
		}
	}
}

// openLoop issues each record when it is due, or as soon after as it can. It ends when all that
// was due within measured time is issued, or when it is stopped.
func (p *producer) openLoop() {
	var buf [takeMax]*slot
	var slots []*slot
	for i := int64(0); ; i++ {
		due := p.pace.due(i)
		for now := p.clock.now(); now < due; now = p.clock.now() {
			if p.stop.Load() || due >= p.window.end.Load() {
				break
			}
			p.clock.sleepUntil(due)
		}
		if len(slots) == 0 {
			slots = p.take(buf[:0])
		}
		if len(slots) == 0 || p.stop.Load() || due >= p.window.end.Load() {
			p.give(slots)
			return
		}
		now := p.clock.now()
		if p.window.has(due) {
			p.lag.Record(now - due)
		}
		p.issue(slots[0], due, now)
		slots = slots[1:]
	}
}

// take appends free records to dst, waiting for at least one; none if the producer is stopped.
func (p *producer) take(dst []*slot) []*slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.free) == 0 && p.made == p.poolMax {
		if p.stop.Load() {
			return dst
		}
		p.waiting = true
		p.returned.Wait()
		p.waiting = false
	}
	if p.stop.Load() {
		return dst
	}
	if len(p.free) == 0 {
		p.made++
		return append(dst, p.newSlot())
	}
	n := min(len(p.free), cap(dst))
	rest := len(p.free) - n
	dst = append(dst, p.free[rest:]...)
	clear(p.free[rest:])
	p.free = p.free[:rest]
	return dst
}

// give puts records back that were not issued.
func (p *producer) give(slots []*slot) {
	p.mu.Lock()
	p.free = append(p.free, slots...)
	p.mu.Unlock()
}

// halt stops the generator, wherever it waits.
func (p *producer) halt() {
	p.mu.Lock()
	p.stop.Store(true)
	p.returned.Broadcast()
	p.mu.Unlock()
}

// newSlot makes a record with its payload: within each repeatBlock one part is random and the
// other one byte repeated, in the proportion that Compressibility asks for.
func (p *producer) newSlot() *slot {
	s := &slot{value: make([]byte, p.size.Max())}
	copy(s.value, p.pattern[p.rng.IntN(patternBytes):])
	random := int((1 - p.spec.Compressibility) * repeatBlock)
	for i := 0; i < len(s.value); i += repeatBlock {
		block := s.value[i:min(i+repeatBlock, len(s.value))]
		clear(block[min(random, len(block)):])
	}
	if p.spec.Keys > 0 {
		s.key = make([]byte, workload.KeyBytes)
	}
	s.promise = func(_ *kgo.Record, err error) { p.done(s, err) }
	return s
}

// issue hands a record to kgo.
func (p *producer) issue(s *slot, due, now int64) {
	n := p.size.Next(p.rng)
	s.due, s.sent, s.topic = due, now, p.nextTopic(n)
	if n >= stampBytes {
		binary.BigEndian.PutUint64(s.value, uint64(p.clock.monotonic+due))
	}
	s.record.Value = s.value[:n]
	s.record.Topic = p.topics[s.topic]
	s.record.Timestamp = p.clock.base.Add(time.Duration(now))
	if s.key != nil {
		s.record.Key = keyText(s.key, p.rng.IntN(p.spec.Keys))
	}
	p.issued.Add(1)
	p.client.Produce(context.Background(), &s.record, s.promise)
}

// nextTopic stays with a topic for a batch's worth of bytes, as the partitioner does with a
// partition, and then goes on to the next.
func (p *producer) nextTopic(n int) int {
	topic := p.topic
	p.topicBytes += workload.RecordSizeAt(0, keyBytes(p.spec), n)
	if p.topicBytes >= p.batch || p.spec.BatchRecords == 1 {
		p.topicBytes = 0
		p.topic = (p.topic + 1) % len(p.topics)
	}
	return topic
}

// keyText writes the key of number n, with leading zeros, into dst.
func keyText(dst []byte, n int) []byte {
	var digits [20]byte
	text := strconv.AppendInt(digits[:0], int64(n), 10)
	for i := range dst {
		dst[i] = '0'
	}
	copy(dst[max(0, len(dst)-len(text)):], text)
	return dst
}

// done is the promise of a record. kgo calls the promises of one client one after the other.
func (p *producer) done(s *slot, err error) {
	now := p.clock.now()
	if err == nil {
		p.progress.Store(now)
		p.acked.raise(s.topic, s.record.Partition, s.record.Offset+1)
	}
	p.mu.Lock()
	if err == nil {
		p.acknowledge(s, now)
	} else if !p.window.closing.Load() {
		p.failed.Add(1)
		// Lost requests are counted as such by the hooks.
		if fromBroker(err) {
			p.failLocked(err)
		}
	}
	p.free = append(p.free, s)
	if p.waiting && len(p.free) >= p.wake {
		p.returned.Signal()
	}
	p.mu.Unlock()
	p.finished.Add(1)
}

// acknowledge counts a record; account.mu is held.
func (p *producer) acknowledge(s *slot, now int64) {
	p.point.ProducedRecords++
	if p.window.has(now) {
		p.produced.Records++
		if now < p.window.burstEnd.Load() {
			p.burst.Records++
		}
	}
	if p.window.has(s.due) {
		p.record(result.StageAck, p.stages[result.StageAck], now-s.due)
		p.record(result.StageSend, p.stages[result.StageSend], now-s.sent)
	}
}

// due is how many records were due before t, in an open loop.
func (p *producer) due(t int64) int64 {
	return p.pace.before(min(t, p.window.end.Load()))
}

// unanswered is how many records were given to kgo or were due, and have no outcome.
func (p *producer) unanswered() int64 {
	n := p.issued.Load()
	if p.open {
		n = max(n, p.due(p.clock.now()))
	}
	return n - p.finished.Load()
}

// frontier keeps, per partition, the offset after the last acknowledged record, which readers have
// to reach. Partitions of all topics follow each other.
type frontier struct {
	partitions int
	next       []atomic.Int64
}

func newFrontier(topics, partitions int) *frontier {
	return &frontier{partitions: partitions, next: make([]atomic.Int64, topics*partitions)}
}

// raise notes that everything below next is acknowledged. With acks=0 there are no offsets (-1).
func (f *frontier) raise(topic int, partition int32, next int64) {
	if next <= 0 || int(partition) >= f.partitions {
		return
	}
	at := &f.next[topic*f.partitions+int(partition)]
	for {
		seen := at.Load()
		if next <= seen || at.CompareAndSwap(seen, next) {
			return
		}
	}
}

func (f *frontier) get(index int) int64 { return f.next[index].Load() }
