package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/cmd/sluice/internal/kopt"
)

func (a *app) kafkaTopicsDescribe(ctx context.Context, line *kopt.Line, adm *kadm.Client,
	cl *kgo.Client,
) error {
	page, err := line.Int("partition-size-limit-per-response", 32, pagePartitions)
	if err != nil {
		return says("%s", err)
	}
	var names []string
	if line.Has("topic-id") {
		names, err = nameOfID(ctx, adm, line)
	} else {
		names, err = mustMatch(ctx, line, adm)
	}
	if err != nil {
		return err
	}
	topics, err := describeTopics(ctx, cl, names, int32(page))
	if err != nil {
		return err
	}
	if err := addConfigs(ctx, cl, topics, true); err != nil {
		return err
	}
	for i := range topics {
		a.kafkaDescribe(line, &topics[i])
	}
	return nil
}

// nameOfID finds the topic of an id.
func nameOfID(ctx context.Context, adm *kadm.Client, line *kopt.Line) ([]string, error) {
	id, err := parseTopicID(line.Get("topic-id"))
	if err != nil {
		return nil, err
	}
	all, err := adm.ListTopicsWithInternal(ctx)
	if err != nil {
		return nil, err
	}
	for name, t := range all {
		if t.ID == id {
			return []string{name}, nil
		}
	}
	if line.Has("if-exists") {
		return nil, nil
	}
	return nil, says("TopicId '%s' does not exist as expected", line.Get("topic-id"))
}

// kafkaDescribe prints one topic in Kafka's form: a line for the topic and one for each partition,
// or only what a filter lets through.
func (a *app) kafkaDescribe(line *kopt.Line, t *topicInfo) {
	var overrides []string
	minISR := 1
	for _, c := range t.Configs {
		if c.Name == "min.insync.replicas" {
			if n, err := strconv.Atoi(c.text()); err == nil {
				minISR = n
			}
		}
		if c.Source != "DEFAULT_CONFIG" {
			overrides = append(overrides, c.Name+"="+c.text())
		}
	}
	filtered := false
	for _, f := range partitionFilters {
		filtered = filtered || line.Has(f)
	}
	onlyTopics := line.Has("topics-with-overrides")
	if !filtered && (!onlyTopics || len(overrides) > 0) {
		fmt.Fprintf(a.out, "Topic: %s\tTopicId: %s\tPartitionCount: %d\tReplicationFactor: %d\tConfigs: %s\n",
			t.Name, t.ID, len(t.Partitions), t.ReplicationFactor, strings.Join(overrides, ","))
	}
	if onlyTopics {
		return
	}
	for i := range t.Partitions {
		if p := &t.Partitions[i]; !filtered || wantedPartition(line, p, minISR) {
			a.kafkaPartition(t.Name, p)
		}
	}
}

// wantedPartition says whether one of the given filters lets a partition through.
func wantedPartition(line *kopt.Line, p *partitionInfo, minISR int) bool {
	holds := []bool{
		len(p.ISR) < len(p.Replicas), p.Leader < 0, len(p.ISR) < minISR, len(p.ISR) == minISR,
	}
	for i, f := range partitionFilters {
		if line.Has(f) && holds[i] {
			return true
		}
	}
	return false
}

func (a *app) kafkaPartition(topic string, p *partitionInfo) {
	leader, elr, last := "none", join(p.ELR), join(p.LastKnownELR)
	if p.Leader >= 0 {
		leader = strconv.Itoa(int(p.Leader))
	}
	if p.noELR {
		elr, last = "N/A", "N/A"
	}
	fmt.Fprintf(a.out, "\tTopic: %s\tPartition: %d\tLeader: %s\tReplicas: %s\tIsr: %s\tElr: %s\tLastKnownElr: %s\n",
		topic, p.Partition, leader, join(p.Replicas), join(p.ISR), elr, last)
}
