package replication

// Kafka's numbers for the errors that this package decides on. They are on the wire and never
// change.
const (
	ErrNone                         int16 = 0
	ErrOffsetOutOfRange             int16 = 1
	ErrUnknownTopicOrPartition      int16 = 3
	ErrNotLeaderOrFollower          int16 = 6
	ErrRequestTimedOut              int16 = 7
	ErrNotEnoughReplicas            int16 = 19
	ErrNotEnoughReplicasAfterAppend int16 = 20
	ErrInvalidRequiredAcks          int16 = 21
	ErrInvalidRequest               int16 = 42
	ErrOperationNotAttempted        int16 = 55
	ErrFencedLeaderEpoch            int16 = 74
	ErrUnknownLeaderEpoch           int16 = 75
	ErrOffsetNotAvailable           int16 = 78
	ErrInvalidUpdateVersion         int16 = 95
	ErrUnknownTopicID               int16 = 100
	ErrIneligibleReplica            int16 = 107
	ErrNewLeaderElected             int16 = 108
)

// NoEpoch stands for "no leader epoch given" in requests and "none known" in answers.
const NoEpoch int32 = -1

// NoOffset stands for "unknown log end offset".
const NoOffset int64 = -1

// CheckCurrentEpoch compares the current leader epoch that a request names with ours (KIP-320): an
// older one is fenced, a newer one means that our own metadata is behind, NoEpoch is not checked.
func CheckCurrentEpoch(requested, ours int32) (code int16) {
	switch {
	case requested == NoEpoch || requested == ours:
		return ErrNone
	case requested < ours:
		return ErrFencedLeaderEpoch
	default:
		return ErrUnknownLeaderEpoch
	}
}
