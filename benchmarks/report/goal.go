package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"sluice/benchmarks/result"
	"sluice/benchmarks/stats"
)

// Sluice is the target whose share of limits and peers the report computes.
const Sluice = "sluice"

// LimitPrefix begins the names of targets that are limit servers, not brokers.
const LimitPrefix = "limit-"

// CeilingLabel marks runs of the discarding client; they are never compared with a peer.
const CeilingLabel = "broker ceiling"

// Side is one side of a comparison.
type Side struct {
	// Target and Variant are compared with result.Target's fields; Variant "" is only "".
	Target  string `json:"target"`
	Variant string `json:"variant,omitempty"`
	// Case names the case to take this side's runs from, where it is not the check's own case. Their
	// workload is their own then, and the goal's label is not asked of them.
	Case string `json:"case,omitempty"`
	// Limit names a row of limits.json instead of a target: a constant without runs of its own.
	Limit string `json:"limit,omitempty"`
}

// String is the side as tables show it.
func (s Side) String() string {
	switch {
	case s.Limit != "":
		return "limit " + s.Limit
	case s.Variant != "":
		return s.Target + " (" + s.Variant + ")"
	}
	return s.Target
}

// IsPeer says that the side is another broker, neither Sluice nor a limit.
func (s Side) IsPeer() bool {
	return s.Limit == "" && s.Target != Sluice && !strings.HasPrefix(s.Target, LimitPrefix)
}

func (s Side) matches(t result.Target) bool {
	return s.Limit == "" && t.Name == s.Target && t.Variant == s.Variant
}

// Goal is one statement that the report judges. Every case is compared with every side of Against
// by itself, and the goal is met only if all comparisons are: so "an eighth of the smaller heap" is
// Against both heaps, and "95 % of the best peer" is Against every peer.
type Goal struct {
	ID   string `json:"id"`
	Text string `json:"text"` // as its row of the requirement reads
	// Cases are values of result.Plan.Case. All runs of a comparison must have had the same workload,
	// client and placement among it, or the goal is invalid: what differs belongs into another case.
	Cases []string `json:"cases"`
	Of    Side     `json:"of"`
	// Against is what Of is divided by; empty makes the goal absolute.
	Against []Side `json:"against,omitempty"`
	// Metric is one of MetricNames or begins with FigurePrefix; AgainstMetric is the denominator's,
	// where it differs.
	Metric        string     `json:"metric"`
	AgainstMetric string     `json:"against_metric,omitempty"`
	Kind          stats.Kind `json:"kind"`
	Bound         float64    `json:"bound"`
	// Label, if not "", takes only runs with that label. "burst" also takes the burst part of a
	// sustained run, for metrics of throughput.
	Label string `json:"label,omitempty"`
	// PairsMin raises the number of pairs (of runs, in an absolute goal) that must count; 0 is
	// stats.PairsMin.
	PairsMin int `json:"pairs_min,omitempty"`
	// Rows are names of limits.json by case. Each must be there and reach limits.ShareMin of its
	// reference, or the goal is invalid: a share of a limit says nothing where nothing shows that the
	// limit was itself.
	Rows map[string][]string `json:"rows,omitempty"`
	// Ceiling, where it is set, is held against what the goal asks for: the report says which part of
	// the machine's limit it would take. It changes no verdict.
	Ceiling *Ceiling `json:"ceiling,omitempty"`
	// Or is another way to meet the goal, judged only for the cases that do not meet it this way.
	// Its ID, Text and Cases are left empty.
	Or *Goal `json:"or,omitempty"`
}

// Ceiling is what the best of some limit servers reaches in the goal's own cases.
type Ceiling struct {
	Targets []string `json:"targets"`
	Text    string   `json:"text"` // what they do: "receive + CRC + pwrite"
}

// Validate says what makes the goal impossible to judge, nil if nothing does.
func (g Goal) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if g.ID == "" {
		bad("id is empty")
	}
	if len(g.Cases) == 0 || slices.Contains(g.Cases, "") {
		bad("cases: none, or an empty name")
	}
	if c := g.Ceiling; c != nil {
		peer := func(target string) bool { return !strings.HasPrefix(target, LimitPrefix) }
		if len(c.Targets) == 0 || slices.ContainsFunc(c.Targets, peer) || c.Text == "" {
			bad("ceiling: targets %q are not all limits, or none, or it has no text", c.Targets)
		}
		if g.Kind != stats.AtLeast || len(g.Against) == 0 {
			bad("ceiling: only of a ratio that is to be %s", stats.AtLeast)
		}
	}
	g.validateComparison(bad)
	for or := g.Or; or != nil; or = or.Or {
		if or.ID != "" || len(or.Cases) != 0 {
			bad("or: id and cases are those of the goal itself")
		}
		or.validateComparison(bad)
	}
	return errors.Join(errs...)
}

func (g Goal) validateComparison(bad func(string, ...any)) {
	if g.Of.Target == "" {
		bad("of: no target")
	}
	for _, name := range []string{g.Metric, g.denominatorMetric()} {
		if _, ok := metricByName(name); !ok {
			bad("metric %q is none of %s", name, strings.Join(MetricNames(), ", "))
		}
	}
	if g.Kind != stats.AtLeast && g.Kind != stats.AtMost {
		bad("kind %q is neither %s nor %s", g.Kind, stats.AtLeast, stats.AtMost)
	}
	if !(g.Bound > 0) {
		bad("bound %g is not positive", g.Bound)
	}
	for _, a := range g.Against {
		if (a.Target == "") == (a.Limit == "") {
			bad("against: exactly one of target and limit must be set")
		}
		if a.IsPeer() && g.Label == CeilingLabel {
			bad("against %s: a run labelled %q is never compared with a peer", a, CeilingLabel)
		}
	}
	if len(g.Against) > 0 && g.Metric == SpreadMetric {
		bad("metric %s is of one target, it has no ratio", SpreadMetric)
	}
}

func (g Goal) denominatorMetric() string {
	if g.AgainstMetric != "" {
		return g.AgainstMetric
	}
	return g.Metric
}

// WriteGoals writes goals.json beside the raw results, so that bounds stay with the data.
func WriteGoals(path string, goals []Goal) error {
	for _, g := range goals {
		if err := g.Validate(); err != nil {
			return fmt.Errorf("goal %q: %w", g.ID, err)
		}
	}
	text, err := json.MarshalIndent(goals, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
