package e2etest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// forever is a long poll's wait that no test outlives, in milliseconds.
const forever = 1 << 30

// TestLongPoll parks fetches that nothing but an append can end, and appends.
func TestLongPoll(t *testing.T) {
	t.Parallel()
	b := sharedBroker(t)
	createTopic(t, b, "long-poll", 8)
	poll := fetchRequest("long-poll", 0, 0, 1, 2, 3, 4, 5, 6, 7)
	poll.MaxWaitMillis = forever
	var waiting []*rawConn
	for range 20 {
		c := dial(t, b)
		must(t, c.send(poll))
		waiting = append(waiting, c)
	}
	writer := dial(t, b)
	req := produceRequest("long-poll", 5, -1, goodBatch(t, "awaited"))
	ask(t, writer, req, (*kmsg.ProduceResponse)(nil))
	for _, c := range waiting {
		resp, err := c.receive(poll)
		must(t, err)
		var got []string
		for _, p := range resp.(*kmsg.FetchResponse).Topics[0].Partitions {
			got = append(got, values(t, p.RecordBatches)...)
		}
		want(t, "values", strings.Join(got, ","), "awaited")
	}
}

// TestLongPollMinBytes parks a fetch that asks for more than one append brings.
func TestLongPollMinBytes(t *testing.T) {
	t.Parallel()
	b := sharedBroker(t)
	createTopic(t, b, "min-bytes", 1)
	poll := fetchRequest("min-bytes", 0, 0)
	poll.MaxWaitMillis = forever
	batch := goodBatch(t, strings.Repeat("x", 1000))
	poll.MinBytes = int32(3 * len(batch))
	c, writer := dial(t, b), dial(t, b)
	must(t, c.send(poll))
	for range 3 {
		must(t, produceError(produceRaw(t, writer, "min-bytes", batch)))
	}
	resp, err := c.receive(poll)
	must(t, err)
	p := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0]
	want(t, "bytes", len(p.RecordBatches), 3*len(batch))
	poll.MaxWaitMillis = 1
	resp, err = c.request(poll)
	must(t, err)
	want(t, "error", resp.(*kmsg.FetchResponse).ErrorCode, 0)
}

// TestFetchSession opens a session (KIP-227) on many partitions: each answer has what changed.
func TestFetchSession(t *testing.T) {
	t.Parallel()
	b := sharedBroker(t)
	const partitions = 100
	createTopic(t, b, "session", partitions)
	all := make([]int32, partitions)
	for i := range all {
		all[i] = int32(i)
	}
	c, writer := dial(t, b), dial(t, b)
	req := fetchRequest("session", 0, all...)
	req.SessionEpoch = 0
	full := ask(t, c, req, (*kmsg.FetchResponse)(nil))
	if full.SessionID <= 0 || len(full.Topics[0].Partitions) != partitions {
		t.Fatalf("session %d with %d partitions", full.SessionID, len(full.Topics[0].Partitions))
	}
	next := fetchRequest("session", 0)
	next.Topics = nil
	next.SessionID, next.MaxWaitMillis = full.SessionID, forever
	for i := range 10 {
		p := int32(i * 7)
		next.SessionEpoch = int32(i + 1)
		must(t, c.send(next))
		ask(t, writer, produceRequest("session", p, -1, goodBatch(t, fmt.Sprint("v", i))),
			(*kmsg.ProduceResponse)(nil))
		resp, err := c.receive(next)
		must(t, err)
		answer := resp.(*kmsg.FetchResponse)
		if len(answer.Topics) != 1 || len(answer.Topics[0].Partitions) != 1 {
			t.Fatalf("an incremental answer of more than what changed: %+v", answer)
		}
		got := answer.Topics[0].Partitions[0]
		want(t, "partition", got.Partition, p)
		want(t, "values", strings.Join(values(t, got.RecordBatches), ","), fmt.Sprint("v", i))
		// What was read moves its offset on, with the next request.
		next.Topics = fetchRequest("session", 1, p).Topics
	}
	next.SessionEpoch = 99
	want(t, "wrong epoch", ask(t, c, next, full).ErrorCode, kerr.InvalidFetchSessionEpoch.Code)
	next.SessionID++
	want(t, "wrong id", ask(t, c, next, full).ErrorCode, kerr.FetchSessionIDNotFound.Code)
}

// TestManyInParallel has several producers write to many partitions at once while a consumer with
// sessions reads them all.
func TestManyInParallel(t *testing.T) {
	t.Parallel()
	b, ctx := sharedBroker(t), deadline(t)
	const partitions, producers, each = 48, 4, 2000
	createTopic(t, b, "parallel", partitions)
	offsets := map[int32]kgo.Offset{}
	for p := range int32(partitions) {
		offsets[p] = kgo.NewOffset().At(0)
	}
	consumer := franzClient(t, b, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		"parallel": offsets,
	}))
	var wg sync.WaitGroup
	defer wg.Wait()
	for id := range producers {
		cl := franzClient(t, b)
		wg.Go(func() {
			for i := range each {
				cl.Produce(ctx, &kgo.Record{
					Topic: "parallel", Partition: int32(i % partitions),
					Key: fmt.Append(nil, id), Value: fmt.Appendf(nil, "%06d", i),
				}, func(_ *kgo.Record, err error) {
					if err != nil {
						t.Errorf("producer %d, record %d: %v", id, i, err)
					}
				})
			}
			if err := cl.Flush(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	// In each partition, the records of one producer come in the order in which it sent them.
	last := map[string]string{}
	for n := 0; n < producers*each; {
		fetches := consumer.PollFetches(ctx)
		must(t, fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			n++
			source := fmt.Sprintf("%s to %d", r.Key, r.Partition)
			if string(r.Value) <= last[source] {
				t.Errorf("producer %s: %s after %s", source, r.Value, last[source])
			}
			last[source] = string(r.Value)
		})
	}
}

// TestPartitionGrowth adds partitions under a producer and a consumer, which find them.
func TestPartitionGrowth(t *testing.T) {
	t.Parallel()
	b, ctx := sharedBroker(t), deadline(t)
	createTopic(t, b, "growth", 1)
	cl := franzClient(t, b, kgo.ConsumeTopics("growth"), kgo.MetadataMaxAge(100*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	must(t, cl.ProduceSync(ctx, &kgo.Record{Topic: "growth", Value: []byte("old")}).FirstErr())
	got, err := pollFranz(ctx, cl, 1)
	must(t, err)
	want(t, "value", string(got[0].value), "old")
	r, err := admin(t, b).UpdatePartitions(ctx, 3, "growth")
	must(t, err)
	must(t, r.Error())
	must(t, franz{}.produce(ctx, b, place{"growth", 2}, 0, -1, []record{{value: []byte("new"), ms: 1}}))
	got, err = pollFranz(ctx, cl, 1)
	must(t, err)
	want(t, "value in the new partition", string(got[0].value), "new")
}

// TestTopicMadeAgain deletes a topic under parked consumers and makes it again: its id is another
// (KIP-516), nothing of the old log is seen, and who knew the old one is told.
func TestTopicMadeAgain(t *testing.T) {
	t.Parallel()
	b, ctx := sharedBroker(t), deadline(t)
	a, c := admin(t, b), dial(t, b)
	topic := "again"
	first, err := a.CreateTopic(ctx, 1, 1, nil, topic)
	must(t, err)
	cl := franzClient(t, b, kgo.ConsumeTopics(topic),
		kgo.MetadataMaxAge(100*time.Millisecond), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	must(t, franz{}.produce(ctx, b, place{topic, 0}, 0, -1, numbered(0, 5)))
	_, err = pollFranz(ctx, cl, 5)
	must(t, err)
	poll := fetchRequest(topic, 5, 0)
	poll.MaxWaitMillis = forever
	must(t, c.send(poll))

	gone, err := a.DeleteTopics(ctx, topic)
	must(t, err)
	must(t, gone.Error())
	resp, err := c.receive(poll)
	must(t, err)
	code := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode
	want(t, "a parked fetch of what is deleted", code, kerr.UnknownTopicOrPartition.Code)

	second, err := a.CreateTopic(ctx, 1, 1, nil, topic)
	must(t, err)
	dropAtEnd(t, b, topic)
	want(t, "another id", first.ID != second.ID, true)
	p := fetchRaw(t, c, topic, 0)
	want(t, "high watermark", p.HighWatermark, 0)
	want(t, "offset of old", fetchRaw(t, c, topic, 5).ErrorCode, kerr.OffsetOutOfRange.Code)
	must(t, franz{}.produce(ctx, b, place{topic, 0}, 0, -1, []record{{value: []byte("new"), ms: 1}}))
	// The old consumer must not be given offsets of another log as if they were its own.
	got, err := pollFranz(ctx, cl, 1)
	if err == nil || len(got) > 0 {
		t.Errorf("the old consumer got %d records and error %v", len(got), err)
	}
	for name, cl := range clients {
		got, err := cl.consume(ctx, b, place{topic, 0}, 0, 1)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want(t, "value of the new topic read by "+name, string(got[0].value), "new")
	}
	byID := fetchRequest(topic, 0, 0)
	byID.Version = 13
	byID.Topics[0].TopicID = first.ID
	answer := ask(t, c, byID, (*kmsg.FetchResponse)(nil))
	code = answer.Topics[0].Partitions[0].ErrorCode
	want(t, "fetch by the old id", code, kerr.UnknownTopicID.Code)
	byID.Topics[0].TopicID = second.ID
	answer = ask(t, c, byID, (*kmsg.FetchResponse)(nil))
	read := values(t, answer.Topics[0].Partitions[0].RecordBatches)
	want(t, "fetch by the new id", strings.Join(read, ","), "new")
}
