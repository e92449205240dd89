package logdump

import (
	"fmt"
	"math"
	"strings"

	"sluice/wire"
)

// SegmentOf returns the path of the segment that an index belongs to.
func SegmentOf(index string) string {
	return index[:strings.LastIndexByte(index, '.')] + ".log"
}

// Mismatch is an index entry that its segment does not bear out. For an entry of an offset index
// the numbers are offsets; for one of a time index they are offsets or, if Times is set,
// timestamps.
type Mismatch struct {
	Index int64 `json:"index"`
	// Log is what the segment has in that place, or -1 for nothing.
	Log   int64 `json:"log"`
	Times bool  `json:"times,omitempty"`
}

// CheckOffsets compares an offset index with its segment: at each entry's position a batch must
// begin whose last offset is the entry's.
func CheckOffsets(index []Offset, segment string) ([]Mismatch, error) {
	var out []Mismatch
	next := 0
	miss := func(log int64) {
		out = append(out, Mismatch{Index: index[next].Offset, Log: log})
		next++
	}
	_, err := ReadSegment(segment, math.MaxInt64, func(b Found) error {
		for next < len(index) && int64(index[next].Position) < b.Position {
			miss(-1)
		}
		if next < len(index) && int64(index[next].Position) == b.Position {
			if last := b.LastOffset(); last != index[next].Offset {
				miss(last)
			} else {
				next++
			}
		}
		return nil
	})
	for next < len(index) {
		miss(-1)
	}
	return out, err
}

// CheckTimes compares a time index with its segment: each entry's timestamp must be the greatest of
// all batches up to the one that ends with the entry's offset.
func CheckTimes(index []Time, segment string) ([]Mismatch, error) {
	var out []Mismatch
	next, latest := 0, wire.NoTimestamp
	_, err := ReadSegment(segment, math.MaxInt64, func(b Found) error {
		latest = max(latest, b.MaxTimestamp())
		for next < len(index) && index[next].Offset <= b.LastOffset() {
			switch e := index[next]; {
			case e.Offset < b.LastOffset():
				out = append(out, Mismatch{Index: e.Offset, Log: b.LastOffset()})
			case e.Timestamp != latest:
				out = append(out, Mismatch{Index: e.Timestamp, Log: latest, Times: true})
			}
			next++
		}
		return nil
	})
	for ; next < len(index); next++ {
		out = append(out, Mismatch{Index: index[next].Offset, Log: -1})
	}
	return out, err
}

// SaneOffsets makes the check that a broker makes at its start: entries ascend and none lies before
// the base offset.
func SaneOffsets(path string, index []Offset) error {
	base, err := BaseOffset(path)
	if err != nil {
		return err
	}
	last := Offset{base - 1, -1}
	for _, e := range index {
		if e.Offset <= last.Offset || e.Position <= last.Position {
			return fmt.Errorf("%s: the entry for offset %d at position %d does not lie behind that "+
				"for offset %d at position %d", path, e.Offset, e.Position, last.Offset, last.Position)
		}
		last = e
	}
	return nil
}

// SaneTimes makes the same check for a time index: neither times nor offsets go back.
func SaneTimes(path string, index []Time) error {
	base, err := BaseOffset(path)
	if err != nil {
		return err
	}
	last := Time{wire.NoTimestamp, base}
	for _, e := range index {
		if e.Timestamp < last.Timestamp || e.Offset < last.Offset {
			return fmt.Errorf("%s: the entry for time %d at offset %d goes back behind time %d at "+
				"offset %d", path, e.Timestamp, e.Offset, last.Timestamp, last.Offset)
		}
		last = e
	}
	return nil
}
