package txn

import (
	"cmp"
	"math"
	"slices"
)

// State is a transaction's state by the number that records hold (class TransactionState).
type State uint8

const (
	Empty State = iota
	Ongoing
	PrepareCommit
	PrepareAbort
	CompleteCommit
	CompleteAbort
	// Dead and PrepareEpochFence are states that Kafka passes through in memory. No record and no
	// entry has them; filters may name them.
	Dead
	PrepareEpochFence

	// vacant marks an entry that is nobody's.
	vacant State = math.MaxUint8
)

var stateNames = [...]string{
	"Empty", "Ongoing", "PrepareCommit", "PrepareAbort",
	"CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence",
}

// String is the state's name in DescribeTransactions and ListTransactions.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "Vacant"
}

// stateNamed is the state of that name; names are compared exactly, as Kafka does.
func stateNamed(name string) (State, bool) {
	i := slices.Index(stateNames[:], name)
	return State(max(i, 0)), i >= 0
}

// prepared says that the transaction is decided and its markers are on their way.
func (s State) prepared() bool { return s == PrepareCommit || s == PrepareAbort }

// open says that the transaction has partitions.
func (s State) open() bool { return s == Ongoing || s.prepared() }

// idle says that there is no transaction; only then may a transactional id expire.
func (s State) idle() bool { return s == Empty || s == CompleteCommit || s == CompleteAbort }

// follows says whether s may come after before (TransactionState's valid previous states). An id that
// is new comes from vacant.
func (s State) follows(before State) bool {
	switch s {
	case Empty:
		return before.idle() || before == vacant
	case Ongoing:
		return before.idle() || before == Ongoing
	case PrepareCommit:
		return before == Ongoing
	case PrepareAbort:
		return before.idle() || before == Ongoing
	case CompleteCommit:
		return before == PrepareCommit
	case CompleteAbort:
		return before == PrepareAbort
	default:
		return false
	}
}

// meta is what is known of a transactional id, but for its name and its partitions. Records hold all of
// it but lastEpoch; version 0 of their values lacks prevID, nextID and version, too.
type meta struct {
	producerID int64
	// prevID is the producer id before the latest change of any kind, nextID the one that takes over
	// when the transaction is complete, because this one's epochs are used up.
	prevID, nextID int64
	startMs        int64
	updateMs       int64
	timeoutMs      int32
	epoch          int16
	// lastEpoch is the epoch before the latest bump that its producer asked for, by which a retry
	// is known (KIP-360).
	lastEpoch int16
	state     State
	// version is the transaction protocol that the producer spoke last: 0 or 2.
	version int8
}

// epochMax is never a producer's own: it is kept for fencing the producer that has the one before.
const epochMax = math.MaxInt16

// noTimeout is the timeout of producers with two-phase commit (KIP-939): never.
const noTimeout = math.MaxInt32

func exhausted(epoch int16) bool { return epoch >= epochMax-1 }

// deadlineMs is the last moment of an ongoing transaction.
func (t *meta) deadlineMs() int64 {
	if t.timeoutMs == noTimeout {
		return math.MaxInt64
	}
	timeout := int64(t.timeoutMs)
	if timeout > 0 && t.startMs > math.MaxInt64-timeout || timeout < 0 && t.startMs < math.MinInt64-timeout {
		return t.startMs
	}
	return t.startMs + timeout
}

// change starts from t for a new record: each notes the producer id before it.
func (t *meta) change(to State, nowMs int64) meta {
	c := *t
	c.state, c.updateMs, c.prevID = to, nowMs, t.producerID
	return c
}

// begun is t with more partitions.
func (t *meta) begun(nowMs int64, version int8) meta {
	c := t.change(Ongoing, nowMs)
	c.version = version
	if t.state != Ongoing {
		c.startMs = nowMs
	}
	return c
}

// ended is t decided by protocol 0 or 1: the epoch stays.
func (t *meta) ended(to State, nowMs int64) meta {
	c := t.change(to, nowMs)
	c.nextID, c.version = -1, 0
	return c
}

// fenced is t aborted by protocol 0 or 1 against its producer's will: the epoch grows.
func (t *meta) fenced(nowMs int64) meta {
	c := t.ended(PrepareAbort, nowMs)
	if c.epoch < epochMax {
		c.epoch++
	}
	c.lastEpoch = -1
	return c
}

// bumped is t decided by protocol 2, with an epoch of its own for what comes after; nextID is set if t's
// epochs are used up. An epoch that is already at its end stays there.
func (t *meta) bumped(to State, nowMs, nextID int64) meta {
	c := t.change(to, nowMs)
	c.nextID, c.version, c.lastEpoch = nextID, 2, t.epoch
	if c.epoch < epochMax {
		c.epoch++
	}
	if t.state.idle() {
		c.startMs = nowMs
	}
	return c
}

// completed is t, prepared, with its markers written.
func (t *meta) completed(nowMs int64) meta {
	to := CompleteAbort
	if t.state == PrepareCommit {
		to = CompleteCommit
	}
	c := t.change(to, nowMs)
	if t.version >= 2 && t.nextID >= 0 {
		c.producerID, c.epoch = t.nextID, 0
	}
	c.nextID = -1
	return c
}

func comparePartitions(a, b TopicPartition) int {
	if c := cmp.Compare(a.Topic, b.Topic); c != 0 {
		return c
	}
	return cmp.Compare(a.Partition, b.Partition)
}

// sortPartitions brings them in order and drops duplicates.
func sortPartitions(p []TopicPartition) []TopicPartition {
	if !slices.IsSortedFunc(p, comparePartitions) {
		slices.SortFunc(p, comparePartitions)
	}
	return slices.Compact(p)
}

// openTxn is an open transaction's partitions, and how far their markers have got.
type openTxn struct {
	// partitions are in order, without duplicates, and never changed in place, since errands share
	// them.
	partitions []TopicPartition
	// done has a bit for each partition whose marker is written, undone counts the others. Both are
	// only meant while the transaction is prepared.
	done   []uint64
	undone int
	// ticket is that of the SendMarkers errand.
	ticket uint64
	// retrying says that the last record is being tried again.
	retrying bool
}

// send prepares for markers to come.
func (o *openTxn) send(ticket uint64) {
	o.done = make([]uint64, (len(o.partitions)+63)/64)
	o.undone = len(o.partitions)
	o.ticket = ticket
}

func (o *openTxn) has(p TopicPartition) (int, bool) {
	return slices.BinarySearchFunc(o.partitions, p, comparePartitions)
}

// written takes a partition off.
func (o *openTxn) written(p TopicPartition) {
	i, ok := o.has(p)
	if !ok || o.isDone(i) {
		return
	}
	o.done[i/64] |= 1 << (i % 64)
	o.undone--
}

func (o *openTxn) isDone(i int) bool { return i/64 < len(o.done) && o.done[i/64]&(1<<(i%64)) != 0 }
