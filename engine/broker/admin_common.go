package broker

import (
	"sluice/engine/catalog"
	"sluice/engine/partition"
	"sluice/wire"
)

// The bit fields of authorized operations (KIP-430): bit n stands for the ACL operation with the
// code n. Without an authorizer everything that makes sense for a resource is allowed.
const (
	// topicOperations are read, write, create, delete, alter, describe, and describe and alter of
	// configs.
	topicOperations int32 = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11
	// clusterOperations are create, alter, describe, cluster action, describe and alter of configs,
	// and idempotent write.
	clusterOperations int32 = 1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12
)

// Sentences that several answers share.
const (
	messageTimedOut = "The request's timeout had passed before the change could be decided."
	messageStorage  = "The change could not be made durable; see the broker's log."
)

// textOf makes a text a field of a response that may be null.
func textOf(text string) *string { return &text }

// messageOf is an error's sentence as a response carries it: null when there is none.
func messageOf(e catalog.Error) *string {
	if e.OK() || e.Message == "" {
		return nil
	}
	return &e.Message
}

// storageError is the answer when the metadata journal refused a change.
func storageError() catalog.Error {
	return catalog.Error{Code: wire.CodeKafkaStorageError, Message: messageStorage}
}

// decideChanges runs a decider on the newest image, and unless only validation was asked for makes
// its changes durable and carries them out. An error means that nothing happened, and is logged
// here.
func decideChanges[R any](
	b *Broker, validateOnly bool,
	decide func(im *catalog.Image) ([]catalog.Change, []R),
) (results []R, err error) {
	if validateOnly {
		_, results = decide(b.image())
		return results, nil
	}
	err = b.change(func(im *catalog.Image) []catalog.Change {
		var changes []catalog.Change
		changes, results = decide(im)
		return changes
	})
	if err != nil {
		b.log.Error("metadata change failed", "error", err)
	}
	return results, err
}

// hosted finds the replica of a partition that a request names, or says why there is none here:
// NOT_LEADER_OR_FOLLOWER when other brokers have it, which sends the client to fresh metadata.
func (b *Broker) hosted(topic string, index int32) (*replica, int16) {
	if t := b.topics.namedString(topic); t != nil {
		if r := t.replica(index); r != nil {
			return r, wire.CodeNone
		}
	}
	if t := b.image().Topic(topic); t != nil && t.Partition(index) != nil {
		return nil, wire.CodeNotLeaderOrFollower
	}
	return nil, wire.CodeUnknownTopicOrPartition
}

// leads says whether the metadata makes this broker the leader of a replica that it has.
func (b *Broker) leads(r *replica) bool {
	t := b.image().TopicByID(r.topic.id)
	if t == nil {
		return false
	}
	p := t.Partition(r.index)
	return p != nil && p.Leader == b.nodeID
}

// ledLog returns the log of a partition that this broker leads under the epoch that the request
// believes in (KIP-320), with Kafka's order of refusals: dir offline, epoch, leadership.
func (b *Broker) ledLog(r *replica, currentEpoch int32, anyReplica bool) (*partition.Log, int16) {
	log, code := r.logOrError()
	if code != wire.CodeNone {
		return nil, code
	}
	if code := r.checkEpoch(currentEpoch); code != wire.CodeNone {
		return nil, code
	}
	if !anyReplica && !b.leads(r) {
		return nil, wire.CodeNotLeaderOrFollower
	}
	return log, wire.CodeNone
}

// partitionKey names a partition within one request.
type partitionKey struct {
	topic string
	index int32
}
