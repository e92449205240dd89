package group

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
)

// readGroupKey decodes a key of type 2 and returns the group's id, a part of the key's bytes.
func readGroupKey(key []byte) ([]byte, error) {
	r := reader{b: key}
	r.take(2)
	group := r.text(false)
	if r.bad || len(r.b) > 0 {
		return nil, errKey
	}
	return group, nil
}

// groupKey encodes the key of a group's record. The id must not exceed textBytesMax.
func groupKey(group string) []byte {
	dst := make([]byte, 0, 2+2+len(group))
	dst = binary.BigEndian.AppendUint16(dst, uint16(groupKeyType))
	return appendText(dst, group)
}

// groupTombstone returns the record that ends a group.
func groupTombstone(group string) coordinator.Record {
	return coordinator.Record{Key: groupKey(group)}
}

// groupValue encodes a group's record in version 3, which is what Kafka writes: flexible version 4
// exists to be read after a later broker wrote it (KIP-915). ok is false if one of its strings is
// longer than textBytesMax: such a record must not be written.
func groupValue(v *kmsg.GroupMetadataValue) (value []byte, ok bool) {
	fits := func(s string) bool { return len(s) <= textBytesMax }
	fitsOrNull := func(s *string) bool { return s == nil || fits(*s) }
	if !fits(v.ProtocolType) || !fitsOrNull(v.Protocol) || !fitsOrNull(v.Leader) {
		return nil, false
	}
	bytes := 64 + len(v.ProtocolType)
	for i := range v.Members {
		m := &v.Members[i]
		if !fits(m.MemberID) || !fitsOrNull(m.InstanceID) || !fits(m.ClientID) || !fits(m.ClientHost) {
			return nil, false
		}
		bytes += 64 + len(m.MemberID) + len(m.ClientID) + len(m.ClientHost) +
			len(m.Subscription) + len(m.Assignment)
	}
	v.Version = groupValueWritten
	return v.AppendTo(make([]byte, 0, bytes)), true
}

// groupMemberBytesMin is the least that a member takes in any version: it bounds how many members the
// bytes of a record can stand for, before memory for them is taken.
const groupMemberBytesMin = 15

// readGroupValue decodes a value of versions 0 to 4 and keeps none of its bytes; known is false for
// any other version. Fields that a version lacks have Kafka's defaults: -1 for the time of the
// latest change of state, and -1 for the rebalance timeout, which stands for the session timeout.
func readGroupValue(value []byte) (v *kmsg.GroupMetadataValue, known bool, err error) {
	r := reader{b: value}
	version := r.int16()
	if !r.bad && (version < 0 || version > groupValueFlexible) {
		return nil, false, nil
	}
	flexible := version >= groupValueFlexible
	v = &kmsg.GroupMetadataValue{Version: version, CurrentStateTimestamp: none}
	v.ProtocolType = string(r.text(flexible))
	v.Generation = r.int32()
	v.Protocol, v.Leader = r.textOrNull(flexible), r.textOrNull(flexible)
	if version >= 2 {
		v.CurrentStateTimestamp = r.int64()
	}
	var n int
	if flexible {
		n = int(r.uvarint()) - 1
	} else {
		n = int(r.int32())
	}
	if r.bad || n < 0 || n > len(r.b)/groupMemberBytesMin {
		return nil, true, errGroupValue
	}
	v.Members = make([]kmsg.GroupMetadataValueMember, n)
	for i := 0; i < n && !r.bad; i++ {
		readGroupMember(&r, version, &v.Members[i])
	}
	if flexible {
		r.tags(noTag)
	}
	if r.bad {
		return nil, true, errGroupValue
	}
	return v, true, nil
}

func readGroupMember(r *reader, version int16, m *kmsg.GroupMetadataValueMember) {
	flexible := version >= groupValueFlexible
	m.MemberID = string(r.text(flexible))
	if version >= 3 {
		m.InstanceID = r.textOrNull(flexible)
	}
	m.ClientID, m.ClientHost = string(r.text(flexible)), string(r.text(flexible))
	m.RebalanceTimeoutMillis = none
	if version >= 1 {
		m.RebalanceTimeoutMillis = r.int32()
	}
	m.SessionTimeoutMillis = r.int32()
	m.Subscription, m.Assignment = r.bytes(flexible), r.bytes(flexible)
	if flexible {
		r.tags(noTag)
	}
}
