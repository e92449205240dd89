package workload

import (
	"fmt"
	"math"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of a spec.
const (
	// BatchRecordsMax bounds the records of a batch.
	BatchRecordsMax = 1_000_000
	// BatchBytesMax bounds a batch: one record of RecordSizeMax and what is around it.
	BatchBytesMax = RecordSizeMax + 1<<10
	// idempotentInFlightMax is the number of batches per partition whose sequence a broker keeps.
	idempotentInFlightMax = 5
	// searchStepMin is the shortest time in which a p99 settles.
	searchStepMin = 30 * time.Second
	// producersMax bounds producers and consumers.
	producersMax = 10_000
	durationMax  = 7 * 24 * time.Hour
)

// OptionError is an impossible option: its name as in YAML, the value, and what it must be.
type OptionError struct {
	Option string
	Value  string
	Must   string
}

// Error names the option as a flag: "--in-flight 9000: must be 1 to 1000".
func (e *OptionError) Error() string {
	return "--" + strings.ReplaceAll(e.Option, "_", "-") + " " + e.Value + ": " + e.Must
}

// InFile names the option as a workload file does: "in_flight: 9000: must be 1 to 1000".
func (e *OptionError) InFile() string { return e.Option + ": " + e.Value + ": " + e.Must }

func bad(option string, value any, must string, args ...any) error {
	text := fmt.Sprint(value)
	if text == "" {
		text = `""`
	}
	return &OptionError{option, text, fmt.Sprintf(must, args...)}
}

// Validate returns an *OptionError for the first option that is impossible, by itself or beside the
// others, and nil for a spec that can be run here. The spec is complete (Normalize).
func (s Spec) Validate() error { return s.ValidateOn(runtime.NumCPU()) }

// ValidateOn is Validate on a machine with so many processors.
func (s Spec) ValidateOn(cpus int) error {
	checks := []func() error{
		s.checkWords, s.checkTopics, s.checkRecords, s.checkClients, s.checkFetch, s.checkTimes,
		s.checkRate, s.checkAcks, s.checkConflicts, func() error { return s.checkPlacement(cpus) },
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// word checks a value that is one of a few.
func word[T ~string](option string, value T, allowed ...T) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	var text []string
	for _, a := range allowed {
		text = append(text, string(a))
	}
	last := len(text) - 1
	return bad(option, value, "must be %s or %s", strings.Join(text[:last], ", "), text[last])
}

// within checks a whole number.
func within[T int | int64](option string, value, low, high T) error {
	if value < low || value > high {
		return bad(option, value, "must be %d to %d", low, high)
	}
	return nil
}

// lasts checks a time.
func lasts(option string, value Duration, low, high time.Duration) error {
	if value.D() < low || value.D() > high {
		return bad(option, value, "must be %s to %s", Duration(low), Duration(high))
	}
	return nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s Spec) checkWords() error {
	return first(
		word("mode", s.Mode, Produce, Consume, E2E, Mixed, Backlog, Connections, Topics),
		word("client", s.Client, Reading, Discarding, KGO),
		word("placement", s.Placement, Shared, Pinned),
		word("compression", s.Compression, "none", "gzip", "snappy", "lz4", "zstd"),
	)
}

// topicName is Kafka's rule (class Topic, LEGAL_CHARS).
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

func (s Spec) checkTopics() error {
	longest := s.Topic
	if s.Topics > 1 {
		longest += "-" + strconv.Itoa(s.Topics-1)
	}
	if !topicName.MatchString(longest) || s.Topic == "." || s.Topic == ".." {
		return bad("topic", s.Topic, "must be 1 to 249 letters, digits, dots, underscores and dashes, "+
			"the number of each topic included")
	}
	if err := first(
		within("topics", s.Topics, 1, 100_000),
		within("partitions", s.Partitions, 1, 100_000),
		within("replication", s.Replication, 0, math.MaxInt16),
	); err != nil {
		return err
	}
	if s.Topics*s.Partitions > 1_000_000 {
		return bad("partitions", s.Partitions, "must be 1 to %d with %d topics: 1000000 in all",
			1_000_000/s.Topics, s.Topics)
	}
	return nil
}

func (s Spec) checkRecords() error {
	size, err := ParseSize(s.RecordSize)
	if err != nil {
		return bad("record_size", s.RecordSize, "must be a number of bytes up to %d, "+
			"uniform:MIN-MAX, normal:MEAN,DEVIATION or zipf:MIN-MAX", RecordSizeMax)
	}
	one := BatchSize(1, s.keyBytes(), size.Max())
	if s.BatchBytes < one || s.BatchBytes > BatchBytesMax {
		return bad("batch_bytes", s.BatchBytes, "must be %d (one record of %d bytes in its batch) to %d",
			one, size.Max(), BatchBytesMax)
	}
	if !(s.Compressibility >= 0 && s.Compressibility <= 1) {
		return bad("compressibility", s.Compressibility, "must be 0 to 1")
	}
	if s.Consumes() && s.Produces() && s.Mode != Mixed && size.Min() < StampBytes {
		return bad("record_size", s.RecordSize, "must be at least %d bytes in mode %s: a record carries "+
			"the time at which it was due", StampBytes, s.Mode)
	}
	return first(
		within("batch_records", s.BatchRecords, 0, BatchRecordsMax),
		within("keys", s.Keys, 0, 100_000_000),
	)
}

func (s Spec) checkClients() error {
	producersMin, consumersMin, connectionsMax := 0, 0, 10_000
	if s.Produces() {
		producersMin = 1
	}
	if s.Consumes() {
		consumersMin = 1
	}
	if s.Mode == Connections {
		connectionsMax = 1_000_000
	}
	if s.Producers > 0 && !s.Produces() {
		return bad("producers", s.Producers, "must be 0 in mode %s, which writes nothing", s.Mode)
	}
	if s.Consumers > 0 && !s.Consumes() {
		return bad("consumers", s.Consumers, "must be 0 in mode %s, which reads nothing", s.Mode)
	}
	return first(
		within("producers", s.Producers, producersMin, producersMax),
		within("consumers", s.Consumers, consumersMin, producersMax),
		within("connections", s.Connections, 1, connectionsMax),
		within("in_flight", s.InFlight, 1, 1000),
		within("threads", s.Threads, 0, 1024),
	)
}

func (s Spec) checkFetch() error {
	if err := first(
		within("fetch_bytes", s.FetchBytes, 1, 1<<30),
		within("fetch_min_bytes", s.FetchMinBytes, 0, s.FetchBytes),
		lasts("fetch_wait", s.FetchWait, 0, time.Minute),
		within("preload", s.Preload, 0, 1<<40),
	); err != nil {
		return err
	}
	if (s.Mode == Consume || s.Mode == Backlog) && s.Preload < int64(s.BatchBytes) {
		return bad("preload", s.Preload, "must be %d (one batch) to %d: mode %s reads what was written "+
			"before it", s.BatchBytes, int64(1<<40), s.Mode)
	}
	if s.Preload > 0 && s.Mode != Consume && s.Mode != Backlog {
		return bad("preload", s.Preload, "must be 0 in mode %s: only consume and backlog read what was "+
			"written before", s.Mode)
	}
	return nil
}

func (s Spec) checkTimes() error {
	if err := first(
		lasts("linger", s.Linger, 0, time.Minute),
		lasts("duration", s.Duration, 100*time.Millisecond, durationMax),
		lasts("warmup", s.Warmup, 0, time.Hour),
	); err != nil {
		return err
	}
	if s.Burst != 0 && s.Mode != Produce {
		return bad("burst", s.Burst, "must be 0s in mode %s: it is a part of a produce run", s.Mode)
	}
	if s.Burst < 0 || s.Burst >= s.Duration {
		return bad("burst", s.Burst, "must be 0s to less than the duration, %s", s.Duration)
	}
	return nil
}

func (s Spec) checkRate() error {
	// Written so that NaN is refused as well.
	if !(s.Rate >= 0 && s.Rate <= 1e9) {
		return bad("rate", s.Rate, "must be 0 (as fast as acknowledged) to 1000000000 records/s")
	}
	if s.Rate > 0 && !s.Produces() && s.Mode != Connections {
		return bad("rate", s.Rate, "must be 0 in mode %s, which has no schedule", s.Mode)
	}
	if s.Mode == Connections && s.Rate == 0 {
		return bad("rate", s.Rate, "must be more than 0 pings/s in mode connections")
	}
	if s.Search == nil {
		return nil
	}
	if !s.Produces() {
		return bad("search_p99", s.Search.P99, "must be left out in mode %s: a search needs a schedule "+
			"(open loop)", s.Mode)
	}
	if s.Rate > 0 {
		return bad("rate", s.Rate, "must be 0 in a search, which chooses the rates; --search-from is the "+
			"first")
	}
	if !(s.Search.From > 0 && s.Search.From <= 1e9) {
		return bad("search_from", s.Search.From, "must be more than 0, to 1000000000 records/s")
	}
	if !(s.Search.Precision >= 0.001 && s.Search.Precision <= 0.5) {
		return bad("search_precision", s.Search.Precision, "must be 0.001 to 0.5")
	}
	return first(
		lasts("search_p99", s.Search.P99, time.Microsecond, 10*time.Minute),
		lasts("search_step", s.Search.Step, searchStepMin, time.Hour),
	)
}

func (s Spec) checkAcks() error {
	if s.Acks < -1 || s.Acks > 1 {
		return bad("acks", s.Acks, "must be 0, 1 or -1 (all)")
	}
	if s.Acks == 0 && s.Mode == Produce && s.Open() {
		return bad("acks", s.Acks, "must be 1 or -1 (all) in open loop: what nobody acknowledges has no "+
			"latency; mode e2e times its arrival")
	}
	if !s.Idempotence {
		return nil
	}
	if !s.Produces() {
		return bad("idempotence", true, "must be false in mode %s, which writes nothing", s.Mode)
	}
	if s.Acks != -1 {
		return bad("acks", s.Acks, "must be -1 (all) with --idempotence")
	}
	if s.InFlight > idempotentInFlightMax {
		return bad("in_flight", s.InFlight, "must be 1 to %d with --idempotence: a broker remembers so many "+
			"batches", idempotentInFlightMax)
	}
	return nil
}

func (s Spec) checkConflicts() error {
	if s.Client == Discarding && s.Mode != Consume && s.Mode != Mixed {
		return bad("client", s.Client, "must be reading or kgo in mode %s: the discarding client sees no "+
			"record, so it can time none", s.Mode)
	}
	if s.Client != Reading && (s.Mode == Connections || s.Mode == Topics) {
		return bad("client", s.Client, "must be reading in mode %s, which has a client of its own", s.Mode)
	}
	return nil
}

func (s Spec) checkPlacement(cpus int) error {
	if s.Placement == Pinned && cpus < 2 {
		return bad("placement", s.Placement, "must be shared on a machine with 1 core: broker and client "+
			"need one each")
	}
	return nil
}
