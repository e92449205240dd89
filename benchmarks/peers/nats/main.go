// Command nats measures how fast a NATS server with JetStream takes and gives messages: throughput
// only, by the server's own Go client, as a process apart from the server.
//
//	nats publish -addr HOST:PORT -streams 16 -connections 4 -record-bytes 1024 -in-flight 4096
//	nats consume -addr HOST:PORT -streams 16 -connections 4 -batch 500
//
// A stream with file storage and one subject stands for a Kafka partition: it is the unit of order
// there. Publishing is asynchronous, with a bounded number of messages that are not acknowledged
// yet, and counts acknowledgements; JetStream acknowledges what is written to its file, which, by
// its default sync_interval, is synced every two minutes, as with Kafka's defaults it is not waited
// for. Consuming uses pull consumers that keep a batch on its way, without acknowledgements, and
// checks that the sequence numbers of each stream follow each other; at a stream's end it begins
// anew.
//
// The result is one JSON object on standard output. The exit code is 1 if anything failed.
// No latency is measured, and none may be concluded.
//
// It is a module by itself, so that Sluice does not depend on it. The server is built from the same
// module, unchanged (the tool line of go.mod).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// options are what both measurements are asked to do.
type options struct {
	mode        string
	addr        string
	streams     int
	connections int
	recordBytes int
	inFlight    int // per connection
	batch       int // of a pull request
	warmup      time.Duration
	duration    time.Duration
}

// report is the JSON on standard output. Records and Bytes (of payload) are those of the Seconds
// after the warm-up.
type report struct {
	Mode             string           `json:"mode"`
	ServerVersion    string           `json:"server_version"`
	Streams          int              `json:"streams"`
	Connections      int              `json:"connections"`
	RecordBytes      int              `json:"record_bytes"`
	InFlight         int              `json:"in_flight,omitempty"`
	Batch            int              `json:"batch,omitempty"`
	WarmupSeconds    float64          `json:"warmup_seconds"`
	Records          int64            `json:"records"`
	Bytes            int64            `json:"bytes"`
	Seconds          float64          `json:"seconds"`
	RecordsPerSecond float64          `json:"records_per_second"`
	MBPerSecond      float64          `json:"mb_per_second"` // 10⁶ bytes
	CPUSeconds       float64          `json:"driver_cpu_seconds"`
	Errors           map[string]int64 `json:"errors,omitempty"`
	Note             string           `json:"note"`
}

func main() {
	o, err := parse(os.Args[1:])
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(0)
		}
		fmt.Fprintln(os.Stderr, "nats:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := run(ctx, o)
	if r != nil {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		err = errors.Join(err, out.Encode(r))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "nats:", err)
		os.Exit(1)
	}
}

func parse(args []string) (*options, error) {
	if len(args) == 0 || args[0] != "publish" && args[0] != "consume" {
		return nil, errors.New("the first argument must be publish or consume")
	}
	o := &options{mode: args[0]}
	f := flag.NewFlagSet("nats "+o.mode, flag.ContinueOnError)
	f.StringVar(&o.addr, "addr", "127.0.0.1:4222", "the server's `host:port`")
	f.IntVar(&o.streams, "streams", 16, "streams, each with one subject")
	f.IntVar(&o.connections, "connections", 4, "connections, which share the streams")
	f.IntVar(&o.recordBytes, "record-bytes", 1024, "payload of a message")
	f.IntVar(&o.inFlight, "in-flight", 4096, "messages of a connection not yet acknowledged")
	f.IntVar(&o.batch, "batch", 500, "messages that a pull request asks for")
	f.DurationVar(&o.warmup, "warmup", 2*time.Second, "time before the measurement")
	f.DurationVar(&o.duration, "duration", 10*time.Second, "time of the measurement")
	if err := f.Parse(args[1:]); err != nil {
		return nil, err
	}
	return o, o.check()
}

func (o *options) check() error {
	for _, b := range []struct {
		name            string
		value, min, max int
	}{
		{"streams", o.streams, 1, 10_000},
		{"connections", o.connections, 1, o.streams},
		{"record-bytes", o.recordBytes, 1, 64 << 20},
		{"in-flight", o.inFlight, 1, 1 << 20},
		{"batch", o.batch, 1, 100_000},
		{"duration (in ms)", int(o.duration / time.Millisecond), 1, 24 * 3600 * 1000},
		{"warmup (in ms)", int(o.warmup / time.Millisecond), 0, 24 * 3600 * 1000},
	} {
		if b.value < b.min || b.value > b.max {
			return fmt.Errorf("-%s %d: it must be from %d to %d", b.name, b.value, b.min, b.max)
		}
	}
	return nil
}

// counters are shared by all workers.
type counters struct {
	records atomic.Int64
	bytes   atomic.Int64

	mu     sync.Mutex // guards errors
	errors map[string]int64
}

func (c *counters) add(bytes int) {
	c.records.Add(1)
	c.bytes.Add(int64(bytes))
}

func (c *counters) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.errors == nil {
		c.errors = map[string]int64{}
	}
	c.errors[err.Error()]++
}

// worker is one connection with its share of the streams.
type worker struct {
	o       *options
	c       *counters
	js      jetstream.JetStream
	streams []string
	free    chan struct{} // publish: one token for each message that may be under way
}

// run connects the workers, lets them work for warm-up and duration, and counts the latter.
func run(parent context.Context, o *options) (*report, error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	c := &counters{}
	var workers []*worker
	version := ""
	for n := range o.connections {
		conn, err := nats.Connect("nats://"+o.addr, nats.NoReconnect(), nats.ClosedHandler(func(nc *nats.Conn) {
			cancel(fmt.Errorf("connection lost: %w", errors.Join(nats.ErrConnectionClosed, nc.LastError())))
		}))
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w", o.addr, err)
		}
		defer conn.Close()
		w, err := newWorker(o, c, conn, n)
		if err != nil {
			return nil, err
		}
		version = conn.ConnectedServerVersion()
		workers = append(workers, w)
	}
	if o.mode == "publish" {
		for _, w := range workers {
			if err := w.createStreams(ctx); err != nil {
				return nil, err
			}
		}
	}
	var wg sync.WaitGroup
	for _, w := range workers {
		wg.Go(func() {
			if err := w.work(ctx); err != nil && ctx.Err() == nil {
				c.fail(err)
				cancel(err)
			}
		})
	}
	r := measure(ctx, o, c)
	err := context.Cause(ctx)
	cancel(nil)
	wg.Wait()
	r.ServerVersion, r.Errors = version, c.errors
	switch {
	case err != nil:
		return r, fmt.Errorf("ended before its time: %w", err)
	case len(c.errors) > 0:
		return r, fmt.Errorf("%d kinds of errors", len(c.errors))
	case r.Records == 0:
		return r, errors.New("no message went through in the measured time")
	}
	return r, nil
}

// measure waits for the warm-up, then for the duration, and reports what was counted in between.
func measure(ctx context.Context, o *options, c *counters) *report {
	sleep(ctx, o.warmup)
	begin, cpu := time.Now(), cpuSeconds()
	records, bytes := c.records.Load(), c.bytes.Load()
	sleep(ctx, o.duration)
	r := &report{
		Mode: o.mode, Streams: o.streams, Connections: o.connections, RecordBytes: o.recordBytes,
		WarmupSeconds: o.warmup.Seconds(),
		Records:       c.records.Load() - records, Bytes: c.bytes.Load() - bytes,
		Seconds: time.Since(begin).Seconds(), CPUSeconds: cpuSeconds() - cpu,
		Note: "throughput only; acknowledged when written, synced in the background",
	}
	if o.mode == "publish" {
		r.InFlight = o.inFlight
	} else {
		r.Batch = o.batch
	}
	r.RecordsPerSecond = float64(r.Records) / r.Seconds
	r.MBPerSecond = float64(r.Bytes) / 1e6 / r.Seconds
	return r
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// cpuSeconds is the processor time of this process, user and system (getrusage(2)).
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("BUG: " + err.Error())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
