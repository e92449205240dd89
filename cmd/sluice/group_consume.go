package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/cmd/sluice/internal/client"
)

const (
	// commitEvery is how often a member of a group commits what it has printed, as Kafka's consumers do.
	commitEvery = 5 * time.Second
	// commitMin is the shortest pause between commits that the client library takes.
	commitMin = 100 * time.Millisecond
	// leaveMax bounds the last commit and the leaving of a group.
	leaveMax = 10 * time.Second
)

// assignors are the ways of sharing partitions out that a member offers, by the names of Kafka's
// classes.
var assignors = map[string]func() kgo.GroupBalancer{
	"RangeAssignor":             kgo.RangeBalancer,
	"RoundRobinAssignor":        kgo.RoundRobinBalancer,
	"StickyAssignor":            kgo.StickyBalancer,
	"CooperativeStickyAssignor": kgo.CooperativeStickyBalancer,
}

// membership is how a consumer takes part in a group.
type membership struct {
	opts []kgo.Opt
	// commits says that printed records are committed: every few seconds and at the end.
	commits bool
}

// joinGroup returns the options of a member of a group. A record counts as read once it has been
// written to the output, so after a crash some are printed again, and none is lost.
func joinGroup(s *client.Settings, group string, start kgo.Offset) (*membership, error) {
	if p := s.Get("group.protocol", "classic"); !strings.EqualFold(p, "classic") {
		return nil, fmt.Errorf("group.protocol=%s is not supported by these tools: only classic is", p)
	}
	balancers, err := balancersOf(s.Get("partition.assignment.strategy",
		"RangeAssignor,CooperativeStickyAssignor"))
	if err != nil {
		return nil, err
	}
	m := &membership{commits: !strings.EqualFold(s.Get("enable.auto.commit", "true"), "false")}
	m.opts = []kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeStartOffset(start), kgo.ConsumeResetOffset(start),
		kgo.Balancers(balancers...), kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(s.Millis("session.timeout.ms", 45*time.Second)),
		kgo.HeartbeatInterval(s.Millis("heartbeat.interval.ms", 3*time.Second)),
		kgo.RebalanceTimeout(s.Millis("max.poll.interval.ms", 5*time.Minute)),
		// Markers of transactions are not printed, but they are read: a lag must not count them.
		kgo.KeepControlRecords(),
	}
	if id := s.Get("group.instance.id", ""); id != "" {
		m.opts = append(m.opts, kgo.InstanceID(id))
	}
	if m.commits {
		m.opts = append(m.opts, kgo.AutoCommitMarks(),
			kgo.AutoCommitInterval(max(s.Millis("auto.commit.interval.ms", commitEvery), commitMin)))
	} else {
		m.opts = append(m.opts, kgo.DisableAutoCommit())
	}
	return m, nil
}

// balancersOf reads a list of Kafka's classes, with or without their package.
func balancersOf(list string) ([]kgo.GroupBalancer, error) {
	var out []kgo.GroupBalancer
	for _, class := range splitList(list) {
		balancer := assignors[class[strings.LastIndexByte(class, '.')+1:]]
		if balancer == nil {
			return nil, fmt.Errorf("partition.assignment.strategy: %s is a Java class that these tools "+
				"cannot load", class)
		}
		out = append(out, balancer())
	}
	if len(out) == 0 {
		return nil, errors.New("partition.assignment.strategy is empty")
	}
	return out, nil
}

// followGroup prints what comes, as follow does, and marks what has left for the output as read.
// No partition is taken away between a poll and the mark.
func (c *consumer) followGroup(ctx context.Context) error {
	for {
		fetches := c.cl.PollFetches(ctx)
		err := c.fetchError(ctx, fetches)
		var done []*kgo.Record
		if err == nil {
			done, err = c.printParts(ordered(fetches))
		}
		if flushErr := c.out.Flush(); flushErr != nil {
			return flushErr
		}
		c.cl.MarkCommitRecords(done...)
		if err != nil {
			return err
		}
		c.cl.AllowRebalance()
	}
}

// printParts prints fetched partitions and returns the last record of each that was dealt with.
func (c *consumer) printParts(parts []kgo.FetchTopicPartition) (done []*kgo.Record, err error) {
	for _, p := range parts {
		var last *kgo.Record
		for _, r := range p.Records {
			err = c.one(r)
			if err == nil || errors.Is(err, errEnough) {
				last = r
			}
			if err != nil {
				break
			}
		}
		if last != nil {
			done = append(done, last)
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// leave commits what was printed and leaves the group, so that others need not wait for a session to
// run out. It returns what went wrong with the commit.
func (c *consumer) leave(m *membership) error {
	ctx, cancel := context.WithTimeout(context.Background(), leaveMax)
	defer cancel()
	var err error
	if m.commits {
		err = c.cl.CommitMarkedOffsets(ctx)
	}
	left := make(chan struct{})
	go func() {
		defer close(left)
		c.cl.CloseAllowingRebalance()
	}()
	select {
	case <-left:
	case <-ctx.Done():
	}
	if err != nil {
		return fmt.Errorf("what was printed last could not be committed: %w", explained(err))
	}
	return nil
}

// consumeInGroup runs a consumer as a member of a group until it has enough or its context ends.
func (a *app) consumeInGroup(ctx context.Context, s *client.Settings, run *consumer, m *membership,
	opts []kgo.Opt,
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch, stop := a.watch(cancel, outageMax)
	defer stop()
	var err error
	opts = append(opts, m.opts...)
	if run.cl, err = s.Dial(ctx, append(opts, kgo.WithHooks(watch))...); err != nil {
		return err
	}
	err = run.followGroup(ctx)
	if left := run.leave(m); left != nil {
		a.warnf("%v", left)
	}
	return err
}
