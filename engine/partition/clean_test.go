package partition

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"sluice/pagecache"
	"sluice/wire"
)

// The map finds the latest offset of each key like any map would, and takes no more keys than its
// memory allows (class SkimpyOffsetMap).
func TestOffsetMap(t *testing.T) {
	t.Parallel()
	var m offsetMap
	for _, slots := range []int64{10, 1000, 3} {
		m.reset(1<<40, slots*keySlotBytes, 0.8)
		want := map[string]int64{}
		for offset := range slots * 3 {
			key := fmt.Appendf(nil, "k%d", offset*7%(slots*2))
			if m.put(key, offset) {
				want[string(key)] = offset
			} else if _, known := want[string(key)]; known || len(want) != m.limit {
				t.Errorf("%d slots: %s was refused with %d keys", slots, key, len(want))
			}
		}
		for i := range slots * 3 {
			key := fmt.Sprintf("k%d", i)
			offset, known := want[key]
			if !known {
				offset = -1
			}
			if got := m.latest([]byte(key)); got != offset {
				t.Errorf("%d slots: %s is at %d, want %d", slots, key, got, offset)
			}
		}
		if len(want) != m.limit || m.share() != 1 {
			t.Errorf("%d slots: %d keys, limit %d, share %v", slots, len(want), m.limit, m.share())
		}
	}
	m.reset(100, 1<<30, 0.9)
	if n := len(m.slots); n < 100 || n > 200 {
		t.Errorf("%d slots for 100 records", n)
	}
}

// Nothing is allocated by key or by batch.
func TestCleaningAllocatesLittle(t *testing.T) {
	var m offsetMap
	m.reset(1000, 1<<20, 0.9)
	key := []byte("some key")
	if n := testing.AllocsPerRun(100, func() { m.put(key, 5); m.latest(key) }); n != 0 {
		t.Errorf("%v allocations for a key", n)
	}
	b := newBench(t, func(c *Config) { c.SegmentBytes = 200_000 })
	for i := range 900 {
		b.keyed(fmt.Sprint("k", i%40))
	}
	if err := b.log.Roll(); err != nil {
		t.Fatal(err)
	}
	b.settle()
	c := NewCleaner(CleanerOptions{MapBytes: 1 << 20, MapLoad: 0.9})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	done, err := c.Clean(b.log, b.log.LEO(), b.clock.now())
	runtime.ReadMemStats(&after)
	if err != nil || done.RecordsRead != 900 || done.RecordsKept != 40 {
		t.Fatalf("%+v, %v", done, err)
	}
	if n := after.Mallocs - before.Mallocs; n > 600 {
		t.Errorf("%d allocations for 900 batches", n)
	}
}

// keyed appends a record with that key.
func (b *bench) keyed(key string) Append {
	b.t.Helper()
	return b.keyedBytes(key, 100)
}

func keyedBatch(t testing.TB, ms int64, key string, size int) wire.Batch {
	t.Helper()
	w := wire.NewBatchBuilder()
	w.Append(ms, []byte(key), bytes.Repeat([]byte("v"), size))
	batch, err := w.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

func (b *bench) keyedBytes(key string, size int) Append {
	b.t.Helper()
	a := b.submitBatch(keyedBatch(b.t, b.clock.now(), key, size), FromClient)
	if a.Code != wire.CodeNone {
		b.t.Fatal(wire.CodeName(a.Code))
	}
	return a
}

// What may be cleaned ends at the last stable offset, at the active segment, and at the first segment
// that min.compaction.lag.ms protects; max.compaction.lag.ms makes it due whatever the ratio
// (LogCleanerManager, cleanableOffsets and maxCompactionDelay).
func TestCleanable(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	start := b.clock.now()
	for range 4 {
		b.keyed("a")
		b.keyed("b")
		if err := b.log.Roll(); err != nil {
			t.Fatal(err)
		}
		b.clock.ms.Add(1000)
	}
	size := (*b.log.segments.Load())[0].size.Load()
	f := func(what string, change func(*Config), nowMs, stable int64, want Cleanable) {
		t.Helper()
		c := DefaultConfig()
		if change != nil {
			change(&c)
		}
		b.log.SetConfig(c)
		if got, err := b.log.Cleanable(nowMs, stable); got != want || err != nil {
			t.Errorf("%s: %+v, want %+v (%v)", what, got, want, err)
		}
	}
	lag := func(ms int64) func(*Config) { return func(c *Config) { c.MinCompactionLagMs = ms } }
	now := start + 4000
	f("all", nil, now, 8, Cleanable{To: 8, DirtyBytes: 4 * size})
	f("below LSO", nil, now, 5, Cleanable{To: 4, DirtyBytes: 2 * size})
	f("nothing below LSO", nil, now, 1, Cleanable{})
	f("young", lag(2500), now, 8, Cleanable{To: 4, DirtyBytes: 2 * size})
	f("old enough", lag(1000), now, 8, Cleanable{To: 8, DirtyBytes: 4 * size})
	f("overdue", func(c *Config) { c.MaxCompactionLagMs = 1500 }, now, 8,
		Cleanable{To: 8, DirtyBytes: 4 * size, OverdueMs: 2500})
	f("not overdue", func(c *Config) { c.MaxCompactionLagMs = 5000 }, now, 8,
		Cleanable{To: 8, DirtyBytes: 4 * size})
	if err := b.dir.noteCleaned(b.log, 6); err != nil {
		t.Fatal(err)
	}
	some := Cleanable{From: 6, To: 8, CleanBytes: 3 * size, DirtyBytes: size}
	f("from the checkpoint", nil, now, 8, some)
	b.reopen(false)
	f("from the checkpoint on disk", nil, now, 8, some)
	if some.Ratio() != 0.25 || some.Due(0.25) || !some.Due(0.24) {
		t.Errorf("ratio %v", some.Ratio())
	}
	if some.OverdueMs = 1; !some.Due(1) {
		t.Error("overdue and not due")
	}
	if (Cleanable{OverdueMs: 1}).Due(0) || (Cleanable{}).Ratio() != 0 {
		t.Error("due with nothing to clean")
	}
	if err := b.log.TruncateTo(3); err != nil {
		t.Fatal(err)
	}
	f("the checkpoint is beyond the end", nil, now, 8, Cleanable{From: 3, To: 3, CleanBytes: size})
}

// Regions that were handed out before a cleaning go on showing the old bytes, a reader's cursor into a
// segment that was replaced costs a lookup and no wrong answer, and the old file goes with the last
// reader.
func TestCleaningLeavesReadersAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.SegmentBytes = 1000 })
	for i := range 30 {
		b.keyed(fmt.Sprint("k", i%7))
	}
	before := readAll(t, b.log, 0, 1<<20)
	first := ReadRequest{Offset: 0, Bound: b.log.LEO(), MaxBytes: 250, MinOne: true}
	if code := b.log.Read(&first); code != wire.CodeNone || first.File == nil {
		t.Fatal(wire.CodeName(code))
	}
	b.settle()
	c := NewCleaner(CleanerOptions{MapBytes: 1 << 16, MapLoad: 0.9})
	if _, err := c.Clean(b.log, b.log.LEO(), b.clock.now()); err != nil {
		t.Fatal(err)
	}
	old := make([]byte, first.Bytes)
	if _, err := first.File.ReadAt(old, first.Position); err != nil ||
		!bytes.HasPrefix(old, before[0]) {
		t.Errorf("a region in flight has changed: %v", err)
	}
	first.File.Release()
	next := ReadRequest{
		Offset: first.Cursor.Offset, Bound: b.log.LEO(), MaxBytes: 250, MinOne: true, Cursor: first.Cursor,
	}
	if code := b.log.Read(&next); code != wire.CodeNone || next.File == nil {
		t.Fatal(wire.CodeName(code))
	}
	header := make(wire.Batch, wire.BatchHeaderSize)
	if _, err := next.File.ReadAt(header, next.Position); err != nil {
		t.Fatal(err)
	}
	next.File.Release()
	want, err := readGaps(b.log, first.Cursor.Offset, 1<<20)
	if err != nil || header.BaseOffset() != want[0].BaseOffset() {
		t.Errorf("read at %d begins at %d, want %d (%v)", next.Offset, header.BaseOffset(),
			want[0].BaseOffset(), err)
	}
}

// A cleaning whose log is truncated, closed or deleted meanwhile, or loses its segments to retention,
// comes to nothing and leaves no file behind; a full map only makes it stop earlier.
func TestCleaningIsAborted(t *testing.T) {
	t.Parallel()
	f := func(what string, change func(b *bench) error, want error) {
		t.Helper()
		b := newBench(t, func(c *Config) { c.SegmentBytes, c.RetentionMs = 200_000, 1000 })
		for i := range 500 {
			b.keyedBytes(fmt.Sprint("k", i%140), 4000)
		}
		b.settle()
		calls := 0
		c := NewCleaner(CleanerOptions{MapBytes: 1 << 20, MapLoad: 0.9, Pace: func(int64) error {
			if calls++; calls == 11 { // The second pass has begun.
				return change(b)
			}
			return nil
		}})
		_, err := c.Clean(b.log, b.log.LEO(), b.clock.now())
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		entries, _ := b.fs.ReadDir(b.log.path)
		for _, e := range entries {
			if bytes.Contains([]byte(e.Name()), []byte(cleanedSuffix)) && !b.log.closed.Load() {
				t.Errorf("%s: %s is left", what, e.Name())
			}
		}
		if b.log.closed.Load() {
			return
		}
		if _, err := readGaps(b.log, b.log.StartOffset(), 5000); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	stop := errors.New("stop")
	f("stopped by its owner", func(*bench) error { return stop }, stop)
	f("truncated", func(b *bench) error { return b.log.TruncateTo(100) }, ErrCleaningAborted)
	f("begun anew", func(b *bench) error { return b.log.TruncateFully(7) }, ErrCleaningAborted)
	f("closed", func(b *bench) error { return b.log.Close(true) }, ErrCleaningAborted)
	f("deleted", func(b *bench) error { return b.dir.Delete(b.log) }, ErrCleaningAborted)
	f("retention", func(b *bench) error {
		// Some segments are empty already.
		b.log.ApplyRetention(b.clock.now()+5000, b.log.LEO())
		return b.dir.CommitStartOffsets()
	}, ErrCleaningAborted)
}

// appendKeyed appends n records with 97 keys, and tells each one's last offset.
func appendKeyed(t *testing.T, l *Log, n int) map[string]int64 {
	last := map[string]int64{}
	for i := range n {
		key := fmt.Sprint("k", i*i%97)
		a := Append{Batch: keyedBatch(t, testEpochMs, key, 100), LeaderEpoch: -1}
		told := make(chan struct{})
		a.Done = func(*Append) { close(told) }
		if !l.Submit(&a) {
			<-told
		}
		if a.Code != wire.CodeNone {
			t.Fatal(wire.CodeName(a.Code))
		}
		last[key] = a.BaseOffset
	}
	return last
}

// Appends, readers, flushes and checkpoints go on while a log is cleaned again and again: readers see
// whole batches in order, and of every key its last record.
func TestCleaningAmongOthers(t *testing.T) {
	t.Parallel()
	o := dirOptions(pagecache.OS{}, t.TempDir(), newClock())
	o.manual = false
	dir, err := OpenDir(o)
	if err != nil {
		t.Fatal(err)
	}
	conf := DefaultConfig()
	conf.SegmentBytes, conf.IndexIntervalBytes = 20_000, 512
	l, _, err := Open(Options{Dir: dir, Topic: "t", Config: conf})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	stop := make(chan struct{})
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for _, size := range []int64{300, 5000} {
		background(&group, stop, func(int) { _, err := readGaps(l, 0, size); must(err) })
	}
	background(&group, stop, func(int) { _, err := l.Flush(); must(err) })
	background(&group, stop, func(n int) {
		_, err := l.OffsetForTimestamp(testEpochMs+int64(n%100), 1<<40)
		must(err)
		must(dir.Checkpoint())
	})
	cleaned := 0
	background(&group, stop, func(int) {
		c := NewCleaner(CleanerOptions{MapBytes: 1 << 16, MapLoad: 0.9})
		done, err := c.Clean(l, l.LEO(), testEpochMs)
		cleaned += done.Made
		must(err)
	})
	last := appendKeyed(t, l, 1200)
	close(stop)
	group.Wait()
	c := NewCleaner(CleanerOptions{MapBytes: 1 << 16, MapLoad: 0.9})
	_, err = c.Clean(l, l.LEO(), testEpochMs)
	must(err)
	seen := map[string]int64{}
	batches, err := readGaps(l, 0, 1<<20)
	must(err)
	for _, batch := range batches {
		for _, r := range drawn(t, batch).records {
			seen[r.key] = r.offset
		}
	}
	for key, offset := range last {
		if seen[key] != offset {
			t.Errorf("%s is at %d, want %d", key, seen[key], offset)
		}
	}
	if len(batches) > 500 {
		t.Errorf("%d batches are left of 1200", len(batches))
	}
	t.Logf("%d segments were made", cleaned)
	if err := dir.Close(true, 1); err != nil {
		t.Error(err)
	}
}

// retention.ms takes segments of which compaction has left nothing, and what lies behind them.
func TestRetentionBehindEmptySegments(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.SegmentBytes, c.RetentionMs = 400, 1000 })
	for range 10 {
		b.keyed("a")
	}
	b.settle()
	c := NewCleaner(CleanerOptions{MapBytes: 1 << 16, MapLoad: 0.9})
	done, err := c.Clean(b.log, b.log.LEO(), b.clock.now())
	if err != nil || (*b.log.segments.Load())[0].size.Load() != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	b.reopen(false)
	if n := b.log.ApplyRetention(b.clock.now()+500, b.log.LEO()); n == 0 || b.log.StartOffset() == 10 {
		t.Errorf("%d segments are obsolete, log starts at %d", n, b.log.StartOffset())
	}
	b.log.ApplyRetention(b.clock.now()+5000, b.log.LEO())
	if b.log.StartOffset() != 10 {
		t.Errorf("log starts at %d", b.log.StartOffset())
	}
}

// A producer that was fenced and has sent nothing since is known by its marker's epoch alone: the marker
// stays, though emptied, after its transaction's data and its own delete horizon are gone (class Cleaner,
// isBatchLastRecordOfProducer).
func TestFencingMarkerStays(t *testing.T) {
	t.Parallel()
	b := newCleanBench(t, 1, nil)
	b.open[11] = true
	b.give(b.data(11, true), FromClient)
	b.epoch[11]++
	b.give(markerBatch(t, 11, b.epoch[11], false), FromCoordinator)
	for range 3 {
		b.give(b.data(0, false), FromClient)
		if err := b.log.Roll(); err != nil {
			t.Fatal(err)
		}
		b.clean(0)
		b.clock.ms.Add(20_000)
	}
	marker := b.m.log[0]
	if marker.pid != 11 || !marker.control || marker.epoch != 1 || len(marker.records) != 0 {
		t.Errorf("the first batch is %v", marker)
	}
}
