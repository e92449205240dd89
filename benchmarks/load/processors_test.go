package load

import (
	"runtime"
	"testing"
)

// Runs at the same time have room for all their threads, and leave GOMAXPROCS as they found it.
func TestProcessorsAreClaimedTogether(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	runtime.GOMAXPROCS(2)
	f := func(want int) {
		t.Helper()
		if got := runtime.GOMAXPROCS(0); got != want {
			t.Errorf("GOMAXPROCS is %d, want %d", got, want)
		}
	}
	var c claims
	first := c.claim(2)
	f(4)
	second := c.claim(3)
	f(7)
	first()
	f(5)
	second()
	f(2)
}
