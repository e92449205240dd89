package catalog

import (
	"fmt"

	"sluice/engine/catalog/config"
)

// Kafka's numbers for the errors that deciders give. They are on the wire and never change.
const (
	codeUnknownServerError       int16 = -1
	codeNone                     int16 = 0
	codeUnknownTopicOrPartition  int16 = 3
	codeInvalidTopic             int16 = 17
	codeTopicAlreadyExists       int16 = 36
	codeInvalidPartitions        int16 = 37
	codeInvalidReplicationFactor int16 = 38
	codeInvalidReplicaAssignment int16 = 39
	codeInvalidConfig            int16 = 40
	codeInvalidRequest           int16 = 42
	codePolicyViolation          int16 = 44
	codeTopicDeletionDisabled    int16 = 73
	codeStaleBrokerEpoch         int16 = 77
	codeUnknownTopicID           int16 = 100
	codeDuplicateRegistration    int16 = 101
	codeBrokerNotRegistered      int16 = 102
	codeInvalidRegistration      int16 = 119
)

// Error is why a decider refused something, as it goes into a response: Kafka's error code and a
// sentence. The zero value is success.
type Error struct {
	Code    int16
	Message string
}

// OK says whether there is no error.
func (e Error) OK() bool { return e.Code == codeNone }

// Error implements error.
func (e Error) Error() string { return e.Message }

func refuse(code int16, format string, args ...any) Error {
	return Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Environment is what deciders go by besides the image and the request: the broker's configuration.
type Environment struct {
	NumPartitions     int32 // num.partitions.
	ReplicationFactor int16 // default.replication.factor.
	DeleteTopics      bool  // delete.topic.enable.
	// Layers are the layers beneath a topic's own configs; Topic is ignored.
	Layers config.Layers
	// Start is where placement begins among the brokers; the caller varies it from request to
	// request so that leaders spread. Any value is good.
	Start uint32
}

// NewTopic asks for a topic.
type NewTopic struct {
	Name              string
	Partitions        int32 // -1: the broker's default, or as many as Assignment has.
	ReplicationFactor int16 // -1: the broker's default, or that of Assignment.
	Assignment        []ManualReplicas
	Configs           []ConfigValue
}

// ManualReplicas places one partition by hand.
type ManualReplicas struct {
	Partition int32
	Replicas  []int32
}

// ConfigValue is a config as requests give it: Value is nil for null.
type ConfigValue struct {
	Name  string
	Value *string
}

// TopicResult is the answer about one topic.
type TopicResult struct {
	Error
	Name              string
	ID                UUID
	Partitions        int32
	ReplicationFactor int16
}

// CreateTopics decides a CreateTopics request. ids supplies fresh random ids, at least one for
// each topic asked for. There is one result for each distinct name, in order, and the changes
// create those without error, all in one entry. With nothing to create the changes are empty.
func CreateTopics(
	im *Image, env *Environment, topics []NewTopic, ids []UUID,
) ([]Change, []TopicResult) {
	return createTopics(im, env, topics, ids)
}

// TopicRef names a topic by name, or where that is empty by id.
type TopicRef struct {
	Name string
	ID   UUID
}

// DeleteTopics decides a DeleteTopics request. There is one result for each distinct topic named;
// one that is named twice is an error and stays.
func DeleteTopics(im *Image, env *Environment, topics []TopicRef) ([]Change, []TopicResult) {
	return deleteTopics(im, env, topics)
}

// MorePartitions asks for a topic to have Count partitions.
type MorePartitions struct {
	Name  string
	Count int32
	// Assignment places each new partition by hand; empty lets the broker place them.
	Assignment [][]int32
}

// CreatePartitions decides a CreatePartitions request. There is one result for each distinct name.
func CreatePartitions(
	im *Image, env *Environment, topics []MorePartitions,
) ([]Change, []TopicResult) {
	return createPartitions(im, env, topics)
}

// AlterOp is an operation of IncrementalAlterConfigs (KIP-339), with Kafka's numbers.
type AlterOp int8

// The operations.
const (
	OpSet      AlterOp = 0
	OpDelete   AlterOp = 1
	OpAppend   AlterOp = 2 // To a list.
	OpSubtract AlterOp = 3 // From a list.
)

// ConfigOp is one operation on one key.
type ConfigOp struct {
	Op    AlterOp
	Name  string
	Value *string // Null is only good for OpDelete.
}

// AlterResource asks for several changes of one resource's configs.
type AlterResource struct {
	Resource Resource
	Ops      []ConfigOp
}

// ResourceResult is the answer about one resource.
type ResourceResult struct {
	Error
	Resource Resource
}

// IncrementalAlterConfigs decides an IncrementalAlterConfigs request.
func IncrementalAlterConfigs(
	im *Image, env *Environment, resources []AlterResource,
) ([]Change, []ResourceResult) {
	return incrementalAlterConfigs(im, env, resources)
}

// ReplaceConfigs asks for a resource to have exactly these configs.
type ReplaceConfigs struct {
	Resource Resource
	Configs  []ConfigValue
}

// AlterConfigs decides an AlterConfigs request: what is not named returns to its default.
func AlterConfigs(
	im *Image, env *Environment, resources []ReplaceConfigs,
) ([]Change, []ResourceResult) {
	return alterConfigs(im, env, resources)
}

// ProducerIDBlock is the number of producer ids given out at a time.
const ProducerIDBlock = 1000

// AllocateProducerIDs gives the next block of producer ids to a registered broker. The caller hands
// the ids out only once the change is durable.
func AllocateProducerIDs(
	im *Image, brokerID int32, brokerEpoch int64,
) (ProducerIDsAssigned, Error) {
	return allocateProducerIDs(im, brokerID, brokerEpoch)
}

// RegisterBroker decides a broker's registration. Its Epoch is ignored and given by the decider:
// one more than the index of the image. Another incarnation of a broker that is registered and not
// fenced is a duplicate; a node that replaces its own earlier registration, or one whose session
// has ended, is fenced by an earlier change. A broker without an incarnation, with a negative id,
// or unfenced without endpoints or log directories is INVALID_REGISTRATION.
func RegisterBroker(im *Image, broker Broker) ([]Change, Error) {
	return registerBroker(im, broker)
}

// NameCluster decides how an empty image begins: with a cluster id and the finalized
// metadata.version and transaction.version of this build. Once there is an id it does nothing.
func NameCluster(im *Image, clusterID string) []Change {
	if im.ClusterID() != "" {
		return nil
	}
	return []Change{
		ClusterNamed{ClusterID: clusterID},
		FeatureLevel{Name: MetadataVersionFeature, Level: MetadataVersionLatest},
		FeatureLevel{Name: TransactionVersionFeature, Level: TransactionVersionLatest},
	}
}
