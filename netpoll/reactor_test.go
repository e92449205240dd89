package netpoll

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// recorder keeps copies of frames and answers each at once with its length.
type recorder struct {
	handler
	frames [][]byte
	causes []error
}

func newRecorder() *recorder {
	r := new(recorder)
	r.frame = func(c *Conn, frame []byte) {
		r.frames = append(r.frames, bytes.Clone(frame))
		c.Chain().Buf = binary.BigEndian.AppendUint32(c.Chain().Buf, uint32(len(frame)))
		c.Respond()
	}
	r.closed = func(_ *Conn, cause error) { r.causes = append(r.causes, cause) }
	return r
}

func stream(frames ...[]byte) (b []byte) {
	for _, f := range frames {
		b = append(b, framed(f)...)
	}
	return b
}

func wantFrames(t *testing.T, got, want [][]byte) {
	t.Helper()
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Fatalf("%d frames came, of %d, or they differ", len(got), len(want))
	}
}

// Frames come whole however TCP cuts them: here at each place, and into single bytes.
func TestFragmentation(t *testing.T) {
	t.Parallel()
	frames := [][]byte{{}, pattern(1, 5), pattern(2, 300), {}, pattern(3, 1)}
	all := stream(frames...)
	for cut := range len(all) + 1 {
		h := newRecorder()
		f := newFake(t, Config{}, h, 1)
		c := f.connect()
		c.in = all[:cut]
		f.run()
		c.in = all[cut:]
		f.run()
		wantFrames(t, h.frames, frames)
		if c.input.stash != nil || c.input.kept != nil {
			t.Fatal("an idle connection holds a buffer")
		}
	}
	h := newRecorder()
	f := newFake(t, Config{}, h, 1)
	c := f.connect()
	c.in, c.chunkMax = all, 1
	f.run()
	wantFrames(t, h.frames, frames)
}

// Large frames are received into their own memory, cut anywhere.
func TestLargeFrames(t *testing.T) {
	t.Parallel()
	var frames [][]byte
	for i, n := range []int{1 << 20, 10, 300 << 10, 256 << 10, 256<<10 - 4, 9 << 20, 3, 70 << 10} {
		frames = append(frames, pattern(i, n))
	}
	for _, chunkMax := range []int{0, 100_003, 17_001} {
		h := newRecorder()
		f := newFake(t, Config{}, h, 1)
		c := f.connect()
		c.in, c.chunkMax = stream(frames...), chunkMax
		f.run()
		wantFrames(t, h.frames, frames)
	}
}

// FuzzFrames compares the frames handed out with a plain splitter, for any bytes cut in any way.
func FuzzFrames(f *testing.F) {
	f.Add(stream(pattern(1, 3), pattern(2, 70)), uint64(1), uint16(7))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint64(2), uint16(3))
	f.Add([]byte{0x16, 3, 1, 2, 0, 1, 0, 1}, uint64(3), uint16(1))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, uint64(4), uint16(2))
	f.Add(stream(nil, nil, pattern(9, 1000))[:900], uint64(5), uint16(400))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64, chunkMax uint16) {
		const cap = 2000
		h := newRecorder()
		fk := newFake(t, Config{RequestBytesMax: cap}, h, seed)
		c := fk.connect()
		c.in, c.chunkMax, c.eof = in, int(chunkMax), true
		fk.run()
		var want [][]byte
		rest, bad := in, false
		for len(rest) >= 4 && !bad {
			n := int32(binary.BigEndian.Uint32(rest))
			if bad = n < 0 || n > cap; bad || int(n) > len(rest)-4 {
				break
			}
			want = append(want, rest[4:4+n])
			rest = rest[4+n:]
		}
		wantFrames(t, h.frames, want)
		if len(h.causes) != 1 {
			t.Fatalf("closed %d times", len(h.causes))
		}
		cause := h.causes[0]
		if errors.Is(cause, ErrFrameSize) != bad || errors.Is(cause, ErrPeerClosed) == bad ||
			errors.Is(cause, io.ErrUnexpectedEOF) != (!bad && len(rest) > 0) {
			t.Fatalf("cause is %v with %d bytes left", cause, len(rest))
		}
		if c.out.Len() != 8*len(want) {
			t.Fatalf("%d bytes answered %d requests", c.out.Len(), len(want))
		}
	})
}

// A frame of a negative or too large size closes the connection (Kafka's NetworkReceive), with one
// line that names the peer and, where that is plain, its protocol.
func TestGarbage(t *testing.T) {
	t.Parallel()
	f := func(in, want string) {
		t.Helper()
		var log bytes.Buffer
		h := newRecorder()
		fk := newFake(t, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, h, 1)
		for range 3 {
			c := fk.connect()
			c.in = []byte(in)
			fk.run()
			if !c.gone {
				t.Fatalf("%q did not close the connection", in)
			}
		}
		if len(h.causes) != 3 || !errors.Is(h.causes[0], ErrFrameSize) || len(h.frames) != 0 {
			t.Fatalf("%q: causes %v, %d frames", in, h.causes, len(h.frames))
		}
		line := log.String()
		if strings.Count(line, "\n") != 1 {
			t.Errorf("%q: want one line, got %q", in, line)
		}
		if !strings.Contains(line, "192.0.2.1:1234") || !strings.Contains(line, want) {
			t.Errorf("%q: line %q lacks peer or %q", in, line, want)
		}
	}
	f("\xff\xff\xff\xff", "invalid frame length: -1")
	f("\x80\x00\x00\x00", "-2147483648")
	f("\x06\x40\x00\x01", "104857601")
	f("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "TLS")
	f("GET / HTTP/1.1\r\n", "HTTP")
	f("POST /topics HTTP/1.1\r\n", "HTTP")
}

// A limit for one connection holds below the server's, and never above.
func TestSetFrameMax(t *testing.T) {
	t.Parallel()
	h := newRecorder()
	h.open = func(c *Conn) { c.SetFrameMax(100) }
	f := newFake(t, Config{RequestBytesMax: 1000}, h, 1)
	c := f.connect()
	c.in = framed(pattern(1, 100))
	f.run()
	c.SetFrameMax(1 << 30)
	c.in = framed(pattern(1, 1000))
	f.run()
	if c.gone || len(h.frames) != 2 {
		t.Fatal("a frame within the bound was refused")
	}
	c.in = framed(pattern(1, 1001))
	f.run()
	if !c.gone {
		t.Error("a frame over the server's bound was taken")
	}
}

// late ends requests after the Frame call, in random order and ways, on several connections.
type late struct {
	handler
	t       *testing.T
	rnd     *rand.Rand
	pending []func()
	running map[*Conn]bool
}

func newLate(t *testing.T, seed uint64) *late {
	l := &late{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), running: map[*Conn]bool{}}
	l.frame = func(c *Conn, frame []byte) {
		if l.running[c] {
			t.Fatal("two requests of one connection are in process")
		}
		want := bytes.Clone(frame)
		end := func() {
			l.running[c] = false
			if !bytes.Equal(frame, want) {
				t.Fatal("a lent frame changed")
			}
			if len(frame) > 0 && frame[0] == 'x' {
				c.Done()
				return
			}
			c.Chain().Buf = append(c.Chain().Buf, frame...)
			c.Respond()
		}
		l.running[c] = true
		if l.rnd.IntN(2) == 0 {
			end()
			return
		}
		frame = c.Keep()
		l.pending = append(l.pending, end)
	}
	return l
}

// Responses leave in the order of requests, one request at a time is in process, and a kept frame
// stays as it was, however late the requests end (Kafka's SocketServer).
func TestOrderWithLateCompletion(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		l := newLate(t, seed)
		f := newFake(t, Config{}, l, seed)
		var want [][]byte
		for i := range 5 {
			c := f.connect()
			c.chunkMax = l.rnd.IntN(3) * 1000
			var answers []byte
			for range 50 {
				frame := pattern(i, 1+l.rnd.IntN(1<<l.rnd.IntN(12)))
				if l.rnd.IntN(100) == 0 {
					frame = pattern(i, 1+l.rnd.IntN(400<<10))
				}
				frame[0] = "xyzz"[l.rnd.IntN(4)]
				c.in = append(c.in, framed(frame)...)
				if frame[0] != 'x' {
					answers = append(answers, framed(frame)...)
				}
			}
			want = append(want, answers)
		}
		for f.run(); len(l.pending) > 0; f.run() {
			i := l.rnd.IntN(len(l.pending))
			end := l.pending[i]
			l.pending = slices.Delete(l.pending, i, i+1)
			end()
		}
		for i, c := range f.conns {
			if !bytes.Equal(c.out.Bytes(), want[i]) {
				t.Fatalf("seed %d: connection %d got other answers", seed, i)
			}
		}
	}
}

// Requests that had to wait lie in 512 bytes of memory, and the next one begins at each place near
// their end, of which each part has come.
func TestStashEndsAnywhere(t *testing.T) {
	t.Parallel()
	for begin := 500; begin <= 512; begin++ {
		for cut := begin; cut <= 512; cut++ {
			testStashEnd(t, begin, cut)
		}
	}
}

func testStashEnd(t *testing.T, begin, cut int) {
	t.Helper()
	var pending []*Conn
	h := newRecorder()
	h.frame = func(c *Conn, frame []byte) {
		h.frames = append(h.frames, bytes.Clone(frame))
		pending = append(pending, c)
	}
	f := newFake(t, Config{}, h, 1)
	c := f.connect()
	frames := [][]byte{
		pattern(1, 10), pattern(2, begin-FrameHeadBytes), pattern(3, 30), pattern(4, 900),
	}
	first := FrameHeadBytes + 10 + cut
	all := stream(frames...)
	c.in = all[:first]
	f.run()
	rest := all[first:]
	for f.run(); len(pending) > 0; f.run() {
		if len(pending) > 0 && len(h.frames) == 2 {
			c.in, rest = rest, nil
		}
		pending[0].Done()
		pending = pending[1:]
	}
	wantFrames(t, h.frames, frames)
}

// A frame that was not kept, or whose request ended, is overwritten.
func TestPoison(t *testing.T) {
	t.Parallel()
	var kept, unkept []byte
	h := &handler{frame: func(c *Conn, frame []byte) {
		if frame[0] == 'k' {
			kept = c.Keep()
		} else {
			unkept = frame
		}
	}}
	f := newFake(t, Config{}, h, 1)
	a, b := f.connect(), f.connect()
	// Without their last byte first, so that the frames lie in chunks, which the fake leaves alone.
	a.in, b.in = framed([]byte("kept"))[:7], framed([]byte("gone"))[:7]
	f.run()
	a.in, b.in = []byte("t"), []byte("e")
	f.run()
	poisoned := bytes.Repeat([]byte{poisonByte}, 4)
	if string(kept) != "kept" || !bytes.Equal(unkept, poisoned) {
		t.Fatalf("while pending: kept %q, other %q", kept, unkept)
	}
	a.Done()
	if !bytes.Equal(kept, poisoned) {
		t.Fatalf("after the end: %q", kept)
	}
}

// A connection that is lost under a request keeps its frame until the request ends.
func TestClosedUnderRequest(t *testing.T) {
	t.Parallel()
	var frame []byte
	h := newRecorder()
	h.frame = func(c *Conn, _ []byte) { frame = c.Keep() }
	src := &file{data: pattern(1, 100<<10)}
	f := newFake(t, Config{}, h, 1)
	c := f.connect()
	c.in = stream([]byte("first"), []byte("second"))
	f.run()
	f.r.lose(c.Conn, io.ErrClosedPipe)
	f.run()
	if !c.gone || len(h.causes) != 1 || !c.Closed() {
		t.Fatal("the connection was not closed")
	}
	if string(frame) != "first" || f.r.orphans != 1 {
		t.Fatalf("frame is %q, %d orphans", frame, f.r.orphans)
	}
	c.Chain().Region(src.take(), 0, 100<<10)
	c.Respond()
	src.wantReleased(t)
	f.run()
	if f.r.orphans != 0 || len(h.causes) != 1 {
		t.Fatal("the request's end was not taken in")
	}
}

// Responses to requests that came before the peer's FIN are still sent (half-close).
func TestHalfClose(t *testing.T) {
	t.Parallel()
	h := newRecorder()
	f := newFake(t, Config{}, h, 1)
	c := f.connect()
	c.window = 5
	c.in, c.eof = stream([]byte("one"), []byte("two")), true
	f.run()
	if c.gone {
		t.Fatal("closed with answers unsent")
	}
	c.window = openWindow
	f.run()
	if !c.gone || c.out.Len() != 16 || !errors.Is(h.causes[0], ErrPeerClosed) {
		t.Fatalf("gone %v, %d bytes came, causes %v", c.gone, c.out.Len(), h.causes)
	}
}

// Close lets earlier responses leave and hands out nothing more.
func TestCloseAfterOutput(t *testing.T) {
	t.Parallel()
	cause := errors.New("refused")
	h := newRecorder()
	record := h.frame
	h.frame = func(c *Conn, frame []byte) {
		if string(frame) == "bad" {
			c.Close(cause)
			if h.closes.Load() != 0 {
				t.Error("Closed was called from inside Frame")
			}
			return
		}
		record(c, frame)
	}
	f := newFake(t, Config{}, h, 1)
	c := f.connect()
	c.window = 3
	c.in = stream([]byte("good"), []byte("bad"), []byte("good"))
	f.run()
	c.window = openWindow
	f.run()
	if !c.gone || c.out.Len() != 8 || len(h.frames) != 1 || h.causes[0] != cause {
		t.Fatalf("gone %v, %d bytes, %d frames, %v", c.gone, c.out.Len(), len(h.frames), h.causes)
	}
}

// A reader that takes nothing holds up its own requests only, and pins a bounded number of bytes.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	const size = 3000
	h := &handler{frame: echo}
	f := newFake(t, Config{}, h, 1)
	slow, quick := f.connect(), f.connect()
	slow.window = 0
	request := pattern(1, size)
	for range 500 {
		slow.in = append(slow.in, framed(request)...)
	}
	f.run()
	if got := slow.output.bytes; got > ConnQueueBytesMax+size+FrameHeadBytes || got < size {
		t.Fatalf("%d bytes are queued", got)
	}
	if slow.receiving {
		t.Fatal("requests of a slow reader are still read")
	}
	quick.in = framed(request)
	f.run()
	if quick.out.Len() != len(framed(request)) {
		t.Fatal("a slow reader held another one up")
	}
	for slow.out.Len() < 500*len(framed(request)) {
		slow.window = 10_000
		before := slow.out.Len()
		f.run()
		if slow.out.Len() == before {
			t.Fatalf("stuck after %d bytes", before)
		}
	}
}

// One response with regions is in process at a time.
func TestSlowReaderOfRegions(t *testing.T) {
	t.Parallel()
	src := &file{data: pattern(1, 1<<20)}
	h := &handler{frame: regions(src)}
	f := newFake(t, Config{}, h, 1)
	c := f.connect()
	c.window = 100
	request := binary.BigEndian.AppendUint64(nil, 0)
	request = binary.BigEndian.AppendUint64(request, 1<<20)
	c.in = stream(request, request, request)
	f.run()
	if n := src.refs.Load(); n != 1 {
		t.Fatalf("%d regions are pinned by one slow reader", n)
	}
	c.window = openWindow
	f.run()
	src.wantReleased(t)
	if c.out.Len() != 3*(4+4+1<<20+3) {
		t.Fatalf("%d bytes came", c.out.Len())
	}
}

// Sent tells of each response when its last byte has left, in order.
func TestSentHook(t *testing.T) {
	t.Parallel()
	var notes []string
	h := &handler{}
	h.frame = func(c *Conn, frame []byte) {
		c.Chain().Note = uint64(frame[0])
		echo(c, frame)
	}
	h.sent = func(_ *Conn, s Sent) {
		notes = append(notes, fmt.Sprintf("%c %d bytes, queued after %v, sent after %v",
			rune(s.Note), s.Bytes,
			time.Duration(s.QueuedNs-s.ArrivedNs), time.Duration(s.SentNs-s.ArrivedNs)))
	}
	f := newFake(t, Config{}, h, 1)
	c := f.connect()
	c.window = 7
	c.in = stream([]byte("a"), []byte("bc"))
	f.run()
	f.nowNs += int64(time.Second)
	c.window = openWindow
	f.run()
	want := []string{
		"a 5 bytes, queued after 0s, sent after 0s", "b 6 bytes, queued after 0s, sent after 1s",
	}
	if !slices.Equal(notes, want) {
		t.Errorf("got %q", notes)
	}
}
