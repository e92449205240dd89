package report

import (
	"slices"
	"strings"

	"sluice/benchmarks/result"
)

// SpreadMetric is computed over all runs of a side at once, from their throughput: (largest −
// smallest) ÷ median, in per cent.
const SpreadMetric = "spread_percent"

// Metric is a named figure of one run.
type Metric struct {
	Name string
	Unit string
	Text string // what it is, for the report's glossary
	// Stage is the client stage that a latency is of, "" of everything else.
	Stage string
	// LessIsBetter says in which direction a reader should hope.
	LessIsBetter bool
	// Of computes it. The string says why there is none, "" if there is.
	Of func(r *result.Result) (float64, string)
	// burst computes it for the burst part of a sustained run; nil where that is not possible.
	burst func(r *result.Result) (float64, string)
}

// burstOf computes the figure of the burst part of a sustained run.
func (m Metric) burstOf(r *result.Result) (float64, string) {
	if m.burst == nil {
		return 0, m.Name + " is not known for the burst part alone"
	}
	return m.burst(r)
}

// MetricNames lists all metrics by name, in the order of the glossary.
func MetricNames() []string {
	var names []string
	for _, m := range metrics {
		names = append(names, m.Name)
	}
	return names
}

// FigurePrefix makes a metric of any of a run's own figures: "figure:open_per_second".
const FigurePrefix = "figure:"

func metricByName(name string) (Metric, bool) {
	if figure, ok := strings.CutPrefix(name, FigurePrefix); ok && figure != "" {
		return Metric{Name: name, Text: figure, Of: func(r *result.Result) (float64, string) {
			return positive(r.Figures[figure], "the run tells no "+figure)
		}}, true
	}
	i := slices.IndexFunc(metrics, func(m Metric) bool { return m.Name == name })
	if i < 0 {
		return Metric{}, false
	}
	return metrics[i], true
}

var metrics = slices.Concat(throughputMetrics(), latencyMetrics(), costMetrics(), memoryMetrics())

func throughputMetrics() []Metric {
	return []Metric{
		count("produced_mb_s", "MB/s", "acknowledged bytes of batches per second", produced, megabytes),
		count("consumed_mb_s", "MB/s", "verified bytes of batches per second", consumed, megabytes),
		count("produced_records_s", "records/s", "acknowledged records per second", produced, records),
		count("consumed_records_s", "records/s", "verified records per second", consumed, records),
		count("requests_s", "requests/s", "answered produce requests per second (fetches, where "+
			"nothing was produced)", mainCount, requests),
		count(SpreadMetric, "%", "(largest − smallest) ÷ median of the runs' throughput", mainCount, megabytes),
	}
}

// count makes a metric of a counter; only produced counts have a burst part.
func count(name, unit, text string, side func(*result.Result) result.Count,
	rate func(result.Count) float64,
) Metric {
	m := Metric{Name: name, Unit: unit, Text: text, LessIsBetter: name == SpreadMetric}
	m.Of = func(r *result.Result) (float64, string) { return positive(rate(side(r)), "nothing counted") }
	if name == "consumed_mb_s" || name == "consumed_records_s" {
		return m
	}
	m.burst = func(r *result.Result) (float64, string) {
		if r.Burst == nil {
			return 0, "no burst part"
		}
		return positive(rate(*r.Burst), "nothing counted in the burst part")
	}
	return m
}

func produced(r *result.Result) result.Count { return r.Produced }
func consumed(r *result.Result) result.Count { return r.Consumed }

// mainCount is what a run is about: what it produced, or what it consumed if it produced nothing.
func mainCount(r *result.Result) result.Count {
	if r.Produced.Bytes > 0 || r.Produced.Requests > 0 {
		return r.Produced
	}
	return r.Consumed
}

func megabytes(c result.Count) float64 { return c.MBPerSecond() }
func records(c result.Count) float64   { return c.RecordsPerSecond() }
func requests(c result.Count) float64  { return c.RequestsPerSecond() }

func positive(v float64, why string) (float64, string) {
	if v > 0 {
		return v, ""
	}
	return 0, why
}

func latencyMetrics() []Metric {
	var all []Metric
	stages := []struct{ suffix, stage, text string }{
		{"ack", result.StageAck, "due (or ready to send) until acknowledged"},
		{"e2e", result.StageE2E, "due until seen by a consumer"},
		{"fetch", result.StageFetch, "fetch request written until its answer is read whole"},
		{"wire", result.StageWire, "produce request written until answered"},
		{"ping", result.StagePing, "a request on an otherwise idle connection"},
	}
	// A percentile needs ten values beyond it, as percentileCell asks for in tables: with fewer, a
	// goal would be decided by one or two requests of each run.
	quantiles := []struct {
		name       string
		percentile float64
		samplesMin int64
	}{{"p50", 50, 1}, {"p90", 90, 100}, {"p99", 99, 1000}, {"p999", 99.9, 10_000}, {"p9999", 99.99, deepSamples}}
	for _, q := range quantiles {
		for _, s := range stages {
			all = append(all, Metric{
				Name: q.name + "_" + s.suffix, Unit: "µs", LessIsBetter: true, Stage: s.stage,
				Text: q.name + " of " + s.text,
				Of: func(r *result.Result) (float64, string) {
					h := r.Stages[s.stage]
					if h == nil || h.Count() < q.samplesMin {
						return 0, "too few samples of " + s.stage
					}
					return positive(float64(h.Percentile(q.percentile))/1e3, "zero "+s.stage)
				},
			})
		}
	}
	return all
}

// deepSamples is the number of samples from which p99.99 is told.
const deepSamples = 100_000

func costMetrics() []Metric {
	return []Metric{
		cost("broker_cpu_s_per_gb", "CPU-s/GB", "broker's processor time per GB moved", brokerCPU, gigabytes),
		cost("host_cpu_s_per_gb", "CPU-s/GB", "the whole host's busy time per GB moved", hostCPU, gigabytes),
		cost("broker_cpu_us_per_request", "µs", "broker's processor time per request", brokerCPU,
			func(r *result.Result) float64 { return float64(allRequests(r)) / 1e6 }),
		cost("generator_cpu_percent", "%", "generator's processor time, 100 is one core", generatorCPU,
			func(r *result.Result) float64 { return r.Usage.Seconds / 100 }),
		{
			Name: "start_to_first_ack_s", Unit: "s", LessIsBetter: true,
			Text: "exec of the broker until the first acknowledged record",
			Of: func(r *result.Result) (float64, string) {
				return positive(r.Figures["start_to_first_ack_s"], "not measured")
			},
		},
	}
}

// cost makes a metric of seconds of processor time divided by a quantity.
func cost(name, unit, text string, seconds func(*result.Result) (float64, string),
	quantity func(*result.Result) float64,
) Metric {
	return Metric{
		Name: name, Unit: unit, Text: text, LessIsBetter: true,
		Of: func(r *result.Result) (float64, string) {
			s, why := seconds(r)
			if why != "" {
				return 0, why
			}
			q := quantity(r)
			if q <= 0 {
				return 0, "nothing was moved"
			}
			return positive(s/q, "no processor time seen")
		},
	}
}

func gigabytes(r *result.Result) float64 { return float64(r.Produced.Bytes+r.Consumed.Bytes) / 1e9 }

func allRequests(r *result.Result) int64 { return r.Produced.Requests + r.Consumed.Requests }

func brokerCPU(r *result.Result) (float64, string) {
	if r.Usage == nil || r.Usage.Broker == nil {
		return 0, "the broker's processor time was not measured"
	}
	return float64(r.Usage.Broker.CPUNanos) / 1e9, ""
}

func generatorCPU(r *result.Result) (float64, string) {
	if r.Usage == nil || r.Usage.Generator == nil {
		return 0, "the generator's processor time was not measured"
	}
	return float64(r.Usage.Generator.CPUNanos) / 1e9, ""
}

func hostCPU(r *result.Result) (float64, string) {
	if r.Usage == nil || r.Usage.Host == nil {
		return 0, "the host's processor time was not measured"
	}
	return float64(r.Usage.Host.BusyNanos) / 1e9, ""
}

func memoryMetrics() []Metric {
	return []Metric{
		memory("rss_bytes", "peak resident memory of the broker",
			func(r *result.Result) int64 { return r.Usage.Broker.MemoryPeak.RSSBytes }),
		memory("rss_anon_bytes", "peak anonymous resident memory of the broker (heap, stacks)",
			func(r *result.Result) int64 { return r.Usage.Broker.MemoryPeak.AnonBytes }),
		memory("rss_file_bytes", "peak file-backed resident memory of the broker",
			func(r *result.Result) int64 { return r.Usage.Broker.MemoryPeak.FileBytes }),
	}
}

func memory(name, text string, bytes func(*result.Result) int64) Metric {
	return Metric{
		Name: name, Unit: "bytes", Text: text, LessIsBetter: true,
		Of: func(r *result.Result) (float64, string) {
			if r.Usage == nil || r.Usage.Broker == nil {
				return 0, "the broker's memory was not measured"
			}
			return positive(float64(bytes(r)), "no memory seen")
		},
	}
}
