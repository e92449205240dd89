package wire

// Versions of Produce that this package decodes. v3 is the first that carries record batches v2, v9
// is flexible, v13 names topics by id.
const (
	produceMin       = 3
	produceFlexible  = 9
	produceTopicIDs  = 13
	produceMax       = 13
	retainedElements = 1 << 12
)

// ProduceTopic is one topic of a Produce request; its partitions are Parts[From:To] of the request.
type ProduceTopic struct {
	// Name is lent; nil in v13.
	Name []byte
	// ID is zero below v13.
	ID       UUID
	From, To int32
}

// ProducePart is one partition of a Produce request.
type ProducePart struct {
	// Topic is the index of the partition's topic in Topics.
	Topic int32
	// Index is the partition's number.
	Index int32
	// Records are the bytes as they came, a sub-slice of the lent frame; nil if null. The broker
	// may write to them, as Batch's setters do, while the frame is lent.
	Records []byte
}

// ProduceRequest is a decoded Produce request of versions 3 to 13. All its slices point into the
// lent frame. It is meant to be reused: Decode overwrites everything and keeps the two flat slices.
type ProduceRequest struct {
	Version int16
	// TransactionalID is nil if the producer is not transactional.
	TransactionalID []byte
	// Acks is what the client asked for, checked by nobody yet: 0, 1 or -1 are valid.
	Acks      int16
	TimeoutMs int32
	Topics    []ProduceTopic
	Parts     []ProducePart
}

// Decode reads the body of a request in place. It returns ErrMalformed if the body does not parse
// or the version is not one of 3 to 13; the request then holds nothing of use.
func (q *ProduceRequest) Decode(body []byte, version int16) error {
	*q = ProduceRequest{Version: version, Topics: q.Topics[:0], Parts: q.Parts[:0]}
	if version < produceMin || version > produceMax {
		return ErrMalformed
	}
	flexible := version >= produceFlexible
	r := reader{b: body}
	q.TransactionalID = r.nullableString(flexible)
	q.Acks = r.int16()
	q.TimeoutMs = r.int32()
	topicMin := 2 + 4
	if flexible {
		topicMin = 1 + 1 + 1
	}
	if version >= produceTopicIDs {
		topicMin = 16 + 1 + 1
	}
	n := r.count(flexible, topicMin)
	if n > PartitionsMax {
		return ErrMalformed
	}
	for ; n > 0 && !r.bad; n-- {
		q.topic(&r, flexible)
	}
	if flexible {
		r.skipTags()
	}
	if r.bad {
		return ErrMalformed
	}
	return nil
}

func (q *ProduceRequest) topic(r *reader, flexible bool) {
	t := ProduceTopic{From: int32(len(q.Parts))}
	if q.Version >= produceTopicIDs {
		t.ID = r.uuid()
	} else {
		t.Name = r.string(flexible)
	}
	partMin := 4 + 4
	if flexible {
		partMin = 4 + 1 + 1
	}
	n := r.count(flexible, partMin)
	if len(q.Parts)+n > PartitionsMax {
		r.fail()
		return
	}
	for ; n > 0 && !r.bad; n-- {
		p := ProducePart{Topic: int32(len(q.Topics)), Index: r.int32()}
		p.Records = r.records(flexible)
		if flexible {
			r.skipTags()
		}
		q.Parts = append(q.Parts, p)
	}
	if flexible {
		r.skipTags()
	}
	t.To = int32(len(q.Parts))
	q.Topics = append(q.Topics, t)
}

// PartsOf returns the partitions of one of the request's topics.
func (q *ProduceRequest) PartsOf(t *ProduceTopic) []ProducePart { return q.Parts[t.From:t.To] }

// Reset forgets everything that points into a frame, and lets go of slices that one unusually large
// request has grown. Call it when the frame is given back.
func (q *ProduceRequest) Reset() {
	*q = ProduceRequest{Topics: recycle(q.Topics), Parts: recycle(q.Parts)}
}

// recycle empties a slice for reuse, zeroing what it held, or drops it if it has grown beyond what
// is worth keeping.
func recycle[T any](s []T) []T {
	if cap(s) > retainedElements {
		return nil
	}
	clear(s)
	return s[:0]
}
