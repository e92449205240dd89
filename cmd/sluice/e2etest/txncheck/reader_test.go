package txncheck

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// reader fetches one partition at a time.
type reader struct {
	t         *trial
	link      *link
	name      string
	committed bool
	waitMs    int32
	// marks are the highest watermarks that this reader was told.
	marks map[place]marks
	// relayed collects the values of the relays' topic, if not nil.
	relayed *[]origin
}

type marks struct{ high, stable int64 }

// stretch is what one fetch has returned: all records from the offset asked for to next.
type stretch struct {
	marks
	next    int64
	records []seen
}

// fetch reads a partition once. It returns nil if the broker could not be asked, or did not know.
func (r *reader) fetch(at place, from int64) (*stretch, error) {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 12, r.waitMs, 1, 256<<10
	req.SessionEpoch = -1
	if r.committed {
		req.IsolationLevel = 1
	}
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = at.partition, from, 128<<10
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.Partitions = at.topic, append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	resp, err := r.link.do(r.t.ctx, req, waits)
	if err != nil {
		if !errors.Is(err, errNoAnswer) {
			return nil, err
		}
		r.t.h.count("Fetch", unknown, "")
		return nil, pause(r.t.ctx, redialWait)
	}
	got := resp.(*kmsg.FetchResponse)
	if got.ErrorCode != wire.CodeNone || len(got.Topics) != 1 || len(got.Topics[0].Partitions) != 1 {
		r.t.h.count("Fetch", failed, codeName(got.ErrorCode))
		return nil, pause(r.t.ctx, redialWait)
	}
	part := &got.Topics[0].Partitions[0]
	if part.ErrorCode != wire.CodeNone {
		r.t.h.count("Fetch", failed, codeName(part.ErrorCode))
		if part.ErrorCode == wire.CodeOffsetOutOfRange {
			r.t.h.wrong("lost", "%s: offset %d of %v is out of range", r.name, from, at)
		}
		return nil, pause(r.t.ctx, redialWait)
	}
	r.t.h.count("Fetch", ok, "")
	r.observe(at, marks{part.HighWatermark, part.LastStableOffset})
	return r.decode(at, from, part)
}

// observe holds the watermarks to their order, and to not going back.
func (r *reader) observe(at place, now marks) {
	if now.stable > now.high {
		r.t.h.wrong("backwards", "%s: %v is stable to %d, above the high watermark %d",
			r.name, at, now.stable, now.high)
	}
	if r.marks == nil {
		r.marks = map[place]marks{}
	}
	if last := r.marks[at]; now.high < last.high || now.stable < last.stable {
		r.t.h.wrong("backwards", "%s: %v went from %+v to %+v", r.name, at, last, now)
	}
	r.marks[at] = now
}

// decode reads the batches. As a client does, it leaves out markers, what lies before the offset asked
// for, and, reading committed records, those of the aborted transactions that the answer names
// (KIP-98).
func (r *reader) decode(at place, from int64, part *kmsg.FetchResponseTopicPartition) (*stretch, error) {
	out := &stretch{marks: r.marks[at], next: from}
	aborted := slices.Clone(part.AbortedTransactions)
	slices.SortFunc(aborted, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return int(a.FirstOffset - b.FirstOffset)
	})
	dropped := map[int64]bool{}
	var scratch wire.Records
	for rest := part.RecordBatches; len(rest) > 0; {
		batch, more, err := wire.NextBatch(rest)
		if errors.Is(err, wire.ErrIncomplete) || err == nil && batch == nil {
			break
		}
		if err != nil || !batch.Intact() {
			r.t.h.wrong("corrupt", "%s: %v after offset %d: %v", r.name, at, out.next, err)
			return nil, nil
		}
		rest = more
		for len(aborted) > 0 && aborted[0].FirstOffset <= batch.LastOffset() {
			dropped[aborted[0].ProducerID] = true
			aborted = aborted[1:]
		}
		drop := r.committed && batch.IsTransactional() && dropped[batch.ProducerID()]
		err = wire.EachRecord(batch, &scratch, func(k *wire.Record) bool {
			switch {
			case batch.IsControl():
				if bytes.Equal(k.Key, []byte{0, 0, 0, 0}) {
					delete(dropped, batch.ProducerID())
				}
			case k.Offset >= from && !drop:
				out.records = append(out.records, seen{k.Offset, r.id(at, k.Value)})
			}
			return true
		})
		if err != nil {
			r.t.h.wrong("corrupt", "%s: %v at offset %d: %v", r.name, at, batch.BaseOffset(), err)
			return nil, nil
		}
		out.next = max(out.next, batch.NextOffset())
	}
	return out, nil
}

// id is the write in a value. What the relays write has none.
func (r *reader) id(at place, value []byte) int {
	if at.topic != relayedTopic {
		return writeID(value)
	}
	if r.relayed != nil {
		partition, offset, _ := strings.Cut(string(value), "@")
		p, err := strconv.ParseInt(partition, 10, 32)
		o, err2 := strconv.ParseInt(offset, 10, 64)
		if err = errors.Join(err, err2); err != nil {
			r.t.h.wrong("corrupt", "%v holds %.40q", at, value)
		}
		*r.relayed = append(*r.relayed, origin{place{inTopic, int32(p)}, o})
	}
	return noID
}

// follow polls all partitions in turn, from one random place after the other.
func (t *trial) follow(name string, committed bool, stop <-chan struct{}) {
	rng := t.rng(name)
	l := link{addr: t.addr}
	defer l.close()
	r := &reader{t: t, link: &l, name: name, committed: committed, waitMs: 5}
	for !closed(stop) {
		polls := map[place]*poll{}
		for _, at := range t.everywhere() {
			from := int64(0)
			if high := r.marks[at].high; high > 0 && rng.IntN(4) > 0 {
				from = rng.Int64N(high)
			}
			polls[at] = t.poll(name, at, committed, from)
		}
		for range 20 + rng.IntN(100) {
			if closed(stop) {
				return
			}
			at := t.everywhere()[rng.IntN(3*partitions)]
			p := polls[at]
			got, err := r.fetch(at, p.to)
			if err != nil {
				return
			}
			if got == nil {
				continue
			}
			p.saw, p.to = append(p.saw, got.records...), got.next
			if len(p.saw) > 10_000 {
				polls[at] = t.poll(name, at, committed, p.to)
			}
			if pause(t.ctx, time.Duration(rng.IntN(20))*time.Millisecond) != nil {
				return
			}
		}
	}
}

func (t *trial) poll(name string, at place, committed bool, from int64) *poll {
	p := &poll{reader: name, at: at, committed: committed, from: from, to: from}
	t.h.addPoll(p)
	return p
}

// whole reads a partition from its beginning to its end, which does not move any more.
func (t *trial) whole(l *link, at place, committed bool, relayed *[]origin) ([]seen, int64, error) {
	r := &reader{t: t, link: l, name: "the last reader", committed: committed, relayed: relayed}
	var all []seen
	for next := int64(0); ; {
		got, err := r.fetch(at, next)
		if err != nil {
			return nil, 0, err
		}
		if got == nil {
			continue
		}
		all = append(all, got.records...)
		if got.next == next && next >= got.high {
			return all, got.high, nil
		}
		if got.next == next {
			return nil, 0, errors.New(at.String() + " cannot be read to its end")
		}
		next = got.next
	}
}

// closed reports whether a channel is.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// rng makes an actor's source of chance from the seed and its name.
func (t *trial) rng(name string) *rand.Rand {
	sum := uint64(14695981039346656037)
	for _, c := range []byte(name) {
		sum = (sum ^ uint64(c)) * 1099511628211
	}
	return rand.New(rand.NewPCG(t.seed, sum))
}
