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
	if err := s.add("a"); err == nil {
		t.Fatal("a failed sync was acknowledged")
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
