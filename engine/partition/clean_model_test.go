package partition

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"sluice/wire"
)

// modelRecord and modelBatch are a log as one would draw it on paper.
type modelRecord struct {
	offset, ms int64
	key, value string // "-" stands for null.
}

type modelBatch struct {
	base, last, pid int64
	epoch           int16
	seq             int32
	txn, control    bool
	codec           wire.Codec
	horizon         int64 // -1 for none.
	newest          int64
	records         []modelRecord
}

func textOrNull(b []byte) string {
	if b == nil {
		return "-"
	}
	return string(b)
}

// drawn is a batch as the model has it.
func drawn(t testing.TB, b wire.Batch) modelBatch {
	t.Helper()
	m := modelBatch{
		base: b.BaseOffset(), last: b.LastOffset(), pid: b.ProducerID(), epoch: b.ProducerEpoch(),
		seq: b.BaseSequence(), txn: b.IsTransactional(), control: b.IsControl(), codec: b.Codec(),
		horizon: -1, newest: b.MaxTimestamp(),
	}
	if b.HasDeleteHorizon() {
		m.horizon = b.BaseTimestamp()
	}
	err := wire.EachRecord(b, new(wire.Records), func(r *wire.Record) bool {
		m.records = append(m.records, modelRecord{
			r.Offset, r.TimestampMs, textOrNull(r.Key), textOrNull(r.Value),
		})
		return true
	})
	if err != nil {
		t.Fatalf("batch at %d: %v", m.base, err)
	}
	return m
}

func (m modelBatch) String() string {
	return fmt.Sprintf("[%d..%d] pid %d/%d seq %d txn %v control %v %s horizon %d newest %d %v",
		m.base, m.last, m.pid, m.epoch, m.seq, m.txn, m.control, m.codec, m.horizon, m.newest,
		m.records)
}

// cleanModel is Kafka's rule of compaction over whole histories: it sees everything that was ever
// written, and looks things up where the cleaner must remember them.
type cleanModel struct {
	// history is what was appended, log what is left of it.
	history, log []modelBatch
	dirty        int64
	retentionMs  int64
}

func (m *cleanModel) append(b modelBatch) {
	m.history = append(m.history, b)
	m.log = append(m.log, b)
}

// marker is the one that ends the transaction of a batch; nil for none.
func (m *cleanModel) marker(b modelBatch) *modelBatch {
	for i := range m.history {
		h := &m.history[i]
		if h.control && h.pid == b.pid && h.base >= b.last {
			return h
		}
	}
	return nil
}

func (b *modelBatch) aborts() bool { return b != nil && b.records[0].key[3] == markerAbort }

func (m *cleanModel) aborted(b modelBatch) bool {
	return b.txn && !b.control && m.marker(b).aborts()
}

// alone reports whether no batch of the transaction that a marker ended is left.
func (m *cleanModel) alone(marker modelBatch) bool {
	for _, b := range m.log {
		if !b.control && b.txn && b.pid == marker.pid && b.last < marker.base {
			if end := m.marker(b); end != nil && end.base == marker.base {
				return false
			}
		}
	}
	return true
}

// latest finds the newest record of each key in [dirty, end), aborted ones not counted.
func (m *cleanModel) latest(end int64) map[string]int64 {
	latest := map[string]int64{}
	for _, b := range m.log {
		if b.control || m.aborted(b) {
			continue
		}
		for _, r := range b.records {
			if r.key != "-" && r.offset >= m.dirty && r.offset < end {
				latest[r.key] = r.offset
			}
		}
	}
	return latest
}

// needed reports whether a producer's state needs the batch.
func (m *cleanModel) needed(b modelBatch) bool {
	if b.pid < 0 {
		return false
	}
	epoch, last := int16(-1), int64(-1)
	for _, h := range m.history {
		if h.pid != b.pid {
			continue
		}
		if h.epoch != epoch {
			epoch, last = h.epoch, -1
		}
		if !h.control {
			last = h.last
		}
	}
	if last >= 0 {
		return b.last == last
	}
	return b.control && b.epoch == epoch
}

// clean is one cleaning of everything below upper, with keys known up to end; segmentsEnd is where
// the segments end that are rewritten.
func (m *cleanModel) clean(upper, end, segmentsEnd, nowMs int64) {
	latest := m.latest(end)
	var left []modelBatch
	for _, b := range m.log {
		if b.base >= segmentsEnd {
			left = append(left, b)
			continue
		}
		if kept, stays := m.cleanBatch(b, latest, upper, end, nowMs); stays {
			left = append(left, kept)
		}
	}
	m.log, m.dirty = left, end
}

func (m *cleanModel) cleanBatch(
	b modelBatch, latest map[string]int64, upper, end, nowMs int64,
) (kept modelBatch, stays bool) {
	over := b.horizon >= 0 && b.horizon <= nowMs
	records := []modelRecord{}
	stamp := b.control && m.alone(b)
	for _, r := range b.records {
		newest, known := latest[r.key]
		switch {
		case m.aborted(b), b.control && stamp && over:
		case b.control, r.offset >= end:
			records = append(records, r)
		case r.key == "-", known && newest > r.offset, r.value == "-" && over:
		default:
			records = append(records, r)
			stamp = stamp || r.value == "-"
		}
	}
	for _, r := range records {
		stamp = stamp || !b.control && r.value == "-"
	}
	switch {
	case len(records) == 0 && !m.needed(b) && b.last+1 != upper:
		return b, false
	case len(records) == 0:
		b.records, b.codec, b.horizon = nil, wire.CodecNone, -1
		return b, true
	}
	if stamp && b.horizon < 0 {
		b.horizon = nowMs + m.retentionMs
	}
	b.records, b.newest = records, -1
	for _, r := range records {
		b.newest = max(b.newest, r.ms)
	}
	return b, true
}

// cleanBench is a log beside its model.
type cleanBench struct {
	*bench
	rnd   *rand.Rand
	m     cleanModel
	seq   map[int64]int32
	epoch map[int64]int16
	open  map[int64]bool
}

func newCleanBench(t testing.TB, seed uint64, change func(*Config)) *cleanBench {
	b := newBench(t, func(c *Config) {
		c.SegmentBytes, c.DeleteRetentionMs = 3000, 10_000
		if change != nil {
			change(c)
		}
	})
	return &cleanBench{
		bench: b, rnd: rand.New(rand.NewPCG(seed, 9)), seq: map[int64]int32{},
		epoch: map[int64]int16{}, open: map[int64]bool{},
		m: cleanModel{retentionMs: b.conf.DeleteRetentionMs},
	}
}

// give appends to both.
func (b *cleanBench) give(batch wire.Batch, origin Origin) {
	b.t.Helper()
	if a := b.submitBatch(batch, origin); a.Code != wire.CodeNone {
		b.t.Fatalf("append: %s", wire.CodeName(a.Code))
	}
	b.m.append(drawn(b.t, batch))
}

// data makes a batch of random records, for a producer if pid is positive.
func (b *cleanBench) data(pid int64, txn bool) wire.Batch {
	w := wire.NewBatchBuilder()
	w.Codec = wire.Codec(b.rnd.IntN(5))
	if b.rnd.IntN(8) == 0 {
		w.Timestamps = wire.LogAppendTime
	}
	n := 1 + b.rnd.IntN(6)
	if pid > 0 {
		w.ProducerID, w.ProducerEpoch, w.BaseSequence = pid, b.epoch[pid], b.seq[pid]
		w.Transactional = txn
		b.seq[pid] += int32(n)
	}
	for range n {
		key := fmt.Appendf(nil, "key %d", b.rnd.IntN(25))
		value := fmt.Appendf(nil, "%0*d", b.rnd.IntN(150), b.rnd.IntN(1000))
		if b.rnd.IntN(5) == 0 {
			value = nil
		}
		if b.rnd.IntN(20) == 0 {
			key = nil
		}
		w.Append(b.clock.now()-int64(b.rnd.IntN(50)), key, value,
			wire.Header{Key: "h", Value: []byte("x")})
	}
	batch, err := w.Build(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if w.Timestamps == wire.LogAppendTime {
		wire.Batch(batch).StampLogAppendTime(b.clock.now())
	}
	return batch
}

func (b *cleanBench) end(pid int64) {
	b.give(markerBatch(b.t, pid, b.epoch[pid], b.rnd.IntN(2) == 0), FromCoordinator)
	b.open[pid] = false
}

// step does one random thing.
func (b *cleanBench) step() {
	b.clock.ms.Add(int64(b.rnd.IntN(400)))
	switch n := b.rnd.IntN(100); {
	case n < 45:
		b.give(b.data(int64(b.rnd.IntN(3)), false), FromClient)
	case n < 70:
		pid := int64(11 + b.rnd.IntN(3))
		b.open[pid] = true
		b.give(b.data(pid, true), FromClient)
	case n < 82:
		if pid := int64(11 + b.rnd.IntN(3)); b.open[pid] {
			b.end(pid)
		}
	case n < 86:
		pid := int64(1 + b.rnd.IntN(2))
		b.epoch[pid]++
		b.seq[pid] = 0
	case n < 88:
		if pid := int64(11 + b.rnd.IntN(3)); b.open[pid] {
			// The coordinator fences the producer: its marker has the next epoch.
			b.epoch[pid]++
			b.seq[pid] = 0
			b.end(pid)
		}
	case n < 90:
		b.clock.ms.Add(8000)
	case n < 92:
		b.settle()
		b.reopen(b.rnd.IntN(2) == 0)
	case n < 96:
		if err := b.log.Roll(); err != nil {
			b.t.Fatal(err)
		}
	default:
		b.clean(int64(b.rnd.IntN(3)) * 400)
	}
}

// clean cleans both; mapBytes of 0 means plenty.
func (b *cleanBench) clean(mapBytes int64) Cleaned {
	b.t.Helper()
	b.settle()
	if mapBytes == 0 {
		mapBytes = 1 << 20
	}
	stable := b.log.LastStableOffset(b.log.LEO())
	span, err := b.log.Cleanable(b.clock.now(), stable)
	if err != nil {
		b.t.Fatal(err)
	}
	if span.From != b.m.dirty {
		b.t.Fatalf("first dirty offset is %d, want %d", span.From, b.m.dirty)
	}
	c := NewCleaner(CleanerOptions{MapBytes: mapBytes, MapLoad: 0.9})
	bases := b.bases()
	done, err := c.Clean(b.log, stable, b.clock.now())
	if err != nil {
		b.t.Fatal(err)
	}
	if done.To < span.From || done.To > span.To || mapBytes > 1<<19 && done.To != span.To {
		b.t.Fatalf("cleaned to %d of %+v", done.To, span)
	}
	if span.From < span.To {
		i, found := slices.BinarySearch(bases, done.To)
		if !found && i == len(bases) {
			b.t.Fatalf("cleaned to %d, segments begin at %v", done.To, bases)
		}
		b.m.clean(span.To, done.To, bases[i], b.clock.now())
	}
	b.compare("after cleaning")
	return done
}

func (b *cleanBench) bases() (all []int64) {
	for _, s := range *b.log.segments.Load() {
		all = append(all, s.base)
	}
	return all
}

// compare demands that the log is what the model says, through reads of every size, and through
// lookups of every offset.
func (b *cleanBench) compare(when string) {
	b.t.Helper()
	for _, size := range []int64{1, 700, 1 << 20} {
		got, err := readGaps(b.log, 0, size)
		if err != nil {
			b.t.Fatalf("%s: %v", when, err)
		}
		for i := range max(len(got), len(b.m.log)) {
			g, w := "nothing", "nothing"
			if i < len(got) {
				g = drawn(b.t, got[i]).String()
			}
			if i < len(b.m.log) {
				w = b.m.log[i].String()
			}
			if g != w {
				b.t.Fatalf("%s, reading %d: batch %d is\n%s, want\n%s", when, size, i, g, w)
			}
		}
	}
	for offset := int64(0); offset < b.log.LEO(); offset++ {
		want := int64(-1)
		for i := range b.m.log {
			if b.m.log[i].last >= offset {
				want = b.m.log[i].base
				break
			}
		}
		if got := firstBase(b.t, b.log, offset); got != want {
			b.t.Fatalf("%s: lookup of %d finds %d, want %d", when, offset, got, want)
		}
	}
	b.compareAborted(when)
}

// compareAborted demands of every kept batch of an aborted transaction that a read_committed consumer
// would skip it, and of no other: as consumers do it, with the list from the .txnindex.
func (b *cleanBench) compareAborted(when string) {
	b.t.Helper()
	listed, err := b.log.AbortedTxns(nil, 0, b.log.LEO())
	if err != nil {
		b.t.Fatal(err)
	}
	in := map[int64]bool{}
	slices.SortFunc(listed, func(x, y AbortedTxn) int { return int(x.FirstOffset - y.FirstOffset) })
	for _, batch := range b.m.log {
		for len(listed) > 0 && listed[0].FirstOffset <= batch.last {
			in[listed[0].ProducerID] = true
			listed = listed[1:]
		}
		switch {
		case batch.control && len(batch.records) > 0 && batch.records[0].key[3] == markerAbort:
			delete(in, batch.pid)
		case batch.txn && !batch.control && len(batch.records) > 0 &&
			in[batch.pid] != b.m.aborted(batch):
			b.t.Fatalf("%s: a consumer takes %v for aborted: %v", when, batch, in[batch.pid])
		}
	}
}

// readGaps reads the log as a consumer does, through gaps.
func readGaps(l *Log, from, maxBytes int64) (all []wire.Batch, err error) {
	r := ReadRequest{Offset: from, Bound: l.LEO(), MaxBytes: maxBytes, MinOne: true}
	for {
		if code := l.Read(&r); code != wire.CodeNone {
			return nil, fmt.Errorf("read at %d: %s", r.Offset, wire.CodeName(code))
		}
		if r.File == nil {
			return all, nil
		}
		piece := make([]byte, r.Bytes)
		n, err := r.File.ReadAt(piece, r.Position)
		r.File.Release()
		if int64(n) < r.Bytes {
			return nil, fmt.Errorf("region of %d bytes: %d, %w", r.Bytes, n, err)
		}
		for len(piece) > 0 {
			b, rest, err := wire.NextBatch(piece)
			if err != nil || !b.Intact() {
				return nil, fmt.Errorf("region at %d holds no intact batch: %w", r.Position, err)
			}
			all, piece, r.Offset = append(all, b), rest, b.NextOffset()
		}
	}
}

// firstBase looks an offset up without a cursor: the base offset of what a read gives, -1 for nothing.
func firstBase(t testing.TB, l *Log, offset int64) int64 {
	t.Helper()
	r := ReadRequest{Offset: offset, Bound: l.LEO(), MaxBytes: 1, MinOne: true}
	if code := l.Read(&r); code != wire.CodeNone {
		t.Fatalf("lookup of %d: %s", offset, wire.CodeName(code))
	}
	if r.File == nil {
		return -1
	}
	header := make([]byte, 8)
	_, err := r.File.ReadAt(header, r.Position)
	r.File.Release()
	if err != nil {
		t.Fatal(err)
	}
	return wire.Batch(append(header, make([]byte, 60)...)).BaseOffset()
}

// Compaction against its rule (KIP-98, KIP-534; classes Cleaner and CleanedTransactionMetadata), for
// random keys, tombstones, null keys, codecs, transactions, fenced producers, restarts and full maps:
// what is left is exactly what the rule leaves, readable in pieces of any size and at any offset.
func TestCleanAgainstModel(t *testing.T) {
	t.Parallel()
	seeds := uint64(40)
	if testing.Short() {
		seeds = 8
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			b := newCleanBench(t, seed, nil)
			for range 250 {
				b.step()
			}
			for pid := range int64(20) {
				if b.open[pid] {
					b.end(pid)
				}
			}
			for range 4 {
				if err := b.log.Roll(); err != nil {
					t.Fatal(err)
				}
				b.give(b.data(0, false), FromClient)
				b.clock.ms.Add(6000)
				b.clean(0)
			}
			b.reopen(true)
			b.compare("after a clean restart")
			b.reopen(false)
			b.compare("after an unclean restart")
			if len(b.m.log)*3 > len(b.m.history) {
				t.Errorf("%d of %d batches are left", len(b.m.log), len(b.m.history))
			}
		})
	}
}
