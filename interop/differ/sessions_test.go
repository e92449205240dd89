//go:build interop

package differ

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// inSession makes a Fetch of a session at an epoch.
func (s *side) inSession(v int16, id, epoch int32, parts ...part) *kmsg.FetchRequest {
	req := s.fetchReq(v, parts...)
	req.SessionID, req.SessionEpoch = id, epoch
	return req
}

func sessionOf(resp kmsg.Response) int32 {
	return resp.(*kmsg.FetchResponse).SessionID
}

// forget takes partitions out of a session.
func (s *side) forget(req *kmsg.FetchRequest, topic string, partitions ...int32,
) *kmsg.FetchRequest {
	t := kmsg.NewFetchRequestForgottenTopic()
	t.Topic, t.Partitions = topic, partitions
	if req.Version >= 13 {
		t.TopicID = s.id(topic)
	}
	req.ForgottenTopics = append(req.ForgottenTopics, t)
	return req
}

// TestFetchSessions walks through a session's life (KIP-227), by name and by id.
func TestFetchSessions(t *testing.T) {
	compare(t, func(s *side) {
		for _, v := range []int16{7, 11, 12, 13, 18} {
			s.sessionLife(v)
		}
	})
}

func (s *side) sessionLife(v int16) {
	topic := "fs-v" + plainInt(v)
	clear(s.names.sessions)
	s.create(topic, 4)
	s.fill(topic, 0, 1, 2)
	at := func(p int32, offset int64) part { return part{topic: topic, partition: p, offset: offset} }
	id := sessionOf(s.send("full, asks for a session", s.inSession(v, 0, 0, at(0, 0), at(1, 0))))
	s.send("incremental, nothing new", s.inSession(v, id, 1, at(0, 2)))
	s.send("incremental, no partition named", s.inSession(v, id, 2))
	s.fill(topic, 1, 1, 3)
	s.send("incremental, data in the other", s.inSession(v, id, 3))
	s.send("the same data again", s.inSession(v, id, 4))
	s.send("taken", s.inSession(v, id, 5, at(1, 3)))
	s.send("a partition added", s.inSession(v, id, 6, at(2, 0)))
	s.send("out of range", s.inSession(v, id, 7, at(2, 9)))
	s.send("still out of range", s.inSession(v, id, 8))
	s.send("back in range", s.inSession(v, id, 9, at(2, 0)))
	s.send("one forgotten", s.forget(s.inSession(v, id, 10), topic, 1))
	s.fill(topic, 1, 1, 1)
	s.send("no news of the forgotten", s.inSession(v, id, 11))
	s.send("a missing partition added", s.inSession(v, id, 12, at(9, 0)))
	s.send("it again", s.inSession(v, id, 13))
	s.send("one never added forgotten", s.forget(s.inSession(v, id, 14), topic, 3))
	s.send("forgotten and added at once", s.forget(s.inSession(v, id, 15, at(0, 0)), topic, 0))
	s.send("old epoch", s.inSession(v, id, 15))
	s.send("epoch too far", s.inSession(v, id, 40))
	s.send("the right epoch after them", s.inSession(v, id, 16))
	s.send("unknown session", s.inSession(v, id^0x55555, 1))
	s.send("negative session", s.inSession(v, -5, 1))
	s.send("session 0 with epoch 1", s.inSession(v, 0, 1))
	s.send("epoch -2", s.inSession(v, id, -2))
	all := s.forget(s.forget(s.inSession(v, id, 17), topic, 0, 2, 9), topic, 1)
	s.send("all forgotten", all)
	s.send("after that", s.inSession(v, id, 18, at(0, 0)))
	id = sessionOf(s.send("another full", s.inSession(v, 0, 0, at(0, 0))))
	s.send("full in place of it", s.inSession(v, id, 0, at(1, 0)))
	id = sessionOf(s.send("a third", s.inSession(v, 0, 0, at(0, 0))))
	s.send("final, with data", s.inSession(v, id, -1, at(0, 0)))
	s.send("after the final", s.inSession(v, id, 1))
	s.send("full of no partition", s.inSession(v, 0, 0))
}

// TestFetchSessionAddress covers topics that come and go, and sessions that mix names and ids.
func TestFetchSessionAddress(t *testing.T) {
	compare(t, func(s *side) {
		s.create("fs-mix", 1)
		s.fill("fs-mix", 0, 1, 2)
		id := sessionOf(s.send("by name", s.inSession(12, 0, 0, part{topic: "fs-mix"})))
		s.send("then by id", s.inSession(13, id, 1, part{topic: "fs-mix"}))
		s.send("by name again", s.inSession(12, id, 1))
		s.send("by name once more", s.inSession(12, id, 2))
		id = sessionOf(s.send("by id", s.inSession(13, 0, 0, part{topic: "fs-mix"})))
		s.send("then by name", s.inSession(12, id, 1, part{topic: "fs-mix"}))
		unknown := s.inSession(13, 0, 0, part{topic: "fs-mix"})
		unknown.Topics[0].TopicID = [16]byte{3, 1, 4}
		id = sessionOf(s.send("an unknown id", unknown))
		s.send("still unknown", s.inSession(13, id, 1))
		id = sessionOf(s.send("a missing name",
			s.inSession(12, 0, 0, part{topic: "fs-late"}, part{topic: "fs-mix"})))
		s.create("fs-late", 1)
		s.fill("fs-late", 0, 1, 1)
		s.send("now there", s.inSession(12, id, 1, part{topic: "fs-mix", offset: 2}))
		id = sessionOf(s.send("by id, to be deleted", s.inSession(13, 0, 0, part{topic: "fs-late"})))
		must[*kmsg.DeleteTopicsResponse](s, deleteReq(4, "fs-late"))
		s.awaitGone("fs-late")
		s.send("deleted", s.inSession(13, id, 1))
	})
}
