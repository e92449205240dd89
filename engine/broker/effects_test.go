package broker

import (
	"os"
	"path/filepath"
	"testing"

	"sluice/engine/catalog"
)

func (tb *testBroker) mustDelete(name string) {
	tb.t.Helper()
	var results []catalog.TopicResult
	err := tb.change(func(im *catalog.Image) []catalog.Change {
		var changes []catalog.Change
		changes, results = catalog.DeleteTopics(im, tb.environment(),
			[]catalog.TopicRef{{ID: im.Topic(name).ID}})
		return changes
	})
	if err != nil || !results[0].OK() {
		tb.t.Fatalf("deleting %s: %v %v", name, err, results)
	}
}

// anew deletes topic x, whose partition 0 must be offline, and makes it again: the new one must work.
func anew(t *testing.T, tb *testBroker) {
	t.Helper()
	r := tb.topics.namedString("x").replica(0)
	if !r.offline.Load() || r.log.Load() != nil || r.leader != nil {
		t.Fatal("the partition is not offline")
	}
	tb.mustDelete("x")
	if n := tb.dirs[0].logs.Load(); n != 0 {
		t.Errorf("%d logs are counted in an empty dir", n)
	}
	tb.mustCreate("x", 1)
	tb.mustProduce("x", 0, batchOf(3, 100))
	if ends := logEnds(t, tb, 1); ends[0] != 3 {
		t.Errorf("made anew: log ends %d", ends)
	}
}

// TestDeletedWhileOffline: a topic whose log cannot be opened can be deleted, and made anew.
func TestDeletedWhileOffline(t *testing.T) {
	d := t.TempDir()
	tb := startTestBroker(t, d)
	tb.mustCreate("x", 1)
	tb.mustProduce("x", 0, batchOf(10, 100))
	tb.stop()
	if err := os.Truncate(filepath.Join(d, "x-0", "00000000000000000000.log"), 10); err != nil {
		t.Fatal(err)
	}
	tb = startTestBroker(t, d)
	anew(t, tb)
	tb.stop()
	if left, err := filepath.Glob(filepath.Join(d, "*-stray")); err != nil || len(left) > 0 {
		t.Errorf("set aside: %q %v", left, err)
	}
}

// TestLogAheadOfMetadata: a log whose leader epoch is above the metadata's, as after metadata was
// restored from a backup, must not be appended to (KIP-101). Its partition is offline, config
// changes and housekeeping pass over it, and it can be deleted.
func TestLogAheadOfMetadata(t *testing.T) {
	d := t.TempDir()
	tb := startTestBroker(t, d)
	tb.mustCreate("x", 1)
	tb.stop()
	backup, live := filepath.Join(t.TempDir(), "backup"), filepath.Join(d, metadataFolder)
	if err := os.CopyFS(backup, os.DirFS(live)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(d, ".kafka_cleanshutdown")); err != nil {
		t.Fatal(err)
	}
	tb = startTestBroker(t, d)
	tb.mustProduce("x", 0, batchOf(10, 100))
	tb.stop()
	if err := os.RemoveAll(live); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(live, os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	tb = startTestBroker(t, d)
	defer tb.stop()
	if err := setRetention(tb, "1000"); err != nil {
		t.Fatal(err)
	}
	tb.retain(tb.nowMs())
	tb.tickReplication(tb.nowMs())
	tb.checkpointHighWatermarks()
	anew(t, tb)
}
