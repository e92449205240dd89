//go:build interop

package differ

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadataReq asks for topics by name; nil names ask for all.
func metadataReq(v int16, autoCreate bool, names ...string) *kmsg.MetadataRequest {
	req := at(kmsg.NewPtrMetadataRequest(), v)
	req.AllowAutoTopicCreation = autoCreate
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = ptr(name)
		req.Topics = append(req.Topics, t)
	}
	return req
}

func newMetadata() kmsg.Request { return kmsg.NewPtrMetadataRequest() }

// TestMetadataVersions covers each version's fields, lists of none, and missing topics.
func TestMetadataVersions(t *testing.T) {
	compare(t, func(s *side) {
		s.create("md-two", 2)
		s.create("md-one", 1)
		versions(newMetadata, 0, func(v int16) {
			s.send("named", metadataReq(v, false, "md-two", "md-one"))
			s.send("the same topic twice", metadataReq(v, false, "md-two", "md-two"))
			if v > 0 {
				s.send("no topic", metadataReq(v, false))
			}
			if v >= 4 {
				s.send("missing, not to be made", metadataReq(v, false, "md-missing", "md-one"))
			}
			if v >= 8 {
				req := metadataReq(v, false, "md-one")
				req.IncludeTopicAuthorizedOperations = true
				req.IncludeClusterAuthorizedOperations = v <= 10
				s.send("with authorized operations", req)
			}
		})
	})
}

// TestMetadataAll: null asks for all topics; the empty list of version 0 too.
func TestMetadataAll(t *testing.T) {
	compare(t, func(s *side) {
		s.create("mdall", 1)
		versions(newMetadata, 0, func(v int16) {
			req := metadataReq(v, true)
			if v > 0 {
				req.Topics = nil
			}
			resp := must[*kmsg.MetadataResponse](s, req)
			kept := resp.Topics[:0]
			for _, topic := range resp.Topics {
				if topic.Topic != nil && *topic.Topic == "mdall" {
					kept = append(kept, topic)
				}
			}
			resp.Topics = kept
			lines, raw := s.names.flatten(resp)
			s.steps = append(s.steps, step{"all topics, this one kept, v" + plainInt(v), lines, raw})
		})
	})
}

// TestMetadataAutoCreate: a missing topic is made only when the client allows it, and the first
// answer does not have it yet.
func TestMetadataAutoCreate(t *testing.T) {
	compare(t, func(s *side) {
		versions(newMetadata, 0, func(v int16) {
			name := "md-auto-" + plainInt(v)
			s.send("auto create", metadataReq(v, true, name))
			s.awaitLeaders(name, 1)
			s.send("afterwards", metadataReq(v, true, name))
		})
		s.send("two at once", metadataReq(12, true, "md-auto-x", "md-auto-y"))
		s.send("colliding with md.auto-0", metadataReq(12, true, "md.auto-0"))
		s.send("internal", metadataReq(12, false, "__consumer_offsets"))
	})
}

// TestMetadataInvalidNames: names that no topic can have.
func TestMetadataInvalidNames(t *testing.T) {
	names := []string{
		"", ".", "..", "a b", "a/b", "a\x00b", "ä", strings.Repeat("n", 249),
		strings.Repeat("n", 250), strings.Repeat("n", 1000),
	}
	compare(t, func(s *side) {
		for _, v := range []int16{0, 1, 4, 9, 12} {
			for _, name := range names {
				label := name
				if len(label) > 20 {
					label = plainInt(int16(len(name))) + " times n"
				}
				if v < 4 && len(name) == 249 {
					continue // a good name, which these versions always create
				}
				s.send("name "+label, metadataReq(v, false, name))
			}
		}
		for _, name := range names[:7] {
			s.send("auto create "+name, metadataReq(12, true, name))
		}
		s.send("auto create too long", metadataReq(12, true, names[8]))
	})
}

// TestMetadataByID: from version 12 on, topics are found by id (KIP-516).
func TestMetadataByID(t *testing.T) {
	compare(t, func(s *side) {
		s.create("md-id", 1)
		ask := func(label string, v int16, id [16]byte, name *string) {
			req := at(kmsg.NewPtrMetadataRequest(), v)
			t := kmsg.NewMetadataRequestTopic()
			t.TopicID, t.Topic = id, name
			req.Topics = append(req.Topics, t)
			s.send(label, req)
		}
		id := s.id("md-id")
		for _, v := range []int16{10, 11, 12, 13} {
			ask("by id", v, id, nil)
			ask("unknown id", v, [16]byte{9, 9, 9}, nil)
			ask("zero id and no name", v, [16]byte{}, nil)
			ask("id and its name", v, id, ptr("md-id"))
			ask("id and another name", v, id, ptr("md-other"))
			ask("unknown id and a known name", v, [16]byte{9, 9, 9}, ptr("md-id"))
		}
		req := metadataReq(12, false, "md-id")
		mixed := kmsg.NewMetadataRequestTopic()
		mixed.TopicID = id
		req.Topics = append(req.Topics, mixed)
		s.send("one by name and one by id", req)
	})
}

// TestDescribeCluster covers each version and the two endpoint types (KIP-919).
func TestDescribeCluster(t *testing.T) {
	compare(t, func(s *side) {
		for v := int16(0); v <= 2; v++ {
			req := at(kmsg.NewPtrDescribeClusterRequest(), v)
			s.send("plain", req)
			req.IncludeClusterAuthorizedOperations = true
			s.send("with operations", req)
			if v >= 1 {
				for _, kind := range []int8{0, 1, 2, 3} {
					req.EndpointType = kind
					s.send("endpoint type "+plainInt(int16(kind)), req)
				}
			}
			if v >= 2 {
				req.EndpointType, req.IncludeFencedBrokers = 1, true
				s.send("fenced too", req)
			}
		}
	})
}

// TestDescribeTopicPartitions covers names, limits and cursors (KIP-966).
func TestDescribeTopicPartitions(t *testing.T) {
	compare(t, func(s *side) {
		s.create("dtp-a", 3)
		s.create("dtp-b", 2)
		ask := func(label string, limit int32, cursor *kmsg.DescribeTopicPartitionsRequestCursor,
			names ...string,
		) {
			req := kmsg.NewPtrDescribeTopicPartitionsRequest()
			req.ResponsePartitionLimit, req.Cursor = limit, cursor
			for _, name := range names {
				t := kmsg.NewDescribeTopicPartitionsRequestTopic()
				t.Topic = name
				req.Topics = append(req.Topics, t)
			}
			s.send(label, req)
		}
		cursor := func(topic string, p int32) *kmsg.DescribeTopicPartitionsRequestCursor {
			return &kmsg.DescribeTopicPartitionsRequestCursor{Topic: topic, Partition: p}
		}
		ask("two topics", 2000, nil, "dtp-b", "dtp-a")
		ask("twice the same", 2000, nil, "dtp-a", "dtp-a")
		ask("missing", 2000, nil, "dtp-missing", "dtp-a")
		ask("invalid name", 2000, nil, "d t p", "", "dtp-a")
		for _, limit := range []int32{1, 2, 3, 4, 5, 0, -1, 3000} {
			ask("limit "+plainInt(int16(limit)), limit, nil, "dtp-a", "dtp-b")
		}
		ask("cursor within a topic", 2, cursor("dtp-a", 1), "dtp-a", "dtp-b")
		ask("cursor at the second topic", 2000, cursor("dtp-b", 0), "dtp-a", "dtp-b")
		ask("cursor past the partitions", 2000, cursor("dtp-a", 3), "dtp-a", "dtp-b")
		ask("cursor on a topic not asked for", 2000, cursor("dtp-aa", 0), "dtp-a", "dtp-b")
		ask("cursor past all topics", 2000, cursor("dtp-z", 0), "dtp-a", "dtp-b")
		ask("cursor with a negative partition", 2000, cursor("dtp-a", -1), "dtp-a", "dtp-b")
		ask("cursor on a missing topic asked for", 2000, cursor("dtp-m", 0), "dtp-a", "dtp-m")
	})
}
