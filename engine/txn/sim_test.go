package txn

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// TestSimulation lets producers of every protocol work, stall, crash and fence one another, over a log
// that fails, a high watermark that lags, a shard that is unloaded and loaded with or without what is
// above it, markers that are lost, late and doubled, partitions that are deleted and a clock that jumps.
// It holds what doc.go calls the invariants, while it runs and when the faults have ended.
//
// SIM_SEED replays one seed, SIM_SEEDS says how many there are.
func TestSimulation(t *testing.T) {
	first, seeds := uint64(0), uint64(60)
	if testing.Short() {
		seeds = 20
	}
	seeds = simEnv(t, "SIM_SEEDS", seeds)
	if seed := simEnv(t, "SIM_SEED", 0); seed != 0 {
		first, seeds = seed, 1
	}
	for seed := first; seed < first+seeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := newSim(t, seed)
			s.run(60_000)
			s.quiesce()
			s.judge()
		})
	}
}

func simEnv(t *testing.T, name string, fallback uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return fallback
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// sim is a world of producers and partitions around one shard.
type sim struct {
	t   *testing.T
	rng *rand.Rand
	r   *rig
	// nowMs is the time that passes; the wall clock is skewed from it.
	nowMs, skewMs int64
	events        events
	seq           int
	faults        bool
	loaded        bool

	producers  []*producerSim
	partitions map[TopicPartition]*partitionSim
	attempts   []*attempt

	// answers counts those of each input that somebody waits for.
	answers map[*Input]int
	waiting map[*Input]func(any)
	// spare are producer ids that were offered and not taken; rank is the order in which ids were first
	// written, owner whose they are.
	spare []int64
	rank  map[int64]int
	owner map[int64]string
	// floor is the producer that InitProducerId answered last, per transactional id.
	floor map[string]epochOf
	// decided is what markers said per producer and epoch of protocol 2, each of which is one end.
	decided map[epochOf]bool
	// ends counts what has happened, so that a simulation in which nothing happens is seen.
	ends map[string]int
}

type epochOf struct {
	id    int64
	epoch int16
}

// simEpochMs is what the wall clock shows at the start.
const simEpochMs = 1_000_000_000

// before says that a was in force before b.
func (s *sim) before(a, b epochOf) bool {
	if a.id != b.id {
		return s.rank[a.id] < s.rank[b.id]
	}
	return a.epoch < b.epoch
}

type event struct {
	at  int64
	seq int
	do  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func newSim(t *testing.T, seed uint64) *sim {
	s := &sim{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), faults: true, loaded: true,
		partitions: map[TopicPartition]*partitionSim{}, answers: map[*Input]int{},
		waiting: map[*Input]func(any){}, rank: map[int64]int{}, owner: map[int64]string{},
		floor: map[string]epochOf{}, decided: map[epochOf]bool{}, ends: map[string]int{},
	}
	config := DefaultConfig()
	config.TxnVersion = int16(seed % 3)
	s.r = newRig(t, config)
	s.r.nowMs = simEpochMs
	s.r.checkEvery, s.r.hwHeld = 97, true
	s.r.reply, s.r.errnd = s.answered, s.errand
	s.r.log.fail, s.r.log.seen = s.appendFails, s.appended
	for i := range 3 {
		// Ids whose epochs are nearly used up, as a producer's that has lived long.
		old := meta{
			producerID: int64(i), epoch: epochMax - 8, prevID: int64(i), nextID: -1, updateMs: s.r.nowMs,
			state: CompleteCommit, timeoutMs: 10_000, startMs: s.r.nowMs,
		}
		rec := record(appendKey(nil, fmt.Sprintf("txn-%d", i)), appendValue(nil, 1, &old, nil))
		s.r.log.records = append(s.r.log.records, rec)
		s.appended(rec)
	}
	s.r.load()
	for i := range 8 {
		p := &producerSim{
			s: s, name: fmt.Sprintf("%d", i), txnID: fmt.Sprintf("txn-%d", i%5),
			v2: config.TxnVersion == 2 && s.rng.IntN(4) > 0,
		}
		s.producers = append(s.producers, p)
		s.after(s.upTo(1000), p.begin)
	}
	s.after(1, s.turn)
	s.after(1, s.world)
	return s
}

func (s *sim) after(ms int64, do func()) {
	s.seq++
	heap.Push(&s.events, event{s.nowMs + ms, s.seq, do})
}

func (s *sim) upTo(ms int64) int64         { return s.rng.Int64N(ms) + 1 }
func (s *sim) chance(percent float64) bool { return s.rng.Float64()*100 < percent }
func (s *sim) misfortune(pc float64) bool  { return s.faults && s.chance(pc) }
func (s *sim) failf(f string, args ...any) { s.t.Helper(); s.t.Fatalf(f, args...) }

func (s *sim) run(untilMs int64) {
	for len(s.events) > 0 && s.events[0].at <= untilMs {
		e := heap.Pop(&s.events).(event)
		s.nowMs = e.at
		s.r.nowMs = simEpochMs + s.nowMs + s.skewMs
		e.do()
	}
}

// turn is the broker's own: timers, and the high watermark.
func (s *sim) turn() {
	if s.loaded {
		if end := int64(len(s.r.log.records)); s.r.hw < end && !s.misfortune(50) {
			s.r.hw += s.upTo(end - s.r.hw)
		}
		s.handle()
	}
	s.after(s.upTo(20), s.turn)
}

// world brings misfortune.
func (s *sim) world() {
	switch {
	case !s.faults:
		return
	case s.chance(3) && s.loaded:
		s.loaded = false
		kept := int(s.r.hw) + s.rng.IntN(len(s.r.log.records)-int(s.r.hw)+1)
		s.r.unload(wire.CodeNotCoordinator, kept)
		s.after(s.upTo(500), s.reload)
		s.ends["unloads"]++
	case s.chance(1):
		s.skewMs += s.rng.Int64N(7_200_000) - 3_600_000
	case s.chance(2):
		for _, p := range s.sortedPartitions() {
			if s.chance(10) {
				s.partitions[p].deleted = true
			}
		}
	case s.chance(1) && s.r.config.TxnVersion > 0 && s.loaded:
		s.r.config.TxnVersion = 2
		s.handle(&Input{Kind: SetVersion, TxnVersion: 2})
	}
	s.after(s.upTo(100), s.world)
}

func (s *sim) reload() {
	s.r.load()
	s.r.check()
	s.loaded = true
}

func (s *sim) handle(inputs ...*Input) {
	if !s.faults {
		s.r.hw = int64(len(s.r.log.records))
	}
	s.r.handle(inputs...)
	if !s.faults {
		s.r.hw = int64(len(s.r.log.records))
		s.r.release()
	}
}

// appendFails refuses appends now and then, and then for a while.
func (s *sim) appendFails() int16 {
	if !s.misfortune(4) {
		return wire.CodeNone
	}
	s.ends["failed appends"]++
	codes := []int16{
		wire.CodeNotEnoughReplicas, wire.CodeRequestTimedOut, wire.CodeNotLeaderOrFollower,
		wire.CodeKafkaStorageError, wire.CodeMessageTooLarge,
	}
	return codes[s.rng.IntN(len(codes))]
}

// appended notes whose a producer id is.
func (s *sim) appended(r coordinator.Record) {
	id, _, _ := decodeKey(r.Key)
	if r.Value == nil {
		return
	}
	t, _, _, err := decodeValue(r.Value)
	if err != nil {
		s.failf("appended: %v", err)
	}
	for _, p := range []int64{t.producerID, t.nextID} {
		if _, ok := s.rank[p]; !ok && p >= 0 {
			s.rank[p] = len(s.rank)
			s.owner[p] = string(id)
		}
		if p >= 0 && s.owner[p] != string(id) {
			s.failf("producer %d is both of %s and of %s", p, s.owner[p], id)
		}
	}
}

// offer gives an unused producer id, sometimes none.
func (s *sim) offer(in *Input) {
	switch {
	case s.misfortune(10):
		in.NewProducerID = coordinator.NoProducer
	case len(s.spare) > 0 && s.chance(70):
		in.NewProducerID = s.spare[len(s.spare)-1]
		s.spare = s.spare[:len(s.spare)-1]
	default:
		in.NewProducerID = s.r.offer()
	}
}

func (s *sim) takeBack(in *Input) {
	if in.NewProducerID > 0 && !in.TookProducerID {
		s.spare = append(s.spare, in.NewProducerID)
	}
}

// send lets an input travel to the shard, and its answer back; either may be lost, and then nil
// comes after a while.
func (s *sim) send(in *Input, then func(response any)) {
	if s.misfortune(3) {
		s.takeBack(in)
		s.after(500, func() { then(nil) })
		return
	}
	s.after(s.upTo(20), func() {
		done := false
		answer := func(response any) {
			if !done {
				done = true
				then(response)
			}
		}
		if s.misfortune(3) {
			s.after(500, func() { answer(nil) })
			s.deliver(in, func(any) {})
			return
		}
		s.after(20_000, func() { answer(nil) })
		s.deliver(in, func(response any) { s.after(s.upTo(20), func() { answer(response) }) })
	})
}

// deliver hands an input to the shard, if there is one.
func (s *sim) deliver(in *Input, then func(any)) {
	if !s.loaded {
		s.takeBack(in)
		then(in.Refuse(wire.CodeNotCoordinator))
		return
	}
	stale := false
	if who, ok := producerOf(in); ok {
		floor, ok := s.floor[in.TransactionalID]
		stale = ok && s.before(who, floor)
	}
	s.answers[in] = 0
	s.waiting[in] = func(response any) {
		if stale && codeOf(response) == wire.CodeNone {
			s.failf("%s: a producer succeeded after it was fenced by %v: %+v",
				in.TransactionalID, s.floor[in.TransactionalID], response)
		}
		then(response)
	}
	s.handle(in)
}

// producerOf is the producer that asks to add or to end.
func producerOf(in *Input) (epochOf, bool) {
	switch in.Kind {
	case AddPartitions:
		return epochOf{in.Partitions.ProducerID, in.Partitions.ProducerEpoch}, true
	case EndTxn:
		req := in.Request.(*kmsg.EndTxnRequest)
		return epochOf{req.ProducerID, req.ProducerEpoch}, true
	default:
		return epochOf{}, false
	}
}

func codeOf(response any) int16 {
	switch r := response.(type) {
	case *kmsg.InitProducerIDResponse:
		return r.ErrorCode
	case *kmsg.EndTxnResponse:
		return r.ErrorCode
	case *kmsg.AddPartitionsToTxnResponseTransaction:
		return r.Topics[0].Partitions[0].ErrorCode
	default:
		return wire.CodeRequestTimedOut
	}
}

func (s *sim) answered(in *Input, response any) {
	if s.answers[in]++; s.answers[in] != 1 {
		s.failf("%+v was answered %d times", in, s.answers[in])
	}
	s.takeBack(in)
	if r, ok := response.(*kmsg.InitProducerIDResponse); ok && r.ErrorCode == wire.CodeNone {
		now := epochOf{r.ProducerID, r.ProducerEpoch}
		again := in.Request.(*kmsg.InitProducerIDRequest).ProducerID >= 0
		floor, ok := s.floor[in.TransactionalID]
		if ok && (s.before(now, floor) || now == floor && !again) {
			s.failf("%s was given %v after %v", in.TransactionalID, now, floor)
		}
		s.floor[in.TransactionalID] = now
	}
	s.waiting[in](response)
}

// quiesce ends the faults and lets everything come to its end: stalled transactions time out.
func (s *sim) quiesce() {
	s.faults = false
	if !s.loaded {
		s.reload()
	}
	for _, p := range s.producers {
		p.retired = true
	}
	s.run(s.nowMs + 300_000)
	for i := range 3 {
		s.skewMs += 3_600_000 * int64(i)
		s.run(s.nowMs + 60_000)
	}
	s.r.check()
}

// judge holds the invariants of the end.
func (s *sim) judge() {
	for in, n := range s.answers {
		if n != 1 {
			s.failf("%+v was answered %d times", in, n)
		}
	}
	if c := s.r.m.Counts(); c.States[Ongoing] != 0 || c.Prepared() != 0 {
		s.failf("unfinished: %+v\n%v", c, persistent(s.r.m))
	}
	for _, a := range s.attempts {
		a.judge()
	}
	s.judgeLog()
	if s.ends["commits"] < 10 || s.ends["aborts"] < 2 || s.ends["fenced"] == 0 ||
		s.ends["unloads"] == 0 || s.ends["failed appends"] == 0 {
		s.failf("too little happened: %v", s.ends)
	}
}

// judgeLog holds that each id's records follow from one another.
func (s *sim) judgeLog() {
	type was struct {
		meta
		partitions []TopicPartition
	}
	last := map[string]was{}
	for i, r := range s.r.log.records {
		id, _, _ := decodeKey(r.Key)
		if r.Value == nil {
			delete(last, string(id))
			continue
		}
		t, partitions, _, err := decodeValue(r.Value)
		if err != nil {
			s.failf("record %d: %v", i, err)
		}
		before, ok := last[string(id)]
		last[string(id)] = was{t, partitions}
		if !ok {
			continue
		}
		switch {
		case !t.state.follows(before.state):
			s.failf("record %d: %s after %s", i, t.state, before.state)
		case s.before(epochOf{t.producerID, t.epoch}, epochOf{before.producerID, before.epoch}):
			s.failf("record %d: producer %d/%d after %d/%d", i, t.producerID, t.epoch,
				before.producerID, before.epoch)
		case t.state.prepared() && !slices.Equal(partitions, before.partitions):
			s.failf("record %d: %v ends %v", i, partitions, before.partitions)
		}
	}
}
