package broker

import (
	"cmp"
	"path/filepath"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
	"sluice/wire"
)

// handleDescribeLogDirs tells what lies in each log dir and how much room it has (KIP-113, 827,
// 1066). There are no future replicas: this broker does not move logs between its dirs.
func handleDescribeLogDirs(b *Broker, _ *request, q kmsg.Request) kmsg.Response {
	req := q.(*kmsg.DescribeLogDirsRequest)
	byDir := map[*logDir][]*replica{}
	keep := func(r *replica) { byDir[b.replicaDir(r)] = append(byDir[b.replicaDir(r)], r) }
	if req.Topics == nil {
		b.topics.eachReplica(keep)
	} else {
		b.eachNamedReplica(req, keep)
	}
	var cordoned []catalog.UUID
	if self := b.image().Broker(b.nodeID); self != nil {
		cordoned = self.CordonedLogDirs
	}
	p := kmsg.NewPtrDescribeLogDirsResponse()
	for _, d := range b.dirs {
		p.Dirs = append(p.Dirs, describeDir(d, byDir[d], cordoned))
	}
	return p
}

// eachNamedReplica calls f for the replicas that the request names and that are here, each once.
func (b *Broker) eachNamedReplica(req *kmsg.DescribeLogDirsRequest, f func(*replica)) {
	seen := map[*replica]bool{}
	for i := range req.Topics {
		t := b.topics.namedString(req.Topics[i].Topic)
		if t == nil {
			continue
		}
		for _, index := range req.Topics[i].Partitions {
			if r := t.replica(index); r != nil && !seen[r] {
				seen[r] = true
				f(r)
			}
		}
	}
}

func describeDir(
	d *logDir, replicas []*replica, cordoned []catalog.UUID,
) kmsg.DescribeLogDirsResponseDir {
	out := kmsg.NewDescribeLogDirsResponseDir()
	out.Dir = absolute(d.path)
	if d.failed.Load() {
		out.ErrorCode = wire.CodeKafkaStorageError
		return out
	}
	out.IsCordoned = slices.Contains(cordoned, d.id)
	// What is unknown stays -1.
	if free, total, err := d.dir.Space(); err == nil {
		out.UsableBytes, out.TotalBytes = free, total
	}
	slices.SortFunc(replicas, func(x, y *replica) int {
		return cmp.Or(cmp.Compare(x.topic.name, y.topic.name), cmp.Compare(x.index, y.index))
	})
	for _, r := range replicas {
		log, code := r.logOrError()
		if code != wire.CodeNone {
			continue
		}
		if n := len(out.Topics); n == 0 || out.Topics[n-1].Topic != r.topic.name {
			t := kmsg.DescribeLogDirsResponseDirTopic{Topic: r.topic.name}
			out.Topics = append(out.Topics, t)
		}
		t := &out.Topics[len(out.Topics)-1]
		t.Partitions = append(t.Partitions, kmsg.DescribeLogDirsResponseDirTopicPartition{
			Partition: r.index, Size: log.SizeBytes(),
			OffsetLag: max(0, r.highWatermark.Load()-log.LEO()),
		})
	}
	return out
}

// absolute is a dir's path as Kafka shows it.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
