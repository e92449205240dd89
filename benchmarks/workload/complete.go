package workload

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"sluice/wire"
)

// Defaults that more than one place needs.
const (
	// BatchBytesDefault is the size at which the comparisons of this project are made. Kafka's own
	// default (batch.size) is 16384.
	BatchBytesDefault = 64 << 10
	// KeyBytes is the size of a record's key, where records have keys.
	KeyBytes = 16
	// StampBytes is what a record's value must hold at least for its arrival to be timed.
	StampBytes = 16
	// messageBytesMax is Kafka's default of a topic's max.message.bytes: 1 MiB and a log overhead.
	messageBytesMax = 1048588
	// preloadDefault is small enough to stay in the page cache of any machine.
	preloadDefault = 512 << 20
)

// Normalize fills in the default of every field that is zero. Of a spec that is complete already
// (by Complete, Parse or Normalize itself) it changes nothing, so that a warm-up or linger that
// was asked to be 0 stays so.
func (s Spec) Normalize() Spec {
	if s.complete {
		return s
	}
	v := reflect.ValueOf(s)
	return s.Complete(func(name string) bool {
		for i := range v.NumField() {
			if f := v.Type().Field(i); fieldName(f) == name {
				return !v.Field(i).IsZero()
			}
		}
		return false
	})
}

// fieldName is the field's name in YAML.
func fieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}

// Complete fills in the default of every field that was not given; given tells by the field's name
// in YAML ("in_flight"). Unlike Normalize it lets a given zero be.
func (s Spec) Complete(given func(name string) bool) Spec {
	if !given("mode") {
		s.Mode = Produce
	}
	set(given, "name", &s.Name, string(s.Mode))
	set(given, "topic", &s.Topic, "sluice-bench")
	s.completeSpread(given)
	set(given, "record_size", &s.RecordSize, "1024")
	s.completeBatch(given)
	set(given, "compression", &s.Compression, "none")
	if !given("acks") {
		s.Acks = 1
		if s.Idempotence {
			s.Acks = -1
		}
	}
	set(given, "fetch_bytes", &s.FetchBytes, 1<<20)
	set(given, "fetch_min_bytes", &s.FetchMinBytes, 1)
	set(given, "fetch_wait", &s.FetchWait, Duration(500*time.Millisecond))
	if s.Mode == Consume || s.Mode == Backlog {
		set(given, "preload", &s.Preload, preloadDefault)
	}
	if s.Mode == Connections {
		set(given, "rate", &s.Rate, 100)
	}
	set(given, "duration", &s.Duration, Duration(30*time.Second))
	if s.Mode != Topics && s.Mode != Connections {
		set(given, "warmup", &s.Warmup, Duration(5*time.Second))
	}
	set(given, "client", &s.Client, Reading)
	set(given, "placement", &s.Placement, Shared)
	set(given, "seed", &s.Seed, 1)
	s.completeSearch()
	s.complete = true
	return s
}

// set gives a field its default unless it was given.
func set[T any](given func(string) bool, name string, field *T, value T) {
	if !given(name) {
		*field = value
	}
}

// completeSpread fills in what the load is spread over, and who makes it.
func (s *Spec) completeSpread(given func(string) bool) {
	topics, partitions, producers, consumers, connections, inFlight := 1, 16, 1, 1, 1, 5
	switch s.Mode {
	case Produce:
		consumers = 0
	case Consume:
		producers, inFlight = 0, 1
	case Connections:
		partitions, producers, consumers, connections, inFlight = 1, 0, 0, 1000, 1
	case Topics:
		topics, partitions, producers, consumers, inFlight = 100, 1, 0, 0, 1
	}
	set(given, "topics", &s.Topics, topics)
	set(given, "partitions", &s.Partitions, partitions)
	set(given, "producers", &s.Producers, producers)
	set(given, "consumers", &s.Consumers, consumers)
	set(given, "connections", &s.Connections, connections)
	if s.Idempotence {
		inFlight = min(inFlight, idempotentInFlightMax)
	}
	set(given, "in_flight", &s.InFlight, inFlight)
}

// completeBatch fills in the bounds of a batch: batch_bytes follows batch_records where only that
// was given, and a record that is larger than the default gets a batch for itself.
func (s *Spec) completeBatch(given func(string) bool) {
	size, err := ParseSize(s.RecordSize)
	if err == nil && !given("batch_bytes") {
		s.BatchBytes = BatchBytesDefault
		records := max(1, min(s.BatchRecords, BatchRecordsMax))
		s.BatchBytes = max(s.BatchBytes, BatchSize(records, s.keyBytes(), size.Max()))
	}
	if !given("linger") && s.Open() {
		s.Linger = Duration(5 * time.Millisecond)
	}
	// A broker would refuse every one of the larger batches. The topic's setting is put where the
	// report shows it.
	const key = "max.message.bytes"
	if _, ok := s.TopicConfig[key]; !ok && s.BatchBytes > messageBytesMax {
		config := map[string]string{key: strconv.Itoa(s.BatchBytes)}
		for k, v := range s.TopicConfig {
			config[k] = v
		}
		s.TopicConfig = config
	}
}

func (s *Spec) completeSearch() {
	if s.Search == nil {
		return
	}
	search := *s.Search
	if search.P99 == 0 {
		search.P99 = Duration(10 * time.Millisecond)
	}
	if search.From == 0 {
		search.From = 1000
	}
	if search.Step == 0 {
		search.Step = Duration(searchStepMin)
	}
	if search.Precision == 0 {
		search.Precision = 0.02
	}
	s.Search = &search
}

// Open reports whether the run keeps to a schedule (open loop); a search does in each of its steps.
func (s Spec) Open() bool {
	return (s.Rate > 0 || s.Search != nil) && s.Produces()
}

// Produces and Consumes report whether the mode writes records, and whether it reads them.
func (s Spec) Produces() bool {
	return s.Mode == Produce || s.Mode == E2E || s.Mode == Mixed || s.Mode == Backlog
}

// Consumes reports whether the mode reads records.
func (s Spec) Consumes() bool {
	return s.Mode == Consume || s.Mode == E2E || s.Mode == Mixed || s.Mode == Backlog
}

// TopicNames are the topics of the run: Topic itself, or Topic-0, Topic-1, … where there are more.
func (s Spec) TopicNames() []string {
	if s.Topics <= 1 {
		return []string{s.Topic}
	}
	names := make([]string, s.Topics)
	for i := range names {
		names[i] = s.Topic + "-" + strconv.Itoa(i)
	}
	return names
}

func (s Spec) keyBytes() int {
	if s.Keys > 0 {
		return KeyBytes
	}
	return -1
}

// RecordSizes is RecordSize, parsed. It panics on a spec that Validate refuses.
func (s Spec) RecordSizes() Size {
	size, err := ParseSize(s.RecordSize)
	if err != nil {
		panic("BUG: the spec was not validated: " + err.Error())
	}
	return size
}

// BatchFit is how many records of one value size are in a full batch: as many as fit into
// BatchBytes before compression, its header of 61 bytes included, and at most BatchRecords. With
// records of 1 KiB and BatchBytes of 65536 it is 63, and the batch has 65,140 bytes: a client ends a
// batch before the record that would exceed the bound, as Kafka's batch.size does.
func (s Spec) BatchFit(valueBytes int) int {
	limit := BatchRecordsMax
	if s.BatchRecords > 0 {
		limit = s.BatchRecords
	}
	n, size := 0, wire.BatchHeaderSize
	for n < limit {
		size += RecordSizeAt(n, s.keyBytes(), valueBytes)
		if size > s.BatchBytes {
			break
		}
		n++
	}
	return n
}

// RecordSizeAt is the encoded size of the record at an index within its batch: a key (-1: null) and
// a value of so many bytes, no headers, and the batch's own timestamp. (Kafka
// protocol, record batch format v2: length, attributes, timestamp delta, offset delta, key, value,
// number of headers.)
func RecordSizeAt(index, keyBytes, valueBytes int) int {
	body := 1 + 1 + varint(index) + varint(keyBytes) + max(0, keyBytes) + varint(valueBytes) +
		valueBytes + 1
	return varint(body) + body
}

// BatchSize is the size of an uncompressed batch of equal records, its header included.
func BatchSize(records, keyBytes, valueBytes int) int {
	size := wire.BatchHeaderSize
	for i := range records {
		size += RecordSizeAt(i, keyBytes, valueBytes)
	}
	return size
}

// varint is the size of a number in zigzag encoding.
func varint(v int) int {
	n, u := 1, uint64(v)<<1^uint64(v>>63)
	for ; u >= 0x80; u >>= 7 {
		n++
	}
	return n
}
