package workload

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"sluice/wire"
)

// TestBatchFit: a full batch is as large as the wire's own encoder makes it, and within its bound.
func TestBatchFit(t *testing.T) {
	f := func(s Spec, records, size int) {
		t.Helper()
		s = s.Normalize()
		if err := s.Validate(); err != nil {
			t.Error(err)
			return
		}
		value := s.RecordSizes().Max()
		n := s.BatchFit(value)
		b := wire.NewBatchBuilder()
		for range n {
			var key []byte
			if s.Keys > 0 {
				key = make([]byte, KeyBytes)
			}
			b.Append(1_700_000_000_000, key, make([]byte, value))
		}
		if n != records || b.Size() != size || BatchSize(n, s.keyBytes(), value) != size {
			t.Errorf("%s × %d in %d: %d records, %d bytes, computed %d", s.RecordSize, s.BatchRecords,
				s.BatchBytes, n, b.Size(), BatchSize(n, s.keyBytes(), value))
		}
		if b.Size() > s.BatchBytes {
			t.Errorf("%d bytes in a batch of %d", b.Size(), s.BatchBytes)
		}
	}
	f(Spec{}, 63, 65140)
	f(Spec{BatchBytes: 1 << 20}, 1014, 1048473)
	f(Spec{RecordSize: "100", BatchRecords: 1}, 1, 170)
	f(Spec{RecordSize: "100"}, 595, 65447)
	f(Spec{Keys: 10}, 62, 65099)
	// The batch grows with what was asked for, and only then.
	f(Spec{BatchRecords: 1000}, 1000, 1033997)
	f(Spec{BatchRecords: 1000, BatchBytes: 65536}, 63, 65140)
	f(Spec{RecordSize: "2MiB"}, 1, 2097226)
	if s := (Spec{RecordSize: "2MiB"}).Normalize(); s.TopicConfig["max.message.bytes"] != "2097226" {
		t.Errorf("a topic that refuses every batch: %v", s.TopicConfig)
	}
	if s := (Spec{BatchBytes: 1 << 20}).Normalize(); s.TopicConfig != nil {
		t.Errorf("%v", s.TopicConfig)
	}
}

// TestNormalize: defaults follow the mode; what was asked to be zero stays zero.
func TestNormalize(t *testing.T) {
	for _, m := range []Mode{Produce, Consume, E2E, Mixed, Backlog, Connections, Topics} {
		s := Spec{Mode: m}.Normalize()
		if err := s.ValidateOn(2); err != nil {
			t.Errorf("%s: the defaults are refused: %v", m, err)
		}
	}
	s := Spec{}.Normalize()
	if s.Mode != Produce || s.Acks != 1 || s.InFlight != 5 || s.Linger != 0 || s.Consumers != 0 ||
		s.Warmup != Duration(5*time.Second) || s.Client != Reading || s.Open() {
		t.Errorf("%+v", s)
	}
	s.Acks, s.Warmup = 0, 0
	if again := s.Normalize(); again.Acks != 0 || again.Warmup != 0 {
		t.Errorf("a complete spec changed: %+v", again)
	}
	if s := (Spec{Idempotence: true}).Normalize(); s.Acks != -1 {
		t.Errorf("%+v", s)
	}
	if s := (Spec{Rate: 5}).Normalize(); s.Linger != Duration(5*time.Millisecond) || !s.Open() {
		t.Errorf("%+v", s)
	}
	given := func(name string) bool { return name == "linger" || name == "acks" }
	if s := (Spec{Rate: 5}).Complete(given); s.Linger != 0 || s.Acks != 0 {
		t.Errorf("%+v", s)
	}
	if got := (Spec{Topic: "t", Topics: 2}).TopicNames(); len(got) != 2 || got[1] != "t-1" {
		t.Error(got)
	}
}

// refused wants the error of a spec with one change, on a machine with two processors.
func refused(t *testing.T) func(change func(*Spec), want string) {
	return func(change func(*Spec), want string) {
		t.Helper()
		s := Spec{Topic: "t"}
		change(&s)
		s = s.Normalize()
		err := s.ValidateOn(2)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		var option *OptionError
		if err != nil && !errors.As(err, &option) {
			t.Errorf("%T", err)
		}
	}
}

// TestValidate: an impossible option is named with its value and what it must be.
func TestValidate(t *testing.T) {
	f := refused(t)
	f(func(s *Spec) { s.InFlight = 9000 }, "--in-flight 9000: must be 1 to 1000")
	f(func(s *Spec) { s.Mode = "read" }, "--mode read: must be produce, consume, e2e, mixed, backlog, connections or topics")
	f(func(s *Spec) { s.Client = "java" }, "--client java: must be reading, discarding or kgo")
	f(func(s *Spec) { s.Compression = "brotli" }, "--compression brotli: must be none, gzip, snappy, lz4 or zstd")
	f(func(s *Spec) { s.Topic = "a b" }, "--topic a b: must be 1 to 249")
	f(func(s *Spec) { s.Topic = ".." }, "--topic ..: must be 1 to 249")
	f(func(s *Spec) { s.Topic, s.Topics = strings.Repeat("t", 248), 10 }, "--topic "+strings.Repeat("t", 248)+": must be")
	f(func(s *Spec) { s.Partitions = -1 }, "--partitions -1: must be 1 to 100000")
	f(func(s *Spec) { s.Topics, s.Partitions = 1000, 9000 }, "--partitions 9000: must be 1 to 1000 with 1000 topics")
	f(func(s *Spec) { s.Replication = -1 }, "--replication -1: must be 0 to 32767")
	f(func(s *Spec) { s.RecordSize = "big" }, "--record-size big: must be a number of bytes")
	f(func(s *Spec) { s.BatchBytes = 500 }, "--batch-bytes 500: must be 1094 (one record of 1024 bytes in its batch) to ")
	f(func(s *Spec) { s.BatchBytes = 1 << 30 }, "--batch-bytes 1073741824: must be 1094")
	f(func(s *Spec) { s.BatchRecords = -1 }, "--batch-records -1: must be 0 to 1000000")
	f(func(s *Spec) { s.Compressibility = math.NaN() }, "--compressibility NaN: must be 0 to 1")
	f(func(s *Spec) { s.Mode, s.RecordSize = E2E, "8" }, "--record-size 8: must be at least 16 bytes in mode e2e")
	f(func(s *Spec) { s.Keys = -1 }, "--keys -1: must be 0 to")
	f(func(s *Spec) { s.Producers = 20000 }, "--producers 20000: must be 1 to 10000")
	f(func(s *Spec) { s.Mode, s.Producers = Consume, 1 }, "--producers 1: must be 0 in mode consume")
	f(func(s *Spec) { s.Consumers = 1 }, "--consumers 1: must be 0 in mode produce")
	f(func(s *Spec) { s.Connections = 50000 }, "--connections 50000: must be 1 to 10000")
	f(func(s *Spec) { s.Threads = -1 }, "--threads -1: must be 0 to 1024")
	f(func(s *Spec) { s.Mode, s.FetchMinBytes = Consume, 2<<20 }, "--fetch-min-bytes 2097152: must be 0 to 1048576")
	f(func(s *Spec) { s.Mode, s.FetchWait = Consume, Duration(time.Hour) }, "--fetch-wait 1h0m0s: must be 0s to 1m0s")
	f(func(s *Spec) { s.Mode, s.Preload = Consume, 5 }, "--preload 5: must be 65536 (one batch) to ")
	f(func(s *Spec) { s.Preload = 5 }, "--preload 5: must be 0 in mode produce")
	f(func(s *Spec) { s.Duration = 1 }, "--duration 1ns: must be 100ms to")
	f(func(s *Spec) { s.Warmup = -1 }, "--warmup -1ns: must be 0s to 1h0m0s")
	f(func(s *Spec) { s.Burst = Duration(time.Minute) }, "--burst 1m0s: must be 0s to less than the duration, 30s")
	f(func(s *Spec) { s.Mode, s.Burst = Consume, 1 }, "--burst 1ns: must be 0s in mode consume")
	f(func(s *Spec) { s.Rate = math.NaN() }, "--rate NaN: must be 0")
	f(func(s *Spec) { s.Rate = -1 }, "--rate -1: must be 0")
	f(func(s *Spec) { s.Mode, s.Rate = Consume, 5 }, "--rate 5: must be 0 in mode consume")
	f(func(s *Spec) { s.Mode, s.Search = Consume, &Search{} }, "--search-p99 10ms: must be left out in mode consume")
	f(func(s *Spec) { s.Rate, s.Search = 5, &Search{} }, "--rate 5: must be 0 in a search")
	f(func(s *Spec) { s.Search = &Search{Step: Duration(time.Second)} }, "--search-step 1s: must be 30s to 1h0m0s")
	f(func(s *Spec) { s.Search = &Search{P99: 5} }, "--search-p99 5ns: must be 1µs to 10m0s")
	f(func(s *Spec) { s.Search = &Search{Precision: 1} }, "--search-precision 1: must be 0.001 to 0.5")
	f(func(s *Spec) { s.Search = &Search{From: -1} }, "--search-from -1: must be more than 0")
	f(func(s *Spec) { s.Acks = 2 }, "--acks 2: must be 0, 1 or -1 (all)")
	f(func(s *Spec) { s.Idempotence, s.Acks = true, 1 }, "--acks 1: must be -1 (all) with --idempotence")
	f(func(s *Spec) { s.Idempotence, s.InFlight = true, 6 }, "--in-flight 6: must be 1 to 5 with --idempotence")
	f(func(s *Spec) { s.Mode, s.Idempotence = Consume, true }, "--idempotence true: must be false in mode consume")
	f(func(s *Spec) { s.Mode, s.Client = E2E, Discarding }, "--client discarding: must be reading or kgo in mode e2e")
	f(func(s *Spec) { s.Client = Discarding }, "--client discarding: must be reading or kgo in mode produce")
	f(func(s *Spec) { s.Mode, s.Client = Topics, KGO }, "--client kgo: must be reading in mode topics")
	s := Spec{Placement: Pinned}.Normalize()
	if err := s.ValidateOn(1); err == nil || err.Error() != "--placement pinned: must be shared on a "+
		"machine with 1 core: broker and client need one each" {
		t.Error(err)
	}
	s = Spec{Rate: 5}.Normalize()
	s.Acks = 0
	if err := s.Validate(); err == nil || !strings.HasPrefix(err.Error(), "--acks 0: must be 1 or -1") {
		t.Error(err)
	}
}

// TestParse: a file is read by name, its long section on demand.
func TestParse(t *testing.T) {
	text := []byte("name: n\nmode: produce\nbatch_bytes: 1MiB\nlinger: 0s\nrate: 10\n" +
		"topic_config: {retention.ms: '5'}\nlong:\n  duration: 200s\n  burst: 10s\n")
	s, given, err := Parse("n.yaml", text, false)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "n" || s.BatchBytes != 1<<20 || s.Linger != 0 || s.Duration.D() != 30*time.Second ||
		s.TopicConfig["retention.ms"] != "5" || !given["linger"] || given["duration"] {
		t.Errorf("%+v %v", s, given)
	}
	s, given, err = Parse("n.yaml", text, true)
	if err != nil || s.Duration.D() != 200*time.Second || s.Burst.D() != 10*time.Second || !given["burst"] {
		t.Errorf("%+v %v %v", s, given, err)
	}
	s, _, err = Parse("n.yaml", []byte("mode: produce\n"), true)
	if err != nil || s.Duration.D() < 120*time.Second || s.Burst == 0 {
		t.Errorf("%+v %v", s, err)
	}
	s, _, err = Parse("n.yaml", []byte("search: {p99: 3ms}\n"), false)
	if err != nil || s.Search.P99.D() != 3*time.Millisecond || s.Search.Step.D() != 30*time.Second ||
		!s.Open() {
		t.Errorf("%+v %v", s, err)
	}
}

// TestParseRefuses: what is wrong in a file is named with its line.
func TestParseRefuses(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, _, err := Parse("w.yaml", []byte(text), false); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	f("", "w.yaml: is not a workload")
	f("- a\n", "w.yaml: is not a workload")
	f("a: [", "w.yaml: line 1: did not find expected node content")
	f("mode: produce\nrecordsize: 5\n", `w.yaml:2: there is no option "recordsize"; there are name, description`)
	f("mode: produce\nlong:\n  durations: 5s\n", `w.yaml:3: there is no option "durations"`)
	f("search:\n  p98: 5ms\n", `w.yaml:2: there is no option "search_p98"; there are p99, from`)
	f("long: 5\n", "w.yaml:1: must be a mapping")
	f("topics: 1\ntopics: 2\n", "w.yaml:2: the option topics was given in line 1 already")
	f("partitions: many\n", "w.yaml:1: partitions: many: must be a whole number")
	f("partitions:\n", "w.yaml:1: partitions: : must be a whole number")
	f("\nduration: 30\n", "w.yaml:2: duration: 30: must be a time such as")
	f("rate: fast\n", "w.yaml:1: rate: fast: must be a number")
	f("keep: 7\n", "w.yaml:1: keep: 7: must be true or false")
	f("batch_bytes: -3\n", "w.yaml:1: batch_bytes: -3: must be a number of bytes")
	f("mode: produce\nin_flight: 9000\n", "w.yaml:2: in_flight: 9000: must be 1 to 1000")
	f("search:\n  step: 1s\n", "w.yaml:2: search_step: 1s: must be 30s to 1h0m0s")
	f("idempotence: true\nacks: 1\n", "w.yaml:2: acks: 1: must be -1 (all)")
}

// TestYAMLRoundTrip: what is written is read as the same spec.
func TestYAMLRoundTrip(t *testing.T) {
	for _, m := range []Mode{Produce, Consume, E2E, Mixed, Backlog, Connections, Topics} {
		s := Spec{Mode: m, TopicConfig: map[string]string{"a": "b"}}
		if m == Produce {
			s.Search = &Search{}
		}
		s = s.Normalize()
		var text bytes.Buffer
		if err := s.WriteYAML(&text); err != nil {
			t.Fatal(err)
		}
		back, _, err := Parse("w", text.Bytes(), false)
		if err != nil {
			t.Errorf("%v\n%s", err, &text)
			continue
		}
		a, _ := yaml.Marshal(s)
		b, _ := yaml.Marshal(back)
		if !bytes.Equal(a, b) {
			t.Errorf("wrote\n%s\nread\n%s", a, b)
		}
	}
}

// FuzzParse: no file panics, and what is accepted is complete and valid.
func FuzzParse(f *testing.F) {
	f.Add("mode: produce\nsearch: {p99: 1ms}\nlong: {duration: 3m}\n", true)
	f.Add("a: &x [*x]\n", false)
	f.Add("topic_config: {a: b}\nrecord_size: zipf:1-2\nkeys: 3\n", false)
	f.Add("? [a]\n: b\n", false)
	f.Fuzz(func(t *testing.T, text string, long bool) {
		s, _, err := Parse("f", []byte(text), long)
		if err != nil {
			return
		}
		if err := s.Normalize().Validate(); err != nil {
			t.Fatalf("%q: accepted, then %v", text, err)
		}
		if s.BatchFit(s.RecordSizes().Max()) < 1 {
			t.Fatalf("%q: no record fits into a batch", text)
		}
	})
}
