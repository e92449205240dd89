package wire

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Kafka's error codes as they stand in responses (the protocol guide's table, class Errors).
// They are on the wire and never change; the comment beside each says when a broker sends it.
const (
	// CodeUnknownServerError: unexpected server failure.
	CodeUnknownServerError int16 = -1
	// CodeNone: success.
	CodeNone int16 = 0
	// CodeOffsetOutOfRange: fetch offset outside [logStart, HW/LEO].
	CodeOffsetOutOfRange int16 = 1
	// CodeCorruptMessage: bad CRC, bad size or otherwise corrupt batch.
	CodeCorruptMessage int16 = 2
	// CodeUnknownTopicOrPartition: topic/partition not hosted or unknown.
	CodeUnknownTopicOrPartition int16 = 3
	// CodeInvalidFetchSize: bad fetch size.
	CodeInvalidFetchSize int16 = 4
	// CodeLeaderNotAvailable: no leader now (election running).
	CodeLeaderNotAvailable int16 = 5
	// CodeNotLeaderOrFollower: not leader (or not a replica); refresh metadata.
	CodeNotLeaderOrFollower int16 = 6
	// CodeRequestTimedOut: request timed out (e.g. acks=all not reached in time).
	CodeRequestTimedOut int16 = 7
	// CodeBrokerNotAvailable: broker not available (legacy).
	CodeBrokerNotAvailable int16 = 8
	// CodeReplicaNotAvailable: replica not available on this broker.
	CodeReplicaNotAvailable int16 = 9
	// CodeMessageTooLarge: batch larger than max.message.bytes.
	CodeMessageTooLarge int16 = 10
	// CodeStaleControllerEpoch: stale controller epoch.
	CodeStaleControllerEpoch int16 = 11
	// CodeOffsetMetadataTooLarge: offset commit metadata > offset.metadata.max.bytes.
	CodeOffsetMetadataTooLarge int16 = 12
	// CodeNetworkException: client side: disconnected before response.
	CodeNetworkException int16 = 13
	// CodeCoordinatorLoadInProgress: coordinator still loading its partition.
	CodeCoordinatorLoadInProgress int16 = 14
	// CodeCoordinatorNotAvailable: coordinator not available (e.g. internal topic missing).
	CodeCoordinatorNotAvailable int16 = 15
	// CodeNotCoordinator: broker is not the coordinator for this key.
	CodeNotCoordinator int16 = 16
	// CodeInvalidTopicException: illegal topic name or op on internal topic.
	CodeInvalidTopicException int16 = 17
	// CodeRecordListTooLarge: batch larger than segment size.
	CodeRecordListTooLarge int16 = 18
	// CodeNotEnoughReplicas: acks=all and ISR < min.insync.replicas, NOT appended.
	CodeNotEnoughReplicas int16 = 19
	// CodeNotEnoughReplicasAfterAppend: appended, but ISR fell below min before ack.
	CodeNotEnoughReplicasAfterAppend int16 = 20
	// CodeInvalidRequiredAcks: acks not in -1,0,1.
	CodeInvalidRequiredAcks int16 = 21
	// CodeIllegalGeneration: classic group generation mismatch.
	CodeIllegalGeneration int16 = 22
	// CodeInconsistentGroupProtocol: member protocols incompatible with the group.
	CodeInconsistentGroupProtocol int16 = 23
	// CodeInvalidGroupID: empty/invalid group id.
	CodeInvalidGroupID int16 = 24
	// CodeUnknownMemberID: member id unknown to coordinator.
	CodeUnknownMemberID int16 = 25
	// CodeInvalidSessionTimeout: session timeout outside broker min/max.
	CodeInvalidSessionTimeout int16 = 26
	// CodeRebalanceInProgress: group rebalancing, rejoin.
	CodeRebalanceInProgress int16 = 27
	// CodeInvalidCommitOffsetSize: offset commit record too large to append.
	CodeInvalidCommitOffsetSize int16 = 28
	// CodeTopicAuthorizationFailed: topic ACL denied.
	CodeTopicAuthorizationFailed int16 = 29
	// CodeGroupAuthorizationFailed: group ACL denied.
	CodeGroupAuthorizationFailed int16 = 30
	// CodeClusterAuthorizationFailed: cluster ACL denied.
	CodeClusterAuthorizationFailed int16 = 31
	// CodeInvalidTimestamp: record timestamp outside allowed window or wrong type.
	CodeInvalidTimestamp int16 = 32
	// CodeUnsupportedSASLMechanism: SASL mechanism not enabled.
	CodeUnsupportedSASLMechanism int16 = 33
	// CodeIllegalSASLState: request not legal in this SASL state.
	CodeIllegalSASLState int16 = 34
	// CodeUnsupportedVersion: API version not supported.
	CodeUnsupportedVersion int16 = 35
	// CodeTopicAlreadyExists: topic exists.
	CodeTopicAlreadyExists int16 = 36
	// CodeInvalidPartitions: bad partition count.
	CodeInvalidPartitions int16 = 37
	// CodeInvalidReplicationFactor: bad replication factor / too few brokers.
	CodeInvalidReplicationFactor int16 = 38
	// CodeInvalidReplicaAssignment: bad manual assignment.
	CodeInvalidReplicaAssignment int16 = 39
	// CodeInvalidConfig: invalid config value.
	CodeInvalidConfig int16 = 40
	// CodeNotController: not the active controller.
	CodeNotController int16 = 41
	// CodeInvalidRequest: malformed or contradictory request.
	CodeInvalidRequest int16 = 42
	// CodeUnsupportedForMessageFormat: message format cannot serve request.
	CodeUnsupportedForMessageFormat int16 = 43
	// CodePolicyViolation: create/alter policy rejected.
	CodePolicyViolation int16 = 44
	// CodeOutOfOrderSequenceNumber: idempotent producer sequence gap.
	CodeOutOfOrderSequenceNumber int16 = 45
	// CodeDuplicateSequenceNumber: duplicate sequence older than cached batches (client treats as
	// ok).
	CodeDuplicateSequenceNumber int16 = 46
	// CodeInvalidProducerEpoch: producer epoch older than known.
	CodeInvalidProducerEpoch int16 = 47
	// CodeInvalidTxnState: op illegal in current txn state.
	CodeInvalidTxnState int16 = 48
	// CodeInvalidProducerIDMapping: producer id does not match transactional id.
	CodeInvalidProducerIDMapping int16 = 49
	// CodeInvalidTransactionTimeout: txn timeout > transaction.max.timeout.ms.
	CodeInvalidTransactionTimeout int16 = 50
	// CodeConcurrentTransactions: txn still completing or transitioning; back off and retry.
	CodeConcurrentTransactions int16 = 51
	// CodeTransactionCoordinatorFenced: marker from old coordinator epoch.
	CodeTransactionCoordinatorFenced int16 = 52
	// CodeTransactionalIDAuthorizationFailed: transactional id ACL denied.
	CodeTransactionalIDAuthorizationFailed int16 = 53
	// CodeSecurityDisabled: no authorizer configured.
	CodeSecurityDisabled int16 = 54
	// CodeOperationNotAttempted: not attempted because other part of batch failed.
	CodeOperationNotAttempted int16 = 55
	// CodeKafkaStorageError: disk error / offline log dir.
	CodeKafkaStorageError int16 = 56
	// CodeLogDirNotFound: log dir not found.
	CodeLogDirNotFound int16 = 57
	// CodeSASLAuthenticationFailed: SASL auth failed.
	CodeSASLAuthenticationFailed int16 = 58
	// CodeUnknownProducerID: no producer state (state expired or deleted).
	CodeUnknownProducerID int16 = 59
	// CodeReassignmentInProgress: reassignment running.
	CodeReassignmentInProgress int16 = 60
	// CodeDelegationTokenAuthDisabled: delegation tokens disabled.
	CodeDelegationTokenAuthDisabled int16 = 61
	// CodeDelegationTokenNotFound: token not found.
	CodeDelegationTokenNotFound int16 = 62
	// CodeDelegationTokenOwnerMismatch: requester not owner/renewer.
	CodeDelegationTokenOwnerMismatch int16 = 63
	// CodeDelegationTokenRequestNotAllowed: token request not allowed on this channel.
	CodeDelegationTokenRequestNotAllowed int16 = 64
	// CodeDelegationTokenAuthorizationFailed: token ACL denied.
	CodeDelegationTokenAuthorizationFailed int16 = 65
	// CodeDelegationTokenExpired: token expired.
	CodeDelegationTokenExpired int16 = 66
	// CodeInvalidPrincipalType: bad principal type.
	CodeInvalidPrincipalType int16 = 67
	// CodeNonEmptyGroup: group not empty.
	CodeNonEmptyGroup int16 = 68
	// CodeGroupIDNotFound: group does not exist.
	CodeGroupIDNotFound int16 = 69
	// CodeFetchSessionIDNotFound: fetch session unknown (evicted).
	CodeFetchSessionIDNotFound int16 = 70
	// CodeInvalidFetchSessionEpoch: fetch session epoch mismatch.
	CodeInvalidFetchSessionEpoch int16 = 71
	// CodeListenerNotFound: leader has no endpoint on the listener used.
	CodeListenerNotFound int16 = 72
	// CodeTopicDeletionDisabled: delete.topic.enable=false.
	CodeTopicDeletionDisabled int16 = 73
	// CodeFencedLeaderEpoch: request leader epoch older than broker.
	CodeFencedLeaderEpoch int16 = 74
	// CodeUnknownLeaderEpoch: request leader epoch newer than broker.
	CodeUnknownLeaderEpoch int16 = 75
	// CodeUnsupportedCompressionType: the version cannot carry this codec (zstd before Fetch v10,
	// Produce v7).
	CodeUnsupportedCompressionType int16 = 76
	// CodeStaleBrokerEpoch: broker epoch changed.
	CodeStaleBrokerEpoch int16 = 77
	// CodeOffsetNotAvailable: HW below new leader epoch start, list offsets later.
	CodeOffsetNotAvailable int16 = 78
	// CodeMemberIDRequired: rejoin with the assigned member id (JoinGroup v4+).
	CodeMemberIDRequired int16 = 79
	// CodePreferredLeaderNotAvailable: preferred leader not available.
	CodePreferredLeaderNotAvailable int16 = 80
	// CodeGroupMaxSizeReached: group is full.
	CodeGroupMaxSizeReached int16 = 81
	// CodeFencedInstanceID: static instance id replaced by another member.
	CodeFencedInstanceID int16 = 82
	// CodeEligibleLeadersNotAvailable: no eligible leader.
	CodeEligibleLeadersNotAvailable int16 = 83
	// CodeElectionNotNeeded: leader already right.
	CodeElectionNotNeeded int16 = 84
	// CodeNoReassignmentInProgress: no reassignment to cancel.
	CodeNoReassignmentInProgress int16 = 85
	// CodeGroupSubscribedToTopic: group subscribed to topic, offsets cannot be deleted.
	CodeGroupSubscribedToTopic int16 = 86
	// CodeInvalidRecord: record failed broker validation (e.g. null key on compacted topic).
	CodeInvalidRecord int16 = 87
	// CodeUnstableOffsetCommit: pending txn offset commits (require_stable), retry.
	CodeUnstableOffsetCommit int16 = 88
	// CodeThrottlingQuotaExceeded: controller mutation quota hit.
	CodeThrottlingQuotaExceeded int16 = 89
	// CodeProducerFenced: newer producer with same transactional id.
	CodeProducerFenced int16 = 90
	// CodeResourceNotFound: referenced resource missing.
	CodeResourceNotFound int16 = 91
	// CodeDuplicateResource: resource listed twice.
	CodeDuplicateResource int16 = 92
	// CodeUnacceptableCredential: SCRAM credential unacceptable.
	CodeUnacceptableCredential int16 = 93
	// CodeInconsistentVoterSet: voter set mismatch.
	CodeInconsistentVoterSet int16 = 94
	// CodeInvalidUpdateVersion: stale partition epoch / bad feature version.
	CodeInvalidUpdateVersion int16 = 95
	// CodeFeatureUpdateFailed: feature update failed.
	CodeFeatureUpdateFailed int16 = 96
	// CodePrincipalDeserializationFailure: forwarded principal cannot be parsed.
	CodePrincipalDeserializationFailure int16 = 97
	// CodeSnapshotNotFound: snapshot not found.
	CodeSnapshotNotFound int16 = 98
	// CodePositionOutOfRange: snapshot position bad.
	CodePositionOutOfRange int16 = 99
	// CodeUnknownTopicID: topic id unknown (metadata not propagated or deleted).
	CodeUnknownTopicID int16 = 100
	// CodeDuplicateBrokerRegistration: broker id already registered.
	CodeDuplicateBrokerRegistration int16 = 101
	// CodeBrokerIDNotRegistered: broker id not registered.
	CodeBrokerIDNotRegistered int16 = 102
	// CodeInconsistentTopicID: log topic id differs from request.
	CodeInconsistentTopicID int16 = 103
	// CodeInconsistentClusterID: cluster id differs.
	CodeInconsistentClusterID int16 = 104
	// CodeTransactionalIDNotFound: transactional id unknown.
	CodeTransactionalIDNotFound int16 = 105
	// CodeFetchSessionTopicIDError: session mixes topic ids and names.
	CodeFetchSessionTopicIDError int16 = 106
	// CodeIneligibleReplica: new ISR has fenced/shutting down replica.
	CodeIneligibleReplica int16 = 107
	// CodeNewLeaderElected: ISR change caused leader change.
	CodeNewLeaderElected int16 = 108
	// CodeOffsetMovedToTieredStorage: offset lives in tiered storage (to follower).
	CodeOffsetMovedToTieredStorage int16 = 109
	// CodeFencedMemberEpoch: member epoch fenced: drop partitions and rejoin with epoch 0.
	CodeFencedMemberEpoch int16 = 110
	// CodeUnreleasedInstanceID: static instance id still held by other member.
	CodeUnreleasedInstanceID int16 = 111
	// CodeUnsupportedAssignor: server assignor unknown.
	CodeUnsupportedAssignor int16 = 112
	// CodeStaleMemberEpoch: member epoch stale: wait for heartbeat then retry.
	CodeStaleMemberEpoch int16 = 113
	// CodeMismatchedEndpointType: wrong endpoint type (broker vs controller).
	CodeMismatchedEndpointType int16 = 114
	// CodeUnsupportedEndpointType: endpoint type unsupported.
	CodeUnsupportedEndpointType int16 = 115
	// CodeUnknownControllerID: controller id unknown.
	CodeUnknownControllerID int16 = 116
	// CodeUnknownSubscriptionID: telemetry subscription outdated.
	CodeUnknownSubscriptionID int16 = 117
	// CodeTelemetryTooLarge: telemetry payload too big.
	CodeTelemetryTooLarge int16 = 118
	// CodeInvalidRegistration: broker registration invalid.
	CodeInvalidRegistration int16 = 119
	// CodeTransactionAbortable: abort the txn, id can continue (KIP-890).
	CodeTransactionAbortable int16 = 120
	// CodeInvalidRecordState: share record state wrong for ack.
	CodeInvalidRecordState int16 = 121
	// CodeShareSessionNotFound: share session unknown.
	CodeShareSessionNotFound int16 = 122
	// CodeInvalidShareSessionEpoch: share session epoch bad.
	CodeInvalidShareSessionEpoch int16 = 123
	// CodeFencedStateEpoch: share state epoch fenced.
	CodeFencedStateEpoch int16 = 124
	// CodeInvalidVoterKey: voter key mismatch.
	CodeInvalidVoterKey int16 = 125
	// CodeDuplicateVoter: voter already present.
	CodeDuplicateVoter int16 = 126
	// CodeVoterNotFound: voter not present.
	CodeVoterNotFound int16 = 127
	// CodeInvalidRegularExpression: RE2J regex invalid (KIP-848).
	CodeInvalidRegularExpression int16 = 128
	// CodeRebootstrapRequired: client must rebootstrap (KIP-1102/1242).
	CodeRebootstrapRequired int16 = 129
	// CodeStreamsInvalidTopology: streams topology invalid.
	CodeStreamsInvalidTopology int16 = 130
	// CodeStreamsInvalidTopologyEpoch: streams topology epoch invalid.
	CodeStreamsInvalidTopologyEpoch int16 = 131
	// CodeStreamsTopologyFenced: streams topology epoch outdated.
	CodeStreamsTopologyFenced int16 = 132
	// CodeShareSessionLimitReached: share session limit.
	CodeShareSessionLimitReached int16 = 133
	// CodeGroupDeletionFailed: group deletion failed, see message (4.4+).
	CodeGroupDeletionFailed int16 = 134
	// CodeStreamsTopologyDescriptionUpdateFailed: topology description push failed (4.4+).
	CodeStreamsTopologyDescriptionUpdateFailed int16 = 135
	// CodeControllerIDNotRegistered: controller id not registered (4.4+).
	CodeControllerIDNotRegistered int16 = 136
)

// CodeName returns the protocol's name of an error code in capitals, or UNKNOWN_SERVER_ERROR for a
// code that the linked Kafka library does not know. For logs and tools; it may allocate.
func CodeName(code int16) string {
	if code == CodeNone {
		return "NONE"
	}
	var known *kerr.Error
	if errors.As(kerr.ErrorForCode(code), &known) {
		return known.Message
	}
	return "UNKNOWN_SERVER_ERROR"
}
