package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// seekForms names what --to takes, for messages and help.
const seekForms = "start, end, N, @TIME, or +N and -N from where it is"

type seekFlags struct {
	to      string
	topics  []string
	execute bool
}

// move is where one partition of a group is and where it is to go.
type move struct {
	topicPartition
	From *int64 `json:"from"`
	To   int64  `json:"to"`
}

func (a *app) groupSeekCmd() *cobra.Command {
	var f seekFlags
	c := &cobra.Command{
		Use:   "seek GROUP",
		Short: "Set where a group goes on reading",
		Long: "Seek sets the committed offsets of a group that has no members: of all topics that it has\n" +
			"committed, or of those given, which it need not have read before. It prints what it would do;\n" +
			"--execute does it. Offsets outside of a log move to its nearest end.\n\n" +
			"Targets: " + seekForms + ". A time is seconds or\n" +
			"milliseconds since 1970, 2006-01-02, RFC 3339, or -1h30m for that long ago.",
		Example: "  sluice group seek billing --to start --execute\n" +
			"  sluice group seek billing --to -100 --topic orders:0,1\n" +
			"  sluice group seek billing --to @-1h --topic orders --topic payments --execute",
		Args: cobra.ExactArgs(1),
	}
	fl := c.Flags()
	fl.StringVar(&f.to, "to", "", "where to go on: "+seekForms)
	fl.StringArrayVarP(&f.topics, "topic", "t", nil, "only `topic[:N,N]`; may be repeated")
	fl.BoolVar(&f.execute, "execute", false, "do it, rather than only say what would be done")
	a.addOutput(c, true)
	c.RunE = func(c *cobra.Command, args []string) error {
		target, err := parseSeek(f.to, time.Now())
		if err != nil {
			return err
		}
		parts, err := parseTopicPartitions(f.topics)
		if err != nil {
			return err
		}
		return a.ask(c, func(ctx context.Context, adm *kadm.Client, _ *kgo.Client) error {
			moves, err := planSeek(ctx, adm, args[0], target, parts)
			if err != nil {
				return err
			}
			if f.execute {
				to := map[topicPartition]int64{}
				for _, m := range moves {
					to[m.topicPartition] = m.To
				}
				if err := commitOffsets(ctx, adm, args[0], to); err != nil {
					return groupError(args[0], err)
				}
			}
			return a.printMoves(moves, f.execute)
		})
	}
	return c
}

// seekTarget is a point of a log, or with shift a distance from the committed offset.
type seekTarget struct {
	point
	shift bool
}

func parseSeek(text string, now time.Time) (seekTarget, error) {
	if text == "" {
		return seekTarget{}, usagef("--to is missing; it must be one of %s", seekForms)
	}
	if text[0] == '+' || text[0] == '-' {
		n, err := strconv.ParseInt(text, 10, 64)
		if err == nil {
			return seekTarget{point{n: n}, true}, nil
		}
	} else if p, err := parsePoint(text, now); err == nil {
		return seekTarget{point: p}, nil
	}
	return seekTarget{}, usagef("--to %s: it must be one of %s", text, seekForms)
}

// planSeek looks up where each partition is to go. The group must be empty.
func planSeek(ctx context.Context, adm *kadm.Client, group string, target seekTarget,
	wanted map[string][]int32,
) ([]move, error) {
	g, err := describeGroup(ctx, adm, group)
	switch {
	case errors.Is(err, errNoGroup):
		if len(wanted) == 0 {
			return nil, fmt.Errorf("group %s does not exist; with --topic its offsets can be set all the same",
				group)
		}
	case err != nil:
		return nil, groupError(group, err)
	case len(g.Members) > 0:
		return nil, fmt.Errorf("group %s is %s with %s: its offsets can be set only while nobody is in "+
			"it, so stop its consumers first", group, g.State, plural(len(g.Members), "member"))
	}
	committed := kadm.OffsetResponses{}
	if g != nil {
		if committed, err = adm.FetchOffsets(ctx, group); err != nil {
			return nil, groupError(group, err)
		}
	}
	parts, err := seekPartitions(ctx, adm, committed, wanted)
	if err != nil || len(parts) == 0 {
		return nil, err
	}
	return resolveSeek(ctx, adm, target, committed, parts)
}

// seekPartitions are the partitions that are wanted, or all that a group has committed.
func seekPartitions(ctx context.Context, adm *kadm.Client, committed kadm.OffsetResponses,
	wanted map[string][]int32,
) ([]topicPartition, error) {
	var parts []topicPartition
	if len(wanted) == 0 {
		for _, o := range committed.Sorted() {
			if o.At >= 0 {
				parts = append(parts, topicPartition{o.Topic, o.Partition})
			}
		}
		return parts, nil
	}
	topics := make([]string, 0, len(wanted))
	for topic := range wanted {
		topics = append(topics, topic)
	}
	slices.Sort(topics)
	all, err := adm.ListTopicsWithInternal(ctx, topics...)
	if err != nil {
		return nil, err
	}
	for _, topic := range topics {
		cursors, err := partitionsOf(all, []string{topic}, wanted[topic])
		if err != nil {
			return nil, err
		}
		for _, k := range cursors {
			parts = append(parts, topicPartition{k.topic, k.partition})
		}
	}
	return parts, nil
}

func resolveSeek(ctx context.Context, adm *kadm.Client, target seekTarget,
	committed kadm.OffsetResponses, parts []topicPartition,
) ([]move, error) {
	var topics []string
	for _, p := range parts {
		if !slices.Contains(topics, p.Topic) {
			topics = append(topics, p.Topic)
		}
	}
	r, err := newResolver(ctx, adm, span{from: target.point}, false, topics)
	if err != nil {
		return nil, err
	}
	var moves []move
	for _, p := range parts {
		m := move{topicPartition: p}
		where := span{from: target.point}
		if o, ok := committed.Lookup(p.Topic, p.Partition); ok && o.At >= 0 {
			m.From = &o.At
		}
		if target.shift {
			if m.From == nil {
				return nil, fmt.Errorf("topic %s, partition %d: the group has committed nothing that %+d could "+
					"count from", p.Topic, p.Partition, target.n)
			}
			where.from = point{atOffset, *m.From + target.n}
		}
		k, err := r.cursor(where, p.Topic, p.Partition)
		if err != nil {
			return nil, err
		}
		m.To = k.next
		moves = append(moves, m)
	}
	return moves, nil
}

func (a *app) printMoves(moves []move, executed bool) error {
	if a.json() {
		if moves == nil {
			moves = []move{}
		}
		return a.printJSON(struct {
			Executed bool   `json:"executed"`
			Moves    []move `json:"moves"`
		}{executed, moves})
	}
	rows := [][]string{{"TOPIC", "PARTITION", "FROM", "TO"}}
	for _, m := range moves {
		rows = append(rows, []string{
			m.Topic, strconv.Itoa(int(m.Partition)), offsetOrDash(m.From), strconv.FormatInt(m.To, 10),
		})
	}
	if err := table(a.out, rows); err != nil {
		return err
	}
	if !executed {
		a.warnf("nothing was changed; --execute sets these offsets")
	}
	return nil
}
