package group

import (
	"fmt"
	"slices"
	"strings"
)

// check holds what must be true of a machine between inputs.
func (m *Machine) check(t failer) {
	t.Helper()
	fleeting, pending, bytes := 0, 0, 0
	for id, g := range m.groups {
		if g.id != id || g.state == stateDead {
			t.Fatalf("group %s is not itself", id)
		}
		if !g.kept {
			fleeting++
		}
		pending += len(g.pending)
		bytes += g.bytes
		g.check(t)
	}
	if fleeting != m.fleeting || pending != m.pending || bytes != m.bytes {
		t.Fatalf("counted %d fleeting groups, %d pending ids, %d bytes; there are %d, %d, %d",
			m.fleeting, m.pending, m.bytes, fleeting, pending, bytes)
	}
	m.checkCounts(t)
	for i, timer := range m.timers.heap {
		if int(timer.at) != i || !timer.armed || i > 0 && timer.before(m.timers.heap[(i-1)/4]) {
			t.Fatalf("the heap of timers is out of order at %d", i)
		}
		if g := timer.group; g != nil && m.groups[g.id] != g {
			t.Fatalf("a timer of group %s outlives it", g.id)
		}
	}
}

// checkCounts compares what is counted all along with what a walk finds.
func (m *Machine) checkCounts(t failer) {
	t.Helper()
	want := Counts{Offsets: m.offsets.len()}
	for _, g := range m.groups {
		want.Members += len(g.members)
		switch g.state {
		case stateEmpty:
			want.Empty++
		case statePreparing:
			want.Preparing++
		case stateCompleting:
			want.Completing++
		case stateStable:
			want.Stable++
		}
	}
	for _, id := range m.offsets.groupNames(nil) {
		if m.groups[id] == nil {
			want.Empty++
		}
	}
	if got := m.Counts(); got != want {
		t.Fatalf("counted %+v, there are %+v", got, want)
	}
}

func (g *group) check(t failer) {
	t.Helper()
	joining, owing, bytes, n := 0, 0, 0, 0
	support := map[string]int{}
	for mem := range g.all() {
		n++
		if g.members[mem.id] != mem || g.order[mem.at] != mem || g.pending[mem.id] != nil {
			t.Fatalf("member %s of %s is not in its place", mem.id, g.id)
		}
		if mem.instance != nil && g.static[*mem.instance] != mem {
			t.Fatalf("static member %s of %s is not in its place", mem.id, g.id)
		}
		if mem.join != nil {
			joining++
		}
		if mem.owesSync {
			owing++
		}
		bytes += mem.bytes()
		for _, p := range mem.protocols {
			support[p.name]++
		}
		if !mem.timer.armed && !mem.alive() {
			t.Fatalf("nothing ends the session of %s in %s", mem.id, g.id)
		}
		if mem.join != nil && g.state != statePreparing || mem.sync != nil && g.state != stateCompleting {
			t.Fatalf("member %s waits in a group %s that is %s", mem.id, g.id, g.state)
		}
	}
	if n != len(g.members) || joining != g.joining || owing != g.owing || bytes != g.bytes {
		t.Fatalf("group %s has miscounted: %d members, %d joining, %d owing, %d bytes; really %d, %d, %d, %d",
			g.id, len(g.members), g.joining, g.owing, g.bytes, n, joining, owing, bytes)
	}
	if len(support) != len(g.support) {
		t.Fatalf("group %s counts %v, has %v", g.id, g.support, support)
	}
	common := n == 0
	for name, count := range support {
		if g.support[name] != count {
			t.Fatalf("group %s counts %v, has %v", g.id, g.support, support)
		}
		common = common || count == n
	}
	if !common {
		t.Fatalf("the members of group %s have nothing in common", g.id)
	}
	waits := g.state == statePreparing || g.state == stateCompleting || g.owing > 0
	if waits != g.timer.armed {
		t.Fatalf("group %s is %s, owes %d; its timer is armed: %v", g.id, g.state, g.owing, g.timer.armed)
	}
	if (g.leader == nil) != (n == 0) || g.leader != nil && g.members[g.leader.id] != g.leader {
		t.Fatalf("group %s with %d members has leader %v", g.id, n, g.leader)
	}
	if g.state == stateEmpty && n > 0 || g.state == stateStable && (n == 0 || !g.kept) {
		t.Fatalf("group %s is %s with %d members", g.id, g.state, n)
	}
}

// settled is what the log must say of groups that are at rest: id → description.
func (m *Machine) settled() map[string]string {
	all := map[string]string{}
	for id, g := range m.groups {
		if g.kept && (g.state == stateEmpty || g.state == stateStable) {
			all[id] = g.describe()
		}
	}
	return all
}

func (g *group) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s generation=%d type=%s since=%d", g.state, g.generation, g.protocolType, g.stateSinceMs)
	chosen := ""
	if g.protocol != nil {
		chosen = *g.protocol
		fmt.Fprintf(&b, " protocol=%s", chosen)
	}
	if g.leader != nil {
		fmt.Fprintf(&b, " leader=%s", g.leader.id)
	}
	var members []string
	for mem := range g.all() {
		metadata, _ := mem.metadataOf(chosen)
		instance := ""
		if mem.instance != nil {
			instance = *mem.instance
		}
		members = append(members, fmt.Sprintf("%s/%s %s %s %d %d %q %q", mem.id, instance, mem.clientID,
			mem.clientHost, mem.sessionMs, mem.rebalanceMs, metadata, mem.assignment))
	}
	slices.Sort(members)
	return b.String() + "\n" + strings.Join(members, "\n")
}
