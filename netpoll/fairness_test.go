package netpoll

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// hand is a reactor on epoll whose turns the test makes itself.
type hand struct {
	t *testing.T
	r *Reactor
}

func newHand(t *testing.T, h Handler) *hand {
	t.Helper()
	config := Config{
		Listeners: []Listener{{Name: "HAND"}}, IdleMax: -1, Logger: slog.New(slog.DiscardHandler),
	}
	if err := config.complete(); err != nil {
		t.Fatal(err)
	}
	s := &Server{config: config, log: config.Logger}
	r := newReactor(0, s, func() int64 { return 0 })
	p, err := newEpoll(r)
	if err != nil {
		t.Fatal(err)
	}
	r.poller = p
	s.reactors = []*Reactor{r}
	r.serveFor(h, newPrefetchers(0))
	hd := &hand{t, r}
	t.Cleanup(func() {
		r.Post(&r.forceTask)
		r.turn()
		r.end()
	})
	return hd
}

// connect returns the peer's end of a connection whose buffers hold about 2 MiB.
func (h *hand) connect() (c *Conn, peer int) {
	h.t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, fd := range pair {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 2<<20)
	}
	h.t.Cleanup(func() { _ = unix.Close(pair[1]) })
	c = &Conn{reactor: h.r, listener: &listener{config: h.r.config.Listeners[0]}}
	c.link.fd = pair[0]
	h.r.adopt(c)
	return c, pair[1]
}

// turns makes n turns, which must not sleep.
func (h *hand) turns(n int) {
	for range n {
		h.r.Post(&Task{Run: func() {}})
		h.r.turn()
	}
}

// write sends as much of b as the socket takes and returns the rest.
func (h *hand) write(fd int, b []byte) []byte {
	h.t.Helper()
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err == unix.EAGAIN {
			return b
		}
		if err != nil {
			h.t.Fatal(err)
		}
		b = b[n:]
	}
	return nil
}

// received returns how many bytes wait at a peer's end, and takes them.
func (h *hand) received(fd int) (n int) {
	h.t.Helper()
	b := make([]byte, 1<<20)
	for {
		got, err := unix.Read(fd, b)
		if err != nil || got == 0 {
			return n
		}
		n += got
	}
}

// A connection with a megabyte of requests waiting moves at most 256 KiB a turn, so that one with a
// single request gets its answer in the same turn.
func TestTurnBudgetOfReceiving(t *testing.T) {
	t.Parallel()
	h := newHand(t, &handler{frame: echo})
	_, hot := h.connect()
	_, ping := h.connect()
	h.turns(2)
	h.write(hot, bytes.Repeat(framed(make([]byte, 60)), 16<<10))
	h.write(ping, framed([]byte("ping")))
	before := h.r.stats.BytesIn.Load()
	h.turns(1)
	if n := h.r.stats.BytesIn.Load() - before; n > turnBytesMax+8 || n < turnBytesMax/8 {
		t.Errorf("%d bytes were received in a turn", n)
	}
	if n := h.received(ping); n != 8 {
		t.Errorf("%d bytes answer the ping", n)
	}
	for range 100 {
		h.turns(1)
		h.received(hot)
	}
	if n := h.r.stats.BytesIn.Load() - before; n != 1<<20+8 {
		t.Errorf("%d bytes came through in all", n)
	}
}

// A response of several megabytes leaves in steps of 256 KiB.
func TestTurnBudgetOfSending(t *testing.T) {
	t.Parallel()
	f := newFile(t, make([]byte, 4<<20))
	h := newHand(t, &handler{frame: regions(f)})
	_, hot := h.connect()
	_, ping := h.connect()
	h.turns(2)
	request := binary.BigEndian.AppendUint64(nil, 0)
	h.write(hot, framed(binary.BigEndian.AppendUint64(request, 4<<20)))
	h.write(ping, framed(nil))
	total := 0
	for turn := 0; total < 4<<20+11; turn++ {
		if turn > 1000 {
			t.Fatalf("%d bytes after %d turns", total, turn)
		}
		before := h.r.stats.BytesOut.Load()
		h.turns(1)
		if n := h.r.stats.BytesOut.Load() - before; n > turnBytesMax+RegionCopyBytesMax+7 {
			t.Fatalf("%d bytes were sent in a turn", n)
		}
		total += h.received(hot)
		if turn == 0 && h.received(ping) != 7 {
			t.Error("the ping was not answered in the first turn")
		}
	}
	f.wantReleased(t)
}

// Bytes that were sent with MSG_MORE are followed by their region in the same turn, even if they
// used the quota up: the kernel holds back what it was told more would follow.
func TestRegionFollowsItsHeader(t *testing.T) {
	t.Parallel()
	f := newFile(t, make([]byte, 1<<20))
	h := newHand(t, &handler{frame: func(c *Conn, _ []byte) {
		chain := c.Chain()
		chain.Buf = append(chain.Buf, make([]byte, turnBytesMax-FrameHeadBytes)...)
		chain.Region(f.take(), 0, 1<<20)
		c.Respond()
	}})
	_, peer := h.connect()
	h.turns(2)
	h.write(peer, framed(nil))
	h.turns(1)
	if n := h.r.stats.BytesOut.Load(); n != turnBytesMax+RegionCopyBytesMax {
		t.Errorf("%d bytes were sent in the first turn", n)
	}
}

// What one connection's request completes on another leaves in the same turn or the next.
func TestCompletionOnAnotherConnection(t *testing.T) {
	t.Parallel()
	var waiting *Conn
	h := newHand(t, &handler{frame: func(c *Conn, frame []byte) {
		if string(frame) == "wait" {
			c.Keep()
			waiting = c
			return
		}
		waiting.Chain().Buf = append(waiting.Chain().Buf, frame...)
		waiting.Respond()
		c.Done()
	}})
	_, a := h.connect()
	_, b := h.connect()
	h.turns(2)
	for range 3 {
		h.write(a, framed([]byte("wait")))
		h.turns(1)
		h.write(b, framed([]byte("done")))
		h.turns(2)
		if n := h.received(a); n != 8 {
			t.Fatalf("%d bytes came", n)
		}
	}
}

// A FIN that comes in one event with the bytes before it is seen: a short read must not end the
// reading (epoll(7), edge-triggered).
func TestEndInOneEvent(t *testing.T) {
	t.Parallel()
	causes := make(chan error, 1)
	h := newHand(t, &handler{
		frame: echo, closed: func(_ *Conn, cause error) { causes <- cause },
	})
	_, peer := h.connect()
	h.turns(2)
	h.write(peer, framed([]byte("last")))
	if err := unix.Shutdown(peer, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	h.turns(3)
	select {
	case cause := <-causes:
		if cause != ErrPeerClosed {
			t.Errorf("cause is %v", cause)
		}
	default:
		t.Error("the peer's end went unnoticed")
	}
	if n := h.received(peer); n != 8 {
		t.Errorf("%d bytes answered the last request", n)
	}
}

// A connection whose turn answered all there was is on no list: the reactor sleeps next, and does
// not make a turn for nothing first.
func TestNothingLeftAfterAnswer(t *testing.T) {
	t.Parallel()
	h := newHand(t, &handler{frame: echo})
	_, peer := h.connect()
	h.turns(2)
	h.write(peer, framed([]byte("ping")))
	h.turns(1)
	p := h.r.poller.(*epoll)
	if n := p.fresh.count + p.hungry.count; n != 0 {
		t.Errorf("%d connections are listed after their answers", n)
	}
	if n := h.received(peer); n != 8 {
		t.Errorf("%d bytes answer the ping", n)
	}
}

// Several connections' small requests of one round are handed out before the first of them is
// answered, and all are answered in that turn; a lone one, a large one and the last of a long row
// do not wait for others.
func TestAnswersOfOneRound(t *testing.T) {
	t.Parallel()
	var events []byte
	h := newHand(t, &handler{
		frame: func(c *Conn, frame []byte) { events = append(events, 'F'); echo(c, frame) },
		sent:  func(*Conn, Sent) { events = append(events, 'S') },
	})
	var peers [answersMax + 2]int
	for i := range peers {
		_, peers[i] = h.connect()
	}
	h.turns(2)
	f := func(what string, requestBytes int, want string, peers ...int) {
		t.Helper()
		events = events[:0]
		for _, fd := range peers {
			h.write(fd, framed(make([]byte, requestBytes)))
		}
		h.turns(1)
		if string(events) != want {
			t.Errorf("%s: events %s, want %s", what, events, want)
		}
		for _, fd := range peers {
			if n := h.received(fd); n != FrameHeadBytes+requestBytes {
				t.Errorf("%s: an answer of %d bytes", what, n)
			}
		}
	}
	f("one", 10, "FS", peers[0])
	f("three", 10, "FFFSSS", peers[:3]...)
	f("three large ones", answersBytesMax, "FSFSFS", peers[:3]...)
	row := strings.Repeat("F", answersMax) + strings.Repeat("S", answersMax)
	f("a long row", 10, row+"FFSS", peers[:]...)
}

// A connection that is lost while its answer waits for the others is served no more.
func TestLostBeforeAnswer(t *testing.T) {
	t.Parallel()
	var first *Conn
	closed := 0
	h := newHand(t, &handler{
		frame: func(c *Conn, frame []byte) {
			if first == nil {
				first = c
			} else if c != first {
				first.reactor.lose(first, ErrPeerClosed)
			}
			echo(c, frame)
		},
		closed: func(*Conn, error) { closed++ },
	})
	_, a := h.connect()
	_, b := h.connect()
	h.turns(2)
	h.write(a, framed([]byte("gone")))
	h.turns(1)
	h.received(a)
	h.write(a, framed([]byte("gone")))
	h.write(b, framed([]byte("stays")))
	h.turns(1)
	if n := h.received(a); n != 0 || closed != 1 {
		t.Errorf("%d bytes for a connection that is gone, %d closed", n, closed)
	}
	if n := h.received(b); n != 9 {
		t.Errorf("%d bytes for the one that stays", n)
	}
}
