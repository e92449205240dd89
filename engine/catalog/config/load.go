package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// builder gathers a Server, and every complaint on the way instead of the first only.
type builder struct {
	s        *Server
	problems []error
}

func (b *builder) fail(format string, args ...any) {
	b.problems = append(b.problems, fmt.Errorf(format, args...))
}

// failed complains about a key whose value was looked into.
func (b *builder) failed(key string, err error) {
	b.fail("%s=%s: %w", key, shorten(b.text(key)), err)
}

func (b *builder) warn(format string, args ...any) {
	b.s.Warnings = append(b.s.Warnings, fmt.Sprintf(format, args...))
}

// text is the value of a broker key under exactly that name, or its default.
func (b *builder) text(name string) string {
	if v, set := b.s.Static.Get(name); set {
		return v
	}
	d := brokerIndex[name]
	if d == nil {
		panic("BUG: no broker config " + name)
	}
	return d.Default
}

// number is the value of a numeric key. One that does not parse has been complained about already.
func (b *builder) number(name string) int64 {
	n, err := strconv.ParseInt(b.text(name), 10, 64)
	if err != nil && len(b.problems) == 0 {
		panic("BUG: broker config " + name + " is no number: " + b.text(name))
	}
	return n
}

func (b *builder) int(name string) int32 { return int32(b.number(name)) }

func (b *builder) bool(name string) bool { return strings.EqualFold(b.text(name), "true") }

func (b *builder) set(name string) bool { _, ok := b.s.Static.Get(name); return ok }

func load(text string, overrides []string) (*Server, error) {
	b := &builder{s: &Server{Static: Map{}}}
	if err := b.read(text, overrides); err != nil {
		return nil, err
	}
	b.refuseRemoved()
	b.checkKeys()
	if len(b.problems) == 0 {
		b.identity()
		b.directories()
		b.listeners()
		b.numbers()
		b.checkTogether()
	}
	if len(b.problems) > 0 {
		return nil, errors.Join(b.problems...)
	}
	return b.s, nil
}

// read fills the static layer.
func (b *builder) read(text string, overrides []string) error {
	properties, err := ParseProperties(text)
	if err != nil {
		return err
	}
	for _, p := range properties {
		if _, twice := b.s.Static[p.Key]; twice {
			b.warn("line %d: %s is set more than once; the last setting wins",
				p.Line, shorten(p.Key))
		}
		b.s.Static[p.Key] = strings.TrimSpace(p.Value)
	}
	for _, o := range overrides {
		key, value, ok := strings.Cut(o, "=")
		key = strings.TrimSpace(key)
		if !ok || key == "" {
			return fmt.Errorf("override %q: must be key=value", shorten(o))
		}
		b.s.Static[key] = strings.TrimSpace(value)
	}
	return nil
}

// replaced are keys of older Kafka versions that no longer do anything, and what does it now.
var replaced = map[string]string{
	"advertised.host.name": "advertised.listeners", "advertised.port": "advertised.listeners",
	"host.name": "listeners", "port": "listeners",
	"inter.broker.protocol.version":       "the finalized feature metadata.version",
	"log.message.format.version":          "nothing: batches are always of format 2",
	"message.format.version":              "nothing: batches are always of format 2",
	"log.message.downconversion.enable":   "nothing: batches are never converted down",
	"broker.id.generation.enable":         "node.id",
	"reserved.broker.max.id":              "node.id",
	"control.plane.listener.name":         "nothing: the metadata quorum is embedded",
	"password.encoder.secret":             "nothing: dynamic passwords are not kept in ZooKeeper",
	"metadata.log.max.record.bytes":       "metadata.log.max.record.bytes.between.snapshots",
	"offsets.commit.required.acks":        "nothing: commits always wait for all replicas",
	"sasl.mechanism.controller.protocols": "sasl.mechanism.controller.protocol",
	"log.message.timestamp.difference.max.ms": "log.message.timestamp.before.max.ms and " +
		"log.message.timestamp.after.max.ms",
}

// refuseRemoved stops a configuration that is meant for ZooKeeper: running on with another metadata
// store than its author thinks would be worse.
func (b *builder) refuseRemoved() {
	if v, set := b.s.Static.Get("zookeeper.connect"); set {
		b.fail("zookeeper.connect=%s: there is no ZooKeeper; the metadata quorum is embedded in the "+
			"broker as in KRaft. Remove the key and set node.id (and, for more than one node, "+
			"controller.quorum.voters)", shorten(v))
	}
}

// checkKeys validates each key by itself.
func (b *builder) checkKeys() {
	for _, name := range b.s.Static.Names() {
		d := brokerDef(name)
		if d == nil {
			b.unknown(name)
			continue
		}
		value := b.s.Static[name]
		if d.NoDefault && value == "" {
			delete(b.s.Static, name) // As unset, which Kafka writes as an empty value too.
			continue
		}
		if err := d.Check(value); err != nil {
			// The definition may lack the listener prefix that the file has.
			b.fail("%s%w", strings.TrimSuffix(name, d.Name), err)
		}
	}
}

// unknown warns about a key that nothing here knows. It stays in the static layer, as in Kafka.
func (b *builder) unknown(name string) {
	if name == "zookeeper.connect" {
		return
	}
	if instead, known := replaced[name]; known {
		b.warn("%s has no effect any more; in its place there is %s", name, instead)
		return
	}
	if strings.HasPrefix(name, "zookeeper.") {
		b.warn("%s has no effect: there is no ZooKeeper", shorten(name))
		return
	}
	if d := topicIndex[name]; d != nil && d.Synonym != "" {
		b.warn("%s is a topic config and has no effect here; its default for all topics is %s",
			name, d.Synonym)
		return
	}
	b.warn("unknown config %s is ignored%s", shorten(name), suggestion(name, brokerSorted))
}

// identity settles node.id and its old name broker.id.
func (b *builder) identity() {
	node, broker := b.number("node.id"), b.number("broker.id")
	switch {
	case b.set("node.id") && broker >= 0 && node != broker:
		b.fail("node.id=%d and broker.id=%d: must be equal, as they are two names of one id",
			node, broker)
	case !b.set("node.id") && broker >= 0:
		node = broker
		b.s.Static["node.id"] = strconv.FormatInt(node, 10)
	}
	b.s.NodeID = int32(node)
	b.s.Rack = b.text("broker.rack")
	b.s.ClusterID = b.text("cluster.id")
	roles := SplitList(b.text("process.roles"))
	if len(roles) > 0 && !slices.Contains(roles, "broker") {
		b.fail("process.roles=%s: must contain broker; every node is broker and controller",
			b.text("process.roles"))
	}
}

// directories settles log.dirs, which wins over log.dir.
func (b *builder) directories() {
	key := "log.dir"
	if b.set("log.dirs") {
		key = "log.dirs"
	}
	b.s.LogDirs = SplitList(b.text(key))
	if len(b.s.LogDirs) == 0 {
		b.fail("%s=: at least one directory is needed", key)
		return
	}
	for i, dir := range b.s.LogDirs {
		switch {
		case dir == "":
			b.fail("%s=%s: a directory is empty", key, b.text(key))
		case slices.Contains(b.s.LogDirs[:i], dir):
			b.fail("%s=%s: %s is named twice", key, b.text(key), dir)
		}
	}
	b.s.MetadataDir = b.s.LogDirs[0]
	if dir := b.text("metadata.log.dir"); dir != "" {
		b.s.MetadataDir = dir
	}
}

// explicitFactor is a replication factor when it is set, and 0, for the broker to choose,
// otherwise.
func (b *builder) explicitFactor(name string) int16 {
	if !b.set(name) {
		return 0
	}
	return int16(b.number(name))
}

func (b *builder) numbers() {
	s := b.s
	s.NumPartitions = b.int("num.partitions")
	s.DefaultReplicationFactor = int16(min(b.number("default.replication.factor"), 1<<15-1))
	s.AutoCreateTopics = b.bool("auto.create.topics.enable")
	s.DeleteTopics = b.bool("delete.topic.enable")
	s.OffsetsTopicReplicationFactor = b.explicitFactor("offsets.topic.replication.factor")
	s.TransactionTopicReplicationFactor = b.explicitFactor(
		"transaction.state.log.replication.factor")
	s.ShareTopicReplicationFactor = b.explicitFactor(
		"share.coordinator.state.topic.replication.factor")
	s.TransactionTopicMinISR = b.int("transaction.state.log.min.isr")
	s.OffsetsTopicPartitions = b.int("offsets.topic.num.partitions")
	s.TransactionTopicPartitions = b.int("transaction.state.log.num.partitions")
	s.FetchMaxBytes = b.int("fetch.max.bytes")
	s.FetchSessionSlots = b.int("max.incremental.fetch.session.cache.slots")
	s.MaxPartitionsPerPage = b.int("max.request.partition.size.limit")
	s.RequestTimeoutMs = b.int("request.timeout.ms")
	s.ControlledShutdown = b.bool("controlled.shutdown.enable")
	s.UnstableAPIVersions = b.bool("unstable.api.versions.enable")
	s.AdminListener = b.adminListener()
	s.IOEngine = b.text("io.engine")
	s.MemoryBudgetBytes = b.number("memory.budget.bytes")
	s.MetricsTopicsMax = b.int("metrics.topics.max")
	s.GroupMetricsMax = b.int("metrics.group.partitions.max")
	b.socketNumbers()
	b.logNumbers()
}

func (b *builder) socketNumbers() {
	s := b.s
	s.SocketRequestMaxBytes = b.int("socket.request.max.bytes")
	s.SocketSendBufferBytes = b.int("socket.send.buffer.bytes")
	s.SocketReceiveBuffer = b.int("socket.receive.buffer.bytes")
	s.SocketListenBacklog = b.int("socket.listen.backlog.size")
	s.MaxConnections = b.int("max.connections")
	s.MaxConnectionsPerIP = b.int("max.connections.per.ip")
	s.MaxConnectionsPerIPFor = b.perIP()
	s.MaxConnectionRate = b.int("max.connection.creation.rate")
	s.ConnectionsMaxIdleMs = b.number("connections.max.idle.ms")
	s.QueuedMaxRequestBytes = b.number("queued.max.request.bytes")
	s.NumNetworkThreads = b.int("num.network.threads")
	s.NetworkThreadsSet = b.set("num.network.threads")
}

func (b *builder) logNumbers() {
	s := b.s
	s.ReplicaLagTimeMaxMs = b.number("replica.lag.time.max.ms")
	s.ProducerIDExpirationMs = b.int("producer.id.expiration.ms")
	s.VerifyTxns = b.bool("transaction.partition.verification.enable")
	s.HWCheckpointIntervalMs = b.number("replica.high.watermark.checkpoint.interval.ms")
	s.FlushCheckpointMs = b.int("log.flush.offset.checkpoint.interval.ms")
	s.StartCheckpointMs = b.int("log.flush.start.offset.checkpoint.interval.ms")
	s.RetentionCheckMs = b.number("log.retention.check.interval.ms")
	s.FlushSchedulerMs = b.number("log.flush.scheduler.interval.ms")
	s.RecoveryThreadsPerDir = b.int("num.recovery.threads.per.data.dir")
	s.CleanerEnable = b.bool("log.cleaner.enable")
	s.BackgroundThreads = b.int("background.threads")
	s.LogDirFailureTimeoutMs = b.number("log.dir.failure.timeout.ms")
	s.ColdReadBytesPerSecond = b.number("log.cold.read.bytes.per.second")
	s.ColdReadCacheBytes = b.number("log.cold.read.cache.bytes")
	s.DecompressedBatchMax = b.number("log.decompressed.batch.max.bytes")
	s.LogPreallocateBudgetMax = b.number("log.preallocate.budget.bytes")
}

// adminListener checks host:port.
func (b *builder) adminListener() string {
	value := b.text("admin.listener")
	if value == "" {
		return ""
	}
	if _, err := parseListener("ADMIN://" + value); err != nil {
		b.fail("admin.listener=%s: must be host:port, or empty to turn it off", shorten(value))
	}
	return value
}

// perIP reads max.connections.per.ip.overrides: host:count, separated by commas.
func (b *builder) perIP() map[string]int32 {
	const key = "max.connections.per.ip.overrides"
	bounds := map[string]int32{}
	for _, item := range SplitList(b.text(key)) {
		colon := strings.LastIndexByte(item, ':')
		if colon <= 0 {
			b.fail("%s=%s: must be a list of host:count", key, shorten(b.text(key)))
			return nil
		}
		host := strings.TrimSpace(item[:colon])
		n, err := strconv.ParseInt(strings.TrimSpace(item[colon+1:]), 10, 32)
		if err != nil || n < 0 {
			b.fail("%s=%s: the count of %s must be a number of at least 0",
				key, shorten(b.text(key)), shorten(host))
			return nil
		}
		bounds[strings.Trim(host, "[]")] = int32(n)
	}
	return bounds
}

// checkTogether refuses values that are each allowed but make no sense together.
func (b *builder) checkTogether() {
	needs := func(holds bool, format string, args ...any) {
		if !holds {
			b.fail(format, args...)
		}
	}
	wait, lag := b.number("replica.fetch.wait.max.ms"), b.number("replica.lag.time.max.ms")
	socket := b.number("replica.socket.timeout.ms")
	needs(wait <= socket, "replica.fetch.wait.max.ms=%d: must not be above "+
		"replica.socket.timeout.ms=%d, or every fetch times out", wait, socket)
	needs(wait <= lag, "replica.fetch.wait.max.ms=%d: must not be above "+
		"replica.lag.time.max.ms=%d, or replicas leave the ISR for nothing", wait, lag)
	queued, frame := b.number("queued.max.request.bytes"), b.number("socket.request.max.bytes")
	needs(queued <= 0 || queued >= frame, "queued.max.request.bytes=%d: must be at least "+
		"socket.request.max.bytes=%d, or the largest request never fits", queued, frame)
	delay, idle := b.number("connection.failed.authentication.delay.ms"),
		b.s.ConnectionsMaxIdleMs
	needs(idle <= 0 || delay < idle, "connection.failed.authentication.delay.ms=%d: must be below "+
		"connections.max.idle.ms=%d", delay, idle)
	threads, buffer := b.number("log.cleaner.threads"), b.number("log.cleaner.dedupe.buffer.size")
	needs(threads == 0 || buffer/threads > 1<<20, "log.cleaner.dedupe.buffer.size=%d: must be "+
		"more than 1048576 for each of log.cleaner.threads=%d", buffer, threads)
	needs(b.s.MaxConnectionsPerIP > 0 || len(b.s.MaxConnectionsPerIPFor) > 0,
		"max.connections.per.ip=0: needs max.connections.per.ip.overrides, or nobody can connect")
	if len(b.problems) == 0 {
		if err := Resolve(Layers{Static: b.s.Static}).check(); err != nil {
			b.fail("the defaults of topics: %w", err)
		}
	}
}
