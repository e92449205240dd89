package kgoload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/benchmarks/drive"
)

// errorName gives Kafka's name of an error, or one of drive's.
func errorName(err error) string {
	var kafka *kerr.Error
	var firstRead *kgo.ErrFirstReadEOF
	var network *net.OpError
	var call *os.SyscallError
	switch {
	case errors.As(err, &kafka):
		return kafka.Message
	case errors.Is(err, syscall.ECONNREFUSED):
		return drive.ErrorConnectRefused
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, kgo.ErrRecordTimeout),
		errors.Is(err, kgo.ErrClientClosed), errors.Is(err, os.ErrDeadlineExceeded):
		return drive.ErrorUnanswered
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, kgo.ErrRecordRetries), // with RecordRetries(0), only after a lost connection
		errors.As(err, &firstRead), errors.As(err, &network), errors.As(err, &call),
		abandoned(err):
		return drive.ErrorConnectionLost
	case strings.Contains(err.Error(), " crc "):
		// kgo has no type for it: "encoded crc … does not match calculated crc …".
		return drive.ErrorBadCRC
	}
	return drive.ErrorBadAnswer
}

// abandoned says that kgo itself gave up the connection that the request was on, because of another
// request. kgo does not export the error; it is the retryable one without a cause from the network.
func abandoned(err error) bool {
	var network *net.OpError
	var call *os.SyscallError
	return kgo.IsRetryableBrokerErr(err) && !errors.Is(err, io.EOF) &&
		!errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, net.ErrClosed) &&
		!errors.As(err, &network) && !errors.As(err, &call)
}

// fromBroker says that the broker answered with this error, as opposed to not answering.
func fromBroker(err error) bool {
	var kafka *kerr.Error
	return errors.As(err, &kafka)
}

// describe lists counted errors, the most frequent first.
func describe(counts map[string]int64) string {
	if len(counts) == 0 {
		return "no error was reported"
	}
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if counts[a] != counts[b] {
			return int(min(1, max(-1, counts[b]-counts[a])))
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%d × %s", counts[name], name)
	}
	return strings.Join(names, ", ")
}
