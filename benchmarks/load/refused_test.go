package load

import (
	"strings"
	"testing"
	"time"

	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
	"sluice/wire"
)

// Fetches that are refused are counted as errors and nowhere else: not as requests, and not among
// the times of those that succeeded.
func TestRefusedFetchesAreNotTimed(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 1)
	f.onFetch = func(n int, _ string, _ int64) (v verdict) {
		if n%2 == 0 {
			v.code = wire.CodeUnknownServerError
		}
		return v
	}
	out := mustRun(t, f, small(f, workload.Consume, func(s *workload.Spec) {
		s.InFlight, s.Warmup, s.Duration = 1, 0, workload.Duration(time.Second)
	}))
	f.mu.Lock()
	asked := int64(f.fetches)
	f.mu.Unlock()
	refused := out.Errors["UNKNOWN_SERVER_ERROR"]
	if refused == 0 || out.Consumed.Requests+refused > asked {
		t.Errorf("%d requests and %d errors of %d fetches", out.Consumed.Requests, refused, asked)
	}
	if n := out.Stages[result.StageFetch].Count(); n+refused > asked {
		t.Errorf("%d fetches were timed and %d refused, of %d", n, refused, asked)
	}
}

// A broker that refuses every fetch ends the run with an error that names the cause, long before
// its time.
func TestEveryFetchFails(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 2)
	f.onFetch = func(int, string, int64) verdict {
		return verdict{code: wire.CodeTopicAuthorizationFailed}
	}
	began := time.Now()
	out, err := carryOut(t, f, small(f, workload.Consume, func(s *workload.Spec) {
		s.Duration = workload.Duration(20 * time.Second)
	}))
	if err == nil || !strings.Contains(err.Error(), "TOPIC_AUTHORIZATION_FAILED") {
		t.Errorf("after %s: error %v", time.Since(began), err)
	}
	if out.Stages[result.StageFetch] != nil {
		t.Error("percentiles over failures")
	}
}
