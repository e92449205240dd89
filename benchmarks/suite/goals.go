package suite

import (
	"fmt"
	"strings"

	"sluice/benchmarks/limits"
	"sluice/benchmarks/report"
	"sluice/benchmarks/stats"
)

// startCase is the case of restarts, which has no workload of its own.
const startCase = "start"

// Goals are what the report judges; they are written beside the raw results.
func Goals() []report.Goal {
	var all []report.Goal
	all = append(all, limitGoals()...)
	return append(all, peerGoals()...)
}

func of(id, text, metric string, kind stats.Kind, bound float64, against []report.Side, cases ...string,
) report.Goal {
	return report.Goal{
		ID: id, Text: text, Metric: metric, Kind: kind, Bound: bound, Against: against, Cases: cases,
		Of: report.Side{Target: report.Sluice},
	}
}

func side(targets ...string) []report.Side {
	var all []report.Side
	for _, t := range targets {
		all = append(all, report.Side{Target: t})
	}
	return all
}

func casesOf(prefix, suffix string) []string {
	var all []string
	for _, size := range sizes {
		for _, n := range connections {
			all = append(all, fmt.Sprintf("%s-%s-%sc%s", prefix, size.name, n, suffix))
		}
	}
	return all
}

func limitGoals() []report.Goal {
	ceiling, reading := casesOf("fetch", "-discarding"), casesOf("fetch", "-reading")
	produce := casesOf("produce", "")
	append_ := side(LimitPingAppend)
	goals := []report.Goal{
		of("fetch-ceiling", "Fetch, resident, 64 KiB and 1 MiB, 1 and 8 connections, broker ceiling: "+
			"at least 85 % of the sendfile limit",
			"consumed_mb_s", stats.AtLeast, 0.85, side(LimitSendfile), ceiling...),
		of("fetch-cpu", "… broker at most 0.15 CPU-s/GB",
			"broker_cpu_s_per_gb", stats.AtMost, 0.15, nil, ceiling...),
		of("fetch-reading", "Fetch, reading client: at least 90 % of the limit with the same client",
			"consumed_mb_s", stats.AtLeast, 0.90, side(LimitSendfile), reading...),
		of("produce", "Produce acks=1, 64 KiB and 1 MiB batches, 1 and 8 connections, full validation, "+
			"1 KiB records: at least 75 % of receive + CRC + pwrite",
			"produced_mb_s", stats.AtLeast, 0.75, side(LimitAppend), produce...),
		of("produce-cpu", "… broker at most 0.45 CPU-s/GB",
			"broker_cpu_s_per_gb", stats.AtMost, 0.45, nil, produce...),
		of("small", "100-byte records, one per batch, 64 connections: at least 80 % of the ping-pong "+
			"limit with append",
			"requests_s", stats.AtLeast, 0.80, append_, "small-64c"),
		of("small-cpu", "… at most 6.5 µs of broker CPU a request",
			"broker_cpu_us_per_request", stats.AtMost, 6.5, nil, "small-64c"),
		of("latency-p50", "One connection, one in flight, 100 bytes: p50 at most 1.3 × the ping-pong limit",
			"p50_ack", stats.AtMost, 1.3, side(LimitPing), "latency-1c"),
		of("latency-p99", "… p99 at most 1.5 ×",
			"p99_ack", stats.AtMost, 1.5, side(LimitPing), "latency-1c"),
		of("spread", "Spread over 20 runs of 2, 4 and 8 connections at most 15 %",
			report.SpreadMetric, stats.AtMost, 15, nil, "spread-2c", "spread-4c", "spread-8c"),
	}
	for i := range goals {
		if len(goals[i].Against) > 0 {
			goals[i].Rows = rowsOf(goals[i].Cases)
		}
		if goals[i].Metric == report.SpreadMetric {
			goals[i].PairsMin = spreadRuns
		}
	}
	return goals
}

// rowsOf are the rows of limits.json that show whether a case's limit server was itself. What a
// reading client gets of the sendfile server has no row of its own: the discarding client's of the same
// sizes stands for it.
func rowsOf(cases []string) map[string][]string {
	rows := map[string][]string{}
	for _, id := range cases {
		measured := strings.Replace(id, "-reading", "-discarding", 1)
		for _, m := range serverMeasures() {
			if m.id == measured {
				rows[id] = append(rows[id], m.name)
			}
		}
	}
	return rows
}

func peerGoals() []report.Goal {
	k := side("kafka")
	burst := of("kafka-burst", "Against Apache Kafka: produce MB/s (1 KiB records, 64 KiB batches, "+
		"16 partitions), burst, at least 3 ×",
		"produced_mb_s", stats.AtLeast, 3, k, "kafka-produce")
	burst.Ceiling = &report.Ceiling{
		Targets: []string{LimitAppend, LimitAppend2}, Text: "receive + CRC + pwrite",
	}
	smaller := []report.Side{{Target: "kafka", Variant: kafka256.Variant()}}
	goals := []report.Goal{
		burst,
		sustained(k),
		of("kafka-small", "… requests/s with unbatched 100-byte records, 64 connections, at least 4 ×",
			"requests_s", stats.AtLeast, 4, k, "kafka-small"),
		of("kafka-produce-p99", "… p99 of produce at half of Kafka's maximum rate at most 1/5",
			"p99_ack", stats.AtMost, 0.2, k, "kafka-produce-rated"),
		of("kafka-produce-p999", "… p99.9 of produce at most 1/5",
			"p999_ack", stats.AtMost, 0.2, k, "kafka-produce-rated"),
		of("kafka-e2e-p99", "… p99 of e2e at most 1/5",
			"p99_e2e", stats.AtMost, 0.2, k, "kafka-e2e-rated"),
		of("kafka-e2e-p999", "… p99.9 of e2e at most 1/5",
			"p999_e2e", stats.AtMost, 0.2, k, "kafka-e2e-rated"),
		of("kafka-produce-cpu", "… broker CPU-seconds per GB, produce, at most 1/3",
			"broker_cpu_s_per_gb", stats.AtMost, 1.0/3, k, "kafka-produce"),
		of("kafka-produce-host", "… whole host's CPU-seconds per GB, produce, at most 1/3",
			"host_cpu_s_per_gb", stats.AtMost, 1.0/3, k, "kafka-produce"),
		of("kafka-fetch-cpu", "… broker CPU-seconds per GB, fetch, at most 1/2",
			"broker_cpu_s_per_gb", stats.AtMost, 0.5, k, "kafka-fetch"),
		of("kafka-memory", "… resident memory under load, heap of 1 GiB, at most 1/8",
			"rss_bytes", stats.AtMost, 0.125, k, "kafka-produce"),
		of("kafka-memory-256", "… resident memory under load, heap of 256 MiB, at most 1/8",
			"rss_bytes", stats.AtMost, 0.125, smaller, "kafka-small-heap"),
		of("kafka-start", "… start to first ack at most 1/30",
			"start_to_first_ack_s", stats.AtMost, 1.0/30, k, startCase),
	}
	for _, mode := range []struct{ id, metric string }{
		{"kgo-produce", "produced_mb_s"}, {"kgo-consume", "consumed_mb_s"},
	} {
		goals = append(goals, of(mode.id, "Through franz-go: at least 95 % of what the same client reaches "+
			"at the best peer", mode.metric, stats.AtLeast, 0.95, side("kafka", "kfake"), mode.id))
	}
	return goals
}

// diskShareMin is the part of the disk's own limit, by the interval's bad end, from which Sluice is at
// that limit: a log of sixteen partitions is not one file written by one thread.
const diskShareMin = 0.9

// sustained is met by 1.5 × Kafka's throughput, or where the disk takes no more.
func sustained(k []report.Side) report.Goal {
	const id = "kafka-sustained"
	g := of(id, "… sustained, at least 1.5 × or the disk's limit (90 % of O_DIRECT appends beside it)",
		"produced_mb_s", stats.AtLeast, 1.5, k, id)
	g.Label = "sustained"
	g.Or = &report.Goal{
		Of: g.Of, Metric: "produced_mb_s", Kind: stats.AtLeast, Bound: diskShareMin, Label: "sustained",
		Against: []report.Side{{Target: LimitDisk, Case: DiskCase(id)}},
		Rows:    map[string][]string{id: {limits.DirectSustained}},
	}
	return g
}
