package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"sluice/benchmarks/limits"
	"sluice/benchmarks/peers"
	"sluice/benchmarks/result"
)

// broker is a contender that runs.
type broker struct {
	target  result.Target
	pid     int
	admin   string // address of its metrics, empty for none
	raw     bool   // a limit server
	dataDir string
	pause   func() error
	resume  func(context.Context) error
	stop    func(context.Context) error
}

// overrides are the same for every broker: what is deleted goes at once, so that the next turn
// finds an empty disk, and retention looks often enough for the sustained runs.
var overrides = map[string]string{
	"log.retention.check.interval.ms": "1000",
	"log.segment.delete.delay.ms":     "100",
}

// stable keeps the brokers of a suite: limit servers live for one turn, since they have no way to
// delete what they wrote, Sluice for one case, and others, whose warm-up takes a minute, until the end.
type stable struct {
	o        *Options
	programs limits.Programs
	lasting  map[Contender]*broker
	passing  map[Contender]*broker
	// broken holds why a lasting contender could not be started or warmed up: that takes a minute, and
	// is not tried again for every case.
	broken  map[Contender]error
	started int
}

func newStable(o *Options, programs limits.Programs) *stable {
	return &stable{
		o: o, programs: programs,
		lasting: map[Contender]*broker{}, passing: map[Contender]*broker{},
		broken: map[Contender]error{},
	}
}

func (c Contender) isLimit() bool { return strings.HasPrefix(c.Target, "limit-") }

// lasts says that the contender is kept from case to case.
func (c Contender) lasts() bool { return c.Target == "kafka" }

// get gives the contender, paused; a new one is started and, if it lasts, warmed up.
func (s *stable) get(ctx context.Context, c Contender) (*broker, error) {
	if b := s.passingOrLasting(c); b != nil {
		return b, nil
	}
	if err := s.pauseAll(); err != nil {
		return nil, err
	}
	if err := s.broken[c]; err != nil {
		return nil, fmt.Errorf("as before: %w", err)
	}
	b, err := s.start(ctx, c)
	if err != nil {
		return nil, s.breaks(ctx, c, fmt.Errorf("start %s: %w", c.Target, err))
	}
	if !c.lasts() {
		s.passing[c] = b
		return b, b.pause()
	}
	err = s.o.warm(ctx, b)
	if err == nil {
		err = errors.Join(s.o.awaitGone(ctx, b.dataDir, warmTopic), b.pause())
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("warm up %s: %w", c.Target, err), b.stop(context.WithoutCancel(ctx)))
		return nil, s.breaks(ctx, c, err)
	}
	s.lasting[c] = b
	return b, nil
}

// breaks remembers that a lasting contender is not to be had, unless it was us who gave up.
func (s *stable) breaks(ctx context.Context, c Contender, err error) error {
	if c.lasts() && ctx.Err() == nil {
		s.broken[c] = err
	}
	return err
}

// recover makes a stage of which nobody knows what it is in usable again: brokers of one case are
// ended, others paused, and those that cannot be paused any more ended too. What fails on the way is
// told in the log; the failure that led here is the one that counts.
func (s *stable) recover(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	if err := s.endCase(ctx); err != nil {
		s.o.say("  clearing up: %v", err)
	}
	for c, b := range s.lasting {
		err := b.pause()
		if err == nil {
			continue
		}
		delete(s.lasting, c)
		s.o.say("  clearing up: %v", errors.Join(err, b.stop(ctx)))
	}
}

func (s *stable) start(ctx context.Context, c Contender) (*broker, error) {
	s.started++
	dir := filepath.Join(s.o.WorkDir, fmt.Sprintf("%s-%d", c.Target, s.started))
	if c.isLimit() {
		return s.startLimit(ctx, c, dir)
	}
	instance, err := s.startPeer(ctx, c, dir)
	if err != nil {
		return nil, err
	}
	return ofInstance(instance, c), nil
}

func (s *stable) startPeer(ctx context.Context, c Contender, dir string) (*peers.Instance, error) {
	peer, err := peers.New(c.Target, peers.Settings{SluiceBinary: s.o.Binary})
	if err != nil {
		return nil, err
	}
	if err := peer.Install(ctx, s.o.Log); err != nil {
		return nil, err
	}
	options := peers.StartOptions{Dir: dir, HeapMiB: c.HeapMiB, RemoveData: true}
	if c.Target == "sluice" || c.Target == "kafka" {
		options.Overrides = overrides
	}
	return peer.Start(ctx, options)
}

func ofInstance(i *peers.Instance, c Contender) *broker {
	return &broker{
		target: result.Target{
			Name: i.Name, Version: i.Version, Addr: i.Addr, Command: i.Command, Variant: c.Variant(),
		},
		pid: i.Pid, admin: i.AdminAddr, dataDir: filepath.Join(i.Dir, "data"),
		pause: i.Pause, resume: i.Resume, stop: i.Stop,
	}
}

// appendBytesMax is more than any turn appends to one file. A limit server that began to write over
// what it wrote before would find its pages in memory, which no log does.
const appendBytesMax = 64 << 30

// limitOptions is what each limit server does, and no more.
var limitOptions = map[string]limits.ServerOptions{
	LimitSendfile:   {Append: true},
	LimitAppend:     {CheckCRC: true, Append: true, RetainBytes: appendBytesMax},
	LimitAppend2:    {CheckCRC: true, Append: true, RetainBytes: appendBytesMax, Threads: 2},
	LimitPing:       {},
	LimitPingAppend: {CheckCRC: true, Append: true, RetainBytes: appendBytesMax},
}

func (s *stable) startLimit(ctx context.Context, c Contender, dir string) (*broker, error) {
	options, ok := limitOptions[c.Target]
	if !ok {
		return nil, errors.New("no such limit server")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	options.Dir = dir
	server, err := limits.StartServer(context.WithoutCancel(ctx), s.programs, options)
	if err != nil {
		return nil, err
	}
	signal := func(sig syscall.Signal) error { return syscall.Kill(server.Pid, sig) }
	return &broker{
		target: result.Target{Name: c.Target, Version: "1", Addr: server.Addr, Command: server.Command()},
		pid:    server.Pid, raw: true, dataDir: dir,
		pause:  func() error { return signal(syscall.SIGSTOP) },
		resume: func(context.Context) error { return signal(syscall.SIGCONT) },
		stop: func(context.Context) error {
			_ = signal(syscall.SIGCONT)
			_, err := server.Stop()
			return errors.Join(err, os.RemoveAll(dir))
		},
	}, nil
}

// endTurn pauses a broker, or ends it if it lives for one turn. Before a pause what the turn wrote
// has to be gone: brokers delete files after they have said that a topic is deleted, and one that
// stands still would leave its gigabytes on the disk and in the page cache for the next to push out.
func (s *stable) endTurn(ctx context.Context, c Contender, topic string) error {
	if !c.isLimit() {
		b := s.passingOrLasting(c)
		return errors.Join(s.o.awaitGone(ctx, b.dataDir, topic), b.pause())
	}
	b := s.passing[c]
	delete(s.passing, c)
	return b.stop(ctx)
}

func (s *stable) passingOrLasting(c Contender) *broker {
	if b := s.lasting[c]; b != nil {
		return b
	}
	return s.passing[c]
}

// pauseAll stops every broker in place.
func (s *stable) pauseAll() error {
	var errs []error
	for _, all := range []map[Contender]*broker{s.lasting, s.passing} {
		for _, b := range all {
			errs = append(errs, b.pause())
		}
	}
	return errors.Join(errs...)
}

// endCase stops the brokers that live for one case.
func (s *stable) endCase(ctx context.Context) error {
	err := stopAll(ctx, s.passing, s.o.Log)
	s.passing = map[Contender]*broker{}
	return err
}

// close stops all brokers.
func (s *stable) close(ctx context.Context) error {
	return errors.Join(s.endCase(ctx), stopAll(ctx, s.lasting, s.o.Log))
}

func stopAll(ctx context.Context, all map[Contender]*broker, log io.Writer) error {
	var errs []error
	for c, b := range all {
		// A stopped process cannot end in order.
		if err := errors.Join(b.resume(ctx), b.stop(ctx)); err != nil {
			fmt.Fprintf(log, "stop %s: %v\n", c.Target, err)
			errs = append(errs, fmt.Errorf("stop %s: %w", c.Target, err))
		}
	}
	return errors.Join(errs...)
}
