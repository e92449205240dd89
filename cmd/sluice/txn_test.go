package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// txnProducer begins a transaction and writes one record to each of two partitions.
func txnProducer(t *testing.T, id, topic string) *kgo.Client {
	t.Helper()
	return txnProducerAt(t, server(), id, topic)
}

func txnProducerAt(t *testing.T, address, id, topic string) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.TransactionalID(id),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for p := range int32(2) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		err := cl.ProduceSync(ctx, &kgo.Record{Partition: p, Value: []byte(id)}).FirstErr()
		cancel()
		if err != nil {
			t.Fatal(err)
		}
	}
	return cl
}

// endTxn ends a producer's transaction, and waits until its markers are written.
func endTxn(t *testing.T, cl *kgo.Client, how string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := cl.EndTransaction(ctx, kgo.TransactionEndTry(how == "commit")); err != nil {
		t.Fatal(err)
	}
	id := cl.OptValue(kgo.TransactionalID).(string)
	for {
		info, err := describeTxn(ctx, kadm.NewClient(cl), id)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(info.State, "Complete") {
			return
		}
	}
}

// txnJSON is what `txn describe -o json` prints of a transactional id.
func txnJSON(t *testing.T, id string) txnInfo {
	t.Helper()
	var out []txnInfo
	text := sluice(t, "", "txn", "describe", id, "-o", "json")
	if err := json.Unmarshal([]byte(text), &out); err != nil || len(out) != 1 {
		t.Fatalf("%v\n%s", err, text)
	}
	return out[0]
}

// TestTxnCommands: the life of transactions as the commands show it (KIP-664).
func TestTxnCommands(t *testing.T) {
	t.Parallel()
	create(t, "txned", "-p", "2")
	endTxn(t, txnProducer(t, "tc-done", "txned"), "commit")
	endTxn(t, txnProducer(t, "tc-undone", "txned"), "abort")
	txnProducer(t, "tc-open", "txned")
	states := map[string]string{
		"tc-done": "CompleteCommit", "tc-undone": "CompleteAbort", "tc-open": "Ongoing",
	}
	rows := strings.Split(strings.TrimSpace(sluice(t, "", "txn", "list", "tc-.*")), "\n")
	if len(rows) != 4 {
		t.Errorf("%q", rows)
	}
	for _, row := range rows[1:] {
		if w := strings.Fields(row); states[w[0]] != w[1] {
			t.Errorf("%q", row)
		}
	}
	if got := sluice(t, "", "txn", "list", "tc-.*", "--state", "Ongoing"); strings.Count(got, "tc-") != 1 {
		t.Errorf("%q", got)
	}
	if got := sluice(t, "", "txn", "list", "tc-.*", "--longer-than", "1h"); strings.Contains(got, "tc-") {
		t.Errorf("%q", got)
	}
	fails(t, 1, "there is no state Sleeping", "txn", "list", "--state", "Sleeping")
	open := txnJSON(t, "tc-open")
	if open.State != "Ongoing" || open.StartMs == nil || partitionText(open.Partitions, " ") != "txned:0,1" {
		t.Errorf("%+v", open)
	}
	if got := sluice(t, "", "txn", "describe", "tc-open"); !strings.Contains(got, "state Ongoing") ||
		!strings.Contains(got, "partitions txned:0,1") {
		t.Errorf("%q", got)
	}
	// Committed readers see what was committed, and stop before the open transaction.
	if got := sluice(t, "", "consume", "txned", "-e", "--read-committed"); got != "tc-done\ntc-done\n" {
		t.Errorf("%q", got)
	}
	testKafkaTransactions(t, open)
	sluice(t, "", "txn", "abort", "--id", "tc-open")
	if now := txnJSON(t, "tc-open"); now.State == "Ongoing" {
		t.Errorf("%+v", now)
	}
}

// testKafkaTransactions compares with tables as kafka-transactions of Kafka 4.3.1 prints them.
func testKafkaTransactions(t *testing.T, open txnInfo) {
	t.Helper()
	f := func(code int, want string, args ...string) {
		t.Helper()
		r := run(t, "", append([]string{"kafka-transactions", "--bootstrap-server", server()}, args...)...)
		if r.code != code || r.out+r.err != want {
			t.Errorf("%q: exit %d\n%q\nwant\n%q", args, r.code, r.out+r.err, want)
		}
	}
	pid := strconv.FormatInt(open.ProducerID, 10)
	f(0, "TransactionalId\tCoordinator\tProducerId\tTransactionState\t\n"+
		fmt.Sprintf("tc-open        \t1          \t%-10s\tOngoing         \t\n", pid),
		"list", "--transactional-id-pattern", "tc-o.*")
	f(0, "TransactionalId\tCoordinator\tProducerId\tTransactionState\t\n",
		"list", "--duration-filter", "100000000", "--transactional-id-pattern", "tc-.*")
	f(1, "Failed to describe transaction state of transactional-id `tc-none`: DescribeTransactions request for "+
		"transactionalId `tc-none` failed because the ID could not be found\n",
		"describe", "--transactional-id", "tc-none")
	f(0, "Topic\tPartition\tProducerId\tProducerEpoch\tCoordinatorEpoch\tStartOffset\tLastTimestamp\t"+
		"Duration(min)\t\n", "find-hanging", "--topic", "txned")
	f(1, "The `find-hanging` command requires either --topic or --broker-id to limit the scope of the search\n",
		"find-hanging")
	f(1, "Could not find any open transactions starting at offset 77 on partition txned-0\n",
		"abort", "--topic", "txned", "--partition", "0", "--start-offset", "77")
	f(1, "Missing required argument --producer-epoch\n",
		"abort", "--topic", "txned", "--partition", "0", "--producer-id", "1")
	f(1, "argument --transactional-id is required; see kafka-transactions --help\n", "describe")
	f(1, "unrecognized arguments: '--transactional-id'; see kafka-transactions --help\n",
		"forceTerminateTransaction", "--transactional-id", "x", "--transactionalId", "y")
	f(1, "too few arguments; see kafka-transactions --help\n")

	r := run(t, "", "kafka-transactions", "--bootstrap-server", server(), "describe", "--transactional-id",
		"tc-open")
	lines := strings.Split(r.out, "\n")
	head := "CoordinatorId\tTransactionalId\tProducerId\tProducerEpoch\tTransactionState\tTransactionTimeoutMs\t" +
		"CurrentTransactionStartTimeMs\tTransactionDurationMs\tTopicPartitions\t"
	row := fmt.Sprintf("1            \ttc-open        \t%-10s\t%-13d\tOngoing         \t40000               \t%-29d\t",
		pid, open.ProducerEpoch, *open.StartMs)
	if r.code != 0 || lines[0] != head || !strings.HasPrefix(lines[1], row) ||
		!strings.HasSuffix(lines[1], "\ttxned-0,txned-1\t") {
		t.Errorf("%+v\nwant %q", r, row)
	}
	r = run(t, "", "kafka-transactions", "describe-producers", "--bootstrap-server", server(), "--topic",
		"txned", "--partition", "0")
	head = "ProducerId\tProducerEpoch\tLatestCoordinatorEpoch\tLastSequence\tLastTimestamp\t" +
		"CurrentTransactionStartOffset\t\n"
	if r.code != 0 || !strings.HasPrefix(r.out, head) || strings.Count(r.out, "None") != 2 ||
		!strings.Contains(r.out, "\n"+fmt.Sprintf("%-10s\t%-13d\t-1                    \t0           \t", pid,
			open.ProducerEpoch)) {
		t.Errorf("%+v", r)
	}
}

// TestHangingTransaction: a transaction that no coordinator knows of is found, and aborted by where it
// begins; readers of committed records then go on (KIP-664). It comes about as in practice: a producer
// wrote to a partition that its coordinator was not told of.
func TestHangingTransaction(t *testing.T) {
	t.Parallel()
	create(t, "hung", "-p", "2")
	cl := txnProducer(t, "th", "hung")
	adm := kadm.NewClient(cl)
	open := txnJSON(t, "th")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ask := func(partition int32) []openTxn {
		t.Helper()
		scope := hangingScope{topic: "hung", partitions: []int32{partition}, broker: -1}
		found, err := openTxns(ctx, adm, scope, time.Now().Add(time.Hour))
		if err != nil || len(found) != 1 || found[0].ProducerID != open.ProducerID {
			t.Fatalf("%+v, %v", found, err)
		}
		return found
	}
	one := ask(1)
	if left, err := hanging(ctx, adm, cl, one); err != nil || len(left) != 0 {
		t.Errorf("its coordinator knows of it, and it hangs: %+v, %v", left, err)
	}
	// The same transaction in a partition of which the coordinator has never heard.
	foreign := ask(1)
	foreign[0].Partition = 7
	if left, err := hanging(ctx, adm, cl, foreign); err != nil || len(left) != 1 {
		t.Errorf("nobody knows of it, and it does not hang: %+v, %v", left, err)
	}
	sluice(t, "", "txn", "abort", "--topic", "hung", "--partition", "0", "--start-offset", "0")
	sluice(t, "after\n", "produce", "hung", "-p", "0")
	if got := sluice(t, "", "consume", "hung", "-p", "0", "-e", "--read-committed"); got != "after\n" {
		t.Errorf("%q", got)
	}
	fails(t, 1, "no open transaction begins", "txn", "abort", "-t", "hung", "-p", "0", "--start-offset", "0")
	if got := sluice(t, "", "txn", "find-hanging", "--topic", "hung"); strings.Count(got, "\n") != 1 {
		t.Errorf("%q", got)
	}
	sluice(t, "", "txn", "abort", "--id", "th")
}
