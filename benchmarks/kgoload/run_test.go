package kgoload

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// stages checks that exactly these stages were seen.
func stages(t *testing.T, o drive.Outcome, want ...string) {
	t.Helper()
	got := slices.Sorted(maps.Keys(o.Stages))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("stages %v, want %v", got, want)
	}
}

// sane checks what holds for every run that succeeded.
func sane(t *testing.T, s workload.Spec, o drive.Outcome) {
	t.Helper()
	if len(o.Errors) > 0 {
		t.Errorf("errors: %v, notes %q", o.Errors, o.Notes)
	}
	if o.Seconds != s.Duration.D().Seconds() || o.Interrupted {
		t.Errorf("measured %v s (interrupted %v) of %v", o.Seconds, o.Interrupted, s.Duration)
	}
	if len(o.Series) == 0 {
		t.Error("no series")
	}
	sides := map[string]struct {
		count result.Count
		does  bool
	}{"produced": {o.Produced, s.Produces()}, "consumed": {o.Consumed, s.Consumes()}}
	for side, c := range sides {
		if !c.does {
			if c.count.Records+c.count.Bytes+c.count.Requests > 0 {
				t.Errorf("%s: %+v in mode %s", side, c.count, s.Mode)
			}
			continue
		}
		size := int64(s.RecordSizes().Min())
		if c.count.Requests == 0 || c.count.Records == 0 || c.count.Bytes == 0 {
			t.Errorf("%s: %+v", side, c.count)
		}
		// Bytes are counted when they arrive, records when the application has them.
		if s.Compression == "none" && side == "produced" && c.count.Bytes < c.count.Records*size*9/10 {
			t.Errorf("%s: %d bytes for %d records of %d", side, c.count.Bytes, c.count.Records, size)
		}
	}
}

func TestProduceClosed(t *testing.T) {
	t.Parallel()
	b := broker(t)
	for name, change := range map[string]func(*workload.Spec){
		"plain":      func(*workload.Spec) {},
		"two-topics": func(s *workload.Spec) { s.Topics, s.Producers, s.Connections = 2, 2, 2 },
		"keyed":      func(s *workload.Spec) { s.Keys = 1000 },
		"all":        func(s *workload.Spec) { s.Acks, s.Compression, s.Compressibility = -1, "lz4", 0.5 },
		"sizes":      func(s *workload.Spec) { s.RecordSize, s.Burst = "uniform:1-3000", s.Duration/2 },
		"idempotent": func(s *workload.Spec) { s.Acks, s.Idempotence = -1, true },
	} {
		t.Run(name, func(t *testing.T) {
			s := small(workload.Produce, func(s *workload.Spec) { s.Topic = name; change(s) })
			prepare(t, b, s, 0)
			o := carry(t, b, s, drive.Hooks{})
			for o.Produced.Records == 0 && s.Duration.D() < 30*time.Second {
				s.Duration *= 4 // The machine had no half second for us.
				o = carry(t, b, s, drive.Hooks{})
			}
			sane(t, s, o)
			stages(t, o, result.StageAck, result.StageSend, result.StageWire)
			if b := o.Burst; s.Burst > 0 && (b == nil || b.Records == 0 || b.Records > o.Produced.Records) {
				t.Errorf("burst %+v of %+v", b, o.Produced)
			}
			if o.Stages[result.StageWire].Count() != o.Produced.Requests {
				t.Errorf("%d requests timed of %d", o.Stages[result.StageWire].Count(), o.Produced.Requests)
			}
		})
	}
}

// TestAcksNone: without acknowledgements a record is done when its request is written.
func TestAcksNone(t *testing.T) {
	t.Parallel()
	b := broker(t)
	s := small(workload.E2E, func(s *workload.Spec) { s.Acks, s.Rate = 0, 2000 })
	s.Acks = 0
	prepare(t, b, s, 0)
	o := carry(t, b, s, drive.Hooks{})
	if o.Stages[result.StageWire] != nil {
		t.Error("an unanswered request was timed")
	}
	if o.Produced.Records == 0 || o.Stages[result.StageE2E].Count() == 0 {
		t.Errorf("produced %+v, stages %v", o.Produced, o.Stages)
	}
}

// dueIn is how many records of a run are due within measured time.
func dueIn(s workload.Spec, clients int) (n int64) {
	for i := range clients {
		p := newPace(0, s.Rate, i, clients)
		n += p.before(int64(s.Warmup+s.Duration)) - p.before(int64(s.Warmup))
	}
	return n
}

// TestOpenLoop: every record that was due is timed once in each stage, and reaches each reader.
func TestOpenLoop(t *testing.T) {
	t.Parallel()
	b := broker(t)
	for _, mode := range []workload.Mode{workload.Produce, workload.E2E, workload.Mixed} {
		t.Run(string(mode), func(t *testing.T) {
			s := small(mode, func(s *workload.Spec) {
				s.Topic, s.Rate, s.Producers = string(mode), 3000, 2
				if mode != workload.Produce {
					s.Consumers = 3
				}
			})
			prepare(t, b, s, 10)
			var begins, ends, ticks atomic.Int64
			o := carry(t, b, s, drive.Hooks{
				Begin: func() { begins.Add(1) }, End: func() { ends.Add(1) },
				Live: func(drive.Tick) { ticks.Add(1) },
			})
			sane(t, s, o)
			want := []string{result.StageAck, result.StageSend, result.StageWire, result.StageLag}
			each := want[:2:2]
			each = append(each, result.StageLag)
			if mode != workload.Produce {
				want = append(want, result.StageE2E, result.StageFetch)
				each = append(each, result.StageE2E)
			}
			stages(t, o, want...)
			for _, stage := range each {
				if got, want := o.Stages[stage].Count(), dueIn(s, 2); got != want {
					t.Errorf("%s: %d records timed, %d were due", stage, got, want)
				}
			}
			if begins.Load() != 1 || ends.Load() != 1 || ticks.Load() < 2 {
				t.Errorf("begin %d, end %d, live %d times", begins.Load(), ends.Load(), ticks.Load())
			}
		})
	}
}

func TestConsume(t *testing.T) {
	t.Parallel()
	b := broker(t)
	s := small(workload.Consume, func(s *workload.Spec) { s.Consumers = 2 })
	const each = 500
	prepare(t, b, s, each)
	o := carry(t, b, s, drive.Hooks{})
	sane(t, s, o)
	stages(t, o, result.StageFetch)
	if o.Consumed.Records <= each*int64(s.Partitions) {
		t.Errorf("%d records: the log, of %d, was not read again", o.Consumed.Records, each*s.Partitions)
	}
}

// TestConsumeMore: more readers than partitions read the same ones.
func TestConsumeMore(t *testing.T) {
	t.Parallel()
	b := broker(t)
	s := small(workload.Consume, func(s *workload.Spec) { s.Partitions, s.Consumers = 1, 3 })
	prepare(t, b, s, 100)
	sane(t, s, carry(t, b, s, drive.Hooks{}))
}

// TestBacklog: what is to be caught up with is written first, and read in the run's second half.
func TestBacklog(t *testing.T) {
	t.Parallel()
	b := broker(t)
	s := small(workload.Backlog, func(s *workload.Spec) { s.Rate, s.Preload = 1000, 1<<20 })
	prepare(t, b, s, 0)
	o := carry(t, b, s, drive.Hooks{})
	sane(t, s, o)
	if o.Stages[result.StageE2E].Count() != dueIn(s, 1) {
		t.Errorf("%d arrivals of %d", o.Stages[result.StageE2E].Count(), dueIn(s, 1))
	}
	if o.Stages[result.StageCatchup] == nil || o.Figures["catchup_mb_per_second"] <= 0 {
		t.Errorf("nobody caught up: %v", o.Figures)
	}
	for _, half := range []string{"live_p99_before_ns", "live_p99_during_ns"} {
		if o.Figures[half] <= 0 {
			t.Errorf("no %s: %v", half, o.Figures)
		}
	}
}

// TestPreload: partitions that are empty get their share, the others are read as they are.
func TestPreload(t *testing.T) {
	t.Parallel()
	b := broker(t)
	s := small(workload.Consume, func(s *workload.Spec) {
		s.Preload, s.Keys, s.RecordSize = 1<<20, 10, "uniform:1-3000"
	})
	prepare(t, b, s, 0)
	r := &run{
		target: drive.Target{Addrs: []string{b.Addr}}, spec: &s, clock: newClock(), window: &window{},
		size: s.RecordSizes(), acked: newFrontier(s.Topics, s.Partitions),
	}
	empty, err := r.survey(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	full, err := r.preload(deadline(t), empty)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range full {
		if f.end <= f.start {
			t.Errorf("partition %d: %+v", i, f)
		}
	}
	again, err := r.preload(deadline(t), full)
	if err != nil || !slices.Equal(again, full) || len(r.notes) != 1 {
		t.Errorf("%v, %v became %v (%v)", err, full, again, r.notes)
	}
	sane(t, s, carry(t, b, s, drive.Hooks{}))
}

// TestStall: a broker that stands still in the middle of a run delays each record that is due
// meanwhile by what is left of the stall; none is left out (no coordinated omission).
func TestStall(t *testing.T) {
	t.Parallel()
	b := broker(t)
	const stall = time.Second
	s := small(workload.Produce, func(s *workload.Spec) {
		s.Rate, s.Duration, s.Warmup = 2000, workload.Duration(3*time.Second), 0
		s.InFlight = 1
	})
	s.Warmup = 0
	prepare(t, b, s, 0)
	o := carry(t, b, s, drive.Hooks{Begin: func() {
		go func() {
			if err := b.Pause(); err != nil {
				t.Error(err)
			}
			time.AfterFunc(stall, func() {
				if err := b.Resume(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}()
	}})
	sane(t, s, o)
	ack := o.Stages[result.StageAck]
	if ack.Count() != dueIn(s, 1) {
		t.Errorf("%d records timed, %d were due", ack.Count(), dueIn(s, 1))
	}
	// 2000 records became due in the second of the stall; half of them had at least half of it left.
	slow := int64(0)
	for _, step := range ack.Distribution() {
		if step.Value < int64(stall/2) {
			slow = ack.Count() - step.Count
		}
	}
	if slow < 800 {
		t.Errorf("%d records waited for half a stall: about 1000 must have", slow)
	}
}

// TestInterrupted: a run that is ended by hand tells what it saw.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	b := broker(t)
	s := small(workload.E2E, func(s *workload.Spec) {
		s.Rate, s.Duration = 1000, workload.Duration(time.Hour)
	})
	prepare(t, b, s, 0)
	ctx, cancel := context.WithCancel(deadline(t))
	defer cancel()
	var ended atomic.Int64
	o, err := Run(ctx, drive.Target{Addrs: []string{b.Addr}}, s, drive.Hooks{
		Live: func(k drive.Tick) {
			if !k.Warmup && k.Point.ConsumedRecords > 0 {
				cancel()
			}
		},
		End: func() { ended.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if !o.Interrupted || o.Seconds <= 0 || o.Seconds >= 3600 || o.Produced.Records == 0 ||
		o.Consumed.Records == 0 || ended.Load() != 1 || len(o.Errors) > 0 {
		t.Errorf("%+v", o)
	}
	cancelled, stop := context.WithCancel(context.Background())
	stop()
	if _, err := Run(cancelled, drive.Target{Addrs: []string{b.Addr}}, s, drive.Hooks{}); err == nil {
		t.Log("a run that was cancelled before it began is no error")
	}
}

// TestImpossible: what this client cannot do is said, not tried.
func TestImpossible(t *testing.T) {
	t.Parallel()
	s := small(workload.Connections, nil)
	_, err := Run(t.Context(), drive.Target{Addrs: []string{"127.0.0.1:1"}}, s, drive.Hooks{})
	if err == nil || !strings.Contains(err.Error(), "mode connections") {
		t.Error(err)
	}
	s = small(workload.Produce, nil)
	_, err = Run(t.Context(), drive.Target{Addrs: []string{"127.0.0.1:1"}, Raw: true}, s, drive.Hooks{})
	if err == nil || !strings.Contains(err.Error(), "limit server") {
		t.Error(err)
	}
}
