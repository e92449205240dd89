package wire

import "hash/crc32"

// castagnoli is the table of CRC-32C; hash/crc32 uses the CPU's own instruction for it.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	// foldBlockBytes is what foldBlocks works in: one 512-bit register.
	foldBlockBytes = 64

	// foldBytesMin is the shortest input that is folded. Folding wins from 256 bytes on while its
	// instructions are in use anyway, but below 1 KiB that is some ten nanoseconds, and a broker that
	// sees only small batches should not have its 512-bit units woken for that.
	foldBytesMin = 1 << 10

	// foldBytesMax bounds one call of foldBlocks. The scheduler cannot interrupt assembly, and
	// whoever checks a mapped file of a gigabyte must not hold up the garbage collector meanwhile.
	foldBytesMax = 256 << 10
)

// CRC returns the CRC-32C of b, the checksum of record batches.
func CRC(b []byte) uint32 { return updateCRC(0, b, canFold) }

// UpdateCRC adds b to a CRC-32C begun with 0 or with an earlier part's result, for batches that
// arrive in pieces.
func UpdateCRC(crc uint32, b []byte) uint32 { return updateCRC(crc, b, canFold) }

// updateCRC is UpdateCRC with the choice of the way as an argument, so that tests can take both on
// one machine. fold may be true only where canFold is.
func updateCRC(crc uint32, b []byte, fold bool) uint32 {
	for fold && len(b) >= foldBytesMin {
		n := min(len(b)&^(foldBlockBytes-1), foldBytesMax)
		crc = ^foldBlocks(^crc, b[:n])
		b = b[n:]
	}
	return crc32.Update(crc, castagnoli, b)
}
