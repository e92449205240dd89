package coordrec

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
)

// The expected texts of this file are what Kafka 4.3.1's DumpLogSegments prints between "data": and the
// end, for records of Kafka 4.4.0 where the version is one that it writes.

// TestKeys: the keys of both topics (OffsetCommitKey, GroupMetadataKey, TransactionLogKey).
func TestKeys(t *testing.T) {
	f := func(topic Topic, key, want string) {
		t.Helper()
		b := unhex(t, key)
		_, kind, err := Type(topic, b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := AppendKey(nil, kind, b)
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v; want %s", key, got, err, want)
		}
	}
	f(Offsets, "0001 0005 672d6f6e65 0005 6772702d61 00000002",
		`{"group":"g-one","topic":"grp-a","partition":2}`)
	f(Offsets, "0000 0001 67 0001 74 00000000", `{"group":"g","topic":"t","partition":0}`)
	f(Offsets, "0002 0005 672d6f6e65", `{"group":"g-one"}`)
	f(Offsets, "0002 0004 22 5c 0a 01", `{"group":"\"\\\n\u0001"}`)
	f(Transactions, "0000 0008 74786e2d646f6e65", `{"transactionalId":"txn-done"}`)
	for _, unknown := range []string{"0003", "000f00", "ffff"} {
		if _, kind, err := Type(Offsets, unhex(t, unknown)); kind != Unknown || err != nil {
			t.Errorf("%s is taken for %d, %v", unknown, kind, err)
		}
	}
	if _, _, err := Type(Offsets, []byte{0}); err == nil {
		t.Error("a key of one byte has a type")
	}
}

// TestOffsetValues: every version of OffsetCommitValue.
func TestOffsetValues(t *testing.T) {
	f := func(value string, wantVersion int16, want string) {
		t.Helper()
		check(t, OffsetCommit, value, wantVersion, want, true)
	}
	f("0000 0000000000000007 0001 6d 0000000000000009", 0,
		`{"offset":7,"metadata":"m","commitTimestamp":9}`)
	f("0001 0000000000000007 0000 0000000000000009 000000000000000a", 1,
		`{"offset":7,"metadata":"","commitTimestamp":9,"expireTimestamp":10}`)
	f("0002 0000000000000007 0000 0000000000000009", 2, `{"offset":7,"metadata":"","commitTimestamp":9}`)
	f("0003 0000000000000007 ffffffff 0000 0000000000000009", 3,
		`{"offset":7,"leaderEpoch":-1,"metadata":"","commitTimestamp":9}`)
	f("0004 000000000000001a 00000002 01 0000000000000009 01 00 10 db04bf0d46e6479aa6077"+
		"efd4f70dca4", 4, `{"offset":26,"leaderEpoch":2,"metadata":"","commitTimestamp":9,`+
		`"topicId":"2wS_DUbmR5qmB379T3DcpA"}`)
	f("0004 000000000000001a 00000002 01 0000000000000009 01 07 02 aabb", 4,
		`{"offset":26,"leaderEpoch":2,"metadata":"","commitTimestamp":9}`)
}

// TestGroupValues: GroupMetadataValue, with the members' bytes in words and as they are.
func TestGroupValues(t *testing.T) {
	empty := "0003 0000 00000000 ffff ffff 00000000000000ff 00000000"
	check(t, Group, empty, 3, `{"protocolType":"","generation":0,"protocol":null,"leader":null,`+
		`"currentStateTimestamp":255,"members":[]}`, true)
	subscription := "0003 00000001 0005 6772702d61 ffffffff 00000000 ffffffff ffff"
	assignment := "0003 00000001 0005 6772702d61 00000003 00000000 00000001 00000002 ffffffff"
	member := "0001 6d ffff 0001 63 0001 68 00000005 00000006 0000001b" + subscription + "00000021" +
		assignment
	value := "0003 0008 636f6e73756d6572 00000001 0005 72616e6765 0001 6d 00000000000000ff 00000001" + member
	head := `{"protocolType":"consumer","generation":1,"protocol":"range","leader":"m",` +
		`"currentStateTimestamp":255,"members":[{"memberId":"m","groupInstanceId":null,"clientId":"c",` +
		`"clientHost":"h","rebalanceTimeout":5,"sessionTimeout":6,"subscription":`
	check(t, Group, value, 3, head+`{"topics":["grp-a"],"userData":null,"ownedPartitions":[],`+
		`"generationId":-1,"rackId":null},"assignment":{"assignedPartitions":[{"topic":"grp-a",`+
		`"partitions":[0,1,2]}],"userData":null}}]}`, true)
	check(t, Group, value, 3, head+`"AAMAAAABAAVncnAtYf////8AAAAA////////","assignment":`+
		`"AAMAAAABAAVncnAtYQAAAAMAAAAAAAAAAQAAAAL/////"}]}`, false)
	// What a member sent need not be what its protocol says.
	garbage := strings.Replace(value, "0000001b"+subscription, "00000003 ffffff", 1)
	check(t, Group, garbage, 3, head+`"////","assignment":{"assignedPartitions":[{"topic":"grp-a",`+
		`"partitions":[0,1,2]}],"userData":null}}]}`, true)
	check(t, Group, "0000 0001 63 00000001 ffff ffff 00000001 0001 6d 0001 63 0001 68 00000006 00000000"+
		"00000000", 0, `{"protocolType":"c","generation":1,"protocol":null,"leader":null,"members":[`+
		`{"memberId":"m","clientId":"c","clientHost":"h","sessionTimeout":6,"subscription":"",`+
		`"assignment":""}]}`, true)
}

// TestTransactionValues: both versions of TransactionLogValue, and the tagged fields of the second.
func TestTransactionValues(t *testing.T) {
	check(t, Transaction, "0000 0000000000000007 0001 00009c40 01 00000001 0001 74 00000001 00000002"+
		"0000000000000009 0000000000000008", 0,
		`{"producerId":7,"producerEpoch":1,"transactionTimeoutMs":40000,"transactionStatus":1,`+
			`"transactionPartitions":[{"topic":"t","partitionIds":[2]}],`+
			`"transactionLastUpdateTimestampMs":9,"transactionStartTimestampMs":8}`, true)
	check(t, Transaction, "0001 0000000000000007 0000 00009c40 00 00 0000000000000009 ffffffffffffffff"+
		"02 00 08 0000000000000006 02 02 0002", 1,
		`{"producerId":7,"previousProducerId":6,"producerEpoch":0,"transactionTimeoutMs":40000,`+
			`"transactionStatus":0,"transactionPartitions":null,"transactionLastUpdateTimestampMs":9,`+
			`"transactionStartTimestampMs":-1,"clientTransactionVersion":2}`, true)
	check(t, Transaction, "0001 0000000000000007 0000 00009c40 04 01 0000000000000009 0000000000000008 00",
		1, `{"producerId":7,"producerEpoch":0,"transactionTimeoutMs":40000,"transactionStatus":4,`+
			`"transactionPartitions":[],"transactionLastUpdateTimestampMs":9,`+
			`"transactionStartTimestampMs":8}`, true)
}

func TestDamagedValues(t *testing.T) {
	for _, value := range []string{"", "00", "ffff", "0003 00", "0004 0000000000000007 00000002 ff"} {
		for _, kind := range []Kind{OffsetCommit, Group, Transaction} {
			if got, _, err := AppendValue([]byte("x"), kind, unhex(t, value), true); err == nil || string(got) != "x" {
				t.Errorf("%d, %q is taken for %s", kind, value, got)
			}
		}
	}
}

func check(t *testing.T, kind Kind, value string, wantVersion int16, want string, decode bool) {
	t.Helper()
	got, version, err := AppendValue(nil, kind, unhex(t, value), decode)
	if err != nil || version != wantVersion || string(got) != want {
		t.Errorf("%s\n got %d %s, %v\nwant %d %s", value, version, got, err, wantVersion, want)
	}
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzAppend: whatever a record holds, what is printed of it is JSON, and no larger than the record
// justifies.
func FuzzAppend(f *testing.F) {
	for _, seed := range []string{
		"0004000000000000001a00000002010000000000000009010010db04bf0d46e6479aa6077efd4f70dca4",
		"000300000000000000ffffffff00000000000000ff00000000",
		"00010000000000000007000000009c4000000000000000000009ffffffffffffffff00",
	} {
		f.Add(unhex(f, seed), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, decode bool) {
		for _, kind := range []Kind{OffsetCommit, Group, Transaction} {
			out, _, err := AppendValue(nil, kind, b, decode)
			if err == nil && !json.Valid(out) {
				t.Errorf("value %x: %s", b, out)
			}
			if len(out) > 1000+200*len(b) {
				t.Errorf("%d bytes became %d", len(b), len(out))
			}
			if out, err = AppendKey(nil, kind, b); err == nil && !json.Valid(out) {
				t.Errorf("key %x: %s", b, out)
			}
		}
	})
}
