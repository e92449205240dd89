package measure

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// PidOf finds the process on this machine that listens on a TCP address such as
// "127.0.0.1:9092" or "localhost:9092": the listening socket in /proc/net/tcp and tcp6, then the
// process with that socket among its files. It sees the network namespace that it runs in.
// Errors: ErrNotLocal, ErrNoListener, ErrHiddenOwner, ErrSeveralOwners, or a bad address.
func PidOf(addr string) (int, error) {
	targets, err := resolve(addr)
	if err != nil {
		return 0, err
	}
	pid, err := pidOf("", targets)
	if err != nil {
		return 0, fmt.Errorf("listener of %s: %w", addr, err)
	}
	return pid, nil
}

// resolve gives the addresses of this machine that a name and port stand for.
func resolve(addr string) ([]netip.AddrPort, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("address %q: want host:port: %w", addr, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("address %q: port must be 1 to 65535", addr)
	}
	if host == "" {
		host = "localhost"
	}
	ips, err := net.LookupIP(host)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", addr, err)
	}
	own := ownAddresses()
	var targets []netip.AddrPort
	for _, ip := range ips {
		a, ok := netip.AddrFromSlice(ip)
		if a = a.Unmap(); ok && (a.IsLoopback() || a.IsUnspecified() || own[a]) {
			targets = append(targets, netip.AddrPortFrom(a, uint16(port)))
		}
	}
	if targets == nil {
		return nil, fmt.Errorf("address %q: %w", addr, ErrNotLocal)
	}
	return targets, nil
}

func ownAddresses() map[netip.Addr]bool {
	own := map[netip.Addr]bool{}
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			own[prefix.Addr().Unmap()] = true
		}
	}
	return own
}

func pidOf(root string, targets []netip.AddrPort) (int, error) {
	inodes := map[string]bool{}
	for _, name := range []string{"tcp", "tcp6"} {
		err := listeners(root+"/proc/net/"+name, targets, inodes)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // A kernel without IPv6 has no tcp6.
			return 0, err
		}
	}
	if len(inodes) == 0 {
		return 0, ErrNoListener
	}
	pids, err := owners(root, inodes)
	switch {
	case err != nil:
		return 0, err
	case len(pids) == 0:
		return 0, ErrHiddenOwner
	case len(pids) > 1:
		return 0, fmt.Errorf("%w: %v", ErrSeveralOwners, pids)
	}
	return pids[0], nil
}

// listeners collects the inodes of sockets that listen for one of the targets (proc_pid_net(5):
// column 2 local address, 4 state in hex, 10 inode).
func listeners(path string, targets []netip.AddrPort, inodes map[string]bool) error {
	const listen = "0A"
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[3] != listen {
			continue
		}
		local, err := parseHexAddress(fields[1])
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if slices.ContainsFunc(targets, func(t netip.AddrPort) bool { return serves(local, t) }) {
			inodes[fields[9]] = true
		}
	}
	return lines.Err()
}

// serves tells whether a listener takes connections to target. A socket on [::] also takes
// IPv4's unless it was told not to, which /proc does not show; the port decides then.
func serves(local, target netip.AddrPort) bool {
	if local.Port() != target.Port() {
		return false
	}
	l, t := local.Addr(), target.Addr()
	return l == t || t.IsUnspecified() || (l.IsUnspecified() && (l.Is6() || t.Is4()))
}

// parseHexAddress reads "0100007F:2384": 32-bit words in the machine's byte order (little-endian
// on all that this is built for), then the port as a number.
func parseHexAddress(text string) (netip.AddrPort, error) {
	address, portText, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(address)
	port, portErr := strconv.ParseUint(portText, 16, 16)
	if err != nil || portErr != nil || (len(raw) != 4 && len(raw) != 16) {
		return netip.AddrPort{}, fmt.Errorf("%q is no socket address", text)
	}
	for i := 0; i < len(raw); i += 4 {
		slices.Reverse(raw[i : i+4])
	}
	ip, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(ip.Unmap(), uint16(port)), nil
}

// owners lists the processes with one of the sockets open, ascending. Those that may not be looked
// into are passed over.
func owners(root string, inodes map[string]bool) ([]int, error) {
	dirs, err := filepath.Glob(root + "/proc/[0-9]*/fd")
	if err != nil {
		panic("BUG: bad pattern")
	}
	var pids []int
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			target, _ := os.Readlink(dir + "/" + entry.Name())
			inode, isSocket := strings.CutPrefix(target, "socket:[")
			if !isSocket || !inodes[strings.TrimSuffix(inode, "]")] {
				continue
			}
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
			if err == nil {
				pids = append(pids, pid)
			}
			break
		}
	}
	slices.Sort(pids)
	return pids, nil
}
