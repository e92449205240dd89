package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/cmd/sluice/internal/client"
	"sluice/cmd/sluice/internal/kopt"
)

// The actions of kafka-consumer-groups and the targets of its resets.
var (
	groupActions = []string{
		"list", "describe", "delete", "reset-offsets", "delete-offsets", "validate-regex",
	}
	resetTargets = []string{
		"to-offset", "to-datetime", "by-duration", "to-earliest", "to-latest", "shift-by", "from-file",
		"to-current",
	}
)

func (a *app) kafkaConsumerGroups() kafkaTool {
	value := func(name, arg, help string) kopt.Option {
		return kopt.Option{Name: name, Kind: kopt.Value, Arg: arg, Help: help}
	}
	flag := func(name, help string) kopt.Option { return kopt.Option{Name: name, Help: help} }
	return kafkaTool{
		name:  "kafka-consumer-groups",
		about: "List, describe, delete consumer groups and reset their offsets",
		example: "  kafka-consumer-groups --bootstrap-server 127.0.0.1:9092 --describe --all-groups\n" +
			"  kafka-consumer-groups --bootstrap-server 127.0.0.1:9092 --reset-offsets --group billing \\\n" +
			"    --topic orders:0,1 --shift-by -100 --execute",
		options: withConnection(
			flag("list", "List groups, with --state and --type these of each."),
			flag("describe", "Describe groups: their offsets, --members or --state."),
			flag("delete", "Delete groups."),
			flag("reset-offsets", "Set offsets of groups that have no members."),
			flag("delete-offsets", "Delete a group's offsets of topics."),
			value("validate-regex", "regex", "Only check a regular expression of topics."),
			value("group", "group", "The group; may be repeated."),
			flag("all-groups", "All groups."),
			value("topic", "topic[:p,p]", "The topic, and some partitions of it; may be repeated."),
			flag("all-topics", "All topics that the group has committed."),
			flag("members", "Describe the members."), flag("offsets", "Describe the offsets, as without it."),
			kopt.Option{
				Name: "state", Kind: kopt.Optional, Arg: "state,…",
				Help: "Describe the state; in a list show it, or only groups in some states.",
			},
			kopt.Option{
				Name: "type", Kind: kopt.Optional, Arg: "type,…",
				Help: "In a list show the type, or only groups of some types.",
			},
			flag("verbose", "Tell more."),
			value("timeout", "ms", "How long a describe may take; 5000 if not given."),
			flag("dry-run", "Only print what a reset would do."), flag("execute", "Do it."),
			flag("export", "Print it as CSV that --from-file reads."),
			value("to-offset", "offset", "Reset to an offset."),
			value("to-datetime", "YYYY-MM-DDTHH:mm:SS.sss", "Reset to the first record from a time on."),
			value("by-duration", "PnDTnHnMnS", "Reset to the first record since so long ago."),
			flag("to-earliest", "Reset to the log's start."), flag("to-latest", "Reset to the log's end."),
			value("shift-by", "n", "Reset by a distance from the committed offset."),
			value("from-file", "file", "Reset to the offsets of a CSV file."),
			flag("to-current", "Reset to the committed offset."),
		),
		run: a.runConsumerGroups,
	}
}

func (a *app) runConsumerGroups(ctx context.Context, line *kopt.Line) error {
	if err := checkConsumerGroups(line); err != nil {
		return err
	}
	if line.Has("validate-regex") {
		if _, err := regexp.Compile(line.Get("validate-regex")); err != nil {
			var why *syntax.Error
			if !errors.As(err, &why) {
				panic("BUG: an expression is wrong in an unknown way: " + err.Error())
			}
			fmt.Fprintf(a.out, "The regular expression `%s` is invalid: %s.\n", line.Get("validate-regex"),
				why.Code)
			return nil
		}
		fmt.Fprintf(a.out, "The regular expression `%s` is valid.\n", line.Get("validate-regex"))
		return nil
	}
	s, err := a.kafkaSettings(line)
	if err != nil {
		return err
	}
	if line.Has("timeout") {
		if _, err := line.Int("timeout", 32, 0); err != nil {
			return err
		}
		s.Props["default.api.timeout.ms"] = line.Get("timeout")
	}
	run := map[string]func(*groupCommand) error{
		"list": (*groupCommand).list, "describe": (*groupCommand).describe,
		"delete": (*groupCommand).remove, "delete-offsets": (*groupCommand).removeOffsets,
		"reset-offsets": (*groupCommand).reset,
	}
	return a.admin(ctx, s, nil, func(ctx context.Context, adm *kadm.Client, cl *kgo.Client) error {
		c := &groupCommand{app: a, ctx: ctx, adm: adm, cl: cl, line: line}
		for action, f := range run {
			if line.Has(action) {
				return a.kafkaFailure(f(c), "Executing consumer group command failed due to ")
			}
		}
		panic("BUG: an action that nobody runs")
	})
}

// groupCommand is one run of kafka-consumer-groups.
type groupCommand struct {
	app  *app
	ctx  context.Context
	adm  *kadm.Client
	cl   *kgo.Client
	line *kopt.Line
}

// kafkaFailure prints a failure as Kafka's tool does, on standard output and with exit code 0, unless
// it is about the command line.
func (a *app) kafkaFailure(err error, prefix string) error {
	var e *exit
	var wrong kopt.Error
	if err == nil || errors.As(err, &e) || errors.As(err, &wrong) || errors.Is(err, context.Canceled) {
		return err
	}
	a.kafkaErrorf("%s%s", prefix, javaText(err))
	return nil
}

// kafkaWords is an error in the words of Kafka's tools, which begin with a capital and may end in a
// period.
type kafkaWords string

// Error returns the words.
func (w kafkaWords) Error() string { return string(w) }

// kafkaErrorf prints what Kafka's tools call an error: a line of standard output behind an empty one.
func (a *app) kafkaErrorf(format string, args ...any) {
	fmt.Fprintf(a.out, "\nError: "+format+"\n", args...)
}

// javaErrors are the classes and texts that Kafka's tools print for errors of coordinators.
var javaErrors = map[*kerr.Error][2]string{
	kerr.GroupIDNotFound: {"GroupIdNotFoundException", "The group id does not exist."},
	kerr.NonEmptyGroup:   {"GroupNotEmptyException", "The group is not empty."},
	kerr.GroupSubscribedToTopic: {
		"GroupSubscribedToTopicException",
		"Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it.",
	},
	kerr.UnknownTopicOrPartition: {
		"UnknownTopicOrPartitionException", "This server does not host this topic-partition.",
	},
	kerr.UnknownMemberID: {
		"UnknownMemberIdException", "The coordinator is not aware of this member.",
	},
	kerr.InvalidGroupID: {"InvalidGroupIdException", "The group id is invalid."},
}

// javaError words an error as Java prints an exception of Kafka's.
func javaError(err error) string {
	for code, text := range javaErrors {
		if errors.Is(err, code) {
			return "org.apache.kafka.common.errors." + text[0] + ": " + text[1]
		}
	}
	return javaText(err)
}

// javaText words an error as the message of an exception of Kafka's.
func javaText(err error) string {
	for code, text := range javaErrors {
		if err == error(code) {
			return text[1]
		}
	}
	return client.Explain(err, "").Error()
}

// checkConsumerGroups holds Kafka's rules on which options go together.
func checkConsumerGroups(line *kopt.Line) error {
	if _, err := bootstrapOf(line); err != nil && !line.Has("validate-regex") {
		return err
	}
	scoped := line.Has("group") || line.Has("all-groups")
	if line.Has("describe") {
		if !scoped {
			return takesOneOf("describe", "group", "all-groups")
		}
		if count(line, "members", "offsets", "state") > 1 {
			return kopt.Errorf("Option [describe] takes at most one of these options: " +
				"[members], [offsets], [state]")
		}
		if line.Get("state") != "" {
			return kopt.Errorf("Option [describe] does not take a value for [state]")
		}
	}
	if line.Has("delete") {
		if !scoped {
			return takesOneOf("delete", "group", "all-groups")
		}
		if line.Has("topic") {
			return kopt.Errorf("The consumer does not support topic-specific offset deletion from a " +
				"consumer group.")
		}
	}
	if line.Has("delete-offsets") && (!line.Has("group") || !line.Has("topic")) {
		return kopt.Errorf("Option [delete-offsets] takes the following options: [group], [topic]")
	}
	if line.Has("reset-offsets") {
		if err := checkReset(line, scoped); err != nil {
			return err
		}
	}
	for option, actions := range map[string][]string{
		"group": {"all-groups", "list"},
		"topic": {"list", "describe"},
	} {
		if err := line.Forbid(option, actions...); err != nil {
			return err
		}
	}
	if count(line, groupActions...) != 1 {
		return kopt.Errorf("Command must include exactly one action: --list, --describe, --delete, " +
			"--reset-offsets, --delete-offsets, --validate-regex")
	}
	return nil
}

func takesOneOf(option string, others ...string) error {
	return kopt.Errorf("Option [%s] takes one of these options: [%s]", option, strings.Join(others, "], ["))
}

// count returns how many of the options were given.
func count(line *kopt.Line, names ...string) int {
	n := 0
	for _, name := range names {
		if line.Has(name) {
			n++
		}
	}
	return n
}

func checkReset(line *kopt.Line, scoped bool) error {
	switch {
	case line.Has("dry-run") && line.Has("execute"):
		return kopt.Errorf("Option [reset-offsets] only accepts one of [execute] and [dry-run]")
	case !scoped:
		return takesOneOf("reset-offsets", "group", "all-groups")
	}
	for i, target := range resetTargets {
		if err := line.Forbid(target, resetTargets[i+1:]...); err != nil {
			return err
		}
	}
	if !line.Has("from-file") && count(line, "all-topics", "topic") == 0 {
		return kopt.Errorf("One of the reset scopes should be defined: --all-topics, --topic.")
	}
	if count(line, resetTargets...) == 0 {
		return kopt.Errorf("Option '[reset-offsets]' requires one of the following scenarios: [[%s]]",
			strings.Join(resetTargets, "], ["))
	}
	return nil
}

// groups returns the groups that the command is about, in order.
func (c *groupCommand) groups() ([]string, error) {
	if !c.line.Has("all-groups") {
		names := slices.Clone(c.line.All("group"))
		slices.Sort(names)
		return slices.Compact(names), nil
	}
	listed, err := listGroups(c.ctx, c.cl, nil, []string{"consumer", "classic"})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, g := range listed {
		if isConsumer(g) {
			names = append(names, g.Group)
		}
	}
	return names, nil
}

// isConsumer reports whether a group is one of consumers: Kafka's tool leaves out those of Connect and
// the like. A group that only has offsets has no protocol.
func isConsumer(g listedGroup) bool { return g.Protocol == "consumer" || g.Protocol == "" }

// The states and types that --state and --type know.
var (
	groupStates = []string{
		"Assigning", "CompletingRebalance", "Dead", "Empty", "PreparingRebalance", "Reconciling", "Stable",
	}
	groupTypes = []string{"Classic", "Consumer"}
)

// chosen reads a list of names, in any case, from an option.
func chosen(line *kopt.Line, option, what string, known []string) ([]string, error) {
	var out []string
	for _, word := range splitList(line.Get(option)) {
		at := slices.IndexFunc(known, func(k string) bool {
			return strings.EqualFold(k, strings.ReplaceAll(word, "_", ""))
		})
		if at < 0 {
			return nil, kopt.Errorf("Invalid %s list '%s'. Valid %s are: %s", what, line.Get(option),
				strings.TrimSuffix(what, "s")+"s", strings.Join(known, ", "))
		}
		out = append(out, known[at])
	}
	return out, nil
}

func (c *groupCommand) list() error {
	states, err := chosen(c.line, "state", "state", groupStates)
	if err != nil {
		return err
	}
	types, err := chosen(c.line, "type", "types", groupTypes)
	if err != nil {
		return err
	}
	listed, err := listGroups(c.ctx, c.cl, states, types)
	if err != nil {
		return err
	}
	listed = slices.DeleteFunc(listed, func(g listedGroup) bool { return !isConsumer(g) })
	width := 15
	for _, g := range listed {
		width = max(width, len(g.Group))
	}
	row := func(group, kind, state string) {
		text := group
		if c.line.Has("state") || c.line.Has("type") {
			text = fmt.Sprintf("%-*s", width+10, group)
		}
		if c.line.Has("type") {
			text += fmt.Sprintf(" %-20s", kind)
		}
		if c.line.Has("state") {
			text += fmt.Sprintf(" %-20s", state)
		}
		fmt.Fprintln(c.app.out, text)
	}
	if c.line.Has("state") || c.line.Has("type") {
		row("GROUP", "TYPE", "STATE")
	}
	for _, g := range listed {
		row(g.Group, capital(g.Type), g.State)
	}
	return nil
}

// capital writes the type of a group as Kafka's tools do.
func capital(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func (c *groupCommand) remove() error {
	names, err := c.groups()
	if err != nil {
		return err
	}
	var failed, deleted []string
	for _, name := range names {
		if err := deleteGroup(c.ctx, c.adm, name); err != nil {
			failed = append(failed,
				fmt.Sprintf("* Group '%s' could not be deleted due to: %s", name, javaError(err)))
			continue
		}
		deleted = append(deleted, "'"+name+"'")
	}
	if len(failed) == 0 {
		fmt.Fprintf(c.app.out, "Deletion of requested consumer groups (%s) was successful.\n",
			strings.Join(deleted, ", "))
		return nil
	}
	c.app.kafkaErrorf("Deletion of some consumer groups failed:")
	for _, text := range failed {
		fmt.Fprintln(c.app.out, text)
	}
	if len(deleted) > 0 {
		fmt.Fprintf(c.app.out, "\nThese consumer groups were deleted successfully: %s\n",
			strings.Join(deleted, ", "))
	}
	return nil
}
