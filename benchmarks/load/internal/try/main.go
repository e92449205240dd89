// Command try runs one workload with the lean client and prints what it saw: for trying the client
// itself. `sluice bench` is what users run.
package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"time"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/load"
	"sluice/benchmarks/workload"
)

func main() {
	var s workload.Spec
	addr := flag.String("addr", "127.0.0.1:9092", "the broker")
	raw := flag.Bool("raw", false, "the broker is a limit server")
	mode := flag.String("mode", "produce", "produce, consume, e2e, mixed or backlog")
	client := flag.String("client", "reading", "reading or discarding")
	flag.StringVar(&s.Topic, "topic", "sluice-bench", "topic, which must exist")
	flag.IntVar(&s.Partitions, "partitions", 1, "partitions")
	flag.StringVar(&s.RecordSize, "record-size", "1024", "size of values")
	flag.IntVar(&s.BatchBytes, "batch-bytes", 0, "bytes of a batch")
	flag.IntVar(&s.BatchRecords, "batch-records", 0, "records of a batch")
	flag.StringVar(&s.Compression, "compression", "none", "codec")
	flag.Float64Var(&s.Compressibility, "compressibility", 0, "share of a value that repeats")
	flag.IntVar(&s.Acks, "acks", 1, "acks")
	flag.BoolVar(&s.Idempotence, "idempotence", false, "with producer ids")
	flag.IntVar(&s.Keys, "keys", 0, "keys")
	flag.IntVar(&s.Producers, "producers", 0, "producers")
	flag.IntVar(&s.Consumers, "consumers", 0, "consumers")
	flag.IntVar(&s.Connections, "connections", 1, "connections")
	flag.IntVar(&s.InFlight, "in-flight", 1, "requests in flight")
	flag.IntVar(&s.Threads, "threads", 0, "client threads")
	flag.IntVar(&s.FetchBytes, "fetch-bytes", 1<<20, "bytes of a fetch")
	flag.Int64Var(&s.Preload, "preload", 0, "bytes to write before")
	flag.Float64Var(&s.Rate, "rate", 0, "records/s")
	duration := flag.Duration("duration", 3*time.Second, "measured time")
	warmup := flag.Duration("warmup", 500*time.Millisecond, "warm-up")
	linger := flag.Duration("linger", 0, "linger")
	flag.Parse()
	s.Mode, s.Client = workload.Mode(*mode), workload.ClientKind(*client)
	s.Duration, s.Warmup = workload.Duration(*duration), workload.Duration(*warmup)
	s.Linger = workload.Duration(*linger)
	s = s.Normalize()
	s.Linger = workload.Duration(*linger)
	if err := s.Validate(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	hooks := drive.Hooks{Live: func(t drive.Tick) {
		fmt.Printf("%v %5.1fs %+v backlog %d\n", t.Warmup, t.Elapsed.Seconds(), t.Point, t.Backlog)
	}}
	o, err := load.Run(ctx, drive.Target{Addrs: []string{*addr}, Raw: *raw}, s, hooks)
	fmt.Printf("produced %+v: %.1f MB/s, %.0f requests/s\n", o.Produced, o.Produced.MBPerSecond(),
		o.Produced.RequestsPerSecond())
	fmt.Printf("consumed %+v: %.1f MB/s, %.0f requests/s\n", o.Consumed, o.Consumed.MBPerSecond(),
		o.Consumed.RequestsPerSecond())
	for _, name := range slices.Sorted(maps.Keys(o.Stages)) {
		h := o.Stages[name].Summary()
		fmt.Printf("%-8s n %9d mean %9.1f p50 %9.1f p99 %9.1f p99.9 %9.1f max %9.1f µs\n", name, h.Count,
			h.Mean/1e3, float64(h.P50)/1e3, float64(h.P99)/1e3, float64(h.P999)/1e3, float64(h.Max)/1e3)
	}
	fmt.Println("errors", o.Errors, "figures", o.Figures, "notes", o.Notes, "allocs/request",
		o.AllocsPerRequest, "interrupted", o.Interrupted)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
