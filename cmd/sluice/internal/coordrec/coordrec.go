package coordrec

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
)

// Topic is which of the internal topics a record is from.
type Topic uint8

// The topics.
const (
	// Offsets is __consumer_offsets.
	Offsets Topic = iota
	// Transactions is __transaction_state.
	Transactions
)

// Kind is what a record of an internal topic is about.
type Kind uint8

// The kinds.
const (
	// Unknown is a type of record that is not read here.
	Unknown Kind = iota
	// OffsetCommit is the committed offset of a group in a partition.
	OffsetCommit
	// Group is the state of a group of the classic protocol.
	Group
	// Transaction is the state of a transactional id.
	Transaction
)

// ErrDamaged says that a key or value does not hold what its version says.
var ErrDamaged = errors.New("the record is damaged")

// Type returns a key's type, which is a number, and what records of it are about.
func Type(topic Topic, key []byte) (int16, Kind, error) {
	if len(key) < 2 {
		return 0, Unknown, ErrDamaged
	}
	t := int16(binary.BigEndian.Uint16(key))
	switch {
	case topic == Transactions && t == 0:
		return t, Transaction, nil
	case topic == Offsets && (t == 0 || t == 1):
		return t, OffsetCommit, nil
	case topic == Offsets && t == 2:
		return t, Group, nil
	}
	return t, Unknown, nil
}

// AppendKey appends the data of a key of a known kind as a JSON object. It appends nothing if there is
// an error, which is ErrDamaged.
func AppendKey(dst []byte, kind Kind, key []byte) ([]byte, error) {
	r := reader{b: key}
	r.int16()
	o := object{append(dst, '{')}
	switch kind {
	case OffsetCommit:
		o.text("group", r.text())
		o.text("topic", r.text())
		o.number("partition", int64(r.int32()))
	case Group:
		o.text("group", r.text())
	case Transaction:
		o.text("transactionalId", r.text())
	default:
		panic("BUG: a key of an unknown kind")
	}
	if r.bad {
		return dst, ErrDamaged
	}
	return append(o.b, '}'), nil
}

// The newest versions of values that are read.
const (
	offsetVersionMax = 4
	groupVersionMax  = 4
	txnVersionMax    = 1
)

// AppendValue appends the data of a value of a known kind as a JSON object, and returns its version.
// decode says that what members of a group subscribe to and are assigned is to be decoded, rather than
// written as base64: DumpLogSegments does so, the console consumer's formatter does not. It appends
// nothing if there is an error: ErrDamaged, or one that names a version from the future.
func AppendValue(dst []byte, kind Kind, value []byte, decode bool) ([]byte, int16, error) {
	r := &reader{b: value}
	version := r.int16()
	latest, flexible := int16(0), int16(0)
	switch kind {
	case OffsetCommit:
		latest, flexible = offsetVersionMax, 4
	case Group:
		latest, flexible = groupVersionMax, 4
	case Transaction:
		latest, flexible = txnVersionMax, 1
	default:
		panic("BUG: a value of an unknown kind")
	}
	if r.bad || version < 0 {
		return dst, version, ErrDamaged
	}
	if version > latest {
		return dst, version, fmt.Errorf("version %d of the value is not known", version)
	}
	r.flexible = version >= flexible
	o := &object{append(dst, '{')}
	switch kind {
	case OffsetCommit:
		o.offset(r, version)
	case Group:
		o.group(r, version, decode)
	case Transaction:
		o.transaction(r)
	}
	if r.bad {
		return dst, version, ErrDamaged
	}
	return append(o.b, '}'), version, nil
}

// offset appends an OffsetCommitValue.
func (o *object) offset(r *reader, version int16) {
	o.number("offset", r.int64())
	if version >= 3 {
		o.number("leaderEpoch", int64(r.int32()))
	}
	o.text("metadata", r.text())
	o.number("commitTimestamp", r.int64())
	if version == 1 {
		o.number("expireTimestamp", r.int64())
	}
	r.tags(func(tag int, field *reader) {
		if id := field.take(16); tag == 0 && id != nil && [16]byte(id) != [16]byte{} {
			o.text("topicId", base64.RawURLEncoding.AppendEncode(nil, id))
		}
		field.bad = field.bad && tag == 0
	})
}

// group appends a GroupMetadataValue.
func (o *object) group(r *reader, version int16, decode bool) {
	protocol := r.text()
	o.text("protocolType", protocol)
	o.number("generation", int64(r.int32()))
	o.text("protocol", r.text())
	o.text("leader", r.text())
	if version >= 2 {
		o.number("currentStateTimestamp", r.int64())
	}
	decode = decode && string(protocol) == "consumer"
	o.raw("members", "[")
	r.array(func(int) {
		o.element()
		o.put("{")
		o.member(r, version, decode)
		o.put("}")
	})
	o.put("]")
	r.tags(nil)
}

func (o *object) member(r *reader, version int16, decode bool) {
	o.text("memberId", r.text())
	if version >= 3 {
		o.text("groupInstanceId", r.text())
	}
	o.text("clientId", r.text())
	o.text("clientHost", r.text())
	if version >= 1 {
		o.number("rebalanceTimeout", int64(r.int32()))
	}
	o.number("sessionTimeout", int64(r.int32()))
	o.embedded("subscription", r.bytes(), decode, (*object).subscription)
	o.embedded("assignment", r.bytes(), decode, (*object).assignment)
	r.tags(nil)
}

// embedded appends bytes that hold a structure of the consumer protocol, decoded if they can be.
func (o *object) embedded(name string, b []byte, decode bool,
	structure func(o *object, r *reader, version int16),
) {
	if decode {
		r := &reader{b: b}
		inner := &object{[]byte{'{'}}
		// A version from the future has what this one has, and more behind it.
		structure(inner, r, min(r.int16(), consumerVersionMax))
		if !r.bad {
			o.raw(name, string(inner.b)+"}")
			return
		}
	}
	o.base64(name, b)
}

// consumerVersionMax is the newest version of ConsumerProtocolSubscription and -Assignment.
const consumerVersionMax = 3

// subscription appends a ConsumerProtocolSubscription.
func (o *object) subscription(r *reader, version int16) {
	o.raw("topics", "[")
	r.array(func(int) {
		o.element()
		o.b = appendQuoted(o.b, r.text())
	})
	o.put("]")
	o.base64("userData", r.bytes())
	if version >= 1 {
		o.topics("ownedPartitions", r, "partitions")
	}
	if version >= 2 {
		o.number("generationId", int64(r.int32()))
	}
	if version >= 3 {
		o.text("rackId", r.text())
	}
}

// assignment appends a ConsumerProtocolAssignment.
func (o *object) assignment(r *reader, _ int16) {
	o.topics("assignedPartitions", r, "partitions")
	o.base64("userData", r.bytes())
}

// topics appends an array of topics with the numbers of partitions, or null.
func (o *object) topics(name string, r *reader, partitions string) {
	o.raw(name, "[")
	null := r.array(func(int) {
		o.element()
		o.put("{")
		o.text("topic", r.text())
		o.raw(partitions, "[")
		r.array(func(int) {
			o.element()
			o.b = fmt.Appendf(o.b, "%d", r.int32())
		})
		o.put("]}")
		r.tags(nil)
	})
	if null {
		o.b = append(o.b[:len(o.b)-1], "null"...)
		return
	}
	o.put("]")
}

// transaction appends a TransactionLogValue. The tagged fields stand at its end, and in the output
// where Kafka's definition has them.
func (o *object) transaction(r *reader) {
	producer, epoch, timeout, status := r.int64(), r.int16(), r.int32(), r.int8()
	parts := object{[]byte{'{'}}
	parts.topics("transactionPartitions", r, "partitionIds")
	update, start := r.int64(), r.int64()
	previous, next, nextEpoch, client := int64(-1), int64(-1), int16(-1), int16(0)
	r.tags(func(tag int, field *reader) {
		switch tag {
		case 0:
			previous = field.int64()
		case 1:
			next = field.int64()
		case 2:
			client = field.int16()
		case 3:
			nextEpoch = field.int16()
		}
	})
	o.number("producerId", producer)
	o.unless("previousProducerId", previous, -1)
	o.unless("nextProducerId", next, -1)
	o.number("producerEpoch", int64(epoch))
	o.unless("nextProducerEpoch", int64(nextEpoch), -1)
	o.number("transactionTimeoutMs", int64(timeout))
	o.number("transactionStatus", int64(status))
	o.put("," + string(parts.b[1:]))
	o.number("transactionLastUpdateTimestampMs", update)
	o.number("transactionStartTimestampMs", start)
	o.unless("clientTransactionVersion", int64(client), 0)
}

// unless appends a number that is not the default.
func (o *object) unless(name string, n, otherwise int64) {
	if n != otherwise {
		o.number(name, n)
	}
}
