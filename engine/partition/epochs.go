package partition

import (
	"bytes"
	"sort"
	"strconv"
	"sync"
)

// epochs knows at which offset each leader epoch of the log began (class LeaderEpochFileCache). It
// has its own lock because fetches ask it while appends run.
type epochs struct {
	// mu guards the fields below.
	mu   sync.RWMutex
	list []EpochStart
	// unsaved says that the leader-epoch-checkpoint is behind list.
	unsaved bool
}

// assign records that epoch begins at start, unless it, or a later one, is known. Epochs that
// would begin at or after start have no records and are forgotten.
func (e *epochs) assign(epoch int32, start int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.list); epoch < 0 || n > 0 && e.list[n-1].Epoch >= epoch {
		return
	}
	keep := len(e.list)
	for keep > 0 && e.list[keep-1].StartOffset >= start {
		keep--
	}
	e.list = append(e.list[:keep], EpochStart{Epoch: epoch, StartOffset: start})
	e.unsaved = true
}

func (e *epochs) latest() int32 {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if len(e.list) == 0 {
		return -1
	}
	return e.list[len(e.list)-1].Epoch
}

// end answers OffsetForLeaderEpoch: the largest known epoch that is at most the one asked for, and
// where it ends; leo is the end of the latest. An epoch below all known ones ends where the first
// known one begins.
func (e *epochs) end(epoch int32, leo int64) EpochEnd {
	e.mu.RLock()
	defer e.mu.RUnlock()
	n := len(e.list)
	if epoch < 0 || n == 0 || epoch > e.list[n-1].Epoch {
		return EpochEnd{Epoch: -1, EndOffset: -1}
	}
	if epoch == e.list[n-1].Epoch {
		return EpochEnd{Epoch: epoch, EndOffset: leo}
	}
	next := sort.Search(n, func(i int) bool { return e.list[i].Epoch > epoch })
	if next == 0 {
		return EpochEnd{Epoch: epoch, EndOffset: e.list[0].StartOffset}
	}
	return EpochEnd{Epoch: e.list[next-1].Epoch, EndOffset: e.list[next].StartOffset}
}

// at is the epoch of the record at offset, or -1.
func (e *epochs) at(offset int64) int32 {
	e.mu.RLock()
	defer e.mu.RUnlock()
	i := sort.Search(len(e.list), func(i int) bool { return e.list[i].StartOffset > offset })
	if i == 0 {
		return -1
	}
	return e.list[i-1].Epoch
}

func (e *epochs) appendTo(dst []EpochStart) []EpochStart {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return append(dst, e.list...)
}

// truncateEnd forgets epochs that begin at or after end.
func (e *epochs) truncateEnd(end int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	keep := sort.Search(len(e.list), func(i int) bool { return e.list[i].StartOffset >= end })
	if keep < len(e.list) {
		e.list, e.unsaved = e.list[:keep], true
	}
}

// truncateStart forgets epochs that ended before start; the one that start is in begins there.
func (e *epochs) truncateStart(start int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := sort.Search(len(e.list), func(i int) bool { return e.list[i].StartOffset > start })
	if i == 0 || i == 1 && e.list[0].StartOffset == start {
		return
	}
	e.list = append([]EpochStart(nil), e.list[i-1:]...)
	e.list[0].StartOffset = start
	e.unsaved = true
}

// take returns the checkpoint file's bytes when it is behind, and marks it as saved; failed undoes
// the mark.
func (e *epochs) take() (file []byte, needed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.unsaved {
		return nil, false
	}
	e.unsaved = false
	lines := make([]byte, 0, 16*len(e.list))
	for _, s := range e.list {
		lines = strconv.AppendInt(lines, int64(s.Epoch), 10)
		lines = append(lines, ' ')
		lines = strconv.AppendInt(lines, s.StartOffset, 10)
		lines = append(lines, '\n')
	}
	return appendCheckpoint(nil, len(e.list), lines), true
}

func (e *epochs) failed() {
	e.mu.Lock()
	e.unsaved = true
	e.mu.Unlock()
}

// load reads a leader-epoch-checkpoint. A damaged one counts as empty: what lies past the recovery
// point is found again in the batches.
func (e *epochs) load(file []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list, e.unsaved = nil, false
	var list []EpochStart
	err := parseCheckpoint(file, func(line []byte) bool {
		a, b, found := bytes.Cut(line, []byte(" "))
		epoch, errA := strconv.ParseInt(string(a), 10, 32)
		start, errB := strconv.ParseInt(string(b), 10, 64)
		if !found || errA != nil || errB != nil || epoch < 0 || start < 0 {
			return false
		}
		if n := len(list); n > 0 && (list[n-1].Epoch >= int32(epoch) ||
			list[n-1].StartOffset > start) {
			return false
		}
		list = append(list, EpochStart{Epoch: int32(epoch), StartOffset: start})
		return true
	})
	if err == nil {
		e.list = list
	}
	return err
}
