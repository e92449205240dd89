package broker

import (
	"sync"
	"unsafe"

	"sluice/engine/catalog"
)

// topicTable finds the topics that this broker serves, by name and by id, without allocating.
type topicTable struct {
	// mu guards both maps; nothing else is locked while it is held.
	mu     sync.RWMutex
	byName map[string]*topic
	byID   map[catalog.UUID]*topic
}

func newTopicTable() *topicTable {
	return &topicTable{byName: map[string]*topic{}, byID: map[catalog.UUID]*topic{}}
}

// named returns the topic of that name, or nil. name may be lent.
func (t *topicTable) named(name []byte) *topic {
	t.mu.RLock()
	found := t.byName[string(name)]
	t.mu.RUnlock()
	return found
}

func (t *topicTable) namedString(name string) *topic {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byName[name]
}

// identified returns the topic of that id, or nil.
func (t *topicTable) identified(id [16]byte) *topic {
	t.mu.RLock()
	found := t.byID[catalog.UUID(id)]
	t.mu.RUnlock()
	return found
}

func (t *topicTable) add(x *topic) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byName[x.name] = x
	t.byID[x.id] = x
}

func (t *topicTable) remove(x *topic) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byName[x.name] == x {
		delete(t.byName, x.name)
	}
	delete(t.byID, x.id)
}

// all returns the topics in no particular order.
func (t *topicTable) all() []*topic {
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := make([]*topic, 0, len(t.byID))
	for _, x := range t.byID {
		list = append(list, x)
	}
	return list
}

// eachReplica calls f for every replica that this broker has.
func (t *topicTable) eachReplica(f func(*replica)) {
	for _, x := range t.all() {
		for _, r := range *x.replicas.Load() {
			if r != nil {
				f(r)
			}
		}
	}
}

// bytesOf returns the bytes of s without copying them. They must not be written to.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
