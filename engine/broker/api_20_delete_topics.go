package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
	"sluice/wire"
)

// deleteTopicsDisabledCode is the version from which on clients know TOPIC_DELETION_DISABLED.
const deleteTopicsDisabledCode = 3

// handleDeleteTopics deletes topics by name, or from version 6 on by id. When the answer leaves,
// names are free and no request reaches the old logs; their files go after file.delete.delay.ms.
func handleDeleteTopics(b *Broker, _ *request, q kmsg.Request) kmsg.Response {
	req := q.(*kmsg.DeleteTopicsRequest)
	mentions := deleteMentions(req)
	p := kmsg.NewPtrDeleteTopicsResponse()
	switch {
	case !b.cfg.DeleteTopics && req.Version < deleteTopicsDisabledCode:
		p.Topics = refusedDeletions(mentions, wire.CodeInvalidRequest)
		return p
	case !b.cfg.DeleteTopics:
		p.Topics = refusedDeletions(mentions, wire.CodeTopicDeletionDisabled)
		return p
	case req.TimeoutMillis <= 0:
		p.Topics = refusedDeletions(mentions, wire.CodeRequestTimedOut)
		return p
	}
	var answers []kmsg.DeleteTopicsResponseTopic
	results, err := decideChanges(b, false,
		func(im *catalog.Image) ([]catalog.Change, []catalog.TopicResult) {
			var refs []catalog.TopicRef
			refs, answers = planDeletions(im, mentions)
			return catalog.DeleteTopics(im, b.environment(), refs)
		})
	if err != nil && results == nil {
		p.Topics = refusedDeletions(mentions, wire.CodeKafkaStorageError)
		return p
	}
	for i := range results {
		r := &results[i]
		if err != nil && r.OK() {
			r.Error = storageError()
		}
		answers = append(answers, deletion(textOf(r.Name), r.ID, r.Error))
	}
	p.Topics = answers
	return p
}

// deleteMentions are the topics that a request names, whatever its version.
func deleteMentions(req *kmsg.DeleteTopicsRequest) []kmsg.DeleteTopicsRequestTopic {
	mentions := make([]kmsg.DeleteTopicsRequestTopic, 0, len(req.TopicNames)+len(req.Topics))
	for i := range req.TopicNames {
		mentions = append(mentions, kmsg.DeleteTopicsRequestTopic{Topic: &req.TopicNames[i]})
	}
	return append(mentions, req.Topics...)
}

// refusedDeletions answers every mention with one code.
func refusedDeletions(
	mentions []kmsg.DeleteTopicsRequestTopic, code int16,
) []kmsg.DeleteTopicsResponseTopic {
	answers := make([]kmsg.DeleteTopicsResponseTopic, 0, len(mentions))
	for i := range mentions {
		m := &mentions[i]
		answers = append(answers, deletion(m.Topic, m.TopicID, catalog.Error{Code: code}))
	}
	return answers
}

func deletion(name *string, id [16]byte, e catalog.Error) kmsg.DeleteTopicsResponseTopic {
	t := kmsg.NewDeleteTopicsResponseTopic()
	t.Topic, t.TopicID, t.ErrorCode, t.ErrorMessage = name, id, e.Code, messageOf(e)
	return t
}

// deletionPlan sorts a request's mentions of topics into those to delete and those to refuse. A
// topic that is mentioned twice the same way is answered once and not deleted.
type deletionPlan struct {
	im      *catalog.Image
	refs    []catalog.TopicRef
	answers []kmsg.DeleteTopicsResponseTopic
	// names and ids count the mentions by name alone and by id alone.
	names map[string]int
	ids   map[catalog.UUID]int
}

// planDeletions returns the topics to delete, each once and by id, and the answers about the
// others.
func planDeletions(
	im *catalog.Image, mentions []kmsg.DeleteTopicsRequestTopic,
) ([]catalog.TopicRef, []kmsg.DeleteTopicsResponseTopic) {
	d := deletionPlan{im: im, names: map[string]int{}, ids: map[catalog.UUID]int{}}
	for i := range mentions {
		switch m := &mentions[i]; {
		case m.Topic != nil && m.TopicID == [16]byte{}:
			d.names[*m.Topic]++
		case m.Topic == nil && m.TopicID != [16]byte{}:
			d.ids[m.TopicID]++
		}
	}
	doneNames, doneIDs := map[string]bool{}, map[catalog.UUID]bool{}
	for i := range mentions {
		m := &mentions[i]
		named, byID := m.Topic != nil, m.TopicID != [16]byte{}
		switch {
		case named && byID:
			d.refuse(m.Topic, m.TopicID, wire.CodeInvalidRequest,
				"You may not specify both topic name and topic id.")
		case !named && !byID:
			d.refuse(nil, m.TopicID, wire.CodeInvalidRequest,
				"Neither topic name nor id were specified.")
		case named && !doneNames[*m.Topic]:
			doneNames[*m.Topic] = true
			d.byName(*m.Topic)
		case byID && !doneIDs[m.TopicID]:
			doneIDs[m.TopicID] = true
			d.byID(m.TopicID)
		}
	}
	return d.refs, d.answers
}

func (d *deletionPlan) refuse(name *string, id [16]byte, code int16, text string) {
	d.answers = append(d.answers, deletion(name, id, catalog.Error{Code: code, Message: text}))
}

func (d *deletionPlan) byName(name string) {
	t := d.im.Topic(name)
	switch {
	case d.names[name] > 1:
		d.refuse(&name, [16]byte{}, wire.CodeInvalidRequest, "Duplicate topic name.")
	case t == nil:
		d.refuse(&name, [16]byte{}, wire.CodeUnknownTopicOrPartition,
			"This server does not host this topic-partition.")
	case d.ids[t.ID] > 0:
		d.refuse(&name, t.ID, wire.CodeInvalidRequest,
			"The provided topic name maps to an ID that was already supplied.")
	default:
		d.refs = append(d.refs, catalog.TopicRef{ID: t.ID})
	}
}

func (d *deletionPlan) byID(id catalog.UUID) {
	t := d.im.TopicByID(id)
	switch {
	case d.ids[id] > 1:
		d.refuse(nil, id, wire.CodeInvalidRequest, "Duplicate topic id.")
	case t == nil:
		d.refuse(nil, id, wire.CodeUnknownTopicID, "This server does not host this topic ID.")
	case d.names[t.Name] == 1:
		// The mention by name is answered for both.
	default:
		d.refs = append(d.refs, catalog.TopicRef{ID: id})
	}
}
