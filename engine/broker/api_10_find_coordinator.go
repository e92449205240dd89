package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// The types of coordinators in FindCoordinator.
const (
	coordinatorOfGroup = 0
	coordinatorOfTxn   = 1
)

// findCoordinatorBatch is the first version that asks for several keys (KIP-699).
const findCoordinatorBatch = 4

// handleFindCoordinator says which broker coordinates a group or transactional id: the leader of the
// key's partition of the internal topic, which is made if it is not there.
func handleFindCoordinator(b *Broker, r *request, q kmsg.Request) kmsg.Response {
	req := q.(*kmsg.FindCoordinatorRequest)
	p := kmsg.NewPtrFindCoordinatorResponse()
	topic, code := b.coordinatorTopic(req.CoordinatorType)
	find := func(key string) kmsg.FindCoordinatorResponseCoordinator {
		if code == wire.CodeInvalidRequest {
			return noCoordinator(key, code,
				fmt.Sprintf("Unsupported coordinator type %d.", req.CoordinatorType))
		}
		return b.findCoordinator(r.conn.Listener(), topic, key)
	}
	if req.Version < findCoordinatorBatch {
		c := find(req.CoordinatorKey)
		p.ErrorCode, p.ErrorMessage = c.ErrorCode, c.ErrorMessage
		if c.ErrorCode == wire.CodeNone {
			p.ErrorMessage = textOf("NONE") // As Kafka words success in these versions.
		}
		p.NodeID, p.Host, p.Port = c.NodeID, c.Host, c.Port
		return p
	}
	for _, key := range req.CoordinatorKeys {
		p.Coordinators = append(p.Coordinators, find(key))
	}
	return p
}

// coordinatorTopic is the topic that coordinators of that type keep their state in. It is made if it is
// not there; the code is that of a failure, INVALID_REQUEST for an unknown type.
func (b *Broker) coordinatorTopic(kind int8) (topic string, code int16) {
	switch kind {
	case coordinatorOfGroup:
		topic = offsetsTopic
	case coordinatorOfTxn:
		topic = transactionsTopic
	default:
		return "", wire.CodeInvalidRequest
	}
	return topic, b.ensureInternalTopic(topic)
}

func noCoordinator(
	key string, code int16, message string,
) kmsg.FindCoordinatorResponseCoordinator {
	c := kmsg.NewFindCoordinatorResponseCoordinator()
	c.Key, c.NodeID, c.Port, c.ErrorCode, c.ErrorMessage = key, -1, -1, code, &message
	return c
}

func (b *Broker) findCoordinator(
	listener, topic, key string,
) kmsg.FindCoordinatorResponseCoordinator {
	if t := b.image().Topic(topic); t != nil {
		leader := t.Partition(coordinator.PartitionFor(key, int32(t.PartitionCount()))).Leader
		for _, e := range b.brokersOn(listener) {
			if e.id == leader && !e.fenced {
				c := noCoordinator(key, wire.CodeNone, "")
				c.NodeID, c.Host, c.Port = e.id, e.host, e.port
				return c
			}
		}
	}
	return noCoordinator(key, wire.CodeCoordinatorNotAvailable, "The coordinator is not available.")
}
