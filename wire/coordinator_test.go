package wire

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A marker is byte for byte what Kafka writes (MemoryRecords.withEndTransactionMarker): a batch of
// one record, uncompressed, CreateTime, transactional and control, without a sequence.
func TestEndTxnMarkerBytes(t *testing.T) {
	t.Parallel()
	w := NewBatchBuilder()
	w.BaseOffset, w.LeaderEpoch, w.ProducerID, w.ProducerEpoch = 12, 7, 9, 1
	w.AppendEndTxnMarker(0x1122334455, false, 0x01020304)
	raw, err := w.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	section := "20" + "00" + "00" + "00" + "08" + "00000000" + "0c" + "000001020304" + "00"
	if got := hex.EncodeToString(Batch(raw).Records()); got != section {
		t.Errorf("records section %s, want %s", got, section)
	}
	var k kmsg.RecordBatch
	if err := k.ReadFrom(raw); err != nil {
		t.Fatal(err)
	}
	want := kmsg.RecordBatch{
		FirstOffset: 12, Length: int32(len(raw) - BatchPrefixSize), PartitionLeaderEpoch: 7, Magic: 2,
		CRC: int32(Batch(raw).CRC()), Attributes: 0x30, LastOffsetDelta: 0,
		FirstTimestamp: 0x1122334455, MaxTimestamp: 0x1122334455, ProducerID: 9, ProducerEpoch: 1,
		FirstSequence: -1, NumRecords: 1, Records: Batch(raw).Records(),
	}
	if !bytes.Equal(k.AppendTo(nil), want.AppendTo(nil)) || !Batch(raw).Intact() {
		t.Errorf("marker %+v, want %+v", k, want)
	}
	var key kmsg.ControlRecordKey
	var value kmsg.EndTxnMarker
	rec := recordsOf(t, Batch(raw))[0]
	if key.ReadFrom(rec.Key) != nil || value.ReadFrom(rec.Value) != nil || key.Version != 0 ||
		key.Type != kmsg.ControlRecordKeyTypeAbort || value.CoordinatorEpoch != 0x01020304 {
		t.Errorf("key %+v, value %+v", key, value)
	}
}

// A coordinator's batches, built again and again into one buffer, cost no allocation: transactional
// ones, with null values and their own times, and markers.
func TestBuildingDoesNotAllocate(t *testing.T) {
	w, marker := NewBatchBuilder(), NewBatchBuilder()
	w.ProducerID, w.ProducerEpoch, w.Transactional = 9, 1, true
	marker.ProducerID, marker.ProducerEpoch = 9, 1
	key, value := []byte("key"), []byte("value")
	var buf []byte
	var err error
	build := func() {
		w.Reset()
		w.Append(testNow, key, value)
		w.Append(testNow-5, key, nil)
		if buf, err = w.Build(buf[:0]); err != nil {
			t.Fatal(err)
		}
		marker.Reset()
		marker.AppendEndTxnMarker(testNow, true, 3)
		if buf, err = marker.Build(buf); err != nil {
			t.Fatal(err)
		}
	}
	build()
	if n := testing.AllocsPerRun(100, build); n != 0 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
	b, _, err := NextBatch(buf)
	if err != nil {
		t.Fatal(err)
	}
	rec := recordsOf(t, b)
	if len(rec) != 2 || rec[1].Value != nil || rec[1].TimestampMs != testNow-5 ||
		b.MaxTimestamp() != testNow || !b.IsTransactional() || b.BaseSequence() != NoSequence {
		t.Errorf("records %+v of %+v", rec, b)
	}
}
