// Command suite carries out the plan of a whole report, Sluice beside Apache Kafka, other peers and
// the limits of the machine, and leaves its raw results in a folder from which cmd/report makes the
// report. With the whole plan it takes about an hour; -only carries out parts of it.
package main

import (
	"context"
	"errors"
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

// Exit codes: 0 done, 1 a case failed or nothing could be done, 3 time was up (-for) and -more goes on.
const exitUnfinished = 3

func main() {
	err := run()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "suite:", err)
	if errors.Is(err, suite.ErrUnfinished) {
		os.Exit(exitUnfinished)
	}
	os.Exit(1)
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
	pairs := flag.Int("pairs", 0, "so many pairs that count for every case, instead of as planned")
	repeats := flag.Int("repeats", 6, "at most so many pairs more a case, and not over twice as many, "+
		"in place of pairs lost to stolen time")
	more := flag.Bool("more", false, "go on with what -out has, rather than beginning cases anew")
	limit := flag.Duration("for", 0, "begin no pair that would not be done after so long, and exit with 3; "+
		"-more goes on")
	list := flag.Bool("list", false, "print the plan with estimated times, and slices by -for; run nothing")
	warm := flag.Duration("warm-up", 60*time.Second, "load on Apache Kafka before its first turn")
	flag.Parse()
	o := suite.Options{
		Out: *out, Scale: *scale, Pairs: *pairs, Repeats: *repeats, More: *more, For: *limit, WarmUp: *warm,
		Log: os.Stderr,
	}
	if o.Only, err = regexp.Compile(*only); err != nil {
		return fmt.Errorf("-only %s: %w", *only, err)
	}
	if o.Targets, err = regexp.Compile(*targets); err != nil {
		return fmt.Errorf("-targets %s: %w", *targets, err)
	}
	if o.Scale <= 0 || o.Pairs < 0 || o.Repeats < 0 || o.WarmUp < 0 || o.For < 0 {
		return fmt.Errorf("-scale %v, -pairs %d, -repeats %d, -warm-up %v, -for %v: must be positive",
			o.Scale, o.Pairs, o.Repeats, o.WarmUp, o.For)
	}
	if *list {
		return suite.PrintList(os.Stdout, suite.List(o))
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
