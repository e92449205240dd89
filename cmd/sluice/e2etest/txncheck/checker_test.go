package txncheck

import (
	"slices"
	"strings"
	"testing"
)

// story is a small history that is told by hand, and what is there at its end.
type story struct {
	h *history
	f *final
}

var here, there = place{inTopic, 0}, place{inTopic, 1}

func newStory() *story {
	return &story{newHistory(), &final{
		committed: map[place][]seen{}, uncommitted: map[place][]seen{}, ends: map[place]int64{},
		moved: map[place]int64{},
	}}
}

// txn tells of a transaction with one acknowledged write in each place, at the next offset there. It is
// visible if it has committed.
func (s *story) txn(w *writer, commits bool, end outcome, at ...place) *txn {
	t := s.h.newTxn(w)
	t.commits, t.end = commits, end
	for _, p := range at {
		one := s.h.newWrite(write{writer: w, txn: t, at: p, order: len(s.h.writes), outcome: ok})
		one.offset = int64(len(s.f.uncommitted[p]))
		s.f.uncommitted[p] = append(s.f.uncommitted[p], seen{one.offset, one.id})
		if commits && end == ok {
			s.f.committed[p] = append(s.f.committed[p], seen{one.offset, one.id})
		}
	}
	return t
}

// show makes a write visible to committed readers, hide takes it away.
func (s *story) show(w *write) {
	s.f.committed[w.at] = append(s.f.committed[w.at], seen{w.offset, w.id})
}

func (s *story) hide(reads map[place][]seen, w *write) {
	reads[w.at] = slices.DeleteFunc(reads[w.at], func(x seen) bool { return x.id == w.id })
}

// kinds are the rules that a story breaks.
func (s *story) kinds() string {
	found := map[string]bool{}
	for _, a := range check(s.h, s.f) {
		found[a.kind] = true
	}
	return strings.Join(sorted(found), " ")
}

// plot is a story, and the rules that it breaks.
type plot struct {
	tell func(s *story)
	want string
}

// plots break one rule each, or none.
func plots() map[string]plot {
	a, b := &writer{name: "a"}, &writer{name: "a", instance: 1}
	return map[string]plot{
		"committed, aborted, doubtful either way": {func(s *story) {
			s.txn(a, true, ok, here, there)
			s.txn(a, false, ok, here)
			s.txn(a, true, unknown, here, there)
			for _, w := range s.txn(a, true, unknown, here, there).writes {
				s.show(w)
			}
		}, ""},
		"a committed record is not visible": {func(s *story) {
			s.hide(s.f.committed, s.txn(a, true, ok, here).writes[0])
		}, "lost"},
		"an acknowledged record is not there": {func(s *story) {
			s.hide(s.f.uncommitted, s.txn(a, false, ok, here).writes[0])
		}, "lost"},
		"an aborted record is visible": {func(s *story) {
			s.show(s.txn(a, false, ok, here).writes[0])
		}, "aborted"},
		"a record is visible whose commit was refused": {func(s *story) {
			s.show(s.txn(a, true, failed, here).writes[0])
		}, "aborted"},
		"a refused record is there": {func(s *story) {
			s.txn(a, true, ok, here).writes[0].outcome = failed
		}, "aborted"},
		"half of a doubtful transaction": {func(s *story) {
			s.show(s.txn(a, true, unknown, here, there).writes[0])
		}, "torn"},
		"a record is there twice": {func(s *story) {
			w := s.txn(a, true, ok, here).writes[0]
			w.outcome = unknown
			twice := seen{1, w.id}
			s.f.committed[here] = append(s.f.committed[here], twice)
			s.f.uncommitted[here] = append(s.f.uncommitted[here], twice)
		}, "duplicate"},
		"a record is not where it was acknowledged": {func(s *story) {
			s.txn(a, true, ok, here).writes[0].offset = 7
		}, "misplaced"},
		"an order of one instance": {func(s *story) {
			s.txn(a, true, ok, here).writes[0].order = 9
			s.txn(a, true, ok, here)
		}, "reordered"},
		"a zombie's record after its successor's": {func(s *story) {
			s.txn(b, true, ok, here)
			s.txn(a, false, unknown, here)
		}, "reordered"},
		"a committed record is not read uncommitted": {func(s *story) {
			w := s.txn(a, true, ok, here).writes[0]
			w.outcome = unknown
			s.hide(s.f.uncommitted, w)
		}, "superset"},
		"a poll skipped a record": {func(s *story) {
			s.txn(a, true, ok, here)
			s.h.addPoll(&poll{at: here, committed: true, to: 1})
		}, "poll"},
		"a poll saw a record that is aborted later": {func(s *story) {
			w := s.txn(a, false, ok, here).writes[0]
			s.h.addPoll(&poll{at: here, committed: true, to: 1, saw: []seen{{0, w.id}}})
		}, "aborted poll"},
	}
}

func TestCheckerFindsAnomalies(t *testing.T) {
	t.Parallel()
	for name, p := range plots() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory()
			p.tell(s)
			if got := s.kinds(); got != p.want {
				t.Errorf("got %q, want %q: %v", got, p.want, s.h.found())
			}
		})
	}
}

// move tells of a mover's transaction that consumes here from one offset to another.
func (s *story) move(w *writer, end outcome, from, to int64) *txn {
	t := s.h.newTxn(w)
	t.commits, t.end = true, end
	t.advance = &advance{at: here, from: from, to: to, outcome: ok}
	for o := from; o < to; o++ {
		one := s.h.newWrite(write{
			writer: w, txn: t, at: there, order: len(s.h.writes), outcome: ok, from: &origin{here, o},
		})
		one.offset = int64(len(s.f.uncommitted[there]))
		s.f.uncommitted[there] = append(s.f.uncommitted[there], seen{one.offset, one.id})
		if end == ok {
			s.show(one)
		}
	}
	return t
}

// TestCheckerFollowsMovers: offsets and output of a transaction belong together.
func TestCheckerFollowsMovers(t *testing.T) {
	t.Parallel()
	a, m := &writer{name: "a"}, &writer{name: "m"}
	for name, test := range map[string]struct {
		tell func(s *story)
		want string
	}{
		"one after the other, one doubtful": {func(s *story) {
			s.move(m, ok, 0, 1)
			s.move(m, unknown, 1, 2)
			s.move(m, ok, 1, 3)
			s.f.moved[here] = 3
			s.h.addLookup("m", lookup{here, 1, true, 1 + 3})
		}, ""},
		"a gap": {func(s *story) {
			s.move(m, ok, 0, 1)
			s.move(m, ok, 2, 3)
			s.f.moved[here] = 3
		}, "exactly-once"},
		"the offset came without the output": {func(s *story) {
			s.move(m, ok, 0, 1)
			s.f.moved[here] = 2
		}, "exactly-once"},
		"one input record has no output": {func(s *story) {
			s.move(m, ok, 0, 2).advance.to = 3
			s.f.moved[here] = 3
		}, "exactly-once"},
		"an aborted offset is told": {func(s *story) {
			s.move(m, failed, 0, 2)
			s.h.addLookup("w", lookup{here, 2, false, 0})
		}, "offsets"},
		"a settled offset is not told": {func(s *story) {
			s.move(m, ok, 0, 2)
			s.f.moved[here] = 2
			s.h.addLookup("m", lookup{here, 0, true, 3})
		}, "offsets"},
		"a committed offset goes back": {func(s *story) {
			s.move(m, ok, 0, 2)
			s.f.moved[here] = 2
			s.h.addLookup("w", lookup{here, 2, false, 0})
			s.h.addLookup("w", lookup{here, 0, false, 0})
		}, "backwards"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory()
			s.txn(a, true, ok, here)
			s.txn(a, true, ok, here)
			s.txn(a, true, ok, here)
			test.tell(s)
			if got := s.kinds(); got != test.want {
				t.Errorf("got %q, want %q: %v", got, test.want, s.h.found())
			}
		})
	}
}

// TestCheckerFollowsRelays: each committed input record is relayed once, no other at all.
func TestCheckerFollowsRelays(t *testing.T) {
	t.Parallel()
	input := map[place][]seen{here: {{0, 1}, {2, 2}}}
	for want, relayed := range map[string][]origin{
		"":          {{here, 0}, {here, 2}},
		"lost":      {{here, 0}},
		"duplicate": {{here, 0}, {here, 2}, {here, 0}},
		"aborted":   {{here, 0}, {here, 1}, {here, 2}},
	} {
		h := newHistory()
		checkRelayed(h, input, relayed)
		got := ""
		for _, a := range h.found() {
			got += a.kind
		}
		if got != want {
			t.Errorf("%v: got %q, want %q", relayed, got, want)
		}
	}
}
