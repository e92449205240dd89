package limits

import (
	"fmt"
)

// ShareMin is the share of its row that a limit must reach for a report to rest on it.
const ShareMin = 0.70

// Names of the limits that limitio measures.
const (
	PageCacheBurst     = "append/page-cache/burst"
	PageCacheSustained = "append/page-cache/sustained" // with write-behind
	DirectBurst        = "append/direct/burst"         // O_DIRECT, 1 MiB writes
	DirectSustained    = "append/direct/sustained"
	SyncLarge          = "fdatasync/64KiB/1-per-sync/16-files"
	CRCCache           = "crc32c/cache"
	CRCDRAM            = "crc32c/dram"
	MemcpyCache        = "memcpy/cache"
	MemcpyDRAM         = "memcpy/dram"
)

// Names of the limits of 100-byte records, one per batch and request, against a server that checks
// the CRC and appends.
const (
	PingPongP50 = "ping-pong/append/1c/p50"
	PingPongP99 = "ping-pong/append/1c/p99"
	PingPong64  = "ping-pong/append/64c"
)

// FetchName names the limit of fetching so many bytes per request, resident, with four requests in
// flight on each connection and a client that discards what it receives.
func FetchName(connections, fetchBytes int) string {
	return fmt.Sprintf("fetch/sendfile/%dc/%s", connections, sizeName(fetchBytes))
}

// ProduceName names the limit of producing batches of so many bytes, with five requests in
// flight on each connection, against a server that checks the CRC and appends.
func ProduceName(connections, batchBytes int) string {
	return fmt.Sprintf("produce/crc-pwrite/%dc/%s", connections, sizeName(batchBytes))
}

// SyncName names the limit of appends of 1 KiB with one fdatasync after every group of them, spread
// over so many files in turn, one file per group.
func SyncName(appendsPerSync, files int) string {
	return fmt.Sprintf("fdatasync/1KiB/%d-per-sync/%d-files", appendsPerSync, files)
}

func sizeName(bytes int) string {
	switch {
	case bytes >= 1<<20 && bytes%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", bytes>>20)
	case bytes >= 1<<10 && bytes%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", bytes>>10)
	default:
		return fmt.Sprintf("%dB", bytes)
	}
}

// Row is what the reference box reached.
type Row struct {
	Name   string // of the Measure that it is compared with
	Unit   string // of Value, the same as the Measure's
	Value  float64
	Lower  bool   // less is better (latencies)
	Source string // which box and which mechanism
}

// Rows returns the reference figures that are comparable with what this package measures. They
// were taken on a virtual machine with two cores and a virtual disk, with the client on the same
// two cores, as medians of alternated rounds; where rounds differed widely the row is the low end of
// their range. A row is a floor for trust, not a goal.
func Rows() []Row {
	const box = "reference, 2 vCPU VM: "
	const sendfile = box + "epoll, MSG_MORE header and sendfile, depth 4, discarding client"
	const pwrite = box + "epoll, receive, CRC-32C, pwrite into preallocated space, depth 5"
	const blocking = box + "epoll with a blocking wait, 100-byte records, one per request"
	return []Row{
		{FetchName(1, 64<<10), "GB/s", 4.6, false, sendfile},
		{FetchName(1, 1<<20), "GB/s", 7.4, false, sendfile},
		{FetchName(8, 64<<10), "GB/s", 6.7, false, sendfile},
		{FetchName(8, 1<<20), "GB/s", 9.1, false, sendfile},
		{ProduceName(1, 64<<10), "GB/s", 2.252, false, pwrite},
		{ProduceName(1, 1<<20), "GB/s", 1.713, false, pwrite},
		{ProduceName(8, 64<<10), "GB/s", 2.216, false, pwrite},
		{ProduceName(8, 1<<20), "GB/s", 1.422, false, pwrite},
		{PingPongP50, "us", 18, true, blocking},
		{PingPongP99, "us", 38, true, blocking},
		{PingPong64, "requests/s", 185_000, false, blocking},
		{PageCacheSustained, "GB/s", 3.4, false, box + "write-behind in steps, dropped behind a lag"},
		{DirectSustained, "GB/s", 2.2, false, box + "O_DIRECT, 1 MiB writes"},
		{SyncName(1, 1), "appends/s", 15_600, false, box + "1 KiB, fdatasync before every ack, 1 connection"},
		{SyncName(64, 1), "appends/s", 100_000, false, box + "1 KiB, group commit, 64 connections"},
		{SyncLarge, "GB/s", 0.9, false, box + "64 KiB and fdatasync to each of 16 files, written before"},
		{CRCCache, "GB/s", 25, false, box + "CRC-32C in cache"},
		{CRCDRAM, "GB/s", 6, false, box + "CRC-32C from DRAM"},
		{MemcpyCache, "GB/s", 22, false, box + "memcpy in the second-level cache, low end of 22 to 38"},
		{MemcpyDRAM, "GB/s", 7, false, box + "memcpy in DRAM, low end of 7 to 9"},
	}
}

// Share returns what part of its row a measure reaches: 1 is as good as the reference, more is
// better, for latencies too. ok is false if no row is comparable.
func Share(m Measure) (share float64, row Row, ok bool) {
	for _, row := range Rows() {
		if row.Name != m.Name {
			continue
		}
		if row.Unit != m.Unit {
			panic(fmt.Sprintf("BUG: %s measured in %s, its row is in %s", m.Name, m.Unit, row.Unit))
		}
		if row.Lower {
			return row.Value / max(m.Value, 1e-9), row, true
		}
		return m.Value / row.Value, row, true
	}
	return 0, Row{}, false
}

// Check returns one line for each measure below ShareMin of its row. Any line makes a report that
// uses these limits invalid. A measure without a row is not checked; Missing names the reverse.
func Check(measured []Measure) []string {
	var below []string
	for _, m := range measured {
		share, row, ok := Share(m)
		// Written so that a share that is not a number fails.
		if ok && !(share >= ShareMin) {
			below = append(below, fmt.Sprintf("%s: %.4g %s is %.0f %% of %.4g (%s); at least %.0f %% is needed",
				m.Name, m.Value, m.Unit, 100*share, row.Value, row.Source, 100*ShareMin))
		}
	}
	return below
}

// Missing returns the names of the rows that nothing in measured can be held against.
func Missing(measured []Measure) []string {
	have := map[string]bool{}
	for _, m := range measured {
		have[m.Name] = true
	}
	var missing []string
	for _, row := range Rows() {
		if !have[row.Name] {
			missing = append(missing, row.Name)
		}
	}
	return missing
}
