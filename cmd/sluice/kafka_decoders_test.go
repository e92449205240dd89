package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// internalSegments starts a broker, lets a group commit and a transaction end, stops the broker, and
// returns the segments of its internal topics that hold something.
func internalSegments(t *testing.T) (offsets, txns []string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	b, err := startBroker(dir, "--override", "group.initial.rebalance.delay.ms=0",
		"--override", "offsets.topic.num.partitions=2",
		"--override", "transaction.state.log.num.partitions=2")
	if err != nil {
		t.Fatal(err)
	}
	do := func(input string, args ...string) {
		t.Helper()
		if r := run(t, input, append([]string{"-b", b.address}, args...)...); r.code != 0 {
			t.Fatalf("%q: %+v", args, r)
		}
	}
	do("", "topic", "create", "decoded", "-p", "2")
	do("a\nb\n", "produce", "decoded", "-p", "0")
	do("", "consume", "decoded", "--group", "g-kept", "-n", "2")
	do("", "consume", "decoded", "--group", "g-gone", "-n", "2")
	do("", "group", "delete", "g-gone")
	endTxn(t, txnProducerAt(t, b.address, "x-done", "decoded"), "commit")
	endTxn(t, txnProducerAt(t, b.address, "x-undone", "decoded"), "abort")
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	segments := func(topic string) (found []string) {
		all, err := filepath.Glob(filepath.Join(dir, topic+"-*", "*.log"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range all {
			if info, err := os.Stat(path); err == nil && info.Size() > 0 {
				found = append(found, path)
			}
		}
		if len(found) == 0 {
			t.Fatalf("%s has no segment that holds something", topic)
		}
		return found
	}
	return segments("__consumer_offsets"), segments("__transaction_state")
}

// TestInternalTopicsAreKafkas: what this broker writes to its internal topics is read as Kafka's
// records are, every one of them, and Kafka's own DumpLogSegments prints the same if
// SLUICE_KAFKA_JARS names a directory with it.
func TestInternalTopicsAreKafkas(t *testing.T) {
	t.Parallel()
	offsets, txns := internalSegments(t)
	jars := os.Getenv("SLUICE_KAFKA_JARS")
	f := func(decoder string, files []string, want ...string) {
		t.Helper()
		args := []string{decoder, "--files", strings.Join(files, ",")}
		r := run(t, "", append([]string{"kafka-dump-log"}, args...)...)
		if r.code != 0 || r.err != "" || strings.Contains(r.out, "skipping") {
			t.Fatalf("%+v", r)
		}
		for _, w := range want {
			if !strings.Contains(r.out, w) {
				t.Errorf("%s: no %s in\n%s", decoder, w, r.out)
			}
		}
		if jars == "" {
			return
		}
		out, err := exec.Command("java", append([]string{
			"-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp", filepath.Join(jars, "*"),
			"org.apache.kafka.tools.DumpLogSegments",
		}, args...)...).Output()
		if err != nil || string(out) != r.out {
			t.Errorf("%v: Kafka's tool prints\n%s\nand ours\n%s", err, out, r.out)
		}
	}
	f("--offsets-decoder", offsets, `key: {"type":"1","data":{"group":"g-kept","topic":"decoded","partition":0}} `+
		`payload: {"version":"4","data":{"offset":2,"leaderEpoch":0,"metadata":`,
		`key: {"type":"2","data":{"group":"g-kept"}} payload: {"version":"3","data":{"protocolType":"consumer"`,
		`"subscription":{"topics":["decoded"]`, `"assignment":{"assignedPartitions":[{"topic":"decoded"`,
		`key: {"type":"2","data":{"group":"g-gone"}} payload: <DELETE>`)
	f("--transaction-log-decoder", txns, `key: {"type":"0","data":{"transactionalId":"x-done"}} payload: `+
		`{"version":"1","data":{"producerId":`, `"transactionPartitions":[{"topic":"decoded","partitionIds":[`,
		`"transactionStatus":4`, `"transactionStatus":5`)
	if jars == "" {
		t.Log("SLUICE_KAFKA_JARS does not name a directory with Kafka's jars: its tool was not asked")
	}
	testOwnDump(t, offsets, txns)
}

// testOwnDump: sluice log dump knows by a directory's name how to read its records.
func testOwnDump(t *testing.T, offsets, txns []string) {
	t.Helper()
	for _, files := range [][]string{offsets, txns} {
		r := run(t, "", append([]string{"log", "dump", "--records", "-o", "json"}, files...)...)
		decoded := 0
		for _, line := range strings.Split(strings.TrimSpace(r.out), "\n") {
			var entry struct {
				Type    string
				Decoded *struct {
					Key, Value map[string]any
					Error      string
				}
			}
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			if entry.Type == "record" && (entry.Decoded == nil || entry.Decoded.Key["data"] == nil) {
				t.Errorf("not decoded: %s", line)
			}
			if entry.Decoded != nil {
				decoded++
			}
		}
		if r.code != 0 || decoded == 0 {
			t.Errorf("%d decoded, %+v", decoded, r)
		}
		r = run(t, "", append([]string{"log", "dump", "--records", "--decode", "none"}, files...)...)
		if r.code != 0 || strings.Contains(r.out, `"data":`) {
			t.Errorf("%+v", r)
		}
	}
	fails(t, 2, "--decode words: it must be", "log", "dump", "--decode", "words", offsets[0])
}
