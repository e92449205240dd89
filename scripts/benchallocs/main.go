// Benchallocs shows that the hot paths make no garbage: it starts the built broker, sends it a
// million each of produce, fetch and empty long-poll requests as ready-made bytes over TCP, and
// divides the growth of the broker's own count of heap objects by the number of requests. It ends
// with exit code 1 when a goal is missed.
//
//	go run ./scripts/benchallocs -bin bin/sluice
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	"sluice/scripts/internal/rig"
)

// objectsGoal is the number of heap objects that a request may cost.
const objectsGoal = 0.01

// objectsMetric is the runtime's /gc/heap/allocs:objects, as the broker serves it.
const objectsMetric = "go_gc_heap_allocs_objects_total"

// warmUp requests fill pools and caches before the count begins.
const warmUp = 20_000

const topic = "allocs"

type options struct {
	bin         string
	requests    int
	connections int
	pipeline    int
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin/sluice", "the broker's binary")
	flag.IntVar(&o.requests, "requests", 1_000_000, "requests of each kind")
	flag.IntVar(&o.connections, "connections", 64, "connections that send them")
	flag.IntVar(&o.pipeline, "pipeline", 8, "produce and fetch requests in one write on each connection")
	flag.Parse()
	met, err := run(&o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchallocs:", err)
		os.Exit(2)
	}
	if !met {
		os.Exit(1)
	}
}

func run(o *options) (met bool, err error) {
	dir, err := os.MkdirTemp("", "benchallocs-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	b, err := rig.Start(o.bin, dir)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, b.Stop()) }()
	if _, err := b.FirstAnswer(); err != nil {
		return false, err
	}
	kinds, err := prepare(b, o.pipeline)
	if err != nil {
		return false, err
	}
	if err := showNoise(b); err != nil {
		return false, err
	}
	met = true
	for _, k := range kinds {
		ok, err := measure(b, o, &k)
		if err != nil {
			return false, fmt.Errorf("%s: %w", k.name, err)
		}
		met = met && ok
	}
	return met, nil
}

// kind is one kind of request: the same bytes every time.
type kind struct {
	name  string
	frame []byte
	// pipeline is how many are sent in one write.
	pipeline int
	// proof is a counter of the broker's that each request raises by so much, if it did what it is
	// here for: without it, a million refusals would look like a success.
	proof string
	each  int
}

// The counters that prove it.
const (
	producedBytes = `sluice_request_payload_bytes_total{request="Produce"}`
	fetchedBytes  = `sluice_request_payload_bytes_total{request="Fetch"}`
	polls         = `sluice_request_stage_seconds_count{request="Fetch",stage="poll"}`
	failures      = `sluice_requests_failed_total{request="Produce"}`
)

// proofShare is the part of the requests that must have done it: a busy machine may let the time of
// some long polls pass before they are looked at.
const proofShare = 0.99

// prepare makes the topic, tries each kind of request once with its answer decoded, and returns
// their bytes.
func prepare(b *rig.Broker, pipeline int) ([]kind, error) {
	c, err := b.Dial()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.CreateTopic(topic, 2); err != nil {
		return nil, err
	}
	batch, err := rig.Batch(1, 100, func([]byte) {})
	if err != nil {
		return nil, err
	}
	// Partition 0 is written to and read from its beginning; partition 1 stays empty.
	produce := rig.Produce(topic, 0, 1, batch)
	p, err := c.Ask(produce)
	if err != nil {
		return nil, err
	}
	if _, err := rig.CheckProduce(p); err != nil {
		return nil, err
	}
	fetch, poll := rig.Fetch(topic, 0, 0, 1, 0), rig.Fetch(topic, 1, 0, 1<<20, 1)
	if p, err = c.Ask(fetch); err != nil {
		return nil, err
	}
	if got, err := rig.CheckFetch(p); err != nil || len(got) < len(batch) {
		return nil, fmt.Errorf("a fetch gave %d bytes: %w", len(got), err)
	}
	if p, err = c.Ask(poll); err != nil {
		return nil, err
	}
	if got, err := rig.CheckFetch(p); err != nil || len(got) != 0 {
		return nil, fmt.Errorf("an empty long poll gave %d bytes: %w", len(got), err)
	}
	return []kind{
		{"produce (1 record of 100 bytes, acks=1)", c.Frame(produce), pipeline, producedBytes, len(batch)},
		{"fetch (1 small batch)", c.Frame(fetch), pipeline, fetchedBytes, len(batch)},
		// A poll's time begins when it arrives, also behind others: one at a time, or it would not wait.
		{"empty long poll (1 ms)", c.Frame(poll), 1, polls, 1},
	}, nil
}

// showNoise prints what reading the counter costs by itself, which is part of every figure.
func showNoise(b *rig.Broker) error {
	before, err := objects(b)
	if err != nil {
		return err
	}
	after, err := objects(b)
	if err != nil {
		return err
	}
	fmt.Printf("reading the counter costs %.0f objects, which are in the figures\n", after-before)
	return nil
}

func objects(b *rig.Broker) (float64, error) {
	values, err := b.Metrics(context.Background(), objectsMetric)
	if err != nil {
		return 0, err
	}
	return values[0], nil
}

func measure(b *rig.Broker, o *options, k *kind) (met bool, err error) {
	clients := make([]*rig.Client, o.connections)
	for i := range clients {
		if clients[i], err = b.Dial(); err != nil {
			return false, err
		}
		defer clients[i].Close()
	}
	if _, err := drive(clients, k, min(warmUp, o.requests)); err != nil {
		return false, err
	}
	before, err := read(b, k)
	if err != nil {
		return false, err
	}
	from := time.Now()
	n, err := drive(clients, k, o.requests)
	if err != nil {
		return false, err
	}
	took := time.Since(from)
	after, err := read(b, k)
	if err != nil {
		return false, err
	}
	if after.failures > before.failures || after.proof-before.proof < proofShare*float64(n*k.each) {
		return false, fmt.Errorf("%d requests raised %s by %.0f instead of %d, and %.0f failed",
			n, k.proof, after.proof-before.proof, n*k.each, after.failures-before.failures)
	}
	each := (after.objects - before.objects) / float64(n)
	fmt.Printf("%s: %d requests in %v, %.0f/s\n", k.name, n, took.Round(time.Millisecond),
		float64(n)/took.Seconds())
	return rig.Verdict("  heap objects per request", fmt.Sprintf("%.5f", each), "<= 0.01",
		each <= objectsGoal), nil
}

// reading is what the broker says of itself before and after.
type reading struct{ objects, proof, failures float64 }

// read takes all from one page.
func read(b *rig.Broker, k *kind) (r reading, err error) {
	ctx := context.Background()
	values, err := b.Metrics(ctx, objectsMetric, k.proof, failures)
	if err != nil {
		return r, err
	}
	return reading{objects: values[0], proof: values[1], failures: values[2]}, nil
}

// drive sends at least that many requests over all connections and returns how many were sent.
func drive(clients []*rig.Client, k *kind, requests int) (sent int, err error) {
	burst := bytes.Repeat(k.frame, k.pipeline)
	bursts := (requests + len(clients)*k.pipeline - 1) / (len(clients) * k.pipeline)
	errs := make([]error, len(clients))
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() { errs[i] = send(c, burst, bursts, k.pipeline) })
	}
	wg.Wait()
	return bursts * k.pipeline * len(clients), errors.Join(errs...)
}

// send writes burst so many times and reads its responses before the next.
func send(c *rig.Client, burst []byte, times, requests int) error {
	for range times {
		if _, err := c.Conn.Write(burst); err != nil {
			return err
		}
		for range requests {
			if _, err := c.Skip(); err != nil {
				return err
			}
		}
	}
	return nil
}
