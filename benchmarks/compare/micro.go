package compare

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"
)

// MicroCountMin is the fewest runs of each side from which the U test can find a difference at
// p < 0.05 whose figures do not overlap, with room for one that does.
const MicroCountMin = 6

// Micro says which micro-benchmarks are compared, and how.
type Micro struct {
	Packages  []string // folders below the tree, "./wire"
	Bench     string   // as go test -bench; empty is "."
	Benchtime string   // as go test -benchtime; empty is its default, 1s
	Count     int      // runs of each side, at least MicroCountMin
	Binaries  string   // folder for the test binaries
}

// Delta is one figure of one benchmark on both sides.
type Delta struct {
	Package, Name, Unit string
	Old, New            float64 // medians, in the unit
	// Worse is the relative change for the worse: 0.08 is 8 % slower, -0.5 half as slow.
	Worse float64
	// P is of the U test; the difference is significant below 0.05.
	P           float64
	Significant bool
}

// Regressed says that the figure got worse by more than the threshold, and by no accident.
func (d Delta) Regressed(threshold float64) bool { return d.Significant && d.Worse > threshold }

// RunMicro builds and runs the benchmarks of both sides alternately. It leaves old.txt and new.txt
// in out, in the format of package testing, and returns their paths. Packages that only one side
// has are named to log and left out.
func RunMicro(ctx context.Context, trees [2]*Tree, m Micro, out string, log io.Writer) ([2]string, error) {
	files := [2]string{filepath.Join(out, "old.txt"), filepath.Join(out, "new.txt")}
	var texts [2]*os.File
	for side := range texts {
		f, err := os.Create(files[side])
		if err != nil {
			return files, err
		}
		defer f.Close()
		texts[side] = f
	}
	for _, pkg := range m.Packages {
		binaries, err := buildTests(ctx, trees, pkg, m.Binaries)
		if err != nil {
			return files, err
		}
		if binaries[Old] == "" || binaries[New] == "" {
			fmt.Fprintf(log, "%s: not on both sides, left out\n", pkg)
			continue
		}
		fmt.Fprintf(log, "%s: %d runs of each side, alternately\n", pkg, m.Count)
		for _, turn := range Order(m.Count) {
			cmd := command(ctx, filepath.Join(trees[turn.Side].Dir, pkg), binaries[turn.Side], m.flags()...)
			cmd.Stdout = texts[turn.Side]
			if err := run(cmd); err != nil {
				return files, err
			}
		}
	}
	return files, nil
}

func (m Micro) flags() []string {
	return []string{
		"-test.run=^$", "-test.bench=" + cmp.Or(m.Bench, "."), "-test.benchmem",
		"-test.benchtime=" + cmp.Or(m.Benchtime, "1s"), "-test.count=1", "-test.timeout=1h",
	}
}

// buildTests compiles the test binaries of a package; "" for a side that has no such package, or no
// tests in it.
func buildTests(ctx context.Context, trees [2]*Tree, pkg, folder string) (binaries [2]string, err error) {
	for side, tree := range trees {
		if tests, _ := filepath.Glob(filepath.Join(tree.Dir, pkg, "*_test.go")); len(tests) == 0 {
			continue
		}
		name := strings.Trim(strings.ReplaceAll(filepath.ToSlash(filepath.Clean(pkg)), "/", "-"), ".-")
		path := filepath.Join(folder, fmt.Sprintf("%s-%s.test", name, Side(side)))
		if err := run(command(ctx, tree.Dir, "go", "test", "-c", "-o", path, pkg)); err != nil {
			return binaries, err
		}
		// A package whose test files are all excluded by build constraints gives no binary.
		if _, err := os.Stat(path); err == nil {
			binaries[side] = path
		}
	}
	return binaries, nil
}

// figure names one column of results.
type figure struct{ pkg, name, unit string }

// Deltas compares two files in the format of package testing, in the order of their benchmarks.
// Figures whose better direction is not known, and benchmarks of one side only, are left out.
func Deltas(oldFile, newFile string) ([]Delta, error) {
	old, _, err := samples(oldFile)
	if err != nil {
		return nil, err
	}
	young, order, err := samples(newFile)
	if err != nil {
		return nil, err
	}
	deltas := []Delta{}
	for _, f := range order {
		if len(old[f]) == 0 || better(f.unit) == 0 {
			continue
		}
		deltas = append(deltas, delta(f, old[f], young[f]))
	}
	return deltas, nil
}

// samples reads a file; order has each figure once, as they come.
func samples(path string) (values map[figure][]float64, order []figure, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	values = map[figure][]float64{}
	r := benchfmt.NewReader(bytes.NewReader(text), path)
	for r.Scan() {
		record, ok := r.Result().(*benchfmt.Result)
		if !ok {
			continue // unit metadata, or lines that are no results
		}
		for _, v := range record.Values {
			f := figure{record.GetConfig("pkg"), record.Name.String(), v.Unit}
			if values[f] == nil {
				order = append(order, f)
			}
			values[f] = append(values[f], v.Value)
		}
	}
	return values, order, r.Err()
}

// better is +1 for units of which more is better, -1 where less is, 0 where nobody knows.
func better(unit string) int {
	switch {
	case slices.Contains([]string{"sec/op", "B/op", "allocs/op"}, unit):
		return -1
	case unit == "B/s":
		return 1
	}
	return 0
}

func delta(f figure, old, young []float64) Delta {
	a := benchmath.NewSample(slices.Clone(old), &benchmath.DefaultThresholds)
	b := benchmath.NewSample(slices.Clone(young), &benchmath.DefaultThresholds)
	c := benchmath.AssumeNothing.Compare(a, b)
	d := Delta{
		Package: f.pkg, Name: f.name, Unit: f.unit, P: c.P, Significant: c.P < c.Alpha,
		Old: benchmath.AssumeNothing.Summary(a, 0.95).Center,
		New: benchmath.AssumeNothing.Summary(b, 0.95).Center,
	}
	from, to := d.Old, d.New
	if better(f.unit) > 0 {
		from, to = to, from // twice as many a second is half the time
	}
	switch {
	case from == to:
	case from == 0:
		d.Worse = math.Inf(1)
	default:
		d.Worse = to/from - 1
	}
	return d
}

// Benchstat is what benchstat prints about two files; tree is where its module is known.
func Benchstat(ctx context.Context, tree *Tree, oldFile, newFile string) (string, error) {
	return output(ctx, tree.Dir, "go", "tool", "benchstat", "old="+oldFile, "new="+newFile)
}
