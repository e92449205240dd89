package group

import (
	"slices"

	"sluice/engine/coordinator"
)

// replay applies an offset's record: v nil is a tombstone, producerID that of the record's
// transaction or NoProducer.
//
// A transaction's offset waits for the marker. A tombstone removes the committed offset and every
// pending one, so that a transaction that is still open does not bring back what was deleted (class
// OffsetMetadataManager).
func (o *offsets) replay(k *offsetKey, v *offsetValue, producerID int64) {
	o.order++
	switch {
	case v == nil:
		p := place{o.groups.find(k.group), o.topics.find(k.topic), k.partition}
		// The pending ones go first: they only hold what the committed one may hold as well.
		for _, producer := range o.open[p] {
			o.unpend(producer, p)
		}
		delete(o.open, p)
		o.remove(p)
	case producerID == coordinator.NoProducer:
		o.put(o.fill(o.keep(k), v), v.expireMs)
	default:
		o.pend(producerID, pendingOffset{entry: o.fill(o.keep(k), v), expireMs: v.expireMs})
	}
}

// pend adds an offset to a transaction, in the place of the one that it had there.
func (o *offsets) pend(producerID int64, p pendingOffset) {
	txn := o.pending[producerID]
	if txn == nil {
		txn = o.newTxn()
		if o.pending == nil {
			o.pending, o.open = make(map[int64]*pendingTxn), make(map[place][]int64)
		}
		o.pending[producerID] = txn
	}
	if i, found := txn.at[p.place]; found {
		o.empty(&txn.list[i].entry)
		txn.list[i] = p
		return
	}
	txn.at[p.place] = len(txn.list)
	txn.list = append(txn.list, p)
	o.open[p.place] = append(o.open[p.place], producerID)
}

// unpend removes one offset from a transaction.
func (o *offsets) unpend(producerID int64, p place) {
	txn := o.pending[producerID]
	i := txn.at[p]
	o.empty(&txn.list[i].entry)
	last := len(txn.list) - 1
	if i != last {
		txn.list[i] = txn.list[last]
		txn.at[txn.list[i].place] = i
	}
	txn.list[last] = pendingOffset{}
	txn.list = txn.list[:last]
	delete(txn.at, p)
	if last == 0 {
		o.forgetTxn(producerID, txn)
	}
}

// replayEnd applies a transaction's end. An offset of a committed one becomes the committed offset
// unless a commit whose record is later in the log has been applied meanwhile, be it a plain one or
// another transaction's: compaction keeps the latest record of a key, so anything else would not
// survive it (class OffsetMetadataManager).
func (o *offsets) replayEnd(producerID int64, commit bool) {
	txn := o.pending[producerID]
	if txn == nil {
		return
	}
	for i := range txn.list {
		p := &txn.list[i]
		o.close(p.place, producerID)
		at, found := o.at[p.place]
		if commit && (!found || p.order > o.entry(at).order) {
			o.put(p.entry, p.expireMs)
		} else {
			o.empty(&p.entry)
		}
	}
	o.forgetTxn(producerID, txn)
}

// close says that a producer has no offset pending at p any more.
func (o *offsets) close(p place, producerID int64) {
	producers := o.open[p]
	if len(producers) == 1 {
		delete(o.open, p)
		return
	}
	i := slices.Index(producers, producerID)
	o.open[p] = slices.Delete(producers, i, i+1)
}

// Ended transactions' maps and lists are used again, unless they were large.
const (
	spareTxnsMax     = 64
	spareTxnPlaceMax = 256
)

func (o *offsets) newTxn() *pendingTxn {
	if n := len(o.spare) - 1; n >= 0 {
		txn := o.spare[n]
		o.spare = o.spare[:n]
		return txn
	}
	return &pendingTxn{at: make(map[place]int, 1)}
}

func (o *offsets) forgetTxn(producerID int64, txn *pendingTxn) {
	delete(o.pending, producerID)
	if len(o.spare) < spareTxnsMax && cap(txn.list) <= spareTxnPlaceMax {
		clear(txn.at)
		txn.list = txn.list[:0]
		o.spare = append(o.spare, txn)
	}
}
