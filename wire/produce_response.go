package wire

// CurrentLeader tells a client that asked the wrong broker who leads now (KIP-951). It is sent if
// Set, in Produce v10+ and Fetch v12+.
type CurrentLeader struct {
	// LeaderID is the leader's node id; -1 if unknown.
	LeaderID int32
	// LeaderEpoch is the latest known leader epoch.
	LeaderEpoch int32
	// Set says that there is something to tell.
	Set bool
}

// NodeEndpoint is where a current leader listens (KIP-951).
type NodeEndpoint struct {
	NodeID int32
	Host   string
	Port   int32
	// Rack is sent as null when empty.
	Rack string
}

// RecordError names one record that caused its batch to be refused (KIP-467).
type RecordError struct {
	// Index is the record's position in the batch, from 0.
	Index int32
	// Message is a constant that says why; sent as null when empty.
	Message string
}

// ProducePartition is one partition of a Produce response. On an error the offsets and the time are
// to be -1.
type ProducePartition struct {
	Index      int32
	ErrorCode  int16
	BaseOffset int64
	// LogAppendTimeMs is the time given to the records where the topic uses LogAppendTime, else -1.
	LogAppendTimeMs int64
	// LogStartOffset is sent from v5 on.
	LogStartOffset int64
	// RecordErrors and ErrorMessage are sent from v8 on (KIP-467); an empty message as null.
	RecordErrors []RecordError
	ErrorMessage string
	// Leader is sent from v10 on.
	Leader CurrentLeader
}

// A Produce response is appended in the order Start, for each topic TopicStart, its partitions and
// TopicEnd, then End. The counts given at the starts must be those that follow.

// AppendProduceResponseStart appends the count of topics that will follow.
func AppendProduceResponseStart(dst []byte, version int16, topics int) []byte {
	return appendCount(dst, topics, version >= produceFlexible)
}

// AppendProduceTopicStart appends a topic's name, or its id from v13 on, and the count of
// partitions that will follow.
func AppendProduceTopicStart(dst []byte, version int16, name []byte, id UUID, parts int) []byte {
	flexible := version >= produceFlexible
	if version >= produceTopicIDs {
		dst = append(dst, id[:]...)
	} else {
		dst = appendString(dst, name, flexible)
	}
	return appendCount(dst, parts, flexible)
}

// AppendProducePartition appends one partition's result.
func AppendProducePartition(dst []byte, version int16, p *ProducePartition) []byte {
	flexible := version >= produceFlexible
	dst = appendInt32(dst, p.Index)
	dst = appendInt16(dst, p.ErrorCode)
	dst = appendInt64(dst, p.BaseOffset)
	dst = appendInt64(dst, p.LogAppendTimeMs)
	if version >= 5 {
		dst = appendInt64(dst, p.LogStartOffset)
	}
	if version >= 8 {
		dst = appendCount(dst, len(p.RecordErrors), flexible)
		for i := range p.RecordErrors {
			e := &p.RecordErrors[i]
			dst = appendInt32(dst, e.Index)
			dst = appendNullable(dst, e.Message, flexible)
			if flexible {
				dst = append(dst, 0)
			}
		}
		dst = appendNullable(dst, p.ErrorMessage, flexible)
	}
	switch {
	case !flexible:
		return dst
	case version >= 10 && p.Leader.Set:
		return appendLeader(append(dst, 1), 0, p.Leader)
	default:
		return append(dst, 0)
	}
}

// AppendProduceTopicEnd appends what closes a topic.
func AppendProduceTopicEnd(dst []byte, version int16) []byte {
	return appendEmptyTags(dst, version >= produceFlexible)
}

// AppendProduceResponseEnd appends the throttle time and, from v10 on, where the current leaders
// named in the response listen.
func AppendProduceResponseEnd(
	dst []byte, version int16, throttleMs int32, endpoints []NodeEndpoint,
) []byte {
	dst = appendInt32(dst, throttleMs)
	if version >= 10 && len(endpoints) > 0 {
		return appendEndpoints(append(dst, 1), 0, endpoints)
	}
	return appendEmptyTags(dst, version >= produceFlexible)
}

// appendLeader appends a tagged field that holds a current leader and no tagged fields of its own.
func appendLeader(dst []byte, tag byte, l CurrentLeader) []byte {
	dst = append(dst, tag, 4+4+1)
	dst = appendInt32(dst, l.LeaderID)
	dst = appendInt32(dst, l.LeaderEpoch)
	return append(dst, 0)
}

// appendEndpoints appends a tagged field that holds a compact array of endpoints.
func appendEndpoints(dst []byte, tag byte, endpoints []NodeEndpoint) []byte {
	size := uvarintSize(uint32(len(endpoints)) + 1)
	for i := range endpoints {
		e := &endpoints[i]
		size += 4 + uvarintSize(uint32(len(e.Host))+1) + len(e.Host) + 4 + 1
		if e.Rack == "" {
			size++
		} else {
			size += uvarintSize(uint32(len(e.Rack))+1) + len(e.Rack)
		}
	}
	dst = appendUvarint(append(dst, tag), uint32(size))
	dst = appendCount(dst, len(endpoints), true)
	for i := range endpoints {
		e := &endpoints[i]
		dst = appendInt32(dst, e.NodeID)
		dst = appendString(dst, e.Host, true)
		dst = appendInt32(dst, e.Port)
		dst = appendNullable(dst, e.Rack, true)
		dst = append(dst, 0)
	}
	return dst
}

func appendEmptyTags(dst []byte, flexible bool) []byte {
	if flexible {
		return append(dst, 0)
	}
	return dst
}
