package kgoload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/workload"
)

const (
	preloadValues = 256      // different values that a preload is made of
	preloadBuffer = 64 << 20 // bytes that it keeps in kgo
)

// preload writes what modes consume and backlog read, to those partitions that hold nothing. It
// gives the spans as they are then.
func (r *run) preload(ctx context.Context, spans []span) ([]span, error) {
	var lacking []int
	for i, s := range spans {
		if s.start == s.end {
			lacking = append(lacking, i)
		}
	}
	if n := len(spans) - len(lacking); n > 0 {
		r.notes = append(r.notes, fmt.Sprintf(
			"%d of %d partitions held records already and were read as they are", n, len(spans)))
	}
	if len(lacking) == 0 || r.spec.Preload == 0 {
		return spans, nil
	}
	spec := *r.spec
	spec.Rate, spec.Idempotence, spec.InFlight, spec.Linger = 0, false, max(5, spec.InFlight), 0
	if spec.Acks == 0 {
		spec.Acks = 1
	}
	opts, err := producerOptions(&spec, r.size, int(r.spec.Preload))
	if err != nil {
		return nil, err
	}
	a := newAccount(r.clock, r.window, r.main, "")
	r.accounts = append(r.accounts, a)
	opts = append(append(baseOptions(r.target, r.spec, a), opts...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(1<<20),
		kgo.MaxBufferedBytes(max(preloadBuffer, 2*r.size.Max())))
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if err := r.fill(ctx, client, a, &spec, lacking); err != nil {
		return nil, fmt.Errorf("preload: %w", err)
	}
	return r.survey(ctx)
}

// fill writes about as many bytes to each of the partitions, a batch at a time, and waits for all
// acknowledgements. It gives up if none comes for FailAfter.
func (r *run) fill(
	ctx context.Context, client *kgo.Client, a *account, spec *workload.Spec, partitions []int,
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var progress atomic.Int64
	progress.Store(r.clock.now())
	promise := func(_ *kgo.Record, err error) {
		if err == nil {
			progress.Store(r.clock.now())
			return
		}
		if fromBroker(err) {
			a.fail(err)
		}
		cancel(err)
	}
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel(nil)
	watch.Go(func() {
		ticker := time.NewTicker(watchEvery)
		defer ticker.Stop()
		for ctx.Err() == nil {
			if r.clock.now()-progress.Load() > int64(drive.FailAfter) {
				cancel(fmt.Errorf("no record was acknowledged for %v", drive.FailAfter))
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
	})
	r.fillBatches(ctx, client, spec, partitions, promise)
	if err := client.Flush(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return ctx.Err()
}

// fillBatches hands all records to kgo, unless ctx ends.
func (r *run) fillBatches(
	ctx context.Context, client *kgo.Client, spec *workload.Spec, partitions []int,
	promise func(*kgo.Record, error),
) {
	values := r.preloadValues(spec)
	topics, batch := spec.TopicNames(), batchBytes(spec, r.size)
	key := make([]byte, workload.KeyBytes)
	made := 0
	for left := r.spec.Preload; left > 0 && ctx.Err() == nil; {
		for _, index := range partitions {
			for bytes := workload.BatchSize(0, 0, 0); bytes < batch && ctx.Err() == nil; made++ {
				value := values[made%len(values)]
				size := workload.RecordSizeAt(0, keyBytes(spec), len(value))
				record := &kgo.Record{
					Topic: topics[index/spec.Partitions], Partition: int32(index % spec.Partitions),
					Value: value,
				}
				if spec.Keys > 0 {
					record.Key = append([]byte(nil), keyText(key, made%spec.Keys)...)
				}
				client.Produce(ctx, record, promise)
				bytes += size
				left -= int64(size)
			}
		}
	}
}

// preloadValues makes values of the spec's sizes. Records share them, since nobody changes them.
func (r *run) preloadValues(spec *workload.Spec) [][]byte {
	p := newProducer(newAccount(r.clock, r.window, "", ""), spec, r.size, 0, 1)
	values := make([][]byte, preloadValues)
	for i := range values {
		values[i] = p.newSlot().value[:r.size.Next(p.rng)]
	}
	return values
}
