package txncheck

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// parcel is one batch on its way to one partition.
type parcel struct {
	at     place
	seq    int32
	writes []*write
	raw    []byte
	// doubt says that an attempt may have been carried out that was not answered.
	doubt bool
}

// value is the text of a write: its id, and padding after a bar.
func (x *transactor) value(id int) []byte {
	return append(strconv.AppendInt(nil, int64(id), 10),
		append([]byte{'|'}, bytes.Repeat([]byte{'.'}, x.rng.IntN(200))...)...)
}

// writeID is the id in a value.
func writeID(value []byte) int {
	digits, _, _ := bytes.Cut(value, []byte{'|'})
	id, err := strconv.Atoi(string(digits))
	if err != nil || id < 0 {
		return noID
	}
	return id
}

// pack makes a batch of one record for each origin, whose sequence is the partition's next.
func (x *transactor) pack(at place, origins ...*origin) *parcel {
	p := &parcel{at: at, seq: x.seqs[at]}
	w := wire.NewBatchBuilder()
	w.ProducerID, w.ProducerEpoch, w.BaseSequence = x.pid, x.epoch, p.seq
	w.Transactional = x.id != ""
	for _, from := range origins {
		one := write{writer: x.writer, at: at, order: x.orders[at], from: from}
		if x.id != "" {
			one.txn = x.txn
		}
		sent := x.t.h.newWrite(one)
		x.orders[at]++
		p.writes = append(p.writes, sent)
		w.Append(time.Now().UnixMilli(), nil, x.value(sent.id))
	}
	raw, err := w.Build(nil)
	if err != nil {
		panic(err) // Without compression there is no error.
	}
	p.raw = raw
	return p
}

func (x *transactor) produceRequest(parcels []*parcel) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 30_000
	switch {
	case x.id == "":
		req.Version = int16(9 + x.rng.IntN(4))
	case x.modern:
		req.Version = 12
	default:
		req.Version = int16(9 + x.rng.IntN(3))
	}
	if x.id != "" {
		req.TransactionID = &x.id
	}
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = parcels[0].at.topic
	for _, p := range parcels {
		part := kmsg.NewProduceRequestTopicPartition()
		part.Partition, part.Records = p.at.partition, p.raw
		topic.Partitions = append(topic.Partitions, part)
	}
	req.Topics = append(req.Topics, topic)
	return req
}

// produce sends parcels, for different partitions of one topic, until each is settled.
func (x *transactor) produce(parcels ...*parcel) error {
	late := x.superseded.Load()
	var worst error
	for open := parcels; len(open) > 0; {
		resp, err := x.link.do(x.t.ctx, x.produceRequest(open), x.pick(true))
		switch {
		case errors.Is(err, errNoAnswer):
			x.t.h.count("Produce (attempt)", unknown, "")
			x.repeated = true
			for _, p := range open {
				p.doubt = true
			}
			continue
		case err != nil:
			x.giveUp(open)
			return err
		}
		var again []*parcel
		for i, answer := range resp.(*kmsg.ProduceResponse).Topics[0].Partitions {
			p := open[i]
			maybe, repeat := retriable[answer.ErrorCode]
			if repeat {
				p.doubt = p.doubt || maybe
				again = append(again, p)
				continue
			}
			x.settled("Produce", late, answer.ErrorCode, p.doubt)
			if err := x.settle(p, answer.ErrorCode, answer.BaseOffset); err != nil &&
				!errors.Is(worst, errDead) {
				worst = err
			}
		}
		if open = again; len(open) > 0 {
			if err := pause(x.t.ctx, time.Duration(1+x.rng.IntN(10))*time.Millisecond); err != nil {
				x.giveUp(open)
				return err
			}
		}
	}
	return worst
}

func (x *transactor) giveUp(open []*parcel) {
	x.unsure = true
	for range open {
		x.t.h.count("Produce", unknown, "")
	}
}

// settle notes what became of one parcel.
func (x *transactor) settle(p *parcel, code int16, base int64) error {
	switch {
	case code == wire.CodeNone:
		for i, w := range p.writes {
			w.outcome, w.offset = ok, base+int64(i)
		}
		x.seqs[p.at] = p.seq + int32(len(p.writes))
		x.added[p.at] = true
		return nil
	case p.doubt:
		x.unsure = true
	default:
		for _, w := range p.writes {
			w.outcome = failed
		}
	}
	if code == wire.CodeOutOfOrderSequenceNumber {
		// One request is in flight and each is repeated until it is settled, so there is no gap. But a
		// request that was repeated may come once more when its transaction is over. It is refused, and
		// until the next marker the partition takes no higher sequence of that epoch, as one that is
		// being verified must not be overtaken (KIP-890, part 1; Kafka's VerificationStateEntry). The
		// new protocol's epochs tell such a straggler.
		if x.id != "" && !x.modern && x.repeated {
			x.unsure = true
			return errMustAbort
		}
		x.t.h.wrong("sequence", "%v (epoch %d): sequence %d is out of order in %v",
			x.writer, x.epoch, p.seq, p.at)
		return errDead
	}
	if fencing(code) {
		return errDead
	}
	return errMustAbort
}

// race writes a record whose outcome it does not wait for, and ends the transaction at the same time.
func (x *transactor) race(at place, commit bool) error {
	p := x.pack(at, nil)
	x.unsure = true
	if _, err := x.link.do(x.t.ctx, x.produceRequest([]*parcel{p}), loses); !errors.Is(err, errNoAnswer) {
		return err
	}
	x.t.h.count("Produce (attempt)", unknown, "")
	x.t.h.count("Produce", unknown, "")
	return x.end(commit)
}

// intrude writes to a partition that is not part of the transaction. It must be refused (KIP-890,
// part 1).
func (x *transactor) intrude(at place) error {
	p := x.pack(at, nil)
	err := x.produce(p)
	if p.writes[0].outcome == ok {
		x.t.h.wrong("unverified", "%v wrote to %v, which was not in its transaction", x.writer, at)
	}
	return err
}
