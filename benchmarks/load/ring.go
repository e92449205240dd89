package load

// ring is a queue that keeps its memory. Its zero value is empty; it grows by doubling.
type ring[T any] struct {
	items []T // a power of two of them
	head  int
	count int
}

func newRing[T any](room int) ring[T] {
	n := 1
	for n < room {
		n *= 2
	}
	return ring[T]{items: make([]T, n)}
}

func (r *ring[T]) len() int { return r.count }

func (r *ring[T]) clear() { r.head, r.count = 0, 0 }

// at is the i-th oldest; it is good until the next push.
func (r *ring[T]) at(i int) *T { return &r.items[(r.head+i)&(len(r.items)-1)] }

func (r *ring[T]) push(v T) {
	if r.count == len(r.items) {
		items := make([]T, max(8, 2*len(r.items)))
		for i := range r.count {
			items[i] = *r.at(i)
		}
		r.items, r.head = items, 0
	}
	r.items[(r.head+r.count)&(len(r.items)-1)] = v
	r.count++
}

// pop takes the oldest. It panics if there is none.
func (r *ring[T]) pop() T {
	if r.count == 0 {
		panic("BUG: an empty ring was popped")
	}
	v := r.items[r.head]
	r.head = (r.head + 1) & (len(r.items) - 1)
	r.count--
	return v
}
