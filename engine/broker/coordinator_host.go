package broker

import (
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"sluice/engine/coordinator"
	"sluice/engine/partition"
	"sluice/wire"
)

// coordinatorHost runs the coordinator of one internal topic: a shard for each of its partitions that
// this broker leads. The state machines are pure (engine/coordinator); here are their threads, clock
// and log. A shard has no goroutine of its own: whoever brings it an input while it rests runs it
// until nothing is left to do.
type coordinatorHost[In coordinator.Input] struct {
	b     *Broker
	topic string
	// newMachine makes the empty machine of a partition.
	newMachine func(partition int32) coordinator.Machine[In]
	// deliver sends an answer to where its input came from; run does an errand. Both are called by
	// the goroutine that runs the shard, with no lock held.
	deliver func(coordinator.Reply[In])
	run     func(s *hostedShard[In], errand any)
	// failures bounds the log lines about failed appends.
	failures throttle
	meter    coordinatorMeter

	// mu guards shards and the alarm.
	mu     sync.Mutex
	shards map[int32]*hostedShard[In]
	alarm  *time.Timer
	atMs   int64
	closed bool
	work   sync.WaitGroup
}

// The states of a hosted shard.
type shardState uint8

const (
	// shardLoading replays the log; inputs get COORDINATOR_LOAD_IN_PROGRESS.
	shardLoading shardState = iota
	shardActive
	// shardEnded lost its partition: NOT_COORDINATOR.
	shardEnded
)

// hostedShard is one partition's coordinator.
type hostedShard[In coordinator.Input] struct {
	host    *coordinatorHost[In]
	replica *replica
	log     *partition.Log
	index   int32
	epoch   int32

	// mu guards what follows up to the blank line.
	mu      sync.Mutex
	state   shardState
	inbox   []In
	spare   []In
	running bool
	poked   bool // run even without input: a timer is due, or the high watermark moved
	ending  bool
	dueMs   int64
	// machine is the shard's while it is active; but for what it says of that, it belongs to whoever
	// runs the shard. visits wait for a look at it.
	machine coordinator.Machine[In]
	visits  []func(coordinator.Machine[In])
	// arrivedNs is when the first input of the inbox came, loadNs how long the load took.
	arrivedNs, loadNs int64

	// The rest belongs to whoever runs the shard.
	shard    *coordinator.Shard[In]
	released coordinator.Released[In]
	one      [1]In
	builder  *wire.BatchBuilder
	batch    []byte
	append   partition.Append
	appended chan struct{}
	// progressed is what the replica calls when its high watermark moves.
	progressed func()
}

func newCoordinatorHost[In coordinator.Input](b *Broker, topic string) *coordinatorHost[In] {
	h := &coordinatorHost[In]{
		b: b, topic: topic, shards: map[int32]*hostedShard[In]{}, atMs: coordinator.Never,
		failures: throttle{period: 10 * time.Second, nowNs: b.nanotime},
	}
	h.failures.rearm()
	return h
}

// lead begins to coordinate a partition: this broker has become its leader. Loading runs on a
// goroutine of its own, since it reads a disk.
func (h *coordinatorHost[In]) lead(r *replica) {
	log, code := r.logOrError()
	if code != wire.CodeNone {
		return
	}
	s := &hostedShard[In]{
		host: h, replica: r, log: log, index: r.index, epoch: r.leaderEpoch.Load(), running: true,
		dueMs: coordinator.Never, builder: wire.NewBatchBuilder(), appended: make(chan struct{}, 1),
	}
	s.append.Done = func(*partition.Append) { s.appended <- struct{}{} }
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	if old := h.shards[r.index]; old != nil {
		old.end()
	}
	h.shards[r.index] = s
	s.progressed = s.poke
	r.progress.Store(&s.progressed)
	h.work.Go(func() {
		s.load()
		s.work()
	})
}

// resign stops coordinating a partition: it is led elsewhere, deleted, or its disk failed.
func (h *coordinatorHost[In]) resign(r *replica) {
	h.mu.Lock()
	s := h.shards[r.index]
	if s == nil || s.replica != r {
		// Nothing, or of a later topic of the same name.
		h.mu.Unlock()
		return
	}
	delete(h.shards, r.index)
	h.mu.Unlock()
	s.end()
}

// close ends all shards and returns when none runs any more.
func (h *coordinatorHost[In]) close() {
	h.mu.Lock()
	h.closed = true
	shards := h.shards
	h.shards = map[int32]*hostedShard[In]{}
	if h.alarm != nil {
		h.alarm.Stop()
	}
	h.mu.Unlock()
	for _, s := range shards {
		s.end()
	}
	h.work.Wait()
}

// partitions is how many the topic has, 0 if it does not exist.
func (h *coordinatorHost[In]) partitions() int32 {
	t := h.b.topics.namedString(h.topic)
	if t == nil {
		return 0
	}
	return int32(len(*t.replicas.Load()))
}

// shardOf finds the shard that a key belongs to, or says why there is none here.
func (h *coordinatorHost[In]) shardOf(key string) (*hostedShard[In], int16) {
	n := h.partitions()
	if n == 0 {
		return nil, wire.CodeCoordinatorNotAvailable
	}
	return h.shardAt(coordinator.PartitionFor(key, n))
}

func (h *coordinatorHost[In]) shardAt(index int32) (*hostedShard[In], int16) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.shards[index]; s != nil {
		return s, wire.CodeNone
	}
	return nil, wire.CodeNotCoordinator
}

// all returns the shards in no particular order.
func (h *coordinatorHost[In]) all() []*hostedShard[In] {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]*hostedShard[In], 0, len(h.shards))
	for _, s := range h.shards {
		list = append(list, s)
	}
	return list
}

// submit brings an input to the shard of its key. The answer may come before submit returns, and the
// calling goroutine may be used to run the shard, which waits for a log dir at times.
func (h *coordinatorHost[In]) submit(in In) {
	if s, code := h.shardOf(in.Key()); code != wire.CodeNone {
		h.refuse(in, code)
	} else {
		s.submit(in)
	}
}

// post is submit for callers that must not wait.
func (h *coordinatorHost[In]) post(in In) {
	if s, code := h.shardOf(in.Key()); code != wire.CodeNone {
		h.refuse(in, code)
	} else {
		s.post(in)
	}
}

func (h *coordinatorHost[In]) refuse(in In, code int16) {
	if response := in.Refuse(code); response != nil {
		h.deliver(coordinator.Reply[In]{To: in, Response: response})
	}
}

// submit brings the shard an input, and runs it if it rests.
func (s *hostedShard[In]) submit(in In) {
	if s.enqueue(in, false) {
		defer s.host.work.Done()
		s.work()
	}
}

// post brings the shard an input, which another goroutine handles.
func (s *hostedShard[In]) post(in In) { s.enqueue(in, true) }

// enqueue puts the input into the inbox, or refuses it. It reports whether the caller has to run the
// shard, which never happens with elsewhere.
func (s *hostedShard[In]) enqueue(in In, elsewhere bool) (mine bool) {
	s.mu.Lock()
	switch {
	case s.ending || s.state == shardEnded:
		s.mu.Unlock()
		s.host.refuse(in, wire.CodeNotCoordinator)
		return false
	case s.state == shardLoading && in.Refuse(wire.CodeCoordinatorLoadInProgress) != nil:
		s.mu.Unlock()
		s.host.refuse(in, wire.CodeCoordinatorLoadInProgress)
		return false
	}
	// What nobody would send again, as that a topic is deleted, waits until the shard is loaded.
	defer s.mu.Unlock()
	if len(s.inbox) == 0 {
		s.arrivedNs = s.host.b.nanotime()
	}
	s.inbox = append(s.inbox, in)
	switch {
	case s.running:
	case elsewhere:
		s.start()
	default:
		s.running, mine = true, true
		s.host.work.Add(1)
	}
	return mine
}

// express handles an input that leads to no record, on the goroutine that brings it and without
// waiting, if the shard rests and has nothing else to do. Its answer has come when express returns
// true.
func (s *hostedShard[In]) express(in In, nowMs int64) bool {
	if !s.mu.TryLock() {
		return false
	}
	if s.running || s.ending || s.poked || s.state != shardActive || s.dueMs <= nowMs {
		s.mu.Unlock()
		return false
	}
	s.running = true
	s.host.work.Add(1)
	s.mu.Unlock()
	defer s.host.work.Done()
	handled := !s.shard.Holding() && s.shard.End() <= s.replica.highWatermark.Load()
	if handled {
		s.one[0] = in
		s.step(nowMs, s.one[:])
		clear(s.one[:])
	}
	s.mu.Lock()
	s.running = false
	if len(s.inbox) > 0 || s.poked || s.ending {
		s.start()
	}
	s.mu.Unlock()
	return handled
}

// poke has the shard look at its timers and its held answers. It may be called under the append lock.
func (s *hostedShard[In]) poke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.poked = true
	s.start()
}

// visit has f look at the machine once, when nobody else does, on whatever goroutine runs the shard
// then; f must be quick. It gets nil if the shard is not active.
func (s *hostedShard[In]) visit(f func(coordinator.Machine[In])) {
	s.mu.Lock()
	if s.ending || s.state != shardActive {
		s.mu.Unlock()
		f(nil)
		return
	}
	defer s.mu.Unlock()
	s.visits = append(s.visits, f)
	s.poked = true
	s.start()
}

// receive lets visitors in.
func (s *hostedShard[In]) receive(visits []func(coordinator.Machine[In])) {
	if len(visits) == 0 {
		return
	}
	s.mu.Lock()
	machine := s.machine
	if s.ending {
		machine = nil // It may have panicked.
	}
	s.mu.Unlock()
	for _, f := range visits {
		f(machine)
	}
}

// end makes the shard refuse whoever waits, and every input from now on.
func (s *hostedShard[In]) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = true
	s.start()
}

// start runs the shard unless it is running; s.mu is held.
func (s *hostedShard[In]) start() {
	if s.running || s.state == shardEnded {
		return
	}
	s.running = true
	s.host.work.Go(s.work)
}

// work runs the shard until it has nothing to do.
func (s *hostedShard[In]) work() {
	for {
		s.mu.Lock()
		inputs, visits, ending, arrivedNs := s.inbox, s.visits, s.ending, s.arrivedNs
		if ending && s.state == shardEnded {
			s.inbox, s.visits, s.running = nil, nil, false
			s.mu.Unlock()
			s.refuseAll(inputs)
			s.receive(visits)
			return
		}
		if !ending && len(inputs) == 0 && !s.poked {
			s.running = false
			s.mu.Unlock()
			return
		}
		s.inbox, s.visits, s.poked = s.spare[:0], nil, false
		s.mu.Unlock()
		if ending {
			s.unload(inputs)
		} else {
			beganNs := s.host.b.nanotime()
			s.step(s.host.b.nowMs(), inputs)
			s.host.meter.stepped(len(inputs), beganNs-arrivedNs, s.host.b.nanotime()-beganNs)
		}
		s.receive(visits)
		clear(inputs)
		s.spare = inputs[:0]
	}
}

// step lets the machine handle its timers and inputs. A machine that panics is a bug of ours; another
// shard is then loaded from the log, which holds all that this one had promised.
func (s *hostedShard[In]) step(nowMs int64, inputs []In) {
	defer func() {
		if p := recover(); p != nil {
			s.host.b.log.Error("BUG: coordinator panicked; it is loaded anew", "topic", s.host.topic,
				"partition", s.index, "panic", p, "stack", string(debug.Stack()))
			s.replace(inputs)
		}
	}()
	s.shard.Handle(nowMs, inputs...)
	s.flushReleased()
	due := s.shard.NextDueMs()
	s.mu.Lock()
	s.dueMs = due
	s.mu.Unlock()
	s.host.arm(due)
	s.judge(s.shard.LastCode())
}

// flushReleased sends the answers that the high watermark allows.
func (s *hostedShard[In]) flushReleased() {
	r := &s.released
	s.shard.Release(s.replica.highWatermark.Load(), r)
	for len(r.Replies) > 0 || len(r.Errands) > 0 {
		for _, reply := range r.Replies {
			s.host.deliver(reply)
		}
		errands := r.Errands
		clear(r.Replies)
		r.Replies, r.Errands = r.Replies[:0], nil
		for _, e := range errands {
			s.host.run(s, e)
		}
	}
}

// judge ends the shard after an append that failed for good: its log takes nothing more here. What a
// full disk has refused may succeed the next time, and the shards of a failed dir are resigned. Codes
// that are no coordinator's business, as of a stale epoch, are the client's.
func (s *hostedShard[In]) judge(code int16) {
	if code == coordinator.Refusal(code) {
		return
	}
	if line := s.host.failures.allow(); line.ok {
		s.host.b.log.Error("coordinator could not append", "topic", s.host.topic,
			"partition", s.index, "code", wire.CodeName(code), "suppressed", line.suppressed)
	}
	switch code {
	case wire.CodeNotLeaderOrFollower, wire.CodeFencedLeaderEpoch:
		s.mu.Lock()
		s.ending = true
		s.mu.Unlock()
	}
}

// unload refuses everybody.
func (s *hostedShard[In]) unload(inputs []In) {
	s.mu.Lock()
	s.state, s.machine = shardEnded, nil
	s.mu.Unlock()
	s.replica.progress.CompareAndSwap(&s.progressed, nil)
	if s.shard != nil {
		s.released = coordinator.Released[In]{}
		s.shard.Unload(wire.CodeNotCoordinator, &s.released)
		for _, reply := range s.released.Replies {
			s.host.deliver(reply)
		}
		s.shard = nil
	}
	s.refuseAll(inputs)
}

func (s *hostedShard[In]) refuseAll(inputs []In) {
	for _, in := range inputs {
		s.host.refuse(in, wire.CodeNotCoordinator)
	}
}

// replace ends a shard whose machine cannot be trusted any more, with all that it has under way, as
// markers, and puts a new one in its place.
func (s *hostedShard[In]) replace(inputs []In) {
	s.mu.Lock()
	s.ending = true
	s.mu.Unlock()
	waiting := func() (list []In) {
		defer func() { _ = recover() }()
		var r coordinator.Released[In]
		s.shard.Unload(wire.CodeNotCoordinator, &r)
		for _, reply := range r.Replies {
			list = append(list, reply.To)
		}
		return list
	}()
	told := map[In]bool{}
	for _, in := range append(waiting, inputs...) {
		if !told[in] {
			told[in] = true
			s.host.refuse(in, wire.CodeNotCoordinator)
		}
	}
	s.shard = nil
	s.host.lead(s.replica)
}

// arm sees to it that due timers are looked at: nothing runs meanwhile.
func (h *coordinatorHost[In]) arm(dueMs int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || dueMs >= h.atMs {
		return
	}
	h.atMs = dueMs
	wait := time.Duration(max(dueMs-h.b.nowMs(), 1)) * time.Millisecond
	if h.alarm == nil {
		h.alarm = time.AfterFunc(wait, h.tick)
		return
	}
	h.alarm.Reset(wait)
}

// tick wakes the shards whose timers are due, also if the wall clock was set back since the alarm
// was set: the machines look at it then, and say anew when they are due.
func (h *coordinatorHost[In]) tick() {
	now := h.b.nowMs()
	h.mu.Lock()
	if h.atMs != coordinator.Never {
		now = max(now, h.atMs)
	}
	h.atMs = coordinator.Never
	h.mu.Unlock()
	next := int64(coordinator.Never)
	for _, s := range h.all() {
		s.mu.Lock()
		due := s.dueMs
		if due <= now {
			s.dueMs = coordinator.Never
			s.poked = true
			s.start()
		}
		s.mu.Unlock()
		if due > now {
			next = min(next, due)
		}
	}
	if next != coordinator.Never {
		h.arm(next)
	}
}

// String names the shard in logs.
func (s *hostedShard[In]) String() string { return fmt.Sprintf("%s-%d", s.host.topic, s.index) }
