package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/cmd/sluice/internal/client"
)

// topicInfo is what the tools show about a topic.
type topicInfo struct {
	Name              string          `json:"name"`
	ID                string          `json:"id"`
	Internal          bool            `json:"internal"`
	ReplicationFactor int             `json:"replicationFactor"`
	Partitions        []partitionInfo `json:"partitions"`
	Configs           []configInfo    `json:"configs,omitempty"`
}

// partitionInfo is what the tools show about a partition. Start and End are set only where the tool
// asked for offsets.
type partitionInfo struct {
	Partition    int32   `json:"partition"`
	Leader       int32   `json:"leader"`
	LeaderEpoch  int32   `json:"leaderEpoch"`
	Replicas     []int32 `json:"replicas"`
	ISR          []int32 `json:"isr"`
	ELR          []int32 `json:"elr"`
	LastKnownELR []int32 `json:"lastKnownElr"`
	Start        *int64  `json:"start,omitempty"`
	End          *int64  `json:"end,omitempty"`
	// noELR says that the broker is too old to know eligible leader replicas (KIP-966).
	noELR bool
}

// topicID writes a topic's id as Kafka does (class Uuid): base64 for URLs.
func topicID(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// parseTopicID reads what topicID wrote.
func parseTopicID(text string) (id [16]byte, err error) {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%q is not a topic id", text)
	}
	copy(id[:], b)
	return id, nil
}

// describeTopics returns the named topics, sorted by name, page by page (KIP-966). A topic that
// does not exist is left out; the caller knows which names it asked for.
func describeTopics(ctx context.Context, cl *kgo.Client, names []string, pageSize int32,
) ([]topicInfo, error) {
	if len(names) == 0 {
		return nil, nil
	}
	names = slices.Sorted(slices.Values(names))
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = pageSize
	for _, name := range names {
		t := kmsg.NewDescribeTopicPartitionsRequestTopic()
		t.Topic = name
		req.Topics = append(req.Topics, t)
	}
	var topics []topicInfo
	for {
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			if ctx.Err() != nil || len(topics) > 0 {
				return nil, err
			}
			return describeByMetadata(ctx, cl, names)
		}
		for i := range resp.Topics {
			if topics, err = addDescribed(topics, &resp.Topics[i]); err != nil {
				return nil, err
			}
		}
		if resp.NextCursor == nil {
			return topics, nil
		}
		req.Cursor = (*kmsg.DescribeTopicPartitionsRequestCursor)(nil)
		cursor := kmsg.NewDescribeTopicPartitionsRequestCursor()
		cursor.Topic, cursor.Partition = resp.NextCursor.Topic, resp.NextCursor.Partition
		req.Cursor = &cursor
		from := sort.SearchStrings(names, cursor.Topic)
		req.Topics, names = req.Topics[from:], names[from:]
	}
}

// addDescribed appends one topic of a page. A topic whose partitions span pages comes once a page.
func addDescribed(topics []topicInfo, t *kmsg.DescribeTopicPartitionsResponseTopic,
) ([]topicInfo, error) {
	err := kerr.ErrorForCode(t.ErrorCode)
	if err == kerr.UnknownTopicOrPartition || t.Topic == nil {
		return topics, nil
	}
	if err != nil {
		return nil, topicError(*t.Topic, err)
	}
	if n := len(topics); n == 0 || topics[n-1].Name != *t.Topic {
		info := topicInfo{Name: *t.Topic, ID: topicID(t.TopicID), Internal: t.IsInternal}
		topics = append(topics, info)
	}
	info := &topics[len(topics)-1]
	for i := range t.Partitions {
		p := &t.Partitions[i]
		info.Partitions = append(info.Partitions, partitionInfo{
			Partition: p.Partition, Leader: p.LeaderID, LeaderEpoch: p.LeaderEpoch,
			Replicas: p.Replicas, ISR: p.ISR,
			ELR: p.EligibleLeaderReplicas, LastKnownELR: p.LastKnownELR,
		})
	}
	if len(info.Partitions) > 0 {
		info.ReplicationFactor = len(info.Partitions[0].Replicas)
	}
	return topics, nil
}

// describeByMetadata is describeTopics for brokers older than KIP-966.
func describeByMetadata(ctx context.Context, cl *kgo.Client, names []string) ([]topicInfo, error) {
	all, err := kadm.NewClient(cl).ListTopicsWithInternal(ctx, names...)
	if err != nil {
		return nil, err
	}
	var topics []topicInfo
	for _, t := range all.Sorted() {
		if t.Err == kerr.UnknownTopicOrPartition {
			continue
		}
		if t.Err != nil {
			return nil, topicError(t.Topic, t.Err)
		}
		info := topicInfo{
			Name: t.Topic, ID: topicID(t.ID), Internal: t.IsInternal,
			ReplicationFactor: t.Partitions.NumReplicas(),
		}
		for _, p := range t.Partitions.Sorted() {
			info.Partitions = append(info.Partitions, partitionInfo{
				Partition: p.Partition, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch,
				Replicas: p.Replicas, ISR: p.ISR, noELR: true,
			})
		}
		topics = append(topics, info)
	}
	return topics, nil
}

// topicNames returns the names of all topics, sorted.
func topicNames(ctx context.Context, adm *kadm.Client, internal bool) ([]string, error) {
	all, err := adm.ListTopicsWithInternal(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range all.Sorted() {
		if internal || !t.IsInternal {
			names = append(names, t.Topic)
		}
	}
	return names, nil
}

// newTopic is a topic to be created. Partitions and replicas of -1 stand for the broker's defaults;
// with an assignment both must be -1.
type newTopic struct {
	name       string
	partitions int32
	replicas   int16
	assignment [][]int32
	configs    [][2]string
}

// createTopic creates one topic and returns what the broker says it made.
func createTopic(ctx context.Context, cl *kgo.Client, t newTopic, timeoutMs int32, dryRun bool,
) (*kmsg.CreateTopicsResponseTopic, error) {
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = t.name, t.partitions, t.replicas
	for i, replicas := range t.assignment {
		ra := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		ra.Partition, ra.Replicas = int32(i), replicas
		rt.ReplicaAssignment = append(rt.ReplicaAssignment, ra)
	}
	for _, c := range t.configs {
		rc := kmsg.NewCreateTopicsRequestTopicConfig()
		rc.Name, rc.Value = c[0], kmsg.StringPtr(c[1])
		rt.Configs = append(rt.Configs, rc)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis, req.ValidateOnly = timeoutMs, dryRun
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 {
		return nil, fmt.Errorf("the broker answered for %d topics instead of one", len(resp.Topics))
	}
	made := &resp.Topics[0]
	return made, brokerError(made.ErrorCode, client.Message(made.ErrorMessage))
}

// deleteTopic deletes one topic by name.
func deleteTopic(ctx context.Context, cl *kgo.Client, name string, timeoutMs int32) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = timeoutMs
	req.TopicNames = []string{name}
	t := kmsg.NewDeleteTopicsRequestTopic()
	t.Topic = kmsg.StringPtr(name)
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	if len(resp.Topics) != 1 {
		return fmt.Errorf("the broker answered for %d topics instead of one", len(resp.Topics))
	}
	return brokerError(resp.Topics[0].ErrorCode, client.Message(resp.Topics[0].ErrorMessage))
}

// growTopic raises a topic's number of partitions to count.
func growTopic(ctx context.Context, cl *kgo.Client, name string, count int32,
	assignment [][]int32, timeoutMs int32,
) error {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = timeoutMs
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = name, count
	for _, replicas := range assignment {
		a := kmsg.NewCreatePartitionsRequestTopicAssignment()
		a.Replicas = replicas
		t.Assignment = append(t.Assignment, a)
	}
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	if len(resp.Topics) != 1 {
		return fmt.Errorf("the broker answered for %d topics instead of one", len(resp.Topics))
	}
	return brokerError(resp.Topics[0].ErrorCode, client.Message(resp.Topics[0].ErrorMessage))
}

// codeError is an error code of the broker with the message that came along.
type codeError struct {
	code    error
	message string
}

// Error prefers the broker's own words.
func (e *codeError) Error() string { return client.Explain(e.code, e.message).Error() }

// Unwrap gives the code.
func (e *codeError) Unwrap() error { return e.code }

// plain returns the broker's words without the name of the code, as Kafka's tools print it.
func plain(err error) string {
	if e, ok := err.(*codeError); ok {
		if e.message != "" {
			return e.message
		}
		if code, ok := e.code.(*kerr.Error); ok {
			return code.Description
		}
	}
	return err.Error()
}

func brokerError(code int16, message string) error {
	err := kerr.ErrorForCode(code)
	if err == nil {
		return nil
	}
	return &codeError{err, message}
}

// parseConfigs splits key=value words.
func parseConfigs(words []string) ([][2]string, error) {
	var out [][2]string
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if key = strings.TrimSpace(key); !ok || key == "" {
			return nil, usagef("%q is not key=value", w)
		}
		out = append(out, [2]string{key, strings.TrimSpace(value)})
	}
	return out, nil
}

// join writes broker ids as Kafka does.
func join(ids []int32) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Itoa(int(id))
	}
	return strings.Join(texts, ",")
}
