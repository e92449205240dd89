package txncheck

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The waits of a client.
const (
	answerWait = 1500 * time.Millisecond // then the answer counts as lost
	orphanWait = 60 * time.Second        // a stalled broker goes on long before
	redialWait = 10 * time.Millisecond
)

// care is what a client does about the answer to a request.
type care uint8

const (
	waits care = iota
	// loses has the answer arrive unseen, as by a network that fails for a while. The broker has
	// processed the request when the connection is drained.
	loses
	// cuts closes the connection once the request is written. The broker may process it at any time.
	cuts
)

// errNoAnswer says that a request was sent, at least in part, and no answer came.
var errNoAnswer = errors.New("no answer")

// link is one client's way to the broker: a connection at a time, made anew when need be.
type link struct {
	addr        func() string
	conn        net.Conn
	correlation int32
	// orphans are closed one by one when the broker has answered, or ended, a connection whose
	// answer nobody waits for.
	orphans []chan struct{}
}

// do sends a request and returns its answer. It dials until it has a connection. The errors are
// errNoAnswer and the context's.
func (l *link) do(ctx context.Context, req kmsg.Request, c care) (kmsg.Response, error) {
	for l.conn == nil {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", l.addr())
		if err == nil {
			l.conn = conn
			break
		}
		if err := pause(ctx, redialWait); err != nil {
			return nil, err
		}
	}
	l.correlation++
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("txncheck"))
	if _, err := l.conn.Write(f.AppendRequest(nil, req, l.correlation)); err != nil {
		l.close()
		return nil, errNoAnswer
	}
	switch c {
	case loses:
		l.orphan()
		return nil, errNoAnswer
	case cuts:
		l.close()
		return nil, errNoAnswer
	}
	_ = l.conn.SetReadDeadline(time.Now().Add(answerWait)) // A dead connection tells by the read.
	resp, err := l.receive(req)
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		l.orphan()
	case err != nil:
		l.close()
	default:
		return resp, nil
	}
	return nil, errNoAnswer
}

func (l *link) receive(req kmsg.Request) (kmsg.Response, error) {
	var head [8]byte
	if _, err := io.ReadFull(l.conn, head[:]); err != nil {
		return nil, err
	}
	if got := int32(binary.BigEndian.Uint32(head[4:])); got != l.correlation {
		return nil, fmt.Errorf("correlation id %d, want %d", got, l.correlation)
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:])-4)
	if _, err := io.ReadFull(l.conn, body); err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	if req.IsFlexible() {
		if len(body) == 0 || body[0] != 0 {
			return nil, errors.New("the answer's header has no empty tag section")
		}
		body = body[1:]
	}
	return resp, resp.ReadFrom(body)
}

// orphan leaves the connection to a goroutine that waits for any answer, and takes none.
func (l *link) orphan() {
	conn, done := l.conn, make(chan struct{})
	l.conn = nil
	l.orphans = append(l.orphans, done)
	go func() {
		defer close(done)
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(orphanWait))
		_, _ = conn.Read(make([]byte, 1)) // An answer or the end: either will do.
	}()
}

// drain waits until the broker is done with all that was sent, unless it was cut off.
func (l *link) drain(ctx context.Context) error {
	for _, done := range l.orphans {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	l.orphans = nil
	return nil
}

func (l *link) close() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}

// pause waits, as a client does between two attempts.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
