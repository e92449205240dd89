package txn

// Config is what an operator may set, by Kafka's names, and this package's bounds.
type Config struct {
	// TxnVersion is the finalized transaction.version when the machine is made: 0, 1 or 2.
	TxnVersion int16
	// TimeoutMaxMs is transaction.max.timeout.ms.
	TimeoutMaxMs int32
	// AbortScanMs is transaction.abort.timed.out.transaction.cleanup.interval.ms.
	AbortScanMs int64
	// ExpirationMs is transactional.id.expiration.ms: how long an id may lie idle.
	ExpirationMs int64
	// ExpirationScanMs is transaction.remove.expired.transaction.cleanup.interval.ms.
	ExpirationScanMs int64
	// CompleteRetryMs is after how long a transaction's last record is tried again when the log has
	// refused it.
	CompleteRetryMs int64
	// IDsMax and IDBytesMax bound the transactional ids of one shard, by number and by the bytes of
	// their names: who would make another gets POLICY_VIOLATION. Ids from the log always fit.
	IDsMax     int
	IDBytesMax int
	// RecordBytesMax bounds the value of a record, and so a transaction's partitions: whoever would
	// add more gets UNKNOWN_SERVER_ERROR, Kafka's word for a record that the log finds too large.
	RecordBytesMax int
	// PatternBytesMax bounds the regular expression of ListTransactions; longer ones, and those that
	// unfold to far more than they have bytes, are answered INVALID_REGULAR_EXPRESSION.
	PatternBytesMax int
	// Meter, unless nil, is told what happens.
	Meter Meter
}

// DefaultConfig holds Kafka's defaults.
func DefaultConfig() Config {
	return Config{
		TxnVersion:       2,
		TimeoutMaxMs:     15 * 60 * 1000,
		AbortScanMs:      10 * 1000,
		ExpirationMs:     7 * 24 * 3600 * 1000,
		ExpirationScanMs: 3600 * 1000,
		CompleteRetryMs:  100,
		IDsMax:           1 << 20,
		IDBytesMax:       128 << 20,
		RecordBytesMax:   1<<20 - 4096,
		PatternBytesMax:  1000,
	}
}
