package groups

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/benchmarks/measure"
	"sluice/benchmarks/result"
)

// The parts of a run.
const (
	Steady       = "steady"
	Rebalance    = "rebalance"
	Commits      = "commits"
	Transactions = "transactions"
)

// Parts lists them in the order in which they run.
func Parts() []string { return []string{Steady, Rebalance, Commits, Transactions} }

// Options say what to measure.
type Options struct {
	// Addr is a broker's address, Pid its process for its CPU time, 0 if that is not known.
	Addr string
	Pid  int
	// Parts are those to run.
	Parts []string
	// Groups of Members each send heartbeats every Heartbeat in the part steady.
	Groups, Members int
	Heartbeat       time.Duration
	// LargeMembers share LargePartitions in the part rebalance.
	LargeMembers, LargePartitions int
	// Connections commit offsets of OffsetsEach partitions a request, Depth requests in flight each.
	Connections, Depth, OffsetsEach int
	// Producers end transactions of one record each.
	Producers int
	// Duration is measured time of each part but rebalance, after Warmup.
	Warmup, Duration time.Duration
	// Topic is made for commits and transactions, with one partition for each connection or producer,
	// and deleted afterwards.
	Topic string
	// Log, unless nil, is told what goes on.
	Log func(text string)
}

// Defaults is the plan of the goals: 1,000 groups of 10, one group of 1,000.
func Defaults() Options {
	return Options{
		Parts: Parts(), Groups: 1000, Members: 10, Heartbeat: 3 * time.Second,
		LargeMembers: 1000, LargePartitions: 10_000,
		Connections: 16, Depth: 8, OffsetsEach: 1, Producers: 16,
		Warmup: 2 * time.Second, Duration: 15 * time.Second, Topic: "sluice-bench-groups",
	}
}

// Check says what is impossible about the options.
func (o *Options) Check() error {
	for _, p := range o.Parts {
		switch p {
		case Steady, Rebalance, Commits, Transactions:
		default:
			return fmt.Errorf("part %q is none of %s", p, strings.Join(Parts(), ", "))
		}
	}
	for _, x := range []struct {
		name     string
		n        int
		min, max int
	}{
		{"groups", o.Groups, 1, 100_000},
		{"members", o.Members, 1, 10_000},
		{"large-members", o.LargeMembers, 1, 20_000},
		{"large-partitions", o.LargePartitions, 1, 1_000_000},
		{"connections", o.Connections, 1, 1000},
		{"depth", o.Depth, 1, 1000},
		{"offsets-each", o.OffsetsEach, 1, 1000},
		{"producers", o.Producers, 1, 1000},
	} {
		if x.n < x.min || x.n > x.max {
			return fmt.Errorf("--%s is %d, allowed are %d to %d", x.name, x.n, x.min, x.max)
		}
	}
	if o.Heartbeat < 100*time.Millisecond || o.Duration < time.Second || o.Warmup < 0 {
		return errors.New("--heartbeat is at least 100ms, --duration 1s, --warmup 0")
	}
	return nil
}

// Part is what one part has seen.
type Part struct {
	Name string
	// Seconds is measured time; of rebalance, from the first join to the last member's assignment.
	Seconds float64
	// Count is how many heartbeats, commit requests or transactions were completed in it.
	Count int64
	// Offsets is how many offsets the commits held.
	Offsets int64
	// Latency is each one's; of transactions, from the first byte of the record to the end's answer.
	Latency *result.Histogram
	// StableSeconds is how long all members took to get an assignment; Members and Partitions how
	// many there were.
	StableSeconds       float64
	Members, Partitions int
	// Rebalances disturbed measured time; there should be none.
	Rebalances int64
	Errors     map[string]int64
	// BrokerCPU is the broker's CPU time over measured time, 1 standing for one core; -1 if unknown.
	BrokerCPU float64
	// BrokerRSSBytes is its memory at the end.
	BrokerRSSBytes int64
	// Failed says why the part came to nothing, empty if it did not.
	Failed string
}

// Run carries the parts out, one after the other. A part that fails is in the answer, and the others
// still run; the error is that of impossible options.
func Run(ctx context.Context, o Options) ([]Part, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = func(string) {}
	}
	var parts []Part
	for _, name := range o.Parts {
		if ctx.Err() != nil {
			break
		}
		p := Part{Name: name, BrokerCPU: -1}
		var err error
		switch name {
		case Steady:
			err = steady(ctx, &o, &p)
		case Rebalance:
			err = rebalance(ctx, &o, &p)
		case Commits:
			err = commits(ctx, &o, &p)
		case Transactions:
			err = transactions(ctx, &o, &p)
		}
		if err != nil {
			p.Failed = err.Error()
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// meter measures the broker's process over measured time.
type meter struct {
	process *measure.ProcessMeter
	began   time.Time
	first   measure.ProcessSample
}

func newMeter(pid int) *meter {
	m := &meter{began: time.Now()}
	if pid == 0 {
		return m
	}
	process, err := measure.OpenProcess("/", pid)
	if err != nil {
		return m
	}
	if process.Sample(&m.first) == nil {
		m.process = process
	}
	return m
}

func (m *meter) end(p *Part) {
	p.Seconds = time.Since(m.began).Seconds()
	if m.process == nil {
		return
	}
	defer m.process.Close()
	var last measure.ProcessSample
	if m.process.Sample(&last) != nil {
		return
	}
	p.BrokerCPU = float64(last.CPUNanos-m.first.CPUNanos) / 1e9 / p.Seconds
	p.BrokerRSSBytes = last.Memory.RSSBytes
}

// measured counts for the run's duration, after its warm-up.
func measured(ctx context.Context, o *Options, t *tally, p *Part) error {
	if err := pause(ctx, o.Warmup); err != nil {
		return err
	}
	m := newMeter(o.Pid)
	t.count(true)
	err := pause(ctx, o.Duration)
	t.count(false)
	m.end(p)
	t.seen(p)
	return err
}

// gatherMembers makes the members and lets them live until ctx ends; wait returns when all are gone.
func gatherMembers(
	ctx context.Context, o *Options, groups, each, partitions int, prefix string, t *tally,
) (c *crowd, wait func(), err error) {
	c = &crowd{}
	var lives sync.WaitGroup
	names := make([]string, 0, groups)
	wait = func() {
		lives.Wait()
		deleteGroups(ctx, o.Addr, names)
	}
	for g := range groups {
		group := fmt.Sprintf("sluice-bench-%s-%d-%d", prefix, time.Now().UnixNano(), g)
		names = append(names, group)
		addr, err := coordinator(ctx, o.Addr, ofGroup, group)
		if err != nil {
			return nil, wait, err
		}
		for range each {
			conn, err := dial(ctx, addr)
			if err != nil {
				return nil, wait, err
			}
			m := &member{
				group: group, topic: o.Topic, partitions: partitions, heartbeat: o.Heartbeat,
				conn: conn, tally: t,
			}
			lives.Go(func() {
				defer conn.Close()
				m.run(ctx, c)
			})
		}
	}
	return c, wait, nil
}

// deleteGroups takes away groups that all members have left. What cannot be deleted, as the groups of
// members that were cut off, goes by itself when their sessions have ended.
func deleteGroups(ctx context.Context, addr string, names []string) {
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return
	}
	defer cl.Close()
	_, _ = kadm.NewClient(cl).DeleteGroups(clean, names...)
}

// awaitStable waits until all members have their assignment.
func awaitStable(ctx context.Context, c *crowd, members, partitions int) (time.Time, error) {
	for {
		stable, assigned, last, err := c.state()
		if err != nil {
			return last, err
		}
		if stable == members && assigned == partitions {
			return last, nil
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return last, fmt.Errorf("%d of %d members have an assignment: %w", stable, members, err)
		}
	}
}

func steady(parent context.Context, o *Options, p *Part) error {
	ctx, cancel := context.WithCancel(parent)
	t, members := newTally(), o.Groups*o.Members
	began := time.Now()
	c, wait, err := gatherMembers(ctx, o, o.Groups, o.Members, o.Members, "steady", t)
	defer wait()
	defer cancel()
	if err != nil {
		return err
	}
	o.Log(fmt.Sprintf("steady: %d members are joining", members))
	stable, err := awaitStable(ctx, c, members, members)
	if err != nil {
		return err
	}
	p.StableSeconds, p.Members, p.Partitions = stable.Sub(began).Seconds(), members, members
	o.Log("steady: all are stable")
	if err := measured(ctx, o, t, p); err != nil {
		return err
	}
	_, _, _, err = c.state()
	return err
}

func rebalance(parent context.Context, o *Options, p *Part) error {
	ctx, cancel := context.WithCancel(parent)
	t := newTally()
	m := newMeter(o.Pid)
	began := time.Now()
	c, wait, err := gatherMembers(ctx, o, 1, o.LargeMembers, o.LargePartitions, "large", t)
	defer wait()
	defer cancel()
	if err != nil {
		return err
	}
	stable, err := awaitStable(ctx, c, o.LargeMembers, o.LargePartitions)
	if err != nil {
		return err
	}
	m.end(p)
	p.StableSeconds = stable.Sub(began).Seconds()
	p.Seconds = p.StableSeconds
	p.Members, p.Partitions = o.LargeMembers, o.LargePartitions
	return nil
}
