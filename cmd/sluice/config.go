package main

import (
	"context"
	"fmt"
	"sort"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (a *app) configCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Show and change the configuration of topics and brokers",
		Example: "  sluice config describe topic orders\n" +
			"  sluice config alter topic orders --set retention.ms=3600000",
		Args: cobra.ArbitraryArgs,
	}
	c.AddCommand(a.configDescribeCmd(), a.configAlterCmd())
	return a.group(c)
}

// resourceOf reads the words of a command line: topic NAME, broker ID, or broker alone or with the
// word default for the default of all brokers.
func resourceOf(args []string) (resource, error) {
	name := ""
	if len(args) > 1 {
		name = args[1]
	}
	switch args[0] {
	case "topic":
		if name == "" {
			return resource{}, usagef("which topic?")
		}
		return resource{kmsg.ConfigResourceTypeTopic, name}, checkNames(name)
	case "broker":
		if name == "default" {
			name = ""
		}
		if _, err := strconv.ParseUint(name, 10, 31); name != "" && err != nil {
			return resource{}, usagef("broker %q: it must be a broker's id or the word default", name)
		}
		return resource{kmsg.ConfigResourceTypeBroker, name}, nil
	}
	return resource{}, usagef("%q has no configuration: it must be topic or broker", args[0])
}

func (r resource) String() string {
	switch {
	case r.kind == kmsg.ConfigResourceTypeTopic:
		return "topic " + r.name
	case r.name == "":
		return "the default of all brokers"
	}
	return "broker " + r.name
}

// error words what went wrong with a resource.
func (r resource) error(err error) error {
	if r.kind == kmsg.ConfigResourceTypeTopic {
		return topicError(r.name, err)
	}
	return fmt.Errorf("%s: %w", r, err)
}

func (a *app) configDescribeCmd() *cobra.Command {
	var all, docs bool
	c := &cobra.Command{
		Use:   "describe topic NAME | broker [ID|default]",
		Short: "Show what is configured, and where that comes from",
		Example: "  sluice config describe topic orders\n" +
			"  sluice config describe topic orders --all --docs\n" +
			"  sluice config describe broker 1 -o json\n" +
			"  sluice config describe broker default",
		Args: cobra.RangeArgs(1, 2),
	}
	c.Flags().BoolVar(&all, "all", false, "with what is at its default")
	c.Flags().BoolVar(&docs, "docs", false, "with what each key means")
	a.addOutput(c, true)
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := resourceOf(args)
		if err != nil {
			return err
		}
		return a.ask(c, func(ctx context.Context, _ *kadm.Client, cl *kgo.Client) error {
			entries, errs, err := describeConfigs(ctx, cl, []resource{r}, docs)
			if err != nil {
				return err
			}
			if errs[0] != nil {
				return r.error(errs[0])
			}
			return a.printConfigs(entries[0], all, docs)
		})
	}
	return c
}

func (a *app) printConfigs(entries []configInfo, all, docs bool) error {
	shown := []configInfo{}
	for _, e := range entries {
		if all || e.source != kmsg.ConfigSourceDefaultConfig {
			shown = append(shown, e)
		}
	}
	sort.Slice(shown, func(i, j int) bool { return shown[i].Name < shown[j].Name })
	if a.json() {
		return a.printJSON(shown)
	}
	rows := [][]string{{"KEY", "VALUE", "SOURCE"}}
	if docs {
		rows[0] = append(rows[0], "MEANING")
	}
	for _, e := range shown {
		value := e.text()
		if e.Sensitive {
			value = "(hidden)"
		}
		row := []string{e.Name, value, e.Source}
		if docs {
			row = append(row, e.Doc)
		}
		rows = append(rows, row)
	}
	return table(a.out, rows)
}

func (a *app) configAlterCmd() *cobra.Command {
	var set, remove []string
	var dryRun bool
	c := &cobra.Command{
		Use:   "alter topic NAME | broker [ID|default]",
		Short: "Set keys, or put them back to their default",
		Example: "  sluice config alter topic orders --set retention.ms=3600000 --set segment.ms=60000\n" +
			"  sluice config alter topic orders --delete retention.ms\n" +
			"  sluice config alter broker default --set log.retention.ms=86400000",
		Args: cobra.RangeArgs(1, 2),
	}
	f := c.Flags()
	f.StringArrayVarP(&set, "set", "s", nil, "set a key, `key=value`; may be repeated")
	f.StringArrayVarP(&remove, "delete", "d", nil, "put a `key` back to its default; may be repeated")
	f.BoolVar(&dryRun, "dry-run", false, "only let the broker check the request")
	a.addOutput(c, true)
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := resourceOf(args)
		if err != nil {
			return err
		}
		configs, err := parseConfigs(set)
		if err != nil {
			return err
		}
		changes := changesOf(configs, remove)
		if len(changes) == 0 {
			return usagef("nothing to change: give --set or --delete")
		}
		return a.ask(c, func(ctx context.Context, _ *kadm.Client, cl *kgo.Client) error {
			if err := alterConfigs(ctx, cl, r, changes, dryRun); err != nil {
				return r.error(err)
			}
			status := "altered"
			if dryRun {
				status = "valid"
			}
			return a.report([]result{{Name: r.String(), Status: status}})
		})
	}
	return c
}
