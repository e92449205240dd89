package load

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
	"sluice/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small is a spec of a short run on a fake cluster.
func small(f *fakeCluster, mode workload.Mode, change func(s *workload.Spec)) workload.Spec {
	s := workload.Spec{
		Mode: mode, Topic: f.topic, Partitions: len(f.logs), RecordSize: "100", BatchBytes: 1200,
		Duration: workload.Duration(300 * time.Millisecond), Warmup: workload.Duration(20 * time.Millisecond),
		FetchBytes: 5000, FetchWait: workload.Duration(20 * time.Millisecond), Acks: 1, InFlight: 3,
	}
	if mode == workload.Consume || mode == workload.Backlog {
		s.Preload = 40_000
	}
	if change != nil {
		change(&s)
	}
	warmup, acks := s.Warmup, s.Acks
	s = s.Normalize()
	s.Warmup, s.Acks = warmup, acks // Which may be 0.
	return s
}

// carryOut runs a spec with little patience.
func carryOut(t *testing.T, f *fakeCluster, s workload.Spec) (drive.Outcome, error) {
	t.Helper()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	var begun, over atomic.Int64
	r := newRun(drive.Target{Addrs: f.addrs()}, s, drive.Hooks{
		Begin: func() { begun.Add(1) }, End: func() { over.Add(1) },
	})
	r.drainMax, r.failMax = 2*time.Second, 300*time.Millisecond
	err := r.carryOut(context.Background())
	if begun.Load() != over.Load() || begun.Load() > 1 {
		t.Errorf("Begin was called %d times, End %d times", begun.Load(), over.Load())
	}
	return r.out, err
}

func mustRun(t *testing.T, f *fakeCluster, s workload.Spec) drive.Outcome {
	t.Helper()
	out, err := carryOut(t, f, s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func noErrors(t *testing.T, out drive.Outcome) {
	t.Helper()
	if len(out.Errors) > 0 {
		t.Errorf("errors: %v", out.Errors)
	}
}

// over is how many values of a histogram are above a bound, about.
func over(h *result.Histogram, bound time.Duration) int64 {
	if h == nil || h.Count() == 0 {
		return 0
	}
	lo, hi := 0.0, 100.0
	for range 40 {
		if mid := (lo + hi) / 2; h.Percentile(mid) > int64(bound) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return int64((100 - hi) / 100 * float64(h.Count()))
}

func TestProduceClosed(t *testing.T) {
	t.Parallel()
	f := newFake(t, 2, 5)
	out := mustRun(t, f, small(f, workload.Produce, func(s *workload.Spec) { s.Connections = 2 }))
	noErrors(t, out)
	if out.Produced.Records == 0 || out.Produced.Records > f.total() {
		t.Errorf("%d records were counted, %d are there", out.Produced.Records, f.total())
	}
	if n := out.Stages[result.StageAck].Count(); n != out.Produced.Records {
		// Batches that were ready before measured time are in one and not in the other.
		if diff := n - out.Produced.Records; diff > 500 || diff < -500 {
			t.Errorf("%d latencies of %d records", n, out.Produced.Records)
		}
	}
	for i, l := range f.logs {
		if l.next == 0 {
			t.Errorf("partition %d has no records", i)
		}
	}
}

// The schedule is kept to whatever the broker does: every due record is there, and counted once.
func TestProduceOpenCountsEveryRecord(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 3)
	out := mustRun(t, f, small(f, workload.Produce, func(s *workload.Spec) {
		s.Rate, s.Producers, s.Linger = 2000, 2, workload.Duration(2*time.Millisecond)
	}))
	noErrors(t, out)
	// 2000 records/s for 300 ms, each with a latency; 640 with the warm-up.
	for _, stage := range []string{result.StageAck, result.StageLag} {
		if n := out.Stages[stage].Count(); n < 599 || n > 601 {
			t.Errorf("%d records in stage %s, want 600", n, stage)
		}
	}
	if n := f.total(); n < 639 || n > 641 {
		t.Errorf("%d records arrived, want 640", n)
	}
}

// A broker that stalls shows in the latency of all records that were due meanwhile (no coordinated
// omission), and not in the generator's own lateness.
func TestStallShowsInAckNotInLag(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 1)
	f.onProduce = func(n int, _ string) verdict {
		if n == 40 {
			return verdict{delay: 200 * time.Millisecond}
		}
		return verdict{}
	}
	out := mustRun(t, f, small(f, workload.Produce, func(s *workload.Spec) {
		s.Rate, s.BatchRecords, s.InFlight = 1000, 5, 1
	}))
	noErrors(t, out)
	const late = 100 * time.Millisecond
	ack, lag := over(out.Stages[result.StageAck], late), over(out.Stages[result.StageLag], late)
	if ack-lag < 50 {
		t.Errorf("%d records were acknowledged late, %d taken up late: want at least 50 more", ack, lag)
	}
	if queued := over(out.Stages[result.StageQueue], 50*time.Millisecond); queued < 50 {
		t.Errorf("%d records waited long in the queue, want at least 50", queued)
	}
}

// Without acknowledgements a batch counts as it is written.
func TestAcksNone(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 2)
	none := func(s *workload.Spec) { s.Acks = 0 }
	out := mustRun(t, f, small(f, workload.Produce, none))
	noErrors(t, out)
	if out.Produced.Records == 0 {
		t.Error("nothing was counted as written")
	}
	f = newFake(t, 1, 2)
	out = mustRun(t, f, small(f, workload.E2E, func(s *workload.Spec) { s.Acks, s.Rate = 0, 1000 }))
	noErrors(t, out)
	if n := out.Stages[result.StageE2E].Count(); n < 299 || n > 301 {
		t.Errorf("%d arrivals, want 300", n)
	}
}

// Sequence numbers follow each other per producer id and partition (KIP-98), and begin at 0 with a
// new id after an error.
func TestIdempotentSequences(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 3)
	f.onProduce = func(n int, _ string) verdict {
		if n == 20 {
			return verdict{code: wire.CodeOutOfOrderSequenceNumber}
		}
		return verdict{}
	}
	out := mustRun(t, f, small(f, workload.Produce, func(s *workload.Spec) {
		s.Idempotence, s.Acks, s.Connections, s.InFlight = true, -1, 2, 1
	}))
	if out.Produced.Records == 0 {
		t.Fatal("nothing was written")
	}
	f.stop()
	next, ids := map[written]int32{}, map[int64]bool{}
	for _, w := range f.sequences {
		at := written{place: w.place, pid: w.pid}
		if w.sequence != next[at] {
			t.Fatalf("%s, producer %d: sequence %d, want %d", w.place, w.pid, w.sequence, next[at])
		}
		next[at] = wire.AddSequence(w.sequence, w.count)
		ids[w.pid] = true
	}
	if len(ids) != 3 {
		t.Errorf("%d producer ids were used, want 2 and one after the error", len(ids))
	}
}

func TestE2E(t *testing.T) {
	t.Parallel()
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, 2, 4)
			out := mustRun(t, f, small(f, workload.E2E, func(s *workload.Spec) {
				s.Compression, s.Rate, s.Linger = codec, 1000, workload.Duration(time.Millisecond)
				s.RecordSize, s.Keys, s.Consumers = "uniform:20-300", 50, 2
			}))
			noErrors(t, out)
			if n := out.Stages[result.StageE2E].Count(); n < 299 || n > 301 {
				t.Errorf("%d arrivals were timed, want 300 (notes: %v)", n, out.Notes)
			}
			for _, stage := range []string{result.StageAck, result.StageE2E} {
				if least := out.Stages[stage].Min(); least <= 0 {
					t.Errorf("the least time in %s is %d", stage, least)
				}
			}
		})
	}
}

func TestMixedClosed(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 4)
	out := mustRun(t, f, small(f, workload.Mixed, func(s *workload.Spec) {
		s.Producers, s.Threads = 2, 2
	}))
	noErrors(t, out)
	if out.Consumed.Records == 0 || out.Stages[result.StageE2E].Count() == 0 {
		t.Errorf("consumed %+v, stages %v", out.Consumed, out.Stages)
	}
}

func TestConsume(t *testing.T) {
	t.Parallel()
	for _, client := range []workload.ClientKind{workload.Reading, workload.Discarding} {
		t.Run(string(client), func(t *testing.T) {
			t.Parallel()
			f := newFake(t, 1, 2)
			out := mustRun(t, f, small(f, workload.Consume, func(s *workload.Spec) {
				s.Client, s.Consumers, s.InFlight = client, 2, 4
			}))
			noErrors(t, out)
			if out.Consumed.Records <= f.total() {
				t.Errorf("%d records were read of a log of %d: it was not read again", out.Consumed.Records,
					f.total())
			}
			if len(out.Notes) > 0 {
				t.Errorf("notes: %v", out.Notes)
			}
			perRecord := float64(out.Consumed.Bytes) / float64(out.Consumed.Records)
			if perRecord < 100 || perRecord > 130 {
				t.Errorf("%g bytes a record", perRecord)
			}
		})
	}
}

// A log of batches that are not alike is read one fetch at a time, and counted rightly.
func TestConsumeUnequalBatches(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 1)
	mustRun(t, f, small(f, workload.Produce, func(s *workload.Spec) {
		s.RecordSize, s.Rate = "uniform:10-500", 3000
	}))
	out := mustRun(t, f, small(f, workload.Consume, func(s *workload.Spec) { s.InFlight = 4 }))
	noErrors(t, out)
	if out.Consumed.Records == 0 || len(out.Notes) != 2 {
		t.Errorf("consumed %+v, notes %v", out.Consumed, out.Notes)
	}
}

func TestBacklog(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 2)
	out := mustRun(t, f, small(f, workload.Backlog, func(s *workload.Spec) { s.Rate = 1000 }))
	noErrors(t, out)
	for _, name := range []string{
		"catchup_mb_per_second", "catchup_passes", "live_p99_before_ns", "live_p99_during_ns",
	} {
		if out.Figures[name] <= 0 {
			t.Errorf("%s is %g", name, out.Figures[name])
		}
	}
	if out.Stages[result.StageCatchup].Count() == 0 {
		t.Error("the catch-up reader recorded nothing")
	}
	if n := out.Stages[result.StageE2E].Count(); n < 299 || n > 301 {
		t.Errorf("%d arrivals were timed, want 300", n)
	}
}

// Faults in what a broker delivers are found by name.
func TestConsumeFaults(t *testing.T) {
	t.Parallel()
	first := func(b []byte) int { return wire.Batch(b).Length() }
	faults := []struct {
		name, want string
		change     func(b []byte) []byte
	}{
		{"a changed byte", drive.ErrorBadCRC, func(b []byte) []byte {
			b = append([]byte{}, b...)
			b[100] ^= 1
			return b
		}},
		{"a gap", drive.ErrorOffsetGap, func(b []byte) []byte { return b[first(b):] }},
		{"a batch twice", drive.ErrorOffsetGap, func(b []byte) []byte {
			return append(append([]byte{}, b[:first(b)]...), b[:len(b)-first(b)]...)
		}},
		{"no batch", drive.ErrorBadAnswer, func(b []byte) []byte { return make([]byte, len(b)) }},
	}
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, 1, 1)
			var once sync.Once
			f.onFetch = func(n int, _ string, offset int64) (v verdict) {
				if n > 30 && offset == 0 {
					once.Do(func() { v.change = fault.change })
				}
				return v
			}
			out := mustRun(t, f, small(f, workload.Consume, func(s *workload.Spec) {
				s.InFlight, s.Warmup = 1, 0
			}))
			if out.Errors[fault.want] == 0 || len(out.Errors) != 1 {
				t.Errorf("errors %v, want %s", out.Errors, fault.want)
			}
		})
	}
}

func TestErrorsAnswered(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0, 1000} {
		f := newFake(t, 1, 2)
		f.onProduce = func(n int, _ string) verdict {
			switch n {
			case 30:
				return verdict{code: wire.CodeNotLeaderOrFollower}
			case 33:
				return verdict{code: wire.CodeMessageTooLarge}
			}
			return verdict{}
		}
		out := mustRun(t, f, small(f, workload.Produce, func(s *workload.Spec) {
			s.Rate, s.BatchRecords, s.Warmup = rate, 2, 0
		}))
		for _, name := range []string{"NOT_LEADER_FOR_PARTITION", "MESSAGE_TOO_LARGE"} {
			if out.Errors[name] != 1 {
				t.Errorf("rate %g: errors %v, want one %s", rate, out.Errors, name)
			}
		}
		// What may pass is sent again, on a schedule; what does not pass is lost.
		if n := f.total(); rate > 0 && n != 298 {
			t.Errorf("%d records arrived, want 298", n)
		}
	}
}

// A broker that does nothing but refuse ends the run with an error that names the cause.
func TestEveryRequestFails(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 2)
	f.onProduce = func(int, string) verdict { return verdict{code: wire.CodeTopicAuthorizationFailed} }
	out, err := carryOut(t, f, small(f, workload.Produce, func(s *workload.Spec) {
		s.Duration = workload.Duration(time.Minute)
	}))
	if err == nil || !strings.Contains(err.Error(), "TOPIC_AUTHORIZATION_FAILED") {
		t.Errorf("error %v", err)
	}
	if out.Stages[result.StageAck] != nil {
		t.Error("percentiles over failures")
	}
}

func TestConnectionsLost(t *testing.T) {
	t.Parallel()
	for _, mode := range []workload.Mode{workload.Produce, workload.E2E} {
		f := newFake(t, 1, 2)
		f.onProduce = func(n int, _ string) verdict { return verdict{drop: n == 30} }
		out := mustRun(t, f, small(f, mode, func(s *workload.Spec) {
			s.Rate, s.BatchRecords, s.Warmup = 1000, 2, 0
		}))
		if out.Errors[drive.ErrorConnectionLost] != 1 {
			t.Errorf("errors %v", out.Errors)
		}
		// All records of the schedule arrive in the end.
		if n := f.total(); n != 300 {
			t.Errorf("%d records arrived, want 300", n)
		}
		if n := out.Stages[result.StageAck].Count(); n != 300 {
			t.Errorf("%d latencies, want 300", n)
		}
	}
}

func TestFetchConnectionLost(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 1)
	f.onFetch = func(n int, _ string, _ int64) verdict { return verdict{drop: n == 30} }
	out := mustRun(t, f, small(f, workload.Consume, func(s *workload.Spec) { s.Warmup = 0 }))
	if out.Errors[drive.ErrorConnectionLost] != 1 || out.Errors[drive.ErrorOffsetGap] != 0 {
		t.Errorf("errors %v", out.Errors)
	}
}

// A broker that goes away for good ends the run.
func TestBrokerGone(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 1)
	var once sync.Once
	f.onProduce = func(n int, _ string) verdict {
		if n < 30 {
			return verdict{}
		}
		once.Do(func() { f.brokers[0].Close() })
		return verdict{drop: true}
	}
	out, err := carryOut(t, f, small(f, workload.Produce, func(s *workload.Spec) {
		s.Duration = workload.Duration(time.Minute)
	}))
	if err == nil || !strings.Contains(err.Error(), drive.ErrorConnectRefused) {
		t.Errorf("error %v, counted %v", err, out.Errors)
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 1)
	f.brokers[0].Close()
	out, err := carryOut(t, f, small(f, workload.Produce, nil))
	if err == nil || out.Errors[drive.ErrorConnectRefused] == 0 {
		t.Errorf("error %v, counted %v", err, out.Errors)
	}
}

// A broker that takes requests and says nothing ends with the run's time.
func TestNeverAnswers(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 1)
	f.onProduce = func(n int, _ string) verdict { return verdict{silent: true} }
	out, err := carryOut(t, f, small(f, workload.Produce, nil))
	if err == nil || out.Errors[drive.ErrorUnanswered] != 3 {
		t.Errorf("error %v, counted %v", err, out.Errors)
	}
}

func TestOldBroker(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 1)
	f.ranges[0] = [2]int16{0, 7}
	_, err := carryOut(t, f, small(f, workload.Produce, nil))
	if err == nil || !strings.Contains(err.Error(), "Produce v0 to v7") {
		t.Errorf("error %v", err)
	}
}

func TestTopicTooNarrow(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 1)
	_, err := carryOut(t, f, small(f, workload.Produce, func(s *workload.Spec) { s.Partitions = 2 }))
	if err == nil || !strings.Contains(err.Error(), "1 partitions where 2") {
		t.Errorf("error %v", err)
	}
}

// Leaders that move are followed, by producers and by consumers.
func TestLeaderMoves(t *testing.T) {
	t.Parallel()
	f := newFake(t, 2, 2)
	f.onProduce = func(n int, _ string) verdict {
		if n == 20 {
			f.mu.Lock()
			f.leaders[0], f.leaders[1] = 1, 0
			f.mu.Unlock()
		}
		return verdict{}
	}
	out := mustRun(t, f, small(f, workload.E2E, func(s *workload.Spec) {
		s.Rate, s.BatchRecords, s.Warmup = 1000, 2, 0
		s.Duration = workload.Duration(time.Second)
	}))
	if out.Errors["NOT_LEADER_FOR_PARTITION"] == 0 {
		t.Errorf("errors %v", out.Errors)
	}
	if n := f.total(); n != 1000 {
		t.Errorf("%d records arrived, want 1000", n)
	}
	if n := out.Stages[result.StageE2E].Count(); n != 1000 {
		t.Errorf("%d arrivals, want 1000: %v", n, out.Errors)
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 2)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := small(f, workload.E2E, func(s *workload.Spec) {
		s.Rate, s.Duration = 1000, workload.Duration(time.Hour)
	})
	f.onProduce = func(n int, _ string) verdict {
		if n == 100 {
			cancel()
		}
		return verdict{}
	}
	out, err := Run(ctx, drive.Target{Addrs: f.addrs()}, s, drive.Hooks{})
	if err != nil || !out.Interrupted || out.Produced.Records == 0 || out.Seconds <= 0 {
		t.Errorf("error %v, outcome %+v", err, out)
	}
}

func TestSeries(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 2)
	var mu sync.Mutex
	var ticks []drive.Tick
	s := small(f, workload.Produce, func(s *workload.Spec) {
		s.Rate, s.Duration, s.Threads, s.Producers = 500, workload.Duration(2500*time.Millisecond), 2, 2
	})
	out, err := Run(context.Background(), drive.Target{Addrs: f.addrs()}, s, drive.Hooks{
		Live: func(tick drive.Tick) {
			mu.Lock()
			defer mu.Unlock()
			ticks = append(ticks, tick)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var records int64
	for i, p := range out.Series {
		if want := []float64{1, 2, 2.5}[min(i, 2)]; p.Second != want {
			t.Errorf("point %d ends at %g s, want %g", i, p.Second, want)
		}
		records += p.ProducedRecords
	}
	if len(out.Series) != 3 || records < out.Produced.Records*9/10 {
		t.Errorf("%d points with %d of %d records", len(out.Series), records, out.Produced.Records)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ticks) < 4 || !ticks[0].Warmup || ticks[len(ticks)-1].Warmup {
		t.Errorf("live: %+v", ticks)
	}
}

func TestBurst(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 1)
	out := mustRun(t, f, small(f, workload.Produce, func(s *workload.Spec) {
		s.Rate, s.Burst = 1000, workload.Duration(100*time.Millisecond)
	}))
	if b := out.Burst; b == nil || b.Records == 0 || b.Records >= out.Produced.Records || b.Seconds != 0.1 {
		t.Errorf("burst %+v of %+v", b, out.Produced)
	}
}

func TestOtherModes(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1, 1)
	s := workload.Spec{Mode: workload.Connections, Topic: f.topic, Partitions: 1}.Normalize()
	if _, err := Run(context.Background(), drive.Target{Addrs: f.addrs()}, s, drive.Hooks{}); err == nil ||
		!strings.Contains(err.Error(), "connections") {
		t.Errorf("error %v", err)
	}
}
