package compare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sluice/benchmarks/measure"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

func TestOrder(t *testing.T) {
	t.Parallel()
	var text string
	for _, turn := range Order(4) {
		text += fmt.Sprintf("%s%d ", turn.Side, turn.Pair)
	}
	if text != "old0 new0 new1 old1 old2 new2 new3 old3 " {
		t.Error(text)
	}
}

func TestParseCase(t *testing.T) {
	t.Parallel()
	f := func(text, want string) {
		t.Helper()
		c, err := ParseCase(text)
		got := c.Name + "|" + strings.Join(c.Args, " ")
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	f("produce", "produce|produce")
	f("small: produce --record-size 100", "small|produce --record-size 100")
	f("produce --record-size uniform:1-9", "produce|produce --record-size uniform:1-9")
	f("", "error")
	f("x:", "error")
	f("--rate 5", "error")
	f("a/b: produce", "error")
}

// bench writes a benchmark file with these times per op, in ns, and 8 objects each.
func bench(t *testing.T, ns ...float64) string {
	t.Helper()
	text := "goos: linux\npkg: sluice/x\n"
	for _, v := range ns {
		text += fmt.Sprintf("BenchmarkA-2 \t 100\t %v ns/op\t %v MB/s\t 16 B/op\t 8 allocs/op\t 3 apples\n", v, 1e6/v)
	}
	path := filepath.Join(t.TempDir(), "bench.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDeltas: a figure has regressed if it is worse by more than the threshold and significantly so.
func TestDeltas(t *testing.T) {
	t.Parallel()
	base := []float64{100, 101, 102, 103, 104, 105}
	for _, c := range []struct {
		name string
		now  []float64
		want string
	}{
		{"the same", base, ""},
		{"slower", []float64{120, 121, 122, 123, 124, 125}, "sec/op B/s"},
		{"slower within the threshold", []float64{106, 107, 107, 107, 107, 108}, ""},
		{"faster", []float64{80, 81, 82, 83, 84, 85}, ""},
		{"slower by accident", []float64{60, 101, 140, 150, 100, 160}, ""},
	} {
		deltas, err := Deltas(bench(t, base...), bench(t, c.now...))
		if err != nil {
			t.Fatal(err)
		}
		if len(deltas) != 4 {
			t.Fatalf("%s: %d figures, want sec/op, B/s, B/op and allocs/op", c.name, len(deltas))
		}
		var got []string
		for _, d := range deltas {
			if d.Regressed(0.05) {
				got = append(got, d.Unit)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v regressed, want %q: %+v", c.name, got, c.want, deltas)
		}
	}
}

// TestAllocationsFromNone: the first object of a path that had none is a regression of any size.
func TestAllocationsFromNone(t *testing.T) {
	t.Parallel()
	d := delta(figure{unit: "allocs/op"}, []float64{0, 0, 0, 0, 0, 0}, []float64{1, 1, 1, 1, 1, 1})
	if !d.Regressed(0.05) {
		t.Errorf("%+v", d)
	}
}

// closed makes the runs of a case from MB/s of old and new in each pair; 0 is a run that failed.
func closed(name string, pairs ...[2]float64) []Run {
	var runs []Run
	for i, pair := range pairs {
		for side, v := range pair {
			r := &result.Result{Loop: "closed", Spec: workload.Spec{Mode: workload.Produce}}
			r.Produced = result.Count{Bytes: int64(v * 1e6), Seconds: 1}
			r.Usage = &measure.Usage{Broker: &measure.Process{CPUNanos: 1e9}}
			if v == 0 {
				r.Error = "the broker died"
			}
			runs = append(runs, Run{name, Turn{Side(side), i}, r})
		}
	}
	return runs
}

// TestVerdict: a regression needs a whole interval beyond the threshold; nothing decided is no pass.
func TestVerdict(t *testing.T) {
	t.Parallel()
	steady := closed("a", [2]float64{100, 101}, [2]float64{102, 101}, [2]float64{100, 100}, [2]float64{99, 100})
	slower := closed("a", [2]float64{100, 80}, [2]float64{102, 81}, [2]float64{100, 79}, [2]float64{99, 80})
	noisy := closed("a", [2]float64{100, 50}, [2]float64{60, 101}, [2]float64{100, 60}, [2]float64{90, 95})
	broken := closed("b", [2]float64{100, 0}, [2]float64{100, 0}, [2]float64{100, 0})
	f := func(name string, runs []Run, want error, says string) {
		t.Helper()
		var text strings.Builder
		err := Report(&text, nil, Ratios(runs), 0.05)
		if !errors.Is(err, want) || (err != nil) != (want != nil) {
			t.Errorf("%s: %v, want %v\n%s", name, err, want, &text)
		}
		if !strings.Contains(text.String()+fmt.Sprint(err), says) {
			t.Errorf("%s does not say %q:\n%s", name, says, &text)
		}
	}
	f("steady", steady, nil, "no regression over 5 %")
	f("slower", slower, ErrRegressed, "REGRESSED")
	f("noisy", noisy, nil, "90 % interval")
	f("broken", append(steady[:len(steady):len(steady)], broken...), ErrNothing, "the broker died")
	f("empty", []Run{}, ErrNothing, "end to end")
	if err := Report(&strings.Builder{}, []Delta{}, Ratios(steady), 0.05); !errors.Is(err, ErrNothing) {
		t.Errorf("no micro-benchmark ran: %v", err)
	}
	for _, r := range Ratios(slower) {
		if r.Metric == "broker CPU" && !r.Regressed(0.05) {
			t.Errorf("a quarter more CPU per GB is a regression: %+v", r)
		}
	}
}

// repository makes a git repository with two commits of a module with one benchmark.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.org"}, args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const text = "package %s\n\nimport \"testing\"\n\n" +
		"func BenchmarkObjects(b *testing.B) {\n\tfor b.Loop() {\n\t\tsink = make([]byte, %d)\n\t}\n}\n\nvar sink []byte\n"
	git("init", "-q")
	write("go.mod", "module example.org/m\n\ngo 1.24\n")
	write("a/a_test.go", fmt.Sprintf(text, "a", 16))
	write("gone/a_test.go", fmt.Sprintf(text, "gone", 16))
	git("add", "-A")
	git("commit", "-q", "-m", "one")
	write("a/a_test.go", fmt.Sprintf(text, "a", 64))
	git("rm", "-q", "gone/a_test.go")
	git("commit", "-q", "-a", "-m", "two")
	return dir
}

// TestMicro runs both sides of a small repository, and leaves nothing of the worktree behind.
func TestMicro(t *testing.T) {
	t.Parallel()
	dir, out, temp := repository(t), t.TempDir(), t.TempDir()
	ctx := context.Background()
	young, err := WorkTree(ctx, filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := young.Checkout(ctx, "no-such-branch", temp); err == nil {
		t.Error("a revision that is not there was checked out")
	}
	if _, err := young.Checkout(ctx, "--help", temp); err == nil {
		t.Error("a flag is no revision")
	}
	old, err := young.Checkout(ctx, "HEAD~1", temp)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	m := Micro{
		Packages: []string{"./a", "./gone"}, Benchtime: "10x", Count: MicroCountMin,
		Binaries: t.TempDir(),
	}
	files, err := RunMicro(ctx, [2]*Tree{old, young}, m, out, &log)
	if err != nil {
		t.Fatal(err)
	}
	deltas, err := Deltas(files[Old], files[New])
	if err != nil {
		t.Fatal(err)
	}
	regressed := map[string]bool{}
	for _, d := range deltas {
		regressed[d.Unit] = d.Regressed(0.05)
	}
	if !regressed["B/op"] || regressed["allocs/op"] {
		t.Errorf("four times the bytes in as many objects: %+v", deltas)
	}
	if !strings.Contains(log.String(), "./gone: not on both sides") {
		t.Error(log.String())
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := old.Remove(cancelled); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if list, err := output(ctx, dir, "git", "worktree", "list"); err != nil || strings.Contains(list, "\n") {
		t.Errorf("worktrees: %s (%v)", list, err)
	}
}
