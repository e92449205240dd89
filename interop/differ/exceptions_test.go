//go:build interop

package differ

import (
	"fmt"
	"os"
	"regexp"
	"sync"
)

// exception is a difference that is meant: the test, step and field where it occurs, what each
// broker says there, and why. Every pattern must match the whole text.
type exception struct {
	test, label, path string
	kafka, sluice     string
	why               string

	compiled [5]*regexp.Regexp
	hits     int
}

// notServed are the keys of APIs that only Kafka has.
const notServed = "17|29|30|31|34|36|38|39|40|41|43|45|46|48|49|50|51|55|57|64|68|69|71|72|74|76|77|" +
	"78|79|80|81|83|84|85|86|87|88|89|90|91|92|93|94"

// exceptions is the whole list. A pattern left empty matches all.
var exceptions = []*exception{
	{
		test: "TestApiVersions.*|TestAfterMalformed",
		path: `ApiKeys\[(` + notServed + `)\].*`, sluice: `\(absent\)`,
		why: "the new group protocols, share groups, security, quotas and changes of the cluster are " +
			"not served yet, so not advertised",
	},
	{
		test: "TestApiVersions.*", sluice: `\(absent\)`,
		path: `(Supported|Finalized)Features\["(eligible|group|kraft|metadata|share|streams).*`,
		why:  "a feature is advertised by the change that proves it",
	},
	{
		test: "TestProduce.*|TestBa.*|TestIdem.*|TestTxnProduce", path: `.*\.ErrorMessage`,
		kafka: "nil", sluice: "a text",
		why: "Kafka leaves most refusals of a batch unexplained",
	},
	{
		test: "TestBa.*", path: `.*\.ErrorCode`, kafka: "UNKNOWN_SERVER_ERROR",
		sluice: "INVALID_RECORD|CORRUPT_MESSAGE",
		why:    "Kafka fails inside and says so; the batch is what is wrong",
	},
	{
		test: "TestBad.*", label: ".*(" + lenient + ").*",
		why: "Kafka takes these, or rewrites them to a log that its own readers stumble over",
	},
	{
		test: "TestBadBatchBytes", label: ".*null records", kafka: `silent|\(absent\)`,
		why: "Kafka never answers",
	},
	{
		path:   `.*RecordBatches\[\d+\]`,
		kafka:  `\d+ bytes of a batch cut short`,
		sluice: `\(absent\)`,
		why:    "Kafka fills up the limit with part of a batch, which clients drop",
	},
	{
		path: `.*\["(log\.durability|log\.validation)"\].*`, kafka: `\(absent\)`,
		why: "this broker's own configs",
	},
	{
		path: `.*\["min\.insync\.replicas"\].*(Source|IsDefault)`,
		why:  "Kafka sets it cluster-wide as eligible leader replicas are on; they are not here yet",
	},
	{
		path: `.*\["min\.insync\.replicas"\].*`, sluice: `\(absent\)`,
		why: "the same, seen in what is set dynamically",
	},
	{
		test: "Test.*AlterConfigs", path: `Resources\[.*\]\.Configs`, kafka: `\(absent\)`,
		sluice: "none", why: "the same: without it nothing is set",
	},
	{
		path: `.*\["listener\.security\.protocol\.map"\].*Value`,
		why:  "the same pairs in another order",
	},
	{
		test: "TestAlterBrokerConfigs", label: "(IncrementalAlterConfigs v1: |after )(set an unknown " +
			"key.*|set a wrong value.*|delete it.*)",
		why: "Kafka stores a broker config that nobody knows, and shows it ever after",
	},
	{
		test: "TestAlterBrokerConfigs", path: `.*\["no\.such"\].*`, sluice: `\(absent\)`,
		why: "the same, in what is described later",
	},
	{
		test: "TestCreateTopicsNames", label: ".*(colliding within one request|what came of it)",
		why: "Kafka makes both of two topics whose metrics collide, when one request asks for both",
	},
	{
		test: "TestFetchVersions", label: ".*partition twice",
		why: "Kafka answers once to a partition that is asked for twice, which no client does",
	},
	{
		test: "TestProduceAddress", label: ".*the same (partition|topic) twice|.*what was kept",
		why: "Kafka drops all but the last of one request's batches for a partition; here each is " +
			"appended and answered",
	},
	{
		test: "TestCreateTopics", label: ".*timeout.*", path: `.*\.ErrorMessage`, kafka: "nil",
		sluice: "a text", why: "an explanation where Kafka has none",
	},
	{
		test: "TestFindCoordinator", label: ".*type (2|3|-1|127) .*", path: `.*\.ErrorMessage.*`,
		kafka: "empty", sluice: "a text", why: "an explanation where Kafka has none",
	},
	{
		test:  "TestJoinRefusals|TestJoinExpiry|TestGroupGarbage",
		label: "DescribeGroups.*(not made|never synced)",
		why: "a group that nobody got into, or that never had a plan, leaves nothing; Kafka keeps " +
			"an empty one until offsets expire",
	},
	{
		test: "TestJoinVotes", label: `.*\[\[range sticky\] \[sticky range\]\]|.*votes0`,
		path: `.*Protocol`, kafka: `"sticky"`, sluice: `"range"`,
		why: "equal votes: Kafka takes what its hash map has first, Sluice what the first member wants",
	},
	{
		test: "TestOffsetCommitSimple|TestTxnOffsetCommit.*", label: ".*topic without partitions",
		why: "a topic without partitions is echoed where Kafka leaves it out",
	},
	{
		test: "TestTxnAddBatched", label: ".*: nothing", why: "Kafka never answers",
	},
	{
		test: "TestTxnAddBatched", label: ".*one twice, verifying true",
		why: "verified and added in one request, which no broker sends: the order is open",
	},
	{
		test: "TestWriteTxnMarkers", path: `.*\.ErrorCode`, kafka: "UNKNOWN_SERVER_ERROR",
		sluice: "INVALID_PRODUCER_EPOCH",
		why:    "Kafka has no code of its own for a marker of an old epoch",
	},
	{
		test: "TestWriteTxnMarkers", label: ".*no topics.*", path: "Markers.*",
		why: "a marker for no partition is echoed where Kafka leaves it out",
	},
	{
		test: "TestTxnFetch", label: ".*one batch, .*", path: `.*AbortedTransactions.*`,
		why: "Kafka's list reaches to the next entry of its sparse index, Sluice's to the end of the " +
			"data",
	},
	{
		test: "TestDescribeTransactions|TestDescribeGroups", label: ".*(several|odd names).*",
		path: ".*#2", sluice: `\(absent\)`,
		why: "what is asked for twice is described once: answers do not outgrow their requests",
	},
	{
		test: "TestOffsetFetch", label: ".*many groups", path: `Groups\["of"\].*`,
		why: "the same: a group's second query in one request is refused",
	},
	{
		test: "TestApiVersions", path: "SupportedFeatures", kafka: `\(absent\)`, sluice: "none",
		why: "the same: version 3 leaves out what goes down to level 0, and then nothing is left",
	},
	{
		test: "TestGroupOddJoins", label: ".*a protocol twice",
		why: "Kafka fails inside and never answers; here the first counts",
	},
	{
		test: "TestGroupOddJoins", label: ".*instance 7",
		why: "a member id begins with no more of a long instance id than leaves it short",
	},
	{
		test: "TestTxnExhausted", label: `.*the same again|DescribeTransactions.*: end`,
		kafka: `UNKNOWN_SERVER_ERROR|-1|"CompleteCommit"|now`,
		why:   "Kafka fails inside when the last epoch but one is asked for again; here it is a retry",
	},
	{
		test: "TestTxnManyPartitions", label: ".*many that are not there", path: ".*#2",
		kafka: `\(absent\)`, why: "a partition that is refused twice is answered twice",
	},
	{
		path: "answer", kafka: "unanswered",
		sluice: "REBALANCE_IN_PROGRESS|UNKNOWN_MEMBER_ID",
		why: "a request that a later one of the same member replaced, or whose member has left, " +
			"is answered; Kafka leaves it waiting for ever",
	},
}

var exceptionsMu sync.Mutex

// matches compiles the patterns on first use.
func (e *exception) matches(values [5]string) bool {
	for i, pattern := range []string{e.test, e.label, e.path, e.kafka, e.sluice} {
		if e.compiled[i] == nil {
			if pattern == "" {
				pattern = "(?s).*"
			}
			e.compiled[i] = regexp.MustCompile("^(?:" + pattern + ")$")
		}
		if !e.compiled[i].MatchString(values[i]) {
			return false
		}
	}
	return true
}

// excepted says whether a difference is on the list.
func excepted(test, label, path, kafka, sluice string) bool {
	if os.Getenv("SLUICE_INTEROP_SAME") != "" {
		return false
	}
	exceptionsMu.Lock()
	defer exceptionsMu.Unlock()
	for _, e := range exceptions {
		if e.matches([5]string{test, label, path, kafka, sluice}) {
			e.hits++
			return true
		}
	}
	return false
}

// reportExceptions prints each exception with the number of fields it covered in this run.
func reportExceptions() {
	if os.Getenv("SLUICE_INTEROP_SAME") != "" {
		return
	}
	for _, e := range exceptions {
		fmt.Printf("listed difference, %4d fields: %s\n", e.hits, e.why)
	}
}
