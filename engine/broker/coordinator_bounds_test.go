package broker

import (
	"context"
	"log/slog"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/pagecache"
	"sluice/wire"
)

// TestFullDiskEndsNoCoordinator: a full disk refuses commits as long as it is full, and not longer.
func TestFullDiskEndsNoCoordinator(t *testing.T) {
	t.Parallel()
	disk := &faultyFS{FS: pagecache.OS{}, path: offsetsTopic}
	tb, err := tryTestBroker(t, t.TempDir(), func(env *Environment) { env.FS = disk })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tb.stop)
	tb.coordinators(offsetsTopic)
	tb.mustCreate("a", 1)
	disk.write = syscall.ENOSPC
	if code := tb.commit("g", "a", 0, 1); code != wire.CodeNotCoordinator {
		t.Errorf("while the disk is full: %s", wire.CodeName(code))
	}
	disk.write = nil
	if code := tb.commit("g", "a", 0, 2); code != 0 {
		t.Errorf("when there is room again: %s", wire.CodeName(code))
	}
	if got := tb.committed("g", "a", 0, false); got != "2 NONE" {
		t.Error(got)
	}
}

// lineCounter counts log records that are errors.
type lineCounter struct {
	slog.Handler
	errors atomic.Int32
}

func (c *lineCounter) Enabled(context.Context, slog.Level) bool { return true }

func (c *lineCounter) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		c.errors.Add(1)
	}
	return nil
}

// TestStaleMarkersFillNoLog: a stranger's stale markers are refused without a line each.
func TestStaleMarkersFillNoLog(t *testing.T) {
	t.Parallel()
	lines := &lineCounter{Handler: slog.DiscardHandler}
	tb, err := tryTestBroker(t, t.TempDir(), func(env *Environment) { env.Log = slog.New(lines) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tb.stop)
	tb.coordinators(offsetsTopic)
	end := func(epoch int16) int16 {
		q := kmsg.NewPtrWriteTxnMarkersRequest()
		q.Version = 1
		q.Markers = []kmsg.WriteTxnMarkersRequestMarker{{
			ProducerID: 7, ProducerEpoch: epoch,
			Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{
				Topic: offsetsTopic, Partitions: []int32{0},
			}},
		}}
		p := tb.roundTrip(q).(*kmsg.WriteTxnMarkersResponse)
		return p.Markers[0].Topics[0].Partitions[0].ErrorCode
	}
	if code := end(5); code != 0 {
		t.Fatal(wire.CodeName(code))
	}
	for range 20 {
		if code := end(3); code != wire.CodeInvalidProducerEpoch {
			t.Fatal(wire.CodeName(code))
		}
	}
	if n := lines.errors.Load(); n != 0 {
		t.Errorf("%d lines of errors", n)
	}
}
