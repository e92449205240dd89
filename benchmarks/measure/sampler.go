package measure

import (
	"errors"
	"sync"
	"time"
)

// SamplerOptions say what to watch.
type SamplerOptions struct {
	// Interval between samples; 0 is 100 ms. One sample costs some tens of microseconds of
	// processor time, which is the generator's own.
	Interval time.Duration

	BrokerPid    int    // 0 if the broker is not on this machine
	GeneratorPid int    // usually os.Getpid(); 0 to leave it out
	DataDir      string // the broker's; empty to leave the device out

	// SeriesPointsMax bounds Usage.Series; 0 means no series, otherwise at least 2. When a run
	// outgrows it, neighbours are merged and each point stands for twice the time.
	SeriesPointsMax int

	// Root stands for "/" where a recorded tree is read; empty in use.
	Root string
}

// Sampler watches the machine from StartSampler to Stop in a goroutine of its own.
type Sampler struct {
	interval time.Duration
	stop     chan struct{}
	stopped  chan struct{}
	once     sync.Once

	mu      sync.Mutex // guards state
	state   state
	outcome Usage // written once, by Stop
}

// state is all that samples add up to. It reads no clock of its own.
type state struct {
	start, now time.Time
	samples    int
	gapMax     time.Duration

	broker, generator *watched
	host              *hostWatch
	device            *deviceWatch
	series            series
	missing           []Missing
}

// StartSampler takes the first sample before it returns. It never fails: what cannot be watched is
// told in Usage.Missing.
func StartSampler(o SamplerOptions) *Sampler {
	if o.Interval <= 0 {
		o.Interval = 100 * time.Millisecond
	}
	s := &Sampler{
		interval: o.Interval, stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	s.state.open(o, processCPU)
	s.state.take(time.Now())
	go s.run()
	return s
}

func (s *Sampler) run() {
	defer close(s.stopped)
	ticker := time.NewTicker(s.interval)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			s.mu.Lock()
			s.state.take(time.Now())
			s.mu.Unlock()
		}
	}
}

// Snapshot is the usage up to the newest sample, for a line that is shown while the run goes on.
// It has no series and no context switches.
func (s *Sampler) Snapshot() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.usage(s.interval)
}

// Stop takes the last sample, ends the goroutine, and returns the whole usage. Further calls return
// the same.
func (s *Sampler) Stop() Usage {
	s.once.Do(func() {
		close(s.stop)
		<-s.stopped
		s.mu.Lock()
		defer s.mu.Unlock()
		s.state.take(time.Now())
		s.outcome = s.state.finish(s.interval)
	})
	return s.outcome
}

func (s *state) open(o SamplerOptions, clock func(int) (int64, error)) {
	watch := func(name string, pid int) *watched {
		if pid == 0 {
			return nil
		}
		meter, err := openProcess(o.Root, pid, clock)
		if err != nil {
			s.miss(name, err)
			return nil
		}
		if meter.IOErr() != nil {
			s.miss(name+".io", meter.IOErr())
		}
		return newWatched(name, meter, s)
	}
	s.broker = watch("broker", o.BrokerPid)
	s.generator = watch("generator", o.GeneratorPid)
	if meter, err := OpenHost(o.Root); err != nil {
		s.miss("host", err)
	} else {
		s.host = &hostWatch{meter: meter}
	}
	if o.DataDir != "" {
		if meter, err := OpenDevice(o.Root, o.DataDir); err != nil {
			s.miss("device", err)
		} else {
			s.device = &deviceWatch{meter: meter}
		}
	}
	s.series.open(o.SeriesPointsMax)
}

// miss notes the first reason for each thing.
func (s *state) miss(what string, why error) {
	for _, m := range s.missing {
		if m.What == what {
			return
		}
	}
	s.missing = append(s.missing, Missing{what, why.Error()})
}

// take is one sample of everything. It allocates nothing unless something fails.
func (s *state) take(now time.Time) {
	if s.samples == 0 {
		s.start = now
	} else if gap := now.Sub(s.now); gap > s.gapMax {
		s.gapMax = gap
	}
	s.now = now
	s.samples++
	point := Point{AtMs: now.Sub(s.start).Milliseconds()}
	if s.broker != nil {
		point.BrokerCPUNanos, point.BrokerRSSBytes = s.broker.take(s)
	}
	if s.generator != nil {
		point.GeneratorCPUNanos, point.GeneratorRSSBytes = s.generator.take(s)
	}
	if s.host != nil {
		s.host.take(s, &point)
	}
	if s.device != nil {
		s.device.take(s, &point)
	}
	if s.samples > 1 {
		s.series.add(point)
	}
}

// finish closes all and adds what only the end can tell.
func (s *state) finish(interval time.Duration) Usage {
	var switches [2]Switches
	for i, w := range []*watched{s.broker, s.generator} {
		if w != nil {
			switches[i] = w.switches(s)
			w.meter.Close()
		}
	}
	u := s.usage(interval)
	for i, p := range []*Process{u.Broker, u.Generator} {
		if p != nil {
			p.VoluntarySwitches, p.InvoluntarySwitches = switches[i].Voluntary, switches[i].Involuntary
		}
	}
	if s.host != nil {
		s.host.meter.Close()
	}
	if s.device != nil {
		s.device.meter.Close()
	}
	u.Series = s.series.finish()
	return u
}

func (s *state) usage(interval time.Duration) Usage {
	elapsed := s.now.Sub(s.start)
	u := Usage{
		Start: s.start, End: s.now, Seconds: elapsed.Seconds(),
		IntervalMs: interval.Milliseconds(), Samples: s.samples, GapMsMax: s.gapMax.Milliseconds(),
		Missing: append([]Missing(nil), s.missing...),
	}
	if s.broker != nil {
		u.Broker = s.broker.usage()
	}
	if s.generator != nil {
		u.Generator = s.generator.usage()
	}
	if s.host != nil && s.host.seen {
		u.Host = s.host.usage(elapsed)
	}
	if s.device != nil && s.device.seen {
		u.Device = s.device.usage()
	}
	return u
}

// watched is one process over the run.
type watched struct {
	name           string
	meter          *ProcessMeter
	cpus           []int
	first, now     ProcessSample
	peak           Memory
	threadsPeak    int
	switchesBefore map[int]Switches
	ended          bool
}

func newWatched(name string, meter *ProcessMeter, s *state) *watched {
	w := &watched{name: name, meter: meter, first: meter.Last(), now: meter.Last()}
	var err error
	if w.cpus, err = CurrentAffinity(meter.Pid()); err != nil {
		s.miss(name+".cpus", err)
	}
	if w.switchesBefore, err = meter.ThreadSwitches(); err != nil {
		s.miss(name+".switches", err)
	}
	return w
}

func (w *watched) take(s *state) (cpuNanos, rssBytes int64) {
	if w.ended {
		return 0, 0
	}
	before := w.now.CPUNanos
	err := w.meter.Sample(&w.now)
	if err != nil {
		w.ended = errors.Is(err, ErrProcessGone)
		w.now = w.meter.Last()
		s.miss(w.name, err)
	}
	if s.samples == 1 {
		w.first, before = w.now, w.now.CPUNanos
	}
	w.peak.raise(w.now.Memory)
	w.threadsPeak = max(w.threadsPeak, w.now.Threads)
	return w.now.CPUNanos - before, w.now.Memory.RSSBytes
}

func (m *Memory) raise(now Memory) {
	m.RSSBytes = max(m.RSSBytes, now.RSSBytes)
	m.AnonBytes = max(m.AnonBytes, now.AnonBytes)
	m.FileBytes = max(m.FileBytes, now.FileBytes)
	m.ShmemBytes = max(m.ShmemBytes, now.ShmemBytes)
}

func (w *watched) switches(s *state) Switches {
	if w.ended || w.switchesBefore == nil {
		return Switches{}
	}
	after, err := w.meter.ThreadSwitches()
	if err != nil {
		s.miss(w.name+".switches", err)
	}
	return switchesBetween(w.switchesBefore, after)
}

func (w *watched) usage() *Process {
	p := &Process{
		Pid: w.meter.Pid(), Command: w.meter.Command(), CPUs: w.cpus,
		CPUNanos:    w.now.CPUNanos - w.first.CPUNanos,
		UserNanos:   w.now.UserNanos - w.first.UserNanos,
		SystemNanos: w.now.SystemNanos - w.first.SystemNanos,
		MemoryStart: w.first.Memory, MemoryEnd: w.now.Memory, MemoryPeak: w.peak,
		RSSHighWaterBytes: w.now.RSSHighWaterBytes,
		Threads:           w.now.Threads, ThreadsPeak: w.threadsPeak,
		MinorFaults: w.now.MinorFaults - w.first.MinorFaults,
		MajorFaults: w.now.MajorFaults - w.first.MajorFaults,
		Ended:       w.ended,
	}
	if w.now.HasIO && w.first.HasIO {
		a, b := w.first.IO, w.now.IO
		p.IO = &ProcessIO{
			b.ReadCallBytes - a.ReadCallBytes, b.WrittenCallBytes - a.WrittenCallBytes,
			b.ReadCalls - a.ReadCalls, b.WriteCalls - a.WriteCalls,
			b.DeviceReadBytes - a.DeviceReadBytes, b.DeviceWrittenBytes - a.DeviceWrittenBytes,
			b.CancelledBytes - a.CancelledBytes,
		}
	}
	return p
}
