package txn

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// kmsgValue is the value as another implementation of Kafka's schema sees it.
func kmsgValue(version int16, t *meta, partitions []TopicPartition) *kmsg.TxnMetadataValue {
	v := kmsg.NewTxnMetadataValue()
	v.Version = version
	v.ProducerID, v.ProducerEpoch, v.TimeoutMillis = t.producerID, t.epoch, t.timeoutMs
	v.State, v.LastUpdateTimestamp, v.StartTimestamp = kmsg.TransactionState(t.state), t.updateMs, t.startMs
	if version >= 1 {
		v.PreviousProducerID, v.NextProducerID = t.prevID, t.nextID
		v.ClientTransactionVersion = int16(t.version)
	}
	if t.state != Empty {
		v.Topics = []kmsg.TxnMetadataValueTopic{}
	}
	for _, p := range partitions {
		if n := len(v.Topics); n == 0 || v.Topics[n-1].Topic != p.Topic {
			v.Topics = append(v.Topics, kmsg.TxnMetadataValueTopic{Topic: p.Topic})
		}
		last := &v.Topics[len(v.Topics)-1]
		last.Partitions = append(last.Partitions, p.Partition)
	}
	return &v
}

func genPartitions(t *rapid.T) []TopicPartition {
	return sortPartitions(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) TopicPartition {
		return TopicPartition{
			rapid.StringMatching(`[a-z]{1,3}`).Draw(t, "topic"),
			rapid.Int32Range(0, 5).Draw(t, "partition"),
		}
	}), 0, 20).Draw(t, "partitions"))
}

// TestValueIsKafkas: values are byte for byte what Kafka's schema (TransactionLogValue, as kmsg has it)
// gives, in both versions, and are read back.
func TestValueIsKafkas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.Int16Range(0, 1).Draw(t, "version")
		id := rapid.Int64Range(-1, math.MaxInt64)
		in := meta{
			producerID: rapid.Int64Range(0, math.MaxInt64).Draw(t, "pid"),
			prevID:     -1, nextID: -1, lastEpoch: -1,
			startMs: rapid.Int64().Draw(t, "start"), updateMs: rapid.Int64().Draw(t, "update"),
			timeoutMs: rapid.Int32().Draw(t, "timeout"),
			epoch:     rapid.Int16Range(0, math.MaxInt16).Draw(t, "epoch"),
			state:     State(rapid.IntRange(0, 5).Draw(t, "state")),
		}
		if version == 1 {
			in.prevID, in.nextID = id.Draw(t, "prev"), id.Draw(t, "next")
			in.version = rapid.SampledFrom([]int8{0, 2}).Draw(t, "tv")
		}
		var partitions []TopicPartition
		if in.state.open() {
			partitions = genPartitions(t)
		}
		b := appendValue(nil, version, &in, partitions)
		if want := kmsgValue(version, &in, partitions).AppendTo(nil); !bytes.Equal(b, want) {
			t.Fatalf("wrote %x, Kafka %x", b, want)
		}
		out, again, known, err := decodeValue(b)
		if err != nil || !known || out != in || !slices.Equal(again, partitions) {
			t.Fatalf("read %+v %v (%v), wrote %+v %v", out, again, err, in, partitions)
		}
	})
}

// TestKeyIsKafkas: as TransactionLogKey.
func TestKeyIsKafkas(t *testing.T) {
	for _, id := range []string{"a", "ä\x00", string(bytes.Repeat([]byte{'x'}, stringMax))} {
		key := kmsg.NewTxnMetadataKey()
		key.TransactionalID = id
		b := appendKey(nil, id)
		if !bytes.Equal(b, key.AppendTo(nil)) {
			t.Fatalf("key of %q is %x", id[:1], b)
		}
		got, known, err := decodeKey(b)
		if err != nil || !known || string(got) != id {
			t.Fatalf("read %q, %v", got, err)
		}
	}
}

// TestForeignRecords: what a later version wrote is skipped, what is damaged is an error, and neither
// changes anything.
func TestForeignRecords(t *testing.T) {
	m := New(DefaultConfig())
	good := meta{producerID: 5, epoch: 1, prevID: -1, nextID: -1, state: Ongoing, timeoutMs: 60_000}
	value := appendValue(nil, 1, &good, []TopicPartition{{"t", 0}})
	replay := func(key, value []byte) error {
		return m.Replay(record(key, value), -1, -1)
	}
	if err := replay(appendKey(nil, "a"), value); err != nil {
		t.Fatal(err)
	}
	want := persistent(m)
	change := func(at int, b ...byte) []byte {
		c := bytes.Clone(value)
		copy(c[at:], b)
		return c
	}
	for _, c := range []struct {
		name       string
		key, value []byte
		err        error
	}{
		{"key of another type", []byte{0, 1, 0, 1, 'a'}, nil, nil},
		{"value of a later version", appendKey(nil, "a"), change(0, 0, 2), nil},
		{"negative version", appendKey(nil, "a"), change(0, 0xff, 0xff), errDamagedValue},
		{"short key", []byte{0}, value, errDamagedKey},
		{"key without its end", []byte{0, 0, 0, 2, 'a'}, value, errDamagedKey},
		{"no id", []byte{0, 0, 0, 0}, value, errDamagedKey},
		{"null id", []byte{0, 0, 0xff, 0xff}, value, errDamagedKey},
		{"no value's bytes", appendKey(nil, "a"), []byte{}, errDamagedValue},
		{"state Dead", appendKey(nil, "a"), change(16, 6), errDamagedValue},
		{"state 255", appendKey(nil, "a"), change(16, 255), errDamagedValue},
		{"negative epoch", appendKey(nil, "a"), change(10, 0xff), errDamagedValue},
		{"negative producer id", appendKey(nil, "a"), change(2, 0xff), errDamagedValue},
		{"too many topics", appendKey(nil, "a"), change(17, 0xff, 0xff, 0xff, 0x7f), errDamagedValue},
	} {
		if err := replay(c.key, c.value); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
		if !slices.Equal(persistent(m), want) {
			t.Fatalf("%s: %v", c.name, persistent(m))
		}
	}
	for n := range value {
		if err := replay(appendKey(nil, "a"), value[:n]); !errors.Is(err, errDamagedValue) {
			t.Errorf("%d of the value's bytes: %v", n, err)
		}
	}
	if err := replay(appendKey(nil, "a"), nil); err != nil || m.Counts() != (Counts{}) {
		t.Fatalf("a tombstone: %v, %+v", err, m.Counts())
	}
}

// TestTagsOfTheFuture: unknown tags are skipped, known ones of a wrong size are damage (KIP-482).
func TestTagsOfTheFuture(t *testing.T) {
	in := meta{producerID: 5, epoch: 1, prevID: 4, nextID: -1, state: CompleteAbort, lastEpoch: -1}
	v := kmsgValue(1, &in, nil)
	v.UnknownTags.Set(9, []byte("later"))
	v.NextProducerEpoch = 7
	out, _, _, err := decodeValue(v.AppendTo(nil))
	if err != nil || out != in {
		t.Fatalf("read %+v, %v", out, err)
	}
	b := appendValue(nil, 1, &in, nil)
	b[len(b)-9] = 4 // The size of tag 0.
	if _, _, _, err := decodeValue(b[:len(b)-4]); !errors.Is(err, errDamagedValue) {
		t.Fatalf("a tag of 4 bytes: %v", err)
	}
}

// FuzzRecord: no bytes panic, what is read as a value is read the same by another implementation, and
// is written so that it is read the same again.
func FuzzRecord(f *testing.F) {
	in := meta{producerID: 5, epoch: 1, prevID: 4, nextID: 6, state: PrepareCommit, version: 2}
	partitions := []TopicPartition{{"t", 0}, {"t", 7}, {"u", 1}}
	f.Add(appendKey(nil, "a"), appendValue(nil, 1, &in, partitions))
	f.Add(appendKey(nil, "a"), appendValue(nil, 0, &in, partitions))
	in.state = Empty
	f.Add(appendKey(nil, "abc"), appendValue(nil, 1, &in, nil))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		m := New(DefaultConfig())
		if m.Replay(record(key, value), -1, -1) == nil && m.Counts().IDs() == 1 {
			checkParts(t, m)
			again := replayed(t, DefaultConfig(), rewritten(m))
			if !slices.Equal(persistent(m), persistent(again)) {
				t.Fatalf("%v, rewritten: %v", persistent(m), persistent(again))
			}
		}
		got, _, known, err := decodeValue(value)
		if err != nil || !known {
			return
		}
		theirs := kmsg.NewTxnMetadataValue()
		if theirs.ReadFrom(value) != nil {
			return // It minds tags whose numbers are longer than they need be; Kafka does not.
		}
		if got.producerID != theirs.ProducerID || got.epoch != theirs.ProducerEpoch ||
			got.state != State(theirs.State) || got.timeoutMs != theirs.TimeoutMillis ||
			got.startMs != theirs.StartTimestamp || got.updateMs != theirs.LastUpdateTimestamp {
			t.Fatalf("%x: %+v, and theirs %+v", value, got, theirs)
		}
	})
}
