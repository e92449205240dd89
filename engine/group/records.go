package group

import (
	"encoding/binary"
	"errors"
	"math"
	"unsafe"

	"sluice/engine/coordinator"
)

// The records of __consumer_offsets that belong to the classic protocol, in Kafka's formats (its
// message definitions OffsetCommitKey, OffsetCommitValue, GroupMetadataKey and GroupMetadataValue).
// A key begins with the record's type as an int16, a value with its own version as an int16; all
// numbers are big endian. A null value is a tombstone. What is written here:
//
//	offset key    int16 1, group string, topic string, partition int32
//	offset value  int16 4, offset int64, leader epoch int32, metadata compact string,
//	              commit time int64, tagged fields: 0 = topic id, 16 bytes
//	              int16 1, offset int64, metadata string, commit time int64, expiry time int64
//	              when the commit set its own retention, which version 1 alone can say
//	group key     int16 2, group string
//	group value   int16 3, see groupValue
//
// Every older version, and the flexible version 4 of both values, is read as well. KIP-915 lets a
// broker add tagged fields to version 4 without raising it; they are skipped.

// The types of records that Replay applies; all others belong to group types that are not here, or
// are not known, and are skipped (KIP-915, class GroupCoordinatorRecordSerde).
const (
	offsetKeyOld  int16 = 0
	offsetKeyType int16 = 1
	groupKeyType  int16 = 2
)

const (
	offsetValueFlexible int16 = 4
	offsetValueExpiring int16 = 1
	groupValueWritten   int16 = 3
	groupValueFlexible  int16 = 4
	topicIDTag          int   = 0
)

// textBytesMax is the longest string that a key, or a value that is not flexible, can hold: its length
// is an int16. Requests of flexible versions can carry longer ones, which are refused before.
const textBytesMax = math.MaxInt16

// none stands for no leader epoch, no commit time of the client's and no expiry time.
const none = -1

var (
	errKey        = errors.New("group: damaged record key")
	errOffset     = errors.New("group: damaged offset commit value")
	errGroupValue = errors.New("group: damaged group metadata value")
)

// recordType returns what type of record a key is of. A key that is shorter than a type is damaged.
func recordType(key []byte) (int16, error) {
	if len(key) < 2 {
		return 0, errKey
	}
	return int16(binary.BigEndian.Uint16(key)), nil
}

// offsetKey is the decoded key of a committed offset. Its strings are parts of the key's bytes, and
// live as long as they do.
type offsetKey struct {
	group, topic string
	partition    int32
}

// readOffsetKey decodes a key of type 0 or 1, whose formats are the same.
func readOffsetKey(key []byte) (k offsetKey, err error) {
	r := reader{b: key}
	r.take(2)
	k.group, k.topic, k.partition = view(r.text(false)), view(r.text(false)), r.int32()
	if r.bad || len(r.b) > 0 {
		return offsetKey{}, errKey
	}
	return k, nil
}

// offsetKeyBytes is the size of an offset's key. Neither string may exceed textBytesMax.
func offsetKeyBytes(group, topic string) int { return 2 + 2 + len(group) + 2 + len(topic) + 4 }

func appendOffsetKey(dst []byte, group, topic string, partition int32) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(offsetKeyType))
	dst = appendText(dst, group)
	dst = appendText(dst, topic)
	return binary.BigEndian.AppendUint32(dst, uint32(partition))
}

// appendText appends a string with an int16 length; callers have checked that it fits.
func appendText(dst []byte, s string) []byte {
	if len(s) > textBytesMax {
		panic("BUG: a string that no record can hold was not refused")
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}

// offsetValue is a committed offset as its record has it.
type offsetValue struct {
	offset      int64
	leaderEpoch int32 // none if the client gave none
	// metadata is the request's string, or a part of the value's bytes: readOffsetValue does not copy
	// it, so it lives as long as they do.
	metadata string
	commitMs int64
	expireMs int64 // none unless the commit set a retention of its own
	topicID  [16]byte
}

// readOffsetValue decodes a value of versions 0 to 4; known is false for any other version.
func readOffsetValue(value []byte) (v offsetValue, known bool, err error) {
	r := reader{b: value}
	version := r.int16()
	if !r.bad && (version < 0 || version > offsetValueFlexible) {
		return v, false, nil
	}
	flexible := version >= offsetValueFlexible
	v.leaderEpoch, v.expireMs = none, none
	v.offset = r.int64()
	if version >= 3 {
		v.leaderEpoch = r.int32()
	}
	v.metadata = view(r.text(flexible))
	v.commitMs = r.int64()
	if version == offsetValueExpiring {
		v.expireMs = r.int64()
	}
	if flexible {
		if id := r.tags(uint32(topicIDTag)); id != nil {
			if len(id) != len(v.topicID) {
				return offsetValue{}, true, errOffset
			}
			v.topicID = [16]byte(id)
		}
	}
	if r.bad {
		return offsetValue{}, true, errOffset
	}
	return v, true, nil
}

// view returns bytes as a string without a copy, for as long as nobody changes them.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// offsetValueBytesMax bounds the size of an offset's value with so much metadata.
func offsetValueBytesMax(metadataBytes int) int {
	return 2 + 8 + 4 + binary.MaxVarintLen32 + metadataBytes + 8 + 8 + 3 + 16
}

// appendOffsetValue encodes v: in version 4, or in version 1 when it has an expiry time, which leaves
// out leader epoch and topic id as Kafka does (class GroupCoordinatorRecordHelpers). In version 1 the
// metadata must not exceed textBytesMax.
func appendOffsetValue(dst []byte, v *offsetValue) []byte {
	if v.expireMs != none {
		dst = binary.BigEndian.AppendUint16(dst, uint16(offsetValueExpiring))
		dst = binary.BigEndian.AppendUint64(dst, uint64(v.offset))
		dst = appendText(dst, v.metadata)
		dst = binary.BigEndian.AppendUint64(dst, uint64(v.commitMs))
		return binary.BigEndian.AppendUint64(dst, uint64(v.expireMs))
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(offsetValueFlexible))
	dst = binary.BigEndian.AppendUint64(dst, uint64(v.offset))
	dst = binary.BigEndian.AppendUint32(dst, uint32(v.leaderEpoch))
	dst = binary.AppendUvarint(dst, uint64(len(v.metadata))+1)
	dst = append(dst, v.metadata...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(v.commitMs))
	if v.topicID == [16]byte{} {
		return append(dst, 0)
	}
	dst = append(dst, 1, byte(topicIDTag), byte(len(v.topicID)))
	return append(dst, v.topicID[:]...)
}

// offsetTombstone returns the record that removes a committed offset, and its pending ones.
func offsetTombstone(group, topic string, partition int32) coordinator.Record {
	key := make([]byte, 0, offsetKeyBytes(group, topic))
	return coordinator.Record{Key: appendOffsetKey(key, group, topic, partition)}
}
