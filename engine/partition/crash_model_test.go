package partition

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"sluice/pagecache/faultfs"
	"sluice/wire"
)

// model is what an observer outside knows about a log: what was acknowledged, what was synced,
// what was refused, and what was going on when the power went.
type model struct {
	// history is every batch of the log in order, deleted ones included, as stamped.
	history []wire.Batch
	// base is where history begins when it is empty.
	base int64
	// floor is the offset below which records were reported durable.
	floor int64
	// start is the log start offset reported durable, asked the highest that was asked for.
	start, asked int64
	// inFlight is the append whose answer nobody got; cutTo the truncation that nobody saw
	// finished, -1 for none.
	inFlight wire.Batch
	cutTo    int64
}

func (m *model) end() int64 {
	if len(m.history) == 0 {
		return m.base
	}
	return m.history[len(m.history)-1].NextOffset()
}

// truncate drops history from offset on.
func (m *model) truncate(offset int64) {
	for len(m.history) > 0 && m.end() > offset {
		m.history = m.history[:len(m.history)-1]
	}
	m.floor = min(m.floor, m.end())
}

// wholeBelow is the end of the last batch that a truncation to offset leaves.
func (m *model) wholeBelow(offset int64) int64 {
	end := m.base
	for _, b := range m.history {
		if b.NextOffset() <= offset {
			end = b.NextOffset()
		}
	}
	return end
}

// life is one run of a broker on a faultfs: it drives a log, keeps the model, and stops when the
// power goes.
type life struct {
	t     testing.TB
	fs    *faultfs.FS
	clock *testClock
	conf  Config
	muts  mutants
	dir   *Dir
	log   *Log
	rec   Recovered
	epoch int32
	seq   map[int64]int32
	seed  int
	m     *model
	// noFaults leaves the script's own faults out.
	noFaults bool
}

const lifePath = "/data"

func newLife(t testing.TB, fs *faultfs.FS, m *model, muts mutants) *life {
	l := &life{
		t: t, fs: fs, clock: newClock(), conf: DefaultConfig(), muts: muts, m: m,
		seq: make(map[int64]int32),
	}
	l.conf.SegmentBytes, l.conf.IndexIntervalBytes, l.conf.VerifyTxns = 2048, 300, false
	return l
}

// errDead ends a script: the power is gone.
var errDead = errors.New("the power is gone")

func (l *life) dead() bool {
	_, err := l.fs.Stat("/")
	return errors.Is(err, faultfs.ErrCrashed)
}

func (l *life) open() error {
	o := dirOptions(l.fs, lifePath, l.clock)
	o.mutants = l.muts
	dir, err := OpenDir(o)
	if err != nil {
		return err
	}
	l.dir = dir
	l.log, l.rec, err = Open(Options{
		Dir: dir, Topic: "t", Partition: 0, TopicID: [16]byte{5}, Config: l.conf,
	})
	if err != nil {
		return err
	}
	l.epoch = max(l.epoch, l.log.LeaderEpoch()) + 1
	_, err = l.log.RaiseEpoch(l.epoch, true)
	return err
}

func (l *life) settle() {
	l.dir.worker.Wait()
	l.dir.gate.Writer().Wait()
	l.dir.syncer.Wait()
}

// give appends and keeps the model; want is the expected code while the power is on.
func (l *life) give(p payload, want int16) error {
	l.seed++
	p.seed = l.seed
	return l.giveBatch(p.batch(l.t), want)
}

func (l *life) giveBatch(batch wire.Batch, want int16) error {
	return l.giveFrom(FromClient, batch, want)
}

func (l *life) giveFrom(origin Origin, batch wire.Batch, want int16) error {
	batch = bytes.Clone(batch)
	a := Append{Batch: batch, LeaderEpoch: l.epoch, Origin: origin}
	if err := submitAndWait(l.log, &a); err != nil {
		return err
	}
	if l.dead() {
		if a.Code == wire.CodeNone && !a.Duplicate {
			// The write was the last thing that worked.
			l.m.history = append(l.m.history, batch)
		} else if a.Code != wire.CodeNone {
			l.m.inFlight = batch
		}
		return errDead
	}
	if a.Code != want {
		return fmt.Errorf("append: code %s, want %s", wire.CodeName(a.Code), wire.CodeName(want))
	}
	if a.Code == wire.CodeNone && !a.Duplicate {
		if a.BaseOffset != l.m.end() {
			return fmt.Errorf("append at %d, want %d", a.BaseOffset, l.m.end())
		}
		l.m.history = append(l.m.history, batch)
	}
	return nil
}

// produce appends the producer's next batch.
func (l *life) produce(pid int64, records, size int) error {
	return l.produceIn(pid, records, size, false)
}

// transact appends the producer's next batch in a transaction, which that may begin.
func (l *life) transact(pid int64, records, size int) error {
	return l.produceIn(pid, records, size, true)
}

// end appends a marker.
func (l *life) end(pid int64, commit bool) error {
	return l.giveFrom(FromCoordinator, markerBatch(l.t, pid, 0, commit), wire.CodeNone)
}

func (l *life) produceIn(pid int64, records, size int, txn bool) error {
	p := payload{pid: pid, seq: l.seq[pid], records: records, bytes: size, txn: txn}
	err := l.give(p, wire.CodeNone)
	if err == nil {
		l.seq[pid] += int32(records)
	}
	return err
}

// fullDisk appends while the disk is full: written bytes arrive, -1 for all, and it is refused. With
// noFaults the disk has room.
func (l *life) fullDisk(p payload, written int) error {
	if l.noFaults {
		return l.give(p, wire.CodeNone)
	}
	l.fs.FailAt(l.fs.Ops()+1, faultfs.Fault{Err: syscall.ENOSPC, Written: written})
	return l.give(p, wire.CodeKafkaStorageError)
}

func (l *life) flush() error {
	flushed, err := l.log.Flush()
	if l.dead() {
		if err == nil {
			l.m.floor = max(l.m.floor, flushed)
		}
		return errDead
	}
	if err != nil {
		return err
	}
	l.m.floor = flushed
	return nil
}

func (l *life) checkpoint() error {
	err := l.dir.Checkpoint()
	if l.dead() {
		return errDead
	}
	if err == nil {
		l.m.floor = l.log.FlushedOffset()
		l.m.start = l.log.StartOffset()
	}
	return err
}

// savePoints writes the recovery points with whatever is unsynced at the time.
func (l *life) savePoints() error { return l.dir.writeRecoveryPoints() }

func (l *life) deleteTo(offset int64) error {
	l.m.asked = max(l.m.asked, offset)
	if code := l.log.AdvanceStartOffset(offset); code != wire.CodeNone {
		return fmt.Errorf("advance to %d: %s", offset, wire.CodeName(code))
	}
	err := l.dir.CommitStartOffsets()
	if l.dead() {
		return errDead
	}
	if err == nil {
		l.m.start = offset
	}
	return err
}

// cut truncates, as a follower does in a new epoch.
func (l *life) cut(offset int64) error {
	l.epoch++
	if _, err := l.log.RaiseEpoch(l.epoch, false); err != nil {
		return err
	}
	l.m.cutTo = offset
	err := l.log.TruncateTo(offset)
	if l.dead() {
		return errDead
	}
	if err != nil {
		return err
	}
	l.m.cutTo = -1
	l.m.truncate(offset)
	_, err = l.log.RaiseEpoch(l.epoch, true)
	return err
}

// readSome hands bytes out, so that a later truncation may not reuse the file.
func (l *life) readSome(offset int64) error {
	r := ReadRequest{Offset: offset, Bound: l.log.LEO(), MaxBytes: 1 << 20}
	if code := l.log.Read(&r); code != wire.CodeNone {
		return fmt.Errorf("read at %d: %s", offset, wire.CodeName(code))
	}
	if r.File != nil {
		r.File.Release()
	}
	return nil
}

func (l *life) restart(clean bool) error {
	l.settle()
	if clean {
		l.settle()
	}
	err := l.dir.Close(clean, 1)
	if l.dead() {
		if clean && err == nil {
			l.m.floor = l.m.end()
		}
		return errDead
	}
	if err != nil {
		return err
	}
	if clean {
		l.m.floor = l.m.end()
	}
	if err := l.open(); err != nil {
		if l.dead() {
			return errDead
		}
		return err
	}
	return nil
}

// script is a workload; it ends early with errDead when the power goes.
type script func(l *life) error

// steps runs one after the other, letting background work run in between.
func steps(l *life, list ...func() error) error {
	for _, step := range list {
		err := step()
		if l.dead() {
			return errDead
		}
		if err != nil {
			return err
		}
		l.settle()
		if l.dead() {
			return errDead
		}
	}
	return nil
}

// wholeScript touches every mechanism once: appends of two producers and of none, a duplicate, a
// refusal by sequence, rolls by size, a full disk in three ways, flush, checkpoint, deletion of
// records, truncation with and without readers, clean and unclean restarts.
func wholeScript(l *life) error {
	var first wire.Batch
	return steps(
		l,
		l.open,
		func() error { return l.produce(1, 2, 150) },
		func() error { first = bytes.Clone(l.m.history[0]); return nil },
		func() error { return l.produce(2, 1, 700) },
		func() error { return l.giveBatch(first, wire.CodeNone) },
		l.flush,
		func() error { return l.produce(1, 3, 200) },
		func() error {
			return l.give(payload{pid: 1, seq: 77, bytes: 100}, wire.CodeOutOfOrderSequenceNumber)
		},
		func() error { return l.produce(2, 2, 400) }, // rolls
		func() error { return l.fullDisk(payload{bytes: 300}, 90) },
		func() error { return l.produce(1, 1, 300) },
		l.checkpoint,
		func() error { return l.fullDisk(payload{bytes: 250, records: 2}, -1) },
		func() error { return l.give(payload{bytes: 500}, wire.CodeNone) },
		func() error { return l.give(payload{bytes: 900}, wire.CodeNone) }, // rolls
		func() error { return l.produce(2, 1, 100) },
		func() error { return l.deleteTo(l.m.history[3].NextOffset()) },
		l.flush,
		func() error { return l.produce(1, 4, 120) },
		l.savePoints, // as the deletion of another topic would
		func() error { return l.produce(2, 1, 600) },
		func() error { return l.readSome(l.log.StartOffset()) },
		func() error { return l.cut(l.m.history[len(l.m.history)-2].BaseOffset()) },
		func() error { l.reseq(); return l.produce(1, 2, 170) },
		func() error { return l.produce(2, 2, 330) },
		func() error { return l.restart(false) },
		func() error { return l.produce(2, 2, 300) },
		func() error { return l.cut(l.m.end() - 2) },
		func() error { l.reseq(); return l.produce(2, 3, 190) },
		l.checkpoint,
		func() error { return l.cut(l.m.end() - 4) },
		func() error { l.reseq(); return l.produce(1, 1, 400) },
		func() error { return l.produce(2, 1, 900) },
		func() error { return l.produce(1, 1, 1000) },
		func() error { return l.restart(true) },
		func() error { return l.produce(1, 1, 200) },
		func() error { return l.log.Roll() },
		func() error { return l.produce(2, 1, 200) },
		l.flush,
	)
}

// reseq makes the producers continue after a truncation took some of their batches.
func (l *life) reseq() {
	clear(l.seq)
	for _, b := range l.m.history {
		if b.HasProducerID() && !b.IsControl() {
			l.seq[b.ProducerID()] = b.LastSequence() + 1
		}
	}
}
