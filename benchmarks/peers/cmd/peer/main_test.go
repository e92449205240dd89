package main

import (
	"io"
	"slices"
	"strings"
	"testing"

	"sluice/benchmarks/peers"
)

func TestParse(t *testing.T) {
	line := "kafka -cpus 0,2 -heap 256 -override a=b=c -bench x -bench y -dir d"
	o, err := parse(strings.Fields(line), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.name != "kafka" || !slices.Equal(o.start.CPUs, []int{0, 2}) || o.start.HeapMiB != 256 ||
		o.start.Overrides["a"] != "b=c" || !slices.Equal(o.bench, []string{"x", "y"}) || o.start.Dir != "d" {
		t.Errorf("options %+v", o)
	}
	f := func(line, want string) {
		t.Helper()
		_, err := parse(strings.Fields(line), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
	f("", "usage: peer sluice|kafka|kfake|nats")
	f("-heap 1", "usage")
	f("kafka more", "usage")
	f("kafka -cpus 0-3", `"0-3" is not the number of a processor`)
	f("kafka -override a", "name=value")
	f("kafka -heap much", "invalid value")
}

// A command sees the broker in its environment, and its failure is the run's.
func TestBench(t *testing.T) {
	i := &peers.Instance{Addr: "127.0.0.1:9", Pid: 77}
	if err := bench(t.Context(), i, `test "$BOOTSTRAP $BROKER_PID" = "127.0.0.1:9 77"`); err != nil {
		t.Error(err)
	}
	if err := bench(t.Context(), i, "exit 4"); err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("a command that fails: %v", err)
	}
}

func TestUnknownPeer(t *testing.T) {
	if err := run(t.Context(), &options{name: "redis"}); err == nil || !strings.Contains(err.Error(), "redis") {
		t.Errorf("error %v", err)
	}
}
