package partition

import (
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"

	"sluice/pagecache"
	"sluice/wire"
)

// countingFS counts the bytes and calls of reads on .log files.
type countingFS struct {
	pagecache.FS
	bytes, calls atomic.Int64
}

func (c *countingFS) Open(name string, flag int, perm fs.FileMode) (pagecache.File, error) {
	f, err := c.FS.Open(name, flag, perm)
	if err != nil || !strings.HasSuffix(name, logSuffix) {
		return f, err
	}
	return &countingFile{File: f, fs: c}, nil
}

type countingFile struct {
	pagecache.File
	fs *countingFS
}

func (c *countingFile) ReadAt(p []byte, at int64) (int, error) {
	c.fs.bytes.Add(int64(len(p)))
	c.fs.calls.Add(1)
	return c.File.ReadAt(p, at)
}

// Planning reads must touch at most a thousandth of the bytes that they serve when pieces are
// 64 KiB and more, from closed segments too, and nothing at all at the tail.
func TestPlanningHardlyReadsTheLog(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100, 3000, 40_000, 200_000} {
		counting := &countingFS{FS: pagecache.OS{}}
		b := &bench{
			t: t, fs: counting, path: t.TempDir(), clock: newClock(), conf: DefaultConfig(),
		}
		b.conf.SegmentBytes = 4 << 20
		b.open()
		defer b.dir.Close(false, -1)
		for total := 0; total < 12<<20; total += max(size, 16<<10) {
			records := max(1, 16<<10/size)
			a := b.must(payload{records: records, bytes: size, seed: total})
			counting.bytes.Store(0)
			r := ReadRequest{Offset: a.BaseOffset, Bound: b.log.LEO(), MaxBytes: 1 << 20}
			if code := b.log.Read(&r); code != wire.CodeNone || r.File == nil {
				t.Fatal(wire.CodeName(code))
			}
			r.File.Release()
			if n := counting.bytes.Load(); n != 0 {
				t.Fatalf("records of %d: a tail read read %d bytes", size, n)
			}
		}
		b.settle()
		for _, piece := range []int64{64 << 10, 300_000, 1 << 20} {
			counting.bytes.Store(0)
			counting.calls.Store(0)
			served, pieces := drain(t, b.log, piece)
			if n := counting.bytes.Load(); n*1000 > served {
				t.Errorf("records of %d, pieces of %d: %d bytes in %d reads for %d served in %d",
					size, piece, n, counting.calls.Load(), served, pieces)
			}
		}
	}
}

// drain plans through the whole log as a consumer with a cursor does, without reading it: the next
// offset is what the cursor says.
func drain(t *testing.T, l *Log, piece int64) (served, pieces int64) {
	t.Helper()
	r := ReadRequest{MinOne: true, MaxBytes: piece, Bound: l.LEO()}
	for r.Offset < r.Bound {
		if code := l.Read(&r); code != wire.CodeNone || r.File == nil {
			t.Fatalf("offset %d: %s", r.Offset, wire.CodeName(code))
		}
		served, pieces = served+r.Bytes, pieces+1
		r.File.Release()
		r.Offset = r.Cursor.Offset
	}
	return served, pieces
}

// Append and read planning allocate nothing in steady state.
func TestHotPathsDoNotAllocate(t *testing.T) {
	b := newBench(t, func(c *Config) { c.IndexIntervalBytes = 4096 })
	batch := payload{bytes: 200, pid: 5}.batch(t)
	a := Append{Batch: batch, LeaderEpoch: b.log.LeaderEpoch()}
	seq := uint32(0)
	appendOne := func() {
		putSequence(batch, seq)
		seq++
		if !b.log.Submit(&a) || a.Code != wire.CodeNone {
			t.Fatal(wire.CodeName(a.Code))
		}
	}
	for range 5000 {
		appendOne()
	}
	if n := testing.AllocsPerRun(1000, appendOne); n >= 1 {
		t.Errorf("append allocates %.2f times", n)
	}
	r := ReadRequest{MinOne: true, MaxBytes: 64 << 10}
	read := func() {
		r.Bound = b.log.LEO()
		if code := b.log.Read(&r); code != wire.CodeNone || r.File == nil {
			t.Fatal(wire.CodeName(code))
		}
		r.File.Release()
		if r.Offset = r.Cursor.Offset; r.Offset >= r.Bound {
			r.Offset, r.Cursor = 0, Cursor{}
		}
	}
	if n := testing.AllocsPerRun(1000, read); n >= 1 {
		t.Errorf("read planning allocates %.2f times", n)
	}
	if err := b.log.Roll(); err != nil {
		t.Fatal(err)
	}
	b.settle()
	if n := testing.AllocsPerRun(1000, read); n >= 1 {
		t.Errorf("read planning in a closed segment allocates %.2f times", n)
	}
}

// putSequence sets a batch's base sequence; the log trusts its caller for the CRC.
func putSequence(b wire.Batch, seq uint32) {
	b[53], b[54], b[55], b[56] = byte(seq>>24), byte(seq>>16), byte(seq>>8), byte(seq)
}
