package txn

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// Kind says what an input is; it decides which of its other fields are set.
type Kind uint8

const (
	// InitProducerID carries *kmsg.InitProducerIDRequest with a transactional id, and NewProducerID
	// (KIP-98, KIP-360). It is answered by *kmsg.InitProducerIDResponse. A request without a
	// transactional id never comes here: the surroundings give it a producer id by themselves.
	InitProducerID Kind = iota + 1
	// AddPartitions carries Partitions: one transaction of an AddPartitionsToTxn request (see
	// Transactions), whose topics are known to exist and allowed. It is answered by
	// *kmsg.AddPartitionsToTxnResponseTransaction (see ClientTopics). VerifyOnly asks whether the
	// partitions are in the transaction, and adds none (KIP-890, its first half).
	AddPartitions
	// AddOffsets carries *kmsg.AddOffsetsToTxnRequest and OffsetsPartition. It is answered by
	// *kmsg.AddOffsetsToTxnResponse.
	AddOffsets
	// EndTxn carries *kmsg.EndTxnRequest and NewProducerID, and is answered by *kmsg.EndTxnResponse.
	// From version 5 on it is the transaction protocol 2 of KIP-890, whatever is finalized.
	EndTxn
	// MarkersWritten says that markers of a SendMarkers errand are in their partitions, or that
	// there is nothing to write them to; make it with SendMarkers.Written. Nobody waits for it.
	MarkersWritten
	// TimeOut answers the errand NeedProducerID: NewProducerID is set. Nobody waits for it.
	TimeOut
	// Describe asks for TransactionalID (DescribeTransactions), and is answered by
	// *kmsg.DescribeTransactionsResponseTransactionState, with its topics unfiltered.
	Describe
	// List carries *kmsg.ListTransactionsRequest and asks for all of the shard; its key is empty. It
	// is answered by *kmsg.ListTransactionsResponse.
	List
	// SetVersion tells the finalized transaction.version, TxnVersion; its key is empty. Nobody waits.
	SetVersion
	// Timer is one of the machine's own.
	Timer
)

// Input is one thing that happens to a shard of the transaction coordinator. It is used once.
type Input struct {
	Kind Kind
	// Request is the request as decoded (a pointer type of kmsg), for kinds that carry one. Its
	// strings are the input's own and may be kept.
	Request kmsg.Request
	// Version is the request's version, which some rules depend on.
	Version int16
	// TransactionalID is what the input is about: set for every kind but List and SetVersion.
	TransactionalID string
	// Partitions is set for AddPartitions.
	Partitions *kmsg.AddPartitionsToTxnRequestTransaction
	// OffsetsPartition is the partition of __consumer_offsets of an AddOffsets' group.
	OffsetsPartition int32
	// NewProducerID is an unused producer id that the sender offers with InitProducerID, EndTxn and
	// TimeOut; coordinator.NoProducer if none can be had now (which a client is told as
	// COORDINATOR_LOAD_IN_PROGRESS, should one be needed).
	NewProducerID int64
	// TookProducerID is set by the machine: NewProducerID is in use. Otherwise the sender may, when
	// it gets the answer, offer it to another. A refused input that took its id has spent it.
	TookProducerID bool
	// TxnVersion is SetVersion's.
	TxnVersion int16
	// Markers and Written are MarkersWritten's: the errand and those of its partitions that are done.
	Markers *SendMarkers
	Written []TopicPartition
	// Waiter is the surroundings' own: whom the answer is for.
	Waiter any
}

// Key implements coordinator.Input.
func (in *Input) Key() string { return in.TransactionalID }

// Refuse implements coordinator.Input.
func (in *Input) Refuse(code int16) any {
	switch in.Kind {
	case InitProducerID:
		return initRefused(in.Version, code)
	case AddPartitions:
		return partitionsAnswer(in, func(TopicPartition) int16 { return code })
	case AddOffsets:
		return offsetsAnswer(in.Version, code)
	case EndTxn:
		return endAnswer(in.Version, code, coordinator.NoProducer, coordinator.NoProducer)
	case Describe:
		return &kmsg.DescribeTransactionsResponseTransactionState{
			TransactionalID: in.TransactionalID, ErrorCode: code,
		}
	case List:
		r := kmsg.NewPtrListTransactionsResponse()
		r.ErrorCode = code
		return r
	default:
		return nil
	}
}

// TopicPartition names a partition by its topic's name and its number.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// SendMarkers is an errand: a transaction is decided, and its markers are to be written to the leaders
// of Partitions (WriteTxnMarkers, or directly where this broker leads), over and over until each is
// written or can never be. It comes as a pointer, and leaves once the decision is below the high
// watermark. After a reload it comes again with all partitions.
//
// What is done is told by inputs MarkersWritten, in any order, in parts, more than once if need be; the
// last one completes the transaction. A partition is done when its marker is at or below its high
// watermark, when the partition or its topic was deleted, and when its leader answered
// INVALID_PRODUCER_EPOCH (a later producer has been there, so nothing of this transaction can be
// open). TRANSACTION_COORDINATOR_FENCED means that a later leader has taken over: the errand is
// dropped.
type SendMarkers struct {
	TransactionalID string
	ProducerID      int64
	// ProducerEpoch is the marker's epoch, with TxnVersion 2 one above the transaction's records.
	ProducerEpoch int16
	// CoordinatorEpoch is the leader epoch of this shard's partition.
	CoordinatorEpoch int32
	// TxnVersion is the protocol with which the transaction was ended: 0, 1 or 2.
	TxnVersion int16
	Commit     bool
	// Partitions are in order, without duplicates. They are never changed after.
	Partitions []TopicPartition

	// ticket tells this sending from any other of this machine.
	ticket uint64
}

// Written makes the input that says that markers are in these partitions.
func (s *SendMarkers) Written(partitions ...TopicPartition) *Input {
	return &Input{
		Kind: MarkersWritten, TransactionalID: s.TransactionalID, Markers: s, Written: partitions,
	}
}

// NeedProducerID is an errand: a transaction that timed out is to be aborted, and its producer id has
// no epoch left. The answer is an input TimeOut of the same transactional id. The errand comes again if
// there is none until the next scan.
type NeedProducerID struct {
	TransactionalID string
}

// Transactions gives the transactions of an AddPartitionsToTxn request in the form of version 4 and
// later: those that it lists, or the client's one of versions 0 to 3.
func Transactions(req *kmsg.AddPartitionsToTxnRequest) []kmsg.AddPartitionsToTxnRequestTransaction {
	if req.Version >= 4 {
		return req.Transactions
	}
	t := kmsg.AddPartitionsToTxnRequestTransaction{
		TransactionalID: req.TransactionalID,
		ProducerID:      req.ProducerID,
		ProducerEpoch:   req.ProducerEpoch,
		Topics:          make([]kmsg.AddPartitionsToTxnRequestTransactionTopic, 0, len(req.Topics)),
	}
	for _, topic := range req.Topics {
		t.Topics = append(t.Topics, kmsg.AddPartitionsToTxnRequestTransactionTopic{
			Topic: topic.Topic, Partitions: topic.Partitions,
		})
	}
	return []kmsg.AddPartitionsToTxnRequestTransaction{t}
}

// ClientTopics gives the results of a transaction in the form of versions 0 to 3.
func ClientTopics(t *kmsg.AddPartitionsToTxnResponseTransaction) []kmsg.AddPartitionsToTxnResponseTopic {
	topics := make([]kmsg.AddPartitionsToTxnResponseTopic, 0, len(t.Topics))
	for _, topic := range t.Topics {
		parts := make([]kmsg.AddPartitionsToTxnResponseTopicPartition, 0, len(topic.Partitions))
		for _, p := range topic.Partitions {
			parts = append(parts, kmsg.AddPartitionsToTxnResponseTopicPartition{
				Partition: p.Partition, ErrorCode: p.ErrorCode,
			})
		}
		topics = append(topics, kmsg.AddPartitionsToTxnResponseTopic{
			Topic: topic.Topic, Partitions: parts,
		})
	}
	return topics
}

// fencedFor is PRODUCER_FENCED in the words of clients that do not know that code.
func fencedFor(code, version, known int16) int16 {
	if code == wire.CodeProducerFenced && version < known {
		return wire.CodeInvalidProducerEpoch
	}
	return code
}

func initRefused(version, code int16) *kmsg.InitProducerIDResponse {
	r := kmsg.NewPtrInitProducerIDResponse()
	r.ErrorCode = fencedFor(code, version, 4)
	r.ProducerID, r.ProducerEpoch = coordinator.NoProducer, coordinator.NoProducer
	return r
}

func offsetsAnswer(version, code int16) *kmsg.AddOffsetsToTxnResponse {
	r := kmsg.NewPtrAddOffsetsToTxnResponse()
	r.ErrorCode = fencedFor(code, version, 2)
	return r
}

func endAnswer(version, code int16, id int64, epoch int16) *kmsg.EndTxnResponse {
	r := kmsg.NewPtrEndTxnResponse()
	r.ErrorCode = fencedFor(code, version, 2)
	r.ProducerID, r.ProducerEpoch = id, epoch
	return r
}

// partitionsAnswer answers AddPartitions with a code for each partition.
func partitionsAnswer(in *Input, code func(TopicPartition) int16) any {
	r := &kmsg.AddPartitionsToTxnResponseTransaction{TransactionalID: in.TransactionalID}
	if in.Partitions == nil {
		return r
	}
	r.Topics = make([]kmsg.AddPartitionsToTxnResponseTransactionTopic, 0, len(in.Partitions.Topics))
	for _, topic := range in.Partitions.Topics {
		out := kmsg.AddPartitionsToTxnResponseTransactionTopic{
			Topic: topic.Topic,
			Partitions: make([]kmsg.AddPartitionsToTxnResponseTransactionTopicPartition,
				0, len(topic.Partitions)),
		}
		for _, p := range topic.Partitions {
			c := fencedFor(code(TopicPartition{topic.Topic, p}), in.Version, 2)
			out.Partitions = append(out.Partitions,
				kmsg.AddPartitionsToTxnResponseTransactionTopicPartition{Partition: p, ErrorCode: c})
		}
		r.Topics = append(r.Topics, out)
	}
	return r
}
