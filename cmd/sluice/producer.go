package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/cmd/sluice/internal/client"
)

const (
	// bufferedBytesMax bounds the records that wait for their acknowledgement: enough to keep
	// several large batches on their way to each of many partitions.
	bufferedBytesMax = 64 << 20
	// bufferedRecordsMax bounds them by number, since a tiny record costs some 400 bytes of memory.
	bufferedRecordsMax = 200_000
	// batchBytesMax is Kafka's default of max.message.bytes: the largest batch that a topic takes
	// unless it says otherwise.
	batchBytesMax = 1048588
	// batchOverheadMax is more than the header of a batch and of its only record take.
	batchOverheadMax = 200
	// deliveryTimeout is Kafka's default of delivery.timeout.ms.
	deliveryTimeout = 120 * time.Second
	// flushAfterInterrupt is how long what was read may take to arrive once somebody pressed
	// Ctrl-C.
	flushAfterInterrupt = 10 * time.Second
)

// producing says how to send records. The zero value is Kafka's default: all acks, no compression.
type producing struct {
	topic       string
	acks        string // 0, 1, all or -1; empty is all.
	compression string // none, gzip, snappy, lz4, zstd; empty is none.
	partition   int32  // Only this one; negative lets keys decide.
	recordMax   int    // The largest record that the input may hold, in bytes.
	batchBytes  int32  // 0: as large as the topic takes.
	linger      time.Duration
	sync        bool // Wait for each record before reading the next.
	autoCreate  bool // Let the broker make a missing topic if it likes.
	idempotent  bool

	// batchLimit is how large a batch may become. It is known only after the topic was asked about,
	// and read by the client's goroutines whenever they make one.
	batchLimit *atomic.Int32
}

var acksByName = map[string]kgo.Acks{
	"0": kgo.NoAck(), "1": kgo.LeaderAck(), "all": kgo.AllISRAcks(), "-1": kgo.AllISRAcks(),
	"": kgo.AllISRAcks(),
}

var codecsByName = map[string]kgo.CompressionCodec{
	"": kgo.NoCompression(), "none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

// options turns the description into options of the client.
func (p *producing) options(s *client.Settings) ([]kgo.Opt, error) {
	acks, ok := acksByName[p.acks]
	if !ok {
		return nil, usagef("acks %s: it must be 0, 1 or all", p.acks)
	}
	codec, ok := codecsByName[p.compression]
	if !ok {
		return nil, usagef("compression %s: it must be none, gzip, snappy, lz4 or zstd", p.compression)
	}
	batch := max(p.batchBytes, int32(p.recordMax)+batchOverheadMax)
	if p.batchBytes == 0 {
		batch = max(batch, batchBytesMax)
	}
	p.batchLimit = &atomic.Int32{}
	p.batchLimit.Store(batch)
	buffered, err := s.Bytes("buffer.memory", bufferedBytesMax)
	if err != nil {
		return nil, err
	}
	timeout := s.Millis("delivery.timeout.ms", deliveryTimeout)
	opts := []kgo.Opt{
		kgo.DefaultProduceTopic(p.topic),
		kgo.RequiredAcks(acks),
		kgo.ProducerBatchCompression(codec),
		kgo.ProducerBatchMaxBytesFn(func(string) int32 { return p.batchLimit.Load() }),
		kgo.MaxBufferedBytes(max(int(buffered), int(batch))),
		kgo.MaxBufferedRecords(bufferedRecordsMax),
		kgo.ProducerLinger(p.linger),
		kgo.RecordDeliveryTimeout(timeout),
		// A batch goes to one partition until it is full, which keeps batches large.
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	}
	if p.partition >= 0 {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	if !p.idempotent || acks != kgo.AllISRAcks() {
		opts = append(opts, kgo.DisableIdempotentWrite())
	}
	if p.autoCreate {
		opts = append(opts, kgo.AllowAutoTopicCreation())
	}
	return opts, nil
}

// source gives the records one after the other; io.EOF ends them. What it puts into the record is
// kept until the record is acknowledged.
type source func(*kgo.Record) error

// transfer is one run of a producer.
type transfer struct {
	cl     *kgo.Client
	cancel context.CancelCauseFunc
	meter  *meter
	// compacted says that the topic is compacted, as far as is known.
	compacted bool
	acked     atomic.Int64 // Read by the end of the run, after all promises.
}

// produce sends what the source gives and returns when all of it is acknowledged, or with the first
// error. It returns how many records were acknowledged.
func (a *app) produce(parent context.Context, s *client.Settings, p producing, next source,
	m *meter,
) (int64, error) {
	opts, err := p.options(s)
	if err != nil {
		return 0, err
	}
	signals, release := interruptible(parent)
	defer release()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(signals))
	defer cancel(nil)
	watch, stopWatch := a.watch(cancel, s.Millis("delivery.timeout.ms", deliveryTimeout))
	defer stopWatch()
	cl, err := s.Dial(signals, append(opts, kgo.WithHooks(watch))...)
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	if err := p.checkTopic(signals, cl); err != nil {
		return 0, err
	}
	t := &transfer{cl: cl, cancel: cancel, meter: m, compacted: p.fitTopic(signals, cl)}
	read := make(chan error, 1)
	go func() { read <- t.pump(ctx, signals, p, next) }()
	var readErr error
	select {
	case readErr = <-read:
	case <-signals.Done():
		readErr = &exit{exitInterrupted, ""}
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, flushAfterInterrupt)
		defer stop()
	case <-ctx.Done():
	}
	flushErr := cl.Flush(ctx)
	return t.acked.Load(), t.outcome(ctx, readErr, flushErr)
}

// outcome picks the error that explains the others.
func (t *transfer) outcome(ctx context.Context, readErr, flushErr error) error {
	cause := context.Cause(ctx)
	var refused *refusedError
	switch {
	case errors.As(cause, &refused):
		return cause
	case readErr != nil && !errors.Is(readErr, context.Canceled):
		return readErr
	case cause != nil:
		return cause
	}
	return flushErr
}

// recordSlab is how many records are allocated at once.
const recordSlab = 256

// pump reads and sends until the source ends or the context does.
func (t *transfer) pump(ctx, signals context.Context, p producing, next source) error {
	var slab []kgo.Record
	for ctx.Err() == nil && signals.Err() == nil {
		if len(slab) == 0 {
			slab = make([]kgo.Record, recordSlab)
		}
		r := &slab[0]
		slab = slab[1:]
		r.Partition = p.partition
		if err := next(r); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		t.cl.Produce(ctx, r, t.promise)
		if p.sync {
			if err := t.cl.Flush(ctx); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// refusedError is a record that will not be stored.
type refusedError struct {
	bytes int
	err   error
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("a record of %d bytes could not be stored: %v", e.bytes, e.err)
}

func (e *refusedError) Unwrap() error { return e.err }

// promise is told the fate of each record.
func (t *transfer) promise(r *kgo.Record, err error) {
	bytes := len(r.Key) + len(r.Value)
	if err == nil {
		t.acked.Add(1)
		t.meter.records.Add(1)
		t.meter.bytes.Add(int64(bytes))
		return
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed) {
		return
	}
	if errors.Is(err, kgo.ErrRecordTimeout) {
		err = errors.New("the broker did not acknowledge it within the delivery timeout")
	}
	t.cancel(&refusedError{bytes, client.Explain(err, t.why(r, err))})
}

// why words what the broker has against a record, where that can be told from the record and the
// topic. The client library drops the broker's own message and keeps the code, which alone often
// does not say enough.
func (t *transfer) why(r *kgo.Record, err error) string {
	switch {
	case errors.Is(err, kerr.InvalidRecord) && t.compacted && r.Key == nil:
		return "a compacted topic needs a key in every record"
	case errors.Is(err, kerr.InvalidRecord):
		return "the broker found the record not valid; its log or the topic's configuration says why"
	case errors.Is(err, kerr.MessageTooLarge):
		return "it is larger than the topic's max.message.bytes allows"
	case errors.Is(err, kerr.InvalidTimestamp):
		return "its time is outside of what the topic's message.timestamp.before.max.ms and " +
			"message.timestamp.after.max.ms allow"
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return "the topic or partition does not exist"
	}
	return ""
}

// checkTopic finds out at once what would otherwise come up only with the first record.
func (p *producing) checkTopic(ctx context.Context, cl *kgo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, pingTopicTimeout)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(p.topic)
	req.Topics = append(req.Topics, t)
	req.AllowAutoTopicCreation = p.autoCreate
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return client.Explain(err, "")
	}
	for _, t := range resp.Topics {
		err := kerr.ErrorForCode(t.ErrorCode)
		switch {
		case err == kerr.UnknownTopicOrPartition && !p.autoCreate:
			return fmt.Errorf("topic %s does not exist; create it with: sluice topic create %s",
				p.topic, p.topic)
		case err == kerr.UnknownTopicOrPartition, err == kerr.LeaderNotAvailable:
		case err != nil:
			return topicError(p.topic, err)
		case int(p.partition) >= len(t.Partitions):
			return fmt.Errorf("topic %s has no partition %d: it has %s", p.topic, p.partition,
				plural(len(t.Partitions), "partition"))
		}
	}
	return nil
}

// fitTopic makes batches no larger than the topic takes, and tells whether it is compacted. A topic
// that does not tell is taken to have the default, and the broker has the last word anyway.
func (p *producing) fitTopic(ctx context.Context, cl *kgo.Client) (compacted bool) {
	topic := []resource{{kmsg.ConfigResourceTypeTopic, p.topic}}
	entries, _, err := describeConfigs(ctx, cl, topic, false)
	if err != nil {
		return false
	}
	for _, e := range entries[0] {
		if e.Name == "cleanup.policy" {
			compacted = strings.Contains(e.text(), "compact")
		}
		if n, err := strconv.ParseInt(e.text(), 10, 32); e.Name == "max.message.bytes" && err == nil {
			p.batchLimit.Store(max(1, min(p.batchLimit.Load(), int32(n))))
		}
	}
	return compacted
}

// pingTopicTimeout bounds the first question about a topic.
const pingTopicTimeout = 15 * time.Second
