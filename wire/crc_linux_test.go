package wire

import (
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
)

// Assembly has no bounds checks: inputs that touch an unreadable page at their start or their end
// show that nothing around them is read.
func TestCRCReadsNothingElse(t *testing.T) {
	page := os.Getpagesize()
	memory, err := syscall.Mmap(-1, 0, 3*page, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(memory); err != nil {
			t.Error(err)
		}
	})
	inner := memory[page : 2*page]
	copy(inner, randomBytes(rand.New(rand.NewPCG(13, 14)), page))
	for _, guard := range [][]byte{memory[:page], memory[2*page:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	eachWayOfCRC(t, func(t *testing.T, fold bool) {
		for n := range page + 1 {
			checkCRC(t, 0, inner[:n], fold)
			checkCRC(t, 0, inner[page-n:], fold)
		}
	})
}
