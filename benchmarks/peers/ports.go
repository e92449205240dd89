package peers

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
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

// reserveTries bounds the attempts of reservePort. Each fails only if a fork falls into it.
const reserveTries = 1000

// reservePort tries ports until one proves to be bindable. A child that this process forks has a
// copy of every descriptor until it calls exec, and a copy of the listener would hold the port
// against the server that is to have it. (syscall.ForkLock would not do: package os forks once
// without it, to see whether the kernel has pidfds.)
func reservePort() (addr string, err error) {
	for range reserveTries {
		port, err := leavePort()
		if err != nil {
			return "", err
		}
		err = tryPort(port)
		if err == nil {
			return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), nil
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			return "", err
		}
	}
	return "", fmt.Errorf("each of %d ports was taken: %w", reserveTries, unix.EADDRINUSE)
}

// leavePort returns a port that it leaves in TIME_WAIT.
func leavePort() (int, error) {
	listener, err := bound(0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(listener)
	if err := unix.Listen(listener, 1); err != nil {
		return 0, os.NewSyscallError("listen", err)
	}
	name, err := unix.Getsockname(listener)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	return name.(*unix.SockaddrInet4).Port, connectAndClose(listener, name)
}

// tryPort binds the port as a server would. A copy of this socket in a child is harmless: it does
// not listen, and so keeps nobody with SO_REUSEADDR out.
func tryPort(port int) error {
	fd, err := bound(port)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// bound is a TCP socket with SO_REUSEADDR that is bound to the port on 127.0.0.1.
func bound(port int) (int, error) {
	fd, err := tcpSocket()
	if err != nil {
		return -1, err
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("bind", err)
	}
	return fd, nil
}

func tcpSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	return fd, os.NewSyscallError("socket", err)
}

// connectAndClose leaves the listener's end of one connection in TIME_WAIT: the end that closes
// first is the one that waits.
func connectAndClose(listener int, addr unix.Sockaddr) error {
	client, err := tcpSocket()
	if err != nil {
		return err
	}
	defer unix.Close(client)
	if err := unix.Connect(client, addr); err != nil {
		return os.NewSyscallError("connect", err)
	}
	server, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("accept4", err)
	}
	if err := unix.Close(server); err != nil {
		return os.NewSyscallError("close", err)
	}
	// The client must have seen the end before it closes, or both would close at once.
	n, err := unix.Read(client, make([]byte, 1))
	if err == nil && n > 0 {
		return errors.New("a stranger was connected")
	}
	return os.NewSyscallError("read", err)
}
