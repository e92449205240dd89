package netpoll

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestPortTaken(t *testing.T) {
	t.Parallel()
	_, addr := startServer(t, Config{}, &handler{frame: echo})
	_, err := Listen(Config{Listeners: []Listener{
		{Name: "FREE", Address: "127.0.0.1:0"}, {Name: "TAKEN", Address: addr},
	}})
	if err == nil || !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(err.Error(),
		"listener TAKEN cannot use "+addr+": another process has that port") {
		t.Errorf("error is %v", err)
	}
}

func TestImpossibleConfig(t *testing.T) {
	t.Parallel()
	f := func(want string, config Config) {
		t.Helper()
		if _, err := Listen(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	f("no listener", Config{})
	f(`"A" is used twice`, Config{Listeners: []Listener{{Name: "A"}, {Name: "A"}}})
	f("listener B cannot use 127.0.0.1:x", Config{
		Listeners: []Listener{{Name: "B", Address: "127.0.0.1:x"}},
	})
}

func TestCloseWithoutStart(t *testing.T) {
	t.Parallel()
	s, err := Listen(Config{Listeners: []Listener{{Name: "A", Address: "127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.Close()
}

// Several listeners serve side by side, and a connection knows which one accepted it.
func TestListeners(t *testing.T) {
	t.Parallel()
	h := &handler{frame: func(c *Conn, _ []byte) {
		c.Chain().Buf = append(c.Chain().Buf, c.Listener()+" "+c.Peer().String()+" "+
			c.Local().String()...)
		c.Respond()
	}}
	s, _ := startServer(t, Config{Listeners: []Listener{
		{Name: "INSIDE", Address: "127.0.0.1:0"}, {Name: "OUTSIDE", Address: ":0"},
	}}, h)
	for _, name := range []string{"INSIDE", "OUTSIDE"} {
		port := s.Addr(name).(*net.TCPAddr).AddrPort().Port()
		nc := dial(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String())
		want := name + " " + nc.LocalAddr().String() + " " + nc.RemoteAddr().String()
		if got := string(call(t, nc, nil)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if s.Addr("NONE") != nil {
		t.Error("an unknown listener has an address")
	}
}

// max.connections.per.ip and its overrides: one more is closed at once, with a line that says why.
func TestConnectionsPerIP(t *testing.T) {
	t.Parallel()
	f := func(limit int, config Config) {
		t.Helper()
		var log lockedBuffer
		config.Logger = slog.New(slog.NewTextHandler(&log, nil))
		s, addr := startServer(t, config, &handler{frame: echo})
		var open []*net.TCPConn
		for range limit {
			nc := dial(t, addr)
			call(t, nc, []byte("hello"))
			open = append(open, nc)
		}
		for range 3 {
			wantClosed(t, dial(t, addr))
		}
		if n := s.Stats().RefusedPerIP.Load(); n != 3 {
			t.Errorf("%d were refused", n)
		}
		if got := log.String(); strings.Count(got, "\n") != 1 ||
			!strings.Contains(got, "peer=127.0.0.1") {
			t.Errorf("want one line that names the peer, got %q", got)
		}
		if limit == 0 {
			return
		}
		_ = open[0].Close()
		eventually(t, "the connection is released", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.connections == limit-1
		})
		call(t, dial(t, addr), []byte("hello"))
	}
	local := netip.MustParseAddr("127.0.0.1")
	f(2, Config{ConnectionsPerIPMax: 2})
	f(3, Config{
		ConnectionsPerIPMax: 1, ConnectionsPerIPOverrides: map[netip.Addr]int{local: 3},
	})
	f(0, Config{ConnectionsPerIPOverrides: map[netip.Addr]int{local: 0}})
}

type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// At max.connections, the broker's or the listener's, new connections wait until one closes.
func TestConnectionsMax(t *testing.T) {
	t.Parallel()
	f := func(config Config) {
		t.Helper()
		s, addr := startServer(t, config, &handler{frame: echo})
		first, second := dial(t, addr), dial(t, addr)
		call(t, first, []byte("hello"))
		call(t, second, []byte("hello"))
		third := dial(t, addr)
		if _, err := third.Write(framed([]byte("hello"))); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the listener is full", func() bool { return s.Stats().Full.Load() == 1 })
		if n := s.Stats().Accepted.Load(); n != 2 {
			t.Fatalf("%d were accepted", n)
		}
		_ = first.Close()
		if got, err := readFrame(third); err != nil || string(got) != "hello" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	f(Config{ConnectionsMax: 2})
	f(Config{Listeners: []Listener{{Name: "A", Address: "127.0.0.1:0", ConnectionsMax: 2}}})
}

// Out of descriptors, the listener closes who waits instead of spinning.
func TestShed(t *testing.T) {
	t.Parallel()
	s, err := Listen(Config{
		Listeners: []Listener{{Name: "A", Address: "127.0.0.1:0"}},
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l := s.listeners[0]
	l.openSpare()
	defer l.closeSpare()
	nc := dial(t, s.Addr("A").String())
	l.afterError(unix.EMFILE)
	wantClosed(t, nc)
	if s.Stats().Shed.Load() != 1 || l.spare < 0 {
		t.Errorf("%d shed, spare %d", s.Stats().Shed.Load(), l.spare)
	}
}

func TestIdleCloseOverSocket(t *testing.T) {
	t.Parallel()
	causes := make(chan error, 1)
	_, addr := startServer(t, Config{IdleMax: 20 * time.Millisecond}, &handler{
		frame: echo, closed: func(_ *Conn, cause error) { causes <- cause },
	})
	wantClosed(t, dial(t, addr))
	if cause := <-causes; cause != ErrIdle {
		t.Errorf("cause is %v", cause)
	}
}

// New connections go to the reactor that moved the fewest bytes lately.
func TestSpread(t *testing.T) {
	t.Parallel()
	h := &handler{frame: func(c *Conn, _ []byte) {
		c.Chain().Buf = append(c.Chain().Buf, byte(c.Reactor().Index()))
		c.Respond()
	}}
	_, addr := startServer(t, Config{Reactors: 3}, h)
	on := map[byte]int{}
	for range 9 {
		on[call(t, dial(t, addr), nil)[0]]++
	}
	if on[0] != 3 || on[1] != 3 || on[2] != 3 {
		t.Errorf("spread is %v", on)
	}
}

// A reactor that moves much gets no connection while another moves little; traffic that has ended,
// a connection's that was closed for one, counts no more; and connections that come at once are
// spread before any of them has shown what it moves.
func TestPick(t *testing.T) {
	t.Parallel()
	s, err := Listen(Config{
		Listeners: []Listener{{Name: "T", Address: "127.0.0.1:0"}}, Reactors: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	nowNs := int64(1e9)
	for _, r := range s.reactors {
		r.clock = func() int64 { return nowNs }
		r.traffic.beganNs = nowNs
	}
	f := func(what string, want ...int) {
		t.Helper()
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, index := range want {
			if got := s.pick().index; got != index {
				t.Errorf("%s: connection %d went to reactor %d", what, i, got)
			}
		}
	}
	f("at rest", 0, 1, 0, 1)
	nowNs += 4 * trafficWindowNs
	s.reactors[0].traffic.count(1<<30, nowNs)
	f("beside the busy one", 1, 1, 1, 1, 0, 1, 0, 1)
	nowNs += 4 * trafficWindowNs
	f("after the traffic has ended", 0, 0, 0, 0, 0, 1)
}

// A window's rate is published when it is over.
func TestTrafficRate(t *testing.T) {
	t.Parallel()
	var tr traffic
	tr.count(1000, trafficWindowNs-1)
	if n := tr.recent(trafficWindowNs); n != 0 {
		t.Errorf("%d bytes a second before the window is over", n)
	}
	tr.count(1000, 2*trafficWindowNs)
	if n := tr.recent(5 * trafficWindowNs); n != 20000 {
		t.Errorf("%d bytes a second", n)
	}
	if n := tr.recent(5*trafficWindowNs + 1); n != 0 {
		t.Errorf("%d bytes a second long after", n)
	}
}

// A peer that resets the connection frees it although its request is still in process.
func TestResetUnderRequest(t *testing.T) {
	t.Parallel()
	pending, closed := make(chan *Conn, 1), make(chan error, 1)
	_, addr := startServer(t, Config{}, &handler{
		frame:  func(c *Conn, _ []byte) { c.Keep(); pending <- c },
		closed: func(_ *Conn, cause error) { closed <- cause },
	})
	nc := dial(t, addr)
	if _, err := nc.Write(framed([]byte("poll"))); err != nil {
		t.Fatal(err)
	}
	c := <-pending
	_ = nc.SetLinger(0)
	_ = nc.Close()
	if cause := <-closed; !errors.Is(cause, ErrPeerClosed) {
		t.Errorf("cause is %v", cause)
	}
	c.Reactor().Post(&Task{Run: c.Respond})
}

// A peer that half-closes after its request gets the answer.
func TestHalfCloseOverSocket(t *testing.T) {
	t.Parallel()
	_, addr := startServer(t, Config{}, &handler{frame: echo})
	nc := dial(t, addr)
	if _, err := nc.Write(framed([]byte("last words"))); err != nil {
		t.Fatal(err)
	}
	_ = nc.CloseWrite()
	if got := wantClosed(t, nc); !bytes.Equal(got, framed([]byte("last words"))) {
		t.Errorf("got %q", got)
	}
}

// A reader that does not read its 64 MiB holds nobody up.
func TestSlowReaderOverSocket(t *testing.T) {
	t.Parallel()
	f := newFile(t, make([]byte, 64<<20))
	s, addr := startServer(t, Config{Reactors: 1}, &handler{frame: regions(f)})
	slow, quick := dial(t, addr), dial(t, addr)
	request := binary.BigEndian.AppendUint64(nil, 0)
	request = binary.BigEndian.AppendUint64(request, 64<<20)
	for range 4 {
		if _, err := slow.Write(framed(request)); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		call(t, quick, nil)
	}
	if n := f.refs.Load(); n > 1 {
		t.Errorf("%d regions are pinned", n)
	}
	got, err := io.CopyN(io.Discard, slow, 4*(64<<20+11))
	if err != nil {
		t.Fatalf("after %d bytes: %v", got, err)
	}
	s.Close()
	f.wantReleased(t)
}

// worker ends requests on other goroutines, through the mailbox.
type worker struct {
	task  Task
	conn  *Conn
	frame []byte
}

func TestCompletionFromOtherGoroutines(t *testing.T) {
	t.Parallel()
	jobs := make(chan *worker, 64)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for w := range jobs {
				w.conn.chain.Buf = append(w.conn.chain.Buf, w.frame...)
				w.conn.reactor.Post(&w.task)
			}
		})
	}
	h := &handler{
		open: func(c *Conn) {
			w := &worker{conn: c}
			w.task.Run = c.Respond
			c.User = w
		},
		frame: func(c *Conn, _ []byte) {
			w := c.User.(*worker)
			w.frame = c.Keep()
			c.Chain()
			jobs <- w
		},
	}
	s, addr := startServer(t, Config{}, h)
	var clients sync.WaitGroup
	for i := range 8 {
		nc := dial(t, addr)
		clients.Go(func() { pipeline(t, nc, i) })
	}
	clients.Wait()
	s.Close()
	close(jobs)
	workers.Wait()
}

// In steady state neither small requests nor large ones nor regions allocate. Not parallel: it
// counts the whole process's allocations.
func TestNoAllocation(t *testing.T) {
	f := newFile(t, make([]byte, 1<<20))
	_, addr := startServer(t, Config{Reactors: 1}, &handler{frame: func(c *Conn, _ []byte) {
		frame := c.Keep()
		c.Chain().Buf = append(c.Chain().Buf, frame[:4]...)
		c.Chain().Region(f.take(), 0, int64(binary.BigEndian.Uint32(frame)))
		if len(frame) > 1<<20 {
			c.Mute(time.Millisecond)
		}
		c.Respond()
	}})
	fd := blockingFd(t, dial(t, addr))
	measure := func(requests, size, region int) {
		t.Helper()
		request := framed(append(binary.BigEndian.AppendUint32(nil, uint32(region)),
			make([]byte, size)...))
		answer := make([]byte, FrameHeadBytes+4+region)
		for range 20 {
			callFd(t, fd, request, answer)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range requests {
			callFd(t, fd, request, answer)
		}
		runtime.ReadMemStats(&after)
		// A few come from the runtime's own goroutines.
		if n := after.Mallocs - before.Mallocs; n > uint64(max(requests/100, 20)) {
			t.Errorf("%d allocations in %d requests of %d bytes for %d", n, requests, size, region)
		}
	}
	measure(5000, 100, 0)
	measure(5000, 100, 100)
	measure(5000, 0, 64<<10)
	measure(200, 100<<10, 0)
	measure(200, 2<<20, 1<<20)
}

// blockingFd returns a descriptor of the connection on which calls block.
func blockingFd(t *testing.T, nc *net.TCPConn) int {
	t.Helper()
	f, err := nc.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return int(f.Fd())
}

// callFd sends a request and receives as many bytes as answer has, without allocating.
func callFd(t *testing.T, fd int, request, answer []byte) {
	t.Helper()
	for len(request) > 0 {
		n, err := unix.Write(fd, request)
		if err != nil {
			t.Fatal(err)
		}
		request = request[n:]
	}
	for len(answer) > 0 {
		n, err := unix.Read(fd, answer)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		answer = answer[n:]
	}
}
