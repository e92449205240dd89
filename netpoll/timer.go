package netpoll

import (
	"math/bits"
	"time"
)

// Timer calls Fire on its reactor once its time has come. It is meant to be embedded in the state
// that it is about; starting and stopping it allocates nothing. Fire must be set before it is
// started. The zero Timer is stopped.
type Timer struct {
	Fire func()

	tick       int64 // the first tick at which it may fire
	list       *timerList
	prev, next *Timer
}

// Running reports whether the timer is started and has not fired.
func (t *Timer) Running() bool { return t.list != nil }

// The wheel's geometry: seven levels of 64 slots, where a slot of level k spans 64^k ticks of a
// millisecond. That covers 139 years since the clock's zero; what is later never fires.
const (
	timerTickNs   = int64(time.Millisecond)
	timerLevels   = 7
	timerSlotBits = 6
	timerSlots    = 1 << timerSlotBits
	timerTickMax  = int64(1)<<(timerLevels*timerSlotBits) - 1
)

// timerList is a slot: a list that knows its place, so that a stopped timer can clear its bit.
type timerList struct {
	head        *Timer
	level, slot uint8
}

// wheel is a hierarchical timer wheel (Varghese and Lauck, 1987) that does not tick: the next time
// at which it has anything to do is read off the bitmaps of its levels.
//
// A timer lies at the level of the highest group of six bits in which its tick differs from the
// wheel's tick now, in the slot which that group names. So at each level only slots after the
// current one are in use, and a slot is due when the wheel's tick reaches the slot's first tick.
type wheel struct {
	now    int64 // in ticks; all timers with tick <= now have fired
	count  int
	filled [timerLevels]uint64
	slots  [timerLevels][timerSlots]timerList
}

func (w *wheel) init(nowNs int64) {
	w.now = nowNs / timerTickNs
	for level := range w.slots {
		for slot := range w.slots[level] {
			w.slots[level][slot] = timerList{level: uint8(level), slot: uint8(slot)}
		}
	}
}

// start arms t, or arms it anew, for the first tick that does not lie before atNs.
func (w *wheel) start(t *Timer, atNs int64) {
	if t.Fire == nil {
		panic("BUG: timer started without Fire")
	}
	w.stop(t)
	t.tick = min(max((atNs+timerTickNs-1)/timerTickNs, w.now+1), timerTickMax)
	w.insert(t)
	w.count++
}

// stop reports whether t was armed.
func (w *wheel) stop(t *Timer) bool {
	if t.list == nil {
		return false
	}
	w.remove(t)
	w.count--
	return true
}

func (w *wheel) insert(t *Timer) {
	level := (bits.Len64(uint64(t.tick^w.now)) - 1) / timerSlotBits
	slot := int(t.tick>>(level*timerSlotBits)) & (timerSlots - 1)
	l := &w.slots[level][slot]
	t.list, t.prev, t.next = l, nil, l.head
	if l.head != nil {
		l.head.prev = t
	}
	l.head = t
	w.filled[level] |= 1 << slot
}

func (w *wheel) remove(t *Timer) {
	l := t.list
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		l.head = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	if l.head == nil {
		w.filled[l.level] &^= 1 << l.slot
	}
	t.list, t.prev, t.next = nil, nil, nil
}

// due returns the tick at which the wheel next has something to do, which is never after the first
// timer's. Timers at a level are all before those at the levels above it, so the first level with
// a bit set tells.
func (w *wheel) due() (tick int64, ok bool) {
	for level, filled := range w.filled {
		if filled != 0 {
			shift := level * timerSlotBits
			slot := int64(bits.TrailingZeros64(filled))
			return w.now>>(shift+timerSlotBits)<<(shift+timerSlotBits) | slot<<shift, true
		}
	}
	return 0, false
}

// advance moves the wheel to nowNs, fires what is due and returns how many timers fired. Fire may
// start and stop any timer.
func (w *wheel) advance(nowNs int64) (fired int) {
	to := nowNs / timerTickNs
	for {
		tick, ok := w.due()
		if !ok || tick > to {
			w.now = max(w.now, to)
			return fired
		}
		w.now = tick
		fired += w.expire()
	}
}

// expire empties the slot that begins at the wheel's tick: timers of its lowest level fire, others
// are sorted in below unless they are due as well.
func (w *wheel) expire() (fired int) {
	level := 0
	for w.filled[level] == 0 {
		level++
	}
	l := &w.slots[level][bits.TrailingZeros64(w.filled[level])]
	for t := l.head; t != nil; t = l.head {
		w.remove(t)
		if t.tick > w.now {
			w.insert(t)
			continue
		}
		w.count--
		fired++
		t.Fire()
	}
	return fired
}

// untilDue returns how long the wheel can be left alone, in nanoseconds, or -1 for ever.
func (w *wheel) untilDue(nowNs int64) int64 {
	tick, ok := w.due()
	if !ok {
		return -1
	}
	return max(tick*timerTickNs-nowNs, 0)
}
