package partition

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/pagecache"
	"sluice/wire"
)

// lineObserver checks what Observer promises: log ends ascend, and Done comes after Appended.
type lineObserver struct {
	leo    atomic.Int64
	broken atomic.Bool
}

func (o *lineObserver) Appended(leo int64) {
	if leo <= o.leo.Load() {
		o.broken.Store(true)
	}
	o.leo.Store(leo)
}

func (o *lineObserver) Flushed(int64) {}

// Many submitters, readers, syncs, rolls and checkpoints at once: every append is answered exactly
// once, each submitter's in order, offsets are dense, and readers see whole batches of the log only.
// Half of the time the gate is closed, so that appends go through the writer.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	var tick atomic.Int64
	var dirty atomic.Bool
	gate := pagecache.NewGate(pagecache.GateOptions{
		Clock: func() int64 { return tick.Add(1_000_000) },
		DirtyPages: func() (int64, int64, bool) {
			if dirty.Load() {
				return 95, 100, true
			}
			return 1, 100, true
		},
	})
	o := dirOptions(pagecache.OS{}, t.TempDir(), newClock())
	o.manual, o.Gate, o.UncheckedBytesMax = false, gate, 64<<10
	o.Reserve = pagecache.NewBudget(16 << 20)
	dir, err := OpenDir(o)
	if err != nil {
		t.Fatal(err)
	}
	observer := &lineObserver{}
	conf := DefaultConfig()
	conf.SegmentBytes, conf.IndexIntervalBytes = 32<<10, 512
	l, _, err := Open(Options{Dir: dir, Topic: "t", Config: conf, Observer: observer})
	if err != nil {
		t.Fatal(err)
	}
	const submitters, each = 4, 120
	var writers, others sync.WaitGroup
	stop := make(chan struct{})
	for i := range submitters {
		writers.Add(1)
		go func() {
			defer writers.Done()
			submitMany(t, l, observer, i, each)
		}()
	}
	background(&others, stop, func(n int) {
		dirty.Store(n%2 == 0)
		gate.Probe()
		if _, err := l.Flush(); err != nil {
			t.Error(err)
		}
	})
	background(&others, stop, func(n int) {
		if n%50 == 0 {
			if err := l.Roll(); err != nil {
				t.Error(err)
			}
		}
		chase(t, l, uint64(n))
	})
	background(&others, stop, func(n int) { chase(t, l, uint64(n)) })
	writers.Wait()
	close(stop)
	others.Wait()
	if got := int64(len(readAll(t, l, 0, 3000))); got != submitters*each || l.LEO() != got {
		t.Errorf("%d batches, log ends at %d, want %d", got, l.LEO(), submitters*each)
	}
	if observer.broken.Load() {
		t.Error("Appended was told of a log end that did not ascend")
	}
	if err := dir.Close(true, 1); err != nil {
		t.Fatal(err)
	}
	if used := o.Reserve.Used(); used != 0 {
		t.Errorf("%d reserved bytes are still accounted for after a clean close", used)
	}
}

func background(group *sync.WaitGroup, stop chan struct{}, work func(n int)) {
	group.Add(1)
	go func() {
		defer group.Done()
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				work(n)
			}
		}
	}()
}

// submitMany appends with up to five in flight and checks order and outcome.
func submitMany(t *testing.T, l *Log, observer *lineObserver, who, n int) {
	last := int64(-1)
	var inFlight sync.WaitGroup
	var mu sync.Mutex
	settle := func(a *Append) {
		mu.Lock()
		defer mu.Unlock()
		if a.Code != wire.CodeNone || a.BaseOffset <= last {
			t.Errorf("submitter %d: %s, offset %d after %d", who, wire.CodeName(a.Code),
				a.BaseOffset, last)
		}
		if observer.leo.Load() <= a.LastOffset {
			t.Error("Done came before Appended")
		}
		last = a.BaseOffset
	}
	for i := range n {
		inFlight.Add(1)
		a := &Append{
			Batch: payload{bytes: 50 + i%900, seed: who*1000 + i}.batch(t), LeaderEpoch: -1,
			Done: func(a *Append) { settle(a); inFlight.Done() },
		}
		if l.Submit(a) {
			settle(a)
			inFlight.Done()
		} else {
			// Done calls of different drainers may come in any order: one at a time here.
			inFlight.Wait()
		}
	}
	inFlight.Wait()
}

// chase reads a few regions at a random place with a cursor.
func chase(t *testing.T, l *Log, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	leo := l.LEO()
	if leo == 0 {
		return
	}
	r := ReadRequest{Offset: rnd.Int64N(leo), MinOne: true}
	for range 5 {
		r.Bound, r.MaxBytes = l.LEO(), 1+rnd.Int64N(8000)
		if rnd.IntN(3) == 0 && r.Offset < r.Bound {
			r.Bound = r.Offset + rnd.Int64N(r.Bound-r.Offset+1)
		}
		if code := l.Read(&r); code != wire.CodeNone {
			t.Errorf("read at %d: %s", r.Offset, wire.CodeName(code))
			return
		}
		if r.File == nil {
			continue
		}
		if err := walkRegion(&r); err != nil {
			t.Error(err)
			return
		}
	}
}

// walkRegion checks that a region holds whole batches, the first with the offset asked for and
// none beyond the bound, and moves the request on.
func walkRegion(r *ReadRequest) error {
	defer r.File.Release()
	b := make([]byte, r.Bytes)
	if _, err := r.File.ReadAt(b, r.Position); err != nil {
		return err
	}
	for first := true; len(b) > 0; first = false {
		batch, rest, err := wire.NextBatch(b)
		if err != nil || !batch.Intact() {
			return fmt.Errorf("region [%d,+%d) is no run of batches: %v", r.Position, r.Bytes, err)
		}
		if first && batch.BaseOffset() > r.Offset || batch.NextOffset() > r.Bound {
			return fmt.Errorf("offset %d, bound %d: region has [%d,%d)", r.Offset, r.Bound,
				batch.BaseOffset(), batch.NextOffset())
		}
		r.Offset, b = batch.NextOffset(), rest
	}
	return nil
}

// Responses in flight keep their bytes while the log is truncated under them and appended to again.
func TestTruncationLeavesServedBytesAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for i := range 20 {
		b.must(payload{bytes: 300, seed: i})
	}
	r := ReadRequest{Offset: 0, Bound: b.log.LEO(), MaxBytes: 1 << 20}
	if code := b.log.Read(&r); code != wire.CodeNone {
		t.Fatal(wire.CodeName(code))
	}
	before := make([]byte, r.Bytes)
	if _, err := r.File.ReadAt(before, r.Position); err != nil {
		t.Fatal(err)
	}
	if err := b.log.TruncateTo(7); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		b.must(payload{bytes: 290, seed: 100 + i})
	}
	after := make([]byte, r.Bytes)
	if _, err := r.File.ReadAt(after, r.Position); err != nil {
		t.Fatal(err)
	}
	r.File.Release()
	if string(before) != string(after) {
		t.Error("bytes that a response was sending have changed")
	}
	if got := len(b.readAll(0, 1000)); got != 27 {
		t.Errorf("%d batches, want 27", got)
	}
}

// While one producer's transactions of three offsets each come and go, a reader that asks for the
// stable offset without any lock only ever sees the beginning of one.
func TestStableOffsetUnderAppends(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.SegmentBytes = 4000 })
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range int32(400) {
			for n := range int32(2) {
				a := Append{Batch: payload{pid: 5, seq: 2*i + n, txn: true}.batch(t)}
				a.LeaderEpoch = b.log.LeaderEpoch()
				if err := submitAndWait(b.log, &a); err != nil || a.Code != wire.CodeNone {
					t.Errorf("append: %v, %s", err, wire.CodeName(a.Code))
				}
			}
			marker := Append{Batch: markerBatch(t, 5, 0, i%2 == 0), Origin: FromCoordinator}
			marker.LeaderEpoch = b.log.LeaderEpoch()
			if err := submitAndWait(b.log, &marker); err != nil || marker.Code != wire.CodeNone {
				t.Errorf("marker: %v, %s", err, wire.CodeName(marker.Code))
			}
		}
	}()
	for stable, over := int64(0), false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		bound := b.log.LEO()
		got := b.log.LastStableOffset(bound)
		if got%3 != 0 || got < stable || got < bound-2 {
			t.Fatalf("stable offset %d below %d, after %d", got, bound, stable)
		}
		stable = got
		all, err := b.log.AbortedTxns(nil, 0, got)
		if want := got / 3 / 2; err != nil || int64(len(all)) != want {
			t.Fatalf("%d aborted transactions below %d, want %d (%v)", len(all), got, want, err)
		}
	}
}
