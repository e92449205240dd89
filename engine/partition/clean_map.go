package partition

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// keySlot is one key of an offsetMap: 128 bits of its hash, and one more than the offset of its
// latest record; 0 there means that the slot is free.
type keySlot struct {
	high, low uint64
	next      int64
}

// keySlotBytes is the memory of one slot, which is Kafka's too (class SkimpyOffsetMap).
const keySlotBytes = 24

// offsetMap finds the latest offset of each key of a log's dirty part. It is one flat array without
// pointers, probed linearly; keys themselves are not kept. Two keys with the same 128 bits of
// SHA-256 would be taken for one and the older one's record lost: nobody has ever found such a pair.
type offsetMap struct {
	slots []keySlot
	used  int
	// limit is how many slots may be used.
	limit int
}

// reset empties the map and makes room for up to records keys, within bytesMax of memory filled to
// the share load. More keys than limit are refused by put.
func (m *offsetMap) reset(records, bytesMax int64, load float64) {
	load = min(max(load, 0.01), 0.99)
	most := max(bytesMax/keySlotBytes, 2)
	want := most
	if f := float64(max(records, 1)) / load; f < float64(most) {
		want = max(int64(f)+1, 2)
	}
	if int64(cap(m.slots)) < want {
		m.slots = make([]keySlot, want)
	} else {
		m.slots = m.slots[:want]
		clear(m.slots)
	}
	m.used, m.limit = 0, max(int(float64(want)*load), 1)
}

// release gives the memory back.
func (m *offsetMap) release() { *m = offsetMap{} }

// hashKey is the part of a key's hash that the map keeps.
func hashKey(key []byte) (high, low uint64) {
	sum := sha256.Sum256(key)
	return binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])
}

// find returns the slot of a key, or the free one where it belongs.
func (m *offsetMap) find(high, low uint64) *keySlot {
	at, _ := bits.Mul64(high, uint64(len(m.slots)))
	for {
		s := &m.slots[at]
		if s.next == 0 || s.high == high && s.low == low {
			return s
		}
		if at++; at == uint64(len(m.slots)) {
			at = 0
		}
	}
}

// put notes that key has a record at offset, which is above all before. It reports false when the
// key is new and the map full.
func (m *offsetMap) put(key []byte, offset int64) bool {
	high, low := hashKey(key)
	s := m.find(high, low)
	if s.next == 0 {
		if m.used >= m.limit {
			return false
		}
		m.used++
		s.high, s.low = high, low
	}
	s.next = offset + 1
	return true
}

// latest is the latest offset of key, -1 if the map does not know it.
func (m *offsetMap) latest(key []byte) int64 {
	high, low := hashKey(key)
	return m.find(high, low).next - 1
}

// share is how full the map is, 1 meaning that it takes no more keys.
func (m *offsetMap) share() float64 {
	if m.limit == 0 {
		return 0
	}
	return float64(m.used) / float64(m.limit)
}
