package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/cmd/sluice/internal/client"
)

const (
	// outageMax is how long a consumer tries to get back to a lost cluster.
	outageMax = 60 * time.Second
	// fetchBytesMax and fetchPartitionBytesMax are per request; they are large since a tool that
	// reads a topic through wants few round trips and has the memory.
	fetchBytesMax          = 64 << 20
	fetchPartitionBytesMax = 8 << 20
	// boundedWait is how long a broker may wait for records when the end is known in advance, so
	// that the last fetch of a partition does not hold up the next partition.
	boundedWait = 20 * time.Millisecond
	// quietMax is after how long without a record a bounded reader asks whether there are any.
	quietMax = 250 * time.Millisecond
	// outputBytes is the buffer before standard output.
	outputBytes = 256 << 10
)

// printer writes a record to the output.
type printer func(w *bufio.Writer, r *kgo.Record, number int64) error

// errEnough ends a consumer that has printed as many records as it should.
var errEnough = errors.New("enough")

// consumer prints the records of some partitions.
type consumer struct {
	cl        *kgo.Client
	out       *bufio.Writer
	print     printer
	max       int64 // Stop after so many records; 0 is no bound.
	committed bool
	warnf     func(format string, args ...any)
	// tolerant waits for topics and partitions that do not exist, as Kafka's consumer does.
	tolerant bool
	warned   bool
	// sessionLost is when the group's session was lost, zero while there is one.
	sessionLost time.Time

	count int64 // Printed so far.
}

// isolation is the option of the client for a committed or uncommitted reader.
func isolation(committed bool) kgo.IsolationLevel {
	if committed {
		return kgo.ReadCommitted()
	}
	return kgo.ReadUncommitted()
}

// consumerOptions are the options that all consumers share.
func consumerOptions(s *client.Settings, committed bool, wait time.Duration) ([]kgo.Opt, error) {
	fetch, err := s.Bytes("fetch.max.bytes", fetchBytesMax)
	if err != nil {
		return nil, err
	}
	part, err := s.Bytes("max.partition.fetch.bytes", fetchPartitionBytesMax)
	if err != nil {
		return nil, err
	}
	minimum, err := s.Bytes("fetch.min.bytes", 1)
	if err != nil {
		return nil, err
	}
	opts := []kgo.Opt{
		kgo.FetchMaxBytes(fetch), kgo.FetchMaxPartitionBytes(part), kgo.FetchMinBytes(minimum),
		kgo.FetchMaxWait(s.Millis("fetch.max.wait.ms", wait)),
		kgo.FetchIsolationLevel(isolation(committed)),
	}
	if rack := s.Get("client.rack", ""); rack != "" {
		opts = append(opts, kgo.Rack(rack))
	}
	return opts, nil
}

// follow prints what comes, in offset order within each partition, until the context ends.
func (c *consumer) follow(ctx context.Context) error {
	for {
		fetches := c.cl.PollFetches(ctx)
		if err := c.fetchError(ctx, fetches); err != nil {
			return err
		}
		if fetches.NumRecords() > 0 {
			c.sessionLost = time.Time{}
		}
		if err := c.printAll(ordered(fetches)); err != nil {
			return err
		}
		if err := c.out.Flush(); err != nil {
			return err
		}
	}
}

// fetchError returns what ends a consumer: the context's end, or an error that trying again does
// not heal.
func (c *consumer) fetchError(ctx context.Context, fetches kgo.Fetches) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, e := range fetches.Errors() {
		var lost *kgo.ErrDataLoss
		if errors.As(e.Err, &lost) {
			c.warnf("topic %s, partition %d: the log no longer has offset %d, going on at %d",
				e.Topic, e.Partition, lost.ConsumedTo, lost.ResetTo)
			continue
		}
		if errors.Is(e.Err, context.DeadlineExceeded) {
			continue
		}
		var session *kgo.ErrGroupSession
		if errors.As(e.Err, &session) {
			if err := c.sessionError(session); err != nil {
				return err
			}
			continue
		}
		if c.tolerant && errors.Is(e.Err, errUnknownTopic) {
			if !c.warned {
				c.warnf("topic %s, partition %d does not exist; waiting for it", e.Topic, e.Partition)
			}
			c.warned = true
			continue
		}
		return fmt.Errorf("topic %s, partition %d: %w", e.Topic, e.Partition, client.Explain(e.Err, ""))
	}
	return nil
}

// sessionError says whether the loss of the group's session is the end. The client joins again by
// itself; a broker that is being restarted is back before long.
func (c *consumer) sessionError(lost *kgo.ErrGroupSession) error {
	var refused *kerr.Error
	if errors.As(lost.Err, &refused) && !refused.Retriable {
		return fmt.Errorf("group session: %w", client.Explain(lost.Err, ""))
	}
	now := time.Now()
	switch {
	case c.sessionLost.IsZero():
		c.sessionLost = now
		c.warnf("lost the group's coordinator, joining again: %v", client.Explain(lost.Err, ""))
	case now.Sub(c.sessionLost) > outageMax:
		return fmt.Errorf("group session: %w", client.Explain(lost.Err, ""))
	}
	return nil
}

// ordered returns the fetched partitions sorted by topic and number.
func ordered(fetches kgo.Fetches) []kgo.FetchTopicPartition {
	var parts []kgo.FetchTopicPartition
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if len(p.Records) > 0 {
			parts = append(parts, p)
		}
	})
	sort.SliceStable(parts, func(i, j int) bool {
		if parts[i].Topic != parts[j].Topic {
			return parts[i].Topic < parts[j].Topic
		}
		return parts[i].Partition < parts[j].Partition
	})
	return parts
}

func (c *consumer) printAll(parts []kgo.FetchTopicPartition) error {
	for _, p := range parts {
		for _, r := range p.Records {
			if err := c.one(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *consumer) one(r *kgo.Record) error {
	if r.Attrs.IsControl() {
		return nil
	}
	if err := c.print(c.out, r, c.count+1); err != nil {
		return err
	}
	c.count++
	if c.count == c.max {
		return errEnough
	}
	return nil
}

// through prints the cursors one after the other, each from its first to its last offset. The
// client must have been made with cursorOptions.
func (c *consumer) through(ctx context.Context, cursors []cursor) error {
	for i := range cursors {
		k := &cursors[i]
		if k.next >= k.end {
			continue
		}
		part := map[string][]int32{k.topic: {k.partition}}
		c.cl.ResumeFetchPartitions(part)
		if err := c.partition(ctx, k); err != nil {
			return err
		}
		c.cl.PauseFetchPartitions(part)
	}
	return nil
}

func (c *consumer) partition(ctx context.Context, k *cursor) error {
	for k.next < k.end {
		poll, cancel := context.WithTimeout(ctx, quietMax)
		fetches := c.cl.PollFetches(poll)
		cancel()
		if err := c.fetchError(ctx, fetches); err != nil {
			return err
		}
		before := k.next
		for _, p := range ordered(fetches) {
			for _, r := range p.Records {
				if r.Topic != k.topic || r.Partition != k.partition || r.Offset >= k.end {
					continue
				}
				if err := c.one(r); err != nil {
					return err
				}
			}
			last := p.Records[len(p.Records)-1]
			if last.Topic == k.topic && last.Partition == k.partition {
				k.next = max(k.next, last.Offset+1)
			}
		}
		if err := c.out.Flush(); err != nil {
			return err
		}
		if k.next == before {
			if err := c.skipGap(ctx, k); err != nil {
				return err
			}
		}
	}
	return nil
}

// skipGap moves a cursor over offsets that hold no record: compaction may have removed those just
// before the end, and a client that only sees records would wait for them for ever. It asks for raw
// batches, whose headers still tell which offsets they covered.
func (c *consumer) skipGap(ctx context.Context, k *cursor) error {
	resp, leader, err := c.rawFetch(ctx, k)
	if err != nil || leader < 0 {
		return err
	}
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			rp := &resp.Topics[i].Partitions[j]
			got, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
				Offset: k.next, IsolationLevel: isolation(c.committed),
				Topic: k.topic, Partition: k.partition, KeepControlRecords: true,
			}, rp, kgo.DefaultDecompressor(), nil)
			if rp.ErrorCode == 0 && len(got.Records) == 0 && next > k.next {
				k.next = next
			}
		}
	}
	return nil
}

// rawFetch fetches from a cursor's position from the partition's leader. A leader of -1 says that
// there is none just now.
func (c *consumer) rawFetch(ctx context.Context, k *cursor) (*kmsg.FetchResponse, int32, error) {
	ctx, cancel := context.WithTimeout(ctx, pingTopicTimeout)
	defer cancel()
	topics, err := kadm.NewClient(c.cl).ListTopicsWithInternal(ctx, k.topic)
	if err != nil {
		return nil, -1, err
	}
	topic := topics[k.topic]
	if topic.Err != nil {
		return nil, -1, fmt.Errorf("topic %s: %w", k.topic, topic.Err)
	}
	leader := topic.Partitions[k.partition].Leader
	if leader < 0 {
		return nil, -1, nil
	}
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset = k.partition, k.next
	part.PartitionMaxBytes = fetchPartitionBytesMax
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID, rt.Partitions = k.topic, topic.ID, append(rt.Partitions, part)
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.SessionEpoch = fetchPartitionBytesMax, -1
	if c.committed {
		req.IsolationLevel = 1
	}
	req.Topics = append(req.Topics, rt)
	resp, err := c.cl.Broker(int(leader)).Request(ctx, req)
	if err != nil {
		return nil, -1, err
	}
	return resp.(*kmsg.FetchResponse), leader, nil
}

// cursorOptions are options of a client that reads cursors.
func cursorOptions(cursors []cursor) kgo.Opt {
	parts := map[string]map[int32]kgo.Offset{}
	for _, k := range cursors {
		if k.end >= 0 && k.next >= k.end {
			continue
		}
		if parts[k.topic] == nil {
			parts[k.topic] = map[int32]kgo.Offset{}
		}
		parts[k.topic][k.partition] = kgo.NewOffset().At(k.next)
	}
	return kgo.ConsumePartitions(parts)
}

// pauseAll pauses the partitions of cursors, so that through can read them in order.
func pauseAll(cl *kgo.Client, cursors []cursor) {
	parts := map[string][]int32{}
	for _, k := range cursors {
		parts[k.topic] = append(parts[k.topic], k.partition)
	}
	cl.PauseFetchPartitions(parts)
}

// partitionsOf returns the partitions of the topics, in the order of the topics and then by number,
// or only those in wanted if it is not empty. A topic or partition that does not exist is an error.
func partitionsOf(all kadm.TopicDetails, topics []string, wanted []int32) ([]cursor, error) {
	var out []cursor
	for _, name := range topics {
		t, ok := all[name]
		if !ok || t.Err != nil {
			if !ok {
				return nil, topicError(name, errUnknownTopic)
			}
			return nil, topicError(name, t.Err)
		}
		for _, p := range wanted {
			if _, ok := t.Partitions[p]; !ok {
				return nil, fmt.Errorf("topic %s has no partition %d: it has %s", name, p,
					plural(len(t.Partitions), "partition"))
			}
		}
		for _, p := range t.Partitions.Sorted() {
			if len(wanted) == 0 || slices.Contains(wanted, p.Partition) {
				out = append(out, cursor{topic: name, partition: p.Partition})
			}
		}
	}
	return out, nil
}

// newOutput buffers an output for a consumer.
func newOutput(w io.Writer) *bufio.Writer { return bufio.NewWriterSize(w, outputBytes) }
