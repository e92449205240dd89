package netpoll

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"
)

// Handler is the broker's side of the connections. All calls for one connection come from its
// reactor's goroutine and must not block.
type Handler interface {
	// Open announces a new connection. It may set c.User once.
	Open(c *Conn)
	// Frame brings one whole request, without its length. The frame is lent until Frame returns, or
	// until the request ends when Conn.Keep was called; it may be written to. Before it returns, or
	// later on the reactor (Reactor.Post), the request is ended by exactly one of Conn.Respond,
	// Conn.Done and Conn.Close.
	Frame(c *Conn, frame []byte)
	// Closed tells that the connection is gone; it is the last call about it, and comes once for
	// each Open. A request that is still in process then must be ended all the same (Respond then
	// only releases what the chain holds), since its frame stays lent until that.
	Closed(c *Conn, cause error)
}

// SentHandler may be implemented by a Handler that wants to know when responses have left.
type SentHandler interface {
	// Sent tells that the last byte of a response was taken by the socket. It is called on the
	// connection's reactor; responses lost with their connection are not reported.
	Sent(c *Conn, sent Sent)
}

// Sent is the story of a response. Times are readings of Reactor.Now.
type Sent struct {
	Note      uint64 // Chain.Note
	Bytes     int64  // length of the frame with its head
	ArrivedNs int64  // the request had arrived whole
	QueuedNs  int64  // Conn.Respond was called
	SentNs    int64  // the last byte was taken by the socket
}

// Listener is one address to listen on.
type Listener struct {
	// Name is the listener's name as in Kafka's listeners property, e.g. PLAINTEXT.
	Name string
	// Address is host:port; an empty host means all interfaces, port 0 a free one.
	Address string
	// ConnectionsMax bounds this listener's open connections (listener.name.X.max.connections);
	// 0 means no bound of its own. At the bound the listener stops accepting, as Kafka does.
	ConnectionsMax int
	// Transport makes the transport of a connection on socket; nil means plain TCP.
	Transport func(socket *Socket) Transport
}

// Config is what a Server is made of. The zero value of every field but Listeners means its
// default.
type Config struct {
	Listeners []Listener
	// Reactors is the number of event loops; default: one per usable core.
	Reactors int
	// RequestBytesMax bounds a frame (socket.request.max.bytes); default 100 MiB.
	RequestBytesMax int32
	// MemoryBytesMax bounds the memory of incomplete and kept frames (queued.max.request.bytes);
	// default 1 GiB, negative means no bound. The package comment says by how much it may be
	// exceeded.
	MemoryBytesMax int64
	// ConnectionsMax bounds all open connections (max.connections); 0 means no bound. At the
	// bound the listeners stop accepting until one closes, as Kafka does.
	ConnectionsMax int
	// ConnectionsPerIPMax bounds the open connections of one address (max.connections.per.ip); 0
	// means no bound. One more is closed at once.
	ConnectionsPerIPMax int
	// ConnectionsPerIPOverrides has bounds for single addresses that replace ConnectionsPerIPMax
	// (max.connections.per.ip.overrides); 0 refuses the address. Keys are unmapped addresses.
	ConnectionsPerIPOverrides map[netip.Addr]int
	// IdleMax closes a connection on which nothing moved for so long and no request is in process
	// (connections.max.idle.ms); default 10 minutes, negative means never.
	IdleMax time.Duration
	// SendBufferBytes and ReceiveBufferBytes set SO_SNDBUF and SO_RCVBUF; 0 and -1 leave them to
	// the kernel, whose autotuning stops once they are set (socket.send.buffer.bytes,
	// socket.receive.buffer.bytes).
	SendBufferBytes    int
	ReceiveBufferBytes int
	// StallMin is the length of a turn from which it counts as a stall; default 10 ms.
	StallMin time.Duration
	// PrefetchWorkers is the number of goroutines that read cold regions; default 4.
	PrefetchWorkers int
	// Logger takes the few throttled lines that this package writes; default slog.Default().
	Logger *slog.Logger
}

// Defaults and fixed bounds.
const (
	requestBytesMaxDefault = 100 << 20
	memoryBytesMaxDefault  = 1 << 30
	idleMaxDefault         = 10 * time.Minute
	stallMinDefault        = 10 * time.Millisecond
	prefetchWorkersDefault = 4

	// ConnQueueBytesMax is how many bytes of finished, unsent responses a connection may have
	// before its next request waits, in bytes.
	ConnQueueBytesMax = 64 << 10
	// connQueueChainsMax is the same bound in responses.
	connQueueChainsMax = 64

	// turnBytesMax and turnCallsMax bound what one connection does in one turn, each way. Less
	// costs throughput, more costs the others' latency.
	turnBytesMax = 256 << 10
	turnCallsMax = 64
	// turnHungryNs is how long a turn goes on serving connections that used their quota up in an
	// earlier turn, before it looks for messages, timers and new events again.
	turnHungryNs = int64(time.Millisecond) / 2

	// receiveBufferBytes is the size of the buffer that a reactor's connections share; it is meant
	// to stay in a core's second-level cache.
	receiveBufferBytes = 256 << 10
)

// Causes of a connection's end, handed to Handler.Closed, possibly wrapped.
var (
	// ErrPeerClosed: the peer ended the connection in the ordinary way.
	ErrPeerClosed = errors.New("closed by peer")
	// ErrFrameSize: a frame claimed a negative length or one over the bound.
	ErrFrameSize = errors.New("invalid frame length")
	// ErrIdle: nothing moved for Config.IdleMax.
	ErrIdle = errors.New("idle for too long")
	// ErrMemory: the memory budget was used up and the peer hardly sent the frame it had begun.
	ErrMemory = errors.New("frame sent too slowly while memory is short")
	// ErrDrained: the server shut down.
	ErrDrained = errors.New("server shut down")
	// ErrTruncated: a region's file ended before the region did.
	ErrTruncated = errors.New("file ended inside a region")
)
