package load

import (
	"encoding/binary"
	"fmt"
	"net"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawBytesMax is the largest transfer for which the scheduler is not told (RawSyscall): beyond it
// a call copies long enough to hold up a stop of the world.
const rawBytesMax = 128 << 10

// rawWaitMax is the longest wait in ns of which the scheduler is not told where a thread has
// real-time priority. When it is told, the runtime's monitor takes the processor (P) of the waiting
// goroutine away now and then, and one that wakes up meanwhile spins until that is done: with its
// priority, in the place of the monitor. A wait that the scheduler does not know of may hold up a
// stop of the world for as long, although the signal that asks for the stop mostly ends it.
const rawWaitMax = int64(100 * time.Microsecond)

// pauseMax is the longest pause: after it a carrier looks whether the run has ended.
const pauseMax = int64(5 * time.Millisecond)

// address is a broker's, resolved once, off the hot path.
type address struct {
	text string
	ip   net.IP // 4 or 16 bytes
	port int
}

// resolve looks up host:port and takes the first address.
func resolve(hostPort string) (address, error) {
	tcp, err := net.ResolveTCPAddr("tcp", hostPort)
	if err != nil {
		return address{}, fmt.Errorf("broker address %q: %w", hostPort, err)
	}
	ip := tcp.IP
	if ip == nil {
		ip = net.IPv4(127, 0, 0, 1)
	}
	if v4 := ip.To4(); v4 != nil {
		ip = v4
	}
	return address{hostPort, ip, tcp.Port}, nil
}

// sockaddr makes the form that connect(2) takes. Each caller needs its own: unix.Connect writes
// into it.
func (a *address) sockaddr() (sa unix.Sockaddr, family int) {
	if len(a.ip) == net.IPv4len {
		return &unix.SockaddrInet4{Port: a.port, Addr: [4]byte(a.ip)}, unix.AF_INET
	}
	return &unix.SockaddrInet6{Port: a.port, Addr: [16]byte(a.ip)}, unix.AF_INET6
}

// dial begins to connect. The connection stands once the socket is writable and socketError is 0.
func dial(a address) (fd int, err error) {
	sa, family := a.sockaddr()
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("TCP_NODELAY: %w", err)
	}
	if err := unix.Connect(fd, sa); err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// pending returns and clears a socket's error (SO_ERROR in socket(7)).
func pending(fd int) error {
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if v != 0 {
		return unix.Errno(v)
	}
	return nil
}

// messageHeader is what sendmsg(2) needs in memory that stays where it is while the kernel reads it.
type messageHeader struct {
	iovecs [2]unix.Iovec
	msg    unix.Msghdr
}

// send gives the kernel a and then b, either of which may be empty.
func (m *messageHeader) send(fd int, a, b []byte) (int, unix.Errno) {
	const flags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	if len(a) == 0 || len(b) == 0 {
		p := a
		if len(a) == 0 {
			p = b
		}
		at := uintptr(unsafe.Pointer(unsafe.SliceData(p)))
		if len(p) <= rawBytesMax {
			n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), at, uintptr(len(p)), flags, 0, 0)
			return int(n), errno
		}
		n, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(fd), at, uintptr(len(p)), flags, 0, 0)
		return int(n), errno
	}
	m.iovecs[0].Base, m.iovecs[1].Base = unsafe.SliceData(a), unsafe.SliceData(b)
	m.iovecs[0].SetLen(len(a))
	m.iovecs[1].SetLen(len(b))
	m.msg.Iov = &m.iovecs[0]
	m.msg.SetIovlen(2)
	var n uintptr
	var errno unix.Errno
	if len(a)+len(b) <= rawBytesMax {
		n, _, errno = unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.msg)), flags)
	} else {
		n, _, errno = unix.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.msg)), flags)
	}
	m.iovecs[0].Base, m.iovecs[1].Base = nil, nil
	return int(n), errno
}

// receive reads into p.
func receive(fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// discard has the kernel drop up to n received bytes without copying them (MSG_TRUNC in tcp(7)).
func discard(fd, n int) (int, unix.Errno) {
	r, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), 0, uintptr(n),
		unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
	return int(r), errno
}

// poller is an epoll set with an eventfd by which other goroutines wake its thread.
type poller struct {
	fd, wakeFd int
	events     [256]unix.EpollEvent
	timeout    unix.Timespec
	// raw says that the scheduler is not told of short waits.
	raw bool
	// coarse says that the kernel has no epoll_pwait2(2) (before 5.11): timeouts are whole
	// milliseconds then.
	coarse bool
}

// wakeSlot is the number that events of the eventfd carry.
const wakeSlot = -1

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	wakeFd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	p := &poller{fd: fd, wakeFd: wakeFd}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeSlot}
	if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, wakeFd, &event); err != nil {
		p.close()
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	return p, nil
}

func (p *poller) close() {
	unix.Close(p.fd)
	unix.Close(p.wakeFd)
}

// add watches a socket for both directions, edge-triggered.
func (p *poller) add(fd int, slot, generation int32) error {
	event := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     slot, Pad: generation,
	}
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &event)
}

// wake ends the thread's wait. Any goroutine may call it until close.
func (p *poller) wake() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	// The only failure is a full counter, and then the thread is awake.
	_, _ = unix.Write(p.wakeFd, one[:])
}

// drainWakes resets the eventfd.
func (p *poller) drainWakes() {
	var count [8]byte
	_, _ = unix.Read(p.wakeFd, count[:])
}

// another is a second way into the same set, for another thread.
func (p *poller) another() *poller {
	return &poller{fd: p.fd, wakeFd: p.wakeFd, raw: p.raw, coarse: p.coarse}
}

// pause waits so many nanoseconds, or less, but not more than pauseMax.
func (p *poller) pause(ns int64) {
	ns = min(ns, pauseMax)
	p.timeout = unix.NsecToTimespec(ns)
	at := uintptr(unsafe.Pointer(&p.timeout))
	if ns <= rawWaitMax {
		_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, at, 0, 0)
		return
	}
	_, _, _ = unix.Syscall(unix.SYS_NANOSLEEP, at, 0, 0)
}

// wait returns the events, waiting at most so many nanoseconds; 0 looks only.
func (p *poller) wait(ns int64) []unix.EpollEvent {
	var n uintptr
	var errno unix.Errno
	at, room := uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events))
	switch {
	case ns <= 0:
		n, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), at, room, 0, 0, 0)
	case p.coarse:
		ms := uintptr((ns + 999_999) / 1_000_000)
		n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), at, room, ms, 0, 0)
	case p.raw && ns <= rawWaitMax:
		p.timeout = unix.NsecToTimespec(ns)
		n, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), at, room,
			uintptr(unsafe.Pointer(&p.timeout)), 0, 0)
	default:
		p.timeout = unix.NsecToTimespec(ns)
		n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), at, room,
			uintptr(unsafe.Pointer(&p.timeout)), 0, 0)
	}
	if errno == unix.ENOSYS {
		p.coarse = true
		return nil
	}
	if errno != 0 {
		return nil // EINTR: the loop comes back.
	}
	return p.events[:n]
}
