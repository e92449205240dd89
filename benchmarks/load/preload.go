package load

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/workload"
	"sluice/wire"
)

// preloadConnections is how many connections write a preload, if there are as many partitions.
const preloadConnections = 4

// prepare finds out where each partition begins and ends, and writes the preload of modes consume
// and backlog before that. Partitions that hold records already are taken as they are.
func (r *run) prepare(ctx context.Context, v *layout) (bounds, error) {
	b := bounds{start: make([]int64, len(r.cluster.parts)), end: make([]int64, len(r.cluster.parts))}
	if !r.cluster.raw {
		if err := r.readBounds(ctx, v, &b); err != nil {
			return b, err
		}
	}
	if r.spec.Preload == 0 || r.spec.Mode != workload.Consume && r.spec.Mode != workload.Backlog {
		return b, r.readable(b)
	}
	var empty []*partition
	for _, p := range r.cluster.parts {
		if b.start[p.id] == b.end[p.id] {
			empty = append(empty, p)
		}
	}
	if n := len(r.cluster.parts) - len(empty); n > 0 {
		r.note(fmt.Sprintf("%d of %d partitions held records already and were read as they are",
			n, len(r.cluster.parts)))
	}
	if len(empty) == 0 {
		return b, nil
	}
	equal := len(empty) == len(r.cluster.parts)
	if err := r.preload(ctx, v, empty, &b); err != nil {
		return b, fmt.Errorf("preload: %w", err)
	}
	if !equal {
		b.batchBytes, b.batchRecords = 0, 0
	}
	if !r.cluster.raw {
		return b, r.readBounds(ctx, v, &b)
	}
	return b, nil
}

// readable returns an error if there is nothing to read.
func (r *run) readable(b bounds) error {
	if r.spec.Mode != workload.Consume {
		return nil
	}
	for i := range b.start {
		if b.end[i] > b.start[i] {
			return nil
		}
	}
	return errors.New("nothing to consume: the topics are empty and no preload was asked for")
}

func (r *run) readBounds(ctx context.Context, v *layout, b *bounds) (err error) {
	if b.start, err = r.cluster.offsets(ctx, v, offsetsEarliest); err != nil {
		return err
	}
	b.end, err = r.cluster.offsets(ctx, v, offsetsLatest)
	return err
}

// preload writes equal full batches to partitions, as fast as they are acknowledged.
func (r *run) preload(ctx context.Context, v *layout, parts []*partition, b *bounds) error {
	spec := r.spec
	spec.Rate, spec.Idempotence, spec.InFlight = 0, false, 5
	if spec.Acks == 0 {
		spec.Acks = 1
	}
	s, err := newSession(ctx, r.cluster, v, spec, r.maker, 1)
	if err != nil {
		return err
	}
	s.preload = true
	var written []*produceConn
	leaders, led := s.byLeader(parts)
	for _, leader := range leaders {
		for i := range min(preloadConnections, len(led[leader])) {
			p := newGroup(s.threads[0], 1).writer(leader, 0)
			p.firstOffset = map[int]int64{}
			for j := i; j < len(led[leader]); j += preloadConnections {
				s.addClosedLane(p, led[leader][j])
			}
			written = append(written, p)
		}
	}
	perPart := s.planPreload(b)
	s.start.Store(1)
	s.launch()
	err = r.awaitPreload(ctx, s)
	s.finish()
	if err == nil {
		for _, p := range written {
			for id, first := range p.firstOffset {
				b.start[id], b.end[id] = first, first+perPart*b.batchRecords
			}
		}
	}
	return err
}

// planPreload gives each lane its batches and returns how many that are.
func (s *session) planPreload(b *bounds) int64 {
	lanes := s.lanes()
	if len(lanes) == 0 {
		return 0
	}
	variants := 1
	if m := s.maker; m.template != nil && m.codec == wire.CodecNone {
		// All of one size, and yet different: a broker that gave out one batch again and again
		// under other offsets would be found out by nobody else.
		variants = min(variantsMax, max(1, variantBytesMax/m.batchBytes))
	}
	batches := s.maker.fullBatches(lanes[0], s.unixMs(), variants)
	b.batchBytes, b.batchRecords = sizeOf(&batches[0])
	total := (s.spec.Preload + b.batchBytes - 1) / b.batchBytes
	perPart := (total + int64(len(lanes)) - 1) / int64(len(lanes))
	for _, l := range lanes {
		l.full, l.left = batches, perPart
	}
	return perPart
}

// awaitPreload waits until all is acknowledged. Any failure ends it: what is read later must be
// known to be there.
func (r *run) awaitPreload(ctx context.Context, s *session) error {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case sec := <-s.seconds:
			r.live(drive.Tick{Warmup: true, Elapsed: time.Duration(s.now()), Point: sec.point})
			sec.main.Reset()
			s.spares <- sec.main
		case <-look.C:
			failure := func(g *gauges) *atomic.Int64 { return &g.failure }
			if s.latest(failure) != 0 {
				s.finish()
				return fmt.Errorf("writing failed: %s", listErrors(s.threads[0].tally.early))
			}
			success := max(1, s.latest(func(g *gauges) *atomic.Int64 { return &g.success }))
			if s.now()-success > int64(r.drainMax) {
				return errors.New("the broker does not answer")
			}
			if s.total(func(g *gauges) *atomic.Int64 { return &g.inFlight }) == 0 {
				return nil
			}
		}
	}
}
