package report

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"sluice/benchmarks/result"
	"sluice/benchmarks/stats"
)

var update = flag.Bool("update", false, "write the golden files anew")

func build(t testing.TB, dir string) *Report {
	t.Helper()
	f, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Build(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	return r
}

func read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestFullFolder makes a whole report; -keep DIR leaves it there to be looked at.
func TestFullFolder(t *testing.T) {
	dir := t.TempDir()
	if *keep != "" {
		dir = *keep
	}
	fullFolder(t, dir)
	r := build(t, dir)
	if r.Runs != 78 || r.Counted != 76 || r.Discarded != 1 || len(r.Dropped) != 2 {
		t.Errorf("%d runs, %d count, %d discarded, %d dropped", r.Runs, r.Counted, r.Discarded, len(r.Dropped))
	}
	want := map[string]stats.Outcome{
		"produce-kafka": stats.Pass, "produce-limit": stats.Fail, "produce-cpu": stats.Pass,
		"memory": stats.Fail, "p99": stats.Pass, "absent": stats.Invalid,
	}
	for _, g := range r.Goals {
		if g.Outcome != want[g.Goal.ID] {
			t.Errorf("%s: %s (%s), want %s", g.Goal.ID, g.Outcome, g.Reason, want[g.Goal.ID])
		}
	}
	page := read(t, filepath.Join(dir, "report.html"))
	for _, text := range []string{
		"steal 4.1 % is over 2 %", "the broker closed every connection", "raw/zz-corrupt.json",
		"limit-sendfile", "CONNECTION_LOST", "97.5\u202f%", "/proc/swaps: permission denied",
		"&#39;a b=c&#39;", "What the numbers do not show", "the client was the limit: 98 % of a core",
	} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
}

// TestPageIsSelfContained: nothing is loaded, nothing runs, and each anchor leads somewhere.
func TestPageIsSelfContained(t *testing.T) {
	dir := t.TempDir()
	tinyFolder(t, dir)
	build(t, dir)
	page := read(t, filepath.Join(dir, "report.html"))
	for _, banned := range []string{"<script", "src=", "<link", "@import", "url(", "<iframe", "NaN", "+Inf", "%!"} {
		if strings.Contains(page, banned) {
			t.Errorf("the page has %q", banned)
		}
	}
	for _, link := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !strings.HasPrefix(link[1], "#") || !strings.Contains(page, `id="`+link[1][1:]+`"`) {
			t.Errorf("the link %q leads nowhere", link[1])
		}
	}
	for _, tag := range []string{"svg", "table", "tr", "section", "article", "details", "figure", "div"} {
		open := len(regexp.MustCompile("<"+tag+"[ >]").FindAllString(page, -1))
		if closed := strings.Count(page, "</"+tag+">"); open != closed || open == 0 {
			t.Errorf("<%s> opens %d times, closes %d times", tag, open, closed)
		}
	}
}

// tinyFolder is three rounds of Sluice and Kafka in one case.
func tinyFolder(t testing.TB, dir string) {
	s := newSynthetic(t, dir)
	spec := produceSpec(3)
	ours := mould{
		target: Sluice, caseName: "produce", label: "burst", spec: spec, mbps: 1000, medianMicros: 500,
		stages: []string{result.StageAck}, brokerCPU: 0.4, anon: 50 << 20, change: withStages,
	}
	theirs := ours
	theirs.target, theirs.mbps, theirs.brokerCPU, theirs.anon, theirs.change = "kafka", 300, 1.5, 900<<20, nil
	s.pairs(3, ours, theirs)
	kafka := Side{Target: "kafka"}
	s.rest([]Goal{
		goal("faster", []string{"produce"}, "produced_mb_s", stats.AtLeast, 3, kafka),
		goal("cpu", []string{"produce"}, "broker_cpu_s_per_gb", stats.AtMost, 0.2),
	})
}

// TestGolden holds the summary and a drawing against what was looked at and found good.
func TestGolden(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the golden files were made on amd64; other processors may round the last digit differently")
	}
	dir := filepath.Join(t.TempDir(), "2026-01-02-test")
	tinyFolder(t, dir)
	build(t, dir)
	for _, name := range []string{"README.md", "plots/produce-latency-ack.svg"} {
		got := read(t, filepath.Join(dir, name))
		golden := filepath.Join("testdata", "tiny-"+filepath.Base(name))
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want := read(t, golden); got != want {
			t.Errorf("%s differs from %s (go test -update writes it anew):\n%s", name, golden, firstDifference(got, want))
		}
	}
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return "got  " + a[i] + "\nwant " + b[i]
		}
	}
	return "one is longer"
}

// TestSameBytes: the same raw runs give the same report, also over an older one.
func TestSameBytes(t *testing.T) {
	first, second := filepath.Join(t.TempDir(), "x"), filepath.Join(t.TempDir(), "x")
	tinyFolder(t, first)
	tinyFolder(t, second)
	build(t, first)
	build(t, second)
	if err := os.WriteFile(filepath.Join(second, "plots", "stale.svg"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	build(t, second)
	a, b := tree(t, first), tree(t, second)
	if len(a) != len(b) {
		t.Errorf("%d files and %d files", len(a), len(b))
	}
	for name, text := range a {
		if !bytes.Equal(text, b[name]) {
			t.Errorf("%s differs", name)
		}
	}
}

func tree(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestUnusableFiles: each is named with its reason, and the report is made of the rest.
func TestUnusableFiles(t *testing.T) {
	dir := t.TempDir()
	s := newSynthetic(t, dir)
	m := mould{target: Sluice, caseName: "c", spec: produceSpec(1), mbps: 10, medianMicros: 5, brokerCPU: 1}
	s.write(s.turn(m, 0, 0))
	s.file("raw/a.json", []byte(`{"schema":1`))
	s.file("raw/b.json", []byte(`{"schema":99,"target":{"name":"x"}}`))
	s.file("raw/c.json", []byte(`{"schema":1}`))
	s.file("raw/d.json.gz", []byte("not gzip"))
	s.file("raw/e.json", []byte(`{"schema":1,"target":{"name":"x"},"stages":{"ack":{"hdr_v2":"AAAA"}}}`))
	s.file("raw/notes.txt", []byte("no result, not looked at"))
	s.file("goals.json", []byte(`[{"id":"g","cases":["c"],"of":{"target":"sluice"},"metric":"speed","kind":"at_least","bound":1}]`))
	s.file("limits.json", []byte(`{}`))
	r := build(t, dir)
	want := map[string]string{
		"raw/a.json": "unexpected end", "raw/b.json": "schema 99", "raw/c.json": "names no target",
		"raw/d.json.gz": "gzip", "raw/e.json": "histogram", "goals.json": `metric "speed"`,
		"limits.json": "cannot unmarshal", "facts.json": "no such file",
	}
	for _, p := range r.Problems {
		if text, ok := want[p.File]; !ok || !strings.Contains(p.Why, text) {
			t.Errorf("%s: %s (want %q)", p.File, p.Why, text)
		}
		if strings.Contains(p.Why, dir) {
			t.Errorf("%s: the reason names this machine's folder: %s", p.File, p.Why)
		}
		delete(want, p.File)
	}
	for file := range want {
		t.Errorf("%s is not among the problems", file)
	}
	if r.Runs != 1 || !strings.Contains(read(t, filepath.Join(dir, "report.html")), "raw/d.json.gz") {
		t.Errorf("%d runs; is d.json.gz in the page?", r.Runs)
	}
}

func TestNoRawFolder(t *testing.T) {
	if _, err := Read(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no raw results") {
		t.Errorf("%v", err)
	}
}

// TestEmptyRawFolder still gives a report that says so.
func TestEmptyRawFolder(t *testing.T) {
	dir := t.TempDir()
	s := newSynthetic(t, dir)
	s.rest([]Goal{goal("g", []string{"c"}, "produced_mb_s", stats.AtLeast, 1)})
	r := build(t, dir)
	if r.Invalid != 1 || len(r.Problems) != 1 || r.Problems[0].Why != "holds no usable result" {
		t.Errorf("%d invalid, %+v", r.Invalid, r.Problems)
	}
}

// TestPercentilesNeverFromFailures: a run in which no request succeeded shows no latency, whatever
// its histograms hold; nor does one that failed or is invalid.
func TestPercentilesNeverFromFailures(t *testing.T) {
	for name, spoil := range map[string]func(*result.Result){
		"only errors": func(r *result.Result) {
			r.Produced, r.Errors = result.Count{Seconds: 1}, map[string]int64{"NOT_LEADER_OR_FOLLOWER": 70}
		},
		"failed":      func(r *result.Result) { r.Error = "connection refused" },
		"invalid":     func(r *result.Result) { r.Invalid = []string{"achieved 40 % of the asked rate"} },
		"interrupted": func(r *result.Result) { r.Interrupted = true },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := newSynthetic(t, dir)
			s.pairs(3, mould{
				target: Sluice, caseName: "c", spec: produceSpec(1), mbps: 10, medianMicros: 5, brokerCPU: 1,
				stages: []string{result.StageAck}, change: spoil,
			})
			s.rest([]Goal{goal("g", []string{"c"}, "p99_ack", stats.AtMost, 1e9)})
			r := build(t, dir)
			c := r.Cases[0]
			if r.Counted != 0 || len(c.Latency.Rows) != 0 || len(c.Plots) != 0 || r.Invalid != 1 {
				t.Errorf("%d count, latency %+v, %d plots, %d goals invalid", r.Counted, c.Latency.Rows,
					len(c.Plots), r.Invalid)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "hgrm", "*")); len(left) != 0 {
				t.Errorf("distributions of failures: %v", left)
			}
		})
	}
}

// TestNamesAreNotMarkup: names come from files that anyone may have written.
func TestNamesAreNotMarkup(t *testing.T) {
	const evil = `<script>"x"</script>|../../up`
	dir := t.TempDir()
	s := newSynthetic(t, dir)
	for pair := range 3 {
		r := s.turn(mould{
			target: evil, caseName: evil, spec: produceSpec(2), mbps: 10, medianMicros: 5, brokerCPU: 1,
			stages: []string{result.StageAck},
		}, pair, 0)
		r.Notes = []string{evil}
		s.json(filepath.Join("raw", string(rune('a'+pair))+".json"), r)
	}
	s.rest(nil)
	build(t, dir)
	if page := read(t, filepath.Join(dir, "report.html")); strings.Contains(page, "<script") {
		t.Error("a name became a script in the page")
	}
	if text := read(t, filepath.Join(dir, "README.md")); strings.Contains(text, "<script") {
		t.Error("a name became markup in the summary")
	}
	for name := range tree(t, filepath.Dir(dir)) {
		if strings.Contains(name, "up") && strings.Contains(filepath.Base(name), "..") {
			t.Errorf("a name became a path: %s", name)
		}
	}
}

// FuzzResult: a raw file may hold anything; it is a run or an error, and a run can be reported.
func FuzzResult(f *testing.F) {
	dir := f.TempDir()
	s := newSynthetic(f, dir)
	name := s.write(s.turn(mould{
		target: Sluice, caseName: "c", spec: produceSpec(2), mbps: 10, medianMicros: 5, brokerCPU: 1,
		stages: []string{result.StageAck}, change: withStages,
	}, 0, 0))
	f.Add([]byte(read(f, filepath.Join(dir, "raw", name))))
	f.Add([]byte(`{"schema":1,"target":{"name":"x"},"produced":{"bytes":1,"seconds":1},"series":[{"s":1,"pb":1},{"s":0}]}`))
	f.Add([]byte(`{"schema":1,"target":{"name":"x"},"stages":{"ack":null},"usage":{},"broker_stages":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "r.json")
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := readResult(path)
		if err != nil {
			return
		}
		folder := &Folder{Runs: []Run{{"raw/r.json", r}, {"raw/s.json", r}}}
		report, err := Build(folder)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := report.html(); err != nil {
			t.Fatal(err)
		}
	})
}
