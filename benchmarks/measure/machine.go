package measure

import "time"

// hostWatch is the machine over the run.
type hostWatch struct {
	meter      *HostMeter
	seen       bool
	first, now HostSample

	dirtyPeak, writebackPeak, bothPeak int64
	availableMin                       int64

	// second is the sample that the current whole second began with.
	second     HostSample
	secondAt   time.Time
	stealShare float64 // highest of a whole second
}

func (w *hostWatch) take(s *state, p *Point) {
	before := w.now
	if err := w.meter.Sample(&w.now); err != nil {
		s.miss("host", err)
		return
	}
	pages := w.now.Pages
	if !w.seen {
		w.seen, w.first, w.second, w.secondAt = true, w.now, w.now, s.now
		before, w.availableMin = w.now, pages.AvailableBytes
	}
	w.dirtyPeak = max(w.dirtyPeak, pages.DirtyBytes)
	w.writebackPeak = max(w.writebackPeak, pages.WritebackBytes)
	w.bothPeak = max(w.bothPeak, pages.DirtyBytes+pages.WritebackBytes)
	w.availableMin = min(w.availableMin, pages.AvailableBytes)
	if s.now.Sub(w.secondAt) >= time.Second {
		w.stealShare = max(w.stealShare, stealShare(&w.second, &w.now))
		w.second, w.secondAt = w.now, s.now
	}
	p.BusyNanos = w.now.BusyNanos() - before.BusyNanos()
	p.StealNanos = w.now.StealNanos - before.StealNanos
	p.DirtyBytes, p.WritebackBytes = pages.DirtyBytes, pages.WritebackBytes
}

func stealShare(a, b *HostSample) float64 {
	return share(b.StealNanos-a.StealNanos, b.TotalNanos()-a.TotalNanos())
}

func share(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func (w *hostWatch) usage(elapsed time.Duration) *Host {
	a, b := &w.first, &w.now
	h := &Host{
		CPUs:         b.CPUs,
		BusyNanos:    b.BusyNanos() - a.BusyNanos(),
		UserNanos:    b.UserNanos - a.UserNanos,
		SystemNanos:  b.SystemNanos - a.SystemNanos,
		IRQNanos:     b.IRQNanos - a.IRQNanos,
		SoftIRQNanos: b.SoftIRQNanos - a.SoftIRQNanos,
		IdleNanos:    b.IdleNanos - a.IdleNanos,
		// The kernel does not promise that waiting time never falls (proc_stat(5), iowait).
		IOWaitNanos:     max(0, b.IOWaitNanos-a.IOWaitNanos),
		StealNanos:      b.StealNanos - a.StealNanos,
		ContextSwitches: b.ContextSwitches - a.ContextSwitches,
		PagesStart:      a.Pages, PagesEnd: b.Pages,
		DirtyBytesPeak: w.dirtyPeak, WritebackBytesPeak: w.writebackPeak,
		DirtyWritebackBytesPeak: w.bothPeak,
		AvailableBytesMin:       w.availableMin,
	}
	idle := h.IdleNanos + h.IOWaitNanos + h.StealNanos
	h.BusyFromIdleNanos = max(0, elapsed.Nanoseconds()*int64(h.CPUs)-idle)
	total := h.BusyNanos + idle
	h.BusyShare, h.StealShare = share(h.BusyNanos, total), share(h.StealNanos, total)
	h.StealSharePeak = max(w.stealShare, h.StealShare)
	return h
}

// deviceWatch is the block device over the run.
type deviceWatch struct {
	meter      *DeviceMeter
	seen       bool
	first, now DeviceSample

	second      DeviceSample
	secondAt    time.Time
	start       time.Time
	end         time.Time
	writtenPeak int64 // bytes per second, highest of a whole second
}

func (w *deviceWatch) take(s *state, p *Point) {
	before := w.now
	if err := w.meter.Sample(&w.now); err != nil {
		s.miss("device", err)
		return
	}
	if !w.seen {
		w.seen, w.first, w.second, w.secondAt = true, w.now, w.now, s.now
		w.start, before = s.now, w.now
	}
	w.end = s.now
	if since := s.now.Sub(w.secondAt); since >= time.Second {
		w.writtenPeak = max(w.writtenPeak, rate(w.now.WrittenBytes-w.second.WrittenBytes, since))
		w.second, w.secondAt = w.now, s.now
	}
	p.DeviceReadBytes = w.now.ReadBytes - before.ReadBytes
	p.DeviceWriteBytes = w.now.WrittenBytes - before.WrittenBytes
}

func rate(count int64, over time.Duration) int64 {
	if over <= 0 {
		return 0
	}
	return int64(float64(count) / over.Seconds())
}

func (w *deviceWatch) usage() *Device {
	a, b, d := &w.first, &w.now, w.meter.About()
	d.Reads, d.ReadBytes = b.Reads-a.Reads, b.ReadBytes-a.ReadBytes
	d.Writes, d.WrittenBytes = b.Writes-a.Writes, b.WrittenBytes-a.WrittenBytes
	d.Flushes, d.DiscardBytes = b.Flushes-a.Flushes, b.DiscardBytes-a.DiscardBytes
	d.BusyMs = b.BusyMs - a.BusyMs
	d.WrittenBytesPerSecondPeak = max(w.writtenPeak, rate(d.WrittenBytes, w.end.Sub(w.start)))
	return &d
}
