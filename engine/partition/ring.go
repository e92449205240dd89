package partition

import "sync/atomic"

// ringSlots is how many of the latest batch boundaries the active segment remembers exactly. A
// reader at the tail, and a high watermark behind it, hardly ever lag by more batches.
const ringSlots = 64

// boundary is a place between two batches: the next batch begins at position, and its base offset
// is offset or, in a log with gaps, higher.
type boundary struct {
	offset   int64
	position int64
}

// ring holds the latest boundaries of the active segment. One writer, under the append lock, adds;
// readers take no lock. A slot's two words are written one after the other, so a reader checks
// head again afterwards and distrusts every slot that may have been overwritten meanwhile.
type ring struct {
	// head counts the boundaries ever pushed; it publishes the slots below it.
	head  atomic.Int64
	slots [ringSlots]struct{ offset, position atomic.Int64 }
}

func (r *ring) push(b boundary) {
	n := r.head.Load()
	slot := &r.slots[n%ringSlots]
	slot.offset.Store(b.offset)
	slot.position.Store(b.position)
	r.head.Store(n + 1)
}

// floor finds the last boundary whose offset is at most offset. ok is false when that one has left
// the ring (or never was in it). Boundaries have no gaps between them, so the batch that begins at
// the one found is the one that holds offset.
func (r *ring) floor(offset int64) (b boundary, ok bool) {
	return r.find(func(b boundary) bool { return b.offset <= offset })
}

// floorPosition is floor by position.
func (r *ring) floorPosition(position int64) (b boundary, ok bool) {
	return r.find(func(b boundary) bool { return b.position <= position })
}

// find returns the last boundary for which below holds; below must hold for a prefix.
func (r *ring) find(below func(boundary) bool) (b boundary, ok bool) {
	head := r.head.Load()
	// The oldest slot is the one that a concurrent push overwrites: leave it alone.
	low, high := max(0, head-ringSlots+1), head
	for low < high {
		mid := (low + high) / 2
		if below(r.at(mid)) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	found := low - 1
	if found < 0 || found < head-ringSlots+1 {
		return boundary{}, false
	}
	b = r.at(found)
	if now := r.head.Load(); found < now-ringSlots+1 {
		return boundary{}, false
	}
	return b, below(b)
}

func (r *ring) at(n int64) boundary {
	slot := &r.slots[n%ringSlots]
	return boundary{offset: slot.offset.Load(), position: slot.position.Load()}
}
