package broker

import (
	"time"

	"sluice/netpoll"
)

// netConn is a Conn over a real connection.
type netConn struct {
	*netpoll.Conn
	loop *netLoop
}

// Loop implements Conn.
func (c *netConn) Loop() Loop { return c.loop }

// netLoop is a Loop over a real reactor.
type netLoop struct{ reactor *netpoll.Reactor }

// Post implements Loop. A task that is queued already stays queued once.
func (l *netLoop) Post(t *netpoll.Task) { l.reactor.Post(t) }

// NowNs implements Loop.
func (l *netLoop) NowNs() int64 { return l.reactor.Now() }

// ReadNs implements Loop.
func (l *netLoop) ReadNs() int64 { return l.reactor.ReadNow() }

// StartTimer implements Loop.
func (l *netLoop) StartTimer(t *netpoll.Timer, atNs int64) {
	l.reactor.Start(t, time.Duration(atNs-l.reactor.Now()))
}

// StopTimer implements Loop.
func (l *netLoop) StopTimer(t *netpoll.Timer) { l.reactor.Stop(t) }

// Index implements Loop.
func (l *netLoop) Index() int { return l.reactor.Index() }

// handler is the broker as netpoll sees it.
type handler struct {
	b     *Broker
	loops []*netLoop
}

// Open implements netpoll.Handler.
func (h *handler) Open(c *netpoll.Conn) {
	c.User = h.b.newRequest(&netConn{Conn: c, loop: h.loops[c.Reactor().Index()]})
}

// Frame implements netpoll.Handler.
func (h *handler) Frame(c *netpoll.Conn, frame []byte) {
	h.b.dispatch(c.User.(*request), frame)
}

// Closed implements netpoll.Handler.
func (h *handler) Closed(c *netpoll.Conn, _ error) {
	h.b.closed(c.User.(*request))
}

// Sent implements netpoll.SentHandler.
func (h *handler) Sent(_ *netpoll.Conn, sent netpoll.Sent) { h.b.metrics.sent(sent) }
