package config

// Durability says what an acknowledgement promises on the broker's own host: log.durability.
type Durability uint8

// The values of log.durability.
const (
	// DurabilityPageCache: acks survive a process crash; replicas cover the host.
	DurabilityPageCache Durability = iota
	// DurabilityDisk: neither ack nor visibility before the bytes are on stable storage.
	DurabilityDisk
)

// Validation says how much of a produced batch the broker checks: log.validation.
type Validation uint8

// The values of log.validation.
const (
	// ValidationFull: every record is walked, through decompression where needed, as Kafka does.
	ValidationFull Validation = iota
	// ValidationHeader: the batch header and its CRC are checked, and the records trusted.
	ValidationHeader
)

// Compression is a topic's compression.type.
type Compression uint8

// The values of compression.type. From CompressionNone on, less one, they are the codec numbers of
// the batch attributes.
const (
	CompressionProducer Compression = iota // Keep what the producer chose.
	CompressionNone                        // "uncompressed".
	CompressionGzip
	CompressionSnappy
	CompressionLZ4
	CompressionZstd
)

// Topic is what holds for one topic: a flat, comparable value. Times are milliseconds and sizes
// bytes.
type Topic struct {
	SegmentBytes       int32
	SegmentMs          int64
	SegmentJitterMs    int64
	SegmentIndexBytes  int32
	IndexIntervalBytes int32
	Preallocate        bool

	FlushMessages     int64
	FlushMs           int64
	FileDeleteDelayMs int64

	RetentionBytes        int64 // -1: no bound.
	RetentionMs           int64 // -1: no bound.
	LocalRetentionBytes   int64 // -2: as RetentionBytes.
	LocalRetentionMs      int64 // -2: as RetentionMs.
	CleanupDelete         bool  // Both false: keep for ever.
	CleanupCompact        bool
	DeleteRetentionMs     int64
	MinCompactionLagMs    int64
	MaxCompactionLagMs    int64
	MinCleanableDirtyRate float64 // 0 to 1.

	MaxMessageBytes int32
	// MaxDecompressedMessageBytes bounds a single record after decompression.
	MaxDecompressedMessageBytes int32

	Compression          Compression
	CompressionGzipLevel int32 // -1: the library's default.
	CompressionLZ4Level  int32
	CompressionZstdLevel int32

	LogAppendTime        bool // message.timestamp.type=LogAppendTime.
	TimestampBeforeMaxMs int64
	TimestampAfterMaxMs  int64

	MinInSyncReplicas     int32
	UncleanLeaderElection bool
	// LeaderThrottled and FollowerThrottled are lists partition:broker,… or "*", as written.
	LeaderThrottled   string
	FollowerThrottled string

	RemoteStorageEnable      bool
	RemoteLogCopyDisable     bool
	RemoteLogDeleteOnDisable bool
	RemoteCopyLagMs          int64
	RemoteCopyLagBytes       int64
	DeadLetterQueueEnable    bool

	Durability Durability
	Validation Validation
}

// Resolve returns what holds for a topic. Values that do not parse, which validation keeps out of
// every layer, panic.
func Resolve(l Layers) Topic { return resolveTopic(l) }

// CheckTopic validates the complete set of a topic's own configs: each key known and each value
// allowed, and the values together making sense with the layers beneath. The error is fit for
// INVALID_CONFIG.
func CheckTopic(l Layers, names []string) error { return checkTopic(l, names) }
