package measure

import (
	"bytes"
	"errors"
	"fmt"
)

// HostSample is what all processors have done since boot, and the memory at this moment.
type HostSample struct {
	CPUs int // online

	// In steps of 10 ms. User holds nice and guest time; Busy is the sum of the first four.
	UserNanos    int64
	SystemNanos  int64
	IRQNanos     int64
	SoftIRQNanos int64
	IdleNanos    int64
	IOWaitNanos  int64
	StealNanos   int64

	ContextSwitches int64
	Pages           Pages
}

// BusyNanos is the time in which processors worked: without idle, waiting and stolen time.
func (s *HostSample) BusyNanos() int64 {
	return s.UserNanos + s.SystemNanos + s.IRQNanos + s.SoftIRQNanos
}

// TotalNanos is all time that /proc/stat accounts for.
func (s *HostSample) TotalNanos() int64 {
	return s.BusyNanos() + s.IdleNanos + s.IOWaitNanos + s.StealNanos
}

// HostMeter reads /proc/stat and /proc/meminfo. Not for use by several goroutines at once.
type HostMeter struct {
	stat    *procFile
	meminfo *procFile
}

// OpenHost begins to watch the machine. root stands for "/", and is "" in use.
func OpenHost(root string) (*HostMeter, error) {
	stat, err := openProc(root + "/proc/stat")
	if err != nil {
		return nil, err
	}
	meminfo, err := openProc(root + "/proc/meminfo")
	if err != nil {
		stat.close()
		return nil, err
	}
	return &HostMeter{stat, meminfo}, nil
}

// Close lets the files go.
func (m *HostMeter) Close() {
	m.stat.close()
	m.meminfo.close()
}

var errNoCPULine = errors.New("/proc/stat: no line of all processors")

// Sample reads all figures into s; on an error s is unchanged.
func (m *HostMeter) Sample(s *HostSample) error {
	text, err := m.stat.read()
	if err != nil {
		return fmt.Errorf("/proc/stat: %w", err)
	}
	var next HostSample
	if err := parseHostStat(text, &next); err != nil {
		return err
	}
	if text, err = m.meminfo.read(); err != nil {
		return fmt.Errorf("/proc/meminfo: %w", err)
	}
	parseMeminfo(text, &next.Pages)
	*s = next
	return nil
}

// parseHostStat reads "cpu  user nice system idle iowait irq softirq steal guest guest_nice" and
// counts the processors' own lines (proc_stat(5)). Guest time is in user time already.
func parseHostStat(text []byte, s *HostSample) error {
	found := false
	for len(text) > 0 {
		var line []byte
		line, text = nextLine(text)
		name, rest := nextField(line)
		switch {
		case string(name) == "cpu":
			var t [8]int64
			if numbers(rest, t[:]) < len(t) {
				return errNoCPULine
			}
			found = true
			s.UserNanos = (t[0] + t[1]) * nanosPerTick
			s.SystemNanos = t[2] * nanosPerTick
			s.IdleNanos, s.IOWaitNanos = t[3]*nanosPerTick, t[4]*nanosPerTick
			s.IRQNanos, s.SoftIRQNanos = t[5]*nanosPerTick, t[6]*nanosPerTick
			s.StealNanos = t[7] * nanosPerTick
		case bytes.HasPrefix(name, cpuPrefix):
			s.CPUs++
		case string(name) == "ctxt":
			value, _ := nextField(rest)
			s.ContextSwitches = number(value)
		}
	}
	if !found {
		return errNoCPULine
	}
	return nil
}

var cpuPrefix = []byte("cpu")

func parseMeminfo(text []byte, p *Pages) {
	for len(text) > 0 {
		var line []byte
		line, text = nextLine(text)
		name, kib := labelled(line)
		switch string(name) {
		case "MemTotal":
			p.TotalBytes = kib * 1024
		case "MemFree":
			p.FreeBytes = kib * 1024
		case "MemAvailable":
			p.AvailableBytes = kib * 1024
		case "Cached":
			p.CachedBytes = kib * 1024
		case "Dirty":
			p.DirtyBytes = kib * 1024
		case "Writeback":
			p.WritebackBytes = kib * 1024
		}
	}
}
