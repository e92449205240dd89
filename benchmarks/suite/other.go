package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/benchmarks/peers"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// startPairs is how often each broker is started.
const startPairs = 5

// runStarts times brokers from exec to the first acknowledged record, on an empty data dir.
func (o *Options) runStarts(ctx context.Context, brokers *stable, turn *int) error {
	contenders := o.contenders([]Contender{kafka, sluice})
	pairs := startPairs
	if o.PairsMax > 0 {
		pairs = min(pairs, o.PairsMax)
	}
	if err := brokers.pauseAll(); err != nil {
		return err
	}
	if err := o.supersede(startCase); err != nil {
		return err
	}
	o.say("case %s: %d pairs", startCase, pairs)
	for pair := range pairs {
		order := slices.Clone(contenders)
		if pair%2 == 1 {
			slices.Reverse(order)
		}
		for _, c := range order {
			*turn++
			if err := o.settle(ctx); err != nil {
				return err
			}
			r, err := o.runStart(ctx, brokers, c)
			if err != nil {
				return err
			}
			r.Plan = result.Plan{Suite: "Start to first ack", Case: startCase, Pair: pair, Turn: *turn}
			o.say("  %-20s pair %d: %.4f s", c.Target, pair, r.Figures["start_to_first_ack_s"])
			if err := o.keep(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *Options) runStart(ctx context.Context, brokers *stable, c Contender) (*result.Result, error) {
	brokers.started++
	dir := filepath.Join(o.WorkDir, fmt.Sprintf("%s-%d", c.Target, brokers.started))
	began := time.Now()
	instance, err := brokers.startPeer(ctx, c, dir)
	if err != nil {
		return nil, err
	}
	firstAck, err := firstAck(ctx, instance)
	if err = errors.Join(err, instance.Stop(ctx)); err != nil {
		return nil, err
	}
	b := ofInstance(instance, c)
	return &result.Result{
		Schema: result.SchemaVersion, Target: b.target, Started: began, Seconds: firstAck.Seconds(),
		Spec:    workload.Spec{Name: startCase, Mode: workload.Produce, Topic: "first"},
		Command: []string{"exec, ApiVersions answered, topic created, one record acknowledged (acks=all)"},
		Figures: map[string]float64{
			"start_to_first_ack_s":    firstAck.Seconds(),
			"start_to_first_answer_s": instance.ReadyAfter.Seconds(),
		},
		Produced: result.Count{Records: 1, Requests: 1, Seconds: firstAck.Seconds()},
	}, nil
}

// firstAck makes a topic and writes one record, as an application that finds a fresh broker does.
func firstAck(ctx context.Context, i *peers.Instance) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(i.Addr),
		kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(-1),
		kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RetryBackoffFn(func(int) time.Duration { return time.Millisecond }),
		kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	record := &kgo.Record{Topic: "first", Value: []byte("first")}
	if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
		return 0, fmt.Errorf("first record: %w", err)
	}
	return time.Since(i.Started), nil
}

// natsReport is what the NATS driver prints.
type natsReport struct {
	Records int64            `json:"records"`
	Bytes   int64            `json:"bytes"`
	Seconds float64          `json:"seconds"`
	Errors  map[string]int64 `json:"errors"`
	Note    string           `json:"note"`
}

var natsModes = []string{"publish", "consume"}

// runNATS measures publish and consume throughput of NATS JetStream, three times each.
func (o *Options) runNATS(ctx context.Context, brokers *stable, turn *int) error {
	if err := brokers.pauseAll(); err != nil {
		return err
	}
	for _, mode := range natsModes {
		if err := o.supersede("nats-" + mode); err != nil {
			return err
		}
	}
	brokers.started++
	dir := filepath.Join(o.WorkDir, fmt.Sprintf("nats-%d", brokers.started))
	instance, err := brokers.startPeer(ctx, Contender{Target: "nats"}, dir)
	if err != nil {
		return err
	}
	for pair := range 3 {
		for _, mode := range natsModes {
			*turn++
			r, runErr := o.natsTurn(ctx, instance, mode)
			if runErr != nil {
				return errors.Join(runErr, instance.Stop(context.WithoutCancel(ctx)))
			}
			r.Plan = result.Plan{
				Suite: "NATS JetStream, 1 KiB messages, 16 streams: throughput only", Case: "nats-" + mode,
				Pair: pair, Turn: *turn,
			}
			o.say("  nats %s pair %d: %s", mode, pair, brief(r))
			if err := o.keep(r); err != nil {
				return errors.Join(err, instance.Stop(context.WithoutCancel(ctx)))
			}
		}
	}
	return instance.Stop(ctx)
}

func (o *Options) natsTurn(ctx context.Context, i *peers.Instance, mode string) (*result.Result, error) {
	if err := o.settle(ctx); err != nil {
		return nil, err
	}
	args := []string{
		mode, "-addr", i.Addr, "-warmup", o.scaled(2 * time.Second).String(),
		"-duration", o.scaled(6 * time.Second).String(),
	}
	cmd := exec.CommandContext(ctx, i.Driver, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	r := &result.Result{
		Schema: result.SchemaVersion, Started: time.Now(), Loop: "closed",
		Target:  result.Target{Name: i.Name, Version: i.Version, Addr: i.Addr, Command: i.Command},
		Command: append([]string{filepath.Base(i.Driver)}, args...),
	}
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var said natsReport
	if err == nil {
		err = json.Unmarshal(out, &said)
	}
	if err != nil {
		r.Error = fmt.Sprintf("%v: %.500s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	count := result.Count{
		Records: said.Records, Bytes: said.Bytes, Requests: said.Records, Seconds: said.Seconds,
	}
	r.Seconds, r.Errors, r.Notes = said.Seconds, said.Errors, []string{said.Note}
	if mode == "publish" {
		r.Spec.Mode, r.Produced = workload.Produce, count
	} else {
		r.Spec.Mode, r.Consumed = workload.Consume, count
	}
	return r, nil
}
