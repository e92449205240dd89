package load

import "encoding/binary"

// murmur2 is the hash by which Kafka's clients choose the partition of a key (Austin Appleby's
// MurmurHash2 with the seed 0x9747b28c; class Utils).
func murmur2(key []byte) int32 {
	const m, r, seed = 0x5bd1e995, 24, 0x9747b28c
	h := uint32(seed) ^ uint32(len(key))
	for ; len(key) >= 4; key = key[4:] {
		k := binary.LittleEndian.Uint32(key) * m
		k ^= k >> r
		h = h*m ^ k*m
	}
	switch len(key) {
	case 3:
		h ^= uint32(key[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(key[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(key[0])) * m
	}
	h = (h ^ h>>13) * m
	return int32(h ^ h>>15)
}

// keyPartition is the partition of a key among n: the hash with its sign bit cleared, modulo n
// (class BuiltInPartitioner).
func keyPartition(key []byte, n int) int { return int(murmur2(key)&0x7fffffff) % n }
