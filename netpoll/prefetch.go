package netpoll

import "sync"

// prefetchJob asks for the regions of a connection's first chain to be read.
type prefetchJob struct {
	conn      *Conn
	warmBytes int64 // written by the worker: what it read
	next      *prefetchJob
}

// prefetchers are the goroutines on which cold regions are read. A connection has at most one job
// here, so the queue needs no bound of its own.
type prefetchers struct {
	done sync.WaitGroup

	mu          sync.Mutex // guards the following
	arrived     sync.Cond
	first, last *prefetchJob
	closed      bool
}

func newPrefetchers(workers int) *prefetchers {
	p := new(prefetchers)
	p.arrived.L = &p.mu
	for range workers {
		p.done.Go(p.work)
	}
	return p
}

func (p *prefetchers) submit(j *prefetchJob) {
	p.mu.Lock()
	j.next = nil
	if p.last != nil {
		p.last.next = j
	} else {
		p.first = j
	}
	p.last = j
	p.mu.Unlock()
	p.arrived.Signal()
}

func (p *prefetchers) work() {
	for j := p.take(); j != nil; j = p.take() {
		j.run()
	}
}

// run reads the regions that come next and tells the reactor, which leaves the chain alone
// meanwhile.
func (j *prefetchJob) run() {
	o := &j.conn.output
	j.warmBytes, o.warmErr = o.first.prefetch()
	j.conn.reactor.Post(&o.warmed)
}

// take waits for a job and returns nil once there are none left and no more will come.
func (p *prefetchers) take() *prefetchJob {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.first == nil && !p.closed {
		p.arrived.Wait()
	}
	j := p.first
	if j != nil {
		if p.first = j.next; p.first == nil {
			p.last = nil
		}
	}
	return j
}

// close waits until all jobs are done and ends the workers.
func (p *prefetchers) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.arrived.Broadcast()
	p.done.Wait()
}
