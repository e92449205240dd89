package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
	"sluice/wire"
)

// handleCreatePartitions adds partitions to topics (KIP-195).
func handleCreatePartitions(b *Broker, _ *request, q kmsg.Request) kmsg.Response {
	req := q.(*kmsg.CreatePartitionsRequest)
	p := kmsg.NewPtrCreatePartitionsResponse()
	if req.TimeoutMillis <= 0 {
		for i := range req.Topics {
			p.Topics = append(p.Topics, partitionsAnswer(req.Topics[i].Topic,
				catalog.Error{Code: wire.CodeRequestTimedOut, Message: messageTimedOut}))
		}
		return p
	}
	results, err := decideChanges(b, req.ValidateOnly,
		func(im *catalog.Image) ([]catalog.Change, []catalog.TopicResult) {
			return decidePartitions(im, b.environment(), req.Topics)
		})
	if err != nil && results == nil {
		for i := range req.Topics {
			results = append(results, catalog.TopicResult{Name: req.Topics[i].Topic})
		}
	}
	for i := range results {
		if err != nil && results[i].OK() {
			results[i].Error = storageError()
		}
		p.Topics = append(p.Topics, partitionsAnswer(results[i].Name, results[i].Error))
	}
	return p
}

// decidePartitions decides a request. An assignment that is there but empty is one of no
// partitions, and therefore of too few; only a null one leaves the placement to the broker.
func decidePartitions(
	im *catalog.Image, env *catalog.Environment, topics []kmsg.CreatePartitionsRequestTopic,
) ([]catalog.Change, []catalog.TopicResult) {
	mentions := map[string]int{}
	for i := range topics {
		mentions[topics[i].Topic]++
	}
	var asked []catalog.MorePartitions
	var refused []catalog.TopicResult
	for i := range topics {
		t := &topics[i]
		more := catalog.MorePartitions{Name: t.Topic, Count: t.Count}
		for _, a := range t.Assignment {
			more.Assignment = append(more.Assignment, a.Replicas)
		}
		if t.Assignment == nil || len(t.Assignment) > 0 || mentions[t.Topic] > 1 {
			asked = append(asked, more)
			continue
		}
		_, tried := catalog.CreatePartitions(im, env, []catalog.MorePartitions{more})
		if tried[0].OK() {
			tried[0].Error = catalog.Error{
				Code:    wire.CodeInvalidReplicaAssignment,
				Message: "Additional partitions were asked for, but no assignment was specified.",
			}
		}
		refused = append(refused, tried[0])
	}
	changes, results := catalog.CreatePartitions(im, env, asked)
	return changes, append(results, refused...)
}

// partitionsAnswer answers about one topic. Kafka says nothing more about one that does not exist.
func partitionsAnswer(name string, e catalog.Error) kmsg.CreatePartitionsResponseTopic {
	t := kmsg.NewCreatePartitionsResponseTopic()
	t.Topic, t.ErrorCode = name, e.Code
	if e.Code != wire.CodeUnknownTopicOrPartition {
		t.ErrorMessage = messageOf(e)
	}
	return t
}
