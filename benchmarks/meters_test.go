package benchmarks

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// TestBrokerStages: the broker's page is read when measured time begins and when it ends, and the
// difference is set beside the client's time.
func TestBrokerStages(t *testing.T) {
	t.Parallel()
	var scrapes atomic.Int64
	second := make(chan struct{})
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		// The first is the check that the address is right.
		n := scrapes.Add(1)
		if n == 2 {
			defer close(second)
		}
		for _, stage := range []string{"queue", "local", "send", "total"} {
			const family = "sluice_request_stage_seconds"
			fmt.Fprintf(w, "%s_bucket{request=\"Produce\",stage=%q,le=\"+Inf\"} %d\n", family, stage, 100*n)
			fmt.Fprintf(w, "%s_sum{request=\"Produce\",stage=%q} %g\n", family, stage, 0.03*float64(n))
			fmt.Fprintf(w, "%s_count{request=\"Produce\",stage=%q} %d\n", family, stage, 100*n)
		}
	}))
	defer page.Close()
	o := raw(func(_ context.Context, _ drive.Target, s workload.Spec, h drive.Hooks) (drive.Outcome, error) {
		h.Begin()
		<-second
		h.End()
		out := well(s)
		out.Stages[result.StageWire] = histogram(100, 920_000)
		return out, nil
	})
	o.Admin = page.Listener.Addr().String()
	res, err := Run(t.Context(), o)
	if err != nil || res.Error != "" {
		t.Fatalf("%v %+v", err, res)
	}
	sum := res.BrokerStages
	if scrapes.Load() != 3 || sum == nil || !sum.Within5Percent["Produce"] || len(sum.MeanMicros["Produce"]) != 3 {
		t.Errorf("%d scrapes, %+v, missing %v", scrapes.Load(), sum, res.Usage.Missing)
	}
	// An address where no page is was asked for by name, so its absence is an error.
	o.Admin = "127.0.0.1:1"
	if res, _ := Run(t.Context(), o); res.Error == "" {
		t.Error("a page that is not there was passed over")
	}
}

// TestDataDirOf: a broker's log dir is known by the segments it has open, the run's own before others.
func TestDataDirOf(t *testing.T) {
	t.Parallel()
	open := func(dir, partition string) {
		path := filepath.Join(dir, partition, "00000000000000000000.log")
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
	}
	one, two := t.TempDir(), t.TempDir()
	open(one, "other-topic-0")
	if got := dataDirOf(os.Getpid(), "of-a-test"); got != one {
		t.Errorf("got %q, want %q", got, one)
	}
	open(two, "of-a-test-12")
	if got := dataDirOf(os.Getpid(), "of-a-test"); got != two {
		t.Errorf("got %q, want %q", got, two)
	}
	if got := dataDirOf(1<<22+1, "t"); got != "" {
		t.Errorf("got %q of no process", got)
	}
}
