package config

import (
	"slices"
	"strings"
)

// The rules here are those of Kafka's ConfigHelper: a key's synonyms are every place that sets it
// or a name it derives from, strongest first, ending with built-in defaults; leading ones under
// another name are dropped; and the first that remains is the source. So retention.ms that comes
// from log.retention.hours is shown as a default, without synonyms, just as Kafka shows it.

func describeTopic(l Layers, names []string) []Entry {
	var entries []Entry
	for _, d := range topicSorted {
		if names != nil && !slices.Contains(names, d.Name) {
			continue
		}
		written := topicValue(l, d)
		value := d.shown(written)
		e := Entry{
			Name: d.Name, Value: &value, Written: &written, Source: SourceDefault, Type: d.Type,
			Doc: d.Doc,
		}
		if _, set := get(l.Topic, d.Name); set {
			e.Synonyms = append(e.Synonyms,
				Synonym{Name: d.Name, Value: &value, Source: SourceTopic})
		}
		if d.Synonym != "" {
			e.Synonyms = append(e.Synonyms, brokerSynonyms(l, d.Synonym, false)...)
		}
		if len(e.Synonyms) > 0 {
			e.Source = e.Synonyms[0].Source
		}
		entries = append(entries, e)
	}
	return entries
}

// brokerSynonyms lists the places that set a broker key.
func brokerSynonyms(l Layers, name string, sensitive bool) []Synonym {
	var found []Synonym
	add := func(name, value string, source Source) {
		s := Synonym{Name: name, Source: source}
		if !sensitive {
			s.Value = &value
		}
		found = append(found, s)
	}
	names := synonymsOf(name)
	layers := [...]struct {
		layer  Getter
		source Source
	}{
		{l.DynamicBroker, SourceDynamicBroker},
		{l.DynamicDefault, SourceDynamicDefault},
		{l.Static, SourceStatic},
	}
	for _, at := range layers {
		for _, n := range names {
			if v, set := get(at.layer, n); set {
				add(n, v, at.source)
			}
		}
	}
	for _, n := range names {
		if d := brokerIndex[n]; d != nil && !d.NoDefault {
			add(n, d.Default, SourceDefault)
		}
	}
	first := slices.IndexFunc(found, func(s Synonym) bool { return s.Name == name })
	if first < 0 {
		return nil
	}
	return found[first:]
}

func describeBroker(l Layers, names []string) []Entry {
	var entries []Entry
	for _, name := range brokerNames(l) {
		if names == nil || slices.Contains(names, name) {
			entries = append(entries, brokerEntry(l, name))
		}
	}
	return entries
}

// lister is a layer that can say which keys it holds.
type lister interface{ Names() []string }

// Names returns the keys of the layer, in order.
func (m Map) Names() []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// brokerNames are all defined keys and all that a layer sets besides, in order.
func brokerNames(l Layers) []string {
	names := make([]string, 0, len(brokerSorted)+8)
	for _, d := range brokerSorted {
		names = append(names, d.Name)
	}
	for _, layer := range [...]Getter{l.DynamicBroker, l.DynamicDefault, l.Static} {
		if held, ok := layer.(lister); ok {
			names = append(names, held.Names()...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// brokerEntry describes one broker key. The value of one without definition might be a secret.
func brokerEntry(l Layers, name string) Entry {
	d := brokerDef(name)
	e := Entry{Name: name, Source: SourceDefault, ReadOnly: true, Sensitive: true}
	if d != nil {
		e.Type, e.Doc = d.Type, d.Doc
		e.Sensitive, e.ReadOnly = d.Sensitive(), d.Mode == ReadOnly
	}
	e.Synonyms = brokerSynonyms(l, name, e.Sensitive)
	if len(e.Synonyms) > 0 {
		e.Source = e.Synonyms[0].Source
	}
	if e.Sensitive {
		return e
	}
	if len(e.Synonyms) > 0 {
		value := d.shown(*e.Synonyms[0].Value)
		e.Value = &value
	} else if !d.NoDefault {
		e.Value = &d.Default
	}
	return e
}

func describeDefault(l Layers, names []string) []Entry {
	held, ok := l.DynamicDefault.(lister)
	if !ok {
		return nil
	}
	var entries []Entry
	for _, name := range held.Names() {
		if names != nil && !slices.Contains(names, name) {
			continue
		}
		e := brokerEntry(Layers{DynamicDefault: l.DynamicDefault}, name)
		e.Synonyms = slices.DeleteFunc(e.Synonyms, func(s Synonym) bool {
			return s.Source != SourceDynamicDefault
		})
		entries = append(entries, e)
	}
	return entries
}

// suggestion names the definition whose name is nearest, when one is near enough to be a typing
// error.
func suggestion(name string, among []*Def) string {
	best, bestAt := "", len(name)/4+2
	if len(name) > 200 {
		return ""
	}
	for _, d := range among {
		if n := distance(strings.ToLower(name), d.Name, bestAt); n < bestAt {
			best, bestAt = d.Name, n
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is the number of inserted, removed or changed bytes between a and b, or most when it is
// not below that.
func distance(a, b string, most int) int {
	if len(a)-len(b) >= most || len(b)-len(a) >= most {
		return most
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal, row[j] = row[j], min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return min(row[len(b)], most)
}
