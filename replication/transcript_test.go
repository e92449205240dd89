package replication

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// peers is a State that a transcript sets up.
type peers map[int32]peer

type peer struct {
	epoch int64
	live  bool
}

func (p peers) ISREligible(id int32, epoch int64) bool {
	b, ok := p[id]
	return ok && b.live && (epoch == -1 || epoch == b.epoch)
}

func (p peers) BrokerEpoch(id int32) int64 {
	if b, ok := p[id]; ok {
		return b.epoch
	}
	return -1
}

// TestLeaderTranscripts plays testdata/leader/*: each line of input is an event, each line of
// output what the leader makes of it. The files cite the rules they show.
func TestLeaderTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/leader", func(t *testing.T, path string) {
		d := &leaderDriver{peers: peers{}}
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			d.out.Reset()
			d.run(t, td)
			return d.out.String()
		})
	})
}

type leaderDriver struct {
	l     *Leader
	peers peers
	now   int64
	local Local
	out   strings.Builder
}

func ids(t *testing.T, td *datadriven.TestData, key string) (list []int32) {
	for _, a := range td.CmdArgs {
		if a.Key == key {
			for _, v := range a.Vals {
				var id int32
				if _, err := fmt.Sscan(v, &id); err != nil {
					t.Fatal(err)
				}
				list = append(list, id)
			}
		}
	}
	return list
}

func number(t *testing.T, td *datadriven.TestData, key string, fallback int64) int64 {
	if td.HasArg(key) {
		td.ScanArgs(t, key, &fallback)
	}
	return fallback
}

func (d *leaderDriver) run(t *testing.T, td *datadriven.TestData) {
	d.now = number(t, td, "at", d.now)
	arg := func(key string, fallback int64) int64 { return number(t, td, key, fallback) }
	committed := Committed{
		LeaderEpoch: int32(arg("epoch", 0)), PartitionEpoch: int32(arg("partition-epoch", 0)),
		Replicas: ids(t, td, "replicas"), ISR: ids(t, td, "isr"),
	}
	switch td.Cmd {
	case "broker":
		d.peers[int32(arg("id", 0))] = peer{epoch: arg("epoch", 0), live: !td.HasArg("fenced")}
	case "lead":
		d.local = Local{LEO: arg("leo", 0), Flushed: arg("flushed", arg("leo", 0))}
		d.l = NewLeader(LeaderConfig{
			Self: int32(arg("self", 0)), Committed: committed, State: d.peers,
			EpochStartOffset: d.local.LEO, HighWatermark: arg("hw", 0), Local: d.local,
			Policy: Policy{
				MinInSync: int(arg("min", 1)), LagTimeMaxMs: arg("lag", 1000),
				Durable: td.HasArg("disk"),
			},
		}, d.now)
		d.show(Effects{HighWatermark: d.l.HighWatermark()}, ErrNone)
	case "append":
		d.local.LEO = arg("leo", d.local.LEO)
		d.local.Flushed = arg("flushed", d.local.Flushed)
		d.show(d.l.Appended(d.local, d.now), ErrNone)
	case "fetch":
		e, code := d.l.FollowerFetched(
			int32(arg("from", 0)), arg("epoch", -1), arg("offset", 0), d.now)
		d.show(e, code)
	case "tick":
		d.show(d.l.Tick(d.now), ErrNone)
	case "committed":
		e, code := d.l.Committed(committed, d.now)
		d.show(e, code)
	case "failed":
		d.show(d.l.AlterFailed(
			uint64(arg("attempt", int64(d.l.attempt))), int16(arg("code", 0)), d.now), ErrNone)
	case "policy":
		d.show(d.l.SetPolicy(Policy{
			MinInSync: int(arg("min", 1)), LagTimeMaxMs: arg("lag", 1000),
		}, d.now), ErrNone)
	case "ack":
		d.ack(int16(arg("acks", 0)), arg("offset", 0))
	case "latest":
		fmt.Fprintf(&d.out, "code %d\n", d.l.CheckLatest(d.l.HighWatermark()))
	default:
		t.Fatalf("unknown command %q", td.Cmd)
	}
}

func (d *leaderDriver) show(e Effects, code int16) {
	if code != ErrNone {
		fmt.Fprintf(&d.out, "code %d ", code)
	}
	fmt.Fprintf(&d.out, "hw=%d", e.HighWatermark)
	if e.Advanced {
		d.out.WriteString(" advanced")
	}
	fmt.Fprintf(&d.out, " isr=%v", d.l.AppendISR(nil))
	if d.l.UnderMinISR() {
		d.out.WriteString(" under-min")
	}
	if e.Alter != nil {
		fmt.Fprintf(&d.out, " wants=%v@%d", e.Alter.ISR, e.Alter.PartitionEpoch)
	}
	if d.l.AlterPending() {
		d.out.WriteString(" pending")
	}
	d.out.WriteString("\n")
}

func (d *leaderDriver) ack(acks int16, offset int64) {
	state, code := d.l.Ack(acks, offset)
	fmt.Fprintf(&d.out, "before append: code %d; after: %s",
		d.l.CheckAppend(acks), [...]string{"wait", "done", "failed"}[state])
	if code != ErrNone {
		fmt.Fprintf(&d.out, " code %d", code)
	}
	d.out.WriteString("\n")
}

// TestEpochTranscripts plays testdata/epochs/*.
func TestEpochTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/epochs", func(t *testing.T, path string) {
		e := &Epochs{}
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			return runEpochs(t, e, td)
		})
	})
}

func runEpochs(t *testing.T, e *Epochs, td *datadriven.TestData) string {
	arg := func(key string) int64 { return number(t, td, key, -1) }
	epoch, offset, leo := int32(arg("epoch")), arg("offset"), arg("leo")
	switch td.Cmd {
	case "assign":
		return fmt.Sprintf("changed=%t %v\n", e.Assign(epoch, offset), e.AppendTo(nil))
	case "end-offset-for":
		end := e.EndOffsetFor(epoch, leo)
		return fmt.Sprintf("epoch=%d end=%d\n", end.Epoch, end.EndOffset)
	case "epoch-of":
		return fmt.Sprintf("%d\n", e.EpochFor(offset))
	case "truncate-end":
		return fmt.Sprintf("changed=%t %v\n", e.TruncateFromEnd(offset), e.AppendTo(nil))
	case "truncate-start":
		return fmt.Sprintf("changed=%t %v\n", e.TruncateFromStart(offset), e.AppendTo(nil))
	case "fetch":
		end, diverges, code := e.Divergence(epoch, offset, leo)
		return fmt.Sprintf("diverges=%t epoch=%d end=%d code=%d\n",
			diverges, end.Epoch, end.EndOffset, code)
	case "truncate-to":
		to := TruncateTo(e, leo, arg("hw"), EpochEnd{Epoch: epoch, EndOffset: offset})
		return fmt.Sprintf("offset=%d final=%t\n", to.Offset, to.Final)
	default:
		t.Fatalf("unknown command %q", td.Cmd)
		return ""
	}
}
