// Command suite carries out the plan of a whole report, Sluice beside Apache Kafka, other peers and
// the limits of the machine, and leaves its raw results in a folder from which cmd/report makes the
// report. With the whole plan it takes about an hour; -only carries out parts of it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"sluice/benchmarks/suite"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
		os.Exit(1)
	}
}

func run() error {
	host, err := os.Hostname()
	if err != nil {
		host = "host"
	}
	out := flag.String("out", filepath.Join("benchmarks", "results", time.Now().Format("2006-01-02")+"-"+host),
		"the report's `folder`; raw results that it has already stay")
	work := flag.String("work", "", "`folder` for the brokers' data (default: a new one beside -out's results)")
	binary := flag.String("bin", filepath.Join("bin", "sluice"), "the built sluice")
	only := flag.String("only", "", "carry out only what matches this `regexp`: "+strings.Join(suite.IDs(), ", "))
	targets := flag.String("targets", "", "let only contenders that match this `regexp` have their turns")
	scale := flag.Float64("scale", 1, "multiply all times, for trying")
	pairs := flag.Int("pairs", 0, "at most so many pairs a case, for trying")
	warm := flag.Duration("warm-up", 60*time.Second, "load on Apache Kafka before its first turn")
	flag.Parse()
	o := suite.Options{
		Out: *out, Scale: *scale, PairsMax: *pairs, WarmUp: *warm, Log: os.Stderr,
	}
	if o.Only, err = regexp.Compile(*only); err != nil {
		return fmt.Errorf("-only %s: %w", *only, err)
	}
	if o.Targets, err = regexp.Compile(*targets); err != nil {
		return fmt.Errorf("-targets %s: %w", *targets, err)
	}
	if o.Scale <= 0 || o.PairsMax < 0 || o.WarmUp < 0 {
		return fmt.Errorf("-scale %v, -pairs %d, -warm-up %v: must be positive", o.Scale, o.PairsMax, o.WarmUp)
	}
	if o.Binary, err = filepath.Abs(*binary); err != nil {
		return err
	}
	if o.WorkDir = *work; o.WorkDir == "" {
		if o.WorkDir, err = os.MkdirTemp(filepath.Dir(o.Binary), "suite-"); err != nil {
			return err
		}
		defer os.RemoveAll(o.WorkDir)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return suite.Run(ctx, o)
}
