//go:build interop

package differ

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func createReq(v int16, topics ...kmsg.CreateTopicsRequestTopic) *kmsg.CreateTopicsRequest {
	req := at(kmsg.NewPtrCreateTopicsRequest(), v)
	req.TimeoutMillis, req.Topics = 10_000, topics
	return req
}

// assigned is a topic with manual assignments, partition by partition from id 0.
func (s *side) assigned(name string, partitions int32, rf int16, replicas ...[]int32,
) kmsg.CreateTopicsRequestTopic {
	t := newTopic(name, partitions, rf)
	for i, nodes := range replicas {
		a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		a.Partition, a.Replicas = int32(i), nodes
		t.ReplicaAssignment = append(t.ReplicaAssignment, a)
	}
	return t
}

// TestCreateTopics covers the good cases in every version.
func TestCreateTopics(t *testing.T) {
	compare(t, func(s *side) {
		for v := int16(2); v <= 7; v++ {
			name := "ct-v" + plainInt(v)
			req := createReq(v, newTopic(name, 3, 1), newTopic(name+"-c", 1, 1,
				"retention.ms", "1000", "cleanup.policy", "compact"))
			req.ValidateOnly = true
			s.send("validate only", req)
			s.send("not made by it", metadataReq(9, false, name))
			req.ValidateOnly = false
			s.send("two topics", req)
			s.send("again", req)
			req.ValidateOnly = true
			s.send("validate an existing one", req)
			s.send("manual", createReq(v, s.assigned(name+"-m", -1, -1,
				[]int32{s.names.nodeID}, []int32{s.names.nodeID})))
			if v >= 4 {
				s.send("defaults", createReq(v, newTopic(name+"-d", -1, -1)))
			}
		}
		s.send("no topic", createReq(7))
		zero := createReq(7, newTopic("ct-timeout-0", 1, 1))
		zero.TimeoutMillis = 0
		s.send("timeout 0", zero)
		negative := createReq(7, newTopic("ct-timeout-negative", 1, 1))
		negative.TimeoutMillis = -1
		s.send("timeout -1", negative)
	})
}

// TestCreateTopicsNames covers what a topic may not be called.
func TestCreateTopicsNames(t *testing.T) {
	compare(t, func(s *side) {
		names := []string{
			"", ".", "..", "...", "a b", "a/b", "a:b", "ä", "a\x00", "a\n", "-", "_", "__x",
			strings.Repeat("n", 249), strings.Repeat("n", 250), "__consumer_offsets",
			"__cluster_metadata", "__transaction_state", "__share_group_state",
		}
		for _, name := range names {
			label := name
			if len(label) > 40 {
				label = plainInt(int16(len(name))) + " times n"
			}
			req := createReq(7, newTopic(name, 1, 1))
			req.ValidateOnly = true
			s.send("name "+label, req)
		}
		s.send("first of a pair", createReq(7, newTopic("ct.pair_x", 1, 1)))
		s.send("dot against underscore", createReq(7, newTopic("ct_pair_x", 1, 1)))
		s.send("underscore against dot", createReq(7, newTopic("ct.pair.x", 1, 1)))
		s.send("duplicates", createReq(7,
			newTopic("ct-dup", 1, 1), newTopic("ct-dup", 1, 1), newTopic("ct-beside-dup", 1, 1)))
		s.send("colliding within one request", createReq(7,
			newTopic("ct.col", 1, 1), newTopic("ct_col", 1, 1)))
		s.send("what came of it", metadataReq(9, false,
			"ct-dup", "ct-beside-dup", "ct.col", "ct_col"))
	})
}

// TestCreateTopicsNumbers covers partition counts, replication factors and assignments.
func TestCreateTopicsNumbers(t *testing.T) {
	compare(t, func(s *side) {
		me := s.names.nodeID
		for _, n := range []int32{0, -1, -2, -100, 10_001, 2_000_000_000} {
			s.send("partitions "+plain32(n), createReq(7, newTopic("ct-p"+plain32(n), n, 1)))
		}
		for _, n := range []int16{0, -1, -2, 2, 3, 32767} {
			s.send("replication "+plainInt(n), createReq(7, newTopic("ct-r"+plainInt(n), 1, n)))
		}
		s.send("version 3 with -1", createReq(3, newTopic("ct-v3-1", -1, -1)))
		s.send("two topics over 10000 together", createReq(7,
			newTopic("ct-big-a", 6000, 1), newTopic("ct-big-b", 6000, 1)))
		bad := map[string]kmsg.CreateTopicsRequestTopic{
			"a partitions given":   s.assigned("ct-m-a", 1, -1, []int32{me}),
			"b replication given":  s.assigned("ct-m-b", -1, 1, []int32{me}),
			"c both given":         s.assigned("ct-m-c", 1, 1, []int32{me}),
			"d unknown broker":     s.assigned("ct-m-d", -1, -1, []int32{me + 50}),
			"e duplicate broker":   s.assigned("ct-m-e", -1, -1, []int32{me, me}),
			"f negative broker":    s.assigned("ct-m-f", -1, -1, []int32{-1}),
			"g no replicas":        s.assigned("ct-m-g", -1, -1, []int32{}),
			"h uneven replicas":    s.assigned("ct-m-h", -1, -1, []int32{me}, []int32{me, me + 1}),
			"i partitions too few": s.assigned("ct-m-i", 5, -1, []int32{me}),
		}
		for _, label := range sorted(bad) {
			s.send("assignment "+label, createReq(7, bad[label]))
		}
		gap := s.assigned("ct-m-gap", -1, -1, []int32{me}, []int32{me})
		gap.ReplicaAssignment[1].Partition = 2
		s.send("assignment with a gap", createReq(7, gap))
		twice := s.assigned("ct-m-twice", -1, -1, []int32{me}, []int32{me})
		twice.ReplicaAssignment[1].Partition = 0
		s.send("assignment of a partition twice", createReq(7, twice))
		start := s.assigned("ct-m-start", -1, -1, []int32{me})
		start.ReplicaAssignment[0].Partition = 1
		s.send("assignment not from 0", createReq(7, start))
	})
}

// configPairs are topic configs, good and wrong.
var configPairs = [][2]string{
	{"no.such.config", "1"},
	{"", "x"},
	{"retention.ms", "abc"},
	{"retention.ms", ""},
	{"retention.ms", "-2"},
	{"retention.ms", "-1"},
	{"retention.ms", " 5 "},
	{"retention.ms", "9223372036854775808"},
	{"retention.bytes", "-5"},
	{"cleanup.policy", "shrink"},
	{"cleanup.policy", "compact,delete"},
	{"cleanup.policy", "delete,delete"},
	{"cleanup.policy", ""},
	{"cleanup.policy", "compact, delete"},
	{"cleanup.policy", "COMPACT"},
	{"compression.type", "lzma"},
	{"compression.type", "none"},
	{"compression.type", "GZIP"},
	{"segment.bytes", "1048575"},
	{"segment.bytes", "1048576"},
	{"segment.ms", "0"},
	{"max.message.bytes", "-1"},
	{"max.message.bytes", "0"},
	{"max.decompressed.message.bytes", "-1"},
	{"max.decompressed.message.bytes", "0"},
	{"max.decompressed.message.bytes", "1"},
	{"max.decompressed.message.bytes", "2147483647"},
	{"min.insync.replicas", "0"},
	{"min.insync.replicas", "2"},
	{"min.cleanable.dirty.ratio", "1.5"},
	{"min.cleanable.dirty.ratio", "0.25"},
	{"preallocate", "yes"},
	{"preallocate", "TRUE"},
	{"message.timestamp.type", "Never"},
	{"message.timestamp.type", "LogAppendTime"},
	{"compression.gzip.level", "0"},
	{"compression.gzip.level", "10"},
	{"compression.gzip.level", "-1"},
	{"compression.lz4.level", "18"},
	{"compression.zstd.level", "23"},
	{"local.retention.ms", "-3"},
	{"local.retention.ms", "99999999999"},
	{"local.retention.bytes", "5"},
	{"leader.replication.throttled.replicas", "x"},
	{"leader.replication.throttled.replicas", "*"},
	{"leader.replication.throttled.replicas", "0:1,1:2"},
	{"unclean.leader.election.enable", "true"},
	{"remote.storage.enable", "true"},
	{"remote.log.copy.disable", "true"},
	{"message.format.version", "3.0"},
	{"message.downconversion.enable", "true"},
	{"remote.copy.lag.ms", "-2"},
	{"remote.copy.lag.bytes", "-2"},
	{"errors.deadletterqueue.group.enable", "true"},
	{"min.compaction.lag.ms", "-1"},
	{"max.compaction.lag.ms", "0"},
	{"segment.index.bytes", "3"},
	{"index.interval.bytes", "-1"},
	{"flush.messages", "0"},
	{"flush.ms", "-1"},
	{"file.delete.delay.ms", "-1"},
	{"delete.retention.ms", "-1"},
	{"message.timestamp.before.max.ms", "-1"},
	{"message.timestamp.after.max.ms", "-1"},
	{"segment.jitter.ms", "-1"},
	{"segment.bytes", "1e7"},
	{"segment.bytes", "0x100000"},
}

// TestCreateTopicsConfigs covers each kind of wrong config.
func TestCreateTopicsConfigs(t *testing.T) {
	compare(t, func(s *side) {
		for _, p := range configPairs {
			req := createReq(7, newTopic("ct-config", 1, 1, p[0], p[1]))
			req.ValidateOnly = true
			s.send("config "+p[0]+"="+p[1], req)
		}
		null := newTopic("ct-config-null", 1, 1, "retention.ms", "")
		null.Configs[0].Value = nil
		s.send("null value", createReq(7, null))
		s.send("the same key twice", createReq(7,
			newTopic("ct-config-twice", 1, 1, "retention.ms", "1", "retention.ms", "2")))
		s.send("min above max compaction lag", createReq(7, newTopic("ct-config-lag", 1, 1,
			"min.compaction.lag.ms", "100", "max.compaction.lag.ms", "50")))
		s.send("local above retention", createReq(7, newTopic("ct-config-local", 1, 1,
			"retention.ms", "100", "local.retention.ms", "200")))
	})
}

func deleteReq(v int16, names ...string) *kmsg.DeleteTopicsRequest {
	req := at(kmsg.NewPtrDeleteTopicsRequest(), v)
	req.TimeoutMillis = 10_000
	req.TopicNames = names
	for _, name := range names {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = ptr(name)
		req.Topics = append(req.Topics, t)
	}
	return req
}

// TestDeleteTopics covers names and ids in every version.
func TestDeleteTopics(t *testing.T) {
	compare(t, func(s *side) {
		for v := int16(1); v <= 6; v++ {
			name := "dt-v" + plainInt(v)
			s.create(name, 2)
			s.create(name+"-b", 1)
			s.send("one there, one missing", deleteReq(v, name, "dt-missing"))
			s.awaitGone(name)
			s.send("again", deleteReq(v, name))
			s.send("twice in one request", deleteReq(v, name+"-b", name+"-b"))
			s.send("no topic", deleteReq(v))
			s.send("invalid name", deleteReq(v, "a b", ""))
		}
		s.create("dt-id", 1)
		id := s.id("dt-id")
		byID := func(label string, topics ...kmsg.DeleteTopicsRequestTopic) {
			req := deleteReq(6)
			req.Topics = topics
			s.send(label, req)
		}
		byID("unknown id", kmsg.DeleteTopicsRequestTopic{TopicID: [16]byte{7}})
		byID("neither name nor id", kmsg.DeleteTopicsRequestTopic{})
		byID("both name and id", kmsg.DeleteTopicsRequestTopic{Topic: ptr("dt-id"), TopicID: id})
		byID("by name and by id", kmsg.DeleteTopicsRequestTopic{Topic: ptr("dt-id")},
			kmsg.DeleteTopicsRequestTopic{TopicID: id})
		byID("id twice", kmsg.DeleteTopicsRequestTopic{TopicID: id},
			kmsg.DeleteTopicsRequestTopic{TopicID: id})
		byID("by id", kmsg.DeleteTopicsRequestTopic{TopicID: id})
		s.awaitGone("dt-id")
		byID("by id again", kmsg.DeleteTopicsRequestTopic{TopicID: id})
		s.create("dt-id", 1)
		byID("old id of a topic made anew", kmsg.DeleteTopicsRequestTopic{TopicID: id})
	})
}

// awaitGone waits until metadata no longer has the topic.
func (s *side) awaitGone(name string) {
	for deadline := time.Now().Add(answerWait); time.Now().Before(deadline); {
		meta := must[*kmsg.MetadataResponse](s, metadataReq(9, false, name))
		if meta.Topics[0].ErrorCode != 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	panic(name + " was never deleted")
}

// TestCreatePartitions covers counts, assignments and validation only, in every version.
func TestCreatePartitions(t *testing.T) {
	compare(t, func(s *side) {
		me := s.names.nodeID
		for v := int16(0); v <= 3; v++ {
			name := "cp-v" + plainInt(v)
			s.create(name, 2)
			ask := func(label, topic string, count int32, validate bool, nodes ...[]int32) {
				req := at(kmsg.NewPtrCreatePartitionsRequest(), v)
				req.TimeoutMillis, req.ValidateOnly = 10_000, validate
				t := kmsg.NewCreatePartitionsRequestTopic()
				t.Topic, t.Count = topic, count
				for _, n := range nodes {
					a := kmsg.NewCreatePartitionsRequestTopicAssignment()
					a.Replicas = n
					t.Assignment = append(t.Assignment, a)
				}
				req.Topics = append(req.Topics, t)
				s.send(label, req)
			}
			ask("validate only", name, 4, true)
			ask("the same count", name, 2, false)
			ask("fewer", name, 1, false)
			ask("zero", name, 0, false)
			ask("negative", name, -1, false)
			ask("missing topic", "cp-missing", 4, false)
			ask("too few assignments", name, 4, false, []int32{me})
			ask("too many assignments", name, 3, false, []int32{me}, []int32{me})
			ask("unknown broker", name, 3, false, []int32{me + 9})
			ask("duplicate broker", name, 3, false, []int32{me, me})
			ask("other replication", name, 3, false, []int32{me, me + 1})
			ask("no replicas", name, 3, false, []int32{})
			ask("assigned", name, 3, false, []int32{me})
			ask("more", name, 5, false)
			ask("absurdly many", name, 2_000_000_000, false)
			s.awaitLeaders(name, 5)
			s.send("afterwards", metadataReq(9, false, name))
		}
		twice := at(kmsg.NewPtrCreatePartitionsRequest(), 3)
		for range 2 {
			t := kmsg.NewCreatePartitionsRequestTopic()
			t.Topic, t.Count = "cp-v0", 9
			twice.Topics = append(twice.Topics, t)
		}
		s.send("the same topic twice", twice)
	})
}
