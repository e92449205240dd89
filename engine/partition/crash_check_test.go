package partition

import (
	"bytes"
	"fmt"

	"sluice/pagecache/faultfs"
	"sluice/wire"
)

// check compares a recovered log with what the model demands. policy says what kind of crash it
// was: a killed process may lose nothing that was acknowledged, a power cut nothing that was synced.
func check(l *life, m *model, policy faultfs.Policy) error {
	leo, start := l.log.LEO(), l.log.StartOffset()
	if err := checkBounds(m, leo, start, policy); err != nil {
		return err
	}
	visible, err := visibleBatches(l.log)
	if err != nil {
		return err
	}
	expected := m.history
	if m.inFlight != nil && leo > m.end() {
		expected = append(append([]wire.Batch(nil), m.history...), m.inFlight)
	}
	if err := checkContents(visible, expected, start, leo); err != nil {
		return err
	}
	if err := checkLookups(l.log, visible); err != nil {
		return err
	}
	if err := checkProducers(l.log, expected, leo); err != nil {
		return err
	}
	return checkTransactions(l.log, expected, leo)
}

func checkBounds(m *model, leo, start int64, policy faultfs.Policy) error {
	floor, ceiling := m.floor, m.end()
	if policy == faultfs.Kill {
		floor = m.end()
	}
	if m.cutTo >= 0 {
		floor = min(floor, m.wholeBelow(m.cutTo))
	}
	if m.inFlight != nil {
		ceiling = max(ceiling, m.inFlight.NextOffset())
	}
	switch {
	case leo < floor && leo < start:
		return fmt.Errorf("log ends at %d before its start %d", leo, start)
	case leo < floor:
		return fmt.Errorf("log ends at %d, records up to %d were promised", leo, floor)
	case leo > ceiling && leo != start:
		return fmt.Errorf("log ends at %d, nothing beyond %d was ever appended", leo, ceiling)
	case start < m.start || start > max(m.asked, m.start):
		return fmt.Errorf("log starts at %d, want %d to %d", start, m.start, m.asked)
	}
	return nil
}

// visibleBatches reads the log from its start, batch by batch as a consumer would.
func visibleBatches(l *Log) ([]wire.Batch, error) {
	var all []wire.Batch
	r := ReadRequest{Offset: l.StartOffset(), Bound: l.LEO(), MaxBytes: 700, MinOne: true}
	for r.Offset < l.LEO() {
		if code := l.Read(&r); code != wire.CodeNone || r.File == nil {
			return nil, fmt.Errorf("read at %d: %s, no bytes", r.Offset, wire.CodeName(code))
		}
		piece := make([]byte, r.Bytes)
		_, err := r.File.ReadAt(piece, r.Position)
		r.File.Release()
		if err != nil {
			return nil, err
		}
		for len(piece) > 0 {
			b, rest, err := wire.NextBatch(piece)
			if err != nil || !b.Intact() {
				return nil, fmt.Errorf("no intact batch is readable at %d: %v", r.Offset, err)
			}
			all, piece, r.Offset = append(all, b), rest, b.NextOffset()
		}
	}
	return all, nil
}

// checkContents demands that what is visible is exactly the history from start on, dense and byte
// for byte: nothing refused, nothing truncated, nothing twice.
func checkContents(visible, expected []wire.Batch, start, leo int64) error {
	i := 0
	for i < len(expected) && expected[i].NextOffset() <= start {
		i++
	}
	for n, b := range visible {
		if i+n >= len(expected) || !bytes.Equal(b, expected[i+n]) {
			return fmt.Errorf("batch at offset %d is not what was acknowledged there", b.BaseOffset())
		}
	}
	if len(visible) > 0 && visible[len(visible)-1].NextOffset() != leo {
		return fmt.Errorf("last batch ends at %d, log at %d", visible[len(visible)-1].NextOffset(), leo)
	}
	return nil
}

// checkLookups looks up every offset and the timestamp of every batch through the indexes.
func checkLookups(l *Log, visible []wire.Batch) error {
	for _, b := range visible {
		for offset := max(b.BaseOffset(), l.StartOffset()); offset < b.NextOffset(); offset++ {
			r := ReadRequest{Offset: offset, Bound: l.LEO(), MaxBytes: 1, MinOne: true}
			if code := l.Read(&r); code != wire.CodeNone || r.File == nil {
				return fmt.Errorf("lookup of %d: %s", offset, wire.CodeName(code))
			}
			got := make(wire.Batch, r.Bytes)
			_, err := r.File.ReadAt(got, r.Position)
			r.File.Release()
			if err != nil || !bytes.Equal(got, b) {
				return fmt.Errorf("lookup of %d finds another batch: %v", offset, err)
			}
		}
		if got := l.EpochAt(b.LastOffset()); got != b.LeaderEpoch() {
			return fmt.Errorf("epoch of offset %d is %d, want %d", b.LastOffset(), got, b.LeaderEpoch())
		}
	}
	return nil
}

// checkProducers demands the state that replaying the history up to leo gives.
//
// A log that is empty because everything up to its durable start was never synced has lost the
// producers with it.
func checkProducers(l *Log, history []wire.Batch, leo int64) error {
	if leo == l.StartOffset() {
		return nil
	}
	var want producers
	for _, b := range history {
		if b.NextOffset() <= leo {
			want.apply(b)
		}
	}
	got := make(map[int64]Producer)
	for _, p := range l.Producers() {
		got[p.ID] = p
	}
	if len(got) != len(want.list) {
		return fmt.Errorf("%d producers, want %d", len(got), len(want.list))
	}
	for i := range want.list {
		w := &want.list[i]
		p, ok := got[w.id]
		if !ok || p.Epoch != w.epoch || p.LastSequence != w.lastSeq() {
			return fmt.Errorf("producer %d: %+v, want epoch %d, last sequence %d", w.id, p, w.epoch,
				w.lastSeq())
		}
	}
	return nil
}
