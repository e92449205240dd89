package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ParseListeners reads a list of NAME://host:port, as in listeners and advertised.listeners. The
// host may be empty, a name, an IPv4 address, or an IPv6 address in brackets. protocols maps names
// to security protocols, as listener.security.protocol.map says; a name that it lacks is an error.
// Names come out in upper case.
func ParseListeners(value string, protocols map[string]string) ([]Listener, error) {
	var all []Listener
	for _, item := range SplitList(value) {
		l, err := parseListener(item)
		if err != nil {
			return nil, err
		}
		var known bool
		if l.Protocol, known = protocols[l.Name]; !known {
			return nil, fmt.Errorf("%q: no security protocol is defined for listener %s; "+
				"add %s:PLAINTEXT, or another protocol, to listener.security.protocol.map",
				shorten(item), l.Name, l.Name)
		}
		all = append(all, l)
	}
	return all, nil
}

func parseListener(item string) (Listener, error) {
	name, address, ok := strings.Cut(item, "://")
	if !ok || !isListenerName(name) {
		return Listener{}, fmt.Errorf("%q: must be NAME://host:port", shorten(item))
	}
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 {
		return Listener{}, fmt.Errorf("%q: the port is missing; must be NAME://host:port",
			shorten(item))
	}
	port, err := strconv.ParseUint(address[colon+1:], 10, 16)
	if err != nil {
		return Listener{}, fmt.Errorf("%q: port %q must be a number from 0 to 65535",
			shorten(item), shorten(address[colon+1:]))
	}
	host, err := parseHost(address[:colon])
	if err != nil {
		return Listener{}, fmt.Errorf("%q: %w", shorten(item), err)
	}
	return Listener{Name: strings.ToUpper(name), Host: host, Port: uint16(port)}, nil
}

func isListenerName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && r != '-' && r != '.' && (r < '0' || r > '9') &&
			(r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// parseHost takes the brackets off an IPv6 address, and refuses characters that no host has.
func parseHost(host string) (string, error) {
	inner, bracketed := strings.CutPrefix(host, "[")
	if bracketed {
		inner, bracketed = strings.CutSuffix(inner, "]")
		if !bracketed || !isIPv6(inner) {
			return "", fmt.Errorf("%q is no IPv6 address in brackets", shorten(host))
		}
		return inner, nil
	}
	if strings.Contains(host, ":") {
		return "", errors.New("an IPv6 address must be in brackets, as in [::1]")
	}
	if strings.ContainsFunc(host, func(r rune) bool {
		return r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') &&
			(r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return "", fmt.Errorf("host %q has a character that no host name has", shorten(host))
	}
	return host, nil
}

// isIPv6 says whether host looks like an IPv6 address: hexadecimal groups, colons, a dotted tail
// and a zone. Binding to it is the real test.
func isIPv6(host string) bool {
	address, _, _ := strings.Cut(host, "%")
	return strings.Count(address, ":") >= 2 && strings.Trim(address, "0123456789abcdefABCDEF:.") == ""
}

// isIPv4 says whether host is four dotted decimal numbers.
func isIPv4(host string) bool {
	parts := strings.Split(host, ".")
	return len(parts) == 4 && !slices.ContainsFunc(parts, func(p string) bool {
		_, err := strconv.ParseUint(p, 10, 8)
		return err != nil
	})
}

// IsWildcard says whether binding to the host means every address: it is empty, 0.0.0.0 or ::.
func IsWildcard(host string) bool {
	return host == "" || host == "0.0.0.0" || isIPv6(host) && strings.Trim(host, "0:") == ""
}

// checkDistinct refuses listeners that share a name or, when sharePorts is false, a port. As in
// Kafka, one IPv4 and one IPv6 address may have the same port. Port 0 is a new one each time.
func checkDistinct(listeners []Listener, sharePorts bool) error {
	for i, a := range listeners {
		for _, b := range listeners[:i] {
			if a.Name == b.Name {
				return fmt.Errorf("listener %s is named twice", a.Name)
			}
			families := isIPv4(a.Host) && isIPv6(b.Host) || isIPv6(a.Host) && isIPv4(b.Host)
			if a.Port == b.Port && a.Port != 0 && !families && !sharePorts {
				return fmt.Errorf("listeners %s and %s have the same port %d", b.Name, a.Name, a.Port)
			}
		}
	}
	return nil
}

// parseProtocolMap reads listener.security.protocol.map.
func parseProtocolMap(value string) (map[string]string, error) {
	protocols := map[string]string{}
	allowed := protocol()
	for _, item := range SplitList(value) {
		name, protocol, ok := strings.Cut(item, ":")
		name = strings.ToUpper(strings.TrimSpace(name))
		protocol = strings.ToUpper(strings.TrimSpace(protocol))
		if !ok || !isListenerName(name) || !allowed.takesText(protocol) {
			return nil, fmt.Errorf("%q: must be NAME:PROTOCOL with one of the protocols %s",
				shorten(item), strings.Join(allowed.words, ", "))
		}
		if _, twice := protocols[name]; twice {
			return nil, fmt.Errorf("listener %s is named twice", name)
		}
		protocols[name] = protocol
	}
	return protocols, nil
}

// listeners resolves all that says where the broker listens.
func (b *builder) listeners() {
	protocols, err := parseProtocolMap(b.text("listener.security.protocol.map"))
	if err != nil {
		b.failed("listener.security.protocol.map", err)
		return
	}
	controllers := SplitList(strings.ToUpper(b.text("controller.listener.names")))
	for _, name := range controllers {
		if _, known := protocols[name]; !known {
			protocols[name] = "PLAINTEXT"
		}
	}
	all, err := ParseListeners(b.text("listeners"), protocols)
	if err == nil {
		err = checkDistinct(all, false)
	}
	if err != nil {
		b.failed("listeners", err)
		return
	}
	for _, l := range all {
		if slices.Contains(controllers, l.Name) {
			b.warn("listener %s is named in controller.listener.names and is not opened: the "+
				"metadata quorum is embedded in the broker", l.Name)
			continue
		}
		b.s.Listeners = append(b.s.Listeners, l)
	}
	if len(b.s.Listeners) == 0 {
		b.fail("listeners=%s: at least one listener for clients is needed", b.text("listeners"))
		return
	}
	b.advertised(protocols, controllers)
	b.interBroker()
}

// advertised resolves what clients are told.
func (b *builder) advertised(protocols map[string]string, controllers []string) {
	value, set := b.s.Static.Get("advertised.listeners")
	if !set {
		b.advertiseBound()
		return
	}
	all, err := ParseListeners(value, protocols)
	if err == nil {
		err = checkDistinct(all, true)
	}
	if err != nil {
		b.failed("advertised.listeners", err)
		return
	}
	for _, l := range all {
		bound := slices.ContainsFunc(b.s.Listeners, func(o Listener) bool {
			return o.Name == l.Name
		})
		switch {
		case slices.Contains(controllers, l.Name):
			continue
		case !bound:
			b.fail("advertised.listeners=%s: listener %s is not among listeners", value, l.Name)
		case l.Host != "" && IsWildcard(l.Host):
			b.fail("advertised.listeners=%s: clients cannot connect to %s; must be a host name or "+
				"address that they can reach", value, l.Host)
		}
		b.s.Advertised = append(b.s.Advertised, l)
	}
	if len(b.s.Advertised) == 0 {
		b.fail("advertised.listeners=%s: at least one listener must be advertised", value)
	}
}

// advertiseBound advertises what is bound. Where that is every address, the host is left empty, for
// the broker to put in a name by which others may find it, and to warn with that name.
func (b *builder) advertiseBound() {
	for _, l := range b.s.Listeners {
		if IsWildcard(l.Host) {
			l.Host = ""
		}
		b.s.Advertised = append(b.s.Advertised, l)
	}
}

// interBroker picks the listener that other brokers use.
func (b *builder) interBroker() {
	name, byName := b.s.Static.Get("inter.broker.listener.name")
	protocol, byProtocol := b.s.Static.Get("security.inter.broker.protocol")
	if byName && byProtocol {
		b.fail("inter.broker.listener.name=%s: must not be set together with "+
			"security.inter.broker.protocol", name)
		return
	}
	name = strings.ToUpper(name)
	for _, l := range b.s.Advertised {
		if byName && l.Name == name || byProtocol && l.Name == protocol ||
			!byName && !byProtocol && l.Protocol == "PLAINTEXT" {
			b.s.InterBroker = l.Name
			return
		}
	}
	switch {
	case byName:
		b.fail("inter.broker.listener.name=%s: must be one of the advertised listeners", name)
	case byProtocol:
		b.fail("security.inter.broker.protocol=%s: no advertised listener has that name", protocol)
	case len(b.s.Advertised) > 0:
		b.s.InterBroker = b.s.Advertised[0].Name
	}
}
