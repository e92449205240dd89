package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// testApp is the command line in this process.
func testApp(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &o, err: &e}
	code = a.run(args)
	return code, o.String(), e.String()
}

// TestEveryCommandHasExamples: help of every command ends well and shows how to use it.
func TestEveryCommandHasExamples(t *testing.T) {
	a := &app{in: strings.NewReader(""), out: &bytes.Buffer{}, err: &bytes.Buffer{}}
	var walk func(c *cobra.Command, path []string)
	count := 0
	walk = func(c *cobra.Command, path []string) {
		if c.Name() == "help" || c.Name() == "completion" {
			return
		}
		count++
		if c.Example == "" || c.Short == "" {
			t.Errorf("%v: no example or description", path)
		}
		code, out, errs := testApp(append(append([]string{"sluice"}, path...), "--help")...)
		first, _, _ := strings.Cut(strings.TrimSpace(c.Example), "\n")
		if code != 0 || errs != "" || !strings.Contains(out, first) {
			t.Errorf("%v --help: exit %d %s\n%s", path, code, errs, out)
		}
		for _, sub := range c.Commands() {
			walk(sub, append(path[:len(path):len(path)], sub.Name()))
		}
	}
	walk(a.root(), nil)
	if count < 25 {
		t.Errorf("only %d commands", count)
	}
}

// TestDispatch: the binary is what it is called, as Kafka's scripts are, and nothing else.
func TestDispatch(t *testing.T) {
	a := &app{}
	f := func(args, want string) {
		t.Helper()
		got := strings.Join(dispatch(a.root(), strings.Fields(args)), " ")
		if got != want {
			t.Errorf("%s: got %q, want %q", args, got, want)
		}
	}
	for _, tool := range []string{
		"kafka-server-start", "kafka-server-stop", "kafka-topics", "kafka-console-producer",
		"kafka-console-consumer", "kafka-configs", "kafka-get-offsets", "kafka-delete-records",
		"kafka-log-dirs", "kafka-dump-log", "kafka-cluster", "kafka-broker-api-versions",
	} {
		f("/opt/kafka/bin/"+tool+".sh --x y", tool+" --x y")
		f(tool+" --x", tool+" --x")
		f("sluice "+tool+" --x", tool+" --x")
		f("./sluice "+tool+".sh --x", tool+" --x")
	}
	f("sluice", "")
	f("sluice topic list", "topic list")
	f("/usr/bin/other topic list", "topic list")
	f("topic list", "list")
	f("kafka-nothing.sh list", "list")
	f("/opt/kafka/bin/kafka-consumer-groups.sh --list", "kafka-consumer-groups --list")
	f("sluice kafka-acls.sh --list", "kafka-acls --list")
}

// TestAbsentTools: a tool of Kafka's that is not here says so whatever its flags are, and a mistyped
// command gets a suggestion.
func TestAbsentTools(t *testing.T) {
	f := func(code int, want, line string) {
		t.Helper()
		got, out, errs := testApp(strings.Fields(line)...)
		if got != code || out != "" || errs != want+"\n" {
			t.Errorf("%s: exit %d\n%s%swant %d %s", line, got, out, errs, code, want)
		}
	}
	f(1, "kafka-share-groups is not supported by this version",
		"/usr/bin/kafka-share-groups.sh --bootstrap-server h:1 --list")
	f(1, "kafka-storage is not supported by this version", "sluice kafka-storage format -t x")
	f(1, "kafka-producer-perf-test is not supported by this version", "kafka-producer-perf-test")
	f(1, "there is no tool kafka-topic; did you mean kafka-topics?", "sluice kafka-topic --list")
	f(2, `sluice: there is no command "topics" of sluice; did you mean topic?`, "sluice topics list")
	f(2, `sluice: there is no command "lst" of sluice topic; did you mean list?`, "sluice topic lst")
}

// TestBareGroups: a command that only holds others shows its usage and fails.
func TestBareGroups(t *testing.T) {
	for _, name := range []string{"topic", "config", "cluster", "log"} {
		code, out, errs := testApp("sluice", name)
		if code != 2 || out != "" || !strings.Contains(errs, "Available Commands") {
			t.Errorf("%s: exit %d\n%s%s", name, code, out, errs)
		}
	}
	code, out, errs := testApp("sluice", "--version")
	if code != 0 || errs != "" || out != versionInfo().line()+"\n" {
		t.Errorf("exit %d %q %q", code, out, errs)
	}
}

// TestHelpWithoutGo: help speaks of numbers and texts, not of the types that hold them.
func TestHelpWithoutGo(t *testing.T) {
	for _, line := range []string{
		"topic create", "topic alter", "consume", "produce", "config alter", "server",
	} {
		_, out, _ := testApp(append(append([]string{"sluice"}, strings.Fields(line)...), "--help")...)
		for _, word := range []string{"int16", "int32", "Slice", "stringArray", "duration"} {
			if strings.Contains(out, word) {
				t.Errorf("%s --help has %s:\n%s", line, word, out)
			}
		}
	}
}

// TestEveryConfigProblemIsASentence: each wrong key of a broker's configuration has its own line.
func TestEveryConfigProblemIsASentence(t *testing.T) {
	code, _, errs := testApp("sluice", "server", "--override", "num.partitions=x",
		"--override", "log.segment.bytes=y")
	const prefix = "sluice: the configuration is not valid: "
	if code != 1 || strings.Count(errs, prefix) != 2 || strings.Count(errs, "\n") != 2 {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

// TestLinks proves the dispatch with real links, which also is how packages will install them.
func TestLinks(t *testing.T) {
	link := filepath.Join(t.TempDir(), "kafka-topics.sh")
	if err := os.Symlink(binary, link); err != nil {
		t.Fatal(err)
	}
	r := runAs(t, link, "", "--help")
	if r.code != 0 || !strings.Contains(r.out, "--under-replicated-partitions") {
		t.Errorf("%+v", r)
	}
}

// TestUsageErrors: a wrong command line is one line on the error output, exit code 2, or 1 for
// Kafka's tools.
func TestUsageErrors(t *testing.T) {
	f := func(code int, text string, args ...string) {
		t.Helper()
		got, out, errs := testApp(append([]string{"sluice"}, args...)...)
		if got != code || !strings.Contains(errs, text) || strings.Count(errs, "\n") != 1 || out != "" {
			t.Errorf("%q: exit %d, want %d\n%s%swant …%s…", args, got, code, out, errs, text)
		}
	}
	f(2, `there is no command "nothing"`, "nothing")
	f(2, "unknown flag: --x", "topic", "list", "--x")
	f(2, "what is missing is NAME…", "topic", "create")
	f(2, "it must be text or json", "topic", "list", "-o", "xml")
	f(2, `"a" is not key=value`, "topic", "create", "t", "-c", "a")
	f(2, "nothing to change", "topic", "alter", "t")
	f(2, "not a regular expression", "topic", "list", "(")
	f(2, `offset "x" is none of`, "consume", "t", "-o", "x")
	f(2, "there is no verb %y", "consume", "t", "-f", "%y")
	f(2, "exclude each other", "consume", "t", "-f", "%v", "--output", "json")
	f(2, "must be start or end", "consume", "t", "-g", "g", "-o", "+1")
	f(2, "is not name=value", "produce", "t", "-H", "x")
	f(2, "acks 7: it must be 0, 1 or all", "produce", "t", "--acks", "7", "-b", closedPort(t))
	f(2, "--partition -2", "produce", "t", "-p", "-2")
	f(2, "--partitions x: it must be numbers with commas between them", "consume", "t", "-p", "x")
	f(2, "--partitions x: it must be a whole number", "topic", "create", "t", "-p", "x")
	f(2, "--partitions 9999999999: the number is too large", "topic", "create", "t", "-p",
		"9999999999")
	f(2, "--linger x: it must be a time such as", "produce", "t", "--linger", "x")
	f(2, `"b" is one word too many`, "produce", "a", "b")
	f(2, "sluice server --config my.properties", "server", "my.properties")
	f(2, "which topic?", "config", "describe", "topic")
	f(2, "it must be topic or broker", "config", "describe", "thing", "x")
	f(2, "--log-level loud", "server", "--log-level", "loud")
	f(1, "--zookeeper is not supported", "kafka-topics", "--zookeeper", "h:1", "--list")
	f(1, "use --bootstrap-server", "kafka-configs", "--zookeeper=h:1", "--describe")
	f(1, "x is not a recognized option", "kafka-topics", "--x")
	f(1, `Missing required argument "[bootstrap-server]"`, "kafka-topics", "--list")
	f(1, "Options group and partition cannot be", "kafka-console-consumer", "--topic", "t", "--group", "g",
		"--partition", "0", "--bootstrap-server", "h:1")
	f(1, "Detected group ids: 'g', 'h'", "kafka-console-consumer", "--topic", "t", "--group", "g",
		"--command-property", "group.id=h", "--bootstrap-server", "h:1")
	f(1, "Name one server.properties; see", "kafka-server-start")
	f(1, "not supported yet", "kafka-configs", "--describe", "--user", "bob", "--bootstrap-server", "h:1")
	f(1, "Java class", "kafka-console-consumer", "--topic", "t", "--formatter", "com.x.Mine",
		"--bootstrap-server", "h:1")
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestNobodyThere: every command that needs a broker says so in one sentence and exits with 1.
func TestNobodyThere(t *testing.T) {
	address := closedPort(t)
	for _, args := range []string{
		"topic list", "topic create x", "produce x", "consume x", "consume x -o end", "cluster info",
		"config describe topic x", "kafka-topics --bootstrap-server ADDR --list",
		"kafka-console-producer --bootstrap-server ADDR --topic x",
		"kafka-console-consumer --bootstrap-server ADDR --topic x",
		"kafka-get-offsets --broker-list ADDR",
	} {
		words := strings.Fields(strings.ReplaceAll(args, "ADDR", address))
		if words[0][:5] != "kafka" {
			words = append(words, "-b", address)
		}
		code, out, errs := testApp(append([]string{"sluice"}, words...)...)
		last := strings.TrimSpace(errs)
		last = last[strings.LastIndexByte(last, '\n')+1:]
		want := "cannot reach a broker at " + address + ": connection refused"
		if code != 1 || out != "" || !strings.Contains(last, want) {
			t.Errorf("%s: exit %d\n%s%s", args, code, out, errs)
		}
	}
}

func TestSpans(t *testing.T) {
	now := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	f := func(text string, want span) {
		t.Helper()
		got, err := parseSpan(text, now)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", text, got, err, want)
		}
	}
	at := func(n int64) point { return point{atOffset, n} }
	when := func(ms int64) point { return point{atTime, ms} }
	start, end := point{base: fromStart}, point{base: fromEnd}
	f("start", span{from: start})
	f("end", span{from: end})
	f("42", span{from: at(42)})
	f("-3", span{from: point{fromEnd, 3}})
	f("+3", span{from: point{fromStart, 3}})
	f("@1700000000", span{from: when(1700000000000)})
	f("@1700000000123", span{from: when(1700000000123)})
	f("@2024-01-02", span{from: when(1704153600000)})
	f("@2024-01-02T03:04:05Z", span{from: when(1704164645000)})
	f("@-1h", span{from: when(now.Add(-time.Hour).UnixMilli())})
	f(":end", span{start, end, true})
	f("3:7", span{at(3), at(7), true})
	f("-5:end", span{point{fromEnd, 5}, end, true})
	f("@2024-01-02T03:04:05Z:@2024-01-02T03:04:06Z", span{when(1704164645000), when(1704164646000), true})
	f("@-1h:end", span{when(now.Add(-time.Hour).UnixMilli()), end, true})
	for _, bad := range []string{"", "x", "--3", "+-3", "@", "@x", "1:", "1:x", "x:1", ":"} {
		if s, err := parseSpan(bad, now); err == nil {
			t.Errorf("%q taken as %+v", bad, s)
		}
	}
}

func TestKafkaConfigLists(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		got, err := splitConfigs(text)
		s := ""
		for _, p := range got {
			s += p[0] + "=" + p[1] + ";"
		}
		if err != nil {
			s = "error"
		}
		if s != want {
			t.Errorf("%q: got %q, want %q", text, s, want)
		}
	}
	f("", "")
	f("a=1", "a=1;")
	f("a=1,b=[x,y],c=", "a=1;b=x,y;c=;")
	f(" a = 1 , b=2", "a=1;b=2;")
	f("a=[x]", "a=x;")
	f("a", "error")
	f("a=1,,b=2", "error")
	f("=1", "error")
}

func TestPartitionRules(t *testing.T) {
	f := func(rules, topic string, partition int32, want bool) {
		t.Helper()
		match, err := rulesFilter(rules)
		if err != nil {
			t.Fatal(err)
		}
		if got := match(topic, partition); got != want {
			t.Errorf("%s on %s-%d: %t", rules, topic, partition, got)
		}
	}
	f("a", "a", 9, true)
	f("a", "ab", 0, false)
	f("a.*:0-2", "ab", 1, true)
	f("a.*:0-2", "ab", 2, false)
	f("a:3-", "a", 3, true)
	f("a:3-", "a", 2, false)
	f("a:-1", "a", 0, true)
	f("a:-1", "a", 1, false)
	f("a:", "a", 5, true)
	f("b,:7", "a", 7, true)
	for _, bad := range []string{"a:b", "a:1:2", "a:99999999999"} {
		if _, err := rulesFilter(bad); err == nil {
			t.Errorf("%q taken as a rule", bad)
		}
	}
}
