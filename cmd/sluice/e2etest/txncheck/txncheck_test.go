package txncheck

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sluiceBin is the binary under test.
var sluiceBin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-txncheck-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	sluiceBin = filepath.Join(dir, "sluice")
	if err := buildBroker(sluiceBin, nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// number reads a number from the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// report writes how many operations came out how, and what was wrong.
func (h *history) report() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-28s %9s %9s %9s\n", "operation", "ok", "failed", "unknown")
	for _, op := range sorted(h.counts) {
		c := h.counts[op]
		fmt.Fprintf(&b, "%-28s %9d %9d %9d\n", op, c[ok], c[failed], c[unknown])
	}
	fates := map[outcome]int{}
	for _, t := range h.txns {
		fates[t.fate()]++
	}
	fmt.Fprintf(&b, "transactions: %d committed, %d aborted, %d doubtful; writes: %d; polls: %d\n",
		fates[ok], fates[failed], fates[unknown], len(h.writes), len(h.polls))
	var codes []string
	for _, code := range sorted(h.codes) {
		codes = append(codes, fmt.Sprintf("%s %d", code, h.codes[code]))
	}
	fmt.Fprintf(&b, "refusals: %s\n", strings.Join(codes, "; "))
	fmt.Fprintf(&b, "anomalies: %d\n", len(h.anomalies))
	for _, a := range h.anomalies[:min(len(h.anomalies), 20)] {
		fmt.Fprintln(&b, " ", a)
	}
	return b.String()
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// TestTransactions runs the checker for TXNCHECK_SECONDS (a few) with each protocol, or with that of
// TXNCHECK_PROTOCOL (old, new, mixed), from TXNCHECK_SEED (one of its own). It proves KIP-98, KIP-447
// and KIP-890 together, under SIGKILL.
func TestTransactions(t *testing.T) {
	t.Parallel()
	seconds := number(t, "TXNCHECK_SECONDS", 4)
	seed := number(t, "TXNCHECK_SEED", rand.Uint64())
	protocols := []string{"old", "new", "mixed"}
	if p := os.Getenv("TXNCHECK_PROTOCOL"); p != "" {
		protocols = strings.Split(p, ",")
	}
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			duration := time.Duration(seconds) * time.Second
			h := try(sluiceBin, t.TempDir(), protocol, seed, duration, settleWait)
			t.Logf("seed %d, protocol %s, %d s\n%s", seed, protocol, seconds, h.report())
			if len(h.anomalies) > 0 {
				t.Errorf("%d anomalies: TXNCHECK_SEED=%d TXNCHECK_PROTOCOL=%s", len(h.anomalies), seed, protocol)
			}
		})
	}
}
