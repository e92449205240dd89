package load

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Real-time priority belongs to the one thread, is given back, and is not inherited.
func TestRealtime(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	policy := func() uint32 {
		attr, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return attr.Policy
	}
	before := policy()
	undo, err := realtime()
	if err != nil {
		if policy() != before {
			t.Errorf("refused (%v), yet the policy is %d", err, policy())
		}
		return
	}
	if got := policy(); got != unix.SCHED_FIFO {
		t.Errorf("policy %d, want SCHED_FIFO", got)
	}
	undo()
	if got := policy(); got != before {
		t.Errorf("policy %d afterwards, was %d", got, before)
	}
}
