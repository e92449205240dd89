package kgoload

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// setUp writes the preload and connects all clients. A broker that is not there is found out here,
// at once.
func (r *run) setUp(ctx context.Context) error {
	spans, err := r.survey(ctx)
	if err != nil {
		return err
	}
	if r.spec.Mode == workload.Consume || r.spec.Mode == workload.Backlog {
		if spans, err = r.preload(ctx, spans); err != nil {
			return err
		}
		if empty(spans) {
			return fmt.Errorf("topic %s holds no records to read, and no preload was asked for", r.spec.Topic)
		}
	}
	return r.connect(ctx, spans)
}

// connect makes the clients of the run.
func (r *run) connect(ctx context.Context, spans []span) error {
	if r.spec.Produces() {
		if err := r.addProducers(ctx); err != nil {
			return err
		}
	}
	switch r.spec.Mode {
	case workload.Consume:
		return r.addReaders(ctx, spans, true, result.StageFetch)
	case workload.E2E, workload.Mixed:
		return r.addReaders(ctx, tails(spans), false, result.StageFetch)
	case workload.Backlog:
		if err := r.addReaders(ctx, tails(spans), false, result.StageFetch); err != nil {
			return err
		}
		return r.addReaders(ctx, spans, true, result.StageCatchup)
	}
	return nil
}

// survey looks up what each partition's log holds, which also proves that the topics are there.
func (r *run) survey(ctx context.Context) ([]span, error) {
	ctx, cancel := context.WithTimeout(ctx, drive.FailAfter)
	defer cancel()
	a := newAccount(r.clock, r.window, r.main, "")
	r.accounts = append(r.accounts, a)
	client, err := kgo.NewClient(baseOptions(r.target, r.spec, a)...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if err := client.Ping(ctx); err != nil {
		r.missed(a, err)
		return nil, r.connectError("no broker", err)
	}
	admin, topics := kadm.NewClient(client), r.spec.TopicNames()
	starts, err := admin.ListStartOffsets(ctx, topics...)
	if err == nil {
		err = starts.Error()
	}
	var ends kadm.ListedOffsets
	if err == nil {
		ends, err = admin.ListEndOffsets(ctx, topics...)
	}
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		r.missed(a, err)
		return nil, r.connectError("list the offsets of topic "+r.spec.Topic, err)
	}
	return r.spans(starts, ends)
}

// spans puts the offsets of all partitions in order.
func (r *run) spans(starts, ends kadm.ListedOffsets) ([]span, error) {
	var spans []span
	for _, topic := range r.spec.TopicNames() {
		for p := range r.spec.Partitions {
			s, ok1 := starts.Lookup(topic, int32(p))
			e, ok2 := ends.Lookup(topic, int32(p))
			if !ok1 || !ok2 {
				return nil, fmt.Errorf("topic %s has no partition %d: %d were asked for",
					topic, p, r.spec.Partitions)
			}
			spans = append(spans, span{s.Offset, e.Offset})
		}
	}
	return spans, nil
}

// missed counts an error of the set-up, unless a hook has done so.
func (r *run) missed(a *account, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.errors) == 0 && !errors.Is(err, context.Canceled) {
		a.failLocked(err)
	}
}

// addClient connects one kgo client.
func (r *run) addClient(ctx context.Context, a *account, opts []kgo.Opt) (*kgo.Client, error) {
	client, err := kgo.NewClient(append(baseOptions(r.target, r.spec, a), opts...)...)
	if err != nil {
		return nil, err
	}
	r.accounts = append(r.accounts, a)
	r.clients = append(r.clients, client)
	ctx, cancel := context.WithTimeout(ctx, drive.FailAfter)
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		r.missed(a, err)
		return nil, r.connectError("no broker", err)
	}
	return client, nil
}

// addProducers connects the clients that write, one per connection.
func (r *run) addProducers(ctx context.Context) error {
	n := r.spec.Producers * max(1, r.spec.Connections)
	for i := range n {
		a := newAccount(r.clock, r.window, r.main, "",
			result.StageAck, result.StageSend, result.StageWire)
		p := newProducer(a, r.spec, r.size, i, n)
		p.acked = r.acked
		opts, err := producerOptions(r.spec, r.size, p.poolMax)
		if err != nil {
			return err
		}
		if p.client, err = r.addClient(ctx, a, opts); err != nil {
			return err
		}
		r.producers = append(r.producers, p)
	}
	return nil
}

// addReaders connects clients that read spans: those of the spec, or one that catches up.
func (r *run) addReaders(ctx context.Context, spans []span, again bool, stage string) error {
	n := r.spec.Consumers * max(1, r.spec.Connections)
	if stage == result.StageCatchup {
		n = 1
	}
	for i := range n {
		stages := []string{stage}
		if !again {
			stages = append(stages, result.StageE2E)
		}
		a := newAccount(r.clock, r.window, r.main, stage, stages...)
		a.rewinds = again
		c := newConsumer(a, share(r.spec, spans, i, n))
		c.again, c.stamped = again, !again
		client, err := r.addClient(ctx, a, consumerOptions(r.spec, c.starts()))
		if err != nil {
			return err
		}
		c.client = client
		if r.spec.Mode == workload.Backlog && !again {
			c.before, c.during = result.NewHistogram(), result.NewHistogram()
		}
		if stage == result.StageCatchup {
			client.PauseFetchTopics(r.spec.TopicNames()...)
			r.catchup = append(r.catchup, c)
		} else {
			r.consumers = append(r.consumers, c)
		}
	}
	return nil
}

func empty(spans []span) bool {
	for _, s := range spans {
		if s.end > s.start {
			return false
		}
	}
	return true
}

// tails begin where the log ends.
func tails(spans []span) []span {
	at := make([]span, len(spans))
	for i, s := range spans {
		at[i] = span{s.end, s.end}
	}
	return at
}
