package txn

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestTableIsAMap: against Go's map, with names that share hashes, timers against a sorted list, and an
// arena that is written anew.
func TestTableIsAMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := New(DefaultConfig())
		m.table.mask = rapid.SampledFrom([]uint64{0, 1, 3, math.MaxUint64}).Draw(rt, "mask")
		model := map[string]int64{}
		names := rapid.SampledFrom([]string{"a", "b", "c", "dd", "ee", strings.Repeat("x", 30_000)})
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				name, due := names.Draw(rt, "name"), rapid.Int64Range(0, 50).Draw(rt, "due")
				slot := m.table.put([]byte(name))
				m.table.at(slot).state = Empty
				m.timers.arm(slot, due)
				if old, ok := model[name]; !ok || due < old {
					model[name] = due
				}
			},
			"remove": func(rt *rapid.T) {
				name := names.Draw(rt, "name")
				slot, e := m.table.get(name)
				if _, ok := model[name]; ok != (e != nil) {
					rt.Fatalf("%.9s: the map says %v", name, ok)
				}
				if e != nil {
					m.timers.disarm(slot)
					m.table.remove(slot)
					delete(model, name)
				}
			},
			"rewrite": func(*rapid.T) { m.table.rewriteNames() },
			"": func(rt *rapid.T) {
				if m.table.len() != len(model) || len(m.timers.heap) != len(model) {
					rt.Fatalf("%d entries, %d timers, not %d", m.table.len(), len(m.timers.heap), len(model))
				}
				least := int64(math.MaxInt64)
				for name, due := range model {
					slot, e := m.table.get(name)
					if e == nil || string(m.table.name(slot)) != name || e.dueMs != due {
						rt.Fatalf("%.9s is lost", name)
					}
					least = min(least, due)
				}
				if len(model) > 0 && m.timers.due(0) != least {
					rt.Fatalf("first due at %d, not %d", m.timers.due(0), least)
				}
			},
		})
	})
}

// TestNamesOfTheGoneAreForgotten: ids that come and go keep neither names nor entries.
func TestNamesOfTheGoneAreForgotten(t *testing.T) {
	m := New(DefaultConfig())
	name := []byte(strings.Repeat("n", 1000))
	for i := range 20_000 {
		name[0], name[1] = byte(i), byte(i>>8)
		slot := m.table.put(name)
		m.table.at(slot).state = Empty
		m.table.remove(slot)
	}
	bytes := 0
	for _, chunk := range m.table.names {
		bytes += cap(chunk)
	}
	if bytes > 2*deadBytesMin || m.table.used > 1 {
		t.Fatalf("%d bytes of names and %d entries stay", bytes, m.table.used)
	}
}

// TestStatesFollow: TransactionState's valid previous states.
func TestStatesFollow(t *testing.T) {
	want := map[State][]State{
		Empty:          {Empty, CompleteCommit, CompleteAbort, vacant},
		Ongoing:        {Empty, Ongoing, CompleteCommit, CompleteAbort},
		PrepareCommit:  {Ongoing},
		PrepareAbort:   {Empty, Ongoing, CompleteCommit, CompleteAbort},
		CompleteCommit: {PrepareCommit},
		CompleteAbort:  {PrepareAbort},
	}
	all := []State{
		Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort, Dead,
		PrepareEpochFence, vacant,
	}
	for _, s := range all {
		for _, before := range all {
			if s.follows(before) != slices.Contains(want[s], before) {
				t.Errorf("%s after %s", s, before)
			}
		}
	}
}
