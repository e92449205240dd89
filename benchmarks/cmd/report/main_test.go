package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/benchmarks/limits"
	"sluice/benchmarks/report"
	"sluice/benchmarks/result"
	"sluice/benchmarks/stats"
	"sluice/benchmarks/workload"
)

// folder holds three runs of 100 MB/s, and a goal of so many.
func folder(t *testing.T, bound float64) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, v any) {
		text, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "raw"), 0o755); err != nil {
		t.Fatal(err)
	}
	for pair := range 3 {
		write(filepath.Join("raw", string(rune('a'+pair))+".json"), result.Result{
			Schema: result.SchemaVersion, Target: result.Target{Name: report.Sluice},
			Spec: workload.Spec{Mode: workload.Produce, Acks: 1}, Seconds: 1,
			Plan:     result.Plan{Case: "c", Pair: pair},
			Produced: result.Count{Bytes: 1e8, Records: 1, Requests: 1, Seconds: 1},
		})
	}
	write("facts.json", map[string]any{})
	write("limits.json", []limits.Measure{{Name: limits.MemcpyDRAM, Unit: "GB/s", Value: 9}})
	err := report.WriteGoals(filepath.Join(dir, "goals.json"), []report.Goal{{
		ID: "g", Text: "a goal", Cases: []string{"c"}, Of: report.Side{Target: report.Sluice},
		Metric: "produced_mb_s", Kind: stats.AtLeast, Bound: bound,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want int
		says string
	}{
		{"met", []string{"--strict", folder(t, 99)}, 0, "PASS     g: "},
		{"missed", []string{folder(t, 101)}, 0, "1 missed"},
		{"missed, strict", []string{"--strict", folder(t, 101)}, 1, "FAIL     g: c: the estimate 100 misses"},
		{"no folder", []string{filepath.Join(t.TempDir(), "none")}, 2, "no raw results"},
		{"no argument", nil, 2, "usage:"},
		{"two", []string{"a", "b"}, 2, "usage:"},
		{"no such flag", []string{"--fast"}, 2, "usage:"},
	} {
		var out, errs bytes.Buffer
		if got := run(c.args, &out, &errs); got != c.want {
			t.Errorf("%s: exit %d, want %d\n%s%s", c.name, got, c.want, &out, &errs)
		}
		if !strings.Contains(out.String()+errs.String(), c.says) {
			t.Errorf("%s: does not say %q:\n%s%s", c.name, c.says, &out, &errs)
		}
	}
}

func TestReportIsWritten(t *testing.T) {
	dir := folder(t, 1)
	var out, errs bytes.Buffer
	if got := run([]string{dir}, &out, &errs); got != 0 || errs.Len() != 0 {
		t.Fatalf("exit %d: %s", got, &errs)
	}
	for _, name := range []string{"report.html", "README.md", "plots/c-produced.svg"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
