//go:build interop

package differ

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// everyState makes groups named after the prefix and their state. Empty ones have had a member.
func (s *side) everyState(prefix string) {
	for _, state := range []string{"stable", "prep", "wait", "empty", "simple"} {
		s.coordinated(prefix + state)
	}
	s.form(prefix+"stable", 2)
	prep := s.form(prefix+"prep", 2)
	a := s.peer("a")
	a.post(joinReq(5, prefix+"prep", prep[0]))
	s.until(prefix+"prep", "PreparingRebalance", 2)
	wait := s.form(prefix+"wait", 1)
	w := s.peer("w")
	w.send("waits for its plan", joinReq(5, prefix+"wait", wait[0]))
	gone := s.form(prefix+"empty", 1)
	s.send("empties", leaveReq(4, prefix+"empty", gone[0]))
	s.create(prefix+"topic", 1)
	s.send("simple", s.commitReq(9, prefix+"simple", commit{prefix + "topic", 0, 1, ""}))
}

// TestDescribeGroups covers each state in each version; of an unknown group version 6 says that it
// is not there, where older ones say that it is dead.
func TestDescribeGroups(t *testing.T) {
	compare(t, func(s *side) {
		s.everyState("dg-")
		s.coordinated("dg-none", "")
		for v := int16(0); v <= 6; v++ {
			for _, ops := range []bool{false, true} {
				req := at(kmsg.NewPtrDescribeGroupsRequest(), v)
				req.IncludeAuthorizedOperations = ops && v >= 3
				s.send("nothing", req)
				for _, g := range []string{"stable", "prep", "wait", "empty", "simple", "none"} {
					req.Groups = append(req.Groups, "dg-"+g)
				}
				s.send("each state, operations "+fmt.Sprint(ops), req)
				req.Groups = []string{"", "dg-none", "dg-none", strings.Repeat("x", 300), "ä\x00"}
				s.send("odd names, operations "+fmt.Sprint(ops), req)
			}
		}
	})
}

// TestListGroups covers filters by state (KIP-518) and type (KIP-848).
func TestListGroups(t *testing.T) {
	compare(t, func(s *side) {
		s.everyState("lg-")
		for v := int16(0); v <= 5; v++ {
			req := at(kmsg.NewPtrListGroupsRequest(), v)
			s.mine("all", "lg-", req)
			if v < 4 {
				continue
			}
			for _, states := range [][]string{
				{"Stable"},
				{"stable"},
				{"STABLE", "Empty"},
				{"PreparingRebalance"},
				{"CompletingRebalance"},
				{"Dead"},
				{"Unknown"},
				{"nonsense"},
				{"", "Empty"},
				{"Assigning", "Reconciling", "NotReady"},
			} {
				req := at(kmsg.NewPtrListGroupsRequest(), v)
				req.StatesFilter = states
				s.mine("states "+strings.Join(states, ","), "lg-", req)
			}
			if v < 5 {
				continue
			}
			for _, types := range [][]string{
				{"classic"},
				{"Classic"},
				{"CLASSIC", "consumer"},
				{"consumer"},
				{"share"},
				{"streams"},
				{"unknown"},
				{"nonsense"},
				{""},
				{"nonsense", "classic"},
			} {
				req := at(kmsg.NewPtrListGroupsRequest(), v)
				req.TypesFilter = types
				s.mine("types "+strings.Join(types, ","), "lg-", req)
				req.StatesFilter = []string{"Stable"}
				s.mine("stable of types "+strings.Join(types, ","), "lg-", req)
			}
		}
	})
}

// TestDeleteGroups covers each state in each version.
func TestDeleteGroups(t *testing.T) {
	compare(t, func(s *side) {
		for v := int16(0); v <= 3; v++ {
			prefix := "del" + plainInt(v) + "-"
			s.everyState(prefix)
			s.coordinated(prefix+"none", "")
			req := at(kmsg.NewPtrDeleteGroupsRequest(), v)
			s.send("nothing", req)
			for _, g := range []string{"stable", "prep", "wait", "empty", "simple", "none"} {
				req.Groups = append(req.Groups, prefix+g)
			}
			s.send("each state", req)
			s.send("each state again", req)
			for _, g := range []string{"stable", "prep", "wait", "empty", "simple"} {
				s.show(g, prefix+g)
			}
			s.send("offsets are gone", s.offsetsReq(9, prefix+"simple"))
			req.Groups = []string{"", prefix + "none", prefix + "none"}
			s.send("odd names", req)
			s.coordinated(prefix + "twice")
			s.send("again", s.commitReq(9, prefix+"twice", commit{prefix + "topic", 0, 1, ""}))
			req.Groups = []string{prefix + "twice", prefix + "twice"}
			s.send("twice", req)
		}
	})
}
