package peers

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Reserving while others fork: no child keeps the port.
func TestReservedWhileForking(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var forks sync.WaitGroup
	for range 2 {
		forks.Go(func() {
			for ctx.Err() == nil {
				if err := exec.Command("true").Run(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	defer forks.Wait()
	defer cancel()
	for range 300 {
		addrs, err := reservePorts(1)
		if err != nil {
			t.Fatal(err)
		}
		_, text, err := net.SplitHostPort(addrs[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := bindAndListen(text); err != nil {
			t.Fatalf("bind to the reserved port %s: %v", addrs[0], err)
		}
	}
}

func bindAndListen(port string) error {
	n, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	fd, err := bound(n)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Listen(fd, 1)
}

// The kernel gives a reserved port to nobody who leaves the choice to it, even if there is no
// other left to choose (ip(7), IP_LOCAL_PORT_RANGE narrows the choice to this one), and a server
// that asks for it by number gets it.
func TestReservedPorts(t *testing.T) {
	t.Parallel()
	addrs, err := reservePorts(3)
	if err != nil {
		t.Fatal(err)
	}
	if addrs[0] == addrs[1] || addrs[1] == addrs[2] || addrs[0] == addrs[2] {
		t.Fatalf("the same port twice: %q", addrs)
	}
	for _, addr := range addrs {
		_, text, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		only := func(_, _ string, c syscall.RawConn) error { return onlyPort(c, uint32(port)) }
		listen := net.ListenConfig{Control: only}
		l, err := listen.Listen(t.Context(), "tcp4", "127.0.0.1:0")
		if errors.Is(err, unix.ENOPROTOOPT) {
			t.Skip("this kernel has no IP_LOCAL_PORT_RANGE (Linux 6.3): the choice cannot be narrowed")
		}
		if err == nil {
			l.Close()
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("bind to any port got %s: %v", addr, err)
		}
		if l, err = net.Listen("tcp4", addr); err != nil {
			t.Fatalf("bind to the reserved port itself: %v", err)
		}
		defer l.Close()
	}
}

// onlyPort leaves the kernel one port to choose from.
func onlyPort(c syscall.RawConn, port uint32) error {
	var err error
	outer := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_LOCAL_PORT_RANGE, int(port<<16|port))
	})
	return errors.Join(outer, err)
}
