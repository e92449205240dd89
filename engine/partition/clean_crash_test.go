package partition

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"sluice/pagecache/faultfs"
	"sluice/wire"
)

// cleanLife is a life of a compacted log. What an observer knows of it is what was appended, and how
// far a flush has come.
type cleanLife struct {
	*life
	h *cleanHistory
}

type cleanHistory struct {
	batches []wire.Batch
	// aborted are the base offsets of batches whose transaction was aborted.
	aborted map[int64]bool
	floor   int64
	// end is behind the last append that was answered, most behind the last that was tried.
	end, most int64
}

// keyed appends a batch with one record per key; "k=v" sets, "k" is a tombstone.
func (l *cleanLife) keyed(pid int64, codec wire.Codec, pairs ...string) error {
	w := wire.NewBatchBuilder()
	w.Codec = codec
	if pid > 0 {
		w.ProducerID, w.ProducerEpoch, w.BaseSequence = pid, 0, l.seq[pid]
		w.Transactional = pid >= 10
	}
	for _, pair := range pairs {
		key, value, found := bytes.Cut([]byte(pair), []byte("="))
		if !found {
			value = nil
		} else {
			value = append(value, bytes.Repeat([]byte("."), 130)...)
		}
		w.Append(l.clock.now(), key, value)
	}
	batch, err := w.Build(nil)
	if err != nil {
		return err
	}
	l.seq[pid] += int32(len(pairs))
	return l.put(batch, FromClient)
}

// mark ends a transaction.
func (l *cleanLife) mark(pid int64, commit bool) error {
	for _, b := range l.h.batches {
		if _, known := l.h.aborted[b.BaseOffset()]; b.ProducerID() == pid && !b.IsControl() && !known {
			l.h.aborted[b.BaseOffset()] = !commit
		}
	}
	return l.put(markerBatch(l.t, pid, 0, commit), FromCoordinator)
}

func (l *cleanLife) put(batch wire.Batch, origin Origin) error {
	l.h.most = l.h.end + int64(batch.LastOffsetDelta()) + 1
	a := Append{Batch: batch, LeaderEpoch: l.epoch, Origin: origin}
	if err := submitAndWait(l.log, &a); err != nil {
		return err
	}
	if l.dead() {
		if a.Code == wire.CodeNone {
			l.h.batches = append(l.h.batches, bytes.Clone(batch))
			l.h.end = batch.NextOffset()
		} else {
			l.h.batches = append(l.h.batches, stamped(batch, l.h.end))
		}
		return errDead
	}
	if a.Code != wire.CodeNone {
		return fmt.Errorf("append: %s", wire.CodeName(a.Code))
	}
	l.h.batches = append(l.h.batches, bytes.Clone(batch))
	l.h.end = batch.NextOffset()
	return nil
}

func (l *cleanLife) roll() error { return l.log.Roll() }

func (l *cleanLife) sync() error {
	flushed, err := l.log.Flush()
	if err == nil {
		l.h.floor = flushed
	}
	return err
}

func (l *cleanLife) clean() error {
	l.clock.ms.Add(1000)
	c := NewCleaner(CleanerOptions{MapBytes: 1 << 16, MapLoad: 0.9})
	_, err := c.Clean(l.log, l.log.LastStableOffset(l.log.LEO()), l.clock.now())
	if err == nil {
		// It has synced what it has cleaned, and more.
		l.h.floor = l.log.FlushedOffset()
	}
	return err
}

// cleanScript cleans a log four times: first many segments into one and a single one that loses
// something, then one that loses nothing, then tombstones and markers whose time has come, at last
// everything into one segment, with restarts in between. Then it truncates into what was cleaned.
func cleanScript(l *cleanLife) error {
	pairs := func(pid int64, codec wire.Codec, list ...string) func() error {
		return func() error { return l.keyed(pid, codec, list...) }
	}
	mark := func(pid int64, commit bool) func() error {
		return func() error { return l.mark(pid, commit) }
	}
	return steps(
		l.life,
		l.open,
		pairs(0, wire.CodecNone, "a=1", "b=1", "c=1"),
		pairs(1, wire.CodecZstd, "b=2", "d=1"),
		pairs(11, wire.CodecNone, "x=1", "a=9"),
		pairs(0, wire.CodecLZ4, "a=2", "e=1"),
		l.roll,
		mark(11, false),
		pairs(12, wire.CodecNone, "a=3", "f=1"),
		pairs(12, wire.CodecNone, "f=2"),
		mark(12, true),
		l.roll,
		pairs(1, wire.CodecNone, "d"),
		pairs(0, wire.CodecNone, "g=1", "a=4"),
		l.roll,
		pairs(0, wire.CodecNone, "h=1"),
		l.clean,
		pairs(2, wire.CodecNone, "e=2", "h=2"),
		l.sync,
		pairs(0, wire.CodecNone, "z=1"),
		func() error { return l.restart(false) },
		l.roll,
		l.clean,
		pairs(0, wire.CodecGzip, "b=3", "g"),
		l.roll,
		func() error { l.conf.SegmentBytes = 64 << 10; l.log.SetConfig(l.conf); return nil },
		l.clean,
		pairs(11, wire.CodecNone, "x=2"),
		mark(11, true),
		pairs(0, wire.CodecSnappy, "i=1", "j=1", "i=2"),
		l.roll,
		func() error { return l.restart(true) },
		l.clean,
		pairs(0, wire.CodecNone, "k=1"),
		l.sync,
	)
}

// checkCleaned compares a recovered log with the history. Nothing there may differ from what was
// appended but by what a cleaning may do, and of each key the last record below what was promised
// must be there, tombstones excepted.
func checkCleaned(l *life, h *cleanHistory, policy faultfs.Policy) error {
	leo := l.log.LEO()
	floor := h.floor
	if policy == faultfs.Kill {
		floor = h.end
	}
	if leo < floor || leo > max(h.end, h.most) {
		return fmt.Errorf("log ends at %d, want %d to %d", leo, floor, max(h.end, h.most))
	}
	was := map[int64]modelRecord{}
	last := map[string]modelRecord{}
	for _, b := range h.batches {
		for _, r := range drawn(l.t, b).records {
			was[r.offset] = r
			if !b.IsControl() && !h.aborted[b.BaseOffset()] && r.offset < leo {
				last[r.key] = r
			}
		}
	}
	seen := map[string]modelRecord{}
	offset := int64(-1)
	batches, err := readGaps(l.log, 0, 700)
	if err != nil {
		return err
	}
	for _, b := range batches {
		if b.BaseOffset() <= offset {
			return fmt.Errorf("batch at %d behind offset %d", b.BaseOffset(), offset)
		}
		offset = b.LastOffset()
		for _, r := range drawn(l.t, b).records {
			if was[r.offset] != r {
				return fmt.Errorf("record %+v was %+v", r, was[r.offset])
			}
			if !b.IsControl() && !h.aborted[b.BaseOffset()] {
				seen[r.key] = r
			}
		}
	}
	for key, r := range last {
		if got, found := seen[key]; got != r && (found || r.value != "-") {
			return fmt.Errorf("latest record of %q is %+v, want %+v (log ends at %d)", key, got, r, leo)
		}
	}
	return checkSegments(l.log, h)
}

// checkSegments demands that segments follow each other, and that aborted records which are left can
// be told by the list that consumers get.
func checkSegments(l *Log, h *cleanHistory) error {
	list := *l.segments.Load()
	for i, s := range list[:len(list)-1] {
		if s.next.Load() != list[i+1].base {
			return fmt.Errorf("segment %d ends at %d, the next is %d", s.base, s.next.Load(), list[i+1].base)
		}
	}
	listed, err := l.AbortedTxns(nil, 0, l.LEO())
	if err != nil {
		return err
	}
	first := map[int64]bool{}
	for _, a := range listed {
		first[a.FirstOffset] = true
	}
	for base, aborted := range h.aborted {
		if !aborted && first[base] {
			return fmt.Errorf("the batch at %d was committed and counts as aborted", base)
		}
	}
	return nil
}

// cleanCrash runs the script up to operation n and checks every aftermath.
func cleanCrash(t testing.TB, n int, muts mutants, seeds uint64) (tried int, done bool, err error) {
	fs := faultfs.New()
	fs.CrashAfter(n)
	l := &cleanLife{
		life: newLife(t, fs, &model{cutTo: -1}, muts), h: &cleanHistory{aborted: map[int64]bool{}},
	}
	l.conf.SegmentBytes, l.conf.DeleteRetentionMs = 1200, 1500
	err = runSafely(func() error { return cleanScript(l) })
	if err != nil && !l.dead() {
		return 0, true, err
	}
	done = err == nil
	for p := range faultfs.Policies {
		for seed := range seeds {
			tried++
			seed = seed*1000 + uint64(n)
			err := errors.Join(afterClean(t, fs, l, p, seed), interrupted(t, fs, l, p, seed))
			if err != nil {
				return tried, done, fmt.Errorf("%s, seed %d: %w", p, seed, err)
			}
		}
	}
	return tried, done, nil
}

// afterClean recovers, crashes again right behind that, and cleans what is there then.
func afterClean(
	t testing.TB, fs *faultfs.FS, was *cleanLife, p faultfs.Policy, seed uint64,
) error {
	after := fs.Crash(p, seed)
	return runSafely(func() error {
		l := &cleanLife{life: newLife(t, after, &model{}, mutants{}), h: was.h}
		l.conf, l.seq = was.conf, map[int64]int32{}
		l.clock.ms.Store(was.clock.now())
		if err := l.open(); err != nil {
			return fmt.Errorf("open: %w", err)
		}
		if err := checkCleaned(l.life, was.h, p); err != nil {
			return err
		}
		again := &cleanLife{
			life: newLife(t, after.Crash(faultfs.Random, seed+1), &model{}, mutants{}), h: was.h,
		}
		again.conf = was.conf
		again.clock.ms.Store(was.clock.now())
		if err := again.open(); err != nil {
			return fmt.Errorf("open again: %w", err)
		}
		if err := checkCleaned(again.life, was.h, faultfs.Random); err != nil {
			return fmt.Errorf("after a second crash: %w", err)
		}
		h := *was.h
		again.h = &h
		if err := errors.Join(again.roll(), again.clean()); err != nil {
			return err
		}
		if err := checkCleaned(again.life, &cleanHistory{
			batches: h.batches, aborted: h.aborted, most: h.most,
		}, faultfs.Random); err != nil {
			return fmt.Errorf("cleaned after a second crash: %w", err)
		}
		return nil
	})
}

// interrupted crashes a recovery in its middle, and recovers again.
func interrupted(
	t testing.TB, fs *faultfs.FS, was *cleanLife, p faultfs.Policy, seed uint64,
) error {
	half := fs.Crash(p, seed)
	half.CrashAfter(half.Ops() + int(seed%17))
	l := newLife(t, half, &model{}, mutants{})
	l.conf = was.conf
	_ = runSafely(l.open) // The power goes somewhere in it.
	for _, again := range []faultfs.Policy{faultfs.Random, faultfs.DropAll} {
		l := newLife(t, half.Crash(again, seed+2), &model{}, mutants{})
		l.conf = was.conf
		err := runSafely(func() error {
			if err := l.open(); err != nil {
				return fmt.Errorf("open: %w", err)
			}
			return checkCleaned(l, was.h, again)
		})
		if err != nil {
			return fmt.Errorf("recovery cut short, then %s: %w", again, err)
		}
	}
	return nil
}

func exploreClean(t testing.TB, muts mutants, seeds uint64) (crashes int, err error) {
	step := 1
	if testing.Short() {
		step = 2
	}
	for n := 0; ; n += step {
		tried, done, err := cleanCrash(t, n, muts, seeds)
		crashes += tried
		if err != nil {
			return crashes, fmt.Errorf("after operation %d: %w", n, err)
		}
		if done {
			return crashes, nil
		}
	}
}

// docs/CRASH.md: whatever a crash keeps, drops, tears or reorders, after any operation of a cleaning
// and of what comes before and behind it: the latest record of every key is there, kept records are
// what they were, segments follow each other, and committed records do not count as aborted.
func TestCrashWhileCleaning(t *testing.T) {
	t.Parallel()
	crashes, err := exploreClean(t, mutants{}, crashSeeds(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d crashes", crashes)
}

// Bugs that somebody could write in the cleaner: each must be found.
func TestCrashWhileCleaningFindsMutants(t *testing.T) {
	t.Parallel()
	for name, muts := range map[string]mutants{
		"names before contents are synced":                 {unsyncedClean: true},
		"old segments go before the new names are durable": {hastyClean: true},
		"cleaning above the recovery point on disk":        {staleRecoveryClean: true},
		"no fsync of the directory between steps":          {skipSyncDir: true},
		"no fdatasync of segments before they are cleaned": {skipSync: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crashes, err := exploreClean(t, muts, 1+crashSeeds(t))
			if err == nil {
				t.Fatalf("%d crashes did not show it", crashes)
			}
			t.Logf("%d crashes, then: %v", crashes, err)
		})
	}
}

// Whichever operation of a cleaning fails, with a full disk or a broken one, the log loses nothing: it
// goes on, or its dir is given up, and a crash behind it finds everything.
func TestFaultWhileCleaning(t *testing.T) {
	t.Parallel()
	for _, fault := range []faultfs.Fault{
		{Err: syscall.ENOSPC}, {Err: syscall.ENOSPC, Written: 70}, {Err: syscall.EIO, Written: -1},
	} {
		step := 1
		if testing.Short() {
			step = 5
		}
		for n, ended := 1, false; !ended; n += step {
			fs := faultfs.New()
			l := &cleanLife{
				life: newLife(t, fs, &model{cutTo: -1}, mutants{}),
				h:    &cleanHistory{aborted: map[int64]bool{}},
			}
			l.conf.SegmentBytes, l.conf.DeleteRetentionMs = 1200, 1500
			fs.FailAt(n, fault)
			_ = runSafely(func() error { return cleanScript(l) })
			ended = fs.Ops() < n
			for _, p := range []faultfs.Policy{faultfs.Kill, faultfs.KeepAll, faultfs.Random} {
				h := *l.h
				h.most = h.end + 10
				if err := afterClean(t, fs, &cleanLife{life: l.life, h: &h}, p, uint64(n)); err != nil {
					t.Fatalf("operation %d, %v, then %s: %v", n, fault, p, err)
				}
			}
		}
	}
}
