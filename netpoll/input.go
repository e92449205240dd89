package netpoll

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"
)

// Receiving.
const (
	// directBytesMin is how much of a frame must be missing for it to be received into its chunk,
	// past the shared buffer: less is cheaper copied, together with what follows it.
	directBytesMin = 16 << 10
	// peekBytesMax is what a connection whose last frame outgrew the shared buffer receives first,
	// so that little of the next large one is received in the wrong place.
	peekBytesMax = 4 << 10
	// pressedBytesMax is what a connection outside a frame receives at once while the memory budget
	// is used up. Small requests go on being served; what they leave behind is bounded by it.
	pressedBytesMax = 4 << 10
	// passCheck is how often the holder of the memory pass is looked at, and passBytesMin what it
	// must have received in between to go on.
	passCheck    = 5 * time.Second
	passBytesMin = 64 << 10
	// lengthBytesFirst is the chunk size for a frame whose length has not arrived whole.
	lengthBytesFirst = 64
)

// input is a connection's receiving side. Bytes that arrive in the shared buffer are handed out
// from there if they are whole frames whose turn it is; the rest is copied to the stash, which
// exists only while it holds something.
type input struct {
	// stash.b[head:tail] holds what has arrived and was not handed out: at most one incomplete
	// frame, at its end. While a frame from the stash is in process, head is already behind it.
	stash      *chunk
	head, tail int

	frame  []byte // in process, while it is lent
	kept   *chunk // holds frame alone, if it is neither in the stash nor in the shared buffer
	stayed bool   // frame stays until the request's end: Keep was called

	frameBytesMax int32
	lastBytes     int   // length of the last frame
	arrivedNs     int64 // when the frame in process had arrived whole, or the last bytes came
	receiving     bool  // the poller has been told to receive

	waiting            bool // paused for memory, in the reactor's list
	prevWait, nextWait *Conn
}

// stashed returns the length of the stash's first frame with its head, or 0 if that is not known
// yet, and whether the frame is whole.
func (in *input) stashed() (frameBytes int, whole bool) {
	n := in.tail - in.head
	if n < FrameHeadBytes {
		return 0, false
	}
	frameBytes = FrameHeadBytes + int(int32(binary.BigEndian.Uint32(in.stash.b[in.head:])))
	return frameBytes, frameBytes >= FrameHeadBytes && n >= frameBytes
}

// hasFrame reports whether a whole frame waits in the stash.
func (in *input) hasFrame() bool {
	_, whole := in.stashed()
	return whole
}

// checkLength judges the length in front of b, which has at least FrameHeadBytes bytes.
func (in *input) checkLength(b []byte) error {
	n := int32(binary.BigEndian.Uint32(b))
	if n >= 0 && n <= in.frameBytesMax {
		return nil
	}
	return fmt.Errorf("%w: %d, the bound is %d%s", ErrFrameSize, n, in.frameBytesMax, guess(b))
}

// guess names the protocol that a peer which does not speak Kafka's seems to speak.
func guess(b []byte) string {
	if len(b) >= 2 && b[0] == 0x16 && b[1] == 0x03 {
		return " (the bytes look like a TLS handshake; this listener does not speak TLS)"
	}
	for _, method := range httpMethods {
		if bytes.HasPrefix(b, method) {
			return " (the bytes look like an HTTP request; this is a Kafka listener)"
		}
	}
	return ""
}

var httpMethods = [][]byte{
	[]byte("GET "), []byte("POST"), []byte("PUT "), []byte("HEAD"), []byte("OPTI"), []byte("DELE"),
	[]byte("PATC"), []byte("CONN"), []byte("TRAC"), []byte("PRI "),
}

// space says where the poller is to put the next bytes of c: behind those of an incomplete frame
// (into; report them with filled), or in a buffer of the poller's own of at most limit bytes
// (into is nil; report with received). If ok is false the connection has been paused.
func (r *Reactor) space(c *Conn) (into []byte, limit int, ok bool) {
	in := &c.input
	if in.stash != nil && r.budget.spent() {
		if !r.budget.admits(c) {
			r.waitForMemory(c)
			return nil, 0, false
		}
		r.watchPass()
	}
	frameBytes, _ := 0, false
	if in.stash != nil {
		frameBytes, _ = in.stashed()
	}
	switch missing := frameBytes - (in.tail - in.head); {
	case in.stash != nil && frameBytes > 0 && missing >= directBytesMin:
		return in.stash.b[in.tail : in.tail+missing], 0, true
	case in.stash == nil && r.budget.spent():
		return nil, pressedBytesMax, true
	case in.stash == nil && in.lastBytes > receiveBufferBytes:
		return nil, peekBytesMax, true
	}
	return nil, receiveBufferBytes, true
}

// filled tells that n bytes arrived where space said.
func (r *Reactor) filled(c *Conn, n int) {
	r.arrived(c, n)
	r.budget.charge(c.input.stash, n)
	c.input.tail += n
	r.handOut(c)
	r.settle(c)
}

// received tells that b arrived; it is lent until received returns.
func (r *Reactor) received(c *Conn, b []byte) {
	r.arrived(c, len(b))
	c.advancing = true
	var err error
	for len(b) > 0 && err == nil && !c.ending() {
		switch {
		case c.input.stash != nil:
			b, err = r.gather(c, b)
		case !r.ready(c):
			err = r.stashAll(c, b, len(b))
			b = nil
		default:
			b, err = r.split(c, b)
		}
	}
	c.advancing = false
	if err != nil {
		r.refuse(c, err)
	}
	r.settle(c)
}

// arrived notes that n bytes came. Receiving a few takes no time that would be worth a reading of
// the clock.
func (r *Reactor) arrived(c *Conn, n int) {
	r.tally.bytesIn += uint64(n)
	if n >= directBytesMin {
		r.tick()
	}
	c.movedNs = r.nowNs
	c.input.arrivedNs = r.nowNs
}

// split hands out the first frame of b in place, or stashes b if the frame is incomplete.
func (r *Reactor) split(c *Conn, b []byte) ([]byte, error) {
	if len(b) < FrameHeadBytes {
		return nil, r.stashAll(c, b, lengthBytesFirst)
	}
	if err := c.input.checkLength(b); err != nil {
		return nil, err
	}
	frameBytes := FrameHeadBytes + int(binary.BigEndian.Uint32(b))
	if len(b) < frameBytes {
		return nil, r.stashAll(c, b, frameBytes)
	}
	r.dispatch(c, b[FrameHeadBytes:frameBytes:frameBytes])
	return b[frameBytes:], nil
}

// stashAll copies b, which is what follows the frames handed out, to a new stash of at least n
// bytes.
func (r *Reactor) stashAll(c *Conn, b []byte, n int) error {
	k, err := r.memory.take(max(n, len(b)))
	if err != nil {
		return err
	}
	copy(k.b, b)
	r.budget.charge(k, len(b))
	c.input.stash, c.input.head, c.input.tail = k, 0, len(b)
	return nil
}

// gather completes the incomplete frame in the stash from b and hands it out, if b suffices. It
// returns what is left of b.
func (r *Reactor) gather(c *Conn, b []byte) ([]byte, error) {
	in := &c.input
	if in.tail-in.head < FrameHeadBytes {
		if err := r.makeRoom(c, FrameHeadBytes); err != nil {
			return nil, err
		}
		b = r.fill(c, b, FrameHeadBytes)
		if in.tail-in.head < FrameHeadBytes {
			return nil, nil
		}
	}
	if err := in.checkLength(in.stash.b[in.head:]); err != nil {
		return nil, err
	}
	frameBytes, _ := in.stashed()
	if err := r.makeRoom(c, frameBytes); err != nil {
		return nil, err
	}
	b = r.fill(c, b, frameBytes)
	if in.hasFrame() {
		r.dispatchStashed(c, frameBytes)
	}
	return b, nil
}

// fill copies from b until the stash holds n bytes, and returns the rest.
func (r *Reactor) fill(c *Conn, b []byte, n int) []byte {
	in := &c.input
	got := copy(in.stash.b[in.tail:in.head+n], b)
	in.tail += got
	r.budget.charge(in.stash, got)
	return b[got:]
}

// makeRoom sees to it that the stash can hold n bytes from head on.
func (r *Reactor) makeRoom(c *Conn, n int) error {
	in := &c.input
	if in.head+n <= len(in.stash.b) {
		return nil
	}
	old, rest := in.stash, in.stash.b[in.head:in.tail]
	if err := r.stashAll(c, rest, n); err != nil {
		return err
	}
	r.discard(c, old)
	return nil
}

// handOut hands out the frames in the stash whose turn it is.
func (r *Reactor) handOut(c *Conn) {
	if c.advancing {
		return
	}
	c.advancing = true
	for c.input.stash != nil && r.ready(c) {
		in := &c.input
		if in.tail-in.head < FrameHeadBytes {
			break
		}
		err := in.checkLength(in.stash.b[in.head:])
		frameBytes, whole := in.stashed()
		if err == nil && !whole {
			err = r.makeRoom(c, frameBytes)
		}
		if err != nil {
			r.refuse(c, err)
		}
		if err != nil || !whole {
			break
		}
		r.dispatchStashed(c, frameBytes)
	}
	c.advancing = false
}

// dispatchStashed hands out the stash's first frame. If it is the last thing there, the stash
// becomes the frame's own, so that the connection has none while it is idle.
func (r *Reactor) dispatchStashed(c *Conn, frameBytes int) {
	in := &c.input
	frame := in.stash.b[in.head+FrameHeadBytes : in.head+frameBytes : in.head+frameBytes]
	in.head += frameBytes
	if in.head == in.tail {
		in.kept, in.stash, in.head, in.tail = in.stash, nil, 0, 0
	}
	r.dispatch(c, frame)
}

// dispatch hands a frame to the broker. Its loan ends when the request does, or at the latest now
// if nobody asked for more.
func (r *Reactor) dispatch(c *Conn, frame []byte) {
	r.tally.framesIn++
	c.inProcess = true
	c.input.frame = frame
	c.input.lastBytes = len(frame)
	r.handler.Frame(c, frame)
	if r.blamed != 0 {
		r.lap(CauseHandler)
	}
	if c.inProcess && !c.input.stayed {
		r.endLoan(c)
	}
}

// keep implements Conn.Keep.
func (c *Conn) keep() []byte {
	in := &c.input
	if !c.inProcess || in.frame == nil {
		panic("BUG: Keep called without a lent frame")
	}
	in.stayed = true
	if in.kept != nil || in.stash != nil && within(in.frame, in.stash.b) {
		return in.frame
	}
	r := c.reactor
	k, err := r.memory.take(len(in.frame))
	if err != nil {
		// Out of address space: the collector's heap is the last resort for one small frame.
		in.frame = bytes.Clone(in.frame)
		return in.frame
	}
	n := copy(k.b, in.frame)
	r.budget.charge(k, n)
	r.tally.keptBytes += uint64(n)
	poison(in.frame)
	in.kept, in.frame = k, k.b[:n:n]
	return in.frame
}

// endLoan ends the loan of the frame in process and gives back what only it needed.
func (r *Reactor) endLoan(c *Conn) {
	in := &c.input
	poison(in.frame)
	in.frame, in.stayed = nil, false
	if in.kept != nil {
		r.discard(c, in.kept)
		in.kept = nil
	}
}

// discard gives a chunk of c's back.
func (r *Reactor) discard(c *Conn, k *chunk) {
	r.budget.discharge(c, k)
	r.memory.give(k)
}

// dropStash gives back what has arrived and will not be handed out. A frame in process that lies
// in the stash keeps it until its request ends.
func (r *Reactor) dropStash(c *Conn) {
	in := &c.input
	if in.stash == nil {
		return
	}
	if in.frame != nil && in.kept == nil && within(in.frame, in.stash.b) {
		in.kept = in.stash
	} else {
		r.discard(c, in.stash)
	}
	in.stash, in.head, in.tail = nil, 0, 0
}

// waitForMemory pauses c until the budget has room again.
func (r *Reactor) waitForMemory(c *Conn) {
	in := &c.input
	if in.waiting {
		return
	}
	r.tally.memoryWaits++
	in.waiting = true
	in.prevWait, in.nextWait = r.lastWait, nil
	if r.lastWait != nil {
		r.lastWait.input.nextWait = c
	} else {
		r.firstWait = c
	}
	r.lastWait = c
	r.settle(c)
	if r.budget.waiting.Add(1); r.budget.admits(c) {
		r.stopWaiting(c)
	}
}

func (r *Reactor) stopWaiting(c *Conn) {
	in := &c.input
	if !in.waiting {
		return
	}
	if in.prevWait != nil {
		in.prevWait.input.nextWait = in.nextWait
	} else {
		r.firstWait = in.nextWait
	}
	if in.nextWait != nil {
		in.nextWait.input.prevWait = in.prevWait
	} else {
		r.lastWait = in.prevWait
	}
	in.waiting, in.prevWait, in.nextWait = false, nil, nil
	r.budget.waiting.Add(-1)
	r.settle(c)
}

// memoryBack resumes paused connections, the longest waiting first, as far as the budget admits
// them. Each is asked again before it receives.
func (r *Reactor) memoryBack() {
	for c := r.firstWait; c != nil && r.budget.admits(c); c = r.firstWait {
		r.stopWaiting(c)
	}
}

// watchPass begins to watch the holder of the pass if that is a connection of this reactor.
func (r *Reactor) watchPass() {
	if c := r.budget.pass.Load(); c != nil && c.reactor == r && !r.passTimer.Running() {
		r.passChunk, r.passTail = c.input.stash, c.input.tail
		r.Start(&r.passTimer, passCheck)
	}
}

// checkPass closes the holder of the pass if it is inside a frame, has hardly got on since the last
// check, and others wait: whoever holds the memory back must not do so by sending slowly.
func (r *Reactor) checkPass() {
	c := r.budget.pass.Load()
	if c == nil || c.reactor != r {
		return
	}
	in := &c.input
	grown := in.tail - r.passTail
	if in.stash != nil && in.stash == r.passChunk && grown >= 0 && grown < passBytesMin &&
		r.budget.waiting.Load() > 0 {
		r.lose(c, ErrMemory)
		return
	}
	r.watchPass()
}
