package netpoll

import (
	"context"
	"net"
	"time"
)

type (
	link    struct{}
	scratch struct{}
	input   struct {
		frameBytesMax int32
		arrivedNs     int64
	}
	output   struct{}
	listener struct{ name string }
)

// Reactor is one event loop. See the package comment.
type Reactor struct {
	config Config
	stats  Stats
}

// Now returns the reactor's clock in nanoseconds: monotonic, from an arbitrary zero common to
// all reactors of a server, read once per turn and after each connection's work.
func (r *Reactor) Now() int64 { return 0 }

// Index returns the reactor's number in its server, from 0. Any goroutine.
func (r *Reactor) Index() int { return 0 }

// Stats returns the reactor's counters. Any goroutine.
func (r *Reactor) Stats() *Stats { return &r.stats }

// Post queues t to run on the reactor and wakes it if it sleeps. It may be called on any
// goroutine and allocates nothing. It returns false, and does nothing, if t is queued already or
// the reactor has ended.
func (r *Reactor) Post(t *Task) bool { return false }

// Start arms t to fire once d has passed, or arms it anew. It fires never early, and up to a
// millisecond and a turn late. Only on the reactor's goroutine.
func (r *Reactor) Start(t *Timer, d time.Duration) {}

// Stop disarms t and reports whether it was armed. Only on the reactor's goroutine.
func (r *Reactor) Stop(t *Timer) bool { return false }

// Blame names what the reactor is about to do, in case it turns out to be a stall. It holds until
// the Handler's call, Task or Timer in which it is called has returned.
func (r *Reactor) Blame(cause Cause) {}

func (r *Reactor) takeChain() *Chain { return NewChain() }

// Server is a set of listeners and reactors.
type Server struct{}

// Listen binds the listeners and makes the reactors, but accepts nothing yet: connections that
// arrive wait in the kernel until Start.
func Listen(config Config) (*Server, error) { return &Server{}, nil }

// Addr returns the bound address of the listener with this name, or nil.
func (s *Server) Addr(name string) net.Addr { return nil }

// Reactors returns the server's reactors. They take tasks and timers from Start on.
func (s *Server) Reactors() []*Reactor { return nil }

// Start begins to accept and serve. It is called once.
func (s *Server) Start(handler Handler) {}

// Drain shuts the server down: it stops accepting, closes connections without a request in process,
// lets the others' requests finish and their responses leave, and closes what is left when ctx is
// done. When it returns, no goroutine, connection or listener is left. The error is ctx's if it cut
// something off.
func (s *Server) Drain(ctx context.Context) error { return nil }

// Close shuts the server down at once.
func (s *Server) Close() {}

// SetPoison makes released frames be overwritten, in all servers of the process. Tests set it before
// they start a server; the build tag poison sets it from the start.
func SetPoison(on bool) {}

func (c *Conn) keep() []byte                 { return nil }
func (c *Conn) respond()                     {}
func (c *Conn) done()                        {}
func (c *Conn) muteFor(d time.Duration)      {}
func (c *Conn) closeAfterOutput(cause error) {}

func preadNoWait(fd int, p []byte, position int64) int { return -1 }
