package netpoll

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// acceptPause is how long a listener rests when the process or the host is out of descriptors
// or memory for sockets.
const acceptPause = 100 * time.Millisecond

// listener is one bound address and the goroutine that accepts there. The socket belongs to Go's
// own poller, so that waiting for a connection costs no thread.
type listener struct {
	server *Server
	config Listener
	addr   net.Addr
	socket *os.File
	raw    syscall.RawConn
	// spare is a descriptor that is given up to accept and close a connection when there are no
	// others, so that its peer learns at once and the loop does not spin. -1 if there is none.
	spare int
	// connections is guarded by Server.mu.
	connections int
}

// bind listens on an address. Go sets SO_REUSEADDR, which lets a restart take a port whose old
// connections are in TIME_WAIT, and not SO_REUSEPORT, with which two brokers could share one.
func bind(s *Server, config Listener) (*listener, error) {
	socket, err := net.Listen("tcp", config.Address)
	if err != nil {
		return nil, bindError(config, err)
	}
	// A net.Listener cannot be waited for without accepting; the file of its socket can.
	file, err := socket.(*net.TCPListener).File()
	_ = socket.Close()
	if err != nil {
		return nil, bindError(config, err)
	}
	l := &listener{server: s, config: config, addr: socket.Addr(), socket: file, spare: -1}
	if l.raw, err = file.SyscallConn(); err != nil {
		l.close()
		return nil, bindError(config, err)
	}
	return l, nil
}

func bindError(config Listener, err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("listener %s cannot use %s: another process has that port (%w)",
			config.Name, config.Address, err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("listener %s cannot use %s: this host has no such address (%w)",
			config.Name, config.Address, err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("listener %s cannot use %s: ports below 1024 need privilege (%w)",
			config.Name, config.Address, err)
	}
	return fmt.Errorf("listener %s cannot use %s: %w", config.Name, config.Address, err)
}

// isStopping reports whether the server has begun to shut down.
func (s *Server) isStopping() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

func (l *listener) close() { _ = l.socket.Close() }

// run accepts until the listener is closed.
func (l *listener) run() {
	l.openSpare()
	defer l.closeSpare()
	for l.server.waitForRoom(l) {
		fd, addr, err := l.accept()
		switch {
		case err == nil:
			l.server.admit(l, fd, addr)
		case l.server.isStopping():
			return // The error is that of the socket being closed under the wait.
		default:
			l.afterError(err)
		}
	}
}

// accept waits for a connection.
func (l *listener) accept() (fd int, addr unix.Sockaddr, err error) {
	waitErr := l.raw.Read(func(listening uintptr) bool {
		fd, addr, err = unix.Accept4(int(listening), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		return err != unix.EAGAIN
	})
	if waitErr != nil {
		return -1, nil, waitErr
	}
	return fd, addr, err
}

// afterError deals with a failed accept. Some of accept(2)'s errors are about one connection that
// is gone already; whatever else there is would come again at once, so the listener rests.
func (l *listener) afterError(err error) {
	switch {
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		l.shed()
	case errors.Is(err, unix.ECONNABORTED), errors.Is(err, unix.EINTR):
		return
	}
	l.server.warn(lineAccept, "cannot accept connections", "listener", l.config.Name, "error", err)
	select {
	case <-time.After(acceptPause):
	case <-l.server.stopping:
	}
}

// shed closes the connection that waits longest, with the descriptor held in reserve for that.
func (l *listener) shed() {
	if l.spare < 0 {
		l.openSpare()
		return
	}
	l.closeSpare()
	_ = l.raw.Control(func(listening uintptr) {
		fd, _, err := unix.Accept4(int(listening), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err == nil {
			l.server.stats.Shed.Add(1)
			_ = unix.Close(fd)
		}
	})
	l.openSpare()
}

func (l *listener) openSpare() {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	l.spare = fd
}

func (l *listener) closeSpare() {
	if l.spare >= 0 {
		_ = unix.Close(l.spare)
		l.spare = -1
	}
}

// waitForRoom blocks while a bound on connections is reached. It returns false when accepting ends.
func (s *Server) waitForRoom(l *listener) bool {
	s.mu.Lock()
	open, full := !s.closing, s.full(l)
	s.mu.Unlock()
	if !open || !full {
		return open
	}
	s.stats.Full.Add(1)
	s.warn(lineFull, "no more connections are accepted until one closes",
		"listener", l.config.Name, "max.connections", s.config.ConnectionsMax,
		"listener.max.connections", l.config.ConnectionsMax)
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.full(l) && !s.closing {
		s.room.Wait()
	}
	return !s.closing
}

// full reports whether a bound is reached. Server.mu is held.
func (s *Server) full(l *listener) bool {
	return s.config.ConnectionsMax > 0 && s.connections >= s.config.ConnectionsMax ||
		l.config.ConnectionsMax > 0 && l.connections >= l.config.ConnectionsMax
}

// admit hands a new connection to a reactor, or closes it.
func (s *Server) admit(l *listener, fd int, addr unix.Sockaddr) {
	c := &Conn{listener: l, peer: addrPort(addr)}
	c.link.fd = fd
	if local, err := unix.Getsockname(fd); err == nil {
		c.local = addrPort(local)
	}
	if limit, ok := s.count(c); !ok {
		s.stats.RefusedPerIP.Add(1)
		s.warn(linePerIP, "connection refused: its address has too many",
			"listener", l.config.Name, "peer", c.peer, "max.connections.per.ip", limit)
		_ = unix.Close(fd)
		return
	}
	s.setOptions(fd)
	r := c.reactor
	c.handOver.Run = func() { r.adopt(c) }
	if !r.Post(&c.handOver) {
		_ = unix.Close(fd)
		s.released(c)
	}
}

// count enters a connection in the books and picks its reactor, unless its address has as many as
// its limit allows.
func (s *Server) count(c *Conn) (limit int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ip := c.peer.Addr()
	limit, limited := s.config.ConnectionsPerIPOverrides[ip]
	if !limited && s.config.ConnectionsPerIPMax > 0 {
		limit, limited = s.config.ConnectionsPerIPMax, true
	}
	if limited && s.perIP[ip] >= limit {
		return limit, false
	}
	s.stats.Accepted.Add(1)
	s.perIP[ip]++
	s.connections++
	c.listener.connections++
	s.nextID++
	c.id = s.nextID
	c.reactor = s.pick()
	return limit, true
}

// released takes a connection out of the books.
func (s *Server) released(c *Conn) {
	if c.listener.server == nil {
		return // not from a socket
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ip := c.peer.Addr()
	if s.perIP[ip]--; s.perIP[ip] == 0 {
		delete(s.perIP, ip)
	}
	s.connections--
	c.listener.connections--
	c.reactor.traffic.share.connections--
	s.room.Broadcast()
}

// setOptions prepares a socket, as Kafka's Acceptor does. An option that fails leaves a connection
// that works.
func (s *Server) setOptions(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	if n := s.config.SendBufferBytes; n > 0 {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, n)
	}
	if n := s.config.ReceiveBufferBytes; n > 0 {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, n)
	}
}

func addrPort(addr unix.Sockaddr) netip.AddrPort {
	switch a := addr.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}
