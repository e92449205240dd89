package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// TestHighest: the steps of a search, as a transcript of rates; "!" did not hold, "+" confirms.
func TestHighest(t *testing.T) {
	f := func(from, precision float64, holds func(rate float64, step int) bool, want, err string) {
		t.Helper()
		var steps []string
		rate, e := highest(workload.Search{From: from, Precision: precision},
			func(rate float64, confirms bool) (result.SearchStep, error) {
				word := fmt.Sprintf("%.0f", rate)
				ok := holds(rate, len(steps))
				if !ok {
					word += "!"
				}
				if confirms {
					word += "+"
				}
				steps = append(steps, word)
				return result.SearchStep{Rate: rate, Held: ok}, nil
			})
		got := strings.Join(steps, " ")
		if err != "" {
			if e == nil || !strings.Contains(e.Error(), err) {
				t.Errorf("%s: %v, want %q", got, e, err)
			}
			return
		}
		got += fmt.Sprintf(" = %.0f", rate)
		if got != want || e != nil {
			t.Errorf("got  %s (%v)\nwant %s", got, e, want)
		}
	}
	under := func(limit float64) func(float64, int) bool {
		return func(rate float64, _ int) bool { return rate <= limit }
	}
	f(1000, 0.1, under(5000), "1000 2000 4000 8000! 6000! 5000 5500! 5000+ 5000+ = 5000", "")
	f(1000, 0.5, under(1000), "1000 2000! 1500! 1000+ 1000+ = 1000", "")
	// The first step may be too much.
	f(1000, 0.2, under(300), "1000! 500! 250 375! 312! 281 281+ 281+ = 281", "")
	// A rate that is not confirmed did not hold: the search goes on below it.
	f(1000, 0.3, func(rate float64, step int) bool { return rate <= 1000 || rate == 2000 && step < 4 },
		"1000 2000 4000! 3000! 2500! 2000!+ 1500! 1250! 1000+ 1000+ = 1000", "")
	// One of two confirmations is not enough.
	f(1000, 0.5, func(rate float64, step int) bool { return rate < 1000 || rate == 1000 && step != 4 },
		"1000 2000! 1500! 1000+ 1000!+ 500 750 750+ 750+ = 750", "")
	f(4, 0.1, under(0), "", "not even 1 records/s did")
	f(1, 0.1, func(float64, int) bool { return true }, "", "did not settle within 64 steps")
}

// TestSearchRun: a search through a client whose latency grows with the rate reports the percentiles
// of the rate it claims, and ends when the client does.
func TestSearchRun(t *testing.T) {
	var rates []float64
	client := func(_ context.Context, _ drive.Target, s workload.Spec, h drive.Hooks) (drive.Outcome, error) {
		if s.Search != nil || s.Duration.D() != 30*time.Second || !s.Open() {
			t.Errorf("%+v", s)
		}
		rates = append(rates, s.Rate)
		h.Begin()
		h.End()
		records := int64(s.Rate * 30)
		p99 := int64(s.Rate * 1000)
		return drive.Outcome{
			Seconds:  30,
			Produced: result.Count{Records: records, Bytes: records * 1024, Requests: records, Seconds: 30},
			Stages: map[string]*result.Histogram{
				"ack": histogram(records, p99), "lag": histogram(records, p99/100),
			},
		}, nil
	}
	o := Options{
		Target: drive.Target{Raw: true}, BrokerPid: -1, Admin: "-", Client: client,
		Spec: workload.Spec{Search: &workload.Search{
			P99: workload.Duration(5 * time.Millisecond), Precision: 0.1,
		}},
	}
	res, err := Run(t.Context(), o)
	if err != nil || res.Error != "" || len(res.Invalid) > 0 {
		t.Fatalf("%v %+v", err, res)
	}
	if res.Loop != "search" || math.Abs(res.AskedRate-5000) > 500 || len(res.Steps) != len(rates) ||
		res.Figures["search_records_per_second"] != res.AskedRate {
		t.Errorf("%+v", res)
	}
	if p99 := res.Stages["ack"].Percentile(99); math.Abs(float64(p99)/(res.AskedRate*1000)-1) > 0.01 {
		t.Errorf("p99 %d at %g records/s", p99, res.AskedRate)
	}
	last := res.Steps[len(res.Steps)-1]
	if !last.Confirms || !last.Held || last.Rate != res.AskedRate {
		t.Errorf("%+v", last)
	}
	o.Client = func(context.Context, drive.Target, workload.Spec, drive.Hooks) (drive.Outcome, error) {
		return drive.Outcome{Errors: map[string]int64{"A": 5}}, errors.New("every request failed for 5s: A")
	}
	res, err = Run(t.Context(), o)
	if err != nil || res.Error != "every request failed for 5s: A" || res.Errors["A"] != 5 || len(res.Steps) != 0 {
		t.Errorf("%v %+v", err, res)
	}
}

// TestSearchOverload: a rate at which every request fails did not hold, if lower ones did; failing
// again at a lower one, or the end of the broker or its disk, ends the search.
func TestSearchOverload(t *testing.T) {
	f := func(from, limit, broken float64, failure error, steps, want string) {
		t.Helper()
		var rates []string
		client := func(_ context.Context, _ drive.Target, s workload.Spec, h drive.Hooks,
		) (drive.Outcome, error) {
			rates = append(rates, fmt.Sprintf("%.0f", s.Rate))
			h.Begin()
			h.End()
			if s.Rate > broken {
				return drive.Outcome{Errors: map[string]int64{"UNANSWERED": 9}}, failure
			}
			out := well(s)
			out.Produced.Records = int64(s.Rate * 30)
			p99 := int64(time.Millisecond)
			if s.Rate > limit {
				p99 = int64(time.Second)
			}
			out.Stages["ack"], out.Stages["lag"] = histogram(10, p99), histogram(10, 1)
			return out, nil
		}
		res, err := Run(t.Context(), Options{
			Target: drive.Target{Raw: true}, BrokerPid: -1, Admin: "-", Client: client,
			Spec: workload.Spec{Search: &workload.Search{
				P99: workload.Duration(5 * time.Millisecond), From: from, Precision: 0.5,
			}},
		})
		if got := strings.Join(rates, " "); err != nil || got != steps || !strings.Contains(res.Error, want) ||
			(want == "") != (res.Error == "") {
			t.Errorf("%v %q\ngot  %s\nwant %s", err, res.Error, got, steps)
		}
		told := slices.ContainsFunc(res.Steps, func(s result.SearchStep) bool {
			return s.Invalid == failure.Error()
		})
		if want == "" && (res.AskedRate != limit || len(res.Errors) > 0 || !told) {
			t.Errorf("rate %g, errors %v, steps %+v", res.AskedRate, res.Errors, res.Steps)
		}
	}
	failing := errors.New("every request failed for 5s: UNANSWERED (9)")
	f(1000, 1500, 1600, failing, "1000 2000 1500 1500 1500", "")
	f(1000, 2000, 3000, failing, "1000 2000 4000 3000 2000 2000", "")
	f(1000, 9000, 2000, failing, "1000 2000 4000 3000", "every request failed")
	f(1000, 9000, 500, failing, "1000", "every request failed")
	f(1000, 9000, 2000, &diskFullError{"/data", 1e6}, "1000 2000 4000", "the disk is nearly full")
}

// TestSearchTopics: each step has topics of its own, and none is left.
func TestSearchTopics(t *testing.T) {
	addr := broker(t)
	adm, err := reach(t.Context(), []string{addr})
	if err != nil {
		t.Fatal(err)
	}
	defer adm.Close()
	ids := map[string]bool{}
	client := func(ctx context.Context, _ drive.Target, s workload.Spec, h drive.Hooks,
	) (drive.Outcome, error) {
		there, err := adm.ListTopics(ctx, s.Topic)
		if err != nil || there.Error() != nil {
			t.Error(err, there.Error())
		}
		ids[there[s.Topic].ID.String()] = true
		h.Begin()
		h.End()
		out := well(s)
		out.Produced.Records = int64(s.Rate * 30)
		out.Stages["ack"], out.Stages["lag"] = histogram(10, int64(s.Rate*1000)), histogram(10, 1)
		return out, nil
	}
	res, err := Run(t.Context(), Options{
		Target: drive.Target{Addrs: []string{addr}}, Client: client,
		Spec: workload.Spec{
			Topic: "steps", Partitions: 2,
			Search: &workload.Search{P99: workload.Duration(2 * time.Millisecond), Precision: 0.5},
		},
	})
	if err != nil || res.Error != "" || len(res.Steps) != len(ids) || len(ids) < 4 {
		t.Errorf("%v %+v, %d topics", err, res, len(ids))
	}
	if there, err := adm.ListTopics(t.Context()); err != nil || len(there) != 0 {
		t.Errorf("%v %v", err, there)
	}
}
