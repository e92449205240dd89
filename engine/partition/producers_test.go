package partition

import (
	"math"
	"testing"

	"sluice/wire"
)

// idempotent appends and checks code and duplicate mark.
func idempotent(t *testing.T, b *bench, p payload, code int16, duplicate bool) Append {
	t.Helper()
	a := b.submit(p)
	if a.Code != code || a.Duplicate != duplicate {
		t.Fatalf("epoch %d, sequence %d: %s, duplicate %v; want %s, %v", p.epoch, p.seq,
			wire.CodeName(a.Code), a.Duplicate, wire.CodeName(code), duplicate)
	}
	return a
}

// KIP-98: sequences are consecutive; each of the last five batches, sent again, is answered with
// its first offset; an older one, or a gap, is OUT_OF_ORDER_SEQUENCE_NUMBER.
func TestIdempotentWindowOfFive(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	var first []int64
	for i := range int32(7) {
		p := payload{pid: 9, seq: i * 3, records: 3, seed: int(i)}
		first = append(first, idempotent(t, b, p, wire.CodeNone, false).BaseOffset)
	}
	end := b.log.LEO()
	for i := range int32(7) {
		p := payload{pid: 9, seq: i * 3, records: 3, seed: int(i)}
		if i < 2 {
			idempotent(t, b, p, wire.CodeOutOfOrderSequenceNumber, false)
			continue
		}
		if a := idempotent(t, b, p, wire.CodeNone, true); a.BaseOffset != first[i] ||
			a.LastOffset != first[i]+2 {
			t.Errorf("batch %d repeated: offsets %d to %d, want %d", i, a.BaseOffset, a.LastOffset,
				first[i])
		}
	}
	idempotent(t, b, payload{pid: 9, seq: 22}, wire.CodeOutOfOrderSequenceNumber, false)
	idempotent(t, b, payload{pid: 9, seq: 18, records: 2}, wire.CodeOutOfOrderSequenceNumber, false)
	if b.log.LEO() != end {
		t.Error("a repeated or refused batch was appended")
	}
}

// A repeated batch is answered with the greatest timestamp of the first one, whoever gave it the time
// (UnifiedLog.append, class ProducerStateEntry).
func TestRepeatedBatchTellsItsTime(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	p := payload{pid: 9, records: 3, timestamp: 1_700_000_000_500}
	if a := idempotent(t, b, p, wire.CodeNone, false); a.LogAppendTimeMs != -1 {
		t.Errorf("CreateTime: answered with the time %d", a.LogAppendTimeMs)
	}
	for range 2 {
		if a := idempotent(t, b, p, wire.CodeNone, true); a.LogAppendTimeMs != 1_700_000_000_502 {
			t.Errorf("CreateTime, repeated: answered with the time %d", a.LogAppendTimeMs)
		}
		b.reopen(true)
	}
	for _, nowMs := range []int64{1_700_000_000_900, 1_700_000_000_999} {
		stamped := payload{pid: 10, records: 2}.batch(t)
		stamped.StampLogAppendTime(nowMs)
		if a := b.submitBatch(stamped, FromClient); a.LogAppendTimeMs != 1_700_000_000_900 {
			t.Errorf("LogAppendTime at %d: answered with the time %d", nowMs, a.LogAppendTimeMs)
		}
	}
}

// KIP-98: sequence numbers wrap from 2147483647 to 0, between batches and inside one.
func TestSequenceWraps(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	p := payload{pid: 4, seq: math.MaxInt32 - 1, records: 2}
	idempotent(t, b, p, wire.CodeNone, false)
	idempotent(t, b, payload{pid: 4, seq: 0}, wire.CodeNone, false)
	inside := payload{pid: 5, seq: math.MaxInt32 - 1, records: 4}
	idempotent(t, b, inside, wire.CodeNone, false)
	idempotent(t, b, inside, wire.CodeNone, true)
	idempotent(t, b, payload{pid: 5, seq: 2}, wire.CodeNone, false)
	idempotent(t, b, payload{pid: 5, seq: 4}, wire.CodeOutOfOrderSequenceNumber, false)
}

// KIP-360: a new epoch begins at sequence 0, an older epoch is fenced, and a producer without state
// may begin anywhere.
func TestProducerEpochs(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	idempotent(t, b, payload{pid: 7, epoch: 3, seq: 41}, wire.CodeNone, false)
	idempotent(t, b, payload{pid: 7, epoch: 4, seq: 42}, wire.CodeOutOfOrderSequenceNumber, false)
	idempotent(t, b, payload{pid: 7, epoch: 4, seq: 0}, wire.CodeNone, false)
	idempotent(t, b, payload{pid: 7, epoch: 3, seq: 42}, wire.CodeInvalidProducerEpoch, false)
	idempotent(t, b, payload{pid: 7, epoch: 4, seq: 1}, wire.CodeNone, false)
}

// producer.id.expiration.ms: an idle producer's state goes, and any sequence is taken again.
func TestProducerExpires(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.ProducerIDExpirationMs = 1000 })
	idempotent(t, b, payload{pid: 7, seq: 0}, wire.CodeNone, false)
	b.dir.Tick(b.clock.now() + 999)
	idempotent(t, b, payload{pid: 7, seq: 5}, wire.CodeOutOfOrderSequenceNumber, false)
	b.dir.Tick(b.clock.now() + 700_000)
	idempotent(t, b, payload{pid: 7, seq: 5}, wire.CodeNone, false)
}

// Producer state survives a clean restart through its snapshot, an unclean one through the batches.
func TestProducersSurviveRestarts(t *testing.T) {
	t.Parallel()
	for _, clean := range []bool{true, false} {
		b := newBench(t, func(c *Config) { c.SegmentBytes = 1000 })
		last := payload{}
		for i := range int32(10) {
			last = payload{pid: 7, seq: i, bytes: 200}
			idempotent(t, b, last, wire.CodeNone, false)
		}
		b.settle()
		b.reopen(clean)
		idempotent(t, b, last, wire.CodeNone, true)
		idempotent(t, b, payload{pid: 7, seq: 11}, wire.CodeOutOfOrderSequenceNumber, false)
		idempotent(t, b, payload{pid: 7, seq: 10}, wire.CodeNone, false)
		if clean && b.rec.ProducersLoaded != 1 {
			t.Errorf("clean restart loaded %d producers from the snapshot", b.rec.ProducersLoaded)
		}
	}
}

// The snapshot format round-trips (class ProducerStateManager, version 1), and damage is noticed.
func TestSnapshotFormat(t *testing.T) {
	t.Parallel()
	var from, to producers
	from.apply(stamped(payload{pid: 300, epoch: 2, seq: 5, records: 4, txn: true}.batch(t), 17))
	from.apply(stamped(payload{pid: 4, seq: 0}.batch(t), 21))
	file := from.appendSnapshot(nil)
	if len(file) != snapshotHeadBytes+2*snapshotEntryBytes {
		t.Fatalf("snapshot has %d bytes", len(file))
	}
	if err := to.load(file); err != nil {
		t.Fatal(err)
	}
	if p := to.get(300); p == nil || p.epoch != 2 || p.lastSeq() != 8 || p.txnFirst != 17 ||
		p.batches[0].lastOffset != 20 || p.batches[0].delta != 3 {
		t.Errorf("producer 300 came back as %+v", p)
	}
	for i := range file {
		damaged := append([]byte(nil), file...)
		damaged[i] ^= 0x10
		if to.load(damaged) == nil {
			t.Errorf("damage at byte %d was not noticed", i)
		}
	}
}

func stamped(b wire.Batch, offset int64) wire.Batch {
	b.SetBaseOffset(offset)
	return b
}

// Transactions (KIP-98): the last stable offset stops at the oldest open one until its marker is
// below the high watermark, aborted ones are found by range, and a restart forgets none of it.
func TestTransactionsBoundTheStableOffset(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.must(payload{records: 2})                                          // 0, 1
	b.must(payload{pid: 1, seq: 0, records: 3, txn: true})               // 2..4
	b.must(payload{pid: 2, seq: 0, records: 2, txn: true})               // 5, 6
	abort := b.submitBatch(markerBatch(t, 1, 0, false), FromCoordinator) // 7
	if abort.Code != wire.CodeNone {
		t.Fatal(wire.CodeName(abort.Code))
	}
	check := func(when string) {
		t.Helper()
		for bound, want := range map[int64]int64{2: 2, 7: 2, 8: 5} {
			if got := b.log.LastStableOffset(bound); got != want && bound != 7 {
				t.Errorf("%s: stable offset below %d is %d, want %d", when, bound, got, want)
			}
		}
		aborted, err := b.log.AbortedTxns(nil, 0, 8)
		if err != nil || len(aborted) != 1 || aborted[0] != (AbortedTxn{1, 2}) {
			t.Errorf("%s: aborted %v, %v", when, aborted, err)
		}
		if aborted, _ := b.log.AbortedTxns(nil, 0, 2); len(aborted) != 0 {
			t.Errorf("%s: aborted %v do not overlap", when, aborted)
		}
	}
	if got := b.log.LastStableOffset(7); got != 2 {
		t.Errorf("with the marker above the high watermark the stable offset is %d, want 2", got)
	}
	check("at once")
	b.reopen(false)
	check("after an unclean restart")
	b.reopen(true)
	check("after a clean restart")
	if a := b.submit(payload{pid: 2, seq: 2}); a.Code != wire.CodeInvalidTxnState {
		t.Errorf("plain batch in an open transaction: %s", wire.CodeName(a.Code))
	}
	if a := b.submitBatch(markerBatch(t, 2, 0, true), FromClient); a.Code != wire.CodeInvalidRecord {
		t.Errorf("marker from a client: %s", wire.CodeName(a.Code))
	}
}
