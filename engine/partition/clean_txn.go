package partition

import (
	"cmp"
	"slices"

	"sluice/wire"
)

// cleanedTxns follows the transactions of a log while a cleaning walks through it in order, to tell
// which data was aborted and which markers have no data left before them (class
// CleanedTransactionMetadata).
type cleanedTxns struct {
	// ahead are the aborted transactions that the walk has not reached, by first offset.
	ahead []abortedEntry
	// aborted are those it is in, by producer; seen says that a batch of one is still there.
	aborted map[int64]abortedWalk
	// committed are producers with batches since their last marker.
	committed map[int64]struct{}
}

type abortedWalk struct {
	entry abortedEntry
	seen  bool
}

// reset begins a walk; aborted are the transactions that overlap it, in any order.
func (t *cleanedTxns) reset(aborted []abortedEntry) {
	slices.SortFunc(aborted, func(a, b abortedEntry) int {
		return cmp.Compare(a.firstOffset, b.firstOffset)
	})
	*t = cleanedTxns{
		ahead: aborted, aborted: make(map[int64]abortedWalk), committed: make(map[int64]struct{}),
	}
}

// reach takes up the aborted transactions that begin at or before offset.
func (t *cleanedTxns) reach(offset int64) {
	for len(t.ahead) > 0 && t.ahead[0].firstOffset <= offset {
		e := t.ahead[0]
		t.ahead = t.ahead[1:]
		if _, in := t.aborted[e.producerID]; !in {
			t.aborted[e.producerID] = abortedWalk{entry: e}
		}
	}
}

// data takes a batch of records into account and reports whether it was aborted.
func (t *cleanedTxns) data(b wire.Batch) (aborted bool) {
	t.reach(b.LastOffset())
	if !b.IsTransactional() {
		return false
	}
	pid := b.ProducerID()
	if w, in := t.aborted[pid]; in {
		w.seen = true
		t.aborted[pid] = w
		return true
	}
	t.committed[pid] = struct{}{}
	return false
}

// marker takes a control batch into account. It reports whether the batch has nothing left to say:
// none of its transaction's batches is still there. kept is the aborted transaction that goes on
// needing an entry in the .txnindex.
func (t *cleanedTxns) marker(b wire.Batch) (done bool, kept abortedEntry, keep bool) {
	t.reach(b.LastOffset())
	if b.Count() == 0 {
		return true, abortedEntry{}, false
	}
	kind, _, ok := parseMarker(b)
	if !ok {
		return false, abortedEntry{}, false
	}
	pid := b.ProducerID()
	if kind == markerCommit {
		_, in := t.committed[pid]
		delete(t.committed, pid)
		return !in, abortedEntry{}, false
	}
	w, in := t.aborted[pid]
	delete(t.aborted, pid)
	return !in || !w.seen, w.entry, in && w.seen
}

// abortedWithin lists the aborted transactions that may have records in [from, to).
func abortedWithin(list []*segment, from, to int64) (all []abortedEntry) {
	for _, s := range list {
		if s.next.Load() <= from {
			continue
		}
		for _, e := range s.aborted.view() {
			if e.lastOffset >= from && e.firstOffset < to {
				all = append(all, e)
			}
			if e.lastStable >= to {
				return all
			}
		}
	}
	return all
}
