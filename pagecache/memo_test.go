package pagecache

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

const memoMaxMs = uint32(memoMax / time.Millisecond)

// A range is believed if each of its steps was marked, and not too long ago: a model with a map.
func TestMemoAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m memo
		model := map[int64]uint32{}
		now := uint32(1)
		for range rapid.IntRange(1, 40).Draw(t, "operations") {
			now += uint32(rapid.IntRange(0, 200).Draw(t, "ms"))
			pos := rapid.Int64Range(0, 40<<20).Draw(t, "pos")
			n := rapid.Int64Range(1, 300<<10).Draw(t, "n")
			first, last := pos/residentStep, (pos+n-1)/residentStep
			if rapid.Bool().Draw(t, "mark") {
				m.mark(pos, n, now)
				for step := first; step <= last; step++ {
					model[step] = now
				}
				continue
			}
			want := true
			for step := first; step <= last; step++ {
				at, ok := model[step]
				want = want && ok && now-at <= memoMaxMs
			}
			if got := m.fresh(pos, n, now); got != want {
				t.Fatalf("[%d, +%d) at %d ms: %v, want %v", pos, n, now, got, want)
			}
		}
	})
}

// Beyond what it has room for the memo knows nothing, and does not panic.
func TestMemoBeyondItsRoom(t *testing.T) {
	var m memo
	end := int64(memoPages) * memoSteps * residentStep
	m.mark(end-1, 2, 1)
	if m.fresh(end, 1, 1) || m.fresh(end-1, 2, 1) {
		t.Error("it believes what it could not note")
	}
	if !m.fresh(end-1, 1, 1) {
		t.Error("it forgot the last step")
	}
}

// countingFile counts probes and answers them as told.
type countingFile struct {
	File
	probes   int
	resident bool
}

func (f *countingFile) Resident(int64, int64) bool {
	f.probes++
	return f.resident
}

// Many readers of one range cost one probe; what is not there is asked for every time.
func TestSharedAsksOnce(t *testing.T) {
	f := &countingFile{}
	s := Share(f, nil)
	for range 3 {
		if s.Resident(100, 200<<10) {
			t.Fatal("resident although the file says no")
		}
	}
	if f.probes != 3 {
		t.Errorf("%d probes of what is not there, want 3", f.probes)
	}
	f.resident = true
	s.Resident(100, 200<<10)
	if !s.memo.fresh(100, 200<<10, memoNow()) || !s.Resident(100, 200<<10) {
		t.Error("a good probe is not remembered")
	}
	if got := testing.AllocsPerRun(100, func() { s.Resident(100, 200<<10) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
