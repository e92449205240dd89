package broker

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog/config"
	"sluice/engine/coordinator"
	"sluice/engine/group"
	"sluice/engine/partition"
	"sluice/engine/txn"
	"sluice/wire"
)

type txnShard = hostedShard[*txn.Input]

// newTxnHost makes the host of transaction coordination.
func newTxnHost(b *Broker) *coordinatorHost[*txn.Input] {
	h := newCoordinatorHost[*txn.Input](b, transactionsTopic)
	h.newMachine = func(int32) coordinator.Machine[*txn.Input] { return txn.New(b.txnConfig()) }
	h.deliver = func(r coordinator.Reply[*txn.Input]) {
		b.giveBack(r.To)
		if f, ok := r.To.Waiter.(func(any)); ok {
			r.To.Waiter = nil // Nobody is answered twice, whatever goes wrong after this.
			f(r.Response)
		}
	}
	h.run = b.txnErrand
	return h
}

// txnConfig is what the static configuration says about transactions.
func (b *Broker) txnConfig() txn.Config {
	c := txn.DefaultConfig()
	static := b.cfg.Static
	c.TimeoutMaxMs = transactionTimeoutMaxMs(static)
	c.AbortScanMs = staticNumber(static, "transaction.abort.timed.out.transaction.cleanup.interval.ms")
	c.ExpirationMs = staticNumber(static, "transactional.id.expiration.ms")
	c.ExpirationScanMs = staticNumber(static,
		"transaction.remove.expired.transaction.cleanup.interval.ms")
	c.TxnVersion = b.transactionVersion()
	c.Meter = &b.txnMeter
	return c
}

// staticValue is a key's value in server.properties, or its default.
func staticValue(static config.Map, key string) string {
	if value, ok := static.Get(key); ok {
		return strings.TrimSpace(value)
	}
	return config.BrokerDef(key).Default
}

func staticNumber(static config.Map, key string) int64 {
	n, err := strconv.ParseInt(staticValue(static, key), 10, 64)
	if err != nil {
		panic("BUG: " + key + " got past validation: " + err.Error())
	}
	return n
}

// toTxn sends an input to its transactional id's coordinator.
func (b *Broker) toTxn(in *txn.Input, answer func(response any)) {
	in.Waiter = answer
	b.txns.submit(in)
}

// offer puts an unused producer id into an input that may need one.
func (b *Broker) offer(in *txn.Input) {
	in.NewProducerID = coordinator.NoProducer
	if id, err := b.producerID(); err == nil {
		in.NewProducerID = id
	} else {
		b.log.Error("no producer id to give", "error", err)
	}
}

// giveBack takes an id back that was not needed.
func (b *Broker) giveBack(in *txn.Input) {
	switch in.Kind {
	case txn.InitProducerID, txn.EndTxn, txn.TimeOut:
		if !in.TookProducerID && in.NewProducerID != coordinator.NoProducer {
			b.ids.giveBack(in.NewProducerID)
			in.NewProducerID = coordinator.NoProducer
		}
	}
}

// txnErrand does what a transaction machine asks for.
func (b *Broker) txnErrand(s *txnShard, errand any) {
	switch e := errand.(type) {
	case *txn.SendMarkers:
		b.markerMeter.waiting.Add(int64(len(e.Partitions)))
		b.sendMarkers(s, e, e.Partitions, 0)
	case *txn.NeedProducerID:
		s.host.work.Go(func() { // It may wait for the metadata journal.
			in := &txn.Input{Kind: txn.TimeOut, TransactionalID: e.TransactionalID}
			b.offer(in)
			s.post(in)
		})
	default:
		panic(fmt.Sprintf("BUG: an errand of type %T", errand))
	}
}

// The waits between two attempts to write markers.
const (
	markerRetryMin = 20 * time.Millisecond
	markerRetryMax = time.Second
)

// sendMarkers writes a transaction's markers to those partitions, tells the machine which are done, and
// tries the others again later: a decided transaction must end everywhere.
func (b *Broker) sendMarkers(
	s *txnShard, e *txn.SendMarkers, parts []txn.TopicPartition, attempt int,
) {
	if s.isEnding() {
		b.markerMeter.waiting.Add(-int64(len(parts)))
		return // The next leader finds the transaction in the log.
	}
	round := &markerRound{done: make([]txn.TopicPartition, 0, len(parts))}
	all := gatherParts(len(parts), func() {
		b.markerMeter.round(round)
		if round.fenced {
			return
		}
		if len(round.done) > 0 {
			s.post(e.Written(round.done...))
		}
		if len(round.failed) > 0 {
			wait := min(markerRetryMin<<min(attempt, 10), markerRetryMax)
			time.AfterFunc(wait, func() {
				b.markerMeter.retrying.Add(-int64(len(round.failed)))
				b.sendMarkers(s, e, round.failed, attempt+1)
			})
		}
	})
	marker := coordinator.Marker{
		ProducerID: e.ProducerID, ProducerEpoch: e.ProducerEpoch,
		CoordinatorEpoch: e.CoordinatorEpoch, TxnVersion: e.TxnVersion, Commit: e.Commit,
	}
	for _, p := range parts {
		b.writeMarker(p.Topic, p.Partition, marker, func(code int16) {
			round.add(p, code)
			all.done()
		})
	}
}

// markerRound is one attempt at a transaction's markers.
type markerRound struct {
	// mu guards what follows; the last one to add reads it without.
	mu     sync.Mutex
	done   []txn.TopicPartition
	failed []txn.TopicPartition
	// fenced says that a later term of the coordinator has written markers, lost counts those that it
	// keeps from being written.
	fenced bool
	lost   int
}

func (m *markerRound) add(p txn.TopicPartition, code int16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch code {
	case wire.CodeNone, wire.CodeUnknownTopicOrPartition, wire.CodeInvalidProducerEpoch:
		// Written; or there is nothing to write it to; or a later producer has been there already.
		m.done = append(m.done, p)
	case wire.CodeTransactionCoordinatorFenced:
		m.fenced = true
		m.lost++
	default:
		m.failed = append(m.failed, p)
	}
}

// writeMarker appends a transaction's marker to one partition, and calls then when it is at or below
// the high watermark, or with why it is not there. UNKNOWN_TOPIC_OR_PARTITION says that there is no
// such partition, so that nothing of the transaction is left in it.
func (b *Broker) writeMarker(
	topic string, index int32, m coordinator.Marker, then func(code int16),
) {
	r, code := b.hosted(topic, index)
	if code != wire.CodeNone {
		then(code)
		return
	}
	if topic == offsetsTopic {
		b.endGroupTxn(index, m, then)
		return
	}
	log, code := r.logOrError()
	if code != wire.CodeNone {
		then(code)
		return
	}
	w := wire.NewBatchBuilder()
	w.ProducerID, w.ProducerEpoch = m.ProducerID, m.ProducerEpoch
	now := b.nowMs()
	w.AppendEndTxnMarker(now, m.Commit, m.CoordinatorEpoch)
	batch, err := w.Build(nil)
	if err != nil {
		panic("BUG: a marker cannot be built: " + err.Error())
	}
	a := &partition.Append{
		Batch: wire.Batch(batch), LeaderEpoch: r.leaderEpoch.Load(),
		Origin: partition.FromCoordinator, NowMs: now, TxnVersion: int8(m.TxnVersion),
	}
	a.Done = func(a *partition.Append) { r.replicated(a, then) }
	if log.Submit(a) {
		r.replicated(a, then)
	}
}

// replicated calls then when what was appended is below the high watermark.
func (r *replica) replicated(a *partition.Append, then func(code int16)) {
	if a.Code != wire.CodeNone {
		then(a.Code)
		return
	}
	later := func(code int16) { go then(code) } // It is told under the append lock.
	if waiting, code := r.awaitAck(&ackWait{then: later}, a.LastOffset); !waiting {
		then(code)
	}
}

// endGroupTxn lets the group coordinator of that partition end a transaction: offsets that were
// committed in it become valid or are dropped.
func (b *Broker) endGroupTxn(index int32, m coordinator.Marker, then func(code int16)) {
	s, code := b.groups.shardAt(index)
	if code != wire.CodeNone {
		then(code)
		return
	}
	s.post(&group.Input{
		Kind: group.EndTxn, Marker: &m,
		Waiter: func(response any) { then(response.(int16)) },
	})
}

// addToTxn asks the coordinator to add partitions to a transaction, or, with verifyOnly, whether
// they are in it (KIP-890). then gets the worst code.
func (b *Broker) addToTxn(
	id string, producerID int64, epoch int16, verifyOnly bool,
	topics []kmsg.AddPartitionsToTxnRequestTransactionTopic, then func(code int16),
) {
	in := &txn.Input{
		Kind: txn.AddPartitions, Version: addPartitionsBatch, TransactionalID: id,
		Partitions: &kmsg.AddPartitionsToTxnRequestTransaction{
			TransactionalID: id, ProducerID: producerID, ProducerEpoch: epoch,
			VerifyOnly: verifyOnly, Topics: topics,
		},
	}
	in.Waiter = func(response any) {
		worst := wire.CodeNone
		for _, t := range response.(*kmsg.AddPartitionsToTxnResponseTransaction).Topics {
			for _, p := range t.Partitions {
				switch p.ErrorCode {
				case wire.CodeNone:
				case wire.CodeProducerFenced:
					// Who writes to a partition is told this of its epoch
					// (class AddPartitionsToTxnManager).
					worst = wire.CodeInvalidProducerEpoch
				default:
					worst = p.ErrorCode
				}
			}
		}
		then(worst)
	}
	b.txns.post(in)
}
