package config

import (
	"slices"
	"strings"
)

// alias is a name under which a broker key may also be set, in a coarser unit.
type alias struct {
	name   string
	unitMs int64
}

// chains lists, for broker keys whose value may come from several names, those names, strongest
// first. Each value is in milliseconds after multiplication.
var chains = map[string][]alias{
	"log.retention.ms": {
		{"log.retention.ms", 1}, {"log.retention.minutes", 60_000}, {"log.retention.hours", 3_600_000},
	},
	"log.roll.ms":        {{"log.roll.ms", 1}, {"log.roll.hours", 3_600_000}},
	"log.roll.jitter.ms": {{"log.roll.jitter.ms", 1}, {"log.roll.jitter.hours", 3_600_000}},
	"log.flush.interval.ms": {
		{"log.flush.interval.ms", 1}, {"log.flush.scheduler.interval.ms", 1},
	},
}

var (
	topicIndex, topicSorted   = index(topicDefs)
	brokerIndex, brokerSorted = index(
		networkDefs, serverDefs, logDefs, replicationDefs, groupDefs, coordinatorDefs,
		securityDefs, tieredDefs, sluiceDefs,
	)
	throttleIndex, _ = index(throttleDefs)
)

// index returns definitions by name, and those that are not internal ordered by name. A name defined
// twice is a bug.
func index(tables ...[]Def) (map[string]*Def, []*Def) {
	byName := map[string]*Def{}
	var all []*Def
	for _, table := range tables {
		for i := range table {
			d := &table[i]
			if byName[d.Name] != nil {
				panic("BUG: config key " + d.Name + " is defined twice")
			}
			byName[d.Name] = d
			if !d.internal {
				all = append(all, d)
			}
		}
	}
	slices.SortFunc(all, func(a, b *Def) int { return strings.Compare(a.Name, b.Name) })
	return byName, all
}

const listenerPrefix = "listener.name."

// listenerBase returns what follows listener.name.<l>. in a key, with a SASL mechanism cut off
// where one is in between, and whether the key has that prefix.
func listenerBase(name string) (base string, ok bool) {
	rest, ok := strings.CutPrefix(name, listenerPrefix)
	if !ok {
		return "", false
	}
	_, base, ok = strings.Cut(rest, ".")
	if !ok {
		return "", false
	}
	if brokerIndex[base] == nil {
		if _, inner, cut := strings.Cut(base, "."); cut && perMechanism[inner] {
			return inner, true
		}
	}
	return base, true
}

// perMechanism are the keys that may carry listener.name.<l>.<mechanism>. in front.
var perMechanism = map[string]bool{
	"sasl.jaas.config":                   true,
	"sasl.login.callback.handler.class":  true,
	"sasl.login.class":                   true,
	"sasl.server.callback.handler.class": true,
	"connections.max.reauth.ms":          true,
}

func brokerDef(name string) *Def {
	if d := brokerIndex[name]; d != nil {
		return d
	}
	if d := throttleIndex[name]; d != nil {
		return d
	}
	if base, ok := listenerBase(name); ok {
		return brokerIndex[base]
	}
	return nil
}

// synonymsOf returns the names that may set a broker key, strongest first. Listener-prefixed keys
// fall back to the key without the prefix.
func synonymsOf(name string) []string {
	for _, chain := range chains {
		i := slices.IndexFunc(chain, func(a alias) bool { return a.name == name })
		// The flusher's schedule is a default of the flush interval, but not the reverse.
		if i < 0 || i > 0 && chain[0].name == "log.flush.interval.ms" {
			continue
		}
		names := make([]string, len(chain))
		for j, a := range chain {
			names[j] = a.name
		}
		return names
	}
	if base, ok := listenerBase(name); ok {
		return []string{name, base}
	}
	return []string{name}
}

// get looks a name up in a layer that may be nil. The value is as it was written, blanks included.
func get(g Getter, name string) (string, bool) {
	if g == nil {
		return "", false
	}
	return g.Get(name)
}
