package suite

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/benchmarks/limits"
	"sluice/benchmarks/peers"
	"sluice/benchmarks/report"
	"sluice/benchmarks/result"
)

// binary builds sluice once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sluice-suite-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "sluice")
	out, err := exec.Command("go", "build", "-o", path, "sluice/cmd/sluice").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

func sluiceBinary(t *testing.T) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Every case is one that the load generator would carry out: its options are possible.
func TestEveryCaseIsPossible(t *testing.T) {
	path := sluiceBinary(t)
	for _, c := range Cases() {
		args := append([]string{"bench", string(c.Mode), "--dry-run"}, c.Args...)
		if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
			t.Errorf("case %s: %v: %s", c.ID, err, out)
		}
	}
}

func TestCasesAreToldApart(t *testing.T) {
	seen := map[string]bool{}
	for _, id := range IDs() {
		if seen[id] {
			t.Errorf("two cases %s", id)
		}
		seen[id] = true
	}
	for _, c := range Cases() {
		if len(c.Contenders) == 0 || c.Pairs < 3 || c.Duration <= 0 {
			t.Errorf("case %s: %d contenders, %d pairs of %v", c.ID, len(c.Contenders), c.Pairs, c.Duration)
		}
		for _, contender := range c.Contenders {
			_, isLimit := limitOptions[contender.Target]
			if !isLimit && !slices.Contains(peers.Names(), contender.Target) {
				t.Errorf("case %s: nobody is called %s", c.ID, contender.Target)
			}
		}
	}
}

// A goal about a case or a contender that the plan does not have could never be met or missed.
func TestGoalsAreAboutThePlan(t *testing.T) {
	sides := map[string][]string{startCase: {"sluice", "kafka"}}
	for _, c := range Cases() {
		for _, contender := range c.Contenders {
			sides[c.ID] = append(sides[c.ID], strings.TrimSpace(contender.Target+" "+contender.Variant()))
		}
		if c.Disk {
			sides[DiskCase(c.ID)] = []string{LimitDisk}
		}
	}
	for _, g := range Goals() {
		if err := g.Validate(); err != nil {
			t.Errorf("goal %s: %v", g.ID, err)
		}
		all := append([]report.Side{g.Of}, g.Against...)
		if g.Or != nil {
			all = append(all, g.Or.Against...)
		}
		if g.Ceiling != nil {
			all = append(all, side(g.Ceiling.Targets...)...)
		}
		for _, id := range g.Cases {
			for _, s := range all {
				of := cmp.Or(s.Case, id)
				if name := strings.TrimSpace(s.Target + " " + s.Variant); !slices.Contains(sides[of], name) {
					t.Errorf("goal %s: case %s has no %q, only %q", g.ID, of, name, sides[of])
				}
			}
		}
	}
}

// A small part of the plan, from the limit servers to the files that a report is made of.
func TestSuite(t *testing.T) {
	if _, err := limits.Build(""); errors.Is(err, limits.ErrNoCompiler) {
		t.Skipf("limit servers cannot be built: %v", err)
	}
	o := Options{
		Out: t.TempDir(), WorkDir: t.TempDir(), Binary: sluiceBinary(t),
		Scale: 0.1, Pairs: 2, Log: io.Discard,
		Only:    regexp.MustCompile(`^(fetch-64k-1c-reading|small-64c)$`),
		Targets: regexp.MustCompile(`^(limit-.*|sluice)$`),
	}
	if err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ id, target string }{
		{"fetch-64k-1c-reading", LimitSendfile},
		{"fetch-64k-1c-reading", "sluice"},
		{"small-64c", LimitPingAppend},
		{"small-64c", "sluice"},
	} {
		paths, _ := filepath.Glob(filepath.Join(o.Out, "raw", want.id+"-*-"+want.target+".json"))
		if len(paths) != 2 {
			t.Errorf("%s: %d runs of %s, want 2", want.id, len(paths), want.target)
		}
		for _, path := range paths {
			checkRun(t, path, want.id)
		}
	}
	for _, name := range []string{"facts.json", "goals.json", "limits.json"} {
		// Which limits are in it depends on the hypervisor: runs with stolen time do not count.
		if text, err := os.ReadFile(filepath.Join(o.Out, name)); err != nil || !json.Valid(text) {
			t.Errorf("%s: %v, %.40q", name, err, text)
		}
	}
	left, err := filepath.Glob(filepath.Join(o.WorkDir, "*", "data", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("data left behind: %v, %v", left, err)
	}
}

// A report travels: no file of it names a folder of the machine it was made on.
func TestFoldersAreNamed(t *testing.T) {
	o := Options{WorkDir: "/srv/work", Binary: "/srv/build/bin/sluice"}
	path := filepath.Join(t.TempDir(), "x.json")
	command := []string{"/srv/build/bin/sluice", "log.dirs=/srv/work/a", "/srv/worker"}
	if err := o.writeJSON(path, command); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if want := []string{"$BIN/sluice", "log.dirs=$WORK/a", "/srv/worker"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func checkRun(t *testing.T, path, id string) {
	t.Helper()
	r, err := readResult(path)
	if err != nil {
		t.Error(err)
		return
	}
	if r.Error != "" || len(r.Errors) > 0 {
		t.Errorf("%s: %s %v", path, r.Error, r.Errors)
	}
	if r.Plan.Case != id || r.Produced.Bytes+r.Consumed.Bytes == 0 || r.Target.Version == "" {
		t.Errorf("%s: case %s, %d bytes, version %q", path, r.Plan.Case, r.Produced.Bytes+r.Consumed.Bytes,
			r.Target.Version)
	}
	if r.Usage == nil || r.Usage.Broker == nil || r.Usage.Broker.CPUNanos == 0 {
		t.Errorf("%s: the broker's processor time is missing", path)
	}
}

// A broker that refuses to start ends the suite with its reason, and nothing is left running.
func TestSuiteWithoutBroker(t *testing.T) {
	if _, err := limits.Build(""); errors.Is(err, limits.ErrNoCompiler) {
		t.Skipf("limit servers cannot be built: %v", err)
	}
	o := Options{
		Out: t.TempDir(), WorkDir: t.TempDir(), Binary: "/nowhere/sluice", Scale: 0.1, Log: io.Discard,
		Only: regexp.MustCompile(`^spread-2c$`),
	}
	err := Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "/nowhere/sluice") {
		t.Errorf("error %v", err)
	}
}

// A load generator that fails before it can write a result is recorded as a failed run.
func TestFailedRunIsRecorded(t *testing.T) {
	o := Options{WorkDir: t.TempDir(), Binary: sluiceBinary(t), Log: io.Discard}
	b := &broker{target: result.Target{Name: "gone", Addr: "127.0.0.1:1"}, pid: -1}
	r, err := o.bench(t.Context(), b, "produce", []string{"--in-flight", "0"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(r.Error, "in-flight") || r.Target.Name != "gone" {
		t.Errorf("error %q of target %q", r.Error, r.Target.Name)
	}
}

func TestInterruptedBenchIsNoResult(t *testing.T) {
	o := Options{WorkDir: t.TempDir(), Binary: sluiceBinary(t), Log: io.Discard}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := &broker{target: result.Target{Name: "gone", Addr: "127.0.0.1:1"}, pid: -1}
	if _, err := o.bench(ctx, b, "produce", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestMedian(t *testing.T) {
	of := func(rates ...int64) (float64, bool) {
		var all []*result.Result
		for _, v := range rates {
			all = append(all, &result.Result{Produced: result.Count{Records: v, Seconds: 1}})
		}
		return median(all, func(r *result.Result) float64 { return r.Produced.RecordsPerSecond() })
	}
	if _, ok := of(); ok {
		t.Error("nothing has a median")
	}
	if m, _ := of(9, 1, 5); m != 5 {
		t.Errorf("median of 9, 1, 5 is %v", m)
	}
	if m, _ := of(4, 1, 2, 9); m != 3 {
		t.Errorf("median of 4, 1, 2, 9 is %v", m)
	}
}

func TestScaled(t *testing.T) {
	o := Options{Scale: 0.25}
	if d := o.scaled(2 * time.Second); d != 500*time.Millisecond {
		t.Errorf("a quarter of 2 s is %v", d)
	}
}
