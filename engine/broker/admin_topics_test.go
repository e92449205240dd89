package broker

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
	"sluice/wire"
)

// creation asks for one topic.
func creation(
	version int16, name string, partitions int32, factor int16,
) *kmsg.CreateTopicsRequest {
	q := kmsg.NewPtrCreateTopicsRequest()
	q.SetVersion(version)
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, factor
	q.Topics = append(q.Topics, t)
	return q
}

// TestCreateTopicsVersions: what each version tells of a new topic: configs with their sources from
// v5 on (KIP-525), the id in v7 (KIP-516); validation only makes nothing and tells the same.
func TestCreateTopicsVersions(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t, "log.retention.ms=1000")
	for version := int16(2); version <= 7; version++ {
		for _, validateOnly := range []bool{true, false} {
			name := fmt.Sprintf("v%d", version)
			q := creation(version, name, 3, 1)
			q.ValidateOnly = validateOnly
			q.Topics[0].Configs = []kmsg.CreateTopicsRequestTopicConfig{
				{Name: "cleanup.policy", Value: textOf("compact")},
			}
			got := tb.roundTrip(q).(*kmsg.CreateTopicsResponse).Topics[0]
			if got.ErrorCode != 0 || got.ErrorMessage != nil || got.Topic != name {
				t.Fatalf("v%d: %+v", version, got)
			}
			if version >= 5 {
				checkCreatedConfigs(t, &got)
			}
			if has := got.TopicID != [16]byte{}; has != (version == 7) {
				t.Errorf("v%d: id %v", version, got.TopicID)
			}
			made := tb.image().Topic(name)
			if (made == nil) != validateOnly {
				t.Errorf("v%d validate only %v: made %v", version, validateOnly, made)
			}
			if made != nil && version == 7 && catalog.UUID(got.TopicID) != made.ID {
				t.Errorf("id %v, but the topic's is %v", got.TopicID, made.ID)
			}
		}
	}
}

func checkCreatedConfigs(t *testing.T, got *kmsg.CreateTopicsResponseTopic) {
	t.Helper()
	if got.NumPartitions != 3 || got.ReplicationFactor != 1 {
		t.Errorf("%d partitions, %d replicas", got.NumPartitions, got.ReplicationFactor)
	}
	want := map[string]string{
		"cleanup.policy": "compact 1", "retention.ms": "1000 4", "max.message.bytes": "1048588 5",
	}
	for i, c := range got.Configs {
		if i > 0 && got.Configs[i-1].Name >= c.Name {
			t.Errorf("%s after %s", c.Name, got.Configs[i-1].Name)
		}
		if w, ok := want[c.Name]; ok {
			if g := fmt.Sprintf("%s %d", *c.Value, c.Source); g != w {
				t.Errorf("%s: %s, want %s", c.Name, g, w)
			}
			delete(want, c.Name)
		}
	}
	if len(want) > 0 {
		t.Errorf("not told: %v", want)
	}
}

// TestCreateTopicsRefused: codes, and that fields of refused topics are empty, not null.
func TestCreateTopicsRefused(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	tb.mustCreate("taken", 1)
	check := func(q *kmsg.CreateTopicsRequest, want ...int16) {
		t.Helper()
		p := tb.roundTrip(q).(*kmsg.CreateTopicsResponse)
		if len(p.Topics) != len(want) {
			t.Fatalf("%+v, want codes %v", p.Topics, want)
		}
		for i := range want {
			got := &p.Topics[i]
			if got.ErrorCode != want[i] {
				t.Errorf("%s: %d %v, want %d", got.Topic, got.ErrorCode, got.ErrorMessage, want[i])
			}
			if got.ErrorCode != 0 && (got.ErrorMessage == nil || *got.ErrorMessage == "" ||
				got.NumPartitions != -1 || got.ReplicationFactor != -1 || got.Configs == nil ||
				got.TopicID != [16]byte{}) {
				t.Errorf("%s: %+v", got.Topic, got)
			}
		}
	}
	late := creation(7, "late", 1, 1)
	late.TimeoutMillis = 0
	check(late, wire.CodeRequestTimedOut)
	late.TimeoutMillis = -1
	check(late, wire.CodeRequestTimedOut)
	check(creation(7, "taken", 1, 1), wire.CodeTopicAlreadyExists)
	check(creation(7, "a b", 1, 1), wire.CodeInvalidTopicException)
	check(creation(7, "__cluster_metadata", 1, 1), wire.CodeInvalidRequest)
	check(creation(7, "p", 0, 1), wire.CodeInvalidPartitions)
	check(creation(7, "p", 1, 2), wire.CodeInvalidReplicationFactor)
	check(creation(7, "p", 10_001, 1), wire.CodePolicyViolation)
	check(creation(7, "p", 2_000_000_000, 1), wire.CodePolicyViolation)
	twice := creation(7, "twice", 1, 1)
	twice.Topics = append(twice.Topics, twice.Topics[0], creation(7, "beside", 1, 1).Topics[0])
	check(twice, wire.CodeInvalidRequest, wire.CodeNone)
	null := creation(7, "null", 1, 1)
	null.Topics[0].Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "retention.ms"}}
	check(null, wire.CodeInvalidConfig)
	check(creation(7, "__consumer_offsets", 1, 1), wire.CodeNone)
	if !tb.image().Topic("__consumer_offsets").Internal {
		t.Error("__consumer_offsets is not internal")
	}
	if tb.image().Topic("late") != nil || tb.image().Topic("twice") != nil {
		t.Error("a refused topic was created")
	}
}

// TestCreatePartitions: counts, assignments, validation only and duplicates in every version.
func TestCreatePartitions(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	type assignment = kmsg.CreatePartitionsRequestTopicAssignment
	for version := int16(0); version <= 3; version++ {
		name := fmt.Sprintf("v%d", version)
		tb.mustCreate(name, 2)
		ask := func(
			what string, want int16, count int32, change func(*kmsg.CreatePartitionsRequest),
		) {
			t.Helper()
			q := kmsg.NewPtrCreatePartitionsRequest()
			q.SetVersion(version)
			q.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: name, Count: count}}
			change(q)
			p := tb.roundTrip(q).(*kmsg.CreatePartitionsResponse)
			got := p.Topics[0]
			hasText := got.ErrorCode != 0 && got.ErrorCode != wire.CodeUnknownTopicOrPartition
			if len(p.Topics) != 1 || got.ErrorCode != want || (got.ErrorMessage != nil) != hasText {
				t.Errorf("v%d %s: %+v, want %d", version, what, p.Topics, want)
			}
		}
		plain := func(*kmsg.CreatePartitionsRequest) {}
		assigned := func(a ...assignment) func(*kmsg.CreatePartitionsRequest) {
			return func(q *kmsg.CreatePartitionsRequest) {
				q.Topics[0].Assignment = append([]assignment{}, a...)
			}
		}
		self := assignment{Replicas: []int32{tb.nodeID}}
		ask("validate", 0, 4, func(q *kmsg.CreatePartitionsRequest) { q.ValidateOnly = true })
		ask("same", 37, 2, plain)
		ask("fewer", 37, 1, plain)
		ask("negative", 37, -1, plain)
		ask("missing", 3, 4, func(q *kmsg.CreatePartitionsRequest) { q.Topics[0].Topic = "missing" })
		ask("too few", 39, 4, assigned(self))
		ask("none", 39, 4, assigned())
		ask("none, and fewer", 37, 1, assigned())
		ask("unknown broker", 39, 3, assigned(assignment{Replicas: []int32{77}}))
		ask("late", 7, 4, func(q *kmsg.CreatePartitionsRequest) { q.TimeoutMillis = 0 })
		ask("absurd", 44, 2_000_000_000, plain)
		ask("twice", 42, 4, func(q *kmsg.CreatePartitionsRequest) {
			q.Topics = append(q.Topics, q.Topics[0])
		})
		if n := tb.image().Topic(name).PartitionCount(); n != 2 {
			t.Errorf("v%d: %d partitions after refusals only", version, n)
		}
		ask("assigned", 0, 3, assigned(self))
		ask("more", 0, 5, plain)
		tb.mustProduce(name, 4, batchOf(1, 1))
	}
}

// TestInitProducerID: ids are fresh whatever the producer brings; what cannot be served is refused
// without one (KIP-98, KIP-360).
func TestInitProducerID(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	seen := map[int64]bool{}
	ask := func(want int16, change func(*kmsg.InitProducerIDRequest)) {
		t.Helper()
		for version := int16(0); version <= 5; version++ {
			q := kmsg.NewPtrInitProducerIDRequest()
			q.SetVersion(version)
			change(q)
			p := tb.roundTrip(q).(*kmsg.InitProducerIDResponse)
			if version < 3 && (q.ProducerID != -1 || q.ProducerEpoch != -1) {
				continue // These versions do not carry them.
			}
			if p.ErrorCode != want {
				t.Errorf("v%d: %+v, want %d", version, p, want)
			}
			if p.ErrorCode != 0 && (p.ProducerID != -1 || p.ProducerEpoch != -1) {
				t.Errorf("v%d: refused with an id: %+v", version, p)
			}
			fresh := p.ProducerID >= 0 && p.ProducerEpoch == 0 && !seen[p.ProducerID]
			if p.ErrorCode == 0 && !fresh {
				t.Errorf("v%d: %+v after %v", version, p, seen)
			}
			seen[p.ProducerID] = true
		}
	}
	ask(0, func(*kmsg.InitProducerIDRequest) {})
	ask(0, func(q *kmsg.InitProducerIDRequest) { q.TransactionTimeoutMillis = -1 })
	ask(0, func(q *kmsg.InitProducerIDRequest) { q.ProducerID, q.ProducerEpoch = 5, 1 })
	ask(42, func(q *kmsg.InitProducerIDRequest) { q.ProducerID = 5 })
	ask(42, func(q *kmsg.InitProducerIDRequest) { q.ProducerEpoch = 1 })
	ask(42, func(q *kmsg.InitProducerIDRequest) { q.TransactionalID = textOf("") })
	tb.coordinators(transactionsTopic)
	for timeoutMs, want := range map[int32]int16{0: 50, 900_001: 50} {
		ask(want, func(q *kmsg.InitProducerIDRequest) {
			q.TransactionalID, q.TransactionTimeoutMillis = textOf("tx"), timeoutMs
		})
	}
}

// TestOffsetForLeaderEpoch: the end of an epoch, epochs that are not there, and Kafka's refusals.
func TestOffsetForLeaderEpoch(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	tb.mustCreate("a", 1)
	tb.mustProduce("a", 0, batchOf(6, 10))
	check := func(topic string, current, epoch int32, want string) {
		t.Helper()
		for version := int16(2); version <= 4; version++ {
			q := kmsg.NewPtrOffsetForLeaderEpochRequest()
			q.SetVersion(version)
			q.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{
				Topic: topic,
				Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{
					{CurrentLeaderEpoch: current, LeaderEpoch: epoch},
				},
			}}
			p := tb.roundTrip(q).(*kmsg.OffsetForLeaderEpochResponse).Topics[0].Partitions[0]
			got := fmt.Sprint(p.LeaderEpoch, p.EndOffset, p.ErrorCode)
			if got != want {
				t.Errorf("v%d %s current %d epoch %d: %s, want %s",
					version, topic, current, epoch, got, want)
			}
		}
	}
	check("a", -1, 0, "0 6 0")
	check("a", 0, 0, "0 6 0")
	check("a", -1, 1, "-1 -1 0")
	check("a", -1, -1, "-1 -1 0")
	check("a", -1, -5, "-5 0 0")
	check("a", 1, 0, "-1 -1 75")
	check("a", -2, 0, "-1 -1 74")
	check("missing", -1, 0, "-1 -1 3")
}
