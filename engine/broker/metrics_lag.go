package broker

import (
	"cmp"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"sluice/engine/coordinator"
	"sluice/engine/group"
)

const (
	// lagWait is how long a scrape waits for the shards altogether. A shard that has no turn for it in
	// that time, because its log dir is stuck, is left out: metrics are needed most at such times.
	lagWait = 250 * time.Millisecond
	// lagIDBytesMax bounds the group ids that become labels, and with them the page.
	lagIDBytesMax = 512
)

// writeLags writes what groups have committed, and how far that is behind the partitions' ends. offsets
// is how many there are.
func (b *Broker) writeLags(e *exposition, offsets int) {
	list := b.committedOffsets(int(b.cfg.GroupMetricsMax))
	partition := make([]string, len(list))
	label := make([]string, len(list))
	for i := range list {
		partition[i], label[i] = strconv.Itoa(int(list[i].Partition)), idLabel(list[i].Group)
	}
	e.begin("sluice_group_committed_offset", kindGauge, "Offset that a group has committed.")
	for i := range list {
		c := &list[i]
		e.gauge(c.Offset, "group", label[i], "topic", idLabel(c.Topic), "partition", partition[i])
	}
	e.begin("sluice_group_lag", kindGauge,
		"Records between a group's committed offset and the high watermark.")
	for i := range list {
		c := &list[i]
		if lag, ok := b.lagOf(c); ok {
			e.gauge(lag, "group", label[i], "topic", idLabel(c.Topic), "partition", partition[i])
		}
	}
	e.begin("sluice_group_partitions_left_out", kindGauge,
		"Committed offsets that have no series of their own.")
	e.gauge(int64(max(offsets-len(list), 0)))
}

// lagOf is what kafka-consumer-groups would tell. There is none where the partition is led elsewhere,
// its log dir has failed, or the offset was committed for an earlier topic of the same name.
func (b *Broker) lagOf(c *group.Committed) (lag int64, ok bool) {
	t := b.topics.namedString(c.Topic)
	if t == nil || c.Offset < 0 || c.TopicID != [16]byte{} && c.TopicID != [16]byte(t.id) {
		return 0, false
	}
	r := t.replica(c.Partition)
	if r == nil || r.log.Load() == nil || r.offline.Load() {
		return 0, false
	}
	return max(r.highWatermark.Load()-c.Offset, 0), true
}

// idLabel makes a label of what a client has named: text as it is, and what is not UTF-8, on which
// Prometheus would turn down the whole page, in Go's quotes. So that no two ids have one label, text
// that begins with a quote gets them, too.
func idLabel(id string) string {
	if utf8.ValidString(id) && (id == "" || id[0] != '"') {
		return id
	}
	return strconv.Quote(id)
}

// committedOffsets are the committed offsets of groups, up to max of them, in order.
func (b *Broker) committedOffsets(max int) []group.Committed {
	shards := b.groups.all()
	slices.SortFunc(shards, func(a, b *groupShard) int { return cmp.Compare(a.index, b.index) })
	sizes := make([]int, len(shards))
	for i, s := range shards {
		sizes[i] = s.offsets()
	}
	var list []group.Committed
	answers := make([]chan []group.Committed, len(shards))
	for i, share := range shares(max, sizes) {
		if share > 0 {
			answers[i] = make(chan []group.Committed, 1)
			(&lagVisit{shard: shards[i], left: share, answer: answers[i]}).begin()
		}
	}
	timeout := time.NewTimer(lagWait)
	defer timeout.Stop()
	for _, answer := range answers {
		if answer != nil {
			list = append(list, answerBefore(answer, timeout)...)
		}
	}
	list = slices.DeleteFunc(list, func(c group.Committed) bool { return len(c.Group) > lagIDBytesMax })
	slices.SortFunc(list, compareCommitted)
	// A group that came and went between two turns of its shard may have been met twice.
	return slices.CompactFunc(list, func(a, b group.Committed) bool { return compareCommitted(a, b) == 0 })
}

// answerBefore is the answer, or nil if it does not come in time. What has come counts even then.
func answerBefore(answer <-chan []group.Committed, timeout *time.Timer) []group.Committed {
	select {
	case list := <-answer:
		return list
	default:
	}
	select {
	case list := <-answer:
		return list
	case <-timeout.C:
		timeout.Reset(0)
		return nil
	}
}

func compareCommitted(a, b group.Committed) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Topic, b.Topic),
		cmp.Compare(a.Partition, b.Partition))
}

type groupShard = hostedShard[*group.Input]

// offsets is how many offsets are committed in the shard; it does not wait for the shard's turn.
func (s *hostedShard[In]) offsets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, ok := any(s.machine).(*group.Machine); ok {
		return m.Counts().Offsets
	}
	return 0
}

// lagVisit collects one shard's offsets, over as many turns as it takes to let others in between.
type lagVisit struct {
	shard  *groupShard
	from   int
	left   int
	list   []group.Committed
	answer chan<- []group.Committed
}

func (v *lagVisit) begin() { v.shard.visit(v.look) }

// look runs as the shard.
func (v *lagVisit) look(machine coordinator.Machine[*group.Input]) {
	m, active := machine.(*group.Machine)
	if !active {
		v.answer <- nil
		return
	}
	before := len(v.list)
	v.list, v.from = m.Committed(v.list, v.from, v.left)
	v.left -= len(v.list) - before
	if v.from < 0 || v.left == 0 {
		v.answer <- v.list
		return
	}
	v.begin()
}

// shares divides total among those who want some: nobody gets more than it wants, and who gets less gets
// no less than anybody else, so that one shard with a million offsets does not hide all the others.
func shares(total int, wants []int) []int {
	order := make([]int, len(wants))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(wants[a], wants[b]) })
	given := make([]int, len(wants))
	for n, i := range order {
		given[i] = min(wants[i], total/(len(order)-n))
		total -= given[i]
	}
	return given
}
