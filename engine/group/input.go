package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
)

// Kind says what an input is; it decides which of its other fields are set.
type Kind uint8

const (
	// Join, Sync, Heartbeat and Leave carry that request of the classic protocol (KIP-62, 345, 394).
	// Join and Sync are answered when the rebalance has got that far.
	Join Kind = iota + 1
	Sync
	Heartbeat
	Leave
	// OffsetCommit, TxnOffsetCommit and OffsetDelete carry that request. Topics are named in it,
	// also where the client sent ids; ids are set where they are known.
	OffsetCommit
	TxnOffsetCommit
	OffsetDelete
	// OffsetFetch asks for one group of an OffsetFetch request, whatever its version: Fetch is set.
	OffsetFetch
	// Describe asks for one group (DescribeGroups), Delete deletes one (DeleteGroups).
	Describe
	Delete
	// List asks for all groups of the shard (ListGroups); its key is empty.
	List
	// EndTxn is a transaction's end: the marker to append (WriteTxnMarkers). Its key is empty, since
	// any group's offsets may be pending in it.
	EndTxn
	// TopicsDeleted drops the committed offsets of deleted topics; its key is empty.
	TopicsDeleted
	// Timer is one of the machine's own.
	Timer
)

// FetchQuery is one group of an OffsetFetch request. Topics nil asks for all that is committed.
type FetchQuery struct {
	Group         string
	MemberID      *string
	MemberEpoch   int32
	RequireStable bool
	Topics        []kmsg.OffsetFetchRequestGroupTopic
}

// Input is one thing that happens to a shard of the groups. It is used once.
type Input struct {
	Kind Kind
	// Request is the request as decoded (a pointer type of kmsg), for kinds that carry one.
	// Its strings and bytes are the input's own and may be kept.
	Request kmsg.Request
	// Version is the request's version, which some rules depend on.
	Version int16
	// Group is the group that the input is about: of every kind but List, EndTxn, TopicsDeleted.
	Group string
	// ClientID and ClientHost ("/10.0.0.1", as Kafka writes it) describe who sent it.
	ClientID   string
	ClientHost string
	// NewID is a fresh random UUID in text, given with every Join, from which a member id may be made.
	NewID string
	// Fetch is set for OffsetFetch.
	Fetch *FetchQuery
	// StatesFilter and TypesFilter are List's, lower case; empty lists filter nothing.
	StatesFilter, TypesFilter []string
	// Guard is the log's word for a TxnOffsetCommit that the transaction was verified (KIP-890).
	Guard uint64
	// Marker is set for EndTxn.
	Marker *coordinator.Marker
	// Topics are TopicsDeleted's, TopicIDs their ids as far as they are known: offsets that were
	// committed to a new topic of the same name are kept.
	Topics   []string
	TopicIDs [][16]byte
	// Waiter is the surroundings' own: whom the answer is for.
	Waiter any

	// timer is the timer that is due, fired what it was for then.
	timer *timer
	fired timerKind
}

// slim drops what a request that is being parked does not need any more, which can be most of a frame.
func (in *Input) slim() {
	switch req := in.Request.(type) {
	case *kmsg.JoinGroupRequest:
		kept := *req
		kept.Protocols, kept.Reason, kept.UnknownTags = nil, nil, kmsg.Tags{}
		in.Request = &kept
	case *kmsg.SyncGroupRequest:
		kept := *req
		kept.GroupAssignment, kept.UnknownTags = nil, kmsg.Tags{}
		in.Request = &kept
	}
}

// Key implements coordinator.Input.
func (in *Input) Key() string { return in.Group }
