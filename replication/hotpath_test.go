package replication

import "testing"

func alone() *Leader {
	return NewLeader(LeaderConfig{
		Self: 1, Committed: Committed{Replicas: []int32{1}, ISR: []int32{1}},
		Policy: Policy{MinInSync: 1, LagTimeMaxMs: 30_000},
	}, 0)
}

// leading is a leader of three replicas that all follow.
func leading(tb testing.TB) *Leader {
	l := NewLeader(LeaderConfig{
		Self:      1,
		Committed: Committed{Replicas: []int32{1, 2, 3}, ISR: []int32{1, 2, 3}},
		Policy:    Policy{MinInSync: 2, LagTimeMaxMs: 30_000},
		State:     peers{1: {1, true}, 2: {2, true}, 3: {3, true}},
	}, 0)
	for id := int32(2); id <= 3; id++ {
		if _, code := l.FollowerFetched(id, int64(id), 0, 0); code != ErrNone {
			tb.Fatal(code)
		}
	}
	return l
}

// TestHotPathDoesNotAllocate: an append, an ack and a follower's fetch cost no garbage.
func TestHotPathDoesNotAllocate(t *testing.T) {
	lone, three, leo := alone(), leading(t), int64(0)
	f := func(what string, run func()) {
		t.Helper()
		if n := testing.AllocsPerRun(1000, run); n != 0 {
			t.Errorf("%s allocates %v times", what, n)
		}
	}
	f("append with an ISR of one", func() {
		leo++
		lone.Appended(Local{LEO: leo, Flushed: leo}, leo)
		if state, _ := lone.Ack(AcksAll, leo-1); state != AckDone {
			t.Fatal("not acked")
		}
	})
	leo = 0
	f("append and two fetches with an ISR of three", func() {
		leo++
		three.Appended(Local{LEO: leo, Flushed: leo}, leo)
		three.FollowerFetched(2, 2, leo, leo)
		if e, _ := three.FollowerFetched(3, 3, leo, leo); e.HighWatermark != leo {
			t.Fatal("HW did not follow")
		}
	})
}

// TestHighWatermarkNeverMovesBack: neither a smaller LEO (a bug) nor a new ISR member takes it
// back.
func TestHighWatermarkNeverMovesBack(t *testing.T) {
	l := leading(t)
	l.Appended(Local{LEO: 9, Flushed: 9}, 1)
	l.FollowerFetched(2, 2, 9, 1)
	l.FollowerFetched(3, 3, 9, 1)
	// A follower that lost its tail fetches from further back.
	if e, _ := l.FollowerFetched(3, 3, 4, 2); e.HighWatermark != 9 || e.Advanced {
		t.Errorf("HW moved to %d", e.HighWatermark)
	}
	defer func() {
		if recover() == nil {
			t.Error("a LEO that moves back was taken")
		}
	}()
	l.Appended(Local{LEO: 8, Flushed: 8}, 3)
}

// TestCheckCurrentEpoch: KIP-320.
func TestCheckCurrentEpoch(t *testing.T) {
	f := func(requested, ours int32, want int16) {
		t.Helper()
		if code := CheckCurrentEpoch(requested, ours); code != want {
			t.Errorf("CheckCurrentEpoch(%d, %d) = %d, want %d", requested, ours, code, want)
		}
	}
	f(-1, 5, ErrNone)
	f(5, 5, ErrNone)
	f(4, 5, ErrFencedLeaderEpoch)
	f(6, 5, ErrUnknownLeaderEpoch)
}

// TestFollower: its HW is min(leader's HW, own LEO) and only moves forward by fetching; batches of
// an epoch above the fetch's are refused (KAFKA-18723).
func TestFollower(t *testing.T) {
	f := NewFollower(3, 10, 4)
	if !f.MayAppend(3, 10) || !f.MayAppend(2, 10) || f.MayAppend(4, 10) || f.MayAppend(3, 9) {
		t.Error("MayAppend let a batch pass, or kept one back")
	}
	step := func(leo, leaderHW, want int64) {
		t.Helper()
		if hw, _ := f.Fetched(leo, leaderHW); hw != want {
			t.Errorf("HW %d, want %d", hw, want)
		}
	}
	step(12, 8, 8)
	step(12, 20, 12)
	step(15, 3, 12)
	f.Truncated(11)
	if f.HighWatermark() != 11 || f.NextFetch(&Epochs{}).FetchOffset != 11 {
		t.Errorf("after truncation: HW %d", f.HighWatermark())
	}
	if got := f.NextFetch(&Epochs{}).LastFetchedEpoch; got != NoEpoch {
		t.Errorf("an empty history names epoch %d", got)
	}
}

// TestNewEpochsRefusesDisorder: what leader-epoch-checkpoint says must ascend.
func TestNewEpochsRefusesDisorder(t *testing.T) {
	f := func(ok bool, entries ...Epoch) {
		t.Helper()
		if _, err := NewEpochs(entries); (err == nil) != ok {
			t.Errorf("NewEpochs(%v): %v", entries, err)
		}
	}
	f(true)
	f(true, Epoch{0, 0}, Epoch{4, 10})
	f(false, Epoch{4, 0}, Epoch{4, 10})
	f(false, Epoch{4, 10}, Epoch{5, 10})
	f(false, Epoch{-1, 0})
}

func BenchmarkAppendedAlone(b *testing.B) {
	l := alone()
	b.ReportAllocs()
	for i := int64(1); b.Loop(); i++ {
		l.Appended(Local{LEO: i, Flushed: i}, i)
	}
}

func BenchmarkAppendAndFetchThree(b *testing.B) {
	l := leading(b)
	b.ReportAllocs()
	for i := int64(1); b.Loop(); i++ {
		l.Appended(Local{LEO: i, Flushed: i}, i)
		l.FollowerFetched(2, 2, i, i)
		l.FollowerFetched(3, 3, i, i)
	}
}

// FuzzEpochs: whatever happens to a history, it ascends, and every answer lies within it.
func FuzzEpochs(f *testing.F) {
	f.Add([]byte{0, 1, 10, 0, 2, 20, 1, 15, 0, 2, 3, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		e := &Epochs{}
		leo := int64(0)
		for ; len(script) >= 3; script = script[3:] {
			epoch, offset := int32(script[1]), int64(script[2])
			switch script[0] % 4 {
			case 0:
				leo = max(leo, offset)
				e.Assign(epoch, offset)
			case 1:
				leo = min(leo, offset)
				e.TruncateFromEnd(offset)
			case 2:
				e.TruncateFromStart(min(offset, leo))
			case 3:
				end := e.EndOffsetFor(epoch, leo)
				if !end.Unknown() && (end.Epoch > epoch || end.EndOffset > leo) {
					t.Fatalf("EndOffsetFor(%d, %d) = %+v of %v", epoch, leo, end, e.entries)
				}
			}
			if _, err := NewEpochs(e.entries); err != nil {
				t.Fatal(err)
			}
		}
	})
}
