package wire

import "math/bits"

// Varints of records are zigzag (KIP-98): of 32 bits for lengths, counts and offset deltas, of 64
// for timestamp deltas. A varint of more bits than its type is refused, not cut: readers cut it
// differently, and a record must mean the same to all of them.

// varint reads a zigzag varint of 32 bits from the front of b; n is its size, 0 if there is none.
func varint(b []byte) (v int32, n int) {
	if len(b) > 0 && b[0] < 0x80 { // Fast path: lengths and deltas under 64.
		u := uint32(b[0])
		return int32(u>>1) ^ -int32(u&1), 1
	}
	return varintSlow(b)
}

func varintSlow(b []byte) (v int32, n int) {
	var u uint64
	for i := 0; i < 5 && i < len(b); i++ {
		c := b[i]
		u |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			if u > 1<<32-1 {
				return 0, 0
			}
			return int32(uint32(u)>>1) ^ -int32(u&1), i + 1
		}
	}
	return 0, 0
}

// varlong reads a zigzag varint of 64 bits from the front of b; n is its size, 0 if there is none.
func varlong(b []byte) (v int64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		u := uint64(b[0])
		return int64(u>>1) ^ -int64(u&1), 1
	}
	var u uint64
	for i := 0; i < 10 && i < len(b); i++ {
		c := b[i]
		if i == 9 && c > 1 {
			return 0, 0
		}
		u |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return int64(u>>1) ^ -int64(u&1), i + 1
		}
	}
	return 0, 0
}

func appendVarint(dst []byte, v int32) []byte {
	return appendUvarint(dst, uint32(v)<<1^uint32(v>>31))
}

func appendVarlong(dst []byte, v int64) []byte {
	u := uint64(v)<<1 ^ uint64(v>>63)
	for u >= 0x80 {
		dst = append(dst, byte(u)|0x80)
		u >>= 7
	}
	return append(dst, byte(u))
}

func varintSize(v int32) int {
	return (bits.Len32(uint32(v)<<1^uint32(v>>31)|1) + 6) / 7
}

func varlongSize(v int64) int {
	return (bits.Len64(uint64(v)<<1^uint64(v>>63)|1) + 6) / 7
}
