package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sluice/benchmarks/limits"
	"sluice/benchmarks/stats"
	"sluice/benchmarks/workload"
)

// Judged is a goal with its verdict.
type Judged struct {
	Goal    Goal
	Outcome stats.Outcome
	Reason  string // of the check that decided
	Checks  []Check
}

// Check is one comparison of a goal: one case, one denominator.
type Check struct {
	Case    string
	Way     Goal   // the goal, or its Or
	Against string // "" in an absolute goal
	Unit    string // "×" for a ratio
	Series  stats.Series
	Figure  stats.Interval
	Verdict stats.Verdict
}

// judge computes a goal's verdict. invalid, if not "", is why no goal of the folder can count.
func judge(f *Folder, g Goal, invalid string) Judged {
	j := Judged{Goal: g, Outcome: stats.Pass}
	for _, name := range g.Cases {
		checks := g.checks(f, name)
		verdict := worst(checks)
		for way := g.Or; way != nil && verdict.Outcome != stats.Pass; way = way.Or {
			other := way.checks(f, name)
			checks = append(checks, other...)
			if v := worst(other); v.Outcome == stats.Pass {
				v.Reason = "met the other way: " + v.Reason
				verdict = v
			}
		}
		j.Checks = append(j.Checks, checks...)
		if j.Reason == "" || worse(verdict.Outcome, j.Outcome) {
			j.Outcome, j.Reason = verdict.Outcome, name+": "+verdict.Reason
		}
	}
	if invalid != "" {
		j.Reason = fmt.Sprintf("the box was not itself, see above (else %s: %s)", j.Outcome, j.Reason)
		j.Outcome = stats.Invalid
	}
	if j.Outcome != stats.Pass {
		for _, text := range g.ceilings(f) {
			j.Reason += "; " + text
		}
	}
	return j
}

// worse orders outcomes: a miss in one case is a miss, whatever the others could not show.
func worse(a, b stats.Outcome) bool {
	rank := map[stats.Outcome]int{stats.Pass: 0, stats.Invalid: 1, stats.Fail: 2}
	return rank[a] > rank[b]
}

func worst(checks []Check) stats.Verdict {
	v := checks[0].Verdict
	for _, c := range checks[1:] {
		if worse(c.Verdict.Outcome, v.Outcome) {
			v = c.Verdict
		}
	}
	return v
}

// checks compares one case with every side of Against.
func (g Goal) checks(f *Folder, name string) []Check {
	if len(g.Against) == 0 {
		return []Check{g.check(f, name, nil)}
	}
	var all []Check
	for i := range g.Against {
		all = append(all, g.check(f, name, &g.Against[i]))
	}
	return all
}

func (g Goal) check(f *Folder, name string, against *Side) Check {
	metric, _ := metricByName(g.Metric)
	c := Check{Case: name, Way: g, Unit: metric.Unit}
	ours := f.side(g.Of, name, g.Label)
	runs := ours
	switch {
	case against == nil:
		c.Series = stats.Values(turns(ours, metric, g.Label))
	case against.Limit != "":
		c.Against, c.Unit = against.String(), "×"
		c.Series = againstLimit(f, turns(ours, metric, g.Label), metric, against.Limit)
	default:
		c.Against, c.Unit = against.String(), "×"
		below, _ := metricByName(g.denominatorMetric())
		theirs := f.side(*against, name, g.Label)
		c.Series = stats.Ratios(g.turnsAgainst(*against, ours, metric),
			g.turnsAgainst(*against, theirs, below))
		if against.Case == "" {
			runs = slices.Concat(ours, theirs)
		}
	}
	c.Figure = c.Series.Mean()
	if g.Metric == SpreadMetric {
		c.Series = stats.Values(eachRun(turns(ours, metric, g.Label)))
		c.Figure = c.Series.Spread()
	}
	c.Verdict = g.verdict(c, runs, against)
	why := g.absent(f, name, ours, against)
	if why == "" {
		why = rowsInvalid(f.Limits, g.Rows[name])
	}
	if why != "" {
		c.Verdict = stats.Verdict{Outcome: stats.Invalid, Reason: why}
	}
	return c
}

// turnsAgainst are the turns of one side of a ratio. Beside a peer the discard rule must have been
// applied to every run, so one that was loaded without a view of the host does not count.
func (g Goal) turnsAgainst(against Side, runs []Run, m Metric) []stats.Turn {
	all := turns(runs, m, g.Label)
	for i, r := range runs {
		if against.IsPeer() && all[i].Drop == "" && r.Usage != nil && r.Usage.Host == nil {
			all[i].Drop = "the host was not measured, so nothing shows how much time was stolen"
		}
	}
	return all
}

// absent says which side has no runs at all.
func (g Goal) absent(f *Folder, name string, ours []Run, against *Side) string {
	labelled := ""
	if g.Label != "" {
		labelled = fmt.Sprintf(" labelled %q", g.Label)
	}
	if len(ours) == 0 {
		return fmt.Sprintf("no runs of %s%s", g.Of, labelled)
	}
	if against != nil && against.Limit == "" && len(f.side(*against, name, g.Label)) == 0 {
		return fmt.Sprintf("no runs of %s%s", *against, labelled)
	}
	return ""
}

func (g Goal) verdict(c Check, runs []Run, against *Side) stats.Verdict {
	if why := unequal(runs); why != "" {
		return stats.Verdict{Outcome: stats.Invalid, Reason: why}
	}
	if m, _ := metricByName(g.Metric); against != nil && m.Stage != "" {
		if why := notLatencies(runs, against.IsPeer()); why != "" {
			return stats.Verdict{Outcome: stats.Invalid, Reason: why}
		}
	}
	if against != nil && against.IsPeer() {
		for _, r := range runs {
			if r.Label == CeilingLabel {
				return stats.Verdict{
					Outcome: stats.Invalid,
					Reason:  fmt.Sprintf("a run labelled %q is never compared with a peer", CeilingLabel),
				}
			}
		}
	}
	v := stats.Goal{Metric: g.Metric, Kind: g.Kind, Bound: g.Bound}.Judge(c.Series, c.Figure)
	if v.Outcome == stats.Pass && c.Figure.N < g.PairsMin {
		return stats.Verdict{
			Outcome: stats.Invalid,
			Reason:  fmt.Sprintf("%d runs or pairs count, the goal asks for %d", c.Figure.N, g.PairsMin),
		}
	}
	return v
}

// side selects the runs of one side in one case. The label "burst" also selects sustained runs
// that tell their burst part apart.
func (f *Folder) side(s Side, name, label string) []Run {
	if s.Case != "" {
		name, label = s.Case, ""
	}
	var runs []Run
	for _, r := range f.Runs {
		labelled := label == "" || r.Label == label || usesBurst(r, label)
		if r.caseName() == name && s.matches(r.Target) && labelled {
			runs = append(runs, r)
		}
	}
	return runs
}

func usesBurst(r Run, label string) bool {
	return label == "burst" && r.Label == "sustained" && r.Burst != nil
}

func turns(runs []Run, m Metric, label string) []stats.Turn {
	var all []stats.Turn
	for _, r := range runs {
		t := stats.Turn{Pair: r.Plan.Pair, Drop: r.Drop()}
		if t.Drop == "" {
			of := m.Of
			if usesBurst(r, label) {
				of = m.burstOf
			}
			t.Value, t.Drop = of(r.Result)
		}
		all = append(all, t)
	}
	return all
}

// eachRun makes every run a pair of its own, for figures about single runs.
func eachRun(turns []stats.Turn) []stats.Turn {
	for i := range turns {
		turns[i].Pair = i
	}
	return turns
}

// againstLimit divides by a row of limits.json, in the metric's unit.
func againstLimit(f *Folder, ours []stats.Turn, m Metric, name string) stats.Series {
	value, why := limitValue(f.Limits, m, name)
	for i := range ours {
		if why != "" {
			ours[i].Drop = why
			continue
		}
		ours[i].Value /= value
	}
	return stats.Values(ours)
}

func limitValue(measures []limits.Measure, m Metric, name string) (float64, string) {
	i := slices.IndexFunc(measures, func(l limits.Measure) bool { return l.Name == name })
	if i < 0 {
		return 0, "limits.json has no " + name
	}
	l := measures[i]
	units := map[[2]string]float64{
		{"GB/s", "MB/s"}: 1000, {"MB/s", "MB/s"}: 1, {"us", "µs"}: 1,
		{"requests/s", "requests/s"}: 1, {"appends/s", "requests/s"}: 1,
	}
	factor, ok := units[[2]string{l.Unit, m.Unit}]
	if !ok || !(l.Value > 0) {
		return 0, fmt.Sprintf("limit %s (%g %s) cannot divide %s in %s", name, l.Value, l.Unit, m.Name, m.Unit)
	}
	return l.Value * factor, ""
}

// ownOfTarget are the fields of a spec that may differ between two runs that are compared: names,
// and what the data is, as long as there is as much of it. Settings of the topic may differ only where
// a variant says that something does.
var ownOfTarget = []string{
	"name", "description", "topic", "replication", "keep", "seed",
}

// unequal says which field of the spec differs between runs that should have had the same workload.
func unequal(runs []Run) string {
	var first map[string]json.RawMessage
	firstFile := ""
	for _, r := range runs {
		if r.Error != "" {
			continue // It has no figure that could be compared, and may never have known its workload.
		}
		fields := specFields(r.Spec)
		if first == nil {
			first, firstFile = fields, r.File
			continue
		}
		names := make([]string, 0, len(first)+len(fields))
		for name := range first {
			names = append(names, name)
		}
		for name := range fields {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			a, b := string(first[name]), string(fields[name])
			declared := name == "topic_config" && (runs[0].Target.Variant != "" || r.Target.Variant != "")
			if a != b && !declared && !slices.Contains(ownOfTarget, name) {
				return fmt.Sprintf("the runs had different workloads: %s is %s in %s, %s in %s",
					name, orAbsent(a), firstFile, orAbsent(b), r.File)
			}
		}
	}
	return ""
}

func orAbsent(text string) string {
	if text == "" {
		return "absent"
	}
	return text
}

func specFields(spec workload.Spec) map[string]json.RawMessage {
	text, err := json.Marshal(spec)
	if err != nil {
		panic("BUG: a spec that was read cannot be written: " + err.Error())
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		panic("BUG: a spec is not an object: " + err.Error())
	}
	return fields
}

// limitsInvalid says why the box was not itself: a limit under its share of the reference row, or
// none that could be held against one.
func limitsInvalid(f *Folder) string {
	if len(limits.Missing(f.Limits)) == len(limits.Rows()) {
		return "limits.json holds no limit with a reference row, so nothing shows that the box was itself"
	}
	below := limits.Check(f.Limits)
	if len(below) == 0 {
		return ""
	}
	return "the box was disturbed or is weaker than its reference: " + strings.Join(below, "; ")
}
