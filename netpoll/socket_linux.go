package netpoll

import (
	"errors"
	"fmt"
	"io"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket is a connected, non-blocking stream socket, on which transports build. It is used on its
// connection's reactor only.
type Socket struct {
	fd      int
	scratch *scratch
}

// scratch is what a reactor's system calls need in memory that does not move or escape.
type scratch struct {
	iovecs [piecesMax]unix.Iovec
	msg    unix.Msghdr
	offset int64
}

// Read receives into p. It returns io.EOF at the peer's end, and WantRead once the socket has been
// emptied.
func (s *Socket) Read(p []byte) (n int, want Want, err error) {
	if len(p) == 0 {
		return 0, WantNothing, nil
	}
	for {
		// A non-blocking receive of at most a turn's bytes cannot block, so the scheduler
		// need not know of it.
		r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			if r == 0 {
				return 0, WantNothing, io.EOF
			}
			if int(r) < len(p) {
				want = WantRead
			}
			return int(r), want, nil
		case unix.EAGAIN:
			return 0, WantRead, nil
		case unix.EINTR:
			continue
		}
		return 0, WantNothing, socketError("recv", errno)
	}
}

// Write sends pieces in order, more telling the kernel to wait for what follows (MSG_MORE in
// send(2)). It returns WantWrite if the socket did not take all.
func (s *Socket) Write(pieces [][]byte, more bool) (n int, want Want, err error) {
	total := 0
	iovecs := s.scratch.iovecs[:0]
	for _, p := range pieces[:min(len(pieces), piecesMax)] {
		if len(p) == 0 {
			continue
		}
		iovecs = append(iovecs, unix.Iovec{Base: unsafe.SliceData(p)})
		iovecs[len(iovecs)-1].SetLen(len(p))
		total += len(p)
	}
	if total == 0 {
		return 0, WantNothing, nil
	}
	n, want, err = s.sendIovecs(iovecs, more)
	clear(iovecs)
	if err == nil && n < total {
		want = WantWrite
	}
	return n, want, err
}

func (s *Socket) sendIovecs(iovecs []unix.Iovec, more bool) (n int, want Want, err error) {
	flags := unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	if more {
		flags |= unix.MSG_MORE
	}
	for {
		r, errno := s.sendOnce(iovecs, flags)
		switch errno {
		case 0:
			return r, WantNothing, nil
		case unix.EAGAIN:
			return 0, WantWrite, nil
		case unix.EINTR:
			continue
		}
		return 0, WantNothing, socketError("send", errno)
	}
}

func (s *Socket) sendOnce(iovecs []unix.Iovec, flags int) (int, unix.Errno) {
	if len(iovecs) == 1 {
		r, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd),
			uintptr(unsafe.Pointer(iovecs[0].Base)), uintptr(iovecs[0].Len), uintptr(flags), 0, 0)
		return int(r), errno
	}
	msg := &s.scratch.msg
	msg.Iov = unsafe.SliceData(iovecs)
	msg.SetIovlen(len(iovecs))
	r, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(s.fd),
		uintptr(unsafe.Pointer(msg)), uintptr(flags))
	return int(r), errno
}

// Sendfile sends at most n bytes at position of the file fd. It may read from a disk, so the
// scheduler is told.
func (s *Socket) Sendfile(fd int, position int64, n int) (sent int, want Want, err error) {
	for {
		s.scratch.offset = position
		r, _, errno := unix.Syscall6(unix.SYS_SENDFILE, uintptr(s.fd), uintptr(fd),
			uintptr(unsafe.Pointer(&s.scratch.offset)), uintptr(n), 0, 0)
		switch errno {
		case 0:
			if r == 0 {
				return 0, WantNothing, fmt.Errorf("%w at position %d", ErrTruncated, position)
			}
			if int(r) < n {
				// Short for want of room in the socket or of file: the next call tells.
				want = WantNothing
			}
			return int(r), want, nil
		case unix.EAGAIN:
			return 0, WantWrite, nil
		case unix.EINTR:
			continue
		}
		return 0, WantNothing, socketError("sendfile", errno)
	}
}

// socketError names a failed call; what only says that the peer is gone is also ErrPeerClosed.
func socketError(call string, errno unix.Errno) error {
	if errors.Is(errno, unix.ECONNRESET) || errors.Is(errno, unix.EPIPE) {
		return fmt.Errorf("%w: %s: %w", ErrPeerClosed, call, errno)
	}
	return fmt.Errorf("%s: %w", call, errno)
}

// plain is the transport of bytes as they are.
type plain struct{ Socket }

func (p *plain) Flush() (Want, error) { return WantNothing, nil }

func (p *plain) SendRegion(fd int, position int64, n int) (int, Want, error) {
	return p.Sendfile(fd, position, n)
}

func (p *plain) SendsRegions() bool { return true }

func (p *plain) Close() {}
