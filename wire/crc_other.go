//go:build !amd64

package wire

// canFold is false here: hash/crc32 does it all, with the CPU's instructions where it has some.
const canFold = false

func foldBlocks(uint32, []byte) uint32 { panic("BUG: a checksum is folded without assembly for it") }
