package config

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// shown writes a value as its type does, whichever way it was written: numbers in their shortest
// form, lists without blanks, and without repeated words where those are allowed
// (ConfigDef.parseValue, convertToString). What does not parse is shown as it is.
func (d *Def) shown(value string) string {
	value = strings.TrimSpace(value)
	switch d.Type {
	case Boolean:
		return strings.ToLower(value)
	case Int, Short, Long:
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			return strconv.FormatInt(n, 10)
		}
	case Double:
		if f, err := strconv.ParseFloat(value, 64); err == nil {
			return shownDouble(f)
		}
	case List:
		items := SplitList(value)
		if d.valid.repeats {
			items = distinct(items)
		}
		return strings.Join(items, ",")
	}
	return value
}

// distinct drops all but the first of equal items, in place.
func distinct(items []string) []string {
	kept := items[:0]
	for _, item := range items {
		if !slices.Contains(kept, item) {
			kept = append(kept, item)
		}
	}
	return kept
}

// shownDouble writes a number as Java's Double.toString does, for tools that compare texts: always
// with a fraction, and with an exponent outside of a thousandth to ten millions.
func shownDouble(f float64) string {
	if size := math.Abs(f); size == 0 || size >= 1e-3 && size < 1e7 {
		text := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		return text
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	n, _ := strconv.Atoi(exponent)
	return mantissa + "E" + strconv.Itoa(n)
}
