package broker

import (
	"math"
	"sync"
	"sync/atomic"

	"sluice/engine/partition"
)

// partKey names a partition as the client does: by topic name up to Fetch v12, by id from v13 on.
type partKey struct {
	name  string
	id    [16]byte
	index int32
}

// fetchPart is one partition of a fetch session. The request in process on its session owns it,
// except for the fields that say otherwise.
type fetchPart struct {
	session *fetchSession
	key     partKey
	at      int32 // index in the session's parts
	// replica is what the key was found to mean, nil when it meant nothing.
	replica *replica

	// known says that the key has meant something before.
	known bool

	// What the client asked for.
	currentLeaderEpoch int32
	lastFetchedEpoch   int32
	maxBytes           int32
	read               partition.ReadRequest // Offset is the fetch offset

	// What the client was last told, to leave out what has not changed; -1 before the first time.
	toldHighWatermark int64
	toldStart         int64

	// queued is guarded by the session's mu: the part stands in session.dirty.
	queued bool
	// watched and the links are guarded by the replica's waiters.mu.
	watched              bool
	watchPrev, watchNext *fetchPart
}

// fetchSession remembers, between requests, which partitions a client reads and which of them may
// have something new (KIP-227). A request without a session uses a private one that lives as long
// as its connection and is filled anew each time.
//
// A partition is dirty when the last look at it is no longer good: the client asked for something
// else, it was not looked at for want of room, it gave records (and so probably has more), or its
// log moved. Only dirty partitions are looked at, so an incremental request that finds nothing new
// costs what is dirty, not what is watched.
type fetchSession struct {
	id    int32
	epoch int32 // what the next request must carry; guarded by cache.mu
	// full is true for a session that lives for one request: every partition is answered.
	full bool
	// watching says that a private session has its partitions watched, as it does only in a wait.
	watching bool
	// byID says whether the session's requests name topics by id (Fetch v13 and later).
	byID bool

	// parts has holes (nil) listed in free; index finds a part by its key.
	parts []*fetchPart
	free  []int32
	index map[partKey]int32

	// work is the dirty list that the request in process took; only it touches this.
	work []int32

	// op is the request in process, published for woken; committed says whether it, or the last one,
	// reads committed records only.
	op        atomic.Pointer[fetchOp]
	committed atomic.Bool

	// mu guards what follows. It is taken under a partition's waiters.mu.
	mu      sync.Mutex
	dirty   []int32
	marks   uint64    // counts calls of mark, so that park can tell whether one came since a look
	waiting bool      // a request waits for missing more bytes
	missing int64     // bytes that must become readable before it is worth another look
	wake    *wakeList // of the reactor that the waiting request belongs to

	// Guarded by the cache's mu.
	busy     bool  // a request is in process
	closed   bool  // out of the cache: to be dropped when it is no longer busy
	counted  int   // partitions that the cache has counted
	lastUsed int64 // ns
	created  int64
}

// mark notes that p may have something new, bytes more at least, and lets a waiting request look
// again once there is enough. It is called under the partition's waiters.mu.
func (s *fetchSession) mark(p *fetchPart, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enqueue(p)
	s.marks++
	if !s.waiting {
		return
	}
	s.missing -= bytes
	if s.missing <= 0 {
		s.waiting = false
		s.wake.add(s)
	}
}

// enqueue adds p to the dirty list once; mu is held.
func (s *fetchSession) enqueue(p *fetchPart) {
	if !p.queued {
		p.queued = true
		s.dirty = append(s.dirty, p.at)
	}
}

// redirty puts p back for the next look.
func (s *fetchSession) redirty(p *fetchPart) {
	s.mu.Lock()
	s.enqueue(p)
	s.mu.Unlock()
}

// take empties the dirty list into work and returns it with the count of marks so far.
func (s *fetchSession) take() (work []int32, seen uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty, s.work = s.work[:0], s.dirty
	for _, at := range s.work {
		if p := s.parts[at]; p != nil {
			p.queued = false
		} else {
			s.free = append(s.free, at)
		}
	}
	return s.work, s.marks
}

// seen returns the count of marks so far, for a look at every partition.
func (s *fetchSession) seen() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marks
}

// park makes the request in process wait for missing more bytes. It reports false, and does not
// wait, when a partition has been marked since the look that seen belongs to.
func (s *fetchSession) park(missing int64, wake *wakeList, seen uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.marks != seen {
		return false
	}
	s.waiting, s.missing, s.wake = true, missing, wake
	return true
}

// unpark ends the wait without a look: the request's time is up or its connection is gone.
func (s *fetchSession) unpark() {
	s.mu.Lock()
	s.waiting = false
	s.mu.Unlock()
}

// woken lets the waiting request try again. It runs on the reactor that the request belonged to
// when it began to wait. A request on another reactor has taken the session over since, and has
// looked for itself.
func (s *fetchSession) woken(loop Loop) {
	if op := s.op.Load(); op != nil && op.r.conn.Loop() == loop {
		op.woken()
	}
}

// find returns the partition of that key, or nil.
func (s *fetchSession) find(name []byte, id [16]byte, index int32) *fetchPart {
	at, ok := s.index[partKey{name: string(name), id: id, index: index}]
	if !ok {
		return nil
	}
	return s.parts[at]
}

// add makes a new part at the end of the session.
func (s *fetchSession) add(key partKey) *fetchPart {
	p := &fetchPart{session: s, key: key}
	if n := len(s.free); n > 0 {
		p.at = s.free[n-1]
		s.free = s.free[:n-1]
		s.parts[p.at] = p
	} else {
		p.at = int32(len(s.parts))
		s.parts = append(s.parts, p)
	}
	s.index[p.key] = p.at
	return p
}

// forget removes a part. A slot that the dirty list still names is free only once take has passed
// over it, so that no list ever names a slot twice.
func (s *fetchSession) forget(p *fetchPart) {
	if p.replica != nil {
		p.replica.waiters.unwatch(p)
	}
	delete(s.index, p.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts[p.at] = nil
	if !p.queued {
		s.free = append(s.free, p.at)
	}
}

// size is the number of partitions.
func (s *fetchSession) size() int {
	if s.full {
		return len(s.parts)
	}
	return len(s.index)
}

// drop unwatches everything: the session is over.
func (s *fetchSession) drop() {
	for _, p := range s.parts {
		if p != nil && p.replica != nil {
			p.replica.waiters.unwatch(p)
		}
	}
}

// reset empties a private session for its next request, keeping its parts' memory.
func (s *fetchSession) reset() {
	if s.watching {
		s.drop()
		s.watching = false
	}
	s.mu.Lock()
	s.dirty = s.dirty[:0]
	s.waiting = false
	s.mu.Unlock()
	for _, p := range s.parts {
		p.queued = false
	}
	s.parts = s.parts[:0]
	if cap(s.parts) > privatePartsKeepMax {
		s.parts = nil
	}
}

// privatePartsKeepMax is the most partitions that a connection keeps memory for between requests
// without a session, about 350 bytes each.
const privatePartsKeepMax = 1024

// reuse returns the next part of a private session. Its key is not set: nobody looks it up.
func (s *fetchSession) reuse() *fetchPart {
	n := len(s.parts)
	var p *fetchPart
	if n < cap(s.parts) {
		s.parts = s.parts[:n+1]
		p = s.parts[n]
	} else {
		s.parts = append(s.parts, nil)
	}
	if p == nil {
		p = &fetchPart{session: s, at: int32(n)}
		s.parts[n] = p
	}
	return p
}

// nextEpoch is the session epoch after e: 0 opens a session, so it is left out (KIP-227).
func nextEpoch(e int32) int32 {
	if e == math.MaxInt32 {
		return 1
	}
	return e + 1
}
