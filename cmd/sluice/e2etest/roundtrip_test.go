package e2etest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// createTopic makes a topic with configs given as key, value, key, value.
func createTopic(t *testing.T, b *broker, topic string, partitions int32, configs ...string) {
	t.Helper()
	m := map[string]*string{}
	for i := 0; i < len(configs); i += 2 {
		m[configs[i]] = &configs[i+1]
	}
	_, err := admin(t, b).CreateTopic(deadline(t), partitions, 1, m, topic)
	must(t, err)
	dropAtEnd(t, b, topic)
}

// dropAtEnd deletes a topic of the common broker with the test, so that the test can run again.
func dropAtEnd(t *testing.T, b *broker, topic string) {
	t.Helper()
	if b != common.broker {
		return
	}
	t.Cleanup(func() {
		r, err := admin(t, b).DeleteTopics(context.Background(), topic)
		if err = errors.Join(err, r.Error()); err != nil {
			t.Errorf("deleting topic %s: %v", topic, err)
		}
	})
}

// noise is n bytes that do not compress; the same for the same seed.
func noise(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	b := make([]byte, n)
	_, _ = r.Read(b) // Never fails.
	return b
}

// specimens are records of every shape that a client can write. Times are in order, but not dense.
func specimens() []record {
	text := bytes.Repeat([]byte("a log is an ordered sequence of records. "), 2000)
	base := time.Now().Add(-time.Hour).UnixMilli()
	out := []record{
		{key: []byte("key"), value: []byte("value")},
		{key: nil, value: []byte("no key")},
		{key: []byte{}, value: []byte("empty key")},
		{key: []byte("tombstone"), value: nil},
		{key: []byte("empty value"), value: []byte{}},
		{value: []byte{0}},
		{value: []byte{0xff}, headers: []header{{"a", []byte("1")}, {"a", []byte("2")}}},
		{value: []byte("empty header value"), headers: []header{{"e", []byte{}}}},
		{value: []byte("binary header"), headers: []header{{"b", []byte{0, 0xff, 0x80, '\n'}}}},
		{key: noise(1, 300), value: noise(2, 64<<10)},
		{key: []byte("text"), value: text},
		{key: []byte("mebibyte"), value: append(noise(3, 512<<10), bytes.Repeat([]byte("z"), 512<<10)...)},
		{key: []byte("last"), value: []byte("x")},
	}
	for i := range out {
		out[i].ms = base + int64(i*i)
		out[i].offset = int64(i)
	}
	return out
}

// sameBytes compares two values; null and empty count as different if strict.
func sameBytes(a, b []byte, strict bool) bool {
	return bytes.Equal(a, b) && (!strict || (a == nil) == (b == nil))
}

// compareRecords fails the test at the first difference.
func compareRecords(t *testing.T, got, want []record, strict bool) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i, g := range got {
		w := want[i]
		switch {
		case g.offset != w.offset:
			t.Fatalf("record %d: offset %d, want %d", i, g.offset, w.offset)
		case g.ms != w.ms:
			t.Fatalf("record %d: timestamp %d, want %d", i, g.ms, w.ms)
		case !sameBytes(g.key, w.key, strict):
			t.Fatalf("record %d: key %s, want %s", i, brief(g.key), brief(w.key))
		case !sameBytes(g.value, w.value, strict):
			t.Fatalf("record %d: value %s, want %s", i, brief(g.value), brief(w.value))
		case len(g.headers) != len(w.headers):
			t.Fatalf("record %d: %d headers, want %d", i, len(g.headers), len(w.headers))
		}
		for j, h := range g.headers {
			if h.key != w.headers[j].key || !sameBytes(h.value, w.headers[j].value, strict) {
				t.Fatalf("record %d: header %d is %v, want %v", i, j, h, w.headers[j])
			}
		}
	}
}

func brief(b []byte) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprintf("%d bytes %.40q", len(b), b)
}

// TestRoundTrip has each client write every shape of record with every codec, and every client read
// what each has written: keys, values, headers, times and offsets are those that were sent.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	b := sharedBroker(t)
	records := specimens()
	for writer, from := range clients {
		topic := "roundtrip-" + writer
		createTopic(t, b, topic, int32(len(codecs)), "max.message.bytes", fmt.Sprint(requestBytesMax))
		t.Run(writer, func(t *testing.T) {
			t.Parallel()
			for codec, name := range codecs {
				at := place{topic, int32(codec)}
				t.Run(name, func(t *testing.T) { roundTrip(t, b, from, at, codec, records) })
			}
		})
	}
}

func roundTrip(t *testing.T, b *broker, from client, at place, codec int, records []record) {
	ctx := deadline(t)
	must(t, from.produce(ctx, b, at, codec, -1, records))
	for reader, to := range clients {
		got, err := to.consume(ctx, b, at, 0, len(records))
		if err != nil {
			t.Fatalf("%s reads: %v", reader, err)
		}
		compareRecords(t, got, records, to.knowsEmpty())
	}
}

// TestStoredCodec checks that a batch lies in the log with the codec that its producer chose, and
// that a topic's compression.type is stronger than that.
func TestStoredCodec(t *testing.T) {
	t.Parallel()
	b := sharedBroker(t)
	c := dial(t, b)
	createTopic(t, b, "codec-producer", int32(len(codecs)))
	createTopic(t, b, "codec-zstd", int32(len(codecs)), "compression.type", "zstd")
	value := bytes.Repeat([]byte("compressible "), 100)
	records := []record{{value: value, ms: time.Now().UnixMilli()}}
	for codec := range codecs {
		for topic, stored := range map[string]int{"codec-producer": codec, "codec-zstd": 4} {
			at := place{topic, int32(codec)}
			must(t, franz{}.produce(deadline(t), b, at, codec, -1, records))
			batch := fetchPartition(t, c, at, 0).RecordBatches
			want(t, fmt.Sprintf("codec in the log of %v", at), int(batch[22]&7), stored)
			got, err := franz{}.consume(deadline(t), b, at, 0, 1)
			must(t, err)
			compareRecords(t, got, records, true)
		}
	}
}

// TestAcks writes with acks 0, 1 and all, by every client: each record is there once, in order.
func TestAcks(t *testing.T) {
	t.Parallel()
	b := sharedBroker(t)
	for name, cl := range clients {
		topic := "acks-" + name
		createTopic(t, b, topic, 3)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, acks := range []int{0, 1, -1} {
				at := place{topic, int32(i)}
				records := numbered(0, 100)
				must(t, cl.produce(deadline(t), b, at, 0, acks, records[:50]))
				must(t, cl.produce(deadline(t), b, at, 0, acks, records[50:]))
				got, err := cl.consume(deadline(t), b, at, 0, len(records))
				if err != nil {
					t.Fatalf("acks=%d: %v", acks, err)
				}
				if acks == 0 {
					// Two connections may carry the two halves, and nothing orders them.
					sortByValue(got)
				}
				compareRecords(t, got, records, cl.knowsEmpty())
			}
		})
	}
}
