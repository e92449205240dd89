package txn

import (
	"bytes"
	"hash/maphash"
	"math"
)

// entry is one transactional id. A million of them are the usual state of a big shard, and nearly all
// of them idle; so they hold no pointers, and the collector does not look at them.
type entry struct {
	meta
	// dueMs is when the entry's timer is due, while it is at heapAt ≥ 0 in the timers.
	dueMs  int64
	heapAt int32
	// open is the index of the entry's openTxn, -1 if it has none.
	open int32
	// chain is the next entry whose name has the same hash, -1 at the end.
	chain int32
	name  nameRef
}

// nameRef is where a name lies in the arena.
type nameRef struct {
	chunk   uint32
	at, len uint16
}

const (
	// entriesPerChunk keeps growth from copying.
	entriesPerChunk = 1 << 10
	// nameChunkBytes is reachable by nameRef.at, and holds the longest name (32,767 bytes).
	nameChunkBytes = 1 << 16
	// deadBytesMin is how many bytes of removed names lie about before the arena is written anew.
	deadBytesMin = 1 << 20
)

// table finds entries by name. Slots of entries never change while they live.
type table struct {
	chunks []*[entriesPerChunk]entry
	// used is how many slots have ever been in use, free those that are not now.
	used int32
	free []int32
	// index has the first entry of each hash. The seed keeps strangers from choosing names that share
	// one; nothing that leaves the machine depends on it.
	index map[uint64]int32
	seed  maphash.Seed
	// mask is what of a hash counts: all of it, but in tests of names that share one.
	mask uint64

	names     [][]byte
	nameBytes int
	deadBytes int

	opens     []openTxn
	freeOpens []int32
}

func newTable() table {
	return table{index: map[uint64]int32{}, seed: maphash.MakeSeed(), mask: math.MaxUint64}
}

func (t *table) len() int { return int(t.used) - len(t.free) }

func (t *table) at(slot int32) *entry {
	return &t.chunks[slot/entriesPerChunk][slot%entriesPerChunk]
}

func (t *table) name(slot int32) []byte {
	ref := t.at(slot).name
	return t.names[ref.chunk][ref.at : int(ref.at)+int(ref.len)]
}

// get returns a name's entry, nil if there is none.
func (t *table) get(name string) (int32, *entry) {
	slot, ok := t.index[maphash.String(t.seed, name)&t.mask]
	for ok && slot >= 0 {
		if string(t.name(slot)) == name {
			return slot, t.at(slot)
		}
		slot = t.at(slot).chain
	}
	return -1, nil
}

// put returns a name's slot, making it if there is none; the name is copied.
func (t *table) put(name []byte) int32 {
	hash := maphash.Bytes(t.seed, name) & t.mask
	first, ok := t.index[hash]
	for slot := first; ok && slot >= 0; slot = t.at(slot).chain {
		if bytes.Equal(t.name(slot), name) {
			return slot
		}
	}
	if !ok {
		first = -1
	}
	slot := t.vacancy()
	*t.at(slot) = entry{
		meta: meta{state: vacant}, heapAt: -1, open: -1, chain: first, name: t.keep(name),
	}
	t.index[hash] = slot
	return slot
}

// vacancy takes a slot that is nobody's.
func (t *table) vacancy() int32 {
	if n := len(t.free); n > 0 {
		slot := t.free[n-1]
		t.free = t.free[:n-1]
		return slot
	}
	if int(t.used) == len(t.chunks)*entriesPerChunk {
		t.chunks = append(t.chunks, new([entriesPerChunk]entry))
	}
	t.used++
	return t.used - 1
}

// remove forgets an entry, which has no timer any more.
func (t *table) remove(slot int32) {
	e := t.at(slot)
	if e.heapAt >= 0 {
		panic("BUG: a removed entry has a timer")
	}
	t.close(e)
	hash := maphash.Bytes(t.seed, t.name(slot)) & t.mask
	if t.index[hash] != slot {
		before := t.at(t.index[hash])
		for before.chain != slot {
			before = t.at(before.chain)
		}
		before.chain = e.chain
	} else if e.chain >= 0 {
		t.index[hash] = e.chain
	} else {
		delete(t.index, hash)
	}
	t.deadBytes += int(e.name.len)
	t.nameBytes -= int(e.name.len)
	*e = entry{meta: meta{state: vacant}, heapAt: -1, open: -1, chain: -1}
	t.free = append(t.free, slot)
	if t.deadBytes > deadBytesMin && t.deadBytes > t.nameBytes {
		t.rewriteNames()
	}
}

func (t *table) keep(name []byte) nameRef {
	t.nameBytes += len(name)
	last := len(t.names) - 1
	if last < 0 || len(t.names[last])+len(name) > nameChunkBytes {
		// The first chunk grows with its need, since most shards have few names.
		if last >= 0 {
			t.names = append(t.names, make([]byte, 0, nameChunkBytes))
		} else {
			t.names = append(t.names, nil)
		}
		last++
	}
	at := len(t.names[last])
	t.names[last] = append(t.names[last], name...)
	return nameRef{chunk: uint32(last), at: uint16(at), len: uint16(len(name))}
}

// rewriteNames drops the bytes of removed names.
func (t *table) rewriteNames() {
	old := t.names
	t.names, t.nameBytes, t.deadBytes = nil, 0, 0
	for slot := range t.used {
		if e := t.at(slot); e.state != vacant {
			e.name = t.keep(old[e.name.chunk][e.name.at : int(e.name.at)+int(e.name.len)])
		}
	}
}

// openOf is the open transaction of an entry that has one.
func (t *table) openOf(e *entry) *openTxn { return &t.opens[e.open] }

// partitions are those of the entry's transaction.
func (t *table) partitions(e *entry) []TopicPartition {
	if e.open < 0 {
		return nil
	}
	return t.opens[e.open].partitions
}

// setOpen gives an entry an open transaction with these partitions, in place of any other.
func (t *table) setOpen(e *entry, partitions []TopicPartition) {
	if e.open < 0 {
		if n := len(t.freeOpens); n > 0 {
			e.open = t.freeOpens[n-1]
			t.freeOpens = t.freeOpens[:n-1]
		} else {
			e.open = int32(len(t.opens))
			t.opens = append(t.opens, openTxn{})
		}
	}
	t.opens[e.open] = openTxn{partitions: partitions}
}

// close takes an entry's open transaction away.
func (t *table) close(e *entry) {
	if e.open < 0 {
		return
	}
	t.opens[e.open] = openTxn{}
	t.freeOpens = append(t.freeOpens, e.open)
	e.open = -1
}
