package broker

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"sluice/engine/catalog"
	"sluice/engine/catalog/config"
)

// endpoints are what clients are told to connect to: advertised.listeners, or the listeners
// themselves with the ports that they were bound to. A wildcard bind has no address to tell: the
// host's name, or where that does not resolve its first address, stands in for it, with a warning.
func (b *Broker) endpoints() ([]catalog.Endpoint, error) {
	var list []catalog.Endpoint
	for _, l := range b.cfg.Advertised {
		e := catalog.Endpoint{Listener: l.Name, Protocol: l.Protocol, Host: l.Host, Port: l.Port}
		if e.Port == 0 {
			port, err := b.boundPort(l)
			if err != nil {
				return nil, err
			}
			e.Port = port
		}
		if e.Host == "" {
			e.Host = hostToAdvertise(os.Hostname, net.LookupHost, net.InterfaceAddrs)
			b.log.Warn("listener is bound to every address and advertised.listeners is not set: "+
				"clients are told to use this host, which they must be able to resolve",
				"listener", l.Name, "host", e.Host, "port", e.Port)
		}
		list = append(list, e)
	}
	return list, nil
}

func (b *Broker) boundPort(l config.Listener) (uint16, error) {
	addr, ok := b.net.Addr(l.Name).(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("advertised.listeners: %s is not among listeners", l.Name)
	}
	return uint16(addr.Port), nil
}

// hostToAdvertise finds a name or address of this host that resolves here, at least.
func hostToAdvertise(hostname func() (string, error), lookup func(string) ([]string, error),
	interfaces func() ([]net.Addr, error),
) string {
	if name, err := hostname(); err == nil && name != "" {
		if found, err := lookup(name); err == nil && len(found) > 0 {
			return name
		}
	}
	addrs, err := interfaces()
	if err != nil {
		return "localhost"
	}
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() && ip.IP.To4() != nil {
			return ip.IP.String()
		}
	}
	return "localhost"
}

// perIP turns max.connections.per.ip.overrides, which may name hosts, into addresses.
func (b *Broker) perIP() map[netip.Addr]int {
	if len(b.cfg.MaxConnectionsPerIPFor) == 0 {
		return nil
	}
	out := map[netip.Addr]int{}
	for host, n := range b.cfg.MaxConnectionsPerIPFor {
		addrs, err := net.LookupHost(host)
		if err != nil {
			b.log.Warn("max.connections.per.ip.overrides names a host that does not resolve",
				"host", host, "error", err)
			continue
		}
		for _, a := range addrs {
			if ip, err := netip.ParseAddr(a); err == nil {
				out[ip.Unmap()] = int(n)
			}
		}
	}
	return out
}
