package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"sluice/pagecache"
	"sluice/pagecache/faultfs"
)

// store is a state machine whose state is the list of payloads applied.
type store struct {
	j    *Journal
	list []string
}

func open(fsys pagecache.FS) (*store, error) {
	s := &store{}
	snapshot := func(_ uint64, payload []byte) error {
		if len(payload) > 0 {
			s.list = strings.Split(string(payload), "\n")
		}
		return nil
	}
	entry := func(_ uint64, payload []byte) error {
		s.list = append(s.list, string(payload))
		return nil
	}
	var err error
	s.j, err = Open(fsys, "/data/meta", snapshot, entry)
	if err == nil {
		s.j.fileBytesMax = 1500 // a workload is to use several files
	}
	return s, err
}

func (s *store) add(payload string) error {
	if _, err := s.j.Append([]byte(payload)); err != nil {
		return err
	}
	s.list = append(s.list, payload)
	return nil
}

func (s *store) snapshot() error { return s.j.Snapshot([]byte(strings.Join(s.list, "\n"))) }

// workload appends entries of growing size with snapshots between, until an error stops it. It
// returns what was acknowledged and what was under way.
func workload(fsys pagecache.FS) (acked []string, tried string) {
	if fsys.MkdirAll("/data", 0o755) != nil || fsys.SyncDir("/") != nil {
		return nil, ""
	}
	s, err := open(fsys)
	if err != nil {
		return nil, ""
	}
	for i := range 12 {
		tried = fmt.Sprintf("entry %d %s", i, strings.Repeat("x", i*i*8))
		if s.add(tried) != nil {
			return acked, tried
		}
		acked = append(acked, tried)
		tried = ""
		if i%4 == 3 && s.snapshot() != nil {
			return acked, ""
		}
	}
	return acked, ""
}

// TestCrashAnywhere proves the journal's promise: wherever the power goes, every acknowledged entry
// is found again, in order; at most the one under way is found besides; and the journal goes on.
func TestCrashAnywhere(t *testing.T) {
	whole := faultfs.New()
	workload(whole)
	for n := 1; n <= whole.Ops(); n++ {
		fsys := faultfs.New()
		fsys.CrashAfter(n)
		acked, tried := workload(fsys)
		for p := faultfs.Kill; p < faultfs.Policies; p++ {
			for seed := range uint64(4) {
				checkCrash(t, fsys.Crash(p, seed), acked, tried, fmt.Sprintf("op %d %v seed %d", n, p, seed))
			}
		}
	}
}

func checkCrash(t *testing.T, fsys *faultfs.FS, acked []string, tried, what string) {
	t.Helper()
	if fsys.MkdirAll("/data", 0o755) != nil || fsys.SyncDir("/") != nil {
		t.Fatal(what)
	}
	s, err := open(fsys)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	got, want := strings.Join(s.list, "|"), strings.Join(acked, "|")
	if got != want && got != strings.TrimPrefix(want+"|"+tried, "|") {
		t.Fatalf("%s: found %d entries, %d were acknowledged", what, len(s.list), len(acked))
	}
	before := len(s.list)
	if err := s.add("after"); err != nil {
		t.Fatalf("%s: appending after recovery: %v", what, err)
	}
	// What was found or acknowledged once is there for good, whatever a second crash does.
	again, err := open(fsys.Crash(faultfs.DropAll, 1))
	if err != nil || len(again.list) != before+1 || again.list[before] != "after" {
		t.Fatalf("%s: second recovery found %d entries, want %d: %v", what, len(again.list), before+1, err)
	}
}

// TestFullDisk proves that a refused entry leaves nothing: the next one takes its place.
func TestFullDisk(t *testing.T) {
	whole := faultfs.New()
	workload(whole)
	for n := 1; n <= whole.Ops(); n++ {
		for _, written := range []int{0, 7, -1} {
			fsys := faultfs.New()
			fsys.FailAt(n, faultfs.Fault{Err: syscall.ENOSPC, Written: written})
			acked, tried := workload(fsys)
			what := fmt.Sprintf("op %d fails after %d bytes", n, written)
			checkCrash(t, fsys.Crash(faultfs.Kill, 0), acked, tried, what)
			checkCrash(t, fsys.Crash(faultfs.DropAll, 0), acked, tried, what)
		}
	}
}

// TestAfterFailedSync proves that nothing is written once a sync has failed: the page cache may hold
// what the disk does not.
func TestAfterFailedSync(t *testing.T) {
	fsys := faultfs.New()
	if err := fsys.MkdirAll("/data", 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := open(fsys)
	if err != nil {
		t.Fatal(err)
	}
	fsys.FailAt(fsys.Ops()+2, faultfs.Fault{Err: syscall.EIO})
	if err := s.add("a"); !errors.Is(err, ErrBroken) || !errors.Is(err, syscall.EIO) {
		t.Fatalf("append whose sync failed: %v", err)
	}
	if err := s.add("b"); !errors.Is(err, ErrBroken) {
		t.Fatalf("append after a failed sync: %v", err)
	}
}

// TestDamagedMiddle proves that damage to an acknowledged entry stops the start instead of cutting
// everything behind it.
func TestDamagedMiddle(t *testing.T) {
	fsys := faultfs.New()
	if err := fsys.MkdirAll("/data", 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := open(fsys)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := s.add(fmt.Sprint("entry ", i)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := fsys.Open(s.j.path(1, journalSuffix), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{0xff}, headerBytes+2); err != nil {
		t.Fatal(err)
	}
	if _, err := open(fsys); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("open: %v", err)
	}
}

// TestSnapshotTooLarge proves that a state too large for a snapshot costs disk space and a message,
// but never a change or a start: the journal goes on in files that Open is willing to read.
func TestSnapshotTooLarge(t *testing.T) {
	fsys := faultfs.New()
	if err := fsys.MkdirAll("/data", 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := open(fsys)
	if err != nil {
		t.Fatal(err)
	}
	s.j.snapshotBytesMax = 10
	for i := range 40 {
		if err := s.add(fmt.Sprint(i, strings.Repeat("x", 200))); err != nil {
			t.Fatal(err)
		}
		if err := s.snapshot(); err == nil || errors.Is(err, ErrBroken) {
			t.Fatalf("snapshot over its bound: %v", err)
		}
	}
	found, err := s.j.list()
	if err != nil || len(found.journals) < 4 || len(found.snapshots) > 0 {
		t.Fatalf("files %v: %v", found, err)
	}
	for _, first := range found.journals {
		data, err := s.j.readFile(s.j.path(first, journalSuffix), s.j.fileBytesMax)
		if err != nil || len(data) == 0 {
			t.Errorf("journal %d: %d bytes: %v", first, len(data), err)
		}
	}
	again, err := open(fsys)
	if err != nil || len(again.list) != 40 {
		t.Fatalf("reopened with %d entries: %v", len(again.list), err)
	}
	if err := again.snapshot(); err != nil {
		t.Fatal(err)
	}
	if found, err = again.j.list(); err != nil || len(found.journals) != 1 {
		t.Errorf("a snapshot left %v: %v", found, err)
	}
}

// TestSnapshotRetry proves that a failed snapshot is tried again only once the journal has grown
// anew.
func TestSnapshotRetry(t *testing.T) {
	fsys := faultfs.New()
	if err := fsys.MkdirAll("/data", 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := open(fsys)
	if err != nil {
		t.Fatal(err)
	}
	grow := func() {
		t.Helper()
		if _, err := s.j.Append(make([]byte, SnapshotEveryBytes)); err != nil {
			t.Fatal(err)
		}
		if !s.j.NeedsSnapshot() {
			t.Fatal("no snapshot wanted")
		}
	}
	grow()
	fsys.FailAt(fsys.Ops()+2, faultfs.Fault{Err: syscall.ENOSPC})
	if err := s.j.Snapshot([]byte("state")); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if found, err := s.j.list(); err != nil || len(found.leftovers) > 0 {
		t.Errorf("a failed snapshot left %v: %v", found.leftovers, err)
	}
	if s.j.NeedsSnapshot() {
		t.Error("a failed snapshot is to be tried again at once")
	}
	grow()
	if err := s.j.Snapshot([]byte("state")); err != nil {
		t.Fatal(err)
	}
}

// TestHolds proves that only a journal with something in it counts as one, and that looking leaves
// no trace.
func TestHolds(t *testing.T) {
	f := func(want bool, prepare func(t *testing.T, fsys *faultfs.FS)) {
		t.Helper()
		fsys := faultfs.New()
		if err := fsys.MkdirAll("/data", 0o755); err != nil {
			t.Fatal(err)
		}
		prepare(t, fsys)
		before := fsys.Ops()
		got, err := Holds(fsys, "/data/meta")
		if got != want || err != nil || fsys.Ops() != before {
			t.Errorf("got %v, want %v; %d operations: %v", got, want, fsys.Ops()-before, err)
		}
	}
	with := func(entries int, then func(s *store) error) func(*testing.T, *faultfs.FS) {
		return func(t *testing.T, fsys *faultfs.FS) {
			s, err := open(fsys)
			for i := 0; err == nil && i < entries; i++ {
				err = s.add("entry")
			}
			if err == nil && then != nil {
				err = then(s)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	damage := func(s *store) error {
		_, err := s.j.file.WriteAt([]byte{0xff}, headerBytes)
		return err
	}
	f(false, func(*testing.T, *faultfs.FS) {})
	f(false, with(0, nil))
	f(false, with(1, damage)) // as after a crash amid the first entry
	f(true, with(2, damage))  // Open is to report it
	f(true, with(1, nil))
	f(true, with(3, (*store).snapshot))
}

// FuzzOpen proves that no journal file makes Open panic or allocate beyond the file's size.
func FuzzOpen(f *testing.F) {
	valid := appendEntry(appendEntry(nil, 1, []byte("a")), 2, bytes.Repeat([]byte("b"), 600))
	f.Add(valid)
	f.Add(valid[:len(valid)-1])
	f.Add(binary.BigEndian.AppendUint32(nil, EntryBytesMax+1))
	f.Fuzz(func(t *testing.T, data []byte) {
		fsys := faultfs.New()
		if err := fsys.MkdirAll("/data/meta", 0o755); err != nil {
			t.Fatal(err)
		}
		file, err := fsys.Open("/data/meta/00000000000000000001.journal", os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt(data, 0); err != nil {
			t.Fatal(err)
		}
		s, err := open(fsys)
		if err != nil {
			return
		}
		found := len(s.list)
		if err := s.add("more"); err != nil {
			t.Fatal(err)
		}
		if again, err := open(fsys); err != nil || len(again.list) != found+1 {
			t.Fatalf("reopened with %d entries, want %d: %v", len(again.list), found+1, err)
		}
	})
}
