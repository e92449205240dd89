package faultfs

// node is a file or a directory.
type node struct {
	isDir bool

	// data is a file's contents, synced those of its last Sync, changes what was done since.
	data, synced []byte
	changes      []change

	// names are a directory's entries, syncedNames those of its last SyncDir, nameChanges what was
	// done since.
	names, syncedNames map[string]*node
	nameChanges        []nameChange
}

// change is a write of bytes at position, or, with bytes nil, a truncation to position.
type change struct {
	position int64
	bytes    []byte
}

type changeKind uint8

const (
	created changeKind = iota
	renamed
	removed
)

// nameChange binds name to node, or unbinds it; a rename unbinds old too.
type nameChange struct {
	kind      changeKind
	name, old string
	node      *node
}

func newDir() *node {
	return &node{isDir: true, names: make(map[string]*node), syncedNames: make(map[string]*node)}
}

func (c change) apply(data []byte) []byte {
	if c.bytes == nil {
		return resize(data, c.position)
	}
	data = extend(data, c.position+int64(len(c.bytes)))
	copy(data[c.position:], c.bytes)
	return data
}

// resize cuts data, or extends it with zeros, to size bytes.
func resize(data []byte, size int64) []byte {
	if int64(len(data)) > size {
		return data[:size]
	}
	return extend(data, size)
}

func extend(data []byte, size int64) []byte {
	if grow := size - int64(len(data)); grow > 0 {
		return append(data, make([]byte, grow)...)
	}
	return data
}

func (n *node) write(p []byte, position int64) {
	if len(p) == 0 {
		return
	}
	c := change{position: position, bytes: append([]byte(nil), p...)}
	n.data = c.apply(n.data)
	n.changes = append(n.changes, c)
}

func (n *node) truncate(size int64) {
	if size == int64(len(n.data)) {
		return
	}
	c := change{position: size}
	n.data = append([]byte(nil), c.apply(n.data)...)
	n.changes = append(n.changes, c)
}

func (n *node) sync() {
	if len(n.changes) > 0 {
		n.synced, n.changes = append([]byte(nil), n.data...), nil
	}
}

func (c nameChange) apply(names map[string]*node) {
	switch c.kind {
	case created:
		names[c.name] = c.node
	case removed:
		delete(names, c.name)
	case renamed:
		names[c.name] = c.node
		if names[c.old] == c.node {
			delete(names, c.old)
		}
	}
}

func (n *node) change(c nameChange) {
	c.apply(n.names)
	n.nameChanges = append(n.nameChanges, c)
}

func (n *node) syncNames() {
	n.syncedNames, n.nameChanges = copyNames(n.names), nil
}

func copyNames(names map[string]*node) map[string]*node {
	to := make(map[string]*node, len(names))
	for name, n := range names {
		to[name] = n
	}
	return to
}
