package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Cleaner is what holds for the log cleaner of one broker: the keys log.cleaner.*, all of which but
// log.cleaner.enable may be changed while it runs.
type Cleaner struct {
	Enable  bool
	Threads int32
	// DedupeBufferBytes is the memory for keys of all threads, filled to LoadFactor.
	DedupeBufferBytes int64
	LoadFactor        float64
	// IOBytesPerSecond bounds what is read and written, by all threads together.
	IOBytesPerSecond float64
	BackoffMs        int64
}

// ResolveCleaner returns the cleaner's settings. The layer of the topic plays no part.
func ResolveCleaner(l Layers) Cleaner {
	text := func(name string) string {
		value, _ := brokerValue(l, brokerIndex[name])
		return strings.TrimSpace(value)
	}
	number := func(name string) float64 {
		f, err := strconv.ParseFloat(text(name), 64)
		if err != nil {
			panic(fmt.Sprintf("BUG: config %s=%q got past validation", name, text(name)))
		}
		return f
	}
	return Cleaner{
		Enable:            strings.EqualFold(text("log.cleaner.enable"), "true"),
		Threads:           int32(number("log.cleaner.threads")),
		DedupeBufferBytes: int64(number("log.cleaner.dedupe.buffer.size")),
		LoadFactor:        number("log.cleaner.io.buffer.load.factor"),
		IOBytesPerSecond:  number("log.cleaner.io.max.bytes.per.second"),
		BackoffMs:         int64(number("log.cleaner.backoff.ms")),
	}
}
