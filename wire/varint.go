package wire

import "math/bits"

// Varints of records are zigzag (KIP-98): of 32 bits for lengths, counts and offset deltas, of 64
// for timestamp deltas. A varint of more bits than its type is refused, not cut: readers cut it
// differently, and a record must mean the same to all of them.

// noVarint is the index at which a failed read leaves its caller. It is so far below zero that no
// sum of lengths brings it back, so that a walk over several fields needs one check at its end.
const noVarint = -1 << 40

// varint reads a zigzag varint of 32 bits at index i of b and returns the index behind it, or a
// negative one if there is none or i is none.
func varint(b []byte, i int) (v int32, next int) {
	if uint(i) < uint(len(b)) {
		if c := b[i]; c < 0x80 { // Fast path: lengths and deltas under 64.
			return int32(c>>1) ^ -int32(c&1), i + 1
		}
	}
	return varintSlow(b, i)
}

//go:noinline
func varintSlow(b []byte, i int) (v int32, next int) {
	if i < 0 || i >= len(b) {
		return 0, noVarint
	}
	b = b[i:]
	if len(b) >= 2 && b[1] < 0x80 { // Two bytes: under 8192.
		u := uint32(b[0]&0x7f) | uint32(b[1])<<7
		return int32(u>>1) ^ -int32(u&1), i + 2
	}
	var u uint64
	for k, c := range b[:min(len(b), 5)] {
		u |= uint64(c&0x7f) << (7 * k)
		if c < 0x80 {
			if u > 1<<32-1 {
				break
			}
			return int32(uint32(u)>>1) ^ -int32(u&1), i + k + 1
		}
	}
	return 0, noVarint
}

// varlong reads a zigzag varint of 64 bits as varint reads one of 32.
func varlong(b []byte, i int) (v int64, next int) {
	if uint(i) < uint(len(b)) {
		if c := b[i]; c < 0x80 {
			return int64(c>>1) ^ -int64(c&1), i + 1
		}
	}
	return varlongSlow(b, i)
}

//go:noinline
func varlongSlow(b []byte, i int) (v int64, next int) {
	if i < 0 || i >= len(b) {
		return 0, noVarint
	}
	b = b[i:]
	var u uint64
	for k, c := range b[:min(len(b), 10)] {
		if k == 9 && c > 1 {
			break
		}
		u |= uint64(c&0x7f) << (7 * k)
		if c < 0x80 {
			return int64(u>>1) ^ -int64(u&1), i + k + 1
		}
	}
	return 0, noVarint
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
