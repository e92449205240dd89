package partition

import (
	"fmt"
	"math"

	"sluice/wire"
)

// groupSegments divides segments into runs that fit one: by bytes before the cleaning, by index
// entries, and by the 32 bits of relative offsets (class Cleaner, groupSegmentsBySize).
func groupSegments(list []*segment, conf *Config) (groups [][]*segment) {
	bytesMax := min(conf.SegmentBytes, math.MaxInt32)
	for len(list) > 0 {
		n, size := 1, list[0].size.Load()
		index, times := list[0].indexBytes()
		for n < len(list) {
			s := list[n]
			i, t := s.indexBytes()
			size, index, times = size+s.size.Load(), index+i, times+t
			if size > bytesMax || max(index, times) > conf.SegmentIndexBytes ||
				s.next.Load()-1-list[0].base > math.MaxInt32 {
				break
			}
			n++
		}
		groups = append(groups, list[:n])
		list = list[n:]
	}
	return groups
}

// indexBytes are the sizes of the two index files, or what they will be.
func (s *segment) indexBytes() (index, times int64) {
	if lists := s.memory.Load(); lists != nil {
		return lists.index.count.Load() * indexEntryBytes, lists.times.count.Load() * timeEntryBytes
	}
	s.filesMu.Lock()
	defer s.filesMu.Unlock()
	return int64(s.seal.indexEntries) * indexEntryBytes, int64(s.seal.timeEntries) * timeEntryBytes
}

// cleanGroup writes what is left of a group of segments to a new one and puts that in their place. A
// single segment that loses nothing stays as it is.
func (r *cleaning) cleanGroup(group []*segment) error {
	out := newCleanedSegment(r, group)
	err := error(nil)
	if len(group) > 1 {
		err = out.begin(0)
	}
	if err == nil {
		err = r.writeGroup(group, out)
	}
	if err == nil && out.begun {
		err = out.finish(group[len(group)-1].next.Load())
	}
	if err == nil && out.begun {
		err = r.l.replaceSegments(group, out)
	}
	if err != nil {
		out.abandon()
		return err
	}
	if out.begun {
		r.stats.Replaced += len(group)
		r.stats.Made++
	}
	return nil
}

func (r *cleaning) writeGroup(group []*segment, out *cleanedSegment) error {
	for _, s := range group {
		entries := s.aborted.count.Load()
		kept := out.seg.aborted.count.Load()
		err := r.each(s, 0, func(b wire.Batch, at int64) error { return r.cleanBatch(out, b, at) })
		if err != nil {
			return err
		}
		if out.seg.aborted.count.Load()-kept != entries {
			if err := out.begin(s.size.Load()); err != nil {
				return err
			}
		}
	}
	return nil
}

// cleanBatch gives out what is left of one batch, which begins at position at of its segment.
func (r *cleaning) cleanBatch(out *cleanedSegment, b wire.Batch, at int64) error {
	r.stats.ReadBytes += int64(len(b))
	rules := wire.FilterRules{
		DecompressedBytesMax: r.o.DecompressedBytesMax, HorizonMs: r.horizon(),
	}
	r.control, r.discard = b.IsControl(), false
	r.past = b.HasDeleteHorizon() && b.BaseTimestamp() <= r.nowMs
	if r.control {
		done, entry, keep := r.txns.marker(b)
		if keep {
			out.seg.aborted.push(entry)
		}
		r.discard, rules.Stamp = done && r.past, done
	} else {
		r.discard = r.txns.data(b)
	}
	left, done, err := r.filter.Append(r.left[:0], b, rules, r.choose)
	if err != nil {
		return fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), err)
	}
	r.stats.RecordsRead += int64(done.Read)
	r.stats.RecordsKept += int64(done.Kept)
	if done.Kept == 0 && r.mustStay(b) {
		left, done.Same = wire.AppendEmptied(left, b), b.Count() == 0
	}
	r.left = left
	if !done.Same {
		if err := out.begin(at); err != nil {
			return err
		}
	}
	if len(left) == 0 || !out.begun {
		return nil
	}
	return out.add(left)
}

// horizon is the time from which a tombstone, or a marker, that is first seen now may go.
func (r *cleaning) horizon() int64 {
	if r.conf.DeleteRetentionMs > math.MaxInt64-r.nowMs {
		return math.MaxInt64
	}
	return r.nowMs + r.conf.DeleteRetentionMs
}

// keep decides about a record of the batch at hand.
func (r *cleaning) keep(rec *wire.Record) bool {
	switch {
	case r.discard:
		return false
	case r.control, rec.Offset >= r.end:
		return true
	case rec.Key == nil:
		return false
	case rec.Offset < r.keys.latest(rec.Key):
		return false
	default:
		return rec.Value != nil || !r.past
	}
}
