package pagecache

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func openTemp(t testing.TB) (File, string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "f")
	f, err := OS{}.Open(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, name
}

// A second Close says so and leaves alone what has the descriptor's number by then.
func TestCloseTwice(t *testing.T) {
	t.Parallel()
	f, _ := openTemp(t)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second close: %v", err)
	}
}

// FS contract on the kernel: what is written is read, a short read ends with io.EOF, and errors name
// operation and path.
func TestOSFile(t *testing.T) {
	t.Parallel()
	f, name := openTemp(t)
	want := bytes.Repeat([]byte("sluice "), 50_000)
	if n, err := f.WriteAt(want, 10); n != len(want) || err != nil {
		t.Fatal(n, err)
	}
	got := make([]byte, len(want)+5)
	if n, err := f.ReadAt(got, 10); n != len(want) || err != io.EOF || !bytes.Equal(got[:n], want) {
		t.Errorf("read %d, %v", n, err)
	}
	if err := errors.Join(f.Sync(), f.WriteBehind(0, 100_000), f.Prefetch(0, 1<<20),
		f.DropBehind(0, 4096), OS{}.SyncDir(filepath.Dir(name))); err != nil {
		t.Error(err)
	}
	if err := f.Truncate(30); err != nil {
		t.Error(err)
	}
	if size, err := f.Size(); size != 30 || err != nil {
		t.Errorf("size %d, %v", size, err)
	}
	_, err := OS{}.Open(name+"x", os.O_RDONLY, 0)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if f.Name() != name || f.Fd() < 0 {
		t.Errorf("name %q, descriptor %d", f.Name(), f.Fd())
	}
	if free, total, err := (OS{}).Space(filepath.Dir(name)); free <= 0 || total < free || err != nil {
		t.Errorf("space %d of %d, %v", free, total, err)
	}
}

// fallocate(2) FALLOC_FL_KEEP_SIZE: reserved blocks belong to the file but not to its size, and
// truncating to the size that it has frees them.
func TestReserveKeepsSize(t *testing.T) {
	t.Parallel()
	f, name := openTemp(t)
	if _, err := f.WriteAt([]byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	err := f.Reserve(1, 8<<20)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this file system cannot reserve space")
	}
	if err != nil {
		t.Fatal(err)
	}
	blocks := func() int64 {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Blocks * 512
	}
	if size, _ := f.Size(); size != 1 || blocks() < 8<<20 {
		t.Errorf("size %d, %d bytes of blocks", size, blocks())
	}
	if err := f.Truncate(1); err != nil {
		t.Fatal(err)
	}
	if blocks() >= 8<<20 {
		t.Errorf("%d bytes of blocks are left after trimming", blocks())
	}
}

// flock(2): one holder, within this process too.
func TestOSLock(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), ".lock")
	held, err := OS{}.Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (OS{}).Lock(name); !errors.Is(err, ErrLocked) {
		t.Errorf("second holder: %v", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := OS{}.Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

// preadv2(2) RWF_NOWAIT: what was just written is resident, and probing allocates nothing.
func TestResidentAfterWrite(t *testing.T) {
	f, _ := openTemp(t)
	if _, err := f.WriteAt(make([]byte, 1<<20), 0); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 100)
	if _, err := f.ReadAtNoWait(p, 0); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this file system has no RWF_NOWAIT reads")
	}
	if !f.Resident(0, 1<<20) || !f.Resident(1<<20-1, 1) || !f.Resident(5, 0) {
		t.Error("written pages are not resident")
	}
	if f.Resident(1<<20, 1) {
		t.Error("bytes past the end are resident")
	}
	if n := testing.AllocsPerRun(100, func() { f.Resident(0, 1<<20) }); n >= 1 {
		t.Errorf("a probe allocates %.1f times", n)
	}
}

// Shared: the last release closes, nothing revives a closed file, one release too many is a bug.
func TestSharedCountsReferences(t *testing.T) {
	t.Parallel()
	f, _ := openTemp(t)
	closed := 0
	s := Share(f, func(error) { closed++ })
	if !s.Retain() {
		t.Fatal("an open file cannot be retained")
	}
	s.Release()
	if closed != 0 {
		t.Fatal("closed with a holder left")
	}
	s.Drop()
	if closed != 1 || s.Retain() {
		t.Errorf("closed %d times", closed)
	}
	g, _ := openTemp(t)
	done := make(chan error)
	Share(g, func(err error) { done <- err }).Release()
	if err := <-done; err != nil {
		t.Errorf("closing behind the last release: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("one release too many went unnoticed")
		}
	}()
	s.Release()
}

func BenchmarkResident1MiB(b *testing.B) {
	f, _ := openTemp(b)
	if _, err := f.WriteAt(make([]byte, 1<<20), 0); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		f.Resident(0, 1<<20)
	}
}
