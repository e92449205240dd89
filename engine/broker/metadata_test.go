package broker

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"

	"sluice/engine/broker/journal"
	"sluice/engine/catalog"
	"sluice/pagecache"
)

// faultyFS fails some operations on files whose path contains a text.
type faultyFS struct {
	pagecache.FS
	path                string
	rename, sync, write error
}

func (f *faultyFS) Rename(from, to string) error {
	if f.rename != nil && strings.Contains(from, f.path) {
		return f.rename
	}
	return f.FS.Rename(from, to)
}

func (f *faultyFS) Open(name string, flag int, perm os.FileMode) (pagecache.File, error) {
	file, err := f.FS.Open(name, flag, perm)
	if err != nil || !strings.Contains(name, f.path) {
		return file, err
	}
	return &faultyFile{file, f}, nil
}

type faultyFile struct {
	pagecache.File
	fs *faultyFS
}

func (f *faultyFile) Sync() error {
	if f.fs.sync != nil {
		return f.fs.sync
	}
	return f.File.Sync()
}

func (f *faultyFile) WriteAt(p []byte, position int64) (int, error) {
	if f.fs.write != nil {
		return 0, f.fs.write
	}
	return f.File.WriteAt(p, position)
}

var errFault = errors.New("fault")

// setRetention changes a config of topic x, as an operator would.
func setRetention(tb *testBroker, ms string) error {
	return tb.change(func(*catalog.Image) []catalog.Change {
		return []catalog.Change{catalog.ConfigChanged{
			Resource: catalog.Resource{Type: catalog.ResourceTopic, Name: "x"},
			Name:     "retention.ms", Value: ms,
		}}
	})
}

// TestBrokenJournal: a broker whose metadata journal is broken would refuse every change for ever
// while it looks alive. It ends instead, and finds after a restart what it had confirmed. A full
// disk breaks nothing.
func TestBrokenJournal(t *testing.T) {
	d := t.TempDir()
	faulty := &faultyFS{FS: pagecache.OS{}, path: metadataFolder}
	tb, err := tryTestBroker(t, d, func(env *Environment) { env.FS = faulty })
	if err != nil {
		t.Fatal(err)
	}
	tb.mustCreate("x", 1)
	faulty.write = errFault
	if err := setRetention(tb, "1000"); !errors.Is(err, errFault) {
		t.Errorf("change on a full disk: %v", err)
	}
	faulty.write = nil
	if len(tb.fatal) > 0 {
		t.Errorf("a full disk ends the broker: %v", <-tb.fatal)
	}
	if err := setRetention(tb, "2000"); err != nil {
		t.Fatal(err)
	}
	faulty.sync = errFault
	if err := setRetention(tb, "3000"); !errors.Is(err, journal.ErrBroken) {
		t.Errorf("change whose sync failed: %v", err)
	}
	faulty.sync = nil
	select {
	case err := <-tb.fatal:
		if !errors.Is(err, errFault) {
			t.Errorf("the broker ends for another reason: %v", err)
		}
	default:
		t.Error("the broker goes on with a broken journal")
	}
	if got := tb.topics.namedString("x").settings.Load().config.RetentionMs; got != 2000 {
		t.Errorf("a refused change is in force: retention.ms=%d", got)
	}
	tb.stop()
	tb = startTestBroker(t, d)
	defer tb.stop()
	logEnds(t, tb, 1)
}

// TestFailedSnapshot: a change that is durable and applied is confirmed, even if the snapshot that it
// triggers fails. That is told of.
func TestFailedSnapshot(t *testing.T) {
	var text bytes.Buffer
	faulty := &faultyFS{FS: pagecache.OS{}, path: ".snapshot.tmp"}
	tb, err := tryTestBroker(t, t.TempDir(), func(env *Environment) {
		env.FS = faulty
		env.Log = slog.New(slog.NewTextHandler(&text, nil))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer tb.stop()
	tb.mustCreate("x", 1)
	faulty.rename = errFault
	big := strings.Repeat("x", journal.SnapshotEveryBytes)
	err = tb.change(func(*catalog.Image) []catalog.Change {
		return []catalog.Change{catalog.ConfigChanged{
			Resource: catalog.Resource{Type: catalog.ResourceTopic, Name: "x"},
			Name:     "leader.replication.throttled.replicas", Value: big,
		}}
	})
	if err != nil {
		t.Errorf("durable change: %v", err)
	}
	mustContain(t, text.String(), "level=ERROR", "metadata snapshot failed", "fault")
	if err := setRetention(tb, "1000"); err != nil || len(tb.fatal) > 0 {
		t.Errorf("the next change: %v; %d fatal errors", err, len(tb.fatal))
	}
}
