package partition

import (
	"testing"

	"sluice/wire"
)

// KIP-101 and KIP-279: an epoch ends where the next one begins, the latest at the log end; what is
// asked between two known ones is answered with the lower; unknown ones with -1.
func TestOffsetForLeaderEpoch(t *testing.T) {
	t.Parallel()
	var e epochs
	f := func(epoch int32, want EpochEnd) {
		t.Helper()
		if got := e.end(epoch, 100); got != want {
			t.Errorf("epoch %d: %+v, want %+v", epoch, got, want)
		}
	}
	f(0, EpochEnd{-1, -1})
	e.assign(2, 10)
	e.assign(5, 40)
	e.assign(4, 60) // older than the latest: ignored
	f(5, EpochEnd{5, 100})
	f(6, EpochEnd{-1, -1})
	f(4, EpochEnd{2, 40})
	f(2, EpochEnd{2, 40})
	f(1, EpochEnd{1, 10})
	f(-1, EpochEnd{-1, -1})
	e.assign(7, 40) // epoch 5 wrote nothing
	f(5, EpochEnd{2, 40})
	e.truncateEnd(40)
	f(7, EpochEnd{-1, -1})
	f(2, EpochEnd{2, 100})
	e.assign(8, 50)
	e.truncateStart(60)
	f(2, EpochEnd{2, 60})
	if got := e.at(60); got != 8 {
		t.Errorf("epoch at 60 is %d", got)
	}
	if got := e.at(59); got != -1 {
		t.Errorf("epoch at 59 is %d", got)
	}
	file, _ := e.take()
	if string(file) != "0\n1\n8 60\n" {
		t.Errorf("checkpoint is %q", file)
	}
	var back epochs
	if err := back.load(file); err != nil || back.latest() != 8 {
		t.Errorf("loaded: %v, latest %d", err, back.latest())
	}
}

// An append that carries another epoch than the log's is refused under the append lock, and a
// follower's keeps the leader's offsets and epochs, gaps included (KAFKA-18723).
func TestEpochsFenceAppends(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	give := func(epoch int32, origin Origin, batch wire.Batch) Append {
		a := Append{Batch: batch, LeaderEpoch: epoch, Origin: origin}
		if !b.log.Submit(&a) {
			t.Fatal("queued")
		}
		return a
	}
	f := func(name string, a Append, want int16) {
		t.Helper()
		if a.Code != want {
			t.Errorf("%s: %s, want %s", name, wire.CodeName(a.Code), wire.CodeName(want))
		}
	}
	if _, err := b.log.RaiseEpoch(5, true); err != nil {
		t.Fatal(err)
	}
	if _, err := b.log.RaiseEpoch(4, true); err == nil {
		t.Error("the epoch went back")
	}
	f("older", give(4, FromClient, payload{}.batch(t)), wire.CodeFencedLeaderEpoch)
	f("newer", give(6, FromClient, payload{}.batch(t)), wire.CodeUnknownLeaderEpoch)
	f("current", give(5, FromClient, payload{}.batch(t)), wire.CodeNone)
	if _, err := b.log.RaiseEpoch(9, false); err != nil {
		t.Fatal(err)
	}
	replica := func(offset int64, epoch int32) wire.Batch {
		batch := stamped(payload{records: 2}.batch(t), offset)
		batch.SetLeaderEpoch(epoch)
		return batch
	}
	f("batch of a later epoch", give(9, FromReplica, replica(1, 10)), wire.CodeUnknownLeaderEpoch)
	f("batch of an earlier epoch", give(9, FromReplica, replica(1, 3)), wire.CodeFencedLeaderEpoch)
	f("batch below the end", give(9, FromReplica, replica(0, 8)), wire.CodeOffsetOutOfRange)
	f("batch behind a gap", give(9, FromReplica, replica(4, 8)), wire.CodeNone)
	if got := b.log.EpochAt(4); got != 8 || b.log.LEO() != 6 {
		t.Errorf("epoch at 4 is %d, log ends at %d", got, b.log.LEO())
	}
	if got := b.log.OffsetForLeaderEpoch(5); got != (EpochEnd{5, 4}) {
		t.Errorf("epoch 5 ends at %+v", got)
	}
	r := ReadRequest{Offset: 2, Bound: 6, MaxBytes: 1 << 20}
	if code := b.log.Read(&r); code != wire.CodeNone || r.File == nil {
		t.Fatalf("read in the gap: %s", wire.CodeName(code))
	}
	r.File.Release()
	b.reopen(false)
	if got := b.log.EpochAt(4); got != 8 || b.log.LEO() != 6 {
		t.Errorf("after a restart: epoch at 4 is %d, log ends at %d", got, b.log.LEO())
	}
}
