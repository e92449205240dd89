package peers

import (
	"context"
	"crypto/rand"
	_ "embed" // the pom
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

//go:embed kafka/pom.xml
var kafkaPom []byte

// kafkaVersion is the version that the pom names.
func kafkaVersion() (string, error) {
	var pom struct {
		Version string `xml:"properties>kafka.version"`
	}
	if err := xml.Unmarshal(kafkaPom, &pom); err != nil || pom.Version == "" {
		return "", fmt.Errorf("kafka/pom.xml names no kafka.version: %w", err)
	}
	return pom.Version, nil
}

// kafkaSettle is a heartbeat interval of Kafka's brokers and half of it more (Instance.Resume).
const kafkaSettle = 3 * time.Second

// kafkaJars is the cache folder of a version's jars.
func kafkaJars(cache, version string) string { return filepath.Join(cache, "kafka-"+version) }

func (k *Kafka) install(ctx context.Context, log io.Writer) error {
	version, err := kafkaVersion()
	if err != nil {
		return err
	}
	for _, program := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("install kafka: %w (Debian: apt install maven default-jdk-headless)", err)
		}
	}
	cache, unlock, err := lockCache()
	if err != nil {
		return err
	}
	defer unlock()
	jars := kafkaJars(cache, version)
	if _, err := os.Stat(jars); err == nil {
		return nil
	}
	part := jars + ".part"
	if err := errors.Join(os.RemoveAll(part), os.MkdirAll(part, 0o755)); err != nil {
		return err
	}
	pom := filepath.Join(part, "pom.xml")
	if err := os.WriteFile(pom, kafkaPom, 0o644); err != nil {
		return err
	}
	err = tool(ctx, log, part, nil, "mvn", "-B", "-q", "-f", pom, "dependency:copy-dependencies",
		"-DincludeScope=runtime", "-DoutputDirectory="+part)
	if err != nil {
		return fmt.Errorf("install kafka: %w: %w", ErrRegistry, err)
	}
	return os.Rename(part, jars)
}

// kafkaFlags are the JVM's flags as kafka-server-start.sh and kafka-run-class.sh of Apache Kafka
// set them where the environment names none. Its remote-management flags are left out: nobody
// connects, and they cost the broker a listener.
func kafkaFlags(dir string, heapMiB int) []string {
	heap := strconv.Itoa(heapMiB) + "m"
	return []string{
		"-Xmx" + heap, "-Xms" + heap,
		"-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
		"-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent",
		"-Djava.awt.headless=true",
		"-Xlog:gc*:file=" + filepath.Join(dir, "kafka-gc.log") + ":time,tags:filecount=10,filesize=100M",
	}
}

// kafkaProperties is a server.properties for one node: addresses, folder, replication of internal
// topics by one, and the overrides, which win. Everything else is Kafka's default.
func kafkaProperties(o *StartOptions, broker, controller string) []byte {
	lines := []string{
		"process.roles=broker,controller",
		"node.id=1",
		"controller.quorum.bootstrap.servers=" + controller,
		"controller.listener.names=CONTROLLER",
		"listeners=PLAINTEXT://" + broker + ",CONTROLLER://" + controller,
		"log.dirs=" + o.dataDir(),
		"offsets.topic.replication.factor=1",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"share.coordinator.state.topic.replication.factor=1",
		"share.coordinator.state.topic.min.isr=1",
		// These two are defaults, written down since comparisons turn on them.
		"num.network.threads=3",
		"num.io.threads=8",
	}
	for _, k := range o.overrides() {
		lines = append(lines, k+"="+strings.ReplaceAll(o.Overrides[k], `\`, `\\`))
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}

func (k *Kafka) start(ctx context.Context, o StartOptions) (*Instance, error) {
	version, err := kafkaVersion()
	if err != nil {
		return nil, err
	}
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	jars := kafkaJars(cache, version)
	if _, err := os.Stat(jars); err != nil {
		return nil, fmt.Errorf("kafka: %w: %w", ErrNotInstalled, err)
	}
	ports, err := reservePorts(2)
	if err != nil {
		return nil, err
	}
	properties := filepath.Join(o.Dir, "server.properties")
	if err := os.WriteFile(properties, kafkaProperties(&o, ports[0], ports[1]), 0o644); err != nil {
		return nil, err
	}
	classes := filepath.Join(jars, "*")
	if err := formatKafka(ctx, &o, classes, properties); err != nil {
		return nil, err
	}
	java := append([]string{"java"}, kafkaFlags(o.Dir, o.HeapMiB)...)
	l := launch{
		name: k.Name(), version: version, heapMiB: o.HeapMiB,
		command: append(java, "-cp", classes, "kafka.Kafka", properties),
		addr:    ports[0], probe: probeAPIVersions, settled: probeLive, settle: kafkaSettle,
	}
	return l.start(ctx, o)
}

// formatKafka writes the metadata that a KRaft node refuses to start without, where there is none.
func formatKafka(ctx context.Context, o *StartOptions, classes, properties string) error {
	if _, err := os.Stat(filepath.Join(o.dataDir(), "meta.properties")); err == nil {
		return nil
	}
	path := filepath.Join(o.Dir, "kafka-format.log")
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer out.Close()
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails
	// The flag and the id are one word, since an id may begin with '-'.
	err = tool(ctx, out, o.Dir, nil, "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-cp", classes, "kafka.tools.StorageTool", "format", "--standalone",
		"--cluster-id="+base64.RawURLEncoding.EncodeToString(id[:]), "--config", properties)
	if err != nil {
		return fmt.Errorf("format kafka's storage: %w; %s ends:\n%s", err, path, tail(path, 0))
	}
	return nil
}
