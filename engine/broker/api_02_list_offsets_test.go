package broker

import (
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/partition"
	"sluice/replication"
	"sluice/wire"
)

// fakeLog is a log as a search sees it.
type fakeLog struct {
	start, leo int64
	epochs     []partition.EpochStart
	byTime     partition.TimestampOffset
	newest     partition.TimestampOffset
	err        error
}

func (l fakeLog) StartOffset() int64 { return l.start }
func (l fakeLog) LEO() int64         { return l.leo }
func (l fakeLog) Epochs(dst []partition.EpochStart) []partition.EpochStart {
	return append(dst, l.epochs...)
}

func (l fakeLog) OffsetForTimestamp(_, bound int64) (partition.TimestampOffset, error) {
	if bound != l.leo {
		panic("the search must look at the whole log")
	}
	return l.byTime, l.err
}
func (l fakeLog) MaxTimestamp() (partition.TimestampOffset, error) { return l.newest, l.err }

// TestOffsetSearch: what each special timestamp finds, and that nothing at or beyond the bound is
// told, nor anything new while the high watermark lags behind the epoch's start (KIP-79, 207, 734).
func TestOffsetSearch(t *testing.T) {
	log := fakeLog{
		start: 3, leo: 20, epochs: []partition.EpochStart{{Epoch: 2, StartOffset: 0}},
		byTime: partition.TimestampOffset{Offset: 9, TimestampMs: 900, LeaderEpoch: 4},
		newest: partition.TimestampOffset{Offset: 12, TimestampMs: 990, LeaderEpoch: 5},
	}
	check := func(what string, s offsetSearch, want string) {
		t.Helper()
		if s.log == nil {
			s.log = log
		}
		s.leaderEpoch = 7
		found, code := s.run()
		got := fmt.Sprint(found.Offset, found.TimestampMs, found.LeaderEpoch, code)
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	const lag = wire.CodeOffsetNotAvailable
	check("latest", offsetSearch{timestamp: -1, bound: 15}, "15 -1 7 0")
	check("latest while lagging", offsetSearch{timestamp: -1, bound: 15, lagging: lag}, "-1 -1 -1 78")
	check("earliest", offsetSearch{timestamp: -2, bound: 15}, "3 -1 2 0")
	check("earliest while lagging", offsetSearch{timestamp: -2, bound: 1, lagging: lag}, "3 -1 2 0")
	check("earliest local", offsetSearch{timestamp: -4, bound: 15}, "3 -1 2 0")
	check("tiered", offsetSearch{timestamp: -5, bound: 15, lagging: lag}, "-1 -1 -1 0")
	check("to be tiered", offsetSearch{timestamp: -6, bound: 15}, "-1 -1 -1 0")
	check("time", offsetSearch{timestamp: 900, bound: 15}, "9 900 4 0")
	check("time at the bound", offsetSearch{timestamp: 900, bound: 9}, "-1 -1 -1 0")
	check("time at the bound, lagging", offsetSearch{timestamp: 900, bound: 9, lagging: lag},
		"-1 -1 -1 78")
	check("time below it, lagging", offsetSearch{timestamp: 900, bound: 10, lagging: lag}, "9 900 4 0")
	check("newest", offsetSearch{timestamp: -3, bound: 15}, "12 990 5 0")
	check("newest beyond", offsetSearch{timestamp: -3, bound: 12}, "-1 -1 -1 0")

	broken, late, bare := log, log, log
	broken.err = errors.New("disk")
	late.epochs = []partition.EpochStart{{Epoch: 2, StartOffset: 5}}
	bare.epochs, bare.byTime = nil, nothingFound
	check("broken", offsetSearch{log: broken, timestamp: 1, bound: 15}, "-1 -1 -1 56")
	check("broken newest", offsetSearch{log: broken, timestamp: -3, bound: 15}, "-1 -1 -1 56")
	check("epochs begin late", offsetSearch{log: late, timestamp: -2, bound: 15}, "3 -1 -1 0")
	check("no epochs", offsetSearch{log: bare, timestamp: -2, bound: 15}, "3 -1 -1 0")
	check("never", offsetSearch{log: bare, timestamp: 5, bound: 15}, "-1 -1 -1 0")
}

// listed asks for one partition of topic "lo" and renders offset, timestamp, epoch and code.
func (tb *testBroker) listed(version int16, change func(*kmsg.ListOffsetsRequest)) string {
	tb.t.Helper()
	q := kmsg.NewPtrListOffsetsRequest()
	q.SetVersion(version)
	p := kmsg.NewListOffsetsRequestTopicPartition()
	q.Topics = []kmsg.ListOffsetsRequestTopic{{
		Topic: "lo", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p},
	}}
	change(q)
	s := ""
	for _, t := range tb.roundTrip(q).(*kmsg.ListOffsetsResponse).Topics {
		for _, p := range t.Partitions {
			s += fmt.Sprintf("%s-%d: %d %d %d code %d; ",
				t.Topic, p.Partition, p.Offset, p.Timestamp, p.LeaderEpoch, p.ErrorCode)
		}
	}
	return s
}

// TestListOffsetsVersions: which special timestamps each version knows, and the epoch from v4 on.
func TestListOffsetsVersions(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	tb.mustCreate("lo", 1)
	tb.mustProduce("lo", 0, batchOf(3, 10))
	const found, unsupported = "code 0; ", "lo-0: -1 -1 -1 code 35; "
	for version := int16(1); version <= 11; version++ {
		epoch := 0
		if version < 4 {
			epoch = -1
		}
		for timestamp, want := range map[int64]string{
			-1: fmt.Sprintf("lo-0: 3 -1 %d ", epoch) + found,
			-2: fmt.Sprintf("lo-0: 0 -1 %d ", epoch) + found,
			-3: fmt.Sprintf("lo-0: 0 1700000000000 %d ", epoch) + found,
			-4: fmt.Sprintf("lo-0: 0 -1 %d ", epoch) + found,
			-5: "lo-0: -1 -1 -1 " + found, -6: "lo-0: -1 -1 -1 " + found,
			-7: unsupported, -100: unsupported,
			0:                 fmt.Sprintf("lo-0: 0 1700000000000 %d ", epoch) + found,
			1_700_000_000_001: "lo-0: -1 -1 -1 " + found,
		} {
			if since, ok := offsetSince[timestamp]; ok && version < since {
				want = unsupported
			}
			got := tb.listed(version, func(q *kmsg.ListOffsetsRequest) {
				q.Topics[0].Partitions[0].Timestamp = timestamp
			})
			if got != want {
				t.Errorf("v%d at %d: %q, want %q", version, timestamp, got, want)
			}
		}
	}
}

// TestListOffsetsAddress: duplicates, what is missing, epochs, replicas and isolation levels.
func TestListOffsetsAddress(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	tb.mustCreate("lo", 2)
	tb.mustProduce("lo", 0, batchOf(3, 10))
	check := func(what, want string, change func(*kmsg.ListOffsetsRequest)) {
		t.Helper()
		got := tb.listed(11, func(q *kmsg.ListOffsetsRequest) {
			q.Topics[0].Partitions[0].Timestamp = -1
			change(q)
		})
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	const good = "lo-0: 3 -1 0 code 0; "
	part := func(q *kmsg.ListOffsetsRequest) *kmsg.ListOffsetsRequestTopicPartition {
		return &q.Topics[0].Partitions[0]
	}
	check("plain", good, func(*kmsg.ListOffsetsRequest) {})
	check("committed", good, func(q *kmsg.ListOffsetsRequest) { q.IsolationLevel = 1 })
	check("isolation 2", "lo-0: -1 -1 -1 code -1; ", func(q *kmsg.ListOffsetsRequest) {
		q.IsolationLevel = 2
	})
	for _, id := range []int32{-2, -3, 0, 99} {
		check("replica", good, func(q *kmsg.ListOffsetsRequest) { q.ReplicaID = id })
	}
	for epoch, want := range map[int32]string{
		0: good, 5: "lo-0: -1 -1 -1 code 75; ", -2: "lo-0: -1 -1 -1 code 74; ",
	} {
		check("epoch", want, func(q *kmsg.ListOffsetsRequest) { part(q).CurrentLeaderEpoch = epoch })
	}
	check("partition", "lo-9: -1 -1 -1 code 3; ", func(q *kmsg.ListOffsetsRequest) {
		part(q).Partition = 9
	})
	check("negative", "lo--1: -1 -1 -1 code 3; ", func(q *kmsg.ListOffsetsRequest) {
		part(q).Partition = -1
	})
	check("topic", "l o-0: -1 -1 -1 code 3; ", func(q *kmsg.ListOffsetsRequest) {
		q.Topics[0].Topic = "l o"
	})
	check("no topic", "", func(q *kmsg.ListOffsetsRequest) { q.Topics = nil })
	check("no partition", "", func(q *kmsg.ListOffsetsRequest) { q.Topics[0].Partitions = nil })
	check("twice", "lo-0: -1 -1 -1 code 42; lo-1: 0 -1 0 code 0; ",
		func(q *kmsg.ListOffsetsRequest) {
			second := q.Topics[0]
			second.Partitions = append([]kmsg.ListOffsetsRequestTopicPartition{
				{Partition: 1, Timestamp: -1, CurrentLeaderEpoch: -1},
			}, second.Partitions...)
			q.Topics = append(q.Topics, second)
		})
}

// TestListOffsetsNotLeader: a partition that other brokers have sends the client to new metadata,
// and one on a failed log dir is KAFKA_STORAGE_ERROR.
func TestListOffsetsNotLeader(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	tb.mustCreate("lo", 1)
	ask := func() string {
		return tb.listed(5, func(q *kmsg.ListOffsetsRequest) {
			q.Topics[0].Partitions[0].Timestamp = -1
		})
	}
	x := tb.topics.namedString("lo")
	x.replica(0).offline.Store(true)
	if got := ask(); got != "lo-0: -1 -1 -1 code 56; " {
		t.Errorf("offline: %q", got)
	}
	x.replica(0).offline.Store(false)
	tb.topics.remove(x)
	if got := ask(); got != "lo-0: -1 -1 -1 code 6; " {
		t.Errorf("elsewhere: %q", got)
	}
	tb.topics.add(x)
}

// TestListOffsetsLagging: a leader whose high watermark has not reached the start of its epoch
// tells no latest offset, in the words of the client's version (KIP-207); followers are told.
func TestListOffsetsLagging(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	tb.mustCreate("lo", 1)
	tb.mustProduce("lo", 0, batchOf(6, 10))
	r := tb.topics.namedString("lo").replica(0)
	lead := func(epochStart, highWatermark int64) {
		r.log.Load().Locked(func() {
			r.leader = replication.NewLeader(replication.LeaderConfig{
				Self: tb.nodeID,
				Committed: replication.Committed{
					Replicas: []int32{tb.nodeID, 7}, ISR: []int32{tb.nodeID, 7},
				},
				EpochStartOffset: epochStart, HighWatermark: highWatermark,
				Local:  replication.Local{LEO: 6, Flushed: 6},
				Policy: replication.Policy{MinInSync: 1, LagTimeMaxMs: 30_000},
			}, tb.nowMs())
			r.publish()
		})
	}
	check := func(version int16, replicaID int32, timestamp int64, want string) {
		t.Helper()
		got := tb.listed(version, func(q *kmsg.ListOffsetsRequest) {
			q.ReplicaID, q.Topics[0].Partitions[0].Timestamp = replicaID, timestamp
		})
		if got != want {
			t.Errorf("v%d replica %d at %d: %q, want %q", version, replicaID, timestamp, got, want)
		}
	}
	lead(6, 2)
	check(5, -1, -1, "lo-0: -1 -1 -1 code 78; ")
	check(4, -1, -1, "lo-0: -1 -1 -1 code 5; ")
	check(5, 7, -1, "lo-0: 6 -1 0 code 0; ")
	check(5, -1, -2, "lo-0: 0 -1 0 code 0; ")
	check(5, -1, 1_700_000_000_000, "lo-0: 0 1700000000000 0 code 0; ")
	lead(2, 2)
	check(5, -1, -1, "lo-0: 2 -1 0 code 0; ")
	p := tb.roundTrip(deleteRecordsRequest(2, "lo", 0, 3)).(*kmsg.DeleteRecordsResponse)
	if got := p.Topics[0].Partitions[0]; got.ErrorCode != wire.CodeOffsetOutOfRange {
		t.Errorf("deleting beyond the high watermark: %+v", got)
	}
	p = tb.roundTrip(deleteRecordsRequest(2, "lo", 0, -1)).(*kmsg.DeleteRecordsResponse)
	if got := p.Topics[0].Partitions[0]; got.LowWatermark != 2 {
		t.Errorf("deleting up to the high watermark: %+v", got)
	}
}
