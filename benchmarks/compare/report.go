package compare

import (
	"errors"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// Errors that a comparison ends with.
var (
	// ErrRegressed says that at least one figure has regressed.
	ErrRegressed = errors.New("regressed")
	// ErrNothing says that a half of the comparison, or a workload, has no figure that is decided.
	ErrNothing = errors.New("nothing could be compared")
)

// Report prints the verdicts on w. A half that was not asked for is nil. The error wraps
// ErrRegressed or ErrNothing, or is nil; a regression that was seen outweighs what was not.
func Report(w io.Writer, deltas []Delta, ratios []Ratio, threshold float64) error {
	decided, regressed := len(deltas), 0
	if len(deltas) > 0 {
		regressed += reportDeltas(w, deltas, threshold)
	}
	if len(ratios) > 0 {
		known, worse := reportRatios(w, ratios, threshold)
		decided, regressed = decided+known, regressed+worse
	}
	if regressed > 0 {
		return fmt.Errorf("%d of %d figures %w by more than %.3g %%", regressed, decided, ErrRegressed,
			threshold*100)
	}
	if what := undecided(deltas, ratios); what != "" {
		return fmt.Errorf("%s: %w", what, ErrNothing)
	}
	fmt.Fprintf(w, "no regression over %.3g %% in %d figures\n", threshold*100, decided)
	return nil
}

// undecided names a half, or a case, about which nothing is known.
func undecided(deltas []Delta, ratios []Ratio) string {
	switch {
	case deltas == nil && ratios == nil:
		return "the comparison is empty"
	case deltas != nil && len(deltas) == 0:
		return "micro-benchmarks"
	case ratios != nil && len(ratios) == 0:
		return "end to end"
	}
	known := map[string]bool{}
	for _, r := range ratios {
		known[r.Case] = known[r.Case] || r.Interval.Known()
	}
	for _, r := range ratios {
		if !known[r.Case] {
			return "workload " + r.Case
		}
	}
	return ""
}

// reportDeltas prints the significant ones beyond the threshold, better ones too.
func reportDeltas(w io.Writer, deltas []Delta, threshold float64) (regressed int) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "micro-benchmark\tunit\told\tnew\tworse by\tp\t\n")
	shown := 0
	for _, d := range deltas {
		bad := d.Regressed(threshold)
		if bad {
			regressed++
		}
		if !d.Significant || math.Abs(d.Worse) <= threshold {
			continue
		}
		shown++
		fmt.Fprintf(t, "%s %s\t%s\t%.4g\t%.4g\t%+.1f %%\t%.3f\t%s\n", d.Package, d.Name, d.Unit, d.Old, d.New,
			d.Worse*100, d.P, mark(bad))
	}
	if shown == 0 {
		fmt.Fprintf(w, "micro-benchmarks: %d figures, none changed significantly by more than %.3g %%\n",
			len(deltas), threshold*100)
		return regressed
	}
	_ = t.Flush() // the writer below tells its own errors
	return regressed
}

// reportRatios prints all of them.
func reportRatios(w io.Writer, ratios []Ratio, threshold float64) (known, regressed int) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "end to end\tfigure\told\tnew\tnew/old\t90 %% interval\tpairs\t\n")
	for _, r := range ratios {
		interval, verdict := "undecided: too few pairs", ""
		if r.Interval.Known() {
			known++
			interval = fmt.Sprintf("%.3f to %.3f", r.Interval.Low, r.Interval.High)
			verdict = mark(r.Regressed(threshold))
			if r.Regressed(threshold) {
				regressed++
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%.4g\t%.4g\t%.3f\t%s\t%d\t%s\n", r.Case, r.Metric, r.Old, r.New,
			r.Interval.Value, interval, len(r.Series.Values), verdict)
		for _, d := range r.Series.Dropped {
			fmt.Fprintf(t, "\tpair %d dropped: %s\n", d.Pair, d.Why)
		}
	}
	_ = t.Flush() // the writer below tells its own errors
	return known, regressed
}

func mark(regressed bool) string {
	if regressed {
		return "REGRESSED"
	}
	return ""
}
