package wire

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestAPITable holds the table against the linked message library: names, and from which version on
// a message is flexible.
func TestAPITable(t *testing.T) {
	t.Parallel()
	for i, api := range APIs() {
		if int(api.Key) != i {
			t.Fatalf("row %d has key %d", i, api.Key)
		}
		req := kmsg.RequestForKey(api.Key)
		if req == nil || api.Removed() {
			continue
		}
		if got := kmsg.NameForKey(api.Key); got != api.Name && got != libraryNames[api.Name] {
			t.Errorf("key %d is %q, the library says %q", i, api.Name, got)
		}
		for v := api.RealMin; v <= min(api.MaxVersion, req.MaxVersion()); v++ {
			req.SetVersion(v)
			if req.IsFlexible() != api.Flexible(v) {
				t.Errorf("%s v%d: flexible is %t", api.Name, v, api.Flexible(v))
			}
		}
	}
}

// libraryNames are the names that the library spells its own way.
var libraryNames = map[string]string{
	"SaslHandshake": "SASLHandshake", "SaslAuthenticate": "SASLAuthenticate",
	"InitProducerId": "InitProducerID", "DescribeAcls": "DescribeACLs",
	"CreateAcls": "CreateACLs", "DeleteAcls": "DeleteACLs",
	"DescribeUserScramCredentials": "DescribeUserSCRAMCredentials",
	"AlterUserScramCredentials":    "AlterUserSCRAMCredentials",
	"AllocateProducerIds":          "AllocateProducerIDs",
	"AlterPartitionReassignments":  "AlterPartitionAssignments",
	"AssignReplicasToDirs":         "AssignReplicasToDirs",
}

// TestServedVersions proves the exceptions of the advertised ranges: Produce from 0 though 3 is
// the lowest that works (KAFKA-18659), unstable last versions hidden (KIP-1022), removed APIs not
// there.
func TestServedVersions(t *testing.T) {
	t.Parallel()
	f := func(key, version int16, unstable, want bool) {
		t.Helper()
		if got := APIByKey(key).Serves(version, unstable); got != want {
			t.Errorf("%s v%d: %t", APIName(key), version, got)
		}
	}
	f(KeyProduce, 2, false, false)
	f(KeyProduce, 3, false, true)
	f(KeyProduce, 13, false, true)
	f(KeyProduce, 14, false, false)
	f(KeyFetch, 3, false, false)
	f(KeyFetch, 18, false, true)
	f(KeyInitProducerID, 5, false, true)
	f(KeyInitProducerID, 6, false, false)
	f(KeyInitProducerID, 6, true, true)
	f(KeyLeaderAndIsr, 0, true, false)
	f(KeyMetadata, -1, false, false)
	if got := APIByKey(KeyProduce).Range(false); got != (APIRange{KeyProduce, 0, 13}) {
		t.Error("Produce is advertised as", got)
	}
	if got := APIByKey(KeyInitProducerID).Range(false); got.MaxVersion != 5 {
		t.Error("InitProducerId is advertised as", got)
	}
	if APIByKey(-1) != nil || APIByKey(int16(len(apiTable))) != nil || APIName(999) != "Unknown" {
		t.Error("keys that Kafka does not have")
	}
}

// TestCodeNames holds the error codes against the linked library.
func TestCodeNames(t *testing.T) {
	t.Parallel()
	f := func(code int16, want string) {
		t.Helper()
		if got := CodeName(code); got != want {
			t.Errorf("%d: got %s, want %s", code, got, want)
		}
	}
	f(CodeNone, "NONE")
	f(CodeUnknownServerError, "UNKNOWN_SERVER_ERROR")
	f(CodeCorruptMessage, "CORRUPT_MESSAGE")
	f(CodeMessageTooLarge, "MESSAGE_TOO_LARGE")
	f(CodeRecordListTooLarge, "RECORD_LIST_TOO_LARGE")
	f(CodeInvalidTimestamp, "INVALID_TIMESTAMP")
	f(CodeUnsupportedCompressionType, "UNSUPPORTED_COMPRESSION_TYPE")
	f(CodeInvalidRecord, "INVALID_RECORD")
	f(CodeUnknownTopicID, "UNKNOWN_TOPIC_ID")
	f(9999, "UNKNOWN_SERVER_ERROR")
}
