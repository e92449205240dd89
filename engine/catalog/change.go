package catalog

// ChangeType is the first byte of an encoded change. Numbers are on disk and never reused.
type ChangeType uint8

// The types of changes.
const (
	TypeClusterNamed        ChangeType = 1
	TypeFeatureLevel        ChangeType = 2
	TypeBrokerRegistered    ChangeType = 3
	TypeBrokerChanged       ChangeType = 4
	TypeBrokerUnregistered  ChangeType = 5
	TypeTopicCreated        ChangeType = 6
	TypePartitionsAdded     ChangeType = 7
	TypePartitionChanged    ChangeType = 8
	TypeTopicDeleted        ChangeType = 9
	TypeConfigChanged       ChangeType = 10
	TypeProducerIDsAssigned ChangeType = 11
)

// Change is one step of the metadata: one of the struct types below, by value.
type Change interface {
	// Type is the number under which the change is encoded.
	Type() ChangeType
	// appendBody appends the body of the current version.
	appendBody(dst []byte) []byte
	// apply changes the draft, or returns an error and leaves it to be thrown away.
	apply(d *draft) error
}

// ClusterNamed gives the cluster its id, once.
type ClusterNamed struct{ ClusterID string }

// FeatureLevel finalizes the level of a feature (KIP-584); level 0 removes it.
type FeatureLevel struct {
	Name  string
	Level int16
}

// BrokerRegistered adds a broker or replaces its registration. Its epoch must be greater than that
// of any registration it replaces.
type BrokerRegistered struct{ Broker Broker }

// BrokerChanged replaces what may change under one registration.
type BrokerChanged struct {
	ID              int32
	Epoch           int64 // Of the registration that is changed; another is an error.
	Fenced          bool
	ShuttingDown    bool
	LogDirs         []UUID
	CordonedLogDirs []UUID
}

// BrokerUnregistered removes a broker.
type BrokerUnregistered struct {
	ID    int32
	Epoch int64 // Of the registration that is removed; another is an error.
}

// TopicCreated adds a topic without partitions; PartitionsAdded follows in the same entry.
type TopicCreated struct {
	ID       UUID
	Name     string
	Internal bool
}

// PartitionsAdded adds partitions to a topic; the first gets the id First, which is the number of
// partitions before.
type PartitionsAdded struct {
	TopicID    UUID
	First      int32
	Partitions []Partition
}

// PartitionChanged replaces the state of one partition. Its PartitionEpoch must be one more than
// before and its LeaderEpoch not less.
type PartitionChanged struct {
	TopicID   UUID
	Partition int32
	State     Partition
}

// TopicDeleted removes a topic with its partitions and its configs.
type TopicDeleted struct{ ID UUID }

// ConfigChanged sets one dynamic config of a resource, or removes it.
type ConfigChanged struct {
	Resource Resource
	Name     string
	Value    string
	Remove   bool // Value is empty.
}

// ProducerIDsAssigned gives a broker the producer ids from First up to but excluding Next.
type ProducerIDsAssigned struct {
	BrokerID    int32
	BrokerEpoch int64
	First       int64
	Next        int64
}

// Type implements Change.
func (ClusterNamed) Type() ChangeType { return TypeClusterNamed }

// Type implements Change.
func (FeatureLevel) Type() ChangeType { return TypeFeatureLevel }

// Type implements Change.
func (BrokerRegistered) Type() ChangeType { return TypeBrokerRegistered }

// Type implements Change.
func (BrokerChanged) Type() ChangeType { return TypeBrokerChanged }

// Type implements Change.
func (BrokerUnregistered) Type() ChangeType { return TypeBrokerUnregistered }

// Type implements Change.
func (TopicCreated) Type() ChangeType { return TypeTopicCreated }

// Type implements Change.
func (PartitionsAdded) Type() ChangeType { return TypePartitionsAdded }

// Type implements Change.
func (PartitionChanged) Type() ChangeType { return TypePartitionChanged }

// Type implements Change.
func (TopicDeleted) Type() ChangeType { return TypeTopicDeleted }

// Type implements Change.
func (ConfigChanged) Type() ChangeType { return TypeConfigChanged }

// Type implements Change.
func (ProducerIDsAssigned) Type() ChangeType { return TypeProducerIDsAssigned }
