package group

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
)

// crowd is a machine with a stable group of so many members, driven without a shard.
func crowd(b testing.TB, groups, members int) (*stage, [][]string) {
	cfg := Defaults()
	cfg.InitialDelayMs, cfg.RecordBytesMax, cfg.MemberBytesMax = 0, 1<<30, 1<<30
	cfg.ExpiryCheckMs = 1 << 40
	s := newStage(b, cfg)
	ids := make([][]string, groups)
	for g := range groups {
		group := fmt.Sprintf("g%d", g)
		var joins []*Input
		for i := range members {
			in := join(group, "", 3, "range:topic")
			in.NewID, in.ClientID = fmt.Sprint(i), "c"
			joins = append(joins, in)
			ids[g] = append(ids[g], fmt.Sprintf("c-%d", i))
		}
		s.handle(joins...)
		s.advance(1)
		s.handle(syncOf(group, ids[g][0], 1))
		for _, id := range ids[g][1:] {
			s.handle(syncOf(group, id, 1))
		}
		if got := s.m.lookup(group).state; got != stateStable {
			b.Fatalf("group %s is %s", group, got)
		}
	}
	clear(s.answered)
	return s, ids
}

// One heartbeat among 10,000 members, in the machine alone: the response and the list that it is put
// in are the only allocations.
func BenchmarkHeartbeat(b *testing.B) {
	s, ids := crowd(b, 1000, 10)
	ins := make([]*Input, 0, 1000)
	for g := range ids {
		ins = append(ins, heartbeatOf(fmt.Sprintf("g%d", g), ids[g][3], 1))
	}
	var out outcome
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		out.Replies = out.Replies[:0]
		s.m.Decide(s.nowMs+int64(i)/1000, ins[i%len(ins)], &out)
	}
}

// The same through the shard, with release.
func BenchmarkHeartbeatShard(b *testing.B) {
	s, ids := crowd(b, 1000, 10)
	ins := make([]*Input, 0, 1000)
	for g := range ids {
		ins = append(ins, heartbeatOf(fmt.Sprintf("g%d", g), ids[g][3], 1))
	}
	var r coordinator.Released[*Input]
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.shard.Handle(s.nowMs+int64(i)/1000, ins[i%len(ins)])
		r.Replies = r.Replies[:0]
		s.shard.Release(s.log.end, &r)
	}
}

// A group of 1,000 members from nothing to stable: joins, the join phase, the leader's sync with
// everybody's assignment, and all other syncs.
func BenchmarkThousandJoin(b *testing.B) {
	const members = 1000
	metadata := "range:" + string(make([]byte, 100))
	assignment := string(make([]byte, 100))
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		s := newStage(b, Defaults())
		joins, syncs := make([]*Input, members), make([]*Input, members)
		var all []string
		for i := range members {
			joins[i] = join("g", "", 3, metadata)
			joins[i].NewID, joins[i].ClientID = fmt.Sprint(i), "c"
			all = append(all, fmt.Sprintf("c-%d", i), assignment)
		}
		for i := range members {
			syncs[i] = syncOf("g", all[2*i], 1)
		}
		syncs[0] = syncOf("g", all[0], 1, all...)
		b.StartTimer()
		s.handle(joins...)
		s.advance(6_000)
		s.handle(syncs...)
		b.StopTimer()
		if g := s.m.lookup("g"); g.state != stateStable || len(g.members) != members || g.owing > 0 {
			b.Fatalf("group is %s", g.state)
		}
		b.StartTimer()
	}
}

// 100,000 idle members: looking for due timers when there are none, which is what a shard does with
// every input.
func BenchmarkIdle(b *testing.B) {
	s, _ := crowd(b, 1000, 100)
	b.ReportAllocs()
	for b.Loop() {
		if _, due := s.m.Due(s.nowMs); due || s.m.NextDueMs() <= s.nowMs {
			b.Fatal("a timer is due")
		}
	}
}

// 100,000 members that send heartbeats in time: what their sessions cost per member and session, which
// is one timer that finds the deadline moved. The heartbeats themselves are not counted.
func BenchmarkSession(b *testing.B) {
	s, _ := crowd(b, 1000, 100)
	const members = 100_000
	for b.Loop() {
		b.StopTimer()
		for _, g := range s.m.groups {
			for mem := range g.all() {
				s.m.extend(mem, mem.sessionMs)
			}
		}
		s.nowMs += 9_000
		s.m.tick(s.nowMs)
		for _, g := range s.m.groups {
			for mem := range g.all() {
				s.m.extend(mem, mem.sessionMs)
			}
		}
		s.nowMs += 5_000
		b.StartTimer()
		if _, due := s.m.Due(s.nowMs); due {
			b.Fatal("a session has ended")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/members, "ns/session")
}

// A heartbeat allocates its response, and the list of replies that the shard keeps.
func TestHeartbeatAllocations(t *testing.T) {
	s, ids := crowd(t, 10, 10)
	in := heartbeatOf("g3", ids[3][3], 1)
	var out outcome
	s.m.Decide(s.nowMs, in, &out)
	got := testing.AllocsPerRun(1000, func() {
		out.Replies = out.Replies[:0]
		s.nowMs++
		s.m.Decide(s.nowMs, in, &out)
	})
	if got > 1 {
		t.Errorf("a heartbeat allocates %v times, besides its list of replies", got)
	}
	if r := out.Replies[0].Response.(*kmsg.HeartbeatResponse); r.ErrorCode != 0 {
		t.Errorf("heartbeat: %s", codeName(r.ErrorCode))
	}
}
