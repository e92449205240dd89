package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/cmd/sluice/internal/client"
	"sluice/cmd/sluice/internal/kopt"
	"sluice/cmd/sluice/internal/recfmt"
)

func (a *app) kafkaConsoleConsumer() kafkaTool {
	value := func(name, arg, help string) kopt.Option {
		return kopt.Option{Name: name, Kind: kopt.Value, Arg: arg, Help: help}
	}
	return kafkaTool{
		name:  "kafka-console-consumer",
		about: "Print the records of topics",
		example: "  kafka-console-consumer --bootstrap-server 127.0.0.1:9092 --topic greetings --from-beginning\n" +
			"  kafka-console-consumer --bootstrap-server 127.0.0.1:9092 --topic pairs --partition 0 --offset 5 \\\n" +
			"    --max-messages 10 --formatter-property print.key=true",
		options: withConnection(
			value("topic", "topic", "The topic to read."),
			value("include", "regex", "The topics to read, as a regular expression."),
			value("partition", "n", "Read only this partition."),
			value("offset", "n|earliest|latest", "Where to begin in the partition; latest if not given."),
			kopt.Option{Name: "from-beginning", Help: "Begin at the earliest record, not at what comes from now on."},
			value("max-messages", "n", "End after so many records."),
			value("timeout-ms", "ms", "End if no record comes for this long."),
			value("isolation-level", "level", "read_uncommitted or read_committed."),
			value("formatter", "class", ""),
			value("formatter-property", "k=v", "print.timestamp, print.key, print.offset, print.partition, "+
				"print.headers, print.value, print.epoch, print.delivery, key.separator, line.separator, "+
				"headers.separator, null.literal, key.deserializer, value.deserializer; may be repeated."),
			value("formatter-config", "file", "Properties file with formatter properties."),
			value("property", "k=v", ""),
			value("key-deserializer", "class", "String, ByteArray, Short, Integer, Long, Float or Double."),
			value("value-deserializer", "class", "The same for values."),
			kopt.Option{Name: "skip-message-on-error", Help: "Go on if a record cannot be printed."},
			value("command-property", "k=v", "Client property; may be repeated."),
			value("consumer-property", "k=v", ""), value("consumer.config", "file", ""),
			value("group", "id", "The consumer group to be a member of; without one, partitions are read directly."),
			kopt.Option{Name: "enable-systest-events"},
		),
		run: a.runConsoleConsumer,
	}
}

func (a *app) runConsoleConsumer(ctx context.Context, line *kopt.Line) error {
	if err := checkConsoleConsumer(line); err != nil {
		return err
	}
	a.deprecated(line, [2]string{"consumer-property", "command-property"},
		[2]string{"consumer.config", "command-config"}, [2]string{"property", "formatter-property"})
	pairs, err := propertiesOf(line, "consumer.config", "consumer-property", "command-property")
	if err != nil {
		return err
	}
	s, err := a.kafkaSettings(line, pairs...)
	if err != nil {
		return err
	}
	group, err := consoleGroup(line, s)
	if err != nil {
		return err
	}
	print, err := a.kafkaPrinter(line)
	if err != nil {
		return err
	}
	opts, committed, err := consoleOptions(line, s)
	if err != nil {
		return err
	}
	most, err := line.Int("max-messages", 64, 0)
	if err != nil {
		return err
	}
	timeoutMs, err := line.Int("timeout-ms", 64, 0)
	if err != nil {
		return err
	}
	run := &consumer{
		print: print, max: max(most, 0), committed: committed, out: newOutput(a.out),
		warnf: a.warnf, tolerant: true,
	}
	var member *membership
	if group != "" {
		start, err := consoleStart(line, s)
		if err != nil {
			return err
		}
		if member, err = joinGroup(s, group, start); err != nil {
			return err
		}
		opts = append(opts, member.opts...)
	}
	return a.consoleConsume(ctx, s, run, member, opts, time.Duration(timeoutMs)*time.Millisecond)
}

// consoleGroup returns the group to be a member of, or nothing. It may be named in more than one place.
func consoleGroup(line *kopt.Line, s *client.Settings) (string, error) {
	group, property := line.Get("group"), s.Get("group.id", "")
	switch {
	case group != "" && property != "" && group != property:
		return "", kopt.Errorf("The group ids provided in different places (directly using '--group', via "+
			"'--consumer-property', or via '--consumer.config') do not match. Detected group ids: '%s', '%s'",
			group, property)
	case group == "":
		group = property
	}
	if group != "" && line.Has("partition") {
		return "", kopt.Errorf("Options group and partition cannot be specified together.")
	}
	return group, nil
}

// checkConsoleConsumer holds Kafka's rules on which options go together.
func checkConsoleConsumer(line *kopt.Line) error {
	if line.Has("topic") == line.Has("include") {
		return kopt.Errorf("Exactly one of the following arguments is required: [topic], [include]")
	}
	switch {
	case line.Has("partition") && !line.Has("topic"):
		return kopt.Errorf("The topic is required when partition is specified.")
	case line.Has("offset") && !line.Has("partition"):
		return kopt.Errorf("The partition is required when offset is specified.")
	case line.Has("offset") && line.Has("from-beginning"):
		return kopt.Errorf("Options from-beginning and offset cannot be specified together.")
	}
	return nil
}

// consoleOptions turns what to read into options of the client.
func consoleOptions(line *kopt.Line, s *client.Settings,
) (opts []kgo.Opt, committed bool, err error) {
	level := line.GetOr("isolation-level", s.Get("isolation.level", "read_uncommitted"))
	if level != "read_uncommitted" && level != "read_committed" {
		return nil, false, says("isolation level %s: it must be read_uncommitted or read_committed", level)
	}
	committed = level == "read_committed"
	if opts, err = consumerOptions(s, committed, 500*time.Millisecond); err != nil {
		return nil, false, err
	}
	start, err := consoleStart(line, s)
	if err != nil {
		return nil, false, err
	}
	opts = append(opts, kgo.AllowAutoTopicCreation(), kgo.ConsumeStartOffset(start))
	switch {
	case line.Has("partition"):
		p, err := line.Int("partition", 32, 0)
		if err != nil {
			return nil, false, err
		}
		return append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
			line.Get("topic"): {int32(p): start},
		})), committed, nil
	case line.Has("topic"):
		return append(opts, kgo.ConsumeTopics(line.Get("topic"))), committed, nil
	}
	if _, err := kafkaFilter(line.Get("include")); err != nil {
		return nil, false, err
	}
	include := strings.ReplaceAll(strings.Trim(line.Get("include"), `"' `), ",", "|")
	return append(opts, kgo.ConsumeRegex(), kgo.ConsumeTopics("^(?:"+include+")$")), committed, nil
}

// consoleStart says where a partition begins.
func consoleStart(line *kopt.Line, s *client.Settings) (kgo.Offset, error) {
	reset := strings.ToLower(s.Get("auto.offset.reset", "latest"))
	if line.Has("from-beginning") && s.Get("auto.offset.reset", "earliest") != "earliest" {
		return kgo.Offset{}, says("Can't simultaneously specify --from-beginning and "+
			"'auto.offset.reset=%s', please remove one option", reset)
	}
	earliest := line.Has("from-beginning") || (!line.Has("offset") && reset == "earliest")
	if line.Has("offset") {
		text := line.Get("offset")
		switch strings.ToLower(text) {
		case "earliest":
			earliest = true
		case "latest":
		default:
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil || n < 0 {
				return kgo.Offset{}, kopt.Errorf("The provided offset value '%s' is incorrect. Valid values "+
					"are 'earliest', 'latest', or a non-negative long.", text)
			}
			return kgo.NewOffset().At(n), nil
		}
	}
	if earliest {
		return kgo.NewOffset().AtStart(), nil
	}
	return kgo.NewOffset().AtEnd(), nil
}

// kafkaPrinter compiles the formatter.
func (a *app) kafkaPrinter(line *kopt.Line) (printer, error) {
	class := line.GetOr("formatter", "DefaultMessageFormatter")
	simple := class[strings.LastIndexByte(class, '.')+1:]
	if f := coordFormatters[simple]; f != nil {
		return f, nil
	}
	switch simple {
	case "DefaultMessageFormatter", "LoggingMessageFormatter":
	case "NoOpMessageFormatter":
		return func(*bufio.Writer, *kgo.Record, int64) error { return nil }, nil
	default:
		return nil, fmt.Errorf("--formatter %s is a Java class that this tool cannot load", class)
	}
	format := recfmt.NewKafka()
	props, err := propertiesOf(line, "formatter-config", "property", "formatter-property")
	if err != nil {
		return nil, err
	}
	for _, side := range []string{"key", "value"} {
		if c := line.Get(side + "-deserializer"); c != "" {
			props = append(props, [2]string{side + ".deserializer", c})
		}
	}
	for _, p := range props {
		known, err := format.Set(p[0], p[1])
		if err != nil {
			return nil, err
		}
		if !known {
			a.warnf("formatter property %s is not known and has no effect", p[0])
		}
	}
	var text []byte
	return func(w *bufio.Writer, r *kgo.Record, _ int64) error {
		var err error
		if text, err = format.Append(text[:0], r); err != nil {
			err = fmt.Errorf("topic %s, partition %d, offset %d: %w", r.Topic, r.Partition, r.Offset, err)
			if !line.Has("skip-message-on-error") {
				return err
			}
			a.warnf("%v", err)
			return nil
		}
		_, err = w.Write(text)
		return err
	}, nil
}

// errSilence ends a consumer to which nothing came for a time.
var errSilence = errors.New("silence")

// consoleConsume runs the consumer until it has enough, hears nothing or is interrupted, and says
// how many records there were.
func (a *app) consoleConsume(parent context.Context, s *client.Settings, run *consumer,
	member *membership, opts []kgo.Opt, timeout time.Duration,
) error {
	signals, release := interruptible(parent)
	defer release()
	ctx, cancel := context.WithCancelCause(signals)
	defer cancel(nil)
	watch, stop := a.watch(cancel, outageMax)
	defer stop()
	cl, err := s.Dial(ctx, append(opts, kgo.WithHooks(watch))...)
	if err != nil {
		return err
	}
	run.cl = cl
	if timeout > 0 {
		silence := time.AfterFunc(timeout, func() { cancel(errSilence) })
		defer silence.Stop()
		print := run.print
		run.print = func(w *bufio.Writer, r *kgo.Record, n int64) error {
			silence.Reset(timeout)
			return print(w, r, n)
		}
	}
	if member != nil {
		err = run.followGroup(ctx)
		if left := run.leave(member); left != nil {
			a.warnf("%v", left)
		}
	} else {
		err = run.follow(ctx)
		cl.Close()
	}
	if flushErr := run.out.Flush(); flushErr != nil {
		return flushErr
	}
	fmt.Fprintf(a.err, "Processed a total of %d messages\n", run.count)
	switch {
	case errors.Is(err, errEnough), errors.Is(err, errSilence):
		return nil
	case signals.Err() != nil:
		return &exit{exitInterrupted, ""}
	}
	return err
}
