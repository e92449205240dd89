//go:build interop

package differ

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// dump collects Kafka's transcript when SLUICE_INTEROP_DUMP names a file.
var dump struct {
	sync.Mutex
	w *bufio.Writer
}

func TestMain(m *testing.M) {
	if name := os.Getenv("SLUICE_INTEROP_DUMP"); name != "" {
		f, err := os.Create(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		dump.w = bufio.NewWriter(f)
	}
	code := m.Run()
	if dump.w != nil {
		dump.w.Flush()
	}
	reportExceptions()
	os.Exit(code)
}

// compare runs a scenario against both brokers at once and compares the transcripts.
func compare(t *testing.T, scenario func(*side)) {
	t.Helper()
	kafka := play(t, "kafka", "SLUICE_INTEROP_KAFKA", scenario)
	sluice := play(t, "sluice", "SLUICE_INTEROP_SLUICE", scenario)
	want, got := <-kafka, <-sluice
	if want == nil || got == nil {
		t.Fatal("a scenario did not run to its end")
	}
	dumpSteps(t.Name(), want)
	diffSteps(t, want, got)
}

// play runs the scenario on one broker and delivers its steps, or nil when it could not.
func play(t *testing.T, name, env string, scenario func(*side)) <-chan []step {
	t.Helper()
	addr := os.Getenv(env)
	if addr == "" {
		t.Skipf("%s names no broker; interop/run.sh differ starts both", env)
	}
	out := make(chan []step, 1)
	go func() {
		defer close(out)
		s, err := newSide(name, addr)
		if err != nil {
			t.Error(err)
			return
		}
		defer s.close()
		defer func() {
			if r := recover(); r != nil {
				t.Errorf("%s: the scenario could not go on after %q: %v", name, s.last(), r)
				out <- s.steps
			}
		}()
		scenario(s)
		out <- s.steps
	}()
	return out
}

func (s *side) last() string {
	if len(s.steps) == 0 {
		return "the start"
	}
	return s.steps[len(s.steps)-1].label
}

// diffSteps reports every field of every step that differs and is not excepted.
func diffSteps(t *testing.T, want, got []step) {
	t.Helper()
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(want):
			t.Errorf("only sluice has step %q", got[i].label)
		case i >= len(got):
			t.Errorf("sluice never came to step %q", want[i].label)
		case want[i].label != got[i].label:
			t.Errorf("step %d is %q for kafka and %q for sluice", i, want[i].label, got[i].label)
			return
		default:
			diffLines(t, want[i], got[i])
		}
	}
}

func diffLines(t *testing.T, want, got step) {
	t.Helper()
	kafka, order := fields(want.lines)
	sluice, more := fields(got.lines)
	var added []string
	for _, path := range more {
		if _, ok := kafka[path]; !ok {
			added = append(added, path)
		}
	}
	// What only one has comes first: it says how the exchange ended where the other was answered.
	order = append(added, order...)
	var out []string
	for _, path := range order {
		a, inA := kafka[path]
		b, inB := sluice[path]
		a, b = orAbsent(a, inA), orAbsent(b, inB)
		if a == b || excepted(t.Name(), want.label, path, a, b) {
			continue
		}
		out = append(out, fmt.Sprintf("    %s\n\tkafka:  %s\n\tsluice: %s", path, a, b))
	}
	if len(out) > 12 {
		out = append(out[:12], fmt.Sprintf("    … and %d more fields", len(out)-12))
	}
	if len(out) > 0 {
		t.Errorf("%s\n%s", want.label, strings.Join(out, "\n"))
	}
}

// fields maps paths to values; a repeated path gets a number.
func fields(lines []string) (map[string]string, []string) {
	out, order := map[string]string{}, []string{}
	for _, line := range lines {
		path, value, _ := strings.Cut(line, " = ")
		for n, p := 2, path; ; n++ {
			if _, ok := out[path]; !ok {
				break
			}
			path = fmt.Sprintf("%s#%d", p, n)
		}
		out[path] = value
		order = append(order, path)
	}
	return out, order
}

func orAbsent(s string, ok bool) string {
	if !ok {
		return "(absent)"
	}
	return s
}

func dumpSteps(test string, steps []step) {
	if dump.w == nil {
		return
	}
	dump.Lock()
	defer dump.Unlock()
	fmt.Fprintf(dump.w, "==== %s\n", test)
	for _, s := range steps {
		fmt.Fprintf(dump.w, "-- %s\n", s.label)
		for _, line := range s.raw {
			fmt.Fprintf(dump.w, "   %s\n", line)
		}
	}
}
