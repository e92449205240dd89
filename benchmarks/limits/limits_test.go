package limits

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestRunIO(t *testing.T) {
	t.Parallel()
	p := needPrograms(t)
	dir := t.TempDir()
	options := IOOptions{SustainedSeconds: 0.05, BurstSeconds: 0.01, StepSeconds: 0.01, FileBytes: 8 << 20}
	measures, err := RunIO(t.Context(), p, dir, options)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{
		CRCCache, CRCDRAM, MemcpyCache, MemcpyDRAM,
		PageCacheBurst, PageCacheSustained, DirectBurst, DirectSustained, SyncLarge,
	}
	timed := []string{PageCacheBurst, DirectBurst, PageCacheSustained, DirectSustained, SyncLarge}
	for _, files := range []int{1, 16} {
		for _, group := range []int{1, 16, 64} {
			names = append(names, SyncName(group, files))
			timed = append(timed, SyncName(group, files))
		}
	}
	for _, m := range measures {
		i := slices.Index(names, m.Name)
		if i < 0 {
			t.Errorf("%q is unknown or was measured twice", m.Name)
			continue
		}
		names = slices.Delete(names, i, i+1)
		if !(m.Value > 0) || m.Seconds <= 0 || m.Bytes <= 0 {
			t.Errorf("%+v: nothing was measured", m)
		}
		ordered := m.Calls > 0 && 0 < m.P50Us && m.P50Us <= m.P99Us && m.P99Us <= m.MaxUs
		if slices.Contains(timed, m.Name) != ordered {
			t.Errorf("%+v: latencies missing, out of order, or uncalled for", m)
		}
		if _, row, ok := Share(m); ok && row.Unit != m.Unit {
			t.Errorf("%s is in %s, its row in %s", m.Name, m.Unit, row.Unit)
		}
	}
	if len(names) > 0 {
		t.Errorf("not measured: %v", names)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("files left behind: %v, %v", left, err)
	}
	for _, name := range Missing(measures) {
		if !strings.HasPrefix(name, "fetch/") && !strings.HasPrefix(name, "produce/") &&
			!strings.HasPrefix(name, "ping-pong/") {
			t.Errorf("the row %s can never be checked", name)
		}
	}
}

func TestRunIORefuses(t *testing.T) {
	t.Parallel()
	p := needPrograms(t)
	for _, options := range []IOOptions{{BurstSeconds: 2}, {StepSeconds: -1}, {FileBytes: 1}} {
		if _, err := RunIO(t.Context(), p, t.TempDir(), options); err == nil {
			t.Errorf("%+v was accepted", options)
		}
	}
	tiny := IOOptions{SustainedSeconds: 0.01, BurstSeconds: 0.01, StepSeconds: 0.01, FileBytes: 8 << 20}
	measures, err := RunIO(t.Context(), p, "/nonexistent", tiny)
	if err == nil || !strings.Contains(err.Error(), "No such file") || len(measures) == 0 {
		t.Errorf("absent folder: %d measures (those of the memory are wanted), %v", len(measures), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := RunIO(ctx, p, t.TempDir(), IOOptions{}); err == nil {
		t.Error("a cancelled run reported success")
	}
}

func TestParseMeasures(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"": 0,
		`{"name":"a","unit":"GB/s","value":1}` + "\n" + `{"name":"b","unit":"us","value":2}`: 2,
		`{"name":"a","unit":"GB/s","value":1}{"name":"a","unit":"GB/s","value":3}`:           1,
	} {
		if got, err := parseMeasures(strings.NewReader(text)); err != nil || len(got) != want {
			t.Errorf("%q: %d measures, %v; want %d", text, len(got), err, want)
		} else if want == 1 && got[0].Value != 3 {
			t.Errorf("%+v: of two rounds the best counts", got)
		}
	}
	for _, text := range []string{
		"x", `{"name":"a","unit":"us","value":nan}`, `{"name":"a"}`, `{"unit":"us"}`,
		`{"name":"a","unit":"us","value":1,"colour":2}`, `{"name":"a","un`,
	} {
		if _, err := parseMeasures(strings.NewReader(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	row := func(name string) Row {
		_, row, ok := Share(Measure{Name: name, Unit: unitOf(name)})
		if !ok {
			t.Fatalf("no row for %s", name)
		}
		return row
	}
	for _, c := range []struct {
		name  string
		times float64 // the row's value
		below bool
	}{
		{FetchName(1, 1<<20), 1, false},
		{FetchName(1, 1<<20), 0.71, false},
		{FetchName(1, 1<<20), 0.69, true},
		{FetchName(8, 64<<10), 0, true},
		{ProduceName(8, 64<<10), math.NaN(), true},
		{MemcpyDRAM, 3, false},
		{PingPongP50, 1.4, false}, // latencies: 1 / 1.4 is 71 %
		{PingPongP99, 1.5, true},
		{PingPongP50, 0.5, false},
	} {
		r := row(c.name)
		lines := Check([]Measure{{Name: c.name, Unit: r.Unit, Value: c.times * r.Value}})
		if (len(lines) == 1) != c.below || c.below && !strings.Contains(lines[0], c.name) {
			t.Errorf("%s at %.2f of its row: %q", c.name, c.times, lines)
		}
	}
	if lines := Check([]Measure{{Name: SyncName(16, 16), Unit: "appends/s"}}); lines != nil {
		t.Errorf("a measure without a row was checked: %q", lines)
	}
}

func unitOf(name string) string {
	for _, row := range Rows() {
		if row.Name == name {
			return row.Unit
		}
	}
	return ""
}

func TestRows(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, row := range Rows() {
		if seen[row.Name] || row.Value <= 0 || row.Unit == "" || row.Source == "" {
			t.Errorf("%+v is there twice or incomplete", row)
		}
		if row.Lower != (row.Unit == "us") {
			t.Errorf("%+v: less is better for latencies, and only for them", row)
		}
		seen[row.Name] = true
	}
	if missing := Missing(nil); len(missing) != len(seen) {
		t.Errorf("nothing measured: %d of %d rows are missing", len(missing), len(seen))
	}
	for want, got := range map[string]string{
		"fetch/sendfile/8c/64KiB":            FetchName(8, 64<<10),
		"produce/crc-pwrite/1c/1MiB":         ProduceName(1, 1<<20),
		"fdatasync/1KiB/64-per-sync/1-files": SyncName(64, 1),
		"100B":                               sizeName(100),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestBuild(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	t.Setenv("CC", "")
	if _, err := Build(dir); !errors.Is(err, ErrNoCompiler) {
		t.Errorf("without a compiler: %v", err)
	}
	// A compiler that fails is named with what it said, and leaves no program behind.
	fake := "#!/bin/sh\necho this is no compiler\nexit 3\n"
	if err := os.WriteFile(filepath.Join(dir, "false-cc"), []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CC", "false-cc")
	_, err := Build(filepath.Join(dir, "out"))
	if err == nil || !strings.Contains(err.Error(), "no compiler\n") {
		t.Errorf("with a failing compiler: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "out")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// The programs are meant to be read in one sitting. Comments and blank lines do not count.
func TestProgramsAreSmall(t *testing.T) {
	t.Parallel()
	comments := regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`)
	codeLines := 0
	for _, name := range []string{"crc32c.h", "limitd.c", "limitio.c"} {
		text, err := sources.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if len(line) > 110 {
				t.Errorf("%s:%d: %d columns, ceiling 110", name, i+1, len(line))
			}
		}
		for line := range strings.SplitSeq(comments.ReplaceAllString(string(text), ""), "\n") {
			if strings.TrimSpace(line) != "" {
				codeLines++
			}
		}
	}
	if codeLines > 400 {
		t.Errorf("%d lines of C, ceiling 400", codeLines)
	}
}
