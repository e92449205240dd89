package show

import (
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/measure"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// fixed is a result without a clock in it.
func fixed(s workload.Spec) *result.Result {
	h := func(n int64, ns ...int64) *result.Histogram {
		x := result.NewHistogram()
		for _, v := range ns {
			x.RecordN(v, n)
		}
		return x
	}
	r := &result.Result{
		Spec: s.Normalize(), Started: time.Unix(1_700_000_000, 0), Seconds: 30, Loop: "closed",
		Target:   result.Target{Name: "sluice", Version: "v1", Addr: "127.0.0.1:9092", Variant: "heap 1 GiB"},
		Label:    "burst",
		Produced: result.Count{Records: 3_000_000, Bytes: 3_101_904_762, Requests: 47_620, Seconds: 30},
		Stages: map[string]*result.Histogram{
			"ack": h(30_000, 800_000, 1_200_000, 9_500_000, 20_000_000), "zeta": h(1, 12),
			"wire": h(100, 700, 1_500_000_000),
		},
		AllocsPerRequest: 0.25,
	}
	r.Usage = &measure.Usage{
		Seconds: 30,
		Broker: &measure.Process{
			CPUNanos: 9e9, ThreadsPeak: 14,
			MemoryPeak: measure.Memory{RSSBytes: 60e6, AnonBytes: 40e6, FileBytes: 20e6},
		},
		Generator: &measure.Process{CPUNanos: 12e9, ThreadsPeak: 9},
		Host: &measure.Host{
			CPUs: 2, BusyNanos: 25e9, BusyShare: 0.416, StealShare: 0.001, DirtyBytesPeak: 1_500e6,
			WritebackBytesPeak: 12e6,
		},
		Device: &measure.Device{
			Name: "vda", FileSystem: "ext4", WrittenBytes: 2_000_000_123, ReadBytes: 999, Flushes: 12,
		},
		Missing: []measure.Missing{{What: "broker.io", Why: "permission denied"}},
	}
	return r
}

// cases are results that look different.
var cases = map[string]func() *result.Result{
	"produce": func() *result.Result {
		r := fixed(workload.Spec{Name: "1-topic-1-partition-1kb", Partitions: 1, Compression: "zstd", Keys: 5})
		r.Burst = &result.Count{Records: 600_000, Bytes: 620e6, Requests: 9000, Seconds: 5}
		r.BrokerStages = &result.StageSum{
			MeanMicros:     map[string]map[string]float64{"Produce": {"queue": 20, "local": 600, "send": 61.5}},
			ClientMicros:   map[string]float64{"Produce": 700},
			Explained:      map[string]float64{"Produce": 0.9736},
			Within5Percent: map[string]bool{"Produce": true},
		}
		r.Notes = []string{"the client was the limit: its 1 threads were 98 % busy"}
		return r
	},
	"invalid": func() *result.Result {
		r := fixed(workload.Spec{Mode: workload.E2E, Rate: 100_000, Acks: -1})
		r.Loop, r.Label, r.AskedRate, r.AchievedRate = "open", "", 100_000, 91_234
		r.Invalid = []string{"achieved 91234 records/s of 100000 asked: 91.2 %, under 99 %"}
		r.Errors = map[string]int64{"NOT_LEADER_OR_FOLLOWER": 1234, "CONNECTION_LOST": 1}
		r.Usage = nil
		return r
	},
	"failed": func() *result.Result {
		r := fixed(workload.Spec{})
		r.Error = "the broker (process 77) ended during the run"
		r.Errors = map[string]int64{"CONNECTION_LOST": 16}
		return r
	},
	"unreachable": func() *result.Result {
		r := fixed(workload.Spec{})
		r.Seconds, r.Produced, r.Usage, r.Label = 0, result.Count{}, nil, ""
		r.Error = "cannot reach a broker at 127.0.0.1:1: connection refused"
		return r
	},
	"search": func() *result.Result {
		r := fixed(workload.Spec{Search: &workload.Search{P99: workload.Duration(5 * time.Millisecond)}})
		r.Loop, r.Usage = "search", nil
		r.Steps = []result.SearchStep{
			{Rate: 1000, Achieved: 999.6, P99: 1_200_000, Held: true},
			{Rate: 2000, Achieved: 1990, P99: 8_000_000},
			{Rate: 1500, Achieved: 1100, P99: 900_000, Invalid: "achieved too little"},
			{Rate: 1000, Achieved: 1000, P99: 1_100_000, Held: true, Confirms: true},
		}
		r.Figures = map[string]float64{"search_records_per_second": 1000}
		return r
	},
	"connections": func() *result.Result {
		r := fixed(workload.Spec{Mode: workload.Connections, Connections: 20_000})
		r.Loop, r.Label, r.Produced = "open", "", result.Count{}
		r.Figures = map[string]float64{
			"connections": 20_000, "open_per_second": 31_234.5, "rss_per_connection_bytes": 1234.4,
			"open_seconds": 0.64,
		}
		return r
	},
}

// TestReport: a fixed result in, text out.
func TestReport(t *testing.T) {
	datadriven.RunTest(t, "testdata/report", func(t *testing.T, d *datadriven.TestData) string {
		make := cases[d.Cmd]
		if make == nil {
			t.Fatalf("no case %q", d.Cmd)
		}
		var b strings.Builder
		if err := Report(&b, make()); err != nil {
			t.Fatal(err)
		}
		return b.String()
	})
}

// TestNoPercentilesOfFailures: whatever else a failed run holds, no percentile of it is printed.
func TestNoPercentilesOfFailures(t *testing.T) {
	for name, make := range cases {
		r := make()
		r.Error = "it failed"
		var b strings.Builder
		if err := Report(&b, r); err != nil {
			t.Fatal(err)
		}
		if text := b.String(); strings.Contains(text, "p50") || strings.Contains(text, "MB/s") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

func TestUnits(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(nanos(0), "0ns")
	f(nanos(999), "999ns")
	f(nanos(1000), "1.00µs")
	f(nanos(99_960), "100µs")
	f(nanos(999_400), "999µs")
	f(nanos(999_600), "1.00ms")
	f(nanos(12_345_678), "12.3ms")
	f(nanos(600e9), "600s")
	f(count(0), "0")
	f(count(999.6), "1,000")
	f(count(-1_234_567), "-1,234,567")
	f(bytes(999), "999 B")
	f(bytes(65_536), "65.5 kB")
	f(bytes(999.6e6), "1.00 GB")
	f(bytes(2.5e12), "2.50 TB")
}

// TestLive: a terminal's line is rewritten and removed; elsewhere five seconds become one line.
func TestLive(t *testing.T) {
	tick := drive.Tick{
		Elapsed: 3 * time.Second, Backlog: 12,
		Point: result.Point{ProducedRecords: 5000, ProducedBytes: 5_200_000, P99: 1_500_000},
	}
	spec := workload.Spec{}.Normalize()
	var b strings.Builder
	l := NewLive(&b, spec, true)
	l.Tick(tick)
	l.Step(result.SearchStep{Rate: 1000, P99: 5, Held: true})
	l.Tick(tick)
	l.Close()
	l.Close()
	line := "\rrun        3s  in 5.20 MB/s 5,000 rec/s  p99 1.50ms  waiting 12\x1b[K"
	want := line + "\r\x1b[K1,000 records/s: p99 5ns, held\n" + line + "\r\x1b[K"
	if b.String() != want {
		t.Errorf("got  %q\nwant %q", b.String(), want)
	}
	b.Reset()
	l = NewLive(&b, spec, false)
	for i := range 11 {
		tick.Point.Errors = int64(i % 2)
		l.Tick(tick)
	}
	l.Close()
	want = "run        3s  in 5.20 MB/s 5,000 rec/s  p99 1.50ms  waiting 12  errors 2\n" +
		"run        3s  in 5.20 MB/s 5,000 rec/s  p99 1.50ms  waiting 12  errors 3\n"
	if b.String() != want {
		t.Errorf("got  %q\nwant %q", b.String(), want)
	}
}
