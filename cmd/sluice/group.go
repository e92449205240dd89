package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func (a *app) groupCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "group",
		Short: "List, describe, move and delete consumer groups",
		Example: "  sluice group list\n" +
			"  sluice group describe billing\n" +
			"  sluice group seek billing --to start --topic orders --execute",
		Args: cobra.ArbitraryArgs,
	}
	c.AddCommand(a.groupListCmd(), a.groupDescribeCmd(), a.groupSeekCmd(), a.groupDeleteCmd())
	return a.group(c)
}

func (a *app) groupListCmd() *cobra.Command {
	var states, types []string
	c := &cobra.Command{
		Use:   "list [REGEX]",
		Short: "List groups",
		Example: "  sluice group list\n" +
			"  sluice group list 'billing-.*' --state Stable,Empty -o json",
		Args: cobra.MaximumNArgs(1),
	}
	c.Flags().StringSliceVar(&states, "state", nil, "only groups in these states, `S,S`")
	c.Flags().StringSliceVar(&types, "type", nil, "only groups of these types, `T,T`: classic, consumer …")
	for _, name := range []string{"state", "type"} {
		c.Flags().Lookup(name).DefValue = "" // Or the help would show an empty Go slice.
	}
	a.addOutput(c, true)
	c.RunE = func(c *cobra.Command, args []string) error {
		match, err := wholeMatch(append(args, "")[0])
		if err != nil {
			return err
		}
		return a.ask(c, func(ctx context.Context, _ *kadm.Client, cl *kgo.Client) error {
			all, err := listGroups(ctx, cl, states, types)
			if err != nil {
				return err
			}
			found := all[:0]
			for _, g := range all {
				if match(g.Group) {
					found = append(found, g)
				}
			}
			return a.printGroups(found)
		})
	}
	return c
}

func (a *app) printGroups(groups []listedGroup) error {
	if a.json() {
		return a.printJSON(groups)
	}
	rows := [][]string{{"GROUP", "STATE", "TYPE", "PROTOCOL", "COORDINATOR"}}
	for _, g := range groups {
		rows = append(rows, []string{
			g.Group, orDash(g.State), g.Type, orDash(g.Protocol), strconv.Itoa(int(g.Coordinator)),
		})
	}
	return table(a.out, rows)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// describedGroup is what `group describe` prints of one group.
type describedGroup struct {
	*groupInfo
	Lag     int64         `json:"lag"`
	Offsets []groupOffset `json:"offsets"`
}

func (a *app) groupDescribeCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "describe GROUP…",
		Short: "Show state, members, offsets and lag of groups",
		Long: "Describe shows each group's state and coordinator, its members and what they are assigned, and\n" +
			"of every partition that it has committed or is assigned where it is, where the log ends and\n" +
			"how many offsets lie between. Offsets of records that transactions have not committed count.",
		Example: "  sluice group describe billing\n" +
			"  sluice group describe billing audit -o json",
		Args: cobra.MinimumNArgs(1),
	}
	a.addOutput(c, true)
	c.RunE = func(c *cobra.Command, names []string) error {
		return a.ask(c, func(ctx context.Context, adm *kadm.Client, _ *kgo.Client) error {
			found, errs := []describedGroup{}, []error(nil)
			for _, name := range names {
				g, err := describeGroup(ctx, adm, name)
				var offsets []groupOffset
				if err == nil {
					offsets, err = groupOffsets(ctx, adm, g)
				}
				if err != nil {
					errs = append(errs, groupError(name, err))
					continue
				}
				d := describedGroup{groupInfo: g, Offsets: append([]groupOffset{}, offsets...)}
				for _, o := range offsets {
					if o.Lag != nil {
						d.Lag += *o.Lag
					}
				}
				found = append(found, d)
			}
			return errors.Join(append(errs, a.printDescribedGroups(found))...)
		})
	}
	return c
}

func (a *app) printDescribedGroups(groups []describedGroup) error {
	if a.json() {
		return a.printJSON(groups)
	}
	for i, g := range groups {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		fmt.Fprintf(a.out, "group %s  state %s  type %s  assignor %s  coordinator %d (%s)  %s, lag %d\n",
			g.Group, a.stateColour(g.State), g.Type, orDash(g.Assignor), g.Coordinator.ID,
			g.Coordinator.address(), plural(len(g.Members), "member"), g.Lag)
		if len(g.Members) > 0 {
			rows := [][]string{{"MEMBER", "INSTANCE", "CLIENT", "HOST", "ASSIGNED"}}
			for _, m := range g.Members {
				rows = append(rows, []string{
					m.ID, orDash(m.Instance), orDash(m.Client), m.Host, partitionText(m.Assigned, " "),
				})
			}
			if err := table(a.out, rows); err != nil {
				return err
			}
		}
		if len(g.Offsets) == 0 {
			continue
		}
		rows := [][]string{{"TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"}}
		for _, o := range g.Offsets {
			member := "-"
			if o.MemberID != nil {
				member = *o.MemberID
			}
			rows = append(rows, []string{
				o.Topic, strconv.Itoa(int(o.Partition)), offsetOrDash(o.Committed), offsetOrDash(o.End),
				offsetOrDash(o.Lag), member,
			})
		}
		if err := table(a.out, rows); err != nil {
			return err
		}
	}
	return nil
}

func offsetOrDash(n *int64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatInt(*n, 10)
}

// partitionText writes partitions as topic:p,p with a separator between topics.
func partitionText(parts []topicPartition, separator string) string {
	if len(parts) == 0 {
		return "-"
	}
	var b strings.Builder
	for i, p := range parts {
		switch {
		case i > 0 && p.Topic == parts[i-1].Topic:
			b.WriteByte(',')
		case i > 0:
			b.WriteString(separator)
			fallthrough
		default:
			b.WriteString(p.Topic + ":")
		}
		b.WriteString(strconv.Itoa(int(p.Partition)))
	}
	return b.String()
}

func (a *app) groupDeleteCmd() *cobra.Command {
	var ifExists bool
	var topics []string
	c := &cobra.Command{
		Use:   "delete GROUP…",
		Short: "Delete groups and their offsets, or their offsets of some topics",
		Example: "  sluice group delete billing\n" +
			"  sluice group delete billing audit --if-exists\n" +
			"  sluice group delete billing --topic orders:0,1 --topic payments",
		Args: cobra.MinimumNArgs(1),
	}
	f := c.Flags()
	f.BoolVar(&ifExists, "if-exists", false, "let a group that does not exist be")
	f.StringArrayVarP(&topics, "topic", "t", nil,
		"only the offsets of `topic[:N,N]`; the group stays; may be repeated")
	a.addOutput(c, true)
	c.RunE = func(c *cobra.Command, names []string) error {
		parts, err := parseTopicPartitions(topics)
		if err != nil {
			return err
		}
		return a.ask(c, func(ctx context.Context, adm *kadm.Client, _ *kgo.Client) error {
			var results []result
			for _, name := range names {
				r := result{Name: name, Status: "deleted"}
				if len(parts) > 0 {
					r.Status = "offsets deleted"
					err = deleteOffsets(ctx, adm, name, parts)
				} else {
					err = deleteGroup(ctx, adm, name)
				}
				switch {
				case ifExists && errors.Is(err, errNoGroup):
					r.Status = "absent"
				case err != nil:
					r.Status, r.Error = "failed", deletionError(name, err)
				}
				results = append(results, r)
			}
			return a.report(results)
		})
	}
	return c
}

func deleteGroup(ctx context.Context, adm *kadm.Client, name string) error {
	done, err := adm.DeleteGroups(ctx, name)
	if err != nil {
		return err
	}
	d, err := done.On(name, nil)
	if err != nil {
		return err
	}
	return d.Err
}

// deletionError words why a group could not be deleted, without its name, which stands before.
func deletionError(name string, err error) string {
	switch {
	case errors.Is(err, kerr.NonEmptyGroup):
		return "it has members: stop its consumers first (NON_EMPTY_GROUP)"
	case errors.Is(err, errNoGroup):
		return "it does not exist"
	}
	return strings.TrimPrefix(groupError(name, err).Error(), "group "+name+": ")
}

// deleteOffsets forgets a group's offsets of some partitions; nil stands for all of a topic.
func deleteOffsets(ctx context.Context, adm *kadm.Client, name string, parts map[string][]int32) error {
	set := kadm.TopicsSet{}
	for topic, some := range parts {
		if some != nil {
			set.Add(topic, some...)
			continue
		}
		committed, err := adm.FetchOffsets(ctx, name)
		if err != nil {
			return err
		}
		for p := range committed[topic] {
			set.Add(topic, p)
		}
	}
	if len(set) == 0 {
		return nil
	}
	done, err := adm.DeleteOffsets(ctx, name, set)
	if err != nil {
		return err
	}
	for topic, some := range done {
		for p, err := range some {
			if err != nil {
				return fmt.Errorf("topic %s, partition %d: %w", topic, p, err)
			}
		}
	}
	return nil
}
