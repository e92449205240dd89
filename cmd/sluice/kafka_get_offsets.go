package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/cmd/sluice/internal/kopt"
)

// offsetTimes are the names of the timestamps that ListOffsets gives a meaning of their own.
var offsetTimes = map[string]int64{
	"latest": -1, "earliest": -2, "max-timestamp": -3, "earliest-local": -4, "latest-tiered": -5,
	"earliest-pending-upload": -6,
}

func (a *app) kafkaGetOffsets() kafkaTool {
	return kafkaTool{
		name:  "kafka-get-offsets",
		about: "Print offsets of partitions",
		example: "  kafka-get-offsets --bootstrap-server 127.0.0.1:9092 --topic orders\n" +
			"  kafka-get-offsets --bootstrap-server 127.0.0.1:9092 --topic-partitions 'orders:0-2,a.*' --time earliest",
		options: withConnection(
			kopt.Option{Name: "topic", Kind: kopt.Value, Arg: "regex", Help: "The topics; all if not given."},
			kopt.Option{Name: "partitions", Kind: kopt.Value, Arg: "0,1,…", Help: "Only these partitions."},
			kopt.Option{
				Name: "topic-partitions", Kind: kopt.Value, Arg: "topic:n,topic:from-to,…",
				Help: "Topics, each a regular expression, and their partitions; the upper end is not included.",
			},
			kopt.Option{
				Name: "time", Kind: kopt.Value, Arg: "ms",
				Help: "Milliseconds since 1970, or -1 latest, -2 earliest, -3 max-timestamp, " +
					"-4 earliest-local, -5 latest-tiered, -6 earliest-pending-upload.",
			},
			kopt.Option{Name: "exclude-internal-topics", Help: "Leave out the topics that brokers keep for themselves."},
		),
		run: func(ctx context.Context, line *kopt.Line) error {
			err := a.runGetOffsets(ctx, line)
			var wrong kopt.Error
			var e *exit
			if errors.As(err, &e) && !errors.As(err, &wrong) && e.text != "" {
				return says("Error occurred: %s", e.text)
			}
			return err
		},
	}
}

// partitionFilter says whether a partition is wanted.
type partitionFilter func(topic string, partition int32) bool

func (a *app) runGetOffsets(ctx context.Context, line *kopt.Line) error {
	s, err := a.kafkaSettings(line)
	if err != nil {
		return err
	}
	ms, err := offsetTime(line.GetOr("time", "latest"))
	if err != nil {
		return err
	}
	wanted, err := offsetFilter(line)
	if err != nil {
		return err
	}
	return a.admin(ctx, s, nil, func(ctx context.Context, adm *kadm.Client, cl *kgo.Client) error {
		all, err := adm.ListTopicsWithInternal(ctx)
		if err != nil {
			return err
		}
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID = -1
		for _, t := range all.Sorted() {
			if t.IsInternal && line.Has("exclude-internal-topics") {
				continue
			}
			rt := kmsg.NewListOffsetsRequestTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions.Sorted() {
				if wanted(t.Topic, p.Partition) {
					rp := kmsg.NewListOffsetsRequestTopicPartition()
					rp.Partition, rp.Timestamp = p.Partition, ms
					rt.Partitions = append(rt.Partitions, rp)
				}
			}
			if len(rt.Partitions) > 0 {
				req.Topics = append(req.Topics, rt)
			}
		}
		if len(req.Topics) == 0 {
			return says("Could not match any topic-partitions with the specified filters")
		}
		return a.printOffsets(ctx, cl, req)
	})
}

// printOffsets asks the leaders and prints topic:partition:offset, in Kafka's order.
func (a *app) printOffsets(ctx context.Context, cl *kgo.Client,
	req *kmsg.ListOffsetsRequest,
) error {
	var lines []string
	for _, shard := range cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return shard.Err
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if err := brokerError(p.ErrorCode, ""); err != nil {
					fmt.Fprintf(a.err, "Skip getting offsets for topic-partition %s:%d due to error: %v\n",
						t.Topic, p.Partition, err)
					continue
				}
				if p.Offset >= 0 {
					lines = append(lines, fmt.Sprintf("%s:%d:%d", t.Topic, p.Partition, p.Offset))
				}
			}
		}
	}
	// Kafka sorts by the text of its TopicPartition, in which a dash stands between the two.
	key := func(l string) string {
		tp := l[:strings.LastIndexByte(l, ':')]
		at := strings.LastIndexByte(tp, ':')
		return tp[:at] + "-" + tp[at+1:]
	}
	slices.SortFunc(lines, func(x, y string) int { return strings.Compare(key(x), key(y)) })
	for _, l := range lines {
		fmt.Fprintln(a.out, l)
	}
	return nil
}

func offsetTime(text string) (int64, error) {
	if ms, ok := offsetTimes[strings.ToLower(text)]; ok {
		return ms, nil
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms < -6 {
		return 0, says("Malformed time argument %s. It must be a time in ms or one of -1 or latest, "+
			"-2 or earliest, -3 or max-timestamp, -4 or earliest-local, -5 or latest-tiered, "+
			"-6 or earliest-pending-upload", text)
	}
	return ms, nil
}

// offsetFilter reads which partitions are wanted.
func offsetFilter(line *kopt.Line) (partitionFilter, error) {
	if line.Has("topic-partitions") {
		if line.Has("topic") || line.Has("partitions") {
			return nil, says("--topic-partitions cannot be used with --topic or --partitions")
		}
		return rulesFilter(line.Get("topic-partitions"))
	}
	match, err := kafkaFilter(line.Get("topic"))
	if err != nil {
		return nil, err
	}
	var only []int32
	if list := line.Get("partitions"); list != "" {
		for _, text := range strings.Split(list, ",") {
			n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
			if err != nil {
				return nil, says("--partitions expects a comma separated list of numeric partition ids, "+
					"but received: %s", list)
			}
			only = append(only, int32(n))
		}
	}
	return func(topic string, p int32) bool {
		return match(topic) && (only == nil || slices.Contains(only, p))
	}, nil
}

// partitionRule is one rule of --topic-partitions: a topic's expression and, behind a colon, a
// partition or a range of which either end may be missing.
var partitionRule = regexp.MustCompile(`^([^:]*)(?::(?:(\d+)|(\d*)-(\d*)|))?$`)

func rulesFilter(list string) (partitionFilter, error) {
	var rules []partitionFilter
	for _, text := range strings.Split(list, ",") {
		m := partitionRule.FindStringSubmatch(strings.TrimSpace(text))
		if m == nil {
			return nil, says("Invalid rule specification: %s", text)
		}
		match, err := wholeMatch(m[1])
		if err != nil {
			return nil, err
		}
		low, high := int64(0), int64(1<<31)
		for i, bound := range []*int64{&low, &low, &high} {
			if m[i+2] != "" {
				if *bound, err = strconv.ParseInt(m[i+2], 10, 32); err != nil {
					return nil, says("Invalid rule specification: %s", text)
				}
			}
		}
		if m[2] != "" {
			high = low + 1
		}
		rules = append(rules, func(topic string, p int32) bool {
			return match(topic) && int64(p) >= low && int64(p) < high
		})
	}
	return func(topic string, p int32) bool {
		return slices.ContainsFunc(rules, func(r partitionFilter) bool { return r(topic, p) })
	}, nil
}
