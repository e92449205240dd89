package broker

import (
	"sluice/engine/partition"
	"sluice/netpoll"
	"sluice/pagecache"
	"sluice/wire"
)

// fetchOp is the Fetch request in process on one connection (KIP-74, 227, 320, 392, 516). It is made
// at the connection's first Fetch and used again for each one after.
//
// A fetch looks at the dirty partitions of its session, in the session's order, with what is left of
// the response's limit. When what it found is worth an answer (minBytes, an error, or nothing to
// wait for) the answer goes out as a chain of headers and file regions. Otherwise what it found is
// given back, the partitions stay dirty, and the request waits for an append to one of them or for
// its timer.
type fetchOp struct {
	r       *request
	request wire.FetchRequest // its slices are lent: used up before the request waits
	private fetchSession
	session *fetchSession

	active   bool // a request is in process
	parked   bool // it waits
	timed    bool // the timer was started for it
	version  int16
	isolate  int8
	follower int32 // replica id of the fetcher, -1 for a consumer, -2 for a debugging one
	minBytes int64
	maxBytes int64
	deadline int64 // ns: when the wait is up

	planned []plannedPart
	bytes   int64 // of records planned
	left    int64 // of maxBytes, for the partitions not yet planned
	failed  bool  // a planned partition has an error: answer at once
	leaders bool  // a planned partition tells who leads it
	aborted []wire.AbortedTxn
	txns    []partition.AbortedTxn

	timer netpoll.Timer
	retry netpoll.Task

	parkPrev, parkNext *fetchOp // the reactor's list of waiting fetches
}

// plannedPart is what one partition contributes to the answer.
type plannedPart struct {
	part     *fetchPart
	answer   wire.FetchPartition
	file     *pagecache.Shared // retained until handed to the chain or given back
	position int64
	// news is false for a partition that an incremental answer leaves out.
	news bool
	// more says that there are records which found no room: the partition must be looked at again
	// although nothing about it changes.
	more bool
}

// looksMax bounds how often a request looks again at once because appends arrived during a look; then
// it lets the reactor's other connections go first.
const looksMax = 4

// fetchPartsMax bounds the partitions of one request and of one session: each costs some 350 bytes
// here for 30 in a frame.
const fetchPartsMax = 1 << 18

// fetchResponseBytesMax bounds a response whatever fetch.max.bytes says: a frame's length has 31 bits,
// and one batch may come on top.
const fetchResponseBytesMax = int64(1) << 30

func newFetchOp(r *request) *fetchOp {
	op := &fetchOp{r: r}
	op.private.full = true
	op.timer.Fire = op.timeUp
	op.retry.Run = op.woken
	return op
}

// handleFetch begins a Fetch request, on the reactor.
func handleFetch(r *request) {
	if r.fetch == nil {
		r.fetch = newFetchOp(r)
	}
	op := r.fetch
	if err := op.request.Decode(r.body, r.header.APIVersion); err != nil {
		r.b.refuse(r, r.header, err)
		return
	}
	q := &op.request
	if len(q.Parts) > fetchPartsMax {
		r.b.refuse(r, r.header, errTooLarge)
		return
	}
	op.active, op.version, op.isolate, op.follower = true, q.Version, q.Isolation, q.ReplicaID
	op.maxBytes = min(int64(q.MaxBytes), r.b.fetchBytesMax, fetchResponseBytesMax)
	op.minBytes = min(int64(q.MinBytes), op.maxBytes)
	op.deadline = r.conn.ArrivedNs() + int64(max(q.MaxWaitMs, 0))*1e6
	if q.Isolation != readUncommitted && q.Isolation != readCommitted {
		op.refuseIsolation()
		return
	}
	code := op.open()
	op.request.Reset()
	if code != wire.CodeNone {
		op.reply(code)
		return
	}
	op.session.committed.Store(op.isolate == readCommitted)
	op.look()
}

// open finds or makes the session that the request speaks of, and brings it up to date.
func (op *fetchOp) open() int16 {
	q, cache := &op.request, op.r.b.sessions
	byID := q.Version >= fetchByID
	switch {
	case q.SessionEpoch == sessionFinal || q.SessionEpoch == sessionInitial:
		if q.SessionID != 0 {
			if old := cache.remove(q.SessionID); old != nil {
				old.drop()
			}
		}
		if q.SessionEpoch == sessionFinal {
			op.openPrivate()
		} else {
			op.openNew(byID)
		}
		return wire.CodeNone
	}
	s, code := cache.acquire(q.SessionID, q.SessionEpoch, byID, op.r.conn.Loop().NowNs())
	if code != wire.CodeNone {
		op.session = nil
		return code
	}
	op.session = s
	s.op.Store(op)
	op.update(s)
	if s.size() > fetchPartsMax {
		cache.remove(s.id)
		op.leave()
		return wire.CodeFetchSessionIDNotFound
	}
	if s.size() == 0 {
		cache.remove(s.id)
		op.leave()
		op.openPrivate()
	}
	return wire.CodeNone
}

// The epochs with a meaning of their own, and the first version that names topics by id.
const (
	sessionInitial int32 = 0
	sessionFinal   int32 = -1
	fetchByID      int16 = 13
)

// refuseIsolation answers an isolation level that does not exist as Kafka does, whose parser fails:
// at the top, and up to v12 at each partition as well.
func (op *fetchOp) refuseIsolation() {
	op.openPrivate()
	op.planned, op.bytes, op.leaders = op.planned[:0], 0, false
	if op.version < fetchByID {
		for _, p := range op.private.parts {
			op.planned = append(op.planned, plannedPart{part: p, news: true})
			a := &op.planned[len(op.planned)-1].answer
			*a = failedPartition(p.key.index, wire.CodeUnknownServerError)
		}
	}
	op.request.Reset()
	op.reply(wire.CodeUnknownServerError)
}

// openPrivate fills the connection's own session, which nobody can continue.
func (op *fetchOp) openPrivate() {
	s := &op.private
	s.reset()
	s.byID = op.version >= fetchByID
	q := &op.request
	name, named := "", int32(-1)
	for i := range q.Parts {
		ask := &q.Parts[i]
		topic := &q.Topics[ask.Topic]
		if ask.Topic != named {
			name, named = op.r.b.topicName(s.byID, topic), ask.Topic
		}
		p := s.reuse()
		was := p.replica
		p.replica = op.r.b.resolve(s.byID, topic.Name, topic.ID, ask.Index)
		if p.replica != was {
			p.read.Cursor = partition.Cursor{} // It is of another log.
		}
		p.key = partKey{name: name, id: topic.ID, index: ask.Index}
		p.known = false
		p.toldHighWatermark, p.toldStart = -1, -1
		p.ask(ask)
	}
	op.session = s
	s.op.Store(op)
}

// openNew makes a session that the client can continue once the answer has told its id.
func (op *fetchOp) openNew(byID bool) {
	s := &fetchSession{full: true, byID: byID, index: map[partKey]int32{}, busy: true}
	op.session = s
	s.op.Store(op)
	op.update(s)
}

// update applies an incremental (or first) request to the session: new and changed partitions, then
// forgotten ones. What the request names is dirty.
func (op *fetchOp) update(s *fetchSession) {
	q := &op.request
	name, named := "", int32(-1)
	for i := range q.Parts {
		ask := &q.Parts[i]
		topic := &q.Topics[ask.Topic]
		p := s.find(topic.Name, topic.ID, ask.Index)
		if p == nil {
			if ask.Topic != named {
				name, named = op.r.b.topicName(s.byID, topic), ask.Topic
			}
			p = s.add(partKey{name: name, id: topic.ID, index: ask.Index})
			p.toldHighWatermark, p.toldStart = -1, -1
		}
		op.bind(p)
		p.ask(ask)
		s.redirty(p)
	}
	for i := range q.Forgotten {
		topic := &q.Forgotten[i]
		for _, index := range q.ForgottenParts[topic.From:topic.To] {
			if p := s.find(topic.Name, topic.ID, index); p != nil {
				s.forget(p)
			}
		}
	}
}

// bind makes sure that p points to the replica that its key means now, and is watched.
func (op *fetchOp) bind(p *fetchPart) {
	if p.replica != nil {
		if !p.replica.topic.deleted.Load() {
			return
		}
		p.replica.waiters.unwatch(p)
	}
	p.replica = op.r.b.resolveKey(p.session.byID, p.key)
	p.read.Cursor = partition.Cursor{}
	if p.replica != nil && p.session != &op.private {
		p.replica.waiters.watch(p)
	}
}

// topicName is the string under which all of a request's partitions of a topic are kept: the served
// topic's own, or one copy of what the client wrote. From v13 on there is none.
func (b *Broker) topicName(byID bool, topic *wire.FetchTopic) string {
	if byID {
		return ""
	}
	if t := b.topics.named(topic.Name); t != nil {
		return t.name
	}
	return string(topic.Name)
}

// ask takes over what the client wants of the partition.
func (p *fetchPart) ask(ask *wire.FetchPart) {
	p.read.Offset = ask.FetchOffset
	p.maxBytes = ask.MaxBytes
	p.currentLeaderEpoch = ask.CurrentLeaderEpoch
	p.lastFetchedEpoch = ask.LastFetchedEpoch
}

// look looks at what is dirty, and answers or waits.
func (op *fetchOp) look() {
	for range looksMax {
		seen := op.plan()
		nowNs := op.r.conn.Loop().NowNs()
		if op.failed || op.bytes >= op.minBytes || nowNs >= op.deadline ||
			op.session.size() == 0 || op.r.b.state.Load() == stateDraining {
			op.reply(wire.CodeNone)
			return
		}
		if op.session == &op.private && !op.session.watching {
			op.giveBack()
			op.watchPrivate()
			continue
		}
		missing := op.minBytes - op.bytes
		op.giveBack()
		if op.session.park(missing, op.r.wakeList(), seen) {
			op.wait()
			return
		}
	}
	op.wait()
	op.r.conn.Loop().Post(&op.retry)
}

// wait starts the timer. The stage clock stops: a long poll is no work.
func (op *fetchOp) wait() {
	op.parked = true
	op.r.b.fetchesWaiting.Add(1)
	loop := op.r.conn.Loop()
	op.r.loop().park(op)
	op.r.pause(loop.ReadNs())
	if !op.timed {
		op.timed = true
		loop.StartTimer(&op.timer, op.deadline)
	}
}

// watchPrivate registers a private session with its partitions for the length of the wait.
func (op *fetchOp) watchPrivate() {
	op.private.watching = true
	for _, p := range op.private.parts {
		if p.replica != nil {
			p.replica.waiters.watch(p)
		}
	}
}

// woken looks again, after an append or when it is this request's turn again.
func (op *fetchOp) woken() {
	if !op.active || !op.parked {
		return
	}
	op.resume()
	op.look()
}

// timeUp answers with whatever there is.
func (op *fetchOp) timeUp() {
	if !op.active || !op.parked {
		return
	}
	op.resume()
	op.session.unpark()
	op.plan()
	op.reply(wire.CodeNone)
}

func (op *fetchOp) resume() {
	op.parked = false
	op.r.b.fetchesWaiting.Add(-1)
	op.r.loop().unpark(op)
	op.r.resume(op.r.conn.Loop().ReadNs())
}

// giveBack releases what was planned and leaves those partitions dirty.
func (op *fetchOp) giveBack() {
	for i := range op.planned {
		pl := &op.planned[i]
		if pl.file != nil {
			pl.file.Release()
		}
		if (pl.news || pl.more) && !op.session.full {
			op.session.redirty(pl.part)
		}
		*pl = plannedPart{}
	}
	op.planned = op.planned[:0]
}

// abandon ends a waiting request whose connection is gone.
func (op *fetchOp) abandon() {
	if op.parked {
		op.resume()
	}
	op.session.unpark()
	op.finish()
	op.r.done()
}

// finish makes the op ready for the next request.
func (op *fetchOp) finish() {
	if op.timed {
		op.timed = false
		op.r.conn.Loop().StopTimer(&op.timer)
	}
	op.leave()
	op.active = false
}

// leave lets go of the session.
func (op *fetchOp) leave() {
	s := op.session
	op.session = nil
	if s == nil {
		return
	}
	s.op.CompareAndSwap(op, nil)
	if s == &op.private {
		s.reset()
		return
	}
	if op.r.b.sessions.release(s, op.r.conn.Loop().NowNs()) || s.id == 0 {
		s.drop()
	}
}
