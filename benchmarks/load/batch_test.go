package load

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"sluice/benchmarks/workload"
	"sluice/wire"
)

// The vectors are those that Kafka's clients agree on (UtilsTest.testMurmur2).
func TestMurmur2(t *testing.T) {
	f := func(key string, want int32) {
		t.Helper()
		if got := murmur2([]byte(key)); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
	}
	f("21", -973932308)
	f("foobar", -790332482)
	f("a-little-bit-long-string", -985981536)
	f("a-little-bit-longer-string", -1486304829)
	f("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971)
	f("abc", 479470107)
}

func testSpec(change func(s *workload.Spec)) workload.Spec {
	s := workload.Spec{Mode: workload.Produce, Partitions: 4, RecordSize: "100", BatchBytes: 4096}
	if change != nil {
		change(&s)
	}
	return s.Normalize()
}

// testConn is a connection without a socket, on a thread that does not run.
func testConn(t *testing.T, spec workload.Spec, stamped bool) *produceConn {
	t.Helper()
	c := newCluster(nil, true, spec)
	v := &layout{leaders: make([]int32, len(c.parts))}
	s, err := newSession(t.Context(), c, v, spec, newMaker(spec, stamped), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.release)
	return newProduceConn(s.threads[0], 0)
}

// composed makes the request of a batch and returns the batch in it.
func composed(p *produceConn, f flight) []byte {
	p.out, p.body = p.out[:0], nil
	p.compose(f)
	p.flights.pop()
	p.unsent = 0
	return append(append([]byte{}, p.out[len(f.lane.head):]...), p.body...)
}

func validate(t *testing.T, batch []byte, produceVersion int16) wire.BatchInfo {
	t.Helper()
	var v wire.Validator
	rules := wire.DefaultRules(time.Now().UnixMilli())
	rules.ProduceVersion = produceVersion
	before := string(batch)
	info, bad := v.Validate(batch, &rules)
	if bad != nil {
		t.Fatalf("the broker would refuse it: %s", bad.Message)
	}
	if string(batch) != before {
		t.Fatal("the broker would correct its time stamp")
	}
	return info
}

// A prefix of the template under a new header is a batch as brokers accept it, for any number of
// records.
func TestPrefixBatches(t *testing.T) {
	for _, stamped := range []bool{false, true} {
		p := testConn(t, testSpec(nil), stamped)
		m := p.t.s.maker
		l := p.newLane(p.t.s.cluster.parts[2])
		if m.template == nil {
			t.Fatal("there is no template")
		}
		rng := rand.New(rand.NewPCG(1, 2))
		p.idempotent, p.producer = true, producerID{7, 3}
		l.sequence = 1<<31 - 5
		sequence := l.sequence
		for range 200 {
			k := 1 + rng.Int32N(int32(len(m.ends)))
			ready := rng.Int64()
			info := validate(t, composed(p, flight{lane: l, records: k, ready: ready}), produceVersion)
			if info.Count != k || info.ProducerID != 7 || info.ProducerEpoch != 3 ||
				info.BaseSequence != sequence {
				t.Fatalf("%d records from sequence %d: %+v", k, sequence, info)
			}
			sequence = wire.AddSequence(sequence, k)
			var scratch wire.Records
			if err := wire.EachRecord(info.Batch, &scratch, func(r *wire.Record) bool {
				if len(r.Value) != 100 || r.Key != nil {
					t.Fatalf("a record of %d bytes", len(r.Value))
				}
				if stamped && (binary.BigEndian.Uint64(r.Value) != uint64(ready) ||
					binary.BigEndian.Uint64(r.Value[8:]) != m.tag) {
					t.Fatal("a wrong time stamp")
				}
				return true
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Full batches hold as many records as the spec says (and as the other client makes).
func TestFullBatches(t *testing.T) {
	f := func(change func(s *workload.Spec)) {
		t.Helper()
		spec := testSpec(change)
		m := newMaker(spec, false)
		l := &lane{part: &partition{}}
		want := spec.BatchFit(int(m.sizes[0]))
		if got := m.fit(l, 0); got != want {
			t.Errorf("%d records in a full batch, want %d", got, want)
		}
		for _, b := range m.fullBatches(l, time.Now().UnixMilli(), 3) {
			batch := append(append([]byte{}, b.header[:]...), b.body...)
			if info := validate(t, batch, produceVersion); int(info.Count) != want {
				t.Errorf("%d records, want %d", info.Count, want)
			}
			if spec.Compression == "none" && len(batch) > spec.BatchBytes {
				t.Errorf("%d bytes, at most %d", len(batch), spec.BatchBytes)
			}
		}
	}
	f(nil)
	f(func(s *workload.Spec) { s.BatchRecords = 1 })
	f(func(s *workload.Spec) { s.BatchRecords = 7 })
	f(func(s *workload.Spec) { s.RecordSize, s.BatchBytes = "1024", 65536 })
	f(func(s *workload.Spec) { s.RecordSize, s.BatchBytes = "1", 65536 })
	f(func(s *workload.Spec) { s.Compression, s.Compressibility = "zstd", 0.9 })
	f(func(s *workload.Spec) { s.Compression, s.Compressibility = "lz4", 0.5 })
	f(func(s *workload.Spec) { s.Keys, s.Partitions = 100, 1 })
}

// What is to compress by a share does so.
func TestCompressibility(t *testing.T) {
	for _, share := range []float64{0, 0.25, 0.5, 0.75, 1} {
		spec := testSpec(func(s *workload.Spec) {
			s.Compression, s.Compressibility, s.RecordSize, s.BatchBytes = "zstd", share, "1024", 65536
		})
		b := newMaker(spec, false).fullBatches(&lane{part: &partition{}}, 0, 1)[0]
		got := 1 - float64(len(b.body))/65536
		if got < share-0.15 || got > share+0.15 {
			t.Errorf("compressibility %g: zstd saved %g", share, got)
		}
	}
}

// Records with keys are in the partition that Kafka's clients would choose, and each number of the
// schedule belongs to one record.
func TestKeys(t *testing.T) {
	for _, keys := range []int{1, 2, 10, 1000} {
		spec := testSpec(func(s *workload.Spec) { s.Keys, s.RecordSize, s.Topics = keys, "uniform:10-60", 2 })
		p := testConn(t, spec, false)
		k := p.t.s.maker.keys
		seen, distinct := map[int64]bool{}, map[string]bool{}
		for _, part := range p.t.s.cluster.parts {
			n := int64(len(k.slots[part.id]))
			if n == 0 {
				continue
			}
			for i := range 3 * n {
				seen[k.turn(part.id, i)] = true
			}
			f := flight{lane: p.newLane(part), first: 1, records: 9}
			info := validate(t, composed(p, f), produceVersion)
			var scratch wire.Records
			_ = wire.EachRecord(info.Batch, &scratch, func(r *wire.Record) bool {
				if got := keyPartition(r.Key, 4); got != int(part.index) {
					t.Errorf("key %q is in partition %d, belongs to %d", r.Key, part.index, got)
				}
				return true
			})
		}
		var buffer [workload.KeyBytes]byte
		for slot := range int64(keys) {
			distinct[string(k.key(&buffer, slot))] = true
		}
		for j := range int64(3 * keys) {
			if !seen[j] {
				t.Errorf("record %d of %d keys belongs to no partition", j, keys)
			}
		}
		if len(seen) != 3*keys || len(distinct) != keys {
			t.Errorf("%d numbers and %d keys of %d", len(seen), len(distinct), keys)
		}
	}
}

// Due times are those of the schedule, without keys and with, for any number of producers.
func TestDueTimes(t *testing.T) {
	for _, keys := range []int{0, 37} {
		spec := testSpec(func(s *workload.Spec) { s.Keys, s.Producers, s.Rate = keys, 3, 7 })
		p := testConn(t, spec, false)
		s := p.t.s
		s.open = true
		s.planOpen()
		got := map[int64]bool{}
		for _, q := range p.t.producers {
			q.begin(1000)
			for _, l := range q.lanes {
				if s.maker.keys != nil && len(s.maker.keys.slots[l.part.id]) == 0 {
					continue
				}
				for i := range int64(5000) {
					got[l.due(i)] = true
				}
			}
		}
		for n := range int64(1000) {
			want := 1000 + int64(float64(n)/7*1e9)
			if !got[want] && !got[want-1] && !got[want+1] {
				t.Fatalf("with %d keys nothing is due at record %d's time", keys, n)
			}
		}
	}
}
