package txncheck

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// The topics. Writers write to the first, movers and relays from there to the others.
const (
	inTopic      = "in"
	movedTopic   = "moved"
	relayedTopic = "relayed"
	partitions   = 4
)

const (
	writersCount = 4
	singlesCount = 2
	relaysCount  = 2
	// settleWait is how long everything may take to come to rest, on a busy machine.
	settleWait = 2 * time.Minute
)

// trial is one run: a broker, its clients, and what becomes of it.
type trial struct {
	h        *history
	broker   *broker
	seed     uint64
	protocol string // old, new or mixed
	duration time.Duration
	// patience is how long everything may take to come to rest.
	patience time.Duration
	// calmMs is the longest time without a fault.
	calmMs int
	// ctx ends when even the most patient client gives up.
	ctx context.Context
	// calm is closed when faults are over.
	calm chan struct{}
	// actors are zombies, which come and go.
	actors sync.WaitGroup
}

func (t *trial) addr() string { return *t.broker.addr.Load() }

// modern draws a producer's protocol.
func (t *trial) modern(rng *rand.Rand) bool {
	return t.protocol == "new" || t.protocol == "mixed" && rng.IntN(2) == 0
}

func (t *trial) placesOf(topic string) []place {
	out := make([]place, partitions)
	for i := range out {
		out[i] = place{topic, int32(i)}
	}
	return out
}

func (t *trial) inputs() []place { return t.placesOf(inTopic) }

func (t *trial) anyInput(rng *rand.Rand) place { return place{inTopic, int32(rng.IntN(partitions))} }

func (t *trial) everywhere() []place {
	return append(append(t.inputs(), t.placesOf(movedTopic)...), t.placesOf(relayedTopic)...)
}

// lastTxn is the id of a producer's last transaction so far, or -1.
func (t *trial) lastTxn(name string) int {
	t.h.mu.Lock()
	defer t.h.mu.Unlock()
	for i := len(t.h.txns) - 1; i >= 0; i-- {
		if t.h.txns[i].writer.name == name {
			return i
		}
	}
	return -1
}

// try runs a trial in dir and returns its history, with what was found wrong in it.
func try(bin, dir, protocol string, seed uint64, duration, patience time.Duration) *history {
	t := &trial{
		h: newHistory(), broker: &broker{bin: bin, dir: filepath.Join(dir, "data")},
		seed: seed, protocol: protocol, duration: duration, patience: patience,
		calmMs: int(min(duration/4, 3*time.Second) / time.Millisecond), calm: make(chan struct{}),
	}
	ctx, cancel := context.WithTimeout(context.Background(), duration+4*patience)
	defer cancel()
	t.ctx = ctx
	if err := t.broker.start(); err != nil {
		t.h.wrong("broker", "%v", err)
		return t.h
	}
	defer t.broker.kill()
	if err := t.run(cancel); err != nil {
		t.h.wrong("harness", "%v", err)
	}
	if err := t.broker.sound(); err != nil {
		t.h.wrong("broker", "%v", err)
	}
	return t.h
}

// run has the clients and the faults play, waits until everything is at rest, and checks.
func (t *trial) run(giveUp func()) error {
	if err := t.prepare(); err != nil {
		return err
	}
	var first, second sync.WaitGroup
	endMoving := make(chan struct{})
	t.spawn(&first, &second, endMoving)
	up := make(chan bool, 1)
	stopFaults := make(chan struct{})
	go func() { up <- t.nemesis(stopFaults) }()
	t.sleep(nil, t.duration)
	close(stopFaults)
	healthy := <-up
	close(t.calm)
	if !healthy || len(t.h.found()) > 0 {
		giveUp()
	}
	var f *final
	err := func() error {
		if !t.join(&first) || !t.join(&t.actors) {
			return nil
		}
		if err := t.settle(); err != nil {
			return err
		}
		if err := t.caughtUp(); err != nil {
			return err
		}
		return nil
	}()
	close(endMoving)
	if err != nil {
		giveUp()
	}
	if !t.join(&second) || !t.join(&t.actors) || err != nil || t.ctx.Err() != nil {
		return t.unlessFound(err)
	}
	if err := t.settle(); err != nil {
		return t.unlessFound(err)
	}
	if f, err = t.finish(); err != nil {
		return t.unlessFound(err)
	}
	check(t.h, f)
	return nil
}

// unlessFound drops an error that may follow from what was found wrong.
func (t *trial) unlessFound(err error) error {
	if len(t.h.found()) > 0 {
		return nil
	}
	if err == nil {
		err = errors.New("the clients did not end")
	}
	return err
}

// join waits for actors; it reports false, and notes why, if they do not end.
func (t *trial) join(g *sync.WaitGroup) bool {
	done := make(chan struct{})
	go func() {
		g.Wait()
		close(done)
	}()
	select {
	case <-done:
		return true
	case <-time.After(t.patience):
	case <-t.ctx.Done():
		<-done
		return true
	}
	t.h.wrong("hanging", "clients still wait for an answer %v after the last fault", t.patience)
	return false
}

// spawn starts the actors: those that end with the faults, and those that first consume everything.
func (t *trial) spawn(first, second *sync.WaitGroup, endMoving <-chan struct{}) {
	for i := range writersCount {
		name := fmt.Sprint("writer-", i)
		p := t.producer(name, name)
		first.Go(func() { p.live(t.calm, p.transaction) })
	}
	for i := range singlesCount {
		p := t.producer(fmt.Sprint("single-", i), "")
		first.Go(func() { p.live(t.calm, p.single) })
	}
	for i, committed := range []bool{true, true, false} {
		name := fmt.Sprint("poller-", i)
		second.Go(func() { t.follow(name, committed, endMoving) })
	}
	second.Go(func() { t.watch("watcher", endMoving) })
	for _, at := range t.inputs() {
		name := fmt.Sprint("mover-", at.partition)
		m := &mover{producer: t.producer(name, name), input: at}
		m.whole = true
		second.Go(func() { m.live(endMoving, m.step) })
	}
	for i := range relaysCount {
		second.Go(func() { t.relays(fmt.Sprint("relay-", i), endMoving) })
	}
}

// ask sends a request outside of the play until its answer is good.
func ask[R kmsg.Response](t *trial, l *link, req kmsg.Request, good func(R) bool) (got R, err error) {
	deadline := time.Now().Add(t.patience)
	for {
		resp, err := l.do(t.ctx, req, waits)
		switch {
		case err == nil && good(resp.(R)):
			return resp.(R), nil
		case err != nil && !errors.Is(err, errNoAnswer):
			return got, err
		case time.Now().After(deadline):
			return got, fmt.Errorf("%s: %w, %+v", kmsg.NameForKey(req.Key()), err, resp)
		}
		if err := pause(t.ctx, 20*time.Millisecond); err != nil {
			return got, err
		}
	}
}

// prepare makes the topics, and has the broker make its own.
func (t *trial) prepare() error {
	l := link{addr: t.addr}
	defer l.close()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = 5, 30_000
	for _, name := range []string{inTopic, movedTopic, relayedTopic} {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, 1
		req.Topics = append(req.Topics, topic)
	}
	_, err := ask(t, &l, req, func(r *kmsg.CreateTopicsResponse) bool {
		for _, topic := range r.Topics {
			if c := topic.ErrorCode; c != wire.CodeNone && c != wire.CodeTopicAlreadyExists {
				return false
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	for kind := range int8(2) {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.Version, req.CoordinatorType, req.CoordinatorKey = 3, kind, "any"
		if _, err := ask(t, &l, req, func(r *kmsg.FindCoordinatorResponse) bool {
			return r.ErrorCode == wire.CodeNone
		}); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until no transaction is open, in any partition or at any coordinator.
func (t *trial) settle() error {
	l := link{addr: t.addr}
	defer l.close()
	deadline := time.Now().Add(t.patience)
	for {
		open, err := t.open(&l)
		if err != nil || open == "" {
			return err
		}
		if time.Now().After(deadline) {
			t.h.wrong("hanging", "%s %v after the last fault", open, t.patience)
			return errors.New("the trial did not settle")
		}
		if err := pause(t.ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// open describes a transaction that is open, if there is one.
func (t *trial) open(l *link) (string, error) {
	for _, at := range t.everywhere() {
		r := &reader{t: t, link: l, name: "the last reader", committed: true}
		got, err := r.fetch(at, 0)
		if err != nil {
			return "", err
		}
		if got == nil || got.stable != got.high {
			return fmt.Sprintf("%v is not stable to its end: %+v", at, r.marks[at]), nil
		}
	}
	req := kmsg.NewPtrListTransactionsRequest()
	req.StateFilters = []string{"Ongoing", "PrepareCommit", "PrepareAbort"}
	got, err := ask(t, l, req, func(r *kmsg.ListTransactionsResponse) bool {
		return r.ErrorCode == wire.CodeNone
	})
	if err != nil || len(got.TransactionStates) == 0 {
		return "", err
	}
	s := got.TransactionStates[0]
	return fmt.Sprintf("transaction %s of producer %d is %s",
		s.TransactionalID, s.ProducerID, s.TransactionState), nil
}

// caughtUp waits until movers and relays have consumed everything.
func (t *trial) caughtUp() error {
	l := link{addr: t.addr}
	defer l.close()
	ends := map[place]int64{}
	for _, at := range t.inputs() {
		all, _, err := t.whole(&l, at, true, nil)
		if err != nil {
			return err
		}
		if n := len(all); n > 0 {
			ends[at] = all[n-1].offset + 1
		}
	}
	deadline := time.Now().Add(t.patience)
	for _, group := range []string{moversGroup, relaysGroup} {
		for {
			behind := ""
			offsets, err := t.committed(&l, group, t.inputs(), true)
			if err != nil {
				return err
			}
			for at, end := range ends {
				if offsets[at] < end {
					behind = fmt.Sprintf("group %s is at %d of %v, which ends at %d", group, offsets[at], at, end)
				}
			}
			if behind == "" {
				break
			}
			if time.Now().After(deadline) {
				t.h.wrong("hanging", "%s %v after the last fault", behind, t.patience)
				return nil // The history says more.
			}
			if err := pause(t.ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish reads everything, before and after one more SIGKILL.
func (t *trial) finish() (*final, error) {
	before, relayed, err := t.read()
	if err != nil {
		return nil, err
	}
	t.broker.kill()
	if !t.raise() {
		return nil, errors.New("the broker did not come back")
	}
	if err := t.settle(); err != nil {
		return nil, err
	}
	for at, all := range before.committed {
		t.h.addPoll(&poll{"the last but one reader", at, true, 0, before.ends[at], all})
		t.h.addPoll(&poll{"the last but one reader", at, false, 0, before.ends[at], before.uncommitted[at]})
	}
	after, relayed2, err := t.read()
	if err != nil {
		return nil, err
	}
	if len(relayed) != len(relayed2) {
		t.h.wrong("poll", "%d records were relayed, and %d after SIGKILL", len(relayed), len(relayed2))
	}
	checkRelayed(t.h, t.only(after.committed, inTopic), relayed2)
	return after, nil
}

func (t *trial) only(all map[place][]seen, topic string) map[place][]seen {
	out := map[place][]seen{}
	for _, at := range t.placesOf(topic) {
		out[at] = all[at]
	}
	return out
}

// read reads all there is.
func (t *trial) read() (*final, []origin, error) {
	l := link{addr: t.addr}
	defer l.close()
	f := &final{
		committed: map[place][]seen{}, uncommitted: map[place][]seen{}, ends: map[place]int64{},
	}
	var relayed []origin
	var err error
	for _, at := range t.everywhere() {
		if f.committed[at], f.ends[at], err = t.whole(&l, at, true, &relayed); err != nil {
			return nil, nil, err
		}
		if f.uncommitted[at], _, err = t.whole(&l, at, false, nil); err != nil {
			return nil, nil, err
		}
	}
	if f.moved, err = t.committed(&l, moversGroup, t.inputs(), true); err != nil {
		return nil, nil, err
	}
	f.relayed, err = t.committed(&l, relaysGroup, t.inputs(), true)
	return f, relayed, err
}
