package partition

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"

	"sluice/wire"
)

// ErrCleaningAborted says that the log was closed, truncated, or lost segments to retention while it
// was being cleaned. Groups of segments that were finished before stay cleaned.
var ErrCleaningAborted = errors.New("cleaning was aborted: the log has changed")

// Cleanable is what a log offers the cleaner (class LogToClean).
type Cleanable struct {
	// From is the first dirty offset: every key has one record at most between the log's start and
	// it. To is the first offset that may not be cleaned, the base of a segment; From == To means
	// that there is nothing to clean.
	From, To int64
	// CleanBytes lie before From, DirtyBytes between From and To.
	CleanBytes, DirtyBytes int64
	// OverdueMs is by how much the oldest dirty record exceeds max.compaction.lag.ms, or 0.
	OverdueMs int64
}

// Ratio is the dirty share of the bytes that a cleaning would read.
func (c Cleanable) Ratio() float64 {
	if c.DirtyBytes == 0 {
		return 0
	}
	return float64(c.DirtyBytes) / float64(c.CleanBytes+c.DirtyBytes)
}

// Due reports whether min.cleanable.dirty.ratio or max.compaction.lag.ms asks for a cleaning.
func (c Cleanable) Due(minRatio float64) bool {
	return c.DirtyBytes > 0 && (c.OverdueMs > 0 || c.Ratio() > minRatio)
}

// Cleanable says what could be cleaned now. stable is the last stable offset: nothing at or above it,
// nor in the active segment, nor from the first segment on that min.compaction.lag.ms protects, is
// cleaned. Where max.compaction.lag.ms is set it reads a header per dirty segment: not on a reactor.
func (l *Log) Cleanable(nowMs, stable int64) (Cleanable, error) {
	if err := l.readable(); err != nil {
		return Cleanable{}, aborted(err)
	}
	conf, list := l.config.Load(), *l.segments.Load()
	c := Cleanable{From: l.firstDirty()}
	closed := list[:len(list)-1]
	c.To = min(stable, list[len(list)-1].base)
	if conf.MinCompactionLagMs > 0 {
		for _, s := range closed {
			if s.next.Load() > c.From && s.largest.Load() > nowMs-conf.MinCompactionLagMs {
				c.To = min(c.To, s.base)
				break
			}
		}
	}
	end := list[0].base
	for _, s := range closed {
		if s.next.Load() > c.To {
			break
		}
		end = s.next.Load()
		if end <= c.From {
			c.CleanBytes += s.size.Load()
		} else {
			c.DirtyBytes += s.size.Load()
		}
	}
	c.To = max(c.From, end)
	return c, l.overdue(&c, closed, nowMs)
}

// aborted makes one error of all that say that the log is not there any more.
func aborted(err error) error {
	if errors.Is(err, errClosed) {
		return ErrCleaningAborted
	}
	return err
}

// overdue finds out how far the oldest dirty record is over max.compaction.lag.ms.
func (l *Log) overdue(c *Cleanable, closed []*segment, nowMs int64) error {
	lag := l.config.Load().MaxCompactionLagMs
	if lag == math.MaxInt64 || c.DirtyBytes == 0 {
		return nil
	}
	sc := getScratch()
	defer sc.put()
	for _, s := range closed {
		if s.next.Load() <= c.From || s.base >= c.To || s.size.Load() == 0 || !s.log.Retain() {
			continue
		}
		first, err := s.header(0, sc)
		if err == nil && first.MaxTimestamp() > 0 {
			c.OverdueMs = max(c.OverdueMs, nowMs-lag-first.MaxTimestamp())
		}
		s.log.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// CleanerOptions make a Cleaner.
type CleanerOptions struct {
	// MapBytes bounds the memory for keys (log.cleaner.dedupe.buffer.size by thread), MapLoad how much
	// of it is filled (log.cleaner.io.buffer.load.factor).
	MapBytes int64
	MapLoad  float64
	// DecompressedBytesMax bounds what one batch may decompress to; 0 for wire's default.
	DecompressedBytesMax int64
	// Pace is called with the bytes that have been read or written, every quarter of a MiB at least.
	// It may wait, and its error ends the cleaning. nil means no bound.
	Pace func(bytes int64) error
}

// Cleaner cleans logs, one at a time: it is one goroutine's. Its memory for keys is what the largest
// log so far needed, until Release.
type Cleaner struct {
	o       CleanerOptions
	keys    offsetMap
	records wire.Records
	filter  wire.Filter
	// batch holds a batch that is larger than what a walker reads at once, left what is left of the
	// batch at hand, out what is to be written next.
	batch, left, out []byte
}

// NewCleaner returns a cleaner without memory.
func NewCleaner(o CleanerOptions) *Cleaner { return &Cleaner{o: o} }

// Release gives the cleaner's memory back.
func (c *Cleaner) Release() {
	c.keys.release()
	c.batch, c.left, c.out = nil, nil, nil
}

// Cleaned is what a cleaning did. Bytes of keys read count in ReadBytes, too.
type Cleaned struct {
	// From and To are the offsets between which records were dirty and now are not.
	From, To int64
	// MapBytes were read to find the keys, ReadBytes to write what is left, WrittenBytes written.
	MapBytes, ReadBytes, WrittenBytes int64
	// RecordsRead and RecordsKept count records of the second pass.
	RecordsRead, RecordsKept int64
	// Replaced segments have become Made ones.
	Replaced, Made int
	// MapShare is how full the map of keys was.
	MapShare float64
}

// cleaning is one run over one log.
type cleaning struct {
	*Cleaner
	l     *Log
	conf  Config
	nowMs int64
	// from is the first dirty offset, upper where the run may get to, end where the keys got to: the
	// map knows every key between from and end.
	from, upper, end int64
	// list are the log's segments that begin below upper. Their files are retained.
	list      []*segment
	producers []lastOfProducer
	txns      cleanedTxns
	stats     Cleaned
	// control, discard and past are about the batch at hand: it is a control batch, nothing of it
	// stays, its delete horizon is over. choose is keep, which goes by them, bound once.
	control, discard, past bool
	choose                 func(*wire.Record) bool
	// paced and busy are the bytes since Pace was called, and since others could run.
	paced, busy int64
}

// Clean cleans what Cleanable offers, or the first part of it if its keys fill the map: of each key
// only the latest record stays, tombstones and transaction markers go when delete.retention.ms is
// over, aborted records at once (KIP-98, KIP-534; classes Cleaner and LogCleaner). Offsets never
// change. nowMs is the wall clock, stable as in Cleanable.
//
// It reads the log's closed segments twice and writes new ones beside them, without any lock; to put
// those in their place it takes the structure lock, and for an instant the append lock. After an
// error the log is as good as before, or the dir has failed.
func (c *Cleaner) Clean(l *Log, stable, nowMs int64) (Cleaned, error) {
	span, err := l.Cleanable(nowMs, stable)
	if err != nil || span.From >= span.To {
		return Cleaned{From: span.From, To: span.From}, err
	}
	r := &cleaning{
		Cleaner: c, l: l, conf: *l.config.Load(), nowMs: nowMs,
		from: span.From, upper: span.To, end: span.From,
	}
	r.stats.From, r.stats.To = span.From, span.From
	r.choose = r.keep
	return r.stats, aborted(r.run())
}

func (r *cleaning) run() error {
	if err := r.begin(); err != nil {
		return err
	}
	defer r.letGo()
	if err := r.readKeys(); err != nil {
		return err
	}
	r.stats.MapShare = r.keys.share()
	var sources []*segment
	for _, s := range r.list {
		if s.base < r.end {
			sources = append(sources, s)
		}
	}
	r.txns.reset(abortedWithin(*r.l.segments.Load(), r.list[0].base, r.upper))
	for _, group := range groupSegments(sources, &r.conf) {
		if err := r.cleanGroup(group); err != nil {
			return err
		}
	}
	r.stats.To = r.end
	return r.l.dir.noteCleaned(r.l, r.end)
}

// begin makes everything that will be cleaned durable, and says so on disk: recovery takes nothing
// below the recovery point for a log's end, which a gap would otherwise look like. It then retains
// the segments, and notes which batches producers need.
func (r *cleaning) begin() error {
	l := r.l
	if _, err := l.Flush(); err != nil {
		return err
	}
	if !l.dir.mutants.staleRecoveryClean {
		if err := l.dir.writeRecoveryPoints(); err != nil {
			return err
		}
	}
	r.producers = l.lastOfProducers()
	if l.flushed.Load() < r.upper {
		return ErrCleaningAborted
	}
	for _, s := range *l.segments.Load() {
		if s.base >= r.upper {
			break
		}
		if !s.log.Retain() {
			r.letGo()
			return ErrCleaningAborted
		}
		r.list = append(r.list, s)
	}
	if len(r.list) == 0 {
		return ErrCleaningAborted
	}
	return nil
}

func (r *cleaning) letGo() {
	for _, s := range r.list {
		s.log.Drop()
	}
	r.list = nil
}

// yieldBytes is after how much work a cleaning lets others have its processor: a tenth of a
// millisecond or so, that a reactor may have to wait for one.
const yieldBytes = 32 << 10

// pace accounts for bytes of I/O and gives the owner a say.
func (r *cleaning) pace(bytes int64, at *segment) error {
	if r.busy += bytes; r.busy >= yieldBytes {
		r.busy = 0
		runtime.Gosched()
	}
	if r.paced += bytes; r.paced < walkChunk {
		return nil
	}
	bytes, r.paced = r.paced, 0
	if r.o.Pace != nil {
		if err := r.o.Pace(bytes); err != nil {
			return err
		}
	}
	if r.l.closed.Load() || r.l.dir.failed.Load() || !contains(*r.l.segments.Load(), at) {
		return ErrCleaningAborted
	}
	return nil
}

// each calls f with every batch of a segment from position on, whole. A batch that does not match its
// checksum is an error: cleaning must not seal damage with a new one.
func (r *cleaning) each(s *segment, position int64, f func(b wire.Batch, at int64) error) error {
	w := newWalker(s.log, position, s.size.Load(), true)
	defer w.close()
	for {
		b, at, err := w.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s%s: position %d: %w", s.path, logSuffix, w.position, err)
		}
		if !whole(b) {
			r.batch = slices.Grow(r.batch[:0], b.Length())[:b.Length()]
			if n, err := s.log.ReadAt(r.batch, at); n < len(r.batch) {
				return errors.Join(io.ErrUnexpectedEOF, err)
			}
			b = r.batch
		}
		if err := f(b, at); err != nil {
			return err
		}
		if err := r.pace(int64(len(b)), s); err != nil {
			return err
		}
	}
}

// errMapFull ends the reading of keys.
var errMapFull = errors.New("the map of keys is full")

// readKeys fills the map with the keys of the dirty segments.
func (r *cleaning) readKeys() error {
	r.keys.reset(r.upper-r.from, r.o.MapBytes, r.o.MapLoad)
	r.txns.reset(abortedWithin(*r.l.segments.Load(), r.from, r.upper))
	for _, s := range r.list {
		if s.next.Load() <= r.from {
			continue
		}
		position, err := r.positionOf(s, r.from)
		if err == nil && position >= 0 {
			err = r.each(s, position, func(b wire.Batch, _ int64) error { return r.readBatchKeys(b) })
		}
		if err == errMapFull {
			return nil
		}
		if err != nil {
			return err
		}
		r.end = min(s.next.Load(), r.upper)
	}
	return nil
}

// positionOf is where the batch begins that holds offset, or the first behind it; -1 for none.
func (r *cleaning) positionOf(s *segment, offset int64) (int64, error) {
	if offset <= s.base {
		return 0, nil
	}
	sc := getScratch()
	defer sc.put()
	p := planner{seg: s, sc: sc}
	defer p.close()
	at, _, err := p.search(offset)
	return at.position, err
}

// readBatchKeys notes a batch's keys; of an aborted transaction's batch none.
func (r *cleaning) readBatchKeys(b wire.Batch) error {
	r.stats.MapBytes += int64(len(b))
	if b.IsControl() {
		r.txns.marker(b)
		return nil
	}
	if r.txns.data(b) {
		return nil
	}
	r.records.Open(b, r.o.DecompressedBytesMax)
	defer r.records.Close()
	var rec wire.Record
	for r.records.Next(&rec) {
		if rec.Key == nil || rec.Offset < r.from {
			continue
		}
		if !r.keys.put(rec.Key, rec.Offset) {
			r.end = rec.Offset
			return errMapFull
		}
	}
	return r.records.Err()
}

// lastOfProducer says which batch of a producer must stay, so that its state can still be told from
// the log: the one that ends with offset last, or with no such batch (-1) markers of its epoch.
type lastOfProducer struct {
	id    int64
	last  int64
	epoch int16
}

// lastOfProducers lists the active producers by id. It needs none of the log's locks: it holds the
// append lock for a copy.
func (l *Log) lastOfProducers() []lastOfProducer {
	l.lock()
	list := make([]lastOfProducer, len(l.producers.list))
	for i := range l.producers.list {
		p := &l.producers.list[i]
		list[i] = lastOfProducer{id: p.id, last: -1, epoch: p.epoch}
		if p.used > 0 {
			list[i].last = p.batches[p.used-1].lastOffset
		}
	}
	l.unlock()
	slices.SortFunc(list, func(a, b lastOfProducer) int { return cmp.Compare(a.id, b.id) })
	return list
}

// mustStay reports whether a batch stays even without records: the last one of an active producer,
// and the last one of the range, which says where offsets go on.
func (r *cleaning) mustStay(b wire.Batch) bool {
	if b.NextOffset() == r.upper {
		return true
	}
	if !b.HasProducerID() {
		return false
	}
	i, found := slices.BinarySearchFunc(r.producers, b.ProducerID(),
		func(p lastOfProducer, id int64) int { return cmp.Compare(p.id, id) })
	if !found {
		return false
	}
	if p := r.producers[i]; p.last >= 0 {
		return b.LastOffset() == p.last
	}
	return b.IsControl() && b.ProducerEpoch() == r.producers[i].epoch
}
