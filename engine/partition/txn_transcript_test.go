package partition

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"sluice/wire"
)

// Transcripts of transactions in one log: what the log answers, step by step. The files in
// testdata/txn name the rules; a step is a line, its answer the line of the same number.
//
//	data pid= epoch= seq= [n=] [tv=] [guard=] [plain] [from=coordinator|replica]
//	commit, abort pid= epoch= [coordinator=] [tv=]
//	lso [hw=]             the last stable offset below a high watermark, the log's end by default
//	aborted from= to=     what a fetch of that range is told
//	producers             the state that DescribeProducers shows
//	verify on|off, roll, reopen clean|kill, truncate offset=, delete offset=, idle ms=
func TestTransactionTranscripts(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/txn", func(t *testing.T, path string) {
		b := newBench(t, func(c *Config) { c.ProducerIDExpirationMs = 1000 })
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			for line := range strings.Lines(d.Input) {
				fmt.Fprintln(&out, txnStep(b, parseStep(t, line)))
			}
			return out.String()
		})
	})
}

// step is one line of a transcript.
type step struct {
	verb  string
	words map[string]bool
	args  map[string]int64
	from  string
}

func parseStep(t *testing.T, line string) step {
	fields := strings.Fields(line)
	s := step{verb: fields[0], words: map[string]bool{}, args: map[string]int64{}}
	for _, field := range fields[1:] {
		name, value, ok := strings.Cut(field, "=")
		switch n, err := strconv.ParseInt(value, 10, 64); {
		case !ok:
			s.words[name] = true
		case err == nil:
			s.args[name] = n
		case name == "from":
			s.from = value
		default:
			t.Fatalf("step %q: %v", line, err)
		}
	}
	return s
}

// arg is an argument, or what stands for it where it is missing.
func (s step) arg(name string, otherwise int64) int64 {
	if n, ok := s.args[name]; ok {
		return n
	}
	return otherwise
}

func txnStep(b *bench, s step) string {
	switch s.verb {
	case "data":
		return s.data(b)
	case "commit", "abort":
		return s.marker(b)
	case "lso":
		return fmt.Sprint(b.log.LastStableOffset(s.arg("hw", b.log.LEO())))
	case "aborted":
		all, err := b.log.AbortedTxns(nil, s.args["from"], s.args["to"])
		return fmt.Sprint(all, errText(err))
	case "producers":
		return producersText(b.log)
	case "verify":
		b.conf.VerifyTxns = s.words["on"]
		b.log.SetConfig(b.conf)
		return "ok"
	case "roll":
		return errText(b.log.Roll()) + "ok"
	case "reopen":
		b.settle()
		b.reopen(s.words["clean"])
		return fmt.Sprintf("[%d, %d)", b.log.StartOffset(), b.log.LEO())
	case "truncate":
		return errText(b.log.TruncateTo(s.args["offset"])) + fmt.Sprintf("[%d, %d)", b.log.StartOffset(),
			b.log.LEO())
	case "delete":
		code := b.log.AdvanceStartOffset(s.args["offset"])
		return codeText(code) + errText(b.dir.CommitStartOffsets())
	case "idle":
		b.clock.ms.Add(s.args["ms"])
		b.dir.Tick(b.clock.now())
		return "ok"
	default:
		return "no such step"
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error() + " "
}

func codeText(code int16) string {
	if code == wire.CodeNone {
		return "ok"
	}
	return wire.CodeName(code)
}

func outcomeText(a *Append) string {
	switch {
	case a.Unverified:
		return fmt.Sprintf("%s, guard %d", wire.CodeName(a.Code), a.Guard)
	case a.Code != wire.CodeNone:
		return wire.CodeName(a.Code)
	case a.Duplicate:
		return fmt.Sprintf("duplicate of %d", a.BaseOffset)
	default:
		return fmt.Sprintf("at %d", a.BaseOffset)
	}
}

func (s step) data(b *bench) string {
	p := payload{
		pid: s.args["pid"], epoch: int16(s.args["epoch"]), seq: int32(s.arg("seq", int64(wire.NoSequence))),
		records: int(s.arg("n", 1)), txn: !s.words["plain"],
	}
	a := Append{
		Batch: p.batch(b.t), TxnVersion: int8(s.args["tv"]), Guard: uint64(s.args["guard"]),
	}
	switch s.from {
	case "coordinator":
		a.Origin = FromCoordinator
	case "replica":
		a.Origin = FromReplica
		a.Batch.SetBaseOffset(b.log.LEO())
		a.Batch.SetLeaderEpoch(b.log.LeaderEpoch())
	}
	a = b.submitAppend(a)
	return outcomeText(&a)
}

func (s step) marker(b *bench) string {
	w := wire.NewBatchBuilder()
	w.ProducerID, w.ProducerEpoch = s.args["pid"], int16(s.args["epoch"])
	w.AppendEndTxnMarker(b.clock.now(), s.verb == "commit", int32(s.arg("coordinator", 1)))
	raw, err := w.Build(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	a := b.submitAppend(Append{
		Batch: raw, Origin: FromCoordinator, TxnVersion: int8(s.args["tv"]),
	})
	return outcomeText(&a)
}

// producersText lists the producers by id.
func producersText(l *Log) string {
	byID := map[int64]string{}
	var ids []int64
	for _, p := range l.Producers() {
		ids = append(ids, p.ID)
		byID[p.ID] = fmt.Sprintf("%d: epoch %d, last sequence %d, coordinator %d, open %d", p.ID,
			p.Epoch, p.LastSequence, p.CoordinatorEpoch, p.TxnFirstOffset)
	}
	var out []string
	for _, id := range slices.Sorted(slices.Values(ids)) {
		out = append(out, byID[id])
	}
	return "[" + strings.Join(out, "; ") + "]"
}
