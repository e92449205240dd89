package faultfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// sectorBytes is what a disk writes whole or not at all.
const sectorBytes = 512

// Policy says what a crash does to what was not synced.
type Policy uint8

const (
	// Kill ends the process only: the kernel still has everything, and unsynced is still unsynced.
	Kill Policy = iota
	// KeepAll loses power after everything happened to reach the disk.
	KeepAll
	// DropAll loses everything unsynced.
	DropAll
	// Prefix keeps, per file and directory, what came first, and tears the write after it.
	Prefix
	// Random keeps, drops or tears each write and keeps or drops each name on its own.
	Random
	// Reorder is Random with the kept writes arriving in any order.
	Reorder
	// Policies is how many there are.
	Policies
)

// String names the policy in test output.
func (p Policy) String() string {
	return [...]string{"kill", "keep-all", "drop-all", "prefix", "random", "reorder", "?"}[min(p, Policies)]
}

// Crash returns the file system as the next start would find it; f itself is not changed. The same
// seed makes the same choices. Except after Kill everything found is durable.
func (f *FS) Crash(p Policy, seed uint64) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	after := New()
	c := crash{policy: p, rand: rand.New(rand.NewPCG(seed, uint64(p))), seen: make(map[*node]*node)}
	after.root = c.node(f.root)
	return after
}

type crash struct {
	policy Policy
	rand   *rand.Rand
	// seen maps nodes to their copies: after a torn rename two names may share one.
	seen map[*node]*node
}

func (c *crash) node(n *node) *node {
	if copied, ok := c.seen[n]; ok {
		return copied
	}
	copied := &node{isDir: n.isDir}
	c.seen[n] = copied
	switch {
	case c.policy == Kill:
		c.kill(n, copied)
	case n.isDir:
		copied.names = make(map[string]*node)
		surviving := c.surviveNames(n)
		for _, name := range slices.Sorted(maps.Keys(surviving)) {
			copied.names[name] = c.node(surviving[name])
		}
		copied.syncedNames = copyNames(copied.names)
	default:
		copied.data = c.contents(n)
		copied.synced = append([]byte(nil), copied.data...)
	}
	return copied
}

// kill copies everything, what is unsynced included.
func (c *crash) kill(n, to *node) {
	to.data = append([]byte(nil), n.data...)
	to.synced = append([]byte(nil), n.synced...)
	to.changes = append([]change(nil), n.changes...)
	if !n.isDir {
		return
	}
	to.names, to.syncedNames = make(map[string]*node), make(map[string]*node)
	for name, child := range n.names {
		to.names[name] = c.node(child)
	}
	for name, child := range n.syncedNames {
		to.syncedNames[name] = c.node(child)
	}
	for _, change := range n.nameChanges {
		change.node = c.node(change.node)
		to.nameChanges = append(to.nameChanges, change)
	}
}

// surviveNames decides which names of a directory are found.
func (c *crash) surviveNames(n *node) map[string]*node {
	names := copyNames(n.syncedNames)
	prefix := c.rand.IntN(len(n.nameChanges) + 1)
	for i, change := range n.nameChanges {
		keep := true
		switch c.policy {
		case DropAll:
			keep = false
		case Prefix:
			keep = i < prefix
		case Random, Reorder:
			keep = c.rand.IntN(2) == 0
		}
		if keep {
			change.apply(names)
		}
	}
	return names
}

// contents decides what a file is found to hold.
func (c *crash) contents(n *node) []byte {
	data := append([]byte(nil), n.synced...)
	changes := append([]change(nil), n.changes...)
	if c.policy == Reorder {
		c.rand.Shuffle(len(changes), func(i, j int) {
			changes[i], changes[j] = changes[j], changes[i]
		})
	}
	prefix := c.rand.IntN(len(changes) + 1)
	for i, change := range changes {
		switch c.policy {
		case KeepAll:
			data = change.apply(data)
		case DropAll:
		case Prefix:
			if i < prefix {
				data = change.apply(data)
			} else if i == prefix {
				data = c.tear(change, data)
			}
		default:
			data = c.either(change, data)
		}
	}
	return data
}

// either keeps, drops or tears one change.
func (c *crash) either(change change, data []byte) []byte {
	switch c.rand.IntN(4) {
	case 0:
		return data
	case 1:
		return c.tear(change, data)
	default:
		return change.apply(data)
	}
}

// tear lets some sectors of a write arrive. The file's growth may arrive without any of them.
func (c *crash) tear(w change, data []byte) []byte {
	if w.bytes == nil {
		return data
	}
	end := w.position + int64(len(w.bytes))
	switch c.rand.IntN(4) {
	case 0:
		return extend(data, end)
	case 1:
		data = extend(data, end)
	}
	for at := w.position; at < end; {
		next := min((at/sectorBytes+1)*sectorBytes, end)
		if c.rand.IntN(2) == 0 {
			piece := change{position: at, bytes: w.bytes[at-w.position : next-w.position]}
			data = piece.apply(data)
		}
		at = next
	}
	return data
}
