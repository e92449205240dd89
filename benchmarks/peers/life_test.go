package peers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// From install to stop: it answers where it says, leads its own group, and leaves no process and,
// if asked, no data.
func TestLife(t *testing.T) {
	t.Parallel()
	eachPeer(t, func(t *testing.T, p Peer) {
		dir := t.TempDir()
		i := start(t, p, StartOptions{Dir: dir, RemoveData: true})
		if i.Name != p.Name() || i.Version == "" || i.ReadyAfter <= 0 || len(i.Command) == 0 {
			t.Errorf("instance: %+v", i)
		}
		if err := probeAPIVersions(t.Context(), i.Addr); err != nil {
			t.Error(err)
		}
		if group, err := unix.Getpgid(i.Pid); err != nil || group != i.Pid {
			t.Errorf("process group %d (%v), want %d", group, err, i.Pid)
		}
		for _, want := range []string{"BOOTSTRAP=" + i.Addr, "BROKER_PID=" + strconv.Itoa(i.Pid)} {
			if !slices.Contains(i.Env(), want) {
				t.Errorf("%s is not in %q", want, i.Env())
			}
		}
		w := watchProcess(t, i.Pid)
		if err := i.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if !w.ended(0) {
			t.Error("the process is there after Stop")
		}
		if err := i.Stop(t.Context()); err != nil {
			t.Errorf("second Stop: %v", err)
		}
		if err := unix.Kill(-i.Pid, 0); !errors.Is(err, unix.ESRCH) {
			t.Errorf("its process group after Stop: %v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, dataName)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the data folder after Stop: %v", err)
		}
		if _, err := os.Stat(i.Log); err != nil {
			t.Errorf("the log after Stop: %v", err)
		}
	})
}

// Without RemoveData the next instance finds the data of the one before, and an error shows only
// what the new one wrote into the common log.
func TestRestartKeepsData(t *testing.T) {
	t.Parallel()
	p, dir := newSluice(t), t.TempDir()
	var ids []string
	for range 2 {
		i := start(t, p, StartOptions{Dir: dir})
		if err := i.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(tail(i.Log, i.logStart), "sluice is ready"); n != 1 {
			t.Errorf("the instance's part of the log has %d starts", n)
		}
		text, err := os.ReadFile(filepath.Join(dir, dataName, "meta.properties"))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, string(text))
	}
	if ids[0] != ids[1] {
		t.Errorf("the cluster changed with the restart: %q", ids)
	}
}

// Two at once, of whatever kind, never share a port.
func TestPortsAreOwn(t *testing.T) {
	t.Parallel()
	p := newSluice(t)
	a, b := start(t, p, StartOptions{}), start(t, p, StartOptions{})
	all := []string{a.Addr, a.AdminAddr, b.Addr, b.AdminAddr}
	slices.Sort(all)
	if len(slices.Compact(all)) != 4 || slices.Contains(all, "") {
		t.Errorf("addresses %q", all)
	}
}

// Pause returns when each thread stands still; a request sent meanwhile is answered after Resume.
func TestPause(t *testing.T) {
	t.Parallel()
	eachPeer(t, func(t *testing.T, p Peer) {
		i := start(t, p, StartOptions{})
		for range 3 {
			pauseOnce(t, i)
		}
		if err := i.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func pauseOnce(t *testing.T, i *Instance) {
	t.Helper()
	for range 2 {
		if err := i.Pause(); err != nil {
			t.Fatal(err)
		}
	}
	tasks, err := filepath.Glob("/proc/" + strconv.Itoa(i.Pid) + "/task/*/status")
	if err != nil || len(tasks) == 0 {
		t.Fatalf("its threads: %v", err)
	}
	for _, path := range tasks {
		if state := statusField(t, path, "State"); !strings.HasPrefix(state, "T") {
			t.Errorf("%s: state %s", path, state)
		}
	}
	answer := make(chan error, 1)
	go func() { answer <- probeAPIVersions(context.Background(), i.Addr) }()
	for range 2 {
		if err := i.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-answer; err != nil {
		t.Errorf("the request of the pause: %v", err)
	}
}

// A broker that stands still can be stopped, in order.
func TestStopWhilePaused(t *testing.T) {
	t.Parallel()
	eachPeer(t, func(t *testing.T, p Peer) {
		i := start(t, p, StartOptions{})
		if err := i.Pause(); err != nil {
			t.Fatal(err)
		}
		w := watchProcess(t, i.Pid)
		if err := i.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if !w.ended(0) {
			t.Error("the process is there after Stop")
		}
	})
}

// A broker that dies is noticed by everything that is done with it.
func TestDeath(t *testing.T) {
	t.Parallel()
	eachPeer(t, func(t *testing.T, p Peer) {
		i := start(t, p, StartOptions{RemoveData: true})
		if err := unix.Kill(i.Pid, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-i.Done()
		for verb, err := range map[string]error{"pause": i.Pause(), "stop": i.Stop(t.Context())} {
			if !errors.Is(err, ErrEnded) || !strings.Contains(err.Error(), "signal: killed") {
				t.Errorf("%s: %v", verb, err)
			}
		}
	})
}

// Death in the middle of a pause ends Resume, too.
func TestDeathWhilePaused(t *testing.T) {
	t.Parallel()
	i := start(t, newSluice(t), StartOptions{})
	if err := i.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(i.Pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-i.Done()
	if err := i.Resume(t.Context()); !errors.Is(err, ErrEnded) {
		t.Errorf("resume: %v", err)
	}
}

// Run stops the broker also when the measuring fails, and says both.
func TestRun(t *testing.T) {
	t.Parallel()
	failure := errors.New("measured nothing")
	var w watch
	var log bytes.Buffer
	err := Run(t.Context(), newSluice(t), StartOptions{Dir: t.TempDir()}, &log,
		func(_ context.Context, i *Instance) error {
			w = watchProcess(t, i.Pid)
			return failure
		})
	if !errors.Is(err, failure) {
		t.Errorf("error %v", err)
	}
	if !w.ended(0) {
		t.Error("the process is there after Run")
	}
	if !strings.Contains(log.String(), "answers at 127.0.0.1:") {
		t.Errorf("log %q", log.String())
	}
}

func TestNew(t *testing.T) {
	for _, name := range Names() {
		if p, err := New(name, Settings{}); err != nil || p.Name() != name {
			t.Errorf("%s: %v %v", name, p, err)
		}
	}
	if _, err := New("redis", Settings{}); err == nil || !strings.Contains(err.Error(), "sluice, kafka") {
		t.Errorf("an unknown peer: %v", err)
	}
}

// A binary that is not there, or is something else, is an error before anything starts.
func TestSluiceBinary(t *testing.T) {
	t.Parallel()
	f := func(binary, want string) {
		t.Helper()
		for _, err := range []error{
			(&Sluice{Binary: binary}).Install(t.Context(), io.Discard),
			second((&Sluice{Binary: binary}).Start(t.Context(), StartOptions{Dir: t.TempDir()})),
		} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", binary, err, want)
			}
		}
	}
	f("", "make build")
	f("/nonexistent/sluice", "no such file")
	f("echo", "it says")
}

func second(_ *Instance, err error) error { return err }

func TestStartOptions(t *testing.T) {
	f := func(o StartOptions, want string) {
		t.Helper()
		if err := o.normalize(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	dir := t.TempDir()
	f(StartOptions{}, "Dir is empty")
	f(StartOptions{Dir: dir, HeapMiB: 8}, "8 MiB: it must be from 64 to 1048576")
	f(StartOptions{Dir: dir, CPUs: []int{0, -1}}, "processor -1")
	f(StartOptions{Dir: dir, CPUs: []int{1024}}, "processor 1024: it must be from 0 to 1023")
	f(StartOptions{Dir: dir, Overrides: map[string]string{"": "1"}}, "override")
	f(StartOptions{Dir: dir, Overrides: map[string]string{"a": "1\nb=2"}}, "one line")
	o := StartOptions{Dir: dir}
	if err := o.normalize(); err != nil || o.HeapMiB != 1024 {
		t.Errorf("defaults: %+v %v", o, err)
	}
}
