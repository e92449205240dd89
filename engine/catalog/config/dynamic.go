package config

import (
	"fmt"
	"strings"
)

// perListener are broker keys that are dynamic only under a listener.name.<l>. prefix, because a
// change for all listeners at once could lock everybody out.
func perListener(d *Def) bool {
	return d.Mode == PerBroker && (strings.HasPrefix(d.Name, "ssl.") ||
		strings.HasPrefix(d.Name, "sasl.") || d.Name == "principal.builder.class")
}

// clusterListener are keys that may carry a listener prefix in the default of all brokers.
var clusterListener = map[string]bool{
	"max.connections": true, "max.connection.creation.rate": true, "num.network.threads": true,
}

// CheckDynamic says whether a broker key may be set dynamically to value: for one broker, or with
// forAll as the default of all brokers. The error is fit for INVALID_REQUEST or INVALID_CONFIG.
func CheckDynamic(name, value string, forAll bool) error {
	d := brokerDef(name)
	if d == nil {
		return fmt.Errorf("unknown broker config name: %s%s", shorten(name),
			suggestion(name, brokerSorted))
	}
	base, prefixed := listenerBase(name)
	switch {
	case d.Mode == ReadOnly:
		return fmt.Errorf("%s cannot be updated dynamically: it is read from "+
			"server.properties at start", name)
	case perListener(d) && !prefixed && strings.HasPrefix(d.Name, "ssl."):
		return fmt.Errorf("%s can be updated dynamically only for one listener, as "+
			"listener.name.<listener>.%s", name, name)
	case forAll && prefixed && !clusterListener[base],
		forAll && !prefixed && d.Mode == PerBroker:
		return fmt.Errorf("%s can be updated only for one broker: a broker id must be given", name)
	}
	return d.Check(value)
}

// CheckBroker says whether a broker's layers, each of whose values is allowed, make sense together.
func CheckBroker(l Layers) error { return resolveTopic(l).check() }
