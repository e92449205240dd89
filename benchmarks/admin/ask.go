package admin

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"golang.org/x/sys/unix"

	"sluice/benchmarks/drive"
)

// answerMax bounds the answer to ApiVersions v0: 6 bytes for each API key, of which there are under
// a hundred.
const answerMax = 64 << 10

// badAnswerError says that what came back is no answer to ApiVersions.
type badAnswerError struct{ text string }

func (e *badAnswerError) Error() string { return e.text }

// ask sends ApiVersions v0 (KIP-35: every broker answers it) and reads the answer.
func ask(conn net.Conn, correlation int32, deadline time.Time) error {
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	const name = "sluice-bench"
	frame := make([]byte, 0, 64)
	frame = binary.BigEndian.AppendUint32(frame, uint32(10+len(name)))
	frame = binary.BigEndian.AppendUint16(frame, 18) // ApiVersions
	frame = binary.BigEndian.AppendUint16(frame, 0)
	frame = binary.BigEndian.AppendUint32(frame, uint32(correlation))
	frame = binary.BigEndian.AppendUint16(frame, uint16(len(name)))
	frame = append(frame, name...)
	if _, err := conn.Write(frame); err != nil {
		return err
	}
	var head [10]byte // size, correlation id, error code
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	size := int32(binary.BigEndian.Uint32(head[:]))
	if size < 6 || size > answerMax || int32(binary.BigEndian.Uint32(head[4:])) != correlation {
		return &badAnswerError{fmt.Sprintf("an answer of %d bytes to another request", size)}
	}
	if _, err := io.CopyN(io.Discard, conn, int64(size)-6); err != nil {
		return err
	}
	return kerr.ErrorForCode(int16(binary.BigEndian.Uint16(head[8:])))
}

// closed reports whether the other side has closed a connection on which nothing is under way.
func closed(conn net.Conn) bool {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		gone = n == 0 && err == nil || err != nil && err != unix.EAGAIN
	})
	return gone || err != nil
}

// errorName gives Kafka's name of an error, or one of drive's.
func errorName(err error) string {
	var kafka *kerr.Error
	var odd *badAnswerError
	switch {
	case errors.As(err, &kafka):
		return kafka.Message
	case errors.As(err, &odd):
		return drive.ErrorBadAnswer
	case errors.Is(err, syscall.ECONNREFUSED):
		return drive.ErrorConnectRefused
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return drive.ErrorUnanswered
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "NO_LOCAL_PORT"
	case errors.Is(err, syscall.EMFILE):
		return "TOO_MANY_FILES"
	}
	return drive.ErrorConnectionLost
}

// describe is the error without its addresses.
func describe(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// listErrors words counted errors, the most frequent first.
func listErrors(counts map[string]int64) string {
	var names []string
	for name := range counts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := counts[b] - counts[a]; d != 0 {
			return int(max(-1, min(1, d)))
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s × %d", name, counts[name])
	}
	return strings.Join(names, ", ")
}
