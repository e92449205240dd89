package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
	"sluice/engine/catalog/config"
	"sluice/wire"
)

// createTopicsConfigs is the version from which on the answer tells what a new topic is like.
const createTopicsConfigs = 5

// handleCreateTopics creates topics, each or not as the decider says, all in one metadata entry.
// The answer leaves when they are durable and their logs open, so a client may use them at once.
func handleCreateTopics(b *Broker, _ *request, q kmsg.Request) kmsg.Response {
	req := q.(*kmsg.CreateTopicsRequest)
	p := kmsg.NewPtrCreateTopicsResponse()
	if req.TimeoutMillis <= 0 {
		timedOut := catalog.Error{Code: wire.CodeRequestTimedOut, Message: messageTimedOut}
		for i := range req.Topics {
			p.Topics = append(p.Topics, notCreated(req.Topics[i].Topic, timedOut))
		}
		return p
	}
	topics := newTopics(req)
	ids := make([]catalog.UUID, len(topics))
	for i := range ids {
		ids[i] = b.newUUID()
	}
	var env *catalog.Environment
	results, err := decideChanges(b, req.ValidateOnly,
		func(im *catalog.Image) ([]catalog.Change, []catalog.TopicResult) {
			env = b.environment()
			return catalog.CreateTopics(im, env, topics, ids)
		})
	if err != nil {
		results = failTopics(results, req.Topics)
	}
	describer := newTopicDescriber(env, req)
	for i := range results {
		p.Topics = append(p.Topics, describer.answer(&results[i]))
	}
	return p
}

// newTopics translates a request.
func newTopics(req *kmsg.CreateTopicsRequest) []catalog.NewTopic {
	topics := make([]catalog.NewTopic, len(req.Topics))
	for i := range req.Topics {
		from, to := &req.Topics[i], &topics[i]
		to.Name = from.Topic
		to.Partitions, to.ReplicationFactor = from.NumPartitions, from.ReplicationFactor
		for _, a := range from.ReplicaAssignment {
			to.Assignment = append(to.Assignment, catalog.ManualReplicas{
				Partition: a.Partition, Replicas: a.Replicas,
			})
		}
		for _, c := range from.Configs {
			to.Configs = append(to.Configs, catalog.ConfigValue{Name: c.Name, Value: c.Value})
		}
	}
	return topics
}

// failTopics turns what was decided into failures, as it did not become durable. Without a decision
// every topic of the request failed.
func failTopics(
	results []catalog.TopicResult, asked []kmsg.CreateTopicsRequestTopic,
) []catalog.TopicResult {
	if results == nil {
		for i := range asked {
			results = append(results, catalog.TopicResult{Name: asked[i].Topic})
		}
	}
	for i := range results {
		if results[i].OK() {
			results[i].Error = storageError()
		}
	}
	return results
}

// notCreated answers about a topic that was refused.
func notCreated(name string, e catalog.Error) kmsg.CreateTopicsResponseTopic {
	t := kmsg.NewCreateTopicsResponseTopic()
	t.Topic, t.ErrorCode, t.ErrorMessage = name, e.Code, messageOf(e)
	t.Configs = []kmsg.CreateTopicsResponseTopicConfig{} // Empty, not null.
	return t
}

// topicDescriber describes new topics as version 5 and later tell: with every config that holds for
// them and where it comes from (KIP-525).
type topicDescriber struct {
	layers  config.Layers
	version int16
	own     map[string]config.Map
	// plain is the description of topics without configs of their own, made once.
	plain []kmsg.CreateTopicsResponseTopicConfig
}

func newTopicDescriber(env *catalog.Environment, req *kmsg.CreateTopicsRequest) *topicDescriber {
	d := &topicDescriber{version: req.Version, own: map[string]config.Map{}}
	if env != nil {
		d.layers = env.Layers
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		for _, c := range t.Configs {
			if d.own[t.Topic] == nil {
				d.own[t.Topic] = config.Map{}
			}
			if c.Value != nil {
				d.own[t.Topic][c.Name] = *c.Value
			}
		}
	}
	return d
}

func (d *topicDescriber) answer(r *catalog.TopicResult) kmsg.CreateTopicsResponseTopic {
	if !r.OK() {
		return notCreated(r.Name, r.Error)
	}
	t := kmsg.NewCreateTopicsResponseTopic()
	t.Topic, t.TopicID = r.Name, r.ID
	t.NumPartitions, t.ReplicationFactor = r.Partitions, r.ReplicationFactor
	if d.version < createTopicsConfigs {
		return t
	}
	if own := d.own[r.Name]; own != nil {
		t.Configs = d.describe(own)
		return t
	}
	if d.plain == nil {
		d.plain = d.describe(nil)
	}
	t.Configs = d.plain
	return t
}

func (d *topicDescriber) describe(own config.Map) []kmsg.CreateTopicsResponseTopicConfig {
	layers := d.layers
	layers.Topic = own
	entries := config.DescribeTopic(layers, nil)
	configs := make([]kmsg.CreateTopicsResponseTopicConfig, 0, len(entries))
	for i := range entries {
		e := &entries[i]
		configs = append(configs, kmsg.CreateTopicsResponseTopicConfig{
			Name: e.Name, Value: e.Written, ReadOnly: e.ReadOnly,
			Source: int8(e.Source), IsSensitive: e.Sensitive,
		})
	}
	return configs
}
