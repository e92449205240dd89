package wire

import "hash/crc32"

// castagnoli is the table of CRC-32C; hash/crc32 uses the CPU's own instruction for it.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC returns the CRC-32C of b, the checksum of record batches.
func CRC(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// UpdateCRC adds b to a CRC-32C begun with 0 or with an earlier part's result, for batches that
// arrive in pieces.
func UpdateCRC(crc uint32, b []byte) uint32 { return crc32.Update(crc, castagnoli, b) }
