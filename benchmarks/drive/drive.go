package drive

import (
	"context"
	"time"

	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// DrainTimeout bounds the wait for answers after measured time. What is unanswered then is counted
// under the error "UNANSWERED".
const DrainTimeout = 10 * time.Second

// Names of errors that are not Kafka's.
const (
	ErrorConnectionLost = "CONNECTION_LOST"
	ErrorConnectRefused = "CONNECT_REFUSED"
	ErrorUnanswered     = "UNANSWERED"
	ErrorBadCRC         = "BAD_CRC"
	ErrorOffsetGap      = "OFFSET_GAP"
	ErrorBadAnswer      = "BAD_ANSWER"
)

// Target is where the load goes.
type Target struct {
	// Addrs are bootstrap servers, host:port.
	Addrs []string
	// Raw says that the target is a limit server: it answers Produce v8 and Fetch v11 for any
	// topic and nothing else, so the client asks no ApiVersions and no Metadata, and every
	// partition leads at Addrs[0].
	Raw bool
}

// Hooks are called by a client while it runs; a nil one is left out. They return at once.
type Hooks struct {
	// Begin and End bound measured time; each is called once, from one goroutine.
	Begin func()
	End   func()
	// Live is called about once a second, also during warm-up.
	Live func(Tick)
}

// Tick is one live report.
type Tick struct {
	Warmup  bool
	Elapsed time.Duration // since the phase began
	Point   result.Point  // the last second
	// Backlog is what is due and not yet acknowledged (open loop), in records.
	Backlog int64
}

// Outcome is what a client saw. It is also given, as far as it goes, beside an error or after the
// context ended.
type Outcome struct {
	Produced, Consumed result.Count
	Burst              *result.Count
	Errors             map[string]int64
	Stages             map[string]*result.Histogram
	Series             []result.Point
	Figures            map[string]float64
	Notes              []string
	// Seconds is the measured time; Interrupted that the context ended it early.
	Seconds     float64
	Interrupted bool
	// AllocsPerRequest is heap objects per request in measured time, of the whole process.
	AllocsPerRequest float64
}

// Client carries out a normalized, valid spec whose topics exist. It returns when all its
// connections are closed. An error means that the run could not be carried out; failed requests
// are no error but counted, unless none succeeds for FailAfter.
type Client func(ctx context.Context, target Target, spec workload.Spec, hooks Hooks) (Outcome, error)

// FailAfter is how long a client goes on while every request fails before it gives up.
const FailAfter = 5 * time.Second
