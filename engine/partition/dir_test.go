package partition

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/pagecache"
	"sluice/pagecache/faultfs"
	"sluice/wire"
)

// A log dir belongs to one process, one cluster and one node, and keeps its directory.id.
func TestDirIdentity(t *testing.T) {
	t.Parallel()
	fs := faultfs.New()
	o := dirOptions(fs, "/d", newClock())
	d, err := OpenDir(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDir(o); !errors.Is(err, pagecache.ErrLocked) {
		t.Errorf("a second broker: %v", err)
	}
	if clean, _ := d.Clean(); clean {
		t.Error("a new dir was shut down cleanly")
	}
	if err := d.Close(true, 41); err != nil {
		t.Fatal(err)
	}
	marker, _ := readFile(fs, "/d/.kafka_cleanshutdown")
	if string(marker) != `{"version":0,"brokerEpoch":41}` {
		t.Errorf("clean marker is %q", marker)
	}
	other := o
	other.ClusterID = "another"
	if _, err := OpenDir(other); err == nil || !strings.Contains(err.Error(), "test-cluster") {
		t.Errorf("another cluster's broker: %v", err)
	}
	again := o
	again.ClusterID, again.DirectoryID = "", [16]byte{7}
	d, err = OpenDir(again)
	if err != nil {
		t.Fatal(err)
	}
	if d.ClusterID() != o.ClusterID || d.DirectoryID() != o.DirectoryID {
		t.Errorf("identity became %q, %v", d.ClusterID(), d.DirectoryID())
	}
	if clean, epoch := d.Clean(); !clean || epoch != 41 {
		t.Errorf("clean %v, broker epoch %d", clean, epoch)
	}
	if err := d.Close(false, -1); err != nil {
		t.Fatal(err)
	}
	if d, err = OpenDir(again); err != nil {
		t.Fatal(err)
	}
	if clean, _ := d.Clean(); clean {
		t.Error("the clean marker outlived its restart")
	}
}

// A deleted partition frees its name at once; one made anew under the name begins empty, whatever
// the checkpoints said of the old one, also when the power goes in between.
func TestDeleteAndMakeAnew(t *testing.T) {
	t.Parallel()
	fs := faultfs.New()
	b := &bench{t: t, fs: fs, path: "/d", clock: newClock(), conf: DefaultConfig()}
	b.open()
	for i := range 10 {
		b.must(payload{bytes: 100, seed: i})
	}
	if err := b.dir.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	if err := b.dir.Delete(b.log); err != nil {
		t.Fatal(err)
	}
	found, err := b.dir.Partitions()
	if err != nil || len(found) != 0 {
		t.Fatalf("partitions after deletion: %v, %v", found, err)
	}
	log, rec, err := Open(Options{Dir: b.dir, Topic: "events", Partition: 3, Config: b.conf})
	if err != nil || !rec.Created || log.LEO() != 0 || log.StartOffset() != 0 {
		t.Fatalf("made anew: %v, %+v", err, rec)
	}
	if _, _, err := Open(Options{Dir: b.dir, Topic: "events", Partition: 3}); err == nil {
		t.Error("a log was opened twice")
	}
	for _, p := range []faultfs.Policy{faultfs.Kill, faultfs.KeepAll} {
		after := &bench{t: t, fs: fs.Crash(p, 1), path: "/d", clock: newClock(), conf: b.conf}
		if err := after.tryOpen(nil); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	b.dir.Tick(b.clock.now() + 60_001)
	entries, _ := fs.ReadDir("/d")
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), deleteDirSuffix) {
			t.Errorf("%s is still there after file.delete.delay.ms", e.Name())
		}
	}
}

// A directory of another topic id is not opened: the topic was deleted and made anew elsewhere.
func TestTopicIDIsChecked(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	if err := b.log.Close(false); err != nil {
		t.Fatal(err)
	}
	_, _, err := Open(Options{
		Dir: b.dir, Topic: "events", Partition: 3, TopicID: [16]byte{8}, Config: b.conf,
	})
	if !errors.Is(err, errWrongTopicID) {
		t.Errorf("opened under another id: %v", err)
	}
	log, _, err := Open(Options{Dir: b.dir, Topic: "events", Partition: 3, Config: b.conf})
	if err != nil || log.TopicID() != [16]byte{9} {
		t.Errorf("opened without an id: %v", err)
	}
}

// flush.messages syncs before the ack; flush.ms within its time (Dir.Tick).
func TestFlushPolicies(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.FlushMessages = 3 })
	f := func(records int, want int64) {
		t.Helper()
		b.must(payload{records: records})
		if got := b.log.FlushedOffset(); got != want {
			t.Errorf("flushed up to %d, want %d", got, want)
		}
	}
	f(2, 0)
	f(1, 3)
	f(2, 3)
	f(2, 7)
	c := b.conf
	c.FlushMessages, c.FlushMs = 1<<63-1, 500
	b.log.SetConfig(c)
	f(1, 7)
	b.dir.Tick(b.clock.now() + 499)
	f(1, 7)
	b.dir.Tick(b.clock.now() + 500)
	if got := b.log.FlushedOffset(); got != 9 {
		t.Errorf("after flush.ms flushed up to %d, want 9", got)
	}
}

// The append queue is bounded: what does not fit is refused at once, and everything that was queued
// is answered in order when the writer gets to it.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.FlushMessages = 1 << 40 })
	b.dir.queueBytesMax = 1000
	var order []int64
	queued, refused := 0, 0
	b.log.mu.Lock() // The writer must not empty the queue meanwhile.
	for i := range 10 {
		a := &Append{
			Batch: payload{bytes: 200, seed: i}.batch(t), LeaderEpoch: b.epoch,
			Done: func(a *Append) { order = append(order, a.BaseOffset) },
		}
		if !b.log.Submit(a) {
			queued++
		} else if a.Code == wire.CodeRequestTimedOut {
			refused++
		}
	}
	if queued == 0 || refused == 0 || queued+refused != 10 || b.log.QueuedBytes() > 1000 {
		t.Errorf("%d queued with %d bytes, %d refused", queued, b.log.QueuedBytes(), refused)
	}
	b.log.mu.Unlock()
	b.settle()
	for i, offset := range order {
		if offset != int64(i) {
			t.Errorf("done in the order %v", order)
			break
		}
	}
	if len(order) != queued || b.log.QueuedBytes() != 0 {
		t.Errorf("%d of %d were answered", len(order), queued)
	}
}

// overwrite changes one byte of a file.
func overwrite(t *testing.T, name string, at int64, b byte) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{b}, at); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
}

// Index files that are missing or damaged are noticed by their checksums and rebuilt, while in use
// and at the start; a damaged batch below the recovery point is an error, not a cut.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.SegmentBytes = 10_000 })
	for i := range 100 {
		b.must(payload{bytes: 300, seed: i, timestamp: testEpochMs + int64(i)})
	}
	check := func(when string) {
		t.Helper()
		if got := len(b.readAll(0, 700)); got != 100 {
			t.Errorf("%s: %d batches", when, got)
		}
		for _, offset := range []int64{0, 17, 50, 99} {
			if got := b.readAll(offset, 1)[0].BaseOffset(); got != offset {
				t.Errorf("%s: lookup of %d finds %d", when, offset, got)
			}
			at, err := b.log.OffsetForTimestamp(testEpochMs+offset, 100)
			if err != nil || at.Offset != offset {
				t.Errorf("%s: time of %d finds %+v, %v", when, offset, at, err)
			}
		}
	}
	b.settle()
	first := filepath.Join(b.log.path, offsetName(0))
	overwrite(t, first+indexSuffix, 11, 0x55)
	check("damaged .index in use")
	b.reopen(true)
	overwrite(t, first+timeSuffix, 3, 0x77)
	check("damaged .timeindex")
	b.reopen(true)
	if err := errors.Join(b.dir.Close(true, 1), os.Remove(first+sealSuffix),
		os.Remove(first+indexSuffix)); err != nil {
		t.Fatal(err)
	}
	b.open()
	check("no .seal and no .index")
	if b.rec.IndexesRebuilt == 0 {
		t.Error("no index was rebuilt")
	}
	b.settle()
	if err := b.dir.Close(true, 1); err != nil {
		t.Fatal(err)
	}
	names, _ := filepath.Glob(filepath.Join(b.log.path, "*.log"))
	last := names[len(names)-1]
	info, _ := os.Stat(last)
	overwrite(t, last, info.Size()-5, 0xee)
	if err := b.tryOpen(nil); !errors.Is(err, ErrBelowRecoveryPoint) {
		t.Errorf("damage below the recovery point: %v", err)
	}
	if err := os.Remove(filepath.Join(b.path, recoveryPointFile)); err != nil {
		t.Fatal(err)
	}
	b.open()
	if b.rec.CutBytes == 0 || b.log.LEO() != 99 {
		t.Errorf("without recovery point: log ends at %d, %+v", b.log.LEO(), b.rec)
	}
}

// Interrupted cleanings end as in Kafka: .deleted and .cleaned go, a .swap replaces the segments
// whose offsets it covers, unless its round was not finished.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	for _, finished := range []bool{true, false} {
		b := newBench(t, func(c *Config) { c.SegmentBytes = 1000 })
		for i := range 6 {
			b.must(payload{bytes: 400, seed: i})
		}
		b.settle()
		all := b.readAll(0, 1<<20)
		if err := b.dir.Close(true, 1); err != nil {
			t.Fatal(err)
		}
		put := func(name string, contents []byte) {
			if err := os.WriteFile(filepath.Join(b.log.path, name), contents, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		// A cleaner kept batches 1 and 3 of the segments at 0 and 2.
		put(offsetName(0)+".log.swap", append(append([]byte(nil), all[1]...), all[3]...))
		put(offsetName(4)+".log.deleted", []byte("x"))
		if !finished {
			put(offsetName(0)+".log.cleaned", []byte("x"))
		}
		b.open()
		got := b.readAll(0, 1<<20)
		want := 6
		if finished {
			want = 4
		}
		if len(got) != want || b.log.LEO() != 6 || b.rec.LeftoversRemoved == 0 {
			t.Errorf("finished %v: %d batches, want %d; log ends at %d, %+v", finished, len(got), want,
				b.log.LEO(), b.rec)
		}
	}
}

// A truncation inside the batch that the log start offset lies in leaves nothing: the log goes on,
// empty, at the offset asked for, and never below its start.
func TestTruncationIntoTheStart(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.must(payload{records: 4})
	b.must(payload{records: 4})
	b.log.AdvanceStartOffset(5)
	if err := errors.Join(b.dir.CommitStartOffsets(), b.log.TruncateTo(6)); err != nil {
		t.Fatal(err)
	}
	if b.log.StartOffset() != 6 || b.log.LEO() != 6 {
		t.Errorf("log is [%d,%d)", b.log.StartOffset(), b.log.LEO())
	}
	b.must(payload{records: 2})
	b.reopen(false)
	if b.log.StartOffset() != 6 || b.log.LEO() != 8 || len(b.readAll(6, 100)) != 1 {
		t.Errorf("after a restart the log is [%d,%d)", b.log.StartOffset(), b.log.LEO())
	}
}
