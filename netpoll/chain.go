package netpoll

import (
	"encoding/binary"
	"fmt"
	"unsafe"
)

// FrameHeadBytes is the size of the length in front of every frame, in bytes. The length is a
// signed big-endian 32-bit count of the bytes behind it (Kafka protocol guide, "Request format").
const FrameHeadBytes = 4

// RegionCopyBytesMax is the size up to which a region is copied between a chain's bytes instead of
// being sent with sendfile(2). Below about 8 KiB the second system call costs more than the copy.
const RegionCopyBytesMax = 8 << 10

// chainCopyBytesMax bounds the bytes of regions that are copied into one chain, so that a slow
// reader of thousands of small regions pins files and not memory.
const chainCopyBytesMax = 256 << 10

// chainKeepBytesMax is the largest byte buffer that an emptied chain carries on to its next
// response. Larger ones (metadata of thousands of partitions) are left to the collector.
const chainKeepBytesMax = 1 << 20

// Source is a file from which a region is sent. It is shared and may be used by several
// goroutines at a time.
type Source interface {
	// Fd returns the open descriptor for sendfile(2), or -1 when there is none; ReadAt is used
	// then.
	Fd() int
	// ReadAt reads as io.ReaderAt does; position is in bytes from the start of the file.
	ReadAt(p []byte, position int64) (int, error)
	// ReadAtNoWait reads as ReadAt does but without waiting for a disk: it stops at the first byte
	// that is not in memory, and the error then says why.
	ReadAtNoWait(p []byte, position int64) (int, error)
	// Resident reports whether the n bytes at position can be read without waiting for a disk.
	Resident(position, n int64) bool
	// Prefetch brings the n bytes at position into memory and returns when they are there. It may
	// block on a disk and is called on a worker only.
	Prefetch(position, n int64) error
	// Release gives one reference back. It is called exactly once for each region: when it has been
	// sent or copied, or when it never will be. It must not block.
	Release()
}

// Chain is one response under construction: bytes and regions of files, in order.
//
// Bytes are appended to Buf by its user (chain.Buf = wire.AppendX(chain.Buf, ...)), which may also
// patch what it appended. Buf starts with FrameHeadBytes bytes that are the frame's length: they
// are there from the beginning and Respond fills them in, so len(Buf) never falls below that.
// Region adds a region behind the bytes appended so far.
//
// A chain belongs to its request: Conn.Chain lends it until Conn.Respond or Conn.Done. It may be
// filled on any goroutine, one at a time. A chain made by NewChain serves tests of handlers without
// sockets; AppendTo shows what would be sent.
type Chain struct {
	// Buf holds the response's bytes without its regions, with the frame's length in front.
	Buf []byte
	// Note is the broker's own word on this response, handed to SentHandler.Sent.
	Note uint64

	regions     []region
	regionBytes int64
	copiedBytes int64

	// The rest belongs to the connection once the chain is queued.
	next       *Chain
	arrivedNs  int64
	queuedNs   int64
	bufSent    int   // bytes of Buf that went out
	region     int   // index of the region that goes out next
	regionSent int64 // bytes of that region that went out
	warmBytes  int64 // bytes of regions from there on that were found or made resident
	warmNs     int64 // when warmBytes was last raised
}

// region is a stretch of a file that goes out behind Buf[:at].
type region struct {
	source   Source
	position int64
	n        int64
	at       int
}

// NewChain returns an empty chain that belongs to no connection.
func NewChain() *Chain {
	c := new(Chain)
	c.Reset()
	return c
}

// Region adds the n bytes at position of source behind the bytes appended so far and takes over one
// reference of the caller's. A region of up to RegionCopyBytesMax bytes that is resident is copied
// into Buf and released at once, up to 256 KiB in all. It panics when n is negative; n = 0 only
// releases.
func (c *Chain) Region(source Source, position, n int64) {
	if n < 0 || position < 0 {
		panic(fmt.Sprintf("BUG: region of %d bytes at position %d", n, position))
	}
	if n == 0 {
		source.Release()
		return
	}
	if n <= RegionCopyBytesMax && c.copiedBytes+n <= chainCopyBytesMax &&
		c.copyRegion(source, position, int(n)) {
		source.Release()
		return
	}
	c.regions = append(c.regions, region{source: source, position: position, n: n, at: len(c.Buf)})
	c.regionBytes += n
}

// copyRegion appends a small region to Buf if that needs no disk. A source that fails or ends early
// is left to the send path, which closes the connection and names the cause.
func (c *Chain) copyRegion(source Source, position int64, n int) bool {
	start := len(c.Buf)
	c.Buf = grow(c.Buf, n)
	if got, _ := source.ReadAtNoWait(c.Buf[start:], position); got < n {
		c.Buf = c.Buf[:start]
		return false
	}
	c.copiedBytes += int64(n)
	return true
}

// grow returns b with its length raised by n bytes of unspecified content.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b[:len(b)+n]
	}
	grown := make([]byte, len(b)+n, 2*cap(b)+n)
	copy(grown, b)
	return grown
}

// Len returns the response's length in bytes, regions included, without the frame's length: what
// the frame's length will say.
func (c *Chain) Len() int64 { return int64(len(c.Buf)) - FrameHeadBytes + c.regionBytes }

// CopiedBytes returns how many bytes of regions were copied into Buf since the last Reset.
func (c *Chain) CopiedBytes() int64 { return c.copiedBytes }

// Reset releases the regions that are left and empties the chain.
func (c *Chain) Reset() {
	for i := c.region; i < len(c.regions); i++ {
		c.regions[i].source.Release()
	}
	clear(c.regions)
	if cap(c.Buf) < FrameHeadBytes || cap(c.Buf) > chainKeepBytesMax {
		c.Buf = make([]byte, FrameHeadBytes, 512)
	}
	regions := c.regions[:0]
	if cap(regions) > chainKeepRegionsMax {
		regions = nil
	}
	*c = Chain{Buf: c.Buf[:FrameHeadBytes], regions: regions}
}

// footprint returns the memory that the chain holds, in bytes.
func (c *Chain) footprint() int {
	return int(unsafe.Sizeof(*c)) + cap(c.Buf) + cap(c.regions)*int(unsafe.Sizeof(region{}))
}

// chainKeepRegionsMax is the largest table of regions that a pooled chain carries on.
const chainKeepRegionsMax = 4096

// AppendTo appends to dst what the chain would send, with the frame's length in front and the
// regions read from their sources. It changes and releases nothing: it is for tests and tools.
func (c *Chain) AppendTo(dst []byte) ([]byte, error) {
	c.seal()
	from := 0
	for _, r := range c.regions {
		dst = append(dst, c.Buf[from:r.at]...)
		from = r.at
		start := len(dst)
		dst = grow(dst, int(r.n))
		if n, err := r.source.ReadAt(dst[start:], r.position); int64(n) < r.n {
			return dst[:start+n], fmt.Errorf("region at position %d: %w", r.position, err)
		}
	}
	return append(dst, c.Buf[from:]...), nil
}

// seal writes the frame's length.
func (c *Chain) seal() {
	n := c.Len()
	if n < 0 || n > 1<<31-1 {
		panic(fmt.Sprintf("BUG: a response of %d bytes does not fit a frame", n))
	}
	binary.BigEndian.PutUint32(c.Buf, uint32(n))
}
