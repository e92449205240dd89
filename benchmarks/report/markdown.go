package report

import (
	"fmt"
	"strings"
)

// markdown renders the summary.
func (r *Report) markdown() []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Sluice benchmark: %s\n", r.Name)
	line("%s, %d runs of which %d count. **%d goals met, %d missed, %d invalid.**", r.days(), r.Runs,
		r.Counted, r.Pass, r.Fail, r.Invalid)
	line("The whole report is [report.html](report.html); it was computed from [raw](raw), and " +
		"`go run ./benchmarks/cmd/report` on this folder computes it again.\n")
	if r.BoxInvalid != "" {
		line("**No goal of this report counts.** %s\n", inMarkdown(r.BoxInvalid))
	}
	if len(r.Problems) > 0 {
		line("## Missing or unusable files\n")
		for _, p := range r.Problems {
			line("- `%s`: %s", p.File, inMarkdown(p.Why))
		}
		line("")
	}
	if len(r.Goals) > 0 {
		line("## Goals\n")
		t := Table{Head: []string{"goal", "verdict", "why"}}
		for _, g := range r.Goals {
			t.add(plain(g.Goal.Text), plain("**"+string(g.Outcome)+"**"), plain(g.Reason))
		}
		t.markdown(&b)
	}
	if len(r.Overview.Rows) > 0 {
		line("## Sluice compared\n\nShares of machine limits, and ratios to other brokers (for latency and " +
			"processor time less than 1 × is better).\n")
		r.Overview.markdown(&b)
	}
	r.markdownCases(&b)
	r.markdownEnd(&b)
	return []byte(b.String())
}

func (r *Report) markdownCases(b *strings.Builder) {
	for _, c := range r.Cases {
		fmt.Fprintf(b, "## %s\n\n%s\n\n", inMarkdown(c.Name), inMarkdown(c.Workload))
		c.Through.markdown(b)
		c.Latency.markdown(b)
		if c.LatencyNote != "" {
			fmt.Fprintf(b, "%s\n\n", c.LatencyNote)
		}
		c.Cost.markdown(b)
		for _, ratios := range c.Ratios {
			fmt.Fprintf(b, "Ratios of %s:\n\n", inMarkdown(ratios.Title))
			ratios.Table.markdown(b)
		}
		if len(c.Shares.Rows) > 0 {
			fmt.Fprintf(b, "Shares of the machine's limit:\n\n")
			c.Shares.markdown(b)
		}
		for _, p := range c.Plots {
			fmt.Fprintf(b, "![%s](plots/%s)\n", inMarkdown(p.Title), p.File)
		}
		fmt.Fprintln(b)
	}
}

func (r *Report) markdownEnd(b *strings.Builder) {
	fmt.Fprintf(b, "## How to read it\n\n")
	for _, p := range method {
		fmt.Fprintf(b, "%s\n\n", p)
	}
	fmt.Fprintf(b, "## What the numbers do not show\n\n")
	for _, c := range caveats {
		fmt.Fprintf(b, "- **%s** %s\n", strings.TrimSpace(c.Lead), c.Text)
	}
	if len(r.Dropped) > 0 {
		fmt.Fprintf(b, "\n## Runs that do not count\n\n%d of them by the rule on stolen time.\n\n", r.Discarded)
		t := Table{Head: []string{"run", "case", "target", "why"}}
		for _, d := range r.Dropped {
			t.add(plain(d.File), plain(d.Case), plain(d.Target), plain(d.Why))
		}
		t.markdown(b)
	}
}

// markdown renders a table; an interval follows its figure in brackets.
func (t Table) markdown(b *strings.Builder) {
	if len(t.Rows) == 0 {
		return
	}
	rule := make([]string, len(t.Head))
	for i := range rule {
		rule[i] = "---:"
	}
	rule[0] = ":---"
	fmt.Fprintf(b, "| %s |\n| %s |\n", strings.Join(t.Head, " | "), strings.Join(rule, " | "))
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = inMarkdown(c.Text)
			if c.Sub != "" {
				cells[i] += " (" + inMarkdown(c.Sub) + ")"
			}
		}
		fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
	}
	fmt.Fprintln(b)
}

// inMarkdown keeps text from being taken for markup or for the end of a cell.
func inMarkdown(text string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;", "_", "\\_").Replace(text)
}
