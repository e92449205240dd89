package broker

import (
	"sync"

	"sluice/wire"
)

// sessionStaleNs is how long a session must have been idle before another may take its place
// whatever their sizes (KIP-227: two minutes).
const sessionStaleNs = int64(120e9)

// sessionPartsMax bounds the partitions of all sessions together, at some 350 bytes each. Beyond it
// clients get no session, and one that grows loses its own: both simply send full requests.
const sessionPartsMax = 1 << 20

// sessionCache holds the fetch sessions (max.incremental.fetch.session.cache.slots of them).
type sessionCache struct {
	slots  int
	random func() int32 // a positive number, drawn for new ids

	// mu guards the map and the sessions' epoch, busy and times. Nothing is locked under it.
	mu        sync.Mutex
	sessions  map[int32]*fetchSession
	evictions uint64
	parts     int
}

func newSessionCache(slots int, random func() int32) *sessionCache {
	return &sessionCache{slots: slots, random: random, sessions: map[int32]*fetchSession{}}
}

// acquire finds the session that an incremental request continues and reserves it for the request.
// The codes are those of KIP-227.
func (c *sessionCache) acquire(id, epoch int32, byID bool, nowNs int64) (*fetchSession, int16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sessions[id]
	switch {
	case s == nil:
		return nil, wire.CodeFetchSessionIDNotFound
	case s.epoch != epoch || s.busy:
		return nil, wire.CodeInvalidFetchSessionEpoch
	case s.byID != byID:
		return nil, wire.CodeFetchSessionTopicIDError
	}
	s.epoch = nextEpoch(epoch)
	s.busy = true
	s.lastUsed = nowNs
	return s, wire.CodeNone
}

// release ends a request's hold on its session. It reports true when the session was removed
// meanwhile and is now the caller's to drop.
func (c *sessionCache) release(s *fetchSession, nowNs int64) (drop bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.busy = false
	s.lastUsed = nowNs
	if !s.closed {
		grown := s.size() - s.counted
		c.parts += grown
		s.counted += grown
		if grown > 0 && c.parts > sessionPartsMax {
			c.removeLocked(s)
		}
	}
	return s.closed
}

// insert gives s an id if there is room, evicting a session that is worth less, which the caller is
// to drop. It returns 0 when every slot is better used: the client then simply has no session.
func (c *sessionCache) insert(s *fetchSession, nowNs int64) (id int32, evicted *fetchSession) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots <= 0 || c.parts+len(s.index) > sessionPartsMax {
		return 0, nil
	}
	if len(c.sessions) >= c.slots {
		evicted = c.victim(s, nowNs)
		if evicted == nil {
			return 0, nil
		}
		c.removeLocked(evicted)
		c.evictions++
	}
	for {
		id = c.random()
		if id > 0 && c.sessions[id] == nil {
			break
		}
	}
	s.id, s.epoch = id, 1
	s.created, s.lastUsed = nowNs, nowNs
	s.counted = len(s.index)
	c.sessions[id] = s
	c.parts += s.counted
	return id, evicted
}

// victim returns the session to evict for s: one that has been idle for long, else one that is
// smaller than s and has had its two minutes. Followers' sessions rank above all (KIP-227); there are
// none while a partition has one replica.
func (c *sessionCache) victim(s *fetchSession, nowNs int64) *fetchSession {
	var smallest *fetchSession
	for _, x := range c.sessions {
		if x.busy {
			continue
		}
		if nowNs-x.lastUsed > sessionStaleNs {
			return x
		}
		if smallest == nil || x.counted < smallest.counted {
			smallest = x
		}
	}
	if smallest != nil && smallest.counted < len(s.index) && nowNs-smallest.created > sessionStaleNs {
		return smallest
	}
	return nil
}

// remove takes a session out. It returns it for the caller to drop, or nil when there is none of
// that id or a request still waits on it: that request finishes, and drops it.
func (c *sessionCache) remove(id int32) *fetchSession {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sessions[id]
	if s == nil {
		return nil
	}
	c.removeLocked(s)
	if s.busy {
		return nil
	}
	return s
}

func (c *sessionCache) removeLocked(s *fetchSession) {
	delete(c.sessions, s.id)
	s.closed = true
	c.parts -= s.counted
}

// stats reports the number of sessions, their partitions, and evictions so far.
func (c *sessionCache) stats() (sessions, parts int, evictions uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sessions), c.parts, c.evictions
}
