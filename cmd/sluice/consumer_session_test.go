package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestGroupSessionLost: a consumer waits for a group's coordinator to come back, for a minute and with
// one warning; what the coordinator refuses for good ends it at once.
func TestGroupSessionLost(t *testing.T) {
	t.Parallel()
	var warned []string
	c := &consumer{warnf: func(format string, args ...any) {
		warned = append(warned, fmt.Sprintf(format, args...))
	}}
	lose := func(cause error) error {
		return c.fetchError(context.Background(), kgo.NewErrFetch(&kgo.ErrGroupSession{Err: cause}))
	}
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for range 2 {
		if err := lose(refused); err != nil {
			t.Errorf("a broker that is being restarted: %v", err)
		}
	}
	if err := lose(kerr.CoordinatorLoadInProgress); err != nil {
		t.Errorf("a coordinator that is loading: %v", err)
	}
	if len(warned) != 1 || !strings.Contains(warned[0], "joining again") {
		t.Errorf("warnings %q", warned)
	}
	if err := lose(kerr.FencedInstanceID); err == nil || !strings.Contains(err.Error(), "FENCED_INSTANCE_ID") {
		t.Errorf("a fenced member: %v", err)
	}
	c.sessionLost = time.Now().Add(-2 * outageMax)
	if err := lose(refused); err == nil {
		t.Error("a broker that does not come back is waited for without end")
	}
}
