package load

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"sluice/benchmarks/drive"
)

type connState uint8

const (
	connDown connState = iota
	connConnecting
	connUp
)

// How long a lost connection waits before it is tried again: doubled each time, up to a bound.
const (
	backoffMin = int64(50 * time.Millisecond)
	backoffMax = int64(time.Second)
)

// turnBytesMax is how much a connection receives before the others have their turn.
const turnBytesMax = 256 << 10

// stepBytesMax bounds a transfer where there is a schedule: on loopback a call copies, and does the
// receiver's work as well, at some 5 GB/s.
const stepBytesMax = 64 << 10

var (
	errPeerClosed = errors.New("the broker closed the connection")
	errBadAnswer  = errors.New("the answer does not parse")
)

// role is what a connection is for.
type role interface {
	// up says that the connection stands, down that it is lost together with all requests in
	// flight.
	up(now int64)
	down(now int64)
	// receive reads once and handles what came. It returns the time after reading and whether
	// there may be more.
	receive() (now int64, more bool, err error)
	// pump sends what may be sent.
	pump(now int64) error
	// pendingRequests is how many requests the end of the run has to wait for.
	pendingRequests() int
	// needed reports whether there is anything to do; otherwise a lost connection is left alone.
	needed() bool
	// abandon counts what is unanswered at the end of the run.
	abandon()
}

// conn is a connection of a thread, with what is to be sent through it. Bytes go out in the order
// out, then body; a request may be added only while body is empty.
type conn struct {
	t          *thread
	role       role
	slot       int32
	generation int32
	broker     int32
	fd         int
	state      connState

	readable, writable bool
	// ended is set once an event said that a FIN came: then a short read does not mean that the
	// socket is empty, since the edge for the end came with the bytes before it.
	ended  bool
	listed bool
	// wakeAt is when to reconnect, or to look again; 0: not at all.
	wakeAt  int64
	waiting bool
	backoff int64

	out    []byte
	outAt  int
	body   []byte
	bodyAt int
}

// connect begins to connect to where the broker is now.
func (c *conn) connect(now int64) {
	if !c.role.needed() {
		return
	}
	c.generation++
	c.readable, c.writable, c.ended = false, false, false
	addr, ok := c.t.s.layout.Load().brokers[c.broker]
	if !ok {
		c.failed(now, drive.ErrorConnectRefused)
		return
	}
	fd, err := dial(addr)
	if err == nil {
		if err = c.t.poller.add(fd, c.slot, c.generation); err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		c.failed(now, drive.ErrorConnectRefused)
		return
	}
	c.fd, c.state = fd, connConnecting
}

// failed counts a connection that could not be made or was lost, and sets the time of the next try.
func (c *conn) failed(now int64, name string) {
	c.state = connDown
	c.t.fail(now, name, 1)
	c.backoff = min(max(2*c.backoff, backoffMin), backoffMax)
	c.t.wakeLater(c, now+c.backoff)
	c.t.s.refresh()
}

// established finishes a connect.
func (c *conn) established(now int64) {
	if err := pending(c.fd); err != nil {
		unix.Close(c.fd)
		c.failed(now, drive.ErrorConnectRefused)
		return
	}
	c.state, c.backoff = connUp, 0
	c.t.gauges.up.Add(1)
	c.role.up(now)
}

// lose gives a connection up for an error.
func (c *conn) lose(now int64, err error) {
	if c.state != connUp {
		return
	}
	c.t.gauges.up.Add(-1)
	unix.Close(c.fd)
	c.out, c.outAt, c.body, c.bodyAt = c.out[:0], 0, nil, 0
	name := drive.ErrorConnectionLost
	if errors.Is(err, errBadAnswer) {
		name = drive.ErrorBadAnswer
	}
	c.failed(now, name)
	c.role.down(now)
}

// close ends the connection for good.
func (c *conn) close() {
	if c.state != connDown {
		unix.Close(c.fd)
		c.state = connDown
	}
}

// serve is a connection's turn.
func (c *conn) serve(now int64) {
	if c.state == connConnecting && c.writable {
		c.established(now)
	}
	if c.state != connUp {
		return
	}
	if c.readable {
		at, more, err := c.role.receive()
		now = at
		if err != nil {
			c.lose(now, err)
			return
		}
		c.readable = more
	}
	if err := c.role.pump(now); err != nil {
		c.lose(now, err)
		return
	}
	if c.readable && c.state == connUp {
		c.t.list(c)
	}
}

// sent reports whether everything that was to be sent has been handed to the kernel.
func (c *conn) sent() bool { return len(c.out) == 0 && c.body == nil }

// flush sends what is there, until the socket takes no more.
func (c *conn) flush() error {
	for c.writable && !c.sent() {
		var body []byte
		if c.body != nil {
			body = c.body[c.bodyAt:]
		}
		if c.t.s.open && len(body) > stepBytesMax {
			body = body[:stepBytesMax]
		}
		n, errno := c.t.message.send(c.fd, c.out[c.outAt:], body)
		switch errno {
		case 0:
			c.advance(n)
			c.t.keepUp(0)
		case unix.EAGAIN:
			c.writable = false
		case unix.EINTR:
		default:
			return errno
		}
	}
	return nil
}

// advance notes that n bytes have gone.
func (c *conn) advance(n int) {
	head := min(n, len(c.out)-c.outAt)
	c.outAt += head
	c.bodyAt += n - head
	if c.outAt == len(c.out) {
		c.out, c.outAt = c.out[:0], 0
	}
	if c.body != nil && c.bodyAt == len(c.body) {
		c.body, c.bodyAt = nil, 0
	}
}
