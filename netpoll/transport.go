package netpoll

// Want says which direction of the socket must become ready before a Transport can go on. Either
// call may want either direction: one that encrypts must read to write while it shakes hands.
type Want uint8

// Wants.
const (
	WantNothing Want = iota // call again at once: more may be possible
	WantRead                // when the socket can be read
	WantWrite               // when the socket can be written
)

// Transport moves a connection's bytes through its socket. It never blocks and is used on the
// connection's reactor only.
//
// Each call reports what it moved, what it now waits for, and a failure that ends the connection.
// It may move some bytes and want something at the same time. The poller remembers readiness
// (epoll is edge-triggered), so a transport may want a direction only after a call on the socket
// in that direction came back short or empty.
type Transport interface {
	// Read fills p from its start. At the peer's end it returns io.EOF.
	Read(p []byte) (n int, want Want, err error)
	// Write accepts bytes of pieces in order, and more tells that others follow at once. Accepted
	// bytes may still lie in the transport until Flush.
	Write(pieces [][]byte, more bool) (n int, want Want, err error)
	// Flush sends what Write left behind; it is done when it returns WantNothing.
	Flush() (want Want, err error)
	// SendRegion sends at most n bytes at position of a file descriptor without passing them
	// through user space, if SendsRegions. A file that ends early is ErrTruncated.
	SendRegion(fd int, position int64, n int) (sent int, want Want, err error)
	// SendsRegions tells whether SendRegion works here. Otherwise regions are read and written.
	SendsRegions() bool
	// Close releases what the transport holds. The socket is closed by the poller.
	Close()
}
