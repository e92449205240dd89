package broker

import (
	"sync/atomic"

	"sluice/engine/partition"
	"sluice/netpoll"
	"sluice/replication"
	"sluice/wire"
)

// produceOp is the Produce request in process on one connection (KIP-98, 467, 516, 951). It is made
// at the connection's first Produce and used again for each one after.
//
// Every partition goes through: find the replica, check the batch, append, and with acks=all wait
// for the high watermark. In the common case all of that happens before handleProduce returns. An
// append that finds the partition's lock taken or its log dir's gate closed is queued; the frame is
// then kept, and whoever carries the append out settles that partition. pending counts partitions
// that are not settled, plus one for the reactor's own pass; who brings it to zero sends the
// reactor the task that answers.
type produceOp struct {
	r       *request
	request wire.ProduceRequest
	items   []produceItem // one for each of request.Parts
	active  bool
	// unauthorized says that the request has a transactional batch and no transactional id, which
	// fails all of it (TRANSACTIONAL_ID_AUTHORIZATION_FAILED).
	unauthorized bool

	kept    bool // request's slices point into the kept frame
	waits   bool // the request outlived handleProduce
	pending atomic.Int32
	acks    int16 // of the request, for goroutines that must not touch request
	// gaveUp is the code with which waits for acks end from now on: the time is up, or the connection
	// gone. 0 while neither is so.
	gaveUp atomic.Int32
	bytes  int64

	finish netpoll.Task
	timer  netpoll.Timer
	done   func(*partition.Append) // appended, made once
}

// produceItem is one partition of the request.
type produceItem struct {
	replica *replica
	append  partition.Append
	ack     ackWait
	code    int16
	message string
	errors  []wire.RecordError
	// rewritten says that append.Batch is not the request's own bytes.
	rewritten bool
	// verifications counts how often the batch's transaction was verified anew.
	verifications uint8
}

func newProduceOp(r *request) *produceOp {
	op := &produceOp{r: r}
	op.finish.Run = op.complete
	op.done = op.appended
	op.timer.Fire = op.timeUp
	return op
}

// handleProduce begins a Produce request, on the reactor.
func handleProduce(r *request) {
	if r.produce == nil {
		r.produce = newProduceOp(r)
	}
	op := r.produce
	if err := op.request.Decode(r.body, r.header.APIVersion); err != nil {
		r.b.refuse(r, r.header, err)
		return
	}
	q := &op.request
	op.active, op.kept, op.waits, op.bytes = true, false, false, 0
	op.acks = q.Acks
	op.gaveUp.Store(0)
	op.grow(len(op.request.Parts))
	op.pending.Store(int32(len(op.items)) + 1)
	op.unauthorized = q.TransactionalID == nil && op.transactional()
	for i := range op.items {
		op.start(i)
	}
	if op.pending.Add(-1) == 0 {
		op.complete()
		return
	}
	op.waits = true
	loop := r.conn.Loop()
	r.pause(loop.ReadNs())
	loop.StartTimer(&op.timer, loop.NowNs()+int64(max(op.request.TimeoutMs, 0))*1e6)
}

// transactional reports whether any batch of the request is marked as transactional.
func (op *produceOp) transactional() bool {
	for i := range op.request.Parts {
		b := wire.Batch(op.request.Parts[i].Records)
		if len(b) >= wire.BatchHeaderSize && b.Magic() == wire.MagicV2 && b.IsTransactional() {
			return true
		}
	}
	return false
}

// grow makes room for n items. Pointers into items are handed out only while the request is in
// process, when it does not grow.
func (op *produceOp) grow(n int) {
	if cap(op.items) < n {
		op.items = make([]produceItem, n)
	}
	op.items = op.items[:n]
}

// start takes one partition as far as it goes without waiting.
func (op *produceOp) start(i int) {
	it := &op.items[i]
	*it = produceItem{ack: ackWait{op: op, index: i}}
	op.find(i)
	if it.code == wire.CodeNone {
		op.check(i)
	}
	if it.code != wire.CodeNone {
		op.pending.Add(-1)
		return
	}
	op.submit(i)
}

// find looks the partition up and applies the checks that need no batch.
func (op *produceOp) find(i int) {
	it, q := &op.items[i], &op.request
	part := &q.Parts[i]
	t := &q.Topics[part.Topic]
	byID := q.Version >= produceByID
	it.replica = op.r.b.resolve(byID, t.Name, t.ID, part.Index)
	switch {
	case op.unauthorized:
		it.code = wire.CodeTransactionalIDAuthorizationFailed
	case q.Acks < -1 || q.Acks > 1:
		it.code = wire.CodeInvalidRequiredAcks
	case it.replica == nil && byID && op.r.b.topics.identified(t.ID) == nil:
		it.code = wire.CodeUnknownTopicID
	case it.replica == nil:
		it.code = wire.CodeUnknownTopicOrPartition
	case it.replica.topic.internal && string(op.r.header.ClientID) != adminClientID:
		it.code = wire.CodeInvalidTopicException
	case q.Acks == replication.AcksAll && it.replica.underMinISR.Load():
		it.code = wire.CodeNotEnoughReplicas
	default:
		_, it.code = it.replica.logOrError()
	}
}

const (
	produceByID int16 = 13
	// adminClientID is the one client that may write to internal topics (Kafka's AdminUtils).
	adminClientID = "__admin_client"
)

// check validates the batch and prepares the append.
func (op *produceOp) check(i int) {
	it, q := &op.items[i], &op.request
	settings := it.replica.topic.settings.Load()
	loop := op.r.loop()
	rules := &loop.rules
	*rules = settings.rules
	rules.ProduceVersion = q.Version
	rules.NowMs = loop.nowMs(op.r.b.env.NowMs, op.r.startedNs)
	info, invalid := loop.validator.Validate(q.Parts[i].Records, rules)
	if invalid != nil {
		it.code, it.message = invalid.Code, invalid.Message
		it.errors = append([]wire.RecordError(nil), invalid.Records...)
		return
	}
	batch := info.Batch
	if info.Rewrite {
		if batch = op.rewrite(it, &info, settings); batch == nil {
			return
		}
	}
	it.append.Batch = batch
	it.append.LeaderEpoch = it.replica.leaderEpoch.Load()
	it.append.Origin = partition.FromClient
	if q.Version >= produceAdds {
		it.append.TxnVersion = partition.TxnVersionEpochs
	}
	it.append.NowMs = rules.NowMs
	it.replica.topic.metrics.in(len(batch), int(info.Count))
	op.bytes += int64(len(batch))
}

// rewrite compresses the records as the topic wants them; the new batch is the item's own.
func (op *produceOp) rewrite(it *produceItem, info *wire.BatchInfo, s *topicSettings) wire.Batch {
	out, err := op.r.loop().recompressor.Recompress(
		nil, info.Batch, info.Target, s.level(info.Target), s.rules.DecompressedBytesMax)
	if err != nil {
		it.code, it.message = wire.CodeUnknownServerError, err.Error()
		return nil
	}
	loop := op.r.loop()
	if invalid := loop.validator.CheckRewritten(wire.Batch(out), &loop.rules); invalid != nil {
		it.code, it.message = invalid.Code, invalid.Message
		return nil
	}
	it.rewritten = true
	return wire.Batch(out)
}

// submit appends the batch, or queues it.
func (op *produceOp) submit(i int) {
	it := &op.items[i]
	log := it.replica.log.Load()
	if log.TrySubmit(&it.append) {
		if it.append.Unverified || op.mustWait(it) {
			op.keep() // The answer will come after this turn, and names the request's topics.
		}
		op.settle(i)
		return
	}
	op.keep()
	it.append.Done, it.append.Context = op.done, it
	if log.Submit(&it.append) {
		op.settle(i)
	}
}

// keep moves the request's bytes out of the buffer that the reactor's connections share, so that
// queued batches can outlive this turn. Batches that were rewritten lie elsewhere anyway.
func (op *produceOp) keep() {
	if op.kept {
		return
	}
	op.kept = true
	h, body, err := wire.ParseRequestHeader(op.r.conn.Keep())
	if err == nil {
		err = op.request.Decode(body, h.APIVersion)
	}
	if err != nil || len(op.request.Parts) != len(op.items) {
		panic("BUG: a kept frame differs from the one that was lent")
	}
	op.r.header, op.r.body = h, body
	for i := range op.items {
		if it := &op.items[i]; it.append.Batch != nil && !it.rewritten {
			it.append.Batch = wire.Batch(op.request.Parts[i].Records)
		}
	}
}

// appended is partition.Append's Done: it comes on whichever goroutine appended.
func (op *produceOp) appended(a *partition.Append) {
	op.settle(a.Context.(*produceItem).ack.index)
}

// mustWait says whether a finished append still has to wait for the high watermark.
func (op *produceOp) mustWait(it *produceItem) bool {
	return op.acks == replication.AcksAll && it.append.Code == wire.CodeNone &&
		it.replica.highWatermark.Load() <= it.append.LastOffset
}

// settle takes one partition on from the outcome of its append; any goroutine.
func (op *produceOp) settle(i int) {
	it := &op.items[i]
	switch {
	case it.append.Unverified:
		op.verify(i)
		return
	case it.outdated():
		op.verifyAnew(i)
		return
	}
	it.code = it.append.Code
	if it.code == wire.CodeNone && op.acks == replication.AcksAll {
		waiting, code := it.replica.awaitAck(&it.ack, it.append.LastOffset)
		gaveUp := int16(op.gaveUp.Load())
		switch {
		case !waiting:
			it.code = code
		case gaveUp == 0 || !it.replica.waiters.dropAck(&it.ack):
			return
		default:
			it.code = gaveUp // Nobody waits any more: giveUp came before this wait was there to end.
		}
	}
	op.release()
}

// acked ends an acks=all wait; it comes with the append lock and the waiters' lock held.
func (op *produceOp) acked(i int, code int16) {
	op.items[i].code = code
	op.release()
}

// release counts one partition as settled. The reactor's own pass keeps the count above zero, so
// that whoever reaches zero here is a goroutine to which the request does not belong.
func (op *produceOp) release() {
	if op.pending.Add(-1) == 0 {
		op.r.conn.Loop().Post(&op.finish)
	}
}

// timeUp gives up on acks that have not come: the records stay in the log (REQUEST_TIMED_OUT).
func (op *produceOp) timeUp() { op.giveUp(wire.CodeRequestTimedOut) }

// abandon gives up because the connection is gone. Queued appends still run to their end, since the
// log holds their bytes; then complete ends the request.
func (op *produceOp) abandon() { op.giveUp(wire.CodeNetworkException) }

func (op *produceOp) giveUp(code int16) {
	if !op.active {
		return
	}
	op.gaveUp.Store(int32(code))
	for i := range op.items {
		it := &op.items[i]
		if it.replica != nil && it.replica.waiters.dropAck(&it.ack) {
			it.code = code
			op.release()
		}
	}
}

// complete answers, on the reactor.
func (op *produceOp) complete() {
	r := op.r
	if op.waits {
		loop := r.conn.Loop()
		r.resume(loop.ReadNs())
		loop.StopTimer(&op.timer)
	}
	failed := false
	for i := range op.items {
		if it := &op.items[i]; it.code != wire.CodeNone {
			failed = true
			if it.replica != nil {
				it.replica.topic.metrics.failed(it.code, len(op.request.Parts[i].Records))
			}
		}
	}
	r.produced(op.bytes, failed)
	acks := op.request.Acks
	if acks != replication.AcksNone {
		op.answer()
	}
	op.clear()
	switch {
	case acks != replication.AcksNone:
		r.respond()
	case failed:
		r.b.refuse(r, r.header, errAcksZero)
	default:
		r.done()
	}
}

// clear lets go of everything that the request pointed to.
func (op *produceOp) clear() {
	clear(op.items)
	op.items = op.items[:0]
	if cap(op.items) > itemsKeepMax {
		op.items = nil
	}
	op.request.Reset()
	op.active = false
}

// itemsKeepMax is the largest table of items that a connection keeps between requests.
const itemsKeepMax = 1024

// answer appends the response.
func (op *produceOp) answer() {
	q := &op.request
	chain := op.r.begin()
	topics := 0
	for t := range q.Topics {
		if q.Topics[t].From < q.Topics[t].To {
			topics++
		}
	}
	buf := wire.AppendProduceResponseStart(chain.Buf, q.Version, topics)
	lost := false
	for t := range q.Topics {
		topic := &q.Topics[t]
		if topic.From == topic.To {
			continue // A topic without partitions is left out.
		}
		buf = wire.AppendProduceTopicStart(
			buf, q.Version, topic.Name, topic.ID, int(topic.To-topic.From))
		for i := topic.From; i < topic.To; i++ {
			p := op.outcome(int(i))
			lost = lost || p.Leader.Set
			buf = wire.AppendProducePartition(buf, q.Version, &p)
		}
		buf = wire.AppendProduceTopicEnd(buf, q.Version)
	}
	var endpoints []wire.NodeEndpoint
	if lost {
		endpoints = op.r.b.ownEndpoint(op.r.conn.Listener())
	}
	chain.Buf = wire.AppendProduceResponseEnd(buf, q.Version, 0, endpoints)
}

// framed says that records are exactly one batch of format 2: what is refused for more than its
// frame has met the log.
func framed(records []byte) bool {
	b := wire.Batch(records)
	return len(b) >= wire.BatchHeaderSize && b.Magic() == wire.MagicV2 && b.Length() == len(b)
}

// metLog says that item i was refused by the log, of which Kafka then tells where it starts. What a
// transaction's coordinator refuses has not met it, nor has, in Kafka, a transaction of an old epoch.
func (op *produceOp) metLog(i int) bool {
	it, records := &op.items[i], op.request.Parts[i].Records
	if !framed(records) || it.append.Unverified {
		return false
	}
	return it.code != wire.CodeInvalidProducerEpoch || !wire.Batch(records).IsTransactional()
}

func (op *produceOp) outcome(i int) wire.ProducePartition {
	it := &op.items[i]
	p := wire.ProducePartition{
		Index: op.request.Parts[i].Index, ErrorCode: it.code,
		BaseOffset: -1, LogAppendTimeMs: -1, LogStartOffset: -1,
		RecordErrors: it.errors, ErrorMessage: it.message,
	}
	op.r.erred(it.code)
	switch it.code {
	case wire.CodeNone:
		p.BaseOffset = it.append.BaseOffset
		p.LogAppendTimeMs = it.append.LogAppendTimeMs
		p.LogStartOffset = it.append.LogStartOffset
	case wire.CodeUnknownServerError, wire.CodeInvalidTimestamp, wire.CodeInvalidRecord,
		wire.CodeOutOfOrderSequenceNumber, wire.CodeInvalidProducerEpoch,
		wire.CodeNotEnoughReplicas, wire.CodeInvalidTxnState, wire.CodeTransactionAbortable:
		if log := it.replica.log.Load(); log != nil && op.metLog(i) {
			p.LogStartOffset = log.StartOffset()
		}
	case wire.CodeNotLeaderOrFollower, wire.CodeFencedLeaderEpoch:
		p.Leader = wire.CurrentLeader{
			LeaderID: op.r.b.nodeID, LeaderEpoch: it.replica.leaderEpoch.Load(), Set: true,
		}
	}
	return p
}
