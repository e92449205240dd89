package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sluice/benchmarks"
	"sluice/benchmarks/drive"
	measured "sluice/benchmarks/result"
	"sluice/benchmarks/show"
	"sluice/benchmarks/workload"
	"sluice/cmd/sluice/internal/client"
)

// exitInvalid is the exit code of a run that ended but proves nothing.
const exitInvalid = 3

// benchModes are the subcommands that run one mode, with what their help says.
var benchModes = []struct {
	mode           workload.Mode
	short, example string
}{
	{
		workload.Produce, "Write records and time their acknowledgements",
		"  sluice bench produce\n" +
			"  sluice bench produce --batch-bytes 1MiB --connections 8 --duration 150s --burst 30s\n" +
			"  sluice bench produce --rate 50000 --record-size 100\n" +
			"  sluice bench produce --search-p99 5ms --search-from 10000",
	},
	{
		workload.Consume, "Read a preloaded log again and again",
		"  sluice bench consume --connections 8\n  sluice bench consume --client discarding --fetch-bytes 1MiB",
	},
	{
		workload.E2E, "Write records and time their arrival at consumers",
		"  sluice bench e2e --rate 50000\n  sluice bench e2e --rate 20000 --client kgo --partitions 100",
	},
	{
		workload.Mixed, "Write and read at once",
		"  sluice bench mixed --producers 2 --consumers 2",
	},
	{
		workload.Backlog, "Let a consumer catch up beside live traffic",
		"  sluice bench backlog --rate 50000 --preload 4GiB",
	},
	{
		workload.Connections, "Open many connections and ask idle ones",
		"  sluice bench connections --connections 10000 --rate 100",
	},
	{
		workload.Topics, "Create, describe and delete many topics",
		"  sluice bench topics --topics 1000 --partitions 4",
	},
}

func (a *app) benchCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure a broker's throughput and latency",
		Long: "Bench loads any broker that speaks Kafka's protocol and reports throughput, latency\n" +
			"percentiles, errors, and what the run cost in processor time and memory.\n" +
			"Exit codes: 0 valid, 1 failed, 2 impossible options, 3 invalid (the report says why),\n" +
			"130 interrupted.",
		Example: "  sluice bench produce --partitions 16\n" +
			"  sluice bench list\n" +
			"  sluice bench run 1-topic-16-partitions-1kb --json result.json",
		Args: cobra.ArbitraryArgs,
	}
	for _, m := range benchModes {
		b := &bench{app: a}
		sub := &cobra.Command{
			Use: string(m.mode), Short: m.short, Example: m.example, Args: cobra.NoArgs,
		}
		b.flags(sub)
		sub.RunE = func(c *cobra.Command, _ []string) error {
			return b.run(c, workload.Spec{Mode: m.mode}, map[string]bool{"mode": true})
		}
		c.AddCommand(sub)
	}
	c.AddCommand(a.benchRunCmd(), a.benchListCmd(), a.benchGroupsCmd())
	return a.group(c)
}

func (a *app) benchRunCmd() *cobra.Command {
	b := &bench{app: a}
	var long bool
	c := &cobra.Command{
		Use:   "run NAME|FILE",
		Short: "Run a workload that comes with the binary, or a workload file",
		Long: "Run carries out a workload by its name (sluice bench list) or the path of a file, which\n" +
			"ends in .yaml. Flags go over what the file says.",
		Example: "  sluice bench run 1-topic-1-partition-1kb\n" +
			"  sluice bench run 1-topic-16-partitions-100b --long\n" +
			"  sluice bench run ./mine.yaml --rate 20000",
		Args: cobra.ExactArgs(1),
	}
	b.flags(c)
	c.Flags().BoolVar(&long, "long", false, "the long variant: sustained, at least two minutes")
	c.RunE = func(c *cobra.Command, args []string) error {
		spec, given, err := benchmarks.LoadWorkload(args[0], long)
		if err != nil {
			return &exit{exitUsage, err.Error()}
		}
		return b.run(c, spec, given)
	}
	return c
}

func (a *app) benchListCmd() *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the workloads that come with the binary",
		Example: "  sluice bench list\n  sluice bench list -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			specs := benchmarks.Workloads()
			if a.json() {
				return a.printJSON(specs)
			}
			rows := [][]string{{"NAME", "MODE", "TIME", "LONG", "DESCRIPTION"}}
			for _, s := range specs {
				long, _, err := benchmarks.LoadWorkload(s.Name, true)
				if err != nil {
					return err
				}
				rows = append(rows, []string{
					s.Name, string(s.Mode), (s.Warmup + s.Duration).String(),
					(long.Warmup + long.Duration).String(), s.Description,
				})
			}
			return table(a.out, rows)
		},
	}
	a.addOutput(c, true)
	return c
}

// bench is one command of the load generator and what its flags said.
type bench struct {
	app    *app
	spec   workload.Spec   // the flags of workloads
	search workload.Search // --search-…

	brokerPid          int
	admin, dataDir     string
	name, variant      string
	jsonFile, hgrmDir  string
	liveWhen           string
	quiet, useExisting bool
	dryRun             bool
	limitServer        bool
	targetVersion      string
}

// complete lays the flags over a spec and fills in the rest.
func (b *bench) complete(c *cobra.Command, spec workload.Spec, given map[string]bool) workload.Spec {
	laid := map[string]bool{}
	for name := range given {
		laid[name] = given[name]
	}
	for _, name := range b.overlay(c, &spec) {
		laid[name] = true
	}
	return spec.Complete(func(name string) bool { return laid[name] })
}

func (b *bench) run(c *cobra.Command, spec workload.Spec, given map[string]bool) error {
	a := b.app
	spec = b.complete(c, spec, given)
	if err := spec.Validate(); err != nil {
		return &exit{exitUsage, err.Error()}
	}
	if b.dryRun {
		return spec.WriteYAML(a.out)
	}
	options, err := b.options(spec)
	if err != nil {
		return err
	}
	out, err := openResults(b.jsonFile, b.hgrmDir)
	if err != nil {
		return err
	}
	defer out.discard()
	ctx, cancel := interruptible(c.Context())
	defer cancel()
	res, err := b.carryOut(ctx, options)
	if err != nil {
		var option *workload.OptionError
		if errors.As(err, &option) {
			return &exit{exitUsage, err.Error()}
		}
		return err
	}
	if err := b.print(res); err != nil {
		return err
	}
	if err := out.write(res); err != nil {
		return err
	}
	return verdictOf(res)
}

// options makes a run of the flags.
func (b *bench) options(spec workload.Spec) (benchmarks.Options, error) {
	var o benchmarks.Options
	if b.app.commandConfig != "" {
		return o, usagef("--command-config %s: sluice bench takes no client properties; its flags say "+
			"all that its clients do", b.app.commandConfig)
	}
	if b.liveWhen != "auto" && b.liveWhen != "on" && b.liveWhen != "off" {
		return o, usagef("--live %s: must be auto, on or off", b.liveWhen)
	}
	bootstrap := b.app.bootstrap
	if bootstrap == "" {
		bootstrap = client.DefaultBootstrap
	}
	addrs, err := client.ParseBootstrap(bootstrap)
	if err != nil {
		return o, &exit{exitUsage, "--bootstrap-server " + bootstrap + ": " + err.Error()}
	}
	return benchmarks.Options{
		Spec: spec, Target: drive.Target{Addrs: addrs, Raw: b.limitServer}, Command: os.Args,
		Who:       measured.Target{Name: b.name, Variant: b.variant, Version: b.targetVersion},
		BrokerPid: b.brokerPid, Admin: b.admin, DataDir: b.dataDir, UseExisting: b.useExisting,
	}, nil
}

// carryOut runs with a live line beside it.
func (b *bench) carryOut(ctx context.Context, o benchmarks.Options) (*measured.Result, error) {
	if b.quiet || b.liveWhen == "off" {
		return benchmarks.Run(ctx, o)
	}
	live := show.NewLive(b.app.err, o.Spec, b.liveWhen == "on" || isTerminal(b.app.err))
	defer live.Close()
	o.Live, o.Step = live.Tick, live.Step
	return benchmarks.Run(ctx, o)
}

func (b *bench) print(res *measured.Result) error {
	if b.app.json() {
		return b.app.printJSON(res)
	}
	return show.Report(b.app.out, res)
}

// verdictOf is how the command ends. Why a run is invalid stands in what was printed.
func verdictOf(res *measured.Result) error {
	switch {
	case res.Interrupted:
		return &exit{exitInterrupted, ""}
	case res.Error != "":
		return &exit{exitFailed, res.Error}
	case len(res.Invalid) > 0:
		return &exit{exitInvalid, ""}
	}
	return nil
}

// results are the files that a run writes. They are opened before it, so that nobody measures for
// minutes only to find that nothing can be kept.
type results struct {
	temp   *os.File
	path   string
	folder string
}

func openResults(path, folder string) (*results, error) {
	r := &results{path: path, folder: folder}
	if folder != "" {
		if err := os.MkdirAll(folder, 0o777); err != nil {
			return nil, fmt.Errorf("--hgrm: %w", err)
		}
	}
	if path == "" {
		return r, nil
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return nil, fmt.Errorf("--json: %w", err)
	}
	r.temp = temp
	return r, nil
}

// discard removes what was not completed.
func (r *results) discard() {
	if r.temp != nil {
		r.temp.Close()
		os.Remove(r.temp.Name())
	}
}

// write writes the result and a distribution for each stage.
func (r *results) write(res *measured.Result) error {
	if r.temp != nil {
		e := json.NewEncoder(r.temp)
		e.SetIndent("", "  ")
		err := errors.Join(e.Encode(res), r.temp.Chmod(0o644), r.temp.Close())
		if err == nil {
			err = os.Rename(r.temp.Name(), r.path)
		}
		if err != nil {
			return fmt.Errorf("--json %s: %w", r.path, err)
		}
		r.temp = nil
	}
	if r.folder == "" {
		return nil
	}
	for stage, h := range res.Stages {
		path := filepath.Join(r.folder, fileName(res.Spec.Name)+"-"+stage+".hgrm")
		if err := writeFile(path, h.WriteHGRM); err != nil {
			return fmt.Errorf("--hgrm: %w", err)
		}
	}
	return nil
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// fileName makes a name of a workload's name, which may have slashes in it.
func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r == 0 {
			return '_'
		}
		return r
	}, name)
}
