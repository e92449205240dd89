package kgoload

import (
	"time"

	"golang.org/x/sys/unix"
)

// clock gives nanoseconds since it was made, and the same instants as CLOCK_MONOTONIC and as wall
// time, from one reading.
type clock struct {
	base      time.Time
	monotonic int64
}

func newClock() clock {
	var ts unix.Timespec
	// CLOCK_MONOTONIC exists on every Linux (clock_gettime(2)); the call cannot fail.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return clock{base: time.Now(), monotonic: ts.Nano()}
}

// now is ns since the clock was made.
func (c clock) now() int64 { return int64(time.Since(c.base)) }

// pace is the schedule of one producer's open loop. It is arithmetic only: a record's due time
// depends on its number and on nothing that happened.
type pace struct {
	first    int64   // ns, when record 0 is due
	interval float64 // ns between two records
}

// newPace shares rate (records/s) among n producers, whose records interleave evenly.
func newPace(start int64, rate float64, producer, n int) pace {
	step := 1e9 / rate
	return pace{first: start + int64(step*float64(producer)), interval: step * float64(n)}
}

// due is when record i is due, in ns.
func (p pace) due(i int64) int64 { return p.first + int64(float64(i)*p.interval) }

// before is the number of records that are due before t.
func (p pace) before(t int64) int64 {
	if t <= p.first {
		return 0
	}
	n := int64(float64(t-p.first) / p.interval)
	for p.due(n) < t {
		n++
	}
	for n > 0 && p.due(n-1) >= t {
		n--
	}
	return n
}

// sleepSlice bounds a sleep, so that a generator notices soon that it shall stop.
const sleepSlice = 20 * time.Millisecond

// sleepUntil sleeps until t or for sleepSlice, whichever is less. It uses clock_nanosleep(2):
// time.Sleep goes through the network poller, whose timeouts are whole milliseconds.
func (c clock) sleepUntil(t int64) {
	t = min(t, c.now()+int64(sleepSlice))
	ts := unix.NsecToTimespec(c.monotonic + t)
	// EINTR ends it early; the caller looks at the clock again.
	_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil)
}

// sharpTimers lets the calling thread's timers expire without the usual slack of 50 µs
// (PR_SET_TIMERSLACK, prctl(2)).
func sharpTimers() {
	// Without it the lag is larger, which the lag histogram tells.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
}
