package txncheck

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// The groups whose offsets are committed within transactions.
const (
	moversGroup = "movers"
	relaysGroup = "relays"
)

// mover consumes one input partition and writes what it reads to other partitions, with the offset in
// the same transaction. Its transactional id is tied to the partition, so a successor fences it.
type mover struct {
	*producer
	input place
	// next is where the living instance goes on; of is the instance it belongs to.
	next int64
	of   *transactor
}

// step moves some records, in one transaction.
func (m *mover) step(x *transactor) error {
	if m.of != x {
		if err := m.resume(x); err != nil {
			return err
		}
	}
	a, origins, err := m.consume(x)
	if err != nil || len(origins) == 0 {
		return err
	}
	if err := x.begin(); err != nil {
		return err
	}
	err = m.transform(x, a, origins)
	commit := x.rng.IntN(100) < 85
	switch {
	case errors.Is(err, errMustAbort):
		commit = false
	case err != nil:
		return err
	case x.rng.IntN(100) < 4:
		m.of = nil
		return errAbandoned
	}
	if !commit {
		m.of = nil // The offset is that of the last transaction that committed.
		return m.abort(x)
	}
	if err := x.end(true); err != nil {
		return err
	}
	m.next = a.to
	return nil
}

// resume asks where to go on.
func (m *mover) resume(x *transactor) error {
	after := m.t.lastTxn(m.name)
	offsets, err := m.t.committed(&x.link, moversGroup, []place{m.input}, true)
	if err != nil {
		return err
	}
	m.next, m.of = offsets[m.input], x
	m.t.h.addLookup(m.name, lookup{at: m.input, offset: m.next, settled: true, after: after})
	return nil
}

// consume reads what is committed from the mover's offset on, up to a few records. A stretch may hold
// nothing but what was aborted; it then reads on.
func (m *mover) consume(x *transactor) (*advance, []*origin, error) {
	a := &advance{at: m.input, from: m.next, to: m.next}
	r := reader{t: m.t, link: &x.link, committed: true, name: m.name, waitMs: 100}
	limit := 1 + x.rng.IntN(40)
	var origins []*origin
	for len(origins) == 0 {
		got, err := r.fetch(m.input, a.to)
		if err != nil || got == nil || got.next == a.to {
			return a, nil, err
		}
		a.to = got.next
		for _, s := range got.records {
			if len(origins) == limit {
				a.to = s.offset
				break
			}
			origins = append(origins, &origin{at: m.input, offset: s.offset})
		}
	}
	return a, origins, nil
}

// transform writes the output and commits the offset, in either order.
func (m *mover) transform(x *transactor, a *advance, origins []*origin) error {
	byPlace := map[place][]*origin{}
	for _, o := range origins {
		at := place{movedTopic, int32(x.rng.IntN(partitions))}
		byPlace[at] = append(byPlace[at], o)
	}
	places := make([]place, 0, len(byPlace))
	for at := range byPlace {
		places = append(places, at)
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.partition, b.partition) })
	output := func() error {
		if !x.modern {
			if err := x.add(places); err != nil {
				return err
			}
		}
		var parcels []*parcel
		for _, at := range places {
			parcels = append(parcels, x.pack(at, byPlace[at]...))
		}
		return x.produce(parcels...)
	}
	offset := func() error { return x.commitOffset(moversGroup, a) }
	steps := []func() error{output, offset}
	if x.rng.IntN(2) == 0 {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
		if err := m.think(x, 3); err != nil {
			return err
		}
	}
	return nil
}

// committed asks for a group's offsets; 0 stands for none.
func (t *trial) committed(l *link, group string, at []place, stable bool) (map[place]int64, error) {
	for {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Version, req.RequireStable = 9, stable
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group, g.MemberEpoch = group, -1
		topic := kmsg.NewOffsetFetchRequestGroupTopic()
		for _, p := range at {
			topic.Topic, topic.Partitions = p.topic, append(topic.Partitions, p.partition)
		}
		g.Topics = append(g.Topics, topic)
		req.Groups = append(req.Groups, g)
		resp, err := l.do(t.ctx, req, waits)
		if err == nil {
			if out, code := t.offsetsIn(resp.(*kmsg.OffsetFetchResponse)); code == wire.CodeNone {
				t.h.count("OffsetFetch", ok, "")
				return out, nil
			} else if _, again := retriable[code]; !again && code != wire.CodeUnstableOffsetCommit {
				t.h.wrong("offsets", "the offsets of group %s: %s", group, codeName(code))
			}
		} else if !errors.Is(err, errNoAnswer) {
			return nil, err
		}
		if err := pause(t.ctx, 5*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

func (t *trial) offsetsIn(resp *kmsg.OffsetFetchResponse) (map[place]int64, int16) {
	g := resp.Groups[0]
	if g.ErrorCode != wire.CodeNone {
		return nil, g.ErrorCode
	}
	out := map[place]int64{}
	for _, topic := range g.Topics {
		for _, p := range topic.Partitions {
			if p.ErrorCode != wire.CodeNone {
				return nil, p.ErrorCode
			}
			out[place{topic.Topic, p.Partition}] = max(p.Offset, 0)
		}
	}
	return out, wire.CodeNone
}

// watch reads the movers' offsets again and again: only decided ones, and never going back.
func (t *trial) watch(name string, stop <-chan struct{}) {
	l := link{addr: t.addr}
	defer l.close()
	rng := t.rng(name)
	for !closed(stop) {
		stable := rng.IntN(2) == 0
		offsets, err := t.committed(&l, moversGroup, t.inputs(), stable)
		if err != nil {
			return
		}
		for at, offset := range offsets {
			t.h.addLookup(name, lookup{at: at, offset: offset})
		}
		if pause(t.ctx, time.Duration(rng.IntN(50))*time.Millisecond) != nil {
			return
		}
	}
}
