package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

const (
	// toHighWatermark asks to delete everything that is committed.
	toHighWatermark int64 = -1
	// noLowWatermark stands for none in an answer.
	noLowWatermark int64 = -1
)

// handleDeleteRecords advances logs' start offsets (KIP-107). The answer leaves once that is
// durable, so that records which a client deleted do not come back after a crash.
func handleDeleteRecords(b *Broker, _ *request, q kmsg.Request) kmsg.Response {
	req := q.(*kmsg.DeleteRecordsRequest)
	p := kmsg.NewPtrDeleteRecordsResponse()
	// Of a partition that is named twice the last offset counts.
	offsets := map[partitionKey]int64{}
	for i := range req.Topics {
		for _, part := range req.Topics[i].Partitions {
			offsets[partitionKey{req.Topics[i].Topic, part.Partition}] = part.Offset
		}
	}
	topicAt := map[string]int{}
	var commit startCommits
	for i := range req.Topics {
		name := req.Topics[i].Topic
		for _, part := range req.Topics[i].Partitions {
			key := partitionKey{name, part.Partition}
			offset, ok := offsets[key]
			if !ok {
				continue // Answered already.
			}
			delete(offsets, key)
			at, ok := topicAt[name]
			if !ok {
				at = len(p.Topics)
				topicAt[name] = at
				p.Topics = append(p.Topics, kmsg.DeleteRecordsResponseTopic{Topic: name})
			}
			answer, r := b.deleteRecords(key, offset)
			if r != nil {
				commit.add(b.replicaDir(r), at, len(p.Topics[at].Partitions))
			}
			p.Topics[at].Partitions = append(p.Topics[at].Partitions, answer)
		}
	}
	commit.run(b, p)
	return p
}

// deleteRecords advances one log's start. The replica is nil when the answer is an error.
func (b *Broker) deleteRecords(
	key partitionKey, offset int64,
) (kmsg.DeleteRecordsResponseTopicPartition, *replica) {
	answer := kmsg.NewDeleteRecordsResponseTopicPartition()
	answer.Partition, answer.LowWatermark = key.index, noLowWatermark
	r, code := b.hosted(key.topic, key.index)
	if code == wire.CodeNone {
		answer.LowWatermark, code = b.advanceStart(r, offset)
	}
	answer.ErrorCode = code
	if code != wire.CodeNone {
		return answer, nil
	}
	return answer, r
}

func (b *Broker) advanceStart(r *replica, offset int64) (lowWatermark int64, code int16) {
	if r.topic.internal {
		return noLowWatermark, wire.CodeInvalidTopicException
	}
	log, code := b.ledLog(r, noEpoch, false)
	if code != wire.CodeNone {
		return noLowWatermark, code
	}
	c := &r.topic.settings.Load().config
	if c.CleanupCompact && !c.CleanupDelete {
		return noLowWatermark, wire.CodePolicyViolation
	}
	highWatermark := r.highWatermark.Load()
	if offset == toHighWatermark {
		offset = highWatermark
	}
	if offset < 0 || offset > highWatermark {
		return noLowWatermark, wire.CodeOffsetOutOfRange
	}
	if offset > log.StartOffset() {
		if code := log.AdvanceStartOffset(offset); code != wire.CodeNone {
			return noLowWatermark, code
		}
		// Fetch sessions tell their clients of the new start with their next answer.
		r.waiters.notify(0)
	}
	return log.StartOffset(), wire.CodeNone
}

// startCommits makes start offsets durable, once for each log dir that a request touched.
type startCommits struct {
	dirs []*logDir
	// at are, for each dir, the places of its partitions in the response.
	at [][][2]int
}

func (c *startCommits) add(d *logDir, topic, part int) {
	for i := range c.dirs {
		if c.dirs[i] == d {
			c.at[i] = append(c.at[i], [2]int{topic, part})
			return
		}
	}
	c.dirs = append(c.dirs, d)
	c.at = append(c.at, [][2]int{{topic, part}})
}

// run commits, and turns the answers about a dir that failed to into KAFKA_STORAGE_ERROR.
func (c *startCommits) run(b *Broker, p *kmsg.DeleteRecordsResponse) {
	for i, d := range c.dirs {
		err := d.dir.CommitStartOffsets()
		if err == nil {
			continue
		}
		b.log.Error("start offsets could not be made durable", "dir", d.path, "error", err)
		for _, at := range c.at[i] {
			answer := &p.Topics[at[0]].Partitions[at[1]]
			answer.ErrorCode = wire.CodeKafkaStorageError
			answer.LowWatermark = noLowWatermark
		}
	}
}
