package e2etest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// header is a record's header; a nil value is null.
type header struct {
	key   string
	value []byte
}

// record is what a client writes or has read. A nil key or value is null.
type record struct {
	key, value []byte
	headers    []header
	ms         int64
	offset     int64
}

// place is one partition.
type place struct {
	topic     string
	partition int32
}

// codecs are the names of what a producer may compress with, in the order of their codes.
var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// client is a producer and a partition-assigned consumer of one library.
type client interface {
	// produce writes records to one partition, in order, and returns when they are acknowledged.
	produce(ctx context.Context, b *broker, to place, codec, acks int, records []record) error
	// consume reads count records from an offset on.
	consume(ctx context.Context, b *broker, from place, offset int64, count int) ([]record, error)
	// knowsEmpty says whether the consumer tells null from empty.
	knowsEmpty() bool
}

var clients = map[string]client{"franz-go": franz{}, "kafka-go": segment{}, "sarama": shopify{}}

// requestBytesMax is the bound on requests that the clients are given, so that a record of a
// mebibyte passes.
const requestBytesMax = 8 << 20

// franz is franz-go's kgo.
type franz struct{}

func newFranz(b *broker, opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(b.addr),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(requestBytesMax),
		kgo.MetadataMinAge(50 * time.Millisecond),
	}, opts...)...)
}

// franzClient is a kgo client that ends with the test.
func franzClient(t *testing.T, b *broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := newFranz(b, opts...)
	must(t, err)
	t.Cleanup(cl.Close)
	return cl
}

// admin is franz-go's kadm, which ends with the test.
func admin(t *testing.T, b *broker) *kadm.Client {
	t.Helper()
	return kadm.NewClient(franzClient(t, b))
}

func (franz) knowsEmpty() bool { return true }

func (franz) produce(ctx context.Context, b *broker, to place, codec, acks int, records []record,
) error {
	compression := []kgo.CompressionCodec{
		kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(),
		kgo.Lz4Compression(), kgo.ZstdCompression(),
	}[codec]
	opts := []kgo.Opt{kgo.ProducerBatchCompression(compression)}
	switch acks {
	case 0:
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	case 1:
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	}
	cl, err := newFranz(b, opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	var out []*kgo.Record
	for _, r := range records {
		k := &kgo.Record{
			Topic: to.topic, Partition: to.partition, Key: r.key, Value: r.value,
			Timestamp: time.UnixMilli(r.ms),
		}
		for _, h := range r.headers {
			k.Headers = append(k.Headers, kgo.RecordHeader{Key: h.key, Value: h.value})
		}
		out = append(out, k)
	}
	return cl.ProduceSync(ctx, out...).FirstErr()
}

func (franz) consume(ctx context.Context, b *broker, from place, offset int64, count int,
) ([]record, error) {
	cl, err := newFranz(b, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		from.topic: {from.partition: kgo.NewOffset().At(offset)},
	}))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	return pollFranz(ctx, cl, count)
}

// pollFranz polls until it has at least count records.
func pollFranz(ctx context.Context, cl *kgo.Client, count int) ([]record, error) {
	var out []record
	for len(out) < count {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return out, fmt.Errorf("after %d of %d records: %w", len(out), count, err)
		}
		fetches.EachRecord(func(k *kgo.Record) {
			r := record{key: k.Key, value: k.Value, ms: k.Timestamp.UnixMilli(), offset: k.Offset}
			for _, h := range k.Headers {
				r.headers = append(r.headers, header{h.Key, h.Value})
			}
			out = append(out, r)
		})
	}
	return out, nil
}

// segment is segmentio/kafka-go.
type segment struct{}

func (segment) knowsEmpty() bool { return false }

func (segment) produce(ctx context.Context, b *broker, to place, codec, acks int, records []record,
) error {
	w := &kafka.Writer{
		Addr:  kafka.TCP(b.addr),
		Topic: to.topic,
		Balancer: kafka.BalancerFunc(func(kafka.Message, ...int) int {
			return int(to.partition)
		}),
		RequiredAcks: kafka.RequiredAcks(acks),
		Compression:  compress.Compression(codec),
		BatchBytes:   requestBytesMax,
		BatchTimeout: time.Millisecond,
	}
	var out []kafka.Message
	for _, r := range records {
		m := kafka.Message{Key: r.key, Value: r.value, Time: time.UnixMilli(r.ms)}
		for _, h := range r.headers {
			m.Headers = append(m.Headers, kafka.Header{Key: h.key, Value: h.value})
		}
		out = append(out, m)
	}
	if err := w.WriteMessages(ctx, out...); err != nil {
		return err
	}
	return w.Close()
}

func (segment) consume(ctx context.Context, b *broker, from place, offset int64, count int,
) ([]record, error) {
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{b.addr}, Topic: from.topic, Partition: int(from.partition),
		MinBytes: 1, MaxBytes: requestBytesMax, MaxWait: 50 * time.Millisecond,
	})
	defer r.Close()
	if err := r.SetOffset(offset); err != nil {
		return nil, err
	}
	var out []record
	for len(out) < count {
		m, err := r.ReadMessage(ctx)
		if err != nil {
			return out, fmt.Errorf("after %d of %d records: %w", len(out), count, err)
		}
		rec := record{key: m.Key, value: m.Value, ms: m.Time.UnixMilli(), offset: m.Offset}
		for _, h := range m.Headers {
			rec.headers = append(rec.headers, header{h.Key, h.Value})
		}
		out = append(out, rec)
	}
	return out, nil
}

// shopify is IBM's sarama.
type shopify struct{}

func saramaConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.Return.Successes = true
	c.Producer.MaxMessageBytes = requestBytesMax
	c.Consumer.Return.Errors, c.Consumer.MaxWaitTime = true, 50*time.Millisecond
	c.Net.DialTimeout, c.Net.ReadTimeout, c.Net.WriteTimeout = patience, patience, patience
	return c
}

// encoded keeps null apart from empty, which sarama does by the interface being nil.
func encoded(b []byte) sarama.Encoder {
	if b == nil {
		return nil
	}
	return sarama.ByteEncoder(b)
}

func (shopify) knowsEmpty() bool { return true }

func (shopify) produce(_ context.Context, b *broker, to place, codec, acks int, records []record,
) error {
	c := saramaConfig()
	c.Producer.Compression = sarama.CompressionCodec(codec)
	c.Producer.RequiredAcks = sarama.RequiredAcks(acks)
	if acks == -1 {
		c.Producer.Idempotent, c.Net.MaxOpenRequests = true, 1
	}
	p, err := sarama.NewSyncProducer([]string{b.addr}, c)
	if err != nil {
		return err
	}
	var out []*sarama.ProducerMessage
	for _, r := range records {
		m := &sarama.ProducerMessage{
			Topic: to.topic, Partition: to.partition, Key: encoded(r.key), Value: encoded(r.value),
			Timestamp: time.UnixMilli(r.ms),
		}
		for _, h := range r.headers {
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.key), Value: h.value})
		}
		out = append(out, m)
	}
	if err := p.SendMessages(out); err != nil {
		p.Close()
		return err
	}
	return p.Close()
}

func (shopify) consume(ctx context.Context, b *broker, from place, offset int64, count int,
) ([]record, error) {
	cons, err := sarama.NewConsumer([]string{b.addr}, saramaConfig())
	if err != nil {
		return nil, err
	}
	defer cons.Close()
	pc, err := cons.ConsumePartition(from.topic, from.partition, offset)
	if err != nil {
		return nil, err
	}
	defer pc.AsyncClose()
	var out []record
	for len(out) < count {
		select {
		case m := <-pc.Messages():
			r := record{key: m.Key, value: m.Value, ms: m.Timestamp.UnixMilli(), offset: m.Offset}
			for _, h := range m.Headers {
				r.headers = append(r.headers, header{string(h.Key), h.Value})
			}
			out = append(out, r)
		case err := <-pc.Errors():
			return out, err
		case <-ctx.Done():
			return out, fmt.Errorf("after %d of %d records: %w", len(out), count, ctx.Err())
		}
	}
	return out, nil
}
