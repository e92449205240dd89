package partition

import (
	"sync/atomic"
	"syscall"
	"testing"

	"sluice/pagecache"
	"sluice/pagecache/faultfs"
	"sluice/wire"
)

// holdWriter keeps the dir's writer busy until release is called, so that a test sees what happens
// on the goroutine that submits and what does not.
func (b *bench) holdWriter() (release func()) {
	held := make(chan struct{})
	b.dir.gate.Writer().Post(&pagecache.Task{Run: func() { <-held }})
	return func() {
		close(held)
		b.dir.gate.Writer().Wait()
	}
}

func newFaultBench(t testing.TB, change func(*Config)) (*bench, *faultfs.FS) {
	t.Helper()
	fs := faultfs.New()
	b := &bench{t: t, fs: fs, path: "/logs", clock: newClock(), conf: DefaultConfig()}
	if change != nil {
		change(&b.conf)
	}
	b.open()
	t.Cleanup(func() { _ = b.dir.Close(false, -1) })
	return b, fs
}

// An append that has to begin a new segment, because the old one is full or, however idle the log,
// too old, does nothing at all on the goroutine that tries it: rolling waits for the device. The
// writer rolls, and what came behind it is appended behind it.
func TestOnlyTheWriterRolls(t *testing.T) {
	t.Parallel()
	f := func(name string, change func(*Config), beforeRoll func(b *bench), roller payload) {
		t.Helper()
		b, fs := newFaultBench(t, change)
		b.must(payload{bytes: 400})
		beforeRoll(b)
		end := b.log.LEO()
		release := b.holdWriter()
		ops := fs.Ops()
		var order []int64
		submit := func(p payload) *Append {
			a := &Append{Batch: p.batch(t), LeaderEpoch: b.epoch}
			a.Done = func(a *Append) { order = append(order, a.BaseOffset) }
			if b.log.TrySubmit(a) || b.log.Submit(a) {
				t.Errorf("%s: was answered while the writer is busy", name)
			}
			return a
		}
		first := submit(roller)
		second := submit(payload{bytes: 10}) // Would fit the old segment.
		if got := fs.Ops() - ops; got != 0 || b.log.LEO() != end || len(*b.log.segments.Load()) != 1 {
			t.Errorf("%s: %d file operations, log ends at %d", name, got, b.log.LEO())
		}
		release()
		if first.BaseOffset != end || second.BaseOffset != end+1 || first.Code+second.Code != 0 ||
			len(order) != 2 || order[0] != end {
			t.Errorf("%s: appended at %d and %d, done in order %v", name, first.BaseOffset,
				second.BaseOffset, order)
		}
		if n := len(*b.log.segments.Load()); n != 2 {
			t.Errorf("%s: %d segments", name, n)
		}
		next := payload{bytes: 10, timestamp: roller.timestamp}.batch(t)
		a := Append{Batch: next, LeaderEpoch: b.epoch}
		if !b.log.TrySubmit(&a) || a.BaseOffset != end+2 {
			t.Errorf("%s: the next append is not carried out on the spot", name)
		}
	}
	nothing := func(*bench) {}
	f("by size", func(c *Config) { c.SegmentBytes = 1000 }, nothing, payload{bytes: 500})
	f("by the records' time", func(c *Config) { c.SegmentMs = 100 }, nothing,
		payload{bytes: 10, timestamp: testEpochMs + 101})
	f("by the index", func(c *Config) { c.IndexIntervalBytes, c.SegmentIndexBytes = 1, 32 },
		func(b *bench) {
			for range 4 {
				b.must(payload{bytes: 400}) // Each with an entry of eight bytes.
			}
		}, payload{bytes: 10})
}

// Rolling that takes longer than an append on a reactor may closes the dir's gate like any other
// slow operation.
func TestSlowRollClosesTheGate(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	now.Store(1)
	gate := pagecache.NewGate(pagecache.GateOptions{
		Clock:      now.Load,
		DirtyPages: func() (int64, int64, bool) { return 0, 0, false },
	})
	fs := &slowNames{FS: pagecache.OS{}, now: &now}
	b := &bench{t: t, fs: fs, path: t.TempDir(), clock: newClock(), conf: DefaultConfig()}
	b.conf.SegmentBytes = 600
	if err := b.tryOpen(func(o *DirOptions) { o.Gate = gate }); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.dir.Close(false, -1) }()
	b.must(payload{bytes: 500})
	if gate.Closings() != 0 {
		t.Fatal("the gate is closed already")
	}
	b.must(payload{bytes: 500})
	if gate.Closings() != 1 || gate.Inline() {
		t.Errorf("the gate has closed %d times", gate.Closings())
	}
}

// slowNames takes three milliseconds of the test's time to sync a directory.
type slowNames struct {
	pagecache.FS
	now *atomic.Int64
}

func (f *slowNames) SyncDir(name string) error {
	f.now.Add(3_000_000)
	return f.FS.SyncDir(name)
}

// An append whose write fails is refused after the writer has cut off, and synced, what it left; on
// the goroutine that submitted it nothing happens but the write. Whoever comes in between is
// appended in its place.
func TestOnlyTheWriterMendsTheTail(t *testing.T) {
	t.Parallel()
	b, fs := newFaultBench(t, nil)
	b.must(payload{bytes: 100})
	release := b.holdWriter()
	failing := &Append{
		Batch: payload{bytes: 300, seed: 1}.batch(t), LeaderEpoch: b.epoch,
		Done: func(*Append) { t.Error("was answered twice") },
	}
	ops := fs.Ops()
	fs.FailAt(ops+1, faultfs.Fault{Err: syscall.ENOSPC, Written: -1})
	if b.log.TrySubmit(failing) || fs.Ops() != ops+1 || b.log.LEO() != 1 {
		t.Errorf("%d file operations, log ends at %d", fs.Ops()-ops, b.log.LEO())
	}
	other := &Append{Batch: payload{bytes: 50}.batch(t), LeaderEpoch: b.epoch, Done: func(*Append) {}}
	if b.log.Submit(other) {
		t.Error("was appended in front of a torn tail")
	}
	release()
	if other.Code != wire.CodeNone || other.BaseOffset != 1 {
		t.Errorf("the other: %s at %d", wire.CodeName(other.Code), other.BaseOffset)
	}
	if !b.log.Submit(failing) || failing.Code != wire.CodeKafkaStorageError {
		t.Errorf("the one that failed: %s", wire.CodeName(failing.Code))
	}
	b.reopen(false)
	if got := len(b.readAll(0, 1<<20)); got != 2 || b.rec.CutBytes != 0 {
		t.Errorf("%d batches after a restart, %d bytes cut", got, b.rec.CutBytes)
	}
	if a := b.must(payload{bytes: 300, seed: 1}); a.BaseOffset != 2 {
		t.Errorf("sent again: at %d", a.BaseOffset)
	}
}

// A log that is closed before the writer came to it leaves nothing of an append that is refused for
// that reason.
func TestCloseMendsTheTail(t *testing.T) {
	t.Parallel()
	b, fs := newFaultBench(t, nil)
	b.must(payload{bytes: 100})
	release := b.holdWriter()
	a := &Append{
		Batch: payload{bytes: 300, seed: 1}.batch(t), LeaderEpoch: b.epoch, Done: func(*Append) {},
	}
	fs.FailAt(fs.Ops()+1, faultfs.Fault{Err: syscall.ENOSPC, Written: -1})
	if b.log.Submit(a) {
		t.Error("was answered while the writer is busy")
	}
	if err := b.log.Close(false); err != nil {
		t.Fatal(err)
	}
	release()
	if a.Code != wire.CodeKafkaStorageError {
		t.Error(wire.CodeName(a.Code))
	}
	b.reopen(false)
	if b.log.LEO() != 1 || b.rec.CutBytes != 0 {
		t.Errorf("the log ends at %d, %d bytes were cut", b.log.LEO(), b.rec.CutBytes)
	}
}
