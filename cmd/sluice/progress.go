package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// progressAfter is how long something may take before it owes an explanation.
	progressAfter = 2 * time.Second
	// progressEvery is the pause between reports on a terminal, where each overwrites the last;
	// progressLogEvery is the pause elsewhere, where each is a line of its own.
	progressEvery    = 500 * time.Millisecond
	progressLogEvery = 10 * time.Second
)

// meter counts what a transfer has done. The counters are published for the reporting goroutine and
// for nothing else.
type meter struct {
	records atomic.Int64
	bytes   atomic.Int64
	// totalBytes is the size of the input, or 0 if it is not known. Set before the start.
	totalBytes int64
}

// line describes the progress after a time.
func (m *meter) line(since time.Duration) string {
	const mb = 1e6
	bytes, records := float64(m.bytes.Load()), m.records.Load()
	text := fmt.Sprintf("%.1f MB, %.1f MB/s, %d records", bytes/mb, bytes/mb/since.Seconds(), records)
	if m.totalBytes > 0 {
		text += fmt.Sprintf(", %.0f %%", min(100, 100*bytes/float64(m.totalBytes)))
	}
	return text
}

// report writes the progress to w until the returned function is called, which adds a last line if
// there was a first. Nothing is written in the first two seconds.
func (m *meter) report(w io.Writer) (stop func()) {
	start, done, stopped := time.Now(), make(chan struct{}), make(chan struct{})
	terminal := isTerminal(w)
	go func() {
		defer close(stopped)
		wait, pause := progressAfter, progressLogEvery
		if terminal {
			pause = progressEvery
		}
		shown := false
		for {
			select {
			case <-time.After(wait):
			case <-done:
				if shown {
					m.show(w, terminal, true, time.Since(start))
				}
				return
			}
			m.show(w, terminal, false, time.Since(start))
			shown, wait = true, pause
		}
	}()
	return func() {
		close(done)
		<-stopped
	}
}

func (m *meter) show(w io.Writer, terminal, last bool, since time.Duration) {
	line := "sluice: " + m.line(since)
	switch {
	case terminal && last:
		fmt.Fprintf(w, "\r%s\x1b[K\n", line)
	case terminal:
		fmt.Fprintf(w, "\r%s\x1b[K", line)
	default:
		fmt.Fprintln(w, line)
	}
}

// isTerminal reports whether a reader or writer is a terminal with a person in front of it.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
