package txncheck

import (
	"time"
)

// nemesis kills, ends, stalls and restarts the broker until stop is closed. The broker is up when it
// returns true.
func (t *trial) nemesis(stop <-chan struct{}) bool {
	rng := t.rng("nemesis")
	for {
		if !t.sleep(stop, time.Duration(300+rng.IntN(t.calmMs))*time.Millisecond) {
			return true
		}
		n := rng.IntN(100)
		if n < 20 {
			t.h.count("broker stall", ok, "")
			wait := time.Duration(50+rng.IntN(2000)) * time.Millisecond
			if err := t.broker.stall(func() { t.sleep(stop, wait) }); err != nil {
				t.h.wrong("broker", "%v", err)
				return false
			}
			continue
		}
		if n < 30 {
			t.h.count("broker SIGTERM", ok, "")
			if err := t.broker.terminate(); err != nil {
				t.h.wrong("broker", "after SIGTERM: %v", err)
				return false
			}
		} else {
			t.h.count("broker SIGKILL", ok, "")
			t.broker.kill()
		}
		if !t.raise() {
			return false
		}
		if n >= 85 {
			// Once more while it takes up what it had left half-finished.
			t.sleep(stop, time.Duration(rng.IntN(60))*time.Millisecond)
			t.h.count("broker SIGKILL", ok, "")
			t.broker.kill()
			if !t.raise() {
				return false
			}
		}
	}
}

// raise starts the broker again, and looks at what the last one has written.
func (t *trial) raise() bool {
	if err := t.broker.sound(); err != nil {
		t.h.wrong("broker", "%v", err)
		return false
	}
	if err := t.broker.start(); err != nil {
		t.h.wrong("broker", "%v", err)
		return false
	}
	return true
}

// sleep waits, and returns false if stop was closed, or something wrong was found, before.
func (t *trial) sleep(stop <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stop:
		return false
	case <-t.h.news:
		return false
	}
}
