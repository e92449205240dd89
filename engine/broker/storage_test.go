package broker

import (
	"bytes"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// refused starts a broker that must refuse, and returns its reason.
func refused(t *testing.T, dirs string, overrides ...string) string {
	t.Helper()
	tb, err := tryTestBroker(t, dirs, nil, overrides...)
	if err == nil {
		tb.stop()
		t.Fatalf("a broker started on %s", dirs)
	}
	return err.Error()
}

func mustContain(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not say %q", text, part)
		}
	}
}

// names lists everything in dir and one level below it, but for locks.
func names(t *testing.T, dir string) string {
	t.Helper()
	var list []string
	for _, pattern := range []string{"*", "*/*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, found...)
	}
	return strings.Join(list, "\n")
}

// logEnds returns the log end offset of partitions 0 to n-1 of topic x.
func logEnds(t *testing.T, tb *testBroker, n int32) (ends []int64) {
	t.Helper()
	x := tb.topics.namedString("x")
	if x == nil {
		t.Fatal("topic x is gone")
	}
	for i := range n {
		log, code := x.replica(i).logOrError()
		if log == nil {
			t.Fatalf("x-%d: code %d", i, code)
		}
		ends = append(ends, log.LEO())
	}
	return ends
}

// TestReorderedLogDirs: the metadata lies in the first log dir. With the dirs in another order a
// start is refused, says where the metadata is and what to set, and touches nothing; obeying either
// advice brings every record back.
func TestReorderedLogDirs(t *testing.T) {
	d := t.TempDir()
	a, b := filepath.Join(d, "a"), filepath.Join(d, "b")
	tb := startTestBroker(t, a+","+b)
	tb.mustCreate("x", 2)
	tb.mustProduce("x", 0, batchOf(10, 100))
	tb.mustProduce("x", 1, batchOf(10, 100))
	tb.stop()
	before := names(t, a) + names(t, b)
	why := refused(t, b+","+a)
	mustContain(t, why, "partitions lie in "+b+", "+a, "the metadata is in "+a+"/sluice-metadata",
		a+" first in log.dirs", "metadata.log.dir="+a)
	if after := names(t, a) + names(t, b); after != before {
		t.Errorf("a refused start left\n%s\nof\n%s", after, before)
	}
	f := func(dirs string, overrides ...string) {
		t.Helper()
		tb := startTestBroker(t, dirs, overrides...)
		defer tb.stop()
		if ends := logEnds(t, tb, 2); ends[0] != 10 || ends[1] != 10 {
			t.Errorf("%s: log ends %d", dirs, ends)
		}
	}
	f(b+","+a, "metadata.log.dir="+a)
	f(a + "," + b)
}

// TestLostMetadata: without the disk that held the metadata a start is refused; partitions of
// unknown topics would all be set aside.
func TestLostMetadata(t *testing.T) {
	d := t.TempDir()
	a, b, m := filepath.Join(d, "a"), filepath.Join(d, "b"), filepath.Join(d, "m")
	tb := startTestBroker(t, a+","+b)
	tb.mustCreate("x", 2)
	tb.stop()
	// metadata.log.dir was set to a place that has none.
	why := refused(t, a+","+b, "metadata.log.dir="+m)
	mustContain(t, why, m+"/sluice-metadata", "metadata was found in "+a)
	if _, err := os.Stat(m); err == nil {
		t.Error("a refused start made metadata.log.dir")
	}
	// The first disk was replaced by an empty one.
	if err := os.RemoveAll(a); err != nil {
		t.Fatal(err)
	}
	mustContain(t, refused(t, a+","+b), a+"/sluice-metadata", "partitions lie in "+b, "bring back")
	// What only resembles a partition, and what was set aside, keeps nobody from starting.
	if err := os.RemoveAll(b); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lost+found", "x-1.00ff-stray", "notes-old", "-1"} {
		if err := os.MkdirAll(filepath.Join(b, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	startTestBroker(t, a+","+b).stop()
}

// TestMetadataWithoutPartitions: metadata counts also where no partition lies beside it.
func TestMetadataWithoutPartitions(t *testing.T) {
	d := t.TempDir()
	a, b := filepath.Join(d, "a"), filepath.Join(d, "b")
	startTestBroker(t, a+","+b).stop()
	mustContain(t, refused(t, b+","+a), "log dirs were in use: "+a, "metadata.log.dir="+a)
}

// TestPartitionInTwoDirs: Kafka refuses to start with two logs of one partition (class LogManager).
// The refusal names both, and leaves the dirs as clean as they were: once one is moved away, the
// next start has nothing to check and begins no new leader epoch.
func TestPartitionInTwoDirs(t *testing.T) {
	d := t.TempDir()
	a, b := filepath.Join(d, "a"), filepath.Join(d, "b")
	tb := startTestBroker(t, a+","+b)
	tb.mustCreate("x", 1)
	tb.mustProduce("x", 0, batchOf(10, 100))
	at := tb.topics.namedString("x").replica(0).dir.path
	tb.stop()
	other := a
	if at == a {
		other = b
	}
	here, there := filepath.Join(at, "x-0"), filepath.Join(other, "x-0")
	if err := os.CopyFS(there, os.DirFS(here)); err != nil {
		t.Fatal(err)
	}
	mustContain(t, refused(t, a+","+b), "x-0 is in two log dirs", here, there)
	if err := os.RemoveAll(there); err != nil {
		t.Fatal(err)
	}
	tb = startTestBroker(t, a+","+b)
	defer tb.stop()
	if ends := logEnds(t, tb, 1); ends[0] != 10 {
		t.Errorf("log ends %d", ends)
	}
	if epoch := tb.topics.namedString("x").replica(0).leaderEpoch.Load(); epoch != 0 {
		t.Errorf("leader epoch %d after clean shutdowns only", epoch)
	}
}

// TestStrayLongName: a log of an unknown topic is set aside under a name that a file system takes,
// the topic cut short as in Kafka (class UnifiedLog).
func TestStrayLongName(t *testing.T) {
	d := t.TempDir()
	startTestBroker(t, d).stop()
	name := strings.Repeat("a", 240)
	if err := os.Mkdir(filepath.Join(d, name+"-7"), 0o755); err != nil {
		t.Fatal(err)
	}
	startTestBroker(t, d).stop()
	found, err := filepath.Glob(filepath.Join(d, "aaa*-7.*-stray"))
	if err != nil || len(found) != 1 || len(filepath.Base(found[0])) != nameBytesMax {
		t.Fatalf("found %q: %v", found, err)
	}
	if _, err := os.Stat(filepath.Join(d, name+"-7")); err == nil {
		t.Error("still there under its own name")
	}
}

// TestStrayThatStays: a log that cannot be set aside is told of and keeps nobody from starting.
func TestStrayThatStays(t *testing.T) {
	d := t.TempDir()
	tb := startTestBroker(t, d)
	tb.mustCreate("x", 1)
	tb.stop()
	if err := os.Mkdir(filepath.Join(d, "unknown-0"), 0o755); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	tb, err := tryTestBroker(t, d, func(env *Environment) {
		env.FS = &faultyFS{FS: env.FS, path: "unknown-0", rename: errFault}
		env.Log = slog.New(slog.NewTextHandler(&text, nil))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer tb.stop()
	logEnds(t, tb, 1)
	mustContain(t, text.String(), "level=ERROR", "could not be set aside", d+"/unknown-0", "fault")
}

// TestReplacedLogDir: a fresh log dir joins the cluster that the metadata is of, whether the metadata
// has a dir of its own or lies in a log dir that lost its meta.properties.
func TestReplacedLogDir(t *testing.T) {
	d := t.TempDir()
	a, m := filepath.Join(d, "a"), filepath.Join(d, "m")
	open := func(overrides ...string) (string, error) {
		tb, err := tryTestBroker(t, a, func(env *Environment) {
			env.Random = func(p []byte) { _, _ = rand.Read(p) }
		}, overrides...)
		if err != nil {
			return "", err
		}
		defer tb.stop()
		return tb.dirs[0].dir.ClusterID(), nil
	}
	f := func(lost string, overrides ...string) {
		t.Helper()
		want, err := open(overrides...)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(lost); err != nil {
			t.Fatal(err)
		}
		if got, err := open(overrides...); got != want || err != nil {
			t.Errorf("%s is lost: cluster %q, want %q: %v", lost, got, want, err)
		}
		_, err = open(append(overrides, "cluster.id=other")...)
		if err == nil {
			t.Fatal("started as another cluster")
		}
		mustContain(t, err.Error(), "cluster.id=other", want)
	}
	f(a, "metadata.log.dir="+m)
	if err := errors.Join(os.RemoveAll(a), os.RemoveAll(m)); err != nil {
		t.Fatal(err)
	}
	f(filepath.Join(a, "meta.properties"))
}

// TestEpochsInSeveralEntries: after an unclean shutdown every partition gets one new leader epoch
// (KIP-101), however many metadata entries that takes.
func TestEpochsInSeveralEntries(t *testing.T) {
	d := t.TempDir()
	tb := startTestBroker(t, d)
	tb.mustCreate("x", 7)
	tb.mustCreate("y", 3)
	before := tb.meta.journal.Last()
	if err := tb.raiseEpochsBy(4); err != nil {
		t.Fatal(err)
	}
	if n := tb.meta.journal.Last() - before; n != 3 {
		t.Errorf("%d entries, want 3", n)
	}
	once := func(epoch int32) {
		t.Helper()
		for x := range tb.image().Topics {
			for i := range int32(x.PartitionCount()) {
				if p := x.Partition(i); p.LeaderEpoch != epoch || p.PartitionEpoch != epoch {
					t.Errorf("%s-%d: epochs %d, %d", x.Name, i, p.LeaderEpoch, p.PartitionEpoch)
				}
			}
		}
	}
	once(1)
	tb.stop()
	if err := os.Remove(filepath.Join(d, ".kafka_cleanshutdown")); err != nil {
		t.Fatal(err)
	}
	tb = startTestBroker(t, d)
	defer tb.stop()
	once(2)
}
