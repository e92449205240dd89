package group

// interned keeps each of many equal values once, and knows it by a small number, for as long as
// somebody holds it. Numbers start at 1, so that 0 can stand for none, and are used again.
type interned[K comparable] struct {
	numbers map[K]uint32
	// values and holders are indexed by number; index 0 is unused.
	values  []K
	holders []uint32
	unused  []uint32
}

// find returns a value's number, 0 if it is not kept.
func (t *interned[K]) find(k K) uint32 { return t.numbers[k] }

// value returns what a number stands for.
func (t *interned[K]) value(n uint32) K { return t.values[n] }

// add keeps a value that find did not, for its first holder.
func (t *interned[K]) add(k K) uint32 {
	if t.numbers == nil {
		t.numbers = make(map[K]uint32)
		t.values, t.holders = make([]K, 1, 8), make([]uint32, 1, 8)
	}
	var n uint32
	if last := len(t.unused) - 1; last >= 0 {
		n, t.unused = t.unused[last], t.unused[:last]
		t.values[n], t.holders[n] = k, 1
	} else {
		n = uint32(len(t.values))
		t.values, t.holders = append(t.values, k), append(t.holders, 1)
	}
	t.numbers[k] = n
	return n
}

// hold counts one more holder of what is kept.
func (t *interned[K]) hold(n uint32) { t.holders[n]++ }

// drop counts one holder less; after the last the value is forgotten.
func (t *interned[K]) drop(n uint32) {
	t.holders[n]--
	if t.holders[n] > 0 {
		return
	}
	var zero K
	delete(t.numbers, t.values[n])
	t.values[n] = zero
	t.unused = append(t.unused, n)
}

// len is how many values are kept.
func (t *interned[K]) len() int { return len(t.numbers) }
