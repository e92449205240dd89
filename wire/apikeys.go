package wire

// The API keys of the Kafka protocol, under Kafka's names (class ApiKeys).
const (
	KeyProduce                               int16 = 0
	KeyFetch                                 int16 = 1
	KeyListOffsets                           int16 = 2
	KeyMetadata                              int16 = 3
	KeyLeaderAndIsr                          int16 = 4
	KeyStopReplica                           int16 = 5
	KeyUpdateMetadata                        int16 = 6
	KeyControlledShutdown                    int16 = 7
	KeyOffsetCommit                          int16 = 8
	KeyOffsetFetch                           int16 = 9
	KeyFindCoordinator                       int16 = 10
	KeyJoinGroup                             int16 = 11
	KeyHeartbeat                             int16 = 12
	KeyLeaveGroup                            int16 = 13
	KeySyncGroup                             int16 = 14
	KeyDescribeGroups                        int16 = 15
	KeyListGroups                            int16 = 16
	KeySASLHandshake                         int16 = 17
	KeyAPIVersions                           int16 = 18
	KeyCreateTopics                          int16 = 19
	KeyDeleteTopics                          int16 = 20
	KeyDeleteRecords                         int16 = 21
	KeyInitProducerID                        int16 = 22
	KeyOffsetForLeaderEpoch                  int16 = 23
	KeyAddPartitionsToTxn                    int16 = 24
	KeyAddOffsetsToTxn                       int16 = 25
	KeyEndTxn                                int16 = 26
	KeyWriteTxnMarkers                       int16 = 27
	KeyTxnOffsetCommit                       int16 = 28
	KeyDescribeACLs                          int16 = 29
	KeyCreateACLs                            int16 = 30
	KeyDeleteACLs                            int16 = 31
	KeyDescribeConfigs                       int16 = 32
	KeyAlterConfigs                          int16 = 33
	KeyAlterReplicaLogDirs                   int16 = 34
	KeyDescribeLogDirs                       int16 = 35
	KeySASLAuthenticate                      int16 = 36
	KeyCreatePartitions                      int16 = 37
	KeyCreateDelegationToken                 int16 = 38
	KeyRenewDelegationToken                  int16 = 39
	KeyExpireDelegationToken                 int16 = 40
	KeyDescribeDelegationToken               int16 = 41
	KeyDeleteGroups                          int16 = 42
	KeyElectLeaders                          int16 = 43
	KeyIncrementalAlterConfigs               int16 = 44
	KeyAlterPartitionReassignments           int16 = 45
	KeyListPartitionReassignments            int16 = 46
	KeyOffsetDelete                          int16 = 47
	KeyDescribeClientQuotas                  int16 = 48
	KeyAlterClientQuotas                     int16 = 49
	KeyDescribeUserScramCredentials          int16 = 50
	KeyAlterUserScramCredentials             int16 = 51
	KeyVote                                  int16 = 52
	KeyBeginQuorumEpoch                      int16 = 53
	KeyEndQuorumEpoch                        int16 = 54
	KeyDescribeQuorum                        int16 = 55
	KeyAlterPartition                        int16 = 56
	KeyUpdateFeatures                        int16 = 57
	KeyEnvelope                              int16 = 58
	KeyFetchSnapshot                         int16 = 59
	KeyDescribeCluster                       int16 = 60
	KeyDescribeProducers                     int16 = 61
	KeyBrokerRegistration                    int16 = 62
	KeyBrokerHeartbeat                       int16 = 63
	KeyUnregisterBroker                      int16 = 64
	KeyDescribeTransactions                  int16 = 65
	KeyListTransactions                      int16 = 66
	KeyAllocateProducerIDs                   int16 = 67
	KeyConsumerGroupHeartbeat                int16 = 68
	KeyConsumerGroupDescribe                 int16 = 69
	KeyControllerRegistration                int16 = 70
	KeyGetTelemetrySubscriptions             int16 = 71
	KeyPushTelemetry                         int16 = 72
	KeyAssignReplicasToDirs                  int16 = 73
	KeyListConfigResources                   int16 = 74
	KeyDescribeTopicPartitions               int16 = 75
	KeyShareGroupHeartbeat                   int16 = 76
	KeyShareGroupDescribe                    int16 = 77
	KeyShareFetch                            int16 = 78
	KeyShareAcknowledge                      int16 = 79
	KeyAddRaftVoter                          int16 = 80
	KeyRemoveRaftVoter                       int16 = 81
	KeyUpdateRaftVoter                       int16 = 82
	KeyInitializeShareGroupState             int16 = 83
	KeyReadShareGroupState                   int16 = 84
	KeyWriteShareGroupState                  int16 = 85
	KeyDeleteShareGroupState                 int16 = 86
	KeyReadShareGroupStateSummary            int16 = 87
	KeyStreamsGroupHeartbeat                 int16 = 88
	KeyStreamsGroupDescribe                  int16 = 89
	KeyDescribeShareGroupOffsets             int16 = 90
	KeyAlterShareGroupOffsets                int16 = 91
	KeyDeleteShareGroupOffsets               int16 = 92
	KeyStreamsGroupTopologyDescriptionUpdate int16 = 93
	KeyUnregisterController                  int16 = 94
)

// apiTable describes every API of Kafka 4.4 in the order of its key. Removed APIs (4 to 7) have no
// versions. The columns are those of the type API: key, name, advertised minimum, real minimum,
// maximum, first flexible version, whether the last version is unstable.
var apiTable = [...]API{
	{0, "Produce", 0, 3, 13, 9, false},
	{1, "Fetch", 4, 4, 18, 12, false},
	{2, "ListOffsets", 1, 1, 11, 6, false},
	{3, "Metadata", 0, 0, 13, 9, false},
	{4, "LeaderAndIsr", 0, 0, -1, NotFlexible, false},
	{5, "StopReplica", 0, 0, -1, NotFlexible, false},
	{6, "UpdateMetadata", 0, 0, -1, NotFlexible, false},
	{7, "ControlledShutdown", 0, 0, -1, NotFlexible, false},
	{8, "OffsetCommit", 2, 2, 10, 8, false},
	{9, "OffsetFetch", 1, 1, 10, 6, false},
	{10, "FindCoordinator", 0, 0, 6, 3, false},
	{11, "JoinGroup", 0, 0, 9, 6, false},
	{12, "Heartbeat", 0, 0, 4, 4, false},
	{13, "LeaveGroup", 0, 0, 5, 4, false},
	{14, "SyncGroup", 0, 0, 5, 4, false},
	{15, "DescribeGroups", 0, 0, 6, 5, false},
	{16, "ListGroups", 0, 0, 5, 3, false},
	{17, "SaslHandshake", 0, 0, 1, NotFlexible, false},
	{18, "ApiVersions", 0, 0, 5, 3, false},
	{19, "CreateTopics", 2, 2, 7, 5, false},
	{20, "DeleteTopics", 1, 1, 6, 4, false},
	{21, "DeleteRecords", 0, 0, 2, 2, false},
	{22, "InitProducerId", 0, 0, 6, 2, true},
	{23, "OffsetForLeaderEpoch", 2, 2, 4, 4, false},
	{24, "AddPartitionsToTxn", 0, 0, 5, 3, false},
	{25, "AddOffsetsToTxn", 0, 0, 4, 3, false},
	{26, "EndTxn", 0, 0, 5, 3, false},
	{27, "WriteTxnMarkers", 1, 1, 2, 1, false},
	{28, "TxnOffsetCommit", 0, 0, 6, 3, false},
	{29, "DescribeAcls", 1, 1, 3, 2, false},
	{30, "CreateAcls", 1, 1, 3, 2, false},
	{31, "DeleteAcls", 1, 1, 3, 2, false},
	{32, "DescribeConfigs", 1, 1, 4, 4, false},
	{33, "AlterConfigs", 0, 0, 2, 2, false},
	{34, "AlterReplicaLogDirs", 1, 1, 2, 2, false},
	{35, "DescribeLogDirs", 1, 1, 5, 2, false},
	{36, "SaslAuthenticate", 0, 0, 2, 2, false},
	{37, "CreatePartitions", 0, 0, 3, 2, false},
	{38, "CreateDelegationToken", 1, 1, 3, 2, false},
	{39, "RenewDelegationToken", 1, 1, 2, 2, false},
	{40, "ExpireDelegationToken", 1, 1, 2, 2, false},
	{41, "DescribeDelegationToken", 1, 1, 3, 2, false},
	{42, "DeleteGroups", 0, 0, 3, 2, false},
	{43, "ElectLeaders", 0, 0, 2, 2, false},
	{44, "IncrementalAlterConfigs", 0, 0, 1, 1, false},
	{45, "AlterPartitionReassignments", 0, 0, 1, 0, false},
	{46, "ListPartitionReassignments", 0, 0, 0, 0, false},
	{47, "OffsetDelete", 0, 0, 0, NotFlexible, false},
	{48, "DescribeClientQuotas", 0, 0, 1, 1, false},
	{49, "AlterClientQuotas", 0, 0, 1, 1, false},
	{50, "DescribeUserScramCredentials", 0, 0, 0, 0, false},
	{51, "AlterUserScramCredentials", 0, 0, 0, 0, false},
	{52, "Vote", 0, 0, 2, 0, false},
	{53, "BeginQuorumEpoch", 0, 0, 1, 1, false},
	{54, "EndQuorumEpoch", 0, 0, 1, 1, false},
	{55, "DescribeQuorum", 0, 0, 2, 0, false},
	{56, "AlterPartition", 2, 2, 3, 0, false},
	{57, "UpdateFeatures", 0, 0, 2, 0, false},
	{58, "Envelope", 0, 0, 0, 0, false},
	{59, "FetchSnapshot", 0, 0, 1, 0, false},
	{60, "DescribeCluster", 0, 0, 2, 0, false},
	{61, "DescribeProducers", 0, 0, 0, 0, false},
	{62, "BrokerRegistration", 0, 0, 4, 0, false},
	{63, "BrokerHeartbeat", 0, 0, 2, 0, false},
	{64, "UnregisterBroker", 0, 0, 0, 0, false},
	{65, "DescribeTransactions", 0, 0, 0, 0, false},
	{66, "ListTransactions", 0, 0, 2, 0, false},
	{67, "AllocateProducerIds", 0, 0, 0, 0, false},
	{68, "ConsumerGroupHeartbeat", 0, 0, 1, 0, false},
	{69, "ConsumerGroupDescribe", 0, 0, 1, 0, false},
	{70, "ControllerRegistration", 0, 0, 0, 0, false},
	{71, "GetTelemetrySubscriptions", 0, 0, 0, 0, false},
	{72, "PushTelemetry", 0, 0, 0, 0, false},
	{73, "AssignReplicasToDirs", 0, 0, 0, 0, false},
	{74, "ListConfigResources", 0, 0, 1, 0, false},
	{75, "DescribeTopicPartitions", 0, 0, 0, 0, false},
	{76, "ShareGroupHeartbeat", 1, 1, 1, 0, false},
	{77, "ShareGroupDescribe", 1, 1, 1, 0, false},
	{78, "ShareFetch", 1, 1, 2, 0, false},
	{79, "ShareAcknowledge", 1, 1, 2, 0, false},
	{80, "AddRaftVoter", 0, 0, 1, 0, false},
	{81, "RemoveRaftVoter", 0, 0, 0, 0, false},
	{82, "UpdateRaftVoter", 0, 0, 0, 0, false},
	{83, "InitializeShareGroupState", 0, 0, 0, 0, false},
	{84, "ReadShareGroupState", 0, 0, 0, 0, false},
	{85, "WriteShareGroupState", 0, 0, 1, 0, false},
	{86, "DeleteShareGroupState", 0, 0, 0, 0, false},
	{87, "ReadShareGroupStateSummary", 0, 0, 1, 0, false},
	{88, "StreamsGroupHeartbeat", 0, 0, 1, 0, false},
	{89, "StreamsGroupDescribe", 0, 0, 1, 0, false},
	{90, "DescribeShareGroupOffsets", 0, 0, 1, 0, false},
	{91, "AlterShareGroupOffsets", 0, 0, 0, 0, false},
	{92, "DeleteShareGroupOffsets", 0, 0, 0, 0, false},
	{93, "StreamsGroupTopologyDescriptionUpdate", 0, 0, 0, 0, false},
	{94, "UnregisterController", 0, 0, 0, 0, false},
}
