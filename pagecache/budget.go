package pagecache

import "sync/atomic"

// Budget bounds the bytes reserved ahead of all files together. It is one counter for the whole
// process; its limit belongs to the operator's disk, not to the number of partitions.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// NewBudget returns a budget of limitBytes; zero or less turns reserving ahead off.
func NewBudget(limitBytes int64) *Budget { return &Budget{limit: limitBytes} }

// Take claims n bytes; it reports false, and claims nothing, when that would pass the limit.
func (b *Budget) Take(n int64) bool {
	for {
		used := b.used.Load()
		if used+n > b.limit {
			return false
		}
		if b.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

// Give returns n bytes that Take claimed.
func (b *Budget) Give(n int64) {
	if b.used.Add(-n) < 0 {
		panic("BUG: pagecache: more reserved bytes given back than taken")
	}
}

// Used is the number of bytes claimed now.
func (b *Budget) Used() int64 { return b.used.Load() }

// The steps of Ahead. The first is small enough for ten thousand busy partitions, the last is what
// a partition at 1 GB/s writes in a sixteenth of a second: each reservation costs one fallocate.
const (
	aheadStepMin = 1 << 20
	aheadStepMax = 64 << 20
	// aheadFastMs and aheadSlowMs are how fast a step must be used up to double the next one, and
	// how slowly to halve it.
	aheadFastMs = 1_000
	aheadSlowMs = 10_000
)

// Ahead decides how much space to reserve past the tail of one growing file: nothing until the
// file has grown by a step, then steps that double while they are used up quickly and halve, down
// to nothing, while they are not. It decides only; the caller calls File.Reserve, on a worker,
// and reports with Grant or Refuse. It is guarded by the lock that guards the file's tail, except
// where a method says otherwise.
type Ahead struct {
	budget *Budget
	// end is the position up to which space is reserved, or 0; step the size of the next
	// reservation; from and sinceMs where and when the current step began.
	end     int64
	step    int64
	from    int64
	sinceMs int64
	// asked says that a region has been asked for and not been granted or refused yet; closed that
	// nothing more is wanted; taken is the file's share of the budget.
	asked  bool
	closed bool
	taken  int64
	// follows says that the file goes on where a fast one ended: it need not show its rate first.
	follows bool
}

// NewAhead starts with nothing reserved for a file whose tail is at position tail.
func NewAhead(budget *Budget, tail, nowMs int64) Ahead {
	return Ahead{budget: budget, from: tail, sinceMs: nowMs, step: aheadStepMin}
}

// Follow takes over the rate at which the file before this one was growing, if it was to the end.
func (a *Ahead) Follow(before *Ahead, nowMs int64) {
	if before.step > aheadStepMin && before.budget != nil && nowMs-before.sinceMs <= aheadFastMs {
		// Want doubles what is used up quickly.
		a.step, a.follows = before.step/2, true
	}
}

// Want reports the region to reserve now that the tail is at position tail, or n = 0 for none.
// After n > 0 it stays silent until Grant or Refuse.
func (a *Ahead) Want(tail, sizeMax, nowMs int64) (pos, n int64) {
	early := tail-a.from < a.step/2 && a.end == 0 && !a.follows
	if a.asked || a.closed || a.budget == nil || early {
		return 0, 0
	}
	a.follows = false
	if a.end > 0 && a.end-tail > a.step/2 {
		return 0, 0
	}
	switch took := nowMs - a.sinceMs; {
	case took <= aheadFastMs:
		a.step = min(2*a.step, aheadStepMax)
	case took > aheadSlowMs && a.step > aheadStepMin:
		a.step /= 2
	case took > aheadSlowMs:
		// Too slow for even the smallest step: forget the rate and reserve nothing.
		a.from, a.sinceMs = tail, nowMs
		return 0, 0
	}
	pos = max(tail, a.end)
	n = min(a.step, sizeMax-pos)
	for n > 0 && !a.budget.Take(n) {
		// Many fast files share the budget in smaller steps.
		if n /= 2; n < aheadStepMin {
			n = 0
		}
		a.step = max(n, aheadStepMin)
	}
	if n <= 0 {
		a.from, a.sinceMs = tail, nowMs
		return 0, 0
	}
	a.asked = true
	a.from, a.sinceMs = tail, nowMs
	return pos, n
}

// Grant says that [pos, pos+n), which Want asked for, is reserved.
func (a *Ahead) Grant(pos, n int64) {
	a.asked = false
	if a.closed {
		a.budget.Give(n)
		return
	}
	a.end, a.taken = pos+n, a.taken+n
}

// Refuse says that it could not be; nothing more is asked for this file.
func (a *Ahead) Refuse(n int64) {
	a.budget.Give(n)
	a.asked = false
	a.giveBack()
	a.budget = nil
}

// Reserved reports whether space past the tail may be allocated, so that a roll or close trims it.
func (a *Ahead) Reserved(tail int64) bool { return a.end > tail || a.asked }

// Close gives the file's share of the budget back, after trimming at roll and close; what has been
// asked for and not been granted yet goes back when it is. Nothing more is wanted from then on.
func (a *Ahead) Close() {
	a.giveBack()
	a.end, a.closed = 0, true
}

// Used gives back what the tail has grown into: written space is no longer a reservation.
func (a *Ahead) Used(tail int64) {
	if spare := max(0, a.end-tail); a.taken > spare && a.budget != nil {
		a.budget.Give(a.taken - spare)
		a.taken = spare
	}
}

func (a *Ahead) giveBack() {
	if a.budget != nil && a.taken > 0 {
		a.budget.Give(a.taken)
		a.taken = 0
	}
}
