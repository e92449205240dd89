package broker

import (
	"sluice/engine/catalog/config"
	"sluice/engine/partition"
	"sluice/replication"
	"sluice/wire"
)

// topicSettings is what a topic's configs mean for requests and logs: immutable, replaced as a whole
// when a config changes.
type topicSettings struct {
	config config.Topic
	// rules are the produce rules but for the request's version and the clock.
	rules wire.Rules
}

func newTopicSettings(c config.Topic, decompressedBytesMax int64) *topicSettings {
	s := &topicSettings{config: c}
	s.rules = wire.Rules{
		Mode:                 wire.ModeFull,
		Compacted:            c.CleanupCompact,
		Timestamps:           wire.CreateTime,
		MessageBytesMax:      c.MaxMessageBytes,
		SegmentBytesMax:      c.SegmentBytes,
		BeforeMaxMs:          c.TimestampBeforeMaxMs,
		AfterMaxMs:           c.TimestampAfterMaxMs,
		Target:               wire.CodecProducer,
		DecompressedBytesMax: decompressedBytesMax,

		DecompressedRecordBytesMax: c.MaxDecompressedMessageBytes,
	}
	if c.Validation == config.ValidationHeader {
		s.rules.Mode = wire.ModeHeader
	}
	if c.LogAppendTime {
		s.rules.Timestamps = wire.LogAppendTime
	}
	if c.Compression != config.CompressionProducer {
		s.rules.Target = wire.Codec(c.Compression - config.CompressionNone)
	}
	return s
}

// level is the topic's compression level for a codec that has one.
func (s *topicSettings) level(codec wire.Codec) int {
	switch codec {
	case wire.CodecGzip:
		if s.config.CompressionGzipLevel < 0 {
			return wire.DefaultLevel
		}
		return int(s.config.CompressionGzipLevel)
	case wire.CodecLZ4:
		return int(s.config.CompressionLZ4Level)
	case wire.CodecZstd:
		return int(s.config.CompressionZstdLevel)
	default:
		return wire.DefaultLevel
	}
}

// log is the part of the settings that the log obeys.
func (s *topicSettings) log(broker *config.Server) partition.Config {
	c := &s.config
	out := partition.Config{
		SegmentBytes:           int64(c.SegmentBytes),
		SegmentMs:              c.SegmentMs,
		SegmentJitterMs:        c.SegmentJitterMs,
		SegmentIndexBytes:      int64(c.SegmentIndexBytes),
		IndexIntervalBytes:     int64(c.IndexIntervalBytes),
		FlushMessages:          c.FlushMessages,
		FlushMs:                c.FlushMs,
		RetentionMs:            -1,
		RetentionBytes:         -1,
		FileDeleteDelayMs:      c.FileDeleteDelayMs,
		ProducerIDExpirationMs: int64(broker.ProducerIDExpirationMs),
		VerifyTxns:             broker.VerifyTxns,
		MinCompactionLagMs:     c.MinCompactionLagMs,
		MaxCompactionLagMs:     c.MaxCompactionLagMs,
		DeleteRetentionMs:      c.DeleteRetentionMs,
	}
	if c.CleanupCompact {
		// A record in the active segment is not compacted, however old it is (class LogConfig,
		// maxSegmentMs).
		out.SegmentMs = min(out.SegmentMs, max(c.MaxCompactionLagMs, 0))
	}
	if c.CleanupDelete {
		out.RetentionMs, out.RetentionBytes = c.RetentionMs, c.RetentionBytes
	}
	return out
}

// policy is the part of the settings that replication obeys.
func (s *topicSettings) policy(lagTimeMaxMs int64) replication.Policy {
	return replication.Policy{
		MinInSync:    int(s.config.MinInSyncReplicas),
		LagTimeMaxMs: lagTimeMaxMs,
		Durable:      s.config.Durability == config.DurabilityDisk,
	}
}
