package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// listedTxn is a transactional id as its coordinator lists it (KIP-664).
type listedTxn struct {
	ID          string `json:"transactionalId"`
	State       string `json:"state"`
	ProducerID  int64  `json:"producerId"`
	Coordinator int32  `json:"coordinator"`
}

// txnQuery is what a listing of transactions is bounded to; longerMs of -1 and an empty pattern bound
// nothing (KIP-994, KIP-1152).
type txnQuery struct {
	states    []string
	producers []int64
	longerMs  int64
	pattern   string
}

// listTxns asks every broker for the transactional ids that it coordinates, and returns them in order.
func listTxns(ctx context.Context, cl *kgo.Client, q txnQuery) ([]listedTxn, error) {
	req := kmsg.NewPtrListTransactionsRequest()
	req.StateFilters, req.ProducerIDFilters = q.states, q.producers
	req.DurationFilterMillis = q.longerMs
	if q.pattern != "" {
		req.TransactionalIDPattern = &q.pattern
	}
	txns := []listedTxn{}
	for _, shard := range cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		resp := shard.Resp.(*kmsg.ListTransactionsResponse)
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return nil, fmt.Errorf("broker %d cannot list its transactions: %w", shard.Meta.NodeID,
				explained(err))
		}
		if len(resp.UnknownStateFilters) > 0 {
			return nil, fmt.Errorf("there is no state %s of transactions", resp.UnknownStateFilters[0])
		}
		for _, t := range resp.TransactionStates {
			txns = append(txns,
				listedTxn{t.TransactionalID, t.TransactionState, t.ProducerID, shard.Meta.NodeID})
		}
	}
	slices.SortFunc(txns, func(x, y listedTxn) int { return cmp.Compare(x.ID, y.ID) })
	return txns, nil
}

// txnInfo is what a coordinator says of a transactional id.
type txnInfo struct {
	ID            string           `json:"transactionalId"`
	State         string           `json:"state"`
	ProducerID    int64            `json:"producerId"`
	ProducerEpoch int16            `json:"producerEpoch"`
	Coordinator   int32            `json:"coordinator"`
	TimeoutMs     int32            `json:"timeoutMs"`
	StartMs       *int64           `json:"startMs,omitempty"`
	Partitions    []topicPartition `json:"partitions"`
}

// describeTxn asks a transactional id's coordinator. The error is kerr.TransactionalIDNotFound if there
// is none of this name.
func describeTxn(ctx context.Context, adm *kadm.Client, id string) (*txnInfo, error) {
	described, err := adm.DescribeTransactions(ctx, id)
	if err != nil {
		return nil, err
	}
	d, err := described.On(id, nil)
	if err == nil {
		err = d.Err
	}
	if err != nil {
		return nil, err
	}
	t := &txnInfo{
		ID: id, State: d.State, ProducerID: d.ProducerID, ProducerEpoch: d.ProducerEpoch,
		Coordinator: d.Coordinator, TimeoutMs: d.TimeoutMillis,
		Partitions: append([]topicPartition{}, partitionList(d.Topics)...),
	}
	if d.StartTimestamp >= 0 {
		t.StartMs = &d.StartTimestamp
	}
	return t, nil
}

// txnError words an error about a transactional id.
func txnError(id string, err error) error {
	if errors.Is(err, kerr.TransactionalIDNotFound) {
		return fmt.Errorf("there is no transactional id %s", id)
	}
	return fmt.Errorf("transactional id %s: %w", id, explained(err))
}

// openTxn is a transaction that a partition holds open.
type openTxn struct {
	topicPartition
	ProducerID       int64 `json:"producerId"`
	ProducerEpoch    int16 `json:"producerEpoch"`
	CoordinatorEpoch int32 `json:"coordinatorEpoch"`
	StartOffset      int64 `json:"startOffset"`
	LastMs           int64 `json:"lastTimestampMs"`
}

// hangingScope bounds where to look for transactions that hang: an empty topic, no partitions and a
// broker of -1 bound nothing.
type hangingScope struct {
	topic      string
	partitions []int32
	broker     int32
}

// openTxns returns the transactions that partitions hold open and that have been silent since before a
// time, in order.
func openTxns(ctx context.Context, adm *kadm.Client, scope hangingScope, before time.Time,
) ([]openTxn, error) {
	var names []string
	if scope.topic != "" {
		names = []string{scope.topic}
	}
	all, err := adm.ListTopicsWithInternal(ctx, names...)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		names = all.Names()
	}
	set := kadm.TopicsSet{}
	for _, name := range names {
		parts, err := partitionsOf(all, []string{name}, scope.partitions)
		if err != nil {
			return nil, err
		}
		for _, k := range parts {
			if scope.broker < 0 || all[name].Partitions[k.partition].Leader == scope.broker {
				set.Add(name, k.partition)
			}
		}
	}
	if len(set) == 0 {
		return nil, nil
	}
	described, err := adm.DescribeProducers(ctx, set)
	if err != nil {
		return nil, err
	}
	var open []openTxn
	for _, p := range described.SortedPartitions() {
		if p.Err != nil {
			return nil, fmt.Errorf("topic %s, partition %d: %w", p.Topic, p.Partition, explained(p.Err))
		}
		for _, d := range p.ActiveProducers.Sorted() {
			if d.CurrentTxnStartOffset >= 0 && d.LastTimestamp <= before.UnixMilli() {
				open = append(open, openTxnOf(d))
			}
		}
	}
	return open, nil
}

func openTxnOf(d kadm.DescribedProducer) openTxn {
	return openTxn{
		topicPartition{d.Topic, d.Partition},
		d.ProducerID, d.ProducerEpoch, d.CoordinatorEpoch,
		d.CurrentTxnStartOffset, d.LastTimestamp,
	}
}

// hanging returns those of the open transactions that no coordinator will end: it does not know the
// producer, or knows nothing of its transaction in this partition.
func hanging(ctx context.Context, adm *kadm.Client, cl *kgo.Client, open []openTxn,
) ([]openTxn, error) {
	if len(open) == 0 {
		return nil, nil
	}
	q := txnQuery{longerMs: -1}
	for _, t := range open {
		if !slices.Contains(q.producers, t.ProducerID) {
			q.producers = append(q.producers, t.ProducerID)
		}
	}
	listed, err := listTxns(ctx, cl, q)
	if err != nil {
		return nil, err
	}
	known := map[int64]*txnInfo{}
	for _, l := range listed {
		t, err := describeTxn(ctx, adm, l.ID)
		switch {
		case errors.Is(err, kerr.TransactionalIDNotFound):
		case err != nil:
			return nil, txnError(l.ID, err)
		default:
			known[t.ProducerID] = t
		}
	}
	return slices.DeleteFunc(open, func(o openTxn) bool {
		t := known[o.ProducerID]
		return t != nil && slices.Contains(t.Partitions, o.topicPartition)
	}), nil
}

// openTxnAt finds the open transaction that begins at an offset. The error is errNoOpenTxn if none does.
func openTxnAt(ctx context.Context, adm *kadm.Client, p topicPartition, offset int64) (*openTxn, error) {
	set := kadm.TopicsSet{}
	set.Add(p.Topic, p.Partition)
	described, err := adm.DescribeProducers(ctx, set)
	if err != nil {
		return nil, err
	}
	for _, part := range described.SortedPartitions() {
		if part.Err != nil {
			return nil, part.Err
		}
		for _, d := range part.ActiveProducers.Sorted() {
			if d.CurrentTxnStartOffset == offset && offset >= 0 {
				t := openTxnOf(d)
				return &t, nil
			}
		}
	}
	return nil, errNoOpenTxn
}

// errNoOpenTxn says that no open transaction begins where one was looked for.
var errNoOpenTxn = errors.New("no open transaction begins at this offset")

// abortAt writes an abort marker into one partition, as a coordinator would.
func abortAt(ctx context.Context, adm *kadm.Client, p topicPartition, producer int64, epoch int16,
	coordinatorEpoch int32,
) error {
	set := kadm.TopicsSet{}
	set.Add(p.Topic, p.Partition)
	done, err := adm.WriteTxnMarkers(ctx, kadm.TxnMarkers{
		ProducerID: producer, ProducerEpoch: epoch, CoordinatorEpoch: coordinatorEpoch, Topics: set,
	})
	if err != nil {
		return err
	}
	for _, r := range done.SortedPartitions() {
		if r.Err != nil {
			return r.Err
		}
	}
	return nil
}

// fenceTxn takes a transactional id over as a new producer does, which aborts its open transaction and
// fences whoever had it (KIP-360). It keeps the id's timeout, and waits until the abort is complete.
func fenceTxn(ctx context.Context, adm *kadm.Client, cl *kgo.Client, id string) error {
	t, err := describeTxn(ctx, adm, id)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID = &id
	req.TransactionTimeoutMillis = t.TimeoutMs
	req.ProducerID, req.ProducerEpoch = -1, -1
	for {
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			return err
		}
		err = kerr.ErrorForCode(resp.ErrorCode)
		if !errors.Is(err, kerr.ConcurrentTransactions) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(fenceAgain):
		}
	}
}

// fenceAgain is the pause before a coordinator is asked again that is still ending a transaction.
const fenceAgain = 50 * time.Millisecond
