package broker

import (
	"fmt"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
	"sluice/engine/coordinator"
	"sluice/engine/group"
	"sluice/wire"
)

// The coordinators' topics.
const (
	offsetsTopic      = "__consumer_offsets"
	transactionsTopic = "__transaction_state"
)

// newGroupHost makes the host of group coordination.
func newGroupHost(b *Broker) *coordinatorHost[*group.Input] {
	h := newCoordinatorHost[*group.Input](b, offsetsTopic)
	h.newMachine = func(int32) coordinator.Machine[*group.Input] {
		return group.New(b.groupConfig())
	}
	h.deliver = deliverGroup
	h.run = func(*hostedShard[*group.Input], any) {
		panic("BUG: groups have no errands")
	}
	return h
}

// deliverGroup hands an answer to the function that waits for it.
func deliverGroup(r coordinator.Reply[*group.Input]) {
	if f, ok := r.To.Waiter.(func(any)); ok {
		r.To.Waiter = nil // Nobody is answered twice, whatever goes wrong after this.
		f(r.Response)
	}
}

// groupInput makes the input of a request for one group.
func groupInput(
	to *answerTo, kind group.Kind, id string, q kmsg.Request, answer func(response any),
) *group.Input {
	r := to.r
	return &group.Input{
		Kind: kind, Request: q, Version: r.header.APIVersion, Group: id,
		ClientID: string(r.header.ClientID), ClientHost: "/" + r.conn.Peer().Addr().Unmap().String(),
		Waiter: answer,
	}
}

// toGroup sends the whole request to one group's coordinator, whose answer is the response.
func (b *Broker) toGroup(to *answerTo, kind group.Kind, id string, q kmsg.Request) {
	in := groupInput(to, kind, id, q, func(response any) { to.answer(response.(kmsg.Response)) })
	if kind == group.Join {
		in.NewID = b.randomUUID()
	}
	b.groups.submit(in)
}

// randomUUID draws a version 4 UUID in text, as member ids end with.
func (b *Broker) randomUUID() string {
	var id [16]byte
	b.env.Random(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// gather calls back when that many parts are done. The parts write their results to places of their
// own.
type gather struct {
	left atomic.Int64
	then func()
}

// gatherParts calls then after n calls of done, or at once if there are none to come.
func gatherParts(n int, then func()) *gather {
	g := &gather{then: then}
	g.left.Store(int64(n))
	if n == 0 {
		then()
	}
	return g
}

func (g *gather) done() {
	if g.left.Add(-1) == 0 {
		g.then()
	}
}

// topicNamed finds a topic by name, or by id where the version has ids, and tells both. The code is
// what a partition of an unknown one gets.
func (b *Broker) topicNamed(name string, id [16]byte, byID bool) (string, [16]byte, int16) {
	if byID {
		if t := b.topics.identified(id); t != nil {
			return t.name, id, wire.CodeNone
		}
		return "", id, wire.CodeUnknownTopicID
	}
	if t := b.topics.namedString(name); t != nil {
		return name, t.id, wire.CodeNone
	}
	return name, [16]byte{}, wire.CodeUnknownTopicOrPartition
}

// ensureInternalTopic makes a coordinators' topic if it is not there: the first client that looks for
// a coordinator finds one. It may wait for the metadata journal.
func (b *Broker) ensureInternalTopic(name string) int16 {
	if b.topics.namedString(name) != nil {
		return wire.CodeNone
	}
	b.creatingInternal.Lock()
	defer b.creatingInternal.Unlock()
	if b.topics.namedString(name) != nil {
		return wire.CodeNone
	}
	results, err := decideChanges(b, false,
		func(im *catalog.Image) ([]catalog.Change, []catalog.TopicResult) {
			return catalog.CreateTopics(im, b.environment(),
				[]catalog.NewTopic{b.internalTopic(im, name)}, []catalog.UUID{b.newUUID()})
		})
	switch {
	case err != nil:
		return wire.CodeCoordinatorNotAvailable
	case results[0].OK() || results[0].Code == wire.CodeTopicAlreadyExists:
		return wire.CodeNone
	}
	if line := b.groups.failures.allow(); line.ok {
		b.log.Error("internal topic cannot be made", "topic", name, "reason", results[0].Message,
			"suppressed", line.suppressed)
	}
	return wire.CodeCoordinatorNotAvailable
}

// internalReplicasMax is how many replicas an internal topic gets where none are configured.
const internalReplicasMax = 3

// internalTopic is how the coordinators want their topic.
func (b *Broker) internalTopic(im *catalog.Image, name string) catalog.NewTopic {
	c := b.cfg
	t := catalog.NewTopic{Name: name}
	set := func(key, value string) {
		t.Configs = append(t.Configs, catalog.ConfigValue{Name: key, Value: &value})
	}
	factor := int16(0)
	switch name {
	case offsetsTopic:
		t.Partitions, factor = c.OffsetsTopicPartitions, c.OffsetsTopicReplicationFactor
		set("compression.type", "producer")
		set("segment.bytes", staticValue(c.Static, "offsets.topic.segment.bytes"))
	default:
		t.Partitions, factor = c.TransactionTopicPartitions, c.TransactionTopicReplicationFactor
		set("compression.type", "uncompressed")
		set("segment.bytes", staticValue(c.Static, "transaction.state.log.segment.bytes"))
		set("min.insync.replicas", staticValue(c.Static, "transaction.state.log.min.isr"))
		set("unclean.leader.election.enable", "false")
	}
	set("cleanup.policy", "compact")
	if factor == 0 {
		brokers := int16(0)
		for range im.Brokers() {
			brokers++
		}
		factor = min(internalReplicasMax, max(brokers, 1))
	}
	t.ReplicationFactor = factor
	return t
}

// groupConfig is what the static configuration says about groups.
func (b *Broker) groupConfig() group.Config {
	static := b.cfg.Static
	number := func(key string) int64 { return staticNumber(static, key) }
	c := group.Defaults()
	c.SessionMinMs = int32(number("group.min.session.timeout.ms"))
	c.SessionMaxMs = int32(number("group.max.session.timeout.ms"))
	c.InitialDelayMs = int32(number("group.initial.rebalance.delay.ms"))
	c.SizeMax = int(number("group.max.size"))
	c.OffsetMetadataBytesMax = int(number("offset.metadata.max.bytes"))
	c.OffsetRetentionMs = number("offsets.retention.minutes") * 60_000
	c.ExpiryCheckMs = number("offsets.retention.check.interval.ms")
	c.Meter = &b.groupMeter
	return c
}

// coordinate takes up the coordinators' work on partitions that this broker has come to lead.
func (b *Broker) coordinate(t *topic, replicas []*replica) {
	for _, r := range replicas {
		if r == nil {
			continue
		}
		switch t.name {
		case offsetsTopic:
			b.groups.lead(r)
		case transactionsTopic:
			b.txns.lead(r)
		default:
			return
		}
	}
}

// uncoordinate lets go of partitions; of a deleted topic's groups forget the offsets.
func (b *Broker) uncoordinate(t *topic, replicas []*replica) {
	for _, r := range replicas {
		if r == nil {
			continue
		}
		switch t.name {
		case offsetsTopic:
			b.groups.resign(r)
		case transactionsTopic:
			b.txns.resign(r)
		}
	}
}

// forgetOffsets drops what groups have committed for a topic that is gone.
func (b *Broker) forgetOffsets(t *topic) {
	for _, s := range b.groups.all() {
		s.post(&group.Input{
			Kind: group.TopicsDeleted, Topics: []string{t.name}, TopicIDs: [][16]byte{t.id},
		})
	}
}

// closeCoordinators ends all coordination: whoever waits is refused and looks elsewhere.
func (b *Broker) closeCoordinators() {
	b.groups.close()
	b.txns.close()
}
