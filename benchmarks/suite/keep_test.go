package suite

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"sluice/benchmarks/limits"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// A broker is stopped only once what its turn wrote is off the disk.
func TestEndTurnWaitsForDeletedFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	doomed := filepath.Join(dir, "bench-3-0.0123-delete")
	if err := os.MkdirAll(doomed, 0o755); err != nil {
		t.Fatal(err)
	}
	// Of another topic; it may stay.
	if err := os.MkdirAll(filepath.Join(dir, "bench-33-0"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := newStable(&Options{Log: io.Discard}, limits.Programs{})
	paused := false
	s.passing[sluice] = &broker{dataDir: dir, pause: func() error {
		paused = true
		if _, err := os.Stat(doomed); err == nil {
			t.Error("paused while the deleted topic's files were there")
		}
		return nil
	}}
	removed := time.AfterFunc(50*time.Millisecond, func() { os.Remove(doomed) })
	defer removed.Stop()
	if err := s.endTurn(t.Context(), sluice, "bench-3"); err != nil || !paused {
		t.Errorf("paused %v: %v", paused, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.endTurn(ctx, sluice, "bench-33"); err == nil {
		t.Error("an ended context did not end the wait")
	}
}

// Raw results are never written over: those of a case that is carried out again are kept apart.
func TestRawResultsAreKept(t *testing.T) {
	t.Parallel()
	o := Options{Out: t.TempDir(), Log: io.Discard}
	if err := os.MkdirAll(o.rawDir(), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(id, target string, bytes int64) {
		t.Helper()
		r := &result.Result{
			Schema: result.SchemaVersion, Spec: workload.Spec{Mode: workload.Produce},
			Target: result.Target{Name: target}, Plan: result.Plan{Case: id},
			Produced: result.Count{Records: 1, Bytes: bytes},
		}
		if err := o.keep(r); err != nil {
			t.Fatal(err)
		}
	}
	for round := range int64(3) {
		if err := o.supersede("kafka-produce"); err != nil {
			t.Fatal(err)
		}
		if raw, err := o.raws("kafka-produce", "sluice"); err != nil || len(raw) != 0 {
			t.Fatalf("round %d begins with %d results: %v", round, len(raw), err)
		}
		write("kafka-produce", "sluice", 100+round)
		write("kafka-produce", "kafka", 200+round)
	}
	write("kafka-produce-rated", "kafka", 300)
	if err := o.supersede("kafka-produce"); err != nil {
		t.Fatal(err)
	}
	kept, err := filepath.Glob(filepath.Join(o.Out, supersededDir, "kafka-produce.[123]", "*.json"))
	if err != nil || len(kept) != 6 {
		t.Errorf("kept %v: %v", kept, err)
	}
	if raw, err := o.raws("kafka-produce-rated", "kafka"); err != nil || len(raw) != 1 {
		t.Errorf("another case has %d results: %v", len(raw), err)
	}
}

// keep itself refuses to write over a result.
func TestKeepDoesNotOverwrite(t *testing.T) {
	t.Parallel()
	o := Options{Out: t.TempDir(), Log: io.Discard, Only: regexp.MustCompile("")}
	if err := os.MkdirAll(o.rawDir(), 0o755); err != nil {
		t.Fatal(err)
	}
	r := &result.Result{Target: result.Target{Name: "sluice"}, Plan: result.Plan{Case: "a"}}
	if err := o.keep(r); err != nil {
		t.Fatal(err)
	}
	if err := o.keep(r); err == nil {
		t.Error("a raw result was written over")
	}
}
