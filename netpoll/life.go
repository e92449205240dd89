package netpoll

import (
	"errors"
	"fmt"
	"io"
	"time"
	"unsafe"
)

// A connection's life, apart from the bytes. It is open until it is doomed, by a failure or by
// endAfterOutput once its output is empty; the turn buries it before it ends.

// adopt takes a new connection over.
func (r *Reactor) adopt(c *Conn) {
	c.mute.Fire = c.unmute
	c.idle.Fire = c.checkIdle
	c.output.job.conn = c
	c.output.warmed.Run = func() { r.warmDone(c) }
	c.movedNs = r.nowNs
	if c.input.frameBytesMax == 0 {
		c.input.frameBytesMax = r.config.RequestBytesMax
	}
	if r.first != nil {
		r.first.prev = c
	}
	c.next, r.first = r.first, c
	r.connections++
	r.tally.opened++
	if err := r.poller.attach(c); err != nil {
		r.lose(c, err)
	}
	r.handler.Open(c)
	if r.config.IdleMax > 0 {
		r.Start(&c.idle, r.config.IdleMax)
	}
	if r.draining {
		c.endAfterOutput(ErrDrained)
	}
	r.touch(c)
}

// ready reports whether the connection's next request may be handed out.
func (r *Reactor) ready(c *Conn) bool {
	return !c.inProcess && !c.muted && !c.ending() && !c.output.full()
}

// ending reports whether no more requests of the connection count.
func (c *Conn) ending() bool { return c.closed || c.doomed || c.cause != nil }

// settle brings the poller in line with what the connection may do now.
func (r *Reactor) settle(c *Conn) {
	if c.closed || c.doomed {
		return
	}
	if c.cause != nil && c.output.empty() && !c.inProcess {
		r.lose(c, c.cause)
		return
	}
	receive := r.ready(c) && !c.input.waiting && !c.input.hasFrame()
	if receive == c.input.receiving {
		return
	}
	c.input.receiving = receive
	if receive {
		r.poller.resume(c)
	} else {
		r.poller.pause(c)
	}
}

// respond implements Conn.Respond.
func (c *Conn) respond() {
	r := c.reactor
	chain := c.Chain()
	c.chain = nil
	r.tick()
	if c.closed {
		r.giveChain(chain)
		c.endRequest()
		return
	}
	chain.seal()
	chain.arrivedNs, chain.queuedNs = c.input.arrivedNs, r.nowNs
	c.endRequest()
	c.output.push(chain)
	r.poller.send(c)
}

// done implements Conn.Done.
func (c *Conn) done() {
	if !c.inProcess {
		panic("BUG: request ended that is not in process")
	}
	if c.chain != nil {
		c.reactor.giveChain(c.chain)
		c.chain = nil
	}
	c.reactor.tick()
	c.endRequest()
}

// endRequest ends the request in process, whose chain is gone.
func (c *Conn) endRequest() {
	r := c.reactor
	r.endLoan(c)
	c.inProcess = false
	if c.closed {
		r.orphans--
		return
	}
	c.movedNs = r.nowNs
	if r.draining {
		c.endAfterOutput(ErrDrained)
	}
	r.touch(c)
}

// closeAfterOutput implements Conn.Close.
func (c *Conn) closeAfterOutput(cause error) {
	if c.inProcess {
		c.done()
	}
	c.endAfterOutput(cause)
}

// endAfterOutput lets the queued responses leave and then closes the connection.
func (c *Conn) endAfterOutput(cause error) {
	if c.cause == nil {
		c.cause = cause
	}
	c.reactor.touch(c)
}

// ended tells that the peer will send no more. Requests before that were handed out, since one that
// waits keeps its connection paused; their responses may still leave.
func (r *Reactor) ended(c *Conn) {
	cause := ErrPeerClosed
	if c.input.stash != nil {
		cause = fmt.Errorf("%w inside a frame: %w", ErrPeerClosed, io.ErrUnexpectedEOF)
	}
	c.endAfterOutput(cause)
	r.settle(c)
}

// refuse ends a connection that does not speak the protocol.
func (r *Reactor) refuse(c *Conn, err error) {
	if errors.Is(err, ErrFrameSize) {
		r.server.logRefusal(c, err)
	}
	c.endAfterOutput(err)
}

// lose dooms a connection: it is closed before the turn ends, whatever its output.
func (r *Reactor) lose(c *Conn, cause error) {
	if c.closed || c.doomed {
		return
	}
	c.doomed = true
	c.cause = cause
	r.doomed = append(r.doomed, c)
}

// bury closes a doomed connection. What a request in process or a worker still uses stays.
func (r *Reactor) bury(c *Conn) {
	c.closed = true
	r.poller.detach(c)
	r.Stop(&c.mute)
	r.Stop(&c.idle)
	r.unlink(c)
	r.stopWaiting(c)
	r.dropStash(c)
	if c.inProcess {
		r.orphans++
	}
	if c.output.warming {
		r.orphans++
	} else {
		r.dropOutput(c)
	}
	r.tally.closed++
	r.handler.Closed(c, c.cause)
	r.server.released(c)
}

func (r *Reactor) unlink(c *Conn) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		r.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
	r.connections--
}

// muteFor implements Conn.Mute.
func (c *Conn) muteFor(d time.Duration) {
	if c.ending() || d <= 0 {
		return
	}
	r := c.reactor
	untilNs := r.nowNs + int64(d)
	if c.muted && untilNs <= c.muteNs {
		return
	}
	c.muted, c.muteNs = true, untilNs
	r.wheel.start(&c.mute, untilNs)
	r.touch(c)
}

func (c *Conn) unmute() {
	c.muted = false
	c.movedNs = c.reactor.nowNs
	c.reactor.touch(c)
}

// checkIdle closes the connection if nothing moved for the whole time, and otherwise looks again
// when that could be so. It is started once per connection and span, not with every request.
func (c *Conn) checkIdle() {
	r := c.reactor
	idle := time.Duration(r.nowNs - c.movedNs)
	switch {
	case c.inProcess || c.muted || c.output.warming || c.input.waiting:
		r.Start(&c.idle, r.config.IdleMax)
	case idle >= r.config.IdleMax:
		r.lose(c, ErrIdle)
	default:
		r.Start(&c.idle, r.config.IdleMax-idle)
	}
}

// within reports whether the slice a lies in b.
func within(a, b []byte) bool {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	at := uintptr(unsafe.Pointer(unsafe.SliceData(a)))
	return at >= start && at < start+uintptr(len(b))
}
