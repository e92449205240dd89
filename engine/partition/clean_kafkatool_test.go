package partition

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Kafka's own DumpLogSegments reads a log that was cleaned over and over: batches, records, indexes,
// aborted transactions and snapshots, with no mismatch. SLUICE_KAFKA_JARS names a directory with
// Kafka's jars.
func TestKafkaDumpLogAgreesAfterCleaning(t *testing.T) {
	t.Parallel()
	jars := os.Getenv("SLUICE_KAFKA_JARS")
	if jars == "" {
		t.Skip("SLUICE_KAFKA_JARS does not name a directory with Kafka's jars")
	}
	b := newCleanBench(t, 3, nil)
	for range 400 {
		b.step()
	}
	if err := b.log.Roll(); err != nil {
		t.Fatal(err)
	}
	b.clean(0)
	if err := b.dir.Close(true, 12); err != nil {
		t.Fatal(err)
	}
	entries, err := b.fs.ReadDir(b.log.path)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, e := range entries {
		switch filepath.Ext(e.Name()) {
		case logSuffix, indexSuffix, timeSuffix, txnSuffix, snapshotSuffix:
			// Its checker of time indexes stumbles over a segment without a batch, as Kafka's own
			// cleaner leaves one, too.
			log := strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())) + logSuffix
			if info, err := b.fs.Stat(filepath.Join(b.log.path, log)); err == nil && info.Size() == 0 {
				continue
			}
			files = append(files, filepath.Join(b.log.path, e.Name()))
		}
	}
	out, err := exec.Command("java", "-cp", filepath.Join(jars, "*"),
		"org.apache.kafka.tools.DumpLogSegments", "--files", strings.Join(files, ","),
		"--deep-iteration", "--verify-index-only").CombinedOutput()
	text := string(out)
	for _, bad := range []string{"Mismatches", "mismatch", "Exception", "isvalid: false"} {
		if strings.Contains(text, bad) {
			t.Errorf("DumpLogSegments says %q", bad)
		}
	}
	if err != nil || t.Failed() || !strings.Contains(text, "deleteHorizonMs: OptionalLong[") {
		t.Fatalf("%v\n%s", err, text[:min(len(text), 6000)])
	}
	t.Logf("%d files, %d lines", len(files), strings.Count(text, "\n"))
}
