package benchmarks

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/measure"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// well is what a client sees when nothing goes wrong.
func well(s workload.Spec) drive.Outcome {
	n := result.Count{Records: 1000, Bytes: 1e6, Requests: 100, Seconds: s.Duration.D().Seconds()}
	return drive.Outcome{
		Seconds: n.Seconds, Produced: n, Consumed: n,
		Stages: map[string]*result.Histogram{"ack": histogram(1000, 1e6), "empty": result.NewHistogram()},
	}
}

// raw are options of a run that needs no broker.
func raw(c drive.Client) Options {
	return Options{Target: drive.Target{Raw: true, Addrs: []string{"127.0.0.1:1"}}, BrokerPid: -1, Admin: "-", Client: c}
}

// process starts a program that does nothing and ends with the test.
func process(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// TestRunFillsIn: what the client saw, what was asked, and the meters are in the result.
func TestRunFillsIn(t *testing.T) {
	t.Parallel()
	o := raw(func(_ context.Context, _ drive.Target, s workload.Spec, h drive.Hooks) (drive.Outcome, error) {
		h.Begin()
		h.End()
		h.End()
		return well(s), nil
	})
	o.BrokerPid = process(t).Process.Pid
	o.Plan = result.Plan{Case: "c", Pair: 3}
	o.Command = []string{"sluice", "bench"}
	res, err := Run(t.Context(), o)
	if err != nil || res.Error != "" || len(res.Invalid) > 0 {
		t.Fatalf("%v %+v", err, res)
	}
	if res.Schema != result.SchemaVersion || res.Plan.Pair != 3 || res.Spec.InFlight == 0 || res.Label != "burst" ||
		res.Target.Name != "broker" || res.Target.Addr != "127.0.0.1:1" || res.Command[1] != "bench" {
		t.Errorf("%+v", res)
	}
	if res.Stages["empty"] != nil || res.Stages["ack"].Count() != 1000 {
		t.Errorf("%v", res.Stages)
	}
	u := res.Usage
	if u == nil || u.Broker == nil || u.Broker.Pid != o.BrokerPid || u.Generator == nil {
		t.Errorf("%+v", u)
	}
}

// TestRunRefuses: impossible options end before anything is done.
func TestRunRefuses(t *testing.T) {
	t.Parallel()
	o := raw(func(context.Context, drive.Target, workload.Spec, drive.Hooks) (drive.Outcome, error) {
		t.Error("the client was called")
		return drive.Outcome{}, nil
	})
	o.Spec.InFlight = -5
	res, err := Run(t.Context(), o)
	var option *workload.OptionError
	if res != nil || !errors.As(err, &option) || err.Error() != "--in-flight -5: must be 1 to 1000" {
		t.Errorf("%v %v", res, err)
	}
	o.Spec = workload.Spec{Mode: workload.Connections, Connections: 1_000_000}
	if err := checkOpenFiles(o.Spec); err != nil && !strings.HasPrefix(err.Error(), "--connections 1000000: must be 1 to ") {
		t.Error(err)
	}
	if runtime.NumCPU() > 1 {
		o.Spec = workload.Spec{Placement: workload.Pinned}
		res, err := Run(t.Context(), o)
		if err != nil || !strings.Contains(res.Error, "--placement pinned: the broker's process is not known") {
			t.Errorf("%v %+v", err, res)
		}
	}
	o.Spec, o.BrokerPid = workload.Spec{}, 1<<22+1
	if res, err := Run(t.Context(), o); err != nil || !strings.Contains(res.Error, "there is no such process") {
		t.Errorf("%v %+v", err, res)
	}
}

// TestBrokerDies: the end of the broker's process ends the run, whatever the client thinks.
func TestBrokerDies(t *testing.T) {
	t.Parallel()
	broker := process(t)
	o := raw(func(ctx context.Context, _ drive.Target, s workload.Spec, h drive.Hooks,
	) (drive.Outcome, error) {
		h.Begin()
		if err := broker.Process.Kill(); err != nil {
			t.Error(err)
		}
		<-ctx.Done()
		out := well(s)
		out.Interrupted = true
		return out, nil
	})
	o.BrokerPid, o.watchEvery = broker.Process.Pid, time.Millisecond
	res, err := Run(t.Context(), o)
	if err != nil || !strings.Contains(res.Error, "ended during the run") || res.Interrupted {
		t.Errorf("%v %+v", err, res)
	}
	if res.Produced.Records != 1000 {
		t.Error("what was seen until then is lost")
	}
}

// TestInterrupted: the end of the context gives the report so far.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	o := raw(func(ctx context.Context, _ drive.Target, s workload.Spec, h drive.Hooks,
	) (drive.Outcome, error) {
		h.Begin()
		cancel()
		<-ctx.Done()
		out := well(s)
		out.Seconds = 3
		return out, ctx.Err()
	})
	res, err := Run(ctx, o)
	if err != nil || !res.Interrupted || res.Error != "" || res.Seconds != 3 || res.Usage == nil ||
		strings.Join(res.Invalid, "") != "interrupted after 3s of 30s" || res.Stages["ack"] == nil {
		t.Errorf("%v %+v", err, res)
	}
	o = raw(func(ctx context.Context, _ drive.Target, _ workload.Spec, _ drive.Hooks) (drive.Outcome, error) {
		return drive.Outcome{}, ctx.Err()
	})
	res, err = Run(ctx, o)
	if err != nil || !res.Interrupted || res.Error != "interrupted before measured time began" {
		t.Errorf("%v %+v", err, res)
	}
}

// TestPinned: both processes run on their halves while the client works, and where they were after it.
func TestPinned(t *testing.T) {
	all, err := measure.CurrentAffinity(0)
	if err != nil || len(all) < 2 {
		t.Skipf("this process may run on processors %v: %v", all, err)
	}
	broker := process(t)
	pid := broker.Process.Pid
	o := raw(func(_ context.Context, _ drive.Target, s workload.Spec, _ drive.Hooks) (drive.Outcome, error) {
		theirs, err := measure.CurrentAffinity(pid)
		if err != nil || len(theirs) != len(all)/2 || theirs[0] != all[0] {
			t.Errorf("%v %v", theirs, err)
		}
		return well(s), nil
	})
	o.BrokerPid, o.Spec.Placement = pid, workload.Pinned
	res, err := Run(t.Context(), o)
	if err != nil || res.Error != "" || !strings.Contains(strings.Join(res.Notes, ""), "pinned: broker on processors") {
		t.Errorf("%v %+v", err, res)
	}
	if after, err := measure.CurrentAffinity(pid); err != nil || len(after) != len(all) {
		t.Errorf("%v %v", after, err)
	}
}

// TestUnreachable: a listener that closes at once, one that is not there, and a name that is not
// known are each one sentence.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	f := func(addr, want string) {
		t.Helper()
		o := raw(nil)
		o.Target = drive.Target{Addrs: []string{addr}}
		res, err := Run(t.Context(), o)
		if err != nil || !strings.HasPrefix(res.Error, "cannot reach a broker at "+addr) ||
			!strings.Contains(res.Error, want) || len(res.Stages) > 0 {
			t.Errorf("%v %+v", err, res)
		}
	}
	f(l.Addr().String(), "closed at once")
	f("127.0.0.1:1", "connection refused")
	f("no-such-host.invalid:9092", "no-such-host.invalid")
}
