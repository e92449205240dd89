package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/partition"
	"sluice/wire"
)

// The timestamps of ListOffsets that are not times.
const (
	offsetLatest        int64 = -1 // The end of what the reader may see.
	offsetEarliest      int64 = -2
	offsetMaxTimestamp  int64 = -3 // The record with the largest timestamp (KIP-734).
	offsetEarliestLocal int64 = -4 // The first offset not only in tiered storage (KIP-405).
	offsetLatestTiered  int64 = -5 // The last offset in tiered storage (KIP-1005).
	offsetEarliestToGo  int64 = -6 // The first offset still to be tiered (KIP-1023).
)

// offsetSince is the first version that knows each of them.
var offsetSince = map[int64]int16{
	offsetLatest: 1, offsetEarliest: 1, offsetMaxTimestamp: 7,
	offsetEarliestLocal: 8, offsetLatestTiered: 9, offsetEarliestToGo: 11,
}

// Values of replica id in a request, and of isolation level.
const (
	replicaConsumer  int32 = -1
	replicaDebugging int32 = -2 // Reads from any replica.

	isolationUncommitted int8 = 0
	isolationCommitted   int8 = 1
)

// listOffsetsNotAvailable is the version from which on clients know OFFSET_NOT_AVAILABLE (KIP-207).
const listOffsetsNotAvailable = 5

// nothingFound is the answer without an offset.
var nothingFound = partition.TimestampOffset{Offset: -1, TimestampMs: -1, LeaderEpoch: -1}

// handleListOffsets finds offsets by time or by name.
func handleListOffsets(b *Broker, _ *request, q kmsg.Request) kmsg.Response {
	req := q.(*kmsg.ListOffsetsRequest)
	p := kmsg.NewPtrListOffsetsResponse()
	badIsolation := req.IsolationLevel != isolationUncommitted &&
		req.IsolationLevel != isolationCommitted
	mentions := map[partitionKey]int{}
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			mentions[partitionKey{req.Topics[i].Topic, req.Topics[i].Partitions[j].Partition}]++
		}
	}
	topicAt := map[string]int{}
	for i := range req.Topics {
		name := req.Topics[i].Topic
		for j := range req.Topics[i].Partitions {
			from := &req.Topics[i].Partitions[j]
			key := partitionKey{name, from.Partition}
			n := mentions[key]
			if n == 0 {
				continue // Answered already.
			}
			mentions[key] = 0
			found, code := nothingFound, wire.CodeInvalidRequest
			switch {
			case badIsolation:
				code = wire.CodeUnknownServerError
			case n == 1:
				found, code = b.listOffset(req, name, from)
			}
			at, ok := topicAt[name]
			if !ok {
				at = len(p.Topics)
				topicAt[name] = at
				p.Topics = append(p.Topics, kmsg.ListOffsetsResponseTopic{Topic: name})
			}
			p.Topics[at].Partitions = append(p.Topics[at].Partitions,
				listOffsetsAnswer(from.Partition, found, code))
		}
	}
	return p
}

func listOffsetsAnswer(
	index int32, found partition.TimestampOffset, code int16,
) kmsg.ListOffsetsResponseTopicPartition {
	if code != wire.CodeNone {
		found = nothingFound
	}
	return kmsg.ListOffsetsResponseTopicPartition{
		Partition: index, ErrorCode: code,
		Timestamp: found.TimestampMs, Offset: found.Offset, LeaderEpoch: found.LeaderEpoch,
	}
}

// listOffset answers for one partition.
func (b *Broker) listOffset(
	req *kmsg.ListOffsetsRequest, topic string, from *kmsg.ListOffsetsRequestTopicPartition,
) (partition.TimestampOffset, int16) {
	if since, known := offsetSince[from.Timestamp]; from.Timestamp < 0 &&
		(!known || req.Version < since) {
		return nothingFound, wire.CodeUnsupportedVersion
	}
	r, code := b.hosted(topic, from.Partition)
	if code != wire.CodeNone {
		return nothingFound, code
	}
	log, code := b.ledLog(r, from.CurrentLeaderEpoch, req.ReplicaID == replicaDebugging)
	if code != wire.CodeNone {
		return nothingFound, code
	}
	s := offsetSearch{
		log: log, timestamp: from.Timestamp, leaderEpoch: r.leaderEpoch.Load(),
		lagging: wire.CodeNone,
	}
	if req.ReplicaID == replicaConsumer {
		highWatermark := r.highWatermark.Load()
		s.bound, s.lagging = highWatermark, r.lagging(log, highWatermark)
		if req.IsolationLevel == isolationCommitted {
			s.bound = log.LastStableOffset(highWatermark)
		}
	} else {
		s.bound = log.LEO()
	}
	if s.lagging != wire.CodeNone && req.Version < listOffsetsNotAvailable {
		s.lagging = wire.CodeLeaderNotAvailable
	}
	found, code := s.run()
	if code == wire.CodeKafkaStorageError {
		b.log.Error("searching an offset failed", "topic", topic, "partition", from.Partition,
			"timestamp", from.Timestamp, "error", s.failure)
	}
	return found, code
}

// lagging returns OFFSET_NOT_AVAILABLE while a new leader's high watermark has not yet reached the
// start of its epoch: offsets told now might go backwards (KIP-207).
func (r *replica) lagging(log *partition.Log, highWatermark int64) (code int16) {
	// The high watermark never lies above the log's end, which is where the epoch began at the
	// latest: at the end there is nothing to ask the leader, and appends are not disturbed.
	if highWatermark >= log.LEO() {
		return wire.CodeNone
	}
	log.Locked(func() {
		if r.leader != nil {
			code = r.leader.CheckLatest(highWatermark)
		}
	})
	return code
}

// offsetLog is what a search needs of a log.
type offsetLog interface {
	StartOffset() int64
	LEO() int64
	Epochs(dst []partition.EpochStart) []partition.EpochStart
	OffsetForTimestamp(timestampMs, bound int64) (partition.TimestampOffset, error)
	MaxTimestamp() (partition.TimestampOffset, error)
}

// offsetSearch finds one offset in one log.
type offsetSearch struct {
	log       offsetLog
	timestamp int64
	// bound ends what the reader may see: HW, LSO or LEO.
	bound       int64
	leaderEpoch int32
	// lagging is the code for offsets that cannot be told yet.
	lagging int16
	// failure is why the code is KAFKA_STORAGE_ERROR.
	failure error
}

func (s *offsetSearch) run() (partition.TimestampOffset, int16) {
	var found partition.TimestampOffset
	switch s.timestamp {
	case offsetLatest:
		if s.lagging != wire.CodeNone {
			return nothingFound, s.lagging
		}
		return partition.TimestampOffset{
			Offset: s.bound, TimestampMs: -1, LeaderEpoch: s.leaderEpoch,
		}, wire.CodeNone
	case offsetEarliest, offsetEarliestLocal:
		start := s.log.StartOffset()
		return partition.TimestampOffset{
			Offset: start, TimestampMs: -1, LeaderEpoch: s.earliestEpoch(start),
		}, wire.CodeNone
	case offsetLatestTiered, offsetEarliestToGo:
		// Nothing is ever tiered.
		return nothingFound, wire.CodeNone
	case offsetMaxTimestamp:
		found, s.failure = s.log.MaxTimestamp()
	default:
		// The search goes past the bound, to tell "not yet" from "never".
		found, s.failure = s.log.OffsetForTimestamp(s.timestamp, s.log.LEO())
	}
	switch {
	case s.failure != nil:
		return nothingFound, wire.CodeKafkaStorageError
	case found.Offset < 0:
		return nothingFound, s.lagging
	case found.Offset >= s.bound:
		return nothingFound, s.lagging
	default:
		return found, wire.CodeNone
	}
}

// earliestEpoch is the epoch of the log's first offset, or -1 when the epochs kept begin after it.
func (s *offsetSearch) earliestEpoch(start int64) int32 {
	var room [8]partition.EpochStart
	epochs := s.log.Epochs(room[:0])
	if len(epochs) == 0 || epochs[0].StartOffset > start {
		return -1
	}
	return epochs[0].Epoch
}
