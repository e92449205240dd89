package faultfs

import (
	"bytes"
	"errors"
	"os"
	"syscall"
	"testing"

	"sluice/pagecache"
)

func create(t *testing.T, f *FS, name string) pagecache.File {
	t.Helper()
	file, err := f.Open(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func write(t *testing.T, f pagecache.File, at int64, b []byte) {
	t.Helper()
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, f *FS, name string) ([]byte, bool) {
	t.Helper()
	file, err := f.Open(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, false
	}
	size, _ := file.Size()
	b := make([]byte, size)
	if size > 0 {
		if _, err := file.ReadAt(b, 0); err != nil {
			t.Fatal(err)
		}
	}
	return b, true
}

// Contract: what was synced, contents and names, is there after every kind of crash; what was not
// may be missing, and over the seeds each outcome does occur.
func TestSyncedSurvivesUnsyncedMayNot(t *testing.T) {
	t.Parallel()
	f := New()
	if err := f.MkdirAll("/d", 0o755); err != nil {
		t.Fatal(err)
	}
	a := create(t, f, "/d/a")
	synced, unsynced := bytes.Repeat([]byte("s"), 2000), bytes.Repeat([]byte("u"), 3000)
	write(t, a, 0, synced)
	if err := errors.Join(a.Sync(), f.SyncDir("/d"), f.SyncDir("/")); err != nil {
		t.Fatal(err)
	}
	write(t, a, 2000, unsynced)
	create(t, f, "/d/b")
	whole := append(append([]byte(nil), synced...), unsynced...)
	outcomes := make(map[string]int)
	for p := range Policies {
		for seed := range uint64(50) {
			after := f.Crash(p, seed)
			got, ok := contents(t, after, "/d/a")
			if !ok || !bytes.HasPrefix(got, synced) {
				t.Fatalf("%s, seed %d: synced contents are gone", p, seed)
			}
			_, named := contents(t, after, "/d/b")
			switch {
			case bytes.Equal(got, whole):
				outcomes["kept"]++
			case len(got) == len(synced):
				outcomes["dropped"]++
			case bytes.Count(got, []byte{0}) == len(unsynced):
				outcomes["zeros"]++
			default:
				outcomes["torn"]++
			}
			if named {
				outcomes["name kept"]++
			} else {
				outcomes["name lost"]++
			}
			again, _ := contents(t, f.Crash(p, seed), "/d/a")
			if !bytes.Equal(got, again) {
				t.Fatalf("%s, seed %d: not the same twice", p, seed)
			}
		}
	}
	for _, want := range []string{"kept", "dropped", "zeros", "torn", "name kept", "name lost"} {
		if outcomes[want] == 0 {
			t.Errorf("no crash left the state %q", want)
		}
	}
}

// Contract: Rename is atomic across a crash: the old file or the new one has the name, never none.
func TestRenameIsAtomic(t *testing.T) {
	t.Parallel()
	f := New()
	write(t, create(t, f, "/x"), 0, []byte("old"))
	old := create(t, f, "/x")
	if err := errors.Join(old.Sync(), f.SyncDir("/")); err != nil {
		t.Fatal(err)
	}
	next := create(t, f, "/x.tmp")
	write(t, next, 0, []byte("new"))
	if err := errors.Join(next.Sync(), f.Rename("/x.tmp", "/x")); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for p := range Policies {
		for seed := range uint64(20) {
			got, ok := contents(t, f.Crash(p, seed), "/x")
			if !ok || string(got) != "old" && string(got) != "new" {
				t.Fatalf("%s, seed %d: the name holds %q (%v)", p, seed, got, ok)
			}
			seen[string(got)] = true
		}
	}
	if !seen["old"] || !seen["new"] {
		t.Errorf("only %v were seen", seen)
	}
}

// A killed process leaves everything visible and what was unsynced as unsynced as before.
func TestKillThenPowerCut(t *testing.T) {
	t.Parallel()
	f := New()
	file := create(t, f, "/a")
	if err := f.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	write(t, file, 0, []byte("unsynced"))
	killed := f.Crash(Kill, 1)
	if got, _ := contents(t, killed, "/a"); string(got) != "unsynced" {
		t.Fatalf("after the kill the file holds %q", got)
	}
	if got, _ := contents(t, killed.Crash(DropAll, 1), "/a"); len(got) != 0 {
		t.Fatalf("after the power cut the file holds %q", got)
	}
}

// Faults: ENOSPC and EIO at the n-th operation, short writes, and writes that take effect and
// fail all the same; after CrashAfter nothing works.
func TestFaults(t *testing.T) {
	t.Parallel()
	f := New()
	file := create(t, f, "/a") // operation 1
	f.FailAt(2, Fault{Err: syscall.ENOSPC, Written: 3})
	f.FailAt(3, Fault{Err: syscall.EIO, Written: -1})
	f.FailAt(4, Fault{Err: syscall.EIO})
	if n, err := file.WriteAt([]byte("abcdef"), 0); n != 3 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("short write: %d, %v", n, err)
	}
	if n, err := file.WriteAt([]byte("uvwxyz"), 0); n != 6 || !errors.Is(err, syscall.EIO) {
		t.Errorf("failing whole write: %d, %v", n, err)
	}
	if got, _ := contents(t, f, "/a"); string(got) != "uvwxyz" {
		t.Errorf("contents %q", got)
	}
	if err := file.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync: %v", err)
	}
	if got, _ := contents(t, f.Crash(DropAll, 0), "/a"); len(got) != 0 {
		t.Errorf("a failed sync made %q durable", got)
	}
	f.CrashAfter(f.Ops())
	if _, err := file.WriteAt([]byte("x"), 0); !errors.Is(err, ErrCrashed) {
		t.Errorf("write after the crash: %v", err)
	}
	if _, err := f.Stat("/a"); !errors.Is(err, ErrCrashed) {
		t.Errorf("stat after the crash: %v", err)
	}
}

// Lock refuses a second holder and is free again after a crash.
func TestLock(t *testing.T) {
	t.Parallel()
	f := New()
	held, err := f.Lock("/.lock")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Lock("/.lock"); !errors.Is(err, pagecache.ErrLocked) {
		t.Errorf("second holder: %v", err)
	}
	if _, err := f.Crash(Kill, 0).Lock("/.lock"); err != nil {
		t.Errorf("after a crash: %v", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Lock("/.lock"); err != nil {
		t.Errorf("after release: %v", err)
	}
}
