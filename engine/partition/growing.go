package partition

import "sync/atomic"

// growing is an append-only list that one writer, under the append lock, extends while any
// goroutine reads it without a lock. Elements are never changed once published; a list that must
// shrink is replaced together with the segment that holds it.
type growing[E any] struct {
	// count publishes the elements below it; it is stored after both the element and, where the
	// list had to move, slots.
	count atomic.Int64
	slots atomic.Pointer[[]E]
}

// growingMin is the first capacity: idle partitions should cost little.
const growingMin = 16

func (g *growing[E]) push(e E) {
	n := g.count.Load()
	slots := g.slots.Load()
	if slots == nil || int(n) == len(*slots) {
		slots = g.grow(slots)
	}
	(*slots)[n] = e
	g.count.Store(n + 1)
}

func (g *growing[E]) grow(old *[]E) *[]E {
	moved := make([]E, growingMin)
	if old != nil {
		moved = make([]E, max(growingMin, 2*len(*old)))
		copy(moved, *old)
	}
	g.slots.Store(&moved)
	return &moved
}

// view is the list as published now. The caller must not write to it.
func (g *growing[E]) view() []E {
	n := g.count.Load()
	if n == 0 {
		return nil
	}
	return (*g.slots.Load())[:n:n]
}
