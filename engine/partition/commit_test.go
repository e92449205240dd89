package partition

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"sluice/pagecache"
)

// hookedFS lets a test step in before files get their names.
type hookedFS struct {
	pagecache.FS
	// beforeRename is told the new name; its error is the operation's.
	beforeRename atomic.Pointer[func(to string) error]
}

func (f *hookedFS) Rename(from, to string) error {
	if hook := f.beforeRename.Load(); hook != nil {
		if err := (*hook)(to); err != nil {
			return err
		}
	}
	return f.FS.Rename(from, to)
}

func newHookedBench(t testing.TB) (*bench, *hookedFS) {
	t.Helper()
	fs := &hookedFS{FS: pagecache.OS{}}
	b := &bench{t: t, fs: fs, path: t.TempDir(), clock: newClock(), conf: DefaultConfig()}
	b.open()
	t.Cleanup(func() { _ = b.dir.Close(false, -1) })
	return b, fs
}

// committedStart is the start offset that log-start-offset-checkpoint has for the bench's log.
func (b *bench) committedStart() int64 {
	b.t.Helper()
	file, err := os.ReadFile(filepath.Join(b.path, logStartFile))
	if err != nil {
		b.t.Error(err)
	}
	offsets, err := parseOffsets(file)
	if err != nil {
		b.t.Error(err)
	}
	return offsets[b.log.key()]
}

// DeleteRecords (KIP-107) is answered when the start offset is durable. Its commit that finds
// another one under way, a checkpoint's say, waits for that one's end, and when that one fails it
// writes the offset itself.
func TestCommitWaitsForTheOneUnderWay(t *testing.T) {
	t.Parallel()
	for name, firstErr := range map[string]error{"works": nil, "fails": syscall.ENOSPC} {
		b, fs := newHookedBench(t)
		for i := range 5 {
			b.must(payload{bytes: 100, seed: i})
		}
		inside, release := make(chan struct{}), make(chan struct{})
		var calls atomic.Int32
		hook := func(to string) error {
			if !strings.HasSuffix(to, logStartFile) || calls.Add(1) > 1 {
				return nil
			}
			close(inside)
			<-release
			return firstErr
		}
		fs.beforeRename.Store(&hook)
		if code := b.log.AdvanceStartOffset(3); code != 0 {
			t.Fatal(code)
		}
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- b.dir.CommitStartOffsets() }()
		<-inside
		go func() {
			err := b.dir.CommitStartOffsets()
			if got := b.committedStart(); err == nil && got != 3 {
				t.Errorf("first %s: answered with start offset %d on disk", name, got)
			}
			second <- err
		}()
		for range 1000 {
			runtime.Gosched() // A second call that does not wait would be through by now.
		}
		close(release)
		if err := <-first; !errors.Is(err, firstErr) {
			t.Errorf("first %s: %v", name, err)
		}
		if err := <-second; err != nil {
			t.Errorf("first %s: the second says %v", name, err)
		}
	}
}

// A topic that is deleted while a checkpoint goes through the dir's logs is no reason to leave the
// recovery points of the others where they were.
func TestCheckpointPassesOverLogsClosedMeanwhile(t *testing.T) {
	t.Parallel()
	b, fs := newHookedBench(t)
	b.must(payload{bytes: 100})
	later, _, err := Open(Options{Dir: b.dir, Topic: "later", Config: b.conf})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*Log{b.log, later} {
		if _, err := l.RaiseEpoch(b.epoch+1, true); err != nil {
			t.Fatal(err)
		}
	}
	a := Append{Batch: payload{bytes: 100}.batch(t), LeaderEpoch: b.epoch + 1}
	if !later.Submit(&a) || a.Code != 0 {
		t.Fatal(a.Code)
	}
	closed := false
	hook := func(to string) error {
		if !closed && strings.HasSuffix(to, leaderEpochFile) {
			closed = true
			return later.Close(false) // The first log is being synced, this one comes next.
		}
		return nil
	}
	fs.beforeRename.Store(&hook)
	if err := b.dir.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(b.path, recoveryPointFile))
	if err != nil {
		t.Fatal(err)
	}
	if offsets, err := parseOffsets(file); err != nil || offsets[b.log.key()] != 1 {
		t.Errorf("recovery points are %v, %v", offsets, err)
	}
	if !closed || b.dir.Err() != nil {
		t.Errorf("closed: %t, dir: %v", closed, b.dir.Err())
	}
}
