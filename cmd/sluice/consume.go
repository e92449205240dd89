package main

import (
	"bufio"
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/cmd/sluice/internal/client"
	"sluice/cmd/sluice/internal/recfmt"
)

var errUnknownTopic error = kerr.UnknownTopicOrPartition

type consumeFlags struct {
	topics     []string
	offset     string
	partitions []int32
	format     string
	num        int64
	committed  bool
	exitAtEnd  bool
	group      string
}

func (a *app) consumeCmd() *cobra.Command {
	var f consumeFlags
	c := &cobra.Command{
		Use:   "consume TOPIC…",
		Short: "Print the records of topics",
		Long: "Consume prints records of topics, by default each value on a line, from the start and on and\n" +
			"on. With an end (-e, or -o FROM:TO) it prints one partition after the other, so that the same\n" +
			"log gives the same output; without one, records come as they arrive, in offset order within\n" +
			"each partition. Ctrl-C ends it with exit code 0.\n\n" +
			"With --group it shares the partitions with the other members of a consumer group and goes on\n" +
			"where the group has committed; -o start or end says where to begin where it has not. It commits\n" +
			"what it has printed every 5 seconds, and when it ends.\n\n" +
			"Offsets: " + offsetForms + ". A time is seconds or milliseconds since\n" +
			"1970, 2006-01-02, RFC 3339, or -1h30m for that long ago. TO is not printed.\n\n" +
			"Formats: %t topic, %p partition, %o offset, %k key, %v value, %h headers, %d time in ms,\n" +
			"%K %V %H sizes and number of headers, %e leader epoch, %i running number, %% percent;\n" +
			"%v{hex}, %v{base64}, %v{json}, %V{big32}, %d{iso}, %d{go[15:04]}, %h{%k=%v;}; \\n \\t \\0 \\xNN.",
		Example: "  sluice consume greetings -o start -e\n" +
			"  sluice consume orders payments -o end\n" +
			"  sluice consume orders -o -10 --num 10 -f '%p %o %k=%v\\n'\n" +
			"  sluice consume orders -p 0 -o @-1h:end --output json\n" +
			"  sluice consume orders -o 100:200\n" +
			"  sluice consume orders --group billing",
		Args: cobra.MinimumNArgs(1),
	}
	fl := c.Flags()
	fl.StringVarP(&f.offset, "offset", "o", "start", "where to begin, and end: "+offsetForms)
	fl.Int64VarP(&f.num, "num", "n", 0, "end after `N` records; 0 is no bound")
	fl.Int32SliceVarP(&f.partitions, "partitions", "p", nil, "only these partitions, `N,N`")
	fl.Lookup("partitions").DefValue = "" // Or the help would show an empty Go slice.
	fl.StringVarP(&f.format, "format", "f", `%v\n`, "how to print a record")
	fl.BoolVar(&f.committed, "read-committed", false, "leave out what transactions have not committed")
	fl.BoolVarP(&f.exitAtEnd, "exit-at-end", "e", false, "end at what is the end of the log now")
	fl.StringVarP(&f.group, "group", "g", "", "share the partitions with the other members of a `group`")
	a.addOutput(c, false)
	c.RunE = func(c *cobra.Command, args []string) error {
		f.topics = args
		return a.runConsume(c, &f)
	}
	return c
}

// printer compiles how to print a record.
func (a *app) printer(f *consumeFlags, formatGiven bool) (printer, error) {
	var line []byte
	if a.json() {
		if formatGiven {
			return nil, usagef("--format and --output json exclude each other")
		}
		return func(w *bufio.Writer, r *kgo.Record, _ int64) error {
			line = recfmt.AppendJSONRecord(line[:0], r)
			_, err := w.Write(line)
			return err
		}, nil
	}
	format, err := recfmt.Parse(f.format)
	if err != nil {
		return nil, usagef("%v", err)
	}
	return func(w *bufio.Writer, r *kgo.Record, number int64) error {
		line = format.Append(line[:0], r, number)
		_, err := w.Write(line)
		return err
	}, nil
}

func (a *app) runConsume(c *cobra.Command, f *consumeFlags) error {
	print, err := a.printer(f, c.Flags().Changed("format"))
	if err != nil {
		return err
	}
	where, err := parseSpan(f.offset, time.Now())
	if err != nil {
		return err
	}
	if err := checkNames(f.topics...); err != nil {
		return err
	}
	if f.num < 0 {
		return usagef("--num %d: it must not be negative", f.num)
	}
	if f.exitAtEnd && !where.bounded {
		where.bounded, where.to = true, point{base: fromEnd}
	}
	if err := checkGroup(f, where); err != nil {
		return err
	}
	s, err := a.settings()
	if err != nil {
		return err
	}
	ctx, cancel := interruptible(c.Context())
	defer cancel()
	run := &consumer{
		print: print, max: f.num, committed: f.committed, out: newOutput(a.out), warnf: a.warnf,
	}
	if f.group != "" {
		return a.runGroupConsume(ctx, s, f, run, where)
	}
	cursors, err := a.cursors(ctx, s, f, where)
	if err != nil {
		return interruption(ctx, err, where.bounded || f.num > 0)
	}
	err = a.consume(ctx, s, run, where.bounded, cursors)
	if flushErr := run.out.Flush(); flushErr != nil {
		return flushErr
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return interruption(ctx, err, where.bounded || f.num > 0)
}

// checkGroup holds what a member of a group cannot do: its partitions are not its own choice, and
// where it begins is the group's.
func checkGroup(f *consumeFlags, where span) error {
	if f.group == "" {
		return nil
	}
	switch {
	case len(f.partitions) > 0:
		return usagef("--partitions and --group exclude each other: the group shares its partitions out")
	case where.bounded:
		return usagef("an end and --group exclude each other, other than by --num: a group goes on and on")
	case where.from.n != 0 || where.from.base != fromStart && where.from.base != fromEnd:
		return usagef("--offset %s: with --group it must be start or end; "+
			"sluice group seek moves a group to another offset", f.offset)
	}
	return nil
}

// runGroupConsume consumes as a member of a group.
func (a *app) runGroupConsume(ctx context.Context, s *client.Settings, f *consumeFlags, run *consumer,
	where span,
) error {
	start := kgo.NewOffset().AtStart()
	if where.from.base == fromEnd {
		start = kgo.NewOffset().AtEnd()
	}
	m, err := joinGroup(s, f.group, start)
	if err != nil {
		return err
	}
	opts, err := consumerOptions(s, f.committed, 500*time.Millisecond)
	if err != nil {
		return err
	}
	err = a.admin(ctx, s, nil, func(ctx context.Context, adm *kadm.Client, _ *kgo.Client) error {
		all, err := adm.ListTopicsWithInternal(ctx, f.topics...)
		if err == nil {
			_, err = partitionsOf(all, f.topics, nil)
		}
		return err
	})
	if err == nil {
		err = a.consumeInGroup(ctx, s, run, m, append(opts, kgo.ConsumeTopics(f.topics...)))
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return interruption(ctx, err, f.num > 0)
}

// interruption returns the error, unless that is Ctrl-C: it is how a consumer without an end is
// meant to end, and the exit code of one with an end that it has not reached.
func interruption(ctx context.Context, err error, hasEnd bool) error {
	switch {
	case err == nil, ctx.Err() == nil && !errors.Is(err, context.Canceled):
		return err
	case hasEnd:
		return &exit{exitInterrupted, ""}
	}
	return nil
}

// cursors finds out which partitions to read, from where to where.
func (a *app) cursors(ctx context.Context, s *client.Settings, f *consumeFlags, where span,
) ([]cursor, error) {
	var out []cursor
	err := a.admin(ctx, s, nil, func(ctx context.Context, adm *kadm.Client, _ *kgo.Client) error {
		all, err := adm.ListTopicsWithInternal(ctx, f.topics...)
		if err != nil {
			return err
		}
		parts, err := partitionsOf(all, f.topics, f.partitions)
		if err != nil {
			return err
		}
		r, err := newResolver(ctx, adm, where, f.committed, f.topics)
		if err != nil {
			return err
		}
		for _, p := range parts {
			k, err := r.cursor(where, p.topic, p.partition)
			if err != nil {
				return err
			}
			out = append(out, k)
		}
		if hint := r.beyond(where, parts); hint != "" {
			a.warnf("%s", hint)
		}
		return nil
	})
	return out, err
}

// consume runs a consumer over cursors, all of which are bounded or none.
func (a *app) consume(ctx context.Context, s *client.Settings, run *consumer, bounded bool,
	cursors []cursor,
) error {
	wait := 500 * time.Millisecond
	if bounded {
		wait = boundedWait
		if empty(cursors) {
			return nil
		}
	}
	opts, err := consumerOptions(s, run.committed, wait)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch, stop := a.watch(cancel, outageMax)
	defer stop()
	opts = append(opts, kgo.WithHooks(watch), cursorOptions(cursors))
	if bounded {
		opts = append(opts, kgo.KeepControlRecords())
	}
	if run.cl, err = s.Dial(ctx, opts...); err != nil {
		return err
	}
	defer run.cl.Close()
	if !bounded {
		return run.follow(ctx)
	}
	pauseAll(run.cl, cursors)
	return run.through(ctx, cursors)
}

// empty reports whether bounded cursors hold nothing.
func empty(cursors []cursor) bool {
	for _, k := range cursors {
		if k.next < k.end {
			return false
		}
	}
	return true
}
