package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// span is the part of each partition that a consumer reads: from a point, and up to another one if
// bounded.
type span struct {
	from, to point
	bounded  bool
}

// point is a place in a partition that may depend on what the partition holds.
type point struct {
	base pointBase
	n    int64 // An offset, a distance or milliseconds since 1970, by base.
}

type pointBase uint8

const (
	atOffset  pointBase = iota // The offset n.
	fromStart                  // n behind the log's start.
	fromEnd                    // n before the log's end.
	atTime                     // The first record whose time is at least n.
)

// offsetForms names the forms for messages and help.
const offsetForms = "start, end, N, +N (after the start), -N (before the end) or @TIME, " +
	"and FROM:TO or :TO of these"

// parseSpan reads what -o takes: FROM, FROM:TO or :TO. A colon inside a time is not a separator, so
// every way to split is tried, the longest FROM first. now is what times before now count from.
func parseSpan(text string, now time.Time) (span, error) {
	if from, err := parsePoint(text, now); err == nil {
		return span{from: from}, nil
	}
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] != ':' {
			continue
		}
		from, to := point{base: fromStart}, point{}
		var err error
		if i > 0 {
			if from, err = parsePoint(text[:i], now); err != nil {
				continue
			}
		}
		if to, err = parsePoint(text[i+1:], now); err == nil {
			return span{from, to, true}, nil
		}
	}
	return span{}, usagef("offset %q is none of %s", text, offsetForms)
}

func parsePoint(text string, now time.Time) (point, error) {
	switch text {
	case "start", "beginning", "earliest":
		return point{base: fromStart}, nil
	case "end", "latest":
		return point{base: fromEnd}, nil
	case "":
		return point{}, fmt.Errorf("empty")
	}
	if t, ok := strings.CutPrefix(text, "@"); ok {
		ms, err := parseTime(t, now)
		return point{atTime, ms}, err
	}
	base, digits := atOffset, text
	switch text[0] {
	case '+':
		base, digits = fromStart, text[1:]
	case '-':
		base, digits = fromEnd, text[1:]
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || digits[0] < '0' || digits[0] > '9' {
		return point{}, fmt.Errorf("not a number")
	}
	return point{base, n}, nil
}

// parseTime reads milliseconds (12 digits and more) or seconds since 1970, a date, a date and time
// (RFC 3339), or -D for a duration before now.
func parseTime(text string, now time.Time) (ms int64, err error) {
	if n, err := strconv.ParseUint(text, 10, 63); err == nil {
		if len(text) >= 12 {
			return int64(n), nil
		}
		return int64(n) * 1000, nil
	}
	if d, ok := strings.CutPrefix(text, "-"); ok {
		ago, err := time.ParseDuration(d)
		return now.Add(-ago).UnixMilli(), err
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("%q is not a time", text)
}

// cursor is the part of one partition that is to be read: offsets from next up to, not including,
// end. Without a bound end is -1.
type cursor struct {
	topic     string
	partition int32
	next, end int64
}

// resolver looks points up in the partitions of some topics.
type resolver struct {
	starts, ends kadm.ListedOffsets
	times        map[int64]kadm.ListedOffsets
}

// newResolver asks for what the span needs to know. The end of a committed reader is the last
// stable offset.
func newResolver(ctx context.Context, adm *kadm.Client, s span, committed bool, topics []string,
) (*resolver, error) {
	r := &resolver{times: map[int64]kadm.ListedOffsets{}}
	var err error
	if r.starts, err = adm.ListStartOffsets(ctx, topics...); err != nil {
		return nil, err
	}
	list := adm.ListEndOffsets
	if committed {
		list = adm.ListCommittedOffsets
	}
	if r.ends, err = list(ctx, topics...); err != nil {
		return nil, err
	}
	for _, p := range []point{s.from, s.to} {
		if p.base == atTime && r.times[p.n] == nil {
			if r.times[p.n], err = adm.ListOffsetsAfterMilli(ctx, p.n, topics...); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// cursor resolves a span for one partition. Points outside of the log move to its nearest end.
func (r *resolver) cursor(s span, topic string, partition int32) (cursor, error) {
	c := cursor{topic: topic, partition: partition, end: -1}
	start, err := lookup(r.starts, topic, partition)
	if err != nil {
		return c, err
	}
	end, err := lookup(r.ends, topic, partition)
	if err != nil {
		return c, err
	}
	if c.next, err = r.resolve(s.from, c, start, end); err != nil {
		return c, err
	}
	if s.bounded {
		c.end, err = r.resolve(s.to, c, start, end)
	}
	return c, err
}

// beyond words a hint if a span begins at an offset that lies behind the end of every partition, so
// that nobody wonders why nothing is printed.
func (r *resolver) beyond(s span, parts []cursor) string {
	if s.from.base != atOffset || len(parts) == 0 {
		return ""
	}
	hint := ""
	for _, p := range parts {
		end, err := lookup(r.ends, p.topic, p.partition)
		if err != nil || s.from.n <= end {
			return ""
		}
		if hint == "" {
			hint = fmt.Sprintf("offset %d is beyond the end (%d) of partition %d", s.from.n, end,
				p.partition)
		}
	}
	if more := len(parts) - 1; more > 0 {
		hint += ", and of " + plural(more, "more partition")
	}
	return hint
}

func (r *resolver) resolve(p point, c cursor, start, end int64) (int64, error) {
	at := p.n
	switch p.base {
	case fromStart:
		at = start + p.n
	case fromEnd:
		at = end - p.n
	case atTime:
		var err error
		if at, err = lookup(r.times[p.n], c.topic, c.partition); err != nil {
			return 0, err
		}
	}
	return min(max(at, start), end), nil
}

func lookup(listed kadm.ListedOffsets, topic string, partition int32) (int64, error) {
	o, ok := listed.Lookup(topic, partition)
	if !ok {
		return 0, fmt.Errorf("topic %s has no partition %d", topic, partition)
	}
	if o.Err != nil {
		return 0, fmt.Errorf("topic %s, partition %d: %w", topic, partition, o.Err)
	}
	return o.Offset, nil
}
