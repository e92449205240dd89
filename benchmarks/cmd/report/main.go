// Command report computes a report from a folder of raw benchmark results:
//
//	report [--strict] DIR
//
// It reads DIR/raw, goals.json, facts.json and limits.json and writes report.html, README.md, plots/
// and hgrm/ beside them. It exits with 0 if the report was made, with 2 if it could not be, and,
// with --strict, with 1 if a goal was missed or is invalid, or a file could not be used.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"sluice/benchmarks/report"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	flags.SetOutput(stderr)
	strict := flags.Bool("strict", false, "exit with 1 unless every goal is met and every file is usable")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: report [--strict] DIR\n\nDIR holds raw/*.json, goals.json, "+
			"facts.json and limits.json.")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() != 1 {
		flags.Usage()
		return 2
	}
	r, err := makeReport(flags.Arg(0))
	if err != nil {
		fmt.Fprintf(stderr, "report: %v\n", err)
		return 2
	}
	say(stdout, flags.Arg(0), r)
	if *strict && (r.Fail > 0 || r.Invalid > 0 || len(r.Problems) > 0) {
		return 1
	}
	return 0
}

func makeReport(dir string) (*report.Report, error) {
	folder, err := report.Read(dir)
	if err != nil {
		return nil, err
	}
	r, err := report.Build(folder)
	if err != nil {
		return nil, err
	}
	return r, r.Write(dir)
}

func say(w io.Writer, dir string, r *report.Report) {
	for _, p := range r.Problems {
		fmt.Fprintf(w, "%s: %s\n", p.File, p.Why)
	}
	for _, g := range r.Goals {
		fmt.Fprintf(w, "%-7s  %s: %s\n", g.Outcome, g.Goal.ID, g.Reason)
	}
	fmt.Fprintf(w, "%d runs, %d count; goals: %d met, %d missed, %d invalid\n%s\n", r.Runs, r.Counted,
		r.Pass, r.Fail, r.Invalid, filepath.Join(dir, "report.html"))
}
