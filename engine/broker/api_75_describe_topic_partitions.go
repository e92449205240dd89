package broker

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
	"sluice/wire"
)

// handleDescribeTopicPartitions describes topics in pages (KIP-966): in the order of names, a
// bounded number of partitions at a time, with a cursor for where the next page begins.
func handleDescribeTopicPartitions(b *Broker, r *request, q kmsg.Request) kmsg.Response {
	req := q.(*kmsg.DescribeTopicPartitionsRequest)
	limit := max(1, min(int(b.cfg.MaxPartitionsPerPage), int(req.ResponsePartitionLimit)))
	return describeTopicPartitions(b.view(r.conn.Listener()), req, limit)
}

func describeTopicPartitions(
	v *clusterView, req *kmsg.DescribeTopicPartitionsRequest, limit int,
) kmsg.Response {
	names, code := pageNames(v.im, req)
	if code != wire.CodeNone {
		return refusedTopicPartitions(req, code)
	}
	page := topicPage{view: v, left: limit, response: kmsg.NewPtrDescribeTopicPartitionsResponse()}
	for name := range names {
		first := int32(0)
		if req.Cursor != nil && req.Cursor.Topic == name {
			first = req.Cursor.Partition
		}
		if !page.add(name, first) {
			break
		}
	}
	if page.code != wire.CodeNone {
		return refusedTopicPartitions(req, page.code)
	}
	return page.response
}

// pageNames returns the names to describe, ordered, beginning at the cursor. No names in the
// request mean all topics. A cursor has to point to a topic of the request.
func pageNames(
	im *catalog.Image, req *kmsg.DescribeTopicPartitionsRequest,
) (names func(yield func(string) bool), code int16) {
	from := ""
	if req.Cursor != nil {
		from = req.Cursor.Topic
	}
	badCursor := req.Cursor != nil && req.Cursor.Partition < 0
	if len(req.Topics) == 0 {
		if badCursor {
			return nil, wire.CodeInvalidRequest
		}
		return func(yield func(string) bool) {
			for t := range im.TopicsAfter(from) {
				if !yield(t.Name) {
					return
				}
			}
		}, wire.CodeNone
	}
	list := make([]string, 0, len(req.Topics))
	for i := range req.Topics {
		if name := req.Topics[i].Topic; name >= from {
			list = append(list, name)
		}
	}
	slices.SortFunc(list, strings.Compare)
	list = slices.Compact(list)
	if badCursor || req.Cursor != nil && !slices.Contains(list, from) {
		return nil, wire.CodeInvalidRequest
	}
	return slices.Values(list), wire.CodeNone
}

// refusedTopicPartitions answers every topic of a request with one code.
func refusedTopicPartitions(
	req *kmsg.DescribeTopicPartitionsRequest, code int16,
) kmsg.Response {
	p := kmsg.NewPtrDescribeTopicPartitionsResponse()
	for i := range req.Topics {
		t := kmsg.NewDescribeTopicPartitionsResponseTopic()
		t.ErrorCode, t.Topic = code, &req.Topics[i].Topic
		p.Topics = append(p.Topics, t)
	}
	return p
}

// topicPage collects one page.
type topicPage struct {
	view     *clusterView
	response *kmsg.DescribeTopicPartitionsResponse
	left     int // Partitions that still fit.
	// code fails the whole request.
	code int16
}

// add describes a topic from partition first on. It returns false when the page is full, with the
// cursor set, or when the request failed.
func (g *topicPage) add(name string, first int32) (more bool) {
	if g.left == 0 {
		g.next(name, 0)
		return false
	}
	t := kmsg.NewDescribeTopicPartitionsResponseTopic()
	t.Topic, t.AuthorizedOperations = &name, topicOperations
	t.IsInternal = catalog.IsInternalTopic(name)
	known := g.view.im.Topic(name)
	if known == nil {
		if e := catalog.CheckTopicName(name); !e.OK() {
			// Kafka 4.4 fails the whole request over one name that no topic can have.
			g.code = wire.CodeUnknownServerError
			return false
		}
		t.ErrorCode = wire.CodeUnknownTopicOrPartition
		g.response.Topics = append(g.response.Topics, t)
		return true
	}
	t.TopicID, t.IsInternal = known.ID, known.Internal
	end := min(known.PartitionCount(), int(first)+g.left)
	here := g.view.here(known.ID)
	for i := int(first); i < end; i++ {
		failed := failedHere(here, int32(i))
		t.Partitions = append(t.Partitions, g.view.describe(known, int32(i), failed))
	}
	g.left -= len(t.Partitions)
	g.response.Topics = append(g.response.Topics, t)
	if end < known.PartitionCount() {
		g.next(name, int32(end))
		return false
	}
	return true
}

func (g *topicPage) next(name string, index int32) {
	g.response.NextCursor = &kmsg.DescribeTopicPartitionsResponseNextCursor{
		Topic: name, Partition: index,
	}
}

// describe describes one partition. The lists of eligible leaders are empty, not null, when there
// are none.
func (v *clusterView) describe(
	t *catalog.Topic, index int32, failed bool,
) kmsg.DescribeTopicPartitionsResponseTopicPartition {
	p := t.Partition(index)
	leader, _ := v.leader(p, failed)
	return kmsg.DescribeTopicPartitionsResponseTopicPartition{
		Partition: index, LeaderID: leader, LeaderEpoch: p.LeaderEpoch,
		Replicas: p.Replicas, ISR: p.ISR, OfflineReplicas: v.offline(p, failed),
		EligibleLeaderReplicas: notNull(p.ELR), LastKnownELR: notNull(p.LastELR),
	}
}

func notNull(ids []int32) []int32 {
	if ids == nil {
		return []int32{}
	}
	return ids
}
