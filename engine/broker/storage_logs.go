package broker

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"sluice/engine/catalog"
	"sluice/engine/partition"
)

// epochsPerEntry bounds what one metadata entry of raiseEpochs holds: some hundreds of kilobytes.
const epochsPerEntry = 10_000

// raiseEpochs begins a new leader epoch for every partition led here after an unclean shutdown:
// the log may have lost its unsynced end, and what is appended now in its place must be told apart
// from that (KIP-101).
func (b *Broker) raiseEpochs() error {
	clean := true
	for _, d := range b.dirs {
		ok, _ := d.dir.Clean()
		clean = clean && ok
	}
	if clean {
		return nil
	}
	if n := b.image().PartitionCount(); n > 0 {
		b.log.Info("the last shutdown was not clean: logs are checked from their recovery points, "+
			"and leader epochs raised", "partitions", n)
	}
	return b.raiseEpochsBy(epochsPerEntry)
}

// raiseEpochsBy raises the epochs of at most perEntry partitions with one metadata entry. A crash in
// between raises some of them twice, which is harmless.
func (b *Broker) raiseEpochsBy(perEntry int) error {
	var led []foundKey
	for t := range b.image().Topics {
		for i := range int32(t.PartitionCount()) {
			if t.Partition(i).Leader == b.nodeID {
				led = append(led, foundKey{t.ID, i})
			}
		}
	}
	for some := range slices.Chunk(led, perEntry) {
		err := b.change(func(im *catalog.Image) []catalog.Change {
			changes := make([]catalog.Change, 0, len(some))
			for _, at := range some {
				p := *im.TopicByID(at.id).Partition(at.index)
				p.LeaderEpoch++
				p.PartitionEpoch++
				changes = append(changes,
					catalog.PartitionChanged{TopicID: at.id, Partition: at.index, State: p})
			}
			return changes
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// foundLogs says in which dir an existing log lies.
type foundLogs map[foundKey]*logDir

type foundKey struct {
	id    catalog.UUID
	index int32
}

func (f foundLogs) dir(id catalog.UUID, index int32) *logDir { return f[foundKey{id, index}] }

// strayLog is a log that belongs to no partition in the metadata.
type strayLog struct {
	dir *logDir
	log partition.FoundLog
}

// logsOnDisk is what the log dirs hold.
type logsOnDisk struct {
	found  foundLogs
	strays []strayLog
}

// findLogs looks into all log dirs. Two logs of one partition stop the start, as in Kafka: only a
// person can tell which of them has the records (class LogManager).
func (b *Broker) findLogs() (*logsOnDisk, error) {
	logs := &logsOnDisk{found: foundLogs{}}
	for _, d := range b.dirs {
		list, err := d.dir.Partitions()
		if err != nil {
			return nil, fmt.Errorf("log dir %s: %w", d.path, err)
		}
		for _, l := range list {
			t := claimant(b.image(), l)
			if t == nil {
				logs.strays = append(logs.strays, strayLog{d, l})
				continue
			}
			key := foundKey{t.ID, l.Partition}
			if other := logs.found[key]; other != nil {
				return nil, fmt.Errorf("partition %s-%d is in two log dirs, as %s and as %s; "+
					"move the one that is out of date out of the log dirs", l.Topic, l.Partition,
					logPath(other, l), logPath(d, l))
			}
			d.logs.Add(1)
			logs.found[key] = d
		}
	}
	return logs, nil
}

// claimant is the topic that a log belongs to, or nil.
func claimant(im *catalog.Image, l partition.FoundLog) *catalog.Topic {
	t := im.TopicByID(catalog.UUID(l.TopicID))
	if catalog.UUID(l.TopicID).IsZero() {
		t = im.Topic(l.Topic)
	}
	if t == nil || t.Name != l.Topic || t.Partition(l.Partition) == nil {
		return nil
	}
	return t
}

func logPath(d *logDir, l partition.FoundLog) string {
	return filepath.Join(d.path, fmt.Sprintf("%s-%d", l.Topic, l.Partition))
}

// setAside renames logs that belong to no topic with the suffix -stray, and leaves them for a person
// to decide on, as Kafka does. One that cannot be renamed is in nobody's way but its namesake's.
func (b *Broker) setAside(strays []strayLog) {
	for _, s := range strays {
		from, to := logPath(s.dir, s.log), b.strayPath(s)
		err := b.env.FS.Rename(from, to)
		if err == nil {
			err = b.env.FS.SyncDir(s.dir.path)
		}
		if err != nil {
			b.log.Error("log of an unknown topic could not be set aside", "from", from, "to", to,
				"error", err)
			continue
		}
		b.log.Warn("log of an unknown topic is set aside", "from", from, "to", to)
	}
}

// nameBytesMax is what a file name may have on Linux (NAME_MAX).
const nameBytesMax = 255

// strayPath is Kafka's name for a log set aside, <topic>-<partition>.<uuid>-stray, the topic cut
// short where the whole would be too long for a file name (class UnifiedLog).
func (b *Broker) strayPath(s strayLog) string {
	id := b.newUUID()
	end := fmt.Sprintf("-%d.%x-stray", s.log.Partition, id[:])
	topic := s.log.Topic[:min(len(s.log.Topic), nameBytesMax-len(end))]
	return filepath.Join(s.dir.path, topic+end)
}

// openLogs opens every log of this broker, in parallel.
func (b *Broker) openLogs(found foundLogs) {
	im := b.image()
	workers := max(1, int(b.cfg.RecoveryThreadsPerDir)*len(b.dirs))
	queue := make(chan *catalog.Topic)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for t := range queue {
				b.openTopic(im, t, found)
			}
		})
	}
	for t := range im.Topics {
		queue <- t
	}
	close(queue)
	wg.Wait()
}
