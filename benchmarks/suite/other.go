package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/benchmarks/measure"
	"sluice/benchmarks/peers"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// startPairs is how often each broker is started.
const startPairs = 5

// runStarts times brokers from exec to the first acknowledged record, on an empty data dir.
func (s *stage) runStarts(ctx context.Context) error {
	contenders := s.contenders([]Contender{kafka, sluice})
	if len(contenders) == 0 {
		return nil
	}
	if err := s.brokers.pauseAll(); err != nil {
		return err
	}
	c := Case{ID: startCase, Title: "Start to first ack", Mode: workload.Produce}
	return s.carryOut(ctx, rounds{
		id: startCase, wished: startPairs, names: names(contenders),
		seconds: func() float64 { return startPairSeconds },
		pair: func(ctx context.Context, pair int) error {
			return s.eachTurn(ctx, contenders, pair, func(ctx context.Context, contender Contender) error {
				t := turnOf{c: c, contender: contender, pair: pair, turn: s.turn}
				err := s.startTurn(ctx, t)
				if err != nil && ctx.Err() == nil {
					err = errors.Join(err, s.keepFailure(t, err))
				}
				return err
			})
		},
	})
}

func (s *stage) startTurn(ctx context.Context, t turnOf) error {
	if err := s.settle(ctx); err != nil {
		return err
	}
	r, err := s.runStart(ctx, t.contender)
	if err != nil {
		return err
	}
	r.Plan = t.plan()
	s.say("  %-20s pair %d: %.4f s", t.contender.Target, t.pair, r.Figures["start_to_first_ack_s"])
	return s.keep(r)
}

func (s *stage) runStart(ctx context.Context, c Contender) (*result.Result, error) {
	s.brokers.started++
	dir := filepath.Join(s.WorkDir, fmt.Sprintf("%s-%d", c.Target, s.brokers.started))
	began := time.Now()
	host := measure.StartSampler(measure.SamplerOptions{})
	instance, err := s.brokers.startPeer(ctx, c, dir)
	if err != nil {
		host.Stop()
		return nil, err
	}
	firstAck, err := firstAck(ctx, instance)
	usage := host.Stop()
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
		Usage:    &usage,
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

// natsPairs is how often NATS is measured in each of its modes.
const natsPairs = 3

// runNATS measures publish and consume throughput of NATS JetStream.
func (s *stage) runNATS(ctx context.Context) error {
	if len(s.contenders([]Contender{{Target: natsID}})) == 0 {
		return nil
	}
	if err := s.brokers.pauseAll(); err != nil {
		return err
	}
	var instance *peers.Instance
	r := rounds{
		id: natsID + "-" + natsModes[0], beside: natsID + "-" + natsModes[1], wished: natsPairs,
		names: []string{natsID}, seconds: func() float64 { return natsPairSeconds },
	}
	r.failed = func(pair int, why error) error {
		c := Case{ID: r.id, Mode: workload.Produce}
		return s.keepFailures(c, []Contender{{Target: natsID}}, pair, why)
	}
	r.begin = func() (err error) {
		s.brokers.started++
		dir := filepath.Join(s.WorkDir, fmt.Sprintf("nats-%d", s.brokers.started))
		instance, err = s.brokers.startPeer(ctx, Contender{Target: natsID}, dir)
		return err
	}
	r.pair = func(ctx context.Context, pair int) error {
		for _, mode := range natsModes {
			s.turn++
			r, err := s.natsTurn(ctx, instance, mode)
			if err != nil {
				return err
			}
			r.Plan = result.Plan{
				Suite: "NATS JetStream, 1 KiB messages, 16 streams: throughput only", Case: natsID + "-" + mode,
				Pair: pair, Turn: s.turn,
			}
			s.say("  nats %s pair %d: %s", mode, pair, brief(r))
			if err := s.keep(r); err != nil {
				return err
			}
		}
		return nil
	}
	err := s.carryOut(ctx, r)
	if instance != nil {
		err = errors.Join(err, instance.Stop(context.WithoutCancel(ctx)))
	}
	return err
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
	host := measure.StartSampler(measure.SamplerOptions{})
	out, err := cmd.Output()
	usage := host.Stop()
	r.Usage = &usage
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
