package kgoload

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// stretch is what a reader reads of one partition.
type stretch struct {
	index      int // partition's number among those of all topics
	topic      string
	partition  int32
	start, end int64 // offsets; a tail reader has no end
	next       atomic.Int64
}

// consumer is one kgo client that reads.
type consumer struct {
	*account
	client *kgo.Client
	// again makes the reader begin anew when it has reached the end of every stretch.
	again bool
	// stamped says that values carry the time at which they were due.
	stamped   bool
	stretches []*stretch
	places    map[string]map[int32]*stretch
	// half is when a backlog run's second half begins; a catch-up reader reads from then on. before
	// and during hold a tail's latencies of the two halves, nil in other modes.
	half           int64
	before, during *result.Histogram
	// started is the earliest due time that this run can have written.
	started int64

	progress atomic.Int64 // when a record arrived last, ns
	passes   atomic.Int64
	foreign  atomic.Int64 // records on the tail that this run did not write
}

func newConsumer(a *account, stretches []*stretch) *consumer {
	c := &consumer{account: a, stretches: stretches, places: map[string]map[int32]*stretch{}}
	for _, s := range stretches {
		s.next.Store(s.start)
		if c.places[s.topic] == nil {
			c.places[s.topic] = map[int32]*stretch{}
		}
		c.places[s.topic][s.partition] = s
	}
	return c
}

// starts is where the reader begins, as kgo wants to be told.
func (c *consumer) starts() map[string]map[int32]kgo.Offset {
	at := map[string]map[int32]kgo.Offset{}
	for topic, partitions := range c.places {
		at[topic] = map[int32]kgo.Offset{}
		for p, s := range partitions {
			at[topic][p] = kgo.NewOffset().At(s.start)
		}
	}
	return at
}

// catchUp waits for the second half of the run and reads from then on.
func (c *consumer) catchUp(ctx context.Context) {
	timer := time.NewTimer(time.Duration(c.half - c.clock.now()))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return
	}
	topics := make([]string, 0, len(c.places))
	for topic := range c.places {
		topics = append(topics, topic)
	}
	c.client.ResumeFetchTopics(topics...)
	c.read(ctx)
}

// read polls until ctx ends.
func (c *consumer) read(ctx context.Context) {
	for {
		fetches := c.client.PollFetches(ctx)
		now := c.clock.now()
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
		fetches.EachError(func(_ string, _ int32, err error) {
			if !errors.Is(err, context.Canceled) {
				c.fail(err)
			}
		})
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if s := c.places[p.Topic][p.Partition]; s != nil && len(p.Records) > 0 {
				c.progress.Store(now)
				c.arrived(s, p.Records, now)
			}
		})
		if c.again && c.atEnd() {
			c.rewind()
		}
	}
}

// arrived checks and counts the records of one partition of a poll.
func (c *consumer) arrived(s *stretch, records []*kgo.Record, now int64) {
	next := s.next.Load()
	gaps := int64(0)
	for _, r := range records {
		if r.Offset != next {
			gaps++
		}
		next = r.Offset + 1
	}
	s.next.Store(next)
	c.mu.Lock()
	defer c.mu.Unlock()
	n := int64(len(records))
	c.point.ConsumedRecords += n
	if c.window.has(now) {
		c.consumed.Records += n
	}
	if gaps > 0 {
		c.failNamed(drive.ErrorOffsetGap, gaps)
	}
	if c.stamped {
		c.timed(records, now)
	}
}

// timed counts how long ago the records were due; account.mu is held.
func (c *consumer) timed(records []*kgo.Record, now int64) {
	h := c.stages[result.StageE2E]
	for _, r := range records {
		if len(r.Value) < stampBytes {
			continue
		}
		due := int64(binary.BigEndian.Uint64(r.Value)) - c.clock.monotonic
		if due < c.started || due > now {
			c.foreign.Add(1)
			continue
		}
		if !c.window.has(due) {
			continue
		}
		c.record(result.StageE2E, h, now-due)
		switch {
		case c.before == nil:
		case due < c.half:
			c.before.Record(now - due)
		default:
			c.during.Record(now - due)
		}
	}
}

func (c *consumer) atEnd() bool {
	for _, s := range c.stretches {
		if s.next.Load() < s.end {
			return false
		}
	}
	return true
}

// rewind lets the reader begin anew.
func (c *consumer) rewind() {
	to := map[string]map[int32]kgo.EpochOffset{}
	for topic, partitions := range c.places {
		to[topic] = map[int32]kgo.EpochOffset{}
		for p, s := range partitions {
			to[topic][p] = kgo.EpochOffset{Epoch: -1, Offset: s.start}
			s.next.Store(s.start)
		}
	}
	c.passes.Add(1)
	c.client.SetOffsets(to)
}

// behind is how many acknowledged records a tail reader has not seen yet.
func (c *consumer) behind(acked *frontier) int64 {
	var n int64
	for _, s := range c.stretches {
		n += max(0, acked.get(s.index)-s.next.Load())
	}
	return n
}

// span is the part of a partition's log that exists before the run.
type span struct{ start, end int64 }

// share gives reader i of n its stretches: partitions are dealt round in turn; where there are more
// readers than partitions, several read the same one, each for itself.
func share(spec *workload.Spec, spans []span, i, n int) []*stretch {
	var mine []*stretch
	topics := spec.TopicNames()
	for index := range spans {
		if index%n != i%min(n, len(spans)) {
			continue
		}
		mine = append(mine, &stretch{
			index: index, topic: topics[index/spec.Partitions],
			partition: int32(index % spec.Partitions),
			start:     spans[index].start, end: spans[index].end,
		})
	}
	return mine
}
