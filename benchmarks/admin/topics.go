package admin

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
	"sluice/wire"
)

// Stages of mode topics beside those of package result.
const (
	StageMetadataAll = "metadata_all" // Metadata of all topics of the run
	StageDescribe    = "describe"     // DescribeTopicPartitions of one topic
)

const (
	// createBatch is how many topics a request creates or deletes.
	createBatch = 100
	// askTimeout bounds one request; readyTimeout the wait for leaders; deleteTimeout the cleaning.
	askTimeout    = 30 * time.Second
	readyTimeout  = 60 * time.Second
	deleteTimeout = 60 * time.Second
)

// Topics carries out mode topics.
func Topics(ctx context.Context, target drive.Target, spec workload.Spec, hooks drive.Hooks,
) (drive.Outcome, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(target.Addrs...), kgo.ClientID("sluice-bench"),
		kgo.DisableClientMetrics(), kgo.RequestRetries(0), kgo.RetryTimeout(askTimeout),
		kgo.RequestTimeoutOverhead(askTimeout), kgo.DialTimeout(stepTimeout))
	if err != nil {
		return drive.Outcome{}, err
	}
	defer cl.Close()
	r := &roster{
		cl: cl, spec: spec, tally: newTally(), names: spec.TopicNames(),
		figures: map[string]float64{},
	}
	stop := r.tally.live(hooks, func() int64 { return 0 })
	start := time.Now()
	call(hooks.Begin)
	err = r.create(ctx)
	if err == nil {
		err = r.awaitLeaders(ctx)
	}
	r.figures["create_and_lead_seconds"] = time.Since(start).Seconds()
	if err == nil {
		err = r.probe(ctx)
	}
	end := time.Since(start)
	call(hooks.End)
	stop()
	interrupted := ctx.Err() != nil
	if !spec.Keep {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTimeout)
		defer cancel()
		if e := r.remove(clean); e != nil && err == nil {
			err = e
		}
	}
	out := r.tally.outcome(end, interrupted)
	out.Figures = r.figures
	if interrupted {
		err = ctx.Err()
	}
	return out, err
}

// roster is the topics of a run. All is done by one goroutine.
type roster struct {
	cl      *kgo.Client
	spec    workload.Spec
	tally   *tally
	names   []string
	created []string
	ids     map[string][16]byte
	leaders map[string][]int32
	figures map[string]float64
	// failingSince is when requests began to fail without one that succeeded.
	failingSince time.Time
}

// timed sends one request and records its time; a failure is counted under its name. check finds
// an error inside an answer.
func timed[R kmsg.Response](ctx context.Context, r *roster, stage string,
	send func(ctx context.Context) (R, error), check func(R) error,
) (R, error) {
	limited, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	start := time.Now()
	resp, err := send(limited)
	took := time.Since(start)
	if err == nil {
		err = check(resp)
	}
	switch {
	case err == nil:
		r.tally.record(stage, took)
		r.failingSince = time.Time{}
	case ctx.Err() != nil:
		return resp, ctx.Err()
	default:
		r.tally.fail(errorName(err))
		if r.failingSince.IsZero() {
			r.failingSince = start
		}
		if time.Since(r.failingSince) >= drive.FailAfter {
			return resp, &givenUpError{fmt.Errorf("every request failed for %s: %s", drive.FailAfter,
				describe(err))}
		}
	}
	return resp, err
}

// givenUpError ends a run.
type givenUpError struct{ error }

func (r *roster) create(ctx context.Context) error {
	start := time.Now()
	for at := 0; at < len(r.names); at += createBatch {
		names := r.names[at:min(at+createBatch, len(r.names))]
		req := kmsg.NewPtrCreateTopicsRequest()
		req.TimeoutMillis = int32(askTimeout.Milliseconds())
		for _, name := range names {
			req.Topics = append(req.Topics, r.topic(name))
		}
		resp, err := timed(ctx, r, result.StageCreate,
			func(ctx context.Context) (*kmsg.CreateTopicsResponse, error) {
				return req.RequestWith(ctx, r.cl)
			},
			func(resp *kmsg.CreateTopicsResponse) error {
				for _, t := range resp.Topics {
					if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
						return fmt.Errorf("topic %s: %w", t.Topic, err)
					}
				}
				return nil
			})
		if resp != nil {
			for _, t := range resp.Topics {
				if t.ErrorCode == 0 {
					r.created = append(r.created, t.Topic)
				}
			}
		}
		if err != nil {
			return fmt.Errorf("creating topics: %w", err)
		}
	}
	took := time.Since(start).Seconds()
	r.figures["topics"] = float64(len(r.names))
	r.figures["partitions"] = float64(len(r.names) * r.spec.Partitions)
	r.figures["create_topics_per_second"] = float64(len(r.names)) / took
	r.figures["create_partitions_per_second"] = float64(len(r.names)*r.spec.Partitions) / took
	return nil
}

func (r *roster) topic(name string) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, int32(r.spec.Partitions), -1
	if r.spec.Replication > 0 {
		t.ReplicationFactor = int16(r.spec.Replication)
	}
	for k, v := range r.spec.TopicConfig {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = k, kmsg.StringPtr(v)
		t.Configs = append(t.Configs, c)
	}
	return t
}

// metadata asks about topics and checks that each of their partitions is led.
func (r *roster) metadata(ctx context.Context, stage string, names ...string,
) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	return timed(ctx, r, stage,
		func(ctx context.Context) (*kmsg.MetadataResponse, error) { return req.RequestWith(ctx, r.cl) },
		func(resp *kmsg.MetadataResponse) error {
			for _, t := range resp.Topics {
				if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
					return err
				}
				for _, p := range t.Partitions {
					if p.ErrorCode != 0 || p.Leader < 0 {
						return kerr.LeaderNotAvailable
					}
				}
			}
			return nil
		})
}

// awaitLeaders asks for all topics until all partitions are led. These answers are not in the run's
// figures: the first of them wait for what is just being made.
func (r *roster) awaitLeaders(ctx context.Context) error {
	waiting := &roster{cl: r.cl, spec: r.spec, tally: newTally()}
	deadline := time.Now().Add(readyTimeout)
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		resp, err := waiting.metadata(ctx, StageMetadataAll, r.names...)
		if err == nil {
			r.learn(resp)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, gone := errors.AsType[*givenUpError](err); gone && !errors.Is(err, kerr.LeaderNotAvailable) ||
			time.Now().After(deadline) {
			return fmt.Errorf("the topics are not ready: %w", err)
		}
		sleep(ctx, pause)
	}
}

// learn notes ids and leaders.
func (r *roster) learn(resp *kmsg.MetadataResponse) {
	r.ids, r.leaders = map[string][16]byte{}, map[string][]int32{}
	for _, t := range resp.Topics {
		if t.Topic == nil {
			continue
		}
		leaders := make([]int32, len(t.Partitions))
		for _, p := range t.Partitions {
			if p.Partition >= 0 && int(p.Partition) < len(leaders) {
				leaders[p.Partition] = p.Leader
			}
		}
		r.ids[*t.Topic], r.leaders[*t.Topic] = t.TopicID, leaders
	}
}

// probe asks about random topics by turns until the time is over.
func (r *roster) probe(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(r.spec.Seed, 1))
	end := time.Now().Add(r.spec.Duration.D())
	for turn := 0; time.Now().Before(end) && ctx.Err() == nil; turn++ {
		name := r.names[rng.IntN(len(r.names))]
		var err error
		switch turn % 4 {
		case 0:
			_, err = r.metadata(ctx, result.StageMetadata, name)
		case 1:
			_, err = r.metadata(ctx, StageMetadataAll, r.names...)
		case 2:
			err = r.describe(ctx, name)
		default:
			err = r.produce(ctx, name, rng.IntN(max(1, len(r.leaders[name]))))
		}
		if gone, ok := errors.AsType[*givenUpError](err); ok {
			return gone
		}
	}
	return nil
}

func (r *roster) describe(ctx context.Context, name string) error {
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	t := kmsg.NewDescribeTopicPartitionsRequestTopic()
	t.Topic = name
	req.Topics = append(req.Topics, t)
	_, err := timed(ctx, r, StageDescribe,
		func(ctx context.Context) (*kmsg.DescribeTopicPartitionsResponse, error) {
			return req.RequestWith(ctx, r.cl)
		},
		func(resp *kmsg.DescribeTopicPartitionsResponse) error {
			for _, t := range resp.Topics {
				if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
					return err
				}
			}
			return nil
		})
	return err
}

// produce writes one record straight to the partition's leader.
func (r *roster) produce(ctx context.Context, name string, partition int) error {
	if partition >= len(r.leaders[name]) {
		return nil
	}
	b := wire.NewBatchBuilder()
	b.Append(time.Now().UnixMilli(), nil, make([]byte, max(0, r.spec.RecordSizes().Min())))
	records, err := b.Build(nil)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = int16(r.spec.Acks), int32(askTimeout.Milliseconds())
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.TopicID = name, r.ids[name]
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = int32(partition), records
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	leader := r.cl.Broker(int(r.leaders[name][partition]))
	_, err = timed(ctx, r, result.StageAck,
		func(ctx context.Context) (*kmsg.ProduceResponse, error) {
			resp, err := leader.Request(ctx, req)
			if err != nil {
				return nil, err
			}
			return resp.(*kmsg.ProduceResponse), nil
		},
		func(resp *kmsg.ProduceResponse) error {
			for _, t := range resp.Topics {
				for _, p := range t.Partitions {
					if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
						return err
					}
				}
			}
			return nil
		})
	return err
}

// remove deletes the topics that were created.
func (r *roster) remove(ctx context.Context) error {
	start, failed := time.Now(), []string{}
	for at := 0; at < len(r.created); at += createBatch {
		names := r.created[at:min(at+createBatch, len(r.created))]
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.TimeoutMillis = int32(askTimeout.Milliseconds())
		req.TopicNames = names
		for _, name := range names {
			t := kmsg.NewDeleteTopicsRequestTopic()
			t.Topic = kmsg.StringPtr(name)
			req.Topics = append(req.Topics, t)
		}
		_, err := timed(ctx, r, result.StageDelete,
			func(ctx context.Context) (*kmsg.DeleteTopicsResponse, error) {
				return req.RequestWith(ctx, r.cl)
			},
			func(resp *kmsg.DeleteTopicsResponse) error {
				for _, t := range resp.Topics {
					if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
						return err
					}
				}
				return nil
			})
		if err != nil {
			failed = append(failed, fmt.Sprintf("%s … (%d): %s", names[0], len(names), describe(err)))
		}
		if ctx.Err() != nil {
			break
		}
	}
	if len(r.created) > 0 {
		r.figures["delete_topics_per_second"] = float64(len(r.created)) / time.Since(start).Seconds()
	}
	if len(failed) > 0 {
		return fmt.Errorf("topics were left behind: %s", strings.Join(failed, "; "))
	}
	return nil
}
