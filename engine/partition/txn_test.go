package partition

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"sluice/wire"
)

// Control batches come from coordinators only, and only as the markers that end transactions: anything
// else is INVALID_RECORD (KIP-98, UnifiedLog.analyzeAndValidateRecords).
func TestMarkersComeFromCoordinators(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	w := wire.NewBatchBuilder()
	build := func() wire.Batch {
		raw, err := w.Build(nil)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	w.AppendEndTxnMarker(1, true, 1)
	nobodys := build()
	w.ProducerID, w.ProducerEpoch = 7, 0
	marker := build()
	w.Codec = wire.CodecGzip
	compressed := build()
	w.Reset()
	w.Codec = wire.CodecNone
	w.Append(1, []byte{0, 0, 0, 2}, []byte{0, 0, 0, 0, 0, 1}) // A leader's change of KRaft's.
	other := build()
	for name, c := range map[string]struct {
		batch  wire.Batch
		origin Origin
		want   int16
	}{
		"a client's":          {marker, FromClient, wire.CodeInvalidRecord},
		"without a producer":  {nobodys, FromCoordinator, wire.CodeInvalidRecord},
		"compressed":          {compressed, FromCoordinator, wire.CodeInvalidRecord},
		"of another kind":     {other, FromCoordinator, wire.CodeInvalidRecord},
		"a coordinator's":     {slices.Clone(marker), FromCoordinator, wire.CodeNone},
		"without any records": {sectionless(marker), FromCoordinator, wire.CodeInvalidRecord},
	} {
		if a := b.submitBatch(c.batch, c.origin); a.Code != c.want {
			t.Errorf("%s: %s, want %s", name, wire.CodeName(a.Code), wire.CodeName(c.want))
		}
	}
}

// sectionless is a batch's header alone, as compaction leaves it of markers.
func sectionless(b wire.Batch) wire.Batch {
	b = slices.Clone(b[:wire.BatchHeaderSize])
	b[11] = wire.BatchHeaderSize - wire.BatchPrefixSize
	b.Reseal()
	return b
}

// stableModel computes the last stable offset the slow way, from everything that ever happened.
type stableModel struct {
	open  map[int64]int64
	ended []endedTxn
}

func (m *stableModel) stable(bound int64) int64 {
	stable := bound
	for _, first := range m.open {
		stable = min(stable, first)
	}
	for _, e := range m.ended {
		if e.lastOffs >= bound {
			stable = min(stable, e.firstOffset)
		}
	}
	return stable
}

// KIP-98, class ProducerStateManager: however transactions overlap, and however far the high watermark
// lags behind their markers, the last stable offset is what the definition says. Producers without
// a transaction expire meanwhile, those with one never.
func TestStableOffsetByDefinition(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		b := newBench(t, func(c *Config) { c.ProducerIDExpirationMs = 1 << 40 })
		m := stableModel{open: map[int64]int64{}}
		seqs, hw := map[int64]int32{}, int64(0)
		for range 400 {
			pid := 1 + rnd.Int64N(12)
			first, isOpen := m.open[pid]
			switch rnd.IntN(4) {
			case 0, 1:
				a := b.must(payload{pid: pid, seq: seqs[pid], txn: true})
				seqs[pid]++
				if !isOpen {
					m.open[pid] = a.BaseOffset
				}
			case 2:
				a := b.submitBatch(markerBatch(t, pid, 0, rnd.IntN(2) == 0), FromCoordinator)
				if isOpen {
					m.ended = append(m.ended, endedTxn{firstOffset: first, lastOffs: a.LastOffset})
					delete(m.open, pid)
				}
			case 3:
				b.log.Locked(func() { b.log.producers.expire(1<<50, 0) })
				for known := range seqs {
					if _, isOpen := m.open[known]; !isOpen {
						delete(seqs, known)
					}
				}
			}
			hw += rnd.Int64N(b.log.LEO() - hw + 1)
			if got, want := b.log.LastStableOffset(hw), m.stable(hw); got != want {
				t.Fatalf("seed %d: stable below %d of %d: %d, want %d", seed, hw, b.log.LEO(), got, want)
			}
		}
	}
}

// A snapshot keeps open transactions, and their order, which its entries do not have.
func TestSnapshotKeepsOpenTransactions(t *testing.T) {
	t.Parallel()
	var from, to producers
	for i := range int64(20) {
		b := payload{pid: 1 + i*7%20, txn: i%3 != 0}.batch(t)
		from.apply(stamped(b, 100+i))
	}
	from.expire(1<<50, 0)
	if err := to.load(from.appendSnapshot(nil)); err != nil {
		t.Fatal(err)
	}
	for to.firstOpen() >= 0 {
		if to.firstOpen() != from.firstOpen() {
			t.Fatalf("oldest open transaction at %d, want %d", to.firstOpen(), from.firstOpen())
		}
		p := to.list[to.openFirst-1]
		for _, t := range []*producers{&from, &to} {
			t.decide(t.get(p.id))
		}
	}
	if from.firstOpen() != -1 {
		t.Errorf("transaction at %d got lost", from.firstOpen())
	}
}

// The table of verifications is bounded, whoever asks: the latest are remembered, guards are never used
// twice, and idle ones expire (class VerificationStateEntry).
func TestVerificationsAreBounded(t *testing.T) {
	t.Parallel()
	var v verifications
	for id := range int64(5 * verifyingMax) {
		if guard := v.start(id, 0, 0, id); guard != uint64(id)+1 {
			t.Fatalf("guard %d for producer %d", guard, id)
		}
		if n := len(v.young) + len(v.old); n > verifyingMax {
			t.Fatalf("%d entries", n)
		}
	}
	for id := int64(5*verifyingMax - verifyingMax/2); id < 5*verifyingMax; id++ {
		if e, ok := v.get(id); !ok || e.guard != uint64(id)+1 {
			t.Fatalf("producer %d of the latest is forgotten", id)
		}
	}
	v.expire(5*verifyingMax-1+1000, 1000+10)
	if n := len(v.young) + len(v.old); n != 10 {
		t.Errorf("%d entries left, want 10", n)
	}
	v.reset()
	if guard := v.start(1, 0, 0, 0); guard != 5*verifyingMax+1 {
		t.Errorf("guard %d was used before", guard)
	}
}

// While its readers are told something, a rebuilt state never shows a last stable offset beyond a
// transaction that was open or undecided for them before.
func TestRebuildingKeepsTheStableOffset(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.must(payload{pid: 1, txn: true, records: 3})
	b.submitBatch(markerBatch(t, 1, 0, false), FromCoordinator)
	b.must(payload{})
	b.log.txns.restart()
	if got := b.log.LastStableOffset(3); got != 0 {
		t.Errorf("with the state gone the stable offset is %d, want 0", got)
	}
	b.log.Locked(func() {
		if err := b.log.rebuildProducers(b.log.LEO(), b.log.LEO(), nil); err != nil {
			t.Error(err)
		}
	})
	// The marker is at 3.
	for _, c := range [][2]int64{{3, 0}, {4, 4}, {5, 5}} {
		if got := b.log.LastStableOffset(c[0]); got != c[1] {
			t.Errorf("rebuilt: stable below %d is %d, want %d", c[0], got, c[1])
		}
	}
}

// beginAndEnd returns functions that append a transactional batch of a producer, verified if need
// be, and the marker that ends the transaction.
func beginAndEnd(t testing.TB, b *bench) (begin, end func()) {
	batch := payload{bytes: 200, pid: 5, txn: true}.batch(t)
	a := Append{Batch: batch, LeaderEpoch: b.log.LeaderEpoch(), NowMs: 1}
	marker := Append{
		Batch: markerBatch(t, 5, 0, true), LeaderEpoch: b.log.LeaderEpoch(),
		Origin: FromCoordinator, NowMs: 1,
	}
	seq := uint32(0)
	begin = func() {
		putSequence(batch, seq)
		seq++
		a.Guard = 0
		if !b.log.Submit(&a) || a.Unverified && !b.log.Submit(&a) || a.Code != wire.CodeNone {
			t.Fatal(wire.CodeName(a.Code))
		}
	}
	end = func() {
		if !b.log.Submit(&marker) || marker.Code != wire.CodeNone {
			t.Fatal(wire.CodeName(marker.Code))
		}
		b.log.LastStableOffset(b.log.LEO())
	}
	return begin, end
}

// Neither appends to an open transaction, nor beginning one, verification included, and ending it
// allocate in steady state; the last stable offset does not either.
func TestTransactionsDoNotAllocate(t *testing.T) {
	b := newBench(t, func(c *Config) { c.IndexIntervalBytes, c.VerifyTxns = 4096, true })
	begin, end := beginAndEnd(t, b)
	for range 5000 {
		begin()
		end()
	}
	if n := testing.AllocsPerRun(1000, func() { begin(); end() }); n >= 1 {
		t.Errorf("a transaction allocates %.2f times", n)
	}
	begin()
	if n := testing.AllocsPerRun(1000, begin); n >= 1 {
		t.Errorf("an append to an open transaction allocates %.2f times", n)
	}
	if n := testing.AllocsPerRun(1000, func() { b.log.LastStableOffset(b.log.LEO()) }); n != 0 {
		t.Errorf("the last stable offset allocates %.2f times", n)
	}
}

// BenchmarkTransaction begins a transaction, verified, and commits it, beside others that are open:
// their number must not matter.
func BenchmarkTransaction(b *testing.B) {
	for _, others := range []int{0, 100, 100_000} {
		b.Run(fmt.Sprintf("%dopen", others), func(b *testing.B) {
			w := newBench(b, func(c *Config) { c.IndexIntervalBytes = 4096 })
			for i := range others {
				w.must(payload{pid: int64(1000 + i), txn: true})
			}
			w.log.SetConfig(DefaultConfig())
			begin, end := beginAndEnd(b, w)
			b.ReportAllocs()
			for b.Loop() {
				begin()
				end()
			}
		})
	}
}

// BenchmarkStableOffset asks for the last stable offset with many transactions open, and with markers
// above the high watermark.
func BenchmarkStableOffset(b *testing.B) {
	for _, open := range []int{0, 1, 100_000} {
		b.Run(fmt.Sprintf("%dopen", open), func(b *testing.B) {
			w := newBench(b, func(c *Config) { c.IndexIntervalBytes = 4096 })
			for i := range open {
				w.must(payload{pid: int64(1000 + i), txn: true})
			}
			b.ReportAllocs()
			for b.Loop() {
				w.log.LastStableOffset(w.log.LEO())
			}
		})
	}
}
