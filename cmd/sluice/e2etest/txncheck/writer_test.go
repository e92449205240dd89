package txncheck

import (
	"errors"
	"math/rand/v2"
	"time"
)

// producer is a transactional id with one living instance at a time, or a chain of idempotent ones.
type producer struct {
	t         *trial
	rng       *rand.Rand
	name      string
	id        string
	instances int
	// whole says that a transaction may only be committed if everything in it was acknowledged.
	whole bool
}

func (t *trial) producer(name, id string) *producer {
	return &producer{t: t, rng: t.rng(name), name: name, id: id}
}

// succeed makes the next instance and initializes it, which fences the one before.
func (p *producer) succeed(before *transactor) (*transactor, error) {
	x := &transactor{
		t: p.t, rng: rand.New(rand.NewPCG(p.rng.Uint64(), p.rng.Uint64())),
		link: link{addr: p.t.addr}, id: p.id, modern: p.t.modern(p.rng),
		timeoutMs: int32(1000 + p.rng.IntN(1500)),
		writer:    &writer{name: p.name, instance: p.instances},
		seqs:      map[place]int32{}, orders: map[place]int{}, added: map[place]bool{},
	}
	p.instances++
	for {
		err := x.initialize(false)
		if err == nil {
			break
		}
		if over(err) {
			return nil, err
		}
	}
	if before != nil {
		before.superseded.Store(true)
	}
	return x, nil
}

// live runs script over and over with one instance after the other, until stop is closed or the
// trial's time is up. At times the last instance goes on as a zombie beside its successor.
func (p *producer) live(stop <-chan struct{}, script func(x *transactor) error) {
	var x *transactor
	for !closed(stop) {
		before := x
		if before != nil && before.txn != nil && p.rng.IntN(2) == 0 {
			p.t.actors.Go(func() { p.haunt(before) })
		} else if before != nil {
			before.link.close()
		}
		next, err := p.succeed(before)
		if err != nil {
			return
		}
		x = next
		for err == nil && !closed(stop) {
			if err = script(x); errors.Is(err, errMustAbort) {
				panic("a script left a transaction that must abort")
			}
		}
		if err != nil && over(err) {
			return
		}
	}
	if x != nil {
		x.link.close()
	}
}

// haunt is a zombie: it goes on with a transaction, and must get nowhere once its successor is there.
// Whatever comes of it is noted.
func (p *producer) haunt(x *transactor) {
	defer x.link.close()
	for range 1 + x.rng.IntN(3) {
		if pause(x.t.ctx, time.Duration(x.rng.IntN(40))*time.Millisecond) != nil {
			return
		}
		if p.whole || x.txn.commits || x.rng.IntN(3) == 0 {
			commit := x.txn.commits || x.rng.IntN(3) > 0
			if p.whole && !x.txn.acknowledged() {
				commit = false
			}
			_ = x.end(commit)
			return
		}
		_ = x.produce(x.pack(x.t.anyInput(x.rng), nil))
	}
}

// errAbandoned says that a producer left its transaction open.
var errAbandoned = errors.New("the transaction is abandoned")

// transaction writes a few records to a few partitions and ends in one of the ways there are.
func (p *producer) transaction(x *transactor) error {
	if err := p.think(x, 8); err != nil {
		return err
	}
	if err := x.begin(); err != nil {
		return err
	}
	for range 1 + x.rng.IntN(3) {
		err := p.round(x)
		if errors.Is(err, errMustAbort) {
			return p.abort(x)
		}
		if err != nil {
			return err
		}
		if x.rng.IntN(150) == 0 {
			// Until after the transaction's timeout.
			err = pause(x.t.ctx, time.Duration(x.timeoutMs)*time.Millisecond+300*time.Millisecond)
		} else {
			err = p.think(x, 4)
		}
		if err != nil {
			return err
		}
	}
	switch n := x.rng.IntN(100); {
	case n < 4:
		return errAbandoned
	case n < 12:
		at := x.t.anyInput(x.rng)
		if !x.modern {
			if err := x.add([]place{at}); err != nil {
				return err
			}
		}
		return x.race(at, x.rng.IntN(2) == 0)
	case n < 30:
		return p.abort(x)
	default:
		return x.end(true)
	}
}

// round sends one request, to one partition or several.
func (p *producer) round(x *transactor) error {
	if !x.modern && x.rng.IntN(40) == 0 {
		for _, at := range x.t.inputs() {
			if !x.added[at] {
				return x.intrude(at)
			}
		}
	}
	places := x.t.inputs()
	x.rng.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
	places = places[:1+x.rng.IntN(3)]
	if !x.modern {
		if err := x.add(places); err != nil {
			return err
		}
	}
	var parcels []*parcel
	for _, at := range places {
		parcels = append(parcels, x.pack(at, make([]*origin, 1+x.rng.IntN(3))...))
	}
	return x.produce(parcels...)
}

// abort ends the transaction. With KIP-98's protocol there may be none.
func (p *producer) abort(x *transactor) error {
	if !x.modern && len(x.added) == 0 {
		return nil
	}
	return x.end(false)
}

func (p *producer) think(x *transactor, msMax int) error {
	return pause(x.t.ctx, time.Duration(x.rng.IntN(1000*msMax))*time.Microsecond)
}

// single writes records without a transaction.
func (p *producer) single(x *transactor) error {
	if err := p.think(x, 20); err != nil {
		return err
	}
	err := x.produce(x.pack(x.t.anyInput(x.rng), make([]*origin, 1+x.rng.IntN(3))...))
	if errors.Is(err, errMustAbort) {
		return errDead
	}
	return err
}
