package e2etest

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestAdminFranz walks a topic through its life with kadm, by way of each admin API.
func TestAdminFranz(t *testing.T) {
	t.Parallel()
	b, ctx := sharedBroker(t), deadline(t)
	a, c := admin(t, b), dial(t, b)
	topic := "admin-franz"
	f := func(step string, err, wantErr error) {
		t.Helper()
		if !errors.Is(err, wantErr) {
			t.Fatalf("%s: %v, want %v", step, err, wantErr)
		}
	}
	_, err := a.ValidateCreateTopics(ctx, 2, 1, nil, topic)
	f("validate", err, nil)
	_, err = describe(t, c, topic)
	f("validating makes nothing", err, kerr.UnknownTopicOrPartition)
	_, err = a.CreateTopic(ctx, 2, 1, nil, topic)
	f("create", err, nil)
	_, err = a.CreateTopic(ctx, 2, 1, nil, topic)
	f("create again", err, kerr.TopicAlreadyExists)
	_, err = a.CreateTopic(ctx, 1, 1, nil, "no spaces")
	f("invalid name", err, kerr.InvalidTopicException)
	_, err = a.CreateTopic(ctx, 0, 1, nil, topic+"-none")
	f("no partitions", err, kerr.InvalidPartitions)
	_, err = a.CreateTopic(ctx, 1, 3, nil, topic+"-three")
	f("three replicas", err, kerr.InvalidReplicationFactor)
	bad := "never"
	_, err = a.CreateTopic(ctx, 1, 1, map[string]*string{"retention.ms": &bad}, topic+"-bad")
	f("bad config", err, kerr.InvalidConfig)
	_, err = describe(t, c, topic)
	f("describe", err, nil)

	grown, err := a.UpdatePartitions(ctx, 4, topic)
	f("grow", errors.Join(err, grown.Error()), nil)
	grown, err = a.UpdatePartitions(ctx, 4, topic)
	f("grow to the same", errors.Join(err, grown.Error()), kerr.InvalidPartitions)
	partitions, err := describe(t, c, topic)
	f("describe what has grown", err, nil)
	want(t, "partitions", len(partitions), 4)
	for _, p := range partitions {
		want(t, "replicas", fmt.Sprint(p.Leader, p.Replicas, p.ISR), "1 [1] [1]")
	}

	dirs, err := a.DescribeAllLogDirs(ctx, nil)
	f("log dirs", err, nil)
	found := 0
	dirs[1].EachPartition(func(p kadm.DescribedLogDirPartition) {
		if p.Topic == topic {
			found++
		}
	})
	want(t, "partitions in the log dirs", found, 4)
	gone, err := a.DeleteTopics(ctx, topic)
	f("delete", errors.Join(err, gone.Error()), nil)
	gone, err = a.DeleteTopics(ctx, topic)
	f("delete again", errors.Join(err, gone.Error()), kerr.UnknownTopicOrPartition)
	_, err = describe(t, c, topic)
	f("describe what was deleted", err, kerr.UnknownTopicOrPartition)
}

// describe asks for a topic's partitions, past the caches that clients keep of metadata.
func describe(t *testing.T, c *rawConn, topic string,
) ([]kmsg.MetadataResponseTopicPartition, error) {
	t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 9
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = &topic
	req.Topics = append(req.Topics, rt)
	resp := ask(t, c, req, (*kmsg.MetadataResponse)(nil))
	if len(resp.Topics) != 1 {
		t.Fatalf("metadata of %d topics", len(resp.Topics))
	}
	return resp.Topics[0].Partitions, kerr.ErrorForCode(resp.Topics[0].ErrorCode)
}

// TestConfigs alters topic and broker configs and looks at what is described, and at what it does.
func TestConfigs(t *testing.T) {
	t.Parallel()
	b, ctx := sharedBroker(t), deadline(t)
	a, c := admin(t, b), dial(t, b)
	topic := "configs"
	createTopic(t, b, topic, 1, "retention.ms", "1000000")
	alter := func(op kadm.IncrementalOp, key, value string) error {
		r, err := a.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: op, Name: key, Value: &value}}, topic)
		must(t, err)
		return r[0].Err
	}
	want(t, "as created", topicConfig(t, a, topic, "retention.ms"), "1000000")
	want(t, "default", topicConfig(t, a, topic, "max.message.bytes"), "1048588")
	must(t, produceError(produceRaw(t, c, topic, goodBatch(t, strings.Repeat("x", 2000)))))
	must(t, alter(kadm.SetConfig, "max.message.bytes", "1000"))
	want(t, "altered", topicConfig(t, a, topic, "max.message.bytes"), "1000")
	err := produceError(produceRaw(t, c, topic, goodBatch(t, strings.Repeat("x", 2000))))
	want(t, "over max.message.bytes", err, error(kerr.MessageTooLarge))
	must(t, alter(kadm.DeleteConfig, "max.message.bytes", ""))
	want(t, "default again", topicConfig(t, a, topic, "max.message.bytes"), "1048588")
	must(t, produceError(produceRaw(t, c, topic, goodBatch(t, strings.Repeat("x", 2000)))))
	must(t, alter(kadm.AppendConfig, "cleanup.policy", "compact"))
	want(t, "appended", topicConfig(t, a, topic, "cleanup.policy"), "delete,compact")
	must(t, alter(kadm.SubtractConfig, "cleanup.policy", "compact"))
	want(t, "subtracted", topicConfig(t, a, topic, "cleanup.policy"), "delete")
	want(t, "bad value", alter(kadm.SetConfig, "retention.ms", "x"), error(kerr.InvalidConfig))
	want(t, "bad key", alter(kadm.SetConfig, "no.such.key", "1"), error(kerr.InvalidConfig))

	brokers, err := a.DescribeBrokerConfigs(ctx, 1)
	must(t, err)
	rc, err := brokers.On("1", nil)
	must(t, err)
	i := slices.IndexFunc(rc.Configs, func(c kadm.Config) bool { return c.Key == "log.dirs" })
	if i < 0 {
		t.Fatalf("log.dirs is not among %d broker configs", len(rc.Configs))
	}
	want(t, "log.dirs", rc.Configs[i].MaybeValue(), b.dir)
	want(t, "its source", rc.Configs[i].Source, kmsg.ConfigSourceStaticBrokerConfig)
}

// TestAdminSarama does with sarama what an operator's program would.
func TestAdminSarama(t *testing.T) {
	t.Parallel()
	b := sharedBroker(t)
	a, err := sarama.NewClusterAdmin([]string{b.addr}, saramaConfig())
	must(t, err)
	defer a.Close()
	topic, retention := "admin-sarama", "5000"
	must(t, a.CreateTopic(topic, &sarama.TopicDetail{
		NumPartitions: 2, ReplicationFactor: 1,
		ConfigEntries: map[string]*string{"retention.ms": &retention},
	}, false))
	err = a.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1}, false)
	if !errors.Is(err, sarama.ErrTopicAlreadyExists) {
		t.Errorf("create again: %v", err)
	}
	must(t, a.CreatePartitions(topic, 3, nil, false))
	all, err := a.ListTopics()
	must(t, err)
	want(t, "partitions", all[topic].NumPartitions, 3)
	want(t, "config", *all[topic].ConfigEntries["retention.ms"], retention)
	six := "6000"
	must(t, a.AlterConfig(sarama.TopicResource, topic, map[string]*string{"retention.ms": &six}, false))
	described, err := a.DescribeConfigs([]*sarama.ConfigResource{{
		Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"retention.ms"},
	}}, sarama.DescribeConfigsOptions{})
	must(t, err)
	want(t, "config after AlterConfigs", described[0].Configs[0].Value, six)

	at := place{topic, 1}
	must(t, shopify{}.produce(deadline(t), b, at, 0, -1, numbered(0, 10)))
	must(t, a.DeleteRecords(topic, map[int32]int64{1: 4}))
	got, err := shopify{}.consume(deadline(t), b, at, sarama.OffsetOldest, 6)
	must(t, err)
	want(t, "first offset after DeleteRecords", got[0].offset, 4)
	brokers, controller, err := a.DescribeCluster()
	must(t, err)
	want(t, "cluster", fmt.Sprintln(len(brokers), brokers[0].Addr(), controller),
		fmt.Sprintln(1, b.addr, 1))
	must(t, a.DeleteTopic(topic))
	topics, err := a.DescribeTopics([]string{topic})
	must(t, err)
	want(t, "after DeleteTopics", topics[0].Err, sarama.ErrUnknownTopicOrPartition)
}

// TestAdminKafkaGo does the same with kafka-go's Client.
func TestAdminKafkaGo(t *testing.T) {
	t.Parallel()
	b, ctx := sharedBroker(t), deadline(t)
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	a := &kafka.Client{Addr: kafka.TCP(b.addr), Transport: transport}
	topic := "admin-kafka-go"
	made, err := a.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
		Topic: topic, NumPartitions: 1, ReplicationFactor: 1,
		ConfigEntries: []kafka.ConfigEntry{{ConfigName: "retention.ms", ConfigValue: "5000"}},
	}}})
	must(t, errors.Join(err, made.Errors[topic]))
	grown, err := a.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: 3}},
	})
	must(t, errors.Join(err, grown.Errors[topic]))
	altered, err := a.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{
		Resources: []kafka.IncrementalAlterConfigsRequestResource{{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
			Configs: []kafka.IncrementalAlterConfigsRequestConfig{{
				Name: "retention.ms", Value: "6000", ConfigOperation: kafka.ConfigOperationSet,
			}},
		}},
	})
	must(t, err)
	must(t, altered.Resources[0].Error)
	described, err := a.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
			ConfigNames: []string{"retention.ms"},
		}},
	})
	must(t, err)
	want(t, "config", described.Resources[0].ConfigEntries[0].ConfigValue, "6000")
	partitions, err := describe(t, dial(t, b), topic)
	must(t, err)
	want(t, "partitions", len(partitions), 3)
	gone, err := a.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	must(t, errors.Join(err, gone.Errors[topic]))
	_, err = describe(t, dial(t, b), topic)
	want(t, "after DeleteTopics", err, error(kerr.UnknownTopicOrPartition))
}

// manyPartitions is Kafka's bound on the partitions of one CreateTopics request.
const manyPartitions = 10_000

// TestManyPartitions makes 10,000 partitions and has each client read their metadata, before and
// after a restart. The first and the last of them work.
func TestManyPartitions(t *testing.T) {
	t.Parallel()
	ctx := deadline(t)
	b := start(t, memoryDir(t))
	topic := "many"
	createTopic(t, b, topic, manyPartitions)
	_, err := admin(t, b).CreateTopic(ctx, manyPartitions+1, 1, nil, "more")
	if !errors.Is(err, kerr.PolicyViolation) {
		t.Errorf("one partition more: %v", err)
	}
	checkMany(t, b, topic)
	for _, p := range []int32{0, manyPartitions - 1} {
		must(t, franz{}.produce(ctx, b, place{topic, p}, 0, -1, numbered(0, 3)))
	}
	b.kill()
	b = start(t, b.dir)
	checkMany(t, b, topic)
	for name, cl := range clients {
		got, err := cl.consume(ctx, b, place{topic, manyPartitions - 1}, 0, 3)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want(t, "values read by "+name, string(got[0].value)+string(got[2].value), "000000000000000002")
	}
}

// memoryDir is a folder in memory where the host has one: fifty thousand small files and their syncs
// take minutes on a disk that others use.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sluice-e2e-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

// checkMany has each client list the partitions of a topic.
func checkMany(t *testing.T, b *broker, topic string) {
	t.Helper()
	ids := map[string][]int{}
	details, err := admin(t, b).ListTopics(deadline(t), topic)
	must(t, err)
	for _, p := range details[topic].Partitions.Sorted() {
		ids["franz-go"] = append(ids["franz-go"], int(p.Partition))
	}
	meta, err := (&kafka.Client{Addr: kafka.TCP(b.addr)}).Metadata(deadline(t),
		&kafka.MetadataRequest{Topics: []string{topic}})
	must(t, err)
	for _, p := range meta.Topics[0].Partitions {
		ids["kafka-go"] = append(ids["kafka-go"], p.ID)
	}
	cl, err := sarama.NewClient([]string{b.addr}, saramaConfig())
	must(t, err)
	defer cl.Close()
	parts, err := cl.Partitions(topic)
	must(t, err)
	for _, p := range parts {
		ids["sarama"] = append(ids["sarama"], int(p))
	}
	for name, got := range ids {
		sort.Ints(got)
		if len(got) != manyPartitions || got[0] != 0 || got[len(got)-1] != manyPartitions-1 ||
			len(slices.Compact(got)) != manyPartitions {
			t.Errorf("%s sees %d partitions, want 0 to %d", name, len(got), manyPartitions-1)
		}
	}
}
