package replication

// AckState is where a produce request's acknowledgement of one partition stands.
type AckState uint8

// The states of an acknowledgement.
const (
	// AckWait: not yet; ask again when the HW or the flushed offset moves.
	AckWait AckState = iota
	// AckDone: the promise of the requested acks holds.
	AckDone
	// AckFailed: it cannot be given; the code says why. The records stay in the log.
	AckFailed
)

// The values of a Produce request's acks.
const (
	AcksNone   int16 = 0
	AcksLeader int16 = 1
	AcksAll    int16 = -1
)

// CheckAppend decides before an append whether records may be taken at all: acks must be 0, 1 or
// -1 (INVALID_REQUIRED_ACKS), and with acks=-1 the ISR must have min.insync.replicas members, or
// as many as there are replicas (NOT_ENOUGH_REPLICAS, nothing appended). acks=0 and 1 ignore that
// bound.
func (l *Leader) CheckAppend(acks int16) (code int16) {
	switch {
	case acks == AcksNone || acks == AcksLeader:
		return ErrNone
	case acks != AcksAll:
		return ErrInvalidRequiredAcks
	case l.UnderMinISR():
		return ErrNotEnoughReplicas
	default:
		return ErrNone
	}
}

// Ack decides whether records up to and including lastOffset, appended under this leadership, can
// be acknowledged. acks=0 promises nothing. acks=1 promises that they are in the leader's log, and
// with Policy.Durable that they are flushed. acks=-1 promises that the HW has passed them; when
// the ISR has fallen below its minimum since, the answer is NOT_ENOUGH_REPLICAS_AFTER_APPEND.
// Time-outs (REQUEST_TIMED_OUT) are the caller's.
func (l *Leader) Ack(acks int16, lastOffset int64) (state AckState, code int16) {
	switch acks {
	case AcksNone:
		return AckDone, ErrNone
	case AcksLeader:
		return done(l.ownEnd() > lastOffset)
	case AcksAll:
		if l.highWatermark > lastOffset && l.maximalSize() < l.effectiveMin {
			return AckFailed, ErrNotEnoughReplicasAfterAppend
		}
		return done(l.highWatermark > lastOffset)
	default:
		return AckFailed, ErrInvalidRequiredAcks
	}
}

// maximalSize is the size of the maximal ISR: of the committed one and who has been asked to join.
func (l *Leader) maximalSize() int {
	if l.pending == pendingExpand {
		return l.isrSize + 1
	}
	return l.isrSize
}

func done(holds bool) (AckState, int16) {
	if holds {
		return AckDone, ErrNone
	}
	return AckWait, ErrNone
}
