package kgoload

import (
	"fmt"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/workload"
)

const (
	batchBytesMin = 512 // kgo's lower bound of ProducerBatchMaxBytes
	batchHeader   = 61  // bytes of a v2 batch before its records (Kafka's message format, section 3)
	// answerBytesMin is kgo's default bound on an answer.
	answerBytesMin = 100 << 20
	// poolBytesMax bounds the records that all producers of a run hold, in bytes of their values
	// and of what keeps them.
	poolBytesMax = 512 << 20
	// slotBytes is about what a record in the pool takes beside its value.
	slotBytes = 400
	// openSeconds of the asked rate fit into the pool of an open loop, if poolBytesMax allows.
	openSeconds = 5
	poolMin     = 64
	// partitionsInFlight bounds the partitions that a closed loop fills at once.
	partitionsInFlight = 256
)

// baseOptions are those of every client.
func baseOptions(target drive.Target, spec *workload.Spec, hook kgo.Hook) []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(target.Addrs...),
		kgo.ClientID("sluice-bench-kgo"),
		kgo.WithHooks(hook),
		// KIP-714 telemetry would be requests that nobody asked for.
		kgo.DisableClientMetrics(),
		kgo.DialTimeout(drive.FailAfter),
		kgo.RequestTimeoutOverhead(drive.FailAfter),
		kgo.RequestRetries(2),
		kgo.RetryTimeout(drive.FailAfter),
		// After a failure: look for the new leader at once, not after kgo's 5 s.
		kgo.MetadataMinAge(250_000_000),
		kgo.BrokerMaxReadBytes(int32(min(1<<30, max(answerBytesMin, 2*spec.FetchBytes)))),
	}
}

// producerOptions are those of a client that writes, with at most buffered records in it.
func producerOptions(spec *workload.Spec, size workload.Size, buffered int) ([]kgo.Opt, error) {
	codec, err := codecOf(spec.Compression)
	if err != nil {
		return nil, err
	}
	batch := batchBytes(spec, size)
	opts := []kgo.Opt{
		kgo.ProducerBatchMaxBytes(int32(batch)),
		kgo.ProducerLinger(spec.Linger.D()),
		kgo.ProducerBatchCompression(codec),
		// A promise runs before its record stops being counted; room for it keeps Produce from
		// blocking when the record is used again at once.
		kgo.MaxBufferedRecords(buffered + poolMin),
		kgo.RecordRetries(0),
		kgo.RecordPartitioner(partitioner(spec, batch)),
	}
	switch spec.Acks {
	case 0:
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()))
	case 1:
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()))
	default:
		opts = append(opts, kgo.RequiredAcks(kgo.AllISRAcks()))
	}
	if !spec.Idempotence {
		opts = append(opts, kgo.DisableIdempotentWrite(),
			kgo.MaxProduceRequestsInflightPerBroker(spec.InFlight))
	}
	return opts, nil
}

// consumerOptions are those of a client that reads.
func consumerOptions(spec *workload.Spec, from map[string]map[int32]kgo.Offset) []kgo.Opt {
	return []kgo.Opt{
		kgo.ConsumePartitions(from),
		kgo.FetchMaxBytes(int32(spec.FetchBytes)),
		kgo.FetchMaxPartitionBytes(int32(spec.FetchBytes)),
		kgo.FetchMinBytes(int32(spec.FetchMinBytes)),
		kgo.FetchMaxWait(spec.FetchWait.D()),
		kgo.WithPools(&recordPool{}),
	}
}

// batchBytes is kgo's bound on a batch.
func batchBytes(spec *workload.Spec, size workload.Size) int {
	bytes := spec.BatchBytes
	if spec.BatchRecords > 0 {
		bytes = min(bytes, workload.BatchSize(spec.BatchRecords, keyBytes(spec), size.Max()))
	}
	return min(max(bytes, batchBytesMin), 1<<30)
}

// keyBytes is the length of a key, -1 where keys are null.
func keyBytes(spec *workload.Spec) int {
	if spec.Keys == 0 {
		return -1
	}
	return workload.KeyBytes
}

// partitioner spreads null keys evenly, a batch at a time (KIP-794) or record by record where
// batches are single records, and hashes keys as Kafka's own clients do (murmur2).
func partitioner(spec *workload.Spec, batch int) kgo.Partitioner {
	if spec.Keys == 0 && spec.BatchRecords == 1 {
		return kgo.RoundRobinPartitioner()
	}
	return kgo.UniformBytesPartitioner(batch, false, true, nil)
}

// poolSize is how many records a client may have outstanding; see the package comment.
func poolSize(spec *workload.Spec, size workload.Size, clients int) int {
	partitions := min(max(1, spec.Topics*spec.Partitions), partitionsInFlight)
	want := 2 * (spec.InFlight + 1) * partitions * max(1, spec.BatchFit(int(size.Mean())))
	switch {
	case spec.Rate > 0:
		want = max(want, int(min(1e9, spec.Rate/float64(clients)*openSeconds)), poolMin)
	case spec.BatchRecords == 1:
		// As many records as requests: more would only be put together into larger batches.
		return spec.InFlight
	default:
		want = max(want, poolMin)
	}
	fits := poolBytesMax / clients / (size.Max() + workload.KeyBytes + slotBytes)
	return max(1, min(want, fits))
}

func codecOf(name string) (kgo.CompressionCodec, error) {
	switch name {
	case "", "none":
		return kgo.NoCompression(), nil
	case "gzip":
		return kgo.GzipCompression(), nil
	case "snappy":
		return kgo.SnappyCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "zstd":
		return kgo.ZstdCompression(), nil
	}
	return kgo.NoCompression(), fmt.Errorf(
		"compression %q: must be none, gzip, snappy, lz4 or zstd", name)
}

// recordPool lends kgo the slices that it decodes a batch's records into before it makes its own
// records of them (kgo.PoolKRecords).
type recordPool struct {
	mu   sync.Mutex // guards free
	free [][]kmsg.Record
}

// recordPoolMax is how many slices are kept.
const recordPoolMax = 64

// GetKRecords gives a slice with room for n.
func (p *recordPool) GetKRecords(n int) []kmsg.Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.free) - 1; i >= 0; i-- {
		if s := p.free[i]; cap(s) >= n {
			p.free = slices.Delete(p.free, i, i+1)
			return s
		}
	}
	return make([]kmsg.Record, 0, n)
}

// PutKRecords takes a slice back.
func (p *recordPool) PutKRecords(s []kmsg.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) < recordPoolMax {
		p.free = append(p.free, s)
	}
}
