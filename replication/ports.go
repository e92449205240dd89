package replication

// Log is what replication needs to know of, and ask from, a partition's log.
type Log interface {
	// LogEndOffset is the offset that the next appended record will get.
	LogEndOffset() int64
	// FlushedOffset is the offset below which every record is on stable storage.
	FlushedOffset() int64
	// LeaderEpochs is the log's epoch history. It is borrowed: the caller reads it under the
	// append lock and does not keep it.
	LeaderEpochs() *Epochs
	// TruncateTo removes every record at and after offset, which is at most LogEndOffset.
	TruncateTo(offset int64) error
}

// State is what a leader needs to know of the cluster. An immutable metadata image satisfies it.
type State interface {
	// ISREligible says whether a broker may join an in-sync set: it is registered, neither fenced
	// nor in controlled shutdown (KIP-841), and brokerEpoch, the epoch it fetched with, is that of
	// its current registration (KIP-903). A brokerEpoch of -1 means that the fetch carried none
	// and is not compared.
	ISREligible(brokerID int32, brokerEpoch int64) bool
	// BrokerEpoch is the epoch of the broker's current registration, or -1 when it has none.
	BrokerEpoch(brokerID int32) int64
}

// Alone is the State of a cluster without other brokers: nobody may join.
type Alone struct{}

// ISREligible is always false: there is nobody else.
func (Alone) ISREligible(int32, int64) bool { return false }

// BrokerEpoch is always -1: there is nobody else.
func (Alone) BrokerEpoch(int32) int64 { return -1 }
