package peers

import (
	"fmt"
	"net"
)

// reservePorts returns n loopback addresses, host:port, that the kernel gives to nobody who asks for
// any port, but that a server can still bind by number, for at least the next half minute.
//
// Asking for a free port, closing it and passing its number on is a race: anybody may get it in
// between. So each port is left in TIME_WAIT: a connection is made to it and closed from the
// server's side first. For the 60 s that this state lasts (TCP_TIMEWAIT_LEN), Linux chooses the port
// neither for bind(2) to port 0 nor for connect(2), while a listener with SO_REUSEADDR, which Java's
// ServerSocketChannel sets by itself as Go's net.Listen does, may bind it (socket(7), tcp(7)).
func reservePorts(n int) (addrs []string, err error) {
	for range n {
		addr, err := reservePort()
		if err != nil {
			return nil, fmt.Errorf("reserve a port: %w", err)
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

func reservePort() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	client, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		return "", err
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		return "", err
	}
	// The side that closes first is the one that waits. The client must see the end before it
	// closes, or both would close at once.
	if err := server.Close(); err != nil {
		return "", err
	}
	if _, err := client.Read(make([]byte, 1)); err == nil {
		return "", fmt.Errorf("a stranger wrote to %s", l.Addr())
	}
	return l.Addr().String(), nil
}
