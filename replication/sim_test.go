package replication

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

// The simulation runs one partition on three brokers with a controller. Messages are lost, doubled
// and reordered; brokers pause, crash and come back; leaders are elected cleanly, from the ISR
// only. After every step it checks what replication promises. A mutant is a bug put into the
// drivers around the core, of the kind that a broken core would have; the simulation must find
// each.

// mutant is a bug to be found.
type mutant string

const (
	mutNone            mutant = ""
	mutTruncateToHW    mutant = "a follower truncates to its HW, not by epochs (KIP-101)"
	mutNoTruncation    mutant = "a follower does not truncate at all"
	mutEarlyAck        mutant = "what was sent to a follower counts as fetched"
	mutShrinkAtOnce    mutant = "a removal counts before the controller committed it"
	mutForgetExpand    mutant = "an addition in flight does not hold the HW back"
	mutRollbackInDoubt mutant = "a change whose answer was lost is taken back"
	mutIgnoreMinISR    mutant = "the HW moves while the ISR is below its minimum (KIP-966)"
	mutAnyBrokerEpoch  mutant = "a restarted broker joins under its old epoch (KIP-903)"
	mutJoinBehindHW    mutant = "a follower that lags behind the HW is added to the ISR"
	mutStaleAnswer     mutant = "an old answer that comes again ends a change in flight"
	mutNoEpochCheck    mutant = "a fetch of an older epoch is not fenced (KIP-320)"
)

const (
	simBrokers = 3
	simMinISR  = 2
	simLagMs   = 15
)

type simRecord struct {
	epoch int32
	value int
}

// simMessage is anything on its way; exactly one of the pointers is set.
type simMessage struct {
	to       int // Broker, or -1 for the controller.
	from     int
	metadata *simMetadata
	fetch    *simFetch
	answer   *simAnswer
	alter    *AlterPartition
	altered  *simAltered
}

type simFetch struct {
	FetchPosition
	brokerEpoch int64
}

type simAnswer struct {
	request  FetchPosition
	records  []simRecord
	hw       int64
	diverges bool
	end      EpochEnd
}

type simAltered struct {
	attempt   uint64
	code      int16
	committed Committed
}

// simMetadata is the controller's state as brokers learn it; it is a replication.State as well.
type simMetadata struct {
	version int
	leader  int32
	part    Committed
	epochs  [simBrokers]int64
	fenced  [simBrokers]bool
	anyone  bool // mutAnyBrokerEpoch
}

func (m *simMetadata) ISREligible(id int32, epoch int64) bool {
	return !m.fenced[id] && (m.anyone || epoch == -1 || epoch == m.epochs[id])
}

func (m *simMetadata) BrokerEpoch(id int32) int64 { return m.epochs[id] }

type simBroker struct {
	id       int32
	up       bool
	epoch    int64
	log      []simRecord
	epochs   Epochs
	hw       int64
	known    *simMetadata
	since    int // A started broker catches up with the metadata before it takes a role.
	leader   *Leader
	follower *Follower
	acks     []int64 // Offsets of acks=-1 records that wait.
}

func (b *simBroker) leo() int64 { return int64(len(b.log)) }

type sim struct {
	rng     *rand.Rand
	mutant  mutant
	now     int64
	brokers [simBrokers]*simBroker
	truth   *simMetadata
	net     []simMessage
	exposed []simRecord // What any leader's HW has passed, for ever.
	// held has, by value, a bit for each broker that ever stored the record: a crash after that
	// does not make the promise at the time a lie.
	held    map[int]uint8
	doubled int // Percent of messages that come twice.
	moves   int // In a thousand steps, preferred leader elections.
	crashes int // In a thousand steps.
	values  int
	acked   int
	elected int
	failure error
}

func newSim(seed uint64, m mutant) *sim {
	s := &sim{
		rng: rand.New(rand.NewPCG(seed, 7)), mutant: m, now: 1000, held: map[int]uint8{},
		doubled: 5, moves: 13, crashes: 5,
	}
	s.truth = &simMetadata{
		part:   Committed{Replicas: []int32{0, 1, 2}, ISR: []int32{0, 1, 2}},
		anyone: m == mutAnyBrokerEpoch,
	}
	for i := range s.brokers {
		s.truth.epochs[i] = int64(i + 1)
		s.brokers[i] = &simBroker{id: int32(i), up: true, epoch: int64(i + 1)}
	}
	// Some bugs need a coincidence; the world is then made for it.
	switch m {
	case mutStaleAnswer:
		s.doubled = 40
	case mutNoEpochCheck:
		s.moves, s.doubled = 30, 30
	case mutAnyBrokerEpoch:
		s.crashes = 15
	}
	s.publish()
	return s
}

func (s *sim) failf(format string, args ...any) {
	if s.failure == nil {
		s.failure = fmt.Errorf(format, args...)
	}
}

func (s *sim) chance(percent int) bool { return s.rng.IntN(100) < percent }

func (s *sim) send(m simMessage) {
	if s.chance(8) {
		return
	}
	s.net = append(s.net, m)
	if s.chance(s.doubled) && m.alter == nil {
		s.net = append(s.net, m)
	}
}

// publish sends a copy of the controller's state to every broker.
func (s *sim) publish() {
	s.truth.version++
	for i := range s.brokers {
		c := *s.truth
		c.part.ISR = slices.Clone(c.part.ISR)
		// Metadata is a log that brokers read: it may be late, never lost.
		s.net = append(s.net, simMessage{to: i, from: -1, metadata: &c})
	}
}

// step does one random thing and checks everything.
func (s *sim) step() {
	s.now += s.rng.Int64N(6)
	b := s.brokers[s.rng.IntN(simBrokers)]
	switch p := s.rng.IntN(1000); {
	case p < 580:
		s.deliver()
	case p < 680:
		s.produce(b)
	case p < 880:
		s.fetch(b)
	case p < 928:
		s.tick(b)
	case p < 935:
		s.fence(int(b.id))
	case p < 935+s.crashes:
		s.crash(b)
	case p < 935+s.crashes+s.moves:
		s.move()
	default:
		s.revive(b)
	}
	s.check()
}

func (s *sim) deliver() {
	if len(s.net) == 0 {
		return
	}
	i := s.rng.IntN(len(s.net))
	m := s.net[i]
	s.net = slices.Delete(s.net, i, i+1)
	if m.to == -1 {
		s.control(m)
		return
	}
	b := s.brokers[m.to]
	switch {
	case m.metadata != nil && !b.up:
		s.net = append(s.net, m)
	case !b.up:
	case m.metadata != nil:
		s.learn(b, m.metadata)
	case m.fetch != nil:
		s.serve(b, m.from, *m.fetch)
	case m.answer != nil:
		s.receive(b, *m.answer)
	case m.altered != nil && b.leader != nil:
		s.altered(b, *m.altered)
	}
}

// learn lets a broker take over newer metadata, and with it a role.
func (s *sim) learn(b *simBroker, m *simMetadata) {
	if m.version < b.since || b.known != nil && m.version <= b.known.version {
		return
	}
	before := int32(-1)
	if b.known != nil {
		before = b.known.part.LeaderEpoch
	}
	b.known = m
	if m.part.LeaderEpoch == before && (b.leader != nil || b.follower != nil) {
		if b.leader != nil {
			s.effects(b, b.leader.SetState(m, s.now))
			e, code := b.leader.Committed(m.part, s.now)
			if code == ErrNone {
				s.effects(b, e)
			}
		}
		return
	}
	b.leader, b.follower, b.acks = nil, nil, nil
	switch m.leader {
	case b.id:
		s.lead(b, m)
	case -1:
	default:
		b.follower = NewFollower(m.part.LeaderEpoch, b.leo(), b.hw)
	}
}

func (s *sim) lead(b *simBroker, m *simMetadata) {
	if m.part.LeaderEpoch == s.truth.part.LeaderEpoch && b.leo() < int64(len(s.exposed)) {
		s.failf("broker %d leads epoch %d with LEO %d, but %d records were visible",
			b.id, m.part.LeaderEpoch, b.leo(), len(s.exposed))
		return
	}
	b.epochs.Assign(m.part.LeaderEpoch, b.leo())
	policy := Policy{MinInSync: simMinISR, LagTimeMaxMs: simLagMs}
	if s.mutant == mutIgnoreMinISR {
		policy.MinInSync = 1
	}
	b.leader = NewLeader(LeaderConfig{
		Self: b.id, Committed: m.part, EpochStartOffset: b.leo(), HighWatermark: b.hw,
		Local: Local{LEO: b.leo(), Flushed: b.leo()}, Policy: policy, State: m,
	}, s.now)
	s.elected++
	s.expose(b, b.leader.HighWatermark())
}

// effects carries out what the core asked for.
func (s *sim) effects(b *simBroker, e Effects) {
	if e.HighWatermark < b.hw {
		s.failf("HW of leader %d went back from %d to %d", b.id, b.hw, e.HighWatermark)
	}
	s.expose(b, e.HighWatermark)
	if e.Alter == nil {
		return
	}
	s.send(simMessage{to: -1, from: int(b.id), alter: e.Alter})
	shrinks := len(e.Alter.ISR) < b.leader.ISRSize()
	switch {
	case s.mutant == mutShrinkAtOnce && shrinks:
		c := Committed{LeaderEpoch: e.Alter.LeaderEpoch, PartitionEpoch: e.Alter.PartitionEpoch + 1}
		c.Replicas = b.known.part.Replicas
		for _, m := range e.Alter.ISR {
			c.ISR = append(c.ISR, m.BrokerID)
		}
		next, _ := b.leader.Committed(c, s.now)
		s.expose(b, next.HighWatermark)
	case s.mutant == mutForgetExpand && !shrinks:
		s.rollBack(b)
	}
}

// expose notes that a leader's HW has passed records, which from then on must stay.
func (s *sim) expose(b *simBroker, hw int64) {
	b.hw = hw
	if hw > b.leo() {
		s.failf("HW %d of leader %d is beyond its LEO %d", hw, b.id, b.leo())
		return
	}
	for offset := int64(len(s.exposed)); offset < hw; offset++ {
		holders := bits.OnesCount8(s.held[b.log[offset].value])
		if holders < simMinISR && b.leader != nil {
			s.failf("offset %d became visible with %d copies", offset, holders)
		}
		s.exposed = append(s.exposed, b.log[offset])
	}
	s.answerAcks(b)
}

func (s *sim) answerAcks(b *simBroker) {
	if b.leader == nil {
		return
	}
	b.acks = slices.DeleteFunc(b.acks, func(offset int64) bool {
		state, _ := b.leader.Ack(AcksAll, offset)
		if state == AckDone {
			s.acked++
			if offset >= int64(len(s.exposed)) {
				s.failf("offset %d acked before it was visible", offset)
			}
		}
		return state != AckWait
	})
}

func (s *sim) produce(b *simBroker) {
	if !b.up || b.leader == nil || b.leader.CheckAppend(AcksAll) != ErrNone {
		return
	}
	for range 1 + s.rng.IntN(3) {
		s.values++
		s.store(b, simRecord{epoch: b.leader.LeaderEpoch(), value: s.values})
	}
	b.acks = append(b.acks, b.leo()-1)
	s.effects(b, b.leader.Appended(Local{LEO: b.leo(), Flushed: b.leo()}, s.now))
}

func (s *sim) fetch(b *simBroker) {
	if !b.up || b.follower == nil {
		return
	}
	position := b.follower.NextFetch(&b.epochs)
	s.send(simMessage{
		to: int(b.known.leader), from: int(b.id),
		fetch: &simFetch{FetchPosition: position, brokerEpoch: b.epoch},
	})
}

// serve answers a follower's fetch.
func (s *sim) serve(b *simBroker, from int, f simFetch) {
	if b.leader == nil {
		return
	}
	if CheckCurrentEpoch(f.LeaderEpoch, b.leader.LeaderEpoch()) != ErrNone &&
		s.mutant != mutNoEpochCheck {
		return
	}
	end, diverges, code := b.epochs.Divergence(f.LastFetchedEpoch, f.FetchOffset, b.leo())
	if s.mutant == mutNoTruncation && f.FetchOffset <= b.leo() {
		diverges, code = false, ErrNone
	}
	a := simAnswer{request: f.FetchPosition, diverges: diverges, end: end}
	if code != ErrNone {
		a.diverges, a.end = true, NoEpochEnd
	}
	if !a.diverges {
		most := min(b.leo(), f.FetchOffset+int64(1+s.rng.IntN(4)))
		a.records = slices.Clone(b.log[f.FetchOffset:most])
		reported := f.FetchOffset
		if s.mutant == mutEarlyAck {
			reported = most
		}
		e, code := b.leader.FollowerFetched(int32(from), f.brokerEpoch, reported, s.now)
		if code != ErrNone {
			return
		}
		if s.mutant == mutJoinBehindHW && e.Alter == nil && !b.leader.AlterPending() {
			e.Alter = s.joinAnyway(b, from, f.brokerEpoch)
		}
		s.effects(b, e)
		a.hw = b.leader.HighWatermark()
	}
	s.send(simMessage{to: from, from: int(b.id), answer: &a})
}

// joinAnyway builds the request that the core rightly does not make.
func (s *sim) joinAnyway(b *simBroker, id int, epoch int64) *AlterPartition {
	isr := b.leader.AppendISR(nil)
	if slices.Contains(isr, int32(id)) {
		return nil
	}
	a := &AlterPartition{
		LeaderEpoch: b.leader.LeaderEpoch(), PartitionEpoch: b.leader.PartitionEpoch(),
	}
	for _, member := range isr {
		a.ISR = append(a.ISR, ISRMember{BrokerID: member, BrokerEpoch: -1})
	}
	a.ISR = append(a.ISR, ISRMember{BrokerID: int32(id), BrokerEpoch: epoch})
	return a
}

// receive lets a follower take an answer to the request it would make now; others are stale.
func (s *sim) receive(b *simBroker, a simAnswer) {
	if b.follower == nil || a.request != b.follower.NextFetch(&b.epochs) {
		return
	}
	if a.diverges {
		s.truncate(b, a.end)
		return
	}
	for _, r := range a.records {
		if !b.follower.MayAppend(r.epoch, b.leo()) {
			break
		}
		b.epochs.Assign(r.epoch, b.leo())
		s.store(b, r)
	}
	b.hw, _ = b.follower.Fetched(b.leo(), a.hw)
}

func (s *sim) store(b *simBroker, r simRecord) {
	b.log = append(b.log, r)
	s.held[r.value] |= 1 << b.id
}

func (s *sim) truncate(b *simBroker, end EpochEnd) {
	to := TruncateTo(&b.epochs, b.leo(), b.hw, end).Offset
	if to < b.hw {
		s.failf("broker %d truncates to %d below its HW %d", b.id, to, b.hw)
	}
	b.log = b.log[:to:to]
	b.epochs.TruncateFromEnd(to)
	b.follower.Truncated(to)
	b.hw = b.follower.HighWatermark()
}

func (s *sim) tick(b *simBroker) {
	if b.up && b.leader != nil {
		s.effects(b, b.leader.Tick(s.now))
	}
	inDoubt := b.leader != nil && b.leader.AlterPending()
	if s.mutant == mutRollbackInDoubt && inDoubt && s.chance(30) {
		s.rollBack(b)
	}
	if s.mutant == mutTruncateToHW && b.follower != nil && s.chance(30) {
		b.log = b.log[:b.hw:b.hw]
		b.epochs.TruncateFromEnd(b.hw)
		b.follower.Truncated(b.hw)
	}
}

// rollBack takes a change back that may yet be committed.
func (s *sim) rollBack(b *simBroker) {
	s.effects(b, b.leader.AlterFailed(b.leader.attempt, ErrOperationNotAttempted, s.now))
}

func (s *sim) altered(b *simBroker, a simAltered) {
	if a.code != ErrNone {
		s.effects(b, b.leader.AlterFailed(a.attempt, a.code, s.now))
		return
	}
	if s.mutant == mutStaleAnswer && a.committed.PartitionEpoch == b.leader.PartitionEpoch() {
		s.rollBack(b)
		return
	}
	if e, code := b.leader.Committed(a.committed, s.now); code == ErrNone {
		s.effects(b, e)
	}
}

// control is the controller handling AlterPartition.
func (s *sim) control(m simMessage) {
	part := &s.truth.part
	code := ErrNone
	switch {
	case s.truth.leader != int32(m.from) || m.alter.LeaderEpoch != part.LeaderEpoch:
		code = ErrFencedLeaderEpoch
	case m.alter.PartitionEpoch != part.PartitionEpoch:
		code = ErrInvalidUpdateVersion
	}
	for _, member := range m.alter.ISR {
		if code == ErrNone && !s.truth.ISREligible(member.BrokerID, member.BrokerEpoch) {
			code = ErrIneligibleReplica
		}
	}
	if code == ErrNone {
		isr := make([]int32, 0, simBrokers)
		for _, member := range m.alter.ISR {
			isr = append(isr, member.BrokerID)
		}
		part.ISR = isr
		part.PartitionEpoch++
		s.publish()
	}
	s.send(simMessage{to: m.from, from: -1, altered: &simAltered{
		attempt: m.alter.Attempt, code: code, committed: *part,
	}})
}

// fence is the controller losing sight of a broker, which may be up and not know it.
func (s *sim) fence(id int) {
	t := s.truth
	if t.fenced[id] {
		return
	}
	t.fenced[id] = true
	if len(t.part.ISR) > 1 {
		t.part.ISR = slices.DeleteFunc(slices.Clone(t.part.ISR), func(o int32) bool {
			return o == int32(id)
		})
	}
	t.part.PartitionEpoch++
	if t.leader == int32(id) {
		s.elect()
	}
	s.publish()
}

// elect picks a live ISR member, or nobody: elections are clean.
func (s *sim) elect() {
	t := s.truth
	t.leader = -1
	for _, i := range s.rng.Perm(len(t.part.ISR)) {
		if id := t.part.ISR[i]; !t.fenced[id] {
			t.leader = id
			break
		}
	}
	t.part.LeaderEpoch++
	if t.leader == -1 {
		return
	}
	if b := s.brokers[t.leader]; b.leo() < int64(len(s.exposed)) ||
		!slices.Equal(b.log[:len(s.exposed)], s.exposed) {
		s.failf("broker %d is elected with LEO %d, but %d records were visible",
			b.id, b.leo(), len(s.exposed))
	}
}

// move is a preferred leader election: the leader changes while everybody is well.
func (s *sim) move() {
	if s.truth.leader == -1 {
		return
	}
	s.truth.part.PartitionEpoch++
	s.elect()
	s.publish()
}

// crash kills a process. Where the controller can do without its copy, the tail that was not yet on
// disk is lost as well, and the next registration is seen to be unclean.
func (s *sim) crash(b *simBroker) {
	if !b.up {
		return
	}
	b.up, b.leader, b.follower, b.acks = false, nil, nil, nil
	s.fence(int(b.id))
	if !slices.Contains(s.truth.part.ISR, b.id) && s.chance(50) && b.leo() > 0 {
		keep := s.rng.Int64N(b.leo())
		b.log = b.log[:keep:keep]
		b.epochs.TruncateFromEnd(keep)
		b.hw = min(b.hw, keep)
	}
	b.hw = s.rng.Int64N(b.hw + 1) // The checkpoint on disk is older.
}

// revive registers a broker that was fenced or crashed.
func (s *sim) revive(b *simBroker) {
	t := s.truth
	if !t.fenced[b.id] {
		return
	}
	if !b.up {
		b.up, b.known, b.since = true, nil, t.version+1
		b.epoch = slices.Max(t.epochs[:]) + 1
		t.epochs[b.id] = b.epoch
	}
	t.fenced[b.id] = false
	if t.leader == -1 {
		t.part.PartitionEpoch++
		s.elect()
	}
	s.publish()
}

// check looks at every broker: what was visible is there, and logs of one history agree.
func (s *sim) check() {
	for _, b := range s.brokers {
		if b.hw > b.leo() {
			s.failf("broker %d: HW %d beyond LEO %d", b.id, b.hw, b.leo())
			return
		}
		if b.hw > int64(len(s.exposed)) || !slices.Equal(b.log[:b.hw], s.exposed[:b.hw]) {
			s.failf("broker %d: below its HW %d stands what was never visible", b.id, b.hw)
			return
		}
		for _, o := range s.brokers[:b.id] {
			s.checkMatch(b, o)
		}
	}
}

// checkMatch holds the log matching property: where two logs have a record of one epoch at one
// offset, they are equal up to there.
func (s *sim) checkMatch(a, b *simBroker) {
	for i := min(len(a.log), len(b.log)) - 1; i >= 0; i-- {
		if a.log[i].epoch == b.log[i].epoch {
			if !slices.Equal(a.log[:i+1], b.log[:i+1]) {
				s.failf("brokers %d and %d diverge at or before offset %d of one epoch", a.id, b.id, i)
			}
			return
		}
	}
}

// run plays a seed and returns the simulation and what went wrong. A broken core may also panic
// with a BUG, which counts as found only for mutants.
func run(seed uint64, m mutant, steps int) (s *sim, err error) {
	s = newSim(seed, m)
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("seed %d: panic: %v", seed, r)
		}
	}()
	for i := 0; i < steps && s.failure == nil; i++ {
		s.step()
	}
	if s.failure != nil {
		return s, fmt.Errorf("seed %d: %w", seed, s.failure)
	}
	return s, nil
}

// TestSimulation: with clean elections nothing that was visible or acked is ever lost, HWs do not
// move back and logs do not diverge, whatever the network does (KIP-101, KIP-279, KIP-320,
// KIP-966).
func TestSimulation(t *testing.T) {
	t.Parallel()
	seeds, acked, elected, visible := 300, 0, 0, 0
	if testing.Short() {
		seeds = 100
	}
	for seed := range uint64(seeds) {
		s, err := run(seed, mutNone, 3000)
		if err != nil {
			t.Fatal(err)
		}
		acked, elected, visible = acked+s.acked, elected+s.elected, visible+len(s.exposed)
	}
	t.Logf("%d seeds: %d leaderships, %d records visible, %d acks", seeds, elected, visible, acked)
	if acked < seeds*10 || elected < seeds*5 {
		t.Errorf("the simulation hardly moves: %d acks, %d leaderships", acked, elected)
	}
}

// TestSimulationReplays: a seed plays the same every time.
func TestSimulationReplays(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		a, _ := run(seed, mutNone, 2000)
		b, _ := run(seed, mutNone, 2000)
		if !slices.Equal(a.exposed, b.exposed) || a.acked != b.acked || a.now != b.now {
			t.Errorf("seed %d played differently the second time", seed)
		}
	}
}

// TestSimulationFindsMutants: each bug shows within a few hundred seeds.
func TestSimulationFindsMutants(t *testing.T) {
	t.Parallel()
	mutants := []mutant{
		mutTruncateToHW, mutNoTruncation, mutEarlyAck, mutShrinkAtOnce, mutForgetExpand,
		mutRollbackInDoubt, mutIgnoreMinISR, mutAnyBrokerEpoch, mutJoinBehindHW, mutNoEpochCheck,
		mutStaleAnswer,
	}
	// Where the search for the rarer ones begins, only to save time: any seed would do.
	nearby := map[mutant]uint64{mutNoEpochCheck: 455, mutStaleAnswer: 855, mutAnyBrokerEpoch: 60}
	for _, m := range mutants {
		found := false
		for seed := uint64(0); seed < 20_000 && !found; seed++ {
			if _, err := run(nearby[m]+seed, m, 3000); err != nil {
				found = true
				t.Logf("%s: %v", m, err)
			}
		}
		if !found {
			t.Errorf("not found: %s", m)
		}
	}
}
