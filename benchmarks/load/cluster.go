package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/benchmarks/workload"
)

// partition is one of those that the load is spread over. It does not change.
type partition struct {
	topic string
	index int32
	id    int // its place in cluster.parts: topics in order, partitions within
}

func (p *partition) String() string { return p.topic + "-" + strconv.Itoa(int(p.index)) }

// layout says who leads what. It does not change once published; a refresh makes a new one.
type layout struct {
	leaders []int32 // by partition.id; -1: none known
	brokers map[int32]address
}

// cluster knows the partitions and finds their leaders.
type cluster struct {
	addrs  []string
	raw    bool
	topics []string
	parts  []*partition
}

// Versions of the two messages of the hot path: the newest that name topics and have no flexible
// encodings (Produce v9, Fetch v12).
const (
	produceVersion = 8
	fetchVersion   = 11
)

func newCluster(addrs []string, raw bool, spec workload.Spec) *cluster {
	c := &cluster{addrs: addrs, raw: raw, topics: spec.TopicNames()}
	for _, topic := range c.topics {
		for i := range spec.Partitions {
			c.parts = append(c.parts, &partition{topic: topic, index: int32(i), id: len(c.parts)})
		}
	}
	return c
}

// open connects to the first bootstrap server that answers.
func (c *cluster) open(ctx context.Context) (*control, error) {
	errs := []error{errors.New("no broker address was given")}
	for i, addr := range c.addrs {
		if i == 0 {
			errs = errs[:0]
		}
		conn, err := openControl(ctx, addr)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// discover makes a layout. Of a limit server, which knows no metadata, the first address leads all.
func (c *cluster) discover(ctx context.Context) (*layout, error) {
	if c.raw {
		if len(c.addrs) == 0 {
			return nil, errors.New("no broker address was given")
		}
		a, err := resolve(c.addrs[0])
		if err != nil {
			return nil, err
		}
		return &layout{
			leaders: make([]int32, len(c.parts)), brokers: map[int32]address{0: a},
		}, nil
	}
	conn, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.close()
	if err := errors.Join(
		conn.need(int16(kmsg.Produce), produceVersion), conn.need(int16(kmsg.Fetch), fetchVersion),
	); err != nil {
		return nil, err
	}
	resp, err := conn.metadata(ctx, c.topics)
	if err != nil {
		return nil, err
	}
	return c.read(resp)
}

// read turns a Metadata answer into a layout. Partitions without a leader are no error here.
func (c *cluster) read(resp *kmsg.MetadataResponse) (*layout, error) {
	v := &layout{leaders: make([]int32, len(c.parts)), brokers: map[int32]address{}}
	for _, b := range resp.Brokers {
		a, err := resolve(net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))))
		if err != nil {
			return nil, err
		}
		v.brokers[b.NodeID] = a
	}
	first := map[string]int{}
	for _, p := range c.parts {
		v.leaders[p.id] = -1
		if p.index == 0 {
			first[p.topic] = p.id
		}
	}
	counts := map[string]int{}
	for _, t := range resp.Topics {
		if t.Topic == nil {
			continue
		}
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return nil, fmt.Errorf("topic %s: %w", *t.Topic, err)
		}
		at, ok := first[*t.Topic]
		for _, tp := range t.Partitions {
			id := at + int(tp.Partition)
			if !ok || tp.Partition < 0 || id >= len(c.parts) || c.parts[id].topic != *t.Topic {
				continue
			}
			counts[*t.Topic]++
			if _, known := v.brokers[tp.Leader]; known {
				v.leaders[id] = tp.Leader
			}
		}
	}
	return v, c.complete(counts)
}

// complete returns an error if a topic has fewer partitions than the load is to be spread over.
func (c *cluster) complete(counts map[string]int) error {
	per := len(c.parts) / len(c.topics)
	for _, topic := range c.topics {
		if counts[topic] < per {
			return fmt.Errorf("topic %s has %d partitions where %d are asked for",
				topic, counts[topic], per)
		}
	}
	return nil
}

// settled discovers until every partition has a leader, for as long as an election may take.
func (c *cluster) settled(ctx context.Context, patience time.Duration) (*layout, error) {
	deadline := time.Now().Add(patience)
	for {
		v, err := c.discover(ctx)
		if err == nil {
			if p := c.leaderless(v); p != nil {
				err = fmt.Errorf("partition %s has no leader", p)
			}
		}
		passing := err == nil || errors.Is(err, kerr.LeaderNotAvailable) ||
			errors.Is(err, kerr.UnknownTopicOrPartition) || v != nil
		if err == nil || !passing || time.Now().After(deadline) {
			return v, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *cluster) leaderless(v *layout) *partition {
	for id, leader := range v.leaders {
		if leader < 0 {
			return c.parts[id]
		}
	}
	return nil
}

// offsets asks each leader for the log start or end of all partitions.
func (c *cluster) offsets(ctx context.Context, v *layout, which int64) ([]int64, error) {
	byLeader := map[int32][]*partition{}
	for _, p := range c.parts {
		byLeader[v.leaders[p.id]] = append(byLeader[v.leaders[p.id]], p)
	}
	out := make([]int64, len(c.parts))
	for leader, parts := range byLeader {
		conn, err := openControl(ctx, v.brokers[leader].text)
		if err != nil {
			return nil, err
		}
		err = conn.offsets(ctx, parts, which, func(p *partition, offset int64) { out[p.id] = offset })
		conn.close()
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
