package stats

import "fmt"

// Kind is the direction of a goal.
type Kind string

// The kinds of goals.
const (
	AtLeast Kind = "at_least"
	AtMost  Kind = "at_most"
)

// Outcome is what became of a goal.
type Outcome string

// The outcomes. Invalid is neither met nor missed: the runs do not allow a statement.
const (
	Pass    Outcome = "PASS"
	Fail    Outcome = "FAIL"
	Invalid Outcome = "INVALID"
)

// Goal is a bound on a figure. It is met only if the interval's bad end meets it.
type Goal struct {
	Metric string
	Kind   Kind
	Bound  float64
}

// Verdict is an outcome with its reason, a sentence without a full stop.
type Verdict struct {
	Outcome Outcome
	Reason  string
}

// Judge compares the interval of a series with the goal. The interval is that of the series' mean,
// or of whatever else was computed from it (Spread).
func (g Goal) Judge(s Series, i Interval) Verdict {
	if g.Kind != AtLeast && g.Kind != AtMost {
		return Verdict{Invalid, fmt.Sprintf("kind %q is neither %s nor %s", g.Kind, AtLeast, AtMost)}
	}
	all := len(s.Values) + len(s.Dropped)
	switch {
	case all == 0:
		return Verdict{Invalid, "no runs"}
	case s.DroppedShare() > DroppedShareMax:
		return Verdict{Invalid, fmt.Sprintf("%d of %d pairs dropped: %s", len(s.Dropped), all,
			s.Dropped[0].Why)}
	case !i.Known():
		return Verdict{Invalid, fmt.Sprintf("too few pairs: %d, an interval needs %d", i.N, PairsMin)}
	}
	return g.compare(i)
}

// rounding is what logarithms and back may cost a figure that lies exactly on its bound.
const rounding = 1e-9

func (g Goal) compare(i Interval) Verdict {
	bad, sign := i.Low, "≥"
	meets := func(v float64) bool { return v >= g.Bound*(1-rounding) }
	if g.Kind == AtMost {
		bad, sign = i.High, "≤"
		meets = func(v float64) bool { return v <= g.Bound*(1+rounding) }
	}
	met, better := meets(bad), meets(i.Value)
	switch {
	case met:
		return Verdict{Pass, fmt.Sprintf("the interval's bad end %.4g is %s %.4g", bad, sign, g.Bound)}
	case better:
		return Verdict{Fail, fmt.Sprintf("the estimate %.4g meets %s %.4g, the interval's bad end %.4g does not",
			i.Value, sign, g.Bound, bad)}
	}
	return Verdict{Fail, fmt.Sprintf("the estimate %.4g misses %s %.4g", i.Value, sign, g.Bound)}
}
