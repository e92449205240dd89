package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// describe prints groups one after the other, as soon as all are known.
func (c *groupCommand) describe() error {
	names, err := c.groups()
	if err != nil {
		return err
	}
	var groups []*groupInfo
	var offsets [][]groupOffset
	for _, name := range names {
		g, err := describeGroup(c.ctx, c.adm, name)
		if err == nil && !c.line.Has("members") && !c.line.Has("state") {
			var rows []groupOffset
			rows, err = groupOffsets(c.ctx, c.adm, g)
			offsets = append(offsets, rows)
		}
		if errors.Is(err, errNoGroup) {
			return kafkaWords("org.apache.kafka.common.errors.GroupIdNotFoundException: Group " + name +
				" not found.")
		}
		if err != nil {
			return err
		}
		groups = append(groups, g)
	}
	for i, g := range groups {
		c.announce(g)
		switch {
		case c.line.Has("members"):
			c.members(g)
		case c.line.Has("state"):
			c.state(g)
		case len(offsets[i]) > 0:
			c.offsets(g, offsets[i])
		}
	}
	return nil
}

// announce says on the error output what a reader should know of a group's state.
func (c *groupCommand) announce(g *groupInfo) {
	switch g.State {
	case "Empty":
		fmt.Fprintf(c.app.err, "\nConsumer group '%s' has no active members.\n", g.Group)
	case "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling":
		fmt.Fprintf(c.app.err, "\nWarning: Consumer group '%s' is rebalancing.\n", g.Group)
	}
}

// offsets prints assigned partitions first, those of the member with the most before the others, and
// then those that nobody reads.
func (c *groupCommand) offsets(g *groupInfo, rows []groupOffset) {
	slices.SortStableFunc(rows, func(x, y groupOffset) int {
		return assignedTo(y) - assignedTo(x)
	})
	verbose := c.line.Has("verbose")
	heading := []string{
		"GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST",
		"CLIENT-ID",
	}
	widths := []int{15, 15, -10, -15, -15, -15, 15, 15, 0}
	if verbose {
		heading = slices.Insert(heading, 3, "LEADER-EPOCH")
		widths = slices.Insert(widths, 3, -15)
	}
	lines := [][]string{heading}
	for _, r := range rows {
		m := groupMember{ID: "-", Host: "-", Client: "-"}
		if r.member != nil {
			m = *r.member
		}
		cells := []string{
			g.Group, r.Topic, strconv.Itoa(int(r.Partition)), offsetOrDash(r.Committed), offsetOrDash(r.End),
			offsetOrDash(r.Lag), m.ID, m.Host, m.Client,
		}
		if verbose {
			cells = slices.Insert(cells, 3, epochOrDash(r.LeaderEpoch))
		}
		lines = append(lines, cells)
	}
	c.columns(lines, widths, "")
}

// assignedTo is how many partitions the member has that reads a partition.
func assignedTo(o groupOffset) int {
	if o.member == nil {
		return 0
	}
	return len(o.member.Assigned)
}

func epochOrDash(n *int32) string {
	if n == nil {
		return "-"
	}
	return strconv.Itoa(int(*n))
}

func (c *groupCommand) members(g *groupInfo) {
	static := slices.ContainsFunc(g.Members, func(m groupMember) bool { return m.Instance != "" })
	verbose := c.line.Has("verbose")
	row := func(id, instance, host, client, count string, more ...string) []string {
		cells := []string{g.Group, id}
		if static {
			cells = append(cells, instance)
		}
		cells = append(cells, host, client, count)
		if verbose {
			cells = append(cells, more...)
		}
		return cells
	}
	heading := row("CONSUMER-ID", "GROUP-INSTANCE-ID", "HOST", "CLIENT-ID", "#PARTITIONS",
		"CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT")
	heading[0] = "GROUP"
	widths := []int{15, 15, 15, 15, -15}
	if static {
		widths = slices.Insert(widths, 2, 17)
	}
	if verbose {
		widths = append(widths, -15, 20, -15, 20)
	}
	lines := [][]string{heading}
	for _, m := range g.Members {
		instance := m.Instance
		if instance == "" {
			instance = "-"
		}
		lines = append(lines, row(m.ID, instance, m.Host, m.Client, strconv.Itoa(len(m.Assigned)),
			epochOrDash(m.epoch), memberPartitions(m.Assigned), epochOrDash(m.targetEpoch),
			memberPartitions(m.target)))
	}
	end := " "
	if verbose {
		end = ""
	}
	c.columns(lines, widths, end)
}

// memberPartitions lists partitions as topic:p,p;topic:p.
func memberPartitions(parts []topicPartition) string { return partitionText(parts, ";") }

func (c *groupCommand) state(g *groupInfo) {
	heading := []string{"GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE"}
	cells := []string{
		g.Group, fmt.Sprintf("%s:%d  (%d)", g.Coordinator.Host, g.Coordinator.Port, g.Coordinator.ID),
		orDash(g.Assignor), g.State,
	}
	widths := []int{15, 25, -20, -20}
	if c.line.Has("verbose") {
		heading = append(heading, "GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH")
		cells = append(cells, epochOrDash(g.epoch), epochOrDash(g.targetEpoch))
		widths = append(widths, -15, -25)
	}
	c.columns([][]string{append(heading, "#MEMBERS"), append(cells, strconv.Itoa(len(g.Members)))},
		append(widths, 0), "")
}

// columns prints rows behind an empty line. A width is the least of a column that grows with its cells;
// a negative one is that of a column that does not; 0 pads nothing. end stands behind every row.
func (c *groupCommand) columns(lines [][]string, widths []int, end string) {
	for i, w := range widths {
		for _, cells := range lines {
			if w > 0 {
				widths[i] = max(widths[i], len(cells[i]))
			}
		}
	}
	fmt.Fprintln(c.app.out)
	for _, cells := range lines {
		var b strings.Builder
		for i, cell := range cells {
			if i > 0 {
				b.WriteByte(' ')
			}
			fmt.Fprintf(&b, "%-*s", max(widths[i], -widths[i]), cell)
		}
		fmt.Fprintln(c.app.out, b.String()+end)
	}
}
