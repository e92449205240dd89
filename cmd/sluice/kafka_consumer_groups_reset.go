package main

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/cmd/sluice/internal/kopt"
)

// resetRow is where a partition of a group is to go.
type resetRow struct {
	group string
	topicPartition
	offset int64
}

// noExecute is what Kafka's tool says to a reset of which it is not told whether to do it.
const noExecute = "WARN: No action will be performed as the --execute option is missing. In version 5.0, " +
	"this command will require either --dry-run or --execute to be specified. You should add the " +
	"--dry-run option explicitly if you are scripting this command and want to keep the current default " +
	"behavior without prompting."

// reset prints where groups are to go, or as CSV, and moves them there if it is told to.
func (c *groupCommand) reset() error {
	if count(c.line, "dry-run", "execute") == 0 {
		fmt.Fprintln(c.app.err, noExecute)
	}
	names, err := c.groups()
	if err != nil {
		return err
	}
	var rows []resetRow
	width := 15
	for _, name := range names {
		width = max(width, len(name))
		g, err := describeGroup(c.ctx, c.adm, name)
		if err != nil && !errors.Is(err, errNoGroup) {
			return err
		}
		if err == nil && g.State != "Empty" && g.State != "Dead" {
			c.app.kafkaErrorf("Assignments can only be reset if the group '%s' is inactive, but the current "+
				"state is %s.", name, g.State)
			continue
		}
		found, err := c.resetOf(name)
		if err != nil {
			return err
		}
		if c.line.Has("execute") {
			to := map[topicPartition]int64{}
			for _, r := range found {
				to[r.topicPartition] = r.offset
			}
			if err := commitOffsets(c.ctx, c.adm, name, to); err != nil {
				return err
			}
		}
		rows = append(rows, found...)
	}
	if c.line.Has("export") {
		c.export(rows)
		return nil
	}
	lines := [][]string{{"GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"}}
	for _, r := range rows {
		lines = append(lines, []string{
			r.group, r.Topic, strconv.Itoa(int(r.Partition)), strconv.FormatInt(r.offset, 10),
		})
	}
	c.columns(lines, []int{width, 15, -10, 0}, "")
	return nil
}

// export prints rows as --from-file reads them: with the group unless just one was named.
func (c *groupCommand) export(rows []resetRow) {
	for _, r := range rows {
		text := fmt.Sprintf("%s,%d,%d", csvCell(r.Topic), r.Partition, r.offset)
		if len(c.line.All("group")) != 1 {
			text = csvCell(r.group) + "," + text
		}
		fmt.Fprintln(c.app.out, text)
	}
	fmt.Fprintln(c.app.out)
}

// csvCell quotes a cell where Jackson, which writes Kafka's, does: if it is long, or holds anything up
// to a comma in ASCII.
func csvCell(text string) string {
	const unquotedMax = 24
	if len(text) <= unquotedMax && !strings.ContainsFunc(text, func(r rune) bool { return r <= ',' }) {
		return text
	}
	return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
}

// resetOf returns where the partitions of one group are to go, in order.
func (c *groupCommand) resetOf(group string) ([]resetRow, error) {
	committed, err := c.adm.FetchOffsets(c.ctx, group)
	if errors.Is(err, errNoGroup) {
		committed, err = kadm.OffsetResponses{}, nil
	}
	if err != nil {
		return nil, err
	}
	var rows []resetRow
	if c.line.Has("from-file") {
		if rows, err = readResets(c.line.Get("from-file"), group); err != nil {
			return nil, err
		}
	} else if rows, err = c.scope(group, committed); err != nil || len(rows) == 0 {
		return nil, err
	}
	slices.SortFunc(rows, func(x, y resetRow) int {
		return cmp.Or(comparePartitions(x.topicPartition, y.topicPartition))
	})
	return rows, c.target(rows, committed)
}

// scope returns the partitions that --topic and --all-topics name.
func (c *groupCommand) scope(group string, committed kadm.OffsetResponses) ([]resetRow, error) {
	var rows []resetRow
	if c.line.Has("all-topics") {
		for _, o := range committed.Sorted() {
			if o.At >= 0 {
				rows = append(rows, resetRow{group, topicPartition{o.Topic, o.Partition}, 0})
			}
		}
		return rows, nil
	}
	parts, err := c.topicArgs()
	for _, p := range parts {
		rows = append(rows, resetRow{group, p, 0})
	}
	return rows, err
}

// topicArgs returns the partitions that --topic names: topic, or topic:p,p. All must exist.
func (c *groupCommand) topicArgs() ([]topicPartition, error) {
	var parts []topicPartition
	for _, arg := range c.line.All("topic") {
		topic, list, some := strings.Cut(arg, ":")
		all, err := c.adm.ListTopicsWithInternal(c.ctx, topic)
		if err != nil {
			return nil, err
		}
		t, ok := all[topic]
		if !ok {
			return nil, errUnknownTopic
		}
		var wanted []int32
		for _, text := range splitList(list) {
			p, err := strconv.ParseInt(text, 10, 32)
			if err != nil {
				return nil, kopt.Errorf("Invalid partition '%s' specified in topic arg '%s''", text, arg)
			}
			wanted = append(wanted, int32(p))
		}
		if t.Err != nil {
			return nil, t.Err
		}
		if !some {
			for _, p := range t.Partitions.Sorted() {
				wanted = append(wanted, p.Partition)
			}
		}
		for _, p := range wanted {
			if _, ok := t.Partitions[p]; !ok {
				return nil, kafkaWords(fmt.Sprintf("The partitions \"%s-%d\" do not exist", topic, p))
			}
			parts = append(parts, topicPartition{topic, p})
		}
	}
	return parts, nil
}

// readResets reads a file of topic,partition,offset or group,topic,partition,offset lines and returns
// those of a group.
func readResets(path, group string) ([]resetRow, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("java.io.IOException: Unable to read file %s", path)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord, r.TrimLeadingSpace = -1, true
	lines, err := r.ReadAll()
	if err != nil {
		return nil, kopt.Errorf("%s: %v", path, err)
	}
	var rows []resetRow
	for i, cells := range lines {
		row := resetRow{group: group}
		if len(cells) == 4 {
			row.group, cells = cells[0], cells[1:]
		}
		if len(cells) != 3 {
			return nil, kopt.Errorf("%s: line %d is neither topic,partition,offset nor "+
				"group,topic,partition,offset", path, i+1)
		}
		p, err := strconv.ParseInt(cells[1], 10, 32)
		if err != nil {
			return nil, kopt.Errorf("%s: line %d: %q is not a partition", path, i+1, cells[1])
		}
		if row.offset, err = strconv.ParseInt(cells[2], 10, 64); err != nil {
			return nil, kopt.Errorf("%s: line %d: %q is not an offset", path, i+1, cells[2])
		}
		row.topicPartition = topicPartition{cells[0], int32(p)}
		if row.group == group {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// target fills in where rows are to go. Offsets outside of a log move to its nearest end.
func (c *groupCommand) target(rows []resetRow, committed kadm.OffsetResponses) error {
	if len(rows) == 0 {
		return nil
	}
	where, err := c.point()
	if err != nil {
		return err
	}
	var topics []string
	for _, r := range rows {
		if !slices.Contains(topics, r.Topic) {
			topics = append(topics, r.Topic)
		}
	}
	r, err := newResolver(c.ctx, c.adm, span{from: where}, false, topics)
	if err != nil {
		return err
	}
	for i := range rows {
		row := &rows[i]
		p := where
		at, known := committed.Lookup(row.Topic, row.Partition)
		known = known && at.At >= 0
		switch {
		case c.line.Has("from-file"):
			p = point{atOffset, row.offset}
		case c.line.Has("to-current") && known:
			p = point{atOffset, at.At}
		case c.line.Has("shift-by"):
			if !known {
				return kopt.Errorf("Cannot shift offset for partition %v since there is no current committed offset",
					row.topicPartition)
			}
			p = point{atOffset, at.At + where.n}
		}
		k, err := r.cursor(span{from: p}, row.Topic, row.Partition)
		if err != nil {
			return err
		}
		row.offset = k.next
		if p.base == atTime && c.beyond(r, p, row.topicPartition) {
			fmt.Fprintf(c.app.out, "\nWarn: Partition %d from topic %s is empty. Falling back to latest known "+
				"offset.\n", row.Partition, row.Topic)
		}
	}
	return nil
}

// beyond reports whether no record of a partition is as late as a time.
func (c *groupCommand) beyond(r *resolver, p point, part topicPartition) bool {
	o, ok := r.times[p.n].Lookup(part.Topic, part.Partition)
	return ok && o.Timestamp < 0
}

// point reads the target. Those that count from the committed offset give its distance, or the end for
// partitions without one.
func (c *groupCommand) point() (point, error) {
	switch {
	case c.line.Has("to-earliest"):
		return point{base: fromStart}, nil
	case c.line.Has("to-latest"), c.line.Has("to-current"):
		return point{base: fromEnd}, nil
	case c.line.Has("to-offset"):
		n, err := c.line.Int("to-offset", 64, 0)
		return point{atOffset, n}, err
	case c.line.Has("shift-by"):
		n, err := c.line.Int("shift-by", 64, 0)
		return point{atOffset, n}, err
	case c.line.Has("to-datetime"):
		t, err := kafkaDatetime(c.line.Get("to-datetime"))
		return point{atTime, t.UnixMilli()}, err
	case c.line.Has("by-duration"):
		d, err := isoDuration(c.line.Get("by-duration"))
		return point{atTime, time.Now().Add(-d).UnixMilli()}, err
	}
	return point{base: fromEnd}, nil
}

// kafkaDatetime reads a date and time as ISO 8601 has them, in UTC unless it says otherwise.
func kafkaDatetime(text string) (time.Time, error) {
	if !strings.Contains(text, "T") {
		return time.Time{}, errors.New("java.text.ParseException: Error parsing timestamp. It does not contain " +
			"a 'T' according to ISO8601 format")
	}
	for _, zone := range []string{"", "Z07:00", "Z0700", "Z07"} {
		for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04"} {
			if t, err := time.Parse(layout+zone, text); err == nil {
				return t, nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("java.text.ParseException: Unparseable date: \"%s\"", text)
}

// durationForm is what java.time.Duration reads: days, hours, minutes and seconds, each with a sign.
var durationForm = regexp.MustCompile(
	`^([-+]?)P(?:([-+]?\d+)D)?(T(?:([-+]?\d+)H)?(?:([-+]?\d+)M)?(?:([-+]?\d+(?:[.,]\d{0,9})?)S)?)?$`)

func isoDuration(text string) (time.Duration, error) {
	bad := kafkaWords("Text cannot be parsed to a Duration")
	m := durationForm.FindStringSubmatch(strings.ToUpper(text))
	if m == nil || m[3] == "T" || m[2]+m[3] == "" {
		return 0, bad
	}
	total := time.Duration(0)
	for i, unit := range map[int]time.Duration{
		2: 24 * time.Hour, 4: time.Hour, 5: time.Minute, 6: time.Second,
	} {
		if m[i] == "" {
			continue
		}
		n, err := strconv.ParseFloat(strings.Replace(m[i], ",", ".", 1), 64)
		if err != nil || n*float64(unit) > 1<<62 || n*float64(unit) < -1<<62 {
			return 0, bad
		}
		total += time.Duration(n * float64(unit))
	}
	if m[1] == "-" {
		total = -total
	}
	return total, nil
}

// removeOffsets deletes a group's offsets of topics and prints how each partition fared.
func (c *groupCommand) removeOffsets() error {
	group := c.line.Get("group")
	set, missing := kadm.TopicsSet{}, map[topicPartition]bool{}
	for _, arg := range c.line.All("topic") {
		topic, list, some := strings.Cut(arg, ":")
		for _, text := range splitList(list) {
			p, err := strconv.ParseInt(text, 10, 32)
			if err != nil {
				return kopt.Errorf("Invalid partition '%s' specified in topic arg '%s''", text, arg)
			}
			set.Add(topic, int32(p))
		}
		if some {
			continue
		}
		all, err := c.adm.ListTopicsWithInternal(c.ctx, topic)
		if err != nil {
			return err
		}
		if t, ok := all[topic]; !ok || t.Err != nil {
			missing[topicPartition{topic, -1}] = true
			continue
		}
		for p := range all[topic].Partitions {
			set.Add(topic, p)
		}
	}
	results, top := map[topicPartition]error{}, error(nil)
	if len(set) > 0 {
		done, err := c.adm.DeleteOffsets(c.ctx, group, set)
		for _, p := range partitionList(set) {
			results[p] = err
			if found, ok := done.Lookup(p.Topic, p.Partition); err == nil && ok {
				results[p] = found
				if found != nil {
					top = kafkaWords("Encountered some partition-level error, see the follow-up details.")
				}
			}
		}
		if err != nil {
			top = err
		}
	}
	for p := range missing {
		results[p] = kerr.UnknownTopicOrPartition
	}
	c.printRemoved(group, top, results)
	return nil
}

func (c *groupCommand) printRemoved(group string, top error, results map[topicPartition]error) {
	if top != nil {
		c.app.kafkaErrorf("%s", javaText(top))
	} else {
		fmt.Fprintf(c.app.out, "Request succeeded for deleting offsets from group %s.\n", group)
	}
	parts := make([]topicPartition, 0, len(results))
	for p := range results {
		parts = append(parts, p)
	}
	slices.SortFunc(parts, comparePartitions)
	lines := [][]string{{"TOPIC", "PARTITION", "STATUS"}}
	for _, p := range parts {
		number, status := strconv.Itoa(int(p.Partition)), "Successful"
		if p.Partition < 0 {
			number = "-"
		}
		if err := results[p]; err != nil {
			status = "Error: " + javaError(err)
		}
		lines = append(lines, []string{p.Topic, number, status})
	}
	c.columns(lines, []int{15, -10, -15}, "")
}
