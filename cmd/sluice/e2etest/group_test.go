package e2etest

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
)

// groupPlay is one group of one client in a world of its own.
type groupPlay struct {
	*groupWorld
	h       *groupHistory
	join    joinFunc
	members []*groupMember
	lost    []*groupMember
}

// TestGroupsThroughRestarts has members of real clients join, leave and lose their line, a static one
// come back under its instance id (KIP-345), and the broker be killed and be stopped, while the
// topic is written. groupHistory says what must hold of all that; at each step the group becomes
// Stable with one owner by partition, as the members see it themselves.
func TestGroupsThroughRestarts(t *testing.T) {
	t.Parallel()
	for name, join := range map[string]joinFunc{
		"franz-go/range":              joinFranz(kgo.RangeBalancer()),
		"franz-go/cooperative-sticky": joinFranz(kgo.CooperativeStickyBalancer()),
		"sarama/roundrobin":           joinSarama(sarama.NewBalanceStrategyRoundRobin),
		"sarama/cooperative-sticky":   joinSarama(sarama.NewBalanceStrategyCooperativeSticky),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &groupPlay{groupWorld: newGroupWorld(t, groupName), h: newGroupHistory(), join: join}
			p.run()
		})
	}
}

func (p *groupPlay) run() {
	p.watch()
	p.add("first", "the-first")
	second := p.add("second", "")
	p.settle("two members")
	third := p.add("third", "")
	p.settle("a third has joined")
	p.advance("every partition is consumed")
	p.restart(p.b.kill)
	second.leave(p.t)
	p.members = slices.DeleteFunc(p.members, func(m *groupMember) bool { return m == second })
	p.settle("one has left")
	p.lose(third)
	p.add("fourth", "")
	p.settle("one was lost, another has joined")
	p.replaceStatic()
	p.restart(func() { must(p.t, p.b.terminate()) })
	p.stopWriting()
	p.until("all is consumed", func() bool { return p.reached(p.ends()) })
	p.settle("all is consumed")
	for _, m := range append(p.members, p.lost...) {
		m.leave(p.t)
	}
	p.until("the offsets stay", func() bool { return p.reached(p.ends()) })
	deliveries, repeated, err := p.h.complete(p.acked)
	must(p.t, err)
	p.t.Logf("%d deliveries, %d of them repeated, none after its commit", deliveries, repeated)
}

// watch reads the committed offsets all the while.
func (p *groupPlay) watch() {
	stop, done := make(chan struct{}), make(chan struct{})
	p.t.Cleanup(func() {
		close(stop)
		<-done
	})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			before := p.h.known()
			if got, ok := p.committed(); ok {
				p.h.read(before, got)
			}
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
}

func (p *groupPlay) add(name, instance string) *groupMember {
	p.t.Helper()
	m, err := p.join(p.b, p.line(), newMemberView(name, p.h), instance)
	must(p.t, err)
	p.members = append(p.members, m)
	p.t.Cleanup(func() {
		m.line.cut()
		m.leave(p.t)
	})
	return m
}

// lose cuts a member's line: the broker has to find out by its session timeout.
func (p *groupPlay) lose(m *groupMember) {
	m.line.cut()
	p.lost = append(p.lost, m)
	p.members = slices.DeleteFunc(p.members, func(x *groupMember) bool { return x == m })
}

// settled says whether broker and members agree on who owns what.
func (p *groupPlay) settled() bool {
	p.t.Helper()
	must(p.t, p.h.error())
	ours := map[string][]int32{}
	for _, m := range p.members {
		ours[m.view.name] = m.view.partitions()
	}
	theirs, ok := p.owners()
	return ok && maps.EqualFunc(ours, theirs, slices.Equal[[]int32])
}

func (p *groupPlay) settle(what string) {
	p.t.Helper()
	p.until(what, p.settled)
	p.t.Logf("[%4.1f s] %s", time.Since(p.began).Seconds(), what)
}

// restart ends the broker and starts it: what was committed is there, and the group goes on.
func (p *groupPlay) restart(end func()) {
	p.t.Helper()
	end()
	before := p.h.known()
	p.again()
	p.until("the offsets can be read after a restart", func() bool {
		got, ok := p.committed()
		if ok {
			p.h.read(before, got)
		}
		return ok
	})
	p.settle("the group is whole after a restart")
	p.advance("the group goes on after a restart")
}

// replaceStatic loses the static member, which comes back: it gets its own, and nobody else is
// rebalanced.
func (p *groupPlay) replaceStatic() {
	p.t.Helper()
	old := p.members[0]
	owned := old.view.partitions()
	p.lose(old)
	var changes []int
	for _, m := range p.members {
		changes = append(changes, m.view.changeCount())
	}
	others := slices.Clone(p.members)
	back := p.add("first-again", "the-first")
	p.until("the static member is back", func() bool {
		return slices.Equal(back.view.partitions(), owned)
	})
	p.settle("the static member is back")
	for i, m := range others {
		want(p.t, m.view.name+"'s rebalances as a static member came back", m.view.changeCount(), changes[i])
	}
}
