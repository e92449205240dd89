package replication

import (
	"fmt"
	"slices"
	"sort"
)

// Epoch says that the records from StartOffset on, until the next entry's, were appended by the
// leader of that epoch.
type Epoch struct {
	Epoch       int32
	StartOffset int64
}

// EpochEnd is an answer about an epoch: the largest known epoch that is not above the requested
// one, and the offset where it ends. {NoEpoch, NoOffset} means that nothing is known.
type EpochEnd struct {
	Epoch     int32
	EndOffset int64
}

// Unknown says whether the answer is that nothing is known.
func (e EpochEnd) Unknown() bool { return e.Epoch == NoEpoch || e.EndOffset == NoOffset }

// NoEpochEnd is the answer when nothing is known.
var NoEpochEnd = EpochEnd{Epoch: NoEpoch, EndOffset: NoOffset}

// Epochs is the leader-epoch history of one log: entries strictly ascending in both epoch and start
// offset. The zero value is an empty history. It is not safe for concurrent use.
type Epochs struct {
	entries []Epoch
}

// NewEpochs returns a history holding a copy of entries, as read from leader-epoch-checkpoint. It
// reports an error when they do not ascend strictly in epoch and offset, or one is negative.
func NewEpochs(entries []Epoch) (*Epochs, error) {
	for i, e := range entries {
		if e.Epoch < 0 || e.StartOffset < 0 {
			return nil, fmt.Errorf("leader epoch entry %d: negative value in %+v", i, e)
		}
		if i == 0 {
			continue
		}
		if p := entries[i-1]; e.Epoch <= p.Epoch || e.StartOffset <= p.StartOffset {
			return nil, fmt.Errorf("leader epoch entry %d: %+v does not come after %+v", i, e, p)
		}
	}
	return &Epochs{entries: slices.Clone(entries)}, nil
}

// Assign notes that epoch began at startOffset, and reports whether the history changed (and so has
// to be written). A repeated or older epoch with the same meaning changes nothing. An entry of the
// same or a later epoch, or at the same or a later offset, is overruled and removed: it described
// records that no longer exist or never did.
func (e *Epochs) Assign(epoch int32, startOffset int64) (changed bool) {
	if epoch < 0 || startOffset < 0 {
		panic(fmt.Sprintf("BUG: leader epoch %d at offset %d assigned", epoch, startOffset))
	}
	if last, ok := e.Latest(); ok && last.Epoch == epoch && startOffset >= last.StartOffset {
		return false
	}
	keep := sort.Search(len(e.entries), func(i int) bool {
		return e.entries[i].Epoch >= epoch || e.entries[i].StartOffset >= startOffset
	})
	e.entries = append(e.entries[:keep], Epoch{Epoch: epoch, StartOffset: startOffset})
	return true
}

// Latest returns the newest entry, if there is any.
func (e *Epochs) Latest() (Epoch, bool) {
	if len(e.entries) == 0 {
		return Epoch{Epoch: NoEpoch, StartOffset: NoOffset}, false
	}
	return e.entries[len(e.entries)-1], true
}

// LatestEpoch returns the newest epoch, or NoEpoch.
func (e *Epochs) LatestEpoch() int32 {
	last, _ := e.Latest()
	return last.Epoch
}

// EpochFor returns the epoch of the record at offset, or NoEpoch when the history begins later.
// The caller knows that offset is below the log end offset.
func (e *Epochs) EpochFor(offset int64) int32 {
	i := sort.Search(len(e.entries), func(i int) bool {
		return e.entries[i].StartOffset > offset
	})
	if i == 0 {
		return NoEpoch
	}
	return e.entries[i-1].Epoch
}

// EndOffsetFor answers OffsetForLeaderEpoch (KIP-101, KIP-279): the largest known epoch that is
// not above the requested one, and where it ends: at the start of the next epoch, or at leo, the
// log end offset, when it is the newest. An epoch above all known ones, NoEpoch, or an empty
// history answers NoEpochEnd. An epoch below all known ones answers itself, ending where the
// history begins.
func (e *Epochs) EndOffsetFor(epoch int32, leo int64) EpochEnd {
	if epoch == NoEpoch || len(e.entries) == 0 {
		return NoEpochEnd
	}
	if last := e.entries[len(e.entries)-1]; last.Epoch == epoch {
		return EpochEnd{Epoch: epoch, EndOffset: leo}
	}
	higher := sort.Search(len(e.entries), func(i int) bool { return e.entries[i].Epoch > epoch })
	switch {
	case higher == len(e.entries):
		return NoEpochEnd
	case higher == 0:
		return EpochEnd{Epoch: epoch, EndOffset: e.entries[0].StartOffset}
	default:
		return EpochEnd{
			Epoch:     e.entries[higher-1].Epoch,
			EndOffset: e.entries[higher].StartOffset,
		}
	}
}

// Divergence is the check of Fetch v12 and up (KIP-595): a reader whose last record before
// fetchOffset is of lastFetchedEpoch parts from this log when the epoch is unknown here, or ended
// before fetchOffset. Then diverges is true, no records are returned, and end goes into the
// response's divergingEpoch. When nothing is known of the epoch the code is OFFSET_OUT_OF_RANGE.
// NoEpoch is not checked.
func (e *Epochs) Divergence(
	lastFetchedEpoch int32, fetchOffset, leo int64,
) (end EpochEnd, diverges bool, code int16) {
	if lastFetchedEpoch == NoEpoch {
		return NoEpochEnd, false, ErrNone
	}
	end = e.EndOffsetFor(lastFetchedEpoch, leo)
	if end.Unknown() {
		return end, false, ErrOffsetOutOfRange
	}
	return end, end.Epoch < lastFetchedEpoch || end.EndOffset < fetchOffset, ErrNone
}

// TruncateFromEnd forgets epochs that begin at or after endOffset, the new log end offset, and
// reports whether the history changed.
func (e *Epochs) TruncateFromEnd(endOffset int64) (changed bool) {
	keep := sort.Search(len(e.entries), func(i int) bool {
		return e.entries[i].StartOffset >= endOffset
	})
	changed = keep < len(e.entries)
	e.entries = e.entries[:keep]
	return changed
}

// TruncateFromStart forgets epochs that end at or before startOffset, the new log start offset, and
// lets the one that holds startOffset begin there. It reports whether the history changed.
func (e *Epochs) TruncateFromStart(startOffset int64) (changed bool) {
	later := sort.Search(len(e.entries), func(i int) bool {
		return e.entries[i].StartOffset > startOffset
	})
	if later == 0 || e.entries[later-1].StartOffset == startOffset && later == 1 {
		return false
	}
	e.entries = slices.Delete(e.entries, 0, later-1)
	e.entries[0].StartOffset = startOffset
	return true
}

// Clear forgets everything, as a log that starts anew at an offset of its leader does.
func (e *Epochs) Clear() { e.entries = e.entries[:0] }

// Len is the number of entries.
func (e *Epochs) Len() int { return len(e.entries) }

// At returns the entry at index, oldest first.
func (e *Epochs) At(index int) Epoch { return e.entries[index] }

// AppendTo appends the entries, oldest first, to dst. The caller owns the result.
func (e *Epochs) AppendTo(dst []Epoch) []Epoch { return append(dst, e.entries...) }
