package txncheck

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// edit replaces one piece of a source file, which must be there exactly once.
type edit struct{ file, old, new string }

// mutant is a bug that somebody could write. The checker must notice it, or it proves nothing about
// the code without the bug.
type mutant struct {
	name     string
	protocol string
	edits    []edit
}

// mutants are tried in this order.
var mutants = []mutant{
	{"abort writes commit markers", "mixed", []edit{{
		"engine/broker/txns.go", "w.AppendEndTxnMarker(now, m.Commit, ", "w.AppendEndTxnMarker(now, true, ",
	}}},
	{"committed readers read to the high watermark", "mixed", []edit{{
		"engine/broker/fetch_plan.go", "read.Bound = a.LastStableOffset", "read.Bound = a.HighWatermark",
	}}},
	{"answers leave out aborted transactions", "mixed", []edit{{
		"engine/broker/fetch_plan.go", "	if read.Bytes > 0 {\n		op.txns, err =", "	if read.Bytes < 0 {\n		op.txns, err =",
	}}},
	{"partitions are not verified", "old", []edit{
		{
			"engine/partition/verify.go", "if !b.IsTransactional() || p.continues(b) ||\n		!l.config.Load().VerifyTxns &&",
			"if !b.IsTransactional() || p.continues(b) ||\n		",
		},
		{
			"engine/partition/verify.go", "if v, ok := l.verifying.get(b.ProducerID()); !ok || v.guard != a.Guard {",
			"if v, ok := l.verifying.get(b.ProducerID()); ok && v.guard != a.Guard && a.Guard > 0 {",
		},
	}},
	{"a repeated batch is not recognized", "mixed", []edit{{
		"engine/partition/producers.go", "if sent.lastSeq == last && sent.firstSeq() == first {",
		"if sent.lastSeq == last && sent.firstSeq() > first {",
	}}},
	{"neither repeated batches nor gaps are recognized", "mixed", []edit{
		{
			"engine/partition/check.go", "if sent, found := p.duplicate(b); found {",
			"if sent, found := p.duplicate(b); found && sent.delta < 0 {",
		},
		{
			"engine/partition/check.go", "if a.Origin == FromClient && !l.inSequence(a, p, b) {",
			"if a.Origin == FromClient && !l.inSequence(a, p, b) && b.BaseSequence() < 0 {",
		},
	}},
	{"a decided transaction is forgotten with the process", "mixed", []edit{{
		"engine/txn/machine.go", "out.Errands = append(out.Errands, m.sendMarkers(e, string(m.table.name(slot))))",
		"m.sendMarkers(e, string(m.table.name(slot)))",
	}}},
	{"a successor gets its predecessor's epoch", "mixed", []edit{{
		"engine/txn/decide.go", "	case current:\n		after.epoch++", "	case current:",
	}}},
	{"a transaction's offsets count at once", "mixed", []edit{{
		"engine/group/pending.go", "case producerID == coordinator.NoProducer:\n		o.put", "case producerID == coordinator.NoProducer || v != nil:\n		o.put",
	}}},
	{"an aborted transaction's offsets count", "mixed", []edit{{
		"engine/group/pending.go", "if commit && (!found", "if (commit || !commit) && (!found",
	}}},
	{"transactions do not time out", "mixed", []edit{{
		"engine/txn/timers.go", "if e.deadlineMs() < nowMs {\n			return m.timer(slot), true", "if e.deadlineMs() < 0 {\n			return m.timer(slot), true",
	}}},
	{"a marker is written to the first partition only", "mixed", []edit{{
		"engine/broker/txns.go", "		b.writeMarker(p.Topic, p.Partition, marker, func(code int16) {\n",
		"		if p != parts[0] {\n			round.add(p, wire.CodeNone)\n			all.done()\n			continue\n		}\n		b.writeMarker(p.Topic, p.Partition, marker, func(code int16) {\n",
	}}},
	{"a commit that is repeated after an abort is confirmed", "mixed", []edit{
		{"engine/txn/end.go", "case e.state == completes(req.Commit):", "case e.state.idle():"},
		{"engine/txn/end.go", "case retried && e.state == completes(req.Commit):", "case retried:"},
	}},
	{"every eighth end by the new protocol aborts", "new", []edit{{
		"engine/txn/end.go", "	after := e.bumped(to, nowMs, next)\n", "	after := e.bumped(to, nowMs, next)\n	if e.epoch%8 == 7 {\n		after = e.bumped(PrepareAbort, nowMs, next)\n	}\n",
	}}},
}

const (
	// mutantTime bounds how long a mutant may live.
	mutantTime = 60 * time.Second
	// mutantPatience is short, since many a mutant is found by what never ends.
	mutantPatience = 20 * time.Second
)

// overlay writes the mutant's files, and says which of the module's they replace.
func (m *mutant) overlay(t *testing.T, dir string) map[string]string {
	t.Helper()
	replaced := map[string]string{}
	for i, e := range m.edits {
		original, err := sourceFile(e.file)
		if err != nil {
			t.Fatal(err)
		}
		from := original
		if done := replaced[original]; done != "" {
			from = done
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), e.old); n != 1 {
			t.Fatalf("%s, edit %d: %s holds %d times, not once:\n%s", m.name, i, e.file, n, e.old)
		}
		out := filepath.Join(dir, strings.ReplaceAll(e.file, "/", "-"))
		mutated := strings.Replace(string(text), e.old, e.new, 1)
		if err := os.WriteFile(out, []byte(mutated), 0o600); err != nil {
			t.Fatal(err)
		}
		replaced[original] = out
	}
	return replaced
}

// TestMutantsApply: each mutant still fits the code.
func TestMutantsApply(t *testing.T) {
	t.Parallel()
	for i := range mutants {
		mutants[i].overlay(t, t.TempDir())
	}
}

// TestCheckerFindsMutants builds each of the first TXNCHECK_MUTANTS mutants (one) and tries it until it is
// found.
func TestCheckerFindsMutants(t *testing.T) {
	t.Parallel()
	chosen := mutants[:min(number(t, "TXNCHECK_MUTANTS", 1), uint64(len(mutants)))]
	seed := number(t, "TXNCHECK_SEED", 1)
	for _, m := range chosen {
		t.Run(m.name, func(t *testing.T) {
			dir := t.TempDir()
			bin := filepath.Join(dir, "mutant")
			if err := buildBroker(bin, m.overlay(t, dir)); err != nil {
				t.Fatal(err)
			}
			m.hunt(t, bin, seed)
		})
	}
}

// hunt tries the mutant again and again, each time for longer.
func (m *mutant) hunt(t *testing.T, bin string, seed uint64) {
	began := time.Now()
	for n := uint64(1); time.Since(began) < mutantTime; n++ {
		h := try(bin, t.TempDir(), m.protocol, seed+n, time.Duration(3*n)*time.Second, mutantPatience)
		found := h.found()
		if len(found) == 0 {
			continue
		}
		if found[0].kind == "harness" {
			t.Fatal(found[0])
		}
		t.Logf("trial %d (seed %d), after %v: %d anomalies, first: %.300v",
			n, seed+n, time.Since(began).Round(time.Second), len(found), found[0])
		return
	}
	t.Errorf("the mutant lives after %v", time.Since(began).Round(time.Second))
}
