package e2etest

import (
	"errors"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// TestOffsets asks every client for start, end and the offset at a time (KIP-79), and has it seek.
func TestOffsets(t *testing.T) {
	t.Parallel()
	b, ctx := sharedBroker(t), deadline(t)
	at := place{"offsets", 1}
	createTopic(t, b, at.topic, 2)
	records := numbered(0, 1000)
	for i := 0; i < len(records); i += 100 {
		must(t, franz{}.produce(ctx, b, at, 1, -1, records[i:i+100]))
	}
	base := records[0].ms
	a := admin(t, b)
	cl, err := sarama.NewClient([]string{b.addr}, saramaConfig())
	must(t, err)
	defer cl.Close()
	f := func(ms, offset int64) {
		t.Helper()
		listed, err := a.ListOffsetsAfterMilli(ctx, ms, at.topic)
		must(t, err)
		o, _ := listed.Lookup(at.topic, at.partition)
		must(t, o.Err)
		want(t, "franz-go", o.Offset, offset)
		got, err := cl.GetOffset(at.topic, at.partition, ms)
		must(t, err)
		if offset == 1000 {
			offset = -1 // Past the end there is no record; kadm asks for the end instead.
		}
		want(t, "sarama", got, offset)
		want(t, "kafka-go", kafkaGoOffset(t, b, at, ms), offset)
	}
	f(base, 0)
	f(base-1000, 0)
	f(base+1, 1)
	f(base+555, 555)
	f(base+999, 999)
	f(base+1000, 1000)

	start, err := a.ListStartOffsets(ctx, at.topic)
	must(t, err)
	end, err := a.ListEndOffsets(ctx, at.topic)
	must(t, err)
	want(t, "start", offsetOf(start, at), 0)
	want(t, "end", offsetOf(end, at), 1000)
	want(t, "end of the empty partition", offsetOf(end, place{at.topic, 0}), 0)
	latest, err := a.ListMaxTimestampOffsets(ctx, at.topic)
	must(t, err)
	want(t, "greatest timestamp", offsetOf(latest, at), 999)

	for name, cl := range clients {
		for _, seek := range []int64{0, 99, 100, 555, 999} {
			got, err := cl.consume(ctx, b, at, seek, 1)
			if err != nil {
				t.Fatalf("%s seeks %d: %v", name, seek, err)
			}
			// A batch may hold records before the one that was asked for; clients skip them.
			compareRecords(t, got[:1], records[seek:seek+1], cl.knowsEmpty() && name != "sarama")
		}
	}
}

func offsetOf(l kadm.ListedOffsets, at place) int64 {
	o, _ := l.Lookup(at.topic, at.partition)
	return o.Offset
}

// kafkaGoOffset lists the offset at a time; -1 if there is none.
func kafkaGoOffset(t *testing.T, b *broker, at place, ms int64) int64 {
	t.Helper()
	a := &kafka.Client{Addr: kafka.TCP(b.addr)}
	resp, err := a.ListOffsets(deadline(t), &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{
			at.topic: {kafka.TimeOffsetOf(int(at.partition), time.UnixMilli(ms))},
		},
	})
	must(t, err)
	p := resp.Topics[at.topic][0]
	must(t, p.Error)
	for offset := range p.Offsets {
		return offset
	}
	return -1
}

// TestDeleteRecords moves a log's start: what lies before is gone for every client, and a request
// for it is out of range.
func TestDeleteRecords(t *testing.T) {
	t.Parallel()
	b, ctx := sharedBroker(t), deadline(t)
	at := place{"delete-records", 0}
	createTopic(t, b, at.topic, 1)
	records := numbered(0, 100)
	must(t, franz{}.produce(ctx, b, at, 0, -1, records))
	a, c := admin(t, b), dial(t, b)
	remove := func(offset int64) (int64, error) {
		var offsets kadm.Offsets
		offsets.Add(kadm.Offset{Topic: at.topic, Partition: at.partition, At: offset})
		r, err := a.DeleteRecords(ctx, offsets)
		must(t, err)
		one, _ := r.Lookup(at.topic, at.partition)
		return one.LowWatermark, one.Err
	}
	low, err := remove(30)
	must(t, err)
	want(t, "low watermark", low, 30)
	low, err = remove(10)
	must(t, err)
	want(t, "low watermark after a lower one", low, 30)
	_, err = remove(101)
	if !errors.Is(err, kerr.OffsetOutOfRange) {
		t.Errorf("past the end: %v", err)
	}
	want(t, "fetch before the start", fetchPartition(t, c, at, 29).ErrorCode, kerr.OffsetOutOfRange.Code)
	for name, cl := range clients {
		got, err := cl.consume(ctx, b, at, 30, 70)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want(t, "first value read by "+name, string(got[0].value), "000000030")
	}
	low, err = remove(-1)
	must(t, err)
	want(t, "low watermark after -1, which means all", low, 100)
	p := fetchPartition(t, c, at, 100)
	want(t, "log start", p.LogStartOffset, 100)
	want(t, "bytes", len(p.RecordBatches), 0)
}
