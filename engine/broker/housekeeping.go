package broker

import (
	"context"
	"time"

	"sluice/engine/partition"
)

// housekeepingPeriod is how often the broker looks whether something is due. Everything that it does
// is measured in seconds or minutes.
const housekeepingPeriod = time.Second

// schedule is when each periodic duty is next due, in Unix milliseconds.
type schedule struct {
	highWatermarks, checkpoint, retention, replication int64
}

// housekeeping does what is due until ctx ends: it never runs on a reactor, since it waits for disks.
func (b *Broker) housekeeping(ctx context.Context) {
	ticker := time.NewTicker(housekeepingPeriod)
	defer ticker.Stop()
	b.work.Go(func() { b.cleaner.run(ctx) })
	now := b.nowMs()
	due := schedule{
		highWatermarks: now + b.cfg.HWCheckpointIntervalMs,
		checkpoint:     now + int64(b.cfg.FlushCheckpointMs),
		retention:      now + b.cfg.RetentionCheckMs,
		replication:    now + b.cfg.ReplicaLagTimeMaxMs/2,
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			b.keepHouse(b.nowMs(), &due)
		}
	}
}

func (b *Broker) keepHouse(now int64, due *schedule) {
	for _, d := range b.healthyDirs() {
		d.dir.Tick(now)
	}
	if now >= due.highWatermarks {
		due.highWatermarks = now + b.cfg.HWCheckpointIntervalMs
		b.checkpointHighWatermarks()
	}
	if now >= due.checkpoint {
		due.checkpoint = now + int64(b.cfg.FlushCheckpointMs)
		for _, d := range b.healthyDirs() {
			b.logFailure(d, "checkpoint", d.dir.Checkpoint())
		}
	}
	if now >= due.retention {
		due.retention = now + b.cfg.RetentionCheckMs
		b.retain(now)
	}
	if now >= due.replication {
		due.replication = now + b.cfg.ReplicaLagTimeMaxMs/2
		b.tickReplication(now)
	}
}

func (b *Broker) healthyDirs() []*logDir {
	var list []*logDir
	for _, d := range b.dirs {
		if !d.failed.Load() {
			list = append(list, d)
		}
	}
	return list
}

func (b *Broker) logFailure(d *logDir, what string, err error) {
	if err != nil {
		b.log.Error("log dir housekeeping failed", "dir", d.path, "what", what, "error", err)
	}
}

// checkpointHighWatermarks writes replication-offset-checkpoint in every dir.
func (b *Broker) checkpointHighWatermarks() {
	for _, d := range b.healthyDirs() {
		err := d.dir.CheckpointHighWatermarks(func(l *partition.Log) int64 {
			if t := b.topics.namedString(l.Topic()); t != nil {
				if r := t.replica(l.Partition()); r != nil && r.log.Load() == l {
					return r.highWatermark.Load()
				}
			}
			return 0
		})
		b.logFailure(d, "high watermark checkpoint", err)
	}
}

// retain applies retention.ms and retention.bytes.
func (b *Broker) retain(now int64) {
	obsolete := 0
	b.topics.eachReplica(func(r *replica) {
		if r.offline.Load() {
			return
		}
		obsolete += r.log.Load().ApplyRetention(now, r.highWatermark.Load())
	})
	if obsolete == 0 {
		return
	}
	for _, d := range b.healthyDirs() {
		b.logFailure(d, "retention", d.dir.CommitStartOffsets())
	}
}

// tickReplication lets every leader look for followers that lag.
func (b *Broker) tickReplication(now int64) {
	b.topics.eachReplica(func(r *replica) {
		if r.offline.Load() {
			return
		}
		r.log.Load().Locked(func() {
			if r.leader != nil {
				r.follow(r.leader.Tick(now))
			}
		})
	})
}
