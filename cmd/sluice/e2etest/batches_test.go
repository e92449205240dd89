package e2etest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/wire"
)

// Positions in a record batch (KIP-98).
const (
	atBatchLength = 8
	atMagic       = 16
	atCRC         = 17
	atAttributes  = 21
	atLastDelta   = 23
	atProducerID  = 43
	atCount       = 57
	atRecords     = 61
)

// badBatch is one batch that Kafka refuses, and the code that it refuses it with.
type badBatch struct {
	batch []byte
	want  error
}

// threeRecords is a good batch.
func threeRecords(t *testing.T, codec wire.Codec) wire.Batch {
	t.Helper()
	w := wire.NewBatchBuilder()
	w.Codec = codec
	for i := range 3 {
		w.Append(time.Now().UnixMilli(), nil, fmt.Appendf(nil, "bad %d", i))
	}
	batch, err := w.Build(nil)
	must(t, err)
	return batch
}

// headChanges spoil a header; the CRC is right again afterwards.
func headChanges() map[string]badBatchChange {
	put16 := func(at int, v uint16) func(wire.Batch) {
		return func(b wire.Batch) { binary.BigEndian.PutUint16(b[at:], v) }
	}
	put32 := func(at int, v uint32) func(wire.Batch) {
		return func(b wire.Batch) { binary.BigEndian.PutUint32(b[at:], v) }
	}
	put64 := func(at int, v uint64) func(wire.Batch) {
		return func(b wire.Batch) { binary.BigEndian.PutUint64(b[at:], v) }
	}
	none := ^uint32(0)
	return map[string]badBatchChange{
		"base offset 5":             {put64(0, 5), kerr.InvalidRecord},
		"base offset -1":            {put64(0, ^uint64(0)), kerr.InvalidRecord},
		"last offset delta too big": {put32(atLastDelta, 7), kerr.InvalidRecord},
		"last offset delta small":   {put32(atLastDelta, 1), kerr.InvalidRecord},
		"last offset delta -1":      {put32(atLastDelta, none), kerr.InvalidRecord},
		"count too big":             {put32(atCount, 9), kerr.InvalidRecord},
		"count too small":           {put32(atCount, 2), kerr.InvalidRecord},
		"count 0":                   {put32(atCount, 0), kerr.InvalidRecord},
		"count -1":                  {put32(atCount, none), kerr.InvalidRecord},
		"count and delta absurd": {func(b wire.Batch) {
			put32(atCount, 1<<30)(b)
			put32(atLastDelta, 1<<30-1)(b)
		}, kerr.InvalidRecord},
		"control bit":           {put16(atAttributes, 0x20), kerr.InvalidRecord},
		"codec 5":               {put16(atAttributes, 5), kerr.UnknownServerError},
		"codec 7":               {put16(atAttributes, 7), kerr.UnknownServerError},
		"codec that is not so":  {put16(atAttributes, 1), kerr.UnknownServerError},
		"producer, no sequence": {put64(atProducerID, 77), kerr.InvalidRecord},
		"magic 0":               {func(b wire.Batch) { b[atMagic] = 0 }, kerr.InvalidRecord},
		"magic 1":               {func(b wire.Batch) { b[atMagic] = 1 }, kerr.InvalidRecord},
		"magic 3":               {func(b wire.Batch) { b[atMagic] = 3 }, kerr.CorruptMessage},
		"magic -1":              {func(b wire.Batch) { b[atMagic] = 0xff }, kerr.CorruptMessage},
		"length 0":              {put32(atBatchLength, 0), kerr.CorruptMessage},
		"length -1":             {put32(atBatchLength, none), kerr.CorruptMessage},
		"length 48":             {put32(atBatchLength, 48), kerr.CorruptMessage},
		"length past the end":   {put32(atBatchLength, 5000), kerr.InvalidRecord},
		// Here Kafka's own arithmetic overflows, and it answers UNKNOWN_SERVER_ERROR.
		"length 2^31-1": {put32(atBatchLength, 0x7fffffff), kerr.InvalidRecord},
	}
}

type badBatchChange struct {
	change func(wire.Batch)
	want   error
}

// badBatches are all kinds of batches that Kafka 4.4 refuses.
func badBatches(t *testing.T) map[string]badBatch {
	t.Helper()
	m := map[string]badBatch{}
	for name, c := range headChanges() {
		b := threeRecords(t, wire.CodecNone)
		c.change(b)
		b.Reseal()
		m[name] = badBatch{b, c.want}
	}
	flip := func(at int) []byte {
		b := threeRecords(t, wire.CodecNone)
		b[at] ^= 1
		return b
	}
	good := threeRecords(t, wire.CodecNone)
	two := append(bytes.Clone(good), good...)
	spoiled := append(bytes.Clone(good), flip(atCRC)...)
	maps.Copy(m, map[string]badBatch{
		"crc wrong":               {flip(atCRC), kerr.CorruptMessage},
		"last byte flipped":       {flip(len(good) - 1), kerr.CorruptMessage},
		"attributes flipped":      {flip(atAttributes + 1), kerr.CorruptMessage},
		"empty":                   {[]byte{}, kerr.InvalidRecord},
		"one byte":                {good[:1], kerr.InvalidRecord},
		"cut in the prefix":       {good[:11], kerr.InvalidRecord},
		"cut in the header":       {good[:40], kerr.InvalidRecord},
		"cut behind the header":   {good[:atRecords], kerr.InvalidRecord},
		"cut by one":              {good[:len(good)-1], kerr.InvalidRecord},
		"two batches":             {two, kerr.InvalidRecord},
		"two, the second spoiled": {spoiled, kerr.InvalidRecord},
		"followed by garbage":     {append(bytes.Clone(good), bytes.Repeat([]byte{0xaa}, 70)...), kerr.CorruptMessage},
		"zeros":                   {make([]byte, 100), kerr.CorruptMessage},
		"too large":               {goodBatch(t, string(noise(9, 2<<20))), kerr.MessageTooLarge},
		"from tomorrow":           {timed(t, 24*time.Hour), kerr.InvalidTimestamp},
	})
	addBadRecords(t, m)
	addBadStreams(t, m)
	return m
}

// timed is a batch with a record whose time is off by d.
func timed(t *testing.T, d time.Duration) []byte {
	t.Helper()
	w := wire.NewBatchBuilder()
	w.Append(time.Now().Add(d).UnixMilli(), nil, []byte("bad"))
	b, err := w.Build(nil)
	must(t, err)
	return b
}

// withRecords replaces a batch's records section by raw bytes that claim to be one record.
func withRecords(t *testing.T, codec wire.Codec, records ...byte) wire.Batch {
	t.Helper()
	b := append(wire.Batch(nil), threeRecords(t, wire.CodecNone)[:atRecords]...)
	b = append(b, records...)
	binary.BigEndian.PutUint32(b[atBatchLength:], uint32(len(b)-12))
	binary.BigEndian.PutUint16(b[atAttributes:], uint16(codec))
	binary.BigEndian.PutUint32(b[atLastDelta:], 0)
	binary.BigEndian.PutUint32(b[atCount:], 1)
	b.Reseal()
	return b
}

// addBadRecords adds batches whose header and CRC are right and whose records are not: lengths are
// zigzag varints, so that 1 is -1, and 14 is 7.
func addBadRecords(t *testing.T, m map[string]badBatch) {
	t.Helper()
	f := func(name string, records ...byte) {
		m["record: "+name] = badBatch{withRecords(t, wire.CodecNone, records...), kerr.InvalidRecord}
	}
	f("none")
	f("length -1", 1)
	f("length 0", 0)
	f("length absurd", 0xfe, 0xff, 0xff, 0xff, 0x0f)
	f("length too small", 12, 0, 0, 0, 1, 2, 'v', 0)
	f("length too big", 16, 0, 0, 0, 1, 2, 'v', 0)
	f("key length absurd", 14, 0, 0, 0, 0xfe, 0xff, 0xff, 0x0f)
	f("value length -2", 10, 0, 0, 0, 1, 3)
	f("value past the end", 14, 0, 0, 0, 1, 100, 'v', 0)
	f("header count -1", 14, 0, 0, 0, 1, 2, 'v', 1)
	f("header count without headers", 14, 0, 0, 0, 1, 2, 'v', 2)
	f("header count absurd", 20, 0, 0, 0, 1, 2, 'v', 0xfe, 0xff, 0xff, 0x0f)
	f("header with null key", 18, 0, 0, 0, 1, 2, 'v', 2, 1, 1)
	f("bytes behind the headers", 16, 0, 0, 0, 1, 2, 'v', 0, 0)
	f("a byte behind the last", 14, 0, 0, 0, 1, 2, 'v', 0, 0)
}

// addBadStreams adds compressed garbage.
func addBadStreams(t *testing.T, m map[string]badBatch) {
	t.Helper()
	for codec := wire.CodecGzip; codec <= wire.CodecZstd; codec++ {
		name := "stream: " + codec.String()
		garbage := withRecords(t, codec, bytes.Repeat([]byte{0xa5, 1, 7}, 20)...)
		m[name+" garbage"] = badBatch{garbage, kerr.UnknownServerError}
		good := threeRecords(t, codec)
		short := append(wire.Batch(nil), good[:len(good)-3]...)
		binary.BigEndian.PutUint32(short[atBatchLength:], uint32(len(short)-12))
		short.Reseal()
		m[name+" cut short"] = badBatch{short, kerr.UnknownServerError}
	}
}

// onlyGood checks that a topic's log holds the given values and nothing else.
func onlyGood(t *testing.T, b *broker, topic string, good ...string) {
	t.Helper()
	p := fetchRaw(t, dial(t, b), topic, 0)
	want(t, "code", p.ErrorCode, 0)
	want(t, "values", strings.Join(values(t, p.RecordBatches), ","), strings.Join(good, ","))
	want(t, "high watermark", p.HighWatermark, int64(len(good)))
}

// TestBadBatches sends every kind of bad batch: each gets Kafka's error, and nothing of it is visible,
// neither then nor after SIGKILL behind the refusals and a restart.
func TestBadBatches(t *testing.T) {
	t.Parallel()
	b := start(t, t.TempDir())
	createTopic(t, b, "bad", 1)
	c := dial(t, b)
	before := b.memoryBytes(t, "VmRSS")
	must(t, produceError(produceRaw(t, c, "bad", goodBatch(t, "first"))))
	all := badBatches(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p := produceRaw(t, c, "bad", all[name].batch)
		if err := kerr.ErrorForCode(p.ErrorCode); err != all[name].want {
			t.Errorf("%s: %v, want %v", name, err, all[name].want)
		}
		want(t, "base offset of a refusal", p.BaseOffset, -1)
	}
	onlyGood(t, b, "bad", "first")
	if grown := b.memoryBytes(t, "VmRSS") - before; grown > memoryGrowthMax() {
		t.Errorf("%d bad batches made the broker grow by %d bytes", len(all), grown)
	}
	if lines := b.log.count("level="); lines > 5 {
		t.Errorf("%d bad batches came to %d lines:\n%s", len(all), lines, b.log.tail(20))
	}
	b.kill()
	b = start(t, b.dir)
	onlyGood(t, b, "bad", "first")
	c = dial(t, b)
	want(t, "next offset", produceRaw(t, c, "bad", goodBatch(t, "second")).BaseOffset, 1)
	onlyGood(t, b, "bad", "first", "second")
}

// TestKillBehindRefusal kills the broker while it refuses, in each round at another moment: between
// good batches, refused ones leave nothing for recovery to find.
func TestKillBehindRefusal(t *testing.T) {
	t.Parallel()
	all := badBatches(t)
	names := slices.Sorted(maps.Keys(all))
	b := start(t, t.TempDir())
	createTopic(t, b, "refused", 1)
	var good []string
	for round := range 5 {
		c := dial(t, b)
		last := len(names) - 5
		for i, name := range names[:last] {
			if i%5 == round {
				value := fmt.Sprintf("%d after %d", round, i)
				must(t, produceError(produceRaw(t, c, "refused", goodBatch(t, value))))
				good = append(good, value)
			}
			produceRaw(t, c, "refused", all[name].batch)
		}
		for _, name := range names[last:] {
			must(t, c.send(produceRequest("refused", 0, -1, all[name].batch)))
		}
		b.kill()
		b = start(t, b.dir)
		onlyGood(t, b, "refused", good...)
	}
}

// TestAcksZeroRefused: with acks=0 the end of the connection is the only way to tell.
func TestAcksZeroRefused(t *testing.T) {
	t.Parallel()
	b := sharedBroker(t)
	createTopic(t, b, "acks-zero", 1)
	bad := threeRecords(t, wire.CodecNone)
	bad[atCRC] ^= 1
	c := dial(t, b)
	must(t, c.send(produceRequest("acks-zero", 0, 0, goodBatch(t, "good"))))
	must(t, c.send(produceRequest("acks-zero", 0, 0, bad)))
	must(t, c.closed())
	onlyGood(t, b, "acks-zero", "good")
}

// TestIdempotence plays a producer's mistakes (KIP-98, KIP-360): a duplicate is told its first
// offset, a gap and an old epoch are refused, before and after SIGKILL.
func TestIdempotence(t *testing.T) {
	t.Parallel()
	b := start(t, t.TempDir())
	createTopic(t, b, "idempotent", 1)
	c := dial(t, b)
	f := func(epoch int16, sequence int32, offset int64, wantErr error) {
		t.Helper()
		w := wire.NewBatchBuilder()
		w.ProducerID, w.ProducerEpoch, w.BaseSequence = 5, epoch, sequence
		w.Append(time.Now().UnixMilli(), nil, fmt.Appendf(nil, "%d/%d", epoch, sequence))
		batch, err := w.Build(nil)
		must(t, err)
		p := produceRaw(t, c, "idempotent", batch)
		if err := kerr.ErrorForCode(p.ErrorCode); err != wantErr || p.BaseOffset != offset {
			t.Errorf("epoch %d, sequence %d: offset %d, %v; want %d, %v",
				epoch, sequence, p.BaseOffset, err, offset, wantErr)
		}
	}
	restart := func() {
		b.kill()
		b = start(t, b.dir)
		c = dial(t, b)
	}
	for i := range int32(7) {
		f(0, i, int64(i), nil)
	}
	for range 2 {
		f(0, 6, 6, nil)
		f(0, 2, 2, nil)
		f(0, 1, -1, kerr.OutOfOrderSequenceNumber)
		f(0, 8, -1, kerr.OutOfOrderSequenceNumber)
		f(1, 3, -1, kerr.OutOfOrderSequenceNumber)
		restart()
	}
	f(1, 0, 7, nil)
	f(0, 7, -1, kerr.InvalidProducerEpoch)
	restart()
	f(0, 7, -1, kerr.InvalidProducerEpoch)
	f(1, 0, 7, nil)
	f(1, 1, 8, nil)
	onlyGood(t, b, "idempotent", "0/0", "0/1", "0/2", "0/3", "0/4", "0/5", "0/6", "1/0", "1/1")
}
