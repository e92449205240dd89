package netpoll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Server is a set of listeners and reactors.
type Server struct {
	config    Config
	log       *slog.Logger
	reactors  []*Reactor
	listeners []*listener
	workers   *prefetchers
	budget    budget
	stats     ServerStats
	started   atomic.Bool
	stopOnce  sync.Once
	stopping  chan struct{} // closed when accepting ends
	ended     chan struct{} // closed when all goroutines have ended
	accepting sync.WaitGroup
	turning   sync.WaitGroup

	lineMu sync.Mutex // guards lines; innermost
	lines  [lineKinds]throttledLine

	mu          sync.Mutex // guards the following, and the reactors' traffic.share
	room        sync.Cond  // signalled when a connection closes, or accepting ends
	closing     bool
	nextID      uint64
	connections int
	perIP       map[netip.Addr]int
}

// ServerStats are counters of the accepting side. They may be read on any goroutine.
type ServerStats struct {
	Accepted     atomic.Uint64
	RefusedPerIP atomic.Uint64 // closed at once for the bound of their address
	Full         atomic.Uint64 // times that a listener stopped accepting at a bound
	Shed         atomic.Uint64 // closed at once for want of descriptors
}

// Listen binds the listeners and makes the reactors, but accepts nothing yet: connections that
// arrive wait in the kernel until Start. The error is a sentence that names the listener.
func Listen(config Config) (*Server, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	s := &Server{
		config: config, log: config.Logger,
		stopping: make(chan struct{}), ended: make(chan struct{}),
		perIP: map[netip.Addr]int{},
	}
	s.room.L = &s.mu
	s.budget.max = config.MemoryBytesMax
	s.budget.wake = s.wakeWaiting
	if err := s.open(); err != nil {
		s.closeUnstarted()
		return nil, err
	}
	return s, nil
}

// complete checks the configuration and puts defaults in.
func (c *Config) complete() error {
	if len(c.Listeners) == 0 {
		return errors.New("no listener is configured")
	}
	names := map[string]bool{}
	for _, l := range c.Listeners {
		if names[l.Name] {
			return fmt.Errorf("listener name %q is used twice", l.Name)
		}
		names[l.Name] = true
	}
	if c.RequestBytesMax < 0 || c.Reactors < 0 || c.PrefetchWorkers < 0 {
		return errors.New("a bound or count of the network layer is negative")
	}
	setDefault(&c.Reactors, runtime.NumCPU())
	setDefault(&c.RequestBytesMax, requestBytesMaxDefault)
	setDefault(&c.MemoryBytesMax, memoryBytesMaxDefault)
	setDefault(&c.IdleMax, idleMaxDefault)
	setDefault(&c.StallMin, stallMinDefault)
	setDefault(&c.PrefetchWorkers, prefetchWorkersDefault)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return nil
}

func setDefault[T comparable](field *T, value T) {
	if zero := *new(T); *field == zero {
		*field = value
	}
}

func (s *Server) open() error {
	for _, config := range s.config.Listeners {
		l, err := bind(s, config)
		if err != nil {
			return err
		}
		s.listeners = append(s.listeners, l)
	}
	zero := time.Now()
	clock := func() int64 { return int64(time.Since(zero)) }
	for i := range s.config.Reactors {
		r := newReactor(i, s, clock)
		p, err := newEpoll(r)
		if err != nil {
			return fmt.Errorf("event loop: %w", err)
		}
		r.poller = p
		s.reactors = append(s.reactors, r)
	}
	return nil
}

// Addr returns the bound address of the listener with this name, or nil.
func (s *Server) Addr(name string) net.Addr {
	for _, l := range s.listeners {
		if l.config.Name == name {
			return l.addr
		}
	}
	return nil
}

// Reactors returns the server's reactors. They take tasks and timers from Start on.
func (s *Server) Reactors() []*Reactor { return s.reactors }

// Stats returns the counters of the accepting side.
func (s *Server) Stats() *ServerStats { return &s.stats }

// MemoryBytes returns how many bytes of incomplete and kept frames the server holds.
func (s *Server) MemoryBytes() int64 { return s.budget.used.Load() }

// Start begins to accept and serve. It is called once.
func (s *Server) Start(handler Handler) {
	if s.started.Swap(true) {
		panic("BUG: server started twice")
	}
	s.workers = newPrefetchers(s.config.PrefetchWorkers)
	for _, r := range s.reactors {
		r.serveFor(handler, s.workers)
		s.turning.Go(r.run)
	}
	for _, l := range s.listeners {
		s.accepting.Go(l.run)
	}
	go func() {
		s.turning.Wait()
		s.workers.close()
		close(s.ended)
	}()
}

// serveFor tells the reactor whom it works for and with.
func (r *Reactor) serveFor(handler Handler, workers *prefetchers) {
	r.handler = handler
	r.sentHandler, _ = handler.(SentHandler)
	r.workers = workers
}

// Drain shuts the server down: it stops accepting, closes connections without a request in process,
// lets the others' requests finish and their responses leave, and closes what is left when ctx is
// done. When it returns, no goroutine, connection or listener is left. The error is ctx's if it cut
// something off.
func (s *Server) Drain(ctx context.Context) error {
	s.stopOnce.Do(s.stopAccepting)
	s.accepting.Wait()
	if !s.started.Load() {
		return nil
	}
	for _, r := range s.reactors {
		r.Post(&r.drainTask)
	}
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
	}
	for _, r := range s.reactors {
		r.Post(&r.forceTask)
	}
	<-s.ended
	return ctx.Err()
}

// Close shuts the server down at once.
func (s *Server) Close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.Drain(ctx)
}

func (s *Server) stopAccepting() {
	if !s.started.Load() {
		s.closeUnstarted()
		return
	}
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.room.Broadcast()
	close(s.stopping)
	for _, l := range s.listeners {
		l.close()
	}
}

func (s *Server) closeUnstarted() {
	for _, l := range s.listeners {
		l.close()
	}
	for _, r := range s.reactors {
		r.poller.close()
	}
	s.listeners, s.reactors = nil, nil
}

// wakeWaiting has every reactor look at its connections that wait for memory.
func (s *Server) wakeWaiting() {
	for _, r := range s.reactors {
		r.Post(&r.memTask)
	}
}
