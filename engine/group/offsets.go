package group

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"

	"sluice/engine/coordinator"
)

// offsets is a shard's table of committed offsets, and of those that wait for the end of their
// transaction. It is made for millions of offsets: each is one entry of 56 bytes without pointers in
// a chunk, found through a map without pointers, and group ids, topic names, topic ids and metadata
// are kept once for all entries that have them. The zero value is empty.
//
// Only replay and replayEnd change it, so it is always what the partition's records say.
type offsets struct {
	groups   interned[string]
	topics   interned[string]
	topicIDs interned[[16]byte]
	metadata interned[string]

	// at finds a committed offset's entry. Entries are numbered from 1; a group's entries are linked
	// through next and prev from its list, which is indexed by the group's number. Entries that are
	// not in use are linked through next from unused.
	at      map[place]uint32
	chunks  []*[chunkEntries]entry
	entries uint32
	unused  uint32
	lists   []groupList
	// expiryMs has the few entries whose commit set a retention of its own.
	expiryMs map[uint32]int64

	// order counts the offset records that were replayed: it stands for a record's offset in the log
	// where only "later than" matters, and compaction keeps that.
	order int64

	// committed is how many offsets are, for those who look without the shard's turn. grouped, unless
	// nil, is told of a group's first offset and of its last.
	committed atomic.Int64
	grouped   func(group string, by int64)

	// pending are the offsets of open transactions by producer id; open says which producers have one
	// pending for a place.
	pending map[int64]*pendingTxn
	open    map[place][]int64
	spare   []*pendingTxn
}

const chunkEntries = 256

// place is a partition of a topic in a group, by their numbers.
type place struct {
	group, topic uint32
	partition    int32
}

// entry is one offset. What it holds in numbers (group, topic, topic id and metadata; 0 is none) it
// holds once each.
type entry struct {
	offset   int64
	commitMs int64
	order    int64
	place
	leaderEpoch int32
	metadata    uint32
	topicID     uint32
	next, prev  uint32
}

// groupList is the list of a group's committed offsets.
type groupList struct{ head, count uint32 }

// pendingTxn are one transaction's offsets, in the order in which their places were first named.
type pendingTxn struct {
	list []pendingOffset
	at   map[place]int
}

type pendingOffset struct {
	entry
	expireMs int64
}

func (o *offsets) entry(i uint32) *entry {
	return &o.chunks[(i-1)/chunkEntries][(i-1)%chunkEntries]
}

// has reports whether a group has committed or pending offsets. It then exists even if it has no
// record: as an Empty group of simple consumers (class GroupMetadataManager's simple group).
func (o *offsets) has(group string) bool { return o.groups.find(group) != 0 }

// groupNames appends the groups that have offsets, committed or pending, in no useful order.
func (o *offsets) groupNames(dst []string) []string {
	for n, holders := range o.groups.holders {
		if holders > 0 {
			dst = append(dst, o.groups.values[n])
		}
	}
	return dst
}

// groupCount is how many groups have offsets.
func (o *offsets) groupCount() int { return o.groups.len() }

// len is how many offsets are committed.
func (o *offsets) len() int { return len(o.at) }

// find returns the entry of a committed offset, 0 if there is none.
func (o *offsets) find(group, topic string, partition int32) uint32 {
	return o.at[place{o.groups.find(group), o.topics.find(topic), partition}]
}

// isPending reports whether an open transaction has an offset for a partition.
func (o *offsets) isPending(group, topic string, partition int32) bool {
	return len(o.open[place{o.groups.find(group), o.topics.find(topic), partition}]) > 0
}

// members appends the entries of a group, by topic and partition.
func (o *offsets) members(group string, dst []uint32) []uint32 {
	g := o.groups.find(group)
	if g == 0 {
		return dst
	}
	from := len(dst)
	for i := o.lists[g].head; i != 0; i = o.entry(i).next {
		dst = append(dst, i)
	}
	o.sort(dst[from:])
	return dst
}

func (o *offsets) sort(entries []uint32) {
	slices.SortFunc(entries, func(a, b uint32) int {
		return o.compare(o.entry(a).place, o.entry(b).place)
	})
}

// compare orders places by the names of group and topic, then by partition.
func (o *offsets) compare(a, b place) int {
	if a.group != b.group {
		return cmp.Compare(o.groups.value(a.group), o.groups.value(b.group))
	}
	if a.topic != b.topic {
		return cmp.Compare(o.topics.value(a.topic), o.topics.value(b.topic))
	}
	return cmp.Compare(a.partition, b.partition)
}

// tombstone returns the record that removes what is at p.
func (o *offsets) tombstone(p place) coordinator.Record {
	return offsetTombstone(o.groups.value(p.group), o.topics.value(p.topic), p.partition)
}

// appendTombstones appends the records that remove a group's offsets, committed and pending, as
// deleting the group does (KIP-229, class OffsetMetadataManager).
func (o *offsets) appendTombstones(group string, dst []coordinator.Record) []coordinator.Record {
	g := o.groups.find(group)
	if g == 0 {
		return dst
	}
	var places []place
	for i := o.lists[g].head; i != 0; i = o.entry(i).next {
		places = append(places, o.entry(i).place)
	}
	if o.groups.holders[g] > o.lists[g].count {
		for p := range o.open {
			if _, both := o.at[p]; p.group == g && !both {
				places = append(places, p)
			}
		}
	}
	slices.SortFunc(places, o.compare)
	for _, p := range places {
		dst = append(dst, o.tombstone(p))
	}
	return dst
}

// keep returns the place that a key names, and holds its group and topic once more.
func (o *offsets) keep(k *offsetKey) place {
	g := o.groups.find(k.group)
	if g != 0 {
		o.groups.hold(g)
	} else {
		g = o.groups.add(strings.Clone(k.group))
		for int(g) >= len(o.lists) {
			o.lists = append(o.lists, groupList{})
		}
		if o.grouped != nil {
			o.grouped(k.group, 1)
		}
	}
	t := o.topics.find(k.topic)
	if t != 0 {
		o.topics.hold(t)
	} else {
		t = o.topics.add(strings.Clone(k.topic))
	}
	return place{g, t, k.partition}
}

func (o *offsets) leave(p place) {
	if o.groups.holders[p.group] == 1 && o.grouped != nil {
		o.grouped(o.groups.value(p.group), -1)
	}
	o.groups.drop(p.group)
	o.topics.drop(p.topic)
}

// fill makes an entry of a value; it holds the value's metadata and topic id.
func (o *offsets) fill(p place, v *offsetValue) entry {
	e := entry{
		place: p, offset: v.offset, commitMs: v.commitMs, leaderEpoch: v.leaderEpoch, order: o.order,
	}
	if len(v.metadata) > 0 {
		if e.metadata = o.metadata.find(v.metadata); e.metadata != 0 {
			o.metadata.hold(e.metadata)
		} else {
			e.metadata = o.metadata.add(strings.Clone(v.metadata))
		}
	}
	if v.topicID != [16]byte{} {
		if e.topicID = o.topicIDs.find(v.topicID); e.topicID != 0 {
			o.topicIDs.hold(e.topicID)
		} else {
			e.topicID = o.topicIDs.add(v.topicID)
		}
	}
	return e
}

// empty lets go of what an entry holds.
func (o *offsets) empty(e *entry) {
	if e.metadata != 0 {
		o.metadata.drop(e.metadata)
	}
	if e.topicID != 0 {
		o.topicIDs.drop(e.topicID)
	}
	o.leave(e.place)
}

// put makes e, which holds its own, the committed offset of its place.
func (o *offsets) put(e entry, expireMs int64) {
	i, found := o.at[e.place]
	if found {
		old := o.entry(i)
		e.next, e.prev = old.next, old.prev
		o.empty(old)
		*old = e
	} else {
		i = o.link(e)
	}
	switch {
	case expireMs != none:
		if o.expiryMs == nil {
			o.expiryMs = make(map[uint32]int64)
		}
		o.expiryMs[i] = expireMs
	case found && len(o.expiryMs) > 0:
		delete(o.expiryMs, i)
	}
}

// link takes an unused entry for e and puts it at the head of its group's list.
func (o *offsets) link(e entry) uint32 {
	i := o.unused
	if i != 0 {
		o.unused = o.entry(i).next
	} else {
		if int(o.entries) == len(o.chunks)*chunkEntries {
			o.chunks = append(o.chunks, new([chunkEntries]entry))
		}
		o.entries++
		i = o.entries
	}
	list := &o.lists[e.group]
	e.next, e.prev = list.head, 0
	if list.head != 0 {
		o.entry(list.head).prev = i
	}
	list.head = i
	list.count++
	*o.entry(i) = e
	if o.at == nil {
		o.at = make(map[place]uint32)
	}
	o.at[e.place] = i
	o.committed.Store(int64(len(o.at)))
	return i
}

// remove forgets the committed offset at p, if there is one.
func (o *offsets) remove(p place) {
	i, found := o.at[p]
	if !found {
		return
	}
	e := o.entry(i)
	list := &o.lists[p.group]
	if e.next != 0 {
		o.entry(e.next).prev = e.prev
	}
	if e.prev != 0 {
		o.entry(e.prev).next = e.next
	} else {
		list.head = e.next
	}
	list.count--
	delete(o.at, p)
	o.committed.Store(int64(len(o.at)))
	delete(o.expiryMs, i)
	o.empty(e)
	*e = entry{next: o.unused}
	o.unused = i
	if len(o.at) == 0 && len(o.chunks) > 1 {
		o.at, o.chunks, o.entries, o.unused = nil, nil, 0, 0
	}
}
