package partition

import (
	"io/fs"
	"sync/atomic"
	"testing"

	"sluice/pagecache"
)

// deviceFS counts the calls of a log that wait for the device.
type deviceFS struct {
	pagecache.FS
	behindBytes, namesSynced atomic.Int64
}

func (f *deviceFS) Open(name string, flag int, perm fs.FileMode) (pagecache.File, error) {
	file, err := f.FS.Open(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &deviceFile{File: file, fs: f}, nil
}

func (f *deviceFS) SyncDir(name string) error {
	f.namesSynced.Add(1)
	return f.FS.SyncDir(name)
}

type deviceFile struct {
	pagecache.File
	fs *deviceFS
}

func (f *deviceFile) WriteBehind(position, n int64) error {
	f.fs.behindBytes.Add(n)
	return f.File.WriteBehind(position, n)
}

// A burst that memory takes is left to the kernel; once dirty pages have piled up, what the log has
// grown by is written behind its tail, all of it.
func TestWriteBehindWaitsForPressure(t *testing.T) {
	t.Parallel()
	var dirty, now atomic.Int64
	now.Store(1)
	gate := pagecache.NewGate(pagecache.GateOptions{
		Clock:      func() int64 { return now.Add(1e9) },
		DirtyPages: func() (int64, int64, bool) { return dirty.Load(), 100, true },
	})
	counted := &deviceFS{FS: pagecache.OS{}}
	b := &bench{t: t, fs: counted, path: t.TempDir(), clock: newClock(), conf: DefaultConfig()}
	if err := b.tryOpen(func(o *DirOptions) { o.Gate = gate }); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.dir.Close(false, -1) }()
	grow := func() {
		for range 9 {
			b.must(payload{bytes: 1 << 20})
			b.dir.gate.Writer().Wait()
			b.dir.syncer.Wait()
		}
	}
	grow()
	if n := counted.behindBytes.Load(); n != 0 {
		t.Errorf("%d bytes were written behind a burst", n)
	}
	dirty.Store(50)
	grow()
	if n := counted.behindBytes.Load(); n != 2*behindStep {
		t.Errorf("%d bytes were written behind under pressure, not %d", n, 2*behindStep)
	}
}

// A roll finds the old segment's name durable already, so that the append that waits for it does not
// wait for the device (docs/CRASH.md, Roll).
func TestRollFindsItsNameDurable(t *testing.T) {
	t.Parallel()
	counted := &deviceFS{FS: pagecache.OS{}}
	b := &bench{t: t, fs: counted, path: t.TempDir(), clock: newClock(), conf: DefaultConfig()}
	b.conf.SegmentBytes = 600
	if err := b.tryOpen(nil); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.dir.Close(false, -1) }()
	b.must(payload{bytes: 500})
	b.must(payload{bytes: 500}) // Rolls, and finds a name that nobody has made durable.
	for range 3 {
		b.dir.syncer.Wait()
		before := counted.namesSynced.Load()
		b.must(payload{bytes: 500})
		if after := counted.namesSynced.Load(); after != before {
			t.Errorf("a roll synced names %d times", after-before)
		}
	}
}
