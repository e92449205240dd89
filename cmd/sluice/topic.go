package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/cmd/sluice/internal/client"
)

// pagePartitions is how many partitions one page of a description holds: Kafka's cap by default.
const pagePartitions = 2000

func (a *app) topicCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "topic",
		Short: "Create, list, describe, alter and delete topics",
		Example: "  sluice topic create orders -p 12 -c retention.ms=86400000\n" +
			"  sluice topic list\n" +
			"  sluice topic describe orders",
		Args: cobra.ArbitraryArgs,
	}
	c.AddCommand(a.topicCreateCmd(), a.topicListCmd(), a.topicDescribeCmd(), a.topicAlterCmd(),
		a.topicDeleteCmd())
	return a.group(c)
}

func (a *app) topicCreateCmd() *cobra.Command {
	t := newTopic{}
	var configs []string
	var ifNotExists, dryRun bool
	c := &cobra.Command{
		Use:   "create NAME…",
		Short: "Create topics",
		Example: "  sluice topic create hello\n" +
			"  sluice topic create orders payments -p 12 -r 3 -c cleanup.policy=compact,delete\n" +
			"  sluice topic create hello --if-not-exists",
		Args: cobra.MinimumNArgs(1),
	}
	f := c.Flags()
	f.Int32VarP(&t.partitions, "partitions", "p", -1, "number `N` of partitions; -1 is the broker's default")
	f.Int16VarP(&t.replicas, "replicas", "r", -1, "replicas `N` of each; -1 is the broker's default")
	f.StringArrayVarP(&configs, "config", "c", nil, "topic configuration `key=value`; may be repeated")
	f.BoolVar(&ifNotExists, "if-not-exists", false, "let a topic that exists be")
	f.BoolVar(&dryRun, "dry-run", false, "only let the broker check the request")
	a.addOutput(c, true)
	c.RunE = func(c *cobra.Command, names []string) error {
		var err error
		if t.configs, err = parseConfigs(configs); err != nil {
			return err
		}
		return a.ask(c, func(ctx context.Context, _ *kadm.Client, cl *kgo.Client) error {
			return a.createTopics(ctx, cl, t, names, ifNotExists, dryRun)
		})
	}
	return c
}

// result is one line of what a command did to several things.
type result struct {
	Name       string `json:"name"`
	ID         string `json:"id,omitempty"`
	Partitions int32  `json:"partitions,omitempty"`
	Replicas   int16  `json:"replicationFactor,omitempty"`
	Status     string `json:"status"`
	Error      string `json:"error,omitempty"`
}

func (a *app) createTopics(ctx context.Context, cl *kgo.Client, t newTopic, names []string,
	ifNotExists, dryRun bool,
) error {
	var results []result
	for _, name := range names {
		t.name = name
		made, err := createTopic(ctx, cl, t, timeoutMs(ctx), dryRun)
		r := result{Name: name, Status: "created"}
		switch {
		case ifNotExists && errors.Is(err, kerr.TopicAlreadyExists):
			r.Status = "exists"
		case err != nil:
			r.Status, r.Error = "failed", client.Explain(err, "").Error()
		default:
			r.Partitions, r.Replicas = made.NumPartitions, made.ReplicationFactor
			if dryRun {
				r.Status = "valid"
			} else {
				r.ID = topicID(made.TopicID)
			}
		}
		results = append(results, r)
	}
	return a.report(results)
}

// report prints results and fails if one of them did.
func (a *app) report(results []result) error {
	failed := false
	for _, r := range results {
		failed = failed || r.Error != ""
	}
	if a.json() {
		if err := a.printJSON(results); err != nil {
			return err
		}
		if failed {
			return &exit{exitFailed, ""}
		}
		return nil
	}
	for _, r := range results {
		switch {
		case r.Error != "":
			if strings.HasPrefix(r.Error, "topic "+r.Name+" ") {
				a.warnf("%s", r.Error)
			} else {
				a.warnf("%s: %s", r.Name, r.Error)
			}
		case r.Partitions > 0:
			fmt.Fprintf(a.out, "%s %s (%s, %s)\n", r.Name, r.Status,
				plural(int(r.Partitions), "partition"), plural(int(r.Replicas), "replica"))
		default:
			fmt.Fprintf(a.out, "%s %s\n", r.Name, r.Status)
		}
	}
	if failed {
		return &exit{exitFailed, ""}
	}
	return nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func (a *app) topicListCmd() *cobra.Command {
	var internal bool
	c := &cobra.Command{
		Use:   "list [REGEX]",
		Short: "List topics",
		Example: "  sluice topic list\n" +
			"  sluice topic list 'orders-.*' -o json\n" +
			"  sluice topic list --internal",
		Args: cobra.MaximumNArgs(1),
	}
	c.Flags().BoolVar(&internal, "internal", false, "with the topics that brokers keep for themselves")
	a.addOutput(c, true)
	c.RunE = func(c *cobra.Command, args []string) error {
		match, err := wholeMatch(append(args, "")[0])
		if err != nil {
			return err
		}
		return a.ask(c, func(ctx context.Context, adm *kadm.Client, _ *kgo.Client) error {
			all, err := adm.ListTopicsWithInternal(ctx)
			if err != nil {
				return err
			}
			return a.printTopics(all, internal, match)
		})
	}
	return c
}

// wholeMatch compiles a pattern that must match a whole name; the empty one matches all.
func wholeMatch(pattern string) (func(string) bool, error) {
	if pattern == "" {
		return func(string) bool { return true }, nil
	}
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return nil, usagef("%q is not a regular expression: %v", pattern, err)
	}
	return re.MatchString, nil
}

func (a *app) printTopics(all kadm.TopicDetails, internal bool, match func(string) bool) error {
	type line struct {
		Name       string `json:"name"`
		ID         string `json:"id"`
		Internal   bool   `json:"internal"`
		Partitions int    `json:"partitions"`
		Replicas   int    `json:"replicationFactor"`
	}
	lines, rows := []line{}, [][]string{{"NAME", "PARTITIONS", "REPLICAS"}}
	for _, t := range all.Sorted() {
		if !match(t.Topic) || (t.IsInternal && !internal) {
			continue
		}
		l := line{
			t.Topic, topicID(t.ID), t.IsInternal, len(t.Partitions), t.Partitions.NumReplicas(),
		}
		lines = append(lines, l)
		rows = append(rows, []string{l.Name, strconv.Itoa(l.Partitions), strconv.Itoa(l.Replicas)})
	}
	if a.json() {
		return a.printJSON(lines)
	}
	return table(a.out, rows)
}

func (a *app) topicDescribeCmd() *cobra.Command {
	var allConfigs bool
	c := &cobra.Command{
		Use:   "describe NAME…",
		Short: "Show partitions, offsets and configuration of topics",
		Example: "  sluice topic describe orders\n" +
			"  sluice topic describe orders payments -o json\n" +
			"  sluice topic describe orders --all-configs",
		Args: cobra.MinimumNArgs(1),
	}
	c.Flags().BoolVar(&allConfigs, "all-configs", false, "with the configs that are at their default")
	a.addOutput(c, true)
	c.RunE = func(c *cobra.Command, names []string) error {
		if err := checkNames(names...); err != nil {
			return err
		}
		return a.ask(c, func(ctx context.Context, adm *kadm.Client, cl *kgo.Client) error {
			topics, err := describeTopics(ctx, cl, names, pagePartitions)
			if err != nil {
				return err
			}
			if err := addOffsets(ctx, adm, topics); err != nil {
				return err
			}
			if err := addConfigs(ctx, cl, topics, allConfigs); err != nil {
				return err
			}
			if err := a.printDescribed(topics); err != nil {
				return err
			}
			return missing(names, topics)
		})
	}
	return c
}

// missing returns an error that names the topics that do not exist.
func missing(names []string, topics []topicInfo) error {
	for _, name := range names {
		if !slices.ContainsFunc(topics, func(t topicInfo) bool { return t.Name == name }) {
			return fmt.Errorf("topic %s does not exist", name)
		}
	}
	return nil
}

func addOffsets(ctx context.Context, adm *kadm.Client, topics []topicInfo) error {
	if len(topics) == 0 {
		return nil
	}
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	starts, err := adm.ListStartOffsets(ctx, names...)
	if err != nil {
		return err
	}
	ends, err := adm.ListEndOffsets(ctx, names...)
	if err != nil {
		return err
	}
	for i := range topics {
		for j := range topics[i].Partitions {
			p := &topics[i].Partitions[j]
			if o, ok := starts.Lookup(topics[i].Name, p.Partition); ok && o.Err == nil {
				p.Start = &o.Offset
			}
			if o, ok := ends.Lookup(topics[i].Name, p.Partition); ok && o.Err == nil {
				p.End = &o.Offset
			}
		}
	}
	return nil
}

// addConfigs fills in the configs that somebody set, or all.
func addConfigs(ctx context.Context, cl *kgo.Client, topics []topicInfo, all bool) error {
	if len(topics) == 0 {
		return nil
	}
	resources := make([]resource, len(topics))
	for i, t := range topics {
		resources[i] = resource{kmsg.ConfigResourceTypeTopic, t.Name}
	}
	entries, errs, err := describeConfigs(ctx, cl, resources, false)
	if err != nil {
		return err
	}
	for i := range topics {
		if errs[i] != nil {
			return topicError(topics[i].Name, errs[i])
		}
		for _, e := range entries[i] {
			if all || e.source != kmsg.ConfigSourceDefaultConfig {
				topics[i].Configs = append(topics[i].Configs, e)
			}
		}
	}
	return nil
}

func (a *app) printDescribed(topics []topicInfo) error {
	if a.json() {
		return a.printJSON(topics)
	}
	for i, t := range topics {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		fmt.Fprintf(a.out, "topic %s  id %s  %s, %s\n", t.Name, t.ID,
			plural(len(t.Partitions), "partition"), plural(t.ReplicationFactor, "replica"))
		for _, c := range t.Configs {
			fmt.Fprintf(a.out, "  %s=%s  (%s)\n", c.Name, c.text(), c.Source)
		}
		rows := [][]string{{"PARTITION", "LEADER", "EPOCH", "REPLICAS", "IN SYNC", "START", "END"}}
		for _, p := range t.Partitions {
			rows = append(rows, []string{
				strconv.Itoa(int(p.Partition)), strconv.Itoa(int(p.Leader)),
				strconv.Itoa(int(p.LeaderEpoch)), join(p.Replicas), join(p.ISR),
				number(p.Start), number(p.End),
			})
		}
		if err := table(a.out, rows); err != nil {
			return err
		}
	}
	return nil
}

func number(n *int64) string {
	if n == nil {
		return "?"
	}
	return strconv.FormatInt(*n, 10)
}

func (a *app) topicAlterCmd() *cobra.Command {
	var partitions int32
	var set, remove []string
	c := &cobra.Command{
		Use:   "alter NAME…",
		Short: "Change the number of partitions or the configuration of topics",
		Example: "  sluice topic alter orders --partitions 24\n" +
			"  sluice topic alter orders --set retention.ms=3600000 --delete cleanup.policy",
		Args: cobra.MinimumNArgs(1),
	}
	f := c.Flags()
	f.Int32VarP(&partitions, "partitions", "p", 0, "new number `N` of partitions, which can only grow")
	f.StringArrayVarP(&set, "set", "s", nil, "set a config, `key=value`; may be repeated")
	f.StringArrayVarP(&remove, "delete", "d", nil, "put a config `key` back to its default; may be repeated")
	a.addOutput(c, true)
	c.RunE = func(c *cobra.Command, names []string) error {
		if err := checkNames(names...); err != nil {
			return err
		}
		configs, err := parseConfigs(set)
		if err != nil {
			return err
		}
		changes := changesOf(configs, remove)
		if len(changes) == 0 && !c.Flags().Changed("partitions") {
			return usagef("nothing to change: give --partitions, --set or --delete")
		}
		return a.ask(c, func(ctx context.Context, _ *kadm.Client, cl *kgo.Client) error {
			var results []result
			for _, name := range names {
				r := result{Name: name, Status: "altered"}
				var err error
				if len(changes) > 0 {
					topic := resource{kmsg.ConfigResourceTypeTopic, name}
					err = alterConfigs(ctx, cl, topic, changes, false)
				}
				if err == nil && c.Flags().Changed("partitions") {
					err = growTopic(ctx, cl, name, partitions, nil, timeoutMs(ctx))
				}
				if err != nil {
					r.Status, r.Error = "failed", resultError(name, err)
				}
				results = append(results, r)
			}
			return a.report(results)
		})
	}
	return c
}

func (a *app) topicDeleteCmd() *cobra.Command {
	var ifExists bool
	c := &cobra.Command{
		Use:     "delete NAME…",
		Short:   "Delete topics and all their records",
		Example: "  sluice topic delete orders\n  sluice topic delete orders payments --if-exists",
		Args:    cobra.MinimumNArgs(1),
	}
	c.Flags().BoolVar(&ifExists, "if-exists", false, "let a topic that does not exist be")
	a.addOutput(c, true)
	c.RunE = func(c *cobra.Command, names []string) error {
		if err := checkNames(names...); err != nil {
			return err
		}
		return a.ask(c, func(ctx context.Context, _ *kadm.Client, cl *kgo.Client) error {
			var results []result
			for _, name := range names {
				r := result{Name: name, Status: "deleted"}
				err := deleteTopic(ctx, cl, name, timeoutMs(ctx))
				switch {
				case ifExists && errors.Is(err, kerr.UnknownTopicOrPartition):
					r.Status = "absent"
				case err != nil:
					r.Status, r.Error = "failed", resultError(name, err)
				}
				results = append(results, r)
			}
			return a.report(results)
		})
	}
	return c
}

// timeoutMs is what is left of a call's time, for requests that carry a timeout to the broker.
func timeoutMs(ctx context.Context) int32 {
	ms := int64(math.MaxInt32)
	if left, ok := remaining(ctx); ok {
		ms = left.Milliseconds()
	}
	return int32(min(max(ms, 1), math.MaxInt32))
}

// remaining is how much time a context has left.
func remaining(ctx context.Context) (time.Duration, bool) {
	deadline, ok := ctx.Deadline()
	return time.Until(deadline), ok
}
