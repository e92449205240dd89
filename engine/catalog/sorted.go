package catalog

import "slices"

// leafMax bounds the entries of one leaf of a sorted map: what an insertion copies.
const leafMax = 128

// sorted is an immutable ordered map from K to V, as an array of leaves that each hold up to
// leafMax entries in order. A change copies one leaf and the array of leaves and shares all else:
// for 10,000 entries about 3 KiB. Lookups are two binary searches and do not allocate. The zero
// value is not ready: use newSorted.
//
// A hash trie would copy less at a million entries, but has to be sorted for every snapshot and
// every Metadata answer, and an outsider choosing names could make it degenerate.
type sorted[K, V any] struct {
	n       int
	leaves  []leaf[K, V]
	compare func(a, b K) int
}

// leaf holds entries in order; never empty.
type leaf[K, V any] struct {
	keys   []K
	values []V
}

func newSorted[K, V any](compare func(a, b K) int) sorted[K, V] {
	return sorted[K, V]{compare: compare}
}

// find returns the leaf where key is or belongs and the index within it.
func (s *sorted[K, V]) find(key K) (at, index int, ok bool) {
	lo, hi := 0, len(s.leaves)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if s.compare(s.leaves[mid].keys[0], key) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return 0, 0, false
	}
	at = lo - 1
	keys := s.leaves[at].keys
	lo, hi = 0, len(keys)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if s.compare(keys[mid], key) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return at, lo, lo < len(keys) && s.compare(keys[lo], key) == 0
}

func (s *sorted[K, V]) get(key K) (value V, ok bool) {
	at, index, ok := s.find(key)
	if !ok {
		return value, false
	}
	return s.leaves[at].values[index], true
}

// with returns the map with key set to value.
func (s *sorted[K, V]) with(key K, value V) sorted[K, V] {
	next := *s
	at, index, ok := s.find(key)
	if len(s.leaves) == 0 {
		next.n, next.leaves = 1, []leaf[K, V]{{keys: []K{key}, values: []V{value}}}
		return next
	}
	old := s.leaves[at]
	if ok {
		fresh := leaf[K, V]{keys: old.keys, values: replaced(old.values, index, value)}
		next.leaves = replaced(s.leaves, at, fresh)
		return next
	}
	next.n++
	fresh := leaf[K, V]{
		keys: inserted(old.keys, index, key), values: inserted(old.values, index, value),
	}
	if len(fresh.keys) <= leafMax {
		next.leaves = replaced(s.leaves, at, fresh)
		return next
	}
	last := at == len(s.leaves)-1 && index == len(old.keys)
	left, right := fresh.split(splitAt(len(fresh.keys), last))
	next.leaves = inserted(s.leaves, at+1, right)
	next.leaves[at] = left
	return next
}

// set sets key to value in place. Only whoever alone has seen the map may call it.
func (s *sorted[K, V]) set(key K, value V) {
	at, index, ok := s.find(key)
	if len(s.leaves) == 0 {
		*s = s.with(key, value)
		return
	}
	l := &s.leaves[at]
	if ok {
		l.values[index] = value
		return
	}
	s.n++
	l.keys, l.values = slices.Insert(l.keys, index, key), slices.Insert(l.values, index, value)
	if len(l.keys) > leafMax {
		last := at == len(s.leaves)-1 && index == len(l.keys)-1
		left, right := l.split(splitAt(len(l.keys), last))
		s.leaves = slices.Insert(s.leaves, at+1, right)
		s.leaves[at] = left
	}
}

// splitAt is where to split a leaf of n entries. Names often arrive in ascending order; splitting
// off the entry that came last then leaves full leaves.
func splitAt(n int, ascending bool) int {
	if ascending {
		return n - 1
	}
	return n / 2
}

// split cuts a leaf in two. The right one has memory of its own, so that both may grow.
func (l *leaf[K, V]) split(cut int) (left, right leaf[K, V]) {
	left = leaf[K, V]{keys: l.keys[:cut:cut], values: l.values[:cut:cut]}
	right = leaf[K, V]{keys: slices.Clone(l.keys[cut:]), values: slices.Clone(l.values[cut:])}
	return left, right
}

// without returns the map without key.
func (s *sorted[K, V]) without(key K) sorted[K, V] {
	at, index, ok := s.find(key)
	if !ok {
		return *s
	}
	next := *s
	next.n--
	old := s.leaves[at]
	if len(old.keys) == 1 {
		next.leaves = removed(s.leaves, at)
		return next
	}
	next.leaves = replaced(s.leaves, at, leaf[K, V]{
		keys: removed(old.keys, index), values: removed(old.values, index),
	})
	return next
}

// all calls yield for each value in order of keys until it returns false.
func (s *sorted[K, V]) all(yield func(V) bool) {
	for _, l := range s.leaves {
		for _, v := range l.values {
			if !yield(v) {
				return
			}
		}
	}
}

// from is all, beginning with the first key that is not less than key.
func (s *sorted[K, V]) from(key K, yield func(V) bool) {
	at, index, _ := s.find(key)
	for ; at < len(s.leaves); at, index = at+1, 0 {
		for _, v := range s.leaves[at].values[index:] {
			if !yield(v) {
				return
			}
		}
	}
}

func replaced[T any](s []T, i int, v T) []T {
	next := append([]T(nil), s...)
	next[i] = v
	return next
}

func inserted[T any](s []T, i int, v T) []T {
	next := make([]T, len(s)+1)
	copy(next, s[:i])
	next[i] = v
	copy(next[i+1:], s[i:])
	return next
}

func removed[T any](s []T, i int) []T {
	next := make([]T, 0, len(s)-1)
	return append(append(next, s[:i]...), s[i+1:]...)
}

// pageSize is the number of partitions in a page: what a change of one partition copies.
const pageSize = 32

// partitions is an immutable array of partitions in pages, so that an ISR change in a topic of
// 10,000 copies one page and the page table, about 10 KiB, instead of a megabyte.
type partitions struct {
	n     int
	pages [][]Partition
}

func (p *partitions) at(i int) *Partition {
	if i < 0 || i >= p.n {
		return nil
	}
	return &p.pages[i/pageSize][i%pageSize]
}

// appended returns the array with more at its end.
func (p *partitions) appended(more []Partition) partitions {
	next := partitions{n: p.n + len(more), pages: append([][]Partition(nil), p.pages...)}
	if fill := p.n % pageSize; fill != 0 {
		last := len(next.pages) - 1
		take := min(pageSize-fill, len(more))
		page := make([]Partition, 0, fill+take)
		next.pages[last] = append(append(page, next.pages[last]...), more[:take]...)
		more = more[take:]
	}
	for len(more) > 0 {
		take := min(pageSize, len(more))
		next.pages = append(next.pages, append([]Partition(nil), more[:take]...))
		more = more[take:]
	}
	return next
}

// with returns the array with the partition at i replaced.
func (p *partitions) with(i int, v Partition) partitions {
	page := replaced(p.pages[i/pageSize], i%pageSize, v)
	return partitions{n: p.n, pages: replaced(p.pages, i/pageSize, page)}
}

// each calls do for each entry in order of keys.
func (s *sorted[K, V]) each(do func(K, V)) {
	for _, l := range s.leaves {
		for i, k := range l.keys {
			do(k, l.values[i])
		}
	}
}
