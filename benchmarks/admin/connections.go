package admin

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

const (
	// openers is how many connections are being opened at once, and pingers how many are asked.
	openers = 64
	pingers = 16
	// perSource is how many connections come from one loopback address.
	perSource = 20_000
	// stepTimeout bounds a connect, a handshake, and a ping.
	stepTimeout = 10 * time.Second
)

// Connections carries out mode connections.
func Connections(ctx context.Context, target drive.Target, spec workload.Spec, hooks drive.Hooks,
) (drive.Outcome, error) {
	if len(target.Addrs) == 0 {
		return drive.Outcome{}, errors.New("no broker to connect to")
	}
	c := &crowd{target: target, spec: spec, tally: newTally(), conns: make([]net.Conn, spec.Connections)}
	defer c.close()
	c.left.Store(int64(spec.Connections))
	stop := c.tally.live(hooks, c.left.Load)
	start := time.Now()
	call(hooks.Begin)
	err := c.open(ctx)
	opened := time.Since(start)
	if err == nil {
		c.hold(ctx)
	}
	end := time.Since(start)
	call(hooks.End)
	stop()
	lost := c.lost()
	out := c.tally.outcome(end, ctx.Err() != nil)
	open := c.opened.Load()
	out.Figures = map[string]float64{
		"connections":            float64(open),
		"connections_asked":      float64(spec.Connections),
		"connections_lost":       float64(lost),
		"open_per_second":        float64(open) / opened.Seconds(),
		"open_seconds":           opened.Seconds(),
		"pings_per_second":       float64(c.tally.count(result.StagePing)) / max(1e-9, (end-opened).Seconds()),
		"pings_asked_per_second": spec.Rate,
	}
	if lost > 0 {
		out.Errors[drive.ErrorConnectionLost] += int64(lost)
	}
	if err == nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return out, err
}

func call(f func()) {
	if f != nil {
		f()
	}
}

// crowd is all connections of a run.
type crowd struct {
	target drive.Target
	spec   workload.Spec
	tally  *tally
	// conns is written at each index by the worker that opens it, and only read after that.
	conns  []net.Conn
	opened atomic.Int64
	left   atomic.Int64
}

// open opens all connections. It gives up when none could be opened for drive.FailAfter.
func (c *crowd) open(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	var next, lastNanos atomic.Int64
	start := time.Now()
	var workers sync.WaitGroup
	for range min(openers, c.spec.Connections) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(c.conns) {
					return
				}
				err := c.openOne(ctx, i)
				c.left.Add(-1)
				now := int64(time.Since(start))
				if err == nil {
					c.opened.Add(1)
					lastNanos.Store(now)
					continue
				}
				if ctx.Err() != nil {
					return
				}
				c.tally.fail(errorName(err))
				if now-lastNanos.Load() > int64(drive.FailAfter) {
					cancel(fmt.Errorf("no connection could be opened for %s: %s", drive.FailAfter, describe(err)))
				}
			}
		})
	}
	workers.Wait()
	if c.opened.Load() == 0 && ctx.Err() == nil {
		return fmt.Errorf("no connection could be opened: %s", c.tally.errorList())
	}
	return context.Cause(ctx)
}

// openOne opens one connection and times it.
func (c *crowd) openOne(ctx context.Context, i int) error {
	addr := c.target.Addrs[i%len(c.target.Addrs)]
	d := net.Dialer{Timeout: stepTimeout, KeepAlive: -1, LocalAddr: source(addr, i)}
	start := time.Now()
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	connected := time.Since(start)
	if !c.target.Raw {
		stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
		err = ask(conn, int32(i), start.Add(stepTimeout))
		stop()
	}
	if err != nil {
		conn.Close()
		return err
	}
	c.conns[i] = conn
	c.tally.record(result.StageConnect, connected)
	c.tally.record(result.StageHandshake, time.Since(start))
	return nil
}

// source is the local address of the i-th connection: the kernel's choice, but for loopback targets
// of more connections than one address has ports for.
func source(addr string, i int) net.Addr {
	if i < perSource {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil || (host != "localhost" && !net.ParseIP(host).IsLoopback()) ||
		net.ParseIP(host).To4() == nil && host != "localhost" {
		return nil
	}
	n := 1 + i/perSource
	return &net.TCPAddr{IP: net.IPv4(127, 0, byte(n>>8), byte(n))}
}

// hold keeps the connections open for the run's duration and pings random ones on schedule. What is
// due and not yet answered then gets drive.DrainTimeout.
func (c *crowd) hold(parent context.Context) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	idle := &idle{}
	for i, conn := range c.conns {
		if conn != nil {
			idle.free = append(idle.free, i)
		}
	}
	// What is due after measured time is not sent, so that only answers are waited for then.
	drained := time.AfterFunc(c.spec.Duration.D()+drive.DrainTimeout, cancel)
	defer drained.Stop()
	plan := &plan{start: time.Now(), rate: c.spec.Rate, d: c.spec.Duration.D()}
	var workers sync.WaitGroup
	for w := range min(pingers, len(idle.free)) {
		rng := rand.New(rand.NewPCG(c.spec.Seed, uint64(w)))
		workers.Go(func() {
			for {
				at, ok := plan.take()
				if !ok || !sleepUntil(ctx, at) {
					return
				}
				c.ping(parent, ctx, idle, rng, at)
			}
		})
	}
	workers.Wait()
	sleep(parent, time.Until(plan.start.Add(plan.d)))
	if parent.Err() == nil {
		for ctx.Err() != nil {
			if _, ok := plan.take(); !ok {
				break
			}
			c.tally.fail(drive.ErrorUnanswered)
		}
	}
}

// plan says when pings are due. Event i is due at start + i/rate, whatever became of those before it.
type plan struct {
	start time.Time
	rate  float64 // per second
	d     time.Duration
	next  atomic.Int64
}

// take gives the next event to one caller; false if it would be due after the end.
func (p *plan) take() (time.Time, bool) {
	i := p.next.Add(1) - 1
	after := time.Duration(float64(i) / p.rate * float64(time.Second))
	return p.start.Add(after), after < p.d
}

// idle are the connections on which nothing is under way.
type idle struct {
	mu   sync.Mutex // guards free
	free []int
}

// take gives a random connection to one caller; false if none is left.
func (p *idle) take(rng *rand.Rand) (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) == 0 {
		return 0, false
	}
	at, last := rng.IntN(len(p.free)), len(p.free)-1
	i := p.free[at]
	p.free[at] = p.free[last]
	p.free = p.free[:last]
	return i, true
}

func (p *idle) give(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, i)
}

// ping asks one connection. One that failed is not asked again: its answer may still come.
func (c *crowd) ping(run, drain context.Context, idle *idle, rng *rand.Rand, at time.Time) {
	if run.Err() != nil {
		return
	}
	i, ok := idle.take(rng)
	if !ok {
		c.tally.fail(drive.ErrorConnectionLost)
		return
	}
	if drain.Err() != nil {
		c.tally.fail(drive.ErrorUnanswered)
		return
	}
	c.tally.record(result.StageLag, time.Since(at))
	conn := c.conns[i]
	stop := context.AfterFunc(drain, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err := ask(conn, int32(i), time.Now().Add(stepTimeout))
	stop()
	if err == nil {
		c.tally.record(result.StagePing, time.Since(at))
		idle.give(i)
	} else if run.Err() == nil {
		c.tally.fail(errorName(err))
	}
}

// timerSlack is how late the runtime's timers may be: an idle one waits in epoll_wait(2), which
// counts milliseconds.
const timerSlack = 2 * time.Millisecond

// sleepUntil waits for a time to within some tens of microseconds, the last part of it in the kernel
// instead of in the runtime. It reports whether it waited to the end.
func sleepUntil(ctx context.Context, at time.Time) bool {
	if !sleep(ctx, time.Until(at)-timerSlack) {
		return false
	}
	for rest := time.Until(at); rest > 0; rest = time.Until(at) {
		t := unix.NsecToTimespec(int64(rest))
		// A signal cuts it short; then the rest is waited for.
		_ = unix.Nanosleep(&t, nil)
	}
	return true
}

// sleep waits, and reports whether it waited to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// lost counts the connections that the broker has closed, those aside that a ping found out about.
func (c *crowd) lost() int {
	n := 0
	for _, conn := range c.conns {
		if conn != nil && closed(conn) {
			n++
		}
	}
	return n
}

func (c *crowd) close() {
	for _, conn := range c.conns {
		if conn != nil {
			conn.Close()
		}
	}
}
