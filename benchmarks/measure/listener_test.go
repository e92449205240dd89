package measure

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"
)

func TestPidOfChild(t *testing.T) {
	b := startBurner(t)
	if pid, err := PidOf(b.addr); err != nil || pid != b.pid() {
		t.Errorf("PidOf(%s) = %d, %v; want the child, %d", b.addr, pid, err, b.pid())
	}
	b.end()
	b.bury()
	if pid, err := PidOf(b.addr); !errors.Is(err, ErrNoListener) {
		t.Errorf("after its end: %d, %v; want ErrNoListener", pid, err)
	}
}

// TestPidOfOwn: listeners of either family, on one address or all, are found by each address that
// leads to them.
func TestPidOfOwn(t *testing.T) {
	for _, c := range []struct {
		listen string
		ask    []string
	}{
		{"127.0.0.1:0", []string{"127.0.0.1", "localhost"}},
		{"0.0.0.0:0", []string{"127.0.0.1", "127.0.0.2", "localhost", ""}},
		{"[::]:0", []string{"127.0.0.1", "localhost"}},
		{"[::1]:0", []string{"::1"}},
	} {
		l, err := net.Listen("tcp", c.listen)
		if err != nil {
			t.Logf("%s left out: %v", c.listen, err)
			continue
		}
		defer l.Close()
		port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
		for _, host := range c.ask {
			addr := net.JoinHostPort(host, port)
			if pid, err := PidOf(addr); err != nil || pid != os.Getpid() {
				t.Errorf("%s asked for as %s: %d, %v; want %d", c.listen, addr, pid, err, os.Getpid())
			}
		}
	}
}

func TestPidOfBadAddress(t *testing.T) {
	// 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
	if _, err := PidOf("192.0.2.1:9092"); !errors.Is(err, ErrNotLocal) {
		t.Errorf("got %v, want ErrNotLocal", err)
	}
	for _, addr := range []string{"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:70000", "127.0.0.1:x"} {
		if pid, err := PidOf(addr); err == nil {
			t.Errorf("PidOf(%q) = %d, want an error", addr, pid)
		}
	}
}

// TestPidOfFromFiles: recorded tables, in which several processes share sockets.
func TestPidOfFromFiles(t *testing.T) {
	tr := plant(t, "testdata/sockets.tree")
	for _, c := range []struct {
		target string
		pid    int
		err    error
	}{
		{"127.0.0.1:9092", 10, nil},
		{"127.0.0.2:9092", 0, ErrNoListener},
		{"127.0.0.1:9093", 11, nil}, // on [::]
		{"[::1]:9094", 12, nil},
		{"127.0.0.1:9094", 0, ErrNoListener}, // on [::1] only
		{"127.0.0.1:9095", 0, ErrHiddenOwner},
		{"127.0.0.1:9096", 0, ErrSeveralOwners},
		{"127.0.0.1:9097", 0, ErrNoListener}, // connected, not listening
	} {
		pid, err := pidOf(tr.root, []netip.AddrPort{netip.MustParseAddrPort(c.target)})
		if pid != c.pid || !errors.Is(err, c.err) {
			t.Errorf("%s: %d, %v; want %d, %v", c.target, pid, err, c.pid, c.err)
		}
	}
}

func TestParseHexAddress(t *testing.T) {
	for text, want := range map[string]string{
		"0100007F:2384":                         "127.0.0.1:9092",
		"00000000000000000000000001000000:2386": "[::1]:9094",
		"0000000000000000FFFF00000100007F:0001": "127.0.0.1:1",
	} {
		if got, err := parseHexAddress(text); err != nil || got.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, bad := range []string{"", ":", "0100007F", "0100007F:12345", "01:0050", "zz00007F:0050"} {
		if got, err := parseHexAddress(bad); err == nil {
			t.Errorf("%q read as %s", bad, got)
		}
	}
}
