package group

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
)

var (
	errNoProtocol = errors.New("group: a record with members but without a protocol")
	errTwice      = errors.New("group: a record with a member id or instance id twice")
)

// value is the group as its record has it, with members' assignments as given. The time is left to the
// caller.
func (g *group) value(assignment func(*member) []byte) *kmsg.GroupMetadataValue {
	value := kmsg.NewGroupMetadataValue()
	value.ProtocolType, value.Generation, value.Protocol = g.protocolType, g.generation, g.protocol
	if g.leader != nil {
		leader := g.leader.id
		value.Leader = &leader
	}
	value.Members = make([]kmsg.GroupMetadataValueMember, 0, len(g.members))
	for mem := range g.all() {
		subscription, _ := mem.metadataOf(*g.protocol)
		value.Members = append(value.Members, kmsg.GroupMetadataValueMember{
			MemberID: mem.id, InstanceID: mem.instance,
			ClientID: mem.clientID, ClientHost: mem.clientHost,
			RebalanceTimeoutMillis: mem.rebalanceMs, SessionTimeoutMillis: mem.sessionMs,
			Subscription: subscription, Assignment: assignment(mem),
		})
	}
	return &value
}

// write adds a group's record to an outcome. False means that the log would not take it, because it is
// too large.
func (m *Machine) write(g *group, value *kmsg.GroupMetadataValue, out *outcome) bool {
	encoded, ok := groupValue(value)
	key := groupKey(g.id)
	if !ok || len(key)+len(encoded) > m.cfg.RecordBytesMax {
		return false
	}
	out.Records = append(out.Records, coordinator.Record{Key: key, Value: encoded})
	return true
}

// replayGroup applies a group's record. While the log is loaded a record makes the group what it was
// when it was written. Later on the record was decided here, by the group as it still is; what the log
// does not hold of members stays: who waits, and protocols that were not chosen.
func (m *Machine) replayGroup(r coordinator.Record) error {
	key, err := readGroupKey(r.Key)
	if err != nil {
		return err
	}
	g := m.groups[string(key)]
	if r.Value == nil {
		if g != nil {
			m.forget(g)
		}
		return nil
	}
	value, known, err := readGroupValue(r.Value)
	if err != nil || !known {
		return err
	}
	if err := checkValue(value); err != nil {
		return err
	}
	if g == nil {
		g = m.create(string(key))
	}
	if !g.kept {
		g.kept = true
		m.fleeting--
	}
	g.restore(value)
	return nil
}

// checkValue turns down a record that this coordinator, or Kafka's, can't have written.
func checkValue(value *kmsg.GroupMetadataValue) error {
	if len(value.Members) == 0 {
		return nil
	}
	if value.Protocol == nil {
		return errNoProtocol
	}
	ids := make(map[string]struct{}, len(value.Members))
	instances := map[string]struct{}{}
	for i := range value.Members {
		ids[value.Members[i].MemberID] = struct{}{}
		if instance := value.Members[i].InstanceID; instance != nil {
			if _, twice := instances[*instance]; twice {
				return errTwice
			}
			instances[*instance] = struct{}{}
		}
	}
	if len(ids) < len(value.Members) {
		return errTwice
	}
	return nil
}

// restore makes the group what a record says. A member is known by its id, or by its instance id if it
// comes under a new one.
func (g *group) restore(value *kmsg.GroupMetadataValue) {
	var was, static map[string]*member
	old := g.order
	g.m.counts.members.Add(-int64(len(g.members)))
	if g.m.live {
		was, static = g.members, g.static
	}
	g.members, g.static, g.support, g.order, g.leader = nil, nil, nil, nil, nil
	g.weigh(-g.bytes)
	g.owing, g.joining = 0, 0
	for i := range value.Members {
		v := &value.Members[i]
		mem := was[v.MemberID]
		if mem == nil && v.InstanceID != nil {
			mem = static[*v.InstanceID]
		}
		if mem == nil {
			mem = &member{}
		}
		g.restoreMember(mem, v, *value.Protocol)
		if value.Leader != nil && *value.Leader == mem.id {
			g.leader = mem
		}
	}
	for _, mem := range old {
		if mem != nil && g.members[mem.id] != mem {
			g.m.timers.disarm(&mem.timer)
		}
	}
	g.protocolType, g.protocol, g.generation = value.ProtocolType, value.Protocol, value.Generation
	g.topics, g.topicsCached = nil, false
	if len(g.members) > 0 {
		g.enter(stateStable)
	} else {
		g.enter(stateEmpty)
	}
	g.stateSinceMs = value.CurrentStateTimestamp
}

func (g *group) restoreMember(mem *member, v *kmsg.GroupMetadataValueMember, chosen string) {
	mem.id, mem.instance = v.MemberID, v.InstanceID
	mem.clientID, mem.clientHost = v.ClientID, v.ClientHost
	mem.sessionMs, mem.rebalanceMs = v.SessionTimeoutMillis, v.RebalanceTimeoutMillis
	if mem.rebalanceMs == none {
		mem.rebalanceMs = mem.sessionMs
	}
	mem.assignment = v.Assignment
	if !g.m.live || mem.protocols == nil {
		mem.protocols = []protocol{{name: chosen, metadata: v.Subscription}}
	}
	g.add(mem)
	if mem.join != nil {
		g.joining++
	}
	if mem.owesSync {
		g.owing++
	}
}
