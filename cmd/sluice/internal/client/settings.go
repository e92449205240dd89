package client

import (
	"fmt"
	"net"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// DefaultBootstrap is where a broker listens that was started without further ado.
const DefaultBootstrap = "127.0.0.1:9092"

// defaultPort is Kafka's port, used where an address has none.
const defaultPort = "9092"

// Settings say how to reach a cluster. Their zero value reaches DefaultBootstrap.
type Settings struct {
	// Bootstrap holds addresses of which one must answer, each host:port.
	Bootstrap []string
	// Props are the client properties in force, by Kafka's names.
	Props map[string]string
	// Warnings are sentences about properties that have no effect.
	Warnings []string
}

// Load puts settings together. Stronger first: bootstrap as given on the command line (empty if it
// was not), pairs from the command line, the properties file (empty for none).
func Load(bootstrap, file string, pairs [][2]string) (*Settings, error) {
	s := &Settings{Props: map[string]string{}}
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read the client properties: %w", err)
		}
		if s.Props, err = ParseProperties(string(text)); err != nil {
			return nil, fmt.Errorf("client properties %s: %w", file, err)
		}
	}
	for _, p := range pairs {
		s.Props[p[0]] = p[1]
	}
	if bootstrap == "" {
		bootstrap = s.Props["bootstrap.servers"]
	}
	if bootstrap == "" {
		bootstrap = DefaultBootstrap
	}
	var err error
	if s.Bootstrap, err = ParseBootstrap(bootstrap); err != nil {
		return nil, err
	}
	return s, s.check()
}

// ParseBootstrap splits a list of addresses. One without a port gets Kafka's.
func ParseBootstrap(list string) ([]string, error) {
	var out []string
	for _, address := range strings.Split(list, ",") {
		address = strings.TrimSpace(address)
		if address == "" {
			continue
		}
		// PLAINTEXT://host:port is how listeners are written, and so what people paste.
		if _, after, ok := strings.Cut(address, "://"); ok {
			address = after
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			host, port = strings.Trim(address, "[]"), defaultPort
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || host == "" || strings.ContainsAny(host, " /") {
			return nil, fmt.Errorf("%q is not an address: it must be host:port", address)
		}
		out = append(out, net.JoinHostPort(host, port))
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no bootstrap server given: it must be host:port[,host:port…]")
	}
	return out, nil
}

// known lists client properties that have an effect here.
var known = map[string]bool{
	"bootstrap.servers": true, "client.id": true, "security.protocol": true,
	"request.timeout.ms": true, "default.api.timeout.ms": true, "metadata.max.age.ms": true,
	"socket.connection.setup.timeout.ms": true, "connections.max.idle.ms": true,
	// Producers:
	"acks": true, "compression.type": true, "batch.size": true, "linger.ms": true,
	"buffer.memory": true, "delivery.timeout.ms": true, "enable.idempotence": true,
	"max.request.size": true, "retries": true, "max.block.ms": true,
	// Consumers:
	"isolation.level": true, "auto.offset.reset": true, "fetch.min.bytes": true,
	"fetch.max.bytes": true, "fetch.max.wait.ms": true, "max.partition.fetch.bytes": true,
	"client.rack": true, "check.crcs": true,
	// Members of groups:
	"group.id": true, "group.instance.id": true, "group.protocol": true, "session.timeout.ms": true,
	"heartbeat.interval.ms": true, "max.poll.interval.ms": true, "enable.auto.commit": true,
	"auto.commit.interval.ms": true, "partition.assignment.strategy": true,
}

// harmless lists properties that Kafka's clients know and that change nothing here: Java classes,
// metrics, and details that franz-go decides itself.
var harmless = []string{
	"allow.auto.create.topics", "auto.include.jmx.reporter", "client.dns.lookup", "enable.metrics.push", "exclude.internal.topics",
	"interceptor.classes", "key.deserializer", "key.serializer",
	"max.in.flight.requests.per.connection", "max.poll.records",
	"metadata.max.idle.ms", "metadata.recovery.rebootstrap.trigger.ms",
	"metadata.recovery.strategy", "metric.reporters", "metrics.num.samples",
	"metrics.recording.level", "metrics.sample.window.ms", "partitioner.class",
	"receive.buffer.bytes", "reconnect.backoff.max.ms", "reconnect.backoff.ms",
	"retry.backoff.max.ms", "retry.backoff.ms", "send.buffer.bytes",
	"socket.connection.setup.timeout.max.ms", "value.deserializer", "value.serializer",
}

func (s *Settings) check() error {
	if p := s.Props["security.protocol"]; p != "" && !strings.EqualFold(p, "PLAINTEXT") {
		return fmt.Errorf("security.protocol=%s is not supported by these tools: only PLAINTEXT is", p)
	}
	names := make([]string, 0, len(s.Props))
	for name := range s.Props {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if !known[name] && !slices.Contains(harmless, name) {
			s.Warnings = append(s.Warnings,
				fmt.Sprintf("client property %s is not known and has no effect", name))
		}
		if _, err := s.number(name, 0); strings.HasSuffix(name, ".ms") && err != nil {
			return err
		}
	}
	return nil
}

// Get returns a property or, if it is not set, the default.
func (s *Settings) Get(name, otherwise string) string {
	if v, ok := s.Props[name]; ok {
		return v
	}
	return otherwise
}

// Millis returns a property that is a time in milliseconds. Load has checked it.
func (s *Settings) Millis(name string, otherwise time.Duration) time.Duration {
	n, err := s.number(name, int64(otherwise/time.Millisecond))
	if err != nil {
		return otherwise
	}
	return time.Duration(n) * time.Millisecond
}

// Bytes returns a property that is a size in bytes, which must be from 1 to 2147483647.
func (s *Settings) Bytes(name string, otherwise int32) (int32, error) {
	n, err := s.number(name, int64(otherwise))
	if err == nil && (n < 1 || n > 1<<31-1) {
		err = fmt.Errorf("client property %s=%d is not a size from 1 to 2147483647", name, n)
	}
	return int32(n), err
}

func (s *Settings) number(name string, otherwise int64) (int64, error) {
	v, ok := s.Props[name]
	if !ok {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("client property %s=%s is not a number", name, v)
	}
	return n, nil
}

// APITimeout is how long an administrative call may take in all.
func (s *Settings) APITimeout() time.Duration {
	return s.Millis("default.api.timeout.ms", 30*time.Second)
}

func (s *Settings) options() []kgo.Opt {
	retry := s.APITimeout()
	return []kgo.Opt{
		kgo.SeedBrokers(s.Bootstrap...),
		kgo.ClientID(s.Get("client.id", "sluice-cli")),
		kgo.SoftwareNameAndVersion("sluice", "cli"),
		kgo.DisableClientMetrics(),
		kgo.DialTimeout(s.Millis("socket.connection.setup.timeout.ms", 5*time.Second)),
		kgo.RequestTimeoutOverhead(s.Millis("request.timeout.ms", 30*time.Second)),
		kgo.RetryTimeout(retry),
		kgo.MetadataMaxAge(s.Millis("metadata.max.age.ms", time.Minute)),
		// A tool asks for what it needs and leaves; waiting seconds to ask again serves nobody.
		kgo.MetadataMinAge(100 * time.Millisecond),
	}
}
