package suite

import (
	"fmt"
	"slices"
	"time"

	"sluice/benchmarks/workload"
)

// Contender is one side of a case.
type Contender struct {
	// Target is the name results carry: "sluice", "kafka", "kfake" or one of the limits.
	Target string
	// HeapMiB is the heap of a JVM; it appears as the variant "heap 256 MiB" where it is not 1024.
	HeapMiB int
}

// The limit servers: what each leaves out is in limits.ServerOptions.
const (
	LimitSendfile   = "limit-sendfile"
	LimitAppend     = "limit-append"
	LimitAppend2    = "limit-append-2t" // the same with two threads
	LimitPing       = "limit-ping"
	LimitPingAppend = "limit-ping-append"
	// LimitDisk is no server: O_DIRECT appends by limitio.c.
	LimitDisk = "limit-disk"
)

var (
	sluice   = Contender{Target: "sluice"}
	kafka    = Contender{Target: "kafka"}
	kafka256 = Contender{Target: "kafka", HeapMiB: 256}
	kfake    = Contender{Target: "kfake"}
)

// Variant tells setups of one broker apart in results.
func (c Contender) Variant() string {
	if c.HeapMiB != 0 {
		return fmt.Sprintf("heap %d MiB", c.HeapMiB)
	}
	return ""
}

// Case is one workload, run in turns by each contender.
type Case struct {
	ID    string
	Title string
	Mode  workload.Mode
	// Args are flags of `sluice bench MODE` beyond those that the suite sets itself.
	Args       []string
	Contenders []Contender
	// Pairs is how often each contender has its turn.
	Pairs            int
	Warmup, Duration time.Duration
	// Half, if not "", names the case whose runs of Kafka give the rate: half of their median.
	Half string
	// Disk has each pair begin with what the disk takes without a broker, kept as a case of its own
	// (DiskCase) under the same pair.
	Disk bool
}

// DiskCase names the case that holds the disk's own limit beside each pair of another case.
func DiskCase(id string) string { return id + "-disk" }

const (
	kib64 = "65536"
	mib1  = "1048576"
)

// Cases is the plan, in the order it is carried out.
func Cases() []Case {
	var all []Case
	all = append(all, fetchCases()...)
	all = append(all, produceCases()...)
	all = append(all, smallCases()...)
	all = append(all, spreadCases()...)
	all = append(all, peerCases()...)
	all = append(all, pinnedCases()...)
	return append(all, sustainedCase())
}

// Bytes by name, as cases are called. Batches of 1 MiB scatter more, and get more pairs.
var sizes = []struct {
	name, bytes  string
	producePairs int
}{{"64k", kib64, 6}, {"1m", mib1, 8}}

var connections = []string{"1", "8"}

func fetchCases() []Case {
	var all []Case
	for _, client := range []workload.ClientKind{workload.Discarding, workload.Reading} {
		for _, size := range sizes {
			for _, n := range connections {
				all = append(all, Case{
					ID: fmt.Sprintf("fetch-%s-%sc-%s", size.name, n, client),
					Title: fmt.Sprintf("Fetch of %s, resident, %s connections, %s client",
						size.name, n, client),
					Mode: workload.Consume,
					Args: []string{
						"--client", string(client), "--fetch-bytes", size.bytes, "--connections", n,
						"--partitions", n, "--in-flight", "4", "--preload", "536870912",
					},
					Contenders: []Contender{{Target: LimitSendfile}, sluice},
					Pairs:      6, Warmup: time.Second, Duration: 3 * time.Second,
				})
			}
		}
	}
	return all
}

func produceCases() []Case {
	var all []Case
	for _, size := range sizes {
		for _, n := range connections {
			all = append(all, Case{
				ID:    fmt.Sprintf("produce-%s-%sc", size.name, n),
				Title: fmt.Sprintf("Produce acks=1, batches of %s, %s connections", size.name, n),
				Mode:  workload.Produce,
				Args: []string{
					"--batch-bytes", size.bytes, "--connections", n, "--partitions", n, "--in-flight", "5",
				},
				Contenders: []Contender{{Target: LimitAppend}, sluice},
				Pairs:      size.producePairs, Warmup: time.Second, Duration: 3 * time.Second,
			})
		}
	}
	return all
}

func smallCases() []Case {
	unbatched := []string{"--record-size", "100", "--batch-records", "1", "--in-flight", "1"}
	return []Case{
		{
			ID: "small-64c", Title: "100-byte records, one per batch, 64 connections",
			Mode:       workload.Produce,
			Args:       append([]string{"--connections", "64", "--partitions", "64"}, unbatched...),
			Contenders: []Contender{{Target: LimitPingAppend}, sluice},
			Pairs:      6, Warmup: time.Second, Duration: 4 * time.Second,
		},
		{
			ID: "latency-1c", Title: "100-byte records, one connection, one in flight",
			Mode:       workload.Produce,
			Args:       append([]string{"--connections", "1", "--partitions", "1"}, unbatched...),
			Contenders: []Contender{{Target: LimitPing}, sluice, {Target: LimitPingAppend}},
			Pairs:      6, Warmup: time.Second, Duration: 4 * time.Second,
		},
	}
}

// spreadRuns is over how many runs a spread is told.
const spreadRuns = 20

// spreadCases show that connections are dealt evenly: many short runs of one target.
func spreadCases() []Case {
	var all []Case
	for _, n := range []string{"2", "4", "8"} {
		all = append(all, Case{
			ID: "spread-" + n + "c", Title: "Spread over 20 runs, " + n + " connections, 64 KiB batches",
			Mode: workload.Produce,
			Args: []string{
				"--batch-bytes", kib64, "--connections", n, "--partitions", n, "--in-flight", "5",
			},
			Contenders: []Contender{sluice},
			Pairs:      spreadRuns, Warmup: 500 * time.Millisecond, Duration: 1500 * time.Millisecond,
		})
	}
	return all
}

// log settings of the long runs: old segments go, but only after the kernel had to write most of
// them, so that the disk cannot be cheated.
var longTopic = []string{
	"--topic-config", "retention.bytes=1342177280", "--topic-config", "segment.bytes=268435456",
	"--topic-config", "file.delete.delay.ms=0",
}

// What the cases against peers have in common.
var (
	sixteen = []string{
		"--batch-bytes", kib64, "--partitions", "16", "--connections", "4", "--in-flight", "5",
	}
	rated  = []string{"--batch-bytes", kib64, "--partitions", "16", "--connections", "4", "--linger", "1ms"}
	pinned = []string{"--placement", "pinned"}
	both   = []Contender{kafka, sluice}
)

func peerCases() []Case {
	kgo := []string{"--client", "kgo", "--batch-bytes", kib64, "--partitions", "16"}
	return []Case{
		{
			ID: "kafka-produce", Title: "Produce, 1 KiB records, 64 KiB batches, 16 partitions, burst",
			Mode: workload.Produce, Args: sixteen,
			// The limit beside both, with one thread and with two as brokers have them: what receiving,
			// checking and writing alone reach here, whatever is asked of Sluice.
			Contenders: slices.Concat([]Contender{{Target: LimitAppend}, {Target: LimitAppend2}}, both),
			Pairs:      6, Warmup: 2 * time.Second, Duration: 8 * time.Second,
		},
		{
			ID: "kafka-fetch", Title: "Fetch, resident, 1 MiB, 16 partitions, 4 connections",
			Mode: workload.Consume,
			Args: []string{
				"--fetch-bytes", mib1, "--partitions", "16", "--connections", "4", "--preload", "1073741824",
			},
			Contenders: both, Pairs: 4, Warmup: 2 * time.Second, Duration: 6 * time.Second,
		},
		{
			ID: "kafka-small", Title: "Produce, unbatched 100-byte records, 64 connections",
			Mode: workload.Produce,
			Args: []string{
				"--record-size", "100", "--batch-records", "1", "--in-flight", "1",
				"--connections", "64", "--partitions", "16",
			},
			Contenders: both, Pairs: 4, Warmup: 2 * time.Second, Duration: 6 * time.Second,
		},
		{
			ID: "kafka-produce-rated", Title: "Produce at half of Kafka's maximum rate, open loop",
			Mode: workload.Produce, Args: rated, Contenders: both, Half: "kafka-produce",
			Pairs: 4, Warmup: 3 * time.Second, Duration: 15 * time.Second,
		},
		{
			ID: "kafka-e2e-rated", Title: "End to end at half of Kafka's maximum rate, open loop",
			Mode: workload.E2E, Args: rated, Contenders: both, Half: "kafka-produce",
			Pairs: 4, Warmup: 3 * time.Second, Duration: 15 * time.Second,
		},
		{
			ID: "kafka-small-heap", Title: "Produce as above against a heap of 256 MiB",
			Mode: workload.Produce, Args: sixteen, Contenders: []Contender{kafka256, sluice},
			Pairs: 4, Warmup: 5 * time.Second, Duration: 8 * time.Second,
		},
		{
			ID: "kgo-produce", Title: "Produce through franz-go",
			Mode: workload.Produce, Args: kgo, Contenders: []Contender{kafka, sluice, kfake},
			Pairs: 6, Warmup: 2 * time.Second, Duration: 6 * time.Second,
		},
		{
			ID: "kgo-consume", Title: "Consume through franz-go",
			Mode: workload.Consume, Args: append([]string{"--preload", "536870912"}, kgo...),
			Contenders: []Contender{kafka, sluice, kfake},
			Pairs:      6, Warmup: 2 * time.Second, Duration: 6 * time.Second,
		},
	}
}

// pinnedCases put broker and client on a core each. Of Kafka's rate half is taken of what it reaches
// on its one core.
func pinnedCases() []Case {
	return []Case{
		{
			ID: "pinned-produce", Title: "Produce, 64 KiB batches, broker and client on a core each",
			Mode: workload.Produce, Args: slices.Concat(pinned, sixteen),
			Contenders: slices.Concat([]Contender{{Target: LimitAppend}}, both),
			Pairs:      4, Warmup: 2 * time.Second, Duration: 5 * time.Second,
		},
		{
			ID: "pinned-fetch", Title: "Fetch, resident, 1 MiB, broker and client on a core each",
			Mode: workload.Consume,
			Args: slices.Concat(pinned, []string{
				"--fetch-bytes", mib1, "--partitions", "16", "--connections", "4", "--preload", "536870912",
			}),
			Contenders: slices.Concat([]Contender{{Target: LimitSendfile}}, both),
			Pairs:      4, Warmup: 2 * time.Second, Duration: 5 * time.Second,
		},
		{
			ID: "pinned-e2e", Title: "End to end at half of Kafka's pinned rate, a core each, open loop",
			Mode: workload.E2E, Args: slices.Concat(pinned, rated), Contenders: both, Half: "pinned-produce",
			Pairs: 4, Warmup: 3 * time.Second, Duration: 10 * time.Second,
		},
	}
}

func sustainedCase() Case {
	return Case{
		ID: "kafka-sustained", Title: "Produce as above, sustained",
		Mode: workload.Produce, Args: slices.Concat(longTopic, sixteen), Contenders: both, Disk: true,
		Pairs: 4, Warmup: 2 * time.Second, Duration: 120 * time.Second,
	}
}
