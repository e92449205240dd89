package partition

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"sluice/pagecache"
	"sluice/wire"
)

// testClock is a wall clock that tests move by hand.
type testClock struct{ ms atomic.Int64 }

func newClock() *testClock {
	c := &testClock{}
	c.ms.Store(1_700_000_000_000)
	return c
}

func (c *testClock) now() int64 { return c.ms.Load() }

// calmGate never closes by itself, so that a slow test machine changes nothing.
func calmGate() *pagecache.Gate {
	return pagecache.NewGate(pagecache.GateOptions{
		Clock:      func() int64 { return 1 },
		DirtyPages: func() (int64, int64, bool) { return 0, 0, false },
	})
}

func dirOptions(fs pagecache.FS, path string, clock *testClock) DirOptions {
	return DirOptions{
		FS: fs, Path: path, ClusterID: "test-cluster", NodeID: 1,
		DirectoryID: [16]byte{1, 2, 3}, NowMs: clock.now, Gate: calmGate(), manual: true,
	}
}

// bench is one log on a file system, with the steps that tests take.
type bench struct {
	t     testing.TB
	fs    pagecache.FS
	path  string
	clock *testClock
	conf  Config
	dir   *Dir
	log   *Log
	rec   Recovered
	epoch int32
}

func newBench(t testing.TB, change func(*Config)) *bench {
	b := &bench{
		t: t, fs: pagecache.OS{}, path: t.TempDir(), clock: newClock(), conf: DefaultConfig(),
	}
	b.conf.IndexIntervalBytes, b.conf.VerifyTxns = 256, false
	if change != nil {
		change(&b.conf)
	}
	b.open()
	t.Cleanup(func() { _ = b.dir.Close(false, -1) })
	return b
}

// open opens the dir and the log, and leads it in the next epoch.
func (b *bench) open() {
	b.t.Helper()
	if err := b.tryOpen(nil); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) tryOpen(change func(*DirOptions)) (err error) {
	o := dirOptions(b.fs, b.path, b.clock)
	if change != nil {
		change(&o)
	}
	if b.dir, err = OpenDir(o); err != nil {
		return err
	}
	b.log, b.rec, err = Open(Options{
		Dir: b.dir, Topic: "events", Partition: 3, TopicID: [16]byte{9}, Config: b.conf,
	})
	if err != nil {
		_ = b.dir.Close(false, -1)
		return err
	}
	b.epoch = max(b.epoch, b.log.LeaderEpoch()) + 1
	_, err = b.log.RaiseEpoch(b.epoch, true)
	return err
}

// settle runs the background work that waits.
func (b *bench) settle() {
	b.dir.worker.Wait()
	b.dir.gate.Writer().Wait()
	b.dir.syncer.Wait()
}

// reopen closes and opens again; clean says how.
func (b *bench) reopen(clean bool) {
	b.t.Helper()
	if err := b.dir.Close(clean, 7); err != nil {
		b.t.Fatal(err)
	}
	b.open()
}

// payload builds one batch.
type payload struct {
	records   int
	bytes     int
	timestamp int64
	pid       int64
	epoch     int16
	seq       int32
	txn       bool
	codec     wire.Codec
	seed      int
	// What the append says besides; see Append.
	txnVersion int8
	guard      uint64
}

func (p payload) batch(t testing.TB) wire.Batch {
	t.Helper()
	w := wire.NewBatchBuilder()
	if p.pid > 0 {
		w.ProducerID, w.ProducerEpoch, w.BaseSequence = p.pid, p.epoch, p.seq
	}
	w.Transactional, w.Codec = p.txn, p.codec
	if p.timestamp == 0 {
		p.timestamp = 1_700_000_000_000
	}
	for i := range max(p.records, 1) {
		value := fmt.Appendf(nil, "seed %d record %d ", p.seed, i)
		for len(value) < p.bytes {
			value = append(value, byte('a'+(len(value)+p.seed)%26))
		}
		w.Append(p.timestamp+int64(i), nil, value)
	}
	b, err := w.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	return wire.Batch(b)
}

func markerBatch(t testing.TB, pid int64, epoch int16, commit bool) wire.Batch {
	t.Helper()
	w := wire.NewBatchBuilder()
	w.ProducerID, w.ProducerEpoch = pid, epoch
	w.AppendEndTxnMarker(1_700_000_000_000, commit, 1)
	b, err := w.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	return wire.Batch(b)
}

// submit appends and returns the outcome.
func (b *bench) submit(p payload) Append {
	b.t.Helper()
	return b.submitAppend(Append{
		Batch: p.batch(b.t), TxnVersion: p.txnVersion, Guard: p.guard,
	})
}

func (b *bench) submitBatch(batch wire.Batch, origin Origin) Append {
	b.t.Helper()
	return b.submitAppend(Append{Batch: batch, Origin: origin})
}

func (b *bench) submitAppend(a Append) Append {
	b.t.Helper()
	a.LeaderEpoch = b.log.LeaderEpoch()
	if err := submitAndWait(b.log, &a); err != nil {
		b.t.Fatal(err)
	}
	return a
}

// submitAndWait appends, on the dir's writer if that is where it has to be.
func submitAndWait(l *Log, a *Append) error {
	done := false
	a.Done = func(*Append) { done = true }
	if l.Submit(a) {
		return nil
	}
	l.dir.gate.Writer().Wait()
	if !done {
		return errors.New("append was queued and never carried out")
	}
	return nil
}

// must appends and fails the test unless that worked.
func (b *bench) must(p payload) Append {
	b.t.Helper()
	a := b.submit(p)
	if a.Code != wire.CodeNone {
		b.t.Fatalf("append: %s", wire.CodeName(a.Code))
	}
	return a
}

// readAll reads the log in pieces of max bytes and returns every batch.
func (b *bench) readAll(from, max int64) []wire.Batch {
	b.t.Helper()
	return readAll(b.t, b.log, from, max)
}

func readAll(t testing.TB, l *Log, from, maxBytes int64) []wire.Batch {
	t.Helper()
	var all []wire.Batch
	r := ReadRequest{Offset: from, MaxBytes: maxBytes, MinOne: true}
	for {
		r.Bound = l.LEO()
		if code := l.Read(&r); code != wire.CodeNone {
			t.Fatalf("read at %d: %s", r.Offset, wire.CodeName(code))
		}
		if r.File == nil {
			if r.Offset < l.LEO() {
				t.Fatalf("read at %d gave nothing, log end is %d", r.Offset, l.LEO())
			}
			return all
		}
		bytes := make([]byte, r.Bytes)
		if n, err := r.File.ReadAt(bytes, r.Position); int64(n) < r.Bytes {
			t.Fatalf("region of %d bytes: %d, %v", r.Bytes, n, err)
		}
		r.File.Release()
		for len(bytes) > 0 {
			batch, rest, err := wire.NextBatch(bytes)
			if err != nil || !batch.Intact() {
				t.Fatalf("region at %d holds no intact batch: %v", r.Position, err)
			}
			all, bytes = append(all, batch), rest
			r.Offset = batch.NextOffset()
		}
	}
}
