//go:build interop

package differ

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// garbage is what no consumer would write as its subscription or assignment.
func garbage() map[string][]byte {
	return map[string][]byte{
		"nothing":             {},
		"one byte":            {0},
		"absurd version":      {0x7f, 0xff, 0, 0, 0, 1},
		"negative version":    {0xff, 0xff},
		"absurd topic count":  {0, 1, 0x7f, 0xff, 0xff, 0xff},
		"negative count":      {0, 1, 0x80, 0, 0, 0},
		"name cut short":      {0, 1, 0, 0, 0, 1, 0x7f, 0xff, 'a'},
		"name is not UTF-8":   {0, 0, 0, 0, 0, 1, 0, 2, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff},
		"no user data":        {0, 0, 0, 0, 0, 1, 0, 2, 'o', 'g'},
		"more behind":         {0, 0, 0, 0, 0, 1, 0, 2, 'o', 'g', 0xff, 0xff, 0xff, 0xff, 9, 9, 9},
		"zeros":               make([]byte, 100_000),
		"ones":                bytes.Repeat([]byte{0xff}, 1000),
		"version 3, cut":      {0, 3, 0, 0, 0, 1, 0, 2, 'o', 'g', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9},
		"an absurd user data": {0, 0, 0, 0, 0, 1, 0, 2, 'o', 'g', 0x7f, 0xff, 0xff, 0xff},
	}
}

// TestGroupGarbage: a coordinator passes subscriptions and assignments on, whatever they are; it reads
// them only to tell which topics a group has subscribed to (KIP-496).
func TestGroupGarbage(t *testing.T) {
	compare(t, func(s *side) {
		s.create("og", 1)
		for i, name := range sorted(garbage()) {
			data, g := garbage()[name], fmt.Sprint("garbage", i)
			s.coordinated(g)
			a := s.peer("a")
			id := s.memberID(g)
			a.post(joinReq(7, g, id, "range:"+string(data)))
			a.await(name)
			a.send(name, syncReq(5, g, id, 1, id, string(data)))
			s.show(name, g)
			s.send(name, asMember(s.commitReq(8, g, commit{"og", 0, 1, ""}), id, 1))
			del := at(kmsg.NewPtrOffsetDeleteRequest(), 0)
			del.Group = g
			dt := kmsg.NewOffsetDeleteRequestTopic()
			dt.Topic, dt.Partitions = "og", []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}
			del.Topics = append(del.Topics, dt)
			s.send(name, del)
			s.send(name, s.offsetsReq(8, g, "og"))
			a.hangUp()
		}
	})
}

// TestGroupOddJoins covers names that nobody would choose, and lists with the same name twice.
func TestGroupOddJoins(t *testing.T) {
	compare(t, func(s *side) {
		long := strings.Repeat("x", 1000)
		for i, g := range []string{" ", "ä€𝄞", "\x00", long, "a/b", ".", "..", "a\nb"} {
			s.coordinated(g)
			label := fmt.Sprint("group ", i)
			for v := int16(2); v <= 9; v += 2 {
				req := joinReq(v, g, "nobody")
				s.send(label+" unknown member", req)
			}
			id, gen := joined(s.send(label, joinReq(3, g, "")))
			s.send(label, syncReq(3, g, id, gen, id, "x"))
			s.show(label, g)
			s.send(label, leaveReq(3, g, id))
		}
		s.coordinated("odd-twice", "odd-noname", "odd-many")
		s.send("a member id of 1000 letters", joinReq(5, "odd-many", long))
		s.send("a protocol without a name", joinReq(3, "odd-noname", "", ":1"))
		s.send("many protocols", joinReq(3, "odd-many", "", manyNames(200)...))
		for i, ms := range []int32{-1 << 31, -1, 0, 1, 1<<31 - 1} {
			g := fmt.Sprint("odd-late", i)
			s.coordinated(g)
			req := joinReq(3, g, "")
			req.RebalanceTimeoutMillis = ms
			id := joined1(s.send(fmt.Sprint("rebalance timeout ", i), req))
			if ms > 1 {
				s.send("left", leaveReq(3, g, id))
			} // Else the time to sync is over at once.
			s.emptied(g)
		}
		for i, instance := range []string{"", " ", "ä", ".", "..", "a/b", "a b", long} {
			label, g := fmt.Sprint("instance ", i), fmt.Sprint("odd-static", i)
			s.coordinated(g)
			id := joined1(s.send(label, static(joinReq(7, g, ""), instance)))
			if id == "" {
				continue
			}
			leave := leaveReq(4, g, id)
			leave.Members[0].InstanceID = &instance
			s.send(label, leave)
		}
		s.wait = time.Second
		s.send("a protocol twice", joinReq(3, "odd-twice", "", "a:1", "a:2"))
	})
}

func manyNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint("p", i))
	}
	return names
}

// TestGroupOddOffsets covers lists that are too long or say the same twice.
func TestGroupOddOffsets(t *testing.T) {
	compare(t, func(s *side) {
		s.create("ogo", 3)
		s.coordinated("ogo", "ogo-static")
		req := s.commitReq(8, "ogo", commit{"ogo", 0, 1, "first"})
		req.Topics = append(req.Topics, s.commitReq(8, "ogo", commit{"ogo", 1, 2, "second"}).Topics...)
		req.Topics = append(req.Topics, s.commitReq(8, "ogo", commit{"ogo", 0, 3, "third"}).Topics...)
		s.send("a topic in three places", req)
		s.send("what came of it", s.offsetsReq(8, "ogo"))
		for _, gen := range []int32{-1 << 31, -2, 1<<31 - 1} {
			s.send("generation "+plain32(gen), asMember(s.commitReq(8, "ogo", commit{"ogo", 0, 9, ""}), "", gen))
			s.send("generation "+plain32(gen),
				asMember(s.commitReq(8, "ogo", commit{"ogo", 0, 9, ""}), "nobody", gen))
		}
		leave := leaveReq(5, "ogo", "x")
		for i := range 500 {
			leave.Members = append(leave.Members, leaver(fmt.Sprint("m", i), ""))
		}
		s.send("many leave a group of nobody", leave)
		ids := s.formStatic("ogo-static", 2)
		leave = leaveReq(5, "ogo-static", ids[0])
		leave.Members = append(leave.Members, leave.Members[0], leaver(ids[0], "i0"), leaver("", "i0"))
		s.send("one leaves four times", leave)
		s.show("one is left", "ogo-static")
		many := at(kmsg.NewPtrDescribeGroupsRequest(), 6)
		many.Groups = manyNames(500)
		s.send("describe many", many)
	})
}
