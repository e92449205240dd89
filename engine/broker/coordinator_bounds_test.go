package broker

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
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

// TestAnswersAreBounded: naming a thing a thousand times does not have it told a thousand times.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t)
	many := slices.Repeat([]string{"g"}, 1000)
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups = many
	if p := tb.roundTrip(describe).(*kmsg.DescribeGroupsResponse); len(p.Groups) != 1 {
		t.Errorf("%d groups described", len(p.Groups))
	}
	txns := kmsg.NewPtrDescribeTransactionsRequest()
	txns.TransactionalIDs = many
	p := tb.roundTrip(txns).(*kmsg.DescribeTransactionsResponse)
	if len(p.TransactionStates) != 1 {
		t.Errorf("%d transactions described", len(p.TransactionStates))
	}
}

// TestOffsetFetchIsBounded: likewise, and for metadata that one answer tells over and over.
func TestOffsetFetchIsBounded(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t)
	q := kmsg.NewPtrOffsetFetchRequest()
	q.Version = 9
	metadata := strings.Repeat("m", 4096)
	for _, id := range []string{"g", "h", "g"} {
		commit := kmsg.NewPtrOffsetCommitRequest()
		commit.Version, commit.Group, commit.Generation = 8, id, -1
		commit.Topics = []kmsg.OffsetCommitRequestTopic{{
			Topic:      "a",
			Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Metadata: &metadata}},
		}}
		tb.roundTrip(commit)
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group, g.MemberEpoch = id, -1
		g.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: "a", Partitions: make([]int32, 10_000)}}
		q.Groups = append(q.Groups, g)
	}
	var got []string
	for _, g := range tb.roundTrip(q).(*kmsg.OffsetFetchResponse).Groups {
		got = append(got, fmt.Sprint(g.Group, " ", wire.CodeName(g.ErrorCode), " ", len(g.Topics)))
	}
	want := []string{"g NONE 1", "h UNKNOWN_SERVER_ERROR 0", "g INVALID_REQUEST 0"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestCoordinatorThatCannotBe: where its topic cannot be made, everybody is told so, with one attempt
// and one line in the log however many keys a request has.
func TestCoordinatorThatCannotBe(t *testing.T) {
	t.Parallel()
	lines := &lineCounter{Handler: slog.DiscardHandler}
	tb, err := tryTestBroker(t, t.TempDir(), func(env *Environment) { env.Log = slog.New(lines) },
		"offsets.topic.replication.factor=3")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tb.stop)
	q := kmsg.NewPtrFindCoordinatorRequest()
	q.Version, q.CoordinatorKeys = 4, slices.Repeat([]string{"g"}, 100)
	for range 3 {
		p := tb.roundTrip(q).(*kmsg.FindCoordinatorResponse)
		if n := len(p.Coordinators); n != 100 {
			t.Fatalf("%d answers", n)
		}
		for _, c := range p.Coordinators {
			if c.ErrorCode != wire.CodeCoordinatorNotAvailable {
				t.Fatal(wire.CodeName(c.ErrorCode))
			}
		}
	}
	if n := lines.errors.Load(); n != 1 {
		t.Errorf("%d lines of errors", n)
	}
}
