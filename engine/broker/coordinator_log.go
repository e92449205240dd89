package broker

import (
	"context"
	"fmt"
	"log/slog"

	"sluice/engine/coordinator"
	"sluice/engine/partition"
	"sluice/wire"
)

// Append implements coordinator.Log: it writes one batch and waits until it is in the log, which is
// its own log dir's business only; nobody holds a lock meanwhile.
func (s *hostedShard[In]) Append(b coordinator.Batch) (lastOffset int64, code int16) {
	nowMs, beganNs := s.host.b.nowMs(), s.host.b.nanotime()
	defer func() { s.host.meter.appended(s.host.b.nanotime()-beganNs, code) }()
	if err := s.build(b, nowMs); err != nil {
		s.host.b.log.Error("BUG: coordinator's batch cannot be built", "shard", s.String(), "error", err)
		return 0, wire.CodeUnknownServerError
	}
	rules := &s.replica.topic.settings.Load().rules
	if int64(len(s.batch)) > int64(rules.MessageBytesMax) {
		return 0, wire.CodeMessageTooLarge
	}
	if s.replica.underMinISR.Load() {
		return 0, wire.CodeNotEnoughReplicas
	}
	a := &s.append
	*a = partition.Append{
		Batch: wire.Batch(s.batch), LeaderEpoch: s.epoch, Origin: partition.FromCoordinator,
		NowMs: nowMs, Guard: b.Guard, Done: a.Done,
	}
	if b.Marker != nil {
		a.TxnVersion = int8(b.Marker.TxnVersion)
	}
	if !s.log.Submit(a) {
		<-s.appended
	}
	return a.LastOffset, a.Code
}

func (s *hostedShard[In]) build(b coordinator.Batch, nowMs int64) (err error) {
	w := s.builder
	w.Reset()
	w.Transactional, w.Control = false, false
	w.ProducerID, w.ProducerEpoch = b.ProducerID, b.ProducerEpoch
	switch {
	case b.Marker != nil:
		w.ProducerID, w.ProducerEpoch = b.Marker.ProducerID, b.Marker.ProducerEpoch
		w.AppendEndTxnMarker(nowMs, b.Marker.Commit, b.Marker.CoordinatorEpoch)
	default:
		w.Transactional = b.ProducerID != coordinator.NoProducer
		for _, r := range b.Records {
			w.Append(nowMs, r.Key, r.Value)
		}
	}
	s.batch, err = w.Build(s.batch[:0])
	return err
}

// loadSlowNs is from how long on a load is told to the operator.
const loadSlowNs = int64(1e9)

// loadBufferBytes is how much of a log is read at once while it is replayed.
const loadBufferBytes = 4 << 20

// load replays the partition into a fresh machine. It runs as the shard.
func (s *hostedShard[In]) load() {
	b, began := s.host.b, s.host.b.nanotime()
	machine := s.host.newMachine(s.index)
	end, records, err := s.replay(machine)
	if err != nil {
		// Serving half of the state would lose offsets: nobody is served until someone looks.
		b.log.Error("coordinator cannot load its partition", "shard", s.String(), "error", err)
		s.mu.Lock()
		s.ending = true
		s.mu.Unlock()
		return
	}
	s.shard = coordinator.NewShard(machine, coordinator.Log(s), end)
	s.shard.Loaded(b.nowMs(), s.epoch)
	tookNs := b.nanotime() - began
	s.mu.Lock()
	s.state, s.poked = shardActive, true
	s.machine, s.loadNs = machine, tookNs
	s.mu.Unlock()
	s.host.meter.loaded(tookNs, records)
	level := slog.LevelDebug // There are a hundred of them; a slow one is news.
	if tookNs > loadSlowNs {
		level = slog.LevelInfo
	}
	b.log.Log(context.Background(), level, "coordinator loaded", "shard", s.String(),
		"records", records, "ms", tookNs/1e6)
}

// replay feeds the machine every record up to the log's end.
func (s *hostedShard[In]) replay(m coordinator.Machine[In]) (end int64, records int64, err error) {
	var scratch wire.Records
	var buf []byte
	from, bound := s.log.StartOffset(), s.log.LEO()
	for from < bound {
		if s.isEnding() {
			return 0, 0, fmt.Errorf("the partition was lost while it was loaded")
		}
		if buf == nil {
			buf = make([]byte, 0, loadBufferBytes)
		}
		batches, next, err := s.log.ReadBatches(buf, from, bound)
		if err != nil {
			return 0, 0, err
		}
		if cap(batches) > cap(buf) {
			buf = batches[:0]
		}
		for rest := batches; len(rest) > 0; {
			var batch wire.Batch
			if batch, rest, err = wire.NextBatch(rest); err != nil {
				return 0, 0, err
			}
			n, err := s.replayBatch(m, batch, &scratch)
			if err != nil {
				return 0, 0, fmt.Errorf("offset %d: %w", batch.BaseOffset(), err)
			}
			records += n
		}
		if len(batches) == 0 && next >= bound {
			break
		}
		from = next
	}
	return bound, records, nil
}

func (s *hostedShard[In]) isEnding() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ending
}

func (s *hostedShard[In]) replayBatch(
	m coordinator.Machine[In], batch wire.Batch, scratch *wire.Records,
) (records int64, err error) {
	if !batch.Intact() {
		return 0, wire.ErrCorrupt
	}
	if batch.IsControl() {
		commit, epoch, ok := partition.ParseMarker(batch)
		if ok {
			m.ReplayMarker(coordinator.Marker{
				ProducerID: batch.ProducerID(), ProducerEpoch: batch.ProducerEpoch(),
				CoordinatorEpoch: epoch, Commit: commit,
			})
		}
		return 0, nil
	}
	producer, epoch := int64(coordinator.NoProducer), int16(coordinator.NoProducer)
	if batch.IsTransactional() {
		producer, epoch = batch.ProducerID(), batch.ProducerEpoch()
	}
	var damaged error
	err = wire.EachRecord(batch, scratch, func(r *wire.Record) bool {
		records++
		if err := m.Replay(coordinator.Record{Key: r.Key, Value: r.Value}, producer, epoch); err != nil {
			damaged = err
		}
		return true
	})
	if damaged != nil {
		// One record that nobody can read must not keep every other group from its offsets.
		s.host.b.log.Warn("coordinator skipped a record it cannot read", "shard", s.String(),
			"batch_offset", batch.BaseOffset(), "error", damaged)
	}
	return records, err
}
