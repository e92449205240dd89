package broker

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sluice/engine/catalog/config"
	"sluice/engine/partition"
)

// cleaner compacts the logs whose cleanup.policy says so, the dirtiest first, on goroutines of its own
// (classes LogCleaner and LogCleanerManager). What a log is made of, package partition knows; here is
// decided which one is next, how many at once, how fast, and what to do about failures.
//
// A cleaning gives way to whoever waits for a processor every few dozen KiB. It is not given a thread
// of low priority: that thread would hold a scheduler slot of the Go runtime while the kernel lets it
// wait, and the garbage collector with it.
type cleaner struct {
	b *Broker
	// mu guards the fields below it.
	mu sync.Mutex
	// busy are the logs being cleaned; failed those that cannot be, until they are opened anew: a
	// batch is damaged, or decompresses to more than is allowed.
	busy   map[*partition.Log]bool
	failed map[*partition.Log]*replica
	// idle are cleaners that have no log at the moment, each with memory for mapBytes of keys.
	idle     []*partition.Cleaner
	mapBytes int64
	// paidNs is until when the bytes of the past take at log.cleaner.io.max.bytes.per.second.
	paidNs int64

	stats cleanerStats
}

// backoffMsMin keeps log.cleaner.backoff.ms=0 from asking every log all the time.
const backoffMsMin = 10

// cleanerStats are the cleaner's figures. Shares are in millionths.
type cleanerStats struct {
	runs, readBytes, writtenBytes, nanoseconds atomic.Uint64
	// lookMs is when the cleaner last looked for work, and the next two what it found then.
	lookMs, dirtyShare, overdueMs atomic.Int64
	// The last run's.
	mapShare, recopyShare atomic.Int64
}

func (c *cleaner) init(b *Broker) {
	c.b = b
	c.busy = make(map[*partition.Log]bool)
	c.failed = make(map[*partition.Log]*replica)
	c.stats.lookMs.Store(b.nowMs())
}

// cleanerSettings are log.cleaner.*, as they are now.
func (b *Broker) cleanerSettings() config.Cleaner { return config.ResolveCleaner(b.topicLayers("")) }

// run cleans until ctx ends and the last cleaning has.
func (c *cleaner) run(ctx context.Context) {
	if !c.b.cleanerSettings().Enable {
		return
	}
	var work sync.WaitGroup
	defer work.Wait()
	ended := make(chan struct{}, 1)
	for running := int32(0); ; {
		settings := c.b.cleanerSettings()
		for running < settings.Threads {
			next := c.next(ctx, settings)
			if next == nil {
				break
			}
			running++
			work.Go(func() {
				c.clean(ctx, next)
				select {
				case ended <- struct{}{}:
				case <-ctx.Done():
				}
			})
		}
		if running == 0 {
			c.release()
		}
		backoff := time.NewTimer(
			time.Duration(max(settings.BackoffMs, backoffMsMin)) * time.Millisecond)
		select {
		case <-ctx.Done():
			backoff.Stop()
			return
		case <-ended:
			running--
		case <-backoff.C:
		}
		backoff.Stop()
	}
}

// job is a log to be cleaned, in the care of whoever got it from next.
type job struct {
	r      *replica
	log    *partition.Log
	span   partition.Cleanable
	worker *partition.Cleaner
}

// next takes the dirtiest log that is due, or returns nil.
func (c *cleaner) next(ctx context.Context, settings config.Cleaner) *job {
	now := c.b.nowMs()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget()
	var best *job
	dirty, overdue := 0.0, int64(0)
	c.b.topics.eachReplica(func(r *replica) {
		j := c.look(r, now)
		if j == nil {
			return
		}
		dirty, overdue = max(dirty, j.span.Ratio()), max(overdue, j.span.OverdueMs)
		if j.span.Due(r.topic.settings.Load().config.MinCleanableDirtyRate) &&
			(best == nil || j.span.Ratio() > best.span.Ratio()) {
			best = j
		}
	})
	c.stats.lookMs.Store(now)
	c.stats.dirtyShare.Store(int64(dirty * 1e6))
	c.stats.overdueMs.Store(overdue)
	if best != nil {
		c.busy[best.log] = true
		best.worker = c.worker(ctx, settings)
	}
	return best
}

// look sees what a replica offers; nil if it is not for the cleaner. It needs mu.
func (c *cleaner) look(r *replica, now int64) *job {
	log := r.log.Load()
	if log == nil || r.offline.Load() || !r.topic.settings.Load().config.CleanupCompact ||
		c.busy[log] || c.failed[log] != nil {
		return nil
	}
	span, err := log.Cleanable(now, log.LastStableOffset(r.highWatermark.Load()))
	if err != nil {
		c.giveUp(r, log, err)
		return nil
	}
	return &job{r: r, log: log, span: span}
}

// forget drops failed logs that are closed by now. It needs mu.
func (c *cleaner) forget() {
	for log, r := range c.failed {
		if r.log.Load() != log || r.topic.deleted.Load() {
			delete(c.failed, log)
		}
	}
}

// worker returns a cleaner with the memory that one thread may have. It needs mu.
func (c *cleaner) worker(ctx context.Context, settings config.Cleaner) *partition.Cleaner {
	mapBytes := min(settings.DedupeBufferBytes/int64(max(settings.Threads, 1)), math.MaxInt32)
	if mapBytes != c.mapBytes {
		c.idle, c.mapBytes = nil, mapBytes
	}
	if n := len(c.idle); n > 0 {
		w := c.idle[n-1]
		c.idle = c.idle[:n-1]
		return w
	}
	return partition.NewCleaner(partition.CleanerOptions{
		MapBytes: mapBytes, MapLoad: settings.LoadFactor,
		DecompressedBytesMax: c.b.cfg.DecompressedBatchMax,
		Pace:                 func(bytes int64) error { return c.pace(ctx, bytes) },
	})
}

// release gives back the memory of cleaners that have nothing to do.
func (c *cleaner) release() {
	c.mu.Lock()
	c.idle = nil
	c.mu.Unlock()
}

// clean cleans one log and accounts for it.
func (c *cleaner) clean(ctx context.Context, j *job) {
	began := c.b.nanotime()
	done, err := j.worker.Clean(j.log, j.log.LastStableOffset(j.r.highWatermark.Load()), c.b.nowMs())
	took := c.b.nanotime() - began
	c.count(&done, took)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, j.log)
	c.idle = append(c.idle, j.worker)
	if err != nil {
		if ctx.Err() == nil {
			c.giveUp(j.r, j.log, err)
		}
		return
	}
	c.b.log.Info("log cleaned", "topic", j.r.topic.name, "partition", j.r.index,
		"from", done.From, "to", done.To, "records", done.RecordsRead, "kept", done.RecordsKept,
		"read_bytes", done.MapBytes+done.ReadBytes, "written_bytes", done.WrittenBytes,
		"ms", took/1e6)
}

func (c *cleaner) count(done *partition.Cleaned, tookNs int64) {
	s := &c.stats
	s.runs.Add(1)
	s.readBytes.Add(uint64(done.MapBytes + done.ReadBytes))
	s.writtenBytes.Add(uint64(done.WrittenBytes))
	s.nanoseconds.Add(uint64(max(tookNs, 0)))
	s.mapShare.Store(int64(done.MapShare * 1e6))
	if done.ReadBytes > 0 {
		s.recopyShare.Store(done.WrittenBytes * 1e6 / done.ReadBytes)
	}
}

// giveUp decides about a failure: of a log that has changed, of a failed dir and of a full disk
// nothing is to be said against the log itself, and the next round tries again. It needs mu.
func (c *cleaner) giveUp(r *replica, log *partition.Log, err error) {
	if errors.Is(err, partition.ErrCleaningAborted) ||
		r.dir.failed.Load() || log.Dir().Err() != nil || r.topic.deleted.Load() {
		return
	}
	c.b.log.Error("log is not cleaned", "topic", r.topic.name, "partition", r.index, "error", err)
	if !errors.Is(err, syscall.ENOSPC) {
		c.failed[log] = r
	}
}

// pace waits as long as log.cleaner.io.max.bytes.per.second asks for.
func (c *cleaner) pace(ctx context.Context, bytes int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	wait := c.owed(bytes, c.b.cleanerSettings().IOBytesPerSecond)
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// owed charges bytes and returns how long they take from now on, together with those before them.
func (c *cleaner) owed(bytes int64, perSecond float64) time.Duration {
	if !(perSecond > 0) {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.b.nanotime()
	cost := min(float64(bytes)/perSecond*1e9, float64(time.Minute))
	c.paidNs = max(c.paidNs, now) + int64(cost)
	return time.Duration(c.paidNs - now)
}

// uncleanable counts the logs of each dir that are not cleaned because that has failed.
func (c *cleaner) uncleanable(d *logDir) (n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget()
	for _, r := range c.failed {
		if r.dir == d {
			n++
		}
	}
	return n
}
