package broker

import (
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog/config"
	"sluice/engine/txn"
	"sluice/wire"
)

// noProducer stands for no producer id and no producer epoch.
const noProducer = -1

// handleInitProducerID gives an idempotent producer its id (KIP-98): a fresh one with epoch 0, also
// when the producer brings an id of its own, as ids need no fencing without a transactional id. With
// one, the transaction's coordinator answers.
func handleInitProducerID(b *Broker, to *answerTo, q kmsg.Request) {
	req := q.(*kmsg.InitProducerIDRequest)
	p := kmsg.NewPtrInitProducerIDResponse()
	p.ProducerID, p.ProducerEpoch = noProducer, noProducer
	switch {
	case (req.ProducerID == noProducer) != (req.ProducerEpoch == noProducer):
		p.ErrorCode = wire.CodeInvalidRequest
		to.answer(p)
	case req.TransactionalID != nil && *req.TransactionalID == "":
		p.ErrorCode = wire.CodeInvalidRequest
		to.answer(p)
	case req.TransactionalID != nil:
		in := &txn.Input{
			Kind: txn.InitProducerID, Request: req, Version: req.Version,
			TransactionalID: *req.TransactionalID,
		}
		b.offer(in)
		b.toTxn(in, func(response any) { to.answer(response.(kmsg.Response)) })
	default:
		to.answer(b.newProducer(p))
	}
}

// newProducer gives an id to a producer without a transactional id.
func (b *Broker) newProducer(p *kmsg.InitProducerIDResponse) *kmsg.InitProducerIDResponse {
	id, err := b.producerID()
	if err != nil {
		// Kafka's code for "no block of ids has arrived yet", which every client retries.
		b.log.Error("no producer id to give", "error", err)
		p.ErrorCode = wire.CodeCoordinatorLoadInProgress
		return p
	}
	p.ProducerID, p.ProducerEpoch = id, 0
	return p
}

// transactionTimeoutMaxMs is transaction.max.timeout.ms, which cannot change while the broker runs.
func transactionTimeoutMaxMs(static config.Map) int32 {
	const key = "transaction.max.timeout.ms"
	value, ok := static.Get(key)
	if !ok {
		value = config.BrokerDef(key).Default
	}
	ms, err := strconv.ParseInt(strings.TrimSpace(value), 10, 32)
	if err != nil {
		panic("BUG: " + key + "=" + value + " got past validation")
	}
	return int32(ms)
}
