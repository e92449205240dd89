package config

import (
	"math"
	"testing"
)

// Kafka's defaults, and every layer acts (class CleanerConfig).
func TestResolveCleaner(t *testing.T) {
	t.Parallel()
	f := func(l Layers, want Cleaner) {
		t.Helper()
		if got := ResolveCleaner(l); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	defaults := Cleaner{
		Enable: true, Threads: 1, DedupeBufferBytes: 128 << 20, LoadFactor: 0.9,
		IOBytesPerSecond: math.MaxFloat64, BackoffMs: 15_000,
	}
	f(Layers{}, defaults)
	set := defaults
	set.Enable, set.Threads, set.DedupeBufferBytes = false, 3, 4<<20
	set.LoadFactor, set.IOBytesPerSecond, set.BackoffMs = 0.5, 1.5e6, 7
	f(Layers{
		Static: Map{
			"log.cleaner.enable": "false", "log.cleaner.threads": "2",
			"log.cleaner.dedupe.buffer.size": "4194304", "log.cleaner.backoff.ms": "7",
		},
		DynamicDefault: Map{
			"log.cleaner.threads": "3", "log.cleaner.io.buffer.load.factor": "0.5",
			"log.cleaner.io.max.bytes.per.second": "9",
		},
		DynamicBroker: Map{"log.cleaner.io.max.bytes.per.second": "1500000"},
	}, set)
}
