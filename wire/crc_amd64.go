package wire

import "golang.org/x/sys/cpu"

// canFold says that the CPU has the instructions of foldBlocks and that the operating system saves
// the registers they use. GODEBUG=cpu.avx512f=off turns it off from outside.
var canFold = cpu.X86.HasAVX512F && cpu.X86.HasAVX512VPCLMULQDQ && cpu.X86.HasSSE42

// foldTable holds the multipliers by which foldBlocks moves a lane d bits on, x^(d+63) and x^(d-1)
// modulo the polynomial of CRC-32C, as crc_amd64.s reads them. Nobody writes to it, and TestFoldTable
// derives it.
var foldTable = [4][2]uint64{
	{0xe9a5d8be_00000000, 0x1426a815_00000000}, // d = 2048: a round of four blocks
	{0x7ccbbbf2_00000000, 0x31c94608_00000000}, // d = 1536
	{0x6577b245_00000000, 0x7417153f_00000000}, // d = 1024
	{0x1c19243b_00000000, 0x75bba45b_00000000}, // d = 512: one block
}

// foldBlocks takes a CRC register (the complement of what CRC returns) over b and returns the
// register after it. b has at least 256 bytes, and their number is a multiple of foldBlockBytes; no
// alignment is asked for. Only where canFold is true.
//
//go:noescape
func foldBlocks(register uint32, b []byte) uint32
