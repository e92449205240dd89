package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/measure"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// Run carries out one run: it makes the topics, places broker and client, lets the client work with
// the meters beside it, takes the topics away again, and judges what was seen.
//
// The error is that of options which are impossible, and nothing was done then. Whatever goes wrong
// later is in the result's Error: a broker that is not there, does not answer, dies or answers with
// errors still gives a result, with what was seen until then. So does a context that ends.
func Run(ctx context.Context, o Options) (*result.Result, error) {
	spec := o.Spec.Normalize()
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if err := checkOpenFiles(spec); err != nil {
		return nil, err
	}
	if o.Client == nil {
		o.Client = clientOf(spec)
	}
	r := &run{o: o, spec: spec, res: newResult(o, spec)}
	err := r.prepare(ctx)
	if err == nil {
		err = r.measure(ctx)
	}
	r.conclude(ctx, err)
	return r.res, nil
}

// newResult is a result of which nothing is known yet but what was asked.
func newResult(o Options, spec workload.Spec) *result.Result {
	who := o.Who
	if who.Name == "" {
		who.Name = "broker"
	}
	if who.Addr == "" {
		who.Addr = strings.Join(o.Target.Addrs, ",")
	}
	loop := "closed"
	if spec.Search != nil {
		loop = "search"
	} else if spec.Open() || spec.Mode == workload.Connections {
		loop = "open"
	}
	asked := spec.Rate
	if spec.Mode == workload.Connections {
		asked = 0 // of pings, which are a probe and no load
	}
	return &result.Result{
		Schema: result.SchemaVersion, Target: who, Spec: spec, Command: o.Command, Plan: o.Plan,
		Started: time.Now(), Loop: loop, AskedRate: asked, Stages: map[string]*result.Histogram{},
	}
}

// run is one call of Run.
type run struct {
	o    Options
	spec workload.Spec
	res  *result.Result
	// pid is the broker's process, 0 if it is not known.
	pid int
	// admin is the address of the broker's metrics, "" if there are none.
	admin  string
	topics *topics
	undo   []func() error
}

// prepare does everything that comes before the client.
func (r *run) prepare(ctx context.Context) error {
	if !r.o.Target.Raw {
		adm, err := reach(ctx, r.o.Target.Addrs)
		if err != nil {
			return err
		}
		r.topics = &topics{adm: adm}
		r.undo = append(r.undo, func() error { adm.Close(); return nil })
	}
	if err := r.findBroker(); err != nil {
		return err
	}
	if r.needsTopics() {
		if !r.spec.Keep {
			r.undo = append(r.undo, func() error {
				if r.died() {
					return nil
				}
				clean, cancel := detached(ctx, cleanTimeout)
				defer cancel()
				return r.topics.remove(clean)
			})
		}
		if err := r.topics.make(ctx, r.spec, r.o.UseExisting); err != nil {
			return err
		}
	}
	return r.place()
}

// needsTopics reports whether the topics must exist before the client begins.
func (r *run) needsTopics() bool { return !r.o.Target.Raw && (r.spec.Produces() || r.spec.Consumes()) }

// measure lets the client work, once or, in a search, as often as it takes.
func (r *run) measure(ctx context.Context) error {
	if r.spec.Search == nil {
		seen := r.carry(ctx, r.spec)
		r.take(seen)
		return seen.err
	}
	return r.search(ctx)
}

// take copies what a client saw into the result.
func (r *run) take(seen *seen) {
	out := seen.outcome
	res := r.res
	res.Seconds, res.Interrupted = out.Seconds, res.Interrupted || out.Interrupted
	res.Produced, res.Consumed, res.Burst = out.Produced, out.Consumed, out.Burst
	res.Errors, res.Series, res.Figures = out.Errors, out.Series, out.Figures
	res.AllocsPerRequest = out.AllocsPerRequest
	res.Notes = append(res.Notes, out.Notes...)
	res.Stages = map[string]*result.Histogram{}
	for name, h := range out.Stages {
		if h != nil && h.Count() > 0 {
			res.Stages[name] = h
		}
	}
	res.Usage = seen.usage
	if seen.usage != nil {
		res.BrokerStages = explain(seen.usage.Stages, res.Stages)
	}
	res.AchievedRate = achieved(r.spec, out)
	memoryEach(res)
}

// memoryEach adds the broker's memory for each connection or partition of the run: what it grew by
// in measured time, which begins without any and ends with all. The kernel's own memory for sockets
// and files is not in it.
func memoryEach(res *result.Result) {
	if res.Usage == nil || res.Usage.Broker == nil || res.Figures == nil {
		return
	}
	name, n := "", 0.0
	switch res.Spec.Mode {
	case workload.Connections:
		name, n = "rss_per_connection_bytes", res.Figures["connections"]
	case workload.Topics:
		name, n = "rss_per_partition_bytes", res.Figures["partitions"]
	}
	if n > 0 {
		b := res.Usage.Broker
		res.Figures[name] = float64(b.MemoryEnd.RSSBytes-b.MemoryStart.RSSBytes) / n
	}
}

// conclude undoes what prepare did, and judges.
func (r *run) conclude(ctx context.Context, err error) {
	if r.spec.Keep && r.topics != nil && len(r.topics.created) > 0 {
		r.note("the topics were kept: %s", summarize(r.topics.created))
	}
	for i := len(r.undo) - 1; i >= 0; i-- {
		if e := r.undo[i](); e != nil && err == nil {
			r.note("%v", e)
		}
	}
	res := r.res
	var died *brokerDiedError
	switch {
	case err == nil:
	case errors.As(err, &died):
		res.Error = died.Error()
	case ctx.Err() != nil:
		res.Interrupted = true
		if res.Seconds == 0 {
			res.Error = "interrupted before measured time began"
		}
	default:
		res.Error = sentence(err)
	}
	Judge(res)
}

func (r *run) note(format string, args ...any) {
	r.res.Notes = append(r.res.Notes, fmt.Sprintf(format, args...))
}

func summarize(names []string) string {
	if len(names) <= 3 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s … %s (%d)", names[0], names[len(names)-1], len(names))
}

// sentence gives an error's text in one line.
func sentence(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

// seen is what came of one call of the client.
type seen struct {
	outcome drive.Outcome
	usage   *measure.Usage
	err     error
}

// Grace beyond what a client should need, before it is told to stop, and before it is given up.
const (
	carryGrace  = 60 * time.Second
	returnGrace = 15 * time.Second
	// preloadRateMin is the slowest preload, in bytes per second, that is still waited for.
	preloadRateMin = 4 << 20
)

// carry calls the client once, with meters and a watch on the broker beside it. It returns even if
// the client does not.
func (r *run) carry(parent context.Context, spec workload.Spec) *seen {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	limit := spec.Warmup.D() + spec.Duration.D() + drive.DrainTimeout + carryGrace +
		time.Duration(spec.Preload/preloadRateMin)*time.Second
	tooLong := time.AfterFunc(limit, func() {
		cancel(fmt.Errorf("the client was not done after %s", limit))
	})
	defer tooLong.Stop()
	stopWatch := r.watchBroker(cancel)
	m := newMeters(r)
	done := make(chan seen, 1)
	go func() {
		out, err := r.o.Client(ctx, r.o.Target, spec,
			drive.Hooks{Begin: m.begin, End: m.end, Live: r.o.Live})
		done <- seen{outcome: out, err: err}
	}()
	s := r.await(ctx, done)
	stopWatch()
	m.end()
	s.usage = m.usage()
	// "Interrupted" means by hand, and not that a run was ended because it made no sense any more.
	s.outcome.Interrupted = parent.Err() != nil
	if s.err == nil || ctx.Err() != nil {
		// Why the context ended says more than that the client noticed it.
		if cause := context.Cause(ctx); cause != nil {
			s.err = cause
		}
	}
	if r.died() {
		s.err = &brokerDiedError{r.pid}
	}
	return s
}

// await waits for the client; after the end of the context only so long.
func (r *run) await(ctx context.Context, done <-chan seen) *seen {
	select {
	case s := <-done:
		return &s
	case <-ctx.Done():
	}
	select {
	case s := <-done:
		return &s
	case <-time.After(returnGrace + drive.DrainTimeout):
		return &seen{err: errors.New("the client did not return after it was told to stop")}
	}
}
