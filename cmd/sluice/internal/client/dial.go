package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// pingTimeout bounds the search for a broker that answers. It is short because a person waits.
const pingTimeout = 6 * time.Second

// UnreachableError says that no broker answers at the bootstrap addresses, in one sentence.
type UnreachableError struct {
	Bootstrap []string
	Reason    string
}

// Error returns the sentence.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("cannot reach a broker at %s: %s", strings.Join(e.Bootstrap, ","), e.Reason)
}

// Dial makes a client with the settings and further options, and makes sure that a broker answers.
// The caller closes the client. The error is an UnreachableError, or says what is wrong with an
// option.
func (s *Settings) Dial(ctx context.Context, more ...kgo.Opt) (*kgo.Client, error) {
	cl, err := kgo.NewClient(append(s.options(), more...)...)
	if err != nil {
		return nil, err
	}
	ping, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if err := await(ping, func() error { return cl.Ping(ping) }); err != nil {
		// Closing waits for the same answer, and the process is about to end anyway.
		go cl.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &UnreachableError{s.Bootstrap, reason(err)}
	}
	return cl, nil
}

// await runs f and returns its error, or that of the context if it ends first. The client gives its
// first question on a connection a time of its own, which knows nothing of the caller's context.
func await(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reason words why a connection failed.
func reason(err error) string {
	var dns *net.DNSError
	var firstEOF *kgo.ErrFirstReadEOF
	switch {
	case errors.As(err, &dns):
		return fmt.Sprintf("host %s is not known", dns.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused; is it running?"
	case errors.As(err, &firstEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection was closed at once; is it a Kafka listener without TLS and SASL?"
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return fmt.Sprintf("no answer within %d s", pingTimeout/time.Second)
	}
	switch text := err.Error(); {
	case strings.Contains(text, "beginning of an HTTP response"):
		return "what answers there speaks HTTP; is it the port of a Kafka listener?"
	case strings.Contains(text, "tls alert record"):
		return "what answers there speaks TLS, which these tools do not"
	case strings.Contains(text, "invalid large response size"):
		return "what answers there does not speak Kafka's protocol"
	}
	return err.Error()
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// Explain words an error of a call to a reached cluster. A broker's own message says more than the
// name of its code, so callers put that first where there is one. Errors that callers have already
// worded stay as they are.
func Explain(err error, message string) error {
	if err == nil {
		return nil
	}
	if code, ok := err.(*kerr.Error); ok {
		if message == "" {
			message = strings.TrimSuffix(code.Description, ".")
		}
		return fmt.Errorf("%s (%s)", strings.TrimSuffix(message, "."), code.Message)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("the broker did not answer in time")
	}
	return err
}

// Message returns the text behind a pointer from a response, or nothing.
func Message(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// Watch is a hook for Dial's options that notices when the cluster no longer answers. A consumer or
// producer would otherwise retry for ever without a word.
type Watch struct {
	// Lost is called when a connection cannot be made after something had been read, Back with the
	// next answer of any broker. Both may be called from any goroutine and must not block.
	Lost func(error)
	Back func()

	mu    sync.Mutex // Guards what follows.
	heard bool       // Some broker has answered.
	lost  bool
}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (w *Watch) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	w.mu.Lock()
	changed := w.heard && !w.lost
	w.lost = w.lost || changed
	w.mu.Unlock()
	if changed {
		w.Lost(err)
	}
}

// OnBrokerRead implements kgo.HookBrokerRead.
func (w *Watch) OnBrokerRead(_ kgo.BrokerMetadata, _ int16, _ int, _, _ time.Duration, err error) {
	if err != nil {
		return
	}
	w.mu.Lock()
	changed := w.lost
	w.heard, w.lost = true, false
	w.mu.Unlock()
	if changed {
		w.Back()
	}
}
