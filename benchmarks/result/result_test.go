package result

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestHistogramSurvivesJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := NewHistogram()
		for range rapid.IntRange(0, 50).Draw(t, "values") {
			h.RecordN(rapid.Int64Range(-5, 2*highest).Draw(t, "ns"), rapid.Int64Range(1, 9).Draw(t, "n"))
		}
		text, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		var back Histogram
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if back.Summary() != h.Summary() || back.over != h.over {
			t.Fatalf("%+v over %d became %+v over %d", h.Summary(), h.over, back.Summary(), back.over)
		}
	})
}

func TestHistogramKnowsValuesToThreeDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.Int64Range(1, highest).Draw(t, "ns")
		h := NewHistogram()
		h.Record(ns)
		for _, p := range []float64{0.1, 50, 99.9, 100} {
			if got := h.Percentile(p); math.Abs(float64(got-ns)) > float64(ns)/1000+1 {
				t.Fatalf("p%v of %d is %d", p, ns, got)
			}
		}
	})
}

// A percentile so deep that fewer than ten samples lie beyond it says nothing.
func TestDeepPercentileNeedsSamples(t *testing.T) {
	h := NewHistogram()
	h.RecordN(7, deepSamples-1)
	if got := h.Summary().P9999; got != 0 {
		t.Errorf("p99.99 of %d samples is told: %d", h.Count(), got)
	}
	h.Record(7)
	if got := h.Summary().P9999; got != 7 {
		t.Errorf("p99.99 of %d samples of 7 is %d", h.Count(), got)
	}
}

func TestHistogramMergesAndResets(t *testing.T) {
	a, b := NewHistogram(), NewHistogram()
	a.RecordN(10, 3)
	b.RecordN(1000, 1)
	b.Record(highest + 1)
	a.Merge(b)
	if a.Count() != 5 || a.Percentile(50) != 10 || a.over != 1 || a.Max() < highest {
		t.Errorf("merged: %+v, over %d", a.Summary(), a.over)
	}
	a.Reset()
	if a.Count() != 0 || a.over != 0 {
		t.Errorf("reset: %+v, over %d", a.Summary(), a.over)
	}
}

func TestHistogramDoesNotAllocate(t *testing.T) {
	h := NewHistogram()
	if got := testing.AllocsPerRun(1000, func() { h.RecordN(12345, 64) }); got != 0 {
		t.Errorf("%v allocations a record", got)
	}
}

func TestHistogramRefusesDamage(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"hdr_v2":""}`, `{"hdr_v2":"HISTFAAA"}`, `{"hdr_v2":"not base64!"}`, `{"hdr_v2":7}`,
		// A length that nothing follows.
		`{"hdr_v2":"HISTFP////8="}`,
	} {
		var h Histogram
		if err := json.Unmarshal([]byte(text), &h); err == nil {
			t.Errorf("%s was read", text)
		}
	}
}

// The file is what HdrHistogram's plotter reads: a header, steps of value in ms, percentile, count,
// 1/(1-percentile), and a footer.
func TestHGRM(t *testing.T) {
	h := NewHistogram()
	for i := range int64(1000) {
		h.Record((i + 1) * 1e6)
	}
	var out bytes.Buffer
	if err := h.WriteHGRM(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if !strings.Contains(lines[0], "Percentile") || !strings.HasPrefix(lines[len(lines)-1], "#[Buckets") {
		t.Errorf("first line %q, last %q", lines[0], lines[len(lines)-1])
	}
	if !strings.Contains(out.String(), "#[Max     =     1000") {
		t.Errorf("the maximum is not 1000 ms:\n%s", out.String())
	}
}

func TestDistributionEndsAtTheMaximum(t *testing.T) {
	h := NewHistogram()
	h.RecordN(5, 99)
	h.Record(500)
	steps := h.Distribution()
	last := steps[len(steps)-1]
	if last.Percentile != 100 || last.Value != 500 || last.Count != 100 {
		t.Errorf("last step %+v", last)
	}
	for i := 1; i < len(steps); i++ {
		if steps[i].Percentile < steps[i-1].Percentile || steps[i].Value < steps[i-1].Value {
			t.Errorf("steps fall: %+v, %+v", steps[i-1], steps[i])
		}
	}
}

func TestCountRates(t *testing.T) {
	c := Count{Records: 10, Bytes: 5e6, Requests: 4, Seconds: 2}
	if c.MBPerSecond() != 2.5 || c.RecordsPerSecond() != 5 || c.RequestsPerSecond() != 2 {
		t.Errorf("%+v: %v MB/s, %v records/s, %v requests/s", c, c.MBPerSecond(), c.RecordsPerSecond(),
			c.RequestsPerSecond())
	}
	if c.Seconds = 0; c.MBPerSecond() != 0 {
		t.Errorf("no time gives %v MB/s", c.MBPerSecond())
	}
}

func TestResultSurvivesJSON(t *testing.T) {
	h := NewHistogram()
	h.Record(1234)
	r := Result{
		Schema: SchemaVersion, Started: time.Unix(1, 0).UTC(), Seconds: 1.5, Loop: "open",
		Produced: Count{Records: 1, Bytes: 2, Requests: 3, Seconds: 1.5},
		Stages:   map[string]*Histogram{StageAck: h}, Errors: map[string]int64{"CORRUPT_MESSAGE": 1},
		Invalid: []string{"why"}, Plan: Plan{Case: "c", Pair: 2},
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Result
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil || !bytes.Equal(text, again) {
		t.Errorf("%s\nbecame\n%s\n%v", text, again, err)
	}
}

func FuzzHistogramJSON(f *testing.F) {
	h := NewHistogram()
	h.RecordN(99, 3)
	text, _ := json.Marshal(h)
	f.Add(text)
	f.Add([]byte(`{"hdr_v2":"HISTFAAAABh42pNpmSzMwMDAxQABzFCaEUoz2X+AsQBVgQQt"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var h Histogram
		if json.Unmarshal(text, &h) == nil {
			h.Summary()
		}
	})
}
