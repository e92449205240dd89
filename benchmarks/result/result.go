package result

import (
	"time"

	"sluice/benchmarks/measure"
	"sluice/benchmarks/workload"
)

// SchemaVersion is raised when a field changes its meaning.
const SchemaVersion = 1

// Result is one run on one target. A run that failed has Error set, and may hold what was seen
// before; a run that ended but proves nothing has Invalid set. Only a run with neither counts.
type Result struct {
	Schema  int           `json:"schema"`
	Target  Target        `json:"target"`
	Spec    workload.Spec `json:"spec"`
	Command []string      `json:"command"` // what was typed, to be typed again
	Plan    Plan          `json:"plan"`

	Started time.Time `json:"started"`
	// Seconds is measured time, warm-up excluded.
	Seconds float64 `json:"seconds"`
	// Loop is "open", "closed" or "search".
	Loop string `json:"loop"`
	// Label qualifies every figure: "burst" or "sustained" for produce, "broker ceiling" for the
	// discarding client, "" otherwise.
	Label string `json:"label,omitempty"`
	// Interrupted says that the run was ended by hand, before its time.
	Interrupted bool `json:"interrupted,omitempty"`

	// Produced and Consumed count what was acknowledged and what arrived (and was verified, by the
	// reading client) in measured time.
	Produced Count `json:"produced"`
	Consumed Count `json:"consumed"`
	// AskedRate is records/s (open loop), AchievedRate what was acknowledged or consumed.
	AskedRate    float64 `json:"asked_rate,omitempty"`
	AchievedRate float64 `json:"achieved_rate,omitempty"`
	// Errors counts failed requests, failed partitions and lost connections by Kafka's error name
	// or a name of ours ("CONNECTION_LOST").
	Errors map[string]int64 `json:"errors,omitempty"`

	// Stages are the client's histograms by name; see the Stage constants.
	Stages map[string]*Histogram `json:"stages"`
	// Series is one point per second of measured time.
	Series []Point `json:"series,omitempty"`

	Usage *measure.Usage `json:"usage,omitempty"`
	// BrokerStages are mean times in the broker's own view, where it tells them.
	BrokerStages *StageSum `json:"broker_stages,omitempty"`
	// Memory of the generator: heap objects allocated during measured time, per request.
	AllocsPerRequest float64 `json:"allocs_per_request"`

	// Burst is the first part of a produce run by itself, where the spec asked for it.
	Burst *Count `json:"burst,omitempty"`
	// Steps are the runs of a search, in order.
	Steps []SearchStep `json:"steps,omitempty"`
	// Figures are single values of modes with their own measures (connections, topics), by name
	// with its unit last: "open_per_second", "rss_per_connection_bytes".
	Figures map[string]float64 `json:"figures,omitempty"`

	// Invalid holds each reason why the run proves nothing; empty is valid.
	Invalid []string `json:"invalid,omitempty"`
	// Error is why the run failed, in a sentence; empty is none.
	Error string `json:"error,omitempty"`
	// Notes are remarks for the reader ("the client was the limit: 98 % of a core").
	Notes []string `json:"notes,omitempty"`
}

// Target is who was measured.
type Target struct {
	// Name is "sluice", "kafka", "kfake", "nats" or "limit-…".
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Addr    string   `json:"addr"`
	Command []string `json:"command,omitempty"` // how the broker was started
	// Variant tells setups of one broker apart ("heap 256 MiB", "flush.messages=1").
	Variant string `json:"variant,omitempty"`
}

// Plan places a run in a suite. Runs of one Case and Pair are compared with each other.
type Plan struct {
	Suite string `json:"suite,omitempty"`
	Case  string `json:"case,omitempty"` // "fetch-64k-8c"
	Pair  int    `json:"pair"`           // 0, 1, …
	Turn  int    `json:"turn"`           // position within the suite's order
}

// Count is a quantity over a time.
type Count struct {
	Records  int64   `json:"records"`
	Bytes    int64   `json:"bytes"` // of encoded batches
	Requests int64   `json:"requests"`
	Seconds  float64 `json:"seconds"`
}

// MBPerSecond is 10⁶ bytes of batches per second.
func (c Count) MBPerSecond() float64 { return per(float64(c.Bytes)/1e6, c.Seconds) }

// RecordsPerSecond is records per second.
func (c Count) RecordsPerSecond() float64 { return per(float64(c.Records), c.Seconds) }

// RequestsPerSecond is requests per second.
func (c Count) RequestsPerSecond() float64 { return per(float64(c.Requests), c.Seconds) }

func per(v, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return v / seconds
}

// Point is one second of the run.
type Point struct {
	Second          float64 `json:"s"` // since measured time began; the end of the interval
	ProducedRecords int64   `json:"pr,omitempty"`
	ProducedBytes   int64   `json:"pb,omitempty"`
	ConsumedRecords int64   `json:"cr,omitempty"`
	ConsumedBytes   int64   `json:"cb,omitempty"`
	P99             int64   `json:"p99,omitempty"` // ns, of the run's main stage within the interval
	Errors          int64   `json:"e,omitempty"`
}

// Names of client stages. "wire" is request sent → response whole; the others are per record.
const (
	StageAck       = "ack"       // due (or ready to send) → acknowledged
	StageE2E       = "e2e"       // due → seen by a consumer
	StageLag       = "lag"       // due → taken up by the generator: its own lateness
	StageBatch     = "batch"     // taken up → batch closed (linger, batch bytes)
	StageQueue     = "queue"     // batch closed → request written to the socket
	StageWire      = "wire"      // produce request written → response read
	StageFetch     = "fetch"     // fetch request written → response read whole
	StageCatchup   = "catchup"   // a catch-up reader's fetches
	StageConnect   = "connect"   // connect(2) → established
	StageHandshake = "handshake" // connect(2) → ApiVersions answered
	StagePing      = "ping"      // a request on an otherwise idle connection
	StageCreate    = "create"    // CreateTopics
	StageMetadata  = "metadata"  // Metadata, DescribeTopicPartitions
	StageDelete    = "delete"    // DeleteTopics
	StageSend      = "send"      // application's produce call → promise (kgo)
)

// StageSum is the broker's own account of the requests of this run, and how much of the client's
// mean wire time it explains.
type StageSum struct {
	// MeanMicros is by request kind and stage ("Produce" → "local" → µs).
	MeanMicros map[string]map[string]float64 `json:"mean_micros"`
	// ClientMicros is the client's mean wire time by request kind, Explained the broker's sum
	// divided by it. Within5Percent is |1 − Explained| ≤ 0.05.
	ClientMicros   map[string]float64 `json:"client_micros"`
	Explained      map[string]float64 `json:"explained"`
	Within5Percent map[string]bool    `json:"within_5_percent"`
}

// SearchStep is one rate that a search tried.
type SearchStep struct {
	Rate     float64 `json:"rate"`
	Achieved float64 `json:"achieved"`
	P99      int64   `json:"p99"` // ns
	Held     bool    `json:"held"`
	Confirms bool    `json:"confirms,omitempty"` // a confirming run of the answer
	Invalid  string  `json:"invalid,omitempty"`
}
