package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/engine/catalog/config"
)

// TestServerRefusals: what a broker cannot start with is told in a sentence, and the exit code is
// 1.
func TestServerRefusals(t *testing.T) {
	t.Parallel()
	f := func(want string, args ...string) {
		t.Helper()
		r := run(t, "", append([]string{"server", "--override", "admin.listener="}, args...)...)
		last := strings.TrimSpace(r.err)
		if r.code != 1 || !strings.Contains(last, want) || strings.Contains(last, "goroutine ") {
			t.Errorf("%q: exit %d\n%s\nwant …%s…", args, r.code, r.err, want)
		}
	}
	dir := t.TempDir()
	free := "listeners=PLAINTEXT://127.0.0.1:0"
	f("cannot read the configuration", "--config", filepath.Join(dir, "none"))
	f("num.partitions", "--override", "num.partitions=many", "--override", "log.dirs="+dir)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	f("address already in use", "--override", "listeners=PLAINTEXT://"+taken.Addr().String(),
		"--override", "log.dirs="+dir)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f("not a directory", "--override", free, "--override", "log.dirs="+filepath.Join(file, "data"))

	b, err := startBroker(filepath.Join(dir, "held"))
	if err != nil {
		t.Fatal(err)
	}
	f("held", "--override", free, "--override", "log.dirs="+filepath.Join(dir, "held"))
	if err := b.stop(); err != nil {
		t.Error(err)
	}
}

// TestDaemon: kafka-server-start -daemon returns when the broker listens and leaves its number in
// the log dir; kafka-server-stop finds just this broker, and waits for its end.
func TestDaemon(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, properties := filepath.Join(dir, "data"), filepath.Join(dir, "server.properties")
	text := "node.id=4711\nlisteners=PLAINTEXT://127.0.0.1:0\nadmin.listener=\nlog.dirs=" + data + "\n"
	if err := os.WriteFile(properties, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, "", "kafka-server-start.sh", "-daemon", properties, "--override", "num.partitions=3")
	if r.code != 0 || !strings.Contains(r.out, "sluice runs as process ") {
		t.Fatalf("%+v", r)
	}
	pid, err := os.ReadFile(filepath.Join(data, pidFile))
	if err != nil || !strings.Contains(r.out, "process "+strings.TrimSpace(string(pid))) {
		t.Errorf("pid file %q, %v", pid, err)
	}
	log, err := os.ReadFile(filepath.Join(data, "sluice.log"))
	if err != nil || !listening.Match(log) {
		t.Errorf("log %q, %v", log, err)
	}
	again := run(t, "", "server", "--config", properties, "--daemon")
	if again.code != 1 || !strings.Contains(again.err, "is in use by another broker") {
		t.Errorf("started twice: %+v", again)
	}
	// The refusal is for who asked, not for the log of the broker that runs.
	after, err := os.ReadFile(filepath.Join(data, "sluice.log"))
	if err != nil || !bytes.HasPrefix(after, log) || bytes.Contains(after, []byte("in use")) {
		t.Errorf("log %q, %v", after, err)
	}
	r = run(t, "", "kafka-server-stop", "--node-id", "4712")
	if r.code != 1 || !strings.Contains(r.err, "No kafka server to stop") {
		t.Errorf("another broker's id: %+v", r)
	}
	r = run(t, "", "kafka-server-stop", "--node-id", "4711", "--process-role", "broker", properties)
	if r.code != 0 {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(filepath.Join(data, pidFile)); !os.IsNotExist(err) {
		t.Errorf("the pid file is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(data, ".kafka_cleanshutdown")); err != nil {
		t.Errorf("no mark of a clean shutdown: %v", err)
	}
	if r = run(t, "", "kafka-server-stop", properties); r.code != 1 {
		t.Errorf("stopped twice: %+v", r)
	}
}

// TestLogDump reads what a broker wrote, both as people and as Kafka's tool do.
func TestLogDump(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	b, err := startBroker(dir)
	if err != nil {
		t.Fatal(err)
	}
	step := func(input string, args ...string) {
		if r := run(t, input, append([]string{"-b", b.address}, args...)...); r.code != 0 {
			t.Fatalf("%q: %+v", args, r)
		}
	}
	step("", "topic", "create", "dumped", "-p", "1", "-c", "index.interval.bytes=100")
	for range 5 {
		step("k:one\nk:two\n", "produce", "dumped", "-k", ":", "--compression", "zstd", "-H", "h=x")
	}
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	partition := filepath.Join(dir, "dumped-0")
	r := run(t, "", "log", "dump", partition, "--records", "--verify")
	if r.code != 0 || strings.Count(r.out, `"k" = "one"  h: "x"`) != 5 || !strings.Contains(r.out, "offsets 8 to 9") {
		t.Errorf("%+v", r)
	}
	r = run(t, "", "log", "dump", filepath.Join(dir, "sluice-metadata"))
	if r.code != 0 || !strings.Contains(r.out, "journal of topics, configs and ids; Sluice's own") {
		t.Errorf("%+v", r)
	}
	segment := filepath.Join(partition, "00000000000000000000.log")
	r = run(t, "", "kafka-dump-log", "--files", segment, "--print-data-log")
	if r.code != 0 || strings.Count(r.out, "headerKeys: [h] key: k payload: two") != 5 ||
		strings.Count(r.out, "isvalid: true") != 5 {
		t.Errorf("%+v", r)
	}
	index := strings.TrimSuffix(segment, ".log")
	r = run(t, "", "kafka-dump-log", "--files", index+".index,"+index+".timeindex", "--verify-index-only")
	if r.code != 0 || r.err != "" {
		t.Errorf("%+v", r)
	}
	f, err := os.OpenFile(segment, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{0xff}, 70); err != nil {
		t.Fatal(err)
	}
	f.Close()
	r = run(t, "", "log", "dump", segment)
	if r.code != 1 || !strings.Contains(r.out, "CHECKSUM WRONG") || !strings.Contains(r.err, "1 thing wrong") {
		t.Errorf("%+v", r)
	}
}

func TestLogger(t *testing.T) {
	var b bytes.Buffer
	log, err := (&serverFlags{logLevel: "warn", logFormat: "json"}).logger(&b)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("quiet")
	log.Warn("loud")
	if got := b.String(); strings.Contains(got, "quiet") || !strings.Contains(got, `"msg":"loud"`) {
		t.Error(got)
	}
	if _, err := (&serverFlags{logLevel: "info+1", logFormat: "json"}).logger(&b); err == nil {
		t.Error("info+1 taken")
	}
	if _, err := (&serverFlags{logLevel: "info", logFormat: "xml"}).logger(&b); err == nil {
		t.Error("xml taken")
	}
}

// TestAwaitListening: a process that ends instead of listening is an error at once.
func TestAwaitListening(t *testing.T) {
	a := &app{err: &bytes.Buffer{}}
	ended := make(chan error, 1)
	ended <- nil
	cfg := &config.Server{Listeners: []config.Listener{{Port: 1}}}
	if err := a.awaitListening(context.Background(), os.Getpid(), cfg, ended); err == nil {
		t.Error("no error")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	if !listens(os.Getpid(), port) || !listens(os.Getpid(), 0) || listens(os.Getpid(), port^1) {
		t.Error("own listener not seen, or another one")
	}
}

// TestNoPropertiesFile: a file that is something else gets a few warnings and a question, not one
// for each of its lines.
func TestNoPropertiesFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "readme")
	text := strings.Repeat("these words mean nothing\n", 2)
	for _, word := range strings.Fields("one two three four five six seven eight") {
		text += word + "\n"
	}
	if err := os.WriteFile(path, []byte(text+"node.id=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := (&serverFlags{config: path}).load()
	if err != nil {
		t.Fatal(err)
	}
	last := cfg.Warnings[len(cfg.Warnings)-1]
	if len(cfg.Warnings) != 6 || !strings.Contains(last, "10 lines of "+path+" without = or :") {
		t.Errorf("%q", cfg.Warnings)
	}
	f := func(text string, want int) {
		t.Helper()
		if got := oddLines(text); got != want {
			t.Errorf("%q: %d odd lines, want %d", text, got, want)
		}
	}
	f("", 0)
	f("# words\n! words\n\n  # words\na=1\nb: 2\n", 0)
	f("a=1,\\\n  2,\\\n  3\nb=4\n", 0)
	f("a=1\nwords\n", 1)
}
