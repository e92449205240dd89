package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sluice/benchmarks/limits"
	"sluice/benchmarks/measure"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// diskDuration is how long the disk's own limit is measured beside each pair, through the page
// cache and with O_DIRECT, each.
const diskDuration = 20 * time.Second

// diskTurn measures what the disk takes without a broker, right before a pair that is held against it.
func (s *stage) diskTurn(ctx context.Context, c Case, pair int) error {
	if err := s.brokers.pauseAll(); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	s.turn++
	dir := filepath.Join(s.WorkDir, "limit-disk")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	host := measure.StartSampler(measure.SamplerOptions{DataDir: dir})
	began := time.Now()
	// Bursts and whatever else the program measures are cut as short as it goes.
	options := limits.IOOptions{
		SustainedSeconds: s.scaled(diskDuration).Seconds(), BurstSeconds: 0.01, StepSeconds: 0.01,
	}
	measured, err := limits.RunIO(ctx, s.programs, dir, options)
	usage := host.Stop()
	if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
		return err
	}
	r, err := diskResult(measured)
	if err != nil {
		return err
	}
	r.Started, r.Usage = began, &usage
	r.Plan = result.Plan{Suite: c.Title, Case: DiskCase(c.ID), Pair: pair, Turn: s.turn}
	s.say("  %-20s pair %d: %.0f MB/s", LimitDisk, pair, r.Produced.MBPerSecond())
	return s.keep(r)
}

// diskResult makes a result of the sustained O_DIRECT append. Its measured time stands in the count
// alone: the label that follows from a run's would speak of a broker's page cache.
func diskResult(measured []limits.Measure) (*result.Result, error) {
	find := func(name string) (limits.Measure, error) {
		i := slices.IndexFunc(measured, func(m limits.Measure) bool { return m.Name == name && m.Value > 0 })
		if i < 0 {
			return limits.Measure{}, fmt.Errorf("limitio did not measure %s", name)
		}
		return measured[i], nil
	}
	direct, err := find(limits.DirectSustained)
	if err != nil {
		return nil, err
	}
	cached, err := find(limits.PageCacheSustained)
	if err != nil {
		return nil, err
	}
	seconds := float64(direct.Bytes) / (direct.Value * 1e9)
	return &result.Result{
		Schema: result.SchemaVersion, Target: result.Target{Name: LimitDisk, Version: "1"}, Loop: "closed",
		Spec:    workload.Spec{Name: "O_DIRECT appends of 1 MiB", Mode: workload.Produce},
		Command: []string{"limitio", "$WORK/limit-disk"},
		Produced: result.Count{
			Records: max(direct.Calls, 1), Requests: max(direct.Calls, 1),
			Bytes: direct.Bytes, Seconds: seconds,
		},
		Figures: map[string]float64{
			"append_direct_sustained_mb_s":     direct.Value * 1e3,
			"append_page_cache_sustained_mb_s": cached.Value * 1e3,
		},
	}, nil
}
