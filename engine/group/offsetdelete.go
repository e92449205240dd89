package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// decideOffsetDelete writes tombstones for the partitions named, as far as they have an offset,
// committed or pending (KIP-496). Topics to which the group is subscribed are left alone.
func (m *Machine) decideOffsetDelete(_ int64, in *Input, out *outcome) {
	req := in.Request.(*kmsg.OffsetDeleteRequest)
	g := m.lookup(in.Group)
	if code := m.checkOffsetDelete(g, in.Group); code != wire.CodeNone {
		out.Reply(in, refusedOffsetDelete(code))
		return
	}
	resp := refusedOffsetDelete(wire.CodeNone)
	resp.Topics = make([]kmsg.OffsetDeleteResponseTopic, len(req.Topics))
	bytes := 0
	for i := range req.Topics {
		from, to := &req.Topics[i], &resp.Topics[i]
		to.Topic = from.Topic
		to.Partitions = make([]kmsg.OffsetDeleteResponseTopicPartition, len(from.Partitions))
		subscribed := g != nil && g.subscribesTo(from.Topic)
		for j := range from.Partitions {
			partition := from.Partitions[j].Partition
			to.Partitions[j].Partition = partition
			if subscribed {
				to.Partitions[j].ErrorCode = wire.CodeGroupSubscribedToTopic
				continue
			}
			if m.offsets.find(in.Group, from.Topic, partition) == 0 &&
				!m.offsets.isPending(in.Group, from.Topic, partition) {
				continue
			}
			// A request can name one partition many times, and a tombstone repeats the names.
			if bytes += offsetKeyBytes(in.Group, from.Topic); bytes > m.cfg.RecordBytesMax {
				out.Records = out.Records[:0]
				out.Reply(in, refusedOffsetDelete(coordinator.Refusal(wire.CodeMessageTooLarge)))
				return
			}
			out.Records = append(out.Records, offsetTombstone(in.Group, from.Topic, partition))
		}
	}
	if len(out.Records) == 0 {
		out.Reply(in, resp)
		return
	}
	out.Next = resp
}

// settleOffsetDelete answers a request whose tombstones were appended, or refused with code.
func (m *Machine) settleOffsetDelete(in *Input, out *outcome, code int16) {
	if code != wire.CodeNone {
		out.Reply(in, refusedOffsetDelete(code))
		return
	}
	m.meter.OffsetsDeleted(len(out.Records))
	out.Reply(in, out.Next.(*kmsg.OffsetDeleteResponse))
}

// checkOffsetDelete says whether the group's offsets may be deleted: of a group with members only if
// they are consumers, whose subscriptions tell which offsets are in use (class ClassicGroup,
// validateOffsetDelete). A group that exists by its offsets alone is Empty.
func (m *Machine) checkOffsetDelete(g *group, id string) int16 {
	switch {
	case id == "":
		return wire.CodeInvalidGroupID
	case g == nil && !m.offsets.has(id), g != nil && g.state == stateDead:
		return wire.CodeGroupIDNotFound
	case g != nil && g.state != stateEmpty && g.protocolType != consumerType:
		return wire.CodeNonEmptyGroup
	default:
		return wire.CodeNone
	}
}

// subscribesTo reports whether the group's members want a topic. Consumers that do not say what they
// are subscribed to may want any.
func (g *group) subscribesTo(topic string) bool {
	topics, known := g.subscribed()
	if !known {
		return g.protocolType == consumerType
	}
	_, found := topics[topic]
	return found
}

func refusedOffsetDelete(code int16) *kmsg.OffsetDeleteResponse {
	resp := kmsg.NewPtrOffsetDeleteResponse()
	resp.ErrorCode = code
	return resp
}
