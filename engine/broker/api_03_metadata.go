package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
	"sluice/wire"
)

// Versions at which Metadata changed its meaning.
const (
	metadataAllByNull    = 1  // Null topics mean all, none mean none; before, none meant all.
	metadataMayForbid    = 4  // The request says whether topics may be created.
	metadataListenerCode = 6  // LISTENER_NOT_FOUND instead of LEADER_NOT_AVAILABLE.
	metadataOperations   = 8  // Authorized operations.
	metadataByID         = 12 // Topics may be asked for by id (KIP-516).
)

// metadataWanted is what a Metadata request asks for.
type metadataWanted struct {
	all   bool
	names []string   // Each once, in the request's order.
	ids   [][16]byte // Each once; where there are any, names are ignored.
}

// handleMetadata tells where partitions are, and makes topics that were named but do not exist.
func handleMetadata(b *Broker, r *request, q kmsg.Request) kmsg.Response {
	req := q.(*kmsg.MetadataRequest)
	if req.Version < metadataAllByNull && len(r.body) > 0 && int8(r.body[0]) < 0 {
		return nil // The first version has no null array: the count is negative, and does not parse.
	}
	want, code := wantedMetadata(req)
	if code != wire.CodeNone {
		return refusedMetadata(req, code)
	}
	view := b.view(r.conn.Listener())
	p, missing := answerMetadata(view, req, want)
	p.ClusterID = &b.clusterID
	mayCreate := req.AllowAutoTopicCreation || req.Version < metadataMayForbid
	if len(missing) > 0 && mayCreate && b.cfg.AutoCreateTopics {
		b.autoCreate(missing)
	}
	return p
}

// wantedMetadata reads the request. A topic without name and id fails the whole request with
// UNKNOWN_SERVER_ERROR, and an id before version 12 with INVALID_REQUEST.
func wantedMetadata(req *kmsg.MetadataRequest) (metadataWanted, int16) {
	if req.Topics == nil || len(req.Topics) == 0 && req.Version < metadataAllByNull {
		return metadataWanted{all: true}, wire.CodeNone
	}
	var want metadataWanted
	nameless := false
	seenNames, seenIDs := map[string]bool{}, map[[16]byte]bool{}
	for i := range req.Topics {
		t := &req.Topics[i]
		zero := t.TopicID == [16]byte{}
		if req.Version < metadataByID && (t.Topic == nil || !zero) {
			return want, wire.CodeInvalidRequest
		}
		if !zero && !seenIDs[t.TopicID] {
			seenIDs[t.TopicID] = true
			want.ids = append(want.ids, t.TopicID)
		}
		nameless = nameless || t.Topic == nil && zero
		if t.Topic != nil && !seenNames[*t.Topic] {
			seenNames[*t.Topic] = true
			want.names = append(want.names, *t.Topic)
		}
	}
	if nameless && len(want.ids) == 0 {
		return want, wire.CodeUnknownServerError
	}
	return want, wire.CodeNone
}

// refusedMetadata answers every topic of a request with one code.
func refusedMetadata(req *kmsg.MetadataRequest, code int16) kmsg.Response {
	p := kmsg.NewPtrMetadataResponse()
	p.ErrorCode = code
	for i := range req.Topics {
		t := kmsg.NewMetadataResponseTopic()
		t.ErrorCode, t.TopicID, t.Topic = code, req.Topics[i].TopicID, req.Topics[i].Topic
		if t.Topic == nil {
			t.Topic = textOf("")
		}
		p.Topics = append(p.Topics, t)
	}
	return p
}

// answerMetadata answers from the view. missing are the names that do not exist and that a topic
// may have.
func answerMetadata(
	v *clusterView, req *kmsg.MetadataRequest, want metadataWanted,
) (p *kmsg.MetadataResponse, missing []string) {
	p = kmsg.NewPtrMetadataResponse()
	p.ControllerID = v.controller()
	for i := range v.brokers {
		if e := &v.brokers[i]; !e.fenced {
			p.Brokers = append(p.Brokers, kmsg.MetadataResponseBroker{
				NodeID: e.id, Host: e.host, Port: e.port, Rack: e.rackOf(),
			})
		}
	}
	if req.IncludeClusterAuthorizedOperations {
		p.AuthorizedOperations = clusterOperations
	}
	operations := req.IncludeTopicAuthorizedOperations && req.Version >= metadataOperations
	add := func(t kmsg.MetadataResponseTopic) {
		if operations && t.ErrorCode != wire.CodeUnknownTopicID {
			t.AuthorizedOperations = topicOperations
		}
		p.Topics = append(p.Topics, t)
	}
	switch {
	case want.all:
		p.Topics = make([]kmsg.MetadataResponseTopic, 0, v.im.TopicCount())
		for t := range v.im.Topics {
			add(v.topicMetadata(t, req.Version))
		}
	case len(want.ids) > 0:
		for _, id := range want.ids {
			if t := v.im.TopicByID(id); t != nil {
				add(v.topicMetadata(t, req.Version))
				continue
			}
			t := kmsg.NewMetadataResponseTopic()
			t.ErrorCode, t.TopicID = wire.CodeUnknownTopicID, id
			add(t)
		}
	default:
		for _, name := range want.names {
			if t := v.im.Topic(name); t != nil {
				add(v.topicMetadata(t, req.Version))
				continue
			}
			t := missingTopic(name)
			if t.ErrorCode == wire.CodeUnknownTopicOrPartition {
				missing = append(missing, name)
			}
			add(t)
		}
	}
	return p, missing
}

// missingTopic answers about a topic that does not exist. One that is made for this very request is
// still answered so, as Kafka does: the client asks again and finds it.
func missingTopic(name string) kmsg.MetadataResponseTopic {
	t := kmsg.NewMetadataResponseTopic()
	t.Topic, t.IsInternal = &name, catalog.IsInternalTopic(name)
	t.ErrorCode = wire.CodeUnknownTopicOrPartition
	if e := catalog.CheckTopicName(name); !e.OK() {
		t.ErrorCode = e.Code
	}
	return t
}

// topicMetadata describes a topic. The lists of replicas are the image's own: 10,000 partitions
// cost one allocation.
func (v *clusterView) topicMetadata(t *catalog.Topic, version int16) kmsg.MetadataResponseTopic {
	out := kmsg.NewMetadataResponseTopic()
	out.Topic, out.TopicID = &t.Name, t.ID
	out.IsInternal = t.Internal
	out.Partitions = make([]kmsg.MetadataResponseTopicPartition, t.PartitionCount())
	here := v.here(t.ID)
	for i := range out.Partitions {
		p, failed := t.Partition(int32(i)), failedHere(here, int32(i))
		o := &out.Partitions[i]
		o.Partition, o.LeaderEpoch = int32(i), p.LeaderEpoch
		o.Replicas, o.ISR = p.Replicas, p.ISR
		o.OfflineReplicas = v.offline(p, failed)
		o.Leader, o.ErrorCode = v.leader(p, failed)
		if o.ErrorCode == wire.CodeListenerNotFound && version < metadataListenerCode {
			o.ErrorCode = wire.CodeLeaderNotAvailable
		}
		if version == 0 {
			v.hideUnavailable(o)
		}
	}
	return out
}

// hideUnavailable leaves brokers out that the client could not reach: clients of version 0 cannot
// stand ids that are not in the list of brokers.
func (v *clusterView) hideUnavailable(o *kmsg.MetadataResponseTopicPartition) {
	replicas, isr := v.alive(o.Replicas), v.alive(o.ISR)
	if o.ErrorCode == wire.CodeNone &&
		(len(replicas) < len(o.Replicas) || len(isr) < len(o.ISR)) {
		o.ErrorCode = wire.CodeReplicaNotAvailable
	}
	o.Replicas, o.ISR = replicas, isr
}

// autoCreate makes topics that a client named, with the broker's defaults. Names that the
// coordinators own are left to them. The client is not told of a failure, so the log is.
func (b *Broker) autoCreate(names []string) {
	topics := make([]catalog.NewTopic, 0, len(names))
	ids := make([]catalog.UUID, 0, len(names))
	for _, name := range names {
		if !catalog.IsInternalTopic(name) {
			topics = append(topics, catalog.NewTopic{
				Name: name, Partitions: -1, ReplicationFactor: -1,
			})
			ids = append(ids, b.newUUID())
		}
	}
	// One at a time: a worker that waits for the journal cannot answer other queries meanwhile. Whoever
	// comes second is told that the topic is unknown, as all first askers are, and asks again.
	if len(topics) == 0 || !b.creating.TryLock() {
		return
	}
	defer b.creating.Unlock()
	results, err := decideChanges(b, false,
		func(im *catalog.Image) ([]catalog.Change, []catalog.TopicResult) {
			return catalog.CreateTopics(im, b.environment(), topics, ids)
		})
	if err != nil {
		return
	}
	for i := range results {
		r := &results[i]
		if r.OK() || r.Code == wire.CodeTopicAlreadyExists {
			continue
		}
		if line := b.refusals.allow(); line.ok {
			b.log.Warn("topic was not created automatically", "topic", r.Name,
				"reason", r.Message, "suppressed", line.suppressed)
		}
		return
	}
}
