package workload

import "time"

// Mode is what a run does.
type Mode string

// The modes of `sluice bench`.
const (
	// Produce writes records and times their acknowledgements.
	Produce Mode = "produce"
	// Consume reads a preloaded, resident log from its start, again and again.
	Consume Mode = "consume"
	// E2E writes records and times their arrival at tail consumers, from the time they were due.
	E2E Mode = "e2e"
	// Mixed writes and reads at once; both sides are reported.
	Mixed Mode = "mixed"
	// Backlog is E2E with one more consumer, which reads the preloaded log from its start meanwhile.
	Backlog Mode = "backlog"
	// Connections opens many connections, times each handshake and the requests of idle ones.
	Connections Mode = "connections"
	// Topics creates, describes and deletes topics.
	Topics Mode = "topics"
)

// ClientKind chooses the client.
type ClientKind string

// The clients.
const (
	// Reading verifies the CRC of every batch and that offsets follow each other. Headline figures
	// and every comparison use it.
	Reading ClientKind = "reading"
	// Discarding drops fetched bytes inside the kernel (MSG_TRUNC, tcp(7)): it shows the broker's
	// ceiling and is never compared with a peer.
	Discarding ClientKind = "discarding"
	// KGO is franz-go, as an application would use it.
	KGO ClientKind = "kgo"
)

// Placement says which cores the broker and the client run on.
type Placement string

// The placements.
const (
	// Shared leaves both to the scheduler.
	Shared Placement = "shared"
	// Pinned gives the broker core 0 and the client core 1 (halves, on larger machines).
	Pinned Placement = "pinned"
)

// Spec is one workload. The zero value of a field means "the default", which Normalize fills in;
// yaml names are the ones of workload files, the flags of `sluice bench` are the same with dashes.
type Spec struct {
	Name        string `yaml:"name" json:"name"`
	Description string `yaml:"description" json:"description,omitempty"`
	Mode        Mode   `yaml:"mode" json:"mode"`

	// Topic is the topic's name; with Topics > 1 it is a prefix, followed by -0, -1, …
	Topic string `yaml:"topic" json:"topic"`
	// Topics × Partitions is what the load is spread over.
	Topics     int `yaml:"topics" json:"topics"`
	Partitions int `yaml:"partitions" json:"partitions"`
	// Replication is the replication factor of topics the run creates; 0 leaves it to the broker.
	Replication int `yaml:"replication" json:"replication"`
	// TopicConfig is given to CreateTopics as it stands (retention.bytes=…).
	TopicConfig map[string]string `yaml:"topic_config,omitempty" json:"topic_config,omitempty"`
	// Keep leaves the topics behind; otherwise those that the run created are deleted at its end.
	Keep bool `yaml:"keep" json:"keep"`

	// RecordSize is the size of a record's value in bytes: "1024", "uniform:100-2000",
	// "normal:1024,256" (mean, standard deviation) or "zipf:100-100000".
	RecordSize string `yaml:"record_size" json:"record_size"`
	// BatchBytes bounds an encoded batch before compression, its header of 61 bytes included;
	// BatchRecords bounds its records (1: unbatched; 0: no bound). A batch is closed before the
	// record that would exceed either bound, or when Linger is over. See BatchFit.
	BatchBytes   int `yaml:"batch_bytes" json:"batch_bytes"`
	BatchRecords int `yaml:"batch_records" json:"batch_records"`
	// Linger is how long an open-loop batch waits for more records after its first.
	Linger Duration `yaml:"linger" json:"linger"`
	// Compression is none, gzip, snappy, lz4 or zstd.
	Compression string `yaml:"compression" json:"compression"`
	// Compressibility is the share of a value that repeats (0: random bytes, 1: one byte repeated).
	Compressibility float64 `yaml:"compressibility" json:"compressibility"`
	// Acks is 0, 1 or -1 (all).
	Acks int `yaml:"acks" json:"acks"`
	// Idempotence writes with a producer id and sequence numbers (then acks is -1, in-flight ≤ 5).
	Idempotence bool `yaml:"idempotence" json:"idempotence"`
	// Keys is the number of distinct keys; 0 writes null keys, spread evenly over the partitions, a
	// batch at a time as Kafka's default partitioner does (KIP-794).
	Keys int `yaml:"keys" json:"keys"`

	// Producers and Consumers are clients; each has Connections connections to every broker it needs.
	// Mode connections opens Connections in all.
	Producers   int `yaml:"producers" json:"producers"`
	Consumers   int `yaml:"consumers" json:"consumers"`
	Connections int `yaml:"connections" json:"connections"`
	// InFlight is the number of unanswered requests per connection.
	InFlight int `yaml:"in_flight" json:"in_flight"`
	// Threads is the number of client threads; 0: 1 on up to 2 cores, otherwise half the cores.
	Threads int `yaml:"threads" json:"threads"`

	// FetchBytes is max bytes of a fetch and of each partition in it, FetchMinBytes and FetchWait
	// the long poll's bounds.
	FetchBytes    int      `yaml:"fetch_bytes" json:"fetch_bytes"`
	FetchMinBytes int      `yaml:"fetch_min_bytes" json:"fetch_min_bytes"`
	FetchWait     Duration `yaml:"fetch_wait" json:"fetch_wait"`
	// Preload is how many bytes are written before a consume or backlog run begins.
	Preload int64 `yaml:"preload" json:"preload"`

	// Rate is the asked rate in records/s (open loop); 0 is as fast as acknowledged (closed loop).
	Rate float64 `yaml:"rate" json:"rate"`
	// Search, if not nil, looks for the highest rate within a bound on p99.
	Search *Search `yaml:"search,omitempty" json:"search,omitempty"`

	// Duration is measured time; Warmup precedes it and is not counted.
	Duration Duration `yaml:"duration" json:"duration"`
	Warmup   Duration `yaml:"warmup" json:"warmup"`
	// Burst is a first part of a produce run that is reported by itself; 0 is none. A produce figure
	// of a run shorter than 120 s is always called burst.
	Burst Duration `yaml:"burst" json:"burst"`

	Client    ClientKind `yaml:"client" json:"client"`
	Placement Placement  `yaml:"placement" json:"placement"`
	// Seed makes payloads and sizes repeatable.
	Seed uint64 `yaml:"seed" json:"seed"`

	// complete says that the defaults are filled in: what is zero now was asked to be.
	complete bool
}

// Search asks for the highest rate that keeps a latency's p99 under a bound: steps of at least
// 30 s, doubling, then halving the gap until it is under Precision; the answer is run twice more
// and counts only if both hold.
type Search struct {
	P99       Duration `yaml:"p99" json:"p99"`
	From      float64  `yaml:"from" json:"from"` // records/s of the first step
	Step      Duration `yaml:"step" json:"step"` // ≥ 30 s
	Precision float64  `yaml:"precision" json:"precision"`
}

// Duration is a time.Duration that reads and writes as text ("250ms") in YAML and JSON.
type Duration time.Duration

// D gives it as the standard library's type.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String is what time.Duration prints.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes it as time.Duration prints it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}
