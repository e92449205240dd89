package wire

// shapeTexts are the bodies of all requests that this package has no decoder for, and that the broker
// serves or may come to serve, in their versions from API.RealMin to API.MaxVersion. Fields stand in
// the order of the bytes, one on a line, under the names of the protocol guide:
//
//	name type [versions] [?versions]
//
// The versions are those that have the field, and, after the question mark, those that may have null
// there: "2-4", "7+", or nothing for all. A type is bool, int8, int16, int32, int64, float64, uuid,
// string or bytes; []type is a list; "[]{" begins a list of structs and "{" a struct that may be
// missing, whose fields follow up to "}". Where a version is flexible (API.FirstFlexible), lengths and
// counts are compact, and tagged fields end every struct and the body (KIP-482). No request here has
// a tagged field that is known: those of requests of brokers to one another do.
//
// A request that gains a handler without a decoder of ours needs its lines here first.
var shapeTexts = [...]struct {
	key  int16
	text string
}{
	{KeyListOffsets, `
		replicaId int32
		isolationLevel int8 2+
		topics []{
			name string
			partitions []{
				partitionIndex int32
				currentLeaderEpoch int32 4+
				timestamp int64
			}
		}
		timeoutMs int32 10+
	`},
	{KeyMetadata, `
		topics []{ ?1+
			topicId uuid 10+
			name string ?10+
		}
		allowAutoTopicCreation bool 4+
		includeClusterAuthorizedOperations bool 8-10
		includeTopicAuthorizedOperations bool 8+
	`},
	{KeyOffsetCommit, `
		groupId string
		generationIdOrMemberEpoch int32
		memberId string
		groupInstanceId string 7+ ?
		retentionTimeMs int64 2-4
		topics []{
			name string 0-9
			topicId uuid 10+
			partitions []{
				partitionIndex int32
				committedOffset int64
				committedLeaderEpoch int32 6+
				committedMetadata string ?
			}
		}
	`},
	{KeyOffsetFetch, `
		groupId string 0-7
		topics []{ 0-7 ?2+
			name string
			partitionIndexes []int32
		}
		groups []{ 8+
			groupId string
			memberId string 9+ ?
			memberEpoch int32 9+
			topics []{ ?
				name string 8-9
				topicId uuid 10+
				partitionIndexes []int32
			}
		}
		requireStable bool 7+
	`},
	{KeyFindCoordinator, `
		key string 0-3
		keyType int8 1+
		coordinatorKeys []string 4+
	`},
	{KeyJoinGroup, `
		groupId string
		sessionTimeoutMs int32
		rebalanceTimeoutMs int32 1+
		memberId string
		groupInstanceId string 5+ ?
		protocolType string
		protocols []{
			name string
			metadata bytes
		}
		reason string 8+ ?
	`},
	{KeyHeartbeat, `
		groupId string
		generationId int32
		memberId string
		groupInstanceId string 3+ ?
	`},
	{KeyLeaveGroup, `
		groupId string
		memberId string 0-2
		members []{ 3+
			memberId string
			groupInstanceId string ?
			reason string 5+ ?
		}
	`},
	{KeySyncGroup, `
		groupId string
		generationId int32
		memberId string
		groupInstanceId string 3+ ?
		protocolType string 5+ ?
		protocolName string 5+ ?
		assignments []{
			memberId string
			assignment bytes
		}
	`},
	{KeyDescribeGroups, `
		groups []string
		includeAuthorizedOperations bool 3+
	`},
	{KeyListGroups, `
		statesFilter []string 4+
		typesFilter []string 5+
	`},
	{KeyCreateTopics, `
		topics []{
			name string
			numPartitions int32
			replicationFactor int16
			assignments []{
				partitionIndex int32
				brokerIds []int32
			}
			configs []{
				name string
				value string ?
			}
		}
		timeoutMs int32
		validateOnly bool
	`},
	{KeyDeleteTopics, `
		topicNames []string 0-5
		topics []{ 6+
			name string ?
			topicId uuid
		}
		timeoutMs int32
	`},
	{KeyDeleteRecords, `
		topics []{
			name string
			partitions []{
				partitionIndex int32
				offset int64
			}
		}
		timeoutMs int32
	`},
	{KeyInitProducerID, `
		transactionalId string ?
		transactionTimeoutMs int32
		producerId int64 3+
		producerEpoch int16 3+
		enable2Pc bool 6+
		keepPreparedTxn bool 6+
	`},
	{KeyOffsetForLeaderEpoch, `
		replicaId int32 3+
		topics []{
			topic string
			partitions []{
				partition int32
				currentLeaderEpoch int32
				leaderEpoch int32
			}
		}
	`},
	{KeyAddPartitionsToTxn, `
		v3AndBelowTransactionalId string 0-3
		v3AndBelowProducerId int64 0-3
		v3AndBelowProducerEpoch int16 0-3
		v3AndBelowTopics []{ 0-3
			name string
			partitions []int32
		}
		transactions []{ 4+
			transactionalId string
			producerId int64
			producerEpoch int16
			verifyOnly bool
			topics []{
				name string
				partitions []int32
			}
		}
	`},
	{KeyAddOffsetsToTxn, `
		transactionalId string
		producerId int64
		producerEpoch int16
		groupId string
	`},
	{KeyEndTxn, `
		transactionalId string
		producerId int64
		producerEpoch int16
		committed bool
	`},
	{KeyWriteTxnMarkers, `
		markers []{
			producerId int64
			producerEpoch int16
			transactionResult bool
			topics []{
				name string
				partitionIndexes []int32
			}
			coordinatorEpoch int32
			transactionVersion int8 2+
		}
	`},
	{KeyTxnOffsetCommit, `
		transactionalId string
		groupId string
		producerId int64
		producerEpoch int16
		generationId int32 3+
		memberId string 3+
		groupInstanceId string 3+ ?
		topics []{
			name string 0-5
			topicId uuid 6+
			partitions []{
				partitionIndex int32
				committedOffset int64
				committedLeaderEpoch int32 2+
				committedMetadata string ?
			}
		}
	`},
	{KeyDescribeConfigs, `
		resources []{
			resourceType int8
			resourceName string
			configurationKeys []string ?
		}
		includeSynonyms bool
		includeDocumentation bool 3+
	`},
	{KeyAlterConfigs, `
		resources []{
			resourceType int8
			resourceName string
			configs []{
				name string
				value string ?
			}
		}
		validateOnly bool
	`},
	{KeyDescribeLogDirs, `
		topics []{ ?
			topic string
			partitions []int32
		}
	`},
	{KeyCreatePartitions, `
		topics []{
			name string
			count int32
			assignments []{ ?
				brokerIds []int32
			}
		}
		timeoutMs int32
		validateOnly bool
	`},
	{KeyDeleteGroups, `
		groupsNames []string
	`},
	{KeyIncrementalAlterConfigs, `
		resources []{
			resourceType int8
			resourceName string
			configs []{
				name string
				configOperation int8
				value string ?
			}
		}
		validateOnly bool
	`},
	{KeyOffsetDelete, `
		groupId string
		topics []{
			name string
			partitions []{
				partitionIndex int32
			}
		}
	`},
	{KeyDescribeCluster, `
		includeClusterAuthorizedOperations bool
		endpointType int8 1+
		includeFencedBrokers bool 2+
	`},
	{KeyDescribeProducers, `
		topics []{
			name string
			partitionIndexes []int32
		}
	`},
	{KeyDescribeTransactions, `
		transactionalIds []string
	`},
	{KeyListTransactions, `
		stateFilters []string
		producerIdFilters []int64
		durationFilter int64 1+
		transactionalIdPattern string 2+ ?
	`},
	{KeyDescribeTopicPartitions, `
		topics []{
			name string
		}
		responsePartitionLimit int32
		cursor { ?
			topicName string
			partitionIndex int32
		}
	`},
}
