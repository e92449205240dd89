package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// TestInternalTopicsAreNotAdded: a client cannot write to the coordinators' topics by way of a
// transaction, and what it names beside them is not attempted; brokers, whose requests are of version
// 4, can (class KafkaApis).
func TestInternalTopicsAreNotAdded(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t)
	q := kmsg.NewPtrAddPartitionsToTxnRequest()
	q.Version, q.TransactionalID = 3, "t"
	for _, name := range []string{"a", offsetsTopic} {
		x := kmsg.NewAddPartitionsToTxnRequestTopic()
		x.Topic, x.Partitions = name, []int32{0}
		q.Topics = append(q.Topics, x)
	}
	codes := map[string]int16{}
	for _, x := range tb.roundTrip(q).(*kmsg.AddPartitionsToTxnResponse).Topics {
		codes[x.Topic] = x.Partitions[0].ErrorCode
	}
	if codes["a"] != wire.CodeOperationNotAttempted ||
		codes[offsetsTopic] != wire.CodeTopicAuthorizationFailed {
		t.Errorf("version 3: %v", codes)
	}
	b := kmsg.NewPtrAddPartitionsToTxnRequest()
	b.Version = addPartitionsBatch
	b.Transactions = []kmsg.AddPartitionsToTxnRequestTransaction{{
		TransactionalID: "t",
		Topics: []kmsg.AddPartitionsToTxnRequestTransactionTopic{
			{Topic: offsetsTopic, Partitions: []int32{0}},
		},
	}}
	p := tb.roundTrip(b).(*kmsg.AddPartitionsToTxnResponse)
	code := p.Transactions[0].Topics[0].Partitions[0].ErrorCode
	if code != wire.CodeInvalidProducerIDMapping {
		t.Errorf("version 4 of an unknown transaction: %s", wire.CodeName(code))
	}
}

// TestTxnOffsetsOfNoGroup: offsets without a group are refused before the transaction gets a partition
// for them.
func TestTxnOffsetsOfNoGroup(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t)
	q := kmsg.NewPtrTxnOffsetCommitRequest()
	q.Version, q.TransactionalID, q.ProducerID = 5, "t", 7
	q.Topics = []kmsg.TxnOffsetCommitRequestTopic{{
		Topic: "a", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Partition: 0}},
	}}
	p := tb.roundTrip(q).(*kmsg.TxnOffsetCommitResponse)
	if code := p.Topics[0].Partitions[0].ErrorCode; code != wire.CodeInvalidGroupID {
		t.Errorf("no group: %s", wire.CodeName(code))
	}
}

// TestGroupDeletedTwiceInOneRequest is answered once, with what came of it.
func TestGroupDeletedTwiceInOneRequest(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t)
	tb.commit("g", "a", 0, 1)
	q := kmsg.NewPtrDeleteGroupsRequest()
	q.Version, q.Groups = 2, []string{"g", "none", "g"}
	p := tb.roundTrip(q).(*kmsg.DeleteGroupsResponse)
	if len(p.Groups) != 2 || p.Groups[0].ErrorCode != wire.CodeNone ||
		p.Groups[1].ErrorCode != wire.CodeGroupIDNotFound {
		t.Errorf("deleted: %+v", p.Groups)
	}
}

// TestGroupOperations are KIP-430's bits of a group where nobody restricts anything.
func TestGroupOperations(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t)
	tb.commit("g", "a", 0, 1)
	q := kmsg.NewPtrDescribeGroupsRequest()
	q.Version, q.Groups, q.IncludeAuthorizedOperations = 5, []string{"g"}, true
	p := tb.roundTrip(q).(*kmsg.DescribeGroupsResponse)
	const want = 1<<3 | 1<<6 | 1<<8 | 1<<10 | 1<<11 // Of class AclOperation, codes as bits.
	if got := p.Groups[0].AuthorizedOperations; got != want {
		t.Errorf("operations %#x, want %#x", got, want)
	}
}
