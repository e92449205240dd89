package broker

import (
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog/config"
	"sluice/wire"
)

// noProducer stands for no producer id and no producer epoch.
const noProducer = -1

// handleInitProducerID gives an idempotent producer its id (KIP-98): a fresh one with epoch 0, also
// when the producer brings an id of its own, as ids need no fencing without a transactional id.
func handleInitProducerID(b *Broker, _ *request, q kmsg.Request) kmsg.Response {
	req := q.(*kmsg.InitProducerIDRequest)
	p := kmsg.NewPtrInitProducerIDResponse()
	p.ProducerID, p.ProducerEpoch = noProducer, noProducer
	p.ErrorCode = checkInitProducerID(req, transactionTimeoutMaxMs(b.cfg.Static))
	if p.ErrorCode != wire.CodeNone {
		return p
	}
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

// checkInitProducerID refuses what cannot be served. Transactional ids need a coordinator, which
// this broker has none of: COORDINATOR_NOT_AVAILABLE says just that, and promises nothing.
func checkInitProducerID(req *kmsg.InitProducerIDRequest, timeoutMaxMs int32) int16 {
	switch {
	case (req.ProducerID == noProducer) != (req.ProducerEpoch == noProducer):
		return wire.CodeInvalidRequest
	case req.TransactionalID == nil:
		return wire.CodeNone
	case *req.TransactionalID == "":
		return wire.CodeInvalidRequest
	case req.TransactionTimeoutMillis <= 0 || req.TransactionTimeoutMillis > timeoutMaxMs:
		return wire.CodeInvalidTransactionTimeout
	default:
		return wire.CodeCoordinatorNotAvailable
	}
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
