package partition

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sluice/wire"
)

// Kafka's own DumpLogSegments reads our .log, .index, .timeindex, .txnindex and .snapshot files and
// finds no mismatch in them. SLUICE_KAFKA_JARS names a directory with Kafka's jars.
func TestKafkaDumpLogAgrees(t *testing.T) {
	t.Parallel()
	jars := os.Getenv("SLUICE_KAFKA_JARS")
	if jars == "" {
		t.Skip("SLUICE_KAFKA_JARS does not name a directory with Kafka's jars")
	}
	b := newBench(t, func(c *Config) { c.SegmentBytes = 20_000 })
	for i := range 120 {
		p := payload{records: 3, bytes: 200, timestamp: testEpochMs + int64(i)*7, seed: i}
		if i%3 == 0 {
			p.pid, p.seq, p.txn = 77, int32(i), true
		}
		b.must(p)
	}
	if a := b.submitBatch(markerBatch(t, 77, 0, false), FromCoordinator); a.Code != wire.CodeNone {
		t.Fatal(wire.CodeName(a.Code))
	}
	if err := b.dir.Close(true, 12); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	entries, err := b.fs.ReadDir(b.log.path)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, e := range entries {
		suffix := filepath.Ext(e.Name())
		switch suffix {
		case logSuffix, indexSuffix, timeSuffix, txnSuffix, snapshotSuffix:
			seen[suffix]++
			files = append(files, filepath.Join(b.log.path, e.Name()))
		}
	}
	for _, suffix := range []string{logSuffix, indexSuffix, timeSuffix, txnSuffix, snapshotSuffix} {
		if seen[suffix] == 0 {
			t.Errorf("the log has no %s file", suffix)
		}
	}
	out, err := exec.Command("java", "-cp", filepath.Join(jars, "*"),
		"org.apache.kafka.tools.DumpLogSegments", "--files", strings.Join(files, ","),
		"--deep-iteration", "--verify-index-only").CombinedOutput()
	text := string(out)
	for _, bad := range []string{"Mismatches", "mismatch", "Exception", "non-consecutive", "isvalid: false"} {
		if strings.Contains(text, bad) {
			t.Errorf("DumpLogSegments says %q", bad)
		}
	}
	if err != nil || t.Failed() || !strings.Contains(text, "Dumping") {
		t.Fatalf("%v\n%s", err, text[:min(len(text), 6000)])
	}
	t.Logf("%d files, %d lines", len(files), strings.Count(text, "\n"))
}
