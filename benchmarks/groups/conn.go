package groups

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// answerTimeout bounds the wait for any answer: longer than a rebalance may take.
const answerTimeout = 2 * time.Minute

// answerBytesMax bounds an answer.
const answerBytesMax = 64 << 20

// conn is one connection to a broker. It is for one goroutine, or one that sends and one that
// receives.
type conn struct {
	net.Conn
	in    *bufio.Reader
	corr  int32
	out   []byte
	frame []byte
}

func dial(ctx context.Context, addr string) (*conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second, KeepAlive: -1}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, in: bufio.NewReaderSize(c, 4<<10)}, nil
}

// send writes a request.
func (c *conn) send(q kmsg.Request) error {
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("sluice-bench"))
	c.corr++
	c.out = f.AppendRequest(c.out[:0], q, c.corr)
	_, err := c.Write(c.out)
	return err
}

// receive reads the next answer into p, whose version is set.
func (c *conn) receive(p kmsg.Response) error {
	if err := c.SetReadDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	var size [4]byte
	if _, err := io.ReadFull(c.in, size[:]); err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint32(size[:]))
	if n < 4 || n > answerBytesMax {
		return fmt.Errorf("an answer of %d bytes", n)
	}
	if cap(c.frame) < n {
		c.frame = make([]byte, n)
	}
	c.frame = c.frame[:n]
	if _, err := io.ReadFull(c.in, c.frame); err != nil {
		return err
	}
	body := c.frame[4:]
	if p.IsFlexible() {
		body = body[1:] // The header's tagged fields, of which there are none.
	}
	return p.ReadFrom(body)
}

// ask sends q and waits for its answer.
func (c *conn) ask(q kmsg.Request) (kmsg.Response, error) {
	if err := c.send(q); err != nil {
		return nil, err
	}
	p := q.ResponseKind()
	p.SetVersion(q.GetVersion())
	return p, c.receive(p)
}

// errNoCoordinator says that nobody coordinates a group or transactional id, after a while of asking.
var errNoCoordinator = errors.New("no coordinator")

// The types of coordinators.
const (
	ofGroup int8 = 0
	ofTxn   int8 = 1
)

// coordinator finds the address of a key's coordinator. Internal topics may have to be made first, so
// it asks until there is one, for half a minute.
func coordinator(ctx context.Context, addr string, kind int8, key string) (string, error) {
	c, err := dial(ctx, addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	q := kmsg.NewPtrFindCoordinatorRequest()
	q.Version, q.CoordinatorType, q.CoordinatorKeys = 4, kind, []string{key}
	for end := time.Now().Add(30 * time.Second); ; {
		p, err := c.ask(q)
		if err != nil {
			return "", err
		}
		found := p.(*kmsg.FindCoordinatorResponse).Coordinators
		if len(found) == 1 && found[0].ErrorCode == 0 {
			return net.JoinHostPort(found[0].Host, strconv.Itoa(int(found[0].Port))), nil
		}
		if time.Now().After(end) || len(found) != 1 {
			return "", errNoCoordinator
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return "", err
		}
	}
}

// pause waits, or returns early with the context's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// codeName names an error code for reports.
func codeName(code int16) string {
	if code == 0 {
		return "NONE"
	}
	if err := kerr.TypedErrorForCode(code); err != nil {
		return err.Message
	}
	return "UNKNOWN_" + strconv.Itoa(int(code))
}
