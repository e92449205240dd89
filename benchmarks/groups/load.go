package groups

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// withTopic makes the topic with that many partitions, and deletes it afterwards.
func withTopic(ctx context.Context, o *Options, partitions int, run func() error) (err error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(o.Addr))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(ctx, int32(partitions), -1, nil, o.Topic); err != nil {
		return fmt.Errorf("making topic %s: %w", o.Topic, err)
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		if _, e := adm.DeleteTopics(clean, o.Topic); e != nil && err == nil {
			err = fmt.Errorf("deleting topic %s: %w", o.Topic, e)
		}
	}()
	return run()
}

// workers runs n workers until ctx ends, measures meanwhile, and gives the first failure.
func workers(
	parent context.Context, o *Options, p *Part, n int,
	work func(ctx context.Context, i int, t *tally) error,
) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	t := newTally()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if err := work(ctx, i, t); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	err := measured(ctx, o, t, p)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(nil)
	all.Wait()
	return err
}

// commits has each connection commit offsets for a group of its own, without members, several
// requests in flight.
func commits(ctx context.Context, o *Options, p *Part) error {
	return withTopic(ctx, o, o.OffsetsEach, func() error {
		err := workers(ctx, o, p, o.Connections, func(ctx context.Context, i int, t *tally) error {
			group := commitGroup(i)
			addr, err := coordinator(ctx, o.Addr, ofGroup, group)
			if err != nil {
				return err
			}
			c, err := dial(ctx, addr)
			if err != nil {
				return err
			}
			defer c.Close()
			stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
			defer stop()
			return pipeline(c, o, group, t)
		})
		p.Offsets = p.Count * int64(o.OffsetsEach)
		names := make([]string, o.Connections)
		for i := range names {
			names[i] = commitGroup(i)
		}
		deleteGroups(ctx, o.Addr, names)
		return err
	})
}

func commitGroup(i int) string { return fmt.Sprintf("sluice-bench-commits-%d", i) }

// commitOf is a commit as assigned consumers without a group's protocol send it.
func commitOf(o *Options, group string, offset int64) *kmsg.OffsetCommitRequest {
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Version, q.Group, q.Generation = 7, group, -1
	topic := kmsg.OffsetCommitRequestTopic{Topic: o.Topic}
	for i := range o.OffsetsEach {
		topic.Partitions = append(topic.Partitions, kmsg.OffsetCommitRequestTopicPartition{
			Partition: int32(i), Offset: offset, LeaderEpoch: -1,
		})
	}
	q.Topics = []kmsg.OffsetCommitRequestTopic{topic}
	return q
}

// pipeline keeps o.Depth commits in flight.
func pipeline(c *conn, o *Options, group string, t *tally) error {
	p := kmsg.NewPtrOffsetCommitResponse()
	p.Version = 7
	sent := make([]time.Time, 0, o.Depth)
	for n := int64(0); ; n++ {
		if len(sent) == o.Depth {
			if err := c.receive(p); err != nil {
				return err
			}
			t.took(time.Since(sent[0]))
			sent = append(sent[:0], sent[1:]...)
			for _, topic := range p.Topics {
				for _, x := range topic.Partitions {
					if x.ErrorCode != 0 {
						t.failed(x.ErrorCode)
						return fmt.Errorf("a commit was answered %s", codeName(x.ErrorCode))
					}
				}
			}
		}
		sent = append(sent, time.Now())
		if err := c.send(commitOf(o, group, n)); err != nil {
			return err
		}
	}
}

// transactions has each producer write one record in each of its transactions, to a partition of its
// own, with the newest protocol: the broker adds the partition, and ending brings the next epoch.
func transactions(ctx context.Context, o *Options, p *Part) error {
	return withTopic(ctx, o, o.Producers, func() error {
		return workers(ctx, o, p, o.Producers, func(ctx context.Context, i int, t *tally) error {
			x := &producer{o: o, name: fmt.Sprintf("sluice-bench-%d", i), partition: int32(i)}
			if err := x.open(ctx); err != nil {
				return err
			}
			defer x.close()
			stop := context.AfterFunc(ctx, func() {
				_ = x.leader.SetDeadline(time.Unix(1, 0))
				_ = x.coordinator.SetDeadline(time.Unix(1, 0))
			})
			defer stop()
			for {
				began := time.Now()
				if err := x.transaction(t); err != nil {
					return err
				}
				t.took(time.Since(began))
			}
		})
	})
}

// producer is one transactional producer.
type producer struct {
	o                   *Options
	name                string
	partition           int32
	id                  int64
	epoch               int16
	coordinator, leader *conn
}

var errNoProtocol = errors.New("the broker does not run transaction.version 2, whose protocol is measured")

func (x *producer) open(ctx context.Context) error {
	addr, err := coordinator(ctx, x.o.Addr, ofTxn, x.name)
	if err != nil {
		return err
	}
	if x.coordinator, err = dial(ctx, addr); err != nil {
		return err
	}
	// One broker leads all partitions where there is one; a cluster is measured from each of its.
	if x.leader, err = dial(ctx, x.o.Addr); err != nil {
		x.coordinator.Close()
		return err
	}
	q := kmsg.NewPtrInitProducerIDRequest()
	q.Version, q.TransactionalID, q.TransactionTimeoutMillis = 4, &x.name, 60_000
	for {
		p, err := x.coordinator.ask(q)
		if err != nil {
			return err
		}
		got := p.(*kmsg.InitProducerIDResponse)
		switch codeName(got.ErrorCode) {
		case "NONE":
			x.id, x.epoch = got.ProducerID, got.ProducerEpoch
			return nil
		case "CONCURRENT_TRANSACTIONS", "COORDINATOR_LOAD_IN_PROGRESS", "NOT_COORDINATOR":
			if err := pause(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		default:
			return fmt.Errorf("InitProducerId was answered %s", codeName(got.ErrorCode))
		}
	}
}

func (x *producer) close() {
	x.coordinator.Close()
	x.leader.Close()
}

// transaction writes one record and commits.
func (x *producer) transaction(t *tally) error {
	w := wire.NewBatchBuilder()
	w.ProducerID, w.ProducerEpoch, w.BaseSequence, w.Transactional = x.id, x.epoch, 0, true
	w.Append(time.Now().UnixMilli(), nil, make([]byte, 100))
	batch, err := w.Build(nil)
	if err != nil {
		return err
	}
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks, q.TimeoutMillis, q.TransactionID = 12, -1, 10_000, &x.name
	q.Topics = []kmsg.ProduceRequestTopic{{
		Topic: x.o.Topic,
		Partitions: []kmsg.ProduceRequestTopicPartition{
			{Partition: x.partition, Records: batch},
		},
	}}
	for {
		p, err := x.leader.ask(q)
		if err != nil {
			return err
		}
		code := p.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode
		switch codeName(code) {
		case "NONE":
			return x.commit()
		case "CONCURRENT_TRANSACTIONS":
			t.failed(code) // The last transaction's markers are still being written: again.
		default:
			return fmt.Errorf("a record was answered %s", codeName(code))
		}
	}
}

func (x *producer) commit() error {
	q := kmsg.NewPtrEndTxnRequest()
	q.Version, q.TransactionalID, q.Commit = 5, x.name, true
	q.ProducerID, q.ProducerEpoch = x.id, x.epoch
	p, err := x.coordinator.ask(q)
	if err != nil {
		return err
	}
	got := p.(*kmsg.EndTxnResponse)
	if got.ErrorCode != 0 {
		return fmt.Errorf("EndTxn was answered %s", codeName(got.ErrorCode))
	}
	if got.ProducerID < 0 {
		return errNoProtocol
	}
	x.id, x.epoch = got.ProducerID, got.ProducerEpoch
	return nil
}
