package main

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/benchmarks/workload"
)

// flags gives a command the options of a workload, and those of how it is run.
func (b *bench) flags(c *cobra.Command) {
	f := c.Flags()
	f.SortFlags = false
	c.SetFlagErrorFunc(benchFlagError)
	b.recordFlags(f)
	b.clientFlags(f)
	b.timeFlags(f)
	b.runFlags(f)
	b.app.addOutput(c, true)
}

// recordFlags say what is written and where to.
func (b *bench) recordFlags(f *pflag.FlagSet) {
	s := &b.spec
	f.StringVar(&s.Topic, "topic", "", "name of the topic, or the prefix of several (default sluice-bench)")
	f.IntVar(&s.Topics, "topics", 0, "`N` topics (default 1)")
	f.IntVar(&s.Partitions, "partitions", 0, "`N` partitions of each topic (default 16)")
	f.IntVar(&s.Replication, "replication", 0, "replicas `N` of each partition; 0 is the broker's default")
	f.StringToStringVar(&s.TopicConfig, "topic-config", nil, "topic configuration `key=value`; may be repeated")
	f.BoolVar(&s.Keep, "keep", false, "leave the topics behind")
	f.StringVar(&s.RecordSize, "record-size", "",
		"bytes of a value: 1024, uniform:100-2000, normal:1024,256 or zipf:100-100000 (default 1024)")
	f.Var(sizeOption(&s.BatchBytes), "batch-bytes", "bound of a batch before compression, header included (default 64KiB)")
	f.IntVar(&s.BatchRecords, "batch-records", 0, "bound of a batch in records; 1 is unbatched, 0 none")
	f.StringVar(&s.Compression, "compression", "", "none, gzip, snappy, lz4 or zstd (default none)")
	f.Float64Var(&s.Compressibility, "compressibility", 0, "share of a value that repeats, 0 to 1")
	f.Var((*acksFlag)(&s.Acks), "acks", "who must have a record: 0 (nobody asked), 1 (leader) or all (default 1)")
	f.BoolVar(&s.Idempotence, "idempotence", false, "write with producer id and sequence (acks all)")
	f.IntVar(&s.Keys, "keys", 0, "`N` distinct keys; 0 writes null keys")
	f.Var(sizeOption(&s.Preload), "preload", "written before consume and backlog begin (default 512MiB)")
}

// clientFlags say who does it.
func (b *bench) clientFlags(f *pflag.FlagSet) {
	s := &b.spec
	f.StringVar((*string)(&s.Client), "client", "",
		"reading (verifies everything), discarding (drops bytes in the kernel) or kgo (franz-go) (default reading)")
	f.IntVar(&s.Producers, "producers", 0, "`N` producers (default 1)")
	f.IntVar(&s.Consumers, "consumers", 0, "`N` consumers (default 1)")
	f.IntVar(&s.Connections, "connections", 0, "`N` connections of each to every broker; in mode connections in all (default 1)")
	f.IntVar(&s.InFlight, "in-flight", 0, "unanswered requests `N` of a connection (default 5)")
	f.IntVar(&s.Threads, "threads", 0, "`N` client threads (default 1 on up to 2 cores, else half the cores)")
	f.Var(sizeOption(&s.FetchBytes), "fetch-bytes", "most bytes of a fetch and of a partition in it (default 1MiB)")
	f.Var(sizeOption(&s.FetchMinBytes), "fetch-min-bytes", "least bytes that a fetch waits for (default 1)")
	f.DurationVar((*time.Duration)(&s.FetchWait), "fetch-wait", 0, "`TIME` that a fetch waits at most (default 500ms)")
	f.StringVar((*string)(&s.Placement), "placement", "",
		"shared, or pinned: broker and client on cores of their own (default shared)")
	f.Uint64Var(&s.Seed, "seed", 0, "seed of payloads and sizes (default 1)")
}

// timeFlags say how fast and how long.
func (b *bench) timeFlags(f *pflag.FlagSet) {
	s := &b.spec
	f.Float64Var(&s.Rate, "rate", 0, "records/s of all producers (open loop); 0 is as fast as acknowledged. Pings/s in mode connections")
	f.DurationVar((*time.Duration)(&s.Linger), "linger", 0, "`TIME` that a batch waits for more records (default 5ms in open loop)")
	f.DurationVar((*time.Duration)(&s.Duration), "duration", 0, "measured `TIME` (default 30s)")
	f.DurationVar((*time.Duration)(&s.Warmup), "warmup", 0, "`TIME` before it that is not counted (default 5s)")
	f.DurationVar((*time.Duration)(&s.Burst), "burst", 0, "first `TIME` of a produce run that is told apart")
	f.DurationVar((*time.Duration)(&b.search.P99), "search-p99", 0, "look for the highest rate with p99 within `TIME`")
	f.Float64Var(&b.search.From, "search-from", 0, "records/s of the first step (default 1000)")
	f.DurationVar((*time.Duration)(&b.search.Step), "search-step", 0, "measured `TIME` of a step, at least 30s (default 30s)")
	f.Float64Var(&b.search.Precision, "search-precision", 0, "relative gap at which a search is done (default 0.02)")
}

// runFlags say what is watched and what comes out.
func (b *bench) runFlags(f *pflag.FlagSet) {
	f.StringVar(&b.spec.Name, "name", "", "name of the workload in the report")
	f.StringVar(&b.spec.Description, "description", "", "what it is, in the result's JSON")
	f.BoolVar(&b.useExisting, "use-existing", false, "measure on topics that exist already")
	f.BoolVar(&b.limitServer, "limit-server", false, "the target is a limit server (make bench-limits), not a broker")
	f.IntVar(&b.brokerPid, "broker-pid", 0, "broker's process `N` on this machine; 0 finds it by its port, -1 watches none")
	f.StringVar(&b.dataDir, "data-dir", "", "broker's data `DIR`, whose device is watched (default: of its open segments)")
	f.StringVar(&b.admin, "admin", "",
		"`ADDR` of the broker's /metrics; - for none (default 127.0.0.1:9644 if the broker listens there)")
	f.StringVar(&b.name, "target-name", "", "broker's `NAME` in the report")
	f.StringVar(&b.targetVersion, "target-version", "", "broker's version in the report")
	f.StringVar(&b.variant, "variant", "", "what is special about the broker's setup, in the report")
	f.StringVar(&b.jsonFile, "json", "", "write the whole result with its histograms to `FILE`")
	f.StringVar(&b.hgrmDir, "hgrm", "", "write HdrHistogram's percentile files to `DIR`")
	f.StringVar(&b.liveWhen, "live", "auto", "line while it runs: auto, on (rewritten in place) or off")
	f.BoolVarP(&b.quiet, "quiet", "q", false, "no line while it runs")
	f.BoolVar(&b.dryRun, "dry-run", false, "print the complete workload as YAML and do nothing")
}

// overlay copies the flags that were given over a spec and returns their names as YAML has them.
func (b *bench) overlay(c *cobra.Command, spec *workload.Spec) (names []string) {
	from, to := reflect.ValueOf(b.spec), reflect.ValueOf(spec).Elem()
	for i := range from.NumField() {
		name, _, _ := strings.Cut(from.Type().Field(i).Tag.Get("yaml"), ",")
		if name == "" {
			continue
		}
		if f := c.Flags().Lookup(flagName(name)); f != nil && f.Changed {
			to.Field(i).Set(from.Field(i))
			names = append(names, name)
		}
	}
	search := workload.Search{}
	if spec.Search != nil {
		search = *spec.Search
	}
	given := reflect.ValueOf(b.search)
	for i := range given.NumField() {
		name := "search-" + given.Type().Field(i).Tag.Get("yaml")
		if c.Flags().Changed(name) {
			reflect.ValueOf(&search).Elem().Field(i).Set(given.Field(i))
			spec.Search = &search
			names = append(names, "search")
		}
	}
	return names
}

// flagName is an option's name as a flag.
func flagName(yaml string) string { return strings.ReplaceAll(yaml, "_", "-") }

// sizeFlag is a number of bytes with or without a unit.
type sizeFlag[T int | int64] struct{ into *T }

func sizeOption[T int | int64](into *T) *sizeFlag[T] { return &sizeFlag[T]{into} }

// Set takes what stands after the flag.
func (v *sizeFlag[T]) Set(text string) error {
	n, err := workload.ParseBytes(text)
	if err != nil || n > 1<<50 {
		return &optionValueError{"must be a number of bytes such as 65536 or 64KiB"}
	}
	*v.into = T(n)
	return nil
}

// String shows no default: zero stands for the mode's own, which the help text names.
func (v *sizeFlag[T]) String() string { return "" }

// Type is the placeholder in the help text.
func (v *sizeFlag[T]) Type() string { return "BYTES" }

// acksFlag is 0, 1, -1 or all.
type acksFlag int

// Set takes what stands after the flag; which numbers are possible is the workload's question.
func (v *acksFlag) Set(text string) error {
	if text == "all" {
		*v = -1
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return &optionValueError{"must be 0, 1 or all"}
	}
	*v = acksFlag(n)
	return nil
}

// String shows no default.
func (v *acksFlag) String() string { return "" }

// Type is the placeholder in the help text.
func (v *acksFlag) Type() string { return "ACKS" }

// optionValueError says what a flag's value must be.
type optionValueError struct{ must string }

func (e *optionValueError) Error() string { return e.must }

// benchFlagError words a flag that cannot be read as Validate words one that is impossible.
func benchFlagError(c *cobra.Command, err error) error {
	var bad *pflag.InvalidValueError
	var option *optionValueError
	if errors.As(err, &bad) && errors.As(err, &option) {
		return usagef("--%s %s: %s", bad.GetFlag().Name, bad.GetValue(), option.must)
	}
	return flagError(c, err)
}
