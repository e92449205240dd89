package broker

import (
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"

	"sluice/engine/catalog"
	"sluice/engine/catalog/config"
	"sluice/engine/partition"
)

// act carries out what an applied entry did, with the metadata lock held. What fails here is a disk:
// the partition is then offline, and the metadata stands.
func (b *Broker) act(im *catalog.Image, effects []catalog.Effect) {
	for i := range effects {
		e := &effects[i]
		switch e.Kind {
		case catalog.EffectTopicCreated:
			b.log.Info("topic created", "topic", e.Topic.Name, "id", e.Topic.ID,
				"partitions", e.Topic.PartitionCount())
			b.openTopic(im, e.Topic, nil)
		case catalog.EffectTopicDeleted:
			b.log.Info("topic deleted", "topic", e.Topic.Name, "id", e.Topic.ID)
			b.dropTopic(e.Topic)
		case catalog.EffectPartitionsAdded:
			b.log.Info("partitions added", "topic", e.Topic.Name,
				"partitions", e.Topic.PartitionCount())
			b.growTopic(im, e.Topic)
		case catalog.EffectConfigsChanged:
			b.log.Info("configs changed", "resource", resourceName(e.Resource))
			b.reconfigure(im, e)
		}
	}
}

// resourceName names a resource for the log.
func resourceName(r catalog.Resource) string {
	switch {
	case r.Type == catalog.ResourceTopic:
		return "topic " + r.Name
	case r.Name == "":
		return "all brokers"
	default:
		return "broker " + r.Name
	}
}

// settingsOf resolves a topic's configuration.
func (b *Broker) settingsOf(im *catalog.Image, name string) *topicSettings {
	return newTopicSettings(config.Resolve(b.layersIn(im, name)), b.cfg.DecompressedBatchMax)
}

// openTopic makes the topic's replicas on this broker and publishes it. found says where logs
// that existed before lie.
func (b *Broker) openTopic(im *catalog.Image, ct *catalog.Topic, found foundLogs) *topic {
	t := &topic{name: ct.Name, id: ct.ID, internal: ct.Internal, metrics: b.metrics.topic(ct.Name)}
	t.settings.Store(b.settingsOf(im, ct.Name))
	replicas := b.newReplicas(t, ct, 0, found)
	t.replicas.Store(&replicas)
	b.topics.add(t)
	b.coordinate(t, replicas)
	return t
}

// growTopic adds replicas for new partitions.
func (b *Broker) growTopic(im *catalog.Image, ct *catalog.Topic) {
	t := b.topics.identified(ct.ID)
	if t == nil {
		b.openTopic(im, ct, nil)
		return
	}
	old := *t.replicas.Load()
	grown := append(append([]*replica(nil), old...), b.newReplicas(t, ct, len(old), nil)...)
	t.replicas.Store(&grown)
	b.coordinate(t, grown[len(old):])
}

// openersMax bounds the logs of one topic that are opened at once. Making one waits for the disk a few
// times, and disks serve several who wait better than one after the other.
const openersMax = 16

// newReplicas makes the replicas of the partitions from first on, and opens their logs.
func (b *Broker) newReplicas(t *topic, ct *catalog.Topic, first int, found foundLogs) []*replica {
	replicas := make([]*replica, ct.PartitionCount()-first)
	for i := range replicas {
		index := int32(first + i)
		replicas[i] = b.placeReplica(t, index, ct.Partition(index), found)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(openersMax, len(replicas)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(replicas) {
					return
				}
				if r := replicas[i]; r != nil {
					b.bringUp(r, ct.Partition(r.index))
				}
			}
		})
	}
	wg.Wait()
	return replicas
}

// placeReplica makes one replica, offline, and decides where its log lies. It returns nil for a
// partition that this broker has no replica of.
func (b *Broker) placeReplica(t *topic, index int32, p *catalog.Partition, found foundLogs) *replica {
	at := -1
	for i, id := range p.Replicas {
		if id == b.nodeID {
			at = i
		}
	}
	if at < 0 {
		return nil
	}
	r := &replica{topic: t, index: index, clockMs: b.nowMs}
	r.dir = found.dir(t.id, index)
	if r.dir == nil {
		r.dir = b.placeLog()
	}
	r.offline.Store(true)
	return r
}

// bringUp opens the replica's log; a failure leaves the partition offline.
func (b *Broker) bringUp(r *replica, p *catalog.Partition) {
	if r.dir == nil || r.dir.failed.Load() {
		return
	}
	if err := b.openLog(r, p); err != nil {
		b.log.Error("partition is offline", "topic", r.topic.name, "partition", r.index,
			"dir", r.dir.path, "error", err)
		return
	}
	r.offline.Store(false)
}

// openLog opens the replica's log and takes up leadership.
func (b *Broker) openLog(r *replica, p *catalog.Partition) error {
	settings := r.topic.settings.Load()
	log, recovered, err := partition.Open(partition.Options{
		Dir: r.dir.dir, Topic: r.topic.name, Partition: r.index, TopicID: r.topic.id,
		Config:   settings.log(b.cfg),
		Observer: r,
	})
	if err != nil {
		return err
	}
	if recovered.CutBytes > 0 || recovered.SegmentsDeleted > 0 {
		b.log.Warn("recovery cut the end of a log", "topic", r.topic.name, "partition", r.index,
			"cut_bytes", recovered.CutBytes, "segments_deleted", recovered.SegmentsDeleted,
			"scanned_bytes", recovered.ScannedBytes, "log_end_offset", log.LEO())
	}
	r.highWatermark.Store(min(r.dir.dir.HighWatermark(r.topic.name, r.index), log.LEO()))
	r.log.Store(log)
	if err := r.lead(b.nodeID, p, settings.policy(b.cfg.ReplicaLagTimeMaxMs)); err != nil {
		// A log without a leader must not be found by anyone. Nobody has the replica yet.
		r.log.Store(nil)
		return errors.Join(err, log.Close(false))
	}
	return nil
}

// placeLog picks the healthy log dir with the fewest logs, as Kafka does.
func (b *Broker) placeLog() *logDir {
	var best *logDir
	fewest := 0
	for _, d := range b.dirs {
		if d.failed.Load() {
			continue
		}
		if n := int(d.logs.Load()); best == nil || n < fewest {
			best, fewest = d, n
		}
	}
	if best != nil {
		best.logs.Add(1)
	}
	return best
}

// dropTopic unpublishes the topic, ends what waits on it and deletes its logs.
func (b *Broker) dropTopic(ct *catalog.Topic) {
	t := b.topics.identified(ct.ID)
	if t == nil {
		return
	}
	t.deleted.Store(true)
	b.topics.remove(t)
	b.uncoordinate(t, *t.replicas.Load())
	for _, r := range *t.replicas.Load() {
		if r == nil {
			continue
		}
		r.waiters.notify(progressUnknown)
		if r.dir == nil {
			continue
		}
		r.dir.logs.Add(-1)
		if err := r.deleteLog(); err != nil {
			b.log.Error("deleting a log failed", "topic", t.name, "partition", r.index,
				"dir", r.dir.path, "error", err)
		}
	}
	b.forgetOffsets(t)
	b.metrics.dropTopic(t.name)
}

// deleteLog deletes the replica's log, or the directory of one that could not be opened: left
// there, it would be in the way of a later topic of that name.
func (r *replica) deleteLog() error {
	if log := r.log.Load(); log != nil {
		return r.dir.dir.Delete(log)
	}
	return r.dir.dir.DeleteFound(partition.FoundLog{
		Topic: r.topic.name, Partition: r.index, TopicID: r.topic.id,
	})
}

// reconfigure replaces the settings of the topics that a config change concerns.
func (b *Broker) reconfigure(im *catalog.Image, e *catalog.Effect) {
	switch e.Resource.Type {
	case catalog.ResourceTopic:
		if t := b.topics.namedString(e.Resource.Name); t != nil {
			b.resettle(im, t)
		}
	case catalog.ResourceBroker:
		for _, t := range b.topics.all() {
			b.resettle(im, t)
		}
	}
}

func (b *Broker) resettle(im *catalog.Image, t *topic) {
	settings := b.settingsOf(im, t.name)
	if t.settings.Load().config == settings.config {
		return
	}
	t.settings.Store(settings)
	policy := settings.policy(b.cfg.ReplicaLagTimeMaxMs)
	for _, r := range *t.replicas.Load() {
		if r == nil {
			continue
		}
		if log := r.log.Load(); log != nil {
			log.SetConfig(settings.log(b.cfg))
			log.Locked(func() {
				if r.leader != nil {
					r.follow(r.leader.SetPolicy(policy, b.nowMs()))
					r.publish()
				}
			})
		}
	}
}

// dirFailed takes a log dir and everything on it out of service. The others go on.
func (b *Broker) dirFailed(d *logDir, err error) {
	if !d.failed.CompareAndSwap(false, true) {
		return
	}
	b.log.Error("log dir failed; its partitions are offline", "dir", d.path, "error", err)
	healthy := false
	for _, x := range b.dirs {
		healthy = healthy || !x.failed.Load()
	}
	if !healthy || filepath.Clean(d.path) == filepath.Clean(b.cfg.MetadataDir) {
		b.fail(err)
	}
	go b.topics.eachReplica(func(r *replica) {
		if r.dir == d {
			r.offline.Store(true)
			r.waiters.notify(progressUnknown)
			b.uncoordinate(r.topic, []*replica{r})
		}
	})
}

// fail ends the broker: it cannot keep its promises any more.
func (b *Broker) fail(err error) {
	select {
	case b.fatal <- err:
	default:
	}
}
