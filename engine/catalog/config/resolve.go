package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// brokerValue returns what holds for a broker key: set under any of its names in any layer, or its
// default. ok is false when the key has no value.
func brokerValue(l Layers, d *Def) (value string, ok bool) {
	names := []alias{{d.Name, 1}}
	if chain := chains[d.Name]; chain != nil {
		names = chain
	}
	for _, a := range names {
		for _, layer := range [...]Getter{l.DynamicBroker, l.DynamicDefault, l.Static} {
			if v, set := get(layer, a.name); set {
				return scale(v, a.unitMs), true
			}
		}
	}
	return d.Default, !d.NoDefault
}

// scale turns a value in a coarser unit into milliseconds. A negative one means "no bound" and
// becomes
// -1; one that overflows becomes the greatest number.
func scale(value string, unitMs int64) string {
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	if err != nil || unitMs == 1 {
		return value
	}
	switch {
	case n < 0:
		return "-1"
	case n > math.MaxInt64/unitMs:
		return strconv.FormatInt(math.MaxInt64, 10)
	}
	return strconv.FormatInt(n*unitMs, 10)
}

// topicValue returns what holds for a topic key.
func topicValue(l Layers, d *Def) string {
	if v, set := get(l.Topic, d.Name); set {
		return v
	}
	if d.Synonym != "" {
		if v, ok := brokerValue(l, brokerIndex[d.Synonym]); ok {
			return v
		}
	}
	return d.Default
}

// values reads typed values of topic keys, without the blanks around them.
type values struct{ l Layers }

func (v values) text(name string) string {
	d := topicIndex[name]
	if d == nil {
		panic("BUG: no topic config " + name)
	}
	return strings.TrimSpace(topicValue(v.l, d))
}

func (v values) long(name string) int64 {
	text := v.text(name)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("BUG: config %s=%q got past validation", name, text))
	}
	return n
}

func (v values) int(name string) int32 {
	n := v.long(name)
	if n < math.MinInt32 || n > math.MaxInt32 {
		panic(fmt.Sprintf("BUG: config %s=%d got past validation", name, n))
	}
	return int32(n)
}

func (v values) bool(name string) bool { return strings.EqualFold(v.text(name), "true") }

func (v values) double(name string) float64 {
	text := v.text(name)
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(fmt.Sprintf("BUG: config %s=%q got past validation", name, text))
	}
	return f
}

func resolveTopic(l Layers) Topic {
	v := values{l}
	t := Topic{
		SegmentBytes: v.int("segment.bytes"), SegmentMs: v.long("segment.ms"),
		SegmentJitterMs:   v.long("segment.jitter.ms"),
		SegmentIndexBytes: v.int("segment.index.bytes"), Preallocate: v.bool("preallocate"),
		IndexIntervalBytes: v.int("index.interval.bytes"),
		FlushMessages:      v.long("flush.messages"), FlushMs: v.long("flush.ms"),
		FileDeleteDelayMs: v.long("file.delete.delay.ms"),

		MaxMessageBytes:             v.int("max.message.bytes"),
		MaxDecompressedMessageBytes: v.int("max.decompressed.message.bytes"),

		CompressionGzipLevel: v.int("compression.gzip.level"),
		CompressionLZ4Level:  v.int("compression.lz4.level"),
		CompressionZstdLevel: v.int("compression.zstd.level"),

		LogAppendTime:         v.text("message.timestamp.type") == "LogAppendTime",
		TimestampBeforeMaxMs:  v.long("message.timestamp.before.max.ms"),
		TimestampAfterMaxMs:   v.long("message.timestamp.after.max.ms"),
		MinInSyncReplicas:     v.int("min.insync.replicas"),
		UncleanLeaderElection: v.bool("unclean.leader.election.enable"),
		LeaderThrottled:       v.text("leader.replication.throttled.replicas"),
		FollowerThrottled:     v.text("follower.replication.throttled.replicas"),
		DeadLetterQueueEnable: v.bool("errors.deadletterqueue.group.enable"),
	}
	t.resolveRetention(v)
	t.resolveWords(v)
	return t
}

func (t *Topic) resolveRetention(v values) {
	t.RetentionBytes, t.RetentionMs = v.long("retention.bytes"), v.long("retention.ms")
	t.LocalRetentionBytes = v.long("local.retention.bytes")
	t.LocalRetentionMs = v.long("local.retention.ms")
	policy := SplitList(v.text("cleanup.policy"))
	t.CleanupDelete = slices.Contains(policy, "delete")
	t.CleanupCompact = slices.Contains(policy, "compact")
	t.DeleteRetentionMs = v.long("delete.retention.ms")
	t.MinCompactionLagMs = v.long("min.compaction.lag.ms")
	t.MaxCompactionLagMs = v.long("max.compaction.lag.ms")
	t.MinCleanableDirtyRate = v.double("min.cleanable.dirty.ratio")
	t.RemoteStorageEnable = v.bool("remote.storage.enable")
	t.RemoteLogCopyDisable = v.bool("remote.log.copy.disable")
	t.RemoteLogDeleteOnDisable = v.bool("remote.log.delete.on.disable")
	t.RemoteCopyLagMs = v.long("remote.copy.lag.ms")
	t.RemoteCopyLagBytes = v.long("remote.copy.lag.bytes")
}

func (t *Topic) resolveWords(v values) {
	t.Compression = map[string]Compression{
		"producer": CompressionProducer, "uncompressed": CompressionNone, "gzip": CompressionGzip,
		"snappy": CompressionSnappy, "lz4": CompressionLZ4, "zstd": CompressionZstd,
	}[v.text("compression.type")]
	if v.text("log.durability") == "disk" {
		t.Durability = DurabilityDisk
	}
	if v.text("log.validation") == "header" {
		t.Validation = ValidationHeader
	}
}

func checkTopic(l Layers, names []string) error {
	for _, name := range names {
		d := topicIndex[name]
		if d == nil {
			return fmt.Errorf("unknown topic config name: %s%s", shorten(name),
				suggestion(name, topicSorted))
		}
		value, _ := get(l.Topic, name)
		if err := d.Check(value); err != nil {
			return err
		}
	}
	return resolveTopic(l).check()
}

// check says whether values that are each allowed also make sense together.
func (t Topic) check() error {
	switch {
	case t.MinCompactionLagMs > t.MaxCompactionLagMs:
		return fmt.Errorf("min.compaction.lag.ms=%d must not be above max.compaction.lag.ms=%d",
			t.MinCompactionLagMs, t.MaxCompactionLagMs)
	case t.RemoteStorageEnable:
		return fmt.Errorf("remote.storage.enable=true: must be false, as this broker has no " +
			"tiered storage (remote.log.storage.system.enable=false)")
	}
	return nil
}
