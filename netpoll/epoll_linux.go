package netpoll

import (
	"fmt"
	"io"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// link is the epoll poller's part of a connection.
type link struct {
	fd        int // set by the acceptor
	slot      int32
	transport Transport
	plain     plain

	// What the socket is known to be ready for, and what the transport waits for. epoll is
	// edge-triggered: readiness lasts until a call comes back short.
	readable, writable bool
	readWant           Want
	writeWant          Want
	// peerEnded is set when the event said that a FIN came: then a short read does not mean that
	// the socket is empty, since the edge for the end came with the bytes before it.
	peerEnded bool
	unflushed bool
	sending   bool
	listed    bool // on a ready list
	// serving is set while the connection has its turn, at whose end it is listed if that is due.
	serving bool
	// hungry is set when the last turn ended with the quota used up.
	hungry bool
	// left is what the turn of a connection on the list of answers has left.
	left quota
	next *Conn
}

// epollEventsMax is how many events one call fetches; more are fetched in the next turn.
const epollEventsMax = 256

// epoll is the poller on epoll(7), edge-triggered.
type epoll struct {
	r      *Reactor
	fd     int
	wakeFd int
	// slots maps an event's number to its connection; freed ones are reused. No event of a
	// connection outlives it: closing a socket removes it from the set, and a batch of events is
	// through before a new connection is attached.
	slots     []*Conn
	freeSlots []int32
	events    [epollEventsMax]unix.EpollEvent
	// buffer is what connections receive into and regions pass through where they must.
	buffer  []byte
	scratch scratch
	pieces  [piecesMax][]byte
	// Connections that have something to do now: those that used their quota up in an earlier turn
	// wait apart, so that small requests pass bulk transfers by.
	fresh, hungry readyList
	// answers lists connections whose turn is not over, the first since answersSinceNs; others says
	// that answers may wait there now: see defers.
	answers        readyList
	answersSinceNs int64
	others         bool
	// pollFirst says that asking without blocking is likely to bring events. blockedNs is when the
	// last blocking wait began, 0 once it has been judged.
	pollFirst bool
	blockedNs int64
}

// wakeSlot is the number of the eventfd's events.
const wakeSlot = -1

func newEpoll(r *Reactor) (*epoll, error) {
	buffer, err := mapMemory(receiveBufferBytes)
	if err != nil {
		return nil, err
	}
	p := &epoll{r: r, fd: -1, wakeFd: -1, buffer: buffer}
	if err := p.open(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *epoll) open() (err error) {
	if p.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	if p.wakeFd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	// Edge-triggered, so the counter need never be read.
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: wakeSlot}
	if err = unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, p.wakeFd, &event); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

func (p *epoll) close() {
	for _, fd := range []int{p.fd, p.wakeFd} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	unmapMemory(p.buffer)
}

func (p *epoll) attach(c *Conn) error {
	l := &c.link
	l.plain.Socket = Socket{fd: l.fd, scratch: &p.scratch}
	l.transport = &l.plain
	if c.listener.config.Transport != nil {
		l.transport = c.listener.config.Transport(&l.plain.Socket)
	}
	l.slot = p.takeSlot(c)
	event := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     l.slot,
	}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, l.fd, &event); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	// The request that made the client connect is often there already.
	l.readable, l.writable = true, true
	return nil
}

func (p *epoll) takeSlot(c *Conn) int32 {
	if n := len(p.freeSlots); n > 0 {
		slot := p.freeSlots[n-1]
		p.freeSlots = p.freeSlots[:n-1]
		p.slots[slot] = c
		return slot
	}
	p.slots = append(p.slots, c)
	return int32(len(p.slots) - 1)
}

func (p *epoll) detach(c *Conn) {
	c.link.transport.Close()
	_ = unix.Close(c.link.fd)
	p.slots[c.link.slot] = nil
	p.freeSlots = append(p.freeSlots, c.link.slot)
}

func (p *epoll) resume(c *Conn) { p.list(c) }

func (p *epoll) pause(*Conn) {}

func (p *epoll) send(c *Conn) {
	c.link.sending = true
	p.list(c)
}

// list puts c on a ready list if there is something it can do.
func (p *epoll) list(c *Conn) {
	l := &c.link
	switch {
	case l.listed || l.serving || !c.canReceive() && !c.canSend():
	case l.hungry:
		p.hungry.push(c)
	default:
		p.fresh.push(c)
	}
}

// readyList is a queue of connections, linked through them.
type readyList struct {
	first, last *Conn
	count       int
}

func (q *readyList) push(c *Conn) {
	c.link.listed = true
	c.link.next = nil
	if q.last != nil {
		q.last.link.next = c
	} else {
		q.first = c
	}
	q.last = c
	q.count++
}

func (q *readyList) pop() *Conn {
	c := q.first
	if q.first = c.link.next; q.first == nil {
		q.last = nil
	}
	q.count--
	c.link.listed = false
	return c
}

func (c *Conn) canReceive() bool {
	return c.input.receiving && c.link.meets(c.link.readWant)
}

func (c *Conn) canSend() bool {
	l := &c.link
	return (l.sending || l.unflushed) && !c.output.warming && l.meets(l.writeWant)
}

// meets reports whether the socket is ready for what is wanted.
func (l *link) meets(want Want) bool {
	switch want {
	case WantRead:
		return l.readable
	case WantWrite:
		return l.writable
	}
	return true
}

// note remembers what a call on the transport waits for. Where it wants a direction, the
// readiness seen so far is used up.
func (l *link) note(want Want) {
	switch want {
	case WantRead:
		l.readable = false
	case WantWrite:
		l.writable = false
	}
}

func (p *epoll) wake() {
	one := uint64(1)
	_, _ = unix.Write(p.wakeFd, unsafe.Slice((*byte)(unsafe.Pointer(&one)), 8))
}

// pollFirstNs is how long a blocking wait took at most if there were events already.
const pollFirstNs = 2000

// wait asks without blocking as long as that brings events, which under load is all it takes and
// spares the scheduler the hand-over of its processor. Where it has brought none, a lone client's
// request is on its way and the second call would only delay it: then it announces the sleep and
// blocks at once, until a blocking wait turns out to have found events ready.
func (p *epoll) wait(timeoutNs int64) {
	if p.blockedNs != 0 {
		p.pollFirst = p.r.turnNs-p.blockedNs < pollFirstNs
		p.blockedNs = 0
	}
	ready := p.fresh.count+p.hungry.count > 0 || timeoutNs == 0
	if ready || p.pollFirst {
		p.pollFirst = p.poll() > 0
		if ready || p.pollFirst {
			return
		}
	}
	if !p.r.sleeps() {
		p.poll() // However many messages come, sockets have their turn.
		return
	}
	p.block(timeoutNs)
}

// block waits for events, which has been announced.
func (p *epoll) block(timeoutNs int64) {
	timeoutMs := -1
	if timeoutNs > 0 {
		timeoutMs = int(min((timeoutNs+999_999)/int64(time.Millisecond), 1<<30))
	}
	p.blockedNs = p.r.nowNs
	n, err := unix.EpollWait(p.fd, p.events[:], timeoutMs)
	p.r.woke()
	if err != nil && err != unix.EINTR {
		panic("BUG: epoll_wait: " + err.Error())
	}
	p.take(n)
}

// poll fetches events without blocking and reports how many there were.
func (p *epoll) poll() int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd),
		uintptr(unsafe.Pointer(&p.events)), epollEventsMax, 0, 0, 0)
	if errno != 0 {
		return 0
	}
	p.take(int(n))
	return int(n)
}

// take turns events into readiness.
func (p *epoll) take(n int) {
	for i := range max(n, 0) {
		e := &p.events[i]
		if e.Fd == wakeSlot {
			continue
		}
		c := p.slots[e.Fd]
		l := &c.link
		if e.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			l.readable = true
		}
		if e.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			l.writable = true
		}
		if e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			l.peerEnded = true
		}
		if e.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 && !c.input.receiving {
			// Both directions are gone: whatever the request in process comes to, nobody will
			// have the answer.
			p.r.lose(c, ErrPeerClosed)
			continue
		}
		p.list(c)
	}
}

// serve gives the connections on the ready lists their turn, fresh ones first and hungry ones for a
// while, but at least one. Fresh ones are heard before any of them is answered: see defers. Those
// that have more to do, and those that others' requests made ready, come next time.
func (p *epoll) serve() {
	fresh, hungry := p.fresh.count, p.hungry.count
	for ; fresh > 0; fresh-- {
		p.others = fresh > 1 || p.answers.count > 0
		p.serveNext(&p.fresh)
		if n := p.answers.count; n >= answersMax ||
			n > 0 && p.r.nowNs-p.answersSinceNs >= answersNsMax {
			p.answer()
		}
	}
	p.answer()
	for young := true; hungry > 0 && young; hungry-- {
		young = p.serveNext(&p.hungry)
	}
}

// answer ends the turns of the connections whose answers were deferred.
func (p *epoll) answer() {
	p.others = false
	for p.answers.count > 0 {
		if c := p.answers.pop(); !c.doomed {
			p.serveConn(c, c.link.left)
		}
	}
}

// serveNext serves the first connection of a list, and reports whether the turn is still young.
func (p *epoll) serveNext(q *readyList) bool {
	if c := q.pop(); !c.doomed {
		p.serveConn(c, quota{in: turnBytesMax, out: turnBytesMax, calls: turnCallsMax})
	}
	return p.r.nowNs-p.r.turnNs < turnHungryNs
}

// quota is what a connection may still do in this turn.
type quota struct {
	in, out, calls int
}

// The answers of one round that wait for each other, and for how long at most, unless a single
// request takes longer.
const (
	answersMax      = 32
	answersNsMax    = int64(50e3)
	answersBytesMax = 4 << 10
)

// defers reports whether the answer that c has ready may wait until the other connections of this
// round have been heard: where it is small and so was its request. Sending wakes the client, which
// is dear when it sleeps, and takes its core where client and reactor share one. A client with many
// connections is woken once for all of them then, and what it sends next comes at once as well, so
// that turns grow with the load.
func (p *epoll) defers(c *Conn, q *quota) bool {
	return p.others && q.in < turnBytesMax && q.in >= turnBytesMax-answersBytesMax &&
		c.output.regions == 0 && c.output.bytes <= answersBytesMax
}

// serveConn goes on with c's turn as far as sockets and quota allow.
func (p *epoll) serveConn(c *Conn, q quota) {
	sends, sentLast := 0, false
	c.link.serving = true
	for q.calls > 0 && !c.doomed {
		switch {
		case q.out > 0 && c.canSend() && p.defers(c, &q):
			c.link.serving, c.link.left = false, q
			if p.answers.count == 0 {
				p.answersSinceNs = p.r.nowNs
			}
			p.answers.push(c)
			p.r.lapNow(CauseHandler) // The answer was queued just now.
			return
		case q.out > 0 && c.canSend():
			in, out := p.r.tally.framesIn, p.r.tally.framesOut
			p.sendOnce(c, &q)
			sends++
			sentLast = p.r.tally.framesOut != out && p.r.tally.framesIn == in
		case q.in > 0 && c.canReceive():
			sentLast = false
			if !p.receiveOnce(c, &q) {
				q.calls = 0
			}
		default:
			q.calls = 0
		}
	}
	c.link.hungry = q.in <= 0 || q.out <= 0
	c.link.serving = false
	if !c.doomed {
		p.list(c)
	}
	cause := CauseHandler
	if sends > 0 && q.out <= turnBytesMax/2 {
		cause = CauseSend
	}
	if sentLast && p.r.sentHandler != nil {
		p.r.lapNow(cause) // The last answer's end was read.
	} else {
		p.r.lap(cause)
	}
}

// receiveOnce makes one call and reports false if the connection was paused instead.
func (p *epoll) receiveOnce(c *Conn, q *quota) bool {
	into, limit, ok := p.r.space(c)
	if !ok {
		return false
	}
	b := into
	if b == nil {
		b = p.buffer[:limit]
	}
	b = b[:min(len(b), q.in)]
	l := &c.link
	n, want, err := l.transport.Read(b)
	q.calls--
	q.in -= n
	if l.readWant = want; n == 0 || want != WantRead || !l.peerEnded {
		l.note(want)
	}
	switch {
	case n > 0 && into != nil:
		p.r.filled(c, n)
	case n > 0:
		p.r.received(c, b[:n])
	}
	switch {
	case err == io.EOF:
		p.r.ended(c)
	case err != nil:
		p.r.lose(c, err)
	}
	return true
}

// sendOnce makes one call that moves output, or finds that there is nothing to move.
func (p *epoll) sendOnce(c *Conn, q *quota) {
	l := &c.link
	if c.output.empty() {
		p.flush(c, q)
		return
	}
	if !p.r.warm(c) {
		return
	}
	var want Want
	var err error
	if source, position, n, ok := c.output.nextRegion(); ok {
		want, err = p.sendRegion(c, q, source, position, n)
	} else {
		want, err = p.sendPieces(c, q)
	}
	q.calls--
	l.writeWant = want
	l.note(want)
	if err != nil {
		p.r.lose(c, err)
		return
	}
	if c.output.empty() {
		p.flush(c, q)
	}
}

func (p *epoll) sendPieces(c *Conn, q *quota) (Want, error) {
	pieces, more := c.output.pieces(p.pieces[:0], q.out)
	n, want, err := c.link.transport.Write(pieces, more)
	clear(pieces)
	if n > 0 {
		c.link.unflushed = true
		p.r.sentBytes(c, n)
	}
	q.out -= n
	if more && want == WantNothing {
		// What was sent with MSG_MORE waits for its region, so that must be allowed to follow.
		q.out = max(q.out, RegionCopyBytesMax)
		q.calls = max(q.calls, 2)
	}
	return want, err
}

func (p *epoll) sendRegion(
	c *Conn, q *quota, source Source, position, n int64,
) (Want, error) {
	l := &c.link
	k := int(min(n, int64(q.out), c.output.first.warmBytes))
	fd := source.Fd()
	var sent int
	var want Want
	var err error
	if fd >= 0 && l.transport.SendsRegions() {
		sent, want, err = l.transport.SendRegion(fd, position, k)
		p.r.tally.sentBytes += uint64(sent)
	} else {
		sent, want, err = p.copyRegion(c, source, position, k)
	}
	if sent > 0 {
		l.unflushed = true
		p.r.sentRegion(c, int64(sent))
	}
	q.out -= sent
	return want, err
}

// copyRegion sends a region's bytes through the shared buffer, which is free between receives.
func (p *epoll) copyRegion(c *Conn, source Source, position int64, n int) (int, Want, error) {
	b := p.buffer[:min(n, len(p.buffer))]
	got, err := source.ReadAt(b, position)
	if got == 0 {
		if err == nil || err == io.EOF {
			err = fmt.Errorf("%w at position %d", ErrTruncated, position)
		}
		return 0, WantNothing, err
	}
	p.pieces[0] = b[:got]
	sent, want, err := c.link.transport.Write(p.pieces[:1], false)
	p.pieces[0] = nil
	p.r.tally.copiedBytes += uint64(sent)
	return sent, want, err
}

// flush sees the transport's own rest off, and then tells the reactor that all has left.
func (p *epoll) flush(c *Conn, q *quota) {
	l := &c.link
	if l.unflushed {
		want, err := l.transport.Flush()
		l.writeWant = want
		l.note(want)
		if err != nil {
			p.r.lose(c, err)
			return
		}
		if want != WantNothing {
			q.calls--
			return
		}
		l.unflushed = false
	}
	l.sending = false
	p.r.sent(c)
}
