package netpoll

import (
	"fmt"
	"slices"
	"testing"
)

// probedFile remembers what was probed.
type probedFile struct {
	file
	probes []string
	cold   bool
}

func (s *probedFile) Resident(position, n int64) bool {
	s.probes = append(s.probes, fmt.Sprintf("%d+%d", position, n))
	return !s.cold
}

// Bytes right behind those that were just seen in memory are not probed again up to the distance of
// probes, but what lies further on is; a gap, another file, an old or a failed probe begin anew.
func TestProbeGoesOnFromTheLast(t *testing.T) {
	t.Parallel()
	const step = warmStep
	var seen probed
	a, b := &probedFile{}, &probedFile{}
	f := func(s *probedFile, position, n, nowNs int64, want ...string) {
		t.Helper()
		c := NewChain()
		c.Region(s, position, n)
		s.probes = nil
		c.probe(&seen, nowNs)
		if !slices.Equal(s.probes, want) {
			t.Errorf("%d bytes at %d: probed %v, not %v", n, position, s.probes, want)
		}
	}
	at := func(position, n int64) string { return fmt.Sprintf("%d+%d", position, n) }
	f(a, 0, step, 1, at(0, step))
	f(a, step, step, 2, at(2*step-1, 1))
	f(a, 2*step, 9000, 3, at(2*step+8999, 1))
	f(a, 2*step+9000, 4*step, 4, at(3*step+8999, 3*step+1))
	f(a, 7*step, step, 5, at(7*step, step))
	f(b, 8*step, step, 6, at(8*step, step))
	f(b, 9*step, step, 6+warmNsMax, at(9*step, step))
	b.cold = true
	f(b, 10*step, step, 7+warmNsMax, at(11*step-1, 1))
	b.cold = false
	f(b, 11*step, step, 8+warmNsMax, at(11*step, step))
}
