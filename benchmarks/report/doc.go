// Package report makes a report out of a folder of raw runs. Nothing in it is typed by hand: tables,
// plots, ratios and verdicts are computed from the raw histograms each time, and the same folder
// gives the same bytes.
//
//	results/<date>-<host>/
//	    raw/*.json, raw/*.json.gz   one result.Result each
//	    goals.json                  []Goal: the bounds, written by the suite beside its runs
//	    facts.json                  the host's fingerprint (any JSON object; tuning writes it)
//	    limits.json                 []Limit: disk and memory limits of the box
//	    report.html                 written here: one file, nothing loaded from elsewhere
//	    README.md                   written here: the same in short
//	    plots/*.svg                 written here: the report's plots as files
//	    hgrm/*.hgrm                 written here: merged percentile distributions, for any plotter
//
// The way through the package: Read collects a folder and forgives what it cannot read, by name;
// Build computes everything that is said, as plain data (Report); Write renders that data and
// computes nothing. A run counts if it has neither error nor reason of invalidity and passes the
// discard rule of package stats; percentiles come from such runs only, so never from failures.
package report
