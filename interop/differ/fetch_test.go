//go:build interop

package differ

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestFetchVersions covers positions in and around the log in each version.
func TestFetchVersions(t *testing.T) {
	compare(t, func(s *side) {
		s.create("fe", 2)
		s.fill("fe", 0, 3, 4)
		for v := int16(4); v <= 18; v++ {
			for _, offset := range []int64{0, 1, 4, 5, 11, 12, 13, 1000, -1, -2} {
				s.send("offset "+plain32(int32(offset)), s.fetchReq(v, part{topic: "fe", offset: offset}))
			}
			s.send("empty partition", s.fetchReq(v, part{topic: "fe", partition: 1}))
			s.send("missing partition", s.fetchReq(v, part{topic: "fe", partition: 2}))
			s.send("negative partition", s.fetchReq(v, part{topic: "fe", partition: -1}))
			if v < 13 {
				s.send("missing topic", s.fetchReq(v, part{topic: "fe-missing"}))
				s.send("invalid topic", s.fetchReq(v, part{topic: "f e"}))
			}
			s.send("nothing", s.fetchReq(v))
			for _, level := range []int8{1, 2, -1} {
				req := s.fetchReq(v, part{topic: "fe"})
				req.IsolationLevel = level
				s.send("isolation "+plainInt(int16(level)), req)
			}
			s.send("partition twice", s.fetchReq(v, part{topic: "fe"}, part{topic: "fe", offset: 4}))
			s.send("rack", withRack(s.fetchReq(v, part{topic: "fe"})))
		}
	})
}

func withRack(req *kmsg.FetchRequest) *kmsg.FetchRequest {
	req.Rack = "r1"
	return req
}

// TestFetchTopicIDs: from version 13 on, topics are ids (KIP-516).
func TestFetchTopicIDs(t *testing.T) {
	compare(t, func(s *side) {
		s.create("fe-id", 1)
		s.fill("fe-id", 0, 1, 2)
		for _, v := range []int16{13, 15, 18} {
			for _, id := range [][16]byte{{}, {1, 2, 3}} {
				req := s.fetchReq(v, part{topic: "fe-id"})
				req.Topics[0].TopicID = id
				s.send("id "+s.names.topic(id), req)
			}
		}
	})
}

// TestFetchEpochs covers current leader epochs and KIP-595's diverging epochs.
func TestFetchEpochs(t *testing.T) {
	compare(t, func(s *side) {
		s.create("fe-epoch", 1)
		s.fill("fe-epoch", 0, 2, 3)
		for v := int16(9); v <= 18; v++ {
			for _, epoch := range []int32{1, 7, -2} {
				s.send("current epoch "+plain32(epoch),
					s.fetchReq(v, part{topic: "fe-epoch", epoch: epoch}))
			}
			zero := s.fetchReq(v, part{topic: "fe-epoch"})
			zero.Topics[0].Partitions[0].CurrentLeaderEpoch = 0
			s.send("current epoch 0", zero)
			if v < 12 {
				continue
			}
			for _, last := range []int32{1, 9, -2} {
				s.send("last fetched epoch "+plain32(last),
					s.fetchReq(v, part{topic: "fe-epoch", offset: 3, fetched: last}))
			}
			zero = s.fetchReq(v, part{topic: "fe-epoch", offset: 3})
			zero.Topics[0].Partitions[0].LastFetchedEpoch = 0
			s.send("last fetched epoch 0", zero)
			zero.Topics[0].Partitions[0].FetchOffset = 50
			s.send("last fetched epoch 0, out of range", zero)
		}
	})
}

// TestFetchLimits is KIP-74: the first batch always comes whole, later ones only as they fit.
func TestFetchLimits(t *testing.T) {
	compare(t, func(s *side) {
		s.create("fe-limit", 3)
		for p := range int32(3) {
			s.fill("fe-limit", p, 5, 10)
		}
		size := int32(len(good(10).build()))
		limits := []int32{
			1, size - 1, size, size + 1, 2 * size, 2*size + 30, 5 * size, 7*size + 5,
			10 * size, 0, -1,
		}
		for _, v := range []int16{4, 7, 12, 13, 17} {
			for i, limit := range limits {
				req := s.fetchReq(v, part{topic: "fe-limit", maxBytes: limit})
				if limit == 0 {
					req.Topics[0].Partitions[0].PartitionMaxBytes = 0
				}
				s.send("partition limit "+plain32(int32(i)), req)
				all := s.fetchReq(v, part{topic: "fe-limit", partition: 2},
					part{topic: "fe-limit", partition: 0, offset: 13},
					part{topic: "fe-limit", partition: 1})
				all.MaxBytes = limit
				s.send("total limit "+plain32(int32(i)), all)
			}
			empty := s.fetchReq(v, part{topic: "fe-limit", offset: 50, maxBytes: 1},
				part{topic: "fe-limit", partition: 1, maxBytes: 1},
				part{topic: "fe-limit", partition: 2, maxBytes: 1})
			s.send("limits of 1, the first is empty", empty)
		}
	})
}

// TestFetchLongPoll covers what is answered at once and what waits (2.5 s, told apart at 1.2 s).
func TestFetchLongPoll(t *testing.T) {
	compare(t, func(s *side) {
		s.create("fe-poll", 2)
		s.fill("fe-poll", 0, 1, 5)
		timed := func(label string, minBytes int32, parts ...part) {
			req := s.fetchReq(12, parts...)
			req.MaxWaitMillis, req.MinBytes = 2500, minBytes
			start := time.Now()
			s.send(label, req)
			how := "at once"
			if time.Since(start) > 1200*time.Millisecond {
				how = "waited"
			}
			s.record(label, "answered", how)
		}
		timed("data there", 1, part{topic: "fe-poll"})
		timed("nothing there", 1, part{topic: "fe-poll", offset: 5})
		timed("nothing there, min bytes 0", 0, part{topic: "fe-poll", offset: 5})
		timed("too little there", 1<<20, part{topic: "fe-poll"})
		timed("an error beside", 1, part{topic: "fe-poll", offset: 5},
			part{topic: "fe-poll", partition: 1, offset: 77})
		timed("no partition", 1)
		timed("min bytes above max bytes", 1<<30, part{topic: "fe-poll"})
	})
}

// TestFetchWakes: a waiting fetch is answered by an append.
func TestFetchWakes(t *testing.T) {
	compare(t, func(s *side) {
		s.create("fe-wake", 1)
		other, err := newSide(s.name, s.addr)
		if err != nil {
			panic(err)
		}
		defer other.hangUp()
		done := make(chan struct{})
		go func() {
			defer close(done)
			// Lets the fetch begin to wait in most runs; the answer is the same where it does not.
			time.Sleep(300 * time.Millisecond)
			other.fill("fe-wake", 0, 1, 3)
		}()
		req := s.fetchReq(12, part{topic: "fe-wake"})
		req.MaxWaitMillis, req.MinBytes = 8000, 1
		s.send("woken", req)
		<-done
	})
}
