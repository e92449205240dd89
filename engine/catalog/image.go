package catalog

import (
	"cmp"
	"slices"
	"strings"
)

// Image is the metadata after some entry of the log. It is immutable: any number of goroutines may
// read it without a lock for as long as they keep it, and nothing reached from it may be modified.
// Successive images share all that did not change.
type Image struct {
	index          uint64
	clusterID      string
	nextProducerID int64
	features       []Feature
	brokers        []*Broker
	byName         sorted[string, *Topic]
	byID           sorted[UUID, *Topic]
	byCollision    sorted[string, *Topic] // By collisionKey, where names have '.' or '_'.
	configs        sorted[Resource, *Configs]
	partitionCount int
}

// Feature is a finalized feature level (KIP-584). The level of MetadataVersionFeature gates which
// changes may be written.
type Feature struct {
	Name  string
	Level int16
}

// MetadataVersionFeature is the name of the level that gates the changes themselves.
const MetadataVersionFeature = "metadata.version"

// MetadataVersionLatest is the greatest level of MetadataVersionFeature that this build can follow.
// The levels are this project's own; what each adds:
//
//	1  all change types up to TypeProducerIDsAssigned
const MetadataVersionLatest = 1

// TransactionVersionFeature is the level of the transaction protocol (KIP-890): with 1 the
// coordinator's records have tagged fields, with 2 every transaction has an epoch of its own, and
// brokers add partitions to it. 0 is the protocol of KIP-98.
const (
	TransactionVersionFeature = "transaction.version"
	TransactionVersionLatest  = 2
)

// Endpoint is where a broker can be reached under a listener's name.
type Endpoint struct {
	Listener string // Upper case as Kafka keeps it, such as PLAINTEXT.
	Protocol string // PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
	Host     string
	Port     uint16
}

// Broker is a registered broker. A *Broker reached from an Image is immutable.
type Broker struct {
	ID          int32
	Epoch       int64 // Grows with each registration.
	Incarnation UUID  // Of the process that registered.
	Endpoints   []Endpoint
	Rack        string // Empty when the broker has none.
	LogDirs     []UUID // Online directories.
	// CordonedLogDirs take no new replicas (KIP-1066).
	CordonedLogDirs []UUID
	Fenced          bool // Not serving: takes no leadership and joins no ISR.
	ShuttingDown    bool // In controlled shutdown.
}

// Endpoint returns the broker's endpoint of that listener.
func (b *Broker) Endpoint(listener string) (Endpoint, bool) {
	for _, e := range b.Endpoints {
		if e.Listener == listener {
			return e, true
		}
	}
	return Endpoint{}, false
}

// NoLeader is the leader of a partition without one.
const NoLeader int32 = -1

// Partition is one partition's assignment and state. A *Partition reached from an Image is
// immutable.
type Partition struct {
	Replicas    []int32 // In preference order.
	Directories []UUID  // Parallel to Replicas.
	ISR         []int32
	ELR         []int32 // Eligible leader replicas (KIP-966).
	LastELR     []int32 // Last known ELR.
	Adding      []int32 // Replicas of a reassignment under way.
	Removing    []int32
	Leader      int32 // NoLeader when there is none.
	LeaderEpoch int32
	// PartitionEpoch grows with each change of the partition and is what AlterPartition compares.
	PartitionEpoch int32
	// Recovering says that the leader came from an unclean election and has not yet recovered.
	Recovering bool
}

// Topic is a topic with its partitions, whose ids are 0 to PartitionCount()-1. A *Topic reached
// from an Image is immutable.
type Topic struct {
	ID       UUID
	Name     string
	Internal bool
	parts    partitions
}

// PartitionCount is the number of partitions.
func (t *Topic) PartitionCount() int { return t.parts.n }

// Partition returns the partition with that id, or nil. It does not allocate.
func (t *Topic) Partition(id int32) *Partition { return t.parts.at(int(id)) }

// ReplicationFactor is the number of replicas of partition 0.
func (t *Topic) ReplicationFactor() int {
	if p := t.Partition(0); p != nil {
		return len(p.Replicas)
	}
	return 0
}

// ResourceType is Kafka's number for a kind of thing that has configs.
type ResourceType int8

// The kinds of resources, with Kafka's numbers.
const (
	ResourceTopic         ResourceType = 2
	ResourceBroker        ResourceType = 4 // Name is a broker id, or empty for the cluster default.
	ResourceBrokerLogger  ResourceType = 8
	ResourceClientMetrics ResourceType = 16
	ResourceGroup         ResourceType = 32
)

// Resource names a thing that has configs.
type Resource struct {
	Type ResourceType
	Name string
}

func compareResource(a, b Resource) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name))
}

// Config is one dynamic config of a resource.
type Config struct{ Name, Value string }

// Configs is the set of dynamic configs of a resource, ordered by name, immutable.
// A nil *Configs is the empty set.
type Configs struct{ entries []Config }

// Len is the number of configs.
func (c *Configs) Len() int {
	if c == nil {
		return 0
	}
	return len(c.entries)
}

// At returns the config at index, in order of names.
func (c *Configs) At(index int) Config { return c.entries[index] }

// Get returns the value of a config. It does not allocate.
func (c *Configs) Get(name string) (string, bool) {
	if c == nil {
		return "", false
	}
	i, ok := slices.BinarySearchFunc(c.entries, name, compareConfig)
	if !ok {
		return "", false
	}
	return c.entries[i].Value, true
}

// Names returns the names of the configs, in order. The caller owns the slice.
func (c *Configs) Names() []string {
	names := make([]string, c.Len())
	for i := range names {
		names[i] = c.entries[i].Name
	}
	return names
}

func compareConfig(c Config, name string) int { return strings.Compare(c.Name, name) }

// Index is the index of the last entry applied.
func (im *Image) Index() uint64 { return im.index }

// ClusterID is the cluster's id, empty before ClusterNamed.
func (im *Image) ClusterID() string { return im.clusterID }

// NextProducerID is the first producer id that no block has given out.
func (im *Image) NextProducerID() int64 { return im.nextProducerID }

// Features are the finalized features, ordered by name. The slice is borrowed.
func (im *Image) Features() []Feature { return im.features }

// FeatureLevel is the finalized level of a feature, or 0.
func (im *Image) FeatureLevel(name string) int16 {
	for _, f := range im.features {
		if f.Name == name {
			return f.Level
		}
	}
	return 0
}

// Brokers are the registered brokers, ordered by id. The slice is borrowed.
func (im *Image) Brokers() []*Broker { return im.brokers }

// Broker returns a registered broker, or nil.
func (im *Image) Broker(id int32) *Broker {
	i, ok := slices.BinarySearchFunc(im.brokers, id, compareBroker)
	if !ok {
		return nil
	}
	return im.brokers[i]
}

func compareBroker(b *Broker, id int32) int { return cmp.Compare(b.ID, id) }

// ISREligible says whether a broker may join an in-sync set under the epoch it fetched with: it is
// registered, unfenced, not shutting down (KIP-841), and the epoch is its current one (KIP-903) or
// -1.
func (im *Image) ISREligible(brokerID int32, brokerEpoch int64) bool {
	b := im.Broker(brokerID)
	return b != nil && !b.Fenced && !b.ShuttingDown &&
		(brokerEpoch == -1 || brokerEpoch == b.Epoch)
}

// BrokerEpoch is the epoch of a broker's registration, or -1.
func (im *Image) BrokerEpoch(brokerID int32) int64 {
	if b := im.Broker(brokerID); b != nil {
		return b.Epoch
	}
	return -1
}

// Topic returns the topic of that name, or nil. It does not allocate.
func (im *Image) Topic(name string) *Topic {
	t, _ := im.byName.get(name)
	return t
}

// TopicByID returns the topic of that id, or nil. It does not allocate.
func (im *Image) TopicByID(id UUID) *Topic {
	t, _ := im.byID.get(id)
	return t
}

// TopicCount is the number of topics.
func (im *Image) TopicCount() int { return im.byName.n }

// PartitionCount is the number of partitions of all topics.
func (im *Image) PartitionCount() int { return im.partitionCount }

// Topics calls yield for each topic, ordered by name, until it returns false. It is an iter.Seq:
// for t := range im.Topics { … }.
func (im *Image) Topics(yield func(*Topic) bool) { im.byName.all(yield) }

// TopicsAfter is Topics beginning with the first name that is greater than or equal to from, for
// answers that come in pages.
func (im *Image) TopicsAfter(from string) func(yield func(*Topic) bool) {
	return func(yield func(*Topic) bool) { im.byName.from(from, yield) }
}

// Configs returns the dynamic configs of a resource, or nil. It does not allocate.
func (im *Image) Configs(r Resource) *Configs {
	c, _ := im.configs.get(r)
	return c
}
