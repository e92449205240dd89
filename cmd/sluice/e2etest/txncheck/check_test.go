package txncheck

import (
	"cmp"
	"slices"
)

// final is what is there when everything has come to rest.
type final struct {
	committed   map[place][]seen
	uncommitted map[place][]seen
	// ends are the high watermarks.
	ends map[place]int64
	// offsets are those that the movers' group and the relays' group have committed.
	moved, relayed map[place]int64
}

// checker compares a history with the end of it.
type checker struct {
	*history
	final *final
	// visible and present are where each write was read, committed and uncommitted; -1 is nowhere.
	visible, present []int64
}

// check applies all rules. Nothing may be added to the history meanwhile.
func check(h *history, f *final) []anomaly {
	c := &checker{history: h, final: f}
	c.visible = c.locate(f.committed)
	c.present = c.locate(f.uncommitted)
	c.checkWrites()
	c.checkSuperset()
	c.checkTxns()
	for _, reads := range []map[place][]seen{f.committed, f.uncommitted} {
		for at, all := range reads {
			c.checkOrder(at, all)
		}
	}
	c.checkPolls()
	c.checkMovers()
	c.checkLookups()
	return c.found()
}

// locate finds each write's offset, and notes those that are there twice, or elsewhere.
func (c *checker) locate(reads map[place][]seen) []int64 {
	out := make([]int64, len(c.writes))
	for i := range out {
		out[i] = -1
	}
	for at, all := range reads {
		for _, s := range all {
			switch {
			case s.id == noID && at.topic == relayedTopic:
				continue
			case s.id == noID:
				c.wrong("misplaced", "%v holds at offset %d what nobody sent", at, s.offset)
				continue
			case s.id >= len(c.writes):
				c.wrong("misplaced", "%v holds at offset %d write %d, which nobody sent", at, s.offset, s.id)
				continue
			}
			w := c.writes[s.id]
			switch {
			case w.at != at:
				c.wrong("misplaced", "%v holds at offset %d write %d for %v", at, s.offset, s.id, w.at)
			case out[s.id] >= 0:
				c.wrong("duplicate", "%v holds write %d of %v at offsets %d and %d",
					at, s.id, w.writer, out[s.id], s.offset)
			}
			out[s.id] = s.offset
		}
	}
	return out
}

func (c *checker) checkWrites() {
	for _, w := range c.writes {
		if w.outcome == failed && c.present[w.id] >= 0 {
			c.wrong("aborted", "write %d of %v was refused and is in %v at offset %d",
				w.id, w.writer, w.at, c.present[w.id])
		}
		if w.outcome == ok && c.present[w.id] != w.offset {
			kind := "misplaced"
			if c.present[w.id] < 0 {
				kind = "lost"
			}
			c.wrong(kind, "write %d of %v was acknowledged in %v at offset %d and is at %d",
				w.id, w.writer, w.at, w.offset, c.present[w.id])
		}
		if w.txn == nil && w.outcome == ok && c.visible[w.id] < 0 {
			c.wrong("lost", "write %d of %v, without a transaction, cannot be read in %v",
				w.id, w.writer, w.at)
		}
	}
}

func (c *checker) checkSuperset() {
	for id, offset := range c.visible {
		if offset >= 0 && c.present[id] != offset {
			c.wrong("superset", "write %d is committed at offset %d of %v, uncommitted at %d",
				id, offset, c.writes[id].at, c.present[id])
		}
	}
}

// happened says whether a transaction has taken effect: doubtful ones have if anything of theirs is
// visible.
func (c *checker) happened(t *txn) bool {
	if t.fate() != unknown {
		return t.fate() == ok
	}
	return slices.ContainsFunc(t.writes, func(w *write) bool { return c.visible[w.id] >= 0 })
}

func (c *checker) checkTxns() {
	for _, t := range c.txns {
		fate, happened := t.fate(), c.happened(t)
		for _, w := range t.writes {
			visible := c.visible[w.id] >= 0
			switch {
			case fate == failed && visible:
				c.wrong("aborted", "write %d in %v belongs to transaction %d of %v, which did not commit",
					w.id, w.at, t.id, t.writer)
			case w.outcome != ok || visible == happened:
			case fate == ok:
				c.wrong("lost", "write %d in %v belongs to transaction %d of %v, which did commit",
					w.id, w.at, t.id, t.writer)
			case fate == unknown:
				c.wrong("torn", "write %d in %v: seen %v; transaction %d of %v: seen %v",
					w.id, w.at, visible, t.id, t.writer, happened)
			}
		}
	}
}

// checkOrder holds a partition's records to their writers' order: those of one producer by instance,
// those of one instance as they were sent.
func (c *checker) checkOrder(at place, all []seen) {
	last := map[string]*write{}
	for _, s := range all {
		if s.id == noID || s.id >= len(c.writes) {
			continue
		}
		w := c.writes[s.id]
		if before := last[w.writer.name]; before != nil {
			order := cmp.Or(cmp.Compare(before.writer.instance, w.writer.instance),
				cmp.Compare(before.order, w.order))
			if order > 0 {
				c.wrong("reordered", "%v: write %d of %v comes after its write %d of %v",
					at, w.id, w.writer, before.id, before.writer)
			}
		}
		last[w.writer.name] = w
	}
}

// between is the part of all from offset from to before offset to.
func between(all []seen, from, to int64) []seen {
	at := func(offset int64) int {
		i, _ := slices.BinarySearchFunc(all, offset, func(s seen, o int64) int {
			return cmp.Compare(s.offset, o)
		})
		return i
	}
	if to <= from {
		return nil
	}
	return all[at(from):at(to)]
}

func (c *checker) checkPolls() {
	for _, p := range c.polls {
		all := c.final.uncommitted[p.at]
		if p.committed {
			all = c.final.committed[p.at]
		}
		want := between(all, p.from, p.to)
		if slices.Equal(want, p.saw) {
			continue
		}
		i := 0
		for i < len(want) && i < len(p.saw) && want[i] == p.saw[i] {
			i++
		}
		c.wrong("poll", "%s read %v from %d to %d, %d records, now there are %d; from there on %v, now %v",
			p.reader, p.at, p.from, p.to, len(p.saw), len(want), head(p.saw[i:]), head(want[i:]))
		for _, s := range p.saw {
			if p.committed && s.id >= 0 && s.id < len(c.writes) && c.visible[s.id] < 0 {
				c.wrong("aborted", "%s read write %d in %v, which did not commit", p.reader, s.id, p.at)
			}
		}
	}
}

func head(all []seen) []seen { return all[:min(len(all), 3)] }

// checkMovers holds each input partition to be consumed exactly once: the transactions that happened
// follow each other without a gap, each with the output of what it consumed, and the last one ends
// where the group's offset is.
func (c *checker) checkMovers() {
	next := map[place]int64{}
	for _, t := range c.txns {
		if t.advance == nil || !c.happened(t) {
			continue
		}
		a := t.advance
		if a.outcome == failed {
			c.wrong("exactly-once", "transaction %d of %v commits without its offset", t.id, t.writer)
			continue
		}
		if a.from != next[a.at] {
			c.wrong("exactly-once", "transaction %d of %v consumed %v from %d, the one before it up to %d",
				t.id, t.writer, a.at, a.from, next[a.at])
		}
		next[a.at] = a.to
		c.checkMoved(t)
	}
	for at, offset := range next {
		if got := c.final.moved[at]; got != offset {
			c.wrong("exactly-once", "the movers' offset in %v is %d; their transactions end at %d",
				at, got, offset)
		}
	}
}

// checkMoved compares a transaction's output with its input.
func (c *checker) checkMoved(t *txn) {
	var got []seen
	for _, w := range t.writes {
		if c.visible[w.id] >= 0 && w.from != nil {
			got = append(got, seen{offset: w.from.offset})
		}
	}
	slices.SortFunc(got, func(a, b seen) int { return cmp.Compare(a.offset, b.offset) })
	want := between(c.final.committed[t.advance.at], t.advance.from, t.advance.to)
	same := slices.EqualFunc(got, want, func(a, b seen) bool { return a.offset == b.offset })
	if !same {
		c.wrong("exactly-once", "transaction %d of %v consumed %d records of %v (%d to %d) and has %d of output",
			t.id, t.writer, len(want), t.advance.at, t.advance.from, t.advance.to, len(got))
	}
}

// checkLookups holds committed offsets to be those of transactions that happened, and not to go back.
func (c *checker) checkLookups() {
	moves := map[place][]*txn{}
	for _, t := range c.txns {
		if t.advance != nil && c.happened(t) {
			moves[t.advance.at] = append(moves[t.advance.at], t)
		}
	}
	for reader, all := range c.lookups {
		last := map[place]int64{}
		for _, l := range all {
			if l.offset < last[l.at] {
				c.wrong("backwards", "%s was told offset %d of %v and later %d",
					reader, last[l.at], l.at, l.offset)
			}
			last[l.at] = l.offset
			c.checkLookup(reader, l, moves[l.at])
		}
	}
}

func (c *checker) checkLookup(reader string, l lookup, moves []*txn) {
	expected, known := int64(0), l.offset == 0
	for _, t := range moves {
		known = known || t.advance.to == l.offset
		if t.id <= l.after {
			expected = t.advance.to
		}
	}
	switch {
	case !known:
		c.wrong("offsets", "%s was told offset %d of %v, which no transaction has committed",
			reader, l.offset, l.at)
	case l.settled && l.offset != expected:
		c.wrong("offsets", "%s was told offset %d of %v after transaction %d; committed is %d",
			reader, l.offset, l.at, l.after, expected)
	}
}

// checkRelayed holds each committed record to be relayed exactly once.
func checkRelayed(h *history, input map[place][]seen, relayed []origin) {
	count := map[origin]int{}
	for _, o := range relayed {
		count[o]++
		if n := count[o]; n == 2 {
			h.wrong("duplicate", "the record at offset %d of %v was relayed twice", o.offset, o.at)
		}
	}
	for at, all := range input {
		for _, s := range all {
			o := origin{at, s.offset}
			if count[o] == 0 {
				h.wrong("lost", "the record at offset %d of %v was not relayed", s.offset, at)
			}
			delete(count, o)
		}
	}
	for o := range count {
		h.wrong("aborted", "a relay consumed offset %d of %v, where nothing is committed", o.offset, o.at)
	}
}
