package e2etest

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// groupHistory is what happened in one group, in an order that all members agree on: whatever was
// told first was over before the next was told.
//
// It holds these rules, of which a breach is kept and reported:
//
//   - A stint, from when a member is given a partition, delivers offsets without gap or repetition.
//   - At least once, and no more than it has to: a stint's first offset is at or above every commit
//     that was known before the stint began. So a record comes again only if its offset was not
//     committed when the member that gets it was given the partition.
//   - A commit that was acknowledged is never followed by a lower one, nor read back lower.
//   - In the end every acknowledged record was delivered, with the value that was acknowledged.
type groupHistory struct {
	mu        sync.Mutex // guards what follows
	committed map[int32]int64
	delivered map[int32]map[int64]string
	count     int
	breach    error
}

func newGroupHistory() *groupHistory {
	return &groupHistory{committed: map[int32]int64{}, delivered: map[int32]map[int64]string{}}
}

func (h *groupHistory) fail(format string, args ...any) {
	if h.breach == nil {
		h.breach = fmt.Errorf(format, args...)
	}
}

// ack tells that commits were acknowledged.
func (h *groupHistory) ack(who string, offsets map[int32]int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for p, o := range offsets {
		if o < h.committed[p] {
			h.fail("%s commits partition %d back to %d from %d", who, p, o, h.committed[p])
		}
		h.committed[p] = o
	}
}

// known returns the highest known commits.
func (h *groupHistory) known() map[int32]int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.committed)
}

// read tells what the broker said of commits, and what was known when it was asked.
func (h *groupHistory) read(before, got map[int32]int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for p, o := range before {
		if got[p] < o {
			h.fail("partition %d reads as committed up to %d; it had %d", p, got[p], o)
		}
	}
	for p, o := range got {
		h.committed[p] = max(o, h.committed[p])
	}
}

func (h *groupHistory) error() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.breach
}

// complete checks the last rule, and tells how many deliveries there were and how many repeated.
func (h *groupHistory) complete(acked [][]string) (deliveries, repeated int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	distinct := 0
	for p, values := range acked {
		got := h.delivered[int32(p)]
		distinct += len(got)
		for o, value := range values {
			if got[int64(o)] != value {
				return 0, 0, fmt.Errorf("offset %d of partition %d was acknowledged as %q, delivered as %q",
					o, p, value, got[int64(o)])
			}
		}
	}
	return h.count, h.count - distinct, h.breach
}

// memberView is what one member says of itself.
type memberView struct {
	name    string
	h       *groupHistory
	owned   map[int32]*stint // guarded by h.mu, as are the next
	changes int
}

// stint is one ownership of one partition.
type stint struct {
	floor int64 // no record below it may come
	next  int64 // the offset that must come; -1 before the first record
}

func newMemberView(name string, h *groupHistory) *memberView {
	return &memberView{name: name, h: h, owned: map[int32]*stint{}}
}

func (v *memberView) assigned(partitions ...int32) {
	v.h.mu.Lock()
	defer v.h.mu.Unlock()
	for _, p := range partitions {
		v.owned[p] = &stint{floor: v.h.committed[p], next: -1}
		v.changes++
	}
}

func (v *memberView) revoked(partitions ...int32) {
	v.h.mu.Lock()
	defer v.h.mu.Unlock()
	for _, p := range partitions {
		delete(v.owned, p)
		v.changes++
	}
}

func (v *memberView) deliver(p int32, offset int64, value string) {
	v.h.mu.Lock()
	defer v.h.mu.Unlock()
	s := v.owned[p]
	switch {
	case s == nil:
		v.h.fail("%s delivers offset %d of partition %d, which is not its own", v.name, offset, p)
		return
	case s.next < 0 && offset < s.floor:
		v.h.fail("%s delivers offset %d of partition %d again; %d was committed before it got it",
			v.name, offset, p, s.floor)
	case s.next >= 0 && offset != s.next:
		v.h.fail("%s delivers offset %d of partition %d, not %d", v.name, offset, p, s.next)
	}
	s.next = offset + 1
	v.h.count++
	if v.h.delivered[p] == nil {
		v.h.delivered[p] = map[int64]string{}
	}
	v.h.delivered[p][offset] = value
}

// partitions returns what the member owns, in order.
func (v *memberView) partitions() []int32 {
	v.h.mu.Lock()
	defer v.h.mu.Unlock()
	return slices.Sorted(maps.Keys(v.owned))
}

func (v *memberView) changeCount() int {
	v.h.mu.Lock()
	defer v.h.mu.Unlock()
	return v.changes
}
