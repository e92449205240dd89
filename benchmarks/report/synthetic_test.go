package report

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sluice/benchmarks/limits"
	"sluice/benchmarks/measure"
	"sluice/benchmarks/result"
	"sluice/benchmarks/stats"
	"sluice/benchmarks/workload"
	"sluice/tuning"
)

var keep = flag.String("keep", "", "write the synthetic report into this folder, to be looked at")

// synthetic makes runs that look like real ones. Nothing in it was measured.
type synthetic struct {
	t    testing.TB
	dir  string
	rng  *rand.Rand
	next int
	at   time.Time
}

func newSynthetic(t testing.TB, dir string) *synthetic {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "raw"), 0o755); err != nil {
		t.Fatal(err)
	}
	return &synthetic{
		t: t, dir: dir, rng: rand.New(rand.NewPCG(7, 11)),
		at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

// mould is what a target's runs of one case scatter around.
type mould struct {
	target, variant, label string
	caseName               string
	spec                   workload.Spec
	mbps                   float64
	medianMicros           float64
	stages                 []string
	brokerCPU              float64 // seconds per GB
	anon                   int64
	change                 func(r *result.Result)
}

func (s *synthetic) histogram(samples int, medianMicros float64) *result.Histogram {
	h := result.NewHistogram()
	for range samples {
		v := medianMicros * 1e3 * math.Exp(0.35*s.rng.NormFloat64())
		if s.rng.IntN(200) == 0 {
			v *= 4 + 20*s.rng.Float64()
		}
		h.Record(int64(v))
	}
	return h
}

// turn makes one run.
func (s *synthetic) turn(m mould, pair, turn int) *result.Result {
	seconds := m.spec.Duration.D().Seconds()
	mbps := m.mbps * math.Exp(0.02*s.rng.NormFloat64())
	bytes := int64(mbps * 1e6 * seconds)
	count := result.Count{Bytes: bytes, Records: bytes / 1100, Requests: bytes / (64 << 10), Seconds: seconds}
	r := &result.Result{
		Schema: result.SchemaVersion,
		Target: result.Target{
			Name: m.target, Variant: m.variant, Version: "1.0-test", Addr: "127.0.0.1:9092",
			Command: []string{m.target + "-server", "--config", "conf/" + m.target + ".properties"},
		},
		Spec: m.spec, Command: []string{"sluice", "bench", string(m.spec.Mode), "--topic-config", "a b=c"},
		Plan:    result.Plan{Suite: "test", Case: m.caseName, Pair: pair, Turn: turn},
		Started: s.at, Seconds: seconds, Loop: "closed", Label: m.label,
		Stages: map[string]*result.Histogram{}, Usage: s.usage(m, seconds, count),
	}
	s.at = s.at.Add(time.Minute)
	if m.spec.Mode == workload.Consume {
		r.Consumed = count
	} else {
		r.Produced = count
	}
	if m.spec.Mode == workload.E2E {
		r.Consumed = count
	}
	if m.spec.Rate > 0 {
		r.Loop, r.AskedRate, r.AchievedRate = "open", m.spec.Rate, m.spec.Rate*0.9995
	}
	for _, stage := range m.stages {
		samples := 2_000
		if *keep != "" {
			samples = 50_000
		}
		median := m.medianMicros
		if stage == result.StageLag {
			median /= 200 // A generator that keeps its schedule.
		}
		r.Stages[stage] = s.histogram(samples, median)
	}
	s.series(r, m.spec.Mode == workload.Consume, mbps)
	if m.change != nil {
		m.change(r)
	}
	return r
}

func (s *synthetic) series(r *result.Result, consumed bool, mbps float64) {
	for k := range int(r.Seconds) {
		p := result.Point{Second: float64(k + 1)}
		bytes := int64(mbps * 1e6 * (1 + 0.05*s.rng.NormFloat64()))
		if consumed {
			p.ConsumedBytes = bytes
		} else {
			p.ProducedBytes = bytes
		}
		r.Series = append(r.Series, p)
	}
}

func (s *synthetic) usage(m mould, seconds float64, count result.Count) *measure.Usage {
	gb := float64(count.Bytes) / 1e9
	return &measure.Usage{
		Seconds: seconds,
		Broker: &measure.Process{
			CPUNanos:   int64(m.brokerCPU * gb * 1e9 * math.Exp(0.02*s.rng.NormFloat64())),
			MemoryPeak: measure.Memory{RSSBytes: m.anon * 2, AnonBytes: m.anon, FileBytes: m.anon},
		},
		Generator: &measure.Process{CPUNanos: int64(seconds * 0.7e9)},
		Host: &measure.Host{
			CPUs: 2, BusyNanos: int64(m.brokerCPU*gb*1e9 + seconds*0.8e9), StealShare: 0.004,
			DirtyWritebackBytesPeak: 700 << 20,
		},
		Device: &measure.Device{Name: "vda", WrittenBytes: count.Bytes / 10 * 9},
	}
}

// write puts a run into raw, every third one packed.
func (s *synthetic) write(r *result.Result) string {
	s.t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		s.t.Fatal(err)
	}
	name := fmt.Sprintf("%03d-%s-%s.json", s.next, fileName(r.Plan.Case), r.Target.Name)
	s.next++
	if s.next%3 == 0 {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(text); err != nil {
			s.t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			s.t.Fatal(err)
		}
		name, text = name+".gz", packed.Bytes()
	}
	s.file(filepath.Join("raw", name), text)
	return name
}

func (s *synthetic) file(name string, text []byte) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), text, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *synthetic) json(name string, v any) {
	s.t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		s.t.Fatal(err)
	}
	s.file(name, text)
}

// pairs writes so many rounds of A B B A (of all moulds, forth and back).
func (s *synthetic) pairs(n int, moulds ...mould) {
	for pair := range n {
		turn := 0
		for _, m := range moulds {
			s.write(s.turn(m, pair, turn))
			turn++
		}
		for i := len(moulds) - 1; i >= 0; i-- {
			s.write(s.turn(moulds[i], pair, turn))
			turn++
		}
	}
}

func produceSpec(seconds int) workload.Spec {
	return workload.Spec{
		Mode: workload.Produce, Topic: "bench", Topics: 1, Partitions: 16, RecordSize: "1024",
		BatchBytes: 64 << 10, Compression: "none", Acks: 1, Producers: 1, Connections: 8, InFlight: 5,
		Duration: workload.Duration(time.Duration(seconds) * time.Second), Client: workload.Reading,
		Placement: workload.Shared,
	}
}

func (s *synthetic) rest(goals []Goal) {
	s.json("goals.json", goals)
	s.json("limits.json", []limits.Measure{
		{Name: limits.PageCacheSustained, Unit: "GB/s", Value: 3.5},
		{Name: limits.SyncName(1, 1), Unit: "appends/s", Value: 14_000, P50Us: 52, P99Us: 208, MaxUs: 3000, Calls: 9000},
	})
	s.json("facts.json", tuning.Facts{Groups: []tuning.Group{
		{Title: "Machine", Facts: []tuning.Fact{
			{Key: "os", Label: "Operating system", Value: "Linux test"},
			{Key: "swap", Label: "Swap", Unreadable: "/proc/swaps: permission denied"},
		}},
		{Title: "Processor", Facts: []tuning.Fact{{Key: "cpu.model", Label: "Model", Value: "Test CPU 2 GHz"}}},
		{Title: "Sysctl: memory", Facts: []tuning.Fact{{Key: "vm.dirty_ratio", Label: "vm.dirty_ratio", Value: "20"}}},
	}})
}

func goal(id string, cases []string, metric string, kind stats.Kind, bound float64, against ...Side) Goal {
	return Goal{
		ID: id, Text: "the goal " + id, Cases: cases, Of: Side{Target: Sluice}, Against: against,
		Metric: metric, Kind: kind, Bound: bound,
	}
}

// fullFolder is a folder with what a real one has: several modes, disturbed and failed runs.
func fullFolder(t testing.TB, dir string) {
	s := newSynthetic(t, dir)
	ack := []string{result.StageAck, result.StageWire, result.StageQueue}
	produce := mould{
		target: Sluice, caseName: "produce-64k-16p", label: "sustained", spec: produceSpec(120),
		mbps: 1430, medianMicros: 900, stages: ack, brokerCPU: 0.41, anon: 60 << 20,
		change: withStages,
	}
	kafka := produce
	kafka.target, kafka.variant, kafka.mbps, kafka.medianMicros = "kafka", "heap 1 GiB", 390, 4100
	kafka.brokerCPU, kafka.anon, kafka.change = 1.9, 1200<<20, nil
	limit := produce
	limit.target, limit.mbps, limit.medianMicros, limit.brokerCPU, limit.change = "limit-produce", 1700, 700, 0.34, nil
	s.pairs(5, produce, kafka, limit)

	consume := produceSpec(10)
	consume.Mode, consume.FetchBytes = workload.Consume, 1<<20
	fetch := mould{
		target: Sluice, caseName: "fetch-1m-8c", spec: consume, mbps: 4800, medianMicros: 1500,
		stages: []string{result.StageFetch}, brokerCPU: 0.08, anon: 60 << 20,
	}
	ceiling, sendfile := fetch, fetch
	ceiling.spec.Client, ceiling.label, ceiling.caseName = workload.Discarding, CeilingLabel, "fetch-1m-8c-ceiling"
	ceiling.mbps, sendfile.mbps = 8200, 9100
	sendfile = ceiling
	sendfile.target, sendfile.mbps, sendfile.brokerCPU = "limit-sendfile", 9100, 0.07
	s.pairs(3, fetch)
	s.pairs(4, ceiling, sendfile)

	open := produceSpec(10)
	open.Mode, open.Rate, open.Consumers = workload.E2E, 180_000, 1
	e2e := mould{
		target: Sluice, caseName: "e2e-half-rate", spec: open, mbps: 198, medianMicros: 210,
		stages: []string{result.StageAck, result.StageE2E, result.StageLag}, brokerCPU: 0.6, anon: 60 << 20,
	}
	slow, small := e2e, e2e
	slow.target, slow.variant, slow.medianMicros, slow.anon = "kafka", "heap 1 GiB", 3100, 1200<<20
	small.target, small.variant, small.medianMicros, small.anon = "kafka", "heap 256 MiB", 4700, 420<<20
	s.pairs(4, e2e, slow, small)
	disturb(s, e2e, slow)
	fullGoals(s)
}

// disturb adds runs that do not count.
func disturb(s *synthetic, e2e, slow mould) {
	stolen := s.turn(e2e, 4, 0)
	stolen.Usage.Host.StealShare = 0.041
	s.write(stolen)
	failed := s.turn(slow, 4, 1)
	failed.Error = "the broker closed every connection"
	failed.Errors = map[string]int64{"CONNECTION_LOST": 8}
	failed.Notes = []string{"the client was the limit: 98 % of a core"}
	s.write(failed)
	s.file("raw/zz-corrupt.json", []byte(`{"schema":1,`))
}

func withStages(r *result.Result) {
	r.BrokerStages = &result.StageSum{
		MeanMicros:   map[string]map[string]float64{"Produce": {"queue": 40.5, "local": 610, "send": 22, "total": 672.5}},
		ClientMicros: map[string]float64{"Produce": 690},
		Explained:    map[string]float64{"Produce": 0.975}, Within5Percent: map[string]bool{"Produce": true},
	}
}

func fullGoals(s *synthetic) {
	kafka := Side{Target: "kafka", Variant: "heap 1 GiB"}
	small := Side{Target: "kafka", Variant: "heap 256 MiB"}
	sustained := goal("produce-kafka", []string{"produce-64k-16p"}, "produced_mb_s", stats.AtLeast, 3, kafka)
	sustained.Label = "sustained"
	sustained.Text = "Produce MB/s (1 KiB records, 64 KiB batches, 16 partitions), sustained, against Apache Kafka"
	s.rest([]Goal{
		sustained,
		goal("produce-limit", []string{"produce-64k-16p"}, "produced_mb_s", stats.AtLeast, 0.9,
			Side{Target: "limit-produce"}),
		goal("produce-cpu", []string{"produce-64k-16p"}, "broker_cpu_s_per_gb", stats.AtMost, 0.45),
		goal("memory", []string{"e2e-half-rate"}, "rss_anon_bytes", stats.AtMost, 0.125, kafka, small),
		goal("p99", []string{"e2e-half-rate"}, "p99_e2e", stats.AtMost, 0.2, kafka),
		goal("absent", []string{"no-such-case"}, "p99_e2e", stats.AtMost, 0.2, kafka),
	})
}
