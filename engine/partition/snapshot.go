package partition

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"sluice/wire"
)

// A producer snapshot in Kafka's version 1 (class ProducerStateManager), big endian:
//
//	0        2      6        10
//	| int16 1 | crc  | count  | entries ...      crc: CRC-32C of everything from byte 6 on
//
// and each entry:
//
//	| producerId i64 | epoch i16 | lastSequence i32 | lastOffset i64 | offsetDelta i32 |
//	| timestamp i64 | coordinatorEpoch i32 | currentTxnFirstOffset i64 |   46 bytes
//
// Only the last batch of each producer is in it: after a restart the window of five fills again
// from the batches behind the snapshot.
const (
	snapshotVersion    = 1
	snapshotHeadBytes  = 10
	snapshotEntryBytes = 46
	snapshotCRCFrom    = 6
)

var errBadSnapshot = errors.New("producer snapshot is damaged or of another version")

// appendSnapshot appends the snapshot file's bytes to dst.
func (t *producers) appendSnapshot(dst []byte) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint16(dst, snapshotVersion)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(t.list)))
	for i := range t.list {
		dst = t.list[i].appendEntry(dst)
	}
	crc := wire.CRC(dst[start+snapshotCRCFrom:])
	binary.BigEndian.PutUint32(dst[start+2:], crc)
	return dst
}

func (p *producer) appendEntry(dst []byte) []byte {
	last := sentBatch{lastSeq: wire.NoSequence, lastOffset: -1, timestampMs: p.timestampMs}
	if p.used > 0 {
		last = p.batches[p.used-1]
	}
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.id))
	dst = binary.BigEndian.AppendUint16(dst, uint16(p.epoch))
	dst = binary.BigEndian.AppendUint32(dst, uint32(last.lastSeq))
	dst = binary.BigEndian.AppendUint64(dst, uint64(last.lastOffset))
	dst = binary.BigEndian.AppendUint32(dst, uint32(last.delta))
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.timestampMs))
	dst = binary.BigEndian.AppendUint32(dst, uint32(p.coordinatorEpoch))
	return binary.BigEndian.AppendUint64(dst, uint64(p.txnFirst))
}

// load replaces the state with a snapshot file's. After an error the state is empty.
func (t *producers) load(file []byte) error {
	t.reset()
	if len(file) < snapshotHeadBytes || binary.BigEndian.Uint16(file) != snapshotVersion {
		return errBadSnapshot
	}
	if wire.CRC(file[snapshotCRCFrom:]) != binary.BigEndian.Uint32(file[2:]) {
		return errBadSnapshot
	}
	count := int64(int32(binary.BigEndian.Uint32(file[6:])))
	entries := file[snapshotHeadBytes:]
	if count*snapshotEntryBytes != int64(len(entries)) {
		return errBadSnapshot
	}
	for ; len(entries) > 0; entries = entries[snapshotEntryBytes:] {
		t.loadEntry(entries)
	}
	t.linkOpen()
	return nil
}

// linkOpen lists the open transactions of a snapshot, whose entries come in no order.
func (t *producers) linkOpen() {
	var open []int32
	for slot := range t.list {
		if t.list[slot].txnFirst >= 0 {
			open = append(open, int32(slot))
		}
	}
	slices.SortFunc(open, func(a, b int32) int {
		return cmp.Compare(t.list[a].txnFirst, t.list[b].txnFirst)
	})
	for _, slot := range open {
		t.open(&t.list[slot], t.list[slot].txnFirst)
	}
}

func (t *producers) loadEntry(b []byte) {
	p := t.put(int64(binary.BigEndian.Uint64(b)))
	p.epoch = int16(binary.BigEndian.Uint16(b[8:]))
	p.timestampMs = int64(binary.BigEndian.Uint64(b[26:]))
	p.coordinatorEpoch = int32(binary.BigEndian.Uint32(b[34:]))
	p.txnFirst = max(-1, int64(binary.BigEndian.Uint64(b[38:])))
	last := sentBatch{
		lastSeq:     int32(binary.BigEndian.Uint32(b[10:])),
		lastOffset:  int64(binary.BigEndian.Uint64(b[14:])),
		delta:       int32(binary.BigEndian.Uint32(b[22:])),
		timestampMs: p.timestampMs,
	}
	p.used = 0
	if last.lastOffset >= 0 {
		p.remember(last)
	}
}
