package main

import (
	"fmt"
	"net"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"sluice/benchmarks/groups"
	"sluice/benchmarks/measure"
)

// benchGroupsCmd measures coordinators. It is no mode of the load generator: what it counts is
// members, commits and transactions, not bytes.
func (a *app) benchGroupsCmd() *cobra.Command {
	o := groups.Defaults()
	quiet := false
	c := &cobra.Command{
		Use:   "groups",
		Short: "Measure group membership, rebalances, offset commits and transactions",
		Long: "Groups loads a broker's coordinators in four parts: steady (members that send heartbeats),\n" +
			"rebalance (one large group, from its first join until all have their partitions), commits\n" +
			"(offset commits a second) and transactions (of one record each, a second).\n" +
			"Latencies of commits include the wait behind the connection's earlier ones.",
		Example: "  sluice bench groups\n" +
			"  sluice bench groups --parts commits --connections 64 --depth 1\n" +
			"  sluice bench groups --parts steady --groups 100 --members 100 -o json",
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringSliceVar(&o.Parts, "parts", o.Parts, "what to measure")
	f.IntVar(&o.Groups, "groups", o.Groups, "steady: groups")
	f.IntVar(&o.Members, "members", o.Members, "steady: members of each group, a connection each")
	f.DurationVar(&o.Heartbeat, "heartbeat", o.Heartbeat, "how often a member sends a heartbeat")
	f.IntVar(&o.LargeMembers, "large-members", o.LargeMembers, "rebalance: members of the one group")
	f.IntVar(&o.LargePartitions, "large-partitions", o.LargePartitions, "rebalance: partitions they share")
	f.IntVar(&o.Connections, "connections", o.Connections, "commits: connections, a group each")
	f.IntVar(&o.Depth, "depth", o.Depth, "commits: requests in flight on each connection")
	f.IntVar(&o.OffsetsEach, "offsets-each", o.OffsetsEach, "commits: offsets in each request")
	f.IntVar(&o.Producers, "producers", o.Producers, "transactions: producers, two connections each")
	f.DurationVar(&o.Warmup, "warmup", o.Warmup, "unmeasured time before each part's measured time")
	f.DurationVar(&o.Duration, "duration", o.Duration, "measured time of each part but rebalance")
	f.StringVar(&o.Topic, "topic", o.Topic, "the topic to make, and delete, for commits and transactions")
	f.IntVar(&o.Pid, "broker-pid", 0, "the broker's process; found by its port if it runs here")
	f.BoolVarP(&quiet, "quiet", "q", false, "no progress lines")
	a.addOutput(c, true)
	c.RunE = func(c *cobra.Command, _ []string) error {
		o.Addr = firstAddr(a.bootstrap)
		if o.Pid == 0 {
			o.Pid, _ = measure.PidOf(o.Addr) // A broker elsewhere has no process to look at.
		}
		if !quiet {
			o.Log = func(text string) { fmt.Fprintln(a.err, text) }
		}
		if err := o.Check(); err != nil {
			return &exit{exitUsage, err.Error()}
		}
		parts, err := groups.Run(c.Context(), o)
		if err != nil {
			return err
		}
		return a.showGroups(parts)
	}
	return c
}

// firstAddr is the first of a list of brokers, with a port.
func firstAddr(list string) string {
	addr := strings.TrimSpace(strings.Split(list, ",")[0])
	if _, _, err := net.SplitHostPort(addr); err != nil {
		addr = net.JoinHostPort(addr, "9092")
	}
	return addr
}

func (a *app) showGroups(parts []groups.Part) error {
	failed := ""
	if a.json() {
		if err := a.printJSON(parts); err != nil {
			return err
		}
	}
	rows := [][]string{{"PART", "DONE", "PER SECOND", "P50", "P99", "MAX", "STABLE AFTER", "BROKER CPU", "NOTES"}}
	for _, p := range parts {
		if p.Failed != "" {
			failed += fmt.Sprintf("%s: %s\n", p.Name, p.Failed)
		}
		rows = append(rows, groupsRow(&p))
	}
	if !a.json() {
		if err := table(a.out, rows); err != nil {
			return err
		}
	}
	if failed != "" {
		return &exit{1, strings.TrimSpace(failed)}
	}
	return nil
}

func groupsRow(p *groups.Part) []string {
	row := []string{p.Name, "-", "-", "-", "-", "-", "-", "-", ""}
	if p.Latency != nil && p.Count > 0 {
		s := p.Latency.Summary()
		row[1], row[2] = fmt.Sprint(p.Count), fmt.Sprintf("%.0f", float64(p.Count)/p.Seconds)
		row[3], row[4], row[5] = micros(s.P50), micros(s.P99), micros(s.Max)
	}
	if p.StableSeconds > 0 {
		row[6] = fmt.Sprintf("%.2f s", p.StableSeconds)
	}
	if p.BrokerCPU >= 0 {
		row[7] = fmt.Sprintf("%.1f %% of a core", 100*p.BrokerCPU)
	}
	var notes []string
	if p.Members > 0 {
		notes = append(notes, fmt.Sprintf("%d members, %d partitions", p.Members, p.Partitions))
	}
	if p.Rebalances > 0 {
		notes = append(notes, fmt.Sprintf("%d rejoined", p.Rebalances))
	}
	for name, n := range p.Errors {
		notes = append(notes, fmt.Sprintf("%d × %s", n, name))
	}
	sort.Strings(notes)
	if p.Failed != "" {
		notes = append(notes, "FAILED")
	}
	row[8] = strings.Join(notes, ", ")
	return row
}

func micros(ns int64) string { return fmt.Sprintf("%.0f µs", float64(ns)/1e3) }
