package e2etest

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// refusesToStart runs the binary, which must end by itself with an error code and one sentence that
// has every one of parts.
func refusesToStart(t *testing.T, args []string, parts ...string) {
	t.Helper()
	b, err := execute(args...)
	must(t, err)
	defer b.kill()
	select {
	case <-b.exited:
	case <-b.log.ready:
		t.Fatalf("the broker started:\n%s", b.log)
	}
	text := strings.TrimRight(b.log.String(), "\n")
	if b.cmd.ProcessState.ExitCode() <= 0 {
		t.Errorf("exit code %d:\n%s", b.cmd.ProcessState.ExitCode(), text)
	}
	if strings.Contains(text, "\n") || !strings.HasPrefix(text, "sluice: ") {
		t.Errorf("want one line that begins with the program's name, have:\n%s", text)
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
	must(t, b.sound())
}

// TestStartErrors checks what an operator sees of a start that cannot be: one sentence that names
// the setting or the path, and a code that is not zero.
func TestStartErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o644))
	bad := filepath.Join(dir, "server.properties")
	must(t, os.WriteFile(bad, []byte("num.io.threads=8\nnum.partitions=many\n"), 0o644))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()

	f := func(override string, parts ...string) {
		t.Helper()
		refusesToStart(t, serverArgs(filepath.Join(dir, "data"), override), parts...)
	}
	f("log.dirs="+file, file, "not a directory")
	f("log.dirs="+filepath.Join(file, "below"), file, "not a directory")
	f("listeners=PLAINTEXT://"+taken.Addr().String(), taken.Addr().String(), "in use")
	f("listeners=PLAINTEXT://192.0.2.1:9092", "192.0.2.1:9092", "no such address")
	f("listeners=nowhere", "listeners", "nowhere", "NAME://host:port")
	f("listeners=PLAINTEXT://127.0.0.1:70000", "listeners", "70000", "65535")
	f("listeners=SSL://127.0.0.1:0", "SSL", "PLAINTEXT only")
	f("num.partitions=0", "num.partitions=0", "from 1")
	f("log.retention.ms=soon", "log.retention.ms=soon", "whole number")
	f("log.durability=disk", "log.durability=disk", "pagecache")
	f("zookeeper.connect=zk:2181", "zookeeper.connect", "controller.quorum.voters")
	f("admin.listener="+taken.Addr().String(), taken.Addr().String(), "in use")
	refusesToStart(t, []string{"server", "--config", filepath.Join(dir, "none")}, "configuration",
		"none", "no such file")
	refusesToStart(t, []string{"server", "--config", bad}, "num.partitions=many")
}

// TestDataDirInUse starts a second broker on the data of the first: it must not start, nor harm.
func TestDataDirInUse(t *testing.T) {
	t.Parallel()
	b := start(t, t.TempDir())
	createTopic(t, b, "kept", 1)
	refusesToStart(t, serverArgs(b.dir), "log dir "+b.dir, "in use by another broker")
	refusesToStart(t, serverArgs(t.TempDir(), "log.dirs="+b.dir+","+t.TempDir()), b.dir, "in use")
	want(t, "base offset", produceRaw(t, dial(t, b), "kept", goodBatch(t, "v")).BaseOffset, 0)
}

// TestStartLine checks that a start writes one line, and that it says what a person looks for.
func TestStartLine(t *testing.T) {
	t.Parallel()
	b := start(t, t.TempDir())
	want(t, "lines", strings.Count(b.log.String(), "\n"), 1)
	for _, part := range []string{
		"listen=PLAINTEXT://127.0.0.1:", "data=" + b.dir, "cluster_id=", "io_engine=epoll",
		"durability=pagecache", "version=",
	} {
		want(t, "lines with "+part, b.log.count(part), 1)
	}
	id := regexp.MustCompile(`cluster_id=(\S+)`)
	first := id.FindStringSubmatch(b.log.String())
	must(t, b.terminate())
	again := start(t, b.dir)
	want(t, "cluster id at the second start", id.FindStringSubmatch(again.log.String())[1], first[1])
}

// cleanMarker is the file that a clean shutdown leaves in a log dir.
const cleanMarker = ".kafka_cleanshutdown"

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}

// TestShutdown sends SIGTERM to a broker with a parked long poll, an idle connection and one in
// the middle of a frame: it ends with code 0, without waiting for any of them, and leaves the clean
// marker, which the next start takes away.
func TestShutdown(t *testing.T) {
	t.Parallel()
	b := start(t, t.TempDir())
	createTopic(t, b, "parked", 1)
	must(t, produceError(produceRaw(t, dial(t, b), "parked", goodBatch(t, "before"))))
	parked, idle, torn := dial(t, b), dial(t, b), dial(t, b)
	poll := fetchRequest("parked", 1, 0)
	poll.MaxWaitMillis = 1 << 30
	must(t, parked.send(poll))
	ask(t, idle, apiVersions(), (*kmsg.ApiVersionsResponse)(nil))
	_, err := torn.Write([]byte{0, 0, 1, 0, 0})
	must(t, err)

	want(t, "marker while it runs", exists(filepath.Join(b.dir, cleanMarker)), false)
	must(t, b.terminate())
	want(t, "marker after SIGTERM", exists(filepath.Join(b.dir, cleanMarker)), true)
	want(t, "lines of errors", b.log.count("level=ERROR")+b.log.count("deadline"), 0)
	if resp, err := parked.receive(poll); err == nil {
		p := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0]
		want(t, "bytes in the parked answer", len(p.RecordBatches), 0)
	}
	must(t, idle.closed())
	must(t, torn.closed())

	again := start(t, b.dir)
	want(t, "marker after the next start", exists(filepath.Join(b.dir, cleanMarker)), false)
	p := fetchRaw(t, dial(t, again), "parked", 0)
	want(t, "what is read", strings.Join(values(t, p.RecordBatches), ","), "before")
	want(t, "high watermark", p.HighWatermark, 1)
}

// TestKillAtStart kills a broker as soon as it has started, again and again: each start succeeds.
func TestKillAtStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 5 {
		start(t, dir).kill()
	}
	serves(t, start(t, dir))
}
