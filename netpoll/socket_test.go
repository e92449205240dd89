package netpoll

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

func TestEcho(t *testing.T) {
	t.Parallel()
	h := &handler{frame: echo}
	_, addr := startServer(t, Config{}, h)
	nc := dial(t, addr)
	sizes := []int{0, 1, 100, 4 << 10, 64 << 10, 256<<10 - 4, 256 << 10, 1 << 20, 3 << 20}
	for _, n := range sizes {
		want := pattern(n, n)
		if got := call(t, nc, want); !bytes.Equal(got, want) {
			t.Fatalf("%d bytes came back wrong", n)
		}
	}
}

func TestManyConnectionsPipelined(t *testing.T) {
	t.Parallel()
	_, addr := startServer(t, Config{}, &handler{frame: echo})
	var clients sync.WaitGroup
	for i := range 8 {
		nc := dial(t, addr)
		clients.Go(func() { pipeline(t, nc, i) })
	}
	clients.Wait()
}

// pipeline sends frames of random sizes without waiting, and checks the order of the answers.
func pipeline(t *testing.T, nc net.Conn, seed int) {
	const frames = 200
	sizes := rand.New(rand.NewPCG(uint64(seed), 1))
	var sent []byte
	for i := range frames {
		n := sizes.IntN(2000)
		if sizes.IntN(20) == 0 {
			n = sizes.IntN(600 << 10)
		}
		sent = append(sent, framed(pattern(i, n))...)
	}
	go func() { _, _ = nc.Write(sent) }()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(nc, got); err != nil {
		t.Errorf("client %d: %v", seed, err)
		return
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("client %d: answers differ from requests", seed)
	}
}

// regions answers a request that holds pairs of position and length with those regions, each behind
// its number.
func regions(f *file) func(*Conn, []byte) {
	return func(c *Conn, frame []byte) {
		chain := c.Chain()
		for i := 0; len(frame) >= 16; i++ {
			position := int64(binary.BigEndian.Uint64(frame))
			n := int64(binary.BigEndian.Uint64(frame[8:]))
			chain.Buf = binary.BigEndian.AppendUint32(chain.Buf, uint32(i))
			chain.Region(f.take(), position, n)
			frame = frame[16:]
		}
		chain.Buf = append(chain.Buf, "end"...)
		c.Respond()
	}
}

// ask returns a request for regions and what the answer must be.
func ask(rnd *rand.Rand, data []byte, count int) (request, want []byte) {
	for i := range count {
		n := rnd.IntN(1 << (4 + rnd.IntN(17)))
		position := rnd.IntN(len(data) - n)
		request = binary.BigEndian.AppendUint64(request, uint64(position))
		request = binary.BigEndian.AppendUint64(request, uint64(n))
		want = binary.BigEndian.AppendUint32(want, uint32(i))
		want = append(want, data[position:position+n]...)
	}
	return request, append(want, "end"...)
}

func TestRegions(t *testing.T) {
	t.Parallel()
	data := pattern(1, 4<<20)
	for name, config := range map[string]Config{
		"plain":         {},
		"small buffers": {SendBufferBytes: 4 << 10, ReceiveBufferBytes: 4 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFile(t, data)
			testRegions(t, config, f, data)
		})
	}
	t.Run("without descriptor", func(t *testing.T) {
		t.Parallel()
		testRegions(t, Config{}, &file{data: data}, data)
	})
}

func testRegions(t *testing.T, config Config, f *file, data []byte) {
	s, addr := startServer(t, config, &handler{frame: regions(f)})
	nc := dial(t, addr)
	rnd := rand.New(rand.NewPCG(7, 7))
	for range 60 {
		request, want := ask(rnd, data, rnd.IntN(5))
		if got := call(t, nc, request); sha256.Sum256(got) != sha256.Sum256(want) {
			t.Fatalf("answer of %d bytes differs from the file's %d", len(got), len(want))
		}
	}
	s.Close()
	f.wantReleased(t)
}

func TestTruncatedFileClosesConnection(t *testing.T) {
	t.Parallel()
	f := newFile(t, pattern(1, 1<<20))
	causes := make(chan error, 1)
	_, addr := startServer(t, Config{}, &handler{
		frame:  regions(f),
		closed: func(_ *Conn, cause error) { causes <- cause },
	})
	if err := f.f.Truncate(100 << 10); err != nil {
		t.Fatal(err)
	}
	nc := dial(t, addr)
	request := binary.BigEndian.AppendUint64(nil, 0)
	request = binary.BigEndian.AppendUint64(request, 1<<20)
	if _, err := nc.Write(framed(request)); err != nil {
		t.Fatal(err)
	}
	if got := len(wantClosed(t, nc)); got > 101<<10 {
		t.Fatalf("%d bytes came from a file of 100 KiB", got)
	}
	if cause := <-causes; !errors.Is(cause, ErrTruncated) {
		t.Fatalf("cause is %v", cause)
	}
	f.wantReleased(t)
}

func TestDrain(t *testing.T) {
	t.Parallel()
	pending := make(chan *Conn, 1)
	h := &handler{frame: func(c *Conn, frame []byte) {
		if string(frame) != "wait" {
			echo(c, frame)
			return
		}
		c.Keep()
		pending <- c
	}}
	// One reactor: that the idle connection is closed tells that the busy one is draining, too.
	s, addr := startServer(t, Config{Reactors: 1}, h)
	idle, busy := dial(t, addr), dial(t, addr)
	call(t, idle, []byte("hello"))
	if _, err := busy.Write(append(framed([]byte("wait")), framed([]byte("late"))...)); err != nil {
		t.Fatal(err)
	}
	c := <-pending
	drained := make(chan error)
	go func() { drained <- s.Drain(context.Background()) }()
	wantClosed(t, idle)
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("a connection was accepted while draining")
	}
	c.Reactor().Post(&Task{Run: func() {
		c.Chain().Buf = append(c.Chain().Buf, "done"...)
		c.Respond()
	}})
	if got := wantClosed(t, busy); !bytes.Equal(got, framed([]byte("done"))) {
		t.Errorf("got %q", got)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if h.opens.Load() != 2 || h.closes.Load() != 2 {
		t.Errorf("%d opened, %d closed", h.opens.Load(), h.closes.Load())
	}
}

func TestDrainIsCutOff(t *testing.T) {
	t.Parallel()
	pending := make(chan struct{})
	h := &handler{frame: func(*Conn, []byte) { close(pending) }}
	s, addr := startServer(t, Config{}, h)
	nc := dial(t, addr)
	if _, err := nc.Write(framed([]byte("for ever"))); err != nil {
		t.Fatal(err)
	}
	<-pending
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Drain(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("drain says %v", err)
	}
	if h.closes.Load() != 1 {
		t.Error("the connection was not closed")
	}
	wantClosed(t, nc)
}
