package wire

import "math"

// Versions of Fetch that this package speaks. v7 has sessions, v12 is flexible, v13 names topics by
// id, v15 moves the replica id into a tagged field.
const (
	fetchMin          = 4
	fetchSessions     = 7
	fetchFlexible     = 12
	fetchTopicIDs     = 13
	fetchReplicaState = 15
	fetchMax          = 18
)

// HighWatermarkUnsupported is what FetchPart.HighWatermark holds where the sender does not tell the
// high watermark that it knows (KIP-1166).
const HighWatermarkUnsupported int64 = math.MaxInt64

// FetchTopic is one topic of a Fetch request; its partitions are Parts[From:To] of the request.
type FetchTopic struct {
	// Name is lent; nil from v13 on.
	Name []byte
	// ID is zero below v13.
	ID       UUID
	From, To int32
}

// FetchPart is one partition of a Fetch request. What a version does not carry has Kafka's default.
type FetchPart struct {
	// Topic is the index of the partition's topic in Topics.
	Topic int32
	// Index is the partition's number.
	Index int32
	// CurrentLeaderEpoch is the epoch that the client knows; -1 for no check (v9+, KIP-320).
	CurrentLeaderEpoch int32
	// LastFetchedEpoch is the epoch of the last record that the client has; -1 for none (v12+).
	LastFetchedEpoch int32
	FetchOffset      int64
	// LogStartOffset is a follower's log start offset; -1 from consumers (v5+).
	LogStartOffset int64
	// HighWatermark is what a follower knows of it; HighWatermarkUnsupported by default (v18+).
	HighWatermark int64
	// MaxBytes bounds the partition's records, except for a first batch (KIP-74).
	MaxBytes int32
	// DirectoryID is the follower's log directory; zero if not told (v17+, KIP-853).
	DirectoryID UUID
}

// ForgottenTopic names partitions that leave a fetch session: ForgottenParts[From:To] of the
// request.
type ForgottenTopic struct {
	Name     []byte
	ID       UUID
	From, To int32
}

// FetchRequest is a decoded Fetch request of versions 4 to 18. Its slices of bytes point into the
// lent frame. It is meant to be reused: Decode overwrites everything and keeps the flat slices.
type FetchRequest struct {
	Version int16
	// ReplicaID is the follower's node id, or -1 for a consumer.
	ReplicaID int32
	// ReplicaEpoch is the follower's broker epoch; -1 if not told (v15+, KIP-903).
	ReplicaEpoch int64
	MaxWaitMs    int32
	MinBytes     int32
	MaxBytes     int32
	// Isolation is 0 for read uncommitted, 1 for read committed.
	Isolation int8
	// SessionID and SessionEpoch are 0 and -1 where there are no sessions (v7+, KIP-227).
	SessionID, SessionEpoch int32
	Topics                  []FetchTopic
	Parts                   []FetchPart
	Forgotten               []ForgottenTopic
	ForgottenParts          []int32
	// RackID is where the consumer is (v11+, KIP-392); empty if it does not say.
	RackID []byte
	// ClusterID is nil if not told (v12+).
	ClusterID []byte
}

// Decode reads the body of a request in place. It returns ErrMalformed if the body does not parse
// or the version is not one of 4 to 18; the request then holds nothing of use.
func (q *FetchRequest) Decode(body []byte, version int16) error {
	*q = FetchRequest{
		Version: version, ReplicaID: -1, ReplicaEpoch: -1, SessionEpoch: -1,
		Topics: q.Topics[:0], Parts: q.Parts[:0],
		Forgotten: q.Forgotten[:0], ForgottenParts: q.ForgottenParts[:0],
	}
	if version < fetchMin || version > fetchMax {
		return ErrMalformed
	}
	r := reader{b: body}
	if version < fetchReplicaState {
		q.ReplicaID = r.int32()
	}
	q.MaxWaitMs = r.int32()
	q.MinBytes = r.int32()
	q.MaxBytes = r.int32()
	q.Isolation = r.int8()
	if version >= fetchSessions {
		q.SessionID = r.int32()
		q.SessionEpoch = r.int32()
	}
	q.topics(&r)
	if version >= fetchSessions {
		q.forgotten(&r)
	}
	flexible := version >= fetchFlexible
	if version >= 11 {
		q.RackID = r.string(flexible)
	}
	if flexible {
		q.tags(&r)
	}
	if r.bad {
		return ErrMalformed
	}
	return nil
}

// topicMin returns the least bytes that a topic with its count of partitions takes.
func (q *FetchRequest) topicMin() int {
	switch {
	case q.Version >= fetchTopicIDs:
		return 16 + 1 + 1
	case q.Version >= fetchFlexible:
		return 1 + 1 + 1
	default:
		return 2 + 4
	}
}

// partMin returns the least bytes that a partition takes.
func (q *FetchRequest) partMin() int {
	n := 4 + 8 + 4
	if q.Version >= 5 {
		n += 8
	}
	if q.Version >= 9 {
		n += 4
	}
	if q.Version >= fetchFlexible {
		n += 4 + 1
	}
	return n
}

func (q *FetchRequest) topics(r *reader) {
	flexible := q.Version >= fetchFlexible
	n := r.count(flexible, q.topicMin())
	if n > PartitionsMax {
		r.fail()
		return
	}
	partMin := q.partMin()
	for ; n > 0 && !r.bad; n-- {
		t := FetchTopic{From: int32(len(q.Parts))}
		t.Name, t.ID = q.topicKey(r)
		parts := r.count(flexible, partMin)
		if len(q.Parts)+parts > PartitionsMax {
			r.fail()
			return
		}
		for ; parts > 0 && !r.bad; parts-- {
			q.part(r)
		}
		if flexible {
			r.skipTags()
		}
		t.To = int32(len(q.Parts))
		q.Topics = append(q.Topics, t)
	}
}

func (q *FetchRequest) topicKey(r *reader) (name []byte, id UUID) {
	if q.Version >= fetchTopicIDs {
		return nil, r.uuid()
	}
	return r.string(q.Version >= fetchFlexible), UUID{}
}

func (q *FetchRequest) part(r *reader) {
	p := FetchPart{
		Topic: int32(len(q.Topics)), CurrentLeaderEpoch: -1, LastFetchedEpoch: -1,
		LogStartOffset: -1, HighWatermark: HighWatermarkUnsupported,
	}
	p.Index = r.int32()
	if q.Version >= 9 {
		p.CurrentLeaderEpoch = r.int32()
	}
	p.FetchOffset = r.int64()
	if q.Version >= fetchFlexible {
		p.LastFetchedEpoch = r.int32()
	}
	if q.Version >= 5 {
		p.LogStartOffset = r.int64()
	}
	p.MaxBytes = r.int32()
	if q.Version >= fetchFlexible {
		q.partTags(r, &p)
	}
	q.Parts = append(q.Parts, p)
}

// partTags reads a partition's tagged fields: 0 the follower's directory, 1 the high watermark
// that it knows. A number that only a later version has is malformed, to Kafka too; what no
// version has is skipped.
func (q *FetchRequest) partTags(r *reader, p *FetchPart) {
	for n := r.tagCount(); n > 0; n-- {
		number, value := r.tag()
		early := false
		switch number {
		case 0:
			early = q.Version < 17
			p.DirectoryID = value.uuid()
		case 1:
			early = q.Version < 18
			p.HighWatermark = value.int64()
		}
		if value.bad || early {
			r.fail()
		}
	}
}

func (q *FetchRequest) forgotten(r *reader) {
	flexible := q.Version >= fetchFlexible
	n := r.count(flexible, q.topicMin())
	if n > PartitionsMax {
		r.fail()
		return
	}
	for ; n > 0 && !r.bad; n-- {
		t := ForgottenTopic{From: int32(len(q.ForgottenParts))}
		t.Name, t.ID = q.topicKey(r)
		parts := r.count(flexible, 4)
		if len(q.ForgottenParts)+parts > PartitionsMax {
			r.fail()
			return
		}
		for ; parts > 0; parts-- {
			q.ForgottenParts = append(q.ForgottenParts, r.int32())
		}
		if flexible {
			r.skipTags()
		}
		t.To = int32(len(q.ForgottenParts))
		q.Forgotten = append(q.Forgotten, t)
	}
}

// tags reads the request's own tagged fields: 0 the cluster's id, 1 the state of a follower.
func (q *FetchRequest) tags(r *reader) {
	for n := r.tagCount(); n > 0; n-- {
		number, value := r.tag()
		early := false
		switch number {
		case 0:
			q.ClusterID = value.nullableCompact()
		case 1:
			early = q.Version < fetchReplicaState
			q.ReplicaID = value.int32()
			q.ReplicaEpoch = value.int64()
			value.skipTags()
		}
		if value.bad || early {
			r.fail()
		}
	}
}

// PartsOf returns the partitions of one of the request's topics.
func (q *FetchRequest) PartsOf(t *FetchTopic) []FetchPart { return q.Parts[t.From:t.To] }

// ForgottenOf returns the numbers of the partitions that leave the session.
func (q *FetchRequest) ForgottenOf(t *ForgottenTopic) []int32 {
	return q.ForgottenParts[t.From:t.To]
}

// Reset forgets everything that points into a frame, and lets go of slices that one unusually large
// request has grown. Call it when the frame is given back.
func (q *FetchRequest) Reset() {
	*q = FetchRequest{
		Topics: recycle(q.Topics), Parts: recycle(q.Parts),
		Forgotten: recycle(q.Forgotten), ForgottenParts: recycle(q.ForgottenParts),
	}
}
