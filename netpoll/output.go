package netpoll

// Sending.
const (
	// piecesMax is how many pieces of bytes one system call gathers.
	piecesMax = 64
	// warmBytesMax is how far ahead of the socket regions are probed and prefetched, in bytes: it
	// bounds what one reader of cold data brings into memory before it takes it.
	warmBytesMax = 8 << 20
	// warmNsMax is how long a probe is believed.
	warmNsMax = 100e6
	// warmStep is how far behind a byte in memory the others are taken to be there, too: readahead
	// and large folios bring them in together, and it is the distance of Source's own probes.
	warmStep = 64 << 10
)

// output is a connection's sending side: the queue of responses that have not left.
type output struct {
	first, last *Chain
	chains      int
	regions     int   // chains with regions
	bytes       int64 // of chains' buffers, unsent
	// warming is true while a worker reads regions of the first chain; nothing leaves meanwhile and
	// the chain is not touched.
	warming bool
	warmErr error // written by the worker before it posts warmed
	warmed  Task
	job     prefetchJob
	// seen is where the last probe that found all in memory ended.
	seen probed
}

// probed is a place in a file up to which bytes were in memory at a time. A reader that goes through
// a log asks for the bytes behind those that it has just been sent, so their neighbours need not be
// probed again.
type probed struct {
	source Source
	end    int64
	ns     int64
}

// skip returns how many of the n bytes at position need no probe of their own.
func (p *probed) skip(source Source, position, n, nowNs int64) int64 {
	if p.source != source || p.end != position || nowNs-p.ns >= warmNsMax {
		return 0
	}
	return min(n, warmStep) - 1
}

func (o *output) empty() bool { return o.first == nil }

// full reports whether the next request must wait for output to leave.
func (o *output) full() bool {
	return o.regions > 0 || o.bytes >= ConnQueueBytesMax || o.chains >= connQueueChainsMax
}

func (o *output) push(c *Chain) {
	if o.last != nil {
		o.last.next = c
	} else {
		o.first = c
	}
	o.last = c
	o.chains++
	o.bytes += int64(len(c.Buf))
	if len(c.regions) > 0 {
		o.regions++
	}
}

// pieces appends to dst the bytes that come next, at most n of them: of the first chain up to its
// next region, and of the chains behind it as long as they have no region. more tells that a region
// follows.
func (o *output) pieces(dst [][]byte, n int) (pieces [][]byte, more bool) {
	for c := o.first; c != nil && n > 0 && len(dst) < piecesMax; c = c.next {
		if c != o.first && len(c.regions) > 0 {
			break
		}
		end := c.bufEnd()
		p := c.Buf[c.bufSent:end]
		more = c.region < len(c.regions)
		if len(p) > n {
			p, more = p[:n], false
		}
		if n -= len(p); len(p) > 0 {
			dst = append(dst, p)
		}
		if c.region < len(c.regions) {
			break
		}
	}
	return dst, more
}

// bufEnd returns the index in Buf at which the next region, or the end, comes.
func (c *Chain) bufEnd() int {
	if c.region < len(c.regions) {
		return c.regions[c.region].at
	}
	return len(c.Buf)
}

// nextRegion returns the region that comes next, from where it goes on, if one does before any
// bytes.
func (o *output) nextRegion() (source Source, position, n int64, ok bool) {
	c := o.first
	if c == nil || c.region == len(c.regions) || c.bufSent < c.regions[c.region].at {
		return nil, 0, 0, false
	}
	rg := &c.regions[c.region]
	return rg.source, rg.position + c.regionSent, rg.n - c.regionSent, true
}

// sentBytes tells that n bytes of what pieces returned have left. It panics when n is more than
// that.
func (r *Reactor) sentBytes(c *Conn, n int) {
	r.tally.bytesOut += uint64(n)
	c.movedNs = r.nowNs
	o := &c.output
	o.bytes -= int64(n)
	for n > 0 {
		if o.first == nil {
			panic("BUG: more bytes sent than queued")
		}
		k := min(n, o.first.bufEnd()-o.first.bufSent)
		if k == 0 && o.first.region < len(o.first.regions) {
			panic("BUG: bytes sent ahead of a region")
		}
		o.first.bufSent += k
		n -= k
		r.popSent(c)
	}
}

// sentRegion tells that n bytes of the next region have left.
func (r *Reactor) sentRegion(c *Conn, n int64) {
	r.tally.bytesOut += uint64(n)
	c.movedNs = r.nowNs
	chain := c.output.first
	rg := &chain.regions[chain.region]
	chain.regionSent += n
	chain.warmBytes -= n
	if chain.regionSent < rg.n {
		return
	}
	rg.source.Release()
	rg.source = nil
	chain.region++
	chain.regionSent = 0
	r.popSent(c)
}

// popSent retires the first chain if it has left whole.
func (r *Reactor) popSent(c *Conn) {
	o := &c.output
	chain := o.first
	if chain.region < len(chain.regions) || chain.bufSent < len(chain.Buf) {
		return
	}
	if o.first = chain.next; o.first == nil {
		o.last = nil
	}
	o.chains--
	if len(chain.regions) > 0 {
		o.regions--
	}
	r.tally.framesOut++
	r.tally.copiedBytes += uint64(chain.copiedBytes)
	if r.sentHandler != nil {
		r.sentHandler.Sent(c, Sent{
			Note: chain.Note, Bytes: FrameHeadBytes + chain.Len(),
			ArrivedNs: chain.arrivedNs, QueuedNs: chain.queuedNs, SentNs: r.tick(),
		})
	}
	r.giveChain(chain)
}

// sent tells that the whole output has left: requests that waited for that may come.
func (r *Reactor) sent(c *Conn) {
	r.handOut(c)
	r.settle(c)
}

// warm reports whether what comes next may be sent now. If it lies in regions that are not resident
// it says no and has a worker read them; the poller is told with send once that is done.
// The probe is repeated where the last one is too old, so that a reader that is slower than the
// page cache's turnover does not make the reactor wait for a disk.
func (r *Reactor) warm(c *Conn) bool {
	o := &c.output
	chain := o.first
	switch {
	case o.warming:
		return false
	case chain.region == len(chain.regions):
		return true
	case chain.warmBytes > 0 && r.nowNs-chain.warmNs < warmNsMax:
		return true
	}
	n, resident := chain.probe(&o.seen, r.nowNs)
	if resident {
		chain.warmBytes, chain.warmNs = n, r.nowNs
		return true
	}
	r.tally.coldRegions++
	o.warming = true
	o.warmErr = nil
	r.workers.submit(&o.job)
	return false
}

// probe looks at the regions that come next, up to warmBytesMax, and returns how many bytes it
// looked at and whether all of them are resident.
func (c *Chain) probe(seen *probed, nowNs int64) (n int64, resident bool) {
	skip := c.regionSent
	for i := c.region; i < len(c.regions) && n < warmBytesMax; i++ {
		rg := &c.regions[i]
		k := min(rg.n-skip, warmBytesMax-n)
		from := rg.position + skip
		known := seen.skip(rg.source, from, k, nowNs)
		if !rg.source.Resident(from+known, k-known) {
			return n, false
		}
		*seen = probed{source: rg.source, end: from + k, ns: nowNs}
		n += k
		skip = 0
	}
	return n, true
}

// prefetch reads what probe looks at. It runs on a worker.
func (c *Chain) prefetch() (n int64, err error) {
	skip := c.regionSent
	for i := c.region; i < len(c.regions) && n < warmBytesMax; i++ {
		rg := &c.regions[i]
		k := min(rg.n-skip, warmBytesMax-n)
		if err := rg.source.Prefetch(rg.position+skip, k); err != nil {
			return n, err
		}
		n += k
		skip = 0
	}
	return n, nil
}

// warmDone runs on the reactor once a worker is through with the first chain. What it read is
// believed without another probe, so that a full page cache slows a response but never stops it.
func (r *Reactor) warmDone(c *Conn) {
	o := &c.output
	o.warming = false
	if c.closed {
		r.dropOutput(c)
		r.orphans--
		return
	}
	if o.warmErr != nil {
		r.lose(c, o.warmErr)
		return
	}
	o.first.warmBytes, o.first.warmNs = o.job.warmBytes, r.nowNs
	r.poller.send(c)
}

// dropOutput gives the queued responses back unsent.
func (r *Reactor) dropOutput(c *Conn) {
	o := &c.output
	for chain := o.first; chain != nil; chain = o.first {
		o.first = chain.next
		r.giveChain(chain)
	}
	o.last, o.chains, o.regions, o.bytes = nil, 0, 0, 0
	o.seen = probed{}
}
