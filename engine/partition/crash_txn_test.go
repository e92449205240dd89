package partition

import (
	"fmt"
	"slices"
	"testing"

	"sluice/wire"
)

// checkTransactions demands what the history up to leo says of transactions: where the last stable
// offset stands with everything below the high watermark, which transactions were aborted, which are
// open, and what coordinators are known.
func checkTransactions(l *Log, history []wire.Batch, leo int64) error {
	start := l.StartOffset()
	if leo == start {
		return nil // See checkProducers.
	}
	open, coordinators := map[int64]int64{}, map[int64]bool{}
	var aborted []AbortedTxn
	for _, b := range history {
		pid := b.ProducerID()
		first, isOpen := open[pid]
		switch {
		case b.NextOffset() > leo || !b.IsTransactional():
		case !b.IsControl() && !isOpen:
			open[pid] = b.BaseOffset()
		case b.IsControl():
			kind, _, _ := parseMarker(b)
			if isOpen && kind == markerAbort && b.LastOffset() >= start {
				aborted = append(aborted, AbortedTxn{pid, first})
			}
			coordinators[pid] = true
			delete(open, pid)
		}
	}
	stable := leo
	for _, first := range open {
		stable = min(stable, max(first, start))
	}
	if got := l.LastStableOffset(leo); got != stable {
		return fmt.Errorf("last stable offset %d, want %d", got, stable)
	}
	if got, err := l.AbortedTxns(nil, start, leo); err != nil || !slices.Equal(got, aborted) {
		return fmt.Errorf("aborted transactions %v (%v), want %v", got, err, aborted)
	}
	for _, p := range l.Producers() {
		first, isOpen := open[p.ID]
		if !isOpen {
			first = -1
		}
		if p.TxnFirstOffset != first || (p.CoordinatorEpoch == 1) != coordinators[p.ID] {
			return fmt.Errorf("producer %+v: transaction open from %d, coordinator %v", p, first,
				coordinators[p.ID])
		}
	}
	return nil
}

// txnScript has transactions open, aborted and committed across everything that the log does with
// its files: rolls, flushes, checkpoints, snapshots, deletion, truncation that takes markers back,
// restarts.
func txnScript(l *life) error {
	return steps(
		l,
		l.open,
		func() error { return l.transact(11, 2, 150) },
		func() error { return l.transact(12, 1, 300) },
		func() error { return l.end(11, false) },
		l.flush,
		func() error { return l.transact(13, 2, 400) },
		func() error { return l.transact(11, 1, 700) },
		func() error { return l.end(13, false) },
		func() error { return l.transact(12, 1, 600) }, // rolls
		l.checkpoint,
		func() error { return l.end(11, true) },
		func() error { return l.transact(14, 1, 200) },
		func() error { return l.end(14, false) },
		func() error { return l.fullDisk(payload{bytes: 250}, 70) },
		func() error { return l.end(15, false) }, // of nobody's transaction
		func() error { return l.restart(false) },
		func() error { return l.transact(14, 1, 900) }, // rolls
		func() error { return l.end(12, false) },
		l.flush,
		func() error { return l.deleteTo(l.m.history[4].NextOffset()) },
		func() error { return l.end(14, false) },
		func() error { return l.cut(l.m.history[len(l.m.history)-2].BaseOffset()) },
		func() error { l.reseq(); return l.transact(14, 2, 100) },
		func() error { return l.end(14, false) },
		func() error { return l.transact(13, 1, 1000) },
		l.flush,
		func() error { return l.cut(l.m.end() - 2) },
		func() error { return l.restart(true) },
		func() error { l.reseq(); return l.end(12, true) },
		func() error { return l.transact(12, 1, 100) },
		func() error { return l.log.Roll() },
		func() error { return l.end(12, false) },
		l.checkpoint,
		func() error { return l.transact(11, 1, 100) },
	)
}

// docs/CRASH.md, for transactions: whatever a crash after any operation leaves of the log, the last
// stable offset, the aborted transactions and the open ones are those of the records that are there.
func TestCrashWithTransactions(t *testing.T) {
	t.Parallel()
	for name, muts := range map[string]mutants{"cut in place": {}, "copy": {alwaysCopy: true}} {
		crashes, err := explore(t, txnScript, muts, crashSeeds(t))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Logf("%s: %d crashes", name, crashes)
	}
}

// The exploration of transactions notices a transaction index that is not synced before the recovery
// point passes its markers.
func TestCrashWithTransactionsFindsMutants(t *testing.T) {
	t.Parallel()
	muts := mutants{skipSyncAborted: true}
	crashes, err := explore(t, txnScript, muts, 1+crashSeeds(t))
	if err == nil {
		t.Fatalf("%d crashes did not show it", crashes)
	}
	t.Logf("%d crashes, then: %v", crashes, err)
}
