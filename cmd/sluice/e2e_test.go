package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTopicLifecycle(t *testing.T) {
	t.Parallel()
	want := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	want(sluice(t, "", "topic", "create", "life-a", "life-b", "-p", "2", "-r", "1", "-c", "retention.ms=5000"),
		"life-a created (2 partitions, 1 replica)\nlife-b created (2 partitions, 1 replica)\n")
	fails(t, 1, "life-a: ", "topic", "create", "life-a")
	want(sluice(t, "", "topic", "create", "life-a", "--if-not-exists"), "life-a exists\n")
	want(sluice(t, "", "topic", "create", "life-c", "--dry-run", "-p", "3"), "life-c valid (3 partitions, 1 replica)\n")
	want(sluice(t, "", "topic", "list", "life-.*"),
		"NAME    PARTITIONS  REPLICAS\nlife-a  2           1\nlife-b  2           1\n")
	want(sluice(t, "", "topic", "alter", "life-a", "-p", "3", "--set", "segment.ms=9999999", "--delete", "retention.ms"),
		"life-a altered\n")
	var topics []topicInfo
	if err := json.Unmarshal([]byte(sluice(t, "", "topic", "describe", "life-a", "-o", "json")), &topics); err != nil {
		t.Fatal(err)
	}
	if len(topics) != 1 || len(topics[0].Partitions) != 3 || len(topics[0].Configs) != 1 ||
		topics[0].Configs[0].Name != "segment.ms" || *topics[0].Partitions[2].End != 0 {
		t.Errorf("%+v", topics)
	}
	if text := sluice(t, "", "topic", "describe", "life-a"); !strings.Contains(text, "segment.ms=9999999  (DYNAMIC_TOPIC_CONFIG)") {
		t.Error(text)
	}
	fails(t, 1, "topic life-x does not exist", "topic", "describe", "life-a", "life-x")
	want(sluice(t, "", "topic", "delete", "life-a", "life-b"), "life-a deleted\nlife-b deleted\n")
	fails(t, 1, "topic life-a does not exist", "topic", "delete", "life-a")
	want(sluice(t, "", "topic", "delete", "life-a", "--if-exists"), "life-a absent\n")
	want(sluice(t, "", "topic", "list", "life-.*", "-o", "json"), "[]\n")
}

// TestBytesSurvive: lines come back byte for byte through every codec and every acks.
func TestBytesSurvive(t *testing.T) {
	t.Parallel()
	create(t, "bytes", "-p", "1")
	text := "plain\n\n\xff\xfe\x00\r\n  spaces \ttab\nünïcode\n" + strings.Repeat("x", 100_000) + "\nlast without"
	whole := ""
	for _, more := range [][]string{
		nil,
		{"--compression", "gzip"},
		{"--compression", "snappy"},
		{"--compression", "lz4"},
		{"--compression", "zstd", "--acks", "1"},
		{"--acks", "0"},
	} {
		sluice(t, text, append([]string{"produce", "bytes"}, more...)...)
		whole += text + "\n"
	}
	// What nobody acknowledged has no certain time of arrival.
	want := strings.Count(whole, "\n")
	got := sluice(t, "", "consume", "bytes", "-n", fmt.Sprint(want))
	if got != whole {
		t.Errorf("%d bytes became %d", len(whole), len(got))
	}
	if got := sluice(t, "", "consume", "bytes", "-e"); got != whole {
		t.Errorf("with an end: %d bytes became %d", len(whole), len(got))
	}
}

func TestProduceForms(t *testing.T) {
	t.Parallel()
	create(t, "forms", "-p", "2")
	f := func(input, want string, args ...string) {
		t.Helper()
		end := strings.TrimSpace(sluice(t, "", "consume", "forms", "-p", "1", "-e", "-f", `%o\n`))
		next := strings.Count(end, "\n")
		if end != "" {
			next++
		}
		sluice(t, input, append([]string{"produce", "forms", "-p", "1"}, args...)...)
		got := sluice(t, "", "consume", "forms", "-p", "1", "-o", fmt.Sprintf("%d:end", next), "-f",
			`%p|%k|%K|%v|%V|%h\n`)
		if got != want {
			t.Errorf("%q %q: got %q, want %q", input, args, got, want)
		}
	}
	f("v", "1||-1|v|1|\n")
	f("k:v:w\n:x\n", "1|k|1|v:w|3|\n1||0|x|1|\n", "-k", ":")
	f("k\tv\n", "1|k|1|v|1|\n", "-k", `\t`)
	f("k:\nl:x\n", "1|k|1||-1|\n1|l|1|x|1|\n", "-k", ":", "--tombstone")
	f("k:\n", "1|k|1||0|\n", "-k", ":")
	f("NIL:NIL\nNIL\n"[:8], "1||-1||-1|\n", "-k", ":", "--null", "NIL")
	f("a;;b", "1||-1|a|1|h=1,i=\n1||-1|b|1|h=1,i=\n", "--delimiter", ";;", "-H", "h=1", "-H", "i=")
	path := filepath.Join(t.TempDir(), "in.txt")
	if err := os.WriteFile(path, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f("", "1||-1|from a file|11|\n", "-f", path)

	fails(t, 1, "topic nowhere does not exist; create it with: sluice topic create nowhere", "produce", "nowhere")
	fails(t, 1, "topic forms has no partition 2: it has 2 partitions", "produce", "forms", "-p", "2")
	r := run(t, "ok\nmuch too long\n", "-b", server(), "produce", "forms", "-p", "0", "--max-line-bytes", "5")
	if r.code != 1 || !strings.Contains(r.err, "line 2 is longer than 5 bytes; --max-line-bytes raises") {
		t.Errorf("%+v", r)
	}
	r = run(t, "nokey\n", "-b", server(), "produce", "forms", "-k", ":")
	if r.code != 1 || !strings.Contains(r.err, `line 1 has no key separator ":"`) {
		t.Errorf("%+v", r)
	}
	if got := sluice(t, "", "consume", "forms", "-p", "0", "-e"); got != "ok\n" {
		t.Errorf("what came before the bad line is not there: %q", got)
	}
}

// TestTooLargeForTheTopic: what the broker refuses ends with an error that says how large it was.
func TestTooLargeForTheTopic(t *testing.T) {
	t.Parallel()
	create(t, "tight", "-c", "max.message.bytes=2000")
	sluice(t, strings.Repeat(strings.Repeat("y", 100)+"\n", 100), "produce", "tight")
	if n := strings.Count(sluice(t, "", "consume", "tight", "-e"), "\n"); n != 100 {
		t.Errorf("%d lines", n)
	}
	r := run(t, strings.Repeat("z", 3000), "-b", server(), "produce", "tight")
	if r.code != 1 || !strings.Contains(r.err, "a record of 3000 bytes could not be stored") {
		t.Errorf("%+v", r)
	}
}

func TestConsumeForms(t *testing.T) {
	t.Parallel()
	create(t, "read-a", "read-b", "-p", "3")
	for p := range 3 {
		for _, topic := range []string{"a", "b"} {
			text := fmt.Sprintf("%s%d.0\n%s%d.1\n%s%d.2\n", topic, p, topic, p, topic, p)
			sluice(t, text, "produce", "read-"+topic, "-p", fmt.Sprint(p))
		}
	}
	f := func(want string, args ...string) {
		t.Helper()
		got := sluice(t, "", append([]string{"consume"}, args...)...)
		if got = strings.ReplaceAll(strings.TrimSuffix(got, "\n"), "\n", " "); got != want {
			t.Errorf("%q: got %q, want %q", args, got, want)
		}
	}
	f("a0.0 a0.1 a0.2 a1.0 a1.1 a1.2 a2.0 a2.1 a2.2", "read-a", "-e")
	f("b0.2 b1.2 b2.2 a0.2 a1.2 a2.2", "read-b", "read-a", "-o", "-1:end")
	f("a1.1 a2.1", "read-a", "-o", "1:2", "-p", "2,1")
	f("a1.0 a1.1", "read-a", "-o", ":2", "-p", "1")
	f("a1.1 a1.2", "read-a", "-o", "+1:end", "-p", "1")
	f("a1.0", "read-a", "-o", ":-2", "-p", "1")
	f("a0.0 a0.1 a0.2", "read-a", "-o", "@-1h:end", "-p", "0")
	f("", "read-a", "-o", "@4000000000:end", "-p", "0")
	f("", "read-a", "-o", "end", "-e")
	f("a0.0 a0.1 a0.2 a1.0", "read-a", "-e", "-n", "4")
	f("a0.0 a0.1", "read-a", "-p", "0", "-n", "2")
	f("a0.0 a0.1 a0.2", "read-a", "-p", "0", "-e", "--read-committed")
	fails(t, 1, "topic nowhere does not exist", "consume", "nowhere")
	fails(t, 1, "topic read-a has no partition 3: it has 3 partitions", "consume", "read-a", "-p", "3")
	var rec struct {
		Topic, Value      string
		Partition, Offset int64
	}
	line := sluice(t, "", "consume", "read-a", "-o", "1:2", "-p", "2", "--output", "json")
	if err := json.Unmarshal([]byte(line), &rec); err != nil || rec.Value != "a2.1" || rec.Partition != 2 || rec.Offset != 1 {
		t.Errorf("%s: %+v, %v", line, rec, err)
	}
}

// TestFollowingEndsCleanly: a consumer without an end prints what comes, and Ctrl-C ends it with 0.
func TestFollowingEndsCleanly(t *testing.T) {
	t.Parallel()
	create(t, "follow", "-p", "1")
	out := &safeBuffer{}
	cmd := exec.Command(binary, "-b", server(), "consume", "follow")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for _, line := range []string{"one\n", "two\n"} {
		sluice(t, line, "produce", "follow")
		for deadline := time.Now().Add(30 * time.Second); !strings.HasSuffix(out.String(), line); {
			if time.Now().After(deadline) {
				_ = cmd.Process.Kill()
				t.Fatalf("%q did not come: %q", line, out)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil || out.String() != "one\ntwo\n" {
		t.Errorf("%v, %q", err, out)
	}
}

func TestConfigAndCluster(t *testing.T) {
	t.Parallel()
	create(t, "conf")
	sluice(t, "", "config", "alter", "topic", "conf", "--set", "retention.ms=77", "--set", "cleanup.policy=compact")
	got := sluice(t, "", "config", "describe", "topic", "conf")
	want := "KEY             VALUE    SOURCE\ncleanup.policy  compact  DYNAMIC_TOPIC_CONFIG\n" +
		"retention.ms    77       DYNAMIC_TOPIC_CONFIG\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	sluice(t, "", "config", "alter", "topic", "conf", "--delete", "retention.ms", "--delete", "cleanup.policy")
	if all := sluice(t, "", "config", "describe", "topic", "conf", "--all"); strings.Count(all, "DEFAULT_CONFIG") < 20 {
		t.Error(all)
	}
	fails(t, 1, "topic conf: ", "config", "alter", "topic", "conf", "--set", "retention.ms=soon")
	if got := sluice(t, "", "cluster", "info"); !strings.Contains(got, "1   "+server()) {
		t.Errorf("%q", got)
	}
	if got := sluice(t, "", "config", "describe", "broker", "1", "-o", "json"); !strings.Contains(got, "log.dirs") {
		t.Errorf("%q", got)
	}
}

// volatile are the parts of outputs that differ between clusters and runs.
var volatile = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`TopicId: [A-Za-z0-9_-]{22}`), "TopicId: ID"},
	{regexp.MustCompile(`Cluster ID: .*`), "Cluster ID: ID"},
	{regexp.MustCompile(`(CreateTime:)\d{13}`), "${1}TIME"},
	{regexp.MustCompile(`"logDir":"[^"]*"`), `"logDir":"DIR"`},
}

// TestKafkaTranscript runs the commands of testdata/kafka_tools.txt and compares their output and
// exit codes with what the tools of Kafka 4.3.1 gave against a broker of Kafka 4.3.1. Two things
// were put in order there, as Kafka prints them in the order of a hash table: the topics of a
// description and the partitions of kafka-log-dirs.
func TestKafkaTranscript(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/kafka_tools.txt")
	if err != nil {
		t.Fatal(err)
	}
	steps := strings.Split(string(text), "$ ")[1:]
	if len(steps) < 50 {
		t.Fatalf("only %d commands", len(steps))
	}
	for _, step := range steps {
		command, want, _ := strings.Cut(step, "\n")
		words, input := shellWords(t, command)
		name, args := words[0], words[1:]
		args = append(args, "--bootstrap-server", server())
		// Not even a warning of the broker's own is missing: only standard output is compared.
		r := run(t, input, append([]string{name}, args...)...)
		got := r.out
		for _, v := range volatile {
			got = v.find.ReplaceAllString(got, v.put)
		}
		got += fmt.Sprintf("[exit %d]\n", r.code)
		if got != want {
			t.Errorf("%s\ngot\n%s%swant\n%s", command, got, r.err, want)
		}
		if r.code != 0 && r.err == "" && r.out == "" {
			t.Errorf("%s failed without a word", command)
		}
	}
}

// shellWords splits a line of the transcript: words, perhaps in single quotes, and <<< with input
// in which \t and the like stand for what they mean.
func shellWords(t *testing.T, line string) (words []string, input string) {
	t.Helper()
	line, text, _ := strings.Cut(line, " <<< ")
	input = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r").Replace(text)
	for _, w := range regexp.MustCompile(`'[^']*'|[^ ']+'[^']*'|[^ ]+`).FindAllString(line, -1) {
		words = append(words, strings.ReplaceAll(w, "'", ""))
	}
	return words, input
}

// TestDeleteRecords: the offsets of the file become the starts of the logs (KIP-107).
func TestDeleteRecords(t *testing.T) {
	t.Parallel()
	create(t, "shorten", "-p", "2")
	sluice(t, "a\nb\nc\n", "produce", "shorten", "-p", "0")
	path := filepath.Join(t.TempDir(), "upto.json")
	text := `{"partitions":[{"topic":"shorten","partition":0,"offset":2},` +
		`{"topic":"shorten","partition":1,"offset":9}],"version":1}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, "", "kafka-delete-records", "--bootstrap-server", server(), "--offset-json-file", path)
	want := "Executing records delete operation\nRecords delete operation completed:\n" +
		"partition: shorten-0\tlow_watermark: 2\npartition: shorten-1\terror: "
	if r.code != 0 || !strings.HasPrefix(r.out, want) {
		t.Errorf("%+v", r)
	}
	if got := sluice(t, "", "consume", "shorten", "-e"); got != "c\n" {
		t.Errorf("%q", got)
	}
}
