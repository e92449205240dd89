package load

import (
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"sluice/benchmarks/workload"
	"sluice/wire"
)

// threadCount is the number of client threads of a run.
func threadCount(spec *workload.Spec) int {
	if spec.Threads > 0 {
		return spec.Threads
	}
	if n := runtime.NumCPU(); n > 2 {
		return n / 2
	}
	return 1
}

// group is the connections of one client, by broker: all on one thread.
type group struct {
	t       *thread
	write   map[int32][]*produceConn
	read    map[int32][]*fetchConn
	perNode int
	kind    stage
	tail    bool
}

func newGroup(t *thread, perNode int) *group {
	return &group{
		t: t, perNode: perNode, kind: stageFetch,
		write: map[int32][]*produceConn{}, read: map[int32][]*fetchConn{},
	}
}

// writer is the i-th connection of the group that writes to a broker.
func (g *group) writer(broker int32, i int) *produceConn {
	list := g.write[broker]
	for len(list) <= i {
		p := newProduceConn(g.t, broker)
		p.group = g
		list = append(list, p)
	}
	g.write[broker] = list
	return list[i]
}

// reader is the i-th connection of the group that reads from a broker.
func (g *group) reader(broker int32, i int) *fetchConn {
	list := g.read[broker]
	for len(list) <= i {
		f := newFetchConn(g.t, broker, g.kind)
		f.group, f.tail = g, g.tail
		f.dropping = g.t.s.spec.Client == workload.Discarding && !g.tail
		if g.tail {
			f.depth = 1
		}
		list = append(list, f)
	}
	g.read[broker] = list
	return list[i]
}

// byLeader groups partitions by who leads them, in the order of brokers' ids.
func (s *session) byLeader(parts []*partition) (leaders []int32, led map[int32][]*partition) {
	led = map[int32][]*partition{}
	v := s.layout.Load()
	for _, p := range parts {
		leader := v.leaders[p.id]
		if led[leader] == nil {
			leaders = append(leaders, leader)
		}
		led[leader] = append(led[leader], p)
	}
	slices.Sort(leaders)
	return leaders, led
}

// planOpen deals producers with a schedule over the threads.
func (s *session) planOpen() {
	leaders, led := s.byLeader(s.cluster.parts)
	for q := range s.spec.Producers {
		t := s.threads[q%len(s.threads)]
		g := newGroup(t, s.spec.Connections)
		p := newProducer(t, q)
		for _, leader := range leaders {
			parts := led[leader]
			n := len(parts)
			if s.maker.keys == nil {
				// Every connection has work, if need be several of them for one partition.
				n = max(n, s.spec.Connections)
			}
			for i := range n {
				l := g.writer(leader, i%s.spec.Connections).newLane(parts[i%len(parts)])
				l.producer, l.place = p, int64(len(p.lanes))
				p.lanes = append(p.lanes, l)
			}
		}
		if s.maker.keys != nil {
			p.byPart = make([]*lane, len(s.cluster.parts))
			for _, l := range p.lanes {
				p.byPart[l.part.id] = l
			}
		}
	}
}

// planClosed deals connections that are kept busy over the threads.
func (s *session) planClosed() {
	leaders, led := s.byLeader(s.cluster.parts)
	dealt := 0
	for range s.spec.Producers {
		for _, leader := range leaders {
			parts := led[leader]
			for i := range min(s.spec.Connections, max(s.spec.Connections, len(parts))) {
				g := newGroup(s.threads[dealt%len(s.threads)], 1)
				p := g.writer(leader, 0)
				for j := i % len(parts); j < len(parts); j += s.spec.Connections {
					s.addClosedLane(p, parts[j])
				}
				// Connections that share partitions begin at different ones.
				p.turn = dealt % max(1, len(p.lanes))
				dealt++
			}
		}
	}
	s.encodeClosed()
}

func (s *session) addClosedLane(p *produceConn, part *partition) {
	if k := s.maker.keys; k != nil && len(k.slots[part.id]) == 0 {
		return // No key belongs to this partition.
	}
	p.newLane(part)
}

// encodeClosed encodes full batches beforehand where they need not bear the time of sending.
func (s *session) encodeClosed() {
	m := s.maker
	if m.stamped {
		return
	}
	lanes := s.lanes()
	variants := min(variantsMax, max(1, variantBytesMax/m.batchBytes))
	var shared []full
	keyed := map[int][]full{}
	for _, l := range lanes {
		switch {
		case m.keys == nil:
			if shared == nil {
				shared = m.fullBatches(l, s.unixMs(), variants)
			}
			l.full = shared
		case len(s.cluster.parts)*m.batchBytes <= keyedBytesMax:
			if keyed[l.part.id] == nil {
				keyed[l.part.id] = m.fullBatches(l, s.unixMs(), 1)
			}
			l.full = keyed[l.part.id]
		}
	}
}

func (s *session) lanes() (all []*lane) {
	for _, t := range s.threads {
		for _, c := range t.conns {
			if p, ok := c.role.(*produceConn); ok {
				all = append(all, p.lanes...)
			}
		}
	}
	return all
}

// bounds say where the log of each partition begins and ends, by partition id, and what its batches
// are if all are known to be equal.
type bounds struct {
	start, end               []int64
	batchBytes, batchRecords int64
}

// planTails deals the partitions to consumers that read what is being written.
func (s *session) planTails(b bounds) {
	for i := range min(s.spec.Consumers, len(s.cluster.parts)) {
		g := newGroup(s.threads[(s.spec.Producers+i)%len(s.threads)], s.spec.Connections)
		g.tail = true
		var mine []*partition
		for j := i; j < len(s.cluster.parts); j += s.spec.Consumers {
			mine = append(mine, s.cluster.parts[j])
		}
		leaders, led := s.byLeader(mine)
		for _, leader := range leaders {
			for j, part := range led[leader] {
				f := g.reader(leader, j%s.spec.Connections)
				f.sources = append(f.sources, &source{
					part: part, ask: b.end[part.id], expect: b.end[part.id], fresh: true, end: -1,
				})
			}
		}
	}
}

// planReplay deals the partitions to consumers that read a log again and again.
func (s *session) planReplay(b bounds) {
	units := s.spec.Consumers * s.spec.Connections
	for u := range units {
		g := newGroup(s.threads[u%len(s.threads)], 1)
		if len(s.cluster.parts) < units {
			s.addReplay(g, s.cluster.parts[u%len(s.cluster.parts)], b)
			continue
		}
		for j := u; j < len(s.cluster.parts); j += units {
			s.addReplay(g, s.cluster.parts[j], b)
		}
	}
}

// planCatchup adds the reader of a backlog run, on a thread of its own, so that the work that it
// makes does not make the live clients late.
func (s *session) planCatchup(b bounds) error {
	if err := s.addThread(); err != nil {
		return err
	}
	g := newGroup(s.threads[len(s.threads)-1], 1)
	g.kind = stageCatchup
	for _, part := range s.cluster.parts {
		s.addReplay(g, part, b)
	}
	return nil
}

func (s *session) addReplay(g *group, part *partition, b bounds) {
	id := part.id
	if b.end[id] <= b.start[id] {
		return
	}
	f := g.reader(s.layout.Load().leaders[id], 0)
	f.sources = append(f.sources, &source{
		part: part, ask: b.start[id], expect: b.start[id], start: b.start[id], end: b.end[id],
		fresh: true, batchBytes: b.batchBytes, batchRecords: b.batchRecords,
	})
}

// needed reports whether a connection has anything to do.
func (p *produceConn) needed() bool { return len(p.lanes)+p.pendingRequests() > 0 }

func (f *fetchConn) needed() bool { return len(f.sources) > 0 }

// rehome moves lanes whose partition is led elsewhere by now.
func (p *produceConn) rehome() {
	kept := p.lanes[:0]
	for _, l := range p.lanes {
		leader := p.t.layout.leaders[l.part.id]
		if leader < 0 || leader == p.broker {
			kept = append(kept, l)
			continue
		}
		to := p.group.writer(leader, int(l.place)%p.group.perNode)
		l.conn, l.sequence = to, 0
		to.lanes = append(to.lanes, l)
		p.t.ensure(&to.conn)
	}
	p.lanes, p.turn = kept, 0
}

// rehome moves partitions that are led elsewhere by now. Both connections begin anew, since what is
// in flight no longer fits what they are for.
func (f *fetchConn) rehome() {
	kept := f.sources[:0]
	for i, s := range f.sources {
		leader := f.t.layout.leaders[s.part.id]
		if leader < 0 || leader == f.broker {
			kept = append(kept, s)
			continue
		}
		s.ask, s.outstanding, s.resync = s.expect, 0, false
		to := f.group.reader(leader, i%f.group.perNode)
		to.sources = append(to.sources, s)
		slices.SortFunc(to.sources, func(a, b *source) int { return a.part.id - b.part.id })
		to.restart()
	}
	if len(kept) < len(f.sources) {
		f.sources = kept
		f.restart()
	}
}

// restart breaks a connection off and makes it anew.
func (f *fetchConn) restart() {
	if f.state == connUp {
		f.t.gauges.up.Add(-1)
	}
	if f.state != connDown {
		unix.Close(f.fd)
		f.state = connDown
	}
	f.out, f.outAt = f.out[:0], 0
	f.flights.clear()
	for _, s := range f.sources {
		s.ask, s.outstanding, s.resync = s.expect, 0, false
	}
	f.t.ensure(&f.conn)
}

// ensure has a connection that is down made in the next turn.
func (t *thread) ensure(c *conn) {
	if c.state == connDown {
		t.wakeLater(c, 1)
	}
}

// remaining is what a preload has still to send.
func (p *produceConn) remaining() int {
	n := 0
	for _, l := range p.lanes {
		n += int(max(0, l.left))
	}
	return n + p.flights.len()
}

// sizeOf is a full batch's size and records, of a preload.
func sizeOf(f *full) (bytes, records int64) {
	return int64(wire.BatchHeaderSize + len(f.body)), int64(f.records)
}

// patience is how long connections may take before a run begins.
const patience = 10 * time.Second
