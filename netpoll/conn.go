package netpoll

import (
	"net/netip"
	"time"
)

// Conn is one connection. Except where a method says otherwise, it is used on its reactor's
// goroutine only: inside a Handler's call, a Task or a Timer of that reactor.
type Conn struct {
	// User is the broker's own state for this connection, set in Handler.Open.
	User any

	id       uint64
	reactor  *Reactor
	listener *listener
	peer     netip.AddrPort
	local    netip.AddrPort
	link     link // the poller's part

	input  input
	output output

	// chain is the response of the request in process, taken on first use.
	chain *Chain
	// inProcess is true from before Handler.Frame until the request's end.
	inProcess bool
	// advancing is true while the reactor hands out frames, so that calls from inside do not
	// recurse.
	advancing bool
	muted     bool
	touched   bool // in the reactor's list of that name
	doomed    bool // in the reactor's list of that name, or closed
	closed    bool
	// cause is set once the connection is to be closed as soon as its output has left.
	cause error

	mute    Timer
	muteNs  int64 // until when, while muted
	idle    Timer
	movedNs int64 // the last time that bytes moved or a request ended

	handOver   Task  // carries the connection to its reactor
	prev, next *Conn // the reactor's list of connections
}

// ID returns the connection's number, unique in its server.
func (c *Conn) ID() uint64 { return c.id }

// Reactor returns the reactor that owns the connection. It may be called on any goroutine.
func (c *Conn) Reactor() *Reactor { return c.reactor }

// Listener returns the name of the listener that accepted the connection. Any goroutine.
func (c *Conn) Listener() string { return c.listener.config.Name }

// Peer returns the remote address. It may be called on any goroutine.
func (c *Conn) Peer() netip.AddrPort { return c.peer }

// Local returns the address at which the connection was accepted. Any goroutine.
func (c *Conn) Local() netip.AddrPort { return c.local }

// Closed reports whether the connection is gone.
func (c *Conn) Closed() bool { return c.closed }

// ArrivedNs returns when the frame in process had arrived whole, as a reading of Reactor.Now.
func (c *Conn) ArrivedNs() int64 { return c.input.arrivedNs }

// SetFrameMax bounds the following frames of this connection, in bytes, e.g. to 512 KiB until it
// has authenticated. It cannot exceed Config.RequestBytesMax.
func (c *Conn) SetFrameMax(frameBytesMax int32) {
	c.input.frameBytesMax = min(frameBytesMax, c.reactor.config.RequestBytesMax)
}

// Chain returns the empty chain for the response of the request in process, always the same until
// the request ends. The chain may then be filled on another goroutine.
func (c *Conn) Chain() *Chain {
	if !c.inProcess {
		panic("BUG: chain asked for without a request in process")
	}
	if c.chain == nil {
		c.chain = c.reactor.takeChain()
	}
	return c.chain
}

// Keep extends the loan of the frame in process until its request ends, and returns where it then
// lies; the slice that was given to Handler.Frame must not be used any more. It costs a copy
// if the frame lies in the receive buffer. It must be called before Handler.Frame returns.
// The bytes may be read and written on another goroutine meanwhile.
func (c *Conn) Keep() []byte { return c.keep() }

// Respond ends the request in process: what Chain holds is sent as one frame behind the responses
// before it, and the next request may come. The frame's loan ends. On a connection that is gone it
// releases the chain. It reads the clock, so that Reactor.Now tells when the request ended.
func (c *Conn) Respond() { c.respond() }

// Done ends the request in process without a response. The frame's loan ends. It reads the clock as
// Respond does.
func (c *Conn) Done() { c.done() }

// Mute withholds the connection's next request for d, beginning now (throttling as KIP-219 has it:
// the response is sent at once and says how long the connection is mute). The later end counts if
// it is already mute.
func (c *Conn) Mute(d time.Duration) { c.muteFor(d) }

// Close ends the connection once the responses before this request have left; a request in process
// is ended without a response. Handler.Closed is called with cause, not before the call from which
// Close was called has returned.
func (c *Conn) Close(cause error) { c.closeAfterOutput(cause) }
