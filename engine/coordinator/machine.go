package coordinator

// NoProducer stands for no producer id and no producer epoch.
const NoProducer = -1

// Record is one record of an internal topic. A nil Value is a tombstone: the key's state is gone. The
// bytes belong to the outcome that holds them; Replay must copy what it keeps.
type Record struct {
	Key   []byte
	Value []byte
}

// Marker ends a transaction in this partition (KIP-98): a control batch. Only the offsets topic's
// machine meets markers; see group.
type Marker struct {
	ProducerID       int64
	ProducerEpoch    int16
	CoordinatorEpoch int32
	// TxnVersion is the transaction protocol's: from 2 on the marker's epoch is one above that of the
	// records that it ends (KIP-890).
	TxnVersion int16
	Commit     bool
}

// Input is one thing that happens to a machine: a request's part for one key, or a timer. Machines use
// a pointer type, and may keep the input for as long as its sender waits.
type Input interface {
	comparable
	// Key is the group id or transactional id that the input is about; inputs of different keys
	// neither read nor change each other's state. Empty means all of the shard.
	Key() string
	// Refuse builds the answer that turns the input down with a code of the protocol, or nil if
	// nobody waits for one.
	Refuse(code int16) any
}

// Reply answers an input. Response is what the input's sender expects, usually a response of kmsg.
type Reply[In Input] struct {
	To       In
	Response any
}

// Outcome is what a machine makes of an input. The shard clears it before Decide.
type Outcome[In Input] struct {
	// Records change the state when they have been appended. They may be empty.
	Records []Record
	// ProducerID and ProducerEpoch are those of the transaction that the records belong to (their
	// batch is then transactional), NoProducer otherwise.
	ProducerID    int64
	ProducerEpoch int16
	// Guard is the log's word that the transaction was verified (KIP-890); 0 for none.
	Guard uint64
	// Marker, when set, is appended; Records are empty then.
	Marker *Marker
	// Replies leave as the package comment says. In Decide they come without the input's own records
	// having been appended; answers that depend on them are made in Settle.
	Replies []Reply[In]
	// Errands are things for the surroundings to do that leave together with the replies, as the
	// markers of a prepared transaction.
	Errands []any
	// Next is the machine's own note from Decide to Settle.
	Next any
}

// Reply appends an answer.
func (o *Outcome[In]) Reply(to In, response any) {
	o.Replies = append(o.Replies, Reply[In]{To: to, Response: response})
}

// Writes says that there is something to append.
func (o *Outcome[In]) Writes() bool { return len(o.Records) > 0 || o.Marker != nil }

func (o *Outcome[In]) reset() {
	*o = Outcome[In]{
		Records: o.Records[:0], Replies: o.Replies[:0], Errands: o.Errands[:0],
		ProducerID: NoProducer, ProducerEpoch: NoProducer,
	}
}

// Machine is a coordinator's state for one partition. Calls come one at a time. Its methods never
// read a clock, draw random numbers or do I/O, and never panic over what a client or a log's records
// hold.
type Machine[In Input] interface {
	// Decide handles an input at nowMs, the wall clock in Unix ms. It may change what no record
	// carries: who waits, timers. Decide(Records) and the state that they lead to must agree with
	// Replay, since that is how it will come about.
	Decide(nowMs int64, in In, out *Outcome[In])
	// Settle ends an input whose outcome had something to append: with code 0 after its records
	// were appended and replayed, else with the code to answer, already in a coordinator's terms (see
	// Refusal), and with the state as Decide saw it. It adds replies and errands to out.
	Settle(nowMs int64, in In, out *Outcome[In], code int16)
	// Replay applies one record, of a transaction unless producerID is NoProducer. Unknown types and
	// versions are skipped, damaged ones reported and skipped by the caller.
	Replay(r Record, producerID int64, producerEpoch int16) error
	// ReplayMarker applies the end of a transaction.
	ReplayMarker(m Marker)
	// Loaded is called once after the partition was replayed to its end, before the first Decide:
	// timers are set from nowMs on, and errands that a half-finished change still needs are put into
	// out. leaderEpoch is the partition's, which is the coordinator's epoch.
	Loaded(nowMs int64, leaderEpoch int32, out *Outcome[In])
	// Due returns an input for a timer that is due at nowMs, until there are no more.
	Due(nowMs int64) (in In, ok bool)
	// NextDueMs is when the next timer is due, math.MaxInt64 if there is none. Too early is allowed.
	NextDueMs() int64
	// Waiting returns all inputs that are still to be answered. The machine is not used afterwards.
	Waiting() []In
}
