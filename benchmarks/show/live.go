package show

import (
	"fmt"
	"io"
	"sync"
	"time"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// plainEvery is how many ticks of a second are summed up in one line where lines stay.
const plainEvery = 5

// Live shows a run while it goes on: one line that is rewritten once a second on a terminal, and a
// line of its own every five seconds elsewhere. It is for one run; its methods may be called from
// several goroutines.
type Live struct {
	spec     workload.Spec
	terminal bool

	mu    sync.Mutex // guards what follows
	w     io.Writer
	shown bool
	sum   result.Point
	ticks int
}

// NewLive writes to w.
func NewLive(w io.Writer, spec workload.Spec, terminal bool) *Live {
	return &Live{w: w, spec: spec, terminal: terminal}
}

// Tick shows a second.
func (l *Live) Tick(t drive.Tick) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.terminal {
		fmt.Fprintf(l.w, "\r%s\x1b[K", line(l.spec, t, t.Point, 1))
		l.shown = true
		return
	}
	l.sum.ProducedRecords += t.Point.ProducedRecords
	l.sum.ProducedBytes += t.Point.ProducedBytes
	l.sum.ConsumedRecords += t.Point.ConsumedRecords
	l.sum.ConsumedBytes += t.Point.ConsumedBytes
	l.sum.Errors += t.Point.Errors
	l.sum.P99 = max(l.sum.P99, t.Point.P99)
	if l.ticks++; l.ticks < plainEvery {
		return
	}
	fmt.Fprintln(l.w, line(l.spec, t, l.sum, plainEvery))
	l.sum, l.ticks = result.Point{}, 0
}

// Step shows how a step of a search came out.
func (l *Live) Step(s result.SearchStep) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	fmt.Fprintf(l.w, "%s records/s: p99 %s, %s\n", count(s.Rate), nanos(float64(s.P99)), stepWord(s))
}

// Close removes the line, so that the report begins at the left edge.
func (l *Live) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
}

func (l *Live) clear() {
	if l.shown {
		fmt.Fprint(l.w, "\r\x1b[K")
		l.shown = false
	}
}

// line words a tick whose point holds so many seconds.
func line(s workload.Spec, t drive.Tick, p result.Point, secs float64) string {
	phase := "run"
	if t.Warmup {
		phase = "warm-up"
	}
	text := fmt.Sprintf("%-7s %5s", phase, t.Elapsed.Round(time.Second))
	side := func(name string, records, size int64) {
		text += fmt.Sprintf("  %s %s MB/s %s rec/s", name, digits(float64(size)/1e6/secs),
			count(float64(records)/secs))
	}
	if s.Produces() {
		side("in", p.ProducedRecords, p.ProducedBytes)
	}
	if s.Consumes() {
		side("out", p.ConsumedRecords, p.ConsumedBytes)
	}
	if p.P99 > 0 {
		text += "  p99 " + nanos(float64(p.P99))
	}
	if t.Backlog > 0 {
		text += "  waiting " + count(float64(t.Backlog))
	}
	if p.Errors > 0 {
		text += "  errors " + count(float64(p.Errors))
	}
	return text
}
