package broker

import (
	"net/netip"
	"time"

	"sluice/netpoll"
)

// Conn is what a handler needs of a connection. netConn gives it over netpoll; tests have one
// without sockets. Methods are called on the connection's reactor unless they say otherwise.
type Conn interface {
	// Chain is the response under construction. It is taken on the reactor; once taken it may be
	// filled on another goroutine.
	Chain() *netpoll.Chain
	// Respond ends the request and sends Chain. It reads the clock, as Done does: Loop.NowNs then
	// tells when the request ended.
	Respond()
	// Done ends the request without a response.
	Done()
	// Close ends the connection after the responses before this request have left.
	Close(cause error)
	// Keep makes the frame outlive the Frame call, and returns where it then lies.
	Keep() []byte
	// Mute withholds the next request.
	Mute(d time.Duration)
	// ArrivedNs is when the frame in process had arrived whole, on NowNs's clock.
	ArrivedNs() int64
	// Listener is the name of the listener that accepted the connection. Any goroutine.
	Listener() string
	// Peer and Local are the connection's two addresses. Any goroutine.
	Peer() netip.AddrPort
	Local() netip.AddrPort
	// Loop is the owning reactor. Any goroutine.
	Loop() Loop
}

// Loop is what a handler needs of a reactor.
type Loop interface {
	// Post runs t on the reactor; any goroutine.
	Post(t *netpoll.Task)
	// NowNs is the last reading of the reactor's monotonic clock: where the request before this one,
	// or what the turn did before, ended.
	NowNs() int64
	// ReadNs reads the clock itself, for stage times within a turn. Any goroutine.
	ReadNs() int64
	// StartTimer fires t on the reactor at atNs or shortly after.
	StartTimer(t *netpoll.Timer, atNs int64)
	// StopTimer disarms t.
	StopTimer(t *netpoll.Timer)
	// Index numbers the reactors from 0. Any goroutine.
	Index() int
}
