//go:build interop

package differ

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func listReq(v int16, topic string, timestamp int64, partitions ...int32) *kmsg.ListOffsetsRequest {
	req := at(kmsg.NewPtrListOffsetsRequest(), v)
	req.ReplicaID = -1
	req.TimeoutMillis = 5000
	req.Topics = []kmsg.ListOffsetsRequestTopic{listTopic(topic, timestamp, partitions...)}
	return req
}

// TestListOffsets covers the special timestamps and real ones in each version.
func TestListOffsets(t *testing.T) {
	compare(t, func(s *side) {
		s.create("lo", 2)
		s.create("lo-empty", 1)
		late := good(4)
		late.head = func(h []byte) {
			put64(27, uint64(base+1000))(h)
			put64(35, uint64(base+1003))(h)
		}
		s.fill("lo", 0, 1, 5)
		s.produce("a later batch", 9, "lo", late.build())
		s.fill("lo", 0, 1, 2)
		for v := int16(1); v <= 11; v++ {
			for _, ts := range []int64{-1, -2, -3, -4, -5, -6, -7, -100} {
				s.send("timestamp "+plain32(int32(ts)), listReq(v, "lo", ts, 0))
				s.send("empty, timestamp "+plain32(int32(ts)), listReq(v, "lo-empty", ts, 0))
			}
			for _, d := range []int64{-1000, 0, 1, 4, 5, 999, 1000, 1001, 1003, 1004, 100_000} {
				s.send("base plus "+plain32(int32(d)), listReq(v, "lo", base+d, 0))
			}
			s.send("time 0", listReq(v, "lo", 0, 0))
			s.send("empty, time 0", listReq(v, "lo-empty", 0, 0))
			s.send("missing partition", listReq(v, "lo", -1, 0, 1, 2, -1))
			s.send("missing topic", listReq(v, "lo-missing", -1, 0))
			s.send("invalid topic", listReq(v, "l o", -1, 0))
			s.send("partition twice", listReq(v, "lo", -1, 0, 0, 1))
			s.send("no topic", at(kmsg.NewPtrListOffsetsRequest(), v))
			s.listIsolated(v)
			s.listEpochs(v)
			for _, replica := range []int32{-2, 0, s.names.nodeID, 99, -3} {
				req := listReq(v, "lo", -1, 0)
				req.ReplicaID = replica
				s.send("replica "+s.names.node(replica), req)
			}
		}
	})
}

func (s *side) listIsolated(v int16) {
	if v < 2 {
		return
	}
	for _, level := range []int8{1, 2, -1} {
		for _, ts := range []int64{-1, -2, base + 1} {
			req := listReq(v, "lo", ts, 0)
			req.IsolationLevel = level
			s.send("isolation "+plainInt(int16(level))+" at "+s.names.clock(ts), req)
		}
	}
}

func (s *side) listEpochs(v int16) {
	if v < 4 {
		return
	}
	for _, epoch := range []int32{-1, 0, 1, 5, -2} {
		for _, ts := range []int64{-1, -2, base + 1} {
			req := listReq(v, "lo", ts, 0)
			req.Topics[0].Partitions[0].CurrentLeaderEpoch = epoch
			s.send("leader epoch "+plain32(epoch)+" at "+s.names.clock(ts), req)
		}
	}
}

// TestOffsetForLeaderEpoch covers known, unknown and wrong epochs.
func TestOffsetForLeaderEpoch(t *testing.T) {
	compare(t, func(s *side) {
		s.create("ofle", 1)
		s.create("ofle-empty", 1)
		s.fill("ofle", 0, 2, 3)
		for v := int16(2); v <= 4; v++ {
			for _, topic := range []string{"ofle", "ofle-empty", "ofle-missing"} {
				for _, current := range []int32{-1, 0, 1, -2} {
					for _, epoch := range []int32{0, 1, -1, 99, -5} {
						s.send(topic+" current "+plain32(current)+" epoch "+plain32(epoch),
							epochReq(v, topic, 0, current, epoch))
					}
				}
			}
			s.send("missing partition", epochReq(v, "ofle", 8, -1, 0))
			if v >= 3 {
				for _, replica := range []int32{-2, 99} {
					req := epochReq(v, "ofle", 0, -1, 0)
					req.ReplicaID = replica
					s.send("replica "+plain32(replica), req)
				}
			}
		}
	})
}

func epochReq(v int16, topic string, partition, current, epoch int32,
) *kmsg.OffsetForLeaderEpochRequest {
	req := at(kmsg.NewPtrOffsetForLeaderEpochRequest(), v)
	req.ReplicaID = -1
	t := kmsg.NewOffsetForLeaderEpochRequestTopic()
	t.Topic = topic
	p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.LeaderEpoch = partition, current, epoch
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func deleteRecordsReq(v int16, topic string, partition int32, offset int64,
) *kmsg.DeleteRecordsRequest {
	req := at(kmsg.NewPtrDeleteRecordsRequest(), v)
	req.TimeoutMillis = 5000
	t := kmsg.NewDeleteRecordsRequestTopic()
	t.Topic = topic
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition, p.Offset = partition, offset
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// TestDeleteRecords covers offsets before, in and behind the log, and policies that forbid it.
func TestDeleteRecords(t *testing.T) {
	compare(t, func(s *side) {
		for v := int16(0); v <= 2; v++ {
			name := "dr-v" + plainInt(v)
			s.create(name, 1)
			s.create(name+"-compact", 1, "cleanup.policy", "compact")
			s.create(name+"-both", 1, "cleanup.policy", "compact,delete")
			s.create(name+"-none", 1, "cleanup.policy", "")
			s.fill(name, 0, 4, 3)
			for _, offset := range []int64{0, 4, 2, 13, -2, 12, -1} {
				s.send("to "+plain32(int32(offset)), deleteRecordsReq(v, name, 0, offset))
				s.send("earliest", listReq(7, name, -2, 0))
				s.end("latest", name)
			}
			s.send("read below the start", s.fetchReq(12, part{topic: name, offset: 3}))
			s.send("read from the start", s.fetchReq(12, part{topic: name, offset: 12}))
			s.fill(name, 0, 1, 2)
			s.send("read what came after", s.fetchReq(12, part{topic: name, offset: 12}))
			s.send("missing partition", deleteRecordsReq(v, name, 5, 0))
			s.send("missing topic", deleteRecordsReq(v, "dr-missing", 0, 0))
			s.send("compacted", deleteRecordsReq(v, name+"-compact", 0, 0))
			s.send("compacted and deleted", deleteRecordsReq(v, name+"-both", 0, 0))
			s.send("no policy", deleteRecordsReq(v, name+"-none", 0, 0))
			s.send("internal", deleteRecordsReq(v, "__consumer_offsets", 0, 0))
			s.send("no topic", at(kmsg.NewPtrDeleteRecordsRequest(), v))
		}
	})
}

// TestDescribeLogDirs covers all, some and missing partitions, in every version.
func TestDescribeLogDirs(t *testing.T) {
	compare(t, func(s *side) {
		s.create("ld", 2)
		s.fill("ld", 0, 3, 4)
		for v := int16(1); v <= 5; v++ {
			ask := func(label, topic string, partitions ...int32) {
				req := at(kmsg.NewPtrDescribeLogDirsRequest(), v)
				t := kmsg.NewDescribeLogDirsRequestTopic()
				t.Topic, t.Partitions = topic, partitions
				req.Topics = append(req.Topics, t)
				s.send(label, req)
			}
			ask("one of two", "ld", 0)
			ask("both", "ld", 0, 1)
			ask("one missing", "ld", 0, 9)
			ask("missing topic", "ld-missing", 0)
			ask("no partition", "ld")
			none := at(kmsg.NewPtrDescribeLogDirsRequest(), v)
			none.Topics = []kmsg.DescribeLogDirsRequestTopic{}
			s.send("no topic", none)
		}
	})
}
