package config

// Listener is a name under which the broker is bound or advertised.
type Listener struct {
	Name     string // Upper case.
	Protocol string // PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
	Host     string // Empty or a wildcard binds to every address. IPv6 without brackets.
	Port     uint16 // 0: chosen by the kernel.
}

// Server is the resolved static configuration of a broker. Times are milliseconds unless named
// otherwise, sizes bytes.
type Server struct {
	// Static holds every key that was set, as written and with aliases resolved: the static layer
	// of Layers.
	Static Map
	// Warnings are sentences for the operator: unknown keys, settings without effect.
	Warnings []string

	NodeID    int32
	Rack      string // Empty: none.
	ClusterID string // Empty: made at first start. Key cluster.id.
	LogDirs   []string
	// MetadataDir holds the metadata log: metadata.log.dir, or the first log dir.
	MetadataDir string

	Listeners   []Listener
	Advertised  []Listener // As set, or as Listeners with wildcard hosts left empty.
	InterBroker string     // Name of the listener between brokers.

	NumPartitions            int32
	DefaultReplicationFactor int16
	AutoCreateTopics         bool
	DeleteTopics             bool

	// Internal topics' replication: 0 means not set, and the broker uses min(3, brokers).
	OffsetsTopicReplicationFactor     int16
	TransactionTopicReplicationFactor int16
	TransactionTopicMinISR            int32
	ShareTopicReplicationFactor       int16
	OffsetsTopicPartitions            int32
	TransactionTopicPartitions        int32

	SocketRequestMaxBytes   int32
	SocketSendBufferBytes   int32 // -1: the system's.
	SocketReceiveBuffer     int32 // -1: the system's.
	SocketListenBacklog     int32
	MaxConnections          int32
	MaxConnectionsPerIP     int32
	MaxConnectionsPerIPFor  map[string]int32 // By address or host name.
	MaxConnectionRate       int32            // New connections a second.
	ConnectionsMaxIdleMs    int64
	QueuedMaxRequestBytes   int64 // -1: no bound.
	NumNetworkThreads       int32
	NetworkThreadsSet       bool // Whether num.network.threads was set; otherwise one per core.
	FetchMaxBytes           int32
	FetchSessionSlots       int32
	MaxPartitionsPerPage    int32
	RequestTimeoutMs        int32
	ControlledShutdown      bool
	ReplicaLagTimeMaxMs     int64
	ProducerIDExpirationMs  int32
	VerifyTxns              bool // transaction.partition.verification.enable
	HWCheckpointIntervalMs  int64
	FlushCheckpointMs       int32
	StartCheckpointMs       int32
	RetentionCheckMs        int64
	FlushSchedulerMs        int64
	RecoveryThreadsPerDir   int32
	CleanerEnable           bool
	BackgroundThreads       int32
	LogDirFailureTimeoutMs  int64
	UnstableAPIVersions     bool
	AdminListener           string // host:port, or empty: off.
	IOEngine                string // auto, epoll or io_uring.
	ColdReadBytesPerSecond  int64  // 0: no bound.
	ColdReadCacheBytes      int64
	MemoryBudgetBytes       int64 // 0: derived from the host.
	MetricsTopicsMax        int32 // Topics with figures of their own.
	GroupMetricsMax         int32 // Committed offsets with figures of their own.
	DecompressedBatchMax    int64
	LogPreallocateBudgetMax int64
}

// Load reads the text of server.properties and then overrides, each key=value, which win. The error
// names every key with an impossible value, the value, and what is allowed, one to a line.
func Load(text string, overrides []string) (*Server, error) { return load(text, overrides) }

// Defaults is the configuration of a broker with an empty server.properties.
func Defaults() *Server {
	s, err := Load("", nil)
	if err != nil {
		panic("BUG: the default configuration is invalid: " + err.Error())
	}
	return s
}

// TopicLayers returns the layers of a topic, with this server's static layer.
func (s *Server) TopicLayers(topic, dynamicBroker, dynamicDefault Getter) Layers {
	return Layers{
		Topic: topic, DynamicBroker: dynamicBroker, DynamicDefault: dynamicDefault,
		Static: s.Static,
	}
}
