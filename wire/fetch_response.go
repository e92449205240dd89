package wire

// AbortedTxn is an aborted transaction whose records lie among those returned (KIP-98): a consumer
// drops the producer's records from FirstOffset up to the abort marker.
type AbortedTxn struct {
	ProducerID  int64
	FirstOffset int64
}

// FetchPartition is one partition of a Fetch response, all but its records. What a version does not
// carry is left out.
type FetchPartition struct {
	Index     int32
	ErrorCode int16
	// HighWatermark, LastStableOffset and LogStartOffset are -1 on errors. The last is sent in v5+.
	HighWatermark, LastStableOffset, LogStartOffset int64
	// Aborted is nil (sent as null) to a reader of uncommitted records.
	Aborted []AbortedTxn
	// PreferredReadReplica is the node to fetch from instead, or -1 (v11+, KIP-392).
	PreferredReadReplica int32
	// Diverging says that DivergingEpoch and DivergingEndOffset tell where the reader's log left
	// ours (v12+, KIP-595).
	Diverging          bool
	DivergingEpoch     int32
	DivergingEndOffset int64
	// Leader is sent from v12 on.
	Leader CurrentLeader
	// RecordsBytes is the length of the records, which follow AppendFetchPartition's bytes on the
	// wire from elsewhere. There are no null records in an answer: no records have length 0.
	RecordsBytes int32
}

// A Fetch response is sent in the order Start, for each topic TopicStart, its partitions and
// TopicEnd, then End. For each partition the bytes that AppendFetchPartition appends are followed
// on the wire by RecordsBytes bytes of records, usually straight from a file, and those by what
// AppendFetchPartitionEnd appends. The counts given at the starts must be those that follow.

// AppendFetchResponseStart appends what precedes the topics. The error code and the session's id
// are sent from v7 on.
func AppendFetchResponseStart(
	dst []byte, version int16, throttleMs int32, errorCode int16, sessionID int32, topics int,
) []byte {
	dst = appendInt32(dst, throttleMs)
	if version >= fetchSessions {
		dst = appendInt16(dst, errorCode)
		dst = appendInt32(dst, sessionID)
	}
	return appendCount(dst, topics, version >= fetchFlexible)
}

// AppendFetchTopicStart appends a topic's name, or its id from v13 on, and the count of partitions
// that will follow.
func AppendFetchTopicStart(dst []byte, version int16, name []byte, id UUID, parts int) []byte {
	flexible := version >= fetchFlexible
	if version >= fetchTopicIDs {
		dst = append(dst, id[:]...)
	} else {
		dst = appendString(dst, name, flexible)
	}
	return appendCount(dst, parts, flexible)
}

// AppendFetchPartition appends a partition up to and including the length of its records. The
// records follow, then AppendFetchPartitionEnd.
func AppendFetchPartition(dst []byte, version int16, p *FetchPartition) []byte {
	flexible := version >= fetchFlexible
	dst = appendInt32(dst, p.Index)
	dst = appendInt16(dst, p.ErrorCode)
	dst = appendInt64(dst, p.HighWatermark)
	dst = appendInt64(dst, p.LastStableOffset)
	if version >= 5 {
		dst = appendInt64(dst, p.LogStartOffset)
	}
	dst = appendAborted(dst, p.Aborted, flexible)
	if version >= 11 {
		dst = appendInt32(dst, p.PreferredReadReplica)
	}
	if flexible {
		return appendUvarint(dst, uint32(p.RecordsBytes)+1)
	}
	return appendInt32(dst, p.RecordsBytes)
}

func appendAborted(dst []byte, aborted []AbortedTxn, flexible bool) []byte {
	switch {
	case aborted == nil && flexible:
		return append(dst, 0)
	case aborted == nil:
		return appendInt32(dst, -1)
	}
	dst = appendCount(dst, len(aborted), flexible)
	for _, a := range aborted {
		dst = appendInt64(dst, a.ProducerID)
		dst = appendInt64(dst, a.FirstOffset)
		if flexible {
			dst = append(dst, 0)
		}
	}
	return dst
}

// AppendFetchPartitionEnd appends what follows a partition's records: its tagged fields (v12+), of
// which 0 is the diverging epoch and 1 the current leader.
func AppendFetchPartitionEnd(dst []byte, version int16, p *FetchPartition) []byte {
	if version < fetchFlexible {
		return dst
	}
	at := len(dst)
	dst = append(dst, 0)
	if p.Diverging {
		dst[at]++
		dst = append(dst, 0, 4+8+1)
		dst = appendInt32(dst, p.DivergingEpoch)
		dst = appendInt64(dst, p.DivergingEndOffset)
		dst = append(dst, 0)
	}
	if p.Leader.Set {
		dst[at]++
		dst = appendLeader(dst, 1, p.Leader)
	}
	return dst
}

// AppendFetchTopicEnd appends what closes a topic.
func AppendFetchTopicEnd(dst []byte, version int16) []byte {
	return appendEmptyTags(dst, version >= fetchFlexible)
}

// AppendFetchResponseEnd appends what closes the response: from v16 on, where the current leaders
// named in it listen.
func AppendFetchResponseEnd(dst []byte, version int16, endpoints []NodeEndpoint) []byte {
	if version >= 16 && len(endpoints) > 0 {
		return appendEndpoints(append(dst, 1), 0, endpoints)
	}
	return appendEmptyTags(dst, version >= fetchFlexible)
}
