package netpoll

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
)

// scrambler is a transport that changes every byte, moves odd numbers of them, holds some back
// until it is flushed, and must write before it reads while it does: what an encrypting one does.
type scrambler struct {
	socket *Socket
	rnd    *rand.Rand
	out    []byte // accepted, unsent
	closed *atomic.Int64
}

const (
	scrambleKey = 0x5a
	heldMax     = 3000
)

func scramble(b []byte) {
	for i := range b {
		b[i] ^= scrambleKey
	}
}

func (s *scrambler) Read(p []byte) (int, Want, error) {
	if want, err := s.Flush(); err != nil || want != WantNothing {
		return 0, want, err
	}
	if s.rnd.IntN(8) == 0 {
		return 0, WantNothing, nil
	}
	n, want, err := s.socket.Read(p[:1+s.rnd.IntN(min(len(p), 50_000))])
	scramble(p[:n])
	return n, want, err
}

func (s *scrambler) Write(pieces [][]byte, _ bool) (n int, want Want, err error) {
	for _, p := range pieces {
		k := min(len(p), heldMax-len(s.out))
		s.out = append(s.out, p[:k]...)
		scramble(s.out[len(s.out)-k:])
		if n += k; k < len(p) {
			break
		}
	}
	want, err = s.push(s.rnd.IntN(len(s.out) + 1))
	return n, want, err
}

// push sends n of the bytes that are held.
func (s *scrambler) push(n int) (Want, error) {
	sent, want, err := s.socket.Write([][]byte{s.out[:n]}, false)
	s.out = append(s.out[:0], s.out[sent:]...)
	return want, err
}

func (s *scrambler) Flush() (Want, error) {
	for len(s.out) > 0 {
		if want, err := s.push(1 + s.rnd.IntN(len(s.out))); err != nil || want != WantNothing {
			return want, err
		}
	}
	return WantNothing, nil
}

func (s *scrambler) SendRegion(int, int64, int) (int, Want, error) {
	return 0, WantNothing, errors.New("BUG: a region for a transport that takes none")
}

func (s *scrambler) SendsRegions() bool { return false }
func (s *scrambler) Close()             { s.closed.Add(1) }

// scrambled is the client's side.
type scrambled struct{ *net.TCPConn }

func (s scrambled) Write(b []byte) (int, error) {
	b = bytes.Clone(b)
	scramble(b)
	return s.TCPConn.Write(b)
}

func (s scrambled) Read(b []byte) (int, error) {
	n, err := s.TCPConn.Read(b)
	scramble(b[:n])
	return n, err
}

// Requests, order and regions are the same through a transport that changes bytes and moves them
// in bits.
func TestScramblingTransport(t *testing.T) {
	t.Parallel()
	var closed atomic.Int64
	var seed atomic.Uint64
	data := pattern(3, 4<<20)
	f := newFile(t, data)
	answer := regions(f)
	h := &handler{frame: func(c *Conn, frame []byte) {
		if len(frame)%16 == 0 && len(frame) < 100 {
			answer(c, frame)
		} else {
			echo(c, frame)
		}
	}}
	makeTransport := func(s *Socket) Transport {
		return &scrambler{socket: s, rnd: rand.New(rand.NewPCG(seed.Add(1), 0)), closed: &closed}
	}
	s, addr := startServer(t, Config{
		SendBufferBytes: 4 << 10,
		Listeners:       []Listener{{Name: "A", Address: "127.0.0.1:0", Transport: makeTransport}},
	}, h)
	nc := scrambled{dial(t, addr)}
	rnd := rand.New(rand.NewPCG(5, 5))
	for range 30 {
		request, want := ask(rnd, data, rnd.IntN(4))
		if got := call(t, nc, request); !bytes.Equal(got, want) {
			t.Fatalf("answer of %d bytes differs from the file's %d", len(got), len(want))
		}
	}
	var sent []byte
	for i := range 200 {
		sent = append(sent, framed(pattern(i, 101+rnd.IntN(3000)*2))...)
	}
	go func() { _, _ = nc.Write(sent) }()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("pipelined answers differ (%v)", err)
	}
	s.Close()
	if closed.Load() != 1 {
		t.Errorf("the transport was closed %d times", closed.Load())
	}
	f.wantReleased(t)
}
