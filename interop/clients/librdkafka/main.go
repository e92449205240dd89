// Command librdkafka runs confluent-kafka-go, which carries librdkafka, against a broker: admin,
// every codec, an idempotent producer, assigned consumers, offsets by timestamp.
//
// It is a module of its own because it needs cgo, which the broker does not.
//
//	librdkafka BOOTSTRAP CORPUS
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

const limit = 4 << 20

// record is a line of the corpus.
type record struct {
	Key     []byte               `json:"key"`
	Value   []byte               `json:"value"`
	Raw     [][2]json.RawMessage `json:"headers"`
	headers []kafka.Header
}

var bootstrap string

func main() {
	bootstrap = os.Args[1]
	corpus := load(os.Args[2])
	admin := must(kafka.NewAdminClient(config()))
	defer admin.Close()
	adminScenario(admin)
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		for _, idempotent := range []bool{false, true} {
			topic := fmt.Sprintf("rd-%s-%v", codec, idempotent)
			create(admin, topic, 1)
			produce(corpus, topic, codec, idempotent)
			verify(corpus, topic)
		}
	}
	offsets(admin, corpus)
}

func config(extra ...string) *kafka.ConfigMap {
	c := kafka.ConfigMap{"bootstrap.servers": bootstrap}
	for i := 0; i < len(extra); i += 2 {
		c[extra[i]] = extra[i+1]
	}
	return &c
}

func must[T any](v T, err error) T {
	if err != nil {
		fail(err.Error())
	}
	return v
}

func fail(what string) {
	fmt.Fprintln(os.Stderr, "librdkafka:", what)
	os.Exit(1)
}

func check(ok bool, what string, args ...any) {
	what = fmt.Sprintf(what, args...)
	if !ok {
		fail(what)
	}
	fmt.Println("ok:", what)
}

// await polls until a condition holds, for 20 s at most.
func await(what string, holds func() bool) {
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			fail("never: " + what)
		}
	}
	fmt.Println("ok:", what)
}

func load(name string) []record {
	f := must(os.Open(name))
	defer f.Close()
	var out []record
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			fail(err.Error())
		}
		for _, h := range r.Raw {
			var kh kafka.Header
			if json.Unmarshal(h[0], &kh.Key) != nil || json.Unmarshal(h[1], &kh.Value) != nil {
				fail("a header that is not a pair")
			}
			r.headers = append(r.headers, kh)
		}
		out = append(out, r)
	}
	return out
}

func create(admin *kafka.AdminClient, topic string, partitions int) kafka.ErrorCode {
	spec := kafka.TopicSpecification{
		Topic: topic, NumPartitions: partitions, ReplicationFactor: 1,
		Config: map[string]string{"max.message.bytes": fmt.Sprint(limit)},
	}
	got := must(admin.CreateTopics(context.Background(), []kafka.TopicSpecification{spec}))
	return got[0].Error.Code()
}

func adminScenario(admin *kafka.AdminClient) {
	ctx := context.Background()
	check(create(admin, "rd-admin", 3) == kafka.ErrNoError, "a topic is created")
	check(create(admin, "rd-admin", 3) == kafka.ErrTopicAlreadyExists, "a second one is refused")
	partitions := func() int {
		meta := must(admin.GetMetadata(nil, true, 10_000))
		return len(meta.Topics["rd-admin"].Partitions)
	}
	await("metadata shows 3 partitions", func() bool { return partitions() == 3 })
	must(admin.CreatePartitions(ctx, []kafka.PartitionsSpecification{
		{Topic: "rd-admin", IncreaseTo: 5},
	}))
	await("metadata shows 5 partitions", func() bool { return partitions() == 5 })
	set := kafka.ConfigResource{
		Type: kafka.ResourceTopic, Name: "rd-admin",
		Config: []kafka.ConfigEntry{{
			Name: "retention.ms", Value: "3600000",
			IncrementalOperation: kafka.AlterConfigOpTypeSet,
		}},
	}
	must(admin.IncrementalAlterConfigs(ctx, []kafka.ConfigResource{set}))
	await("DescribeConfigs shows what was set", func() bool {
		got := must(admin.DescribeConfigs(ctx, []kafka.ConfigResource{
			{Type: kafka.ResourceTopic, Name: "rd-admin"},
		}))
		return got[0].Config["retention.ms"].Value == "3600000"
	})
	cluster := must(admin.DescribeCluster(ctx))
	check(len(cluster.Nodes) == 1 && cluster.ClusterID != nil, "DescribeCluster shows one node")
	topics := must(admin.DescribeTopics(ctx, kafka.NewTopicCollectionOfTopicNames([]string{"rd-admin"})))
	check(len(topics.TopicDescriptions[0].Partitions) == 5, "DescribeTopics shows 5 partitions")
	must(admin.DeleteTopics(ctx, []string{"rd-admin"}))
	await("the topic is deleted", func() bool { return partitions() == 0 })
}

func produce(corpus []record, topic, codec string, idempotent bool) {
	p := must(kafka.NewProducer(config("compression.type", codec, "linger.ms", "20",
		"message.max.bytes", fmt.Sprint(limit), "enable.idempotence", fmt.Sprint(idempotent))))
	defer p.Close()
	reports := make(chan kafka.Event, len(corpus))
	at := kafka.TopicPartition{Topic: &topic, Partition: 0}
	for _, r := range corpus {
		m := &kafka.Message{TopicPartition: at, Key: r.Key, Value: r.Value, Headers: r.headers}
		for {
			err := p.Produce(m, reports)
			var full kafka.Error
			if errors.As(err, &full) && full.Code() == kafka.ErrQueueFull {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			if err != nil {
				fail(err.Error())
			}
			break
		}
	}
	for i := range corpus {
		m := (<-reports).(*kafka.Message)
		if m.TopicPartition.Error != nil {
			fail(fmt.Sprintf("%s, record %d: %v", topic, i, m.TopicPartition.Error))
		}
		if m.TopicPartition.Offset != kafka.Offset(i) {
			fail(fmt.Sprintf("%s: offset %v in place of %d", topic, m.TopicPartition.Offset, i))
		}
	}
}

// consumer reads one partition from an offset on. librdkafka wants a group's name even for this;
// it is never sent.
func consumer(topic string, from kafka.Offset) *kafka.Consumer {
	c := must(kafka.NewConsumer(config("group.id", "unused", "enable.auto.commit", "false",
		"fetch.message.max.bytes", fmt.Sprint(limit), "check.crcs", "true")))
	at := []kafka.TopicPartition{{Topic: &topic, Partition: 0, Offset: from}}
	if err := c.Assign(at); err != nil {
		fail(err.Error())
	}
	return c
}

func read(c *kafka.Consumer, n int) []*kafka.Message {
	var out []*kafka.Message
	for deadline := time.Now().Add(time.Minute); len(out) < n && time.Now().Before(deadline); {
		if m, ok := c.Poll(500).(*kafka.Message); ok {
			out = append(out, m)
		}
	}
	return out
}

func verify(corpus []record, topic string) {
	c := consumer(topic, kafka.OffsetBeginning)
	defer c.Close()
	got := read(c, len(corpus))
	for i, m := range got {
		if !same(corpus[i], m) || m.TopicPartition.Offset != kafka.Offset(i) {
			fail(fmt.Sprintf("record %d of %s differs", i, topic))
		}
	}
	check(len(got) == len(corpus), "%s: %d records are byte for byte what was sent", topic, len(got))
}

// same compares; librdkafka hands an empty value back as nil, so the two count as equal here.
func same(r record, m *kafka.Message) bool {
	if !bytes.Equal(r.Key, m.Key) || !bytes.Equal(r.Value, m.Value) ||
		len(r.headers) != len(m.Headers) {
		return false
	}
	for i, h := range r.headers {
		if h.Key != m.Headers[i].Key || !bytes.Equal(h.Value, m.Headers[i].Value) {
			return false
		}
	}
	return true
}

func offsets(admin *kafka.AdminClient, corpus []record) {
	topic := "rd-none-false"
	c := consumer(topic, kafka.OffsetBeginning)
	defer c.Close()
	all := read(c, len(corpus))
	at := all[len(all)/2].Timestamp
	var first kafka.Offset
	for _, m := range all {
		if !m.Timestamp.Before(at) {
			first = m.TopicPartition.Offset
			break
		}
	}
	ask := func(t time.Time) kafka.Offset {
		tp := kafka.TopicPartition{Topic: &topic, Offset: kafka.Offset(t.UnixMilli())}
		return must(c.OffsetsForTimes([]kafka.TopicPartition{tp}, 10_000))[0].Offset
	}
	check(ask(at) == first, "OffsetsForTimes finds the first record at a time")
	late := ask(all[len(all)-1].Timestamp.Add(time.Minute))
	check(late == kafka.OffsetEnd, "OffsetsForTimes finds none in the future")
	low, high, err := c.QueryWatermarkOffsets(topic, 0, 10_000)
	check(err == nil && low == 0 && high == int64(len(corpus)), "watermarks are 0 and %d", high)
	target := kafka.TopicPartition{Topic: &topic, Partition: 0, Offset: 100}
	if _, err := c.SeekPartitions([]kafka.TopicPartition{target}); err != nil {
		fail(err.Error())
	}
	check(read(c, 1)[0].TopicPartition.Offset == 100, "a seek goes to offset 100")
	gzip := "rd-gzip-false"
	deleted := must(admin.DeleteRecords(context.Background(), []kafka.TopicPartition{
		{Topic: &gzip, Partition: 0, Offset: 10},
	}))
	got := deleted.DeleteRecordsResults[0].TopicPartition
	check(got.Error == nil && got.Offset == 10 || deleted.DeleteRecordsResults[0].DeletedRecords != nil,
		"DeleteRecords moves the beginning to 10")
}
