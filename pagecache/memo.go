package pagecache

import (
	"sync/atomic"
	"time"
)

// memo remembers for which 64 KiB steps of a file the page cache has just said that they are
// there, so that a range that many readers fetch, or one reader again and again, is not asked about
// for each of them: the answer costs a system call, about a tenth of what sending 64 KiB costs.
//
// It is a hint with an expiry: within memoMax the kernel may have taken the pages away, and whoever
// trusts it then waits for the device once. Marks are single words written by whichever reactor
// probed; a lost or late mark costs a probe, never a wrong answer beyond the expiry.
type memo struct {
	// table has a page of marks for each 16 MiB of the file. It is made at the first probe and its
	// pages as they are needed: a file that is never fetched in regions has none.
	table atomic.Pointer[[memoPages]atomic.Pointer[memoPage]]
}

const (
	memoSteps = 256
	memoPages = 128 // 2 GiB, which no segment exceeds
	// memoMax is how long a mark is believed. Pages that were sent just now are the last to be taken
	// away: before that, the machine must turn over the better part of its page cache.
	memoMax = time.Second
)

// memoPage holds, for each step, the time of the last good probe in milliseconds since memoStart,
// plus one; 0 is never. It wraps after 49 days, which makes one probe too many or, with a chance of
// one in millions, one too few.
type memoPage [memoSteps]atomic.Uint32

var memoStart = time.Now()

func memoNow() uint32 { return uint32(time.Since(memoStart)/time.Millisecond) + 1 }

// fresh reports whether all of [pos, pos+n) was seen lately.
func (m *memo) fresh(pos, n int64, now uint32) bool {
	table := m.table.Load()
	if table == nil {
		return false
	}
	for step := pos / residentStep; step <= (pos+n-1)/residentStep; step++ {
		if step/memoSteps >= memoPages {
			return false
		}
		page := table[step/memoSteps].Load()
		if page == nil {
			return false
		}
		at := page[step%memoSteps].Load()
		if at == 0 || now-at > uint32(memoMax/time.Millisecond) {
			return false
		}
	}
	return true
}

// mark notes that all of [pos, pos+n) has just been seen.
func (m *memo) mark(pos, n int64, now uint32) {
	table := m.table.Load()
	if table == nil {
		m.table.CompareAndSwap(nil, new([memoPages]atomic.Pointer[memoPage]))
		table = m.table.Load()
	}
	for step := pos / residentStep; step <= (pos+n-1)/residentStep; step++ {
		if step/memoSteps >= memoPages {
			return
		}
		slot := &table[step/memoSteps]
		if slot.Load() == nil {
			slot.CompareAndSwap(nil, new(memoPage))
		}
		slot.Load()[step%memoSteps].Store(now)
	}
}
