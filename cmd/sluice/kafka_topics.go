package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/cmd/sluice/internal/kopt"
)

// The filters of --describe that pick single partitions.
var partitionFilters = []string{
	"under-replicated-partitions", "unavailable-partitions", "under-min-isr-partitions",
	"at-min-isr-partitions",
}

func (a *app) kafkaTopics() kafkaTool {
	return kafkaTool{
		name:  "kafka-topics",
		about: "Create, delete, describe, list and alter topics",
		example: "  kafka-topics --bootstrap-server 127.0.0.1:9092 --create --topic orders --partitions 3\n" +
			"  kafka-topics --bootstrap-server 127.0.0.1:9092 --describe --topic 'orders.*'\n" +
			"  kafka-topics --bootstrap-server 127.0.0.1:9092 --list --exclude-internal",
		options: withConnection(
			kopt.Option{Name: "create", Help: "Create a topic."},
			kopt.Option{Name: "delete", Help: "Delete topics."},
			kopt.Option{Name: "describe", Help: "Show topics and their partitions."},
			kopt.Option{Name: "list", Help: "List the names of topics."},
			kopt.Option{Name: "alter", Help: "Raise the number of partitions."},
			kopt.Option{
				Name: "topic", Kind: kopt.Value, Arg: "topic",
				Help: "The topic; for all actions but --create a regular expression.",
			},
			kopt.Option{Name: "topic-id", Kind: kopt.Value, Arg: "id", Help: "Describe the topic of this id."},
			kopt.Option{Name: "partitions", Kind: kopt.Value, Arg: "n", Help: "Number of partitions."},
			kopt.Option{Name: "replication-factor", Kind: kopt.Value, Arg: "n", Help: "Replicas of each partition."},
			kopt.Option{
				Name: "replica-assignment", Kind: kopt.Value, Arg: "id:id,id:id,…",
				Help: "Broker ids of each partition's replicas, instead of a number of partitions.",
			},
			kopt.Option{
				Name: "config", Kind: kopt.Value, Arg: "name=value",
				Help: "Configuration of the topic to create; may be repeated.",
			},
			kopt.Option{Name: "if-exists", Help: "Do nothing if the topic does not exist."},
			kopt.Option{Name: "if-not-exists", Help: "Do nothing if the topic exists."},
			kopt.Option{Name: "exclude-internal", Help: "Leave out the topics that brokers keep for themselves."},
			kopt.Option{Name: partitionFilters[0], Help: "Describe only partitions that lack in-sync replicas."},
			kopt.Option{Name: partitionFilters[1], Help: "Describe only partitions without a leader."},
			kopt.Option{Name: partitionFilters[2], Help: "Describe only partitions with less than min.insync.replicas in sync."},
			kopt.Option{Name: partitionFilters[3], Help: "Describe only partitions with just min.insync.replicas in sync."},
			kopt.Option{Name: "topics-with-overrides", Help: "Describe only topics with configs of their own."},
			kopt.Option{
				Name: "partition-size-limit-per-response", Kind: kopt.Value, Arg: "n",
				Help: "Partitions per page of a description.",
			},
		),
		run: a.runKafkaTopics,
	}
}

func (a *app) runKafkaTopics(ctx context.Context, line *kopt.Line) error {
	action, err := checkKafkaTopics(line)
	if err != nil {
		return err
	}
	s, err := a.kafkaSettings(line)
	if err != nil {
		return err
	}
	run := map[string]func(context.Context, *kopt.Line, *kadm.Client, *kgo.Client) error{
		"create": a.kafkaTopicsCreate, "delete": a.kafkaTopicsDelete, "list": a.kafkaTopicsList,
		"describe": a.kafkaTopicsDescribe, "alter": a.kafkaTopicsAlter,
	}[action]
	return a.admin(ctx, s, nil, func(ctx context.Context, adm *kadm.Client, cl *kgo.Client) error {
		err := run(ctx, line, adm, cl)
		var wrong kopt.Error
		if err == nil || errors.As(err, &wrong) {
			return err
		}
		fmt.Fprintf(a.out, "Error while executing topic command : %s\n", plain(err))
		return &exit{exitFailed, ""}
	})
}

// checkKafkaTopics holds Kafka's rules on which options go together.
func checkKafkaTopics(line *kopt.Line) (string, error) {
	action, err := oneOf(line, "list", "describe", "create", "alter", "delete")
	if err != nil {
		return "", err
	}
	allowed := map[string][]string{
		"partitions": {"create", "alter"}, "replication-factor": {"create"}, "config": {"create"},
		"replica-assignment": {"create", "alter"}, "if-not-exists": {"create"},
		"if-exists": {"alter", "delete", "describe"}, "topic-id": {"describe"},
		"topics-with-overrides": {"describe"}, "exclude-internal": {"list", "describe"},
		"partition-size-limit-per-response": {"describe"},
	}
	for _, f := range partitionFilters {
		allowed[f] = []string{"describe"}
	}
	for _, option := range slices.Sorted(maps.Keys(allowed)) {
		if line.Has(option) && !slices.Contains(allowed[option], action) {
			if option == "config" && action == "alter" {
				return "", kopt.Errorf("Option \"[config]\" can't be used with option \"[alter]\": " +
					"kafka-configs alters the configuration of topics")
			}
			return "", kopt.Errorf("Option \"[%s]\" can't be used with option \"[%s]\"", option, action)
		}
	}
	required := map[string][]string{
		"create": {"topic"}, "alter": {"topic", "partitions"}, "delete": {"topic"},
	}
	if err := line.Require(required[action]...); err != nil {
		return "", err
	}
	if action == "create" {
		err = line.Forbid("replica-assignment", "partitions", "replication-factor")
	}
	if err == nil && line.Has("topics-with-overrides") {
		err = line.Forbid("topics-with-overrides", partitionFilters...)
	}
	return action, err
}

func (a *app) kafkaTopicsCreate(ctx context.Context, line *kopt.Line, _ *kadm.Client,
	cl *kgo.Client,
) error {
	t := newTopic{name: line.Get("topic"), partitions: -1, replicas: -1}
	partitions, err := line.Int("partitions", 32, -1)
	if err != nil {
		return says("%s", err)
	}
	replicas, err := line.Int("replication-factor", 16, -1)
	if err != nil {
		return says("%s", err)
	}
	if line.Has("partitions") && partitions < 1 {
		return says("The partitions must be greater than 0")
	}
	if line.Has("replication-factor") && replicas < 1 {
		return says("The replication factor must be between 1 and 32767 inclusive")
	}
	t.partitions, t.replicas = int32(partitions), int16(replicas)
	if t.configs, err = line.Pairs("config"); err != nil {
		return says("%s", err)
	}
	if t.assignment, err = parseAssignment(line.Get("replica-assignment")); err != nil {
		return err
	}
	if strings.ContainsAny(t.name, "._") {
		fmt.Fprintln(a.out, "WARNING: topic names that differ only in '.' and '_' collide in the "+
			"names of metrics; it is best to use only one of the two.")
	}
	_, err = createTopic(ctx, cl, t, timeoutMs(ctx), false)
	if line.Has("if-not-exists") && errors.Is(err, kerr.TopicAlreadyExists) {
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "Created topic %s.\n", t.name)
	return nil
}

// parseAssignment reads replicas by partition: commas between partitions, colons between replicas.
func parseAssignment(text string) ([][]int32, error) {
	if text == "" {
		return nil, nil
	}
	var out [][]int32
	for _, part := range strings.Split(text, ",") {
		var replicas []int32
		for _, id := range strings.Split(part, ":") {
			n, err := strconv.ParseInt(strings.TrimSpace(id), 10, 32)
			if err != nil {
				return nil, fmt.Errorf("%q is no broker id in the replica assignment", id)
			}
			if slices.Contains(replicas, int32(n)) {
				return nil, says("Partition replica lists may not contain duplicate entries: %d", n)
			}
			replicas = append(replicas, int32(n))
		}
		if len(out) > 0 && len(replicas) != len(out[0]) {
			return nil, says("Partition %d has different replication factor: %s", len(out), part)
		}
		out = append(out, replicas)
	}
	return out, nil
}

// matching returns the names of the topics that an action is about.
func matching(ctx context.Context, line *kopt.Line, adm *kadm.Client) ([]string, error) {
	match, err := kafkaFilter(line.Get("topic"))
	if err != nil {
		return nil, err
	}
	names, err := topicNames(ctx, adm, !line.Has("exclude-internal"))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(names, func(n string) bool { return !match(n) }), nil
}

// mustMatch is matching for actions that need a topic unless --if-exists.
func mustMatch(ctx context.Context, line *kopt.Line, adm *kadm.Client) ([]string, error) {
	names, err := matching(ctx, line, adm)
	if err == nil && len(names) == 0 && line.Has("topic") && !line.Has("if-exists") {
		err = says("Topic '%s' does not exist as expected", line.Get("topic"))
	}
	return names, err
}

func (a *app) kafkaTopicsList(ctx context.Context, line *kopt.Line, adm *kadm.Client,
	_ *kgo.Client,
) error {
	names, err := matching(ctx, line, adm)
	if err != nil {
		return err
	}
	// With no topic at all Kafka prints an empty line, and so does this.
	fmt.Fprintln(a.out, strings.Join(names, "\n"))
	return nil
}

func (a *app) kafkaTopicsDelete(ctx context.Context, line *kopt.Line, adm *kadm.Client,
	cl *kgo.Client,
) error {
	names, err := mustMatch(ctx, line, adm)
	for _, name := range names {
		if err := deleteTopic(ctx, cl, name, timeoutMs(ctx)); err != nil {
			return err
		}
	}
	return err
}

func (a *app) kafkaTopicsAlter(ctx context.Context, line *kopt.Line, adm *kadm.Client,
	cl *kgo.Client,
) error {
	count, err := line.Int("partitions", 32, 0)
	if err != nil {
		return says("%s", err)
	}
	assignment, err := parseAssignment(line.Get("replica-assignment"))
	if err != nil {
		return err
	}
	names, err := mustMatch(ctx, line, adm)
	if err != nil {
		return err
	}
	topics, err := describeTopics(ctx, cl, names, pagePartitions)
	if err != nil {
		return err
	}
	for _, t := range topics {
		added := assignment
		if added != nil {
			added = added[min(len(t.Partitions), len(added)):]
		}
		if err := growTopic(ctx, cl, t.Name, int32(count), added, timeoutMs(ctx)); err != nil {
			return err
		}
	}
	return nil
}
