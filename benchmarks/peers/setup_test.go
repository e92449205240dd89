package peers

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// All that is not an address, a folder or a replication factor is Kafka's default, and overrides
// come last, since the last line of a properties file wins.
func TestKafkaProperties(t *testing.T) {
	o := &StartOptions{Dir: "/bench/kafka", Overrides: map[string]string{
		"log.flush.interval.messages": "1", "b": `c:\d`,
	}}
	want := `process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:2
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2
log.dirs=/bench/kafka/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
num.network.threads=3
num.io.threads=8
b=c:\\d
log.flush.interval.messages=1
`
	if got := string(kafkaProperties(o, "127.0.0.1:1", "127.0.0.1:2")); got != want {
		t.Errorf("server.properties:\n%s", got)
	}
}

// The heap has one size from the start, as in kafka-server-start.sh.
func TestKafkaFlags(t *testing.T) {
	flags := strings.Join(kafkaFlags("/bench", 256), " ")
	for _, want := range []string{"-Xmx256m -Xms256m", "-XX:+UseG1GC", "file=/bench/kafka-gc.log"} {
		if !strings.Contains(flags, want) {
			t.Errorf("%q is not in %s", want, flags)
		}
	}
}

func TestKafkaVersion(t *testing.T) {
	if v, err := kafkaVersion(); err != nil || !strings.HasPrefix(v, "4.") {
		t.Errorf("version %q: %v", v, err)
	}
}

func TestNATSConfig(t *testing.T) {
	o := &StartOptions{Dir: "/bench/nats", Overrides: map[string]string{
		"jetstream.sync_interval": "always", "max_payload": "8MB",
	}}
	want := `listen: "127.0.0.1:-1"
max_payload: 8MB
jetstream {
  store_dir: "/bench/nats/data"
  sync_interval: always
}
`
	if got := string(natsConfig(o)); got != want {
		t.Errorf("nats.conf:\n%s", got)
	}
}

// Start before Install says so.
func TestNotInstalled(t *testing.T) {
	t.Setenv("SLUICE_BENCH_CACHE", t.TempDir())
	for _, p := range []Peer{&Kafka{}, &KFake{}, &NATS{}, &Sluice{}} {
		if _, err := p.Start(t.Context(), StartOptions{Dir: t.TempDir()}); !errors.Is(err, ErrNotInstalled) {
			t.Errorf("%s: %v", p.Name(), err)
		}
	}
}

// A registry that cannot be reached is told from a build that fails.
func TestRegistry(t *testing.T) {
	t.Setenv("SLUICE_BENCH_CACHE", t.TempDir())
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOFLAGS", "-mod=mod")
	t.Setenv("GONOSUMDB", "*")
	source := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(source, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module m\n\ngo 1.26.0\n\nrequire example.com/nowhere v1.0.0\n")
	write("main.go", "package main\n\nfunc main() { undefined() }\n")
	var log strings.Builder
	if err := (&KFake{Source: source}).Install(t.Context(), &log); !errors.Is(err, ErrRegistry) {
		t.Errorf("no registry: %v", err)
	}
	write("go.mod", "module m\n\ngo 1.26.0\n")
	if err := (&KFake{Source: source}).Install(t.Context(), &log); err == nil || errors.Is(err, ErrRegistry) {
		t.Errorf("no such function: %v", err)
	}
	if !strings.Contains(log.String(), "undefined: undefined") {
		t.Errorf("log %s", log.String())
	}
}

// Apache Kafka itself: some hundred MB to download and a minute of processor time, so only if asked.
func TestKafka(t *testing.T) {
	if os.Getenv(kafkaEnv) == "" {
		t.Skipf("set %s=1 to install and start Apache Kafka", kafkaEnv)
	}
	p := &Kafka{}
	if err := p.Install(t.Context(), t.Output()); err != nil {
		t.Fatal(err)
	}
	i := start(t, p, StartOptions{HeapMiB: 256, RemoveData: true})
	t.Logf("%s answered after %v with %s", i.Version, i.ReadyAfter, statusField(t, statusPath(i.Pid), "VmRSS"))
	for range 3 {
		pauseOnce(t, i)
	}
	if err := i.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(i.data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data folder after Stop: %v", err)
	}
}
