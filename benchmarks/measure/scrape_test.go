package measure

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

const pageBefore = `# HELP sluice_request_stage_seconds Time of requests by stage.
# TYPE sluice_request_stage_seconds histogram
sluice_request_stage_seconds_bucket{request="Produce",stage="local",le="0.001"} 90
sluice_request_stage_seconds_bucket{request="Produce",stage="local",le="+Inf"} 100
sluice_request_stage_seconds_bucket{request="Produce",stage="local",le="0.0001"} 50
sluice_request_stage_seconds_sum{request="Produce",stage="local"} 0.5
sluice_request_stage_seconds_count{request="Produce",stage="local"} 100
sluice_request_stage_seconds_sum{request="Fetch",stage="total"} 2
sluice_request_stage_seconds_count{request="Fetch",stage="total"} 7
go_goroutines 12
go_gc_cpu_seconds_total 1.5
go_gc_duration_seconds{quantile="0"} 0.1
go_gc_duration_seconds_count 3
some_other{le="NaN` + "\n"

const pageAfter = `sluice_request_stage_seconds_bucket{request="Produce",stage="local",le="0.0001"} 60
sluice_request_stage_seconds_bucket{request="Produce",stage="local",le="0.001"} 290 1700000000000
sluice_request_stage_seconds_sum{stage="local",request="Produce"} 0.9
sluice_request_stage_seconds_count{stage="local", request="Produce",} 300
sluice_request_stage_seconds_sum{request="Fetch",stage="total"} 2
sluice_request_stage_seconds_count{request="Fetch",stage="total"} 7
sluice_request_stage_seconds_sum{request="A\"p\\i\nx",stage="send"} 1e-3
sluice_request_stage_seconds_count{request="A\"p\\i\nx",stage="send"} 10
go_goroutines 15
go_gc_cpu_seconds_total 1.75
go_gc_duration_seconds_count 5
go_gc_heap_allocs_bytes_total 1e9
`

func mustParse(t testing.TB, page string) *Scrape {
	t.Helper()
	s, err := ParseScrape(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBetween(t *testing.T) {
	stages, runtime, err := Between(mustParse(t, pageBefore), mustParse(t, pageAfter))
	if err != nil {
		t.Fatal(err)
	}
	for i := range stages {
		stages[i].SumSeconds = math.Round(stages[i].SumSeconds*1e9) / 1e9
		stages[i].MeanMicros = math.Round(stages[i].MeanMicros*1e3) / 1e3
	}
	wantStages := []Stage{
		{Request: "A\"p\\i\nx", Stage: "send", Count: 10, SumSeconds: 0.001, MeanMicros: 100},
		{
			Request: "Produce", Stage: "local", Count: 200, SumSeconds: 0.4, MeanMicros: 2000,
			Buckets: []Bucket{{0.0001, 10}, {0.001, 200}},
		},
	}
	if !reflect.DeepEqual(stages, wantStages) {
		t.Errorf("stages: %+v\nwant %+v", stages, wantStages)
	}
	want := &Runtime{GCCPUSeconds: 0.25, GCCycles: 2, HeapAllocBytes: 1e9, Goroutines: 15}
	if !reflect.DeepEqual(runtime, want) {
		t.Errorf("runtime: %+v, want %+v", runtime, want)
	}
	if s, ok := StageOf(stages, "Produce", "local"); !ok || s.Count != 200 {
		t.Errorf("StageOf: %+v, %v", s, ok)
	}
	if s, ok := StageOf(stages, "Fetch", "total"); ok {
		t.Errorf("StageOf found %+v, in which nothing happened", s)
	}
}

// TestBetweenRestart: a broker that began anew must not turn into negative or tiny differences.
func TestBetweenRestart(t *testing.T) {
	later := mustParse(t, pageAfter)
	for _, early := range []string{
		`sluice_request_stage_seconds_count{request="Produce",stage="local"} 301`,
		`sluice_request_stage_seconds_sum{request="Produce",stage="local"} 0.91`,
		`sluice_request_stage_seconds_bucket{request="Produce",stage="local",le="0.001"} 291`,
		`sluice_request_stage_seconds_count{request="Gone",stage="local"} 0`,
	} {
		if _, _, err := Between(mustParse(t, early), later); !errors.Is(err, ErrRestarted) {
			t.Errorf("%s before: %v, want ErrRestarted", early, err)
		}
	}
}

func TestParseScrapeRefuses(t *testing.T) {
	for _, page := range []string{
		`go_goroutines`, `go_goroutines `, `go_goroutines x`, `go_goroutines -1`, `go_goroutines NaN`,
		`go_goroutines +Inf`, `go_goroutines 1e300`, `go_goroutines 1 2 3`, `go_goroutines{`, `go_goroutines{a="b`, `go_goroutines{a="b"`,
		`sluice_request_stage_seconds_bucket{le="x"} 1`, `sluice_request_stage_seconds_bucket 1`,
		"go_goroutines 1\n" + strings.Repeat("x", lineBytesMax+1),
		strings.Repeat("sluice_request_stage_seconds_bucket{le=\"1\"} 1\n", bucketsKeptMax+1),
	} {
		if _, err := ParseScrape(strings.NewReader(page)); err == nil {
			t.Errorf("%.60q was read without an error", page)
		}
	}
	var many strings.Builder
	for i := range stagesKeptMax + 1 {
		fmt.Fprintf(&many, "sluice_request_stage_seconds_sum{request=\"%d\"} 1\n", i)
	}
	if _, err := ParseScrape(strings.NewReader(many.String())); err == nil {
		t.Error("more series than the bound were kept")
	}
}

func TestPageOfAnotherBroker(t *testing.T) {
	other := mustParse(t, "kafka_server_uptime 5\n")
	if stages, runtime, err := Between(other, other); stages != nil || runtime != nil || err != nil {
		t.Errorf("%v, %v, %v", stages, runtime, err)
	}
}

func TestScrapeURL(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/metrics":
			_, _ = w.Write([]byte(pageAfter))
		case "/bad":
			_, _ = w.Write([]byte("go_goroutines x\n"))
		default:
			http.NotFound(w, r)
		}
	}))
	addr := strings.TrimPrefix(server.URL, "http://")
	for _, url := range []string{addr, server.URL + "/metrics"} {
		if s, err := ScrapeURL(t.Context(), url); err != nil || len(s.stages) != 3 {
			t.Errorf("%s: %+v, %v", url, s, err)
		}
	}
	for _, path := range []string{"/none", "/bad"} {
		if _, err := ScrapeURL(t.Context(), server.URL+path); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ScrapeURL(ended, addr); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}
	server.Close()
	if _, err := ScrapeURL(t.Context(), addr); err == nil {
		t.Error("a closed server was scraped")
	}
}

// FuzzParseScrape: no page makes the reader panic, and what it takes never counts backwards
// against itself.
func FuzzParseScrape(f *testing.F) {
	f.Add(pageBefore)
	f.Add(pageAfter)
	f.Add(`go_goroutines{a="\` + "\n")
	f.Add(`sluice_request_stage_seconds_count 9e15`)
	f.Fuzz(func(t *testing.T, page string) {
		s, err := ParseScrape(strings.NewReader(page))
		if err != nil {
			return
		}
		stages, _, err := Between(s, s)
		if err != nil && !errors.Is(err, ErrRestarted) || len(stages) != 0 {
			t.Errorf("between a page and itself: %v, %v", stages, err)
		}
	})
}
