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
	if req.Version < findCoordinatorBatch {
		c := b.findCoordinator(r.conn.Listener(), req.CoordinatorType, req.CoordinatorKey)
		p.ErrorCode, p.ErrorMessage = c.ErrorCode, c.ErrorMessage
		if c.ErrorCode == wire.CodeNone {
			p.ErrorMessage = textOf("NONE") // As Kafka words success in these versions.
		}
		p.NodeID, p.Host, p.Port = c.NodeID, c.Host, c.Port
		return p
	}
	for _, key := range req.CoordinatorKeys {
		p.Coordinators = append(p.Coordinators,
			b.findCoordinator(r.conn.Listener(), req.CoordinatorType, key))
	}
	return p
}

func (b *Broker) findCoordinator(
	listener string, kind int8, key string,
) kmsg.FindCoordinatorResponseCoordinator {
	c := kmsg.NewFindCoordinatorResponseCoordinator()
	c.Key, c.NodeID, c.Port, c.ErrorMessage = key, -1, -1, textOf("")
	refuse := func(code int16, message string) kmsg.FindCoordinatorResponseCoordinator {
		c.ErrorCode, c.ErrorMessage = code, &message
		return c
	}
	topic := offsetsTopic
	switch kind {
	case coordinatorOfGroup:
	case coordinatorOfTxn:
		topic = transactionsTopic
	default:
		return refuse(wire.CodeInvalidRequest, fmt.Sprintf("Unsupported coordinator type %d.", kind))
	}
	if code := b.ensureInternalTopic(topic); code != wire.CodeNone {
		return refuse(code, "The coordinator is not available.")
	}
	t := b.image().Topic(topic)
	if t == nil {
		return refuse(wire.CodeCoordinatorNotAvailable, "The coordinator is not available.")
	}
	leader := t.Partition(coordinator.PartitionFor(key, int32(t.PartitionCount()))).Leader
	for _, e := range b.brokersOn(listener) {
		if e.id == leader && !e.fenced {
			c.NodeID, c.Host, c.Port = e.id, e.host, e.port
			return c
		}
	}
	return refuse(wire.CodeCoordinatorNotAvailable, "The coordinator is not available.")
}
