package load

import (
	"runtime"
	"sync"
)

// processors counts the client threads of all runs of this process. A thread that is busy
// throughout keeps a place in the Go scheduler (GOMAXPROCS) for itself; the rest of the process needs
// two more.
var processors claims

// claims is what runs at the same time ask of GOMAXPROCS.
type claims struct {
	mu     sync.Mutex // guards what follows
	sum    int
	before int // GOMAXPROCS without any claim
}

// claim makes room for so many threads until release is called.
func (c *claims) claim(threads int) (release func()) {
	c.change(threads)
	return func() { c.change(-threads) }
}

func (c *claims) change(by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sum == 0 {
		c.before = runtime.GOMAXPROCS(0)
	}
	c.sum += by
	want := c.before
	if c.sum > 0 {
		want = max(want, c.sum+2)
	}
	if runtime.GOMAXPROCS(0) != want {
		runtime.GOMAXPROCS(want)
	}
}
