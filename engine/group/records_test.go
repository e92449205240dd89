package group

import (
	"bytes"
	"encoding/hex"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var someTopicID = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

// What is written is byte for byte what Kafka's message definitions say: OffsetCommitKey version 1,
// OffsetCommitValue version 4 with and without topic id, version 1 with an expiry time, and
// GroupMetadataKey version 2.
func TestRecordBytes(t *testing.T) {
	t.Parallel()
	check := func(what string, got []byte, want string) {
		t.Helper()
		if got := hex.EncodeToString(got); got != strings.ReplaceAll(want, " ", "") {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	check("offset key", appendOffsetKey(nil, "g", "to", 7), "0001 0001 67 0002 746f 00000007")
	check("group key", groupKey("gr"), "0002 0002 6772")
	v := offsetValue{offset: 5, leaderEpoch: 3, metadata: "m", commitMs: 9, expireMs: none}
	check("version 4", appendOffsetValue(nil, &v),
		"0004 0000000000000005 00000003 02 6d 0000000000000009 00")
	v.topicID = someTopicID
	check("version 4 with a topic id", appendOffsetValue(nil, &v),
		"0004 0000000000000005 00000003 02 6d 0000000000000009 01 00 10 0102030405060708090a0b0c0d0e0f10")
	v.expireMs = 10
	check("version 1", appendOffsetValue(nil, &v),
		"0001 0000000000000005 0001 6d 0000000000000009 000000000000000a")
}

// An independent decoder reads the keys and values that are written.
func TestRecordsAreReadByOthers(t *testing.T) {
	t.Parallel()
	for _, v := range []offsetValue{
		{offset: 1, leaderEpoch: none, expireMs: none},
		{offset: math.MaxInt64, leaderEpoch: 4, metadata: strings.Repeat("é", 200), commitMs: 77, expireMs: none},
		{offset: 1, leaderEpoch: 4, metadata: "m", commitMs: 77, expireMs: none, topicID: someTopicID},
		{offset: 1, leaderEpoch: none, metadata: "m", commitMs: 77, expireMs: 99},
	} {
		var key kmsg.OffsetCommitKey
		if err := key.ReadFrom(appendOffsetKey(nil, "group", "topic", 12)); err != nil ||
			!reflect.DeepEqual(key, kmsg.OffsetCommitKey{Version: 1, Group: "group", Topic: "topic", Partition: 12}) {
			t.Errorf("key %+v, %v", key, err)
		}
		var value kmsg.OffsetCommitValue
		if err := value.ReadFrom(appendOffsetValue(nil, &v)); err != nil {
			t.Fatal(err)
		}
		want := kmsg.OffsetCommitValue{
			Version: 4, Offset: v.offset, LeaderEpoch: v.leaderEpoch, Metadata: v.metadata,
			CommitTimestamp: v.commitMs, TopicID: v.topicID,
		}
		if v.expireMs != none {
			want.Version, want.LeaderEpoch, want.ExpireTimestamp = 1, 0, v.expireMs
		}
		if !reflect.DeepEqual(value, want) {
			t.Errorf("value %+v, want %+v", value, want)
		}
	}
	var key kmsg.GroupMetadataKey
	if err := key.ReadFrom(groupKey("group")); err != nil || key.Version != 2 || key.Group != "group" {
		t.Errorf("key %+v, %v", key, err)
	}
	want := someGroup(3)
	encoded, ok := groupValue(want)
	var value kmsg.GroupMetadataValue
	if err := value.ReadFrom(encoded); err != nil || !ok || !reflect.DeepEqual(&value, want) {
		t.Errorf("value %+v, want %+v, %v", value, want, err)
	}
}

func someGroup(version int16) *kmsg.GroupMetadataValue {
	v := &kmsg.GroupMetadataValue{}
	v.Version, v.ProtocolType, v.Generation = version, "consumer", 8
	v.Protocol, v.Leader, v.CurrentStateTimestamp = kmsg.StringPtr("range"), kmsg.StringPtr("m1"), 44
	for _, id := range []string{"m1", "m2"} {
		m := kmsg.NewGroupMetadataValueMember()
		m.MemberID, m.ClientID, m.ClientHost = id, "client", "/10.0.0.1"
		m.SessionTimeoutMillis, m.RebalanceTimeoutMillis = 10, 20
		m.Subscription, m.Assignment = []byte("subscription"), []byte{}
		if id == "m2" {
			m.InstanceID = kmsg.StringPtr("i2")
		}
		v.Members = append(v.Members, m)
	}
	return v
}

// Values of every version are read, those of unknown versions are not known.
func TestOffsetValueVersions(t *testing.T) {
	t.Parallel()
	for version := int16(-1); version <= 6; version++ {
		from := kmsg.OffsetCommitValue{
			Version: version, Offset: 5, LeaderEpoch: 6, Metadata: "m", CommitTimestamp: 7, ExpireTimestamp: 8,
		}
		if version >= 4 {
			from.TopicID = someTopicID
			from.UnknownTags.Set(5, []byte("later"))
		}
		want := offsetValue{offset: 5, leaderEpoch: none, metadata: "m", commitMs: 7, expireMs: none}
		if version >= 3 {
			want.leaderEpoch, want.topicID = 6, from.TopicID
		}
		if version == 1 {
			want.expireMs = 8
		}
		got, known, err := readOffsetValue(from.AppendTo(nil))
		if inRange := version >= 0 && version <= 4; known != inRange || err != nil || known && got != want {
			t.Errorf("version %d: %+v, %v, %v", version, got, known, err)
		}
	}
}

func TestGroupValueVersions(t *testing.T) {
	t.Parallel()
	for version := int16(-1); version <= 6; version++ {
		from, want := someGroup(version), someGroup(version)
		if version >= 4 {
			from.UnknownTags.Set(0, []byte("later"))
			from.Members[1].UnknownTags.Set(3, []byte("later"))
		}
		if version < 2 {
			want.CurrentStateTimestamp = none
		}
		for i := range want.Members {
			if version < 1 {
				want.Members[i].RebalanceTimeoutMillis = none
			}
			if version < 3 {
				want.Members[i].InstanceID = nil
			}
		}
		got, known, err := readGroupValue(from.AppendTo(nil))
		inRange := version >= 0 && version <= 4
		if known != inRange || err != nil || known && !reflect.DeepEqual(got, want) {
			t.Errorf("version %d: %+v, %v, %v", version, got, known, err)
		}
	}
}

// Damaged records are errors: whatever is cut short, nulls where there can be none, a count of members
// that the record has no room for, a topic id of another length.
func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	key := appendOffsetKey(nil, "group", "topic", 1)
	for n := range key {
		if _, err := readOffsetKey(key[:n]); err == nil {
			t.Errorf("offset key of %d bytes is read", n)
		}
	}
	if _, err := readOffsetKey(append(key, 0)); err == nil {
		t.Error("offset key with a byte too many is read")
	}
	for n := range groupKey("group") {
		if _, err := readGroupKey(groupKey("group")[:n]); err == nil {
			t.Errorf("group key of %d bytes is read", n)
		}
	}
	for version := int16(0); version <= 4; version++ {
		v := kmsg.OffsetCommitValue{Version: version, Metadata: "m"}
		if version >= 4 {
			v.TopicID = someTopicID
		}
		value := v.AppendTo(nil)
		for n := range value {
			if _, known, err := readOffsetValue(value[:n]); err == nil || !known {
				t.Errorf("version %d of %d bytes: %v, %v", version, n, known, err)
			}
		}
		value = someGroup(version).AppendTo(nil)
		for n := range value {
			if _, known, err := readGroupValue(value[:n]); err == nil || !known {
				t.Errorf("group version %d of %d bytes: %v, %v", version, n, known, err)
			}
		}
	}
	null := []byte{0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0}
	if _, _, err := readOffsetValue(null); err == nil {
		t.Error("null metadata is read")
	}
	short := appendOffsetValue(nil, &offsetValue{expireMs: none})
	short = append(short[:len(short)-1], 1, 0, 2, 7, 7)
	if _, _, err := readOffsetValue(short); err == nil {
		t.Error("a topic id of two bytes is read")
	}
	none := kmsg.GroupMetadataValue{Version: 3}
	many := none.AppendTo(nil)
	copy(many[len(many)-4:], []byte{0x7f, 0xff, 0xff, 0xff})
	if _, _, err := readGroupValue(many); err == nil {
		t.Error("2^31-1 members in no bytes are read")
	}
}

// Strings that a record can't hold are refused, not cut.
func TestGroupValueTooLong(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", textBytesMax+1)
	for i, change := range []func(*kmsg.GroupMetadataValue){
		func(v *kmsg.GroupMetadataValue) { v.ProtocolType = long },
		func(v *kmsg.GroupMetadataValue) { v.Protocol = &long },
		func(v *kmsg.GroupMetadataValue) { v.Leader = &long },
		func(v *kmsg.GroupMetadataValue) { v.Members[1].MemberID = long },
		func(v *kmsg.GroupMetadataValue) { v.Members[1].InstanceID = &long },
		func(v *kmsg.GroupMetadataValue) { v.Members[1].ClientID = long },
		func(v *kmsg.GroupMetadataValue) { v.Members[1].ClientHost = long },
	} {
		v := someGroup(3)
		change(v)
		if _, ok := groupValue(v); ok {
			t.Errorf("case %d is written", i)
		}
	}
}

func FuzzOffsetRecord(f *testing.F) {
	f.Add(appendOffsetKey(nil, "g", "t", 3), appendOffsetValue(nil, &offsetValue{
		offset: 4, leaderEpoch: 5, metadata: "meta", commitMs: 6, expireMs: none, topicID: someTopicID,
	}))
	f.Add([]byte{0, 1, 0xff, 0xff}, []byte{0, 4})
	for version := int16(0); version < 4; version++ {
		v := kmsg.OffsetCommitValue{Version: version, Offset: 1, Metadata: "m", ExpireTimestamp: 4}
		f.Add(appendOffsetKey(nil, "", "", -1), v.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if k, err := readOffsetKey(key); err == nil {
			again := appendOffsetKey(nil, k.group, k.topic, k.partition)
			if !bytes.Equal(again[2:], key[2:]) {
				t.Errorf("key %x is written as %x", key, again)
			}
		}
		v, known, err := readOffsetValue(value)
		if err != nil || !known || len(v.metadata) > textBytesMax && v.expireMs != none {
			return
		}
		again, _, err := readOffsetValue(appendOffsetValue(nil, &v))
		if v.expireMs != none {
			v.leaderEpoch, v.topicID = none, [16]byte{}
		}
		if err != nil || again != v {
			t.Errorf("value %+v is read again as %+v, %v", v, again, err)
		}
	})
}

func FuzzGroupRecord(f *testing.F) {
	for version := int16(0); version <= 5; version++ {
		f.Add(groupKey("g"), someGroup(version).AppendTo(nil))
	}
	f.Add([]byte{0, 2, 0, 9}, []byte{0, 3, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if group, err := readGroupKey(key); err == nil && !bytes.Equal(groupKey(string(group))[2:], key[2:]) {
			t.Errorf("key %x is written as %x", key, groupKey(string(group)))
		}
		v, known, err := readGroupValue(value)
		if err != nil || !known {
			return
		}
		if memberBytes := 200 * len(v.Members); memberBytes > 64+20*len(value) {
			t.Errorf("%d members out of %d bytes", len(v.Members), len(value))
		}
		encoded, ok := groupValue(v)
		if !ok {
			return // version 4 holds longer strings than the version that is written
		}
		again, _, err := readGroupValue(encoded)
		if err != nil || !reflect.DeepEqual(again, v) {
			t.Errorf("value %+v is read again as %+v, %v", v, again, err)
		}
	})
}
