package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// listedGroup is a group as its coordinator lists it (KIP-518, KIP-848).
type listedGroup struct {
	Group       string `json:"group"`
	Type        string `json:"type"`
	Protocol    string `json:"protocolType"`
	State       string `json:"state"`
	Coordinator int32  `json:"coordinator"`
}

// listGroups asks every broker for its groups, by state and type if there are any of these, and
// returns them by name.
func listGroups(ctx context.Context, cl *kgo.Client, states, types []string) ([]listedGroup, error) {
	req := kmsg.NewPtrListGroupsRequest()
	req.StatesFilter, req.TypesFilter = states, types
	groups := []listedGroup{}
	for _, shard := range cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		resp := shard.Resp.(*kmsg.ListGroupsResponse)
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return nil, fmt.Errorf("broker %d cannot list its groups: %w", shard.Meta.NodeID, err)
		}
		for _, g := range resp.Groups {
			l := listedGroup{g.Group, g.GroupType, g.ProtocolType, g.GroupState, shard.Meta.NodeID}
			if l.Type == "" { // A broker from before KIP-848 has no others.
				l.Type = "classic"
			}
			groups = append(groups, l)
		}
	}
	slices.SortFunc(groups, func(x, y listedGroup) int { return cmp.Compare(x.Group, y.Group) })
	return groups, nil
}

// groupInfo is what a coordinator says of a group, whichever protocol its members speak.
type groupInfo struct {
	Group       string        `json:"group"`
	Type        string        `json:"type"`
	Protocol    string        `json:"protocolType"`
	State       string        `json:"state"`
	Assignor    string        `json:"assignor,omitempty"`
	Coordinator groupNode     `json:"coordinator"`
	Members     []groupMember `json:"members"`
	// epoch and targetEpoch are those of KIP-848; groups of the classic protocol have none.
	epoch, targetEpoch *int32
}

// groupNode is the broker that coordinates a group.
type groupNode struct {
	ID   int32  `json:"id"`
	Host string `json:"host"`
	Port int32  `json:"port"`
}

func (n groupNode) address() string { return net.JoinHostPort(n.Host, strconv.Itoa(int(n.Port))) }

// groupMember is one member and what it is to read.
type groupMember struct {
	ID       string           `json:"memberId"`
	Instance string           `json:"instanceId,omitempty"`
	Client   string           `json:"clientId"`
	Host     string           `json:"host"`
	Assigned []topicPartition `json:"assigned"`
	// target and epochs are those of KIP-848.
	target             []topicPartition
	epoch, targetEpoch *int32
}

// topicPartition names a partition.
type topicPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

func (p topicPartition) String() string { return p.Topic + "-" + strconv.Itoa(int(p.Partition)) }

func comparePartitions(x, y topicPartition) int {
	return cmp.Or(cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition))
}

// errNoGroup says that a coordinator knows no such group.
var errNoGroup error = kerr.GroupIDNotFound

// describeGroup asks a group's coordinator. The error is errNoGroup if there is none of this name.
func describeGroup(ctx context.Context, adm *kadm.Client, id string) (*groupInfo, error) {
	described, err := adm.DescribeGroups(ctx, id)
	if err != nil {
		return nil, err
	}
	d, err := described.On(id, nil)
	if err == nil {
		err = d.Err
	}
	if errors.Is(err, errNoGroup) || err == nil && d.State == "Dead" {
		// Since KIP-1043 a group of another protocol is not found here.
		return describeConsumerGroup(ctx, adm, id)
	}
	if err != nil {
		return nil, err
	}
	g := &groupInfo{
		Group: id, Type: "classic", Protocol: d.ProtocolType, State: d.State, Assignor: d.Protocol,
		Coordinator: nodeOf(d.Coordinator), Members: []groupMember{},
	}
	for _, m := range d.Members {
		k := groupMember{ID: m.MemberID, Client: m.ClientID, Host: m.ClientHost}
		if m.InstanceID != nil {
			k.Instance = *m.InstanceID
		}
		if assigned, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range assigned.Topics {
				for _, p := range t.Partitions {
					k.Assigned = append(k.Assigned, topicPartition{t.Topic, p})
				}
			}
		}
		slices.SortFunc(k.Assigned, comparePartitions)
		g.Members = append(g.Members, k)
	}
	return g, nil
}

// describeConsumerGroup describes a group of KIP-848's protocol. A broker that does not speak it has
// no such group.
func describeConsumerGroup(ctx context.Context, adm *kadm.Client, id string) (*groupInfo, error) {
	described, err := adm.DescribeConsumerGroups(ctx, id)
	if err != nil {
		return nil, errNoGroup
	}
	d, ok := described[id]
	switch {
	case !ok, errors.Is(d.Err, kerr.UnsupportedVersion):
		return nil, errNoGroup
	case d.Err != nil:
		return nil, d.Err
	}
	g := &groupInfo{
		Group: id, Type: "consumer", Protocol: "consumer", State: d.State, Assignor: d.AssignorName,
		Coordinator: nodeOf(d.Coordinator), Members: []groupMember{},
		epoch: &d.Epoch, targetEpoch: &d.AssignmentEpoch,
	}
	for _, m := range d.Members {
		k := groupMember{
			ID: m.MemberID, Client: m.ClientID, Host: m.ClientHost, epoch: &m.MemberEpoch,
			Assigned: partitionList(m.Assignment), target: partitionList(m.TargetAssignment),
			targetEpoch: &d.AssignmentEpoch,
		}
		if m.InstanceID != nil {
			k.Instance = *m.InstanceID
		}
		g.Members = append(g.Members, k)
	}
	return g, nil
}

func nodeOf(b kadm.BrokerDetail) groupNode { return groupNode{b.NodeID, b.Host, b.Port} }

// partitionList is a set of partitions in order.
func partitionList(set kadm.TopicsSet) []topicPartition {
	var out []topicPartition
	set.Each(func(topic string, partition int32) {
		out = append(out, topicPartition{topic, partition})
	})
	slices.SortFunc(out, comparePartitions)
	return out
}

// groupOffset is one partition that a group reads: where it is, where the log ends, and who reads it.
type groupOffset struct {
	topicPartition
	Committed   *int64  `json:"committed"`
	LeaderEpoch *int32  `json:"leaderEpoch,omitempty"`
	Metadata    string  `json:"metadata,omitempty"`
	End         *int64  `json:"end"`
	Lag         *int64  `json:"lag"`
	MemberID    *string `json:"memberId"`

	member *groupMember
}

// groupOffsets returns the partitions that a group has committed or is assigned, in order. Its lag
// counts up to the high watermark, as Kafka's tool counts it, so records that a committed reader must
// still wait for are part of it.
func groupOffsets(ctx context.Context, adm *kadm.Client, g *groupInfo) ([]groupOffset, error) {
	committed, err := adm.FetchOffsets(ctx, g.Group)
	if err != nil {
		return nil, err
	}
	rows := map[topicPartition]*groupOffset{}
	row := func(p topicPartition) *groupOffset {
		if rows[p] == nil {
			rows[p] = &groupOffset{topicPartition: p}
		}
		return rows[p]
	}
	for _, o := range committed.Sorted() {
		if o.Err != nil {
			return nil, fmt.Errorf("topic %s, partition %d: %w", o.Topic, o.Partition, o.Err)
		}
		if o.At < 0 {
			continue
		}
		r := row(topicPartition{o.Topic, o.Partition})
		r.Committed, r.Metadata = &o.At, o.Metadata
		if o.LeaderEpoch >= 0 {
			r.LeaderEpoch = &o.LeaderEpoch
		}
	}
	for i := range g.Members {
		m := &g.Members[i]
		for _, p := range m.Assigned {
			r := row(p)
			r.member, r.MemberID = m, &m.ID
		}
	}
	return withEnds(ctx, adm, rows)
}

// withEnds adds the logs' ends and the lags, and puts the rows in order.
func withEnds(ctx context.Context, adm *kadm.Client, rows map[topicPartition]*groupOffset,
) ([]groupOffset, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	var topics []string
	for p := range rows {
		if !slices.Contains(topics, p.Topic) {
			topics = append(topics, p.Topic)
		}
	}
	ends, err := adm.ListEndOffsets(ctx, topics...)
	if err != nil {
		return nil, err
	}
	out := make([]groupOffset, 0, len(rows))
	for p, r := range rows {
		// A topic that is gone has no end, and is shown without one.
		if o, ok := ends.Lookup(p.Topic, p.Partition); ok && o.Err == nil {
			r.End = &o.Offset
			if r.Committed != nil {
				lag := max(*r.End-*r.Committed, 0)
				r.Lag = &lag
			}
		}
		out = append(out, *r)
	}
	slices.SortFunc(out, func(x, y groupOffset) int {
		return comparePartitions(x.topicPartition, y.topicPartition)
	})
	return out, nil
}

// commitOffsets sets the offsets of a group that nobody is in.
func commitOffsets(ctx context.Context, adm *kadm.Client, group string,
	to map[topicPartition]int64,
) error {
	offsets := kadm.Offsets{}
	for p, at := range to {
		offsets.Add(kadm.Offset{Topic: p.Topic, Partition: p.Partition, At: at, LeaderEpoch: -1})
	}
	done, err := adm.CommitOffsets(ctx, group, offsets)
	if err != nil {
		return err
	}
	for _, o := range done.Sorted() {
		if o.Err != nil {
			return fmt.Errorf("topic %s, partition %d: %w", o.Topic, o.Partition, o.Err)
		}
	}
	return nil
}

// groupError words an error about a group.
func groupError(group string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNoGroup):
		return fmt.Errorf("group %s does not exist", group)
	case errors.Is(err, kerr.UnknownMemberID), errors.Is(err, kerr.NonEmptyGroup):
		name := "NON_EMPTY_GROUP"
		if errors.Is(err, kerr.UnknownMemberID) {
			name = "UNKNOWN_MEMBER_ID"
		}
		return fmt.Errorf("group %s has members, and only they may commit its offsets while there are "+
			"any: stop its consumers first (%s)", group, name)
	case errors.Is(err, kerr.GroupSubscribedToTopic):
		return fmt.Errorf("group %s is subscribed to the topic: stop its consumers first "+
			"(GROUP_SUBSCRIBED_TO_TOPIC)", group)
	}
	return fmt.Errorf("group %s: %w", group, explained(err))
}

// explained words what a broker's code means, also where the code stands behind a place.
func explained(err error) error {
	var code *kerr.Error
	if errors.As(err, &code) && err != error(code) {
		return fmt.Errorf("%s%s (%s)", strings.TrimSuffix(err.Error(), code.Error()),
			strings.TrimSuffix(code.Description, "."), code.Message)
	}
	if code != nil {
		return fmt.Errorf("%s (%s)", strings.TrimSuffix(code.Description, "."), code.Message)
	}
	return err
}

// parseTopicPartitions reads topic or topic:p,p of each text; nil stands for all partitions.
func parseTopicPartitions(texts []string) (map[string][]int32, error) {
	out := map[string][]int32{}
	for _, text := range texts {
		topic, list, some := strings.Cut(text, ":")
		if err := checkNames(topic); err != nil {
			return nil, usagef("%q: %v", text, err)
		}
		if parts, seen := out[topic]; !some || seen && parts == nil {
			out[topic] = nil
			continue
		}
		for _, n := range strings.Split(list, ",") {
			p, err := strconv.ParseInt(n, 10, 32)
			if err != nil || p < 0 {
				return nil, usagef("%q: %q is not a partition; it must be topic or topic:N,N", text, n)
			}
			out[topic] = append(out[topic], int32(p))
		}
	}
	return out, nil
}
