#include "textflag.h"

// CRC-32C by folding with VPCLMULQDQ.
//
// The instruction CRC32Q, which hash/crc32 uses, takes eight bytes a cycle at best. A carry-less
// multiplication of 512-bit registers takes 64 bytes, and two of them move those 64 bytes past any
// number of others. The idea is from Intel's white paper "Fast CRC Computation for Generic
// Polynomials Using PCLMULQDQ Instruction" (Gopal, Ozturk and others, 2009).
//
// The message is a polynomial over GF(2), and its CRC is the remainder modulo P, the polynomial of
// CRC-32C. Any other message with the same remainder will do, a shorter one in particular. Cut the
// message behind its first 16 bytes A, let D be the number of bits from A to some later 16 bytes B:
//
//	A·x^D + B  has the same remainder as  A·(x^D mod P) + B
//
// which fits where B was, so A is gone. A has 128 bits and a multiplication takes 64, so each half has
// its own multiplier. With A = H·x^64 + L:
//
//	A·x^D  has the same remainder as  H·(x^(D+64) mod P) + L·(x^D mod P)
//
// Both products have at most 63 + 31 + 1 bits, which leaves them well inside 128.
//
// Bits are reflected: the lowest bit of the first byte is the highest power of x. In a lane of 16
// bytes, loaded as they come, bit i stands for x^(127-i); H is the low quadword, and bit i of a
// quadword stands for x^(63-i). The product of two quadwords has the coefficient of x^(126-i) in bit
// i, while a lane has that of x^(127-i) there: every product comes out multiplied by x. The
// multipliers make up for it with one power less, x^(D+63) and x^(D-1). They are remainders of
// degree 31 at most, hence the upper half of their quadwords. foldTable lists them, a pair per
// distance, low quadword first.
//
// A 512-bit register is four lanes with one distance. Four registers are folded at a time, each over
// the 256 bytes of one round, since a multiplication's result takes eight cycles to come while others
// can start meanwhile; eight registers gained little. Then the first three are folded onto the
// fourth, that one onto what single blocks remain, and CRC32Q takes the last 64 bytes to their
// remainder, from a register of zero: the register at the start was added to the first four bytes of
// the message, which is what it means.
//
// VZEROUPPER at the end spares the SSE code that follows a wait for the upper halves. Registers from
// Z16 on have no part in that.

// FOLD moves the register acc over the distance of the multipliers mul and adds the 64 bytes of src,
// a register or memory: the first halves of the lanes by the first multiplier, the second halves by
// the second, and the sum of the three. It spoils tmp.
#define FOLD(acc, tmp, mul, src) \
	VPCLMULQDQ $0x00, mul, acc, tmp \
	VPCLMULQDQ $0x11, mul, acc, acc \
	VPTERNLOGQ $0x96, src, tmp, acc

// func foldBlocks(register uint32, b []byte) uint32
TEXT ·foldBlocks(SB), NOSPLIT, $64-36
	MOVQ b_base+8(FP), SI
	MOVQ b_len+16(FP), CX
	VBROADCASTI32X4 ·foldTable+0(SB), Z16  // over four blocks
	VBROADCASTI32X4 ·foldTable+16(SB), Z17 // over three
	VBROADCASTI32X4 ·foldTable+32(SB), Z18 // over two
	VBROADCASTI32X4 ·foldTable+48(SB), Z19 // over one

	MOVL register+0(FP), AX
	VMOVD AX, X4
	VPXORQ 0(SI), Z4, Z0
	VMOVDQU64 64(SI), Z1
	VMOVDQU64 128(SI), Z2
	VMOVDQU64 192(SI), Z3
	ADDQ $256, SI
	SUBQ $512, CX // CX is what is left after the next round
	JLT  merge
	PCALIGN $64

round:
	FOLD(Z0, Z4, Z16, 0(SI))
	FOLD(Z1, Z5, Z16, 64(SI))
	FOLD(Z2, Z6, Z16, 128(SI))
	FOLD(Z3, Z7, Z16, 192(SI))
	ADDQ $256, SI
	SUBQ $256, CX
	JGE  round

merge:
	FOLD(Z0, Z4, Z17, Z3)
	FOLD(Z1, Z5, Z18, Z0)
	FOLD(Z2, Z6, Z19, Z1)
	ADDQ $192, CX // from here on after the next block
	JLT  finish

block:
	FOLD(Z2, Z4, Z19, 0(SI))
	ADDQ $64, SI
	SUBQ $64, CX
	JGE  block

finish:
	VMOVDQU64 Z2, rest-64(SP)
	VZEROUPPER
	XORL AX, AX
	CRC32Q rest-64(SP), AX
	CRC32Q rest-56(SP), AX
	CRC32Q rest-48(SP), AX
	CRC32Q rest-40(SP), AX
	CRC32Q rest-32(SP), AX
	CRC32Q rest-24(SP), AX
	CRC32Q rest-16(SP), AX
	CRC32Q rest-8(SP), AX
	MOVL AX, ret+32(FP)
	RET
