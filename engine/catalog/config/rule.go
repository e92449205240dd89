package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Importance says how much an operator should care about a key.
type Importance uint8

// The importances.
const (
	High Importance = iota
	Medium
	Low
)

// null as a default says that a key has no value unless set.
const null = "\x00"

type ruleKind uint8

const (
	ruleAny      ruleKind = iota
	ruleRange             // min to max, or the number or.
	ruleFraction          // fmin to fmax.
	ruleWords             // One of words; as a list, any of them, each once unless repeats.
	ruleNonEmpty
	ruleThrottled // A list of partition:broker, or "*".
)

// rule is what a value must satisfy besides being of its type.
type rule struct {
	kind       ruleKind
	min, max   int64
	or         int64
	hasOr      bool
	fmin, fmax float64
	words      []string
	fold       bool     // Words in any case.
	repeats    bool     // A list may name a word more than once.
	later      []string // Words that a later version will take.
}

var (
	anyValue = rule{}
	nonEmpty = rule{kind: ruleNonEmpty}
)

func atLeast(least int64) rule { return rule{kind: ruleRange, min: least, max: math.MaxInt64} }

func between(least, most int64) rule { return rule{kind: ruleRange, min: least, max: most} }

func intsOr(or, least, most int64) rule {
	return rule{kind: ruleRange, min: least, max: most, or: or, hasOr: true}
}

func longsOr(or, least int64) rule { return intsOr(or, least, math.MaxInt64) }

func fraction(least, most float64) rule {
	return rule{kind: ruleFraction, fmin: least, fmax: most}
}

func oneOf(words ...string) rule { return rule{kind: ruleWords, words: words} }

func oneOfFold(words ...string) rule { return rule{kind: ruleWords, words: words, fold: true} }

func listOf(words ...string) rule { return rule{kind: ruleWords, words: words} }

func listOfRepeating(words ...string) rule {
	return rule{kind: ruleWords, words: words, repeats: true}
}

// butNotYet names words that the rule will take in a later version, for refusals to say so.
func (r rule) butNotYet(words ...string) rule {
	r.later = words
	return r
}

func protocol() rule { return oneOf("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL") }

func throttledReplicas() rule { return rule{kind: ruleThrottled} }

func key(
	name string, t Type, fallback string, m Mode, i Importance, r rule, doc string,
) Def {
	d := Def{
		Name: name, Type: t, Default: fallback, Mode: m, Importance: i, Doc: doc, valid: r,
	}
	if fallback == null {
		d.Default, d.NoDefault = "", true
	}
	return d
}

func internalKey(
	name string, t Type, fallback string, m Mode, i Importance, r rule, doc string,
) Def {
	d := key(name, t, fallback, m, i, r, doc)
	d.internal = true
	return d
}

func topicKey(name string, t Type, fallback, synonym string, r rule, doc string) Def {
	d := key(name, t, fallback, ClusterWide, Medium, r, doc)
	d.Synonym = synonym
	return d
}

// bounds are the least and greatest number of a type.
func (t Type) bounds() (least, most int64) {
	switch t {
	case Short:
		return math.MinInt16, math.MaxInt16
	case Int:
		return math.MinInt32, math.MaxInt32
	default:
		return math.MinInt64, math.MaxInt64
	}
}

func (d *Def) allowed() string {
	r := &d.valid
	switch {
	case r.kind == ruleWords && len(r.words) == 1:
		return r.words[0]
	case r.kind == ruleWords && d.Type == List:
		return "a list of any of: " + strings.Join(r.words, ", ")
	case r.kind == ruleWords:
		return "one of: " + strings.Join(r.words, ", ")
	case r.kind == ruleThrottled:
		return "a list of partition:broker pairs, or *"
	case r.kind == ruleNonEmpty:
		return "a text that is not empty"
	case r.kind == ruleFraction:
		return fmt.Sprintf("a number from %v to %v", r.fmin, r.fmax)
	}
	switch d.Type {
	case Boolean:
		return "true or false"
	case Int, Short, Long:
		return d.allowedNumbers()
	case Double:
		return "a number"
	case List:
		return "a list separated by commas"
	default:
		return "a text"
	}
}

func (d *Def) allowedNumbers() string {
	least, most := d.Type.bounds()
	if d.valid.kind == ruleRange {
		least, most = max(least, d.valid.min), min(most, d.valid.max)
	}
	text := fmt.Sprintf("a whole number from %d to %d", least, most)
	if d.valid.hasOr {
		text = fmt.Sprintf("%d, or %s", d.valid.or, text)
	}
	return text
}

func (d *Def) check(value string) error {
	trimmed := strings.TrimSpace(value)
	if d.takes(trimmed) {
		return nil
	}
	if slices.Contains(d.valid.later, trimmed) {
		return fmt.Errorf("%s=%s: not available in this version yet; must be %s", d.Name, trimmed,
			d.Allowed())
	}
	if d.Sensitive() {
		value = "[hidden]"
	}
	return fmt.Errorf("%s=%s: must be %s", d.Name, shorten(value), d.Allowed())
}

// shorten keeps an absurd value from filling a message.
func shorten(value string) string {
	const most = 100
	if len(value) <= most {
		return value
	}
	return strings.ToValidUTF8(value[:most], "") + "…"
}

func (d *Def) takes(v string) bool {
	switch d.Type {
	case Boolean:
		return strings.EqualFold(v, "true") || strings.EqualFold(v, "false")
	case Int, Short, Long:
		least, most := d.Type.bounds()
		n, err := strconv.ParseInt(v, 10, 64)
		return err == nil && n >= least && n <= most && d.valid.takesNumber(n)
	case Double:
		f, err := strconv.ParseFloat(v, 64)
		return err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) &&
			(d.valid.kind != ruleFraction || f >= d.valid.fmin && f <= d.valid.fmax)
	case List:
		return d.valid.takesList(SplitList(v))
	default:
		return d.valid.takesText(v)
	}
}

func (r *rule) takesNumber(n int64) bool {
	return r.kind != ruleRange || n >= r.min && n <= r.max || r.hasOr && n == r.or
}

func (r *rule) takesText(v string) bool {
	switch r.kind {
	case ruleNonEmpty:
		return v != ""
	case ruleWords:
		return slices.ContainsFunc(r.words, func(w string) bool {
			return w == v || r.fold && strings.EqualFold(w, v)
		})
	default:
		return true
	}
}

func (r *rule) takesList(items []string) bool {
	for i, item := range items {
		if item == "" {
			return false
		}
		switch r.kind {
		case ruleWords:
			if !r.takesText(item) || !r.repeats && slices.Contains(items[:i], item) {
				return false
			}
		case ruleThrottled:
			if !(item == "*" && len(items) == 1) && !isReplicaPair(item) {
				return false
			}
		}
	}
	return true
}

// isReplicaPair says whether item is two whole numbers around a colon.
func isReplicaPair(item string) bool {
	partition, broker, ok := strings.Cut(item, ":")
	_, err1 := strconv.ParseUint(partition, 10, 31)
	_, err2 := strconv.ParseUint(broker, 10, 31)
	return ok && err1 == nil && err2 == nil
}

// SplitList splits a list value at its commas and trims blanks around each item. A blank value is
// the empty list.
func SplitList(value string) []string {
	value = strings.TrimSpace(value)
	if value == "" {
		return nil
	}
	items := strings.Split(value, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}
