package netpoll

// poller brings a reactor's connections their bytes and takes their output. Its methods are called
// by its reactor only, except wake.
//
// The calls have the shape of completions. For each connection that the reactor has told to
// receive, the poller asks Reactor.space where bytes may go, and reports them with Reactor.filled
// or Reactor.received. For each that it was told to send, it takes what the output offers
// (output.pieces and, when Reactor.warm allows it, output.nextRegion), reports what left with
// Reactor.sentBytes and Reactor.sentRegion, and calls Reactor.sent once the output is empty. A
// connection that fails is reported with Reactor.lose, one whose peer ended it with Reactor.ended.
// None of these happen outside serve. A poller hands a paused connection no bytes.
type poller interface {
	// attach takes a connection over; it is paused.
	attach(c *Conn) error
	// resume and pause start and stop receiving.
	resume(c *Conn)
	pause(c *Conn)
	// send tells that output was queued, or became warm.
	send(c *Conn)
	// detach ends the connection's socket and forgets it.
	detach(c *Conn)
	// wait sleeps until there is something to serve, wake is called, or the time has passed; a
	// negative time is for ever. It calls Reactor.sleeps before it blocks.
	wait(timeoutNs int64)
	// serve does one turn's worth of work for each connection that has any.
	serve()
	// wake ends wait, now or the next time that it blocks. It is called on any goroutine.
	wake()
	// close frees the poller's own resources.
	close()
}
