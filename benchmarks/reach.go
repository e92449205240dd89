package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// reach connects to a broker for administration and makes sure that it answers. The error is one
// sentence that names the addresses.
func reach(ctx context.Context, addrs []string) (*kadm.Client, error) {
	cl, err := kgo.NewClient(
		kgo.SeedBrokers(addrs...),
		kgo.ClientID("sluice-bench"),
		kgo.SoftwareNameAndVersion("sluice", "bench"),
		kgo.DisableClientMetrics(),
		kgo.DialTimeout(dialTimeout),
		kgo.RequestTimeoutOverhead(30*time.Second),
		kgo.RetryTimeout(30*time.Second),
		kgo.MetadataMinAge(50*time.Millisecond),
	)
	if err != nil {
		return nil, err
	}
	ping, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := await(ping, func() error { return cl.Ping(ping) }); err != nil {
		// Closing waits for the answer that does not come.
		go cl.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("cannot reach a broker at %s: %s", strings.Join(addrs, ","), reason(err))
	}
	return kadm.NewClient(cl), nil
}

// await runs f and returns its error, or that of the context if it ends first: the client's first
// question on a connection has a time of its own, which knows nothing of the caller's context.
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

// reason words why a broker could not be asked.
func reason(err error) string {
	var dns *net.DNSError
	var firstEOF *kgo.ErrFirstReadEOF
	var kafka *kerr.Error
	var network net.Error
	switch {
	case errors.As(err, &dns):
		return fmt.Sprintf("host %s is not known", dns.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &firstEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection was closed at once; is it a Kafka listener without TLS and SASL?"
	case errors.As(err, &kafka):
		return fmt.Sprintf("%s (%s)", kafka.Message, strings.TrimSuffix(kafka.Description, "."))
	case errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &network) && network.Timeout():
		return fmt.Sprintf("it accepts connections or packets, but did not answer within %s", dialTimeout)
	case strings.Contains(err.Error(), "invalid large response size"):
		return "what answers there does not speak Kafka's protocol"
	}
	return err.Error()
}
