package netpoll

import "sync/atomic"

// trafficWindowNs is the span over which a reactor's traffic is measured.
const trafficWindowNs = int64(50e6)

// traffic is how many bytes a reactor moves a second. The reactor measures it; acceptors, which
// deal new connections out by it, read it together with what they have just dealt out.
type traffic struct {
	// What the reactor touches: the window that is being measured.
	beganNs int64
	bytes   uint64
	// What it publishes: the last whole window's bytes a second, and when that ended.
	rate  atomic.Uint64
	atNs  atomic.Int64
	share share // guarded by Server.mu
}

// share is what acceptors know of a reactor besides its rate.
type share struct {
	connections int
	// fresh counts connections dealt out since freshNs, whose traffic no window shows yet.
	fresh   int
	freshNs int64
}

// count adds a turn's bytes, and publishes the window that they complete.
func (t *traffic) count(bytes uint64, nowNs int64) {
	t.bytes += bytes
	d := nowNs - t.beganNs
	if d < trafficWindowNs {
		return
	}
	t.rate.Store(uint64(float64(t.bytes) * 1e9 / float64(d)))
	t.atNs.Store(nowNs)
	t.beganNs, t.bytes = nowNs, 0
}

// recent returns the rate, or 0 where it is not recent: a reactor that moves anything publishes with
// every window.
func (t *traffic) recent(nowNs int64) uint64 {
	if nowNs-t.atNs.Load() > 3*trafficWindowNs {
		return 0
	}
	return t.rate.Load()
}

// pick returns the reactor that moves the fewest bytes a second, and of several the one with the
// fewest connections. A connection that was dealt out just now is taken to move what a connection
// moves on average, so that many that come at once are spread.
func (s *Server) pick() *Reactor {
	nowNs := s.reactors[0].clock()
	average := s.averageRate(nowNs)
	var best *Reactor
	var bestLoad uint64
	for _, r := range s.reactors {
		h := &r.traffic.share
		load := (r.traffic.recent(nowNs) + uint64(h.fresh)*average) / rateUnit
		if best == nil || load < bestLoad ||
			load == bestLoad && h.connections < best.traffic.share.connections {
			best, bestLoad = r, load
		}
	}
	h := &best.traffic.share
	h.connections++
	h.fresh++
	h.freshNs = nowNs
	return best
}

// rateUnit is the difference in bytes a second that matters when a reactor is picked.
const rateUnit = 1 << 20

// averageRate is what one connection moves that has had the time to. Server.mu is held.
func (s *Server) averageRate(nowNs int64) uint64 {
	rate, connections := uint64(0), 0
	for _, r := range s.reactors {
		h := &r.traffic.share
		if nowNs-h.freshNs > 3*trafficWindowNs {
			h.fresh = 0
		}
		rate += r.traffic.recent(nowNs)
		connections += h.connections - h.fresh
	}
	return rate / uint64(max(connections, 1))
}
