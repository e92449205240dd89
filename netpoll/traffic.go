package netpoll

import "time"

// traffic is what the acceptors know of a reactor's load.
type traffic struct {
	connections int
	total       uint64 // bytes moved, when last looked at
	recent      uint64 // bytes moved lately: halved with every trafficHalfLifeNs
	sinceNs     int64  // up to when recent was halved
}

const (
	trafficHalfLifeNs = int64(time.Second)
	// trafficPerConn is what a new connection is taken to move until it shows, so that many that
	// come at once are spread.
	trafficPerConn = 64 << 10
)

// pick returns the reactor that moved the fewest bytes lately, counted in units of trafficPerConn,
// and of several the one with the fewest connections.
func (s *Server) pick() *Reactor {
	var best *Reactor
	for _, r := range s.reactors {
		r.traffic.update(r.clock(), r.stats.BytesIn.Load()+r.stats.BytesOut.Load())
		if best == nil || r.traffic.less(&best.traffic) {
			best = r
		}
	}
	best.traffic.connections++
	best.traffic.recent += trafficPerConn
	return best
}

func (t *traffic) update(nowNs int64, total uint64) {
	t.recent += total - t.total
	t.total = total
	halvings := (nowNs - t.sinceNs) / trafficHalfLifeNs
	t.recent >>= min(halvings, 63)
	t.sinceNs += halvings * trafficHalfLifeNs
}

func (t *traffic) less(than *traffic) bool {
	a, b := t.recent/trafficPerConn, than.recent/trafficPerConn
	return a < b || a == b && t.connections < than.connections
}
