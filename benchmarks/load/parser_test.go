package load

import (
	"math/rand/v2"
	"testing"
	"time"

	"sluice/benchmarks/workload"
	"sluice/wire"
)

// reader is a fetch connection without a socket, with one request in flight for each answer.
func reader(tb testing.TB, tail bool) *fetchConn {
	tb.Helper()
	spec := workload.Spec{
		Mode: workload.Consume, Topic: "p", Partitions: 2, InFlight: 4, RecordSize: "100", BatchBytes: 4096,
	}.Normalize()
	c := newCluster(nil, true, spec)
	s, err := newSession(tb.Context(), c, &layout{leaders: make([]int32, 2)}, spec, newMaker(spec, tail), 1)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.release)
	b := bounds{start: make([]int64, 2), end: []int64{1 << 40, 1 << 40}}
	if tail {
		b.end = []int64{0, 0}
		s.planTails(b)
	} else {
		s.planReplay(b)
	}
	f := firstReader(s)
	f.up(0)
	return f
}

// firstReader is the session's first connection that reads.
func firstReader(s *session) *fetchConn { return s.threads[0].conns[0].role.(*fetchConn) }

// expectAnswer has the connection believe that it asked for what it expects.
func (f *fetchConn) expectAnswer() {
	if f.tail {
		f.flights.push(fetchFlight{})
		return
	}
	s := f.sources[0]
	s.outstanding++
	f.flights.push(fetchFlight{source: s, offset: s.expect})
}

func batchAt(tb testing.TB, base int64, records int) []byte {
	tb.Helper()
	b := wire.NewBatchBuilder()
	b.BaseOffset = base
	for range records {
		b.Append(time.Now().UnixMilli(), nil, make([]byte, 50))
	}
	batch, err := b.Build(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return batch
}

// An answer means the same in whatever pieces it arrives.
func TestAnswersInPieces(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		f := reader(t, false)
		var stream []byte
		base := int64(0)
		for range 3 {
			var records []byte
			for range rng.IntN(4) {
				n := 1 + rng.IntN(5)
				records = append(records, batchAt(t, base, n)...)
				base += int64(n)
			}
			records = append(records, batchAt(t, base, 3)[:rng.IntN(150)]...) // A partial one.
			reply := fetchReply("p", 0, records)
			reply[7] = byte(f.flights.len())
			stream = append(stream, reply...)
			f.flights.push(fetchFlight{source: f.sources[0], offset: -1})
		}
		for i := range 3 {
			f.flights.at(i).source = nil // Judged by the batches alone.
		}
		for len(stream) > 0 {
			n := min(len(stream), 1+rng.IntN(200))
			if err := f.parse(stream[:n], 1); err != nil {
				t.Fatal(err)
			}
			stream = stream[n:]
		}
		y := f.t.tally
		if f.flights.len() != 0 || f.t.gauges.consumed.Load() != base || len(y.early) > 0 {
			t.Fatalf("%d answers are missing, %d of %d records, errors %v", f.flights.len(),
				f.t.gauges.consumed.Load(), base, y.early)
		}
	}
}

// A first batch may begin before the offset that was asked for: a fetch from the middle of a batch
// gets the whole batch.
func TestFirstBatchMayBeginEarlier(t *testing.T) {
	f := reader(t, false)
	f.sources[0].expect = 3
	f.expectAnswer()
	if err := f.parse(fetchReply("p", 0, append(batchAt(t, 0, 5), batchAt(t, 5, 2)...)), 1); err != nil {
		t.Fatal(err)
	}
	if s := f.sources[0]; s.expect != 7 || len(f.t.tally.early) > 0 {
		t.Errorf("expects %d, errors %v", s.expect, f.t.tally.early)
	}
}

// An answer that was asked for in a wrong belief is not counted, and no error.
func TestMispredictedAnswersAreDropped(t *testing.T) {
	f := reader(t, false)
	s := f.sources[0]
	for _, offset := range []int64{0, 10} { // The first is believed to end at 10, and ends at 5.
		s.outstanding++
		f.flights.push(fetchFlight{source: s, offset: offset, next: offset + 10})
	}
	first, second := fetchReply("p", 0, batchAt(t, 0, 5)), fetchReply("p", 0, batchAt(t, 10, 5))
	second[7] = 1
	for _, reply := range [][]byte{first, second} {
		if err := f.parse(reply, 1); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.t.gauges.consumed.Load(); n != 5 || s.expect != 5 || len(f.t.tally.early) > 0 {
		t.Errorf("%d records, expects %d, errors %v", n, s.expect, f.t.tally.early)
	}
	if f.resyncs != 1 || s.outstanding != 0 {
		t.Errorf("%d resyncs, %d outstanding", f.resyncs, s.outstanding)
	}
}

func TestAnswersThatDoNotParse(t *testing.T) {
	good := fetchReply("p", 0, batchAt(t, 0, 3))
	f := func(name string, change func(b []byte) []byte) {
		t.Helper()
		c := reader(t, false)
		c.expectAnswer()
		if err := c.parse(change(append([]byte{}, good...)), 1); err != errBadAnswer {
			t.Errorf("%s: error %v", name, err)
		}
	}
	f("another correlation id", func(b []byte) []byte { b[7] = 9; return b })
	f("a negative size", func(b []byte) []byte { b[0] = 0xff; return b })
	f("a frame that is too small", func(b []byte) []byte { b[2], b[3] = 0, 40; return b })
	f("a frame that is too large", func(b []byte) []byte { b[1] = 1; return b })
	f("another topic", func(b []byte) []byte { b[24] = 'q'; return b })
	f("another partition", func(b []byte) []byte { b[32] = 77; return b })
	f("more partitions than asked for", func(b []byte) []byte { b[28] = 2; return b })
}

func FuzzFetchAnswer(f *testing.F) {
	f.Add(fetchReply("p", 0, batchAt(f, 0, 3)), uint8(7), false)
	f.Add(fetchReply("p", 1, batchAt(f, 0, 3)), uint8(200), true)
	f.Add(fetchReply("p", 0, nil), uint8(1), false)
	replay, tailing := reader(f, false), reader(f, true)
	f.Fuzz(func(t *testing.T, b []byte, piece uint8, tail bool) {
		c := replay
		if tail {
			c = tailing
		}
		c.up(0)
		c.flights.clear()
		for _, s := range c.sources {
			s.ask, s.expect, s.outstanding, s.fresh = 0, 0, 0, true
		}
		c.expectAnswer()
		for len(b) > 0 {
			n := min(len(b), int(piece)+1)
			if err := c.parse(b[:n], 1); err != nil {
				return
			}
			b = b[n:]
		}
		if cap(c.partial) > 64<<10+4096 && len(b) < 4096 {
			t.Errorf("%d bytes were kept", cap(c.partial))
		}
	})
}

func FuzzProduceAnswer(f *testing.F) {
	f.Add(produceReply("p", 0)[8:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, _ = produceAnswer(b, &partition{topic: "p"})
	})
}
