package wire

import (
	"bytes"
	"testing"
)

// keyedRecords builds a batch in which every third record is a tombstone.
func keyedRecords(t testing.TB, codec Codec, n int) Batch {
	t.Helper()
	w := NewBatchBuilder()
	w.Codec = codec
	w.ProducerID, w.ProducerEpoch, w.BaseSequence = 7, 1, 40
	for i := range n {
		value := bytes.Repeat([]byte{byte(i)}, i*7)
		if i%3 == 2 {
			value = nil
		}
		w.Append(testNow-int64(i*i), []byte{byte(i)}, value, Header{Key: "h", Value: []byte{1}})
	}
	b, err := w.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	Batch(b).SetBaseOffset(1000)
	return b
}

// TestFilter proves that a filtered batch has exactly the records that were kept, as they were, under
// the same codec and header; and that tombstones get a delete horizon once (KIP-534).
func TestFilter(t *testing.T) {
	t.Parallel()
	var f Filter
	for _, codec := range allCodecs {
		b := keyedRecords(t, codec, 30)
		all := recordsOf(t, b)
		for _, mod := range []int32{1, 2, 3, 7, 31} {
			for _, horizon := range []int64{NoTimestamp, testNow + 999, 5} {
				var want []Record
				newest, tombstones := NoTimestamp, false
				for _, r := range all {
					if (r.OffsetDelta+1)%mod == 0 {
						want = append(want, r)
						newest = max(newest, r.TimestampMs)
						tombstones = tombstones || r.Value == nil
					}
				}
				keep := func(r *Record) bool { return (r.OffsetDelta+1)%mod == 0 }
				dst, done, err := f.Append([]byte("x"), b, FilterRules{HorizonMs: horizon}, keep)
				if err != nil || done.Read != 30 || int(done.Kept) != len(want) {
					t.Fatalf("%v every %d: %+v, %v", codec, mod, done, err)
				}
				if len(want) == 0 {
					if len(dst) != 1 {
						t.Errorf("%v: an empty batch was appended", codec)
					}
					continue
				}
				n := Batch(dst[1:])
				stamped := tombstones && horizon != NoTimestamp
				if done.Same != (mod == 1 && !stamped) || done.Same && !bytes.Equal(n, b) {
					t.Errorf("%v every %d: same is %v", codec, mod, done.Same)
				}
				if !n.Intact() || n.Length() != len(n) || n.Codec() != codec ||
					n.BaseOffset() != 1000 || n.LastOffset() != 1029 || n.MaxTimestamp() != newest ||
					n.LastSequence() != b.LastSequence() || !sameRecords(recordsOf(t, n), want) ||
					n.HasDeleteHorizon() != stamped || stamped && n.BaseTimestamp() != horizon {
					t.Errorf("%v every %d, horizon %d: wrong batch", codec, mod, horizon)
				}
				again, done, err := f.Append(nil, n, FilterRules{HorizonMs: 1, Stamp: true}, keep)
				if stamped && (err != nil || !done.Same || !bytes.Equal(again, n)) {
					t.Errorf("%v: a horizon was moved: %+v, %v", codec, done, err)
				}
			}
		}
	}
}

// TestAppendEmptied proves that what is left of a batch without records tells the producer's state.
func TestAppendEmptied(t *testing.T) {
	t.Parallel()
	b := keyedRecords(t, CodecZstd, 9)
	n := Batch(AppendEmptied([]byte("x"), b)[1:])
	if len(n) != BatchHeaderSize || n.Length() != len(n) || !n.Intact() || n.Count() != 0 ||
		n.Codec() != CodecNone || n.BaseOffset() != 1000 || n.LastOffset() != 1008 ||
		n.ProducerID() != 7 || n.ProducerEpoch() != 1 || n.LastSequence() != 48 ||
		n.MaxTimestamp() != b.MaxTimestamp() || n.BaseTimestamp() != NoTimestamp {
		t.Errorf("emptied: % x", []byte(n))
	}
	if again := AppendEmptied(nil, n); !bytes.Equal(again, n) {
		t.Error("emptying an empty batch changes it")
	}
}

// FuzzFilter: any bytes with a batch's header filter to a batch that filters to itself, or to an error,
// within the bound.
func FuzzFilter(f *testing.F) {
	for _, codec := range allCodecs {
		f.Add([]byte(keyedRecords(f, codec, 9)), uint8(2))
	}
	f.Fuzz(func(t *testing.T, b []byte, mod uint8) {
		batch, _, err := NextBatch(b)
		if err != nil || len(batch) == 0 {
			return
		}
		var x Filter
		keep := func(r *Record) bool { return mod == 0 || len(r.Key)%int(mod) == 0 }
		rules := FilterRules{DecompressedBytesMax: 1 << 20, HorizonMs: 1 << 40}
		once, done, err := x.Append(nil, batch, rules, keep)
		if err != nil || done.Kept == 0 {
			if len(once) != 0 {
				t.Fatal("bytes beside an error")
			}
			return
		}
		n := Batch(once)
		if n.Length() != len(n) || !done.Same && !n.Intact() || n.LastOffset() != batch.LastOffset() {
			t.Fatal("not a batch")
		}
		again, redone, err := x.Append(nil, n, rules, keep)
		if err == ErrTooLarge {
			return // The ratio may pass its bound when what compresses badly is gone.
		}
		if err != nil || !redone.Same || !bytes.Equal(again, once) {
			t.Fatalf("filtered twice: %+v, %v", redone, err)
		}
	})
}
