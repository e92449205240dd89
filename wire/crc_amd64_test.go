package wire

import (
	"hash/crc32"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// powerOfX returns x^n modulo the polynomial of CRC-32C, x^0 in the lowest bit.
func powerOfX(n int) uint32 {
	polynomial := bits.Reverse32(crc32.Castagnoli)
	power := uint32(1)
	for range n {
		carry := power >> 31
		power = power<<1 ^ carry*polynomial
	}
	return power
}

// The multipliers are derived here as crc_amd64.s explains them: powers of x, bits reflected, in the
// upper half of a quadword.
func TestFoldTable(t *testing.T) {
	for i, distance := range [...]int{2048, 1536, 1024, 512} {
		first := uint64(bits.Reverse32(powerOfX(distance+63))) << 32
		second := uint64(bits.Reverse32(powerOfX(distance-1))) << 32
		if want := [2]uint64{first, second}; foldTable[i] != want {
			t.Errorf("over %d bits: %#016x, want %#016x", distance, foldTable[i], want)
		}
	}
}

// foldBlocks itself works from 256 bytes on, below the length from which updateCRC asks it to.
func TestFoldBlocks(t *testing.T) {
	if !canFold {
		t.Skip("this CPU has no VPCLMULQDQ on 512-bit registers")
	}
	rnd := rand.New(rand.NewPCG(11, 12))
	data := randomBytes(rnd, 4096+64)
	for start := range 64 {
		for n := 4 * foldBlockBytes; n <= 4096; n += foldBlockBytes {
			b, crc := data[start:start+n], rnd.Uint32()
			if got, want := ^foldBlocks(^crc, b), crc32.Update(crc, castagnoli, b); got != want {
				t.Fatalf("%d bytes at %d from %#08x: %#08x, want %#08x", n, start, crc, got, want)
			}
		}
	}
}
