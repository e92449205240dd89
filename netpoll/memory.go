package netpoll

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Chunks come in powers of two from 512 bytes to 8 MiB; larger ones are mapped to measure. Those
// below 64 KiB share slabs, the others have a mapping each.
const (
	chunkShiftMin     = 9
	chunkShiftSlab    = 15
	chunkShiftMax     = 23
	chunkClasses      = chunkShiftMax - chunkShiftMin + 1
	slabBytes         = 256 << 10
	chunkBytesPage    = 4 << 10
	chunkClassToSize  = -1      // class of a chunk that was mapped to measure
	chunkIdleBytesMax = 8 << 20 // kept mapped per reactor for later frames
)

// chunk is a piece of memory outside the Go heap that holds an incomplete or kept frame. It is
// owned by one connection, and taken and given back on its reactor. Its content is unspecified.
type chunk struct {
	b       []byte
	charged int64 // bytes counted against the budget
	class   int8  // or chunkClassToSize
	slab    *slab
	next    *chunk
}

// slab is a mapping cut into chunks of one class.
type slab struct {
	mapping    []byte
	chunks     []chunk
	free       *chunk
	live       int
	listed     bool // in its class's list of slabs with free chunks
	prev, next *slab
}

// memory is a reactor's allocator of chunks. What it keeps for later use is bounded: at most
// chunkIdleBytesMax in large chunks, and one empty slab per class.
type memory struct {
	slabs     [chunkClasses]*slab // with free chunks
	large     [chunkClasses]*chunk
	idleBytes int64 // in large
	mapped    int64 // bytes of address space mapped
}

func chunkClass(n int) int {
	if n <= 1<<chunkShiftMin {
		return 0
	}
	return bits.Len(uint(n-1)) - chunkShiftMin
}

// take returns a chunk of at least n bytes.
func (m *memory) take(n int) (*chunk, error) {
	class := chunkClass(n)
	switch {
	case class >= chunkClasses:
		n = (n + chunkBytesPage - 1) &^ (chunkBytesPage - 1)
		return m.mapChunk(n, chunkClassToSize)
	case class <= chunkShiftSlab-chunkShiftMin:
		return m.takeSmall(class)
	}
	if k := m.large[class]; k != nil {
		m.large[class], k.next = k.next, nil
		m.idleBytes -= int64(len(k.b))
		return k, nil
	}
	return m.mapChunk(1<<(class+chunkShiftMin), int8(class))
}

func (m *memory) mapChunk(n int, class int8) (*chunk, error) {
	b, err := mapMemory(n)
	if err != nil {
		return nil, err
	}
	m.mapped += int64(n)
	return &chunk{b: b, class: class}, nil
}

func (m *memory) takeSmall(class int) (*chunk, error) {
	s := m.slabs[class]
	if s == nil {
		var err error
		if s, err = m.mapSlab(class); err != nil {
			return nil, err
		}
	}
	k := s.free
	s.free, k.next = k.next, nil
	s.live++
	if s.free == nil {
		m.unlist(class, s)
	}
	return k, nil
}

func (m *memory) mapSlab(class int) (*slab, error) {
	b, err := mapMemory(slabBytes)
	if err != nil {
		return nil, err
	}
	m.mapped += slabBytes
	size := 1 << (class + chunkShiftMin)
	s := &slab{mapping: b, chunks: make([]chunk, slabBytes/size)}
	for i := len(s.chunks) - 1; i >= 0; i-- {
		s.chunks[i] = chunk{
			b: b[i*size : (i+1)*size : (i+1)*size], class: int8(class), slab: s, next: s.free,
		}
		s.free = &s.chunks[i]
	}
	m.list(class, s)
	return s, nil
}

// give takes k back. It must not be touched afterwards: its memory may be unmapped.
func (m *memory) give(k *chunk) {
	if k.charged != 0 {
		panic("BUG: chunk given back while it is charged")
	}
	if k.slab != nil {
		m.giveSmall(k)
		return
	}
	if k.class == chunkClassToSize || m.idleBytes+int64(len(k.b)) > chunkIdleBytesMax {
		m.mapped -= int64(len(k.b))
		unmapMemory(k.b)
		k.b = nil
		return
	}
	m.idleBytes += int64(len(k.b))
	k.next, m.large[k.class] = m.large[k.class], k
}

func (m *memory) giveSmall(k *chunk) {
	s, class := k.slab, int(k.class)
	k.next, s.free = s.free, k
	s.live--
	if !s.listed {
		m.list(class, s)
	}
	if s.live == 0 && (s.prev != nil || s.next != nil) {
		m.unlist(class, s)
		m.mapped -= slabBytes
		unmapMemory(s.mapping)
	}
}

func (m *memory) list(class int, s *slab) {
	s.listed, s.prev, s.next = true, nil, m.slabs[class]
	if s.next != nil {
		s.next.prev = s
	}
	m.slabs[class] = s
}

func (m *memory) unlist(class int, s *slab) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		m.slabs[class] = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.listed, s.prev, s.next = false, nil, nil
}

// close unmaps what is idle. Chunks that are out must have been given back.
func (m *memory) close() {
	for class := range m.slabs {
		if s := m.slabs[class]; s != nil && s.live == 0 {
			m.unlist(class, s)
			m.mapped -= slabBytes
			unmapMemory(s.mapping)
		}
		for k := m.large[class]; k != nil; k = k.next {
			m.mapped -= int64(len(k.b))
			unmapMemory(k.b)
		}
		m.large[class] = nil
	}
}

// mapMemory reserves n bytes; pages are committed as they are touched.
func mapMemory(n int) ([]byte, error) {
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(n), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("mmap of %d bytes: %w", n, err)
	}
	return unsafe.Slice((*byte)(p), n), nil
}

func unmapMemory(b []byte) {
	if err := unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b))); err != nil {
		panic("BUG: munmap: " + err.Error())
	}
}

// budget counts the bytes of incomplete and kept frames over all reactors of a server.
//
// When it is used up, a connection inside a frame may be read on only if it holds the pass. There
// is one pass, so that one frame at a time completes and its request can give memory back; the pass
// returns when that frame's memory does.
type budget struct {
	max     int64 // <= 0: no bound
	used    atomic.Int64
	pass    atomic.Pointer[Conn]
	waiting atomic.Int64 // connections that are paused for memory
	// wake makes every reactor look at its paused connections.
	wake func()
}

// spent reports whether the budget is used up.
func (b *budget) spent() bool { return b.max > 0 && b.used.Load() >= b.max }

// admits reports whether c, which is inside a frame, may receive more.
func (b *budget) admits(c *Conn) bool {
	return !b.spent() || b.pass.Load() == c || b.pass.CompareAndSwap(nil, c)
}

func (b *budget) charge(k *chunk, n int) {
	k.charged += int64(n)
	b.used.Add(int64(n))
}

// discharge takes back what k was charged, and the pass if c has it. Those who wait have raised
// waiting before they looked at used and pass for the last time, so none is missed.
func (b *budget) discharge(c *Conn, k *chunk) {
	b.used.Add(-k.charged)
	k.charged = 0
	b.returnPass(c)
	if b.waiting.Load() > 0 && (!b.spent() || b.pass.Load() == nil) {
		b.wake()
	}
}

func (b *budget) returnPass(c *Conn) { b.pass.CompareAndSwap(c, nil) }
