package txn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The records of __transaction_state (classes TransactionLogKey and TransactionLogValue), big endian:
//
//	key       | version i16 = 0 | transactionalId string |
//	value     | version i16 | producerId i64 | producerEpoch i16 | timeoutMs i32 | status i8 |
//	          | partitions: nullable array of topic string, array of partition i32 |
//	          | lastUpdateMs i64 | startMs i64 |
//
// Version 0 has plain strings (i16 length) and arrays (i32 length). Version 1, written from
// transaction.version 1 on, is flexible: compact strings and arrays, and tags after each topic and at
// the end: 0 = previous producer id i64, 1 = next producer id i64, 2 = the client's transaction version
// i16; 3 = next producer epoch i16 is reserved for KIP-939 and never written. Tags are left out where
// they would hold their defaults (-1, -1, 0). The partitions are null in state Empty.

var (
	errDamagedKey   = errors.New("damaged key of a transaction record")
	errDamagedValue = errors.New("damaged value of a transaction record")
)

const (
	valueVersionMax = 1
	// stringMax is what a string of version 0 may hold; requests can bring longer ones.
	stringMax = math.MaxInt16
)

func appendKey(dst []byte, id string) []byte {
	dst = append(dst, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(id)))
	return append(dst, id...)
}

// decodeKey returns the transactional id's bytes within b; known is false for other types of records.
func decodeKey(b []byte) (id []byte, known bool, err error) {
	if len(b) < 2 {
		return nil, false, errDamagedKey
	}
	if b[0] != 0 || b[1] != 0 {
		return nil, false, nil
	}
	r := reader{b: b[2:]}
	id = r.span(int(int16(r.u16())))
	if r.bad || len(id) == 0 {
		return nil, false, errDamagedKey
	}
	return id, true, nil
}

// valueVersion is the version that a value needs under a finalized transaction.version. What version 0
// cannot say of a transaction is written in version 1 all the same: a producer of protocol 2 exists
// only if it was finalized once.
func (t *meta) valueVersion(finalized int16) int16 {
	if finalized >= 1 || t.version != 0 || t.nextID >= 0 {
		return 1
	}
	return 0
}

// appendValue appends the record's value. The partitions are in order.
func appendValue(dst []byte, version int16, t *meta, partitions []TopicPartition) []byte {
	w := writer{b: dst, flexible: version >= 1}
	w.b = binary.BigEndian.AppendUint16(w.b, uint16(version))
	w.i64(t.producerID)
	w.b = binary.BigEndian.AppendUint16(w.b, uint16(t.epoch))
	w.b = binary.BigEndian.AppendUint32(w.b, uint32(t.timeoutMs))
	w.b = append(w.b, byte(t.state))
	if t.state == Empty {
		w.null()
	} else {
		w.topics(partitions)
	}
	w.i64(t.updateMs)
	w.i64(t.startMs)
	if w.flexible {
		w.tags(t)
	}
	return w.b
}

type writer struct {
	b        []byte
	flexible bool
}

func (w *writer) i64(v int64) { w.b = binary.BigEndian.AppendUint64(w.b, uint64(v)) }

func (w *writer) null() {
	if w.flexible {
		w.b = append(w.b, 0)
		return
	}
	w.b = append(w.b, 0xff, 0xff, 0xff, 0xff)
}

func (w *writer) array(n int) {
	if w.flexible {
		w.b = binary.AppendUvarint(w.b, uint64(n)+1)
		return
	}
	w.b = binary.BigEndian.AppendUint32(w.b, uint32(n))
}

func (w *writer) topics(partitions []TopicPartition) {
	topics := 0
	for i, p := range partitions {
		if i == 0 || p.Topic != partitions[i-1].Topic {
			topics++
		}
	}
	w.array(topics)
	for len(partitions) > 0 {
		n := 1
		for n < len(partitions) && partitions[n].Topic == partitions[0].Topic {
			n++
		}
		name := partitions[0].Topic
		if w.flexible {
			w.b = binary.AppendUvarint(w.b, uint64(len(name))+1)
		} else {
			w.b = binary.BigEndian.AppendUint16(w.b, uint16(len(name)))
		}
		w.b = append(w.b, name...)
		w.array(n)
		for _, p := range partitions[:n] {
			w.b = binary.BigEndian.AppendUint32(w.b, uint32(p.Partition))
		}
		if w.flexible {
			w.b = append(w.b, 0)
		}
		partitions = partitions[n:]
	}
}

func (w *writer) tags(t *meta) {
	at := len(w.b)
	w.b = append(w.b, 0)
	if t.prevID != -1 {
		w.b[at]++
		w.b = append(w.b, 0, 8)
		w.i64(t.prevID)
	}
	if t.nextID != -1 {
		w.b[at]++
		w.b = append(w.b, 1, 8)
		w.i64(t.nextID)
	}
	if t.version != 0 {
		w.b[at]++
		w.b = append(w.b, 2, 2, 0, byte(t.version))
	}
}

// decodeValue reads a value. known is false for versions from the future. The partitions come in order
// and without duplicates, with topics of their own.
func decodeValue(b []byte) (t meta, partitions []TopicPartition, known bool, err error) {
	r := reader{b: b}
	version := int16(r.u16())
	if r.bad || version < 0 {
		return meta{}, nil, false, errDamagedValue
	}
	if version > valueVersionMax {
		return meta{}, nil, false, nil
	}
	r.flexible = version >= 1
	t = meta{prevID: -1, nextID: -1, lastEpoch: -1}
	t.producerID = r.i64()
	t.epoch = int16(r.u16())
	t.timeoutMs = int32(r.u32())
	t.state = State(r.u8())
	partitions = r.topics()
	t.updateMs = r.i64()
	t.startMs = r.i64()
	if r.flexible {
		t.readTags(&r)
	}
	if r.bad {
		return meta{}, nil, false, errDamagedValue
	}
	if t.state >= Dead || t.producerID < 0 || t.epoch < 0 {
		return meta{}, nil, false, fmt.Errorf("%w: state %d, producer %d, epoch %d",
			errDamagedValue, t.state, t.producerID, t.epoch)
	}
	return t, sortPartitions(partitions), true, nil
}

// readTags takes a value's tagged fields; unknown ones are skipped, known ones have one size.
func (t *meta) readTags(r *reader) {
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		tag, field := r.field()
		switch {
		case tag <= 1 && len(field) == 8:
			id := int64(binary.BigEndian.Uint64(field))
			if tag == 0 {
				t.prevID = id
			} else {
				t.nextID = id
			}
		case tag == 2 && len(field) == 2 && field[0] == 0 && field[1] <= math.MaxInt8:
			t.version = int8(field[1])
		case tag == 3 && len(field) == 2:
			// The next producer epoch is nobody's before KIP-939.
		case tag <= 3:
			r.bad = true
		}
	}
}

// reader reads values; once it is bad, it returns zeros.
type reader struct {
	b        []byte
	flexible bool
	bad      bool
}

func (r *reader) span(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	s := r.b[:n]
	r.b = r.b[n:]
	return s
}

func (r *reader) u8() uint8 {
	if s := r.span(1); s != nil {
		return s[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if s := r.span(2); s != nil {
		return binary.BigEndian.Uint16(s)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if s := r.span(4); s != nil {
		return binary.BigEndian.Uint32(s)
	}
	return 0
}

func (r *reader) i64() int64 {
	if s := r.span(8); s != nil {
		return int64(binary.BigEndian.Uint64(s))
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if r.bad || n <= 0 || v > 1<<32-1 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads an array's length, of elements of at least size bytes; null counts as none.
func (r *reader) count(size int) int {
	var n int64
	if r.flexible {
		n = int64(r.uvarint()) - 1
	} else {
		n = int64(int32(r.u32()))
	}
	if r.bad || n < -1 || n*int64(size) > int64(len(r.b)) {
		r.bad = true
		return 0
	}
	return int(max(n, 0))
}

func (r *reader) name() string {
	if r.flexible {
		n := int(r.uvarint()) - 1
		r.bad = r.bad || n > stringMax
		return string(r.span(n))
	}
	return string(r.span(int(int16(r.u16()))))
}

func (r *reader) topics() []TopicPartition {
	var all []TopicPartition
	for range r.count(2) {
		name := r.name()
		for range r.count(4) {
			all = append(all, TopicPartition{name, int32(r.u32())})
		}
		if r.flexible {
			for n := r.uvarint(); n > 0 && !r.bad; n-- {
				r.field()
			}
		}
		if r.bad {
			return nil
		}
	}
	return all
}

// field reads a tagged field.
func (r *reader) field() (tag uint64, value []byte) {
	tag = r.uvarint()
	return tag, r.span(int(r.uvarint()))
}
