package load

import (
	"math/rand/v2"

	"sluice/benchmarks/workload"
)

// keyring deals keys to records. All keys are used in turn, in an order that looks random; which
// partition a key belongs to is Kafka's affair (murmur2). So the m-th record of a partition is
// record (m / n)·keys + slots[m % n] of its producer, where n is the number of the partition's
// keys, and its due time can be computed.
type keyring struct {
	count       int64
	step, shift int64     // the key of slot s is (s·step + shift) mod count
	parts       []int32   // by slot: the partition's id
	slots       [][]int32 // by partition id, ascending
}

func newKeyring(count, topics, partitions int, rng *rand.Rand) *keyring {
	k := &keyring{
		count: int64(count), shift: rng.Int64N(int64(count)), step: 1,
		parts: make([]int32, count), slots: make([][]int32, topics*partitions),
	}
	for s := rng.Int64N(int64(count)) + 1; ; s++ {
		if gcd(s, k.count) == 1 {
			k.step = s % max(2, k.count)
			break
		}
	}
	var buffer [workload.KeyBytes]byte
	for slot := range k.parts {
		key := k.key(&buffer, int64(slot))
		id := int(k.number(int64(slot)))%topics*partitions + keyPartition(key, partitions)
		k.parts[slot] = int32(id)
		k.slots[id] = append(k.slots[id], int32(slot))
	}
	return k
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (k *keyring) number(slot int64) int64 { return (slot*k.step + k.shift) % k.count }

// slot is the place in the order of keys of a partition's record.
func (k *keyring) slot(part int, ordinal int64) int64 {
	slots := k.slots[part]
	return int64(slots[ordinal%int64(len(slots))])
}

// turn is the number that a partition's record has among all records of its producer.
func (k *keyring) turn(part int, ordinal int64) int64 {
	slots := k.slots[part]
	n := int64(len(slots))
	return ordinal/n*k.count + int64(slots[ordinal%n])
}

// key writes the key of a slot: "key-" and twelve digits.
func (k *keyring) key(buffer *[workload.KeyBytes]byte, slot int64) []byte {
	copy(buffer[:], "key-")
	n := k.number(slot)
	for i := len(buffer) - 1; i >= 4; i-- {
		buffer[i] = '0' + byte(n%10)
		n /= 10
	}
	return buffer[:]
}
