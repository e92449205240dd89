//go:build interop

package differ

import (
	"encoding/binary"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// issueAPIs are the APIs of this broker, which are compared version by version.
var issueAPIs = []kmsg.Key{
	kmsg.Produce, kmsg.Fetch, kmsg.ListOffsets, kmsg.Metadata, kmsg.ApiVersions, kmsg.CreateTopics,
	kmsg.DeleteTopics, kmsg.DeleteRecords, kmsg.InitProducerID, kmsg.OffsetForLeaderEpoch,
	kmsg.DescribeConfigs, kmsg.AlterConfigs, kmsg.DescribeLogDirs, kmsg.CreatePartitions,
	kmsg.IncrementalAlterConfigs, kmsg.DescribeCluster, kmsg.DescribeTopicPartitions,
	kmsg.OffsetCommit, kmsg.OffsetFetch, kmsg.FindCoordinator, kmsg.JoinGroup, kmsg.Heartbeat,
	kmsg.LeaveGroup, kmsg.SyncGroup, kmsg.DescribeGroups, kmsg.ListGroups, kmsg.DeleteGroups,
	kmsg.OffsetDelete, kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn, kmsg.EndTxn,
	kmsg.WriteTxnMarkers, kmsg.TxnOffsetCommit, kmsg.DescribeProducers, kmsg.DescribeTransactions,
	kmsg.ListTransactions,
}

// TestApiVersions covers every version, KIP-511's software names and KIP-1242's v5 checks.
func TestApiVersions(t *testing.T) {
	compare(t, func(s *side) {
		for v := int16(0); v <= 5; v++ {
			req := at(kmsg.NewPtrApiVersionsRequest(), v)
			req.ClientSoftwareName, req.ClientSoftwareVersion = "differ", "1.0"
			req.NodeID = -1
			s.send("plain", req)
		}
		names := []string{"", "a", "-a", "a-", "a b", "a.b-c", "ä", "a_b"}
		for _, name := range names {
			req := at(kmsg.NewPtrApiVersionsRequest(), 3)
			req.ClientSoftwareName, req.ClientSoftwareVersion = name, "1.0"
			s.send("software name "+name, req)
			req.ClientSoftwareName, req.ClientSoftwareVersion = "differ", name
			s.send("software version "+name, req)
		}
	})
}

// TestApiVersionsCluster is KIP-1242: a client that knows another cluster or node is told.
func TestApiVersionsCluster(t *testing.T) {
	compare(t, func(s *side) {
		ask := func(label string, cluster *string, node int32) {
			req := at(kmsg.NewPtrApiVersionsRequest(), 5)
			req.ClientSoftwareName, req.ClientSoftwareVersion = "differ", "1.0"
			req.ClusterID, req.NodeID = cluster, node
			s.send(label, req)
		}
		own, other := s.names.clusterID, "another-cluster"
		ask("own cluster and node", &own, s.names.nodeID)
		ask("own cluster, other node", &own, s.names.nodeID+7)
		ask("other cluster, own node", &other, s.names.nodeID)
		ask("other cluster, no node", &other, -1)
		ask("no cluster, other node", nil, s.names.nodeID+7)
		ask("own cluster, no node", &own, -1)
	})
}

// TestApiVersionsTooHigh is KIP-511's fallback: the answer is in version 0 whatever was asked.
func TestApiVersionsTooHigh(t *testing.T) {
	compare(t, func(s *side) {
		for _, v := range []uint16{6, 99, 32767, 0xffff} {
			req := at(kmsg.NewPtrApiVersionsRequest(), 0)
			frame := s.encode(req)
			binary.BigEndian.PutUint16(frame[6:], v)
			s.sendFrame("version "+plainInt(int16(v)), req, frame)
			frame = s.encode(at(kmsg.NewPtrApiVersionsRequest(), 3))
			binary.BigEndian.PutUint16(frame[6:], v)
			s.sendFrame("flexible body, version "+plainInt(int16(v)), req, frame)
		}
		s.send("the connection still serves", at(kmsg.NewPtrApiVersionsRequest(), 2))
	})
}

// TestUnsupportedVersions: of any other API, a version outside the range closes the connection.
func TestUnsupportedVersions(t *testing.T) {
	compare(t, func(s *side) {
		for _, key := range issueAPIs {
			if key == kmsg.ApiVersions {
				continue
			}
			req := key.Request()
			for _, v := range []int16{-1, req.MaxVersion() + 1, 99} {
				frame := s.encode(at(key.Request(), req.MaxVersion()))
				binary.BigEndian.PutUint16(frame[6:], uint16(v))
				s.sendFrame(key.Name()+" version "+plainInt(v), req, frame)
			}
		}
		for _, old := range []struct {
			key kmsg.Key
			v   int16
		}{
			{kmsg.Produce, 2},
			{kmsg.Produce, 0},
			{kmsg.Fetch, 3},
			{kmsg.Fetch, 0},
			{kmsg.ListOffsets, 0},
			{kmsg.CreateTopics, 1},
			{kmsg.DeleteTopics, 0},
			{kmsg.DescribeConfigs, 0},
			{kmsg.OffsetForLeaderEpoch, 1},
			{kmsg.DescribeLogDirs, 0},
			{kmsg.OffsetCommit, 1},
			{kmsg.OffsetFetch, 0},
			{kmsg.WriteTxnMarkers, 0},
		} {
			s.send("removed version", at(old.key.Request(), old.v))
		}
	})
}

// TestUnknownAPIs: removed and unknown keys close the connection.
func TestUnknownAPIs(t *testing.T) {
	compare(t, func(s *side) {
		for _, key := range []int16{-1, 4, 5, 6, 7, 95, 96, 1000, 32767} {
			req := at(kmsg.NewPtrApiVersionsRequest(), 0)
			frame := s.encode(req)
			binary.BigEndian.PutUint16(frame[4:], uint16(key))
			s.sendFrame("key "+plainInt(key), req, frame)
		}
	})
}
