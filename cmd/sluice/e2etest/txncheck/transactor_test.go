package txncheck

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

var (
	// errDead says that the producer is fenced, or beyond repair: only a successor can go on.
	errDead = errors.New("the producer is dead")
	// errMustAbort says that the transaction cannot commit any more.
	errMustAbort = errors.New("the transaction must abort")
)

// transactor is a producer that speaks its own frames: a transactional one, or an idempotent one if it
// has no id. It has one request in flight, and repeats what was not answered.
type transactor struct {
	t      *trial
	rng    *rand.Rand
	link   link
	id     string
	modern bool // KIP-890
	writer *writer

	pid       int64
	epoch     int16
	timeoutMs int32
	seqs      map[place]int32
	orders    map[place]int

	txn   *txn
	added map[place]bool
	// unsure says that a write was given up whose outcome is open, so that sequences have to begin
	// anew with a new epoch.
	unsure bool
	// repeated says that a write was sent again with this epoch, so that the first one may still come.
	repeated bool
	// superseded says that a successor has been initialized.
	superseded atomic.Bool
}

// retriable are the codes after which a request is repeated as it was. True says that the first one may
// still have been carried out.
var retriable = map[int16]bool{
	wire.CodeNetworkException: true, wire.CodeRequestTimedOut: true, wire.CodeNotCoordinator: true,
	wire.CodeCoordinatorNotAvailable: true, wire.CodeNotLeaderOrFollower: true,
	wire.CodeKafkaStorageError: true, wire.CodeCoordinatorLoadInProgress: false,
	wire.CodeConcurrentTransactions: false, wire.CodeNotEnoughReplicas: false,
	wire.CodeUnknownTopicOrPartition: false,
}

func fencing(code int16) bool {
	switch code {
	case wire.CodeProducerFenced, wire.CodeInvalidProducerEpoch, wire.CodeInvalidProducerIDMapping:
		return true
	}
	return false
}

func codeName(code int16) string {
	if code == 0 {
		return ""
	}
	if err := kerr.ErrorForCode(code); err != nil {
		return err.(*kerr.Error).Message
	}
	return fmt.Sprint(code)
}

// pick draws what the client does about an answer. Requests of KIP-98 that would do harm in the next
// transaction, whose epoch is the same, are not cut off; their answers are awaited before it.
func (x *transactor) pick(mayCut bool) care {
	switch n := x.rng.IntN(100); {
	case n < 94:
		return waits
	case n < 97 && mayCut:
		return cuts
	default:
		return loses
	}
}

// ask repeats a request until an answer settles it, and notes the outcome. doubt says that, whatever
// the code says, an earlier attempt may have been carried out.
func (x *transactor) ask(
	op string, req kmsg.Request, mayCut bool, read func(kmsg.Response) int16,
) (code int16, doubt bool, err error) {
	late := x.superseded.Load()
	for {
		resp, err := x.link.do(x.t.ctx, req, x.pick(mayCut))
		switch {
		case err == nil:
			code = read(resp)
			maybe, again := retriable[code]
			if !again {
				x.settled(op, late, code, doubt)
				return code, doubt, nil
			}
			doubt = doubt || maybe
			err = pause(x.t.ctx, time.Duration(1+x.rng.IntN(10))*time.Millisecond)
		case errors.Is(err, errNoAnswer):
			doubt, err = true, nil
			x.t.h.count(op+" (attempt)", unknown, "")
		}
		if err != nil {
			x.t.h.count(op, unknown, "")
			return 0, true, err
		}
	}
}

func (x *transactor) settled(op string, late bool, code int16, doubt bool) {
	switch {
	case code == wire.CodeNone:
		x.t.h.count(op, ok, "")
		if late {
			x.t.h.wrong("zombie", "%v: %s was accepted after its successor's initialization", x.writer, op)
		}
	case doubt:
		x.t.h.count(op, unknown, codeName(code))
	default:
		x.t.h.count(op, failed, codeName(code))
	}
}

// initialize gets a producer id and an epoch: new ones, or the next epoch of the same id (KIP-360).
func (x *transactor) initialize(again bool) error {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version = 4
	if x.modern {
		req.Version = 5
	}
	if x.id != "" {
		req.TransactionalID = &x.id
	}
	req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = x.timeoutMs, -1, -1
	if again {
		req.ProducerID, req.ProducerEpoch = x.pid, x.epoch
	}
	var got *kmsg.InitProducerIDResponse
	code, _, err := x.ask("InitProducerId", req, true, func(r kmsg.Response) int16 {
		got = r.(*kmsg.InitProducerIDResponse)
		return got.ErrorCode
	})
	switch {
	case err != nil:
		return err
	case code != wire.CodeNone:
		return errDead
	}
	x.renew(got.ProducerID, got.ProducerEpoch)
	return nil
}

func (x *transactor) renew(pid int64, epoch int16) {
	x.pid, x.epoch, x.unsure, x.repeated = pid, epoch, false, false
	clear(x.seqs)
}

// begin starts a transaction. With KIP-98's protocol everything of the last one must be over.
func (x *transactor) begin() error {
	if !x.modern {
		switch {
		case x.unsure || len(x.link.orphans) > 0 && x.rng.IntN(2) == 0:
			if err := x.initialize(true); err != nil {
				return err
			}
			x.link.orphans = nil
		default:
			if err := x.link.drain(x.t.ctx); err != nil {
				return err
			}
		}
	}
	x.txn = x.t.h.newTxn(x.writer)
	clear(x.added)
	return nil
}

// add adds partitions to the transaction (KIP-98).
func (x *transactor) add(places []place) error {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.Version, req.TransactionalID = 3, x.id
	req.ProducerID, req.ProducerEpoch = x.pid, x.epoch
	for _, p := range places {
		if !x.added[p] {
			req.Topics = append(req.Topics, kmsg.AddPartitionsToTxnRequestTopic{
				Topic: p.topic, Partitions: []int32{p.partition},
			})
		}
	}
	if len(req.Topics) == 0 {
		return nil
	}
	code, _, err := x.ask("AddPartitionsToTxn", req, true, func(r kmsg.Response) int16 {
		worst := wire.CodeNone
		for _, t := range r.(*kmsg.AddPartitionsToTxnResponse).Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode != wire.CodeNone {
					worst = p.ErrorCode
				}
			}
		}
		return worst
	})
	if err != nil {
		return err
	}
	if code != wire.CodeNone {
		return errDead
	}
	for _, p := range places {
		x.added[p] = true
	}
	return nil
}

// end commits or aborts the transaction.
func (x *transactor) end(commit bool) error {
	req := kmsg.NewPtrEndTxnRequest()
	req.Version, req.TransactionalID, req.Commit = 4, x.id, commit
	if x.modern {
		req.Version = 5
	}
	req.ProducerID, req.ProducerEpoch = x.pid, x.epoch
	op := "EndTxn abort"
	if commit {
		op, x.txn.commits = "EndTxn commit", true
	}
	var got *kmsg.EndTxnResponse
	code, doubt, err := x.ask(op, req, x.modern, func(r kmsg.Response) int16 {
		got = r.(*kmsg.EndTxnResponse)
		return got.ErrorCode
	})
	x.txn.doubt = x.txn.doubt || doubt
	switch {
	case err != nil:
		return err
	case code == wire.CodeNone:
		x.txn.end, x.txn = ok, nil
		if x.modern {
			x.renew(got.ProducerID, got.ProducerEpoch)
		}
		return nil
	case !x.txn.doubt:
		x.txn.end = failed
	}
	return errDead
}

// commitOffset commits a mover's input offset within the transaction.
func (x *transactor) commitOffset(group string, a *advance) error {
	if !x.modern {
		add := kmsg.NewPtrAddOffsetsToTxnRequest()
		add.Version, add.TransactionalID, add.Group = 3, x.id, group
		add.ProducerID, add.ProducerEpoch = x.pid, x.epoch
		code, _, err := x.ask("AddOffsetsToTxn", add, true, func(r kmsg.Response) int16 {
			return r.(*kmsg.AddOffsetsToTxnResponse).ErrorCode
		})
		if err != nil {
			return err
		}
		if code != wire.CodeNone {
			return errDead
		}
		x.added[place{"__consumer_offsets", -1}] = true
	}
	x.txn.advance = a
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.Version = int16(3 + x.rng.IntN(2))
	if x.modern {
		req.Version = 5
	}
	req.TransactionalID, req.Group, req.Generation = x.id, group, -1
	req.ProducerID, req.ProducerEpoch = x.pid, x.epoch
	p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset = a.at.partition, a.to
	topic := kmsg.NewTxnOffsetCommitRequestTopic()
	topic.Topic, topic.Partitions = a.at.topic, append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	code, doubt, err := x.ask("TxnOffsetCommit", req, x.modern, func(r kmsg.Response) int16 {
		return r.(*kmsg.TxnOffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
	})
	switch {
	case err != nil:
		return err
	case code == wire.CodeNone:
		a.outcome = ok
		return nil
	case !doubt:
		a.outcome = failed
	}
	if fencing(code) {
		return errDead
	}
	return errMustAbort
}

// over reports whether the trial's time is up, for an error that is none of the producer's.
func over(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
