package kgoload

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// TestPace: due times follow the rate without drift, and before counts them.
func TestPace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(0.1, 5e6).Draw(t, "rate")
		n := rapid.IntRange(1, 8).Draw(t, "producers")
		p := newPace(rapid.Int64Range(0, 1e12).Draw(t, "start"), rate, rapid.IntRange(0, n-1).Draw(t, "i"), n)
		i := rapid.Int64Range(0, 1e7).Draw(t, "record")
		if got := p.before(p.due(i)); got > i || p.due(got) < p.due(i) {
			t.Fatalf("before(due(%d)) = %d", i, got)
		}
		if got := p.before(p.due(i) + 1); got < i+1 {
			t.Fatalf("before(due(%d)+1) = %d", i, got)
		}
		at := float64(p.due(i) - p.first)
		if want := float64(i) * 1e9 * float64(n) / rate; at < want-2-want*1e-12 || at > want+2+want*1e-12 {
			t.Fatalf("record %d is due after %v ns, want %v", i, at, want)
		}
	})
}

// TestOptions: what kgo is told is what the spec says.
func TestOptions(t *testing.T) {
	t.Parallel()
	s := small(workload.Produce, func(s *workload.Spec) {
		s.Linger, s.InFlight, s.BatchBytes = workload.Duration(7*time.Millisecond), 9, 32<<10
		s.FetchBytes, s.FetchMinBytes, s.FetchWait = 1<<16, 3, workload.Duration(20*time.Millisecond)
	})
	opts, err := producerOptions(&s, s.RecordSizes(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	opts = append(opts, consumerOptions(&s, map[string]map[int32]kgo.Offset{"t": {0: kgo.NewOffset()}})...)
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers("127.0.0.1:1"))...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f := func(option, want any) {
		t.Helper()
		if got := c.OptValue(option); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
	f(kgo.ProducerLinger, 7*time.Millisecond)
	f(kgo.MaxProduceRequestsInflightPerBroker, 9)
	f(kgo.ProducerBatchMaxBytes, int32(32<<10))
	f(kgo.MaxBufferedRecords, int64(1000+poolMin))
	f(kgo.DisableIdempotentWrite, true)
	f(kgo.RequiredAcks, kgo.LeaderAck())
	f(kgo.FetchMaxBytes, int32(1<<16))
	f(kgo.FetchMaxPartitionBytes, int32(1<<16))
	f(kgo.FetchMinBytes, int32(3))
	f(kgo.FetchMaxWait, 20*time.Millisecond)
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		if _, err := codecOf(codec); err != nil {
			t.Error(err)
		}
	}
	if _, err := codecOf("rar"); err == nil {
		t.Error("rar is no codec")
	}
}

// TestBatchBytes: batches of so many records become batches of so many bytes.
func TestBatchBytes(t *testing.T) {
	t.Parallel()
	f := func(size string, records, want int) {
		t.Helper()
		s := small(workload.Produce, func(s *workload.Spec) { s.RecordSize, s.BatchRecords = size, records })
		if got := batchBytes(&s, s.RecordSizes()); got != want {
			t.Errorf("%d records of %s: %d bytes, want %d", records, size, got, want)
		}
	}
	f("1024", 0, 16<<10)
	f("1024", 1, workload.BatchSize(1, -1, 1024))
	f("1024", 3, workload.BatchSize(3, -1, 1024))
	f("1024", 1000, 16<<10)
	f("100", 1, batchBytesMin)
}

func TestShare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ topics, partitions, readers int }{
		{1, 1, 1}, {1, 1, 3}, {2, 3, 2}, {2, 3, 6}, {3, 5, 7}, {1, 4, 9},
	} {
		s := small(workload.E2E, func(s *workload.Spec) { s.Topics, s.Partitions = c.topics, c.partitions })
		spans := make([]span, c.topics*c.partitions)
		seen := map[string]int{}
		for i := range c.readers {
			mine := share(&s, spans, i, c.readers)
			if len(mine) == 0 {
				t.Errorf("%+v: reader %d has nothing to read", c, i)
			}
			for _, m := range mine {
				seen[m.topic+"/"+string(rune('0'+m.partition))]++
			}
		}
		if len(seen) != len(spans) {
			t.Errorf("%+v: %v", c, seen)
		}
	}
}

func TestKeyText(t *testing.T) {
	t.Parallel()
	f := func(n int, want string) {
		t.Helper()
		if got := string(keyText(make([]byte, 4), n)); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
	f(0, "0000")
	f(42, "0042")
	f(9999, "9999")
}

// TestPayload: about the asked share of a value repeats, whatever its size.
func TestPayload(t *testing.T) {
	t.Parallel()
	for _, share := range []float64{0, 0.25, 0.5, 1} {
		s := small(workload.Produce, func(s *workload.Spec) { s.RecordSize, s.Compressibility = "uniform:300-4096", share })
		p := newProducer(newAccount(newClock(), &window{}, "", ""), &s, s.RecordSizes(), 0, 1)
		for _, n := range []int{1024, 4096} {
			zeros := 0
			for _, b := range p.newSlot().value[:n] {
				if b == 0 {
					zeros++
				}
			}
			if got := float64(zeros) / float64(n); got < share-0.01 || got > share+0.02 {
				t.Errorf("%v of %d bytes repeat, want %v", got, n, share)
			}
		}
	}
}

// TestPromisesAllocateNothing: handing a record out, its promise and taking it back.
func TestPromisesAllocateNothing(t *testing.T) {
	s := small(workload.Produce, nil)
	w := &window{}
	w.end.Store(1 << 62)
	a := newAccount(newClock(), w, result.StageAck, "", result.StageAck, result.StageSend)
	p := newProducer(a, &s, s.RecordSizes(), 0, 1)
	p.acked = newFrontier(s.Topics, s.Partitions)
	var buf [takeMax]*slot
	if n := testing.AllocsPerRun(1000, func() {
		for _, s := range p.take(buf[:0]) {
			p.issued.Add(1)
			p.done(s, nil)
		}
	}); n > 0 {
		t.Errorf("%v objects per record", n)
	}
	if p.produced.Records == 0 || p.unanswered() != 0 {
		t.Errorf("%+v", p.produced)
	}
}

// TestWaitForPool: a generator whose pool is empty waits for a record and goes on, or is halted.
func TestWaitForPool(t *testing.T) {
	t.Parallel()
	s := small(workload.Produce, func(s *workload.Spec) { s.BatchRecords, s.InFlight = 1, 1 })
	w := &window{}
	w.end.Store(1 << 62)
	p := newProducer(newAccount(newClock(), w, "", "", result.StageAck, result.StageSend), &s, s.RecordSizes(), 0, 1)
	p.acked = newFrontier(s.Topics, s.Partitions)
	first := p.take(make([]*slot, 0, 1))
	if len(first) != 1 || p.poolMax != 1 {
		t.Fatalf("%d records of %d", len(first), p.poolMax)
	}
	got := make(chan int)
	take := func() { got <- len(p.take(make([]*slot, 0, 1))) }
	go take()
	p.done(first[0], nil)
	if n := <-got; n != 1 {
		t.Errorf("%d records after one came back", n)
	}
	go take()
	p.halt()
	if n := <-got; n != 0 {
		t.Errorf("%d records after the producer was halted", n)
	}
}
