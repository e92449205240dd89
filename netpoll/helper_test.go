package netpoll

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	SetPoison(true)
	goleak.VerifyTestMain(m)
}

// handler is a broker made of functions.
type handler struct {
	open   func(*Conn)
	frame  func(*Conn, []byte)
	closed func(*Conn, error)
	sent   func(*Conn, Sent)

	opens, closes atomic.Int64
}

func (h *handler) Open(c *Conn) {
	h.opens.Add(1)
	if h.open != nil {
		h.open(c)
	}
}

func (h *handler) Frame(c *Conn, frame []byte) { h.frame(c, frame) }

func (h *handler) Closed(c *Conn, cause error) {
	h.closes.Add(1)
	if h.closed != nil {
		h.closed(c, cause)
	}
}

func (h *handler) Sent(c *Conn, s Sent) {
	if h.sent != nil {
		h.sent(c, s)
	}
}

// echo answers every frame with itself.
func echo(c *Conn, frame []byte) {
	chain := c.Chain()
	chain.Buf = append(chain.Buf, frame...)
	c.Respond()
}

// startServer serves h on a free port of the loopback until the test ends.
func startServer(t testing.TB, config Config, h Handler) (*Server, string) {
	t.Helper()
	if config.Listeners == nil {
		config.Listeners = []Listener{{Name: "TEST", Address: "127.0.0.1:0"}}
	}
	if config.Reactors == 0 {
		config.Reactors = 2
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := Listen(config)
	if err != nil {
		t.Fatal(err)
	}
	s.Start(h)
	t.Cleanup(func() {
		s.Close()
		if n := s.MemoryBytes(); n != 0 {
			t.Errorf("%d bytes of frames are left after the end", n)
		}
	})
	return s, s.Addr(config.Listeners[0].Name).String()
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return nc.(*net.TCPConn)
}

// framed puts the length in front of payload.
func framed(payload []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
}

func readFrame(r io.Reader) ([]byte, error) {
	var head [FrameHeadBytes]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}

// call sends payload as a frame and returns the answer.
func call(t testing.TB, nc net.Conn, payload []byte) []byte {
	t.Helper()
	if _, err := nc.Write(framed(payload)); err != nil {
		t.Fatal(err)
	}
	answer, err := readFrame(nc)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// wantClosed reads until the peer closes and returns what came before.
func wantClosed(t testing.TB, nc net.Conn) []byte {
	t.Helper()
	_ = nc.SetReadDeadline(time.Now().Add(30 * time.Second))
	b, err := io.ReadAll(nc)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection is still open")
	}
	return b
}

// pattern returns n bytes that differ by position and seed.
func pattern(seed, n int) []byte {
	b := make([]byte, n)
	x := uint32(seed)*2654435761 + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// file is a Source over a real file, or over bytes alone. It counts its references.
type file struct {
	f      *os.File // nil: memory only, no descriptor
	data   []byte
	refs   atomic.Int64
	cold   atomic.Bool // until prefetched
	broken error       // of Prefetch
	hold   chan struct{}

	prefetches atomic.Int64
}

func newFile(t testing.TB, data []byte) *file {
	t.Helper()
	f, err := os.Create(t.TempDir() + "/segment")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	return &file{f: f, data: data}
}

func (s *file) Fd() int {
	if s.f == nil {
		return -1
	}
	return int(s.f.Fd())
}

func (s *file) ReadAt(p []byte, position int64) (int, error) {
	if s.f != nil {
		return s.f.ReadAt(p, position)
	}
	return bytes.NewReader(s.data).ReadAt(p, position)
}

func (s *file) ReadAtNoWait(p []byte, position int64) (int, error) {
	if s.cold.Load() {
		return 0, unix.EAGAIN
	}
	return s.ReadAt(p, position)
}

func (s *file) Resident(int64, int64) bool { return !s.cold.Load() }

func (s *file) Prefetch(int64, int64) error {
	s.prefetches.Add(1)
	if s.hold != nil {
		<-s.hold
	}
	s.cold.Store(false)
	return s.broken
}

func (s *file) Release() { s.refs.Add(-1) }

// take counts a reference for a region.
func (s *file) take() *file {
	s.refs.Add(1)
	return s
}

func (s *file) wantReleased(t testing.TB) {
	t.Helper()
	if n := s.refs.Load(); n != 0 {
		t.Errorf("%d references to the file are left", n)
	}
}

// eventually waits until a state that another goroutine brings about has come.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for !ok() {
		if ctx.Err() != nil {
			t.Fatalf("never came about: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
