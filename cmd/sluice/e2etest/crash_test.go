package e2etest

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	crashTopic      = "crash"
	crashPartitions = 3
)

// stream is one idempotent producer that numbers the records of each partition from 0 and never
// gives up. It finds the broker again after each restart, wherever that listens then.
type stream struct {
	client *kgo.Client
	addr   atomic.Pointer[string]
	sent   [crashPartitions]int64
	// acked counts, per partition, the records that were acknowledged. The client acknowledges in
	// order, so that they are the first ones.
	acked  [crashPartitions]atomic.Int64
	failed atomic.Pointer[string]
	news   chan struct{} // has one element when there may be more acks, or a failure
	stop   chan struct{}
	done   chan struct{}
}

// valueBytes makes segments of the least size full within one round, so that crashes meet rolls.
const valueBytes = 4 << 10

func crashValue(n int64) []byte {
	return append(strconv.AppendInt(nil, n, 10), make([]byte, valueBytes)...)
}

func newStream(t *testing.T, b *broker) *stream {
	t.Helper()
	s := &stream{
		news: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	s.addr.Store(&b.addr)
	cl, err := newFranz(b, kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(0),
		kgo.MaxBufferedRecords(300), kgo.ProducerBatchMaxBytes(16<<10),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.RecordRetries(1<<30), kgo.RequestRetries(1<<30),
		kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }),
		kgo.Dialer(func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, *s.addr.Load())
		}))
	must(t, err)
	s.client = cl
	return s
}

// run produces until stop is closed. Produce blocks while too many records wait for their acks.
func (s *stream) run(ctx context.Context) {
	defer close(s.done)
	for i := 0; ; i++ {
		select {
		case <-s.stop:
			return
		default:
		}
		p := i % crashPartitions
		n := s.sent[p]
		s.sent[p]++
		s.client.Produce(ctx, &kgo.Record{
			Topic: crashTopic, Partition: int32(p), Value: crashValue(n),
		}, func(r *kgo.Record, err error) { s.ack(r, n, err) })
	}
}

func (s *stream) ack(r *kgo.Record, n int64, err error) {
	switch acked := &s.acked[r.Partition]; {
	case err != nil:
		text := err.Error()
		s.failed.Store(&text)
	case r.Offset != n:
		text := fmt.Sprintf("record %d of partition %d was acked at offset %d", n, r.Partition, r.Offset)
		s.failed.Store(&text)
	case !acked.CompareAndSwap(n, n+1):
		text := fmt.Sprintf("record %d of partition %d was acked after %d", n, r.Partition, acked.Load())
		s.failed.Store(&text)
	}
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// awaitAcks waits until every partition has count more acks than now.
func (s *stream) awaitAcks(t *testing.T, ctx context.Context, count int64) {
	t.Helper()
	var goal [crashPartitions]int64
	for p := range goal {
		goal[p] = s.acked[p].Load() + count
	}
	for p := range goal {
		for s.acked[p].Load() < goal[p] {
			if failed := s.failed.Load(); failed != nil {
				t.Fatal(*failed)
			}
			select {
			case <-s.news:
			case <-ctx.Done():
				t.Fatalf("partition %d has %d acks, want %d", p, s.acked[p].Load(), goal[p])
			}
		}
	}
}

// checkPartition reads a partition whole: it must hold 0, 1, 2 … and at least as many as were acked.
func checkPartition(t *testing.T, b *broker, p int32, acked int64) int64 {
	t.Helper()
	c := dial(t, b)
	defer c.Close()
	next := int64(0)
	for {
		answer := fetchPartition(t, c, place{crashTopic, p}, next)
		if answer.ErrorCode != 0 {
			t.Fatalf("partition %d at offset %d: error %d", p, next, answer.ErrorCode)
		}
		got := values(t, answer.RecordBatches)
		for _, v := range got {
			if v != string(crashValue(next)) {
				t.Fatalf("partition %d holds %.20q at offset %d", p, v, next)
			}
			next++
		}
		if next >= answer.HighWatermark {
			break
		}
	}
	if next < acked {
		t.Fatalf("partition %d ends at %d, but %d records were acknowledged", p, next, acked)
	}
	return next
}

// TestKillDuringProduce kills the broker with SIGKILL while an idempotent producer writes with
// acks=all (KIP-98). After each restart every acknowledged record is there, in order and once; at
// the end so is every record that was ever sent. Every other end is a SIGTERM.
func TestKillDuringProduce(t *testing.T) {
	t.Parallel()
	ctx := deadline(t)
	b := start(t, t.TempDir(), "log.segment.bytes=1048576", "log.index.interval.bytes=100")
	createTopic(t, b, crashTopic, crashPartitions, "segment.bytes", "1048576")
	s := newStream(t, b)
	defer s.client.Close()
	go s.run(ctx)
	for round := range 6 {
		s.awaitAcks(t, ctx, 300)
		clean := round%3 == 2
		if clean {
			must(t, b.terminate())
		} else {
			b.kill()
		}
		want(t, "clean marker", exists(filepath.Join(b.dir, cleanMarker)), clean)
		var acked [crashPartitions]int64
		for p := range acked {
			acked[p] = s.acked[p].Load()
		}
		b = start(t, b.dir, "log.segment.bytes=1048576")
		s.addr.Store(&b.addr)
		for p := range acked {
			checkPartition(t, b, int32(p), acked[p])
		}
	}
	s.awaitAcks(t, ctx, 300)
	close(s.stop)
	<-s.done
	must(t, s.client.Flush(ctx))
	if failed := s.failed.Load(); failed != nil {
		t.Fatal(*failed)
	}
	for p := range crashPartitions {
		want(t, "records at the end", checkPartition(t, b, int32(p), s.sent[p]), s.sent[p])
	}
}

// TestCatalogSurvivesKill kills the broker right behind each acknowledged change of the metadata:
// topics with their ids, configs and partitions are there again, and what was deleted stays deleted.
func TestCatalogSurvivesKill(t *testing.T) {
	t.Parallel()
	ctx := deadline(t)
	b := start(t, t.TempDir())
	var made, grown, deleted kadm.TopicDetail
	change := func(f func(a *kadm.Client)) {
		a := admin(t, b)
		f(a)
		b.kill()
		a.Close()
		b = start(t, b.dir)
	}
	change(func(a *kadm.Client) {
		value := "12345"
		r, err := a.CreateTopic(ctx, 3, 1, map[string]*string{"retention.ms": &value}, "made")
		must(t, err)
		made.ID = r.ID
	})
	change(func(a *kadm.Client) {
		r, err := a.CreateTopics(ctx, 1, 1, nil, "grown", "deleted")
		must(t, err)
		must(t, r.Error())
		grown.ID, deleted.ID = r["grown"].ID, r["deleted"].ID
	})
	change(func(a *kadm.Client) {
		r, err := a.UpdatePartitions(ctx, 5, "grown")
		must(t, err)
		must(t, r.Error())
	})
	change(func(a *kadm.Client) {
		r, err := a.DeleteTopics(ctx, "deleted")
		must(t, err)
		must(t, r.Error())
	})
	change(func(a *kadm.Client) {
		value := "777"
		r, err := a.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "retention.ms", Value: &value}}, "grown")
		must(t, err)
		must(t, r[0].Err)
	})
	a := admin(t, b)
	topics, err := a.ListTopics(ctx)
	must(t, err)
	want(t, "topics", len(topics), 2)
	want(t, "id", topics["made"].ID, made.ID)
	want(t, "partitions", len(topics["made"].Partitions), 3)
	want(t, "config", topicConfig(t, a, "made", "retention.ms"), "12345")
	want(t, "id of the grown topic", topics["grown"].ID, grown.ID)
	want(t, "partitions of the grown topic", len(topics["grown"].Partitions), 5)
	want(t, "config that was altered", topicConfig(t, a, "grown", "retention.ms"), "777")
	r, err := a.CreateTopic(ctx, 1, 1, nil, "deleted")
	must(t, err)
	want(t, "the id of a topic made again is another", r.ID != deleted.ID, true)
	for _, topic := range []string{"made", "grown", "deleted"} {
		must(t, produceError(produceRaw(t, dial(t, b), topic, goodBatch(t, "v"))))
	}
}
