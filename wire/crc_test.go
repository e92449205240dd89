package wire

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

// waysOfCRC are the two ways that a checksum takes: with hash/crc32 alone, and with folding.
var waysOfCRC = []struct {
	name string
	fold bool
}{{"way=plain", false}, {"way=fold", true}}

// eachWayOfCRC runs f once for each way that the CPU has.
func eachWayOfCRC[T interface {
	Helper()
	Skip(args ...any)
	Run(name string, f func(T)) bool
}](t T, f func(t T, fold bool),
) {
	t.Helper()
	for _, way := range waysOfCRC {
		t.Run(way.name, func(t T) {
			if way.fold && !canFold {
				t.Skip("this CPU has no VPCLMULQDQ on 512-bit registers")
			}
			f(t, way.fold)
		})
	}
}

func randomBytes(rnd *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// checkCRC compares a checksum with the standard library's.
func checkCRC(t *testing.T, crc uint32, b []byte, fold bool) {
	t.Helper()
	if got, want := updateCRC(crc, b, fold), crc32.Update(crc, castagnoli, b); got != want {
		t.Fatalf("%d bytes from %#08x: %#08x, hash/crc32 has %#08x", len(b), crc, got, want)
	}
}

// The examples of RFC 3720, B.4, and the check value that catalogues of CRCs give for CRC-32C.
func TestCRCOfKnownInputs(t *testing.T) {
	f := func(b []byte, want uint32) {
		t.Helper()
		if got := CRC(b); got != want {
			t.Errorf("%x: %#08x, want %#08x", b, got, want)
		}
	}
	f([]byte("123456789"), 0xe3069283)
	f(make([]byte, 32), 0x8a9136aa)
	f(bytes.Repeat([]byte{0xff}, 32), 0x62a8ab43)
}

func TestCRCOfEveryLength(t *testing.T) {
	eachWayOfCRC(t, func(t *testing.T, fold bool) {
		rnd := rand.New(rand.NewPCG(1, 2))
		data := randomBytes(rnd, 4096+64)
		for _, start := range []int{0, 1, 8, 21, 63} {
			for n := range 4097 {
				checkCRC(t, rnd.Uint32(), data[start:start+n], fold)
			}
		}
	})
}

// Beyond foldBytesMax an input is folded in pieces, the last of which may be too short for it.
func TestCRCOfLargeInputs(t *testing.T) {
	eachWayOfCRC(t, func(t *testing.T, fold bool) {
		rnd := rand.New(rand.NewPCG(3, 4))
		data := randomBytes(rnd, 3<<20+17)
		checkCRC(t, rnd.Uint32(), data, fold)
		for pieces := range 3 {
			for _, more := range []int{-65, -1, 0, 1, 64, foldBytesMin - 1, foldBytesMin, foldBytesMin + 63} {
				checkCRC(t, rnd.Uint32(), data[5:5+(pieces+1)*foldBytesMax+more], fold)
			}
		}
	})
}

// A checksum does not depend on where its input was cut.
func TestCRCInParts(t *testing.T) {
	eachWayOfCRC(t, func(t *testing.T, fold bool) {
		rnd := rand.New(rand.NewPCG(5, 6))
		data := randomBytes(rnd, 64<<10)
		for range 500 {
			b := data[:rnd.IntN(len(data))]
			start := rnd.Uint32()
			want, got := crc32.Update(start, castagnoli, b), start
			for len(b) > 0 {
				n := 1 + rnd.IntN(min(len(b), 1<<rnd.IntN(17)))
				got = updateCRC(got, b[:n], fold)
				b = b[n:]
			}
			if got != want {
				t.Fatalf("%#08x in parts, %#08x whole", got, want)
			}
		}
	})
}

// Every bit counts: one that flips in a folded input is found, wherever it is.
func TestCRCFindsEveryBit(t *testing.T) {
	data := randomBytes(rand.New(rand.NewPCG(7, 8)), 1<<10+100)
	want := CRC(data)
	for bit := range len(data) * 8 {
		data[bit/8] ^= 1 << (bit % 8)
		if CRC(data) == want {
			t.Errorf("bit %d changes nothing", bit)
		}
		data[bit/8] ^= 1 << (bit % 8)
	}
}

func TestCRCAllocatesNothing(t *testing.T) {
	data := make([]byte, 64<<10)
	if n := testing.AllocsPerRun(100, func() { CRC(data) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzUpdateCRC takes data times over, so that the fuzzer reaches folding with small inputs.
func FuzzUpdateCRC(f *testing.F) {
	f.Add(uint32(0), []byte("123456789"), uint16(1), uint16(4))
	f.Add(^uint32(0), make([]byte, foldBytesMin), uint16(1), uint16(0))
	f.Add(uint32(0x1edc6f41), bytes.Repeat([]byte{0xff}, 1023), uint16(3), uint16(1025))
	f.Add(uint32(1), randomBytes(rand.New(rand.NewPCG(9, 10)), 4097), uint16(70), uint16(21))
	f.Fuzz(func(t *testing.T, crc uint32, data []byte, times, cut uint16) {
		data = bytes.Repeat(data, min(int(times), (512<<10)/max(len(data), 1)))
		at := min(int(cut), len(data))
		for _, fold := range []bool{false, canFold} {
			checkCRC(t, crc, data, fold)
			checkCRC(t, updateCRC(crc, data[:at], fold), data[at:], fold)
			if got, want := updateCRC(updateCRC(crc, data[:at], fold), data[at:], fold),
				crc32.Update(crc, castagnoli, data); got != want {
				t.Fatalf("%d bytes cut at %d: %#08x, want %#08x", len(data), at, got, want)
			}
		}
	})
}

// BenchmarkCRC measures both ways over bytes that begin where a batch's do, 21 behind a cache line.
func BenchmarkCRC(b *testing.B) {
	for _, size := range []int{1 << 10, 4 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			data := make([]byte, posAttributes+size)[posAttributes:]
			eachWayOfCRC(b, func(b *testing.B, fold bool) {
				b.SetBytes(int64(size))
				for b.Loop() {
					updateCRC(0, data, fold)
				}
			})
		})
	}
}
