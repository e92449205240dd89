//go:build interop

package differ

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// commit is one offset to commit.
type commit struct {
	topic     string
	partition int32
	offset    int64
	metadata  string
}

// commitReq is an OffsetCommit of a consumer without a group membership, unless it is changed.
func (s *side) commitReq(v int16, group string, commits ...commit) *kmsg.OffsetCommitRequest {
	req := at(kmsg.NewPtrOffsetCommitRequest(), v)
	req.Group, req.Generation = group, -1
	for _, c := range commits {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = c.partition, c.offset, -1, &c.metadata
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic = c.topic
		if v >= 10 {
			t.TopicID = s.idOrNone(c.topic)
		}
		t.Partitions = append(t.Partitions, p)
		if n := len(req.Topics); n > 0 && req.Topics[n-1].Topic == c.topic {
			req.Topics[n-1].Partitions = append(req.Topics[n-1].Partitions, p)
			continue
		}
		req.Topics = append(req.Topics, t)
	}
	return req
}

// idOrNone is a topic's id, and a made up one for a topic that is not there.
func (s *side) idOrNone(topic string) [16]byte {
	for id, name := range s.names.topics {
		if name == "id("+topic+")" {
			return id
		}
	}
	made := [16]byte{9, byte(len(topic))}
	copy(made[2:], topic)
	return made
}

// asMember makes a commit that of a member.
func asMember(req *kmsg.OffsetCommitRequest, id string, generation int32,
) *kmsg.OffsetCommitRequest {
	req.MemberID, req.Generation = id, generation
	return req
}

// offsetsReq asks for offsets in any version: all of a group's if no topics are given. A topic
// stands for its partitions 0 to 2.
func (s *side) offsetsReq(v int16, group string, topics ...string) *kmsg.OffsetFetchRequest {
	req := at(kmsg.NewPtrOffsetFetchRequest(), v)
	req.Group = group
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group, g.MemberEpoch = group, -1
	for _, topic := range topics {
		t := kmsg.NewOffsetFetchRequestTopic()
		t.Topic, t.Partitions = topic, []int32{0, 1, 2}
		req.Topics = append(req.Topics, t)
		gt := kmsg.NewOffsetFetchRequestGroupTopic()
		gt.Topic, gt.TopicID, gt.Partitions = topic, s.idOrNone(topic), t.Partitions
		g.Topics = append(g.Topics, gt)
	}
	req.Groups = []kmsg.OffsetFetchRequestGroup{g}
	return req
}

// TestOffsetCommitSimple covers commits without membership: topics, partitions, metadata, values.
func TestOffsetCommitSimple(t *testing.T) {
	compare(t, func(s *side) {
		s.create("oc", 2)
		s.coordinated("", "simple", "simple2")
		for v := int16(2); v <= 10; v++ {
			g := "simple"
			s.send("two partitions", s.commitReq(v, g, commit{"oc", 0, 10 + int64(v), ""},
				commit{"oc", 1, 20, "note"}))
			s.send("what is there", s.offsetsReq(9, g, "oc"))
			s.send("partition that is not there", s.commitReq(v, g, commit{"oc", 2, 5, ""},
				commit{"oc", -1, 5, ""}))
			s.send("one topic is not there", s.commitReq(v, g, commit{"oc", 0, 11, ""},
				commit{"oc-none", 0, 5, ""}))
			s.send("no topic is there", s.commitReq(v, g, commit{"oc-none", 0, 5, ""}))
			s.send("invalid topic name", s.commitReq(v, g, commit{"o c", 0, 5, ""}, commit{"", 0, 5, ""}))
			s.send("offset 0", s.commitReq(v, g, commit{"oc", 0, 0, ""}))
			s.send("offset -1", s.commitReq(v, g, commit{"oc", 0, -1, ""}))
			s.send("offset -2", s.commitReq(v, g, commit{"oc", 0, -2, ""}))
			s.send("highest offset", s.commitReq(v, g, commit{"oc", 0, 1<<63 - 1, ""}))
			s.send("partition twice", s.commitReq(v, g, commit{"oc", 0, 1, "a"}, commit{"oc", 0, 2, "b"}))
			s.send("what is there", s.offsetsReq(9, g, "oc"))
			s.send("nothing", s.commitReq(v, g))
			s.send("topic without partitions", func() kmsg.Request {
				req := s.commitReq(v, g, commit{"oc", 0, 1, ""})
				req.Topics[0].Partitions = nil
				return req
			}())
			for _, n := range []int{4095, 4096, 4097, 30_000} {
				s.send("metadata of "+plain32(int32(n)), s.commitReq(v, g,
					commit{"oc", 0, int64(n), strings.Repeat("m", n)}, commit{"oc", 1, 1, ""}))
			}
			s.send("metadata of 4096 in two-byte letters", s.commitReq(v, g,
				commit{"oc", 0, 77, strings.Repeat("ä", 2049)}))
			null := s.commitReq(v, g, commit{"oc", 0, 3, ""})
			null.Topics[0].Partitions[0].Metadata = nil
			s.send("null metadata", null)
			if v >= 6 {
				epoch := s.commitReq(v, g, commit{"oc", 0, 3, ""}, commit{"oc", 1, 3, ""})
				epoch.Topics[0].Partitions[0].LeaderEpoch = 7
				epoch.Topics[0].Partitions[1].LeaderEpoch = -5
				s.send("leader epochs", epoch)
			}
			if v <= 4 {
				kept := s.commitReq(v, g, commit{"oc", 0, 4, "kept"})
				kept.RetentionTimeMillis = 86_400_000
				s.send("retention", kept)
				kept.RetentionTimeMillis = -1
				s.send("no retention", kept)
			}
			s.send("what is there", s.offsetsReq(9, g, "oc", "oc-none"))
			s.send("empty group id", s.commitReq(v, "", commit{"oc", 0, 1, ""}))
			s.send("unknown member", asMember(s.commitReq(v, g, commit{"oc", 0, 1, ""}), "nobody", -1))
			s.send("generation 0", asMember(s.commitReq(v, g, commit{"oc", 0, 1, ""}), "", 0))
			s.send("unknown group, generation 0",
				asMember(s.commitReq(v, "simple2", commit{"oc", 0, 1, ""}), "", 0))
			s.send("unknown group, a member",
				asMember(s.commitReq(v, "simple2", commit{"oc", 0, 1, ""}), "nobody", 3))
			s.send("unknown group, a member, generation -1",
				asMember(s.commitReq(v, "simple2", commit{"oc", 0, 1, ""}), "nobody", -1))
			if v >= 7 {
				static := s.commitReq(v, g, commit{"oc", 0, 1, ""})
				static.InstanceID = ptr("i")
				s.send("an instance", static)
			}
		}
		s.show("simple", "simple")
		s.show("not made", "simple2")
		s.send("empty group id", s.offsetsReq(9, "", "oc"))
	})
}

// TestOffsetCommitMembers covers members, zombies and strangers in each state of a group.
func TestOffsetCommitMembers(t *testing.T) {
	compare(t, func(s *side) {
		s.create("ocm", 2)
		for v := int16(2); v <= 10; v++ {
			g := "ocm" + plainInt(v)
			s.coordinated(g)
			ids := s.form(g, 2)
			try := func(label string) {
				for _, c := range []struct {
					what, id string
					gen      int32
				}{
					{"member", ids[0], 1},
					{"other member", ids[1], 1},
					{"next generation", ids[0], 2},
					{"last generation", ids[0], 0},
					{"member, generation -1", ids[0], -1},
					{"nobody", "nobody", 1},
					{"simple consumer", "", -1},
					{"no id, generation 1", "", 1},
				} {
					s.send(label+": "+c.what,
						asMember(s.commitReq(v, g, commit{"ocm", 0, int64(v), c.what}), c.id, c.gen))
				}
				s.send(label, s.offsetsReq(8, g, "ocm"))
			}
			try("stable")
			a, b := s.peer("a"), s.peer("b")
			a.post(joinReq(5, g, ids[0]))
			s.until(g, "PreparingRebalance", 2)
			try("preparing")
			b.post(joinReq(5, g, ids[1]))
			a.await("both")
			b.await("both")
			try("completing")
			a.send("plan", syncReq(5, g, ids[0], 2))
			try("stable, second generation")
			s.send("leaves", leaveReq(3, g, ids[0]))
			s.send("leaves", leaveReq(3, g, ids[1]))
			try("empty")
			s.show("at the end", g)
		}
	})
}

// TestOffsetCommitStatic covers instances in a commit (KIP-345).
func TestOffsetCommitStatic(t *testing.T) {
	compare(t, func(s *side) {
		s.create("ocs", 1)
		for v := int16(7); v <= 10; v++ {
			g := "ocs" + plainInt(v)
			s.coordinated(g)
			ids := s.formStatic(g, 2)
			now := joined1(s.send("restarts", static(joinReq(7, g, "", "range:m1", "sticky:s1"), "i1")))
			for _, c := range []struct{ what, id, instance string }{
				{"in place", now, "i1"},
				{"fenced", ids[1], "i1"},
				{"other's instance", ids[0], "i1"},
				{"unknown instance", now, "none"},
				{"unknown member", "nobody", "i1"},
				{"no member", "", "i1"},
			} {
				for _, gen := range []int32{-1, 0, 1, 2} {
					req := asMember(s.commitReq(v, g, commit{"ocs", 0, 5, c.what}), c.id, gen)
					req.InstanceID = &c.instance
					s.send(c.what+" generation "+plain32(gen), req)
				}
			}
			s.send("without instance", asMember(s.commitReq(v, g, commit{"ocs", 0, 6, ""}), now, 1))
			s.send("at the end", s.offsetsReq(9, g, "ocs"))
		}
	})
}

// TestOffsetFetch covers all topics, some, none and unknown ones in each version, and many groups.
func TestOffsetFetch(t *testing.T) {
	compare(t, func(s *side) {
		s.create("of", 3)
		s.create("of2", 1)
		s.coordinated("of", "of-none", "of-members")
		epoch := s.commitReq(9, "of", commit{"of", 0, 5, "five"}, commit{"of", 2, 6, ""}, commit{"of2", 0, 7, ""})
		epoch.Topics[0].Partitions[0].LeaderEpoch = 3
		s.send("commit", epoch)
		ids := s.form("of-members", 1)
		s.send("commit", asMember(s.commitReq(9, "of-members", commit{"of", 1, 8, ""}), ids[0], 1))
		for v := int16(1); v <= 10; v++ {
			for _, g := range []string{"of", "of-none", "of-members", ""} {
				s.send(g+" one topic", s.offsetsReq(v, g, "of"))
				s.send(g+" two topics and one that is not there", s.offsetsReq(v, g, "of", "of2", "of3"))
				s.send(g+" topic twice", s.offsetsReq(v, g, "of2", "of2"))
				if v >= 2 {
					s.send(g+" all", s.offsetsReq(v, g))
				}
				none := s.offsetsReq(v, g)
				none.Topics = []kmsg.OffsetFetchRequestTopic{}
				none.Groups[0].Topics = []kmsg.OffsetFetchRequestGroupTopic{}
				s.send(g+" an empty list", none)
				odd := s.offsetsReq(v, g, "of")
				odd.Topics[0].Partitions = []int32{-1, 0, 0, 99, 2}
				odd.Groups[0].Topics[0].Partitions = odd.Topics[0].Partitions
				s.send(g+" odd partitions", odd)
				if v >= 7 {
					stable := s.offsetsReq(v, g, "of")
					stable.RequireStable = true
					s.send(g+" stable", stable)
				}
			}
			if v < 8 {
				continue
			}
			many := s.offsetsReq(v, "of", "of")
			for _, g := range []string{"of-none", "of-members", "of", ""} {
				many.Groups = append(many.Groups, s.offsetsReq(v, g).Groups...)
			}
			s.send("many groups", many)
			s.send("no groups", func() kmsg.Request {
				req := s.offsetsReq(v, "of")
				req.Groups = nil
				return req
			}())
			if v < 9 {
				continue
			}
			for _, id := range []*string{nil, ptr(""), ptr("nobody"), &ids[0]} {
				for _, epoch := range []int32{-1, 0, 1, 2, -2} {
					for _, g := range []string{"of", "of-none", "of-members"} {
						req := s.offsetsReq(v, g, "of")
						req.Groups[0].MemberID, req.Groups[0].MemberEpoch = id, epoch
						label := s.names.uuidsIn(g + " member " + plain(valueOf(id)))
						s.send(label+" epoch "+plain32(epoch), req)
					}
				}
			}
		}
	})
}

// TestOffsetTopicDeleted: with a topic its offsets go.
func TestOffsetTopicDeleted(t *testing.T) {
	compare(t, func(s *side) {
		s.create("otd", 1)
		s.create("otd2", 1)
		s.coordinated("otd")
		s.send("commit", s.commitReq(9, "otd", commit{"otd", 0, 5, ""}, commit{"otd2", 0, 6, ""}))
		was := s.idOrNone("otd")
		del := at(kmsg.NewPtrDeleteTopicsRequest(), 5)
		del.TimeoutMillis, del.TopicNames = 10_000, []string{"otd"}
		s.send("delete", del)
		s.retry("the offset goes", func() bool {
			return must[*kmsg.OffsetFetchResponse](s, s.offsetsReq(7, "otd", "otd")).
				Topics[0].Partitions[0].Offset < 0
		})
		s.send("after", s.offsetsReq(9, "otd"))
		s.create("otd", 1)
		s.send("a topic of that name again", s.offsetsReq(9, "otd", "otd"))
		s.send("a topic of that name again", s.offsetsReq(10, "otd", "otd", "otd2"))
		old := s.offsetsReq(10, "otd", "otd")
		old.Groups[0].Topics[0].TopicID = was
		s.send("the deleted topic's id", old)
	})
}

// TestOffsetDelete is KIP-496: offsets of topics that nobody reads.
func TestOffsetDelete(t *testing.T) {
	compare(t, func(s *side) {
		s.create("od", 3)
		s.create("od2", 1)
		s.coordinated("od", "od-none", "od-sub", "od-type", "")
		del := func(label, group string, topics ...string) {
			req := at(kmsg.NewPtrOffsetDeleteRequest(), 0)
			req.Group = group
			for _, name := range topics {
				t := kmsg.NewOffsetDeleteRequestTopic()
				t.Topic = name
				for _, n := range []int32{0, 1, 7} {
					p := kmsg.NewOffsetDeleteRequestTopicPartition()
					p.Partition = n
					t.Partitions = append(t.Partitions, p)
				}
				req.Topics = append(req.Topics, t)
			}
			s.send(group+" "+label, req)
		}
		commitAll := func(g, id string, gen int32) {
			s.send("commit", asMember(s.commitReq(9, g, commit{"od", 0, 1, ""}, commit{"od", 1, 2, ""},
				commit{"od", 2, 3, ""}, commit{"od2", 0, 4, ""}), id, gen))
		}
		del("unknown group", "od-none", "od")
		del("unknown group, nothing", "od-none")
		del("empty group id", "", "od")
		commitAll("od", "", -1)
		del("one topic", "od", "od")
		s.send("after", s.offsetsReq(9, "od"))
		del("again", "od", "od")
		del("unknown topic", "od", "od-x", "od2")
		del("nothing", "od")
		s.send("after", s.offsetsReq(9, "od"))
		s.show("not made", "od")

		// A member subscribed to od: only od2's offsets can go.
		sub := append([]byte{0, 1, 0, 0, 0, 1, 0, 2}, "od"...)
		sub = append(sub, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)
		for _, kind := range []string{"consumer", "connect"} {
			g := map[string]string{"consumer": "od-sub", "connect": "od-type"}[kind]
			a := s.peer("a")
			req := joinReq(3, g, "", "range:"+string(sub))
			req.ProtocolType = kind
			id, gen := joined(a.send("subscribed", req))
			sync := syncReq(3, g, id, gen)
			a.send("plan", sync)
			commitAll(g, id, gen)
			del("subscribed", g, "od", "od2")
			s.send("after", s.offsetsReq(9, g))
			s.send("leaves", leaveReq(3, g, id))
			del("nobody is left", g, "od", "od2")
			s.send("after", s.offsetsReq(9, g))
		}
	})
}
